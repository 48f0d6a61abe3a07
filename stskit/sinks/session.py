"""Sinks that make botocore and boto3 sessions, with fixed credentials or with credentials that refresh themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict, evolve, field, frozen
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


@init_without_frames
@frozen
class BotocoreSession:
    """A sink that makes a `botocore.session.Session`. The session uses these credentials, whatever the environment has.

    ``recipe.to(BotocoreSession())`` makes a session that refreshes itself. ``credentials.to(BotocoreSession())`` makes
    one with fixed credentials.

    To botocore, credentials that refresh themselves are `RefreshableCredentials` with an expiry. If a service refuses
    the key (ExpiredToken and similar codes), new credentials are fetched and the request is sent again: for credentials
    older than a minute, and at most once in 5 minutes. This does not cover HEAD requests, presigned URLs, transfers by
    the AWS CRT, and bodies that cannot be read twice.

    Args:
        region_name: AWS region of the clients. Defaults to the environment and the config file.
        refresh: When to refresh. Defaults to ``RefreshPolicy()``. Unless its `on_expired` is ``"raise"``, the session
            keeps using expired credentials with a warning if it cannot refresh them, as the AWS SDKs do.
        cache: Where credentials are shared with other processes. Defaults to none.
        clock: The source of the time. Defaults to the system clock.

    Raises:
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import AssumedRole
        >>> from stskit.sinks import BotocoreSession
        >>> session = AssumedRole("arn:aws:iam::123456789012:role/Reports").to(BotocoreSession("eu-central-1"))
        >>> session.create_client("sts").get_caller_identity()["Account"]
        '123456789012'

    https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
    """

    region_name: str | None = field(default=None, validator=optional_shown_text)
    refresh: RefreshPolicy | None = field(default=None, kw_only=True, converter=optional(check_refresh))
    cache: Cache | None = field(default=None, kw_only=True, validator=has_method("exclusive", "a cache"))
    clock: Clock | None = field(default=None, kw_only=True, validator=has_method("now", "a clock"))

    @without_frames
    def write(self, credentials: Credentials, /) -> botocore.session.Session:
        """Return a session that is NOT refreshed: it stops working when the credentials expire, usually after an hour.

        For a session that refreshes itself, write ``AssumedRole(role).to(BotocoreSession())``.

        Args:
            credentials: The credentials to use.

        Returns:
            A session with these credentials.

        Raises:
            SinkError: If botocore cannot read the config file, or ``AWS_PROFILE`` names a missing profile.
            TypeError: If `refresh`, `cache` or `clock` was passed, because fixed credentials are not refreshed.
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
        """Return a session that refreshes itself. It fetches credentials at its first use and before they expire.

        Args:
            source: A recipe. A `Cached` is used as it is.

        Returns:
            A session. Its clients raise what the source raises, if there are no credentials.

        Raises:
            SinkError: If botocore cannot read the config file, or ``AWS_PROFILE`` names a missing profile.
            TypeError: If it is not a source, or if `refresh`, `cache` or `clock` was passed together with a `Cached`.
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
        refresh = RefreshPolicy() if self.refresh is None else self.refresh
        if refresh.on_expired is None:
            refresh = evolve(refresh, on_expired="serve")
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
                f"botocore cannot read the config file: {str(error).rstrip('.')}.",
                remedy="Correct the file, or the variables AWS_PROFILE and AWS_CONFIG_FILE.",
            ) from None
        if self.region_name is not None:
            session.set_config_variable("region", self.region_name)
        return session


@init_without_frames
@frozen
class Boto3Session:
    """A sink that makes a `boto3.session.Session`. Needs ``stskit[boto3]``.

    ``recipe.to(Boto3Session())`` makes a session that refreshes itself; ``stskit.boto3_session(role)`` is shorter.
    ``credentials.to(Boto3Session())`` makes one with fixed credentials. `BotocoreSession` describes both.

    Args:
        region_name: AWS region of the clients. Defaults to the environment and the config file.
        refresh: When to refresh. Defaults to ``RefreshPolicy()``.
        cache: Where credentials are shared with other processes. Defaults to none.
        clock: The source of the time. Defaults to the system clock.

    Raises:
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import AssumedRole
        >>> from stskit.sinks import Boto3Session
        >>> session = AssumedRole("arn:aws:iam::123456789012:role/Reports").to(Boto3Session("eu-central-1"))
        >>> session.client("sts").get_caller_identity()["Account"]
        '123456789012'

    https://docs.aws.amazon.com/boto3/latest/reference/core/session.html
    """

    region_name: str | None = field(default=None, validator=optional_shown_text)
    refresh: RefreshPolicy | None = field(default=None, kw_only=True, converter=optional(check_refresh))
    cache: Cache | None = field(default=None, kw_only=True, validator=has_method("exclusive", "a cache"))
    clock: Clock | None = field(default=None, kw_only=True, validator=has_method("now", "a clock"))

    @without_frames
    def write(self, credentials: Credentials, /) -> boto3.session.Session:
        """Return a session that is NOT refreshed: it stops working when the credentials expire, usually after an hour.

        For a session that refreshes itself, call ``stskit.boto3_session(role)``, or write
        ``AssumedRole(role).to(Boto3Session())``.

        Args:
            credentials: The credentials to use.

        Returns:
            A session with these credentials.

        Raises:
            SinkError: If boto3 is not installed, botocore cannot read the config file, or ``AWS_PROFILE`` names a
                missing profile.
            TypeError: If `refresh`, `cache` or `clock` was passed, because fixed credentials are not refreshed.
        """
        return _boto3(self._core().write(credentials))

    @without_frames
    def attach(self, source: Source[Credentials], /) -> boto3.session.Session:
        """Return a session that refreshes itself. It fetches credentials at its first use and before they expire.

        Args:
            source: A recipe. A `Cached` is used as it is.

        Returns:
            A session. Its clients raise what the source raises, if there are no credentials.

        Raises:
            SinkError: If boto3 is not installed, botocore cannot read the config file, or ``AWS_PROFILE`` names a
                missing profile.
            TypeError: If it is not a source, or if `refresh`, `cache` or `clock` was passed together with a `Cached`.
        """
        return _boto3(self._core().attach(source))

    def _core(self) -> BotocoreSession:
        return BotocoreSession(**asdict(self, recurse=False))


def _boto3(core: botocore.session.Session) -> boto3.session.Session:
    try:
        from boto3.session import Session
    except ImportError as error:
        remedy = "Run: pip install 'stskit[boto3]'. Or use BotocoreSession."
        raise SinkError(f"boto3 is not installed: {error}.", remedy=remedy) from None
    return Session(botocore_session=core)
