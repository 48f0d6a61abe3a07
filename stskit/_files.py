"""Files: read from one descriptor, bounded; changed under a lock, by a temporary file and a rename.

Interrupted anywhere, the old file is there or the new one is, whole. What is here raises `OSError` as the system does;
who calls says what it means.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EFBIG, EINVAL, EIO, EMLINK, ETIMEDOUT
from functools import partial
from time import monotonic, sleep, time
from typing import Final

LOCK_PAUSE = 0.02  # seconds between two looks at a lock that another process holds

_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not hang
TEMPORARY: Final = r"\.stskit-[0-9a-f]{16}\.tmp"

# A forked child has the descriptor too, and would keep the lock when its holder is long gone.
_lock_descriptors: Final[set[int]] = set()


def _close_locks() -> None:
    while _lock_descriptors:
        os.close(_lock_descriptors.pop())


with suppress(AttributeError):  # where there is no fork
    os.register_at_fork(after_in_child=_close_locks)


def read(path: str, limit: int) -> bytes:
    """All of a regular file of at most *limit* bytes."""
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(EINVAL, "it is not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(EFBIG, f"it is larger than {limit:,} bytes")
    return data


def read_own(path: str, limit: int) -> bytes:
    """The same of a file that is this user's and nobody else's: no link to follow, no second name, no right for others.

    Raises `PermissionError` where it is anything else.
    """
    with open(path, "rb", opener=partial(_open_at_once, more=_NO_FOLLOW)) as file:
        found = os.fstat(file.fileno())
        if not is_private(found) or not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise PermissionError(EACCES, "it is not a regular file of this user alone")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(EFBIG, f"it is larger than {limit:,} bytes")
    return data


def is_private(found: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user, and nobody else may do anything with it."""
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


@contextmanager
def locked(path: str, timeout: float) -> Iterator[None]:
    """Hold the lock file *path* alone; after *timeout* seconds of waiting `TimeoutError`.

    A sibling of the data file is locked, never the data file: a rename would leave the lock on the old one. The
    kernel frees the lock of a process that dies. The lock file stays, for removing it would free a waiter too early.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _CLOSE_ON_EXEC | _NO_FOLLOW, 0o600)
    _lock_descriptors.add(descriptor)
    try:
        if os.fstat(descriptor).st_mode & 0o600 != 0o600:  # the umask took what the next one needs to open it
            os.fchmod(descriptor, 0o600)
        deadline = monotonic() + timeout
        while not _try_lock(descriptor):
            if monotonic() >= deadline:
                raise TimeoutError(ETIMEDOUT, f"another process holds the lock {path}")
            sleep(LOCK_PAUSE)
        yield
    finally:
        if descriptor in _lock_descriptors:  # else this is a child, where it has been closed
            _lock_descriptors.discard(descriptor)
            _unlock(descriptor)
            os.close(descriptor)


@contextmanager
def staged(path: str, data: bytes) -> Iterator[str]:
    """*data* in a temporary file beside *path*, with the mode and owner that *path* has, or 0600. It ends with the
    block.

    *path* is no symlink: who has one resolves it, or else the link is what would be replaced.
    """
    with _temporary(path, data, _replaceable(path)) as temporary:
        yield temporary


def replace(path: str, data: bytes) -> None:
    """Put *data* at *path*, for this user alone, whatever is there: a link is replaced, and not what it leads to."""
    with _temporary(path, data, None) as temporary:
        publish(temporary, path)


@contextmanager
def _temporary(path: str, data: bytes, old: os.stat_result | None) -> Iterator[str]:
    temporary = os.path.join(os.path.dirname(path), f".stskit-{os.urandom(8).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC | _NO_FOLLOW, 0o600)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            _write_all(file.fileno(), data)
            _take_over(file.fileno(), old)
            os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(OSError):  # most of all: it was published
            os.unlink(temporary)


def publish(temporary: str, path: str) -> None:
    """Put a staged file in the place of *path*, at once and durably."""
    os.rename(temporary, path)
    with suppress(OSError):  # the new file is in place: no error may say that it is not
        _sync_folder(os.path.dirname(path) or os.curdir)


def sweep(folder: str, names: str, seconds: float) -> int:
    """Remove the files in *folder* whose names match *names* and that nobody has written to for *seconds*; how many."""
    removed = 0
    for entry in os.scandir(folder):
        with suppress(OSError):  # somebody else was faster
            if re.fullmatch(names, entry.name) and time() - entry.stat(follow_symlinks=False).st_mtime >= seconds:
                os.unlink(entry.path)
                removed += 1
    return removed


def _replaceable(path: str) -> os.stat_result | None:
    try:
        old = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(old.st_mode):
        raise OSError(EINVAL, "it is not a regular file")
    if old.st_nlink > 1:
        raise OSError(EMLINK, "it has several hard links, which a replacement would tear apart")
    return old


def make_folder(path: str) -> None:
    """Make *path* and what is missing above it, each for the owner alone, whatever the umask."""
    if not path or os.path.isdir(path):
        return
    make_folder(os.path.dirname(path))
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)


def _open_at_once(path: str, flags: int, more: int = 0) -> int:
    return os.open(path, flags | more | _NO_WAIT)


def _try_lock(descriptor: int) -> bool:
    from fcntl import LOCK_EX, LOCK_NB, flock

    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    from fcntl import LOCK_UN, flock

    with suppress(OSError):  # it was never locked, on a system that cannot
        flock(descriptor, LOCK_UN)  # closing alone would leave it to a child that is just being forked


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest and (written := os.write(descriptor, rest)):
        rest = rest[written:]
    if os.fstat(descriptor).st_size != len(data):
        raise OSError(EIO, "the system wrote less than it said")


def _take_over(descriptor: int, old: os.stat_result | None) -> None:
    mine = os.fstat(descriptor)
    if old is not None and (old.st_uid, old.st_gid) != (mine.st_uid, mine.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, 0o600 if old is None else stat.S_IMODE(old.st_mode))


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | _CLOSE_ON_EXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
