"""What `stskit doctor` says: one sentence about one thing, and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from attrs import field, frozen

from stskit._cli.formatting import printable
from stskit.errors import StskitError, StskitWarning

__all__ = ["Finding", "State", "heard", "of_message"]

T = TypeVar("T")
State = Literal["ok", "note", "wrong"]


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
