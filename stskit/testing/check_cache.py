"""Whether a cache of your own does what stskit expects of a cache."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final

from attrs import frozen

from stskit.protocols import Cache, CacheEntry
from stskit.testing._expect import THREADS, expect, name_of, sample, secrets_of, tells, together

__all__ = ["check_cache"]

_KEYS: Final = ("a", "A", "a/b", "../a", "a b", "a\n", "\u00e9\u4e2d", "a" * 10_000)
_LIMIT: Final = 60  # seconds that another process may take to start
_AT_ONCE: Final = 5  # seconds, of a loaded machine; a cache that waits does so for longer
_SOON: Final = 0.3  # seconds for which the first one stays in the block, so that the others find it taken
# What another process does: it says whether it is alone in the block, puts an entry, and waits there for its end.
_OTHER: Final = """
import pickle, sys
cache, key, entry, wait = pickle.load(sys.stdin.buffer)
with cache.exclusive(key, wait=wait) as alone:
    if entry is not None:
        cache.put(key, entry)
    print(alone, flush=True)
    sys.stdin.read()
"""


def check_cache(
    make: Callable[[], Cache], *, spoil: Callable[[], object] | None = None, processes: bool = False
) -> None:
    """Raises `AssertionError`, with one sentence that says what is wrong, where the cache that *make* gives is not as
    `stskit.protocols.Cache` says: what is put is what is got, for that key and no other; one caller for each key is in
    the exclusive block; no secret in its repr.

    `spoil` breaks what the cache keeps, wherever that is: it must then find nothing, and take the next entry.
    `processes`: whether it is meant to be shared by processes; then it must pickle, its class must be found by
    importing, and a process that dies in the block must make room.
    """
    cache = make()
    _check_entries(cache)
    _check_block(cache)
    _check_crowd(cache)
    if processes:
        _check_processes(cache)
    if spoil is not None:
        _check_spoilt(cache, spoil)


def _entry() -> CacheEntry:
    return CacheEntry(sample(), datetime.now(UTC).replace(microsecond=0))


def _check_entries(cache: Cache) -> None:
    name, entries = name_of(cache), {key: _entry() for key in _KEYS}
    expect(cache.get("a") is None, f"{name}.get() gives something for a key under which nothing was put")
    for key, entry in entries.items():
        cache.put(key, _entry())
        cache.put(key, entry)
        expect(cache.get(key) == entry, f"{name}.get() does not give what was put last, for the key {key[:20]!r}")
    for key, entry in entries.items():
        expect(cache.get(key) == entry, f"{name} takes the key {key[:20]!r} and another one for the same")
    hidden = [secret for entry in entries.values() for secret in secrets_of(entry.credentials)]
    expect(not tells(cache, hidden), f"the repr of {name} tells a secret; leave it out: field(repr=False)")


def _check_block(cache: Cache) -> None:
    name = name_of(cache)
    with cache.exclusive("a", wait=False) as alone:
        expect(alone, f"{name}.exclusive() gives False where nobody else is in the block")
        expect(not _elsewhere(cache, "a"), f"{name}.exclusive() lets a second thread into the block")
        expect(_elsewhere(cache, "b"), f"{name}.exclusive() keeps out whoever comes for another key")
        cache.put("a", _entry())
        expect(cache.get("a") is not None, f"{name}.put() does not work inside of the block")
    try:
        with cache.exclusive("a", wait=True):
            raise KeyError
    except KeyError:
        expect(_elsewhere(cache, "a"), f"{name}.exclusive() stays taken after an error in the block")
    else:
        raise AssertionError(f"{name}.exclusive() swallows an error from inside of the block")


def _elsewhere(cache: Cache, key: str) -> bool:
    """Whether another thread, which does not wait, is alone in the block."""
    found: list[bool] = []

    def enter() -> None:
        with cache.exclusive(key, wait=False) as alone:
            found.append(alone)

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    thread.join(_AT_ONCE)
    expect(bool(found), f"{name_of(cache)}.exclusive() waits where it was told not to, or fails")
    return found[0]


def _check_crowd(cache: Cache) -> None:
    name, inside, most = name_of(cache), [0], [0]
    seen_enough = threading.Event()  # after the first has stayed for a while, or as soon as somebody is turned away

    def enter(_: int) -> bool:
        with cache.exclusive("crowd", wait=True) as alone:
            if alone:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                seen_enough.wait(_SOON)
                cache.put("crowd", _entry())
                inside[0] -= 1
            seen_enough.set()
        return alone

    results = together(enter)
    failed = [type(result).__name__ for result in results if isinstance(result, Exception)]
    expect(not failed, f"{name} fails from several threads at once: {', '.join(failed[:1])}")
    expect(most[0] == 1, f"{name}.exclusive() lets {most[0]} of {THREADS} threads into the block at once")
    expect(all(results), f"{name}.exclusive() gives up on a block that is soon free, where it was told to wait")


def _check_processes(cache: Cache) -> None:
    name, entry = name_of(cache), _entry()
    with cache.exclusive("p", wait=False), _another(cache, "p", None, wait=False) as other:
        expect(not other.alone, f"{name}.exclusive() lets another process into the block")
    with _another(cache, "p", entry, wait=True) as other:
        expect(other.alone, f"{name}.exclusive() keeps another process out of a block that is free")
        expect(cache.get("p") == entry, f"{name}.get() does not give what another process has put")
        with cache.exclusive("p", wait=False) as alone:
            expect(not alone, f"{name}.exclusive() lets this process into the block while another is in it")
        other.kill()
        with cache.exclusive("p", wait=True) as alone:
            expect(alone, f"{name}.exclusive() stays taken by a process that has died in the block")


@frozen
class _Other:
    """Another process, which is where the block is, and whether it is alone in it."""

    process: subprocess.Popen[bytes]
    alone: bool

    def kill(self) -> None:
        """End it, without a chance to tidy up."""
        self.process.kill()
        self.process.wait()


@contextmanager
def _another(cache: Cache, key: str, entry: CacheEntry | None, *, wait: bool) -> Iterator[_Other]:
    message = _pickled(cache, (cache, key, entry, wait))
    command = [sys.executable, "-c", _OTHER]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=quiet) as process:  # noqa: S603 - this very Python
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            with suppress(BrokenPipeError):  # then it says nothing either
                stdin.write(message)
                stdin.flush()
            answer = stdout.readline().strip()
            expect(answer in (b"True", b"False"), f"{name_of(cache)} does not work in another process")
            yield _Other(process, answer == b"True")
        finally:
            process.kill()
            with suppress(BrokenPipeError):  # what was not read any more
                stdin.close()


def _pickled(cache: Cache, message: object) -> bytes:
    try:
        return pickle.dumps(message)
    except Exception as error:  # noqa: BLE001 - whatever a class does there
        problem = type(error).__name__
    raise AssertionError(f"{name_of(cache)} cannot be pickled ({problem}), and so not be sent to other processes")


def _check_spoilt(cache: Cache, spoil: Callable[[], object]) -> None:
    name, entry = name_of(cache), _entry()
    cache.put("a", _entry())
    spoil()
    try:
        found = cache.get("a")
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        problem = type(error).__name__
    else:
        expect(found is None, f"{name}.get() gives what cannot be read")
        cache.put("a", entry)
        expect(cache.get("a") == entry, f"{name}.put() does not replace what cannot be read")
        return
    raise AssertionError(f"{name}.get() raises {problem} for what cannot be read; it must give None")
