"""Events for a listener, kept until the lock is free again."""

from __future__ import annotations

import warnings
from collections import deque
from contextlib import suppress

from attrs import field, frozen

from stskit.credentials import Credentials
from stskit.errors import StskitError, StskitWarning
from stskit.protocols import RefreshEvent, RefreshEventKind, RefreshListener

__all__ = ["EventQueue"]


@frozen
class EventQueue:
    """Events for one listener: added where they happen, sent later. Without a listener nothing is kept."""

    listener: RefreshListener | None
    _events: deque[RefreshEvent] = field(init=False, factory=deque)

    def add(
        self,
        kind: RefreshEventKind,
        credentials: Credentials | None,
        error: Exception | None = None,
        *,
        from_cache: bool = False,
    ) -> None:
        """Keep an event. The text of an error that is not stskit's may hold a secret, and is left out."""
        if self.listener is None:
            return
        key_id, expiration = (credentials.access_key_id, credentials.expiration) if credentials else (None, None)
        text = str(error) if isinstance(error, StskitError) else type(error).__name__ if error else None
        self._events.append(RefreshEvent(kind, key_id, expiration, text, from_cache))

    def send(self) -> None:
        """Send all events. An exception of the listener becomes a warning, and costs no caller its credentials."""
        if self.listener is None:
            return
        with suppress(IndexError):  # until the queue is empty; another thread may take events as well
            while True:
                event = self._events.popleft()
                try:
                    self.listener.notify(event)
                except Exception as error:  # noqa: BLE001 - a listener is a third party's code
                    text = f"the refresh listener failed at {event.kind!r} with {type(error).__name__}; mend it"
                    warnings.warn(text, StskitWarning, 4)
