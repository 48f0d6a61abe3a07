"""What STS gives: a session of a role, for how long, and how much of the room for policies and tags it takes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import field, frozen

from stskit.credentials import Secret
from stskit.roles import RoleARN
from stskit.testing._refusal import Refusal
from stskit.testing._world import Principal, World, stable_id
from stskit.testing.trust import Trust

__all__ = ["HOUR", "Ask", "Session", "given", "keys"]

HOUR: Final = 3600  # seconds: what a role's session lasts where nobody says, and at most where it is chained
_ALLOTTED: Final = 2048  # bytes for a packed policy; how STS packs is not known, so the size is an estimate
_POLICIES: Final = 10  # by the API reference; the model has no limit


@frozen
class Ask:
    """What is asked, by whom, and when; `caller` is None for what needs no signature."""

    parameters: Mapping[str, Any]
    caller: Principal | None
    now: datetime

    @property
    def signer(self) -> Principal:
        """The caller, of whom there is one."""
        assert self.caller is not None
        return self.caller


@frozen
class Session:
    """What a session of a role is made of."""

    role: RoleARN
    trust: Trust
    name: str
    tags: Mapping[str, str] = field(factory=dict)
    transitive: tuple[str, ...] = ()
    inherited: Mapping[str, str] = field(factory=dict)
    source_identity: str | None = None
    default: int = HOUR
    end: datetime | None = None


def given(world: World, ask: Ask, session: Session) -> dict[str, Any]:
    """A session of the role, and what STS says of it."""
    role, name = session.role, session.name
    packed = _packed(ask.parameters, {**session.inherited, **session.tags})
    lasts = _lasts(ask, session)
    partition, account = role.partition, role.account or world.account
    like = Principal(
        arn=f"arn:{partition}:sts::{account}:assumed-role/{role.name}/{name}",
        user_id=f"{stable_id('AROA', str(role))}:{name}",
        account=account,
        access_key_id="",
        secret_access_key=Secret("-"),
        role_arn=str(role),
        tags={**session.inherited, **{key: session.tags[key] for key in session.transitive if key in session.tags}},
        source_identity=session.source_identity,
    )
    made = world.add_session(like, ask.now, lasts, ask.parameters.get("MinimumSessionTokenSize", 0))
    told = {"AssumedRoleUser": {"AssumedRoleId": made.user_id, "Arn": made.arn}}
    more = {"PackedPolicySize": packed, "SourceIdentity": session.source_identity}
    return keys(made) | told | {key: value for key, value in more.items() if value is not None}


def _lasts(ask: Ask, session: Session) -> timedelta:
    seconds = ask.parameters.get("DurationSeconds")
    if ask.caller and ask.caller.role_arn and seconds is not None and seconds > HOUR:
        raise Refusal(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    if seconds is not None and seconds > session.trust.max_duration.total_seconds():
        raise Refusal(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    lasts = timedelta(seconds=session.default if seconds is None else seconds)
    lasts = min(lasts, session.trust.max_duration)
    return lasts if session.end is None else min(lasts, session.end - ask.now)


def _packed(parameters: Mapping[str, Any], tags: Mapping[str, str]) -> int | None:
    """How much of the room for policies and tags is used, in percent; None where there are none."""
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
    percent = -(-100 * len(zlib.compress(text.encode())) // _ALLOTTED)
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


def keys(made: Principal) -> dict[str, Any]:
    """The part of an answer that is the credentials."""
    expiration = made.expiration
    return {
        "Credentials": {
            "AccessKeyId": made.access_key_id,
            "SecretAccessKey": made.secret_access_key,
            "SessionToken": made.session_token,
            "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ") if expiration else None,
        }
    }
