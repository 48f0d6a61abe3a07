"""Credentials for all processes of one user on one machine."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from typing import Final

from attrs import field, frozen
from attrs.validators import and_, ge

from stskit._arguments import number, path_text
from stskit._io import atomic, cache_folder, transient_locks
from stskit.caches.entry import entry_from_bytes, entry_to_bytes, is_newer
from stskit.errors import CacheWarning, SinkError, init_without_frames
from stskit.protocols import CacheEntry

__all__ = ["FileCache"]

_MAX_BYTES: Final = 1_000_000  # far over the longest session token
_ENTRY: Final = r"[0-9a-f]{64}\.json"
_LOCK: Final = r"[0-9a-f]{64}\.lock"
_SWEPT: Final = ".swept"  # an empty file; its time says when the folder was swept last
_HOUR: Final = 3600
_MAX_AGE: Final = {  # patterns of names, and the age in seconds from which no process needs such a file
    atomic.TEMPORARY: _HOUR,
    _ENTRY: 48 * _HOUR,  # longer than any session
}


def _given(folder: str | os.PathLike[str]) -> str:
    return path_text(folder, SinkError, remedy="write the path of a folder", argument="folder")


def _folder(folder: str | os.PathLike[str] | None) -> str:
    path = cache_folder.default_folder() if folder is None else os.path.expanduser(_given(folder))
    return path if path.startswith("~") else os.path.abspath(path)  # the first, where there is no home, is never used


@init_without_frames
@frozen
class FileCache:
    """Keeps credentials in files, one for each key: all processes of this user share one call, now and later.

    `folder`: None is ``$XDG_CACHE_HOME/stskit``, else ``~/.cache/stskit``; made with mode 0700 where it is missing.
    `lock_timeout`: for how many seconds to wait for another process that makes the call, before making one as well.

    Files have mode 0600 and are replaced whole. The keys in them are in clear, as in the credentials file: anyone who
    can read the folder as this user gets the credentials without an MFA code. Once an hour, a `put` removes what is
    left of dead processes and of sessions that have expired long ago. A folder
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
            if cache_folder.is_there(self.folder) and self._is_sweep_due():
                atomic.sweep(self.folder, _MAX_AGE)
                self._remove_locks(_HOUR)

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
                    stack.enter_context(transient_locks.hold(self._path(key, "lock"), self.lock_timeout if wait else 0))
                except TimeoutError:
                    alone = False
                    if wait:
                        raise
            yield alone

    def purge(self) -> int:
        """Remove all entries and what processes that died have left, and nothing else; return how many files that were.

        Locks that are held stay. Raises nothing.
        """
        with self._warn_once("cannot be emptied"):
            if cache_folder.is_there(self.folder):
                return atomic.sweep(self.folder, {_ENTRY: 0, atomic.TEMPORARY: 0}) + self._remove_locks(0)
        return 0

    def _is_sweep_due(self) -> bool:
        """Return whether nobody has swept the folder for an hour, and note that it is swept now."""
        path = os.path.join(self.folder, _SWEPT)
        with suppress(FileNotFoundError):
            if 0 <= time.time() - os.lstat(path).st_mtime < _HOUR:
                return False
        atomic.replace(path, b"")
        return True

    def _remove_locks(self, age: float) -> int:
        """Remove the lock files that nobody holds and that are older than *age* in seconds; return their number."""
        removed = 0
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if re.fullmatch(_LOCK, entry.name):
                    with suppress(OSError):  # another process was faster
                        old = time.time() - entry.stat(follow_symlinks=False).st_mtime >= age
                        removed += old and transient_locks.remove_unused(entry.path)
        return removed

    def _read(self, key: str) -> bytes | None:
        with self._warn_once("cannot be read"):
            if cache_folder.is_there(self.folder):
                with suppress(OSError):  # a file that is not what it should be is no entry, and will be replaced
                    return atomic.read_own(self._path(key, "json"), _MAX_BYTES)
        return None

    def _path(self, key: str, kind: str) -> str:
        return os.path.join(self.folder, f"{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}.{kind}")

    def _prepare(self) -> None:
        if not cache_folder.is_there(self.folder):
            atomic.make_folder(self.folder)
            cache_folder.is_there(self.folder)

    @contextmanager
    def _warn_once(self, what: str) -> Iterator[None]:
        try:
            yield
            return
        except OSError as error:
            why = str(error.strerror)
        if why not in self._warned:
            self._warned.add(why)
            message = f"the cache {self.folder} {what}: {why}. Correct that, or name another folder: FileCache(folder)"
            warnings.warn(message, CacheWarning, 4)
