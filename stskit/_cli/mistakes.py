"""Recognise common mistakes in the arguments of the command line, and say what to type instead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from stskit._arguments import quoted

__all__ = ["copied_text_problem", "nearest", "nearest_flag"]

_DASHES: Final = ("\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212")  # word processors write these for --
_QUOTES: Final = ("\u2018", "\u2019", "\u201c", "\u201d")
_SHORT_FLAGS: Final = {"-p": "--profile", "-r": "--region", "-d": "--duration", "-o": "--json"}


def nearest(word: str, known: Iterable[str], similarity: float = 0.6) -> str | None:
    """Return the known word that is most similar to *word*, or None if none is similar."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower(), [*known], 1, similarity)), None)


def nearest_flag(flag: str, known: Iterable[str]) -> str | None:
    """Return the option that was probably meant by *flag*, or None."""
    names = [each.removeprefix("--") for each in known]
    name = _SHORT_FLAGS.get(flag, flag).lstrip("-").replace("_", "-").lower()
    if name in names:
        return f"--{name}"
    longer = [each for each in names if len(name) > 2 and each.startswith(name)]
    found = longer[0] if len(longer) == 1 else nearest(name, names, 0.7)  # all options are rather similar to each other
    return found and f"--{found}"


def copied_text_problem(word: str) -> tuple[str, str] | None:
    """Return problem and remedy if *word* has a character that a word processor or a web page put there, else None."""
    if word.startswith(_DASHES):
        name = word.lstrip("".join((*_DASHES, "-"))).partition("=")[0]
        is_option = re.fullmatch("[a-z-]{1,30}", name)  # other text can be secret
        remedy = f"Type two hyphens: --{name}" if is_option else "Type two hyphens in place of the dash."
        return f"{quoted(word)} begins with a long dash.", remedy
    if word.startswith(_QUOTES) or word.endswith(_QUOTES):
        return f"{quoted(word)} has curly quotation marks.", "Type straight quotation marks, or none."
    return None
