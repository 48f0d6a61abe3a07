"""What a listener, the log and warnings say about refreshes, kept until the lock is free again."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from threading import get_ident
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from stskit.errors import StskitWarning
from stskit.protocols import RefreshEvent, RefreshListener

if TYPE_CHECKING:
    from logging import Logger

__all__ = ["EventQueue", "Notice", "describe_left"]


_INFO, _WARNING = 20, 30  # of logging, which is imported on first use


@frozen
class Notice:
    """One thing that happened. The log gets `log`, and `warning` is shown to the caller, where they are not empty."""

    event: RefreshEvent
    log: str = ""
    warning: str = ""
    is_own: bool = True
    """False for what happened in an inner queue: the listener hears of its own `Cached` only."""


@frozen
class EventQueue:
    """Notices: added where they happen, sent later.

    `outer`: the queue that sends them instead, because its lock is still held when this one's is free.
    """

    listener: RefreshListener | None
    outer: EventQueue | None = None
    _notices: deque[Notice] = field(init=False, factory=deque)
    _listening: set[int] = field(init=False, factory=set)
    """The threads in which the listener runs now."""

    def add(self, notice: Notice) -> None:
        """Keep *notice*.

        A listener may read the credentials. It does not hear of the expired ones that it is served itself: that read
        would be followed by another one, without an end.
        """
        if self.outer is not None:
            self.outer.add(evolve(notice, is_own=False))
        elif notice.event.kind != "served_stale" or get_ident() not in self._listening:
            self._notices.append(notice)

    def send(self) -> None:
        """Send all notices. An exception of the listener becomes a warning, and costs no caller its credentials."""
        with suppress(IndexError):  # until the queue is empty; another thread may take notices as well
            while self.outer is None:
                self._send(self._notices.popleft())

    def _send(self, notice: Notice) -> None:
        if notice.log:
            level = _INFO if notice.event.kind == "refreshed" else _WARNING
            is_loaded = "logging" in sys.modules  # else nobody can have asked for INFO
            # getEffectiveLevel() takes no lock, as isEnabledFor() does
            if (is_loaded or level > _INFO) and _logger().getEffectiveLevel() <= level:
                _logger().log(level, "%s", notice.log, extra={"refresh": notice.event.kind})
        if self.listener is not None and notice.is_own:
            thread, is_nested = get_ident(), get_ident() in self._listening
            try:
                self._listening.add(thread)
                self.listener.notify(notice.event)
            except Exception as error:  # noqa: BLE001 - a listener is a third party's code
                text = f"The refresh listener raised {type(error).__name__} at {notice.event.kind!r}; correct notify()."
                warnings.warn(text, StskitWarning, 5)
            finally:
                if not is_nested:
                    self._listening.discard(thread)
        if notice.warning:
            warnings.warn(notice.warning, StskitWarning, 5)


@lru_cache(maxsize=1)
def _logger() -> Logger:
    """Return the logger. It is looked up once, for the handler of a signal can leave the lock of the look-up taken.

    As libraries do, it has a handler that does nothing: without it, Python prints warnings of a program that has not
    set up logging.
    """
    from logging import NullHandler, getLogger

    logger = getLogger("stskit")
    logger.addHandler(NullHandler())
    return logger


def describe_left(left: timedelta | None) -> str:
    """Return how long credentials are still valid, in words; None stands for no credentials."""
    if left is None:
        return "there are no credentials"
    if left == timedelta.max:
        return "the credentials do not expire"
    seconds = timedelta(seconds=round(left.total_seconds()))
    return f"{seconds} left" if left > timedelta(0) else "the credentials have expired"
