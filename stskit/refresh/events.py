"""What a listener is told, kept until nobody waits any more."""

from __future__ import annotations

import warnings
from collections import deque
from contextlib import suppress
from typing import Literal, TypeAlias

from attrs import field, frozen

from stskit.errors import StskitError, StskitWarning
from stskit.protocols import RefreshEvent, RefreshListener
from stskit.refresh.policy import Held

__all__ = ["Outbox"]

Event: TypeAlias = Literal["refreshed", "refresh_failed", "served_stale"]


@frozen
class Outbox:
    """Events for one listener: put in where they happen, sent when the lock is free again."""

    listener: RefreshListener
    _events: deque[RefreshEvent] = field(init=False, factory=deque)

    def put(self, kind: Event, held: Held | None, error: Exception | None = None, *, from_cache: bool = False) -> None:
        """Note what happened. Of an error that is not ours the text may hold a secret, and is left out."""
        keys = held.credentials if held else None
        key_id, expiration = (keys.access_key_id, keys.expiration) if keys else (None, None)
        said = str(error) if isinstance(error, StskitError) else type(error).__name__ if error else None
        self._events.append(RefreshEvent(kind, key_id, expiration, said, from_cache))

    def send(self) -> None:
        """Tell the listener. What it raises is a warning: nobody goes without credentials for it."""
        with suppress(IndexError):  # until there is none left, whoever took it
            while True:
                event = self._events.popleft()
                try:
                    self.listener.notify(event)
                except Exception as error:  # noqa: BLE001 - a listener is anybody's code
                    told = f"the refresh listener failed at {event.kind!r} with {type(error).__name__}; mend it"
                    warnings.warn(told, StskitWarning, 4)
