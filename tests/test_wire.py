"""What leaves this machine, and for how long: TLS, proxies, endless answers, and the clients that botocore makes."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import ref

import jwt
import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from fake_server import Answer, fake_server, granted, refused

from stskit import Credentials, Role, WebIdentityToken
from stskit.errors import ProofInvalid, STSUnavailable
from stskit.sources import Profile
from stskit.sts import BotocoreSTS, close_clients, wire
from stskit.sts.clients import silence_secret_loggers
from stskit.sts.wire import PlaintextError, check_url

ROLE = "arn:aws:iam::123456789012:role/R"
KEYS = Credentials("AKIABASE", "base-secret-canary", "base-token-canary")
WEB = WebIdentityToken(jwt.encode({"sub": "alice"}, "a key that is long enough for it"))


# URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.case("P128")
@pytest.mark.parametrize(
    "url",
    [
        "http://evil.test",
        "HTTP://evil.test",
        r"http://evil.test\@localhost/",
        r"http://evil.test\@127.0.0.1/",
        "http://evil.test#@localhost/",
        "http://evil.test?@localhost/",
        "http://localhost@evil.test/",
        "https://user:password@sts.example/",
        "//localhost/",
        "localhost:4566",
        "ftp://localhost/",
        "http:/localhost",
        "http://[::2]/",
        "http://0.0.0.0/",
        "http://localhost.example/",
        "http://[evil/",
        "",
    ],
)
def test_a_url_that_leaves_this_machine_without_tls_is_refused(url: str) -> None:
    """A URL to another machine without TLS is refused, with the host that urllib3 uses."""
    with pytest.raises(PlaintextError):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://sts.example/", "HTTPS://sts.example", "http://127.0.0.1:1/", "http://[::1]:1/", "http://LOCALHOST./"],
)
def test_tls_and_loopback_are_allowed(url: str) -> None:
    """TLS to any host, and a loopback address without TLS, are allowed."""
    check_url(url)


@pytest.mark.case("P127")
@pytest.mark.parametrize(
    ("addresses", "error"), [(["127.0.0.1", "::1"], None), (["127.0.0.1", "10.0.0.1"], PlaintextError), ([], OSError)]
)
def test_a_localhost_name_is_judged_by_its_addresses(
    addresses: list[str], error: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that ends in .localhost is allowed if all its addresses are loopback addresses."""

    def resolve(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        assert name == "sts.localhost"
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    if error is None:
        check_url("http://sts.localhost:1/")
    else:
        with pytest.raises(error):
            check_url("http://sts.localhost:1/")


def test_an_unknown_localhost_name_is_a_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown .localhost name is a connection error."""

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(STSUnavailable, match="could not be reached") as caught:
        BotocoreSTS(endpoint_url="http://sts.localhost:9").exchange(WEB, Role(ROLE))
    assert caught.value.kind == "connection"


@pytest.mark.case("P50", "P126")
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
@pytest.mark.parametrize("proof", [WEB, KEYS], ids=["token", "keys"])
def test_a_proof_for_loopback_goes_through_no_proxy(
    proof: WebIdentityToken | Credentials, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof for this machine is not sent through a proxy, unless allow_http=True."""
    with fake_server(granted) as proxy, fake_server(granted) as server:
        monkeypatch.setenv(variable, proxy.url)
        with pytest.raises(STSUnavailable, match="HTTP_PROXY names a proxy"):
            BotocoreSTS(endpoint_url=server.url).exchange(proof, Role(ROLE))
        assert (proxy.requests, server.requests) == ([], [])
        BotocoreSTS(endpoint_url=server.url, allow_http=True).exchange(proof, Role(ROLE))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        BotocoreSTS(endpoint_url=server.url).exchange(proof, Role(ROLE))
        assert (len(proxy.requests), len(server.requests)) == (1, 1)


# The clients of a profile ----------------------------------------------------------------------------------------


def profiles(home: Path, text: str) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(text)


def hop(home: Path) -> None:
    base = "aws_access_key_id = AKIABASE\naws_secret_access_key = base-secret-canary\n"
    profiles(home, f"[profile x]\nregion = us-east-1\nrole_arn = {ROLE}\nsource_profile = b\n[profile b]\n{base}")


def web(home: Path) -> None:
    (home / "token").write_text(WEB.value)
    token = f"web_identity_token_file = {home}/token\n"
    profiles(home, f"[profile x]\nregion = us-east-1\nrole_arn = {ROLE}\n{token}")


@pytest.mark.case("P50", "P129")
@pytest.mark.parametrize("arrange", [hop, web])
def test_the_calls_of_a_profile_need_tls_too(
    arrange: Callable[[Path], None], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls of a profile need TLS too."""
    arrange(home)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with fake_server(granted) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        for url in ("http://sts.example", "http://127.0.0.1:9"):
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
            with pytest.raises(ProofInvalid, match="not be encrypted .no TLS.*check endpoint_url"):
                Profile("x").fetch()
        assert proxy.requests == []
        assert Profile("x", allow_http=True).fetch().access_key_id
        assert len(proxy.requests) == 1


@pytest.mark.case("P115")
def test_aws_region_applies_to_the_calls_of_a_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_REGION applies to the calls of a profile."""
    hop(home)
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    asked: list[str] = []

    def unknown(host: str, *_: object, **__: object) -> object:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ProofInvalid):
        Profile("x").fetch()
    assert set(asked) == {"sts.cn-north-1.amazonaws.com.cn"}


@pytest.mark.case("P51", "P124")
@pytest.mark.parametrize("where", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"])
def test_an_empty_ca_bundle_does_not_switch_verification_off(
    where: str, home: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty CA bundle setting does not switch verification off."""
    hop(home)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    if where == "ca_bundle":
        config = home / ".aws" / "config"
        config.write_text(config.read_text().replace("[profile x]\n", "[profile x]\nca_bundle = \n"))
    else:
        monkeypatch.setenv(where, "")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with fake_server(granted, tls=context) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        for proof in (WEB, KEYS):
            with pytest.raises(STSUnavailable) as caught:
                BotocoreSTS().exchange(proof, Role(ROLE))
            assert caught.value.kind == "tls"
        with pytest.raises(ProofInvalid):
            Profile("x").fetch()
    assert server.requests == []


# Limits of time and size -----------------------------------------------------------------------------------------


@contextmanager
def dripping(begin: bytes, piece: bytes, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[int]]]:
    """Return a server that sends *begin*, and then *piece* again and again."""
    calls: list[int] = []
    stop = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                calls.append(1)
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    def drip(accepted: socket.socket) -> None:
        connection = tls.wrap_socket(accepted, server_side=True) if tls else accepted
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(begin)
            while not stop.wait(0.01):
                connection.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}", calls
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)


HEADER = (b"HTTP/1.1 200 OK\r\nX: ", b"a")
BODY = (b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", b"a")
CHUNKS = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n")


@pytest.mark.case("P132", "P136")
@pytest.mark.parametrize("answer", [HEADER, BODY, CHUNKS], ids=["header", "body", "chunks"])
def test_a_slow_server_is_stopped_by_the_time_limit(answer: tuple[bytes, bytes]) -> None:
    """A server that sends one byte at a time is stopped by the time limit of the exchange."""
    with dripping(*answer) as (url, calls):
        sts = BotocoreSTS(endpoint_url=url, read_timeout=30, total_timeout=0.3)
        for proof in (WEB, KEYS):
            with pytest.raises(STSUnavailable, match="did not respond in time") as caught:
                sts.exchange(proof, Role(ROLE))
            assert (caught.value.kind, caught.value.retryable) == ("timeout", True)
    assert len(calls) == 2


@pytest.mark.case("P132")
def test_a_slow_tls_server_is_stopped_too(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TLS server that sends one byte at a time is stopped too."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with dripping(*HEADER, tls=context) as (url, calls):
        with pytest.raises(STSUnavailable) as caught:
            BotocoreSTS(endpoint_url=url, read_timeout=30, total_timeout=1).exchange(WEB, Role(ROLE))
        assert caught.value.kind == "timeout"
    assert len(calls) == 1


@pytest.mark.case("P135")
def test_the_time_limit_applies_to_a_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit applies to the calls of a profile too."""
    hop(home)
    monkeypatch.setattr(wire.guard, "__kwdefaults__", {"allow_http": False, "total_timeout": 0.3})
    with dripping(*HEADER) as (url, calls):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        with pytest.raises(ProofInvalid, match="did not respond in time"):
            Profile("x").fetch()
    assert len(calls) == 1


@pytest.mark.case("P134")
@pytest.mark.parametrize("total_timeout", [20, None])
def test_a_response_over_one_megabyte_is_an_error(total_timeout: float | None) -> None:
    """A response of more than one megabyte is an error, without a further attempt."""
    with fake_server(Answer("a" * 5_000_000)) as server:
        sts = BotocoreSTS(endpoint_url=server.url, total_timeout=total_timeout)
        with pytest.raises(STSUnavailable, match="response that is too long .*1,000,000") as caught:
            sts.exchange(WEB, Role(ROLE))
        assert caught.value.kind == "answer"
        assert len(server.requests) == 1


def test_exchanges_share_a_connection() -> None:
    """Exchanges share a connection, also after an error of STS."""
    with fake_server(granted, refused("AccessDenied"), granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url, total_timeout=20)
        for _ in range(3):
            with suppress(Exception):
                sts.exchange(KEYS, Role(ROLE))
    assert len(server.connections) == 1


def test_stopping_an_exchange_does_not_stop_the_next() -> None:
    """Stopping an exchange does not stop the next one on the same connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = wire._HTTPConnection("localhost")
        connection.sock = ours
        late, following = wire._Exchange(None), wire._Exchange(None)
        late.use(connection)
        connection.exchange = ref(following)
        late.stop()
        theirs.sendall(b"still there")
        assert ours.recv(20) == b"still there"
        connection.exchange = ref(late)
        late.stop()
        assert ours.recv(20) == b""
        wire._Exchange(None).stop()


class Interrupted(BaseException):
    """An exception of a signal handler."""


def test_an_exception_of_a_signal_handler_leaves_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an exception of a signal handler, later requests of the thread are not limited."""

    def interrupt(*_args: object, **_options: object) -> None:
        raise Interrupted

    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            patch.setattr(wire, "check_url", interrupt)
            sts.exchange(KEYS, Role(ROLE))
        assert wire._exchange_under_way() is None
        assert sts.exchange(KEYS, Role(ROLE)).account_id == "123456789012"
        assert wire._exchange_under_way() is None


def test_a_stub_does_not_end_another_exchange() -> None:
    """A stub that answers before the call does not end another exchange."""
    session = Session()
    answer: Any = lambda **_: (Answered(), {"Account": "1"})  # noqa: E731 - the stub for a handler is of another type
    session.register("before-call", answer)
    wire.guard(session)
    client: Any = session.create_client("sts", "us-east-1", aws_access_key_id="AKIA", aws_secret_access_key="s")
    assert client.get_caller_identity()["Account"] == "1"


class Answered:
    """The HTTP response of a stub."""

    status_code = 200


@pytest.mark.case("P128")
def test_requests_outside_an_exchange_are_checked() -> None:
    """Requests outside an exchange are checked for TLS and size."""
    session = Session()
    wire.guard(session)
    with fake_server(Answer("a" * 2_000_000)) as server:
        client = session.create_client(
            "sts", "us-east-1", endpoint_url=server.url, aws_access_key_id="AKIA", aws_secret_access_key="s"
        )
        endpoint: Any = client
        with pytest.raises(HTTPClientError, match="1,000,000"):
            endpoint._endpoint.http_session.send(AWSRequest("GET", server.url).prepare())
    wire._check_request(False, AWSRequest("GET", "https://sts.example").prepare())
    with pytest.raises(PlaintextError):
        wire._check_request(False, AWSRequest("GET", "http://sts.example").prepare())


@pytest.mark.case("P136")
def test_calls_work_without_the_private_name_of_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without botocore's private name, calls work without the limits of time and size."""
    make = URLLib3Session.__init__

    def without(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        del self._pool_classes_by_scheme

    monkeypatch.setattr(URLLib3Session, "__init__", without)
    with fake_server(granted) as server:
        assert BotocoreSTS(endpoint_url=server.url, connect_timeout=4).exchange(WEB, Role(ROLE)).access_key_id


def test_a_forked_child_has_its_own_watchdog() -> None:
    """A forked child has its own watchdog."""
    with dripping(*HEADER) as (url, _):
        sts = BotocoreSTS(endpoint_url=url, read_timeout=30, total_timeout=0.3)
        with pytest.raises(STSUnavailable):
            sts.exchange(WEB, Role(ROLE))
        child = os.fork()
        if child == 0:  # pragma: no cover - runs in a child
            try:
                sts.exchange(WEB, Role(ROLE))
            except STSUnavailable as error:
                os._exit(0 if error.kind == "timeout" else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0


# Logs ------------------------------------------------------------------------------------------------------------


def test_the_password_in_an_endpoint_of_a_profile_is_not_logged(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password in the endpoint of a profile is not logged."""
    hop(home)
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "https://user:canary@127.0.0.1:9")
    with pytest.raises(ProofInvalid, match="a user name or a password") as caught:
        Profile("x").fetch()
    assert "canary" not in caplog.text
    assert "canary" not in str(caught.value)


@pytest.mark.case("P24")
def test_a_logger_of_a_newer_botocore_is_silent_too(caplog: pytest.LogCaptureFixture) -> None:
    """A logger of a newer botocore is silent during a call."""
    caplog.set_level(logging.DEBUG)
    new, harmless = logging.getLogger("botocore.brand_new"), logging.getLogger("botocore.hooks")

    with silence_secret_loggers():
        new.debug("canary")
        harmless.debug("harmless")
    new.debug("after")
    assert [record.message for record in caplog.records] == ["harmless", "after"]


# Shared clients --------------------------------------------------------------------------------------------------


def test_after_close_clients_a_later_mock_is_used() -> None:
    """After close_clients, a mock that starts later is used."""
    from moto import mock_aws

    with fake_server(granted) as server:
        sts = BotocoreSTS("us-east-1", endpoint_url=server.url)
        assert sts.caller_identity(KEYS).arn.endswith("AKIABASE")
        close_clients()
        with mock_aws():
            BotocoreSTS("us-east-1").caller_identity(KEYS)
        assert len(server.requests) == 1
        close_clients()
        sts.caller_identity(KEYS)
        assert len(server.connections) == 2


def test_no_call_connects_to_the_metadata_service(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call connects to the instance metadata service."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_DEFAULTS_MODE", "auto")
    with fake_server(granted) as metadata, fake_server(granted) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        for proof in (WEB, KEYS):
            BotocoreSTS(endpoint_url=server.url, connect_timeout=3).exchange(proof, Role(ROLE))
        assert metadata.requests == []
        Session().create_client("sts", "us-east-1", aws_access_key_id="AKIA", aws_secret_access_key="s")
        assert metadata.requests
