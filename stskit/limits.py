"""What STS takes for each option, and what it calls it: the one table that a test holds equal to STS's own model.

By the service model of STS (2011-06-15), as botocore ships it; a number that is not there says where it is from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from attrs import frozen

from stskit._arguments import check_type, quoted, wrong_type
from stskit.errors import RoleError

__all__ = ["LIMITS", "PARAMETERS", "Limit", "check", "check_size", "duration_in_seconds"]


@frozen
class Limit:
    """What STS takes for one option: `least` and `most` of `unit`, and which `characters`, as words and as a `pattern`.

    `most` None: there is none. `shown`: whether an error may show the value. `argument`: the name of the argument that
    is checked, where the table has another name for it.
    """

    least: int
    most: int | None
    unit: str = "characters"
    characters: str = ""
    pattern: str = r"[\s\S]*"
    shown: bool = True
    argument: str | None = None


_NAME: Final = "letters, digits and _+=,.@-", r"(?a:[\w+=,.@-]*)"
_TAG: Final = (
    "letters, digits, blanks and _.:/=+-@",
    r"(?:[\w.:/=+@-]|[^\S\x00-\x1f\x7f-\x9f])*",  # blanks, without those that are control characters
)

LIMITS: Final[Mapping[str, Limit]] = {
    "session_name": Limit(2, 64, "characters", *_NAME),
    "duration": Limit(900, 43_200, "seconds"),
    "duration of a session token": Limit(900, 129_600, "seconds", argument="duration"),
    "policy": Limit(
        1,
        None,
        characters="printable ones up to U+00FF, tabs and line breaks",
        pattern=r"[\t\n\r\x20-\xff]+",
        shown=False,
    ),
    "policy for SAML or web identity": Limit(1, 2048, argument="policy"),
    "policy_arns": Limit(0, 10, "entries"),  # API reference of AssumeRole
    "policy ARN": Limit(20, 2048, argument="policy_arns"),
    "tags": Limit(0, 50, "entries"),
    "tag key": Limit(1, 128, "characters", *_TAG, argument="tags"),
    "tag value": Limit(0, 256, "characters", *_TAG, argument="tags"),
    "transitive_tag_keys": Limit(0, 50, "entries"),
    # shared with a third party, so not for logs
    "external_id": Limit(
        2, 1224, characters="letters, digits and _+=,.@:/-", pattern=r"(?a:[\w+=,.@:/-]*)", shown=False
    ),
    "source_identity": Limit(2, 256, "characters", *_NAME),
    "provided_contexts": Limit(0, 5, "entries"),
    "provider ARN": Limit(20, 2048, argument="provider_arn"),
    "context assertion": Limit(4, 3072, shown=False, argument="context_assertion"),
    "minimum_session_token_size": Limit(0, 4096, "bytes"),
    "MFA serial": Limit(
        9, 256, characters="letters, digits and _+=/:,.@-", pattern=r"(?a:[\w+=/:,.@-]*)", argument="serial"
    ),
    "MFA code": Limit(6, 6, characters="digits", pattern="[0-9]*", shown=False, argument="code"),
}
PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "arn": ("RoleArn",),
    "session_name": ("RoleSessionName",),
    "duration": ("DurationSeconds",),
    "policy": ("Policy",),
    "policy_arns": ("PolicyArns",),
    "tags": ("Tags",),
    "transitive_tag_keys": ("TransitiveTagKeys",),
    "external_id": ("ExternalId",),
    "source_identity": ("SourceIdentity",),
    "provided_contexts": ("ProvidedContexts",),
    "minimum_session_token_size": ("MinimumSessionTokenSize",),
    "mfa": ("SerialNumber", "TokenCode"),
}


def check(option: str, value: object, *, argument: str | None = None, variable: str | None = None) -> None:
    """Check that STS allows the text *value* for *option*, a name of `LIMITS`.

    Raises `TypeError` where it is not text, and `RoleError` where STS does not allow its length or its characters. The
    error names the *argument*, by default the one of the table, or the environment *variable* that has the value.
    """
    limit = LIMITS[option]
    argument = None if variable else argument or limit.argument or option
    check_type(argument or option, value, str, "text")
    assert isinstance(value, str)
    _check_range(option, limit, len(value), argument, variable)
    if not re.fullmatch(limit.pattern, value):
        shown = f" {quoted(value)}" if limit.shown else ""
        raise RoleError(
            f"{option}{shown} has characters that STS refuses",
            remedy=f"it takes {limit.characters}",
            cli_message=f"{shown} has characters that STS refuses".lstrip() if argument == option else "",
            option=argument,
            variable=variable,
        )


def check_size(option: str, size: int | None) -> None:
    """Check that *size* is within the limits of *option*; None stands for an option that is not given.

    Raises `TypeError` where it is not a whole number, `RoleError` where it is out of the limits.
    """
    limit = LIMITS[option]
    if size is None:
        return
    argument = limit.argument or option
    if isinstance(size, bool) or not isinstance(size, int):
        wrong_type(argument, size, f"a whole number of {limit.unit}")
    _check_range(option, limit, size, argument, None)


def _check_range(option: str, limit: Limit, size: int, argument: str | None, variable: str | None) -> None:
    if not (limit.least <= size and (limit.most is None or size <= limit.most)):
        takes = f"{limit.least} to {limit.most}" if limit.most is not None else f"{limit.least} or more"
        takes = str(limit.least) if limit.least == limit.most else takes
        raise RoleError(
            f"{option} has {size} {limit.unit}",
            remedy=f"STS takes {takes}",
            cli_message=f"has {size} {limit.unit}" if argument == option else "",
            option=argument,
            variable=variable,
        )


def duration_in_seconds(duration: timedelta | int | None) -> int | None:
    """Return *duration* in seconds. Raises `TypeError` where it is neither a number of them nor a timedelta."""
    if duration is None or type(duration) is int:
        return duration
    check_type("duration", duration, timedelta, "a whole number of seconds or a timedelta")
    assert isinstance(duration, timedelta)
    return int(duration.total_seconds())
