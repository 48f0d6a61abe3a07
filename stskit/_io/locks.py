"""Locks between processes. What is here raises `OSError` as the system does."""

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

PAUSE = 0.02  # seconds between two looks at a lock that another process holds
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW

# A forked child has the descriptor too, and would keep the lock when its holder is long gone.
_descriptors: Final[set[int]] = set()


def _close_all() -> None:  # pragma: no cover - runs in children
    while _descriptors:
        os.close(_descriptors.pop())


with suppress(AttributeError):  # where there is no fork
    os.register_at_fork(after_in_child=_close_all)


class _Lockable:
    """A descriptor that can be locked. Its lock ends when nothing refers to it, even if `close` was interrupted."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self._process = descriptor, os.getpid()
        _descriptors.add(descriptor)

    def wait(self, name: str, timeout: float) -> None:
        """Lock it. Raises `TimeoutError` after *timeout* seconds, and `OSError` where the file system has no locks."""
        deadline = monotonic() + timeout
        while not _try_lock(self.descriptor):
            if monotonic() >= deadline:
                raise TimeoutError(ETIMEDOUT, f"another process holds the lock on {name}")
            sleep(PAUSE)

    def close(self) -> None:
        if os.getpid() == self._process and self.descriptor in _descriptors:  # a child has closed it already
            with suppress(OSError):  # it was never locked, on a system that cannot
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)  # closing alone would leave it to a child being forked
            _descriptors.discard(self.descriptor)
            with suppress(OSError):
                os.close(self.descriptor)

    __del__ = close


@contextmanager
def locked(path: str, timeout: float) -> Iterator[None]:
    """Hold the lock file *path* alone; after *timeout* seconds of waiting `TimeoutError`.

    Lock a file beside the data file, never the data file: a rename would leave the lock on the old one. The kernel
    frees the lock of a process that dies. The lock file stays, because removing it would free a waiter too early.
    """
    with _closing(_open_lock_file(path)) as file:
        file.wait(path, timeout)
        yield


@contextmanager
def locked_folder(path: str, timeout: float, fallback: Callable[[], str]) -> Iterator[int]:
    """Hold the folder *path* alone, and return a descriptor of it; after *timeout* seconds of waiting `TimeoutError`.

    Nothing is left in the folder. Where the file system cannot lock a folder (NFS is one), the lock file that
    *fallback* names is locked. Raises `OSError` if *path* is a link, or if another folder took its place meanwhile.
    """
    with _closing(os.open(path, _FOLDER_FLAGS)) as folder, ExitStack() as stack:
        if not _has_lock(folder, path, timeout):
            stack.enter_context(locked(fallback(), timeout))
        if not os.path.samestat(os.fstat(folder.descriptor), os.stat(path)):
            raise OSError(ESTALE, f"another folder took the place of {path} meanwhile")
        yield folder.descriptor


@contextmanager
def _closing(descriptor: int) -> Iterator[_Lockable]:
    lockable = _Lockable(descriptor)
    try:
        yield lockable
    finally:
        try:
            lockable.close()
        finally:  # a signal handler may have raised an exception in the first
            lockable.close()


def _has_lock(folder: _Lockable, path: str, timeout: float) -> bool:
    """Lock *folder*; return whether its file system can do that."""
    try:
        folder.wait(path, timeout)
    except TimeoutError:
        raise
    except OSError:
        return False
    return True


def _open_lock_file(path: str) -> int:
    """Open the lock file, and make it where it is missing: with mode 0600, for the owner of its folder.

    Raises `PermissionError` where it is not a regular file with one name, so that nobody can lend it another file.
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
    os.fchmod(descriptor, 0o600)  # whatever the umask took
    if os.fstat(descriptor).st_uid == 0 != folder.st_uid:  # else its owner could not open it the next time
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
