"""A web identity token: one of the three proofs that STS accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import field, frozen

from stskit.credentials import Secret, secret

if TYPE_CHECKING:
    from stskit.proofs.jwt import Parts

__all__ = ["UnverifiedClaims", "WebIdentityToken"]


@frozen(eq=False)  # equal to any mapping with the same claims, as mappings are
class UnverifiedClaims(Mapping[str, object]):
    """What a token says of itself, by the names of its claims. Nobody has checked that it is true."""

    _claims: Mapping[str, object]

    def __getitem__(self, name: str) -> object:
        return self._claims[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)


@frozen
class WebIdentityToken:
    """An OpenID Connect token (or an OAuth 2.0 one, with its `provider_id`), as STS takes it: 4 to 20,000 characters.

    What the properties say is read from the token and not verified: STS verifies it, so nothing here is to be trusted
    for security. Each is None, or empty, where the token does not say it, or is opaque, and none raises anything. Times
    are aware and in UTC. `value` is the token itself. Raises `ProofInvalid` where that is empty.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
    https://openid.net/specs/openid-connect-core-1_0.html#IDToken
    """

    value: Secret = field(converter=secret)
    provider_id: str | None = None
    _parsed: Parts | None = field(default=None, init=False, repr=False, eq=False)

    @property
    def is_jwt(self) -> bool:
        """Whether the token has the form of a JSON Web Token, so that its claims can be read."""
        return self._parts().is_jwt

    @property
    def is_signed(self) -> bool:
        """Whether the token has a signature, of whatever worth: it is not the token of a test with ``alg: none``."""
        return self._parts().is_signed

    @property
    def claims(self) -> UnverifiedClaims:
        """Everything the token says of itself, unverified."""
        return UnverifiedClaims(self._parts().claims)

    @property
    def issuer(self) -> str | None:
        """Who says to have made the token: the claim ``iss``."""
        return self._parts().text("iss")

    @property
    def subject(self) -> str | None:
        """Who or what it is about: the claim ``sub``."""
        return self._parts().text("sub")

    @property
    def audience(self) -> str | None:
        """Whom it is for: the claim ``aud``, the first where there are several."""
        return self._parts().text("aud")

    @property
    def not_before(self) -> datetime | None:
        """From when on it counts: the claim ``nbf``."""
        return self._parts().moment("nbf")

    @property
    def expiration(self) -> datetime | None:
        """When it ends: the claim ``exp``."""
        return self._parts().moment("exp")

    def _parts(self) -> Parts:
        if self._parsed is None:
            from stskit.proofs.jwt import read

            object.__setattr__(self, "_parsed", read(self.value))
        assert self._parsed is not None
        return self._parsed
