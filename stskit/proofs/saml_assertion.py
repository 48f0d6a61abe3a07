"""A SAML assertion: one of the three proofs that STS accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import field, frozen

from stskit._arguments import check_type, optional_shown_text
from stskit._time import instant
from stskit.credentials import Secret, check_secret, secret
from stskit.errors import ProofInvalid, RoleError, RoleNotOffered, init_without_frames, without_frames

if TYPE_CHECKING:
    from stskit.proofs.saml_parser import Response

__all__ = ["SAMLAssertion", "SAMLRole"]

T = TypeVar("T")

_AWS: Final = "https://aws.amazon.com/SAML/Attributes/"
_ROLE_ARN: Final = r"arn:[a-z0-9-]+:iam::(\d{12})?:role/\S+"
_NAME: Final = r"[\w+=,.@-]{2,64}"
_PROVIDER_ARN: Final = r"arn:[a-z0-9-]+:iam::(\d{12})?:saml-provider/[^\s,]+"


@frozen
class SAMLRole:
    """One role that an assertion offers: `role_arn`, with `principal_arn`, the SAML provider that vouches for it."""

    role_arn: str
    principal_arn: str


@init_without_frames
@frozen
class SAMLAssertion:
    """A SAML 2.0 response from an identity provider, base64 on one line, as STS takes it.

    `value`: the text. `principal_arn`: the ARN of the SAML provider; None: the one that the assertion pairs with the
    role.

    What the properties say is read from the assertion and not verified: STS verifies it, so nothing here is to be
    trusted for security. Each is None or empty where the assertion does not say it, and raises `ProofInvalid` where
    the assertion is encrypted or is not what it should be. Times are aware and in UTC.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithSAML.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
    """

    value: Secret = field(converter=secret, validator=check_secret)
    principal_arn: str | None = field(default=None, validator=optional_shown_text)
    _parsed: Response | None = field(default=None, init=False, repr=False, eq=False)

    @classmethod
    @without_frames
    def from_text(cls, text: str, principal_arn: str | None = None) -> SAMLAssertion:
        """Read one without judging it: base64 in any wrapping, URL-encoded, the XML itself, a form body, a browser log.

        Raises `ProofInvalid` where it is none of these.
        """
        from stskit.proofs import browser_log

        check_type("text", text, str, "text")
        return cls.from_encoding(browser_log.newest(text).value, principal_arn)

    @classmethod
    @without_frames
    def from_encoding(cls, text: str, principal_arn: str | None = None) -> SAMLAssertion:
        """Read one without judging it, as `from_text`, but not from a form body or a browser log.

        Raises `ProofInvalid` where *text* is no SAML response.
        """
        from stskit.proofs import saml_encoding

        decoded = saml_encoding.decode(text)
        assertion = cls(decoded.value, principal_arn)
        object.__setattr__(assertion, "_parsed", decoded.response)
        return assertion

    @property
    def is_encrypted(self) -> bool:
        """Whether only AWS can read the assertion. It can be sent, with the role and `principal_arn` given."""
        return self._response().encrypted

    @property
    def roles(self) -> tuple[SAMLRole, ...]:
        """What the assertion offers, each once, in its order; values of the attribute that are no pair are left out."""
        pairs = (_pair(value) for value in self._attribute("Role"))
        return tuple(dict.fromkeys(pair for pair in pairs if pair is not None))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The names of all attributes, in their order, as the identity provider wrote them."""
        return tuple(self._open().attributes)

    @property
    def invalid_role_count(self) -> int:
        """How many values of the attribute Role are not a pair of a role ARN and a SAML provider ARN."""
        return sum(_pair(value) is None for value in self._attribute("Role"))

    @property
    def session_name(self) -> str | None:
        """What the session will be called: the attribute RoleSessionName."""
        return _first(self._attribute("RoleSessionName"))

    @property
    def session_duration(self) -> timedelta | None:
        """How long a session may last: the attribute SessionDuration, 900 to 43,200 seconds."""
        value = _first(self._attribute("SessionDuration"))
        if value is None:
            return None
        if re.fullmatch(r"\d{1,9}", value, re.ASCII) and 900 <= int(value) <= 43_200:
            return timedelta(seconds=int(value))
        raise ProofInvalid(
            f"the assertion's SessionDuration is {value[:20]!r}, and STS takes 900 to 43,200 seconds",
            remedy="have the identity provider correct it",
        )

    @property
    def source_identity(self) -> str | None:
        """Who is behind the session: the attribute SourceIdentity."""
        return _first(self._attribute("SourceIdentity"))

    @property
    def tags(self) -> Mapping[str, str]:
        """The session tags: the attributes PrincipalTag:KEY."""
        start = f"{_AWS}PrincipalTag:"
        attributes = self._open().attributes
        return {name.removeprefix(start): values[0] for name, values in attributes.items() if name.startswith(start)}

    @property
    def transitive_tag_keys(self) -> tuple[str, ...]:
        """Which of the tags go on to chained roles: the attribute TransitiveTagKeys."""
        return tuple(self._attribute("TransitiveTagKeys"))

    @property
    def issuer(self) -> str | None:
        """The identity provider, by its entity ID."""
        return _first(self._texts("Issuer"))

    @property
    def subject(self) -> str | None:
        """Who has signed in: the NameID."""
        return _first(self._texts("NameID"))

    @property
    def audiences(self) -> tuple[str, ...]:
        """All whom the assertion is for."""
        return self._texts("Audience")

    @property
    def audience(self) -> str | None:
        """Whom the assertion is for: the audience that is AWS where there are several, else the first."""
        from stskit.proofs.saml_parser import is_aws

        return _first([each for each in self.audiences if is_aws(each)]) or _first(self.audiences)

    @property
    def recipient(self) -> str | None:
        """Where the response was to be posted; trust policies see it as ``SAML:aud``."""
        return _first(self._texts("Recipient"))

    @property
    def issued_at(self) -> datetime | None:
        """When the assertion was made; STS takes it for five minutes from then."""
        return _first(self._moments("IssueInstant"))

    @property
    def not_before(self) -> datetime | None:
        """From when on the assertion counts, by its conditions and the confirmation of its subject."""
        return max([*self._moments("NotBefore"), *self._moments("confirmed NotBefore")], default=None)

    @property
    def not_on_or_after(self) -> datetime | None:
        """When the assertion has ended, likewise. Of several confirmations of the subject one is enough."""
        confirmed = max(self._moments("confirmed NotOnOrAfter"), default=None)
        return min([*self._moments("NotOnOrAfter"), *([confirmed] if confirmed else [])], default=None)

    @property
    def session_not_on_or_after(self) -> datetime | None:
        """When every session of this sign-in ends, however long it was asked for."""
        return min(self._moments("SessionNotOnOrAfter"), default=None)

    def principal_for(self, role_arn: str) -> str:
        """The provider to name when asking for *role_arn*: the one that was given, else the one beside the role.

        Raises `RoleNotOffered` where the assertion lists roles, and not this one.
        """
        offered = {role.role_arn: role.principal_arn for role in (self.roles if self._can_be_read() else ())}
        if role_arn in offered:
            return self.principal_arn or offered[role_arn]
        if self.principal_arn is not None and not offered:
            return self.principal_arn
        listed = ", ".join(offered) or "none at all"
        raise RoleNotOffered(
            f"the SAML assertion does not offer {role_arn}; it offers: {listed}{self.similar_names('Role')}.",
            tuple(offered),
            remedy="Ask for one of these, or have the identity provider grant the role and get a new assertion",
            option="role",
        )

    def check_duration(self, seconds: int | None) -> None:
        """Raises `RoleError` where a session of *seconds* would be longer than `session_duration`."""
        longest = self.session_duration if seconds is not None and self._can_be_read() else None
        if longest is not None and timedelta(seconds=seconds or 0) > longest:
            raise RoleError(
                f"duration is {seconds} seconds, and the SAML assertion allows {longest.total_seconds():.0f}",
                remedy="ask for less, or have the identity provider raise its attribute SessionDuration",
                cli_message=f"is {seconds} seconds, and the SAML assertion allows {longest.total_seconds():.0f}",
                option="duration",
            )

    def similar_names(self, attribute: str) -> str:
        """Return "", or a sentence about attributes whose name is almost that of the AWS *attribute*, which is missing.

        The sentence starts with a semicolon. Raises `ProofInvalid` if the assertion cannot be read.
        """
        if self._attribute(attribute):
            return ""
        similar = [each for each in self.attribute_names if _last_part(each) == attribute.lower()]
        names = similar or list(self.attribute_names)
        if not names:
            return f"; it has no attributes, and AWS reads {_AWS}{attribute}"
        listed = ", ".join(ascii(each[:100]) for each in names[:10])
        return f"; AWS reads the attribute {_AWS}{attribute}, and the assertion has {listed}"

    def check_for_aws(self, duration: int | None = None) -> None:
        """Check what STS of AWS always refuses; call it only if the assertion goes there.

        Raises `RoleError` for a *duration*, in seconds, over `session_duration`, and `ProofInvalid` for an assertion
        that is for another audience, or whose RoleSessionName or SourceIdentity STS does not accept. If the assertion
        cannot be read, only STS can judge it.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
        """
        from stskit.proofs.saml_parser import is_aws

        if not self._can_be_read():
            return
        self.check_duration(duration)
        if self.audiences and not any(map(is_aws, self.audiences)):
            raise ProofInvalid(
                f"the SAML assertion is for {', '.join(self.audiences)[:200]}, and not for AWS",
                remedy="save the response posted to the AWS sign-in page",
                option="audience",
            )
        if self.session_name is None:
            raise ProofInvalid(
                f"the SAML assertion has no session name{self.similar_names('RoleSessionName')}",
                remedy="have the identity provider send the attribute RoleSessionName",
            )
        _check_name("RoleSessionName", self.session_name, _NAME)
        if self.source_identity is not None:
            _check_name("SourceIdentity", self.source_identity, f"(?!aws:){_NAME}", ", and must not begin with aws:")

    def _can_be_read(self) -> bool:
        """Whether it is worth a look. Where the provider was given, what cannot be read is for AWS to judge."""
        try:
            return self._response().encrypted is False or self.principal_arn is None
        except ProofInvalid:
            if self.principal_arn is not None:
                return False
            raise

    def _response(self) -> Response:
        if self._parsed is None:
            from stskit.proofs.saml_parser import read

            object.__setattr__(self, "_parsed", read(self.value))  # once: a thousand roles are looked up in one
        assert self._parsed is not None
        return self._parsed

    def _open(self) -> Response:
        if self._response().encrypted:
            raise ProofInvalid(
                "the SAML assertion is encrypted, so only AWS can read it",
                remedy="name the role, and the provider too: "
                "SAMLFile(path, principal_arn='arn:aws:iam::ACCOUNT:saml-provider/NAME')",
                cli_remedy="name the role, and the provider too: "
                "--principal-arn arn:aws:iam::ACCOUNT:saml-provider/NAME",
                option="principal_arn",
            )
        return self._response()

    def _attribute(self, name: str) -> tuple[str, ...]:
        return tuple(self._open().attributes.get(_AWS + name, ()))

    def _texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._open().texts.get(name, ()))

    @without_frames
    def _moments(self, name: str) -> list[datetime]:
        try:
            return [instant(text, zone_needed=False) for text in self._texts(name)]
        except ValueError:
            what = name.rsplit(maxsplit=1)[-1]
            raise ProofInvalid(
                f"the assertion's {what} is no date and time", remedy="have the identity provider correct it"
            ) from None


def _first(values: Sequence[T]) -> T | None:
    return values[0] if values else None


def _last_part(name: str) -> str:
    return re.split(r"[/:]", name.strip())[-1].lower()


def _check_name(attribute: str, value: str, pattern: str, rule: str = "") -> None:
    if not re.fullmatch(pattern, value, re.ASCII):
        raise ProofInvalid(
            f"the attribute {attribute} of the SAML assertion is {value[:70]!a}, which STS does not accept: it "
            f"must have 2 to 64 letters, digits or characters of _+=,.@-{rule}",
            remedy="have the identity provider correct it",
        )


def _pair(value: str) -> SAMLRole | None:
    """The two ARNs of *value*; on the wire they come in either order."""
    parts = [part.strip() for part in re.split(r",(?=\s*arn:)", value)]  # names of roles may hold commas
    if len(parts) == 2:
        for role, provider in (parts, parts[::-1]):
            if re.fullmatch(_ROLE_ARN, role, re.ASCII) and re.fullmatch(_PROVIDER_ARN, provider, re.ASCII):
                return SAMLRole(role, provider)
    return None
