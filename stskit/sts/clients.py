"""The botocore clients behind `BotocoreSTS`: one for a region and a set of settings, shared by all callers and threads.

A client holds no keys. Each call brings its own, so one client serves every caller, and none looks for any: no
profile's keys are read and no ``credential_process`` is run. Nothing secret of what is sent and received is logged.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final, TypeAlias
from weakref import WeakSet

from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.session import Session

from stskit._io.fork import lock_across_forks
from stskit._version import __version__
from stskit.credentials import Credentials, Secret
from stskit.errors import RoleError
from stskit.proofs import Proof
from stskit.sts.loader import partitions, sts_loader_for
from stskit.sts.settings import check_endpoint, new_session
from stskit.sts.wire import TOTAL_TIMEOUT, guard

Options: TypeAlias = tuple[tuple[str, Any], ...]
"""Arguments for `botocore.config.Config`, by name."""

# What botocore reads from the environment when it makes a client, beside the variables that its sessions list.
_VARIABLES: Final = (
    *("HOME", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "REQUESTS_CA_BUNDLE"),
    "REQUEST_METHOD",  # where it is set, Python does not use HTTP_PROXY
)
# The loggers of botocore that show no value of a request, an answer or a setting. All others, new ones too, may show
# one: a proof, a key, what a credential_process printed, or the password in an endpoint.
_HARMLESS_LOGGERS: Final = frozenset(
    {"botocore", *(f"botocore.{name}" for name in ("client", "configprovider", "hooks", "loaders", "session"))}
)
# These are there before botocore imports their modules.
_SECRET_LOGGERS: Final = tuple(
    f"botocore.{name}"
    for name in ("auth", "credentials", "endpoint", "httpsession", "parsers", "regions", "signers", "tokens", "utils")
)
_NOWHERE: Final = (None, None, os.devnull, None)  # to botocore: in no file and no variable; by default an empty file
_MAX_CONNECTIONS: Final = 50  # kept open between calls; urllib3 warns when more threads than this come back at once

_proof_in_use: ContextVar[Proof | None] = ContextVar("stskit_proof_in_use", default=None)
_is_silent: ContextVar[bool] = ContextVar("stskit_is_silent", default=False)
_lock: Final = lock_across_forks()
_open: Final[WeakSet[BaseClient]] = WeakSet()


@contextmanager
def silence_secret_loggers(silent: bool = True) -> Iterator[None]:
    """Silence the loggers of botocore that may show a secret, in this thread only, for as long as the block lasts.

    With *silent* False they write again, also inside of another such block.
    """
    for name in (*_SECRET_LOGGERS, *logging.root.manager.loggerDict):
        if name.startswith("botocore.") and name not in _HARMLESS_LOGGERS:
            logging.getLogger(name).addFilter(_may_be_logged)
    before = _is_silent.set(silent)
    try:
        yield
    finally:
        _is_silent.reset(before)


def client_for(
    region: str | None,
    partition: str | None,
    *,
    signed: bool,
    endpoint_url: str | None,
    options: Options,
    profile: str | None = None,
    allow_http: bool = False,
    total_timeout: float | None = TOTAL_TIMEOUT,
) -> BaseClient:
    """Return the client for calls in *partition*, None where it is not known; made once.

    *profile*: the profile whose settings count for signed calls; None is the one that the environment names.
    Raises `RoleError` where no region fits or the endpoint is not valid, and what botocore raises.
    """
    with _lock, silence_secret_loggers():
        limits = allow_http, total_timeout
        session = _session(signed, profile if signed else None, limits, _environment(), _files() if signed else ())
        given = dict(options)
        check_endpoint(
            session,
            endpoint_url,
            use_fips=bool(given.get("use_fips_endpoint")),
            use_dualstack=bool(given.get("use_dualstack_endpoint")),
        )
        wanted = region or session.get_config_variable("region")
        return _client(session, _region(wanted, partition, strict=bool(region)), endpoint_url, options)


def close_clients() -> None:
    """Drop the clients that all `BotocoreSTS` share, and close their connections; the next call makes new ones.

    This is for tests that start a mock of AWS after the first call. A call under way in another thread goes on.
    Raises nothing.
    """
    with _lock:
        for client in _open:
            client.close()
        _open.clear()
        _client.cache_clear()
        _session.cache_clear()


def call(
    client: BaseClient, operation: str, parameters: Mapping[str, object], proof: Proof, *, log_secrets: bool = False
) -> dict[str, Any]:
    """Make one call, signed with *proof* where the operation is signed and *proof* is credentials.

    Its secrets are logged only with *log_secrets*.
    """
    if log_secrets:  # as plain text, for a `Secret` masks itself in the log
        parameters = {name: str(value) if isinstance(value, Secret) else value for name, value in parameters.items()}
    before = _proof_in_use.set(proof)
    try:
        with silence_secret_loggers(not log_secrets):
            answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
            return answer
    finally:
        _proof_in_use.reset(before)


def _environment() -> tuple[object, ...]:
    # By process, because connections do not survive a fork. Python reads the variables of proxies in any case.
    proxies = tuple(sorted(each for each in os.environ.items() if each[0].lower().endswith("_proxy")))
    return os.getpid(), *map(os.environ.get, _variables()), proxies


def _files() -> tuple[object, ...]:
    """Return what changes when the config file or the credentials file does."""
    paths = (
        os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config",
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
    )
    return tuple(_state(os.path.expanduser(os.path.expandvars(path))) for path in paths)


def _state(path: str) -> tuple[int, ...]:
    with suppress(OSError, ValueError):
        found = os.stat(path)
        return found.st_mtime_ns, found.st_size, found.st_ino
    return ()


@lru_cache(maxsize=1)
def _variables() -> tuple[str, ...]:
    listed = (variable or () for _, variable, *_ in Session.SESSION_VARIABLES.values())  # one name, several, or none
    return *_VARIABLES, *(name for each in listed for name in ([each] if isinstance(each, str) else each))


@lru_cache(maxsize=8)
def _session(
    signed: bool, profile: str | None, limits: tuple[bool, float | None], _environment: object, _files: object
) -> Session:
    # Calls that need no keys must work whatever the state of the caller's files: they do not see them.
    ignored = {} if signed else {"profile": (None,) * 4, "config_file": _NOWHERE, "credentials_file": _NOWHERE}
    session = new_session(profile, session_vars=ignored)
    allow_http, total_timeout = limits
    guard(session, allow_http=allow_http, total_timeout=total_timeout)
    session.set_config_variable("sts_regional_endpoints", "regional")
    session.register_component("data_loader", sts_loader_for(session))
    for component in ("credential_provider", "token_provider"):
        session.register_component(component, _PerCallCredentials())
    # An expiration is parsed by us: botocore takes half a date, and gives local time.
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
    return session


@lru_cache(maxsize=64)
def _client(session: Session, region: str, endpoint_url: str | None, options: Options) -> BaseClient:
    config = Config(
        **dict(options),
        retries={"mode": "standard"},  # three attempts, or AWS_MAX_ATTEMPTS
        defaults_mode="legacy",  # type: ignore[arg-type]  # a text; `auto` would ask the instance where it is, and what it decides is set here
        max_pool_connections=_MAX_CONNECTIONS,
        user_agent_extra=f"stskit/{__version__}",
    )
    client = session.create_client("sts", region_name=region, endpoint_url=endpoint_url, config=config)
    _open.add(client)
    return client


def _region(wanted: str | None, partition: str | None, *, strict: bool) -> str:
    known = partitions()
    if wanted:
        there = next((name for name, (_, regions) in known.items() if regions.match(wanted)), partition)
        if partition is None or there == partition:
            return wanted
        if strict and partition not in known:  # of a server that is not AWS's, or newer than this botocore
            return wanted
        if strict:
            raise RoleError(
                f"the region {wanted} is in the partition {there} and the role in {partition}",
                remedy=f"name a region of {partition}",
                option="region",
            )
    home = known.get(partition or "aws")
    if home is None:
        raise RoleError(
            f"no region is known for the partition {partition}",
            remedy="name one: BotocoreSTS(region=...)",
            cli_remedy="name one: --region",
            option="region",
        )
    return home[0]


def _may_be_logged(_record: object) -> bool:
    return not _is_silent.get()


class _PerCallCredentials:
    """A credential provider of botocore that returns the credentials of the call under way in this thread.

    It is the provider and its credentials in one object; and a provider of bearer tokens that has none, so that
    botocore does not look for them elsewhere.
    """

    method = "explicit"

    def load_credentials(self) -> _PerCallCredentials:
        return self

    def load_token(self, **_options: object) -> None:
        return None

    def get_frozen_credentials(self) -> ReadOnlyCredentials | None:
        keys = _proof_in_use.get()
        if not isinstance(keys, Credentials):
            return None
        return ReadOnlyCredentials(keys.access_key_id, keys.secret_access_key, keys.session_token)

    def get_deferred_property(self, _name: str) -> Callable[[], None]:
        return lambda: None  # botocore asks for the account; the endpoints of STS do not depend on it
