"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stskit._arguments import check_timespan, check_type

__all__ = ["ManualClock"]


class ManualClock:
    """A `stskit.protocols.Clock` for tests: no test has to wait, and none depends on the speed of the machine.

    `start`: an aware datetime, the first time of the wall clock. Defaults to the present, in whole seconds, so that a
    proof that is valid by this clock is valid by the system's clock too, until the test moves this one.

    Raises `ValueError` where *start* has no time zone.
    """

    def __init__(self, start: datetime | None = None) -> None:
        check_type("start", start, (datetime, type(None)), "a datetime or None")
        start = datetime.now(UTC).replace(microsecond=0) if start is None else start
        self._now = _aware(start)
        self._seconds = 1_000.0

    def __repr__(self) -> str:
        return f"ManualClock({self._now.isoformat()})"

    def now(self) -> datetime:
        """The wall clock: aware, UTC. Raises nothing."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that only grow. Raises nothing."""
        return self._seconds

    def advance(self, span: timedelta) -> None:
        """Let time pass: both clocks move. Raises `ValueError` for a span below zero, since time does not run back."""
        check_timespan("span", span)
        if span < timedelta(0):
            raise ValueError(f"time does not run back by {-span}; to set the wall clock alone, use set()")
        self._now += span
        self._seconds += span.total_seconds()

    def set(self, moment: datetime) -> None:
        """Set the wall clock, forward or back, as NTP or a person does: the other one does not notice.

        Raises `ValueError` where *moment* has no time zone.
        """
        check_type("moment", moment, datetime, "a datetime with a time zone")
        self._now = _aware(moment)


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; add one, for example tzinfo=datetime.UTC")
    return moment.astimezone(UTC)
