"""`Secret`: text that never shows itself."""

from __future__ import annotations

from typing import SupportsIndex

from stskit.errors import ProofInvalid

__all__ = ["Secret", "secret"]


class Secret(str):
    """A string that behaves as `str` and never shows itself.

    ``repr()`` is masked, and with it the reprs of everything that holds it, log records, assertion messages and
    tracebacks that show locals. ``str()`` and formatting give plain text: use them only where the secret goes.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"

    def __getitem__(self, index: SupportsIndex | slice) -> Secret:
        return Secret(super().__getitem__(index))  # rich and others shorten a text before they show its repr


def secret(value: str) -> Secret:
    """*value* as a `Secret`. Raises `ProofInvalid` where it is empty or no text."""
    if not isinstance(value, str) or not value:
        raise ProofInvalid("a secret must be text and not empty; check where it was read from")
    return Secret(value)
