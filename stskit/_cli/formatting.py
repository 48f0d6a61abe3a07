"""How things are shown: text as a terminal can take it, times, and lists."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = ["iso", "listed", "printable", "span", "until"]

_UNITS: Final = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))


def printable(text: str) -> str:
    """*text* as is safe for a terminal, whatever a file or a variable has put into it; its lines stay lines."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


def until(moment: datetime, now: datetime) -> str:
    """*moment* for people, with how long that is from *now*."""
    left = moment - now
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({f'in {span(left)}' if left > timedelta(0) else f'{span(-left)} ago'})"


def span(time: timedelta) -> str:
    """*time* in the largest unit that it has two of."""
    seconds = round(time.total_seconds())
    size, unit = next((each for each in _UNITS if seconds >= 2 * each[0]), _UNITS[-1])
    return f"{seconds // size} {unit}"


def listed(names: list[str], most: int = 10) -> str:
    """*names* in one line; of many the first ones."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def iso(moment: datetime) -> str:
    """*moment*, which is in UTC, for programs."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
