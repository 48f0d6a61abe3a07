"""The credentials of a profile, or whatever the AWS SDKs would find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen
from attrs.validators import and_, gt, le

from stskit._arguments import check_type, flag, number, refuse_secret
from stskit.cache_key import digest
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SourceError, init_without_frames, prefixed, without_frames

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["Profile"]

_OF_THE_MACHINE: Final = ("container-role", "iam-role")  # botocore's names


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

    `allow_http`: whether the calls that the profile itself makes (AssumeRole, web identity, SSO) may go to another
    machine without TLS. Each of these calls takes a minute at most, and ``AWS_REGION`` counts for them.

    https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
    """

    name: str | None = field(default=None, validator=_check_name)
    process_timeout: float = field(default=60, kw_only=True, repr=False, validator=and_(number, gt(0), le(86_400)))
    allow_http: bool = field(default=False, kw_only=True, repr=False, validator=flag)

    @property
    def identity(self) -> str | None:
        """A key for caches: by the profiles, files and variables that decide whose credentials these are, with their
        keys and tokens. None where a process, the container or the instance decides. Raises nothing.
        """
        return self.snapshot().identity

    def snapshot(self) -> ProfileSnapshot:
        """Return a source whose `identity` is for the credentials that its `fetch` returns. Raises nothing."""
        from stskit.sources.profile.cache_key import profile_parts

        return ProfileSnapshot(self, profile_parts(self.name))

    def anonymous_part(self) -> Profile | None:
        """Return this profile where it has no identity, else None. Raises nothing."""
        return self if self.identity is None else None

    @property
    def settings_profile(self) -> str | None:
        """The profile whose endpoint, region and CA bundle count for calls that are signed with these credentials.

        None where no profile is named; then that of the environment counts. Raises nothing.
        """
        return self.name

    @without_frames
    def fetch(self) -> Credentials:
        """The credentials as botocore finds them now.

        Raises `SourceMissing` where the profile does not exist or nothing is found, `SignInRequired` where its SSO or
        login session has ended or an MFA code is needed and nobody can be asked, and `ProofInvalid` where something is
        there and does not work; none with what a process or a server said, since that may hold secrets.
        """
        return _fetch_with_origin(self)[0]


@define(eq=False)
class ProfileSnapshot:
    """A profile with what decided whose credentials it gives; without, if that has changed during the fetch, and if
    the machine has given them after all.
    """

    profile: Profile
    _parts: tuple[object, ...] | None = field(repr=False)

    @property
    def identity(self) -> str | None:
        """As of `Profile`. Raises nothing."""
        return None if self._parts is None else digest(*self._parts)

    @without_frames
    def fetch(self) -> Credentials:
        """As of `Profile`, which reads the files again."""
        from stskit.sources.profile.cache_key import profile_parts

        credentials, is_of_machine = _fetch_with_origin(self.profile)
        if is_of_machine or profile_parts(self.profile.name) != self._parts:
            self._parts = None
        return credentials


def _fetch_with_origin(profile: Profile) -> tuple[Credentials, bool]:
    """Return the credentials, and whether the container or the instance has given them. Raises as `fetch`."""
    from stskit.sources.profile import errors
    from stskit.sources.profile.provider_chain import harden_chain
    from stskit.sts.clients import silence_secret_loggers
    from stskit.sts.settings import new_session
    from stskit.sts.wire import guard

    where = "the ambient AWS credentials" if profile.name is None else f"the profile {profile.name!r}"
    session = new_session(profile.name)
    guard(session, allow_http=profile.allow_http)
    try:
        with silence_secret_loggers():
            harden_chain(session, profile.process_timeout)
            _check(profile.name, session)
            found = _found(profile.name, session)
    except SourceError as error:
        raise prefixed(error, f"{where}: ") from None
    except Exception as error:  # noqa: BLE001 - botocore's errors have no common base, and may hold secrets
        raise errors.translate(error, session, where, profile.name) from None
    if found is None:
        what = f"{where}: nothing found, neither elsewhere nor"
        raise errors.not_found(session, what, "run: aws configure, or name another source")
    return found


def _check(name: str | None, session: Session) -> None:
    from stskit.sources.profile.missing import check_credentials

    settings = session.full_config["profiles"].get(name)
    if name is not None and settings is not None:
        check_credentials(name, settings)


def _found(name: str | None, session: Session) -> tuple[Credentials, bool] | None:
    found = session.get_credentials()
    if found is None:
        return None
    is_of_machine = found.method in _OF_THE_MACHINE
    if is_of_machine:
        _use_machine(name, session, found.method)
    keys = found.get_frozen_credentials()
    credentials = Credentials(
        access_key_id=_text(keys.access_key),
        secret_access_key=_text(keys.secret_key),
        session_token=_text(keys.token) or None,
        expiration=getattr(found, "_expiry_time", None),  # botocore has no public name for it (boto/botocore#2694)
        account_id=_text(getattr(keys, "account_id", None)) or None,
    )
    return credentials, is_of_machine


def _use_machine(name: str | None, session: Session, method: str) -> None:
    from logging import getLogger

    from stskit.sources.profile.missing import check_machine

    profile = session.get_config_variable("profile") or "default"
    if name is not None:
        check_machine(name, session.full_config["profiles"].get(name, {}))
    getLogger("stskit").info("the profile %r holds no credentials; using those of this machine (%s)", profile, method)


def _text(value: object) -> str:
    """Return *value*, and "" where it is not text but the mapping that botocore makes of an indented block."""
    return value if isinstance(value, str) else ""
