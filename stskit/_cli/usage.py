"""Which arguments go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stskit.errors import StskitError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

__all__ = ["UsageError", "check", "is_given", "needs_no_role", "only_one"]

_OF_A_ROLE: Final = (
    *("session_name", "duration", "policy_file", "policy_arn", "tag", "transitive_tag", "external_id"),
    *("source_identity", "wait_for_new_role"),
)
_OF_A_CALL: Final = ("region", "endpoint_url", "use_fips")
_SOURCES: Final = ("profile", "keys_file", "saml_file", "oidc_token_file", "from_env")
_GO_WITH: Final = {
    "principal_arn": ("saml_file",),
    "json_field": ("oidc_token_file",),
    "mfa_command": ("mfa_serial",),
    "allow_http": ("endpoint_url",),
    "set_output": ("to_profile",),
    "credentials_file": ("to_profile",),
    "config_file": ("to_profile",),
    "overwrite": ("to_profile",),
    "any_name": ("to_profile",),
    "backup": ("to_profile", "to_dotenv"),
    "set_region": ("to_profile", "to_dotenv", "to_shell", "program"),
}


class UsageError(StskitError):
    """The arguments do not say what to do, or do not go together; nothing was done."""


def check(args: Namespace) -> None:
    """Raises `UsageError` where an argument would do nothing, or where two say different things."""
    for option, value in vars(args).items():
        if value == "":  # as an unset variable of a shell leaves it
            raise UsageError(f"{_flag(option)} is empty; leave it out, or give it a value")
    only_one(args, _SOURCES)
    for option, others in _GO_WITH.items():
        if is_given(getattr(args, option, None)) and not any(is_given(getattr(args, other, None)) for other in others):
            named = " or ".join(map(_flag, others[:2]))
            raise UsageError(f"{_flag(option)} goes with {named}; leave it out, or add that")
    if getattr(args, "session_token", False) and (args.saml_file or args.oidc_token_file or args.from_env):
        raise UsageError("--session-token is for the long-term keys of a user: --profile or --keys-file; leave it out")
    if hasattr(args, "roles") and needs_no_role(args):
        _check_without_role(args)
    if getattr(args, "from_env", False) and getattr(args, "roles", ()):
        raise UsageError("--from-env takes the role from AWS_ROLE_ARN; name no other, or leave --from-env out")


def _check_without_role(args: Namespace) -> None:
    for option in _OF_A_ROLE:
        if getattr(args, option):
            raise UsageError(f"{_flag(option)} is for a role, and none is named; name it, or leave that out")
    if args.session_token:
        return
    if args.mfa_serial is not None:
        raise UsageError("--mfa-serial is for a role, or for --session-token; name the role, or add that")
    for option in _OF_A_CALL:
        if is_given(getattr(args, option)):
            raise UsageError(f"{_flag(option)} is for a call of STS, and none is made without a role; leave it out")
    if args.cache and args.keys_file is not None:
        raise UsageError("--cache would keep what --keys-file has; leave it out")


def needs_no_role(args: Namespace) -> bool:
    """Whether credentials shall be used as they are: they are named, or a session of the user is, and no role is."""
    is_named = args.profile is not None or args.keys_file is not None or args.session_token
    return is_named and not args.roles


def only_one(args: Namespace, options: Sequence[str], *, needed: str = "") -> None:
    """Raises `UsageError` where more than one of *options* is given; or none of them, where *needed* says what for."""
    given = [_flag(option) for option in options if is_given(getattr(args, option, None))]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} do not go together; give one of them")
    if needed and not given:
        raise UsageError(f"{needed}: {', '.join(map(_flag, options))}")


def is_given(value: object) -> bool:
    """Whether an option was given: also an empty one, as an unset variable of a shell leaves it."""
    return value is not None and value is not False and value not in ([], {})


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"
