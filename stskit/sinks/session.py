"""Sessions of botocore and boto3: with fixed credentials, or with such that renew themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, field, frozen

from stskit._arguments import check_source, has_method, optional_text
from stskit._io.fork import lock_across_forks
from stskit._time import SystemClock
from stskit.credentials import check_credentials
from stskit.errors import SinkError, init_without_frames, without_frames
from stskit.refresh import Cached, RefreshPolicy, check_refresh

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3.session
    import botocore.session
    from botocore.credentials import ReadOnlyCredentials

    from stskit.credentials import Credentials
    from stskit.protocols import Cache, Clock, Source

__all__ = ["Boto3Session", "BotocoreSession"]

_LIKE_THE_SDKS: Final = RefreshPolicy(on_expired="serve")
_loader_lock: Final = lock_across_forks()


@init_without_frames
@frozen
class BotocoreSession:
    """A `botocore.session.Session` that uses these credentials, whatever others the environment holds.

    `region_name`: the region of its clients; None leaves it to the environment and the config file. The others are of
    the `Cached` that a session which renews itself is made on. `refresh`: by default it goes on with expired
    credentials, and a warning, where new ones cannot be had, as the AWS SDKs do. `cache`: where credentials are shared
    with others. `clock`: what it takes the time from.

    A session reads the config file, so making one raises `SinkError` where that file is broken, or where
    ``AWS_PROFILE`` names a profile that is not there.

    https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
    """

    region_name: str | None = field(default=None, validator=optional_text)
    refresh: RefreshPolicy = field(default=_LIKE_THE_SDKS, kw_only=True, converter=check_refresh)
    cache: Cache | None = field(default=None, kw_only=True, validator=has_method("exclusive", "a cache"))
    clock: Clock = field(factory=SystemClock, kw_only=True, validator=has_method("now", "a clock"))

    @without_frames
    def write(self, credentials: Credentials, /) -> botocore.session.Session:
        """A session whose credentials stay as they are, until they expire. Raises `SinkError` as said above."""
        check_credentials(credentials)
        session = self._session()
        session.set_credentials(
            credentials.access_key_id, credentials.secret_access_key, credentials.session_token, credentials.account_id
        )
        return session

    @without_frames
    def attach(self, source: Source[Credentials], /) -> botocore.session.Session:
        """A session that fetches from *source* on first use, and again whenever its credentials are about to expire.

        Its clients raise what the source raises, once nothing valid is left. A `Cached` is used as it is.
        Raises `SinkError` as said above, and nothing of the source yet.
        """
        check_source("source", source)
        session = self._session()
        session.register_component("credential_provider", _LiveCredentials(self._cached(source)))
        return session

    def _cached(self, source: Source[Credentials]) -> Cached:
        if isinstance(source, Cached):
            return source
        return Cached(source, self.cache, self.refresh, clock=self.clock)

    def _session(self) -> botocore.session.Session:
        from botocore.exceptions import ConfigParseError, ProfileNotFound
        from botocore.session import Session

        from stskit.sts.loader import loader_for

        session = Session()
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

    region_name: str | None = field(default=None, validator=optional_text)
    refresh: RefreshPolicy = field(default=_LIKE_THE_SDKS, kw_only=True, converter=check_refresh)
    cache: Cache | None = field(default=None, kw_only=True, validator=has_method("exclusive", "a cache"))
    clock: Clock = field(factory=SystemClock, kw_only=True, validator=has_method("now", "a clock"))

    @without_frames
    def write(self, credentials: Credentials, /) -> boto3.session.Session:
        """A session whose credentials stay as they are, until they expire.

        Raises `SinkError` without boto3, and as `BotocoreSession` does.
        """
        return _boto3(self._core().write(credentials))

    @without_frames
    def attach(self, source: Source[Credentials], /) -> boto3.session.Session:
        """A session that fetches from *source* on first use, and again whenever its credentials are about to expire.

        Its clients raise what the source raises, once nothing valid is left. A `Cached` is used as it is.
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
    paths: list[str] = core.get_component("data_loader").search_paths
    with _loader_lock:
        session = Session(botocore_session=core)
        while paths.count(paths[-1]) > 1:  # boto3 adds its own, again and again since all sessions have one loader
            paths.pop()
    return session


class _LiveCredentials:
    """To botocore a provider of credentials and the credentials themselves, which it may keep for ever.

    What is signed comes from `get_frozen_credentials`, so it is one whole set. The attributes are for callers who
    look at one thing; two of them read one after the other may be of different sets.
    """

    method = "stskit"

    def __init__(self, cached: Cached) -> None:
        self._fetch = cached.fetch
        self._frozen: tuple[Credentials | None, ReadOnlyCredentials | None] = None, None

    def load_credentials(self) -> _LiveCredentials:
        return self

    def get_frozen_credentials(self) -> ReadOnlyCredentials | None:
        keys = self._fetch()
        of, frozen = self._frozen  # a pair, so that no thread sees the keys of one set with another set
        if of is not keys:
            from botocore.credentials import ReadOnlyCredentials

            frozen = ReadOnlyCredentials(
                keys.access_key_id, keys.secret_access_key, keys.session_token, keys.account_id
            )
            self._frozen = keys, frozen
        return frozen

    def get_deferred_property(self, name: str) -> Callable[[], Any]:
        return lambda: getattr(self, name)

    @property
    def access_key(self) -> str:
        return self._fetch().access_key_id

    @property
    def secret_key(self) -> str:
        return self._fetch().secret_access_key

    @property
    def token(self) -> str | None:
        return self._fetch().session_token

    @property
    def account_id(self) -> str | None:
        return self._fetch().account_id
