"""Variables for the environment of a process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from stskit.identity import Credentials

__all__ = ["Environment"]

# What says whose credentials a process uses. Left over from before, each of them could mix with the new ones.
_VARIABLES: Final = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_SESSION_EXPIRATION",
        "AWS_ACCOUNT_ID",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
    }
)


@frozen
class Environment:
    """Environment variables, as a new dict: nothing is set in this process.

    `base`: an environment to put them into, for example ``os.environ`` for a child process; what it says about other
    credentials is left out, and it is not changed. `expiration`: whether to tell the time of expiry too, as
    ``AWS_CREDENTIAL_EXPIRATION``; botocore stops 10 minutes before that time, since nothing renews the variables.

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
    """

    base: Mapping[str, str] = field(factory=dict, repr=False)  # somebody's environment may hold anything
    expiration: bool = field(default=False, kw_only=True)

    def write(self, credentials: Credentials, /) -> dict[str, str]:
        """The variables for *credentials*, in plain text."""
        fields = credentials.as_dict()
        names = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY"}
        names["SessionToken"] = "AWS_SESSION_TOKEN"
        if self.expiration:
            names["Expiration"] = "AWS_CREDENTIAL_EXPIRATION"
        kept = {name: value for name, value in self.base.items() if name not in _VARIABLES}
        return kept | {names[key]: value for key, value in fields.items() if key in names}
