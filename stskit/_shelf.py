"""How `Cached` uses a cache: look, enter alone, look again, fetch, put."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from attrs import field, frozen

from stskit._whose import identity_of
from stskit.errors import SourceError, SourceMissing
from stskit.protocols import Cache, CacheEntry

__all__ = ["Shelf"]


def _unique() -> str:
    return f"unnamed-{os.urandom(16).hex()}"


@frozen
class Shelf:
    """The place in a cache for the credentials of one source: under the key that is given, else by whose they are.

    Raises `SourceMissing` where the cache outlives the process and neither is known.
    """

    cache: Cache
    source: object
    given_key: str | None
    _own_key: str = field(init=False, factory=_unique)  # where no process could find it again: nobody else can mean it

    def __attrs_post_init__(self) -> None:
        name: str | None = self._own_key
        with suppress(SourceError):  # what cannot be read now is told when they are fetched
            name = self._name()
        self._demanded(name)

    def key(self) -> str:
        """Where they lie, by who is behind the source at this time."""
        return self._demanded(self._name())

    def _name(self) -> str | None:
        return self.given_key or identity_of(self.source)

    def _demanded(self, name: str | None) -> str:
        if name is None and getattr(self.cache, "lasting", True):
            raise SourceMissing(
                f"{type(self.source).__name__} does not say whose credentials it gives, and in a cache that outlives "
                "the process they could be taken for another user's; name them: Cached(source, cache, key=...), or "
                "give what is behind them an attribute identity"
            )
        return name or self._own_key

    def renew(self, fetch: Callable[[], CacheEntry], is_enough: Callable[[CacheEntry], bool], *, must: bool) -> None:
        """Find an entry that *is_enough*, or *fetch* one and keep it. Unless it *must*, leave that to another process
        which is at it already.
        """
        key = self.key()
        if self._has_enough(key, is_enough):
            return
        with self.cache.exclusive(key, wait=must) as alone:
            if (alone or must) and not self._has_enough(key, is_enough):
                entry = fetch()
                if entry.credentials.expiration is not None:  # long-term keys have their own place
                    self.cache.put(key, entry)

    def _has_enough(self, key: str, is_enough: Callable[[CacheEntry], bool]) -> bool:
        entry = self.cache.get(key)
        return entry is not None and is_enough(entry)
