"""`stskit doctor` reports which STS would be called, and compares the clocks with one request."""

from __future__ import annotations

import json
import socket
import ssl
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from doctoring import KEYS, configure, look, only, put, texts
from fake_server import Answer, fake_server
from helpers import START
from saml_samples import NAMED, PAIR, encoded, response

from stskit.testing import ManualClock

# The server -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "given", "region", "endpoint"),
    [
        (
            {},
            {},
            "note: No region is configured, so stskit would call STS in us-east-1.",
            "https://sts.us-east-1.amazonaws.com.",
        ),
        ({"AWS_REGION": "eu-west-1"}, {}, "ok: stskit would call STS in eu-west-1 (from AWS_REGION).", ""),
        (
            {"AWS_DEFAULT_REGION": "eu-west-1"},
            {},
            "ok: stskit would call STS in eu-west-1 (from AWS_DEFAULT_REGION).",
            "",
        ),
        (
            {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"},
            {},
            "note: AWS_REGION is eu-west-1 and AWS_DEFAULT_REGION is eu-west-2. stskit uses the first, boto3 the "
            "second.",
            "https://sts.eu-west-1.amazonaws.com.",
        ),
        (
            {"AWS_REGION": "eu-west-1"},
            {"region": "us-gov-west-1", "use_fips": True},
            "ok: stskit would call STS in us-gov-west-1 (from --region).",
            "https://sts.us-gov-west-1.amazonaws.com.",
        ),
        (
            {"AWS_REGION": "no region"},
            {},
            "",
            "STS cannot be called, because botocore cannot create a client (Inv",
        ),
        ({}, {"endpoint_url": "http://127.0.0.1:9"}, "", "http://127.0.0.1:9 (from --endpoint-url)."),
        (
            {},
            {"endpoint_url": "http://u:canary@x"},
            "",
            "endpoint_url contains a user name or a password",
        ),
        (
            {},
            {"endpoint_url": "http://sts.example"},
            "",
            "http://sts.example (from --endpoint-url), where the request would not be encrypted",
        ),
        (
            {"AWS_ENDPOINT_URL": "https://u:canary@a.example/x?y=z"},
            {},
            "",
            "AWS_ENDPOINT_URL contains a user name or a password",
        ),
        (
            {"AWS_ENDPOINT_URL": "https://a.example/x?y=z"},
            {},
            "",
            "https://a.example (from AWS_ENDPOINT_URL).",
        ),
        (
            {"AWS_ENDPOINT_URL": "https://a.example", "AWS_ENDPOINT_URL_STS": "https://b.example"},
            {},
            "",
            "https://b.example (from AWS_ENDPOINT_URL_STS).",
        ),
        (
            {"AWS_ENDPOINT_URL": "https://a.example", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            {},
            "",
            "AWS_ENDPOINT_URL has no effect, because AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true.",
        ),
    ],
)
def test_region_and_endpoint_are_reported_with_their_origin(
    environment: dict[str, str], given: dict[str, str], region: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the region and the endpoint of a call, with the setting that they come from."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = look(**given)
    assert not region or region in texts(found, "region")
    assert any(endpoint in each for each in texts(found, "endpoint"))


@pytest.mark.parametrize("services", [True, False])
def test_a_profile_can_set_region_endpoint_and_certificates(
    services: bool,
    home: Path,
) -> None:
    """The settings of the profile apply, but not to SAML and OIDC, whose calls do not use a profile."""
    endpoint = "endpoint_url = https://sts.example\n"
    of_service = f"services = s\n[services s]\nsts =\n  {endpoint}" if services else endpoint
    configure(home, f"[default]\nregion = eu-west-1\nca_bundle = /nowhere/bundle\n{KEYS}{of_service}")
    found = look()
    assert only(found, "region").text == "stskit would call STS in eu-west-1 (from the profile)."
    assert only(found, "endpoint").text == "stskit would call STS at https://sts.example (from the profile)."
    assert only(found, "certificates").text.endswith(
        "/nowhere/bundle, the file with the certificates of servers, is not a readable file."
    )
    found = look(oidc_token_file="x")
    assert only(found, "endpoint").text == "stskit would call STS at https://sts.us-east-1.amazonaws.com."


@pytest.mark.parametrize(
    ("region", "state", "remedy"),
    [
        ("eu-centrl-1", "note", "Did you mean eu-central-1?"),
        ("mars-1", "note", "Correct it, or upgrade botocore."),
        ("us-gov-west-1", "ok", ""),
        ("aws-global", "ok", ""),
    ],
)
def test_an_unknown_region_is_a_note(region: str, state: str, remedy: str) -> None:
    """AWS has no endpoint for a mistyped region. Another server can use any name."""
    found = only(look(region=region), "region")
    assert (found.state, found.remedy) == (state, remedy)
    assert ("botocore knows no such region" in found.text) == (state == "note")
    assert only(look(region=region, endpoint_url="https://sts.example"), "region").state == "ok"


def test_the_region_must_fit_the_roles_of_an_assertion(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with a region of another partition is ignored, as in a call. An argument is an error."""
    pair = PAIR.replace("arn:aws:", "arn:aws-cn:")
    given = put(
        home, "SAML file", encoded(response(NAMED | {"Role": [pair]}, audiences=["urn:amazon:webservices:cn-north-1"]))
    )
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    said = "AWS_REGION is eu-west-1, in another partition than the role, so stskit would call STS in cn-northwest-1."
    assert only(look(**given), "region").text == said
    assert only(look(**given, region="eu-west-1"), "region").state == "wrong"


@pytest.mark.parametrize(
    ("proxies", "said"),
    [
        (
            {"HTTPS_PROXY": "http://u:canary@proxy.example:3128"},
            "ok: The proxy http://proxy.example:3128 would be used.",
        ),
        ({"https_proxy": "u:can/ary@proxy.example:3128"}, "ok: The proxy http://proxy.example:3128 would be used."),
        ({"HTTPS_PROXY": "http://[canary", "NO_PROXY": ".amazonaws.com"}, "ok: The proxy http://[can"),
    ],
)
def test_a_proxy_is_reported_without_its_password(
    proxies: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding shows whether the proxy would be used."""
    for name, value in proxies.items():
        monkeypatch.setenv(name, value.replace("[canary", "[can"))
    assert texts(look(), "proxy")[0].startswith(said)


def date(moment: datetime) -> Answer:
    return Answer(headers={"Date": format_datetime(moment, usegmt=True)})


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (0, "ok: STS responded, and the clocks agree within 1 s."),
        (-30, "ok: STS responded, and the clocks agree within 30 s."),
        (-90, "note: The clock of this machine is 90 s behind that of STS."),
        (300, "note: The clock of this machine is 5 min ahead of that of STS."),
        (
            301,
            "wrong: The clock of this machine is 5 min ahead of that of STS, so STS refuses proofs and signatures",
        ),
        (
            -86400 * 3,
            "wrong: The clock of this machine is 3 days behind that of STS, so STS refuses proofs",
        ),
    ],
)
def test_the_clock_is_compared_with_that_of_the_server(ahead: int, said: str) -> None:
    """The request is not signed and has no content."""
    clock = ManualClock(START)
    with fake_server(date(START - timedelta(seconds=ahead))) as server:
        found = look(clock, offline=False, endpoint_url=server.url)
    assert texts(found, "clock")[0].startswith(said)
    (request,) = server.requests
    assert "authorization" not in request.headers
    assert request.body == ""


@pytest.mark.parametrize("header", ["", "canary", "Mon, 99 Nov 2026 12:00:00 GMT"])
def test_a_server_without_a_clock_is_a_note(header: str) -> None:
    """The server may not be an STS."""
    with fake_server(Answer("x", 403, {"Date": header})) as server:
        assert "responded without a Date header" in only(look(offline=False, endpoint_url=server.url), "clock").text


def reason(url: str) -> str:
    """Return the reason for which the server cannot be reached."""
    finding = only(look(offline=False, endpoint_url=url), "network")
    assert finding.state == "wrong"
    return finding.text.partition("could not be reached: ")[2]


def test_a_server_that_cannot_be_reached_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding names the reason, and does not quote the error."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
        assert reason(f"http://{nobody}") == "the connection was refused."
        monkeypatch.setenv("HTTPS_PROXY", f"http://u:canary@{nobody}")
        assert reason("https://sts.example") == "the proxy could not be reached, or refused the connection."
        monkeypatch.delenv("HTTPS_PROXY")
    with fake_server("reset") as server:
        assert reason(server.url) == "the connection failed."
    problems = [TimeoutError("timed out"), socket.gaierror(socket.EAI_NONAME, "Name or service not known")]

    def fail(*_address: object, **_options: object) -> None:
        raise problems[0]

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert reason("https://sts.example") == "it did not respond in time."
    del problems[0]
    assert reason("https://sts.example") == "its name could not be resolved (DNS)."


def test_without_the_profile_the_server_is_unknown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This is a problem if no other finding reports the missing profile, for example with keys in a file."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert texts(look(), "region") == ["note: The region and the endpoint are unknown, because the profile is missing."]
    document = {"AccessKeyId": "AKIA", "SecretAccessKey": "s"}
    found = look(**put(home, "keys file", json.dumps(document)))
    assert texts(found, "endpoint") == [
        "wrong: STS cannot be called, because botocore cannot create a client (ProfileNotFound)."
    ]


@pytest.mark.case("P64")
def test_a_server_is_verified_by_its_certificate(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificates of AWS_CA_BUNDLE are used, as in all calls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with fake_server(date(START), tls=context) as server:
        assert reason(server.url) == "its certificate is not trusted (TLS)."
        assert reason(server.url.replace("https", "http")) == "the connection failed."
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        assert only(look(offline=False, endpoint_url=server.url), "clock").state == "ok"
    with fake_server(date(START)) as server:
        assert reason(server.url.replace("http", "https")) == "a secure connection failed (TLS)."
