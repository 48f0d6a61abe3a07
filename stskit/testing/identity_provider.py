"""An identity provider that signs proofs made to order, sound ones and broken ones."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from attrs import evolve, field, frozen

from stskit._time import SystemClock
from stskit.protocols import Clock
from stskit.roles import RoleARN
from stskit.testing import _saml
from stskit.testing._rsa import KEY, OTHER_KEY, RSAKey, base64url

__all__ = ["Flaw", "IdentityProvider"]

SIGN_IN: Final = "https://signin.aws.amazon.com/saml"
_FIVE_MINUTES: Final = timedelta(minutes=5)
_HOUR: Final = timedelta(hours=1)

Flaw: TypeAlias = Literal["expired", "not yet valid", "wrong audience", "wrong key", "tampered", "unsigned"]
"""What can be wrong with a proof: its time, whom it is for, who signed it, what was changed after it was signed, and
that nobody signed it. All else about it is sound.
"""


def _tuple(texts: Sequence[str]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)


@frozen
class IdentityProvider:
    """Signs SAML responses and OpenID Connect tokens, with a key that everybody knows: for tests, and nothing else.

    `issuer`: its entity ID, and the ``iss`` of its tokens. `name`: what the SAML provider in IAM is called.
    `audiences`: the client ids that the OpenID Connect provider in IAM lists. `clock`: what it takes the time from.
    `key`: what it signs with; always the same.
    """

    issuer: str = "https://idp.example.com"
    name: str = field(default="idp", kw_only=True)
    audiences: Sequence[str] = field(default=("sts.amazonaws.com",), kw_only=True, converter=_tuple)
    clock: Clock = field(factory=SystemClock, kw_only=True, repr=False)
    key: RSAKey = field(default=KEY, init=False, repr=False)

    @property
    def certificate(self) -> str:
        """The certificate of its key, as PEM, for whoever shall verify its SAML responses. Raises nothing."""
        return self.key.pem

    def jwks(self) -> dict[str, object]:
        """Its key set (RFC 7517), for whoever shall verify its tokens. Raises nothing."""
        return {"keys": [self.key.jwk()]}

    def provider_arn(self, role_arn: str) -> str:
        """The ARN of the SAML provider in the account of that role. Raises `RoleError` where that is no role's ARN."""
        role = RoleARN.parse(role_arn)
        return f"arn:{role.partition}:iam::{role.account or ''}:saml-provider/{self.name}"

    def saml_response(
        self,
        *,
        roles: Sequence[str | tuple[str, str]],
        session_name: str = "alice",
        subject: str | None = None,
        duration: timedelta | int | None = None,
        attributes: Mapping[str, Sequence[str] | None] = {},
        audience: str = SIGN_IN,
        recipient: str = SIGN_IN,
        issued_at: datetime | None = None,
        not_before: datetime | None = None,
        not_on_or_after: datetime | None = None,
        session_not_on_or_after: datetime | None = None,
        flaw: Flaw | None = None,
    ) -> str:
        """A signed SAML response in base64, as the browser posts it; ``SAMLAssertion(text)`` makes a proof of it.

        `roles`: ARNs of roles, each by itself or with that of its SAML provider. `subject`: the NameID; None: as
        `session_name`. `duration`: seconds or a timedelta. `attributes`: more of them, by the names that AWS has for
        them, such as ``PrincipalTag:team``, in the place of those that are there; one that is None is left out.
        `issued_at`, `not_before`: None is now; `not_on_or_after`: None is five minutes after. `flaw`: what shall be
        wrong with it.

        Raises `RoleError` for what is no ARN of a role, and `ValueError` for a flaw that is not known.
        """
        now = self.clock.now() if issued_at is None else issued_at
        statement = _saml.Statement(
            issuer=self.issuer,
            subject=session_name if subject is None else subject,
            audience=audience,
            recipient=recipient,
            issued_at=now,
            not_before=not_before or now,
            not_on_or_after=not_on_or_after or now + _FIVE_MINUTES,
            session_not_on_or_after=session_not_on_or_after,
            attributes=self._attributes(roles, session_name, duration, attributes),
        )
        return b64encode(self._flawed_saml(statement, _known(flaw)).encode()).decode()

    def oidc_token(
        self,
        *,
        subject: str = "alice",
        audience: str | Sequence[str] = "sts.amazonaws.com",
        lifetime: timedelta = _HOUR,
        claims: Mapping[str, object] = {},
        flaw: Flaw | None = None,
    ) -> str:
        """A signed JSON Web Token (RS256); ``WebIdentityToken(text)`` makes a proof of it.

        `claims`: more of them, in the place of those that are there; one that is None is left out. `flaw`: what shall
        be wrong with it.

        Raises `ValueError` for a flaw that is not known.
        """
        now, flaw = self.clock.now(), _known(flaw)
        begin = now + _shift(flaw, lifetime)
        meant = "https://elsewhere.example" if flaw == "wrong audience" else audience
        times = {"iat": begin, "nbf": begin, "exp": begin + lifetime}
        said: dict[str, object] = {"iss": self.issuer, "sub": subject}
        said["aud"] = meant if isinstance(meant, str) else [*meant]
        said |= {name: int(moment.timestamp()) for name, moment in times.items()} | dict(claims)
        present = {name: value for name, value in said.items() if value is not None}
        return self._token(present, flaw)

    def _attributes(
        self,
        roles: Sequence[str | tuple[str, str]],
        session_name: str,
        duration: timedelta | int | None,
        more: Mapping[str, Sequence[str] | None],
    ) -> dict[str, Sequence[str]]:
        usual: dict[str, Sequence[str] | None] = {
            "Role": [self._pair(role) for role in roles],
            "RoleSessionName": [session_name],
            "SessionDuration": None if duration is None else [_seconds(duration)],
            **more,
        }
        lists = {name: [values] if isinstance(values, str) else values for name, values in usual.items()}
        return {name: values for name, values in lists.items() if values is not None}

    def _pair(self, role: str | tuple[str, str]) -> str:
        return ",".join((role, self.provider_arn(role)) if isinstance(role, str) else role)

    def _flawed_saml(self, statement: _saml.Statement, flaw: Flaw | None) -> str:
        if flaw == "unsigned":
            return _saml.unsigned(statement)
        if flaw == "wrong audience":
            statement = evolve(statement, audience="https://elsewhere.example")
        shift = _shift(flaw, statement.not_on_or_after - statement.not_before)
        for name in ("issued_at", "not_before", "not_on_or_after"):
            statement = evolve(statement, **{name: getattr(statement, name) + shift})
        xml = _saml.signed(statement, self._signing_key(flaw))
        return xml.replace("</saml:NameID>", "-else</saml:NameID>") if flaw == "tampered" else xml

    def _token(self, claims: Mapping[str, object], flaw: Flaw | None) -> str:
        header = {"alg": "none" if flaw == "unsigned" else "RS256", "kid": self.key.key_id, "typ": "JWT"}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        if flaw == "unsigned":
            return f"{text}."
        signature = base64url(self._signing_key(flaw).sign(text.encode()))
        if flaw == "tampered":
            text = ".".join(
                base64url(json.dumps(part).encode()) for part in (header, {**claims, "sub": "somebody-else"})
            )
        return f"{text}.{signature}"

    def _signing_key(self, flaw: Flaw | None) -> RSAKey:
        return OTHER_KEY if flaw == "wrong key" else self.key


def _seconds(duration: timedelta | int) -> str:
    return str(duration if isinstance(duration, int) else int(duration.total_seconds()))


def _shift(flaw: Flaw | None, lifetime: timedelta) -> timedelta:
    """By how much a proof of that lifetime is moved in time: far enough for any tolerance."""
    far = lifetime + _HOUR
    return {"expired": -far, "not yet valid": far}.get(flaw or "", timedelta(0))


def _known(flaw: Flaw | None) -> Flaw | None:
    if flaw is not None and flaw not in get_args(Flaw):
        raise ValueError(f"there is no flaw {flaw!r}; these can be ordered: {', '.join(get_args(Flaw))}")
    return flaw
