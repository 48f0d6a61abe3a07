"""Variables for the environment of a process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from attrs import field, frozen

from stskit._arguments import check_environ, flag, optional_text
from stskit.credentials import Credentials, Secret, check_credentials
from stskit.errors import init_without_frames, without_frames

__all__ = ["REGIONS", "STALE", "Environment", "names_to_unset", "variables"]

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
    """Return the variables that every SDK reads. Their secrets are `Secret` texts."""
    fields = credentials.as_dict()
    found = {name: fields[key] for key, name in _NAMES.items() if key in fields and (expiration or key != "Expiration")}
    return found | ({} if region is None else dict.fromkeys(REGIONS, region))


def names_to_unset(region: str | None) -> tuple[str, ...]:
    """What must not be set beside new credentials, and what is set for them."""
    return STALE + (() if region is None else REGIONS)


def _check_environ(_self: object, _attribute: object, environ: Mapping[str, str] | None) -> None:
    check_environ(environ)


@init_without_frames
@frozen
class Environment:
    """Environment variables, as a new dict: nothing is set in this process, unless by `applied`.

    `environ`: an environment to put them into, for example ``os.environ`` for a child process; what it says about other
    credentials is left out, and it is not changed. `expiration`: whether to tell the time of expiry too, as
    ``AWS_CREDENTIAL_EXPIRATION``; botocore stops 10 minutes before that time, since nothing renews the variables.
    `region`: told under both names that SDKs read; None leaves them as they are.

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
    """

    environ: Mapping[str, str] | None = field(default=None, repr=False, validator=_check_environ)  # may hold secrets
    expiration: bool = field(default=False, kw_only=True, validator=flag)
    region: str | None = field(default=None, kw_only=True, validator=optional_text)

    @property
    def unset(self) -> tuple[str, ...]:
        """What must not be set beside these credentials: the names of old ones, of a profile, and of what is written.

        Whoever sets variables takes these out first; whoever is done takes them out again. Raises nothing.
        """
        return names_to_unset(self.region)

    @without_frames
    def write(self, credentials: Credentials, /) -> dict[str, str]:
        """The variables for *credentials*. Their secrets are `Secret` texts: a process gets them in clear, a repr masks
        them. Raises `TypeError` where *credentials* has another type.
        """
        check_credentials(credentials)
        kept = {name: value for name, value in (self.environ or {}).items() if name not in STALE}
        return kept | variables(credentials, self.region, self.expiration)

    @contextmanager
    def applied(self, credentials: Credentials, /) -> Iterator[None]:
        """Have *credentials* in ``os.environ`` for a block, and the variables as they were before after it.

        For code that looks nowhere else. The environment is one for all threads of a process: where other threads
        might see it, give the variables to a child process, or use a session. `environ` plays no part. Raises nothing.
        """
        check_credentials(credentials)
        before = {name: Secret(os.environ[name]) for name in self.unset if name in os.environ}
        _replace(self.unset, variables(credentials, self.region, self.expiration))
        try:
            yield
        finally:
            _replace(self.unset, before)


def _replace(names: tuple[str, ...], values: Mapping[str, str]) -> None:
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(values)
