"""The credentials of a profile, or whatever the AWS SDKs would find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from stskit._client import discreet_logs
from stskit.errors import ProofInvalid, SourceError, SourceMissing
from stskit.identity import Credentials

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["Profile"]

# What to do when botocore raises this; anything else is told by its name.
_REMEDIES: Final = {
    "PartialCredentialsError": "it has only half of a key pair; complete or remove it",
    "ConfigParseError": "the config or credentials file cannot be parsed; correct it",
    "ConfigNotFound": "the config file that AWS_CONFIG_FILE names is missing; correct the variable",
    "CredentialRetrievalError": "its credential_process failed; run that command to see why",
    "SSOTokenLoadError": "its SSO session has ended; run: aws sso login",
    "TokenRetrievalError": "its SSO session has ended; run: aws sso login",
    "UnauthorizedSSOTokenError": "its SSO session has ended; run: aws sso login",
    "NoRegionError": "it assumes a role and names no region; add one to it, or set AWS_DEFAULT_REGION",
    "InfiniteLoopConfigError": "its source_profile leads back to itself; break the loop",
}
_ANY_OTHER: Final = "botocore cannot load it; see why with: aws sts get-caller-identity"


@frozen
class Profile:
    """The credentials of a profile in the shared config and credentials files, whatever that profile uses: keys, SSO, a
    process, another role. `name` None is the default chain of botocore: environment variables, ``AWS_PROFILE``, the
    default profile, container and instance. With a name, key variables in the environment do not count.

    Everything is read again for every fetch, so that a file that has changed is seen.

    https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
    """

    name: str | None = None

    def fetch(self) -> Credentials:
        """The credentials as botocore finds them now.

        Raises `SourceMissing` where the profile does not exist or nothing is found, `ProofInvalid` where something is
        there and does not work; both without what a process or a server said, since that may hold secrets.
        """
        from botocore.session import Session

        where = "the ambient AWS credentials" if self.name is None else f"the profile {self.name!r}"
        try:
            with discreet_logs():
                found = _found(Session(profile=self.name))
            if found is not None:
                return found
            problem: SourceError = SourceMissing(f"{where}: nothing found. Run `aws configure`, or name another source")
        except ProofInvalid as error:
            problem = ProofInvalid(f"{where}: {error}")
        except Exception as error:  # noqa: BLE001 - botocore's errors have no common base, and may hold secrets
            problem = _explained(error, where)
        raise problem


def _found(session: Session) -> Credentials | None:
    found = session.get_credentials()
    if found is None:
        return None
    keys = found.get_frozen_credentials()
    return Credentials(
        access_key_id=keys.access_key or "",
        secret_access_key=keys.secret_key or "",
        session_token=keys.token or None,
        expiration=getattr(found, "_expiry_time", None),  # botocore has no public name for it (boto/botocore#2694)
        account_id=getattr(keys, "account_id", None),
    )


def _explained(error: Exception, where: str) -> SourceError:
    name = type(error).__name__
    if name == "ProfileNotFound":
        return SourceMissing(
            f"{where}: there is no such profile; correct the name, or AWS_PROFILE. "
            "List those there are with: aws configure list-profiles"
        )
    return ProofInvalid(f"{where}: {_REMEDIES.get(name, _ANY_OTHER)} ({name})")
