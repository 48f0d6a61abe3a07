"""Credentials for all recipes of one process."""

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
    """Keeps credentials in memory, for all that share this object: equal recipes make one call between them.

    `max_entries`: how many are kept, at least one; those that nobody has looked for longest make room. An entry takes
    about 3 KB. It pickles as an empty one, and a forked child has what was there at the fork.

    Raises `ValueError` where there is no room for a single entry.
    """

    __slots__ = ("__weakref__", "_entries", "_lock", "_max_entries", "_turns")
    persistent: ClassVar[bool] = False

    @without_frames
    def __init__(self, max_entries: int = 1000) -> None:
        if type(max_entries) is not int:
            wrong_type("max_entries", max_entries, "a whole number")
        if max_entries < 1:
            raise ValueError(f"max_entries is {max_entries}; there must be room for one")
        self._max_entries = max_entries
        self._entries: OrderedDict[str, CacheEntry] = OrderedDict()
        # A lock stays while somebody uses it. The references have no callback: an exception of the handler of a signal
        # that strikes there would be lost.
        self._turns: dict[str, ref[Any]] = {}
        self.reset_after_fork()
        reset_in_children(self)

    def __repr__(self) -> str:
        return f"MemoryCache(max_entries={self._max_entries})"

    def __reduce__(self) -> tuple[object, ...]:
        return MemoryCache, (self._max_entries,)

    @property
    def max_entries(self) -> int:
        """How many are kept. Raises nothing."""
        return self._max_entries

    def get(self, key: str, /) -> CacheEntry | None:
        """What was put under *key*, if it is still there. Raises nothing."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, key: str, entry: CacheEntry, /) -> None:
        """Keep *entry* under *key*. Raises nothing."""
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            if len(self._entries) > self.max_entries:
                self._entries.popitem(last=False)

    def exclusive(self, key: str, /, *, wait: bool) -> AbstractContextManager[bool]:
        """Return a block that one thread is in at a time, for each *key*.

        It gives False where somebody is in it and *wait* is False. With *wait*, the thread that is in it may enter it
        again. Raises nothing.
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
        """Forget all entries. Raises nothing."""
        with self._lock:
            self._entries.clear()

    def reset_after_fork(self) -> None:
        """Forget which threads are in a block: in a forked child they do not exist. Raises nothing."""
        self._lock = threading.RLock()  # a signal handler may acquire it a second time
        self._turns = {}


def _is_free(lock: Any) -> bool:
    """Whether nobody holds *lock*: for an instant this thread does.

    Where another thread is as fast, both find it free, and the second waits for the first.
    """
    if lock._is_owned():  # noqa: SLF001 - each lock has it, since threading.Condition asks for it
        return False
    try:
        return bool(lock.acquire(False))
    finally:
        try:  # noqa: SIM105 - a call before release() would be a moment for a signal
            lock.release()
        except RuntimeError:  # another thread has it
            pass
