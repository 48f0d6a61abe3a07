"""The clients of `BotocoreSTS`: their region and endpoint, the signing keys, sharing between calls, and logs."""

from __future__ import annotations

import logging
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from attrs import evolve
from botocore.client import BaseClient
from botocore.session import Session
from fake_server import (
    SECRET_KEY,
    SESSION_TOKEN,
    Answer,
    FakeServer,
    Reaction,
    Request,
    fake_server,
    granted,
    refused,
    tells,
)
from helpers import unchecked
from identity_provider import IdentityProvider

from stskit import Credentials, Role, SAMLAssertion, StskitError, WebIdentityToken
from stskit.errors import RoleError
from stskit.proofs import Proof
from stskit.sources import Profile
from stskit.sts import BotocoreSTS, clients

ROLE = "arn:aws:iam::123456789012:role/R"
PROVIDER = "arn:aws:iam::123456789012:saml-provider/idp"
BASE = Credentials("AKIABASE", "base-secret-canary/+" + "s" * 20, "base-token-canary/+" + "t" * 200)


def client(
    region: str | None = None,
    partition: str | None = "aws",
    *,
    signed: bool = True,
    endpoint_url: str | None = None,
    **options: object,
) -> BaseClient:
    given = tuple(options.items())
    return clients.client_for(region, partition, signed=signed, endpoint_url=endpoint_url, options=given)


def client_of(sts: BotocoreSTS, *, signed: bool = True) -> BaseClient:
    """Return the client of *sts*. Only this private method shows which client is shared and how it is configured."""
    return sts._client("aws", signed=signed)


def place(client: BaseClient) -> tuple[str, str]:
    return client.meta.region_name, client.meta.endpoint_url


def configure(home: Path, text: str) -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(text)


# Regions and endpoints -------------------------------------------------------------------------------------------


@pytest.mark.case("P111", "P119")
@pytest.mark.parametrize(
    ("without", "region"),
    [
        ([], "eu-west-1"),
        (["argument"], "eu-west-2"),
        (["argument", "AWS_REGION"], "eu-west-3"),
        (["argument", "AWS_REGION", "AWS_DEFAULT_REGION"], "eu-north-1"),
        (["argument", "AWS_REGION", "AWS_DEFAULT_REGION", "profile"], "us-east-1"),
    ],
)
def test_the_first_named_region_is_used(
    without: list[str], region: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The region is the first of: argument, AWS_REGION, AWS_DEFAULT_REGION, the ambient profile, the partition's
    default.
    """
    configure(home, "[profile work]\n" + ("" if "profile" in without else "region = eu-north-1\n"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    for name, value in {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}.items():
        if name not in without:
            monkeypatch.setenv(name, value)
    argument = None if "argument" in without else "eu-west-1"
    assert place(client(argument)) == (region, f"https://sts.{region}.amazonaws.com")


@pytest.mark.case("P111", "P120")
def test_an_unsigned_call_ignores_the_region_of_a_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsigned call ignores the region of a profile and uses the region of the environment."""
    configure(home, "[default]\nregion = eu-north-1\n")
    assert place(client(signed=False)) == ("us-east-1", "https://sts.us-east-1.amazonaws.com")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    assert place(client(signed=False)) == ("eu-west-3", "https://sts.eu-west-3.amazonaws.com")


@pytest.mark.case("P111", "P112")
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(
    ("partition", "region", "endpoint"),
    [
        ("aws", "us-east-1", "https://sts.us-east-1.amazonaws.com"),
        ("aws-cn", "cn-northwest-1", "https://sts.cn-northwest-1.amazonaws.com.cn"),
        ("aws-us-gov", "us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
        ("aws-iso", "us-iso-east-1", "https://sts.us-iso-east-1.c2s.ic.gov"),
        ("aws-iso-b", "us-isob-east-1", "https://sts.us-isob-east-1.sc2s.sgov.gov"),
    ],
)
def test_a_partition_has_a_default_region(
    partition: str, region: str, endpoint: str, signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition has a default region, and a region of another partition in the environment is ignored."""
    assert place(client(partition=partition, signed=signed)) == (region, endpoint)
    monkeypatch.setenv("AWS_REGION", "eu-west-2" if partition != "aws" else "cn-north-1")
    assert place(client(partition=partition, signed=signed)) == (region, endpoint)


def test_a_region_of_the_partition_is_used() -> None:
    """A region of the partition is used, even if it is newer than this botocore."""
    assert place(client("cn-north-1", "aws-cn")) == ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn")
    assert place(client("mars-1")) == ("mars-1", "https://sts.mars-1.amazonaws.com")


@pytest.mark.case("P112")
def test_a_region_of_another_partition_is_an_error() -> None:
    """An argument with a region of another partition raises RoleError."""
    with pytest.raises(
        RoleError, match="cn-north-1 is in the partition aws-cn, but the role is in aws. Pass a region of aws"
    ):
        client("cn-north-1")


def test_with_an_unknown_partition_any_region_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the partition is unknown, as for long-term keys, the region of the argument or the environment is used."""
    assert client("cn-north-1", None).meta.region_name == "cn-north-1"
    monkeypatch.setenv("AWS_REGION", "us-gov-east-1")
    assert client(None, None).meta.region_name == "us-gov-east-1"
    monkeypatch.delenv("AWS_REGION")
    assert client(None, None).meta.region_name == "us-east-1"


def test_an_unknown_partition_uses_the_given_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a partition that botocore does not know, the region must be an argument; the environment is not used."""
    url = "http://127.0.0.1:9"
    assert place(client("us-east-1", "minio", endpoint_url=url)) == ("us-east-1", url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(RoleError, match=r"knows no region of the partition minio. Pass a region: BotocoreSTS\(region"):
        client(None, "minio", endpoint_url=url)


@pytest.mark.case("P111")
def test_endpoints_are_always_regional(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoints are regional even with AWS_STS_REGIONAL_ENDPOINTS=legacy."""
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    assert client("us-west-2").meta.endpoint_url == "https://sts.us-west-2.amazonaws.com"
    assert client("us-west-2", signed=False).meta.endpoint_url == "https://sts.us-west-2.amazonaws.com"


@pytest.mark.case("E6", "P113")
@pytest.mark.parametrize("signed", [True, False])
def test_endpoint_variables_are_used(signed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is the argument, else AWS_ENDPOINT_URL_STS, else AWS_ENDPOINT_URL."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert client(signed=signed).meta.endpoint_url == "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:2")
    assert client(signed=signed).meta.endpoint_url == "http://127.0.0.1:2"
    assert client(signed=signed, endpoint_url="http://127.0.0.1:3").meta.endpoint_url == "http://127.0.0.1:3"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert client(signed=signed).meta.endpoint_url == "https://sts.us-east-1.amazonaws.com"


@pytest.mark.case("E6", "P113")
def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is used, except for the hosts in NO_PROXY."""
    with fake_server(granted) as proxy, fake_server(granted) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        BotocoreSTS(endpoint_url="http://sts.example", allow_http=True).exchange(BASE, Role(ROLE))
        assert [request.headers["host"] for request in proxy.requests] == ["sts.example"]
        BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE))
        assert (len(proxy.requests), len(server.requests)) == (1, 1)


def test_special_endpoints_can_be_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    """FIPS and dual-stack endpoints can be selected by an argument or a variable."""
    fips, dualstack = "https://sts-fips.us-east-1.amazonaws.com", "https://sts.us-east-1.api.aws"
    assert client_of(BotocoreSTS(use_fips=True)).meta.endpoint_url == fips
    assert client_of(BotocoreSTS(use_dualstack=True)).meta.endpoint_url == dualstack
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    assert client_of(BotocoreSTS(), signed=False).meta.endpoint_url == fips


@pytest.mark.case("H11", "P114", "P130")
def test_time_limits_attempts_and_name_reach_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has the documented time-outs, attempts and pool size, and a user agent with stskit."""
    config: Any = client_of(BotocoreSTS()).meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 10)
    assert (config.retries["mode"], config.retries.get("total_max_attempts")) == ("standard", None)
    assert config.max_pool_connections >= 32
    assert config.user_agent_extra.startswith("stskit/")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
    config = client_of(BotocoreSTS(connect_timeout=1, read_timeout=2)).meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 2)
    assert config.retries == {"mode": "standard", "total_max_attempts": 7}


# Shared clients --------------------------------------------------------------------------------------------------


def test_equal_settings_share_a_client_also_between_threads() -> None:
    """Threads with equal settings share one client, and other settings have another client."""
    with ThreadPoolExecutor(16) as pool:
        clients = set(pool.map(lambda _: client_of(BotocoreSTS("eu-west-1")), range(64)))
    assert len(clients) == 1
    others = [
        BotocoreSTS("eu-west-2"),
        BotocoreSTS("eu-west-1", read_timeout=1),
        BotocoreSTS("eu-west-1", use_fips=True),
    ]
    assert clients.isdisjoint(client_of(other) for other in others)
    assert client("eu-west-1", signed=False) is not client("eu-west-1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_PROFILE", "other"),
        ("AWS_DEFAULT_PROFILE", "other"),
        ("AWS_CONFIG_FILE", "/nowhere/config"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_CA_BUNDLE", "/nowhere/ca.pem"),
        ("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem"),
        ("AWS_MAX_ATTEMPTS", "2"),
        ("AWS_SDK_UA_APP_ID", "app"),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("no_proxy", "*"),
        ("HOME", "/nowhere"),
    ],
)
def test_a_change_of_the_environment_applies_to_the_next_call(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a variable that configures clients changes, a new client is made; the change back restores the old one."""
    configure(home, "[profile other]\n")
    before = client()
    monkeypatch.setenv(name, value)
    assert client() is not before
    monkeypatch.undo()


def test_new_keys_in_the_environment_create_no_new_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """New keys or a new session name in the environment do not make a new client."""
    before = client()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_SESSION_NAME"):
        monkeypatch.setenv(name, "new")
    assert client() is before


# Signing keys ----------------------------------------------------------------------------------------------------


def test_each_call_is_signed_with_its_own_keys() -> None:
    """32 threads with different keys use one client, and each request has the right keys and the right response."""
    callers = [Credentials(f"AKIA{number:02}", f"secret {number}", f"token {number}") for number in range(32)]

    def call(number: int) -> tuple[str, str]:
        keys = callers[number % 32]
        asked = sts.exchange(keys, Role(ROLE, session_name=f"call-{number}")).access_key_id
        return asked, f"{keys.access_key_id}.call-{number}"

    with fake_server(granted) as server, ThreadPoolExecutor(32) as pool:
        sts = BotocoreSTS(endpoint_url=server.url)
        results = list(pool.map(call, range(160)))
    assert all(got == expected for got, expected in results)
    assert len(server.requests) == 160
    for request in server.requests:
        keys = callers[int(request.access_key_id.removeprefix("AKIA"))]
        assert request.headers["x-amz-security-token"] == keys.session_token
        assert request.is_signed_with(keys.secret_access_key)
        assert request.form["RoleSessionName"].startswith("call-")


def test_keys_without_a_token_are_sent_without_one() -> None:
    """Long-term keys are sent without a session token, and the signature matches their secret only."""
    with fake_server(granted) as server:
        BotocoreSTS(endpoint_url=server.url).exchange(Credentials("AKIA", "secret"), Role(ROLE))
    (request,) = server.requests
    assert "x-amz-security-token" not in request.headers
    assert request.is_signed_with("secret")
    assert not request.is_signed_with("other")


def test_outside_a_call_a_client_has_no_keys() -> None:
    """Outside a call, a client has no credentials and cannot send a request."""
    with fake_server(granted) as server:
        stray: Any = client(endpoint_url=server.url)
        BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE))
        with pytest.raises(Exception, match="Unable to locate credentials"):
            stray.get_caller_identity()
    assert len(server.requests) == 1


def test_a_signed_call_looks_nothing_up(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed call uses the passed keys and starts no look-up of others: no process and no SSO session."""
    trap = tmp_path / "trap"
    configure(home, f"[default]\ncredential_process = touch {trap}\nsso_session = nowhere\n[sso-session nowhere]\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        sts.exchange(BASE, Role(ROLE))
        sts.caller_identity(BASE)
    assert [request.access_key_id for request in server.requests] == ["AKIABASE", "AKIABASE"]
    assert not trap.exists()


# Forks -----------------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], object]) -> str:
    """Return the result of *work* in a forked child as text. A child that hangs is killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            signal.alarm(20)
            os.write(writer, str(work()).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_its_own_client() -> None:
    """After a fork, the child has its own client, because two processes must not share a connection."""
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        assert sts.exchange(BASE, Role(ROLE, session_name="parent")).access_key_id == "AKIABASE.parent"
        before = id(client_of(sts))
        assert in_child(lambda: id(client_of(sts)) == before) == "False"
        assert in_child(lambda: sts.exchange(BASE, Role(ROLE, session_name="child")).access_key_id) == "AKIABASE.child"
        assert id(client_of(sts)) == before


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_during_the_creation_of_a_client_does_not_block_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork while another thread makes a client does not leave a held lock in the child."""
    context = ssl.create_default_context()  # made once, because a fork leaves the locks inside OpenSSL as they are
    monkeypatch.setattr("botocore.httpsession.create_urllib3_context", lambda: context)
    begun, enough = Event(), Event()

    def make_clients() -> None:
        for number in count(1):
            client(endpoint_url=f"http://127.0.0.1:{number}")
            begun.set()
            if enough.is_set():
                return

    maker = Thread(target=make_clients)
    maker.start()
    begun.wait(20)
    regions = [in_child(lambda: client("eu-west-1").meta.region_name) for _ in range(3)]
    enough.set()
    maker.join()
    assert regions == ["eu-west-1"] * 3


# Logs ------------------------------------------------------------------------------------------------------------


class Log(logging.Handler):
    """A handler that records the formatted lines with the names of their loggers."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.name, self.format(record)))

    def tellers(self, *secrets: str) -> set[str]:
        """Return the names of the loggers whose lines have one of *secrets*."""
        return {name for name, line in self.lines if any(tells(line, secret) for secret in secrets)}


@pytest.fixture
def log() -> Iterator[Log]:
    """Yield a handler that records all levels of all loggers."""
    root = logging.getLogger()
    level, handler = root.level, Log()
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="module")
def proofs() -> dict[str, Proof]:
    idp = IdentityProvider.create("https://idp.example")
    return {
        "keys": BASE,
        "saml": SAMLAssertion.from_text(idp.saml_response(roles=[(ROLE, PROVIDER)])),
        "web": WebIdentityToken(idp.oidc_token()),
    }


def secrets_of(proof: Proof) -> tuple[str, ...]:
    if isinstance(proof, Credentials):
        return proof.secret_access_key, proof.session_token or ""
    return (proof.value,)


def echo(request: Request) -> Answer:
    return refused("ValidationError", request.body)


@pytest.mark.case("H5", "P24", "P45")
@pytest.mark.parametrize("kind", ["keys", "saml", "web"])
@pytest.mark.parametrize(
    "reaction",
    [
        granted,
        echo,
        refused("IDPCommunicationError"),
        Answer("<html>"),
        Answer("", 503),
        Answer("<AssumeRole", length=99),
        "reset",
        "hang",
    ],
    ids=["granted", "refused", "retried", "page", "unavailable", "cut", "reset", "hang"],
)
def test_no_call_logs_a_secret(
    kind: str, reaction: Reaction, proofs: dict[str, Proof], log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call logs no secret at any level, whatever its result is, and logs that there was a connection."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    proof = proofs[kind]
    role = Role(ROLE, external_id="external-id-canary" if kind == "keys" else None)
    with fake_server(reaction) as server, suppress(StskitError):
        BotocoreSTS(endpoint_url=server.url, read_timeout=0.2).exchange(proof, role)
    assert server.requests
    assert log.tellers(*secrets_of(proof), SECRET_KEY, SESSION_TOKEN, "external-id-canary") == set()
    assert "urllib3.connectionpool" in {name for name, _ in log.lines}


def test_a_call_that_cannot_be_sent_logs_no_secret(log: Log) -> None:
    """A call logs no secret even if a line break in the token makes http.client quote the header."""
    broken = unchecked(evolve(BASE), session_token=f"{BASE.session_token}\nX: y")
    with pytest.raises(StskitError):
        BotocoreSTS(endpoint_url="http://127.0.0.1:9").exchange(broken, Role(ROLE))
    assert log.tellers(*secrets_of(broken)) == set()


@pytest.mark.case("P45", "P75")
def test_other_calls_are_logged_as_before(log: Log) -> None:
    """Clients of the caller still log their own calls, after stskit's calls and at the same time in other threads."""

    def from_another_thread(request: Request) -> Answer:
        for name in clients._SECRET_LOGGERS:
            logging.getLogger(name).debug("from another thread")
        return granted(request)

    with fake_server(from_another_thread, granted) as server:
        BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE))
        assert log.tellers(SECRET_KEY) == set()
        names = {name for name, line in log.lines if line == "from another thread"}
        assert names == set(clients._SECRET_LOGGERS)
        session = Session()
        session.set_credentials(BASE.access_key_id, BASE.secret_access_key, BASE.session_token)
        theirs: Any = session.create_client("sts", "us-east-1", endpoint_url=server.url)
        theirs.assume_role(RoleArn=ROLE, RoleSessionName="theirs")
    assert log.tellers(SECRET_KEY) == {"botocore.parsers"}
    assert {"botocore.auth", "botocore.endpoint"} <= log.tellers(BASE.session_token or "")


def write_profile(home: Path, text: str) -> None:
    configure(home, f"[default]\nregion = us-east-1\n{text}")


def as_role(home: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    base = f"aws_access_key_id = AKIA\naws_secret_access_key = {BASE.secret_access_key}\n"
    write_profile(home, f"role_arn = {ROLE}\nsource_profile = base\n[profile base]\n{base}")


def as_instance(home: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)


def as_failing_process(home: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure a process whose keys expire at once, so that botocore runs it again. The second run fails."""
    first = home / "first"
    first.write_text(
        f'{{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "{SECRET_KEY}", "SessionToken": "t", '
        '"Expiration": "2020-01-01T00:00:00Z"}'
    )
    script = home / "process"
    script.write_text(f"cat {first} && rm {first} && exit\necho {SECRET_KEY} >&2\nexit 1\n")
    write_profile(home, f"credential_process = sh {script}\n")


@pytest.mark.parametrize(
    ("arrange", "reaction", "silenced"),
    [
        (as_role, granted, "botocore.parsers"),
        (as_role, refused("AccessDenied", SECRET_KEY), "botocore.credentials"),
        (as_instance, Answer(SECRET_KEY, 500), "botocore.utils"),
        (as_failing_process, granted, "botocore.credentials"),
    ],
    ids=["role", "refused role", "instance", "process"],
)
def test_the_profile_source_logs_no_secret(
    arrange: Callable[[Path, FakeServer, pytest.MonkeyPatch], None],
    reaction: Reaction,
    silenced: str,
    home: Path,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The Profile source logs no secret, although botocore alone logs one with the logger in *silenced*."""
    secrets = BASE.secret_access_key, SECRET_KEY, SESSION_TOKEN
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with fake_server(reaction) as server:
        arrange(home, server, monkeypatch)
        with suppress(StskitError):
            Profile().fetch()
        assert log.tellers(*secrets) == set()
        arrange(home, server, monkeypatch)
        with suppress(Exception):
            found: Any = Session().get_credentials()
            found.get_frozen_credentials()
        assert silenced in log.tellers(*secrets)
