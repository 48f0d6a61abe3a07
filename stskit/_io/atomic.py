"""Read files with a size limit, and replace them atomically with a temporary file and a rename.

After an interruption at any point, the old file or the new one is there, complete. These functions raise `OSError`, as
the system does. A path can be relative to *folder*, the descriptor of an open folder, so that another process cannot
replace the folder in between.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from errno import EACCES, EFBIG, EINVAL, EIO, EMLINK
from functools import partial
from time import time
from typing import Final

from attrs import field, frozen

_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not hang
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _CLOSE_ON_EXEC
_GROUP: Final = stat.S_IRGRP | stat.S_IWGRP
TEMPORARY: Final = r"\..+\.stskit-[0-9a-f]{16}\.tmp"


@frozen
class OpenedFile:
    """A file as it was when it was opened. `status` is None if it did not exist."""

    data: bytes = field(default=b"", repr=False)
    descriptor: int | None = None  # stays open, so that later writes of other programs are noticed
    status: os.stat_result | None = None

    def is_changed(self) -> bool:
        """Return whether another program has written to the file since it was opened."""
        return self.descriptor is not None and _fingerprint(os.fstat(self.descriptor)) != _fingerprint(self.status)


@frozen
class Staged:
    """New content in a temporary file."""

    path: str
    status: os.stat_result


def read(path: str, limit: int) -> bytes:
    """Return the content of a regular file of at most *limit* bytes."""
    with open(path, "rb", opener=_open_at_once) as file:
        return _content(file.fileno(), limit)


def read_own(path: str, limit: int) -> bytes:
    """Return the content of a file that belongs to this user alone: not a link, no second name, no rights for others.

    Raises `PermissionError` for any other file.
    """
    with open(path, "rb", opener=partial(_open_at_once, more=_NO_FOLLOW)) as file:
        found = os.fstat(file.fileno())
        if not is_private(found) or not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise PermissionError(EACCES, "it is not a regular file of this user alone")
        return _content(file.fileno(), limit)


def is_private(found: os.stat_result) -> bool:
    """Return whether a file or folder belongs to this user and other users have no rights."""
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


@contextmanager
def opened(path: str, limit: int, folder: int | None = None) -> Iterator[OpenedFile]:
    """Open the file at *path* for the block. Raises `OSError` if it must not be replaced."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _CLOSE_ON_EXEC | _NO_FOLLOW | _NO_WAIT, dir_fd=folder)
    except FileNotFoundError:
        descriptor = None
    if descriptor is None:
        yield OpenedFile()
        return
    try:
        status = os.fstat(descriptor)
        if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
            raise OSError(EMLINK, "it has several hard links, which a replacement would separate")
        if not status.st_mode & stat.S_IWUSR:
            raise PermissionError(EACCES, "it is read-only")
        yield OpenedFile(_content(descriptor, limit), descriptor, status)
    finally:
        with suppress(OSError):  # it was only read, so an error has no effect
            os.close(descriptor)


@contextmanager
def staged(
    path: str, pieces: Sequence[bytes | memoryview], old: OpenedFile, folder: int | None = None
) -> Iterator[Staged]:
    """Write a temporary file beside *path*, with mode, owner and attributes of *old*, or mode 0600.

    The file is removed after the block. A file that root creates belongs to the owner of the folder.
    """
    above, name = os.path.split(path)
    temporary = os.path.join(above, f".{name}.stskit-{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC | _NO_FOLLOW
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            _write_all(file.fileno(), pieces)
            _copy_metadata(old, file.fileno(), os.stat(above or os.curdir, dir_fd=folder))
            os.fsync(file.fileno())
            status = os.fstat(file.fileno())
        yield Staged(temporary, status)
    finally:
        with suppress(OSError):  # usually it was renamed
            os.unlink(temporary, dir_fd=folder)


def publish(new: Staged, path: str, folder: int | None = None) -> bool:
    """Rename the new file to *path*, and return whether it is certain to survive a power failure."""
    os.rename(new.path, path, src_dir_fd=folder, dst_dir_fd=folder)
    try:
        _sync_folder(os.path.dirname(path) or os.curdir, folder)
    except OSError:  # the new file is in place, so this is not an error
        return False
    return True


def replace(path: str, data: bytes, folder: int | None = None) -> None:
    """Write a file for this user alone. A link at *path* is replaced, not its target."""
    with staged(path, [data], OpenedFile(), folder) as new:
        publish(new, path, folder)


def status_of(path: str, folder: int | None = None) -> os.stat_result | None:
    """Return the status of *path*, or None if it does not exist."""
    try:
        return os.stat(path, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_unchanged(path: str, status: os.stat_result | None, folder: int | None = None) -> bool:
    """Return whether *path* is still the file of *status* with the same content. None stands for no file."""
    return _fingerprint(status_of(path, folder)) == _fingerprint(status)


def has_writer(status: os.stat_result) -> bool:
    """Return whether a program has the file open for writing. False if the system does not say.

    Linux says it about the processes of this user, and about all processes to root.
    """
    with suppress(OSError), os.scandir("/proc") as processes:
        return any(_writes(f"{process.path}/fd", status) for process in processes if process.name.isdigit())
    return False


def _writes(descriptors: str, status: os.stat_result) -> bool:
    with suppress(OSError), os.scandir(descriptors) as files:
        return any(_is_for_writing(file.path, status) for file in files)
    return False


def _is_for_writing(descriptor: str, status: os.stat_result) -> bool:
    with suppress(OSError):  # it was closed in the meantime
        return os.path.samestat(os.stat(descriptor), status) and bool(os.lstat(descriptor).st_mode & stat.S_IWUSR)
    return False


def temporaries_of(name: str) -> str:
    """Return the pattern for the names of temporary files of a file."""
    return TEMPORARY.replace(".+", re.escape(name))


def sweep(folder: str | int, dead: Mapping[str, float]) -> int:
    """Remove old files, and return their number.

    *dead* has patterns of names, and for each pattern the age in seconds after which a file is removed.
    """
    removed = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            ages = [seconds for names, seconds in dead.items() if re.fullmatch(names, entry.name)]
            with suppress(OSError):  # another process was faster
                if ages and time() - entry.stat(follow_symlinks=False).st_mtime >= min(ages):
                    os.unlink(entry.path, dir_fd=folder if isinstance(folder, int) else None)
                    removed += 1
    return removed


def make_folder(path: str) -> None:
    """Create a folder and its missing parents, each for the owner alone, whatever the umask.

    A folder that root creates belongs to the owner of its parent.
    """
    if not path or os.path.isdir(path):
        return
    above, name = os.path.split(path)
    make_folder(above)
    parent = os.open(above or os.curdir, _FOLDER)
    try:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            _set_permissions(name, parent)
    finally:
        os.close(parent)


def _set_permissions(name: str, parent: int) -> None:
    """Set mode and owner of the new folder through a descriptor, so that a link cannot redirect it."""
    try:
        new = os.open(name, _FOLDER | _NO_FOLLOW, dir_fd=parent)
    except PermissionError:  # the umask removed the rights of the owner; this does not happen to root
        os.chmod(name, 0o700, dir_fd=parent)
        return
    try:
        os.fchmod(new, 0o700)
        above = os.fstat(parent)
        if os.fstat(new).st_uid == 0 != above.st_uid and not os.listdir(new):  # a full folder is not new
            os.fchown(new, above.st_uid, above.st_gid)
    finally:
        os.close(new)


def _open_at_once(path: str, flags: int, more: int = 0) -> int:
    return os.open(path, flags | more | _NO_WAIT)


def _content(descriptor: int, limit: int) -> bytes:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(EINVAL, "it is not a regular file")
    with open(descriptor, "rb", closefd=False) as file:
        data = file.read(min(found.st_size, limit) + 1)  # a larger buffer costs time
        if len(data) > found.st_size:  # the file is growing
            data += file.read(max(limit + 1 - len(data), 0))
    if len(data) > limit:
        raise OSError(EFBIG, f"it is larger than {limit:,} bytes")
    return data


def _fingerprint(status: os.stat_result | None) -> object:
    """Return a value that differs after every change of a file. None stands for no file."""
    return status and (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _write_all(descriptor: int, pieces: Sequence[bytes | memoryview]) -> None:
    for piece in pieces:
        rest = memoryview(piece)
        while rest and (written := os.write(descriptor, rest)):
            rest = rest[written:]
    if os.fstat(descriptor).st_size != sum(map(len, pieces)):
        raise OSError(EIO, "the system wrote fewer bytes than it reported")


def _copy_metadata(old: OpenedFile, descriptor: int, folder: os.stat_result) -> None:
    mine = os.fstat(descriptor)
    if old.status is not None and (old.status.st_uid, old.status.st_gid) != (mine.st_uid, mine.st_gid):
        _copy_owner(old.status, descriptor)
    elif old.status is None and mine.st_uid == 0 != folder.st_uid:
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    if old.descriptor is not None:
        _copy_attributes(old.descriptor, descriptor)
    os.fchmod(descriptor, 0o600 if old.status is None else stat.S_IMODE(old.status.st_mode))


def _copy_owner(old: os.stat_result, descriptor: int) -> None:
    try:
        os.fchown(descriptor, old.st_uid, old.st_gid)
    except PermissionError:
        if old.st_mode & _GROUP != _GROUP:
            raise
        os.fchown(descriptor, -1, old.st_gid)  # a file that a group shares: its owner keeps access as a member


def _copy_attributes(old: int, new: int) -> None:
    """Copy access control lists and labels, if the system has them."""
    names: list[str] = []
    with suppress(OSError, AttributeError):
        names = os.listxattr(old)
    for name in names:
        with suppress(OSError):  # only the system can set some of them
            os.setxattr(new, name, os.getxattr(old, name))


def _sync_folder(path: str, folder: int | None) -> None:
    descriptor = os.open(path, os.O_RDONLY | _CLOSE_ON_EXEC, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
