"""What STS asks of a proof that an identity provider signed, and what it learns from it."""

from __future__ import annotations

import json
import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from stskit.errors import ProofInvalid
from stskit.proofs import SAMLAssertion
from stskit.proofs.saml_xml import is_aws
from stskit.roles import RoleARN
from stskit.testing import _saml
from stskit.testing._refusal import Refusal
from stskit.testing.identity_provider import IdentityProvider

__all__ = ["Assertion", "Token", "assertion_in", "token_in"]

_FIVE_MINUTES: Final = timedelta(minutes=5)
_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_NO_JWT: Final = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"


@frozen
class Assertion:
    """What a sound SAML response says."""

    said: SAMLAssertion
    issuer: str
    subject: str
    session_name: str
    recipient: str


@frozen
class Token:
    """What a sound token says."""

    subject: str
    audience: str


def assertion_in(text: str, idp: IdentityProvider, role: RoleARN, provider: str, now: datetime) -> Assertion:
    """What the SAML response *text* says. Raises `Refusal` where STS would not take it for *role* and *provider*."""
    try:
        xml = b64decode(text, validate=True).decode()
        said = SAMLAssertion(text, provider)
        issuer, issued = said.issuer, said.issued_at
    except (ValueError, ProofInvalid):
        raise _invalid("Your request included an invalid SAML response.") from None
    if issuer != idp.issuer:
        raise _invalid("Issuer not present in specified provider")
    if not _saml.is_signed_by(xml, idp.key):
        raise _invalid("Response signature invalid")
    if not any(is_aws(each) for each in said.audiences):
        raise _invalid("Response does not contain the required audience.")
    _check_times(said, issued, now)
    name = said.session_name or ""
    if not name:
        raise _invalid("RoleSessionName is required in AuthnResponse")
    if not _NAME.fullmatch(name):
        raise _invalid("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
    source = said.source_identity
    if source is not None and (source.startswith("aws:") or not _NAME.fullmatch(source)):
        raise _invalid('Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"')
    if not any((each.role_arn, each.principal_arn) == (str(role), provider) for each in said.roles):
        raise Refusal("AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML", 403)
    return Assertion(said, idp.issuer, said.subject or "", name, said.recipient or "")


def _check_times(said: SAMLAssertion, issued: datetime | None, now: datetime) -> None:
    begin, end = said.not_before, said.not_on_or_after
    if (begin and now < begin) or issued is None or now < issued:
        raise _invalid("Response is not yet valid")
    if now >= issued + _FIVE_MINUTES or (end and now >= end):
        raise Refusal("ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")


def token_in(text: str, idp: IdentityProvider, now: datetime) -> Token:
    """What the token *text* says. Raises `Refusal` where STS would not take it."""
    parts = text.split(".")
    header, claims = (_decoded(part) for part in (parts[:2] if len(parts) == 3 else ("", "")))
    if not header or not claims:
        raise _invalid(_NO_JWT)
    issuer, subject = claims.get("iss"), claims.get("sub")
    if issuer != idp.issuer:
        raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")
    try:
        signature = urlsafe_b64decode(parts[2] + "=" * (-len(parts[2]) % 4))
    except ValueError:
        signature = b""
    genuine = idp.key.verifies(".".join(parts[:2]).encode(), signature)
    if not genuine or (header.get("alg"), header.get("kid")) != ("RS256", idp.key.key_id):
        raise _invalid("The web identity token that was passed could not be validated by AWS: its signature is invalid")
    _check_claims(claims, now)
    given = claims.get("aud")
    audiences = given if isinstance(given, list) else [given]
    audience = next((each for each in audiences if each in idp.audiences), None)
    if audience is None:
        raise _invalid("Incorrect token audience")
    if not isinstance(subject, str) or not subject:
        raise _invalid("Missing a required claim: sub")
    return Token(subject, audience)


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


def _decoded(part: str) -> Mapping[str, Any]:
    try:
        value = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidIdentityToken", message)
