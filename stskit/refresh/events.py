"""Send refresh events to the listener, the log and warnings, after the lock is free."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from threading import get_ident
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from stskit.errors import StskitWarning, warn_caller
from stskit.protocols import RefreshEvent, RefreshListener

if TYPE_CHECKING:
    from logging import Logger

__all__ = ["EventQueue", "Notice", "describe_left"]


_INFO, _WARNING = 20, 30  # levels of logging, which is imported when it is needed


@frozen
class Notice:
    """A refresh event with its texts.

    Args:
        event: The event for the listener.
        log: Text of the log record. No record if it is empty.
        warning: Text of the warning. No warning if it is empty.
        is_own: False for an event of an inner queue. A listener gets the events of its own `Cached` only.
    """

    event: RefreshEvent
    log: str = ""
    warning: str = ""
    is_own: bool = True


@frozen
class EventQueue:
    """A queue of notices, which are added while a lock is held and sent later.

    Args:
        listener: The listener, or None.
        outer: The queue that sends the notices instead, because its lock is still held when this one's is free.
    """

    listener: RefreshListener | None
    outer: EventQueue | None = None
    _notices: deque[Notice] = field(init=False, factory=deque)
    _listening: set[int] = field(init=False, factory=set)  # threads in which the listener is running

    def add(self, notice: Notice) -> None:
        """Add a notice.

        A listener may read the credentials. It gets no event about expired credentials that it read itself, because
        that would cause another read, without end.
        """
        if self.outer is not None:
            self.outer.add(evolve(notice, is_own=False))
        elif notice.event.kind != "served_stale" or get_ident() not in self._listening:
            self._notices.append(notice)

    def send(self) -> None:
        """Send all notices. An exception of the listener becomes a warning."""
        with suppress(IndexError):  # the queue is empty; another thread may send notices as well
            while self.outer is None:
                self._send(self._notices.popleft())

    def _send(self, notice: Notice) -> None:
        if notice.log:
            level = _INFO if notice.event.kind == "refreshed" else _WARNING
            is_loaded = "logging" in sys.modules  # if it is not loaded, the program cannot have asked for INFO
            # isEnabledFor() acquires a lock, and getEffectiveLevel() does not
            if (is_loaded or level > _INFO) and _logger().getEffectiveLevel() <= level:
                _logger().log(level, "%s", notice.log, extra={"refresh": notice.event.kind})
        if self.listener is not None and notice.is_own:
            thread, is_nested = get_ident(), get_ident() in self._listening
            try:
                self._listening.add(thread)
                self.listener.notify(notice.event)
            except Exception as error:  # noqa: BLE001 - the listener belongs to the user
                text = f"The listener raised {type(error).__name__} for {notice.event.kind!r}. Correct its notify()."
                warn_caller(text, StskitWarning)
            finally:
                if not is_nested:
                    self._listening.discard(thread)
        if notice.warning:
            warn_caller(notice.warning, StskitWarning)


@lru_cache(maxsize=1)
def _logger() -> Logger:
    """Return the logger. It is looked up once, because a signal handler could leave the lock of the lookup locked.

    Like other libraries, it has a handler that does nothing. Without one, Python prints the warnings of a program that
    has not configured logging.
    """
    from logging import NullHandler, getLogger

    logger = getLogger("stskit")
    logger.addHandler(NullHandler())
    return logger


def describe_left(left: timedelta | None) -> str:
    """Return in words how long credentials are still valid. None stands for no credentials."""
    if left is None:
        return "there are no credentials"
    if left == timedelta.max:
        return "the credentials do not expire"
    seconds = timedelta(seconds=round(left.total_seconds()))
    return f"{seconds} left" if left > timedelta(0) else "the credentials have expired"
