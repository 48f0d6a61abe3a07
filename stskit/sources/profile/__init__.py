"""The credentials of a profile, or whatever the AWS SDKs would find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen
from attrs.validators import and_, gt, le

from stskit._arguments import check_type, number, refuse_secret
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SourceError, init_without_frames, prefixed, without_frames

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["Profile"]


def _check_name(_self: object, _attribute: object, name: str | None) -> None:
    check_type("name", name, (str, type(None)), "the name of a profile or None")
    if name is not None:
        refuse_secret("name", name, "the name of a profile", ProofInvalid, remedy="write Static(proof) for a proof")


@init_without_frames
@frozen
class Profile:
    """The credentials of a profile in the shared config and credentials files, whatever that profile uses: keys, SSO, a
    process, another role. `name` None is the default chain of botocore: environment variables, ``AWS_PROFILE``, the
    default profile, container and instance. With a name, key variables in the environment do not count.

    Everything is read again for every fetch, so that a file that has changed is seen. `process_timeout`: seconds, up to
    a day, after which a ``credential_process`` is stopped. Where the profile asks for an MFA code, the main thread asks
    for it at the terminal, for every fetch; other threads never do.

    https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
    """

    name: str | None = field(default=None, validator=_check_name)
    process_timeout: float = field(default=60, kw_only=True, repr=False, validator=and_(number, gt(0), le(86_400)))

    @property
    def identity(self) -> str | None:
        """Whose credentials these are, by the configuration alone, for the keys of caches: the profiles and variables
        that decide it, without their secrets. None where the container or the instance decides. Raises nothing.
        """
        from stskit.sources.profile.cache_key import profile_key

        return profile_key(self.name)

    @without_frames
    def fetch(self) -> Credentials:
        """The credentials as botocore finds them now.

        Raises `SourceMissing` where the profile does not exist or nothing is found, `SignInRequired` where its SSO or
        login session has ended or an MFA code is needed and nobody can be asked, and `ProofInvalid` where something is
        there and does not work; none with what a process or a server said, since that may hold secrets.
        """
        from botocore.session import Session

        from stskit.sources.profile import errors
        from stskit.sources.profile.provider_chain import harden_chain
        from stskit.sts.clients import silence_secret_loggers

        where = "the ambient AWS credentials" if self.name is None else f"the profile {self.name!r}"
        session = Session(profile=self.name)
        try:
            with silence_secret_loggers():
                harden_chain(session, self.process_timeout)
                found = _found(session)
        except SourceError as error:
            raise prefixed(error, f"{where}: ") from None
        except Exception as error:  # noqa: BLE001 - botocore's errors have no common base, and may hold secrets
            raise errors.translate(error, session, where, self.name) from None
        if found is None:
            what = f"{where}: nothing found, neither elsewhere nor"
            raise errors.not_found(session, what, "run: aws configure, or name another source")
        return found


def _found(session: Session) -> Credentials | None:
    found = session.get_credentials()
    if found is None:
        return None
    keys = found.get_frozen_credentials()
    return Credentials(
        access_key_id=_text(keys.access_key),
        secret_access_key=_text(keys.secret_key),
        session_token=_text(keys.token) or None,
        expiration=getattr(found, "_expiry_time", None),  # botocore has no public name for it (boto/botocore#2694)
        account_id=_text(getattr(keys, "account_id", None)) or None,
    )


def _text(value: object) -> str:
    """Return *value*, and "" where it is not text but the mapping that botocore makes of an indented block."""
    return value if isinstance(value, str) else ""
