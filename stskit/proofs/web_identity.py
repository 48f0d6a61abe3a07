"""A web identity token: one of the three proofs that STS accepts; and the reader of its claims.

The claims are read without verification, because STS verifies them. What is malformed is left out and never an error.

https://www.rfc-editor.org/rfc/rfc7519
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from stskit._arguments import optional_shown_text
from stskit.credentials import Secret, check_secret, secret
from stskit.errors import init_without_frames

__all__ = ["WebIdentityToken"]

_PART: Final = r"[A-Za-z0-9_-]+"
_MAX_LENGTH: Final = 1_000_000  # characters; STS takes 20,000


@frozen
class _Content:
    """The header and the claims of a token, each empty where it cannot be read."""

    is_jwt: bool
    """Whether the text has the form of a signed token: three parts between dots."""
    is_signed: bool
    claims: Mapping[str, object]

    def text(self, name: str) -> str | None:
        """Return a claim that is text; of a list of texts the first."""
        value = self.claims.get(name)
        values = value if isinstance(value, list) else [value]
        return next((each for each in values if isinstance(each, str)), None)

    def moment(self, name: str) -> datetime | None:
        """Return a claim that is a number of seconds since 1970, or such a number as text, within the calendar."""
        value = self.claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        with suppress(ValueError, OverflowError, OSError):  # not a number, infinite, or outside of the calendar
            return datetime.fromtimestamp(float(value), UTC)
        return None


@init_without_frames
@frozen
class WebIdentityToken:
    """An OpenID Connect token (or an OAuth 2.0 one, with its `provider_id`), as STS takes it: 4 to 20,000 characters.

    What the properties say is read from the token and not verified: STS verifies it, so nothing here is to be trusted
    for security. Each is None, or empty, where the token does not say it, or is opaque, and none raises anything. Times
    are aware and in UTC. `value` is the token itself. Raises `ProofInvalid` where that is empty.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
    https://openid.net/specs/openid-connect-core-1_0.html#IDToken
    """

    value: Secret = field(converter=secret, validator=check_secret)
    provider_id: str | None = field(default=None, validator=optional_shown_text)
    _parsed: _Content | None = field(default=None, init=False, repr=False, eq=False)

    @property
    def is_jwt(self) -> bool:
        """Whether the token has the form of a JSON Web Token, so that its claims can be read."""
        return self._content().is_jwt

    @property
    def is_signed(self) -> bool:
        """Whether the token has a signature, of whatever worth: it is not the token of a test with ``alg: none``."""
        return self._content().is_signed

    @property
    def claims(self) -> Mapping[str, object]:
        """Everything that the token says about itself, unverified and read-only."""
        return MappingProxyType(self._content().claims)

    @property
    def issuer(self) -> str | None:
        """Who says to have made the token: the claim ``iss``."""
        return self._content().text("iss")

    @property
    def subject(self) -> str | None:
        """Who or what it is about: the claim ``sub``."""
        return self._content().text("sub")

    @property
    def audience(self) -> str | None:
        """Whom it is for: the claim ``aud``, the first where there are several."""
        return self._content().text("aud")

    @property
    def not_before(self) -> datetime | None:
        """From when on it counts: the claim ``nbf``."""
        return self._content().moment("nbf")

    @property
    def expiration(self) -> datetime | None:
        """When it ends: the claim ``exp``."""
        return self._content().moment("exp")

    def _content(self) -> _Content:
        if self._parsed is None:
            object.__setattr__(self, "_parsed", _read(self.value))
        assert self._parsed is not None
        return self._parsed


def _read(token: str) -> _Content:
    """Return the content of *token*; it is empty where the token is not a JSON Web Token."""
    match = re.fullmatch(rf"({_PART})\.({_PART})\.((?:{_PART})?)", token) if len(token) <= _MAX_LENGTH else None
    if match is None:
        return _Content(is_jwt=False, is_signed=False, claims={})
    header, claims = _decoded(match[1]), _decoded(match[2])
    is_signed = bool(match[3]) and str(header.get("alg", "")).lower() != "none"
    return _Content(is_jwt=True, is_signed=is_signed, claims=claims)


def _decoded(part: str) -> dict[str, object]:
    import json
    from base64 import urlsafe_b64decode

    with suppress(ValueError, RecursionError):  # not base64, UTF-8 or JSON, or nested far too deep
        value = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return value if isinstance(value, dict) else {}
    return {}
