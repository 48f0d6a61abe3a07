"""Locks between processes whose files do not outlive them. What is here raises `OSError` as the system does.

The lock is on a file that its holder creates and removes. It is safe because of two rules: only the holder of the lock
on the file that is at the path removes it, and a lock counts only if the locked file is at the path *after* it was
locked. Suppose that A holds a lock that counts. For B to get one, another file must be at the path, so the first must
have been removed; but only A may do that, and A does it when it has finished. A waiter that locks a removed file finds
out and starts again. The kernel frees the lock of a process that dies; its file is left for the next holder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ELOOP, ETIMEDOUT
from functools import partial
from time import monotonic, sleep
from typing import IO, Any, Final
from weakref import WeakSet

__all__ = ["PAUSE", "hold", "remove_unused"]

PAUSE = 0.02  # seconds between two attempts to get a lock that another process holds

# A forked child has these files too, and would keep the lock when its holder has died.
_held: Final[WeakSet[IO[Any]]] = WeakSet()


def _close_all() -> None:  # pragma: no cover - runs in children
    for file in list(_held):
        file.close()


with suppress(AttributeError):  # where there is no fork
    os.register_at_fork(after_in_child=_close_all)


@contextmanager
def hold(path: str, timeout: float) -> Iterator[None]:
    """Hold the lock at *path* alone during the block; after *timeout* seconds of waiting raise `TimeoutError`.

    Nothing may be at *path* but a lock file: it is removed.
    """
    deadline = monotonic() + timeout
    while (file := _lock(path, os.O_CREAT)) is None:
        if monotonic() >= deadline:
            raise TimeoutError(ETIMEDOUT, f"another process holds the lock {path}")
        sleep(PAUSE)
    try:
        yield
    finally:
        _release(path, file)


def remove_unused(path: str) -> bool:
    """Remove the lock file at *path*, left by a process that died, and return True; not if the lock is held."""
    try:
        file = _lock(path, 0)
    except OSError as error:
        if error.errno != ELOOP:
            raise
        os.unlink(path)  # a symbolic link, which no holder has made
        return True
    if file is None:
        return False
    _release(path, file)
    return True


def _lock(path: str, flags: int) -> IO[Any] | None:
    """Return the locked file, None if another holder has the lock.

    An exception of a signal handler closes the file with the last reference to it, and frees the lock with that.
    """
    while True:
        file = open(path, "r+b", buffering=0, opener=partial(_opened, flags=flags))  # noqa: SIM115
        _held.add(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if isinstance(error, BlockingIOError):
                return None
            raise
        if _is_at(path, file):
            return file
        file.close()


def _opened(path: str, mode: int, *, flags: int) -> int:
    descriptor = os.open(path, mode | flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if os.fstat(descriptor).st_mode & 0o600 != 0o600:  # the umask took it
        os.fchmod(descriptor, 0o600)
    return descriptor


def _is_at(path: str, file: IO[Any]) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.lstat(path), os.fstat(file.fileno()))
    return False


def _release(path: str, file: IO[Any]) -> None:
    if file.closed:  # this is a forked child, which holds nothing
        return
    with suppress(OSError):
        os.unlink(path)
    with suppress(OSError):  # closing alone would leave the lock to a child that is being forked
        fcntl.flock(file, fcntl.LOCK_UN)
    file.close()
