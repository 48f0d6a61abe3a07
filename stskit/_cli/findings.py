"""What `stskit doctor` says: one sentence about one thing, and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, TypeVar

from attrs import field, frozen

from stskit.errors import StskitError, StskitWarning

__all__ = ["Finding", "State", "heard", "iso", "listed", "of_message", "printable", "span", "until"]

T = TypeVar("T")
State = Literal["ok", "note", "wrong"]
_UNITS: Final = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))


def printable(text: str) -> str:
    """*text* as is safe for a terminal, whatever a file or a variable has put into it; its lines stay lines."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


def _shown(text: str) -> str:
    return printable(text).replace("\n", r"\n").strip()


def _sentence(text: str) -> str:
    return f"{_shown(text).rstrip('.')}."


def _step(text: str) -> str:
    text = _shown(text)
    text = text if text.endswith("...") else text.removesuffix(".")
    return text[:1].upper() + text[1:]


@frozen
class Finding:
    """What was found out about one thing.

    `about`: its short name. `state`: ``"ok"``; ``"note"``, worth knowing; or ``"wrong"``, so that something will not
    work or is not safe. `text`: what is so, one sentence. `remedy`: the next step, a phrase or a command without a full
    stop; "" where there is none. `facts`: the details by name, for programs; times as in ISO 8601. None is secret.
    """

    about: str = field(converter=_shown)
    state: State
    text: str = field(converter=_sentence)
    remedy: str = field(default="", converter=_step)
    facts: Mapping[str, str | int] = field(factory=dict)


def of_message(about: str, state: State, told: StskitError | StskitWarning, **facts: str | int) -> Finding:
    """What an error or a warning of stskit says: the last part of it is the next step."""
    message = str(told)
    end = max(message.rfind("; "), message.rfind(". ")) % (len(message) + 1)
    return Finding(about, state, message[:end], message[end + 2 :], facts)


def heard(work: Callable[[], T]) -> tuple[T, list[StskitWarning]]:
    """What *work* gives, and the warnings of stskit that it gave on its way."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = work()
    return result, [each.message for each in told if isinstance(each.message, StskitWarning)]


def iso(moment: datetime) -> str:
    """*moment*, which is in UTC, for programs."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


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
