"""The limits of STS for each option, and STS's own name for it.

The numbers are those of the service model of STS (2011-06-15) in botocore, and a test compares the two. A comment names
the source of each number that is not in the model.
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
    """The limits of STS for one option.

    Args:
        least: Smallest length or number.
        most: Largest length or number. None if there is no limit.
        unit: Unit of the two numbers: characters, seconds, bytes or entries.
        characters: Allowed characters, in words.
        pattern: The same as a regular expression.
        shown: Whether a message may quote the value.
        argument: Name of the argument, if it differs from the name in `LIMITS`.

    Example:
        >>> from stskit.limits import LIMITS
        >>> LIMITS["duration"].most
        43200
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
    "letters, digits, spaces and _.:/=+-@",
    r"(?:[\w.:/=+@-]|[^\S\x00-\x1f\x7f-\x9f])*",  # spaces, but no control characters
)

LIMITS: Final[Mapping[str, Limit]] = {
    "session_name": Limit(2, 64, "characters", *_NAME),
    "duration": Limit(900, 43_200, "seconds"),
    "duration of a session token": Limit(900, 129_600, "seconds", argument="duration"),
    "policy": Limit(
        1,
        None,
        characters="printable characters up to U+00FF, tabs and line breaks",
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
    # messages do not quote it, because it is shared with a third party
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
_SINGULAR: Final = {"characters": "character", "bytes": "byte", "seconds": "second"}
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
    """Check the length and the characters of a text against the limits of STS.

    Args:
        option: Name of the option in `LIMITS`.
        value: The text to check.
        argument: Name of the argument that the error names. Defaults to the name in the table.
        variable: Environment variable that has the value. The error then names it instead of an argument.

    Raises:
        TypeError: If the value is not text.
        RoleError: If STS does not allow its length or its characters.

    Example:
        >>> from stskit.errors import RoleError
        >>> from stskit.limits import check
        >>> try:
        ...     check("session_name", "a b")
        ... except RoleError as error:
        ...     print(error)
        session_name 'a b' has characters that STS does not allow. Use letters, digits and _+=,.@- only.
    """
    limit = LIMITS[option]
    argument = None if variable else argument or limit.argument or option
    check_type(argument or option, value, str, "text")
    assert isinstance(value, str)
    _check_range(option, limit, len(value), argument, variable)
    if not re.fullmatch(limit.pattern, value):
        problem = "has characters that STS does not allow."
        problem = f"{quoted(value)} {problem}" if limit.shown else problem
        raise RoleError(
            f"{_subject(option, argument)} {problem}",
            remedy=f"Use {limit.characters} only.",
            cli_message=problem if argument == option else "",
            option=argument,
            variable=variable,
        )


def check_size(option: str, size: int | None) -> None:
    """Check a number against the limits of STS.

    Args:
        option: Name of the option in `LIMITS`.
        size: The number to check. None is always valid: the option is not sent.

    Raises:
        TypeError: If it is not a whole number.
        RoleError: If STS does not allow the number.

    Example:
        >>> from stskit.limits import check_size
        >>> check_size("duration", 3600)
    """
    limit = LIMITS[option]
    if size is None:
        return
    argument = limit.argument or option
    if isinstance(size, bool) or not isinstance(size, int):
        wrong_type(argument, size, f"a whole number of {limit.unit}")
    _check_range(option, limit, size, argument, None)


def _check_range(option: str, limit: Limit, size: int, argument: str | None, variable: str | None) -> None:
    if limit.least <= size and (limit.most is None or size <= limit.most):
        return
    allowed = f"{limit.least:,} to {limit.most:,}" if limit.most is not None else f"{limit.least:,} or more"
    allowed = f"{limit.least:,}" if limit.least == limit.most else allowed
    unit = _SINGULAR.get(limit.unit, limit.unit) if size == 1 else limit.unit
    is_amount = limit.unit in ("seconds", "bytes")
    problem = f"{'is' if is_amount else 'has'} {size:,} {unit}, but STS allows {allowed}."
    more, fewer = ("larger", "smaller") if is_amount else ("longer", "shorter")
    change = f"Pass a {more if size < limit.least else fewer} value."
    if limit.least == limit.most:
        change = f"Pass exactly {limit.least} {limit.unit}."
    if limit.unit == "entries":
        change = f"Pass at most {limit.most} entries."
    raise RoleError(
        f"{_subject(option, argument)} {problem}",
        remedy=change,
        cli_message=problem if argument == option else "",
        option=argument,
        variable=variable,
    )


def _subject(option: str, argument: str | None) -> str:
    """Return how a message begins: with the argument, or with the part of it that is wrong, such as a tag key."""
    return option if argument in (option, None) else f"The {option}"


def duration_in_seconds(duration: timedelta | int | None) -> int | None:
    """Return a duration in whole seconds.

    Args:
        duration: Seconds or a timedelta. None stays None.

    Returns:
        The number of seconds, or None.

    Raises:
        TypeError: If it is neither a whole number nor a timedelta.

    Example:
        >>> from datetime import timedelta
        >>> from stskit.limits import duration_in_seconds
        >>> duration_in_seconds(timedelta(minutes=15))
        900
    """
    if duration is None or type(duration) is int:
        return duration
    check_type("duration", duration, timedelta, "a whole number of seconds or a timedelta")
    assert isinstance(duration, timedelta)
    return int(duration.total_seconds())
