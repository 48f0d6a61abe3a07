"""Share credentials between all processes of a user on a machine, in files."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from typing import Final

from attrs import field, frozen
from attrs.validators import and_, ge

from stskit._arguments import number, path_text
from stskit._io import atomic, cache_folder, transient_locks
from stskit.caches.entry import entry_from_bytes, entry_to_bytes, is_newer
from stskit.errors import CacheWarning, SinkError, init_without_frames, warn_caller
from stskit.protocols import CacheEntry

__all__ = ["FileCache"]

_MAX_BYTES: Final = 1_000_000  # much more than the longest session token
_ENTRY: Final = r"[0-9a-f]{64}\.json"
_LOCK: Final = r"[0-9a-f]{64}\.lock"
_SWEPT: Final = ".swept"  # an empty file; its time is that of the last sweep
_HOUR: Final = 3600
_MAX_AGE: Final = {  # patterns of file names, and the age in seconds after which no process needs such a file
    atomic.TEMPORARY: _HOUR,
    _ENTRY: 48 * _HOUR,  # longer than any session
}


def _path_text(folder: str | os.PathLike[str]) -> str:
    return path_text(folder, SinkError, remedy="Pass the path of a folder.", argument="folder")


def _folder(folder: str | os.PathLike[str] | None) -> str:
    path = cache_folder.default_folder() if folder is None else os.path.expanduser(_path_text(folder))
    return path if path.startswith("~") else os.path.abspath(path)  # without a home folder it is never used


@init_without_frames
@frozen
class FileCache:
    """A cache in files, one for each key. All processes of this user share one call, now and later.

    Files have mode 0600 and are replaced atomically. They contain keys in plain text, like the credentials file: a
    program that can read the folder as this user gets the credentials without an MFA code. Once an hour, `put` removes
    files of dead processes and of sessions that expired long ago.

    A folder that is a link, belongs to another user or is open to others is not used. A problem with files or locks is
    a `CacheWarning`, once for each problem, and every caller still gets credentials. The lock of a process that dies is
    free at once.

    Args:
        folder: Folder of the cache. It is created with mode 0700. Defaults to ``$XDG_CACHE_HOME/stskit``, then to
            ``~/.cache/stskit``.
        lock_timeout: Seconds to wait for another process that makes the call, before making it too. Defaults to 15.

    Raises:
        ValueError: If `lock_timeout` is negative.
        SinkError: If the folder is not a path.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import boto3_session
        >>> from stskit.caches import FileCache
        >>> session = boto3_session("arn:aws:iam::123456789012:role/Reports", cache=FileCache())
    """

    folder: str = field(default=None, converter=_folder)
    lock_timeout: float = field(default=15, kw_only=True, validator=and_(number, ge(0)))
    _warned: set[str] = field(init=False, factory=set, eq=False, repr=False)

    def get(self, key: str, /) -> CacheEntry | None:
        """Return an entry.

        Args:
            key: The cache key.

        Returns:
            The entry, or None if there is none that can be read and belongs to this user alone. Raises nothing.
        """
        data = self._read(key)
        return None if data is None else entry_from_bytes(key, data)

    def put(self, key: str, entry: CacheEntry, /) -> None:
        """Store an entry, unless the file is from a newer version of stskit. Raises nothing.

        Args:
            key: The cache key.
            entry: The entry.
        """
        data = self._read(key)
        if data is not None and is_newer(data):
            return
        with self._warn_once("cannot store credentials"):
            self._prepare()
            atomic.replace(self._path(key, "json"), entry_to_bytes(key, entry))
        with self._warn_once("cannot be swept"):
            if cache_folder.is_there(self.folder) and self._is_sweep_due():
                atomic.sweep(self.folder, _MAX_AGE)
                self._remove_locks(_HOUR)

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        """Return a block that only one caller of all processes is in, for each key.

        If the file system has no locks, all callers continue at the same time.

        Args:
            key: The cache key.
            wait: Whether to wait up to `lock_timeout` seconds for another caller.

        Yields:
            True if this caller has the lock, False if another one has it. Raises nothing.
        """
        with ExitStack() as stack:
            alone = True
            with self._warn_once("cannot be locked, so several processes may make the same call"):
                self._prepare()
                try:
                    stack.enter_context(transient_locks.hold(self._path(key, "lock"), self.lock_timeout if wait else 0))
                except TimeoutError:
                    alone = False
                    if wait:
                        raise
            yield alone

    def purge(self) -> int:
        """Remove all entries, and files that processes left when they died. Locks that are in use stay.

        Returns:
            The number of removed files. Raises nothing.
        """
        with self._warn_once("cannot be emptied"):
            if cache_folder.is_there(self.folder):
                return atomic.sweep(self.folder, {_ENTRY: 0, atomic.TEMPORARY: 0}) + self._remove_locks(0)
        return 0

    def _is_sweep_due(self) -> bool:
        """Return whether the last sweep is an hour ago, and record a new one."""
        path = os.path.join(self.folder, _SWEPT)
        with suppress(FileNotFoundError):
            if 0 <= time.time() - os.lstat(path).st_mtime < _HOUR:
                return False
        atomic.replace(path, b"")
        return True

    def _remove_locks(self, age: float) -> int:
        """Remove unused lock files that are older than *age* in seconds, and return their number."""
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
                with suppress(OSError):  # another kind of file is not an entry, and `put` replaces it
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
            message = f"The cache {self.folder} {what}: {why}. Correct this, or use another folder: FileCache(folder)."
            warn_caller(message, CacheWarning)
