"""The clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from helpers import START

from stskit.protocols import Clock
from stskit.testing import ManualClock


def test_advance_moves_both_clocks() -> None:
    """Advancing the clock moves both clocks by the given time."""
    clock = ManualClock(START)
    seconds = clock.monotonic()
    assert (clock.now(), clock.monotonic()) == (START, seconds)
    clock.advance(timedelta(minutes=5))
    assert (clock.now(), clock.monotonic()) == (START + timedelta(minutes=5), seconds + 300)


def test_setting_the_wall_clock_does_not_change_the_monotonic_clock() -> None:
    """Setting the wall clock does not change the monotonic clock."""
    clock: Clock = ManualClock(START)
    seconds = clock.monotonic()
    for span in (timedelta(hours=1), timedelta(hours=-2)):
        assert isinstance(clock, ManualClock)
        clock.set((START + span).astimezone(timezone(timedelta(hours=2))))
        assert (clock.now(), clock.now().tzinfo, clock.monotonic()) == (START + span, UTC, seconds)


def test_it_starts_with_the_current_time_in_whole_seconds() -> None:
    """A ManualClock starts with the current time in whole seconds."""
    before = datetime.now(UTC).replace(microsecond=0)
    start = ManualClock().now()
    assert before <= start <= datetime.now(UTC)
    assert start.microsecond == 0


def test_a_time_without_a_zone_is_refused() -> None:
    """A time without a zone and a negative span are errors."""
    with pytest.raises(ValueError, match="has no time zone"):
        ManualClock(datetime(2026, 11, 25))
    clock = ManualClock(START)
    with pytest.raises(ValueError, match="has no time zone"):
        clock.set(datetime(2026, 11, 25))
    with pytest.raises(
        ValueError, match=r"span is negative: -1 day, 23:59:00\. To set only the wall clock, use set\(\)"
    ):
        clock.advance(timedelta(minutes=-1))
    assert repr(clock) == "ManualClock(2026-11-25T12:00:00+00:00)"
