"""What can be told of a proof or a policy that STS has refused: claims and times, and never the proof itself."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from stskit.credentials import Credentials
from stskit.errors import ProofInvalid
from stskit.proofs import Proof, SAMLAssertion

__all__ = ["of_policy", "of_proof"]

_MOST_ROLES: Final = 20  # of those that an assertion offers
_OF_TOKEN: Final = {
    "issuer": "issuer",
    "audience": "audience",
    "subject": "subject",
    "not_before": "valid from",
    "expiration": "valid until",
}
_OF_SAML: Final = {
    "issuer": "issuer",
    "audience": "audience",
    "recipient": "recipient",
    "session_name": "session name",
    "issued_at": "made at",
    "not_before": "valid from",
    "not_on_or_after": "valid until",
}


def of_proof(proof: Proof) -> str:
    """A sentence about *proof*; "" where nothing is known."""
    if isinstance(proof, Credentials):
        who = f" of {proof.assumed_role_arn}" if proof.assumed_role_arn else ""
        end = f", and ended or end at {proof.expiration}" if proof.expiration else ""
        return f"The call was signed with {proof.access_key_id}{who}{end}."
    is_saml = isinstance(proof, SAMLAssertion)
    found = {label: _known(proof, name) for name, label in (_OF_SAML if is_saml else _OF_TOKEN).items()}
    said = ", ".join(f"{label} {value}" for label, value in found.items() if value is not None)
    offered = _offered(proof) if isinstance(proof, SAMLAssertion) else ""
    return f"The {'assertion' if is_saml else 'token'} says: {said}.{offered}" if said else ""


def of_policy(policy: str) -> str:
    """A sentence about what is wrong with *policy* as JSON; "" where nothing is."""
    import json

    try:
        json.loads(policy)
    except json.JSONDecodeError as error:
        return f"It is no JSON from line {error.lineno}, column {error.colno} on ({error.msg})."
    except RecursionError:
        return "It is nested too deep."
    return f"It has {len(policy):,} characters."


def _offered(assertion: SAMLAssertion) -> str:
    roles = [role.role_arn for role in _known(assertion, "roles") or ()]
    if not roles:
        return ""
    more = f" and {len(roles) - _MOST_ROLES} more" if len(roles) > _MOST_ROLES else ""
    return f" It offers: {', '.join(roles[:_MOST_ROLES])}{more}."


def _known(proof: Proof, name: str) -> Any:
    with suppress(ProofInvalid):  # encrypted, or no assertion at all
        value = getattr(proof, name)
        return f"{value[:200]!r}" if isinstance(value, str) else value
    return None
