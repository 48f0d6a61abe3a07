"""The cache folder of stskit, and the random bytes in it that cache keys are made with.

These functions raise `OSError`, as the system does.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from errno import EACCES, EINVAL, ENOENT
from functools import lru_cache
from typing import Final

from stskit._io import atomic

__all__ = ["default_folder", "is_there", "user_key"]

_KEY_BYTES: Final = 32
_KEY_FILE: Final = "cache-key"


def default_folder() -> str:
    """Return ``$XDG_CACHE_HOME/stskit``, else ``~/.cache/stskit``. It begins with ``~`` without a home folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return os.path.expanduser(os.path.join(base if os.path.isabs(base) else "~/.cache", "stskit"))


def is_there(folder: str) -> bool:
    """Return whether *folder* exists.

    Raises `OSError` if there is no home folder, or if another user owns the folder or can read it.
    """
    if not os.path.isabs(folder):
        raise OSError(ENOENT, "there is no home folder")
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode) or not atomic.is_private(found):
        raise PermissionError(EACCES, "it must be a folder of this user with mode 0700, and not a link")
    return True


def user_key() -> bytes:
    """Return 32 random bytes that all processes of this user share and other users cannot read.

    They are in a file of the default folder. If it cannot be read or created, this process uses bytes of its own.
    """
    return _user_key_in(default_folder())


@lru_cache(maxsize=8)  # a process without the file keeps its own bytes
def _user_key_in(folder: str) -> bytes:
    try:
        path = os.path.join(folder, _KEY_FILE)
        return _read(path) if is_there(folder) and os.path.lexists(path) else _create(folder, path)
    except OSError:
        return os.urandom(_KEY_BYTES)


def _create(folder: str, path: str) -> bytes:
    atomic.make_folder(folder)
    is_there(folder)
    with atomic.staged(path, [os.urandom(_KEY_BYTES)], atomic.OpenedFile()) as new, suppress(FileExistsError):
        os.link(new.path, path)  # a rename would replace the file of a faster process
    return _read(path)


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not atomic.is_private(found) or not stat.S_ISREG(found.st_mode):
            raise PermissionError(EACCES, "it is not a regular file of this user alone")
        data = os.read(descriptor, _KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) != _KEY_BYTES:
        raise OSError(EINVAL, "it does not have 32 bytes")
    return data
