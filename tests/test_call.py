"""Calls to STS: permitted endpoints, deadlines, traces, and many calls at once."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from fake_server import SECRET_KEY, fake_server, granted, refused, told
from saml_samples import ROLE

from stskit import Credentials, Role, WebIdentityToken
from stskit.errors import RoleError, STSError, STSUnavailable
from stskit.sinks import Boto3Session, Environment
from stskit.sts import BotocoreSTS

BASE = Credentials("AKIABASE", "base-secret-canary", "base-token-canary")
WEB = WebIdentityToken(jwt.encode({"sub": "alice"}, "a key that is long enough for it"))


# Permitted endpoints, deadlines and traces ------------------------------------------------------------------------


@pytest.mark.case("E6", "P50", "P126")
@pytest.mark.parametrize(
    "host", ["sts.example", "10.0.0.1", "192.168.1.1", "[2001:db8::1]", "localhost.example", "0.0.0.0"]
)
@pytest.mark.parametrize("by", ["argument", "variable"])
def test_without_tls_nothing_is_sent_to_another_machine(host: str, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP to another machine raises STSUnavailable before anything is sent, and the message names allow_http."""
    url = f"http://{host}:9"
    if by == "variable":
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
    sts = BotocoreSTS(endpoint_url=url if by == "argument" else None)
    with pytest.raises(STSUnavailable, match=r"would not be encrypted .*allow_http=True") as caught:
        sts.exchange(WEB, Role(ROLE))
    assert (caught.value.kind, caught.value.retryable, caught.value.endpoint) == ("setup", False, url)


@pytest.mark.case("P126")
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://127.1.2.3:9", "http://[::1]:9", "http://localhost:9"])
def test_without_tls_a_loopback_address_is_allowed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP to this machine is allowed."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(STSUnavailable) as caught:
        BotocoreSTS(endpoint_url=url).exchange(WEB, Role(ROLE))
    assert caught.value.kind == "connection"


@pytest.mark.case("P52", "P123")
def test_a_password_in_an_endpoint_is_refused() -> None:
    """An endpoint with a password is refused, and the error does not show the password."""
    with pytest.raises(RoleError, match="contains a user name or a password") as caught:
        BotocoreSTS(endpoint_url="https://user:canary@sts.example")
    assert "canary" not in str(caught.value)


@pytest.mark.case("P52", "P123")
@pytest.mark.parametrize("url", ["http://user:canary@sts.example", "http://user:canary@127.0.0.1:9"])
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"])
def test_a_password_in_a_variable_is_refused(
    url: str, variable: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A password in an endpoint variable is refused by the name of the variable; no error and no log shows it."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(variable, url)
    for proof in (WEB, BASE):
        with pytest.raises(RoleError, match=f"^{variable} contains a user name or a password") as caught:
            BotocoreSTS().exchange(proof, Role(ROLE))
        assert (caught.value.option, caught.value.variable) == (None, variable)
        assert "canary" not in told(caught.value)
    assert "canary" not in caplog.text


@pytest.mark.case("E10", "P131")
def test_an_exchange_has_a_time_limit() -> None:
    """The total time-out limits all attempts of a call together."""
    start = time.monotonic()
    with (
        fake_server("hang") as server,
        pytest.raises(STSUnavailable, match=r"did not respond in time \(TimeoutError\)") as caught,
    ):
        BotocoreSTS(endpoint_url=server.url, read_timeout=60, total_timeout=0.3).exchange(BASE, Role(ROLE))
    assert time.monotonic() - start < 5
    assert (caught.value.kind, caught.value.retryable) == ("timeout", True)
    assert "canary" not in told(caught.value)


def test_a_call_within_its_time_limit_is_not_affected() -> None:
    """With a total time-out, responses and errors are returned and the call is signed with the caller's keys."""
    with fake_server(granted, refused("AccessDenied")) as server:
        sts = BotocoreSTS(endpoint_url=server.url, total_timeout=20)
        assert sts.exchange(BASE, Role(ROLE)).access_key_id.startswith("AKIABASE")
        with pytest.raises(STSError, match="AccessDenied"):
            sts.exchange(BASE, Role(ROLE))
    assert server.requests[0].is_signed_with("base-secret-canary")


def test_time_limits_need_no_thread_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread watches the deadlines of all calls; a call does not start a thread of its own."""
    with fake_server(granted) as server:
        names: list[str] = []
        start = threading.Thread.start

        def starting(thread: threading.Thread) -> None:
            names.append(thread.name)
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", starting)
        BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE))
        BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE))
    assert {name for name in names if name.startswith("stskit")} <= {"stskit-watchdog"}
    assert len([each for each in threading.enumerate() if each.name == "stskit-watchdog"]) == 1


@pytest.mark.case("H5", "P45", "P137")
def test_the_wire_can_be_logged_on_request(caplog: pytest.LogCaptureFixture) -> None:
    """Only the calls of an STS with `trace_wire` log their requests and responses."""
    caplog.set_level(logging.DEBUG)
    with fake_server(granted) as server:
        BotocoreSTS(endpoint_url=server.url).exchange(WEB, Role(ROLE))
        assert WEB.value not in caplog.text
        assert SECRET_KEY not in caplog.text
        BotocoreSTS(endpoint_url=server.url, trace_wire=True).exchange(WEB, Role(ROLE))
        assert WEB.value in caplog.text
        assert SECRET_KEY in caplog.text
        caplog.clear()
        BotocoreSTS(endpoint_url=server.url).exchange(WEB, Role(ROLE))
        assert WEB.value not in caplog.text


def unknown(*_where: object) -> object:
    """Replace the look-up of a host name, so that no DNS query leaves this machine."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


# Behaviour of botocore that is kept -------------------------------------------------------------------------------


@pytest.mark.case("E6", "E9", "P64", "P113")
def test_a_certificate_needs_aws_ca_bundle(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_CA_BUNDLE makes a private certificate trusted. Without it, STSUnavailable has the kind `tls`; nothing is
    sent.
    """
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with fake_server(granted, tls=context) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        for proof in (BASE, WEB):
            with pytest.raises(STSUnavailable, match="with TLS") as caught:
                sts.exchange(proof, Role(ROLE))
            assert (caught.value.kind, caught.value.retryable) == ("tls", False)
        assert server.requests == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        for proof in (BASE, WEB):
            assert sts.exchange(proof, Role(ROLE)).session_token


@pytest.mark.case("E6")
def test_configured_endpoints_can_be_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_IGNORE_CONFIGURED_ENDPOINT_URLS disables endpoint variables but not the argument."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for proof in (BASE, WEB):
        for url in (None, "https://sts.invalid:7"):
            with pytest.raises(STSUnavailable) as caught:
                BotocoreSTS(endpoint_url=url).exchange(proof, Role(ROLE))
            assert caught.value.endpoint == (url or "https://sts.us-east-1.amazonaws.com")


@pytest.mark.case("E9")
def test_an_unknown_host_name_is_a_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown host name raises STSUnavailable with the kind `connection`."""
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(STSUnavailable, match="could not be reached") as caught:
        BotocoreSTS(endpoint_url="https://sts.invalid").exchange(BASE, Role(ROLE))
    assert (caught.value.kind, caught.value.retryable) == ("connection", True)


def test_connections_are_reused() -> None:
    """Ten calls for several roles and callers use one connection."""
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        for number in range(10):
            sts.exchange(Credentials(f"AKIA{number}", "secret"), Role(f"{ROLE}{number}"))
    assert (len(server.requests), len(server.connections)) == (10, 1)


# Long tokens and many threads -------------------------------------------------------------------------------------


@pytest.mark.case("E14")
@pytest.mark.parametrize("size", [4_096, 65_536])
def test_a_long_token_is_sent(size: int) -> None:
    """A session token of any length is received and delivered completely."""
    token = "t" * size
    with fake_server(lambda request: granted(request, SessionToken=token)) as server:
        given_ = BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE))
    assert given_.session_token == token
    assert given_.to(Environment())["AWS_SESSION_TOKEN"] == token
    keys = given_.to(Boto3Session("us-east-1")).get_credentials()
    assert keys is not None
    assert keys.token == token


@pytest.mark.case("E18")
@pytest.mark.gate
def test_threads_get_their_own_responses() -> None:
    """Thirty-two threads make two thousand calls with their own keys, and each gets the response to its own request."""

    def call(number: int) -> bool:
        proof = Credentials(f"AKIA{number:06}", f"secret-{number}", "token")
        return sts.exchange(proof, Role(ROLE, session_name=f"n{number}")).access_key_id == f"AKIA{number:06}.n{number}"

    with fake_server(granted) as server, ThreadPoolExecutor(32) as pool:
        sts = BotocoreSTS(endpoint_url=server.url)
        assert all(pool.map(call, range(CALLS)))
    assert len(server.requests) == CALLS
    assert all(request.is_signed_with(f"secret-{int(request.access_key_id[4:])}") for request in server.requests[::20])


CALLS = 2_000
