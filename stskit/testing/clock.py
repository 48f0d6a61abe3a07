"""A clock that does not run until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stskit._arguments import check_timespan, check_type

__all__ = ["ManualClock"]


class ManualClock:
    """A `stskit.protocols.Clock` for tests, so that no test waits or depends on the speed of the machine.

    Args:
        start: First time of the wall clock, with a time zone. Defaults to the present in whole seconds.

    Raises:
        ValueError: If *start* has no time zone.
        TypeError: If *start* is not a datetime.

    Example:
        >>> from datetime import timedelta
        >>> from stskit import AssumedRole, Cached
        >>> from stskit.sources import Static
        >>> from stskit.testing import FakeSTS, ManualClock
        >>> clock = ManualClock()
        >>> sts = FakeSTS(clock=clock)
        >>> recipe = AssumedRole("arn:aws:iam::123456789012:role/Deploy", source=Static(sts.user()), sts=sts)
        >>> cached = Cached(recipe, clock=clock)
        >>> first = cached.fetch()
        >>> clock.advance(timedelta(minutes=59))
        >>> cached.fetch() is first
        False
    """

    def __init__(self, start: datetime | None = None) -> None:
        check_type("start", start, (datetime, type(None)), "a datetime or None")
        start = datetime.now(UTC).replace(microsecond=0) if start is None else start
        self._now = _aware(start)
        self._seconds = 1_000.0

    def __repr__(self) -> str:
        return f"ManualClock({self._now.isoformat()})"

    def now(self) -> datetime:
        """Return the wall clock.

        Returns:
            A datetime in UTC. Raises nothing.
        """
        return self._now

    def monotonic(self) -> float:
        """Return the monotonic clock.

        Returns:
            Seconds. Raises nothing.
        """
        return self._seconds

    def advance(self, span: timedelta) -> None:
        """Let time pass: both clocks move.

        Args:
            span: How much time passes.

        Raises:
            ValueError: If *span* is negative.
            TypeError: If it is not a timedelta.
        """
        check_timespan("span", span)
        if span < timedelta(0):
            raise ValueError(f"span is negative: {span}. To set only the wall clock, use set()")
        self._now += span
        self._seconds += span.total_seconds()

    def set(self, moment: datetime) -> None:
        """Set the wall clock, as NTP or a person does. The monotonic clock does not change.

        Args:
            moment: New time, with a time zone.

        Raises:
            ValueError: If *moment* has no time zone.
            TypeError: If it is not a datetime.
        """
        check_type("moment", moment, datetime, "a datetime with a time zone")
        self._now = _aware(moment)


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} has no time zone. Add one, for example tzinfo=datetime.UTC")
    return moment.astimezone(UTC)
