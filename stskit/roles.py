"""What is asked for: a `Role`, checked when it is built, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from attrs import field, frozen

from stskit.errors import RoleError

__all__ = ["LIMITS", "Limit", "Role", "default_session_name"]


@frozen
class Limit:
    """What STS takes for one option: least and most of `unit`, and which characters, in words and as pattern."""

    least: int
    most: int
    unit: str = "characters"
    characters: str = ""
    pattern: str = r"[\s\S]*"


_NAME = {"characters": "letters, digits and _+=,.@-", "pattern": r"(?a:[\w+=,.@-]*)"}
_TAG = {
    "characters": "letters, digits, blanks and _.:/=+-@",
    "pattern": r"(?:[\w.:/=+@-]|[^\S\x00-\x1f\x7f-\x9f])*",  # blanks, without those that are control characters
}

# By the service model of STS (2011-06-15), as botocore ships it; a number that is not there says where it is from.
LIMITS: Final[Mapping[str, Limit]] = {
    "session_name": Limit(2, 64, **_NAME),
    "duration": Limit(900, 43_200, "seconds"),
    "policy_arns": Limit(0, 10, "entries"),  # API reference of AssumeRole
    "policy ARN": Limit(20, 2048),
    "tags": Limit(0, 50, "entries"),
    "tag key": Limit(1, 128, **_TAG),
    "tag value": Limit(0, 256, **_TAG),
    "transitive_tag_keys": Limit(0, 50, "entries"),
    "external_id": Limit(2, 1224, characters="letters, digits and _+=,.@:/-", pattern=r"(?a:[\w+=,.@:/-]*)"),
    "source_identity": Limit(2, 256, **_NAME),
}
# On servers that are not AWS there may be no account.
_ARN = re.compile(r"(?a)arn:[a-z0-9-]+:iam::(\d{12})?:role/([!-~]+/)?[\w+=,.@-]{1,64}")
_ARN_MOST = 2048


def _seconds(duration: timedelta | int | None) -> int | None:
    if duration is None or isinstance(duration, int):
        return duration
    if isinstance(duration, timedelta):
        return int(duration.total_seconds())
    raise RoleError(f"duration is a number of seconds or a timedelta, not {duration!r}")


def _list(entries: Sequence[str]) -> tuple[str, ...]:
    if isinstance(entries, str):
        raise RoleError(f"this option takes a list of texts; write [{entries!r}] for a list of one")
    return tuple(entries)


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(tags, Mapping):
        raise RoleError(f"tags is a mapping of texts, not {type(tags).__name__}")
    return dict(tags)


def _policy_text(policy: str | Mapping[str, object] | None) -> str | None:
    if policy is None or isinstance(policy, str):
        return policy
    import json

    with suppress(TypeError, ValueError, RecursionError):
        return json.dumps(policy, separators=(",", ":"), allow_nan=False)
    raise RoleError("policy cannot be written as JSON; give JSON text, or a mapping of texts, numbers and lists")


@frozen
class Role:
    """A role, and how its session shall be. What is None or empty is not sent.

    `session_name`: shows in CloudTrail, 2 to 64 characters; None: ``AWS_ROLE_SESSION_NAME``, else
    ``stskit-<user>-<host>``. For SAML the identity provider decides, and naming one is an error.
    `duration`: seconds or a timedelta, 900 to 43,200; None leaves it to STS, which takes an hour, or what the assertion
    says. A chained role gets at most an hour.
    `policy`: a session policy, as mapping or JSON text. `policy_arns`: up to 10 managed policies. Both only narrow.
    `tags`: up to 50 session tags; `transitive_tag_keys`: those of them that go on to chained roles.
    `external_id`: what a third party's trust policy asks for. `source_identity`: who is behind the session, 2 to 256.

    Raises `RoleError`, naming the option, the value and the rule, when one is out of its limits.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """

    arn: str
    session_name: str | None = field(default=None, kw_only=True)
    duration: int | None = field(default=None, kw_only=True, converter=_seconds)
    policy: str | None = field(default=None, kw_only=True, converter=_policy_text)
    policy_arns: Sequence[str] = field(default=(), kw_only=True, converter=_list)
    tags: Mapping[str, str] = field(factory=dict, kw_only=True, converter=_tags, hash=False)
    transitive_tag_keys: Sequence[str] = field(default=(), kw_only=True, converter=_list)
    external_id: str | None = field(default=None, kw_only=True, repr=False)
    source_identity: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check_arn(self.arn)
        for option in ("session_name", "external_id", "source_identity"):
            if (value := getattr(self, option)) is not None:
                _check_text(option, value)
        _check_size("duration", self.duration)
        for option in ("policy_arns", "tags", "transitive_tag_keys"):
            _check_size(option, len(getattr(self, option)))
        for key, value in self.tags.items():
            _check_text("tag key", key)
            _check_text("tag value", value)
        for key in self.transitive_tag_keys:
            _check_text("tag key", key)
        for arn in self.policy_arns:
            _check_text("policy ARN", arn)

    @property
    def partition(self) -> str:
        """The part of AWS the role lives in: ``aws``, ``aws-cn``, ``aws-us-gov`` and so on."""
        return self.arn.split(":")[1]

    @property
    def account(self) -> str | None:
        """The twelve digits of the role's account; None where the ARN has none, as on some servers that are not AWS."""
        return self.arn.split(":")[4] or None


def _check_arn(arn: str) -> None:
    if not isinstance(arn, str) or len(arn) > _ARN_MOST or not _ARN.fullmatch(arn):
        shown = repr(arn) if len(repr(arn)) <= 200 else f"{repr(arn)[:200]}..."
        raise RoleError(
            f"{shown} is no role ARN; one looks like arn:aws:iam::123456789012:role/NAME, "
            f"with up to {_ARN_MOST} characters. See it with: aws iam get-role --role-name NAME"
        )


def _check_text(option: str, value: str) -> None:
    limit = LIMITS[option]
    if not isinstance(value, str):
        raise RoleError(f"{option} is text, not {type(value).__name__}")
    _check_size(option, len(value))
    if not re.fullmatch(limit.pattern, value):
        shown = "" if option == "external_id" else f" {value!r}"  # shared with a third party, so not for logs
        raise RoleError(f"{option}{shown} has characters that STS refuses; it takes {limit.characters}")


def _check_size(option: str, size: int | None) -> None:
    limit = LIMITS[option]
    if size is not None and not limit.least <= size <= limit.most:
        raise RoleError(f"{option} has {size} {limit.unit}; STS takes {limit.least} to {limit.most}")


def default_session_name() -> str:
    """``AWS_ROLE_SESSION_NAME`` as it is, else ``stskit-<user>-<host>``, cut and cleaned to what STS takes.

    Raises `RoleError` where the variable holds a name that STS would refuse.
    """
    import os

    given = os.environ.get("AWS_ROLE_SESSION_NAME")
    if given:
        _check_text("session_name", given)
        return given
    from getpass import getuser
    from platform import node

    try:
        user = getuser()
    except (ImportError, KeyError, OSError):  # no such user, as in many containers; which one depends on the Python
        user = "unknown"
    return re.sub(r"[^\w+=,.@-]", "-", f"stskit-{user}-{node()}", flags=re.ASCII)[:64]
