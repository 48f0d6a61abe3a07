"""The state of `FakeSTS`: known principals, requirements of roles, used MFA codes, and new sessions."""

from __future__ import annotations

import json
import secrets
import zlib
from base64 import b32encode, b64encode
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from attrs import define, evolve, field, frozen

from stskit.credentials import Secret
from stskit.errors import RoleError
from stskit.roles import RoleARN
from stskit.testing._service_model import Refusal
from stskit.testing.identity_provider import IdentityProvider
from stskit.testing.trust import Trust

__all__ = [
    "HOUR",
    "Account",
    "Principal",
    "RequestContext",
    "RoleSession",
    "credentials_part",
    "issue",
    "new_key_id",
    "new_secret",
    "parse_role",
    "stable_id",
]

HOUR: Final = 3600  # seconds; the default duration of a session, and the longest of a chained role
_TOKEN: Final = 300  # bytes of a session token, similar to those of STS
_PACKED_LIMIT: Final = 2048  # bytes of a packed policy; an estimate, because AWS does not document its packing
_POLICIES: Final = 10  # from the API reference; the model has no limit


@frozen
class Principal:
    """A user with long-term keys, or a session. `tags` are passed on to chained roles."""

    arn: str
    user_id: str
    account: str
    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None
    expiration: datetime | None = None
    role_arn: str | None = None
    tags: Mapping[str, str] = field(factory=dict)
    source_identity: str | None = None
    mfa: bool = False


@define
class Account:
    """The state that remains between calls."""

    number: str
    idp: IdentityProvider
    roles: MutableMapping[str, Trust | None]
    others: Trust | None
    principals: dict[str, Principal] = field(factory=dict)
    used_codes: set[tuple[str, str]] = field(factory=set)

    def trust_of(self, role: RoleARN) -> Trust | None:
        """Return the requirements of a role, or None if it does not exist."""
        return self.roles.get(str(role), self.others)

    def add_session(self, template: Principal, now: datetime, duration: timedelta, token_size: int) -> Principal:
        """Add a session with new keys and a session token of at least *token_size* bytes, and return it."""
        token = b64encode(secrets.token_bytes(max(_TOKEN, token_size))).decode()
        session = evolve(
            template,
            access_key_id=new_key_id("ASIA"),
            secret_access_key=new_secret(),
            session_token=Secret(token),
            expiration=(now + duration).replace(microsecond=0),
        )
        self.principals[session.access_key_id] = session
        return session


@frozen
class RequestContext:
    """The parameters of a call, its caller and its time. `caller` is None for an unsigned operation."""

    parameters: Mapping[str, Any]
    caller: Principal | None
    now: datetime

    @property
    def signer(self) -> Principal:
        """The caller of a signed operation."""
        assert self.caller is not None
        return self.caller


@frozen
class RoleSession:
    """The description of a new role session."""

    role: RoleARN
    trust: Trust
    name: str
    tags: Mapping[str, str] = field(factory=dict)
    transitive: tuple[str, ...] = ()
    inherited: Mapping[str, str] = field(factory=dict)
    source_identity: str | None = None
    default_duration: int = HOUR
    latest_end: datetime | None = None


def issue(account: Account, request: RequestContext, session: RoleSession) -> dict[str, Any]:
    """Add a role session, and return the part of the response that all operations share."""
    role, name = session.role, session.name
    packed = _packed_size(request.parameters, {**session.inherited, **session.tags})
    duration = _duration(request, session)
    partition, number = role.partition, role.account or account.number
    template = Principal(
        arn=f"arn:{partition}:sts::{number}:assumed-role/{role.name}/{name}",
        user_id=f"{stable_id('AROA', str(role))}:{name}",
        account=number,
        access_key_id="",
        secret_access_key=Secret("-"),
        role_arn=str(role),
        tags={**session.inherited, **{key: session.tags[key] for key in session.transitive if key in session.tags}},
        source_identity=session.source_identity,
    )
    token_size = request.parameters.get("MinimumSessionTokenSize", 0)
    issued = account.add_session(template, request.now, duration, token_size)
    user = {"AssumedRoleUser": {"AssumedRoleId": issued.user_id, "Arn": issued.arn}}
    optional = {"PackedPolicySize": packed, "SourceIdentity": session.source_identity}
    return credentials_part(issued) | user | {key: value for key, value in optional.items() if value is not None}


def credentials_part(session: Principal) -> dict[str, Any]:
    """Return the part of a response with the credentials."""
    expiration = session.expiration
    return {
        "Credentials": {
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ") if expiration else None,
        }
    }


def _duration(request: RequestContext, session: RoleSession) -> timedelta:
    seconds = request.parameters.get("DurationSeconds")
    if request.caller and request.caller.role_arn and seconds is not None and seconds > HOUR:
        raise Refusal(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    if seconds is not None and seconds > session.trust.max_duration.total_seconds():
        raise Refusal(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    duration = timedelta(seconds=session.default_duration if seconds is None else seconds)
    duration = min(duration, session.trust.max_duration)
    return duration if session.latest_end is None else min(duration, session.latest_end - request.now)


def _packed_size(parameters: Mapping[str, Any], tags: Mapping[str, str]) -> int | None:
    """Return the used space for policies and tags in percent, or None without policies and tags."""
    policy = parameters.get("Policy")
    if policy is not None:
        _check_policy(policy)
    arns = [each["arn"] for each in parameters.get("PolicyArns", []) if "arn" in each]
    if len(arns) > _POLICIES:
        raise Refusal(
            "ValidationError",
            "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_POLICIES}",
        )
    text = "".join([policy or "", *arns, *(f"{key}\0{value}\0" for key, value in tags.items())])
    if not text:
        return None
    percent = -(-100 * len(zlib.compress(text.encode())) // _PACKED_LIMIT)
    if percent > 100:
        what = "Packed size of session tags" if policy is None and not arns else "Packed policy"
        ending = "" if policy is None and not arns else ", please use smaller policy"
        raise Refusal("PackedPolicyTooLarge", f"{what} consumes {percent}% of allotted space{ending}.")
    return percent


def _check_policy(policy: str) -> None:
    try:
        document = json.loads(policy)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Refusal("MalformedPolicyDocument", "This policy contains invalid Json")
    if "Statement" not in document:
        raise Refusal("MalformedPolicyDocument", "Syntax errors in policy.")


def parse_role(arn: str) -> RoleARN:
    """Return a role ARN. Raises `Refusal` if it is not valid."""
    try:
        return RoleARN.parse(arn)
    except RoleError:
        raise Refusal("ValidationError", f"{arn} is invalid") from None


def new_key_id(prefix: str) -> str:
    """Return a new access key ID. *prefix* is ``AKIA`` for users and ``ASIA`` for sessions."""
    return prefix + b32encode(secrets.token_bytes(10)).decode()


def new_secret() -> Secret:
    """Return a new secret access key."""
    return Secret(b64encode(secrets.token_bytes(30)).decode())


def stable_id(prefix: str, arn: str) -> str:
    """Return the unique ID of a user (``AIDA``) or a role (``AROA``), which is always the same for an ARN."""
    return prefix + b32encode(sha256(arn.encode()).digest()).decode()[:17]
