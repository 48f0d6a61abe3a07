"""A lock file that one holder of all processes has at a time. What is here raises `OSError` as the system does."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ETIMEDOUT
from time import monotonic, sleep
from typing import Final

__all__ = ["PAUSE", "locked"]

PAUSE = 0.02  # seconds between two looks at a lock that another process holds

# A forked child has the descriptor too, and would keep the lock when its holder is long gone.
_descriptors: Final[set[int]] = set()


def _close_all() -> None:  # pragma: no cover - runs in children
    while _descriptors:
        os.close(_descriptors.pop())


with suppress(AttributeError):  # where there is no fork
    os.register_at_fork(after_in_child=_close_all)


@contextmanager
def locked(path: str, timeout: float) -> Iterator[None]:
    """Hold the lock file *path* alone; after *timeout* seconds of waiting `TimeoutError`.

    A sibling of the data file is locked, never the data file: a rename would leave the lock on the old one. The
    kernel frees the lock of a process that dies. The lock file stays, for removing it would free a waiter too early.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    _descriptors.add(descriptor)
    try:
        _repair_permissions(descriptor, path)
        deadline = monotonic() + timeout
        while not _try_lock(descriptor):
            if monotonic() >= deadline:
                raise TimeoutError(ETIMEDOUT, f"another process holds the lock {path}")
            sleep(PAUSE)
        yield
    finally:
        if descriptor in _descriptors:  # pragma: no branch - else this is a child, where it has been closed
            _descriptors.discard(descriptor)
            _unlock(descriptor)
            os.close(descriptor)


def _repair_permissions(descriptor: int, path: str) -> None:
    """Restore mode 0600 and the owner of the folder, so that the next process can open the lock file."""
    found = os.fstat(descriptor)
    if found.st_mode & 0o600 != 0o600:
        os.fchmod(descriptor, 0o600)
    if found.st_uid == 0:
        folder = os.stat(os.path.dirname(path) or os.curdir)
        if folder.st_uid != 0:
            os.fchown(descriptor, folder.st_uid, folder.st_gid)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    with suppress(OSError):  # it was never locked, on a system that cannot
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing alone would leave it to a child that is just being forked
