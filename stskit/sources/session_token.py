"""A source that calls GetSessionToken, so that one MFA code works for many roles."""

from __future__ import annotations

from attrs import evolve, field, frozen

from stskit._arguments import check_source, check_sts
from stskit.cache_key import anonymous_part, identity_for, identity_of, session_key, snapshot_of
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, init_without_frames, without_frames
from stskit.limits import check_size, duration_in_seconds
from stskit.mfa import MFA, check_mfa
from stskit.protocols import Source, STSOperations
from stskit.sts import BotocoreSTS, sts_for

__all__ = ["SessionToken"]


@init_without_frames
@frozen
class SessionToken:
    """A source of temporary credentials of the same user, from GetSessionToken.

    With `mfa`, they count as authenticated by MFA, so that one code works for every role that requires it. Each fetch
    is a call and needs a code: share it among many roles with ``Cached(SessionToken(source, mfa))``.

    Args:
        source: Source of the long-term keys of a user.
        mfa: MFA device and code. Defaults to none.
        duration: How long the credentials are valid, in seconds or as a timedelta; 900 to 129,600 seconds. Defaults to
            twelve hours.
        sts: The STS client. Defaults to ``BotocoreSTS()``.

    Raises:
        RoleError: If the duration is out of its limits.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import Cached, assume
        >>> from stskit.sources import Profile, SessionToken
        >>> user = Cached(SessionToken(Profile("base")))
        >>> assume("arn:aws:iam::123456789012:role/Deploy", source=user).account_id
        '123456789012'

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
    """

    source: Source[Credentials]
    mfa: MFA | None = None
    duration: int | None = field(default=None, converter=duration_in_seconds)
    sts: STSOperations = field(factory=BotocoreSTS, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_source("source", self.source)
        check_mfa(self.mfa)
        check_sts(self.sts, "session_token")
        check_size("duration of a session token", self.duration)

    @without_frames
    def fetch(self) -> Credentials:
        """Return new credentials. This fetches the source, asks for an MFA code if needed, and calls STS.

        Returns:
            Temporary credentials of the same user.

        Raises:
            SourceError: If the source has no credentials.
            ProofInvalid: If the credentials are temporary, because STS refuses those here.
            SignInRequired: If an MFA code is needed and no person can be asked.
            STSError: If STS refused the request.
            STSUnavailable: If STS could not be reached, or its response was not usable.
        """
        credentials = self.source.fetch()
        if credentials.session_token is not None:
            raise ProofInvalid(
                "GetSessionToken needs the long-term keys of a user, but the source returned temporary credentials.",
                remedy="Pass the profile of the user as the source, or assume the role without SessionToken.",
                cli_remedy="Pass the profile of the user with --profile, or omit --session-token.",
                option="source",
            )
        sts = sts_for(self.source, self.sts)
        return sts.session_token(credentials, duration=self.duration, mfa=self.mfa)

    @property
    def settings_profile(self) -> str | None:
        """The profile whose endpoint, region and CA bundle apply to calls that use these credentials.

        None if there is none. Raises nothing.
        """
        return getattr(self.source, "settings_profile", None)

    @property
    def identity(self) -> str | None:
        """The cache key. It covers the source, the options and the STS.

        None if `source` or `sts` has no identity. Raises what the source raises.
        """
        return session_key(identity_of(self.source), self.duration, self.mfa, sts_for(self.source, self.sts))

    def identity_for(self, name: str, /) -> str | None:
        """Return the cache key if *name* stands for the identity of the first source.

        Args:
            name: Name of the identity, chosen by the user.

        Returns:
            The cache key, or None if there can be none. Raises nothing.
        """
        return session_key(
            identity_for(self.source, name), self.duration, self.mfa, sts_for(self.source, self.sts), sts_name=name
        )

    def anonymous_part(self) -> object | None:
        """Return the part that has no identity, so that there is no cache key.

        Returns:
            `sts` or a part of `source`, or None if each part has an identity. Raises nothing.
        """
        return anonymous_part(self.source, self.sts)

    def snapshot(self) -> SessionToken:
        """Return this source with the present state of its own source.

        Returns:
            A source.

        Raises:
            SourceError: If the source cannot be read.
        """
        return evolve(self, source=snapshot_of(self.source), sts=sts_for(self.source, self.sts))
