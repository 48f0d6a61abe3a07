"""A value of the wrong type is a `TypeError` that names the argument, for every argument of every public callable."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import FunctionType
from typing import Any

import pytest
from helpers import shown_locals
from saml_samples import encoded, response

import stskit
from stskit import (
    MFA,
    AssumedRole,
    Cached,
    CallerIdentity,
    Credentials,
    MFACommand,
    Outcome,
    RefreshPolicy,
    Role,
    SAMLAssertion,
    WebIdentityToken,
    assume,
    assume_all,
    boto3_session,
    caches,
    caller_identity,
    protocols,
    roles,
    sinks,
    sources,
    testing,
)
from stskit.caches import FileCache, MemoryCache
from stskit.errors import StskitError
from stskit.protocols import CacheEntry, RefreshEvent
from stskit.roles import ProvidedContext, RoleARN, default_session_name, sanitize_session_name
from stskit.sinks import (
    Boto3Session,
    BotocoreSession,
    CredentialProcess,
    CredentialsFile,
    DotEnv,
    Environment,
    ShellExports,
)
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, SessionToken, Static
from stskit.sts import BotocoreSTS
from stskit.testing import (
    Call,
    ClockOff,
    FakeSTS,
    Garbage,
    IdentityProvider,
    Incomplete,
    ManualClock,
    Refuse,
    Throttle,
    Trust,
    check_cache,
    check_sink,
    check_source,
)

ROLE = "arn:aws:iam::123456789012:role/app"
SERIAL = "arn:aws:iam::123456789012:mfa/me"
KEYS = Credentials("AKIABASE", "canary-secret-key")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Other:
    """A value of no valid type."""

    def __repr__(self) -> str:
        return "Other(canary)"


# Each public callable with arguments that it needs. Every argument is then replaced by wrong values.
CALLS: dict[Callable[..., object], dict[str, object]] = {
    AssumedRole: {"role": ROLE},
    AssumedRole.through: {"first": ROLE},
    AssumedRole.from_env: {"environ": {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": "token"}},
    Cached: {"source": AssumedRole(ROLE)},
    CallerIdentity: {"account": "1", "arn": "a", "user_id": "u"},
    Credentials: {"access_key_id": "AKIA", "secret_access_key": "s"},
    MFA: {"serial": SERIAL, "code": "123456"},
    MFACommand: {"arguments": ["true"]},
    Outcome: {"role": Role(ROLE)},
    RefreshPolicy: {},
    Role: {"arn": ROLE},
    Role.named: {"name": "app", "account": "123456789012"},
    RoleARN: {"name": "app", "account": "123456789012"},
    RoleARN.parse: {"text": ROLE},
    ProvidedContext: {"provider_arn": "a" * 20, "context_assertion": "abcd"},
    sanitize_session_name: {"text": "me"},
    SAMLAssertion: {"value": "x"},
    SAMLAssertion.from_text: {"text": encoded(response())},
    WebIdentityToken: {"value": "x"},
    assume: {"role": ROLE},
    assume_all: {"roles": [ROLE]},
    boto3_session: {"role": ROLE},
    caller_identity: {},
    OIDCTokenFile: {"path": "token"},
    OIDCTokenFile.from_env: {},
    SAMLFile: {"path": "response"},
    Profile: {},
    SessionToken: {"source": Profile()},
    Static: {"proof": KEYS},
    CredentialsFile: {"profile": "p"},
    DotEnv: {"path": ".env"},
    Environment: {},
    ShellExports: {},
    CredentialProcess: {},
    BotocoreSession: {},
    Boto3Session: {},
    FileCache: {},
    MemoryCache: {},
    CacheEntry: {"credentials": KEYS, "since": NOW},
    RefreshEvent: {"kind": "refreshed"},
    BotocoreSTS: {},
    FakeSTS: {},
    IdentityProvider: {},
    ManualClock: {},
    Trust: {},
    Throttle: {},
    Refuse: {"code": "AccessDenied"},
    Incomplete: {},
    Garbage: {},
    ClockOff: {"by": timedelta(1)},
    KEYS.to: {"sink": Environment()},
    KEYS.expires_in: {},
    KEYS.is_expired: {},
    AssumedRole(ROLE).to: {"sink": BotocoreSession()},
    Cached(AssumedRole(ROLE)).to: {"sink": BotocoreSession()},
    ManualClock().advance: {"span": timedelta(1)},
    ManualClock().set: {"moment": NOW},
    check_source: {"make": lambda: Static(KEYS)},
    check_sink: {"make": Environment},
    check_cache: {"make": MemoryCache},
    CredentialsFile("p").write: {"credentials": KEYS},
    CredentialsFile("p").write_all: {"credentials": {}},
    DotEnv(".env").write: {"credentials": KEYS},
    Environment().write: {"credentials": KEYS},
    ShellExports().write: {"credentials": KEYS},
    CredentialProcess().write: {"credentials": KEYS},
    BotocoreSession().write: {"credentials": KEYS},
    Boto3Session().write: {"credentials": KEYS},
    BotocoreSession().attach: {"source": Profile()},
    Boto3Session().attach: {"source": Profile()},
    FakeSTS().exchange: {"proof": KEYS, "role": Role(ROLE)},
    FakeSTS().caller_identity: {"credentials": KEYS},
    FakeSTS().session_token: {"credentials": KEYS},
    FakeSTS().user: {},
    FakeSTS().forget: {"credentials": KEYS},
    FakeSTS().always: {"fault": None},
    FakeSTS().next: {},
    BotocoreSTS().caller_identity: {"credentials": KEYS},
    BotocoreSTS().session_token: {"credentials": KEYS},
}
# Values of `Call` and the like are made by stskit alone; these take nothing, or anything.
WITHOUT = {
    *(Call, StskitError, default_session_name, testing.Hang, testing.Drop, testing.GiveExpired, roles.RoleOptions),
    *(caches.entry_from_bytes, caches.entry_to_bytes, protocols.attach),  # for those who write caches and sinks
}
# Arguments that take any value, or whose wrong values are something else than a wrong type.
ANY = {
    (Outcome, "error"),
    (RefreshEvent, "kind"),
    (RefreshPolicy, "on_expired"),
    (FakeSTS.exchange, "proof"),  # as the STS of AWS: a source that returned no proof is a `ProofInvalid`
    (Cached, "listener"),
}


def arguments(function: Callable[..., object]) -> Iterator[str]:
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            yield name


def name_of(function: Callable[..., object]) -> str:
    return function.__qualname__


CASES = [
    pytest.param(function, given, name, id=f"{name_of(function)}-{name}")
    for function, given in CALLS.items()
    for name in arguments(function)
    if (getattr(function, "__func__", function), name) not in ANY
]
FUNCTIONS = {"code", "progress", "make", "renew", "look", "spoil"}  # a class is one as well


@pytest.mark.case("P44")
@pytest.mark.parametrize(("function", "given", "name"), CASES)
@pytest.mark.parametrize("value", [Other(), Other], ids=["instance", "class"])
def test_a_value_of_the_wrong_type_is_named(
    function: Callable[..., object], given: dict[str, object], name: str, value: object, home: object
) -> None:
    """A value of the wrong type raises a TypeError with the expected type, and does not quote the value."""
    if value is Other and name in FUNCTIONS:
        pytest.skip("a class can be called")
    changed = {**given, name: value}
    positional = [
        changed.pop(each)
        for each, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.POSITIONAL_ONLY or (each == "first" and parameter.kind is not None)
        if each in changed
    ]
    with pytest.raises(TypeError) as caught:
        function(*positional, **changed)
    message = str(caught.value)
    assert message.startswith(f"{'role' if name == 'first' else name} must be "), message
    assert "Other" in message
    assert "canary" not in message
    if not function.__module__.startswith("stskit.testing"):
        assert shown_locals(caught.value) == ""


def public() -> Iterator[object]:
    for module in (stskit, sources, sinks, caches, testing, roles, protocols):
        for name in module.__all__:
            value = getattr(module, name)
            is_class = isinstance(value, type) and not getattr(value, "_is_protocol", False)
            if is_class or isinstance(value, FunctionType):
                yield value


def test_every_public_callable_is_in_the_table() -> None:
    """The table has every public callable."""
    assert {value for value in public() if value not in CALLS and value not in WITHOUT} == set()


HINTS: dict[str, tuple[Callable[[], object], str]] = {
    "a profile for a source": (lambda: assume(ROLE, source="base"), "Did you mean Profile('base')?"),  # type: ignore[arg-type]
    "a path for a source": (lambda: assume(ROLE, source="a/b.xml"), "SAMLFile(path)"),  # type: ignore[arg-type]
    "a proof for a source": (lambda: Cached(KEYS), "Did you mean Static(credentials)?"),  # type: ignore[arg-type]
    "a token for a source": (
        lambda: assume(ROLE, source=WebIdentityToken("x")),  # type: ignore[arg-type]
        "Did you mean Static(token)?",
    ),
    "a class for a source": (lambda: assume(ROLE, source=SAMLFile), "not the class SAMLFile itself. Write SAMLFile("),  # type: ignore[arg-type]
    "a class for a proof": (lambda: Static(Credentials), "not the class Credentials itself"),  # type: ignore[type-var]
    "a token as text for a proof": (lambda: Static("x"), "Static(WebIdentityToken(text))"),  # type: ignore[type-var]
    "a profile for keys": (lambda: caller_identity("base"), "Did you mean Profile('base').fetch()?"),  # type: ignore[arg-type]
    "a text for keys": (lambda: caller_identity("a b"), "Did you mean Profile(name).fetch()?"),  # type: ignore[arg-type]
    "a source for keys": (lambda: caller_identity(Profile()), "Pass the result of its fetch()."),  # type: ignore[arg-type]
    "a profile for a session": (lambda: SessionToken("base"), "Did you mean Profile('base')?"),  # type: ignore[arg-type]
    "a number for an account": (
        lambda: Role.named("app", account=123456789012),  # type: ignore[arg-type]
        "account must be text of twelve digits, not int. Write account='123456789012'.",
    ),
    "a region for an STS": (lambda: assume(ROLE, sts="eu-central-1"), "Did you mean BotocoreSTS('eu-central-1')?"),  # type: ignore[arg-type]
    "a URL for an STS": (lambda: assume(ROLE, sts="https://x"), "Did you mean BotocoreSTS(endpoint_url=...)?"),  # type: ignore[arg-type]
    "a class for a sink": (
        lambda: KEYS.to(CredentialsFile),  # type: ignore[arg-type]
        "not the class CredentialsFile itself. Write CredentialsFile(...).",
    ),
    "a class for a live sink": (
        lambda: AssumedRole(ROLE).to(Boto3Session),  # type: ignore[arg-type]
        "not the class Boto3Session itself. Write Boto3Session(...).",
    ),
    "a profile for a sink": (lambda: KEYS.to("deploy"), "Did you mean CredentialsFile('deploy')?"),  # type: ignore[arg-type]
    "a path for a sink": (lambda: KEYS.to("a/b"), "Did you mean CredentialsFile(profile)?"),  # type: ignore[arg-type]
    "a sink for values": (lambda: AssumedRole(ROLE).to(Environment()), "Write .fetch().to(...)"),  # type: ignore[arg-type]
    "seconds for a timedelta": (
        lambda: AssumedRole(ROLE, wait_for_new_role=30),  # type: ignore[arg-type]
        "wait_for_new_role must be a timedelta, not int. Did you mean timedelta(seconds=30)?",
    ),
    "a folder for a cache": (lambda: Cached(AssumedRole(ROLE), "a"), "Did you mean FileCache(folder)?"),  # type: ignore[arg-type]
    "one role for many": (lambda: assume_all(ROLE), "For a list of one entry, write [role]."),
    "a policy of IAM": (lambda: Cached(AssumedRole(ROLE), refresh="{}"), "Role(arn, policy=...)"),  # type: ignore[arg-type]
    "a time without zone": (lambda: KEYS.expires_in(now=datetime(2026, 1, 1)), "time zone, but it has none"),
    "an environment of numbers": (lambda: Environment({"A": 1}), "texts, but it contains int."),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("case", HINTS)
def test_the_message_for_a_common_mistake_says_what_to_write(case: str) -> None:
    """The error for a common mistake says what to write."""
    call, hint = HINTS[case]
    with pytest.raises(TypeError) as caught:
        call()
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "secret", ["eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbg", "wJalrXUtnFEMI/K7MDENG/bPxRfiCY"]
)
def test_a_hint_never_quotes_a_secret(secret: str) -> None:
    """A hint repeats only short names, which cannot be secrets."""
    calls: list[Callable[[Any], object]] = [
        lambda value: assume(ROLE, source=value),
        lambda value: assume(ROLE, sts=value),
        KEYS.to,
        caller_identity,
        SessionToken,
    ]
    for call in calls:
        with pytest.raises(TypeError) as caught:
            call(secret)
        assert secret not in str(caught.value)
