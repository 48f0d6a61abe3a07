"""A named profile without credentials: botocore would use the role of this machine, which is somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stskit.errors import SourceMissing
from stskit.sts.shared_config import ambient_profile

__all__ = ["check_credentials", "check_machine", "lacks_credentials", "may_use_machine"]

# Each of these says where the credentials come from. If something else is missing then, botocore says so.
_SAYS_WHERE: Final = (
    *("aws_access_key_id", "credential_process", "login_session", "role_arn", "web_identity_token_file"),
    *("sso_account_id", "sso_role_name"),
)
_MACHINE: Final = ("Ec2InstanceMetadata", "EcsContainer")
# What a profile with one of the first is missing, if it has none of those above.
_COMPANIONS: Final = (
    (("aws_secret_access_key", "aws_session_token"), "aws_access_key_id is missing"),
    (("sso_session", "sso_start_url", "sso_region"), "sso_account_id and sso_role_name are missing"),
    (("source_profile", "credential_source", "external_id", "role_session_name", "mfa_serial"), "role_arn is missing"),
)


def may_use_machine(name: str, settings: Mapping[str, Any]) -> bool:
    """Return whether botocore may go on to the container or the instance for the profile *name*."""
    return name in ("default", ambient_profile()) or settings.get("credential_source") in _MACHINE


def lacks_credentials(name: str, settings: Mapping[str, Any]) -> bool:
    """Return whether the profile *name* holds no credentials and does not say where they come from.

    The default profile and the one that the environment names are the default chain, which may use the machine's role.
    """
    if may_use_machine(name, settings):
        return False
    return not any(each in settings for each in _SAYS_WHERE)


def check_machine(name: str, settings: Mapping[str, Any]) -> None:
    """Raise `SourceMissing` where botocore has found the credentials of this machine for a profile that has its own.

    It skips an empty setting, and a setting that it does not know, such as ``login_session`` before version 1.41.
    """
    if not may_use_machine(name, settings):
        raise SourceMissing(
            "botocore cannot use its credentials, and went on to the role of this machine",
            remedy="complete the profile, or update botocore; for the role of this machine, use Profile() without a "
            "name",
            cli_remedy="complete the profile, or update botocore; for the role of this machine, leave out --profile",
            option="profile",
        )


def check_credentials(name: str, settings: Mapping[str, Any]) -> None:
    """Raise `SourceMissing`, which says what is missing, where `lacks_credentials`."""
    if lacks_credentials(name, settings):
        raise SourceMissing(
            f"it holds no credentials{_what_is_missing(settings)}",
            remedy="complete the profile; for the role of this machine, use Profile() without a name",
            cli_remedy="complete the profile; for the role of this machine, leave out --profile",
            option="profile",
        )


def _what_is_missing(settings: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    known = [*_SAYS_WHERE, *(name for names, _ in _COMPANIONS for name in names)]
    for name in settings.keys() - {*known, "role_session_name"}:
        if match := get_close_matches(name, known, n=1, cutoff=0.85):
            return f": {name} is not a valid setting. Did you mean {match[0]}?"
    return next((f": {text}" for names, text in _COMPANIONS if any(name in settings for name in names)), "")
