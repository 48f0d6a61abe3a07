"""Refuse a named profile without credentials, for which botocore would use the role of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stskit.errors import SourceMissing
from stskit.sts.shared_config import ambient_profile

__all__ = ["check_credentials", "check_machine", "lacks_credentials", "may_use_machine"]

# Each of these settings decides where the credentials come from. If another one is missing, botocore raises an error.
_SAYS_WHERE: Final = (
    *("aws_access_key_id", "credential_process", "login_session", "role_arn", "web_identity_token_file"),
    *("sso_account_id", "sso_role_name"),
)
_MACHINE: Final = ("Ec2InstanceMetadata", "EcsContainer")
# The settings that are missing if a profile has one of the first and none of the settings above.
_COMPANIONS: Final = (
    (("aws_secret_access_key", "aws_session_token"), "aws_access_key_id is missing"),
    (("sso_session", "sso_start_url", "sso_region"), "sso_account_id and sso_role_name are missing"),
    (("source_profile", "credential_source", "external_id", "role_session_name", "mfa_serial"), "role_arn is missing"),
)


def may_use_machine(name: str, settings: Mapping[str, Any]) -> bool:
    """Return whether the container or the instance is allowed for a profile."""
    return name in ("default", ambient_profile()) or settings.get("credential_source") in _MACHINE


def lacks_credentials(name: str, settings: Mapping[str, Any]) -> bool:
    """Return whether a profile has no credentials and no setting that says where they come from.

    The default profile and the profile of the environment belong to the standard chain, which may use the machine.
    """
    if may_use_machine(name, settings):
        return False
    return not any(each in settings for each in _SAYS_WHERE)


def check_machine(name: str, settings: Mapping[str, Any]) -> None:
    """Raise `SourceMissing` if botocore found the credentials of this machine for a profile that has its own.

    botocore skips empty settings, and settings that it does not know, such as ``login_session`` before version 1.41.
    """
    if not may_use_machine(name, settings):
        raise SourceMissing(
            "botocore cannot use its credentials, and found those of this machine instead, which were not used.",
            remedy="Complete the profile, or upgrade botocore. To use the role of this machine, pass Profile() without "
            "a name.",
            cli_remedy="Complete the profile, or upgrade botocore. To use the role of this machine, omit --profile.",
            option="profile",
        )


def check_credentials(name: str, settings: Mapping[str, Any]) -> None:
    """Raise `SourceMissing`, which names the missing setting, if the profile has no credentials."""
    if lacks_credentials(name, settings):
        raise SourceMissing(
            f"it has no credentials{_missing_setting(settings)}",
            remedy="Complete the profile. To use the role of this machine, pass Profile() without a name.",
            cli_remedy="Complete the profile. To use the role of this machine, omit --profile.",
            option="profile",
        )


def _missing_setting(settings: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    known = [*_SAYS_WHERE, *(name for names, _ in _COMPANIONS for name in names)]
    for name in settings.keys() - {*known, "role_session_name"}:
        if match := get_close_matches(name, known, n=1, cutoff=0.85):
            return f": {name} is not a valid setting. Did you mean {match[0]}?"
    return next((f": {text}" for names, text in _COMPANIONS if any(name in settings for name in names)), "")
