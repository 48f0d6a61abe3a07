"""Unique secrets are put everywhere, and no secret leaves stskit except through the sink that it is for.

None is in any log, error, repr, traceback, warning, output, temporary file or command line.
"""

from __future__ import annotations

import json
import logging
import pprint
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

import attrs
import boto3
import jwt
import pytest
from fake_server import SECRET_KEY, SESSION_TOKEN, Answer, Request, fake_server, granted, refused, tells, told
from helpers import START, ScriptedSource, unchecked
from saml_samples import PROVIDER, ROLE, encoded, response

import stskit
from stskit import (
    MFA,
    AssumedRole,
    Cached,
    Credentials,
    MFACommand,
    Outcome,
    RefreshPolicy,
    Role,
    SAMLAssertion,
    WebIdentityToken,
    assume,
    assume_all,
    caller_identity,
)
from stskit.caches import FileCache, MemoryCache
from stskit.credentials import Secret
from stskit.errors import SignInRequired, StskitError
from stskit.protocols import CacheEntry, RefreshEvent
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
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, SessionToken, Static
from stskit.sts import BotocoreSTS
from stskit.testing import ManualClock

KEY = "a key that is long enough for it"
ASSERTION = encoded(response({"Role": [f"{ROLE},{PROVIDER}"], "RoleSessionName": ["alice"]}))
TOKEN = jwt.encode({"sub": "alice", "iss": "https://idp", "jti": "token-id-canary-0001"}, KEY)
SECRETS = {
    "assertion": ASSERTION,
    "token": TOKEN,
    "base key": "base-secret-canary-0002",
    "base token": "base-token-canary-0003",
    "new key": SECRET_KEY,
    "new token": SESSION_TOKEN,
    "external id": "external-id-canary-0004",
    "context": "context-assertion-canary-0005",
    "extra": "extra-value-canary-0006",
    "process": "process-output-canary-0007",
    "config": "config-line-canary-0008",
    "file": "file-content-canary-0009",
    "environment": "environment-canary-0010",
    "MFA code": "739154",
}
BASE = Credentials("AKIABASE", SECRETS["base key"], SECRETS["base token"])
SAML = SAMLAssertion(ASSERTION, PROVIDER)
WEB = WebIdentityToken(TOKEN)
SKEW = timedelta(days=9999)
SERIAL = "arn:aws:iam::123456789012:mfa/canaries"


def leaks(text: str) -> list[str]:
    """Return the names of the secrets that occur in *text*, completely or in large part."""
    code = re.search(rf"\b{SECRETS['MFA code']}\b", text)
    return [name for name, secret in SECRETS.items() if tells(text, secret)] + ["MFA code"] * bool(code)


# Observation of the outputs ---------------------------------------------------------------------------------------

_events: list[str] = []
_watching: list[bool] = []


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event in (
        "open",
        "os.rename",
        "os.link",
        "os.symlink",
        "os.mkdir",
        "subprocess.Popen",
        "os.putenv",
    ):
        shown = arguments[:2] if event == "subprocess.Popen" else arguments
        _events.append(f"{event} {shown}")


sys.addaudithook(_audit)


class Everything(logging.Handler):
    """A handler that records every log record at every level, with its arguments."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.name} {record.getMessage()} {record.args!r} {record.exc_text} {record.exc_info!r}")


@contextmanager
def everything() -> Iterator[Everything]:
    root, handler = logging.getLogger(), Everything()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    _watching.append(True)
    _events.clear()
    try:
        yield handler
    finally:
        _watching.clear()
        root.setLevel(before)
        root.removeHandler(handler)


# Actions ----------------------------------------------------------------------------------------------------------


class World(SimpleNamespace):
    """A server, a folder and a home with secrets in each of them."""

    url: str
    folder: Path
    home: Path

    @property
    def sts(self) -> BotocoreSTS:
        return BotocoreSTS(endpoint_url=self.url)

    def file(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.write_text(content)
        path.chmod(0o600)
        return path

    def profile(self, text: str) -> Profile:
        (self.home / ".aws").mkdir(exist_ok=True)
        (self.home / ".aws" / "config").write_text(f"[profile p]\n{text}\n")
        return Profile("p")

    def process(self, code: str) -> Profile:
        script = self.file("process.py", f"import sys; secret = {SECRETS['process']!r}\n{code}\n")
        return self.profile(f"credential_process = {sys.executable} {script}")


def full_role(**changes: object) -> Role:
    options: dict[str, object] = {
        "external_id": SECRETS["external id"],
        "mfa": MFA(SERIAL, lambda _serial: SECRETS["MFA code"], unattended=True),
        "provided_contexts": [ProvidedContext(PROVIDER, Secret(SECRETS["context"]))],
        **changes,
    }
    build: Callable[..., Role] = Role
    return build(ROLE, **options)


def har(world: World) -> Path:
    body = {"text": f"SAMLResponse={quote_plus(ASSERTION)}&RelayState={SECRETS['file']}"}
    entry = {"startedDateTime": "2026-11-25T12:00:00Z", "request": {"url": "https://x", "postData": body}}
    return world.file("log.har", json.dumps({"log": {"entries": [entry, {"note": SECRETS["file"]}]}}))


def stale(world: World) -> None:
    """Make refreshes fail or need a new sign-in, while the credentials are valid and after they expire."""
    clock = ManualClock(START)
    old = Credentials("ASIA", SECRETS["base key"], SECRETS["base token"], clock.now() + timedelta(hours=1))
    for later in (
        lambda: assume(ROLE, source=Static(BASE), sts=world.sts),
        SignInRequired("sign in again"),
        ValueError(SECRETS["process"]),  # raised by a third-party source
    ):
        clock.set(START)
        cached = Cached(ScriptedSource(old, later), refresh=RefreshPolicy(on_expired="serve"), clock=clock)
        for minutes in (0, 50, 20):
            clock.advance(timedelta(minutes=minutes))
            with suppress(ValueError):
                repr(cached.fetch())


def in_files(world: World, mode: int) -> Cached:
    """Return a role whose credentials are cached in a folder with this mode, and whose listener prints all events."""
    (folder := world.folder / "cache").mkdir(exist_ok=True)
    folder.chmod(mode)
    recipe = AssumedRole(full_role(), source=Static(BASE), sts=world.sts)
    return Cached(recipe, FileCache(folder), listener=Printed())


class Printed:
    def notify(self, event: RefreshEvent, /) -> None:
        print(event)  # noqa: T201 - the test checks the output


def live_keys(session: boto3.Session) -> object:
    """Return the credentials of a self-refreshing session as botocore sees them, after their first use."""
    found = session.get_credentials()
    assert found
    assert found.access_key
    return found


def all_of_them(world: World) -> None:
    for outcome in assume_all([ROLE, f"{ROLE}2"], source=Static(WEB), sts=world.sts):
        if outcome.error:
            raise outcome.error


FLOWS: dict[str, Callable[[World], object]] = {
    "a SAML file": lambda w: assume(ROLE, source=SAMLFile(w.file("a", ASSERTION), skew=SKEW), sts=w.sts),
    "a browser log": lambda w: assume(ROLE, source=SAMLFile(har(w), skew=SKEW), sts=w.sts),
    "an old SAML file": lambda w: SAMLFile(w.file("a", ASSERTION), skew=-SKEW).fetch(),
    "somebody else's SAML file": lambda w: SAMLFile(w.file("a", ASSERTION), skew=SKEW, audience="x").fetch(),
    "no SAML": lambda w: SAMLFile(w.file("a", SECRETS["file"])).fetch(),
    "a broken SAML file": lambda w: SAMLFile(w.file("a", ASSERTION[:-9])).fetch(),
    "a broken log": lambda w: SAMLFile(w.file("a", har(w).read_text()[:-3])).fetch(),
    "another role": lambda w: assume(f"{ROLE}2", source=SAMLFile(w.file("a", ASSERTION), skew=SKEW), sts=w.sts),
    "a token file": lambda w: assume(ROLE, source=OIDCTokenFile(w.file("t", TOKEN)), sts=w.sts),
    "an opaque token": lambda w: OIDCTokenFile(w.file("t", SECRETS["file"])).fetch(),
    "a strict one": lambda w: OIDCTokenFile(w.file("t", SECRETS["file"]), strict=True).fetch(),
    "an old token": lambda w: OIDCTokenFile(w.file("t", jwt.encode({"exp": 1}, SECRETS["file"]))).fetch(),
    "a JSON file": lambda w: OIDCTokenFile(w.file("t", json.dumps({"a": TOKEN})), json_field="b").fetch(),
    "no JSON": lambda w: OIDCTokenFile(w.file("t", SECRETS["file"]), json_field="b").fetch(),
    "two tokens": lambda w: OIDCTokenFile(w.file("t", f"{TOKEN}\n{TOKEN}")).fetch(),
    "keys": lambda w: assume(ROLE, source=Static(BASE), sts=w.sts),
    "everything a role has": lambda w: assume(full_role(), source=Static(BASE), sts=w.sts),
    "a parameter that nobody knows": lambda w: assume(
        full_role(extra={"New": SECRETS["extra"]}), source=Static(BASE), sts=w.sts
    ),
    "an external id that is none": lambda w: full_role(external_id=f"{SECRETS['external id']} x"),
    "a session token": lambda w: SessionToken(
        Static(Credentials("AKIA", SECRETS["base key"])),
        MFA(SERIAL, lambda _serial: SECRETS["MFA code"], unattended=True),
        sts=w.sts,
    ).fetch(),
    "a code that is none": lambda w: MFA(SERIAL, lambda _serial: SECRETS["file"]).token_code(),
    "an MFA command that fails": lambda w: MFA(
        SERIAL, MFACommand([sys.executable, str(w.file("m.py", f"print({SECRETS['process']!r}); raise SystemExit(1)"))])
    ).token_code(),
    "who one is": lambda w: caller_identity(BASE, sts=w.sts),
    "a process": lambda w: w.process(
        'print(\'{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "\' + secret + \'"}\')'
    ).fetch(),
    "a process that fails": lambda w: w.process("print(secret); print(secret, file=sys.stderr); sys.exit(3)").fetch(),
    "a process that prints no JSON": lambda w: w.process("print(secret)").fetch(),
    "a broken config file": lambda w: w.profile(SECRETS["config"]).fetch(),
    "half a key pair": lambda w: w.profile(f"aws_access_key_id = {SECRETS['config']}").fetch(),
    "no such profile": lambda w: Profile("nobody").fetch(),
    "a chain": lambda w: assume(ROLE, f"{ROLE}2", source=Static(BASE), sts=w.sts),
    "many roles": all_of_them,
    "a cache": stale,
    "a cache in files": lambda w: [in_files(w, 0o700).fetch() for _ in range(2)],
    "a cache that others can read": lambda w: in_files(w, 0o755).fetch(),
    "a deadline": lambda w: assume(ROLE, source=Static(BASE), sts=BotocoreSTS(endpoint_url=w.url, total_timeout=20)),
    "no TLS": lambda w: assume(ROLE, source=Static(WEB), sts=BotocoreSTS(endpoint_url="http://sts.example")),
    "nobody there": lambda w: assume(ROLE, source=Static(WEB), sts=BotocoreSTS(endpoint_url="http://127.0.0.1:9")),
    "no proof": lambda w: w.sts.exchange(SECRETS["file"], Role(ROLE)),  # type: ignore[arg-type]
    "a credentials file": lambda w: BASE.to(CredentialsFile("p", w.folder / "credentials", region="eu-west-1")),
    "a credentials file with a stray line": lambda w: BASE.to(
        CredentialsFile("p", w.file("credentials", SECRETS["file"]))
    ),
    "a folder in its place": lambda w: BASE.to(CredentialsFile("p", w.folder)),
    "a .env file": lambda w: BASE.to(DotEnv(w.folder / ".env", region="eu-west-1")),
    "a .env file with a stray line": lambda w: BASE.to(DotEnv(w.file(".env", f"X='{SECRETS['file']}"))),
    "variables": lambda w: BASE.to(Environment({"X": "y"})),
    "a shell": lambda w: len(BASE.to(ShellExports())),
    "a shell that cannot quote them": lambda w: unchecked(
        Credentials("AKIA", "k"), session_token=f"{SECRETS['base token']}\0"
    ).to(ShellExports()),
    "a process of one's own": lambda w: len(BASE.to(CredentialProcess())),
    "a session": lambda w: BASE.to(BotocoreSession("eu-west-1")).get_credentials(),
    "a live session": lambda w: live_keys(
        AssumedRole(ROLE, source=Static(BASE), sts=w.sts).to(Boto3Session("eu-west-1"))
    ),
    "keys that no file can hold": lambda w: Credentials("A B", SECRETS["base key"]).to(CredentialsFile("p")),
    "a document of credentials": lambda w: Credentials.from_dict(
        {"AccessKeyId": "A", "SecretAccessKey": [SECRETS["file"]]}
    ),
}


def echo(request: Request) -> Answer:
    """Return a refusal that repeats the complete request."""
    return refused("AccessDenied", f"{request.body} {request.headers}", 403)


@pytest.mark.case("H1", "H2", "H5", "H6", "H10", "H13", "P24", "P39", "P42", "P47", "P63")
@pytest.mark.parametrize("server", [granted, echo, Answer("<a>" + SESSION_TOKEN)], ids=["granted", "echo", "broken"])
@pytest.mark.parametrize("flow", FLOWS)
def test_no_output_contains_a_secret(
    flow: str,
    server: Callable[[Request], Answer] | Answer,
    tmp_path: Path,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No action shows a secret in errors, local variables, logs, warnings, outputs, file names or commands."""
    monkeypatch.setattr("stskit.mfa._used", [])
    monkeypatch.setenv("UNRELATED", SECRETS["environment"])
    left: list[str] = []
    with fake_server(server) as running, everything() as log, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        world = World(url=running.url, folder=tmp_path, home=home)
        try:
            left.append(repr(FLOWS[flow](world)))
        except StskitError as error:
            left.append(told(error))
            left.append(repr(error))
            left.append(repr((error.__cause__, error.__context__)))
    left += [*log.said, *(str(each.message) for each in warned), *_events, *capfd.readouterr()]
    left += [path.name for path in tmp_path.rglob("*")]
    assert leaks("\n".join(left)) == []
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.case("P39")
def test_every_source_and_every_sink_is_tested() -> None:
    """Every source and every sink is in the list of actions."""
    flows = Path(__file__).read_text().partition("FLOWS:")[2].partition("\n}\n")[0]
    profiles = {"Profile": "w.profile"}
    names = [*stskit.sources.__all__, *stskit.sinks.__all__]
    assert [name for name in names if f"{name}(" not in flows and profiles.get(name, "?") not in flows] == []


@pytest.mark.parametrize("place", SECRETS)
def test_the_search_finds_each_secret(place: str) -> None:
    """The search finds each secret, in clear text and form-encoded."""
    assert place in leaks(f"x {SECRETS[place]} y")
    if place != "MFA code":
        assert place in leaks(quote_plus(SECRETS[place]))


KEPT = MemoryCache()
KEPT.put("key", CacheEntry(BASE, START))
PUBLIC: dict[str, object] = {
    "Credentials": BASE,
    "SAMLAssertion": SAML,
    "WebIdentityToken": WEB,
    "Role": full_role(extra={"New": SECRETS["extra"]}),
    "MFA": MFA(SERIAL, SECRETS["MFA code"]),
    "Static": Static(BASE),
    "AssumedRole": AssumedRole(full_role(), source=Static(BASE)),
    "Cached": Cached(Static(BASE)),
    "MemoryCache": KEPT,
    "FileCache": FileCache("/nowhere"),
    "CacheEntry": KEPT.get("key"),
    "RefreshEvent": RefreshEvent("refresh_failed", "AKIA", START, "no answer"),
    "RefreshPolicy": RefreshPolicy(),
    "SessionToken": SessionToken(Static(BASE), MFA(SERIAL, SECRETS["MFA code"])),
    "Outcome": Outcome(Role(ROLE), BASE),
    "Environment": Environment({"X": SECRETS["environment"]}),
    "BotocoreSession": BotocoreSession(),
    "Boto3Session": Boto3Session(),
}


@pytest.mark.case("H1", "H3", "H8", "P41")
@pytest.mark.parametrize("name", PUBLIC)
def test_no_public_value_shows_a_secret(name: str) -> None:
    """No public object shows a secret in its repr, format, pretty print, hash or attrs dictionary."""
    value: Any = PUBLIC[name]
    shown = [repr(value), f"{value!r}", pprint.pformat(value), ascii([value])]
    with suppress(TypeError):
        shown.append(str(hash(value)))
    if attrs.has(type(value)) and name not in ("Role", "AssumedRole", "Environment"):
        shown.append(repr(attrs.asdict(value)))
    assert leaks("\n".join(shown)) == []


@pytest.mark.case("H4")
@pytest.mark.parametrize("name", PUBLIC)
def test_no_public_value_can_be_changed(name: str) -> None:
    """No public attribute of a public object can be set."""
    value = PUBLIC[name]
    public = [each for each in dir(value) if not each.startswith("_") and not callable(getattr(value, each))]
    for attribute in public:
        with pytest.raises(AttributeError):
            setattr(value, attribute, None)


@pytest.mark.case("H7")
@pytest.mark.parametrize("values", ["Credentials('A', ONE), Credentials('A', TWO)", "Secret(ONE), Secret(TWO)"])
def test_a_failed_comparison_shows_no_secret(values: str, pytester: pytest.Pytester) -> None:
    """With stskit's pytest plugin, a failed comparison of two objects shows no secret in the most detailed output."""
    code = f"""
        from stskit import Credentials
        from stskit.credentials import Secret

        ONE, TWO = Secret("ca" + "nary-one"), Secret("ca" + "nary-two")

        def test_equal():
            left, right = {values}
            assert left == right
        """
    pytester.makepyfile(code)
    result = pytester.runpytest_subprocess("-vv", "-p", "no:cacheprovider", "--showlocals")
    assert result.ret == 1
    assert ("Secret('***')" if values.startswith("Secret") else "<Credentials A: ") in result.stdout.str()
    assert "canary" not in result.stdout.str()


def test_the_package_contains_the_plugin() -> None:
    """Pytest finds the plugin of the package, and the plugin does not change comparisons of other objects."""
    (found,) = entry_points(group="pytest11", name="stskit")
    compare = found.load().pytest_assertrepr_compare
    assert compare("==", "a", "b") is None
    assert compare("==", BASE, BASE) == [f"{BASE!r} == {BASE!r}"]
    assert compare("==", BASE, attrs.evolve(BASE, session_token="x"))[1] == "they differ in: session_token"
    assert SAML.roles  # This caches the roles, which are not part of its value.
    assert compare("==", SAML, SAMLAssertion("other", PROVIDER))[1] == "they differ in: value"


@pytest.mark.case("H9", "P68")
def test_the_documentation_says_what_is_not_protected() -> None:
    """The security page says that memory dumps and swap are not protected."""
    page = Path(__file__).parent.parent / "docs" / "explanation" / "security.md"
    assert re.search(r"core dump.*swap", page.read_text(), re.IGNORECASE | re.DOTALL)


@pytest.mark.case("H14")
def test_the_package_contains_no_text_like_a_real_key_id() -> None:
    """Neither the package nor the documentation has text in the form of a real access key ID, so scanners find none."""
    root = Path(__file__).parent.parent
    paths = [*(root / "docs").rglob("*.md"), *(root / "docs").rglob("*.py"), *root.glob("*.md")]
    paths += Path(stskit.__file__).parent.rglob("*.py")
    for path in paths:
        found = re.findall(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", path.read_text())
        assert all(key.endswith("EXAMPLE") for key in found), path
