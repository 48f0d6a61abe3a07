"""Read and show times, and the system clock."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from attrs import frozen

__all__ = ["SystemClock", "instant", "shown_time"]

_DATE, _TIME, _ZONE = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d(?:\.\d+)?", r"Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d"


def instant(text: str, *, zone_needed: bool = True) -> datetime:
    """Return an RFC 3339 time in UTC. Without *zone_needed*, a time without zone is UTC. Raises `ValueError`.

    https://www.rfc-editor.org/rfc/rfc3339#section-5.6
    """
    match = re.fullmatch(rf"({_DATE})[Tt ]({_TIME})({_ZONE}|z)?", text, re.ASCII)
    if match is None or (zone_needed and match[3] is None):
        raise ValueError("not an RFC 3339 date and time")
    date, hours, zone = match.groups()
    whole = f"{date}T{hours}{(zone or 'Z').upper()}"
    try:
        if not hours.startswith("24"):
            return datetime.fromisoformat(whole).astimezone(UTC)
        from dateutil.parser import isoparse  # slow to import; it reads 24:00 as the next day

        return isoparse(whole).astimezone(UTC)
    except OverflowError:
        raise ValueError("not a date in UTC") from None


def shown_time(moment: datetime) -> str:
    """Return a time in UTC for people: "2026-01-31 12:00:00 UTC"."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@frozen
class SystemClock:
    """The clocks of this machine."""

    def now(self) -> datetime:
        """Return the wall clock, with the time zone UTC. Raises nothing."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the monotonic clock in seconds. Raises nothing."""
        return time.monotonic()
