"""Share credentials between all recipes of a process, in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar
from weakref import ref

from stskit._arguments import wrong_type
from stskit._io.fork import reset_in_children
from stskit.errors import without_frames
from stskit.protocols import CacheEntry

__all__ = ["MemoryCache"]


class MemoryCache:
    """A cache in memory. Equal recipes that share this object share one call.

    A pickle is an empty cache of the same size. A forked child has the entries that existed at the fork.

    Args:
        max_entries: Largest number of entries, at least 1. The entry that was not used for the longest time is removed
            first. An entry uses about 3 KB. Defaults to 1000.

    Raises:
        ValueError: If `max_entries` is less than 1.
        TypeError: If it is not a whole number.

    Example:
        >>> from stskit import boto3_session
        >>> from stskit.caches import MemoryCache
        >>> cache = MemoryCache()
        >>> session = boto3_session("arn:aws:iam::123456789012:role/Reports", cache=cache)
    """

    __slots__ = ("__weakref__", "_entries", "_lock", "_max_entries", "_turns")
    persistent: ClassVar[bool] = False

    @without_frames
    def __init__(self, max_entries: int = 1000) -> None:
        if type(max_entries) is not int:
            wrong_type("max_entries", max_entries, "a whole number")
        if max_entries < 1:
            raise ValueError(f"max_entries is {max_entries}, but it must be at least 1")
        self._max_entries = max_entries
        self._entries: OrderedDict[str, CacheEntry] = OrderedDict()
        # A lock exists while a caller uses it. The references have no callback, because an exception of a signal
        # handler inside a callback would be lost.
        self._turns: dict[str, ref[Any]] = {}
        self.reset_after_fork()
        reset_in_children(self)

    def __repr__(self) -> str:
        return f"MemoryCache(max_entries={self._max_entries})"

    def __reduce__(self) -> tuple[object, ...]:
        return MemoryCache, (self._max_entries,)

    @property
    def max_entries(self) -> int:
        """The largest number of entries. Raises nothing."""
        return self._max_entries

    def get(self, key: str, /) -> CacheEntry | None:
        """Return an entry.

        Args:
            key: The cache key.

        Returns:
            The entry, or None. Raises nothing.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, key: str, entry: CacheEntry, /) -> None:
        """Store an entry. Raises nothing.

        Args:
            key: The cache key.
            entry: The entry.
        """
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            if len(self._entries) > self.max_entries:
                self._entries.popitem(last=False)

    def exclusive(self, key: str, /, *, wait: bool) -> AbstractContextManager[bool]:
        """Return a block that only one thread is in, for each key.

        Args:
            key: The cache key.
            wait: Whether to wait for another thread. The thread that is in the block can enter it again.

        Returns:
            A context manager. It yields False if another thread is in the block and *wait* is False. Raises nothing.
        """
        with self._lock:
            known = self._turns.get(key)
            turn: Any = None if known is None else known()
            if turn is None:
                turn = threading.RLock()
                if len(self._turns) > self._max_entries:
                    self._turns = {name: each for name, each in self._turns.items() if each() is not None}
                self._turns[key] = ref(turn)
        return turn if wait or _is_free(turn) else nullcontext(False)

    def clear(self) -> None:
        """Remove all entries. Raises nothing."""
        with self._lock:
            self._entries.clear()

    def reset_after_fork(self) -> None:
        """Re-create the locks in a forked child, where the threads that had them do not exist. Raises nothing."""
        self._lock = threading.RLock()  # a signal handler may acquire it again
        self._turns = {}


def _is_free(lock: Any) -> bool:
    """Return whether a lock is free, by acquiring it for a moment.

    If two threads do this at the same time, both may find it free, and the second waits for the first.
    """
    if lock._is_owned():  # noqa: SLF001 - threading.Condition relies on it too
        return False
    try:
        return bool(lock.acquire(False))
    finally:
        try:  # noqa: SIM105 - a signal could interrupt before release()
            lock.release()
        except RuntimeError:  # another thread has the lock
            pass
