"""Shared helpers of the tests: scripted sources, clocks, crowds of threads, and searches for secrets in errors."""

from __future__ import annotations

import shutil
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from stskit import errors
from stskit.credentials import Credentials, Secret
from stskit.errors import SourceError
from stskit.protocols import Clock, Source
from stskit.refresh import Cached, RefreshPolicy
from stskit.testing import ManualClock

PACKAGE = Path(errors.__file__).parent
START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

Answer = Credentials | BaseException | Callable[[], Credentials]


_serial = count(1)


def credentials(clock: ManualClock, **life: float) -> Credentials:
    """Return unique credentials that expire after *life* (arguments of `timedelta`), or never if *life* is empty."""
    expiration = clock.now() + timedelta(**life) if life else None
    return Credentials(f"AKIA{next(_serial):06}", Secret("not-so-secret"), Secret("token"), expiration)


def unchecked(keys: Credentials, **parts: str) -> Credentials:
    """Return *keys* with these parts, without validation, because a sink must not depend on the validation."""
    for name, value in parts.items():
        object.__setattr__(keys, name, value if name == "access_key_id" else Secret(value))
    return keys


class ScriptedSource:
    """A source that returns its answers in order and repeats the last one. It raises an answer that is an exception."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.calls = 0

    def __repr__(self) -> str:
        return "ScriptedSource()"

    def fetch(self) -> Credentials:
        answer = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, Credentials) else answer()


class Down(SourceError):
    """The error of a third-party source that has no credentials at the moment."""


class Bug(Exception):
    """An unexpected exception of a third-party source or of a signal handler. It is not an error of stskit."""


Draw = Callable[[float, float], float]
"""The type of a replacement for `random.uniform`."""


def lowest(least: float, _most: float) -> float:
    return least


def highest(_least: float, most: float) -> float:
    return most


def cached(source: Source[Credentials], clock: Clock, **policy: object) -> Cached:
    """Return a `Cached` with this clock. The fixture `least_random` removes its jitter."""
    return Cached(source, refresh=RefreshPolicy(**policy), clock=clock)  # type: ignore[arg-type]


class CrowdedClock(ManualClock):
    """A clock at which each thread of a crowd waits, on its first reading, for all other threads."""

    def __init__(self, crowd: int) -> None:
        super().__init__(START)
        self.crowd, self.seen = threading.Barrier(crowd), threading.local()
        self.crowded = False

    def now(self) -> datetime:
        """Return the time. Once `crowded` is set, the first reading of each thread waits for the other threads."""
        if self.crowded and not hasattr(self.seen, "once"):
            self.seen.once = True
            self.crowd.wait(10)
        return super().now()


class CountedLock:
    """A lock that sets an event when all threads of a crowd, except its holder, wait for it."""

    def __init__(self, crowd: int) -> None:
        self.lock, self.wanting, self.crowded = threading.Lock(), count(1), threading.Event()
        self.others = crowd - 1

    def acquire(self, blocking: bool) -> bool:
        if self.lock.acquire(blocking=False):
            return True
        if next(self.wanting) == self.others:
            self.crowded.set()
        return self.lock.acquire(blocking)

    def release(self) -> None:
        self.lock.release()


def reachable_text(error: BaseException) -> str:
    """Return all text of *error*: its arguments, attributes, notes, cause and context, and the text of these."""
    return "\n".join(_texts(error, set()))


def _texts(value: object, seen: set[int]) -> Iterator[str]:
    if id(value) in seen:
        return
    seen.add(id(value))
    match value:
        case str() | bytes() | bytearray():
            yield str.__str__(value) if isinstance(value, str) else value.decode("latin-1")
            return
        case Mapping():
            parts: list[object] = [*value.keys(), *value.values()]
        case tuple() | list() | set() | frozenset():
            parts = list(value)
        case BaseException():
            parts = [str(value), repr(value), value.args, vars(value), value.__cause__, value.__context__]
        case _:
            slots = (
                getattr(value, name, None) for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())
            )
            parts = [getattr(value, "__dict__", None), *slots] if type(value).__module__.startswith("stskit") else []
    for part in parts:
        yield from _texts(part, seen)


def shown_locals(error: BaseException) -> str:
    """Return the local variables of stskit's frames, as a traceback with locals prints them."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if PACKAGE in Path(frame.filename).parents]
    return "\n".join(f"{name}={value}" for frame in frames for name, value in (frame.locals or {}).items())


def needs(program: str) -> str:
    """Return the path of a system program. Skips the test if it is not installed."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def folder_of(path: Path) -> list[str]:
    """Return the names of the files in the folder of *path*."""
    return sorted(each.name for each in path.parent.iterdir())
