"""Sessions of botocore and boto3: with fixed credentials, or with such that renew themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import asdict, field, frozen
from attrs.converters import optional

from stskit._arguments import check_source, has_method, optional_shown_text
from stskit._time import SystemClock
from stskit.credentials import check_credentials
from stskit.errors import SinkError, init_without_frames, without_frames
from stskit.refresh import Cached, RefreshPolicy, check_refresh
from stskit.sinks.environment import sign_with_keys_only

if TYPE_CHECKING:
    import boto3.session
    import botocore.session

    from stskit.credentials import Credentials
    from stskit.protocols import Cache, Clock, Source

__all__ = ["Boto3Session", "BotocoreSession"]

_LIKE_THE_SDKS: Final = RefreshPolicy(on_expired="serve")


@init_without_frames
@frozen
class BotocoreSession:
    """A `botocore.session.Session` that uses these credentials, whatever others the environment holds.

    `region_name`: the region of its clients; None leaves it to the environment and the config file. The other options
    are for a session that is made from a recipe and refreshes itself, and a `TypeError` elsewhere. `refresh`: when to
    refresh; by default the session goes on with expired credentials, and a warning, where no new ones can be fetched,
    as the AWS SDKs do. `cache`: where credentials are shared with others. `clock`: the source of the time.

    To botocore, the credentials of a session that refreshes itself are `RefreshableCredentials` with an expiry. Where a
    service refuses the key (ExpiredToken and the like), new credentials are fetched and the request is sent once more:
    for credentials older than a minute, and at most once in 5 minutes. This does not cover HEAD requests, presigned
    URLs, transfers by the AWS CRT, and bodies that cannot be read twice.

    A session reads the config file, so making one raises `SinkError` where that file is broken, or where
    ``AWS_PROFILE`` names a profile that is not there.

    https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
    """

    region_name: str | None = field(default=None, validator=optional_shown_text)
    refresh: RefreshPolicy | None = field(default=None, kw_only=True, converter=optional(check_refresh))
    cache: Cache | None = field(default=None, kw_only=True, validator=has_method("exclusive", "a cache"))
    clock: Clock | None = field(default=None, kw_only=True, validator=has_method("now", "a clock"))

    @without_frames
    def write(self, credentials: Credentials, /) -> botocore.session.Session:
        """A session whose credentials stay as they are, until they expire. Raises `SinkError` as said above.

        Raises `TypeError` where `refresh`, `cache` or `clock` is given: fixed credentials are not refreshed.
        """
        check_credentials(credentials)
        self._refuse_options("made of fixed credentials", "Attach a recipe: AssumedRole(...).to(...).")
        session = self._session()
        session.set_credentials(
            credentials.access_key_id, credentials.secret_access_key, credentials.session_token, credentials.account_id
        )
        return session

    @without_frames
    def attach(self, source: Source[Credentials], /) -> botocore.session.Session:
        """A session that fetches from *source* on first use, and again whenever its credentials are about to expire.

        Its clients raise what the source raises, once nothing is left. A `Cached` is used as it is: `TypeError` where
        `refresh`, `cache` or `clock` is given here as well. Raises `SinkError` as said above, and nothing of the source
        yet.
        """
        check_source("source", source)
        cached = self._cached(source)
        session = self._session()
        from stskit.sinks.live_credentials import provide

        provide(session, cached)
        return session

    def _cached(self, source: Source[Credentials]) -> Cached:
        if isinstance(source, Cached):
            self._refuse_options("attached to a Cached", "Pass it to that Cached.")
            return source
        refresh = _LIKE_THE_SDKS if self.refresh is None else self.refresh
        return Cached(source, self.cache, refresh, clock=SystemClock() if self.clock is None else self.clock)

    def _refuse_options(self, where: str, hint: str) -> None:
        """Raise `TypeError` for an option that would have no effect."""
        for option in ("refresh", "cache", "clock"):
            if getattr(self, option) is not None:
                raise TypeError(f"{option} has no effect on a session that is {where}. {hint}")

    def _session(self) -> botocore.session.Session:
        from botocore.exceptions import ConfigParseError, ProfileNotFound
        from botocore.session import Session

        from stskit.sts.loader import loader_for
        from stskit.sts.settings import verify_tls

        session = Session()
        sign_with_keys_only(session)
        verify_tls(session)
        try:
            session.register_component("data_loader", loader_for(session))
        except (ProfileNotFound, ConfigParseError) as error:
            raise SinkError(
                f"a session reads the config file, and botocore says: {str(error).rstrip('.')}",
                remedy="correct that, or what AWS_PROFILE and AWS_CONFIG_FILE name",
            ) from None
        if self.region_name is not None:
            session.set_config_variable("region", self.region_name)
        return session


@init_without_frames
@frozen
class Boto3Session:
    """A `boto3.session.Session` that uses these credentials. Needs ``stskit[boto3]``.

    `region_name`, `refresh`, `cache`, `clock`: as of `BotocoreSession`.

    https://docs.aws.amazon.com/boto3/latest/reference/core/session.html
    """

    region_name: str | None = field(default=None, validator=optional_shown_text)
    refresh: RefreshPolicy | None = field(default=None, kw_only=True, converter=optional(check_refresh))
    cache: Cache | None = field(default=None, kw_only=True, validator=has_method("exclusive", "a cache"))
    clock: Clock | None = field(default=None, kw_only=True, validator=has_method("now", "a clock"))

    @without_frames
    def write(self, credentials: Credentials, /) -> boto3.session.Session:
        """A session whose credentials stay as they are, until they expire.

        Raises `SinkError` without boto3, and as `BotocoreSession` does.
        """
        return _boto3(self._core().write(credentials))

    @without_frames
    def attach(self, source: Source[Credentials], /) -> boto3.session.Session:
        """A session that fetches from *source* on first use, and again whenever its credentials are about to expire.

        Raises `SinkError` without boto3, and as `BotocoreSession` does.
        """
        return _boto3(self._core().attach(source))

    def _core(self) -> BotocoreSession:
        return BotocoreSession(**asdict(self, recurse=False))


def _boto3(core: botocore.session.Session) -> boto3.session.Session:
    try:
        from boto3.session import Session
    except ImportError as error:
        remedy = "install it with: pip install 'stskit[boto3]', or use BotocoreSession"
        raise SinkError(str(error), remedy=remedy) from None
    return Session(botocore_session=core)
