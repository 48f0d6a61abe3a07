"""The operations of STS, side by side: what each checks, in AWS's own words, and what it gives.

https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha1
from typing import Any, Final, TypeAlias

from attrs import evolve

from stskit.roles import RoleARN
from stskit.testing._federation import assertion_in, token_in
from stskit.testing._refusal import Refusal, denied
from stskit.testing._sessions import HOUR, Ask, Session, given, keys
from stskit.testing._world import Principal, World, role_of
from stskit.testing.trust import Trust

__all__ = ["OPERATIONS", "SIGNED"]

_HALF_A_DAY: Final = 43_200  # seconds: what a user's session lasts where nobody says


Operation: TypeAlias = Callable[[World, Ask], dict[str, Any]]


def assume_role(world: World, ask: Ask) -> dict[str, Any]:
    """AssumeRole."""
    role, caller = role_of(ask.parameters["RoleArn"]), ask.signer
    trust = world.trust(role)
    mfa = _authenticated(world, ask)
    if trust is None or not _admits(trust, ask, mfa=mfa):
        raise _not_authorized("sts:AssumeRole", caller, role)
    tags, transitive = _tags(ask)
    if not trust.admits_tags(*tags, *caller.tags):
        raise _not_authorized("sts:TagSession", caller, role)
    source_identity = ask.parameters.get("SourceIdentity", caller.source_identity)
    changed = caller.source_identity not in (None, source_identity)
    if changed or (trust.source_identity and source_identity is None):
        raise _not_authorized("sts:SetSourceIdentity", caller, role)
    name = ask.parameters["RoleSessionName"]
    return given(world, ask, Session(role, trust, name, tags, transitive, caller.tags, source_identity))


def assume_role_with_saml(world: World, ask: Ask) -> dict[str, Any]:
    """AssumeRoleWithSAML."""
    role, provider = role_of(ask.parameters["RoleArn"]), ask.parameters["PrincipalArn"]
    trust = world.trust(role)
    if provider.split(":")[4:5] != [role.account or ""]:
        raise Refusal("ValidationError", "Principal exists outside the account of the Role being assumed")
    if provider != world.idp.provider_arn(str(role)):
        raise Refusal("InvalidIdentityToken", "Specified provider doesn't exist")
    found = assertion_in(ask.parameters["SAMLAssertion"], world.idp, role, provider, ask.now)
    said = found.said
    if trust is None or not _admits_federated(trust, provider, found.subject, said.tags, said.source_identity):
        raise denied("Not authorized to perform sts:AssumeRoleWithSAML")
    default = int(said.session_duration.total_seconds()) if said.session_duration else HOUR
    session = Session(
        *(role, trust, found.session_name, said.tags, said.transitive_tag_keys),
        source_identity=said.source_identity,
        default=default,
        end=said.session_not_on_or_after,
    )
    qualifier = sha1(f"{found.issuer}{role.account or ''}/{world.idp.name}".encode(), usedforsecurity=False).digest()
    return given(world, ask, session) | {
        "Subject": found.subject,
        "SubjectType": "persistent",
        "Issuer": found.issuer,
        "Audience": found.recipient,
        "NameQualifier": b64encode(qualifier).decode(),
    }


def assume_role_with_web_identity(world: World, ask: Ask) -> dict[str, Any]:
    """AssumeRoleWithWebIdentity."""
    role = role_of(ask.parameters["RoleArn"])
    trust = world.trust(role)
    token = token_in(ask.parameters["WebIdentityToken"], world.idp, ask.now)
    if trust is None or not _admits_federated(trust, world.idp.issuer, token.subject, {}, None):
        raise denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
    session = Session(role, trust, ask.parameters["RoleSessionName"])
    return given(world, ask, session) | {
        "SubjectFromWebIdentityToken": token.subject,
        "Audience": token.audience,
        "Provider": world.idp.issuer,
    }


def get_session_token(world: World, ask: Ask) -> dict[str, Any]:
    """GetSessionToken."""
    if ask.signer.session_token is not None:
        raise denied("Cannot call GetSessionToken with session credentials")
    like = evolve(ask.signer, mfa=_authenticated(world, ask))
    lasts = timedelta(seconds=ask.parameters.get("DurationSeconds", _HALF_A_DAY))
    return keys(world.add_session(like, ask.now, lasts, ask.parameters.get("MinimumSessionTokenSize", 0)))


def get_caller_identity(_world: World, ask: Ask) -> dict[str, Any]:
    """GetCallerIdentity."""
    return {"UserId": ask.signer.user_id, "Account": ask.signer.account, "Arn": ask.signer.arn}


OPERATIONS: Final[Mapping[str, Operation]] = {
    "AssumeRole": assume_role,
    "AssumeRoleWithSAML": assume_role_with_saml,
    "AssumeRoleWithWebIdentity": assume_role_with_web_identity,
    "GetCallerIdentity": get_caller_identity,
    "GetSessionToken": get_session_token,
}
SIGNED: Final = ("AssumeRole", "GetCallerIdentity", "GetSessionToken")


def _admits(trust: Trust, ask: Ask, *, mfa: bool) -> bool:
    caller = ask.signer
    names = (caller.arn, *([caller.role_arn] if caller.role_arn else []))
    external_id = trust.external_id in (None, ask.parameters.get("ExternalId"))
    return trust.admits_caller(*names) and external_id and (mfa or not trust.mfa)


def _admits_federated(
    trust: Trust, provider: str, subject: str, tags: Mapping[str, str], source_identity: str | None
) -> bool:
    if trust.mfa or trust.external_id or (trust.source_identity and not source_identity):
        return False
    return trust.admits_caller(provider) and trust.admits_subject(subject) and trust.admits_tags(*tags)


def _authenticated(world: World, ask: Ask) -> bool:
    """Whether an MFA code came, now or when the session of the user was made. A code counts once.

    Sessions of roles do not know of any.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
    """
    serial, code = ask.parameters.get("SerialNumber"), ask.parameters.get("TokenCode")
    if serial is None and code is None:
        return ask.signer.mfa
    if serial is None or code is None:
        raise denied("MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
    if ask.signer.role_arn is not None:  # only users have devices
        raise denied(
            "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is "
            "valid and associated with this user."
        )
    if (serial, code) in world.codes:
        raise denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
    world.codes.add((serial, code))
    return True


def _tags(ask: Ask) -> tuple[dict[str, str], tuple[str, ...]]:
    listed = ask.parameters.get("Tags", [])
    tags = {tag["Key"]: tag["Value"] for tag in listed}
    transitive = tuple(ask.parameters.get("TransitiveTagKeys", []))
    if len({key.lower() for key in tags}) < len(listed):
        raise Refusal(
            "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    if not {*transitive} <= {*tags}:
        raise Refusal(
            "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."
        )
    if {key.lower() for key in tags} & {key.lower() for key in ask.signer.tags}:
        raise Refusal(
            "InvalidParameterValue",
            "One of the specified tag keys can't be set because it conflicts with a transitive tag key from the "
            "calling session.",
        )
    return tags, transitive


def _not_authorized(action: str, caller: Principal, role: RoleARN) -> Refusal:
    return denied(f"User: {caller.arn} is not authorized to perform: {action} on resource: {role}")
