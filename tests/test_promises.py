"""Promises of the README and the explanations that no other test holds; `cases.md` has all of them, by page."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import pickle
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

import attrs
import jwt
import pytest
from fake_server import SECRET_KEY, Answer, fake_server, granted, refused
from helpers import PACKAGE, START, Down, ScriptedSource, credentials
from saml_samples import PROVIDER, ROLE, encoded, response

from stskit import (
    MFA,
    AssumedRole,
    Cached,
    Credentials,
    MFACommand,
    RefreshPolicy,
    Role,
    SAMLAssertion,
    WebIdentityToken,
    errors,
)
from stskit.__main__ import main
from stskit.caches import FileCache, MemoryCache
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, RoleError, SinkError, STSError, StskitWarning, STSUnavailable
from stskit.proofs import Proof
from stskit.protocols import Sink
from stskit.roles import ProvidedContext
from stskit.sinks import (
    Boto3Session,
    BotocoreSession,
    CredentialProcess,
    CredentialsFile,
    DotEnv,
    Environment,
    ShellExports,
)
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, Static
from stskit.sts import BotocoreSTS, wire
from stskit.testing import ManualClock

ROOT = Path(__file__).parent.parent
KEY = "a key that is long enough for it"
SERIAL = "arn:aws:iam::123456789012:mfa/me"
BASE = Credentials("AKIABASE", "base-secret-canary", "base-token-canary")
WEB = WebIdentityToken(jwt.encode({"sub": "alice"}, KEY))
SAML = SAMLAssertion(encoded(response({"Role": [f"{ROLE},{PROVIDER}"], "RoleSessionName": ["alice"]})), PROVIDER)


def configure(home: Path, text: str) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(text)


# What it costs ----------------------------------------------------------------------------------------------------


@pytest.mark.case("P32", "P142")
def test_a_fresh_read_reads_only_the_clocks() -> None:
    """A read of fresh credentials calls only the functions of the two clocks."""
    until = datetime.now(UTC) + timedelta(hours=1)
    cached = Cached(ScriptedSource(Credentials("AKIA", "s", "t", until)), MemoryCache(), key="me")
    cached.fetch()
    called: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            called.append(frame.f_code.co_name if event == "call" else argument.__name__)

    sys.setprofile(note)
    try:
        cached.fetch()
    finally:
        sys.setprofile(None)
    assert {*called} == {"fetch", "_system_seconds", "time", "monotonic", "setprofile"}
    assert len(called) <= 6


@pytest.mark.case("P103", "P131")
def test_the_default_limits_are_as_documented() -> None:
    """An exchange has 60 seconds, and the lock of a cache 15 seconds."""
    assert BotocoreSTS().total_timeout == wire.TOTAL_TIMEOUT == 60
    assert FileCache().lock_timeout == 15


@pytest.mark.case("P10")
@pytest.mark.parametrize("command", ["roles", "assume", "exec", "process", "whoami", "doctor"])
def test_every_command_has_help_and_json(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of every command has --help and --json."""
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert "--help" in shown
    assert "--json" in shown


@pytest.mark.case("P4")
def test_every_error_has_a_remedy() -> None:
    """Every error that stskit creates has a remedy."""
    kinds = {name for name in errors.__all__ if name not in ("StskitError", "SourceError") and name[0].isupper()}
    without = [
        f"{path.relative_to(PACKAGE)}:{call.lineno}"
        for path in PACKAGE.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef) and function.name not in ("credentials_in", "identity_in")
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) in kinds
        if not {"remedy", None} & {keyword.arg for keyword in call.keywords}
    ]
    assert without == []


# Secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P40")
def test_each_documented_secret_is_a_secret() -> None:
    """Each value that the documentation calls secret is a Secret."""
    role = Role(ROLE, external_id="canary", provided_contexts=[ProvidedContext(PROVIDER, "canary")])
    parts = [
        *(BASE.secret_access_key, BASE.session_token, SAML.value, WEB.value),
        *(role.external_id, role.provided_contexts[0].context_assertion),
        MFA(SERIAL, lambda _serial: "739155", unattended=True).token_code(),
    ]
    assert [type(part) for part in parts] == [Secret] * 7


@pytest.mark.case("P73")
def test_plain_forms_mask_secrets() -> None:
    """The values for JSON and for the environment are masked in a repr."""
    for form in (BASE.as_dict(), BASE.to(Environment())):
        assert "base-secret-canary" in json.dumps(form)
        assert "canary" not in repr(form)


@pytest.mark.case("P69", "P70")
def test_a_pickled_recipe_contains_the_documented_values(home: Path) -> None:
    """A pickled recipe contains the values that security.md names, and no fetched credentials."""
    held = Role(
        ROLE,
        external_id="external-canary",
        provided_contexts=[ProvidedContext(PROVIDER, "context-canary")],
        extra={"New": "extra-canary"},
        mfa=MFA(SERIAL, "739156"),
    )
    for part in (b"external-canary", b"context-canary", b"extra-canary", b"739156"):
        assert part in pickle.dumps(AssumedRole(held))
    with fake_server(granted) as server:
        recipe = Cached(AssumedRole(ROLE, source=Static(BASE), sts=BotocoreSTS(endpoint_url=server.url)))
        assert recipe.fetch().secret_access_key == SECRET_KEY
    assert b"base-secret-canary" in pickle.dumps(recipe)
    assert SECRET_KEY.encode() not in pickle.dumps(recipe)
    configure(home, "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base-secret-canary\n")
    assert Profile("base").fetch().secret_access_key == "base-secret-canary"
    assert b"canary" not in pickle.dumps(AssumedRole(ROLE, source=Profile("base")))


@pytest.mark.case("P77")
def test_an_mfa_command_gets_the_environment_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An MFA command gets the environment of the caller unchanged."""
    monkeypatch.setenv("MINE", "x")
    code = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w')); print(739157)"
    MFACommand([sys.executable, "-c", code, str(tmp_path / "seen")]).run()
    of_others = ("LC_CTYPE", "COLUMNS", "LINES")  # which an interpreter or a library sets behind Python's back
    seen = json.loads((tmp_path / "seen").read_text())
    assert {name: value for name, value in seen.items() if name not in of_others} == {
        name: value for name, value in os.environ.items() if name not in of_others
    }


@pytest.mark.case("P76")
def test_a_request_contains_the_token_and_not_the_secret_key() -> None:
    """A request contains the session token in its header only, and never the secret key."""
    with fake_server(granted) as server:
        BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE))
        BotocoreSTS(endpoint_url=server.url).exchange(WEB, Role(ROLE))
    signed, unsigned = server.requests
    assert signed.is_signed_with("base-secret-canary")
    assert "canary" not in signed.body
    assert {name for name, value in signed.headers.items() if "canary" in value} == {"x-amz-security-token"}
    assert unsigned.form["WebIdentityToken"] == WEB.value
    assert not [value for value in unsigned.headers.values() if WEB.value in value]


_events: list[tuple[str, object]] = []
_watching: list[bool] = []


def _note_sockets(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event in ("socket.bind", "socket.connect", "socket.sendto", "socket.sendmsg"):
        _events.append((event, arguments[1]))


sys.addaudithook(_note_sockets)


@pytest.mark.case("P78")
def test_only_sts_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls, a cache and all sinks connect to STS only."""
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        recipes = [AssumedRole(ROLE, source=Static(proof), sts=sts) for proof in (BASE, WEB, SAML)]
        _events.clear()
        _watching.append(True)
        try:
            made = [Cached(recipe, FileCache(tmp_path / "cache")).fetch() for recipe in recipes]
            for sink in every_sink(tmp_path):
                made[0].to(sink)
        finally:
            _watching.clear()
        _, _, port = server.url.rpartition(":")
        assert {event for event, _ in _events} == {"socket.connect"}
        assert {address for _, address in _events} == {("127.0.0.1", int(port))}


def every_sink(folder: Path) -> list[Sink[Any]]:
    return [
        *(CredentialsFile("p", folder / "credentials"), DotEnv(folder / ".env"), Environment(), ShellExports()),
        *(CredentialProcess(), BotocoreSession(), Boto3Session()),
    ]


# What is read -----------------------------------------------------------------------------------------------------


@pytest.mark.case("P55")
def test_a_saved_response_over_fifty_megabytes_is_refused(tmp_path: Path) -> None:
    """A saved response of more than 50 MB is refused without being read."""
    path = tmp_path / "log.har"
    path.touch()
    os.truncate(path, 50_000_001)
    with pytest.raises(ProofInvalid, match="larger than"):
        SAMLFile(path).fetch()


@pytest.mark.case("P56")
@pytest.mark.parametrize("make", [lambda path: CredentialsFile("p", path), DotEnv], ids=["credentials", ".env"])
def test_a_credentials_file_over_sixty_four_megabytes_is_refused(
    make: Callable[[Path], Sink[object]], tmp_path: Path
) -> None:
    """A credentials file of more than 64 MB is refused and stays unchanged."""
    path = tmp_path / "file"
    path.touch(mode=0o600)
    os.truncate(path, 64_000_001)
    with pytest.raises(SinkError, match="larger than"):
        BASE.to(make(path))
    assert path.stat().st_size == 64_000_001


@pytest.mark.case("P60")
def test_the_gate_runs_the_fuzzer() -> None:
    """The gate runs the fuzzer."""
    gate = ROOT / ".ci" / "run"
    if not gate.exists():
        pytest.skip("this is not a clone, so the gate is not here")
    assert "tests/fuzz/fuzz_readers.py" in gate.read_text()


# Caches -----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P96")
def test_a_renewed_token_makes_a_new_call(tmp_path: Path) -> None:
    """A renewed token of the same person makes a new call."""
    path, cache = tmp_path / "token", MemoryCache()
    path.touch(mode=0o600)
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        for issued in (1, 1, 2):
            path.write_text(jwt.encode({"sub": "alice", "iat": issued}, KEY))
            Cached(AssumedRole(ROLE, source=OIDCTokenFile(path), sts=sts), cache).fetch()
        assert len(server.requests) == 2


@pytest.mark.case("P99")
def test_an_expired_token_finds_cached_credentials(tmp_path: Path) -> None:
    """With an expired token, cached credentials are still returned until they expire."""
    clock, path, cache = ManualClock(START), tmp_path / "token", FileCache(tmp_path / "cache")
    path.touch(mode=0o600)
    path.write_text(jwt.encode({"sub": "alice", "exp": int((START + timedelta(minutes=5)).timestamp())}, KEY))

    class OneHour:
        identity = "one hour"
        calls = 0

        def exchange(self, proof: object, role: Role) -> Credentials:
            self.calls += 1
            return credentials(clock, hours=1)

    sts = OneHour()

    def fetch() -> Credentials:
        source = OIDCTokenFile(path, clock=clock)
        return Cached(AssumedRole(ROLE, source=source, sts=sts), cache, clock=clock).fetch()

    first = fetch()
    clock.advance(timedelta(minutes=40))
    assert fetch() == first
    assert sts.calls == 1
    clock.advance(timedelta(minutes=21))
    with pytest.raises(ProofInvalid, match="ended|expired"):
        fetch()


@pytest.mark.case("P106")
def test_each_reader_of_an_entry_has_its_own_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readers of one cache entry have different random refresh times."""
    clock, cache, draws = ManualClock(START), MemoryCache(), [0.5, 0.0, 1.0]
    monkeypatch.setattr("stskit.refresh._uniform", lambda _least, _most: draws.pop(0))
    source = ScriptedSource(credentials(clock, hours=1), Down())
    first, *both = (Cached(source, cache, key="me", clock=clock) for _ in range(3))
    assert [each.fetch() for each in (first, *both)] == [first.in_hand] * 3
    assert draws == []
    clock.advance(timedelta(minutes=44))  # the window of 15 minutes begins up to 3 minutes earlier
    assert [each.is_fresh for each in both] == [True, False]


# Where STS is asked -----------------------------------------------------------------------------------------------


@pytest.mark.case("P117")
def test_a_named_profile_sets_the_endpoint_on_the_command_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A named profile sets the endpoint on the command line."""
    with fake_server(granted) as server:
        keys = "aws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
        configure(home, f"[profile base]\nendpoint_url = {server.url}\n{keys}")
        assert main(["process", ROLE, "--profile", "base"]) == 0
        assert len(server.requests) == 1
    assert json.loads(capsys.readouterr().out)["Version"] == 1


@pytest.mark.case("P119")
@pytest.mark.parametrize("source", [Profile(), Static(BASE)], ids=["profile", "keys"])
def test_aws_profile_applies_if_no_profile_is_named(
    source: Profile | Static[Credentials], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a named profile, the endpoint and region of AWS_PROFILE apply."""
    with fake_server(granted) as server:
        keys = "aws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
        configure(home, f"[profile work]\nendpoint_url = {server.url}\nregion = eu-west-3\n{keys}")
        monkeypatch.setenv("AWS_PROFILE", "work")
        AssumedRole(ROLE, source=source).fetch()
        assert "/eu-west-3/sts/" in server.requests[0].headers["authorization"]


@pytest.mark.case("P123")
@pytest.mark.parametrize("url", ["localhost:4566", "//localhost", "sts.example", "ftp://sts.example"])
@pytest.mark.parametrize("place", ["endpoint_url", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"])
def test_an_endpoint_without_a_scheme_is_an_error(place: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without a scheme is an error that names the argument or the variable."""
    if place != "endpoint_url":
        monkeypatch.setenv(place, url)
    sts = BotocoreSTS(endpoint_url=url if place == "endpoint_url" else None)
    for proof in (BASE, WEB):
        with pytest.raises(RoleError, match=f"^{place} is not a valid URL"):
            sts.exchange(proof, Role(ROLE))


@pytest.mark.case("P129")
def test_the_sso_client_of_a_profile_needs_tls(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SSO client of a profile sends no token without TLS."""
    page = "https://idp.example"
    configure(
        home,
        f"[profile p]\nsso_start_url = {page}\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = R\n",
    )
    folder = home / ".aws" / "sso" / "cache"
    folder.mkdir(parents=True)
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(folder))
    token = {"accessToken": "canary", "expiresAt": "2036-11-25T12:00:00Z", "startUrl": page, "region": "us-east-1"}
    (folder / f"{hashlib.sha1(page.encode()).hexdigest()}.json").write_text(json.dumps(token))
    keys = {"accessKeyId": "AKIA-sso", "secretAccessKey": "s", "sessionToken": "t", "expiration": 2_111_000_000_000}
    with fake_server(Answer(json.dumps({"roleCredentials": keys}))) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", "http://portal.example")
        monkeypatch.setenv("http_proxy", proxy.url)
        with pytest.raises(ProofInvalid, match="would not be encrypted") as caught:
            Profile("p").fetch()
        assert "canary" not in str(caught.value)
        assert proxy.requests == []
        assert Profile("p", allow_http=True).fetch().access_key_id == "AKIA-sso"


@pytest.mark.case("P133")
def test_no_attempt_follows_after_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the time limit ends during a pause between attempts, no further attempt follows."""
    stopped, stop = Event(), wire._Exchange.stop

    def stop_and_say_so(exchange: wire._Exchange) -> None:
        stop(exchange)
        stopped.set()

    pauses: list[bool] = []
    monkeypatch.setattr(wire._Exchange, "stop", stop_and_say_so)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: pauses.append(stopped.wait(30)))
    with fake_server(refused("ServiceUnavailable", status=503)) as server:
        with pytest.raises(STSUnavailable) as caught:
            BotocoreSTS(endpoint_url=server.url, total_timeout=0.3).exchange(WEB, Role(ROLE))
        assert caught.value.kind == "timeout"
        assert len(server.requests) == 1
    assert pauses == [True]


@pytest.mark.case("P138")
@pytest.mark.parametrize("keep", [lambda recipe: recipe, Cached], ids=["recipe", "cached"])
def test_the_attempts_of_one_refresh_send_the_same_token(
    keep: Callable[[AssumedRole], AssumedRole | Cached], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retries of one refresh send the same token, and the next refresh sends the new one."""
    path, sent = tmp_path / "token", []
    path.touch(mode=0o600)
    path.write_text("token-one")
    monkeypatch.setattr("stskit.sts.retry.sleep", lambda _seconds: path.write_text("token-two"))

    class Busy:
        identity = "busy"

        def exchange(self, proof: Proof, role: Role) -> Credentials:
            assert isinstance(proof, WebIdentityToken)
            sent.append(str(proof.value))
            if len(sent) == 1:
                raise STSError("no keys", "InvalidIdentityToken", retryable=True)
            return BASE

    with pytest.warns(StskitWarning, match="is not a JSON Web Token|JWT|token"):
        keep(AssumedRole(ROLE, source=OIDCTokenFile(path), sts=Busy())).fetch()
    assert sent == ["token-one", "token-one" if keep is Cached else "token-two"]


@pytest.mark.case("P135")
def test_the_size_limit_of_responses_applies_to_a_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size limit of responses applies to the calls of a profile too."""
    base = "aws_access_key_id = AKIABASE\naws_secret_access_key = base-secret-canary\n"
    configure(home, f"[profile x]\nregion = us-east-1\nrole_arn = {ROLE}\nsource_profile = b\n[profile b]\n{base}")
    with fake_server(Answer("a" * 5_000_000)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        with pytest.raises(ProofInvalid, match="returned a response that is too long"):
            Profile("x").fetch()
        assert len(server.requests) == 1


# Refresh ----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P153")
def test_a_policy_has_the_documented_options() -> None:
    """A policy has the options of refresh.md."""
    assert [field.name for field in attrs.fields(RefreshPolicy)] == ["advisory", "mandatory", "jitter", "on_expired"]


@pytest.mark.case("P155")
@pytest.mark.parametrize("moved", ["wall", "monotonic"])
def test_credentials_expire_by_either_clock(moved: str) -> None:
    """Credentials expire by the wall clock or by the monotonic clock."""
    clock = ManualClock(START)
    cached = Cached(ScriptedSource(credentials(clock, hours=1), Down("no network")), clock=clock)
    cached.fetch()
    if moved == "monotonic":
        clock.advance(timedelta(hours=2))
    clock.set(START + timedelta(hours=2 if moved == "wall" else 0))
    with pytest.raises(Down):
        cached.fetch()
