"""Reads what a JSON Web Token says, without verifying it: STS does that. What is odd is left out, and never an error.

https://www.rfc-editor.org/rfc/rfc7519
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from attrs import frozen

__all__ = ["Parts", "read"]

_PART: Final = r"[A-Za-z0-9_-]+"
_MOST: Final = 1_000_000  # characters; STS takes 20,000


@frozen
class Parts:
    """The header and the claims of a token, each empty where it cannot be read."""

    is_jwt: bool
    """Whether the text has the form of a signed token: three parts between dots."""
    is_signed: bool
    header: Mapping[str, object]
    claims: Mapping[str, object]

    def text(self, name: str) -> str | None:
        """A claim that is text; of a list of texts the first."""
        value = self.claims.get(name)
        values = value if isinstance(value, list) else [value]
        return next((each for each in values if isinstance(each, str)), None)

    def moment(self, name: str) -> datetime | None:
        """A claim that is a number of seconds since 1970, or such a number as text, and within the calendar."""
        value = self.claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        with suppress(ValueError, OverflowError, OSError):  # no number, infinite, or outside of the calendar
            return datetime.fromtimestamp(float(value), UTC)
        return None


def read(token: str) -> Parts:
    """What *token* says. Of what is no JWT there is nothing to read."""
    match = re.fullmatch(rf"({_PART})\.({_PART})\.((?:{_PART})?)", token) if len(token) <= _MOST else None
    if match is None:
        return Parts(is_jwt=False, is_signed=False, header={}, claims={})
    header, claims = _decoded(match[1]), _decoded(match[2])
    signed = bool(match[3]) and str(header.get("alg", "")).lower() != "none"
    return Parts(is_jwt=True, is_signed=signed, header=header, claims=claims)


def _decoded(part: str) -> dict[str, object]:
    import json
    from base64 import urlsafe_b64decode

    with suppress(ValueError, RecursionError):  # no base64, no UTF-8, no JSON, or far too deep
        value = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return value if isinstance(value, dict) else {}
    return {}
