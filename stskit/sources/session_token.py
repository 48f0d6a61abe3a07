"""A session of the user's own, so that one MFA code serves many roles."""

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
    """Temporary credentials of the very user whose long-term ones `source` gives, by GetSessionToken.

    With `mfa` they count as authenticated by it, so one code serves every role that asks for MFA. Each fetch is a call,
    and needs a code: share one among many roles by ``Cached(SessionToken(source, mfa))``. `duration`: seconds or a
    timedelta, 900 to 129,600; None leaves it to STS, which takes twelve hours. `sts`: whom it asks.

    Raises `RoleError` where the duration is out of its limits, and `TypeError` for an argument of the wrong type.

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
        """New credentials: one fetch of the source, one code, one call of STS.

        Raises `ProofInvalid` where the source gives temporary credentials, with which STS makes no session, and what
        the source, the MFA device and STS raise.
        """
        credentials = self.source.fetch()
        if credentials.session_token is not None:
            raise ProofInvalid(
                "a session token is given for the long-term keys of a user only, and these are temporary already",
                remedy="name the user's own profile as source, or assume the role from these without SessionToken",
                cli_remedy="name the user's own profile as source, or assume the role from these "
                "without --session-token",
                option="source",
            )
        sts = sts_for(self.source, self.sts)
        return sts.session_token(credentials, duration=self.duration, mfa=self.mfa)

    @property
    def settings_profile(self) -> str | None:
        """The profile whose endpoint, region and CA bundle count for calls that are signed with these credentials.

        Raises nothing.
        """
        return getattr(self.source, "settings_profile", None)

    @property
    def identity(self) -> str | None:
        """A key for caches: by whose credentials the session is and what is asked for; None where `source` or `sts` has
        no identity.

        Raises what the source does.
        """
        return session_key(identity_of(self.source), self.duration, self.mfa, sts_for(self.source, self.sts))

    def identity_for(self, name: str, /) -> str | None:
        """Return the same where *name* says whose the credentials of `source` are. Raises nothing."""
        return session_key(
            identity_for(self.source, name), self.duration, self.mfa, sts_for(self.source, self.sts), sts_name=name
        )

    def anonymous_part(self) -> object | None:
        """Return what leaves it without identity: `sts`, or a part of `source`; None otherwise. Raises nothing."""
        return anonymous_part(self.source, self.sts)

    def snapshot(self) -> SessionToken:
        """Return the same with the source as it is now. Raises what the source does."""
        return evolve(self, source=snapshot_of(self.source), sts=sts_for(self.source, self.sts))
