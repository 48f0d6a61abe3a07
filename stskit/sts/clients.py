"""The botocore clients behind `BotocoreSTS`: one for each region and set of options, shared by all callers and threads.

A client has no keys. Each call passes its own, so a client serves every caller, reads no keys of a profile and starts
no ``credential_process``. Requests and responses are not logged, because they contain secrets.
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

# Environment variables that botocore reads when it makes a client, in addition to those that its sessions list.
_VARIABLES: Final = (
    *("HOME", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "REQUESTS_CA_BUNDLE"),
    "REQUEST_METHOD",  # if it is set, Python ignores HTTP_PROXY
)
# The loggers of botocore that show no value of a request, a response or a setting. All others, also new ones, may show
# a proof, a key, the output of a credential_process or the password in an endpoint.
_HARMLESS_LOGGERS: Final = frozenset(
    {"botocore", *(f"botocore.{name}" for name in ("client", "configprovider", "hooks", "loaders", "session"))}
)
# Loggers whose modules botocore imports later.
_SECRET_LOGGERS: Final = tuple(
    f"botocore.{name}"
    for name in ("auth", "credentials", "endpoint", "httpsession", "parsers", "regions", "signers", "tokens", "utils")
)
# A setting of botocore's sessions that names no variable, and an empty file as the default.
_EMPTY_FILE: Final = (None, None, os.devnull, None)
_MAX_CONNECTIONS: Final = 50  # open between calls; urllib3 warns if more threads than this return one at once

_proof_in_use: ContextVar[Proof | None] = ContextVar("stskit_proof_in_use", default=None)
_is_silent: ContextVar[bool] = ContextVar("stskit_is_silent", default=False)
_lock: Final = lock_across_forks()
_open: Final[WeakSet[BaseClient]] = WeakSet()


@contextmanager
def silence_secret_loggers(silent: bool = True) -> Iterator[None]:
    """Silence the loggers of botocore that may show a secret, in this thread only and until the block ends.

    With *silent* False they write, even inside another such block.
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
    """Return the client for calls in a partition, which is None if it is unknown.

    *profile* has the settings for signed calls. It defaults to the profile that the environment names. Raises
    `RoleError` if no region fits or the endpoint is not valid, and what botocore raises.
    """
    with _lock, silence_secret_loggers():
        limits = allow_http, total_timeout
        session = _session(signed, profile if signed else None, limits, _environment(), _files() if signed else ())
        arguments = dict(options)
        check_endpoint(
            session,
            endpoint_url,
            use_fips=bool(arguments.get("use_fips_endpoint")),
            use_dualstack=bool(arguments.get("use_dualstack_endpoint")),
        )
        wanted = region or session.get_config_variable("region")
        return _client(session, _region(wanted, partition, strict=bool(region)), endpoint_url, options)


def close_clients() -> None:
    """Close all shared clients and their connections. The next call makes new ones."""
    with _lock:
        for client in _open:
            client.close()
        _open.clear()
        _client.cache_clear()
        _session.cache_clear()


def call(
    client: BaseClient, operation: str, parameters: Mapping[str, object], proof: Proof, *, log_secrets: bool = False
) -> dict[str, Any]:
    """Make one call. It is signed with *proof* if the operation needs a signature and *proof* is credentials.

    Secrets are logged only if *log_secrets* is True.
    """
    if log_secrets:  # as plain text, because a `Secret` is masked in logs
        parameters = {name: str(value) if isinstance(value, Secret) else value for name, value in parameters.items()}
    before = _proof_in_use.set(proof)
    try:
        with silence_secret_loggers(not log_secrets):
            answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
            return answer
    finally:
        _proof_in_use.reset(before)


def _environment() -> tuple[object, ...]:
    # The process ID is a part, because connections do not survive a fork. Python reads proxy variables in either case.
    proxies = tuple(sorted(each for each in os.environ.items() if each[0].lower().endswith("_proxy")))
    return os.getpid(), *map(os.environ.get, _variables()), proxies


def _files() -> tuple[object, ...]:
    """Return the state of the config file and the credentials file, which differs after a change."""
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
    listed = (variable or () for _, variable, *_ in Session.SESSION_VARIABLES.values())  # a name, names, or None
    return *_VARIABLES, *(name for each in listed for name in ([each] if isinstance(each, str) else each))


@lru_cache(maxsize=8)
def _session(
    signed: bool, profile: str | None, limits: tuple[bool, float | None], _environment: object, _files: object
) -> Session:
    # Calls that need no keys must work even if the user's files are broken, so they do not read them.
    ignored = {} if signed else {"profile": (None,) * 4, "config_file": _EMPTY_FILE, "credentials_file": _EMPTY_FILE}
    session = new_session(profile, session_vars=ignored)
    allow_http, total_timeout = limits
    guard(session, allow_http=allow_http, total_timeout=total_timeout)
    session.set_config_variable("sts_regional_endpoints", "regional")
    session.register_component("data_loader", sts_loader_for(session))
    for component in ("credential_provider", "token_provider"):
        session.register_component(component, _PerCallCredentials())
    # stskit parses expirations, because botocore accepts incomplete dates and returns local time.
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
    return session


@lru_cache(maxsize=64)
def _client(session: Session, region: str, endpoint_url: str | None, options: Options) -> BaseClient:
    config = Config(
        **dict(options),
        retries={"mode": "standard"},  # three attempts, or AWS_MAX_ATTEMPTS
        defaults_mode="legacy",  # type: ignore[arg-type]  # `auto` would ask the instance metadata
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
        if strict and partition not in known:  # a partition of another server, or one that this botocore does not know
            return wanted
        if strict:
            raise RoleError(
                f"region {wanted} is in the partition {there}, but the role is in {partition}.",
                remedy=f"Pass a region of {partition}.",
                option="region",
            )
    home = known.get(partition or "aws")
    if home is None:
        raise RoleError(
            f"botocore knows no region of the partition {partition}.",
            remedy="Pass a region: BotocoreSTS(region=...).",
            cli_remedy="Pass a region: --sts-region.",
            option="region",
        )
    return home[0]


def _may_be_logged(_record: object) -> bool:
    return not _is_silent.get()


class _PerCallCredentials:
    """A credential provider for botocore that returns the credentials of the current call of this thread.

    It is the provider and its credentials in one object. It is also a provider of bearer tokens that has none, so that
    botocore does not search for one.
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
