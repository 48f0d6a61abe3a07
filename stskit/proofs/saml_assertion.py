"""SAML assertions, one of the three kinds of proof that STS accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import field, frozen

from stskit._arguments import check_type, optional_shown_text
from stskit._time import instant
from stskit.credentials import Secret, check_secret, secret, shown_end, shown_identity
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
    """A role that a SAML assertion offers.

    Args:
        role_arn: Role ARN.
        principal_arn: ARN of the SAML provider in IAM that belongs to the role.

    Example:
        >>> from stskit.sources import SAMLFile
        >>> SAMLFile("samlresponse.log").fetch().roles[0].role_arn
        'arn:aws:iam::123456789012:role/Deploy'
    """

    role_arn: str
    principal_arn: str


@init_without_frames
@frozen(repr=False)
class SAMLAssertion:
    """A SAML 2.0 response of an identity provider, as base64 on one line.

    The properties show what the assertion says. They are not verified (STS does that), so do not trust them for
    security. A property is None or empty if the assertion does not have it, and raises `ProofInvalid` if the assertion
    is encrypted or cannot be read. Times are in UTC.

    Args:
        value: The response in base64.
        principal_arn: ARN of the SAML provider in IAM. Defaults to the one that the assertion lists with the role.

    Raises:
        ProofInvalid: If the value is empty.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from pathlib import Path
        >>> from stskit import SAMLAssertion
        >>> assertion = SAMLAssertion.from_text(Path("samlresponse.log").read_text())
        >>> assertion
        <SAMLAssertion of 'alice' from 'https://idp.example.com': 2 roles, valid until ... UTC>

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithSAML.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
    """

    value: Secret = field(converter=secret, validator=check_secret)
    principal_arn: str | None = field(default=None, validator=optional_shown_text)
    _parsed: Response | None = field(default=None, init=False, repr=False, eq=False)

    def __repr__(self) -> str:
        try:
            if self.is_encrypted:
                return "<SAMLAssertion: encrypted>"
            end = self.not_on_or_after
            roles = f"{len(self.roles)} role{'' if len(self.roles) == 1 else 's'}"
            return f"<SAMLAssertion{shown_identity(self.subject, self.issuer)}: {roles}{shown_end(end)}>"
        except ProofInvalid:
            return "<SAMLAssertion: not readable>"

    @classmethod
    @without_frames
    def from_text(cls, text: str, principal_arn: str | None = None) -> SAMLAssertion:
        """Read a saved SAML response: base64, URL-encoded, XML, a form body or a browser log. Times are not checked.

        Args:
            text: The text that was saved.
            principal_arn: ARN of the SAML provider in IAM. Defaults to the one that the assertion lists with the role.

        Returns:
            The assertion. Of several responses, the newest that was posted to AWS.

        Raises:
            ProofInvalid: If the text contains no SAML response.
            TypeError: If an argument has the wrong type.
        """
        from stskit.proofs import browser_log

        check_type("text", text, str, "text")
        return cls.from_encoding(browser_log.newest(text).value, principal_arn)

    @classmethod
    @without_frames
    def from_encoding(cls, text: str, principal_arn: str | None = None) -> SAMLAssertion:
        """Read a SAML response as base64, URL-encoded base64 or XML. Its times are not checked.

        Args:
            text: The response.
            principal_arn: ARN of the SAML provider in IAM. Defaults to the one that the assertion lists with the role.

        Returns:
            The assertion.

        Raises:
            ProofInvalid: If the text is not a SAML response.
        """
        from stskit.proofs import saml_encoding

        decoded = saml_encoding.decode(text)
        assertion = cls(decoded.value, principal_arn)
        object.__setattr__(assertion, "_parsed", decoded.response)
        return assertion

    @property
    def is_encrypted(self) -> bool:
        """Whether the assertion is encrypted, so that only AWS can read it. Sending it needs `principal_arn`."""
        return self._response().encrypted

    @property
    def roles(self) -> tuple[SAMLRole, ...]:
        """The offered roles, in the order of the assertion. Malformed values of the attribute Role are skipped."""
        pairs = (_pair(value) for value in self._attribute("Role"))
        return tuple(dict.fromkeys(pair for pair in pairs if pair is not None))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The names of all attributes, in the order of the assertion."""
        return tuple(self._open().attributes)

    @property
    def invalid_role_count(self) -> int:
        """The number of malformed values of the attribute Role, which must be pairs of two ARNs."""
        return sum(_pair(value) is None for value in self._attribute("Role"))

    @property
    def session_name(self) -> str | None:
        """The session name, from the attribute RoleSessionName."""
        return _first(self._attribute("RoleSessionName"))

    @property
    def session_duration(self) -> timedelta | None:
        """The longest session that the assertion allows, from the attribute SessionDuration; 900 to 43,200 seconds."""
        value = _first(self._attribute("SessionDuration"))
        if value is None:
            return None
        if re.fullmatch(r"\d{1,9}", value, re.ASCII) and 900 <= int(value) <= 43_200:
            return timedelta(seconds=int(value))
        raise ProofInvalid(
            f"SessionDuration of the SAML assertion is {value[:20]!r}, but STS allows 900 to 43,200 seconds.",
            remedy="Correct the attribute in the identity provider.",
        )

    @property
    def source_identity(self) -> str | None:
        """The source identity of the session, from the attribute SourceIdentity."""
        return _first(self._attribute("SourceIdentity"))

    @property
    def tags(self) -> Mapping[str, str]:
        """The session tags, from the attributes that begin with PrincipalTag."""
        start = f"{_AWS}PrincipalTag:"
        attributes = self._open().attributes
        return {name.removeprefix(start): values[0] for name, values in attributes.items() if name.startswith(start)}

    @property
    def transitive_tag_keys(self) -> tuple[str, ...]:
        """The keys of tags that are passed on to chained roles, from the attribute TransitiveTagKeys."""
        return tuple(self._attribute("TransitiveTagKeys"))

    @property
    def issuer(self) -> str | None:
        """The entity ID of the identity provider."""
        return _first(self._texts("Issuer"))

    @property
    def subject(self) -> str | None:
        """The user who signed in, from the element NameID."""
        return _first(self._texts("NameID"))

    @property
    def audiences(self) -> tuple[str, ...]:
        """All audiences of the assertion."""
        return self._texts("Audience")

    @property
    def audience(self) -> str | None:
        """The audience that is AWS, else the first audience."""
        from stskit.proofs.saml_parser import is_aws

        return _first([each for each in self.audiences if is_aws(each)]) or _first(self.audiences)

    @property
    def recipient(self) -> str | None:
        """The URL that the response was posted to. Trust policies compare it as ``SAML:aud``."""
        return _first(self._texts("Recipient"))

    @property
    def issued_at(self) -> datetime | None:
        """When the assertion was issued. STS accepts it for five minutes from then."""
        return _first(self._moments("IssueInstant"))

    @property
    def not_before(self) -> datetime | None:
        """When the assertion becomes valid, from its conditions and the confirmation of its subject."""
        return max([*self._moments("NotBefore"), *self._moments("confirmed NotBefore")], default=None)

    @property
    def not_on_or_after(self) -> datetime | None:
        """When the assertion expires. If its subject has several confirmations, the latest of them is used."""
        confirmed = max(self._moments("confirmed NotOnOrAfter"), default=None)
        return min([*self._moments("NotOnOrAfter"), *([confirmed] if confirmed else [])], default=None)

    @property
    def session_not_on_or_after(self) -> datetime | None:
        """When every session of this sign-in expires, whatever its duration."""
        return min(self._moments("SessionNotOnOrAfter"), default=None)

    def principal_for(self, role_arn: str) -> str:
        """Return the ARN of the SAML provider for a role: `principal_arn`, else the one that the assertion lists.

        Args:
            role_arn: Role ARN.

        Returns:
            ARN of the SAML provider in IAM.

        Raises:
            RoleNotOffered: If the assertion does not offer the role.
            ProofInvalid: If the assertion cannot be read.
        """
        offered = {role.role_arn: role.principal_arn for role in (self.roles if self._can_be_read() else ())}
        if role_arn in offered:
            return self.principal_arn or offered[role_arn]
        if self.principal_arn is not None and not offered:
            return self.principal_arn
        listed = f"It offers: {', '.join(offered)}." if offered else "It offers no role."
        grant = "rant the role in the identity provider and sign in again."
        raise RoleNotOffered(
            f"The SAML assertion does not offer {role_arn}. {listed}{self.similar_names('Role')}",
            tuple(offered),
            remedy=f"Pass one of these roles, or g{grant}" if offered else f"G{grant}",
            option="role",
        )

    def check_duration(self, seconds: int | None) -> None:
        """Check a duration against `session_duration`.

        Args:
            seconds: The duration. None is always valid.

        Raises:
            RoleError: If the duration is longer.
            ProofInvalid: If the assertion cannot be read.
        """
        longest = self.session_duration if seconds is not None and self._can_be_read() else None
        if longest is not None and timedelta(seconds=seconds or 0) > longest:
            raise RoleError(
                f"duration is {seconds} seconds, but the SAML assertion allows {longest.total_seconds():.0f}.",
                remedy="Pass a shorter duration, or raise the attribute SessionDuration in the identity provider.",
                cli_message=f"is {seconds} seconds, but the SAML assertion allows {longest.total_seconds():.0f}.",
                option="duration",
            )

    def similar_names(self, attribute: str) -> str:
        """Return a sentence about attributes with a similar name, if an attribute of AWS is missing.

        Args:
            attribute: Name of the attribute, for example ``"Role"``.

        Returns:
            The sentence with a leading space, or "" if the attribute is there.

        Raises:
            ProofInvalid: If the assertion cannot be read.
        """
        if self._attribute(attribute):
            return ""
        similar = [each for each in self.attribute_names if _last_part(each) == attribute.lower()]
        names = similar or list(self.attribute_names)
        if not names:
            return f" It has no attributes, but AWS reads {_AWS}{attribute}."
        listed = ", ".join(ascii(each[:100]) for each in names[:10])
        return f" AWS reads the attribute {_AWS}{attribute}, but the assertion has {listed}."

    def check_for_aws(self, duration: int | None = None) -> None:
        """Refuse an assertion that AWS always refuses. Call it only if the assertion is sent to AWS.

        An assertion that cannot be read is not refused.

        Args:
            duration: The duration of the session in seconds. Defaults to none.

        Raises:
            RoleError: If the duration is longer than `session_duration`.
            ProofInvalid: If the audience is not AWS, or RoleSessionName or SourceIdentity is not valid.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
        """
        from stskit.proofs.saml_parser import is_aws

        if not self._can_be_read():
            return
        self.check_duration(duration)
        if self.audiences and not any(map(is_aws, self.audiences)):
            raise ProofInvalid(
                f"The SAML assertion was issued for {', '.join(self.audiences)[:200]}, not for AWS.",
                remedy="Save the response that the browser posts to the AWS sign-in page.",
                option="audience",
            )
        if self.session_name is None:
            raise ProofInvalid(
                f"The SAML assertion has no session name.{self.similar_names('RoleSessionName')}",
                remedy="Send the attribute RoleSessionName from the identity provider.",
            )
        _check_name("RoleSessionName", self.session_name, _NAME)
        if self.source_identity is not None:
            _check_name("SourceIdentity", self.source_identity, f"(?!aws:){_NAME}", ", and must not begin with aws:")

    def _can_be_read(self) -> bool:
        """Return whether the assertion can be checked. With a `principal_arn`, an unreadable one is left to AWS."""
        try:
            return self._response().encrypted is False or self.principal_arn is None
        except ProofInvalid:
            if self.principal_arn is not None:
                return False
            raise

    def _response(self) -> Response:
        if self._parsed is None:
            from stskit.proofs.saml_parser import read

            # parsed once, because a thousand roles may be searched in one assertion
            object.__setattr__(self, "_parsed", read(self.value))
        assert self._parsed is not None
        return self._parsed

    def _open(self) -> Response:
        if self._response().encrypted:
            raise ProofInvalid(
                "The SAML assertion is encrypted, so only AWS can read it.",
                remedy="Pass the role ARN and the SAML provider: "
                "SAMLFile(path, principal_arn='arn:aws:iam::ACCOUNT:saml-provider/NAME').",
                cli_remedy="Pass the role ARN and the SAML provider: "
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
                f"{what} of the SAML assertion is not a valid date and time.",
                remedy="Correct it in the identity provider.",
            ) from None


def _first(values: Sequence[T]) -> T | None:
    return values[0] if values else None


def _last_part(name: str) -> str:
    return re.split(r"[/:]", name.strip())[-1].lower()


def _check_name(attribute: str, value: str, pattern: str, rule: str = "") -> None:
    if not re.fullmatch(pattern, value, re.ASCII):
        raise ProofInvalid(
            f"{attribute} of the SAML assertion is {value[:70]!a}, but STS allows 2 to 64 letters, digits and "
            f"_+=,.@-{rule}.",
            remedy="Correct the attribute in the identity provider.",
        )


def _pair(value: str) -> SAMLRole | None:
    """Return the two ARNs of a value, which can be in either order."""
    parts = [part.strip() for part in re.split(r",(?=\s*arn:)", value)]  # role names may contain commas
    if len(parts) == 2:
        for role, provider in (parts, parts[::-1]):
            if re.fullmatch(_ROLE_ARN, role, re.ASCII) and re.fullmatch(_PROVIDER_ARN, provider, re.ASCII):
                return SAMLRole(role, provider)
    return None
