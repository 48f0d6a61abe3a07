"""Credentials for all processes of one user on one machine."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import EACCES, ENOENT
from hashlib import sha256
from typing import Final

from attrs import field, frozen
from attrs.validators import and_, ge

from stskit._arguments import number, path_text
from stskit._io import atomic, locks
from stskit.caches.entry import entry_from_bytes, entry_to_bytes, is_newer
from stskit.errors import CacheWarning, SinkError, init_without_frames
from stskit.protocols import CacheEntry

__all__ = ["FileCache"]

_MAX_BYTES: Final = 1_000_000  # far over the longest session token
_OURS: Final = r"[0-9a-f]{64}\.(json|lock)|" + atomic.TEMPORARY
_MAX_AGE: Final = {  # patterns of names, and the age in seconds from which no process needs such a file
    atomic.TEMPORARY: 3600,
    r"[0-9a-f]{64}\.json": 48 * 3600,  # longer than any session
}


def _given(folder: str | os.PathLike[str]) -> str:
    return path_text(folder, SinkError, remedy="write the path of a folder", argument="folder")


def _folder(folder: str | os.PathLike[str] | None) -> str:
    base = os.environ.get("XDG_CACHE_HOME", "")
    usual = os.path.join(base if os.path.isabs(base) else "~/.cache", "stskit")
    path = os.path.expanduser(usual if folder is None else _given(folder))
    return path if path.startswith("~") else os.path.abspath(path)  # the first, where there is no home, is never used


@init_without_frames
@frozen
class FileCache:
    """Keeps credentials in files, one for each key: all processes of this user share one call, now and later.

    `folder`: None is ``$XDG_CACHE_HOME/stskit``, else ``~/.cache/stskit``; made with mode 0700 where it is missing.
    `lock_timeout`: for how many seconds to wait for another process that makes the call, before making one as well.

    Files have mode 0600 and are replaced whole. The keys in them are in clear, as in the credentials file. A folder
    that is a link, is somebody else's or lets others in is not used, and a file that is anything but this user's own is
    not read. Whatever goes wrong with files or locks is a `CacheWarning`, said once, and no caller goes without
    credentials for it. A holder of a lock that dies makes room at once.

    Raises `ValueError` for a `lock_timeout` below zero.
    """

    folder: str = field(default=None, converter=_folder)
    lock_timeout: float = field(default=15, kw_only=True, validator=and_(number, ge(0)))
    _warned: set[str] = field(init=False, factory=set, eq=False, repr=False)

    def get(self, key: str, /) -> CacheEntry | None:
        """The entry for *key*; None where there is none that can be read and trusted. Raises nothing."""
        data = self._read(key)
        return None if data is None else entry_from_bytes(key, data)

    def put(self, key: str, entry: CacheEntry, /) -> None:
        """Write *entry* for *key*, unless there is one of a newer version of stskit. Raises nothing."""
        data = self._read(key)
        if data is not None and is_newer(data):
            return
        with self._warn_once("cannot keep credentials"):
            self._prepare()
            atomic.replace(self._path(key, "json"), entry_to_bytes(key, entry))
        with self._warn_once("cannot be swept"):
            if self._exists():
                atomic.sweep(self.folder, _MAX_AGE)

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        """A block that one caller of all processes is in at a time, for each *key*; False where another one is in it.

        With *wait* it waits for up to `lock_timeout` seconds. Where nothing can be locked, all go on at the same time.
        Raises nothing.
        """
        with ExitStack() as stack:
            alone = True
            with self._warn_once("cannot lock, and so several processes may make the same call"):
                self._prepare()
                try:
                    stack.enter_context(locks.locked(self._path(key, "lock"), self.lock_timeout if wait else 0))
                except TimeoutError:
                    alone = False
                    if wait:
                        raise
            yield alone

    def purge(self) -> int:
        """Remove all that stskit has put there, and nothing else; gives how many files that were. Raises nothing."""
        with self._warn_once("cannot be emptied"):
            if self._exists():
                return atomic.sweep(self.folder, {_OURS: 0})
        return 0

    def _read(self, key: str) -> bytes | None:
        with self._warn_once("cannot be read"):
            if self._exists():
                with suppress(OSError):  # a file that is not what it should be is no entry, and will be replaced
                    return atomic.read_own(self._path(key, "json"), _MAX_BYTES)
        return None

    def _path(self, key: str, kind: str) -> str:
        return os.path.join(self.folder, f"{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}.{kind}")

    def _prepare(self) -> None:
        if not self._exists():
            atomic.make_folder(self.folder)
            self._exists()

    def _exists(self) -> bool:
        """Whether the folder exists. Raises `OSError` where it could not, and where it is not this user's alone."""
        if not os.path.isabs(self.folder):
            raise OSError(ENOENT, "there is no home folder")
        try:
            found = os.lstat(self.folder)
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(found.st_mode) or not atomic.is_private(found):
            raise PermissionError(EACCES, "it must be a folder, no link, of this user, with mode 0700")
        return True

    @contextmanager
    def _warn_once(self, what: str) -> Iterator[None]:
        try:
            yield
            return
        except OSError as error:
            why = str(error.strerror)
        if why not in self._warned:
            self._warned.add(why)
            message = f"the cache {self.folder} {what}: {why}. Mend that, or name another folder: FileCache(folder)"
            warnings.warn(message, CacheWarning, 4)
