"""Check that your own sources, sinks and caches fulfil the protocols of stskit."""

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
_SHORTEST_SECRET: Final = 6  # characters; a shorter secret would be found in any text
_KEYS: Final = ("a", "A", "a/b", "../a", "a b", "a\n", "\u00e9\u4e2d", "a" * 10_000)
_LIMIT: Final = 60  # seconds for another process to start
_AT_ONCE: Final = 5  # seconds on a busy machine; a cache that waits needs longer
_SOON: Final = 0.3  # seconds that the first thread stays in the block, while the others try to enter it
# The program of the other process. It prints whether it has the lock, stores an entry, and waits to be killed.
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
    """Check that a source fulfils `stskit.protocols.Source`.

    It must return a proof at every fetch, also from several threads, and its repr and its `identity` must not show a
    secret.

    Args:
        make: Function that returns the source.
        renew: Function that replaces the proof at its place. The next fetch must return the new proof. Defaults to
            none.
        broken: Functions that return sources without a proof. They must raise a `SourceError`, which must not show one
            of the *secrets*.
        secrets: Further secrets that must not be shown.
        pickles: Whether the source must be picklable, for other processes. Defaults to False.

    Raises:
        AssertionError: If the source breaks a rule. The message says which, and what to do.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit.sources import Profile
        >>> from stskit.testing import check_source
        >>> check_source(lambda: Profile("base"), broken=[lambda: Profile("missing")], pickles=True)
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
            problem = f"{name}.fetch() raised {type(result).__name__} in one of several threads"
            raise AssertionError(f"{problem}. Make it thread-safe.")
        _require(
            _is_proof(result),
            f"{name}.fetch() returned {type(result).__name__} in one of several threads. Make it thread-safe.",
        )
    _require(not _leaks(source, hidden), f"The repr of {name} shows a secret. Hide it with field(repr=False).")
    _check_identity(source, hidden)
    if pickles:
        _check_pickle(source)
    if renew is not None:
        renew()
        _require(
            _fetched(source) != proof,
            f"{name}.fetch() returned the old proof although there is a new one. Read it again at every fetch.",
        )
    for each in broken:
        _check_broken_source(each(), hidden)


def _check_callables(*, make: object, **others: object) -> None:
    for name, value in {"make": make, **others}.items():
        if not callable(value) and not (value is None and name != "make"):
            wrong_type(name, value, "a function without arguments", "Write for example lambda: ...")


def _fetched(source: Source[Proof]) -> Proof:
    proof = source.fetch()
    name = _name_of(source)
    _require(
        _is_proof(proof),
        f"{name}.fetch() returned {type(proof).__name__}. Return a SAMLAssertion, a WebIdentityToken or Credentials.",
    )
    expired = isinstance(proof, Credentials) and proof.is_expired()
    _require(not expired, f"{name}.fetch() returned expired credentials. Raise ProofInvalid instead.")
    return proof


def _is_proof(value: object) -> bool:
    return isinstance(value, SAMLAssertion | WebIdentityToken | Credentials)


def _check_identity(source: Source[Proof], hidden: Sequence[str]) -> None:
    name, read = _name_of(source), partial(getattr, source, "identity", None)
    identity = read()
    _require(
        identity is None or isinstance(identity, str),
        f"{name}.identity is {type(identity).__name__}. It must be text or None.",
    )
    _require(
        identity == read(),
        f"{name}.identity changed between two reads. It is a part of cache keys, so it must be stable.",
    )
    _require(
        not _leaks(identity, hidden),
        f"{name}.identity contains a secret. Use stskit.cache_key.digest, or another hash.",
    )


def _check_pickle(source: Source[Proof]) -> None:
    try:
        again = pickle.loads(pickle.dumps(source))  # noqa: S301 - pickled in this line
    except Exception as error:  # noqa: BLE001 - any exception of the tested class
        problem = type(error).__name__
    else:
        _fetched(again)
        return
    raise AssertionError(f"{_name_of(source)} cannot be pickled ({problem}). Remove locks and clients from its state.")


def _check_broken_source(source: Source[Proof], hidden: Sequence[str]) -> None:
    name = _name_of(source)
    try:
        source.fetch()
    except SourceError as error:
        _require(not _leaks(error, hidden), f"The error of {name}.fetch() shows a secret, in its text or its context.")
        shown = TracebackException.from_exception(error, capture_locals=True).stack
        leaking = [frame.name for frame in shown if frame.filename != __file__ and _leaks(frame.locals, hidden)]
        _require(
            not leaking,
            f"A traceback with local variables shows a secret of {name} in {', '.join(leaking[:1])}(). Convert it to a "
            "Secret at once, or decorate fetch with stskit.errors.without_frames.",
        )
        return
    except Exception as error:  # noqa: BLE001 - this is the fault to find
        problem = f"raised {type(error).__name__}"
    else:
        problem = "returned a value"
    raise AssertionError(f"{name}.fetch() {problem} without a proof. Raise SourceMissing or ProofInvalid.")


def check_sink(
    make: Callable[[], Sink[object]],
    *,
    look: Callable[[], object] | None = None,
    broken: Sequence[Callable[[], Sink[object]]] = (),
    persistent: bool = False,
) -> None:
    """Check that a sink fulfils `stskit.protocols.Sink`.

    It must deliver complete credentials, also from several threads, and its repr must not show a secret.

    Args:
        make: Function that returns the sink.
        look: Function that returns the content of the place that the sink writes to, for example the bytes of a file,
            to check that each write is complete and that a refusal changes nothing. Defaults to none.
        broken: Functions that return sinks that cannot deliver. They must raise a `SinkError` without a secret.
        persistent: Whether the content stays there, as in a file. The sink must then refuse expired credentials with a
            `SinkError`. Defaults to False.

    Raises:
        AssertionError: If the sink breaks a rule. The message says which, and what to do.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from pathlib import Path
        >>> from stskit.sinks import DotEnv
        >>> from stskit.testing import check_sink
        >>> check_sink(lambda: DotEnv("test.env"), look=Path("test.env").read_bytes, persistent=True)
    """
    _check_callables(make=make, look=look)
    check_list("broken", broken, "a list of functions")
    check_type("persistent", persistent, bool, "True or False")
    sink = make()
    name, here = _name_of(sink), look or _no_content
    first, second = _sample_credentials(), _sample_credentials()
    one = _content_after_write(sink, first, here)
    two = _content_after_write(sink, second, here)
    _require(look is None or one != two, f"{name}.write() delivered the same content for different credentials.")
    _require(
        not _leaks(sink, _all_secrets(first, second)),
        f"The repr of {name} shows a secret. Hide it with field(repr=False).",
    )
    for result in _run_concurrently(lambda number: sink.write(first if number % 2 else second)):
        if isinstance(result, Exception):
            problem = f"{name}.write() raised {type(result).__name__} in one of several threads"
            reason = "" if _leaks(result, _all_secrets(first, second)) else f" ({str(result).rstrip('.')})"
            raise AssertionError(f"{problem}{reason}. Make it thread-safe.")
    _require(here() in (one, two), f"{name}.write() mixed two credentials when several threads wrote. Use a lock.")
    if persistent:
        _check_refusing_sink(sink, _sample_credentials(timedelta(hours=-1)), here, "for expired credentials")
    for each in broken:
        _check_refusing_sink(each(), _sample_credentials(), here, "when it cannot deliver")


def _no_content() -> None:
    return None


def _all_secrets(*sets: Credentials) -> list[str]:
    return [secret for each in sets for secret in _secrets_of(each)]


def _content_after_write(sink: Sink[object], credentials: Credentials, here: Callable[[], object]) -> object:
    try:
        sink.write(credentials)
    except Exception as error:  # noqa: BLE001 - any exception of the tested class
        problem = type(error).__name__
    else:
        return here()
    raise AssertionError(f"{_name_of(sink)}.write() raised {problem} for valid credentials.")


def _check_refusing_sink(sink: Sink[object], credentials: Credentials, here: Callable[[], object], when: str) -> None:
    name, before = _name_of(sink), here()
    try:
        sink.write(credentials)
    except SinkError as error:
        leaks = _leaks(error, _secrets_of(credentials))
        _require(not leaks, f"The error of {name}.write() shows a secret, in its text or its context.")
        _require(here() == before, f"{name}.write() changed the content {when}. Change everything or nothing.")
        return
    except Exception as error:  # noqa: BLE001 - this is the fault to find
        problem = f"raised {type(error).__name__}"
    else:
        problem = "raised nothing"
    raise AssertionError(f"{name}.write() {problem} {when}. Raise SinkError.")


def check_cache(
    make: Callable[[], Cache], *, spoil: Callable[[], object] | None = None, processes: bool = False
) -> None:
    """Check that a cache fulfils `stskit.protocols.Cache`.

    `get` must return the latest entry of the key and no other, only one caller for each key may be in the exclusive
    block, and the repr must not show a secret.

    Args:
        make: Function that returns the cache.
        spoil: Function that damages the stored entries. The cache must then find nothing, and store the next entry.
            Defaults to none.
        processes: Whether processes share the cache. It must then be picklable, its class must be importable, and the
            lock of a process that dies must become free. Defaults to False.

    Raises:
        AssertionError: If the cache breaks a rule. The message says which, and what to do.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit.caches import MemoryCache
        >>> from stskit.testing import check_cache
        >>> check_cache(MemoryCache)
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
    _require(cache.get("a") is None, f"{name}.get() returned a value for a key without an entry. Return None.")
    for key, entry in entries.items():
        cache.put(key, _entry())
        cache.put(key, entry)
        _require(cache.get(key) == entry, f"{name}.get() did not return the latest entry of the key {key[:20]!r}.")
    for key, entry in entries.items():
        _require(
            cache.get(key) == entry,
            f"{name} treats the key {key[:20]!r} and another key as the same.",
        )
    hidden = [secret for entry in entries.values() for secret in _secrets_of(entry.credentials)]
    _require(not _leaks(cache, hidden), f"The repr of {name} shows a secret. Hide it with field(repr=False).")


def _check_block(cache: Cache) -> None:
    name = _name_of(cache)
    with cache.exclusive("a", wait=False) as alone:
        _require(alone, f"{name}.exclusive() yielded False although no other caller is in the block.")
        _require(not _free_for_another_thread(cache, "a"), f"{name}.exclusive() let a second thread into the block.")
        _require(_free_for_another_thread(cache, "b"), f"{name}.exclusive() blocks another key.")
        cache.put("a", _entry())
        _require(cache.get("a") is not None, f"{name}.put() does not work inside the block.")
    try:
        with cache.exclusive("a", wait=True):
            raise KeyError
    except KeyError:
        _require(
            _free_for_another_thread(cache, "a"),
            f"{name}.exclusive() stays locked after an error.",
        )
    else:
        raise AssertionError(f"{name}.exclusive() suppressed an error of the block. Let it pass.")


def _free_for_another_thread(cache: Cache, key: str) -> bool:
    """Return whether another thread, which does not wait, gets the lock."""
    found: list[bool] = []

    def enter() -> None:
        with cache.exclusive(key, wait=False) as alone:
            found.append(alone)

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    thread.join(_AT_ONCE)
    _require(bool(found), f"{_name_of(cache)}.exclusive(wait=False) waited or failed. Yield False at once.")
    return found[0]


def _check_many_threads(cache: Cache) -> None:
    name, inside, most = _name_of(cache), [0], [0]
    seen_enough = threading.Event()  # set as soon as a thread does not get the lock; otherwise the first one waits

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
    _require(not failed, f"{name} raised {', '.join(failed[:1])} in one of several threads. Make it thread-safe.")
    _require(most[0] == 1, f"{name}.exclusive() let {most[0]} of {_THREADS} threads into the block at the same time.")
    _require(all(results), f"{name}.exclusive(wait=True) did not wait for a block that is soon free.")


def _check_processes(cache: Cache) -> None:
    name, entry = _name_of(cache), _entry()
    with cache.exclusive("p", wait=False), _another_process(cache, "p", None, wait=False) as other:
        _require(not other.alone, f"{name}.exclusive() let another process into the block.")
    with _another_process(cache, "p", entry, wait=True) as other:
        _require(other.alone, f"{name}.exclusive() blocked another process although the block is free.")
        _require(cache.get("p") == entry, f"{name}.get() did not return the entry of another process.")
        with cache.exclusive("p", wait=False) as alone:
            _require(not alone, f"{name}.exclusive() let this process into the block of another process.")
        other.kill()
        with cache.exclusive("p", wait=True) as alone:
            _require(alone, f"{name}.exclusive() stays locked by a process that died in the block.")


@frozen
class _OtherProcess:
    """Another process that entered the block, and whether it has the lock."""

    process: subprocess.Popen[bytes]
    alone: bool

    def kill(self) -> None:
        """Kill it, so that it cannot release the lock."""
        self.process.kill()
        self.process.wait()


@contextmanager
def _another_process(cache: Cache, key: str, entry: CacheEntry | None, *, wait: bool) -> Iterator[_OtherProcess]:
    message = _pickled(cache, (cache, key, entry, wait))
    command = [sys.executable, "-c", _OTHER_PROGRAM]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=quiet) as process:  # noqa: S603 - the same Python
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            with suppress(BrokenPipeError):  # the process has ended
                stdin.write(message)
                stdin.flush()
            answer = stdout.readline().strip()
            _require(answer in (b"True", b"False"), f"{_name_of(cache)} does not work in another process.")
            yield _OtherProcess(process, answer == b"True")
        finally:
            process.kill()
            with suppress(BrokenPipeError):  # the process did not read everything
                stdin.close()


def _pickled(cache: Cache, message: object) -> bytes:
    try:
        return pickle.dumps(message)
    except Exception as error:  # noqa: BLE001 - any exception of the tested class
        problem = type(error).__name__
    raise AssertionError(f"{_name_of(cache)} cannot be pickled ({problem}). Remove locks and clients from its state.")


def _check_damaged_entries(cache: Cache, spoil: Callable[[], object]) -> None:
    name, entry = _name_of(cache), _entry()
    cache.put("a", _entry())
    spoil()
    try:
        found = cache.get("a")
    except Exception as error:  # noqa: BLE001 - this is the fault to find
        problem = type(error).__name__
    else:
        _require(found is None, f"{name}.get() returned a damaged entry. Return None.")
        cache.put("a", entry)
        _require(cache.get("a") == entry, f"{name}.put() did not replace a damaged entry.")
        return
    raise AssertionError(f"{name}.get() raised {problem} for a damaged entry. Return None.")


def _require(is_kept: bool, sentence: str) -> None:
    """Raise `AssertionError` if a rule is broken. Unlike ``assert``, this works under ``python -O`` too."""
    if not is_kept:
        raise AssertionError(sentence)


def _sample_credentials(lifetime: timedelta = timedelta(hours=1)) -> Credentials:
    """Return new credentials with the attributes of an STS response."""
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
    """Return the class name of a part, for messages."""
    return type(part).__name__


def _secrets_of(proof: Proof) -> list[str]:
    """Return all secrets of a proof."""
    values = (getattr(proof, each.name) for each in fields(type(proof)))
    return [str(value) for value in values if isinstance(value, Secret)]


def _leaks(value: object, secrets: Iterable[str]) -> bool:
    """Return whether a secret is in the text or the repr of a value, or in the attributes of an error."""
    texts = list(_texts(value, set()))
    return any(secret in text for secret in secrets if len(secret) >= _SHORTEST_SECRET for text in texts)


def _run_concurrently(work: Callable[[int], T]) -> list[T | Exception]:
    """Return the result or the exception of *work* in each of several threads that start at the same time."""
    start = threading.Barrier(_THREADS)

    def run(number: int) -> T | Exception:
        start.wait()
        try:
            return work(number)
        except Exception as error:  # noqa: BLE001 - returned to the caller
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
