"""The roles in the middle of chains: recipes that are equal share one `Cached`, as long as somebody uses it."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from stskit._forks import lock_across_forks

if TYPE_CHECKING:
    from stskit.refresh import Cached

__all__ = ["shared"]

_lock: Final = lock_across_forks()
_shared: Final[WeakValueDictionary[Hashable, Cached]] = WeakValueDictionary()


def shared(what: Hashable, make: Callable[[], Cached]) -> Cached:
    """What *make* gave for an equal *what*, under an environment that names the same credentials, or gives now."""
    key = what, _environment()
    try:
        hash(key)
    except TypeError:  # some part is somebody else's, and has no hash: then nobody can mean the same
        return make()
    with _lock:
        found = _shared.get(key)
        if found is None:
            found = _shared[key] = make()
        return found


def _environment() -> Hashable:
    """All that the environment says about AWS but secrets: recipes with the ambient credentials depend on it."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if _tells(name)))


def _tells(name: str) -> bool:
    return name == "HOME" or (name.startswith("AWS_") and "SECRET" not in name and not name.endswith("_TOKEN"))
