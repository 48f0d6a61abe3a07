"""The credentials of a self-refreshing session, as botocore and other libraries see them, and refused keys."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError
from fake_server import Answer, FakeServer, Request, fake_server
from helpers import START, Bug, Down, ScriptedSource, credentials

from stskit import AssumedRole, Cached, Credentials
from stskit.refresh import RefreshPolicy
from stskit.sinks import Boto3Session, BotocoreSession
from stskit.sinks.live_credentials import LiveCredentials, _is_rewindable, _Refusals
from stskit.sources import Static
from stskit.testing import FakeSTS, ManualClock

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def live(source: Any, clock: ManualClock) -> Any:
    """Return the credentials of a live session."""
    return (
        Cached(source, refresh=RefreshPolicy(jitter=0), clock=clock).to(BotocoreSession("us-east-1")).get_credentials()
    )


@pytest.mark.parametrize(
    "read",
    [lambda keys: keys.get_frozen_credentials(), lambda keys: keys.access_key, lambda keys: keys.account_id],
    ids=["frozen", "attribute", "account"],
)
def test_an_error_of_a_session_has_no_frames_of_stskit(clock: ManualClock, read: Callable[[Any], object]) -> None:
    """A failed refresh of a session raises without frames of stskit, however the credentials are read."""
    keys = live(ScriptedSource(Down("no network"), Down("no network")), clock)
    with pytest.raises(Down) as caught:
        read(keys)
    assert [entry.frame.f_globals["__name__"] for entry in caught.traceback] == [__name__] * 2


# Use by other libraries --------------------------------------------------------------------------------------------


def test_they_are_refreshable_credentials_with_an_expiry(clock: ManualClock) -> None:
    """Live credentials are RefreshableCredentials, and their expiry can be read without a fetch."""
    source = ScriptedSource(credentials(clock, hours=1), credentials(clock, hours=3))
    found = live(source, clock)
    assert isinstance(found, RefreshableCredentials)
    assert isinstance(found, BotocoreCredentials)
    keys: Any = found
    assert (keys._expiry_time, keys._access_key, keys._frozen_credentials) == (None, None, None)
    assert keys.refresh_needed()
    assert source.calls == 0
    frozen = keys.get_frozen_credentials()
    assert keys._expiry_time == clock.now() + timedelta(hours=1)
    assert (keys._access_key, keys._secret_key, keys._token, keys._account_id) == frozen == keys._frozen_credentials
    clock.advance(timedelta(minutes=50))
    assert keys._expiry_time == START + timedelta(hours=1)
    assert keys.get_frozen_credentials() != frozen
    assert keys._expiry_time == START + timedelta(hours=3)
    assert keys.method == "stskit"


def test_it_knows_whether_a_refresh_is_needed(clock: ManualClock) -> None:
    """`refresh_needed` uses the windows of `Cached` or the given seconds; long-term keys never need a refresh."""
    keys = live(ScriptedSource(credentials(clock, hours=1)), clock)
    keys.get_frozen_credentials()
    assert (keys.refresh_needed(), keys.refresh_needed(3600), keys.refresh_needed(3601)) == (False, False, True)
    assert not keys._is_expired()
    assert keys._seconds_remaining() == 3600
    clock.advance(45 * MINUTE)
    assert keys.refresh_needed()
    clock.advance(16 * MINUTE)
    assert keys._is_expired()
    static = live(Static(Credentials("AKIA", "secret")), clock)
    static.get_frozen_credentials()
    assert (static.refresh_needed(), static.refresh_needed(10**9)) == (False, False)


def test_the_refresh_methods_of_botocore_use_the_source(clock: ManualClock) -> None:
    """Botocore's private methods for a refresh call the source, and cannot change the current credentials."""
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    keys = live(source, clock)
    keys._refresh()
    clock.advance(50 * MINUTE)
    keys._protected_refresh(is_mandatory=True)
    clock.advance(50 * MINUTE)
    metadata = keys._refresh_using()
    assert source.calls == 3
    assert metadata["access_key"] == keys.access_key
    assert metadata["expiry_time"] == (clock.now() + timedelta(hours=1)).isoformat()
    assert keys._time_fetcher() == clock.now()
    with pytest.raises(AttributeError, match="cannot be set"):
        keys._set_from_data(metadata)


def test_it_has_every_attribute_of_the_class_of_botocore(clock: ManualClock) -> None:
    """Every attribute of botocore's class is computed from the current credentials, and none can be set."""
    keys = live(ScriptedSource(credentials(clock, hours=1)), clock)
    theirs = RefreshableCredentials("A", "s", "t", datetime.now(UTC), dict, "m")
    properties = {
        name for name in dir(RefreshableCredentials) if isinstance(getattr(RefreshableCredentials, name), property)
    }
    for name in vars(theirs).keys() | properties:
        assert isinstance(vars(LiveCredentials)[name], property), name
        getattr(keys, name)
        with pytest.raises(AttributeError, match=f"{name} cannot be set, because these credentials refresh themselves"):
            setattr(keys, name, "mine")
    assert vars(keys).keys() == {"_cached", "_frozen_pair"}
    assert [name for name in dir(theirs) if not hasattr(keys, name)] == []


def test_its_pickle_is_the_recipe_and_its_copy_is_itself(clock: ManualClock) -> None:
    """The pickle of live credentials is their recipe, without secrets, and a copy is the same object."""
    keys: Any = (
        Cached(AssumedRole("arn:aws:iam::123456789012:role/R", sts=Canned())).to(BotocoreSession()).get_credentials()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "environment")
        assert keys.secret_key == "secret-canary"
        data = pickle.dumps(keys)
        assert b"canary" not in data
        assert "canary" not in repr(keys)
        there = pickle.loads(data)
        assert there._expiry_time is None
        assert there.secret_key == "secret-canary"
    assert copy.copy(keys) is copy.deepcopy(keys) is keys


class Canned:
    """An STS with one response."""

    def exchange(self, proof: object, role: object) -> Credentials:
        return Credentials("AKIALIVE", "secret-canary", "token-canary", datetime.now(UTC) + timedelta(hours=1))


# Refused keys --------------------------------------------------------------------------------------------------------


def error(code: str, status: int = 403) -> Answer:
    """Return an error of a service with the query protocol."""
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>refused</Message></Error></ErrorResponse>"
    return Answer(body, status)


GRANTED = Answer(
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult>"
    "</GetCallerIdentityResponse>"
)
CODES = ["ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException"]


class Service:
    """A service that refuses each key in `dead`, or every key, and a live session that calls it."""

    def __init__(self, source: Any, clock: ManualClock, code: str = "ExpiredToken") -> None:
        self.code, self.dead, self.refuses_all = code, set[str](), False
        self.cached = Cached(source, refresh=RefreshPolicy(jitter=0), clock=clock)
        self.session = self.cached.to(Boto3Session("us-east-1"))
        self.server: FakeServer

    def react(self, request: Request) -> Answer:
        return error(self.code) if self.refuses_all or request.access_key_id in self.dead else GRANTED

    def call(self) -> str | None:
        """Make one request, and return the code of its error."""
        client = self.session.client(
            "sts", endpoint_url=self.server.url, config=Config(retries={"mode": "standard"}, max_pool_connections=20)
        )
        try:
            client.get_caller_identity()
        except ClientError as problem:
            return str(problem.response["Error"]["Code"])
        return None

    @property
    def sent(self) -> list[str]:
        """The access key IDs of the requests."""
        return [request.access_key_id for request in self.server.requests]


@pytest.fixture
def serve() -> Iterator[Callable[[Service], Service]]:
    """Yield a function that starts the server of a service. The server is closed after the test."""
    with ExitStack() as servers:

        def start(service: Service) -> Service:
            service.server = servers.enter_context(fake_server(service.react))
            return service

        yield start


@pytest.mark.case("P152", "P163")
@pytest.mark.parametrize("code", CODES)
def test_a_request_with_a_refused_key_is_repeated_with_a_new_key(
    code: str, clock: ManualClock, serve: Callable[[Service], Service]
) -> None:
    """If a service refuses the key, the request is sent again once with a new key, which later requests use too."""
    old, new = credentials(clock, hours=1), credentials(clock, hours=1)
    service = serve(Service(ScriptedSource(old, new), clock, code))
    assert service.call() is None
    clock.advance(MINUTE)
    service.dead.add(old.access_key_id)
    assert [service.call(), service.call()] == [None, None]
    assert service.sent == [old.access_key_id] * 2 + [new.access_key_id] * 2


def test_twenty_refused_threads_cause_one_fetch(clock: ManualClock, serve: Callable[[Service], Service]) -> None:
    """Twenty threads with a refused key make one fetch, and all get a response with the new key."""
    old = credentials(clock, hours=1)
    source, together = ScriptedSource(old, lambda: credentials(clock, hours=1)), Barrier(20)
    service = serve(Service(source, clock))
    service.call()
    clock.advance(MINUTE)
    service.dead.add(old.access_key_id)

    def refuse_together(request: Request) -> Answer:
        if request.access_key_id in service.dead:
            together.wait(10)
        return Service.react(service, request)

    object.__setattr__(service.server, "reactions", (refuse_together,))
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(lambda _: service.call(), range(20))) == [None] * 20
    assert source.calls == 2


@pytest.mark.case("P165")
def test_a_service_that_always_refuses_causes_one_fetch_in_five_minutes(
    clock: ManualClock, serve: Callable[[Service], Service]
) -> None:
    """If a service refuses every key, a fetch is made at most once in five minutes, and never in the first minute."""
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    service = serve(Service(source, clock))
    service.refuses_all = True
    for advance, calls in ((0, 1), (59, 1), (1, 2), (299, 2), (1, 3), (299, 3), (1, 4)):
        clock.advance(timedelta(seconds=advance))
        assert [service.call() for _ in range(21)] == ["ExpiredToken"] * 21
        assert source.calls == calls
    assert len(service.sent) == 7 * 21 + 3


@pytest.mark.case("P166")
def test_a_source_with_the_same_key_is_a_failure_with_a_pause(
    clock: ManualClock, serve: Callable[[Service], Service], caplog: pytest.LogCaptureFixture
) -> None:
    """If the source returns the refused key again, this is a logged failure, and the request is not sent again."""
    source = ScriptedSource(Credentials("AKIALONG", "secret"))
    service = serve(Service(source, clock))
    service.refuses_all = True
    service.call()
    clock.advance(timedelta(hours=1))
    assert [service.call() for _ in range(5)] == ["ExpiredToken"] * 5
    assert (source.calls, len(service.sent)) == (2, 6)
    assert "returned the access key AKIALONG again" in caplog.text


@pytest.mark.parametrize("problem", [Down("no network"), Bug("mine")])
def test_if_the_source_fails_the_error_is_that_of_the_service(
    problem: Exception, clock: ManualClock, serve: Callable[[Service], Service]
) -> None:
    """If the source fails, the error of the service is raised, except for an exception that is not from stskit."""
    service = serve(Service(ScriptedSource(credentials(clock, hours=1), problem), clock))
    service.refuses_all = True
    service.call()
    clock.advance(MINUTE)
    if isinstance(problem, Bug):
        with pytest.raises(Bug):
            service.call()
    else:
        assert service.call() == "ExpiredToken"


@pytest.mark.case("P163")
@pytest.mark.parametrize("code", ["AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"])
def test_other_codes_cause_no_fetch(code: str, clock: ManualClock, serve: Callable[[Service], Service]) -> None:
    """Other error codes cause neither a fetch nor another request."""
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    service = serve(Service(source, clock, code))
    service.refuses_all = True
    service.call()
    clock.advance(MINUTE)
    assert [service.call(), service.call()] == [code] * 2
    assert (source.calls, len(service.sent)) == (1, 3)


@pytest.mark.case("P164")
@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("stepfunctions", "send_task_success", {"taskToken": "t", "output": "{}"}, "InvalidToken"),
        ("meteringmarketplace", "resolve_customer", {"RegistrationToken": "t"}, "ExpiredTokenException"),
    ],
)
def test_an_error_of_the_operation_itself_is_not_about_the_key(
    service: str, operation: str, arguments: dict[str, str], code: str, clock: ManualClock
) -> None:
    """An error code that belongs to the operation, for example about a task token, causes no fetch."""
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    session: Any = Cached(source, clock=clock).to(Boto3Session("us-east-1"))
    answer = Answer(f'{{"__type": "{code}", "message": "no"}}', 400, {"x-amzn-requestid": "1"})
    with fake_server(answer) as server:
        client: Any = session.client(service, endpoint_url=server.url)
        for _ in range(3):
            with pytest.raises(ClientError, match=code):
                getattr(client, operation)(**arguments)
            clock.advance(MINUTE)
        assert (source.calls, len(server.requests)) == (1, 3)


@pytest.mark.case("P164")
def test_unrecognized_client_exception_always_concerns_the_key(clock: ManualClock) -> None:
    """UnrecognizedClientException always means the key, even if the operation lists it among its errors."""
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    refusals = _Refusals(Cached(source, clock=clock))
    refusals._cached.fetch()
    clock.advance(MINUTE)
    held = refusals._cached.in_hand
    assert held

    class Shape:
        name = error_code = "UnrecognizedClientException"

    class Operation:
        error_shapes = (Shape,)

    request = {"context": {"stskit_access_key_id": held.access_key_id}}
    response = None, {"Error": {"Code": Shape.name}}
    assert refusals.retry_with_new_key(response, Operation, request) == 0
    assert refusals.retry_with_new_key(response, Operation, request) is None  # once for each request


@pytest.mark.case("P162", "P167")
def test_a_request_with_other_keys_causes_no_fetch(clock: ManualClock) -> None:
    """No fetch is made for an unsigned or presigned request, a missing response, or a key from elsewhere."""
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    refusals = _Refusals(Cached(source, clock=clock))
    answer = None, {"Error": {"Code": "ExpiredToken"}}

    class Operation:
        error_shapes = ()

    signature = b"AWS4-HMAC-SHA256 Credential=AKIAOTHER/20260101/x, Signature=1"
    request = SimpleNamespace(context={}, headers={"Authorization": signature})
    assert refusals.retry_with_new_key(answer, Operation, {"context": {}}) is None
    refusals.keep_key_id(request)
    assert request.context == {"stskit_access_key_id": "AKIAOTHER"}
    # There are no current credentials.
    assert refusals.retry_with_new_key(answer, Operation, {"context": request.context}) is None
    refusals._cached.fetch()
    clock.advance(MINUTE)
    assert refusals.retry_with_new_key(None, Operation, {"context": request.context}) is None
    request.headers = {}
    refusals.keep_key_id(request)
    assert request.context == {"stskit_access_key_id": None}
    assert refusals.retry_with_new_key(answer, Operation, {"context": request.context}) is None
    assert source.calls == 1


@pytest.mark.case("P167")
def test_a_body_that_cannot_be_read_again_is_not_repeated(clock: ManualClock) -> None:
    """A request whose body cannot be read twice is not sent again, and the error of the service is raised."""

    class Pipe(BytesIO):
        def seek(self, *_arguments: int) -> int:
            raise OSError("not seekable")

    assert [_is_rewindable(body) for body in (None, b"", "", {"Action": "GetCallerIdentity"}, BytesIO())] == [True] * 5
    assert not _is_rewindable(Pipe())
    refusals = _Refusals(Cached(Static(Credentials("AKIA", "secret")), clock=clock))
    refusals._cached.fetch()
    clock.advance(MINUTE)

    class Operation:
        error_shapes = ()

    request = {"context": {"stskit_access_key_id": "AKIA"}, "body": Pipe()}
    assert refusals.retry_with_new_key((None, {"Error": {"Code": "ExpiredToken"}}), Operation, request) is None


def test_a_request_to_s3_is_repeated(clock: ManualClock) -> None:
    """A refused request to S3 is sent again with a new key, although S3 has other signers and retries."""
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    cached = Cached(source, clock=clock)
    with fake_server(error("ExpiredToken")) as server:
        client: Any = cached.to(Boto3Session("us-east-1")).client(
            "s3", endpoint_url=server.url, config=Config(request_checksum_calculation="when_required")
        )
        cached.fetch()
        clock.advance(MINUTE)
        with suppress(ClientError):
            client.get_object(Bucket="bucket", Key="key")
        assert (source.calls, len(server.requests)) == (2, 2)


@pytest.mark.case("P168")
def test_a_chain_of_a_session_repeats_the_call_for_a_refused_key(
    clock: ManualClock, serve: Callable[[Service], Service]
) -> None:
    """For a refused key of a chain, only the last role is assumed again, not the hub."""
    roles = [f"arn:aws:iam::123456789012:role/{name}" for name in ("Hub", "Target")]
    sts = FakeSTS(clock=clock)
    service = serve(Service(AssumedRole.through(*roles, source=Static(sts.user()), sts=sts), clock))
    service.call()
    clock.advance(MINUTE)
    service.dead.update(service.sent)
    assert service.call() is None
    assert [str(call.parameters["RoleArn"]) for call in sts.calls] == [*roles, roles[1]]
