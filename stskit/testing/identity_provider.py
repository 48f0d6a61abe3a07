"""An identity provider for tests, which signs valid proofs and proofs with a flaw."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, get_args

from attrs import evolve, field, frozen

from stskit._arguments import check_list, check_timespan, has_method, text
from stskit._time import SystemClock
from stskit.protocols import Clock
from stskit.roles import RoleARN
from stskit.testing import _signing
from stskit.testing._signing import Flaw

__all__ = ["Flaw", "IdentityProvider"]

SIGN_IN: Final = "https://signin.aws.amazon.com/saml"
_ELSEWHERE: Final = "https://elsewhere.example"
_FIVE_MINUTES: Final = timedelta(minutes=5)
_HOUR: Final = timedelta(hours=1)


def _tuple(texts: Sequence[str]) -> tuple[str, ...]:
    texts = (texts,) if isinstance(texts, str) else texts
    check_list("audiences", texts, "text or a list of texts")
    return tuple(texts)


@frozen
class IdentityProvider:
    """An identity provider for tests. It signs SAML responses and OpenID Connect tokens with a public test key.

    Needs ``stskit[testing]``. Use it for tests only, because the private key is public.

    Args:
        issuer: Entity ID, and the claim ``iss`` of tokens. Defaults to ``"https://idp.example.com"``.
        name: Name of the SAML provider in IAM. Defaults to ``"idp"``.
        audiences: Client IDs of the OpenID Connect provider in IAM. Defaults to ``sts.amazonaws.com``.
        clock: The source of the time. Defaults to the system clock.

    Raises:
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import SAMLAssertion
        >>> from stskit.testing import IdentityProvider
        >>> text = IdentityProvider().saml_response(roles=["arn:aws:iam::123456789012:role/Deploy"])
        >>> SAMLAssertion.from_text(text).session_name
        'alice'
    """

    issuer: str = field(default="https://idp.example.com", validator=text)
    name: str = field(default="idp", kw_only=True, validator=text)
    audiences: Sequence[str] = field(default=("sts.amazonaws.com",), kw_only=True, converter=_tuple)
    clock: Clock = field(factory=SystemClock, kw_only=True, repr=False, validator=has_method("now", "a clock"))

    @property
    def certificate(self) -> str:
        """The certificate of its key as PEM text, to verify SAML responses with. Raises nothing."""
        return _signing.CERTIFICATE

    def jwks(self) -> dict[str, object]:
        """Return the key set, to verify tokens with.

        Returns:
            A JSON Web Key Set (RFC 7517).

        Raises:
            SourceMissing: Without ``stskit[testing]``.
        """
        return {"keys": [_signing.jwk()]}

    def provider_arn(self, role_arn: str) -> str:
        """Return the ARN of the SAML provider in the account of a role.

        Args:
            role_arn: Role ARN.

        Returns:
            ARN of the SAML provider.

        Raises:
            RoleError: If the role ARN is not valid.
        """
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
        """Return a signed SAML response, as the browser posts it. ``SAMLAssertion(text)`` is the proof.

        Args:
            roles: Role ARNs, or pairs of a role ARN and the ARN of its SAML provider.
            session_name: Attribute RoleSessionName. Defaults to ``"alice"``.
            subject: NameID. Defaults to *session_name*.
            duration: Attribute SessionDuration, in seconds or as a timedelta. Defaults to none.
            attributes: Further attributes, without the common prefix of AWS, for example ``PrincipalTag:team``. They
                replace the usual ones, and None removes one.
            audience: Audience. Defaults to the AWS sign-in page.
            recipient: Recipient. Defaults to the AWS sign-in page.
            issued_at: When it was issued. Defaults to now.
            not_before: When it becomes valid. Defaults to *issued_at*.
            not_on_or_after: When it expires. Defaults to five minutes after *issued_at*.
            session_not_on_or_after: When all sessions expire. Defaults to none.
            flaw: The flaw of the response. Defaults to none.

        Returns:
            The response in base64.

        Raises:
            RoleError: If a role ARN is not valid.
            ValueError: If the flaw is unknown, or XML cannot contain a text.
            SourceMissing: Without ``stskit[testing]``.
        """
        check_list("roles", roles, "a list of role ARNs")
        now = self.clock.now() if issued_at is None else issued_at
        statement = _signing.Statement(
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
        return b64encode(self._flawed_saml(statement, _checked(flaw))).decode()

    def oidc_token(
        self,
        *,
        subject: str = "alice",
        audience: str | Sequence[str] = "sts.amazonaws.com",
        lifetime: timedelta = _HOUR,
        claims: Mapping[str, object] = {},
        flaw: Flaw | None = None,
    ) -> str:
        """Return a signed JSON Web Token (RS256). ``WebIdentityToken(text)`` is the proof.

        Args:
            subject: Claim ``sub``. Defaults to ``"alice"``.
            audience: Claim ``aud``. Defaults to ``"sts.amazonaws.com"``.
            lifetime: How long the token is valid. Defaults to one hour.
            claims: Further claims. They replace the usual ones, and None removes one.
            flaw: The flaw of the token. Defaults to none.

        Returns:
            The token.

        Raises:
            ValueError: If the flaw is unknown.
            SourceMissing: Without ``stskit[testing]``.
        """
        check_timespan("lifetime", lifetime)
        now, flaw = self.clock.now(), _checked(flaw)
        begin = now + _shift(flaw, lifetime)
        chosen = _ELSEWHERE if flaw == "wrong audience" else audience
        times = {"iat": begin, "nbf": begin, "exp": begin + lifetime}
        usual: dict[str, object] = {"iss": self.issuer, "sub": subject}
        usual["aud"] = chosen if isinstance(chosen, str) else [*chosen]
        usual |= {name: int(moment.timestamp()) for name, moment in times.items()}
        present = {name: value for name, value in (usual | dict(claims)).items() if value is not None}
        return _signing.token(present, flaw)

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

    def _flawed_saml(self, statement: _signing.Statement, flaw: Flaw | None) -> bytes:
        if flaw == "wrong audience":
            statement = evolve(statement, audience=_ELSEWHERE)
        shift = _shift(flaw, statement.not_on_or_after - statement.not_before)
        for name in ("issued_at", "not_before", "not_on_or_after"):
            statement = evolve(statement, **{name: getattr(statement, name) + shift})
        return _signing.signed_saml(statement, flaw)


def _seconds(duration: timedelta | int) -> str:
    return str(duration if isinstance(duration, int) else int(duration.total_seconds()))


def _shift(flaw: Flaw | None, lifetime: timedelta) -> timedelta:
    """Return how far the times of a proof are moved, which is more than any tolerance."""
    far = lifetime + _HOUR
    return {"expired": -far, "not yet valid": far}.get(flaw or "", timedelta(0))


def _checked(flaw: Flaw | None) -> Flaw | None:
    if flaw is not None and flaw not in get_args(Flaw):
        raise ValueError(f"{flaw!r} is not a valid flaw. Pass one of {', '.join(get_args(Flaw))}")
    return flaw
