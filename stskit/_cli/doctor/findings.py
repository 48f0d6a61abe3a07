"""The findings of ``stskit doctor``: a sentence about one thing, and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from attrs import field, frozen

from stskit._cli.formatting import printable
from stskit.errors import StskitError, StskitWarning

__all__ = ["Facts", "Finding", "State", "collect_warnings", "finding_from_error"]

T = TypeVar("T")
State = Literal["ok", "note", "wrong"]
Facts = Mapping[str, str | int]


def _shown(text: str) -> str:
    return printable(text).replace("\n", r"\n").strip()


def _sentence(text: str) -> str:
    return f"{_shown(text).rstrip('.')}."


def _step(text: str) -> str:
    text = _shown(text)
    return text[:1].upper() + text[1:]


@frozen
class Finding:
    """A finding about one thing. It contains no secret.

    Args:
        about: Short name of the thing.
        state: ``"ok"``, ``"note"``, or ``"wrong"`` if something does not work or is not safe.
        text: The finding, one sentence.
        remedy: What to do, in sentences. A command to copy is at the end, without a period. Empty if there is nothing
            to do.
        facts: Details by name, for programs. Times are in ISO 8601.
    """

    about: str = field(converter=_shown)
    state: State
    text: str = field(converter=_sentence)
    remedy: str = field(default="", converter=_step)
    facts: Facts = field(factory=dict)


def finding_from_error(about: str, error: StskitError, facts: Facts | None = None) -> Finding:
    """Return the finding for an error, with its remedy for the command line."""
    return Finding(about, "wrong", error.message, error.cli_remedy or error.remedy, facts or {})


def collect_warnings(work: Callable[[], T]) -> tuple[T, list[str]]:
    """Return the result of *work*, and the texts of its stskit warnings. Raises what *work* raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = work()
    return result, [str(each.message) for each in caught if isinstance(each.message, StskitWarning)]
