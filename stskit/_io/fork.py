"""Locks that no fork and no signal leaves taken.

A forked child makes its own locks, because the threads that held the parent's do not exist there; no lock is held while
a process forks. The handler of a signal may raise an exception between any two instructions of Python, so a lock is
acquired and released by C functions, in the two ways that an exception cannot interrupt: ``with`` on a lock, and a
``try`` that acquires it and whose ``finally`` first of all releases it.
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

_POLL: Final = 0.005  # seconds for which one greenlet lets the others run


class Resettable(Protocol):
    def reset_after_fork(self) -> None: ...


_objects: Final[WeakSet[Resettable]] = WeakSet()


def reset_in_children(resettable: Resettable) -> None:
    """Call ``resettable.reset_after_fork()`` in every child that this process forks, for as long as it is alive."""
    _objects.add(resettable)


def lock_across_forks() -> AbstractContextManager[object]:
    """Return a lock for short work, which a forked child has anew. The thread that holds it may acquire it again."""
    return cast("AbstractContextManager[object]", _RenewedLock())


class _RenewedLock:
    """``with`` takes both methods from the slots, so that it calls those of the present lock directly."""

    __slots__ = ("__enter__", "__exit__", "__weakref__")

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        lock = threading.RLock()  # the handler of a signal may acquire it a second time
        self.__enter__, self.__exit__ = lock.__enter__, lock.__exit__


class Occupied(Enum):
    """Why `OneAtATime.run` did not run the work."""

    BY_ANOTHER_THREAD = 1
    BY_THIS_CALLER = 2
    """The work that is under way has asked for itself, perhaps from the handler of a signal."""
    BY_ANOTHER_GREENLET = 3
    """It has the same thread, and nothing here can wait for it."""


class OneAtATime:
    """Runs one piece of work at a time, for all threads, and for all greenlets of gevent, patched or not."""

    __slots__ = ("__weakref__", "_holder", "_lock")

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Forget the work that is under way: in a forked child its thread does not exist. Raises nothing."""
        self._lock: Any = threading.RLock()
        self._holder: object = None  # the greenlet or thread that the lock was acquired in

    def run(self, work: Callable[[], T], *, wait: bool) -> T | Occupied:
        """Return the result of *work*, or why it did not run; with *wait*, wait until other threads are done.

        Raises what *work* raises.
        """
        lock, me = self._lock, caller()  # a forked child has another lock
        while lock._is_owned():  # noqa: SLF001 - each lock has it, since threading.Condition asks for it
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
            try:  # noqa: SIM105 - a call before release() would be a moment for a signal
                lock.release()
            except RuntimeError:  # it was not acquired
                pass
            if self._holder is me:
                self._holder = None


def caller() -> object:
    """Return what stands for the greenlet, or else the thread, that runs now. Raises nothing."""
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


with suppress(AttributeError):  # where there is no fork
    os.register_at_fork(after_in_child=_reset_all)
