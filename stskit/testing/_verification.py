"""Verify proofs of an identity provider as STS does, and read their content."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from stskit.errors import ProofInvalid
from stskit.proofs import SAMLAssertion
from stskit.proofs.saml_parser import is_aws
from stskit.roles import RoleARN
from stskit.testing import _signing
from stskit.testing._service_model import Refusal
from stskit.testing.identity_provider import IdentityProvider

__all__ = ["VerifiedAssertion", "VerifiedToken", "verify_assertion", "verify_token"]

_FIVE_MINUTES: Final = timedelta(minutes=5)
_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_NOT_A_JWT: Final = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"


@frozen
class VerifiedAssertion:
    """The content of a verified SAML response."""

    assertion: SAMLAssertion
    issuer: str
    subject: str
    session_name: str
    recipient: str


@frozen
class VerifiedToken:
    """The content of a verified token."""

    subject: str
    audience: str


def verify_assertion(
    text: str, idp: IdentityProvider, role: RoleARN, provider: str, now: datetime
) -> VerifiedAssertion:
    """Return the content of a SAML response. Raises `Refusal` if STS would refuse it for the role."""
    try:
        xml = b64decode(text, validate=True)
        xml.decode()
        assertion = SAMLAssertion(text, provider)
        issuer, issued = assertion.issuer, assertion.issued_at
    except (ValueError, ProofInvalid):
        raise _invalid("Your request included an invalid SAML response.") from None
    if issuer != idp.issuer:
        raise _invalid("Issuer not present in specified provider")
    if not _signing.is_assertion_signed(xml):
        raise _invalid("Response signature invalid")
    if not any(is_aws(each) for each in assertion.audiences):
        raise _invalid("Response does not contain the required audience.")
    _check_times(assertion, issued, now)
    name = assertion.session_name or ""
    if not name:
        raise _invalid("RoleSessionName is required in AuthnResponse")
    if not _NAME.fullmatch(name):
        raise _invalid("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
    source = assertion.source_identity
    if source is not None and (source.startswith("aws:") or not _NAME.fullmatch(source)):
        raise _invalid('Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"')
    if not any((each.role_arn, each.principal_arn) == (str(role), provider) for each in assertion.roles):
        raise Refusal("AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML", 403)
    return VerifiedAssertion(assertion, idp.issuer, assertion.subject or "", name, assertion.recipient or "")


def _check_times(assertion: SAMLAssertion, issued: datetime | None, now: datetime) -> None:
    begin, end = assertion.not_before, assertion.not_on_or_after
    if (begin and now < begin) or issued is None or now < issued:
        raise _invalid("Response is not yet valid")
    if now >= issued + _FIVE_MINUTES or (end and now >= end):
        raise Refusal("ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")


def verify_token(text: str, idp: IdentityProvider, now: datetime) -> VerifiedToken:
    """Return the content of a token. Raises `Refusal` if STS would refuse it."""
    header, claims = _signing.unverified(text)
    if not header or not claims:
        raise _invalid(_NOT_A_JWT)
    issuer, subject = claims.get("iss"), claims.get("sub")
    if issuer != idp.issuer:
        raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")
    if not _signing.is_token_signed(text):
        raise _invalid("The web identity token that was passed could not be validated by AWS: its signature is invalid")
    _check_claims(claims, now)
    claim = claims.get("aud")
    audiences = claim if isinstance(claim, list) else [claim]
    audience = next((each for each in audiences if each in idp.audiences), None)
    if audience is None:
        raise _invalid("Incorrect token audience")
    if not isinstance(subject, str) or not subject:
        raise _invalid("Missing a required claim: sub")
    return VerifiedToken(subject, audience)


def _check_claims(claims: Mapping[str, Any], now: datetime) -> None:
    seconds = int(now.timestamp())
    for name in ("exp", "iat"):
        if not isinstance(claims.get(name), int | float):
            raise _invalid(f"Missing a required claim: {name}")
    if seconds >= claims["exp"]:
        raise Refusal(
            "ExpiredTokenException",
            f"Token expired: current date/time {seconds} must be before the expiration date/time {claims['exp']}",
        )
    begin = claims.get("nbf", claims["iat"])
    if isinstance(begin, int | float) and seconds < begin:
        raise _invalid(f"Token is not yet valid: current date/time {seconds} must be after {begin}")


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidIdentityToken", message)
