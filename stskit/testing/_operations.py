"""The operations of STS: their checks with the messages of AWS, and their results.

https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha1
from typing import Any, Final, TypeAlias

from attrs import evolve

from stskit.errors import ProofInvalid
from stskit.roles import RoleARN
from stskit.testing._account import (
    HOUR,
    Account,
    Principal,
    RequestContext,
    RoleSession,
    credentials_part,
    issue,
    parse_role,
)
from stskit.testing._service_model import Refusal, access_denied
from stskit.testing._verification import verify_assertion, verify_token
from stskit.testing.trust import Trust

__all__ = ["OPERATIONS", "SIGNED"]

_HALF_A_DAY: Final = 43_200  # seconds; the default duration of GetSessionToken

Operation: TypeAlias = Callable[[Account, RequestContext], dict[str, Any]]


def assume_role(account: Account, request: RequestContext) -> dict[str, Any]:
    """Execute AssumeRole."""
    role, caller = parse_role(request.parameters["RoleArn"]), request.signer
    trust = account.trust_of(role)
    mfa = _mfa_present(account, request)
    if trust is None or not _admits(trust, request, mfa=mfa):
        raise _not_authorized("sts:AssumeRole", caller, role)
    tags, transitive = _checked_tags(request)
    if not trust.admits_tags(*tags, *caller.tags):
        raise _not_authorized("sts:TagSession", caller, role)
    source_identity = request.parameters.get("SourceIdentity", caller.source_identity)
    changed = caller.source_identity not in (None, source_identity)
    if changed or (trust.source_identity and source_identity is None):
        raise _not_authorized("sts:SetSourceIdentity", caller, role)
    name = request.parameters["RoleSessionName"]
    return issue(account, request, RoleSession(role, trust, name, tags, transitive, caller.tags, source_identity))


def assume_role_with_saml(account: Account, request: RequestContext) -> dict[str, Any]:
    """Execute AssumeRoleWithSAML."""
    role, provider = parse_role(request.parameters["RoleArn"]), request.parameters["PrincipalArn"]
    trust = account.trust_of(role)
    if provider.split(":")[4:5] != [role.account or ""]:
        raise Refusal("ValidationError", "Principal exists outside the account of the Role being assumed")
    if provider != account.idp.provider_arn(str(role)):
        raise Refusal("InvalidIdentityToken", "Specified provider doesn't exist")
    found = verify_assertion(request.parameters["SAMLAssertion"], account.idp, role, provider, request.now)
    assertion = found.assertion
    if trust is None or not _admits_federated(
        trust, provider, found.subject, assertion.tags, assertion.source_identity
    ):
        raise access_denied("Not authorized to perform sts:AssumeRoleWithSAML")
    try:
        duration = assertion.session_duration
    except ProofInvalid as error:
        raise Refusal("ValidationError", error.message) from None
    default = int(duration.total_seconds()) if duration else HOUR
    session = RoleSession(
        *(role, trust, found.session_name, assertion.tags, assertion.transitive_tag_keys),
        source_identity=assertion.source_identity,
        default_duration=default,
        latest_end=assertion.session_not_on_or_after,
    )
    qualifier = sha1(f"{found.issuer}{role.account or ''}/{account.idp.name}".encode(), usedforsecurity=False).digest()
    return issue(account, request, session) | {
        "Subject": found.subject,
        "SubjectType": "persistent",
        "Issuer": found.issuer,
        "Audience": found.recipient,
        "NameQualifier": b64encode(qualifier).decode(),
    }


def assume_role_with_web_identity(account: Account, request: RequestContext) -> dict[str, Any]:
    """Execute AssumeRoleWithWebIdentity."""
    role = parse_role(request.parameters["RoleArn"])
    trust = account.trust_of(role)
    token = verify_token(request.parameters["WebIdentityToken"], account.idp, request.now)
    if trust is None or not _admits_federated(trust, account.idp.issuer, token.subject, {}, None):
        raise access_denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
    session = RoleSession(role, trust, request.parameters["RoleSessionName"])
    return issue(account, request, session) | {
        "SubjectFromWebIdentityToken": token.subject,
        "Audience": token.audience,
        "Provider": account.idp.issuer,
    }


def get_session_token(account: Account, request: RequestContext) -> dict[str, Any]:
    """Execute GetSessionToken."""
    if request.signer.session_token is not None:
        raise access_denied("Cannot call GetSessionToken with session credentials")
    template = evolve(request.signer, mfa=_mfa_present(account, request))
    duration = timedelta(seconds=request.parameters.get("DurationSeconds", _HALF_A_DAY))
    return credentials_part(
        account.add_session(template, request.now, duration, request.parameters.get("MinimumSessionTokenSize", 0))
    )


def get_caller_identity(_account: Account, request: RequestContext) -> dict[str, Any]:
    """Execute GetCallerIdentity."""
    return {"UserId": request.signer.user_id, "Account": request.signer.account, "Arn": request.signer.arn}


OPERATIONS: Final[Mapping[str, Operation]] = {
    "AssumeRole": assume_role,
    "AssumeRoleWithSAML": assume_role_with_saml,
    "AssumeRoleWithWebIdentity": assume_role_with_web_identity,
    "GetCallerIdentity": get_caller_identity,
    "GetSessionToken": get_session_token,
}
SIGNED: Final = ("AssumeRole", "GetCallerIdentity", "GetSessionToken")


def _admits(trust: Trust, request: RequestContext, *, mfa: bool) -> bool:
    caller = request.signer
    names = (caller.arn, *([caller.role_arn] if caller.role_arn else []))
    external_id = trust.external_id in (None, request.parameters.get("ExternalId"))
    return trust.admits_caller(*names) and external_id and (mfa or not trust.mfa)


def _admits_federated(
    trust: Trust, provider: str, subject: str, tags: Mapping[str, str], source_identity: str | None
) -> bool:
    if trust.mfa or trust.external_id or (trust.source_identity and not source_identity):
        return False
    return trust.admits_caller(provider) and trust.admits_subject(subject) and trust.admits_tags(*tags)


def _mfa_present(account: Account, request: RequestContext) -> bool:
    """Return whether this call, or the one that returned the user's session, has an MFA code. A code is valid once.

    A role session is never authenticated with MFA.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
    """
    serial, code = request.parameters.get("SerialNumber"), request.parameters.get("TokenCode")
    if serial is None and code is None:
        return request.signer.mfa
    if serial is None or code is None:
        raise access_denied(
            "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code."
        )
    if request.signer.role_arn is not None:  # only users have MFA devices
        raise access_denied(
            "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is "
            "valid and associated with this user."
        )
    if (serial, code) in account.used_codes:
        raise access_denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
    account.used_codes.add((serial, code))
    return True


def _checked_tags(request: RequestContext) -> tuple[dict[str, str], tuple[str, ...]]:
    listed = request.parameters.get("Tags", [])
    tags = {tag["Key"]: tag["Value"] for tag in listed}
    transitive = tuple(request.parameters.get("TransitiveTagKeys", []))
    if len({key.lower() for key in tags}) < len(listed):
        raise Refusal(
            "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    if not {*transitive} <= {*tags}:
        raise Refusal(
            "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."
        )
    if {key.lower() for key in tags} & {key.lower() for key in request.signer.tags}:
        raise Refusal(
            "InvalidParameterValue",
            "One of the specified tag keys can't be set because it conflicts with a transitive tag key from the "
            "calling session.",
        )
    return tags, transitive


def _not_authorized(action: str, caller: Principal, role: RoleARN) -> Refusal:
    return access_denied(f"User: {caller.arn} is not authorized to perform: {action} on resource: {role}")
