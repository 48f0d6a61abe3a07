"""Each option of the command line has an effect, or is refused before STS is called."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from fake_server import Answer, FakeServer, Request, fake_server, granted
from saml_samples import PROVIDER, ROLE, encoded, response

from stskit import Credentials
from stskit.__main__ import main
from stskit._cli.parser import parser
from stskit.errors import SinkError
from stskit.sinks import CredentialsFile, DotEnv

HUB = "arn:aws:iam::123456789012:role/Hub"
DEVICE = "arn:aws:iam::123456789012:mfa/me"

Output = tuple[int, str, str]
Run = Callable[..., Output]


def later() -> str:
    """Return the end of the next hour but one, in the format of STS."""
    return f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:00:00Z}"


def an_hour(request: Request) -> Answer:
    """Return credentials that are valid for more than an hour, or the caller's identity."""
    return granted(request, **({} if "CallerIdentity" in request.body else {"Expiration": later()}))


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FakeServer]:
    """Yield one server for all tests, so that they share its client."""
    with fake_server(an_hour) as server:
        yield server


@pytest.fixture
def server(shared_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """Return that server, without the requests of earlier tests."""
    shared_server.requests.clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", shared_server.url)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "_STSKIT_CREDENTIAL_PROCESSES"):  # The command line sets these.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    furnish(Path.home(), Path.cwd())
    return shared_server


def furnish(home: Path, folder: Path) -> None:
    """Write the profiles and the proofs that the commands below read."""
    (home / ".aws").mkdir(0o700)
    private(
        home / ".aws" / "credentials",
        "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
        "[session]\naws_access_key_id = ASIASESSION\naws_secret_access_key = s\naws_session_token = t\n",
    )
    now = datetime.now(UTC)
    attributes = {"Role": [f"{ROLE},{PROVIDER}"]}
    saml = encoded(response(attributes, start=now, end=now + timedelta(minutes=5)))
    private(folder / "saml", saml)
    private(folder / "token", "opaque-token")
    private(folder / "keys", json.dumps(Credentials("ASIAFILE", "s", "t").as_dict()))
    private(folder / "policy", '{"Version": "2012-10-17", "Statement": []}')
    private(folder / "id", "shared-id\n")
    private(folder / ".env", "A=1\n")


def private(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command line in this process, with its status, output and error output."""

    def call(*arguments: str) -> Output:
        try:
            status = main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """Return the environments of the commands that `exec` started. None of them replaces this process."""
    environments: list[Mapping[str, str]] = []

    def replace(_file: str, _program: Sequence[str], environment: Mapping[str, str]) -> None:
        environments.append(environment)
        raise OSError(0, "not really run")

    monkeypatch.setattr("os.execvpe", replace)
    monkeypatch.setattr("shutil.which", lambda program: program)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return environments


def region_of(request: Request) -> str:
    """Return the region that a request is signed for, or an empty text for an unsigned request."""
    scope = request.headers.get("authorization", "").partition("Credential=")[2]
    return scope.split("/")[2] if scope else ""


# --region and --sts-region --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inherited", [{}, {"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-west-2"}])
@pytest.mark.parametrize(
    ("options", "sts"), [((), "eu-central-1"), (("--sts-region", "eu-west-1"), "eu-west-1")], ids=["same", "other"]
)
def test_region_applies_to_the_command_and_to_sts(
    server: FakeServer,
    run: Run,
    executed: list[Mapping[str, str]],
    inherited: dict[str, str],
    options: tuple[str, ...],
    sts: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both variables that SDKs read are set, and values of the environment are replaced."""
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    run("exec", HUB, "--profile", "base", "--region", "eu-central-1", *options, "--", "x")
    assert {executed[0][name] for name in ("AWS_REGION", "AWS_DEFAULT_REGION")} == {"eu-central-1"}
    assert [region_of(each) for each in server.requests] == [sts]


def test_the_region_is_written_to_each_target(server: FakeServer, run: Run) -> None:
    """The region of a profile is in the config file. STS is called in the same region."""
    there = ("--region", "eu-central-1")
    for source in ((HUB, "--profile", "base"), ("--profile", "session")):
        assert run("assume", *source, *there, "--to-profile", "out")[0] == 0
        assert (Path.home() / ".aws" / "config").read_text() == "[profile out]\nregion = eu-central-1\n"
        (Path.home() / ".aws" / "config").unlink()
        assert run("assume", *source, *there, "--to-dotenv", ".env")[0] == 0
        assert "AWS_DEFAULT_REGION=eu-central-1\n" in Path(".env").read_text()
        assert "export AWS_REGION='eu-central-1';\n" in run("assume", *source, *there, "--to-shell")[1]
    assert [region_of(each) for each in server.requests] == ["eu-central-1"] * 3


def test_an_invalid_region_is_refused_before_the_mfa_code_is_used(server: FakeServer, run: Run) -> None:
    """An invalid region is refused before any call, and the message names the option and the value."""
    for flag in ("--region", "--sts-region"):
        for wrong in ("a b", "eu-central-1.", "-eu", "12", "eu_central_1"):
            status, out, err = run("exec", HUB, "--profile", "base", f"{flag}={wrong}", "--", "x")
            assert (status, out, server.requests) == (2, "", [])
            assert err.startswith(f"stskit: invalid usage: {flag} {wrong!r} is not a valid region.")


# --cache-key, --external-id-file and --token-code ---------------------------------------------------------------------


def test_a_cache_key_separates_identities(server: FakeServer, run: Run, tmp_path: Path) -> None:
    """Each name has its own cache entry. The same name finds it again without another run of the process."""
    (tmp_path / "give").write_text(f"echo run >>{tmp_path}/runs; cat {tmp_path}/keys.json")
    keys = {"Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t"}
    (tmp_path / "keys.json").write_text(json.dumps({**keys, "Expiration": later()}))
    (Path.home() / ".aws" / "config").write_text(f"[profile slow]\ncredential_process = sh {tmp_path}/give\n")
    for name in ("me", "me", "you"):
        assert run("process", "--profile", "slow", "--cache", "--cache-key", name)[0] == 0
    assert (tmp_path / "runs").read_text() == "run\n" * 2


def test_the_session_of_the_user_and_the_role_are_cached_separately(server: FakeServer, run: Run) -> None:
    """One code is enough for two roles, and each role has its own credentials."""
    mfa = ("--mfa-serial", DEVICE, "--session-token", "--cache", "--cache-key", "me")
    for role, name, code in ((HUB, "one", "111111"), (f"{HUB}2", "two", "222222")):
        status, out, _ = run("process", role, "--profile", "base", *mfa, "--token-code", code, "--session-name", name)
        assert (status, json.loads(out)["AccessKeyId"].endswith(f".{name}")) == (0, True)
    assert [each.form["Action"] for each in server.requests] == ["GetSessionToken", "AssumeRole", "AssumeRole"]


def test_a_cache_needs_a_key_if_the_identity_is_unknown(server: FakeServer, run: Run) -> None:
    """The error names the option, and nothing was called."""
    status, out, err = run("process", HUB, "--cache")
    assert (status, out, server.requests) == (3, "", [])
    assert "Choose a name for the identity, and add --cache-key NAME" in err
    shown = json.loads(run("process", HUB, "--cache", "--json")[2])
    assert (shown["error"], shown["option"]) == ("SourceMissing", "--cache-key")


@pytest.mark.case("P47")
@pytest.mark.parametrize("source", ["id", "-"])
def test_an_external_id_comes_from_a_file_or_standard_input(
    server: FakeServer, run: Run, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line break at the end is removed."""
    with Path("id").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert run("process", HUB, "--profile", "base", "--external-id-file", source)[0] == 0
    assert server.requests[0].form["ExternalId"] == "shared-id"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "id is empty. It must contain an external ID"),
        ("a b", "--external-id-file has characters that STS does not allow"),
    ],
)
def test_an_invalid_external_id_is_refused_and_hidden(server: FakeServer, run: Run, text: str, said: str) -> None:
    """An invalid external ID is refused before any call, and the error names the option but not the value."""
    Path("id").write_text(text)
    status, out, err = run("process", HUB, "--profile", "base", "--external-id-file", "id")
    assert (status in (2, 3), out, server.requests) == (True, "", [])
    assert said in err
    assert "a b" not in err


def test_an_mfa_code_can_be_an_option(server: FakeServer, run: Run) -> None:
    """An error names the option, and STS is not called."""
    mfa = ("process", HUB, "--profile", "base", "--mfa-serial", DEVICE, "--token-code")
    assert run(*mfa, "123987")[0] == 0
    assert server.requests[0].form["TokenCode"] == "123987"
    status, _, err = run(*mfa, "12")
    assert (status, "--token-code: " in err, len(server.requests)) == (2, True, 1)


# Check of the sink before the call ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "option"), [(CredentialsFile, "--to-profile=x"), (DotEnv, "--to-dotenv=x")], ids=["profile", "dotenv"]
)
def test_a_sink_that_refuses_costs_no_call_and_no_code(
    server: FakeServer, run: Run, kind: type, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sink is checked before the MFA code is requested."""

    def check(_self: object) -> None:
        raise SinkError("Nothing can be written there.", remedy="Choose another place.")

    def ask(_prompt: str) -> str:
        raise AssertionError

    monkeypatch.setattr(kind, "check", check, raising=False)
    monkeypatch.setattr("getpass.getpass", ask)
    found = run("assume", HUB, "--profile", "base", "--mfa-serial", DEVICE, option)
    assert found == (7, "", "stskit: Nothing can be written there. Choose another place.\n")
    assert server.requests == []


def test_a_sink_that_accepts_is_written(server: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check does not write."""
    checked: list[str] = []
    monkeypatch.setattr(CredentialsFile, "check", lambda sink: checked.append(sink.profile), raising=False)
    assert run("assume", HUB, "--profile", "base", "--to-profile", "x")[0] == 0
    assert checked == ["x"]


# Endpoints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["environment", "profile", "option"])
def test_plain_http_is_allowed_with_each_form_of_the_endpoint(
    run: Run, server: FakeServer, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names an option. The same command with this option calls the endpoint."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    url = "http://sts.invalid:1"
    asked = ["process", HUB, "--profile", "base"]
    if place == "environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    elif place == "profile":
        (Path.home() / ".aws" / "config").write_text(f"[profile base]\nendpoint_url = {url}\n")
    else:
        asked += ["--endpoint-url", url]
    status, _, err = run(*asked)
    assert (status, "--allow-http" in err) == (2, True)
    status, _, err = run(*asked, "--allow-http")
    assert (status, "could not be reached" in err) == (6, True)
    doctor = ["doctor", "--offline", *asked[2:]]
    assert "wrong  endpoint: stskit would call STS at http://sts.invalid:1" in run(*doctor)[1]
    assert "note   endpoint: stskit would call STS at http://sts.invalid:1" in run(*doctor, "--allow-http")[1]


@pytest.mark.parametrize(
    "url",
    ["canary", "canary:4566", "https://canary@[::1", "http://x:canary", "https://x:99999", "ftp://canary", "https://"],
)
@pytest.mark.parametrize("command", [("process", HUB), ("whoami",), ("doctor",)])
def test_an_invalid_endpoint_is_a_usage_error(run: Run, server: FakeServer, command: tuple[str, ...], url: str) -> None:
    """The status differs from that of a server without a response. The URL is not quoted: it can have a password."""
    status, out, err = run(*command, "--profile", "base", "--endpoint-url", url)
    assert (status, out, server.requests) == (2, "", [])
    assert "invalid usage: --endpoint-url is not a valid URL." in err
    assert "canary" not in err


def test_an_invalid_endpoint_of_the_environment_is_a_usage_error(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid AWS_ENDPOINT_URL_STS exits with 2 before any call."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "nonsense")
    status, out, err = run("process", HUB, "--profile", "base")
    assert (status, out, server.requests) == (2, "", [])
    assert err.startswith("stskit: AWS_ENDPOINT_URL_STS is not a valid URL")


# Messages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--session-name x", "--session-name has 1 character, "),
        ("--session-name a/b", "--session-name 'a/b' has characters that STS does not allow. "),
        ("--duration 1m", "--duration is 60 seconds, "),
        ("--external-id x", "--external-id has 1 character, "),
        ("--external-id a*b", "--external-id has characters that STS does not allow. "),
        ("--source-identity x", "--source-identity has 1 character, "),
        ("--tag a=b --tag A=b", "--tag has the keys a and A. STS ignores case"),
        ("--tag aws:x=b", "--tag has the key aws:x"),
        ("--wait-for-new-role 61s", "--wait-for-new-role is 61 seconds, "),
        ("--endpoint-url https://me:canary@sts.example", "--endpoint-url contains a user name or a password"),
        ("--mfa-serial x --token-code 123456", "--mfa-serial: The MFA serial has 1 character, "),
    ],
)
def test_a_message_names_the_option_and_not_the_argument(server: FakeServer, run: Run, typed: str, said: str) -> None:
    """A message about an invalid value begins with the option and contains no name of a Python argument."""
    status, out, err = run("process", HUB, "--profile", "base", *typed.split())
    assert (status, out, server.requests) == (2, "", [])
    assert err.startswith(f"stskit: {said}"), err
    assert not re.search(r"[a-z]_[a-z]", err)
    assert "canary" not in err


def test_a_duration_above_the_limit_of_the_assertion_names_the_option(
    server: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity provider sets the limit, and only the STS of AWS is known to apply it."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
    now = datetime.now(UTC)
    attributes = {"Role": [f"{ROLE},{PROVIDER}"], "SessionDuration": ["1800"]}
    Path("saml").write_text(encoded(response(attributes, start=now, end=now + timedelta(minutes=5))))
    status, _, err = run("process", "app", "--saml-file", "saml", "--duration", "1h", "--region", "eu-west-1")
    assert (status, server.requests) == (2, [])
    assert err.startswith("stskit: --duration is 3600 seconds, but the SAML assertion allows 1800. ")


# Option names of other tools ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--role-arn x", "Write the role without an option: stskit assume ROLE ..."),
        ("--role-session-name x", "Use --session-name NAME"),
        ("--duration-seconds 900", "Use --duration TIME"),
        ("--serial-number x", "Use --mfa-serial SERIAL"),
        ("--mfa-code 123456", "Use --token-code CODE"),
        ("--policy {}", "Use --policy-file FILE"),
        ("--policy-arns x", "Use --policy-arn ARN"),
        ("--tags Key=a,Value=b", "Use --tag KEY=VALUE"),
        ("--transitive-tag-keys a", "Use --transitive-tag KEY"),
        ("--web-identity-token file://t", "use --oidc-token-file FILE"),
        ("--saml-assertion=file://s", "use --saml-file FILE"),
        ("--output json", "Use --json"),
        ("--query x", "Use --json"),
        ("--ca-bundle x", "Set AWS_CA_BUNDLE"),
        ("--no-verify-ssl", "set AWS_CA_BUNDLE"),
    ],
)
def test_an_option_of_the_aws_cli_leads_to_the_option_of_stskit(run: Run, typed: str, said: str) -> None:
    """The options in the remedy exist in the command."""
    status, out, err = run("assume", HUB, *typed.split(), "--to-shell")
    assert (status, out) == (2, "")
    assert said in err
    known = run("assume", "--help")[1]
    assert all(word in known for word in said.split() if word.startswith("--"))


@pytest.mark.parametrize("flag", ["--role-arn", "--role-session-name", "--web-identity-token"])
def test_a_remedy_names_no_option_that_the_command_lacks(run: Run, flag: str) -> None:
    """The command shows existing credentials and does not use a role."""
    err = run("whoami", flag, "x")[2]
    assert f"There is no option {flag}. " in err
    assert not any(word in err for word in ("--session-name", "--oidc-token-file", "ROLE"))


# Secrets in the wrong argument ----------------------------------------------------------------------------------------

_SECRETS = {
    "token": "eyJhbGciOiJSUzI1NiJ9.canary.c2ln",
    "keys": '{"AccessKeyId": "AKIA", "SecretAccessKey": "canary"}',
    "response": "<samlp:Response>canary",
    "base64": "canary+" * 40,
    "lines": "canary\nsecret",
}


_PLACES = (
    "SECRET",
    "assume SECRET --to-process",
    f"assume {HUB} SECRET --to-process",
    "whoami SECRET",
    "roles saml SECRET",
    f"exec {HUB} SECRET -- x",
    "assume --nope=SECRET",
    "assume --nope SECRET",
    *(f"assume --{name} SECRET" for name in ("profile", "session-name", "duration", "region", "sts-region")),
    *(f"assume --{name}=SECRET" for name in ("endpoint-url", "to-profile", "to-shell", "to-dotenv", "set-output")),
    *(f"assume {HUB} --{name} SECRET" for name in ("policy-arn", "token-code", "mfa-serial", "source-identity")),
)


@pytest.mark.parametrize("secret", _SECRETS.values(), ids=_SECRETS)
def test_a_secret_as_another_value_is_not_shown(server: FakeServer, run: Run, secret: str) -> None:
    """The error names the option with the secret, and the option to use."""
    for words in _PLACES:
        status, out, err = run(*(word.replace("SECRET", secret) for word in words.split()))
        assert (words, status, out, server.requests) == (words, 2, "", [])
        assert "canary" not in err
        assert "--oidc-token-file, --saml-file or --keys-file" in err


def test_any_text_is_accepted_where_it_is_valid(server: FakeServer, run: Run) -> None:
    """A long external ID and a command for MFA codes are not mistaken for secrets."""
    text = ("--external-id", "a" * 300, "--mfa-serial", DEVICE, "--mfa-command", f"echo{' ' * 300}918273")
    status, _, err = run("process", HUB, "--profile", "base", *text)
    assert (status, err) == (0, "")
    assert server.requests[0].form["ExternalId"] == "a" * 300


# Streams --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["doctor --offline", "roles saml"])
def test_a_closed_standard_output_is_an_error_without_a_traceback(server: FakeServer, command: str) -> None:
    """The status shows that nothing was printed."""
    line = f"{sys.executable} -X dev -m stskit {command} >&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env={**os.environ}, check=False)
    assert (done.returncode, done.stderr) == (1, "stskit: Cannot write to standard output: Bad file descriptor.\n")


def test_doctor_names_the_option_for_the_code_of_a_source_profile(server: FakeServer, run: Run) -> None:
    """The finding does not mention threads, which the user of a command cannot see."""
    (Path.home() / ".aws" / "config").write_text(
        f"[profile deploy]\nrole_arn = {ROLE}\nsource_profile = hub\n"
        f"[profile hub]\nrole_arn = {HUB}\nsource_profile = base\nmfa_serial = {DEVICE}\n"
    )
    out = run("doctor", "--offline", "--profile", "deploy")[1] + run("doctor", "--profile", "deploy", "--run")[1]
    assert "thread" not in out
    assert "Run: stskit whoami --profile deploy" in out


# Every option has an effect -------------------------------------------------------------------------------------------

_COMMANDS = {
    "assume to a profile": f"assume {HUB} --profile base --to-profile out",
    "assume to a file": f"assume {HUB} --profile base --to-dotenv .env",
    "assume to a shell": f"assume {HUB} --profile base --to-shell",
    "assume to a process": f"assume {HUB} --profile base --to-process",
    "copy to a profile": "assume --profile session --to-profile out",
    "copy to a process": "assume --profile session --to-process",
    "copy of a file": "assume --keys-file keys --to-dotenv .env",
    "session to a process": f"assume --profile base --session-token --mfa-serial {DEVICE} --mfa-command=echo@CODE "
    "--to-process",
    "exec": f"exec {HUB} --profile base",
    "exec of a profile": "exec --profile session",
    "process": f"process {HUB} --profile base",
    "process of a chain": f"process {HUB} {ROLE} --profile base",
    "process of a profile": "process --profile session",
    "process of a file": "process --keys-file keys",
    "process by SAML": "process app --saml-file saml",
    "process by OIDC": f"process {HUB} --oidc-token-file token",
    "process of the environment": "process --from-env",
    "whoami": "whoami --profile base",
    "doctor": "doctor --offline --profile base",
    "doctor of a token": "doctor --offline --oidc-token-file token",
}
_VALUES = {
    "--profile": "session", "--keys-file": "keys", "--saml-file": "saml", "--oidc-token-file": "token",
    "--json-field": "id_token", "--principal-arn": f"{PROVIDER}2", "--mfa-serial": f"{DEVICE}2",
    "--mfa-command": "echo CODE", "--token-code": "CODE", "--session-name": "other", "--duration": "20m",
    "--policy-file": "policy", "--policy-arn": "arn:aws:iam::aws:policy/ReadOnlyAccess", "--tag": "a=b",
    "--transitive-tag": "a", "--external-id": "other-id", "--external-id-file": "id", "--source-identity": "other",
    "--region": "eu-north-1", "--sts-region": "eu-south-1", "--endpoint-url": "http://127.0.0.1:1",
    "--wait-for-new-role": "30s", "--cache-key": "me", "--to-profile": "other", "--to-shell": "fish",
    "--to-dotenv": "other.env", "--set-output": "json", "--credentials-file": "other", "--config-file": "conf",
}  # fmt: skip
# These options have no effect here: they permit or wait for events that do not happen, or name files that are missing.
# The environment names the server, which has neither regions nor a FIPS endpoint. Keys without an expiry are not
# cached.
_WITHOUT_OCCASION = {"--allow-http", "--overwrite", "--wait-for-new-role", "--config-file", "--run", "--use-fips"}
_WITHOUT_OCCASION_UNSIGNED = {"--region", "--sts-region"}
_codes = count(100_000)  # Each code works once.


def options_of(command: str) -> Mapping[str, Any]:
    """Return the options of *command* from its parser."""
    (commands,) = (each for each in parser()._actions if isinstance(each.choices, dict))
    assert isinstance(commands.choices, dict)
    actions = commands.choices[command]._actions
    return {flag: action for action in actions for flag in action.option_strings if flag not in ("-h", "--help")}


@frozen
class Seen:
    """The effects of a command: requests with their regions, files, output, and environments of commands."""

    status: int
    requests: Sequence[tuple[str, str]]
    files: Mapping[str, str]
    output: str
    environments: Sequence[Mapping[str, str]]


@frozen
class Place:
    """A home and a folder that are new for each command."""

    home: Path
    folder: Path
    server: FakeServer
    run: Run
    executed: list[Mapping[str, str]]

    def see(self, *words: str) -> Seen:
        """Run the command and return its effects."""
        for place in (self.home, self.folder):
            shutil.rmtree(place)
            place.mkdir()
        os.chdir(self.folder)
        furnish(self.home, self.folder)
        for name in ("AWS_PROFILE", "_STSKIT_CREDENTIAL_PROCESSES"):
            os.environ.pop(name, None)
        self.server.requests.clear()
        self.executed.clear()
        tail = ["--", "x"] if words[0] == "exec" else []
        status, out, _ = self.run(*(word.replace("CODE", f"{next(_codes)}") for word in words), *tail)
        return Seen(
            0 if self.executed else status,
            [(region_of(each), re.sub("TokenCode=[0-9]+", "TokenCode=", each.body)) for each in self.server.requests],
            {str(path): path.read_text(errors="replace") for top in (self.home, self.folder) for path in files_in(top)},
            out,
            [*self.executed],
        )


def files_in(top: Path) -> list[Path]:
    return [
        path for path in sorted(top.rglob("*")) if path.is_file() and path.suffix != ".lock" and path.name != "saml"
    ]


@pytest.mark.parametrize("base", _COMMANDS.values(), ids=_COMMANDS)
def test_an_option_has_an_effect_or_is_refused(
    base: str,
    server: FakeServer,
    run: Run,
    executed: list[Mapping[str, str]],
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Add each option of a command to each valid command line.

    Either it is refused and nothing is sent, or an effect of the command is different.
    """
    monkeypatch.setenv("AWS_ROLE_ARN", HUB)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    place = Place(home, tmp_path / "folder", server, run, executed)
    words = [word.replace("@", " ") for word in base.split()]
    without = place.see(*words)
    assert without.status == 0
    skipped = {
        *_WITHOUT_OCCASION,
        *(_WITHOUT_OCCASION_UNSIGNED if any(region == "" for region, _ in without.requests) else ()),
        *({"--cache"} if "session" in words else ()),
        *({"--json"} if words[0] == "exec" else ()),  # It is for errors only.
    }
    for flag, action in options_of(words[0]).items():
        if flag in skipped or any(word.split("=")[0] == flag for word in words):
            continue
        found = place.see(*words, flag, *([] if action.nargs == 0 else [_VALUES[flag]]))
        if found.status == 0:
            assert found != without, f"{flag} has no effect"
        else:
            assert (found.status in (1, 2, 3, 4, 6), found.requests) == (True, []), f"{flag} is refused after a call"
