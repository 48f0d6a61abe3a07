"""A source of the credentials of a profile, or of the standard AWS credential chain."""

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
    check_type("name", name, (str, type(None)), "a profile name or None")
    if name is not None:
        refuse_secret("name", name, "a profile name", ProofInvalid, remedy="Pass Static(proof) for a proof.")


@init_without_frames
@frozen
class Profile:
    """A source of the credentials of a profile: keys, SSO, a process, another role, or whatever the profile uses.

    Everything is read again for every fetch, so that changes of the files are used. A named profile ignores keys in
    environment variables. If the profile needs an MFA code, the main thread asks for it at the terminal at every fetch;
    other threads never ask.

    Args:
        name: Profile name. Defaults to the standard AWS credential chain: environment variables, ``AWS_PROFILE``, the
            default profile, container and instance.
        process_timeout: Seconds after which a ``credential_process`` is stopped; up to one day. Defaults to 60.
        allow_http: Whether calls of the profile itself (AssumeRole, web identity, SSO) may go to another machine
            without TLS. Defaults to False. Each of these calls takes at most one minute, and ``AWS_REGION`` applies to
            them.

    Raises:
        ProofInvalid: If the name is a secret instead.
        ValueError: If `process_timeout` is out of its limits.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume
        >>> from stskit.sources import Profile
        >>> assume("arn:aws:iam::123456789012:role/Deploy", source=Profile("base")).account_id
        '123456789012'

    https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
    """

    name: str | None = field(default=None, validator=_check_name)
    process_timeout: float = field(default=60, kw_only=True, repr=False, validator=and_(number, gt(0), le(86_400)))
    allow_http: bool = field(default=False, kw_only=True, repr=False, validator=flag)

    @property
    def identity(self) -> str | None:
        """The cache key. It covers the profiles, files, variables and keys that decide about the credentials.

        None if a process, the container or the instance decides. Raises nothing.
        """
        return self.snapshot().identity

    def snapshot(self) -> ProfileSnapshot:
        """Return a source whose `identity` belongs to the credentials that its `fetch` returns.

        Returns:
            A source. Raises nothing.
        """
        from stskit.sources.profile.cache_key import profile_parts

        return ProfileSnapshot(self, profile_parts(self.name))

    def anonymous_part(self) -> Profile | None:
        """Return this profile if it has no identity, so that there is no cache key.

        Returns:
            This profile or None. Raises nothing.
        """
        return self if self.identity is None else None

    @property
    def settings_profile(self) -> str | None:
        """The profile whose endpoint, region and CA bundle apply to calls that use these credentials.

        None without a name; then the profile of the environment applies. Raises nothing.
        """
        return self.name

    @without_frames
    def fetch(self) -> Credentials:
        """Return the credentials that botocore finds now. Errors do not quote what a process or a server printed.

        Returns:
            The credentials.

        Raises:
            SourceMissing: If the profile does not exist, or there are no credentials.
            SignInRequired: If the SSO or login session has expired, or an MFA code is needed and no person can be
                asked.
            ProofInvalid: If the configuration or a server it needs does not work.
        """
        return _fetch_with_origin(self)[0]


@define(eq=False)
class ProfileSnapshot:
    """A profile with the settings that decide about its credentials.

    It has no identity if the settings changed during the fetch, or if the machine provided the credentials.
    """

    profile: Profile
    _parts: tuple[object, ...] | None = field(repr=False)

    @property
    def identity(self) -> str | None:
        """The cache key, as for `Profile`. Raises nothing."""
        return None if self._parts is None else digest(*self._parts)

    @without_frames
    def fetch(self) -> Credentials:
        """Return the credentials, as `Profile` does."""
        from stskit.sources.profile.cache_key import profile_parts

        credentials, is_of_machine = _fetch_with_origin(self.profile)
        if is_of_machine or profile_parts(self.profile.name) != self._parts:
            self._parts = None
        return credentials


def _fetch_with_origin(profile: Profile) -> tuple[Credentials, bool]:
    """Return the credentials, and whether the container or the instance provided them. Raises as `fetch`."""
    from stskit.sources.profile import errors
    from stskit.sources.profile.provider_chain import harden_chain
    from stskit.sts.clients import silence_secret_loggers
    from stskit.sts.settings import new_session
    from stskit.sts.wire import guard

    where = "The standard AWS credential chain" if profile.name is None else f"Profile {profile.name!r}"
    session = new_session(profile.name)
    guard(session, allow_http=profile.allow_http)
    try:
        with silence_secret_loggers():
            harden_chain(session, profile.process_timeout)
            _check(profile.name, session)
            found = _found(profile.name, session)
    except SourceError as error:
        raise prefixed(error, f"{where}: ") from None
    except Exception as error:  # noqa: BLE001 - botocore's errors have no common base class
        raise errors.translate(error, session, where, profile.name) from None
    if found is None:
        what = f"{where} found no credentials, neither in the environment nor"
        raise errors.not_found(
            session,
            what,
            "Run: aws configure. Or pass another source.",
            "Run: aws configure. Or add --profile, --saml-file, --oidc-token-file or --keys-file.",
        )
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
    message = "Profile %r has no credentials. Using the credentials of this machine (%s)."
    getLogger("stskit").info(message, profile, method)


def _text(value: object) -> str:
    """Return text, or "" for the mapping that botocore makes of an indented block."""
    return value if isinstance(value, str) else ""
