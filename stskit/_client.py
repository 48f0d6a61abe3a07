"""The botocore clients behind `BotocoreSTS`: one for a region and a set of settings, shared by all callers and threads.

A client holds no keys. Each call brings its own, so one client serves every caller, and none looks for any: no
profile's keys are read and no ``credential_process`` is run. Nothing that is sent or received in a call is logged.
"""

from __future__ import annotations

import os
import re
import threading
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stskit.errors import RoleError
from stskit.identity import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.client import BaseClient
    from botocore.credentials import ReadOnlyCredentials
    from botocore.session import Session

    from stskit.identity import Proof

Options: TypeAlias = tuple[tuple[str, Any], ...]
"""Arguments for `botocore.config.Config`, by name."""

# What botocore reads from the environment when it makes a client: a change of one of them means another client.
_VARIABLES: Final = (
    *(
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_DEFAULT_REGION",
        "HOME",
    ),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_MAX_ATTEMPTS", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
_LOGGERS_OF_SECRETS: Final = ("botocore.auth", "botocore.endpoint", "botocore.parsers")
_NOWHERE: Final = (
    None,
    None,
    os.devnull,
    None,
)  # in botocore's terms: not in a file, not in a variable, by default empty

_proof_in_use: ContextVar[Proof | None] = ContextVar("stskit_proof_in_use", default=None)
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child must not find the lock held by a thread that it does not have
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def client_for(
    region: str | None, partition: str, *, signed: bool, endpoint_url: str | None, options: Options
) -> BaseClient:
    """The client for calls in *partition*, made once. Raises `RoleError` where no region fits, and what botocore
    raises.
    """
    with _lock:
        session = _session(signed, _environment())
        wanted = region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
        return _client(session, _region(wanted, partition, strict=region is not None), endpoint_url, options)


def call(client: BaseClient, operation: str, parameters: Mapping[str, object], proof: Proof) -> dict[str, Any]:
    """One call, signed with *proof* where the operation is signed and *proof* is credentials."""
    from botocore import xform_name

    token = _proof_in_use.set(proof)
    try:
        answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
        return answer
    finally:
        _proof_in_use.reset(token)


def _environment() -> tuple[object, ...]:
    return os.getpid(), *map(os.environ.get, _VARIABLES)  # by process: connections do not survive a fork


@lru_cache(maxsize=8)
def _session(signed: bool, _environment: tuple[object, ...]) -> Session:
    import logging

    from botocore.session import Session

    # Calls that need no keys must work whatever the state of the caller's files: they do not see them.
    ignored = {} if signed else {"profile": (None,) * 4, "config_file": _NOWHERE, "credentials_file": _NOWHERE}
    session = Session(session_vars=ignored)
    session.set_config_variable("sts_regional_endpoints", "regional")
    session.register_component("credential_provider", _KeysOfThisCall())
    for name in _LOGGERS_OF_SECRETS:
        logging.getLogger(name).addFilter(_outside_a_call)
    return session


@lru_cache(maxsize=64)
def _client(session: Session, region: str, endpoint_url: str | None, options: Options) -> BaseClient:
    from importlib.metadata import version

    from botocore.config import Config

    agent = f"stskit/{version('stskit')}"
    # standard: three attempts, or AWS_MAX_ATTEMPTS
    config = Config(**dict(options), retries={"mode": "standard"}, user_agent_extra=agent)
    return session.create_client("sts", region_name=region, endpoint_url=endpoint_url, config=config)


def _region(wanted: str | None, partition: str, *, strict: bool) -> str:
    known = _partitions()
    if wanted:
        there = next((name for name, (_, regions) in known.items() if regions.match(wanted)), partition)
        if there == partition:
            return wanted
        if strict:
            raise RoleError(
                f"the region {wanted} is in the partition {there} and the role in {partition}; "
                f"name a region of {partition}"
            )
    if partition not in known:
        raise RoleError(f"no region is known for the partition {partition}; name one: BotocoreSTS(region=...)")
    return known[partition][0]


@lru_cache(maxsize=1)
def _partitions() -> dict[str, tuple[str, re.Pattern[str]]]:
    from botocore.loaders import create_loader

    data = create_loader().load_data("partitions")["partitions"]
    return {each["id"]: (each["outputs"]["implicitGlobalRegion"], re.compile(each["regionRegex"])) for each in data}


def _outside_a_call(_record: object) -> bool:
    return _proof_in_use.get() is None


class _KeysOfThisCall:
    """To botocore a provider of credentials and the credentials themselves: those of the call under way in this
    thread.
    """

    method = "explicit"

    def load_credentials(self) -> _KeysOfThisCall:
        return self

    def get_frozen_credentials(self) -> ReadOnlyCredentials | None:
        from botocore.credentials import ReadOnlyCredentials

        keys = _proof_in_use.get()
        if not isinstance(keys, Credentials):
            return None
        return ReadOnlyCredentials(keys.access_key_id, keys.secret_access_key, keys.session_token)

    def get_deferred_property(self, _name: str) -> Callable[[], None]:
        return lambda: None  # botocore asks for the account; the endpoints of STS do not depend on it
