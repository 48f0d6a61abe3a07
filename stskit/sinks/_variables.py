"""The environment variables that say whose credentials a process uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stskit.identity import Credentials

__all__ = ["REGIONS", "STALE", "unset", "variables"]

REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")  # boto3 reads the second alone, the SDK for JavaScript the first
# Left over from before, each of these could mix with new credentials, or go before them.
STALE: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AWS_CREDENTIAL_SCOPE",
    "AWS_ACCOUNT_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
)
_NAMES: Final = {
    "AccessKeyId": "AWS_ACCESS_KEY_ID",
    "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
    "SessionToken": "AWS_SESSION_TOKEN",
    "Expiration": "AWS_CREDENTIAL_EXPIRATION",
}


def variables(credentials: Credentials, region: str | None, expiration: bool) -> dict[str, str]:
    """What every SDK reads, in plain text."""
    fields = credentials.as_dict()
    found = {name: fields[key] for key, name in _NAMES.items() if key in fields and (expiration or key != "Expiration")}
    return found | ({} if region is None else dict.fromkeys(REGIONS, region))


def unset(region: str | None) -> tuple[str, ...]:
    """What must not be set beside new credentials, and what is set for them."""
    return STALE + (() if region is None else REGIONS)
