"""Who is behind a proof, for the keys of caches: texts that differ between users and hold nothing secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import attrs

from stskit.credentials import Credentials
from stskit.mfa import MFA
from stskit.proofs import Proof, SAMLAssertion, WebIdentityToken
from stskit.roles import ProvidedContext, Role, default_session_name

__all__ = ["digest", "identity_of", "proof_key", "role_key", "session_key"]

_AWS: Final = "https://aws.amazon.com/"
_CLAIMS: Final = ("iss", "sub", "aud", "azp", f"{_AWS}tags", f"{_AWS}source_identity")


def identity_of(part: object) -> str | None:
    """Return the attribute ``identity`` of a source or an STS; None where it has none, or one that is no text."""
    identity = getattr(part, "identity", None)
    return identity if isinstance(identity, str) and identity else None


def digest(*parts: object) -> str:
    """One short text for all *parts*, from which none of them can be read; hexadecimal."""
    import hashlib
    import json

    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def proof_key(proof: Proof) -> str | None:
    """Whose *proof* it is, as it says itself; None for a token that says nothing. Raises `ProofInvalid` where it cannot
    be read.
    """
    match proof:
        case Credentials():
            return digest("key", proof.access_key_id)
        case SAMLAssertion():
            return _of_assertion(proof)
        case _:
            return _of_token(proof)


def role_key(role: Role, source: str | None, sts: object) -> str | None:
    """*role* and each of its options, for whom *source* says it is, by *sts*; None where *source* says nothing."""
    if source is None:
        return None
    session = role.session_name or os.environ.get("AWS_ROLE_SESSION_NAME") or default_session_name()
    options = attrs.asdict(role, recurse=False) | {"session_name": session, "extra": _ordered(role.extra)}
    return digest("role", options, source, _server(sts))


def session_key(source: str | None, duration: int | None, mfa: MFA | None, sts: object) -> str | None:
    """The same for a session of the user's own."""
    return source and digest("session", duration, mfa, source, _server(sts))


def _server(sts: object) -> str:
    return identity_of(sts) or f"{type(sts).__module__}.{type(sts).__qualname__}"


def _ordered(value: object) -> object:
    """Whatever a parameter may be, in an order of its own."""
    match value:
        case Mapping():
            return sorted([repr(key), _ordered(each)] for key, each in value.items())
        case list() | tuple():
            return [_ordered(each) for each in value]
        case set() | frozenset():
            return sorted(map(repr, value))
    return value


def _of_assertion(assertion: SAMLAssertion) -> str | None:
    if assertion.is_encrypted:
        return digest("saml", assertion.principal_arn, assertion.value)
    if assertion.subject is None:
        return None
    tags = dict(assertion.tags), assertion.transitive_tag_keys
    session = assertion.session_name, assertion.session_duration, assertion.source_identity, tags
    offered = sorted((role.role_arn, role.principal_arn) for role in assertion.roles)
    return digest("saml", assertion.principal_arn, assertion.issuer, assertion.subject, session, offered)


def _of_token(token: WebIdentityToken) -> str | None:
    claims = token.claims if token.is_jwt else {}
    if not claims.get("sub"):
        return None
    told = [claims.get(name) for name in _CLAIMS]
    return digest("token", token.provider_id, told)


def _plain(value: object) -> object:
    match value:
        case MFA():
            return "mfa", value.serial  # a code is of the moment
        case ProvidedContext():
            return value.provider_arn, value.context_assertion
    return str(value)
