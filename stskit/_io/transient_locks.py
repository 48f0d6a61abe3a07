"""Locks between processes whose lock files are removed after use. These functions raise `OSError`.

The holder of a lock creates its file and removes it. Two rules make this safe: only the holder of the lock on the file
at the path removes it, and a lock is valid only if the locked file is still at the path *after* it was locked. Suppose
that A has a valid lock. B can get a valid lock only if another file is at the path, so the first file must have been
removed. Only A may remove it, and A does so when it has finished. A waiter that locks a removed file notices this and
starts again. The kernel releases the lock of a process that dies, and the next holder uses its file.
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

# A forked child has these files too, and would keep the lock after its holder ended.
_held: Final[WeakSet[IO[Any]]] = WeakSet()


def _close_all() -> None:  # pragma: no cover - runs in children
    for file in list(_held):
        file.close()


with suppress(AttributeError):  # on systems without fork
    os.register_at_fork(after_in_child=_close_all)


@contextmanager
def hold(path: str, timeout: float) -> Iterator[None]:
    """Hold the lock at *path* for the block. Raises `TimeoutError` after *timeout* seconds.

    *path* must not be another file, because it is removed.
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
    """Remove the lock file of a process that died, and return True. Return False if the lock is in use."""
    try:
        file = _lock(path, 0)
    except OSError as error:
        if error.errno != ELOOP:
            raise
        os.unlink(path)  # a symbolic link, which no holder creates
        return True
    if file is None:
        return False
    _release(path, file)
    return True


def _lock(path: str, flags: int) -> IO[Any] | None:
    """Return the locked file, or None if another holder has the lock.

    After an exception of a signal handler, the last reference closes the file and releases the lock.
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
    if os.fstat(descriptor).st_mode & 0o600 != 0o600:  # the umask removed rights
        os.fchmod(descriptor, 0o600)
    return descriptor


def _is_at(path: str, file: IO[Any]) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.lstat(path), os.fstat(file.fileno()))
    return False


def _release(path: str, file: IO[Any]) -> None:
    if file.closed:  # this is a forked child, which does not have the lock
        return
    with suppress(OSError):
        os.unlink(path)
    with suppress(OSError):  # after a plain close, a child that is being forked would keep the lock
        fcntl.flock(file, fcntl.LOCK_UN)
    file.close()
