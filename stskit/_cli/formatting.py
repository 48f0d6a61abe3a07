"""Format texts, times and lists for a terminal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from stskit._time import shown_time

__all__ = ["format_deadline", "format_duration", "format_list", "iso", "printable"]

_UNITS: Final = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))


def printable(text: str) -> str:
    """Return *text* with control characters escaped, because they could change the terminal. Line breaks stay."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


def format_deadline(moment: datetime, now: datetime) -> str:
    """Return a time for people, with its distance from *now*."""
    left = moment - now
    away = f"in {format_duration(left)}" if left > timedelta(0) else f"{format_duration(-left)} ago"
    return f"{shown_time(moment)} ({away})"


def format_duration(time: timedelta) -> str:
    """Return a duration in the largest unit that fits twice."""
    seconds = round(time.total_seconds())
    size, unit = next((each for each in _UNITS if seconds >= 2 * each[0]), _UNITS[-1])
    return f"{seconds // size} {unit}"


def format_list(names: list[str], most: int = 10) -> str:
    """Return names on one line, at most *most* of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def iso(moment: datetime) -> str:
    """Return a time in UTC for programs."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
