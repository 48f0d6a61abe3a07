"""Locks between processes, on folders or on lock files that stay. These functions raise `OSError`."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import EACCES, ESTALE, ETIMEDOUT
from time import monotonic, sleep
from typing import Final

__all__ = ["PAUSE", "locked", "locked_folder"]

PAUSE = 0.02  # seconds between two attempts to get a lock
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW

# A forked child has the descriptors too, and would keep the locks after their holder ended.
_descriptors: Final[set[int]] = set()


def _close_all() -> None:  # pragma: no cover - runs in children
    while _descriptors:
        os.close(_descriptors.pop())


with suppress(AttributeError):  # on systems without fork
    os.register_at_fork(after_in_child=_close_all)


class _Lockable:
    """A descriptor that can be locked. The last reference releases its lock, even if `close` was interrupted."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self._process = descriptor, os.getpid()
        _descriptors.add(descriptor)

    def wait(self, name: str, timeout: float) -> None:
        """Lock it. Raises `TimeoutError` after *timeout* seconds, and `OSError` if the file system has no locks."""
        deadline = monotonic() + timeout
        while not _try_lock(self.descriptor):
            if monotonic() >= deadline:
                raise TimeoutError(ETIMEDOUT, f"another process holds the lock on {name}")
            sleep(PAUSE)

    def close(self) -> None:
        if os.getpid() == self._process and self.descriptor in _descriptors:  # a forked child has closed it already
            with suppress(OSError):  # the file system has no locks
                # after a plain close, a child that is being forked would keep the lock
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            _descriptors.discard(self.descriptor)
            with suppress(OSError):
                os.close(self.descriptor)

    __del__ = close


@contextmanager
def locked(path: str, timeout: float) -> Iterator[None]:
    """Lock a lock file for the block. Raises `TimeoutError` after *timeout* seconds.

    Lock a file beside the data file, never the data file, because a rename would leave the lock on the old file. The
    kernel releases the lock of a process that dies. The lock file stays, because a waiter may have it open.
    """
    with _closing(_open_lock_file(path)) as file:
        file.wait(path, timeout)
        yield


@contextmanager
def locked_folder(path: str, timeout: float, fallback: Callable[[], str]) -> Iterator[int]:
    """Lock a folder for the block, and yield a descriptor of it. Raises `TimeoutError` after *timeout* seconds.

    No file is left in the folder. If the file system cannot lock folders (NFS cannot), the lock file of *fallback* is
    locked instead. Raises `OSError` if *path* is a link, or if another folder was moved to its place.
    """
    with _closing(os.open(path, _FOLDER_FLAGS)) as folder, ExitStack() as stack:
        if not _has_lock(folder, path, timeout):
            stack.enter_context(locked(fallback(), timeout))
        if not os.path.samestat(os.fstat(folder.descriptor), os.stat(path)):
            raise OSError(ESTALE, f"{path} was replaced by another folder")
        yield folder.descriptor


@contextmanager
def _closing(descriptor: int) -> Iterator[_Lockable]:
    lockable = _Lockable(descriptor)
    try:
        yield lockable
    finally:
        try:
            lockable.close()
        finally:  # a signal handler may have interrupted the first call
            lockable.close()


def _has_lock(folder: _Lockable, path: str, timeout: float) -> bool:
    """Lock a folder, and return whether its file system can do that."""
    try:
        folder.wait(path, timeout)
    except TimeoutError:
        raise
    except OSError:
        return False
    return True


def _open_lock_file(path: str) -> int:
    """Open a lock file, or create it with mode 0600 for the owner of its folder.

    Raises `PermissionError` if it is not a regular file with one name, because it could be another file.
    """
    above, name = os.path.split(path)
    folder = os.open(above or os.curdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open_in(folder, name)
    finally:
        os.close(folder)


def _open_in(folder: int, name: str) -> int:
    try:
        descriptor, is_new = os.open(name, _FILE_FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder), True
    except FileExistsError:
        descriptor, is_new = os.open(name, _FILE_FLAGS, dir_fd=folder), False
    try:
        _set_permissions(descriptor, os.fstat(folder)) if is_new else _check_regular(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _set_permissions(descriptor: int, folder: os.stat_result) -> None:
    os.fchmod(descriptor, 0o600)  # the umask may have removed rights
    if os.fstat(descriptor).st_uid == 0 != folder.st_uid:  # otherwise its owner could not open it later
        os.fchown(descriptor, folder.st_uid, folder.st_gid)


def _check_regular(descriptor: int) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise PermissionError(EACCES, "the lock is not a regular file with one name")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
