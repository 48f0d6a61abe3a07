"""Re-create locks in a forked child, where the threads that held them do not exist."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, suppress
from typing import Final, Protocol
from weakref import WeakSet

__all__ = ["lock_across_forks", "reset_in_children"]


class Resettable(Protocol):
    def reset_after_fork(self) -> None: ...


_objects: Final[WeakSet[Resettable]] = WeakSet()


def reset_in_children(resettable: Resettable) -> None:
    """Call ``resettable.reset_after_fork()`` in every child that this process forks, for as long as it is alive."""
    _objects.add(resettable)


def lock_across_forks() -> AbstractContextManager[object]:
    """Return a lock for short work. A fork waits for it, so that no child finds it held."""
    lock = threading.RLock()  # a signal handler may acquire it a second time
    with suppress(AttributeError):  # where there is no fork
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


def _reset_all() -> None:  # pragma: no cover - runs in children
    for resettable in list(_objects):
        resettable.reset_after_fork()


with suppress(AttributeError):  # where there is no fork
    os.register_at_fork(after_in_child=_reset_all)
