"""How `Cached` uses a cache: look, enter alone, look again, fetch, put."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from attrs import field, frozen

from stskit.cache_key import identity_of
from stskit.errors import CacheWarning, SourceError, SourceMissing
from stskit.protocols import Cache, CacheEntry
from stskit.refresh.policy import Step

__all__ = ["Shelf"]


def _unique() -> str:
    return f"unnamed-{os.urandom(16).hex()}"


@frozen
class Shelf:
    """The place in a cache for the credentials of one source: under the key that is given, else by whose they are.

    Raises `SourceMissing` where the cache outlives the process and neither is known, and `TypeError` for what is no
    cache.
    """

    cache: Cache
    source: object
    given_key: str | None
    _own_key: str = field(init=False, factory=_unique)  # where no process could find it again: nobody else can mean it

    def __attrs_post_init__(self) -> None:
        if not hasattr(self.cache, "exclusive"):
            raise TypeError(f"cache is {type(self.cache).__name__}, which is none; give it as FileCache(folder)")
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
        if name is None and getattr(self.cache, "persistent", True):
            raise SourceMissing(
                f"{type(self.source).__name__} does not say whose credentials it gives, and in a cache that outlives "
                "the process they could be taken for another user's; name them: Cached(source, cache, key=...), or "
                "give what is behind them an attribute identity"
            )
        return name or self._own_key

    def renew(self, fetch: Callable[[], CacheEntry], weigh: Callable[[CacheEntry | None], Step]) -> None:
        """Find an entry that will do, or *fetch* one and keep it; *weigh* says what is to be done with what is found.

        Where there is something to go on with, the fetch is left to another process that is at it already.
        """
        key = self.key()
        step = weigh(self._get(key))
        if step == "use":
            return
        with ExitStack() as stack:
            alone = True
            with self._fallible():
                alone = stack.enter_context(self.cache.exclusive(key, wait=step == "wait"))
            if (alone or step == "wait") and weigh(self._get(key)) != "use":
                self._put(key, fetch())

    def _get(self, key: str) -> CacheEntry | None:
        with self._fallible():
            return self.cache.get(key)
        return None

    def _put(self, key: str, entry: CacheEntry) -> None:
        if entry.credentials.expiration is None:  # long-term keys have their own place
            return
        with suppress(SourceError):  # else nobody can tell any more whose these are
            if self.key() == key:  # else somebody else is behind the source by now
                with self._fallible():
                    self.cache.put(key, entry)

    @contextmanager
    def _fallible(self) -> Iterator[None]:
        """A cache is anybody's code, and nobody goes without credentials for it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            told = f"{type(self.cache).__name__} failed with {type(error).__name__}, and is not used; mend it"
            warnings.warn(told, CacheWarning, 2)
