"""What a forked child must have anew: a lock may be held by a thread that the child does not have."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, suppress
from typing import Final, Protocol
from weakref import WeakSet

__all__ = ["lock_across_forks", "rearm_in_children"]


class Rearmed(Protocol):
    def rearm(self) -> None: ...


_things: Final[WeakSet[Rearmed]] = WeakSet()


def rearm_in_children(thing: Rearmed) -> None:
    """Have ``thing.rearm()`` called in every child that this process forks, for as long as *thing* is alive."""
    _things.add(thing)


def lock_across_forks() -> AbstractContextManager[object]:
    """A lock for short work, which a fork waits for, so that no child finds it held."""
    lock = threading.RLock()  # a signal handler may come back to it
    with suppress(AttributeError):  # where there is no fork
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


def _rearm() -> None:
    for thing in list(_things):
        thing.rearm()


with suppress(AttributeError):  # where there is no fork
    os.register_at_fork(after_in_child=_rearm)
