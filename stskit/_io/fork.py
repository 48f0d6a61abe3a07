"""Locks that stay free after a fork and after an exception of a signal handler.

A forked child creates its own locks, because the threads that held the parent's do not exist there. A signal handler
can raise an exception between any two instructions of Python. So a lock is acquired and released by C functions, in the
two ways that an exception cannot interrupt: ``with`` on a lock, and a ``try`` that acquires it and whose ``finally``
begins with its release.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from enum import Enum
from typing import Any, Final, Protocol, TypeVar, cast
from weakref import WeakSet

__all__ = ["Occupied", "OneAtATime", "caller", "lock_across_forks", "reset_in_children"]

T = TypeVar("T")

_POLL: Final = 0.005  # seconds that a greenlet gives to the others


class Resettable(Protocol):
    def reset_after_fork(self) -> None: ...


_objects: Final[WeakSet[Resettable]] = WeakSet()


def reset_in_children(resettable: Resettable) -> None:
    """Call ``resettable.reset_after_fork()`` in every forked child, while the object exists."""
    _objects.add(resettable)


def lock_across_forks() -> AbstractContextManager[object]:
    """Return a lock for short work, which a forked child creates again. Its holder can acquire it again."""
    return cast("AbstractContextManager[object]", _RenewedLock())


class _RenewedLock:
    """A lock with its two methods in slots, so that ``with`` calls those of the current lock directly."""

    __slots__ = ("__enter__", "__exit__", "__weakref__")

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        lock = threading.RLock()  # a signal handler may acquire it again
        self.__enter__, self.__exit__ = lock.__enter__, lock.__exit__


class Occupied(Enum):
    """The reason why `OneAtATime.run` did not run the work."""

    BY_ANOTHER_THREAD = 1
    BY_THIS_CALLER = 2  # the running work has started itself again, perhaps in a signal handler
    BY_ANOTHER_GREENLET = 3  # it runs in the same thread, so this code cannot wait for it


class OneAtATime:
    """Run one piece of work at a time, for all threads and for all greenlets of gevent, patched or not."""

    __slots__ = ("__weakref__", "_holder", "_lock")

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Forget the running work, because its thread does not exist in a forked child."""
        self._lock: Any = threading.RLock()
        self._holder: object = None  # the greenlet or thread that acquired the lock

    def run(self, work: Callable[[], T], *, wait: bool) -> T | Occupied:
        """Return the result of *work*, or the reason why it did not run. With *wait*, wait for other threads.

        Raises what *work* raises.
        """
        lock, me = self._lock, caller()  # a forked child has another lock
        while lock._is_owned():  # noqa: SLF001 - threading.Condition relies on it too
            if self._holder is None or self._holder == me:
                return Occupied.BY_THIS_CALLER
            if not wait or not _let_other_greenlets_run():
                return Occupied.BY_ANOTHER_GREENLET
        try:
            if not lock.acquire(wait):
                return Occupied.BY_ANOTHER_THREAD
            self._holder = me
            return work()
        finally:
            try:  # noqa: SIM105 - a signal could interrupt before release()
                lock.release()
            except RuntimeError:  # it was not acquired
                pass
            if self._holder is me:
                self._holder = None


def caller() -> object:
    """Return an object that stands for the running greenlet or thread."""
    greenlet = sys.modules.get("greenlet")
    return threading.get_ident() if greenlet is None else greenlet.getcurrent()


def _let_other_greenlets_run() -> bool:
    gevent = sys.modules.get("gevent")
    if gevent is not None:
        gevent.sleep(_POLL)
    return gevent is not None


def _reset_all() -> None:  # pragma: no cover - runs in children
    for resettable in list(_objects):
        resettable.reset_after_fork()


with suppress(AttributeError):  # on systems without fork
    os.register_at_fork(after_in_child=_reset_all)
