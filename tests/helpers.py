"""What the tests share: a clock that they move, a source that they script, and eyes that find a secret anywhere."""

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
    """A set unlike any other, that expires after *life* (as in `timedelta`), or never without it."""
    expiration = clock.now() + timedelta(**life) if life else None
    return Credentials(f"AKIA{next(_serial):06}", Secret("not-so-secret"), Secret("token"), expiration)


def unchecked(keys: Credentials, **parts: str) -> Credentials:
    """*keys* with these parts, although the class would refuse them: a sink must not depend on it."""
    for name, value in parts.items():
        object.__setattr__(keys, name, value if name == "access_key_id" else Secret(value))
    return keys


class ScriptedSource:
    """Gives its answers one after the other, the last one for ever; what is an exception is raised."""

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
    """What a source of somebody else raises while it has no credentials."""


class Bug(Exception):
    """What a source of somebody else raises by mistake, or the handler of a signal: it is not stskit's."""


Draw = Callable[[float, float], float]
"""What can stand for `random.uniform`."""


def lowest(least: float, _most: float) -> float:
    return least


def highest(_least: float, most: float) -> float:
    return most


def cached(source: Source[Credentials], clock: Clock, **policy: object) -> Cached:
    """A `Cached` by that clock; the fixture `least_random` sees to it that there is no jitter."""
    return Cached(source, refresh=RefreshPolicy(**policy), clock=clock)  # type: ignore[arg-type]


class CrowdedClock(ManualClock):
    """A clock at which each thread of a crowd waits, at its first look, until all of them are there."""

    def __init__(self, crowd: int) -> None:
        super().__init__(START)
        self.crowd, self.seen = threading.Barrier(crowd), threading.local()
        self.crowded = False

    def now(self) -> datetime:
        """Wait for the others at the first look of each thread, once `crowded` is set."""
        if self.crowded and not hasattr(self.seen, "once"):
            self.seen.once = True
            self.crowd.wait(10)
        return super().now()


class CountedLock:
    """A lock that shows when all of a crowd but the one who has it want it."""

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
    """All text that hangs on *error*: arguments, attributes, notes, cause, context, and what hangs on those."""
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
    """What a traceback that shows locals would print for the frames of stskit."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if PACKAGE in Path(frame.filename).parents]
    return "\n".join(f"{name}={value}" for frame in frames for name, value in (frame.locals or {}).items())


def needs(program: str) -> str:
    """The path of a program of the system; skips the test where it is not installed."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def folder_of(path: Path) -> list[str]:
    """The names of what is in the folder of *path*."""
    return sorted(each.name for each in path.parent.iterdir())
