"""Checks for sources, sinks and caches of your own: whether they do what the protocols of stskit require."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from traceback import TracebackException
from typing import Final, TypeVar

from attrs import fields, frozen

from stskit._arguments import check_list, check_type, wrong_type
from stskit.credentials import Credentials, Secret
from stskit.errors import SinkError, SourceError
from stskit.proofs import Proof, SAMLAssertion, WebIdentityToken
from stskit.protocols import Cache, CacheEntry, Sink, Source
from stskit.testing._account import new_key_id, new_secret

__all__ = ["check_cache", "check_sink", "check_source"]

T = TypeVar("T")

_THREADS: Final = 8
_SHORTEST_SECRET: Final = 6  # characters; a shorter one is found in any text
_KEYS: Final = ("a", "A", "a/b", "../a", "a b", "a\n", "\u00e9\u4e2d", "a" * 10_000)
_LIMIT: Final = 60  # seconds that another process may take to start
_AT_ONCE: Final = 5  # seconds on a loaded machine; a cache that waits takes longer
_SOON: Final = 0.3  # seconds that the first thread stays in the block, so that the others find it taken
# The program of the other process: it prints whether it is alone in the block, puts an entry, and waits to be killed.
_OTHER_PROGRAM: Final = """
import pickle, sys
cache, key, entry, wait = pickle.load(sys.stdin.buffer)
with cache.exclusive(key, wait=wait) as alone:
    if entry is not None:
        cache.put(key, entry)
    print(alone, flush=True)
    sys.stdin.read()
"""


def check_source(
    make: Callable[[], Source[Proof]],
    *,
    renew: Callable[[], object] | None = None,
    broken: Sequence[Callable[[], Source[Proof]]] = (),
    secrets: Sequence[str] = (),
    pickles: bool = False,
) -> None:
    """Check that the source that *make* returns keeps to `stskit.protocols.Source`.

    It must return a proof at every fetch, also from several threads, and its repr and its `identity` must show no
    secret.

    `renew` puts a new proof where the source finds it: the next fetch must return that one. `broken` return sources
    without a proof: they must raise a `SourceError` that shows none of the *secrets*. `pickles`: whether the source
    is meant to be sent to other processes.

    Raises `AssertionError` with one sentence that says what is wrong.
    """
    _check_callables(make=make, renew=renew)
    check_list("broken", broken, "a list of functions")
    check_list("secrets", secrets, "a list of texts")
    check_type("pickles", pickles, bool, "True or False")
    source = make()
    name = _name_of(source)
    proof = _fetched(source)
    hidden = [*_secrets_of(proof), *secrets]
    for result in _run_concurrently(lambda _: source.fetch()):
        if isinstance(result, Exception):
            raise AssertionError(f"{name}.fetch() fails from several threads at once: {type(result).__name__}")
        _require(_is_proof(result), f"{name}.fetch() gives {type(result).__name__} from several threads at once")
    _require(not _leaks(source, hidden), f"the repr of {name} tells a secret; leave it out: field(repr=False)")
    _check_identity(source, hidden)
    if pickles:
        _check_pickle(source)
    if renew is not None:
        renew()
        _require(
            _fetched(source) != proof, f"{name}.fetch() gives the old proof where there is a new one; keep nothing"
        )
    for each in broken:
        _check_broken_source(each(), hidden)


def _check_callables(*, make: object, **others: object) -> None:
    for name, value in {"make": make, **others}.items():
        if not callable(value) and not (value is None and name != "make"):
            wrong_type(name, value, "a function without arguments")


def _fetched(source: Source[Proof]) -> Proof:
    proof = source.fetch()
    name = _name_of(source)
    _require(
        _is_proof(proof),
        f"{name}.fetch() gives {type(proof).__name__}; it must give SAMLAssertion, WebIdentityToken or Credentials",
    )
    expired = isinstance(proof, Credentials) and proof.is_expired()
    _require(not expired, f"{name}.fetch() gives credentials that have expired; raise ProofInvalid instead")
    return proof


def _is_proof(value: object) -> bool:
    return isinstance(value, SAMLAssertion | WebIdentityToken | Credentials)


def _check_identity(source: Source[Proof], hidden: Sequence[str]) -> None:
    name, read = _name_of(source), partial(getattr, source, "identity", None)
    identity = read()
    _require(identity is None or isinstance(identity, str), f"{name}.identity is no text; it must be text or None")
    _require(identity == read(), f"{name}.identity differs from one read to the next; it names entries of caches")
    _require(not _leaks(identity, hidden), f"{name}.identity tells a secret; it is written to the disk by caches")


def _check_pickle(source: Source[Proof]) -> None:
    try:
        again = pickle.loads(pickle.dumps(source))  # noqa: S301 - made here
    except Exception as error:  # noqa: BLE001 - whatever a class does there
        problem = type(error).__name__
    else:
        _fetched(again)
        return
    raise AssertionError(f"{_name_of(source)} cannot be pickled ({problem}); keep locks and clients out of it")


def _check_broken_source(source: Source[Proof], hidden: Sequence[str]) -> None:
    name = _name_of(source)
    try:
        source.fetch()
    except SourceError as error:
        _require(not _leaks(error, hidden), f"the error of {name}.fetch() tells a secret, in its text or its context")
        shown = TracebackException.from_exception(error, capture_locals=True).stack
        told = [frame.name for frame in shown if frame.filename != __file__ and _leaks(frame.locals, hidden)]
        _require(
            not told,
            f"a traceback that shows locals tells a secret of {name}, in {', '.join(told[:1])}(); make it a Secret at "
            "once, or decorate fetch with stskit.errors.without_frames",
        )
        return
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        problem = f"raises {type(error).__name__}"
    else:
        problem = "gives something"
    raise AssertionError(f"{name}.fetch() {problem} where it has no proof; raise SourceMissing or ProofInvalid")


def check_sink(
    make: Callable[[], Sink[object]],
    *,
    look: Callable[[], object] | None = None,
    broken: Sequence[Callable[[], Sink[object]]] = (),
    persistent: bool = False,
) -> None:
    """Check that the sink that *make* returns keeps to `stskit.protocols.Sink`.

    It must deliver complete credentials, also from several threads, and its repr must show no secret.

    `look` returns the content of the place that the sink writes to, such as the bytes of a file, to see that each write
    is complete and that a refusal changes nothing. `broken` return sinks that cannot deliver: they must raise a
    `SinkError` without a secret. `persistent`: whether others can read what was written later, as in a file: then the
    sink must refuse expired credentials with a `SinkError` too.

    Raises `AssertionError` with one sentence that says what is wrong.
    """
    _check_callables(make=make, look=look)
    check_list("broken", broken, "a list of functions")
    check_type("persistent", persistent, bool, "True or False")
    sink = make()
    name, here = _name_of(sink), look or _no_content
    first, second = _sample_credentials(), _sample_credentials()
    one = _content_after_write(sink, first, here)
    two = _content_after_write(sink, second, here)
    _require(look is None or one != two, f"{name}.write() delivers the same for different credentials")
    _require(
        not _leaks(sink, _all_secrets(first, second)),
        f"the repr of {name} tells a secret; leave it out: field(repr=False)",
    )
    for result in _run_concurrently(lambda number: sink.write(first if number % 2 else second)):
        if isinstance(result, Exception):
            raise AssertionError(f"{name}.write() fails from several threads at once: {type(result).__name__}")
    _require(here() in (one, two), f"{name}.write() mixes the parts of two sets where threads write at once")
    if persistent:
        _check_refusing_sink(sink, _sample_credentials(timedelta(hours=-1)), here, "where the credentials have expired")
    for each in broken:
        _check_refusing_sink(each(), _sample_credentials(), here, "where it cannot deliver")


def _no_content() -> None:
    return None


def _all_secrets(*sets: Credentials) -> list[str]:
    return [secret for each in sets for secret in _secrets_of(each)]


def _content_after_write(sink: Sink[object], credentials: Credentials, here: Callable[[], object]) -> object:
    try:
        sink.write(credentials)
    except Exception as error:  # noqa: BLE001 - whatever a class does there
        problem = type(error).__name__
    else:
        return here()
    raise AssertionError(f"{_name_of(sink)}.write() raises {problem} for credentials as STS gives them")


def _check_refusing_sink(sink: Sink[object], credentials: Credentials, here: Callable[[], object], when: str) -> None:
    name, before = _name_of(sink), here()
    try:
        sink.write(credentials)
    except SinkError as error:
        leaks = _leaks(error, _secrets_of(credentials))
        _require(not leaks, f"the error of {name}.write() tells a secret, in its text or its context")
        _require(here() == before, f"{name}.write() changes what is there {when}; change it whole or not at all")
        return
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        problem = f"raises {type(error).__name__}"
    else:
        problem = "raises nothing"
    raise AssertionError(f"{name}.write() {problem} {when}; raise SinkError")


def check_cache(
    make: Callable[[], Cache], *, spoil: Callable[[], object] | None = None, processes: bool = False
) -> None:
    """Check that the cache that *make* returns keeps to `stskit.protocols.Cache`.

    `get` must return the entry that was put last under that key and no other, one caller for each key may be in the
    exclusive block, and the repr must show no secret.

    `spoil` damages the stored entries: the cache must then find nothing, and store the next entry. `processes`: whether
    processes are meant to share it: then it must pickle, its class must be importable, and a process that dies in the
    exclusive block must free it.

    Raises `AssertionError` with one sentence that says what is wrong.
    """
    _check_callables(make=make, spoil=spoil)
    check_type("processes", processes, bool, "True or False")
    cache = make()
    _check_entries(cache)
    _check_block(cache)
    _check_many_threads(cache)
    if processes:
        _check_processes(cache)
    if spoil is not None:
        _check_damaged_entries(cache, spoil)


def _entry() -> CacheEntry:
    return CacheEntry(_sample_credentials(), datetime.now(UTC).replace(microsecond=0))


def _check_entries(cache: Cache) -> None:
    name, entries = _name_of(cache), {key: _entry() for key in _KEYS}
    _require(cache.get("a") is None, f"{name}.get() gives something for a key under which nothing was put")
    for key, entry in entries.items():
        cache.put(key, _entry())
        cache.put(key, entry)
        _require(cache.get(key) == entry, f"{name}.get() does not give what was put last, for the key {key[:20]!r}")
    for key, entry in entries.items():
        _require(cache.get(key) == entry, f"{name} takes the key {key[:20]!r} and another one for the same")
    hidden = [secret for entry in entries.values() for secret in _secrets_of(entry.credentials)]
    _require(not _leaks(cache, hidden), f"the repr of {name} tells a secret; leave it out: field(repr=False)")


def _check_block(cache: Cache) -> None:
    name = _name_of(cache)
    with cache.exclusive("a", wait=False) as alone:
        _require(alone, f"{name}.exclusive() gives False where nobody else is in the block")
        _require(not _free_for_another_thread(cache, "a"), f"{name}.exclusive() lets a second thread into the block")
        _require(_free_for_another_thread(cache, "b"), f"{name}.exclusive() keeps out whoever comes for another key")
        cache.put("a", _entry())
        _require(cache.get("a") is not None, f"{name}.put() does not work inside of the block")
    try:
        with cache.exclusive("a", wait=True):
            raise KeyError
    except KeyError:
        _require(_free_for_another_thread(cache, "a"), f"{name}.exclusive() stays taken after an error in the block")
    else:
        raise AssertionError(f"{name}.exclusive() swallows an error from inside of the block")


def _free_for_another_thread(cache: Cache, key: str) -> bool:
    """Return whether another thread, which does not wait, is alone in the block."""
    found: list[bool] = []

    def enter() -> None:
        with cache.exclusive(key, wait=False) as alone:
            found.append(alone)

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    thread.join(_AT_ONCE)
    _require(bool(found), f"{_name_of(cache)}.exclusive() waits where it was told not to, or fails")
    return found[0]


def _check_many_threads(cache: Cache) -> None:
    name, inside, most = _name_of(cache), [0], [0]
    seen_enough = threading.Event()  # set as soon as a thread is turned away; otherwise the first one waits for a while

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

    results = _run_concurrently(enter)
    failed = [type(result).__name__ for result in results if isinstance(result, Exception)]
    _require(not failed, f"{name} fails from several threads at once: {', '.join(failed[:1])}")
    _require(most[0] == 1, f"{name}.exclusive() lets {most[0]} of {_THREADS} threads into the block at once")
    _require(all(results), f"{name}.exclusive() gives up on a block that is soon free, where it was told to wait")


def _check_processes(cache: Cache) -> None:
    name, entry = _name_of(cache), _entry()
    with cache.exclusive("p", wait=False), _another_process(cache, "p", None, wait=False) as other:
        _require(not other.alone, f"{name}.exclusive() lets another process into the block")
    with _another_process(cache, "p", entry, wait=True) as other:
        _require(other.alone, f"{name}.exclusive() keeps another process out of a block that is free")
        _require(cache.get("p") == entry, f"{name}.get() does not give what another process has put")
        with cache.exclusive("p", wait=False) as alone:
            _require(not alone, f"{name}.exclusive() lets this process into the block while another is in it")
        other.kill()
        with cache.exclusive("p", wait=True) as alone:
            _require(alone, f"{name}.exclusive() stays taken by a process that has died in the block")


@frozen
class _OtherProcess:
    """Another process that entered the block, and whether it is alone there."""

    process: subprocess.Popen[bytes]
    alone: bool

    def kill(self) -> None:
        """Kill it, so that it cannot tidy up."""
        self.process.kill()
        self.process.wait()


@contextmanager
def _another_process(cache: Cache, key: str, entry: CacheEntry | None, *, wait: bool) -> Iterator[_OtherProcess]:
    message = _pickled(cache, (cache, key, entry, wait))
    command = [sys.executable, "-c", _OTHER_PROGRAM]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=quiet) as process:  # noqa: S603 - this very Python
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            with suppress(BrokenPipeError):  # the process has ended, and prints nothing either
                stdin.write(message)
                stdin.flush()
            answer = stdout.readline().strip()
            _require(answer in (b"True", b"False"), f"{_name_of(cache)} does not work in another process")
            yield _OtherProcess(process, answer == b"True")
        finally:
            process.kill()
            with suppress(BrokenPipeError):  # the rest was not read
                stdin.close()


def _pickled(cache: Cache, message: object) -> bytes:
    try:
        return pickle.dumps(message)
    except Exception as error:  # noqa: BLE001 - whatever a class does there
        problem = type(error).__name__
    raise AssertionError(f"{_name_of(cache)} cannot be pickled ({problem}), and so not be sent to other processes")


def _check_damaged_entries(cache: Cache, spoil: Callable[[], object]) -> None:
    name, entry = _name_of(cache), _entry()
    cache.put("a", _entry())
    spoil()
    try:
        found = cache.get("a")
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        problem = type(error).__name__
    else:
        _require(found is None, f"{name}.get() gives what cannot be read")
        cache.put("a", entry)
        _require(cache.get("a") == entry, f"{name}.put() does not replace what cannot be read")
        return
    raise AssertionError(f"{name}.get() raises {problem} for what cannot be read; it must give None")


def _require(holds: bool, sentence: str) -> None:
    """Raise `AssertionError` with that *sentence* where *holds* is false; unlike assert, also under ``python -O``."""
    if not holds:
        raise AssertionError(sentence)


def _sample_credentials(lifetime: timedelta = timedelta(hours=1)) -> Credentials:
    """Return new credentials with the attributes that STS returns."""
    end = datetime.now(UTC).replace(microsecond=0) + lifetime
    arn = "arn:aws:sts::123456789012:assumed-role/Check/session"
    token = Secret(new_secret() + new_secret())
    return Credentials(
        new_key_id("ASIA"),
        new_secret(),
        token,
        end,
        account_id="123456789012",
        assumed_role_arn=arn,
        source_identity="a",
    )


def _name_of(part: object) -> str:
    """Return the name of *part* in the sentences."""
    return type(part).__name__


def _secrets_of(proof: Proof) -> list[str]:
    """Return all secrets in *proof*."""
    values = (getattr(proof, each.name) for each in fields(type(proof)))
    return [str(value) for value in values if isinstance(value, Secret)]


def _leaks(value: object, secrets: Iterable[str]) -> bool:
    """Return whether one of the *secrets* is in the text or the repr of *value*, or in anything that an error holds."""
    texts = list(_texts(value, set()))
    return any(secret in text for secret in secrets if len(secret) >= _SHORTEST_SECRET for text in texts)


def _run_concurrently(work: Callable[[int], T]) -> list[T | Exception]:
    """Return what *work* returns or raises in each of several threads that start at the same moment."""
    start = threading.Barrier(_THREADS)

    def run(number: int) -> T | Exception:
        start.wait()
        try:
            return work(number)
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            return error

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(run, range(_THREADS)))


def _texts(value: object, seen: set[int]) -> Iterator[str]:
    if id(value) in seen:
        return
    seen.add(id(value))
    yield repr(value)
    yield str(value)
    if isinstance(value, BaseException):
        for part in (*value.args, *vars(value).values(), value.__cause__, value.__context__):
            yield from _texts(part, seen)
