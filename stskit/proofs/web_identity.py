"""Web identity tokens, one of the three kinds of proof that STS accepts, and the reader of their claims.

The claims are not verified, because STS does that. Malformed claims are ignored.

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
from stskit.credentials import Secret, check_secret, secret, shown_end, shown_identity
from stskit.errors import init_without_frames

__all__ = ["WebIdentityToken"]

_PART: Final = r"[A-Za-z0-9_-]+"
_MAX_LENGTH: Final = 1_000_000  # characters; STS allows 20,000


@frozen
class _Content:
    """The header and the claims of a token, empty if they cannot be read."""

    is_jwt: bool  # whether the text has three parts with dots between them
    is_signed: bool
    claims: Mapping[str, object]

    def text(self, name: str) -> str | None:
        """Return a claim that is text, or the first text of a list."""
        value = self.claims.get(name)
        values = value if isinstance(value, list) else [value]
        return next((each for each in values if isinstance(each, str)), None)

    def moment(self, name: str) -> datetime | None:
        """Return a claim that is a time in seconds since 1970, as a number or as text."""
        value = self.claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        with suppress(ValueError, OverflowError, OSError):  # not a number, infinite, or too large for a date
            return datetime.fromtimestamp(float(value), UTC)
        return None


@init_without_frames
@frozen(repr=False)
class WebIdentityToken:
    """An OpenID Connect token, or an OAuth 2.0 access token with its provider.

    The properties show what the token says. They are not verified (STS does that), so do not trust them for security. A
    property is None or empty if the token does not have the claim or is not a JSON Web Token; no property raises. Times
    are in UTC.

    Args:
        value: The token, 4 to 20,000 characters.
        provider_id: Host name of the OAuth 2.0 provider, for example ``www.amazon.com``. Defaults to none.

    Raises:
        ProofInvalid: If the value is empty.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from pathlib import Path
        >>> from stskit import WebIdentityToken
        >>> token = WebIdentityToken(Path("token").read_text().strip())
        >>> token
        <WebIdentityToken of 'alice' from 'https://idp.example.com' for 'sts.amazonaws.com', valid until ... UTC>

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
    https://openid.net/specs/openid-connect-core-1_0.html#IDToken
    """

    value: Secret = field(converter=secret, validator=check_secret)
    provider_id: str | None = field(default=None, validator=optional_shown_text)
    _parsed: _Content | None = field(default=None, init=False, repr=False, eq=False)

    def __repr__(self) -> str:
        if not self.is_jwt:
            return "<WebIdentityToken: not a JSON Web Token>"
        audience = f" for {self.audience[:100]!r}" if self.audience else ""
        return f"<WebIdentityToken{shown_identity(self.subject, self.issuer)}{audience}{shown_end(self.expiration)}>"

    @property
    def is_jwt(self) -> bool:
        """Whether the token is a JSON Web Token, so that its claims can be read. Raises nothing."""
        return self._content().is_jwt

    @property
    def is_signed(self) -> bool:
        """Whether the token has a signature, which is not verified. A test token with ``alg: none`` has none."""
        return self._content().is_signed

    @property
    def claims(self) -> Mapping[str, object]:
        """All claims, read-only and not verified."""
        return MappingProxyType(self._content().claims)

    @property
    def issuer(self) -> str | None:
        """The issuer, from the claim ``iss``."""
        return self._content().text("iss")

    @property
    def subject(self) -> str | None:
        """The subject, from the claim ``sub``."""
        return self._content().text("sub")

    @property
    def audience(self) -> str | None:
        """The first audience, from the claim ``aud``."""
        return self._content().text("aud")

    @property
    def not_before(self) -> datetime | None:
        """When the token becomes valid, from the claim ``nbf``."""
        return self._content().moment("nbf")

    @property
    def expiration(self) -> datetime | None:
        """When the token expires, from the claim ``exp``."""
        return self._content().moment("exp")

    def _content(self) -> _Content:
        if self._parsed is None:
            object.__setattr__(self, "_parsed", _read(self.value))
        assert self._parsed is not None
        return self._parsed


def _read(token: str) -> _Content:
    """Return the content of a token, empty if it is not a JSON Web Token."""
    match = re.fullmatch(rf"({_PART})\.({_PART})\.((?:{_PART})?)", token) if len(token) <= _MAX_LENGTH else None
    if match is None:
        return _Content(is_jwt=False, is_signed=False, claims={})
    header, claims = _decoded(match[1]), _decoded(match[2])
    is_signed = bool(match[3]) and str(header.get("alg", "")).lower() != "none"
    return _Content(is_jwt=True, is_signed=is_signed, claims=claims)


def _decoded(part: str) -> dict[str, object]:
    import json
    from base64 import urlsafe_b64decode

    with suppress(ValueError, RecursionError):  # not base64, UTF-8 or JSON, or nested too deeply
        value = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return value if isinstance(value, dict) else {}
    return {}
