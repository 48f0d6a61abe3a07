"""The command line does the same as the library. It prints results and errors as text or JSON, with an exit status."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import termios
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from runpy import run_path

import pytest
from attrs import field, frozen
from botocore.session import Session
from fake_server import SECRET_KEY, SESSION_TOKEN, Answer, FakeServer, Reaction, Request, fake_server, granted, refused
from helpers import PACKAGE
from saml_samples import PROVIDER, ROLE, encoded, response

from stskit import Credentials
from stskit.__main__ import main
from stskit._cli.options import UsageError
from stskit._cli.parser import parser
from stskit.errors import (
    ProofInvalid,
    RoleError,
    RoleNotOffered,
    SignInRequired,
    SinkError,
    SourceMissing,
    STSError,
    StskitError,
    STSUnavailable,
)
from stskit.sinks import CredentialsFile
from stskit.sources import Profile
from stskit.sources.profile import ProfileSnapshot
from stskit.testing import FakeSTS

HUB = "arn:aws:iam::123456789012:role/Hub"
DEVICE = "arn:aws:iam::123456789012:mfa/"
HERE = [sys.executable, "-m", "stskit"]
DATA = Path(__file__).parent / "data"
BASE = Credentials("AKIABASE", "base/secret+canary-kkkkkkkkkkkkkkk")

Output = tuple[int, str, str]
Run = Callable[..., Output]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the variables that the command line sets for its own process."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "_STSKIT_CREDENTIAL_PROCESSES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command line in this process, with its status, output and error output."""

    def call(*arguments: str) -> Output:
        try:
            status = main(arguments)
        except SystemExit as end:  # argparse exits in this way
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return call


@frozen
class Stub:
    """An STS that returns the next answer of a list, and otherwise grants each request."""

    server: FakeServer
    answers: list[Reaction] = field(factory=list)

    @property
    def requests(self) -> list[Request]:
        return self.server.requests


@pytest.fixture(scope="module")
def one_stub() -> Iterator[Stub]:
    """Yield one server for all tests, so that they share its client."""
    answers: list[Reaction] = []

    def answer(request: Request) -> Answer:
        reaction = answers.pop(0) if answers else granted
        return reaction(request) if callable(reaction) else reaction  # type: ignore[return-value]

    with fake_server(answer) as server:
        yield Stub(server, answers)


@pytest.fixture
def stub(one_stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Return that server, and create a profile `base` with keys."""
    one_stub.requests.clear()
    one_stub.answers.clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", one_stub.server.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    BASE.to(CredentialsFile("base"))
    return one_stub


def an_hour(request: Request) -> Answer:
    """Return credentials that are valid for an hour."""
    return granted(request, Expiration=in_an_hour())


def in_an_hour() -> str:
    """Return the time in an hour, in the format of STS."""
    return f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


@frozen
class Executed:
    """A program that replaced this process."""

    program: Sequence[str]
    environment: Mapping[str, str]


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Executed]]:
    """Return the programs that `exec` started. None of them replaces this process, and its signals stay."""
    programs: list[Executed] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ)}

    def replace(_file: str, program: Sequence[str], environment: Mapping[str, str]) -> None:
        programs.append(Executed(program, environment))
        raise OSError(0, "not really run")

    monkeypatch.setattr("os.execvpe", replace)
    monkeypatch.setattr("shutil.which", lambda program: program)
    yield programs
    for number, handler in before.items():
        signal.signal(number, handler)


def saml(*roles: str, name: str = "saml.log") -> str:
    """Return the path of a SAML response that offers *roles*."""
    now = datetime.now(UTC)
    pairs = [f"{role},{PROVIDER}" for role in roles]
    Path(name).write_text(encoded(response({"Role": pairs}, start=now, end=now + timedelta(minutes=5))))
    return name


def two_responses(name: str) -> str:
    """Return the path of a log with two SAML responses, of which one is used."""
    two = "".join(f"SAMLResponse={Path(saml(role)).read_text()}\n" for role in (ROLE, f"{ROLE}2"))
    Path(name).write_text(two.replace("+", "%2B"))
    return name


# From a proof to a profile, with an STS that validates ----------------------------------------------------------------


@pytest.mark.case("P1")
def test_a_saml_response_becomes_a_profile(stskit_aws: FakeSTS, run: Run) -> None:
    """The role and its provider are read from the response."""
    Path("saml.log").write_text(stskit_aws.idp.saml_response(roles=[HUB]))
    status, out, err = run("assume", "--saml-file", "saml.log", "--to-profile", "deploy", "--region", "eu-west-1")
    assert (status, err) == (0, "")
    assert out.startswith(f"profile deploy in {Path.home()}/.aws/credentials\n  account  123456789012\n  arn ")
    session = Session(profile="deploy")
    assert session.get_credentials() is not None
    assert session.get_scoped_config()["region"] == "eu-west-1"


@pytest.mark.case("P6")
def test_a_role_is_assumed_through_another_one(stskit_aws: FakeSTS, run: Run) -> None:
    """Roles are assumed from left to right. The result can be JSON, and `whoami` shows the last role."""
    chain = ("assume", HUB, "arn:aws:iam::123456789012:role/Reports", "--profile", "default")
    status, out, err = run(*chain, "--to-profile", "reports", "--json")
    assert (status, err) == (0, "")
    shown = json.loads(out)
    assert (shown["profile"], shown["account"]) == ("reports", "123456789012")
    assert shown["arn"].startswith("arn:aws:sts::123456789012:assumed-role/Reports/")
    assert shown["expiration"].endswith("Z")
    status, out, _ = run("whoami", "--profile", "reports")
    assert status == 0
    assert "  account  123456789012\n" in out
    assert "assumed-role/Reports/" in out
    assert json.loads(run("whoami", "--profile", "reports", "--json")[1]).keys() == {"account", "arn", "user_id"}


def test_an_oidc_token_becomes_a_profile(stskit_aws: FakeSTS, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of the environment works too, with the role that the environment names."""
    Path("token").touch(0o600)
    Path("token").write_text(stskit_aws.idp.oidc_token())
    assert run("assume", HUB, "--oidc-token-file", "token", "--to-profile", "web")[0] == 0
    assert Session(profile="web").get_credentials() is not None
    monkeypatch.setenv("AWS_ROLE_ARN", HUB)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
    status, out, _ = run("assume", "--from-env", "--session-name", "job-7", "--to-process")
    assert status == 0
    assert json.loads(out)["Version"] == 1


# exec -----------------------------------------------------------------------------------------------------------------


@pytest.mark.case("P5")
def test_a_command_replaces_stskit(stub: Stub) -> None:
    """The command has the same process ID, and receives and handles signals itself."""
    script = (
        "import os, signal\n"
        "print([int(each) for each in signal.Signals if signal.getsignal(each) is signal.SIG_IGN], flush=True)\n"
        "print(os.getpid(), flush=True)\n"
        "signal.pause()"
    )

    def ignored(*before: str) -> str:
        command = [*before, sys.executable, "-I", "-S", "-c", script]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                signals, pid = process.stdout.readline(), process.stdout.readline()
                assert int(pid) == process.pid
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == -signal.SIGTERM
            finally:
                process.kill()
        return signals

    assert ignored(*HERE, "exec", HUB, "--profile", "base", "--") == ignored()


@pytest.mark.case("P13")
def test_a_command_gets_the_credentials_and_no_profile(
    stub: Stub, run: Run, executed: list[Executed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arguments of the command stay unchanged. Variables with other credentials are removed."""
    monkeypatch.setenv("AWS_PROFILE", "other")
    run("exec", HUB, "--profile", "base", "--region", "eu-west-1", "--", "aws", "--json", "--profile")
    (command,) = executed
    assert command.program == ["aws", "--json", "--profile"]
    assert command.environment["AWS_SESSION_TOKEN"] == SESSION_TOKEN
    assert command.environment["AWS_REGION"] == "eu-west-1"
    assert "AWS_PROFILE" not in command.environment


def test_a_command_that_cannot_be_run_has_the_status_of_shells(
    stub: Stub, run: Run, executed: list[Executed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is 127 for a missing program and 126 for a file that is not a program. Signals have their defaults.

    In this test, the program changes while STS is called.
    """
    monkeypatch.setattr("os.execvpe", os.execve)  # No search in PATH, so that the error is about one file.
    Path("text").write_text("")
    for program, status, why in (
        ("./none", 127, "No such file or directory. Check its path."),
        ("./text", 126, "Permission denied. Make it executable (chmod +x), or check its path."),
    ):
        found, _, err = run("exec", HUB, "--profile", "base", "--", program)
        assert (found, err) == (status, f"stskit: {program} could not be started: {why}\n")
    assert [signal.getsignal(each) for each in (signal.SIGPIPE, signal.SIGXFSZ)] == [signal.SIG_DFL, signal.SIG_DFL]


def test_a_command_that_cannot_be_run_costs_no_call(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is that of a shell, and no MFA code is used."""
    Path("text").write_text("")
    Path("folder").mkdir()
    monkeypatch.setattr("getpass.getpass", lambda _prompt: pytest.fail("a code was asked for"))
    for program, status, why in (
        ("no-such-command", 127, "No such file or directory. Check its name, and the variable PATH."),
        ("folder", 127, "No such file or directory. Check its name, and the variable PATH."),
        ("./none", 127, "No such file or directory. Check its path."),
        ("./text", 126, "Permission denied. Make it executable (chmod +x), or check its path."),
    ):
        found, _, err = run("exec", HUB, "--profile", "base", "--mfa-serial", f"{DEVICE}me", "--", program)
        assert (found, err) == (status, f"stskit: {program} could not be started: {why}\n")
    assert stub.requests == []


@pytest.mark.parametrize("arguments", [["exec", HUB], ["exec", HUB, "--"], ["exec", HUB, "--", ""]])
def test_a_command_is_required(stub: Stub, run: Run, arguments: list[str]) -> None:
    """Without a command, STS is not called."""
    assert run(*arguments) == (
        2,
        "",
        "stskit: There is no command to run. Write it after two dashes: stskit exec ROLE -- aws s3 ls\n",
    )
    assert stub.requests == []


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [
        ({}, ["--profile", "base"], "eu-north-1"),
        ({}, ["--profile", "base", "--region", "eu-west-3"], "eu-west-3"),
        ({}, ["--profile", "other"], None),
        ({}, ["--profile", "empty"], None),
        ({}, ["--profile", "block"], None),
        ({}, ["--keys-file", "keys.json"], None),
        ({"AWS_REGION": "us-west-2"}, ["--profile", "base"], "us-west-2"),
        ({"AWS_DEFAULT_REGION": "us-west-2"}, ["--profile", "base"], None),
        ({"AWS_REGION": ""}, ["--profile", "base"], "eu-north-1"),
        ({"AWS_DEFAULT_REGION": ""}, ["--profile", "base"], "eu-north-1"),
    ],
)
def test_a_command_gets_the_named_region(
    environment: dict[str, str],
    arguments: list[str],
    expected: str | None,
    run: Run,
    executed: list[Executed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The option is used first, then the region of the profile. A region of the environment stays unchanged."""
    keys = Credentials("ASIA", "secret", "token")
    for profile in ("base", "other", "empty", "block"):
        keys.to(CredentialsFile(profile))
    Path("keys.json").write_text(json.dumps(keys.as_dict()))
    (Path.home() / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\n[profile base]\nregion = eu-north-1\n[profile other]\n"
        "[profile empty]\nregion =\n[profile block]\nregion =\n  a = b\n"
    )
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run("exec", *arguments, "--", "x")
    assert executed[0].environment.get("AWS_REGION") == expected
    assert executed[0].environment["AWS_ACCESS_KEY_ID"] == "ASIA"


# process --------------------------------------------------------------------------------------------------------------


@pytest.mark.case("X15")
def test_a_process_prints_only_the_document(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints one line, and marks the processes that it starts. If it fails, only standard error has text."""
    monkeypatch.setenv("_STSKIT_CREDENTIAL_PROCESSES", "")
    status, out, err = run("process", HUB, "--profile", "base")
    assert Credentials.from_dict(json.loads(out)).session_token == SESSION_TOKEN
    assert (out.count("\n"), err, status) == (1, "", 0)
    assert len(os.environ["_STSKIT_CREDENTIAL_PROCESSES"]) == 64
    status, out, err = run("process", HUB, "--profile", "no-such-profile")
    assert (status, out) == (3, "")
    assert err.startswith("stskit: ")


@pytest.mark.case("X19")
@pytest.mark.parametrize("program", ["stskit", f"{sys.executable} -m stskit"])
def test_a_process_that_needs_its_own_profile_is_an_error(stub: Stub, run: Run, program: str) -> None:
    """The first process reports the loop, and starts no other process."""
    config = Path.home() / ".aws" / "config"
    config.write_text(f"[profile loop]\ncredential_process = {program} process {HUB} --profile loop\n")
    status, _, err = run("process", HUB, "--profile", "loop")
    assert status == 3
    assert "needs the credentials of the same profile, so it would never end" in err
    assert stub.requests == []


# assume: each option is sent ------------------------------------------------------------------------------------------


def test_every_option_of_a_role_is_sent(stub: Stub, run: Run) -> None:
    """Each option is sent under its name in STS."""
    policy = Path("policy.json")
    policy.write_text('{"Version": "2012-10-17", "Statement": []}\n')
    arguments = {
        "--session-name": "job",
        "--duration": "1h30m",
        "--policy-file": str(policy),
        "--policy-arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "--tag": "team=a=b",
        "--transitive-tag": "team",
        "--external-id": "shared",
        "--source-identity": "alice",
        "--mfa-serial": f"{DEVICE}alice",
        "--mfa-command": "echo 123456",
    }
    status, _, err = run("assume", HUB, "--profile", "base", "--to-process", *sum(arguments.items(), ()))
    assert (status, err) == (0, "")
    form = stub.requests[0].form
    assert {name: value for name, value in form.items() if name not in ("Action", "Version")} == {
        "RoleArn": HUB,
        "RoleSessionName": "job",
        "DurationSeconds": "5400",
        "Policy": policy.read_text().strip(),
        "PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "Tags.member.1.Key": "team",
        "Tags.member.1.Value": "a=b",
        "TransitiveTagKeys.member.1": "team",
        "ExternalId": "shared",
        "SourceIdentity": "alice",
        "SerialNumber": f"{DEVICE}alice",
        "TokenCode": "123456",
    }


def test_the_options_apply_to_the_last_role_and_the_mfa_code_to_the_first(stub: Stub, run: Run) -> None:
    """Options go to the last role, and the MFA code goes to the first call."""
    mfa = ("--mfa-serial", f"{DEVICE}bob", "--mfa-command", "echo 222222")
    assert run("assume", HUB, ROLE, "--profile", "base", "--to-process", "--session-name", "last", *mfa)[0] == 0
    first, last = (request.form for request in stub.requests)
    assert ("TokenCode" in first, first["RoleSessionName"] == "last") == (True, False)
    assert ("TokenCode" in last, last["RoleSessionName"]) == (False, "last")


def test_the_role_of_the_environment_accepts_options(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option replaces the value of the environment."""
    Path("token").touch(0o600)
    Path("token").write_text("opaque-token")
    variables = {"AWS_ROLE_ARN": HUB, "AWS_WEB_IDENTITY_TOKEN_FILE": "token", "AWS_ROLE_SESSION_NAME": "theirs"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for options in ((), ("--session-name", "mine", "--duration", "15m")):
        assert run("process", "--from-env", *options)[0] == 0
    sent = [(each.form["RoleSessionName"], each.form.get("DurationSeconds")) for each in stub.requests]
    assert sent == [("theirs", None), ("mine", "900")]


def test_one_code_is_enough_for_a_session_of_the_user(stub: Stub, run: Run) -> None:
    """The role is assumed from that session, also without an MFA code."""
    mfa = ("--mfa-serial", f"{DEVICE}carol", "--mfa-command", "echo 333333")
    for options in (mfa, ()):
        assert run("assume", HUB, "--profile", "base", "--to-process", "--session-token", *options)[0] == 0
    assert [(each.form["Action"], "TokenCode" in each.form) for each in stub.requests] == [
        ("GetSessionToken", True),
        ("AssumeRole", False),
        ("GetSessionToken", False),
        ("AssumeRole", False),
    ]


def test_the_named_endpoint_is_called(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Region, endpoint and FIPS are options. Plain HTTP to another machine needs an option."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
    asked = ("process", HUB, "--profile", "base", "--region", "eu-west-3", "--json")
    assert run(*asked, "--endpoint-url", stub.server.url)[0] == 0
    assert "/eu-west-3/sts/" in stub.requests[0].headers["authorization"]
    status, _, err = run(*asked, "--endpoint-url", "http://192.0.2.1")
    assert status == 2
    assert "TLS" in err
    assert run(*asked, "--endpoint-url", "http://[::1]:1", "--allow-http")[0] == 6
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert json.loads(run(*asked, "--use-fips")[2])["endpoint"] == "https://sts-fips.eu-west-3.amazonaws.com"


@pytest.mark.case("P117")
@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_the_region_of_the_named_profile_applies(
    stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The region of the profile of the environment is not used. doctor reports the same."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    BASE.to(CredentialsFile("base", region="eu-west-3"))
    BASE.to(CredentialsFile("other", region="us-west-2"))
    monkeypatch.setenv(variable, "other")
    assert "stskit would call STS in eu-west-3 (from the profile)" in run("doctor", "--profile", "base", "--offline")[1]
    monkeypatch.setenv(variable, "gone")
    assert run("process", HUB, "--profile", "base")[0] == 0
    assert "/eu-west-3/sts/" in stub.requests[0].headers["authorization"]


def test_the_cache_is_used_on_request(stub: Stub, run: Run) -> None:
    """Two commands need one call. The session of the user is cached too, so that one code is enough for two roles."""
    mfa = ("--mfa-serial", f"{DEVICE}carol", "--session-token", "--cache")
    stub.answers.extend([an_hour] * 6)
    first = run("process", HUB, "--profile", "base", "--cache")
    assert run("process", HUB, "--profile", "base", "--cache") == first
    assert list((Path.home() / ".cache" / "stskit").glob("*.json"))
    assert run("process", HUB, "--profile", "base", *mfa, "--mfa-command", "echo 444444")[0] == 0
    assert run("process", ROLE, "--profile", "base", *mfa, "--mfa-command", "false")[0] == 0
    there = ("--region", "eu-west-3", "--endpoint-url", stub.server.url)
    assert run("process", f"{ROLE}3", "--profile", "base", *mfa, *there, "--mfa-command", "echo 444446")[0] == 0
    calls = [(each.form["Action"], "/eu-west-3/sts/" in each.headers["authorization"]) for each in stub.requests]
    assert calls == [
        ("AssumeRole", False),
        ("GetSessionToken", False),
        ("AssumeRole", False),
        ("AssumeRole", False),
        ("GetSessionToken", True),
        ("AssumeRole", True),
    ]


def test_the_wait_for_a_new_role_is_an_option(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is one minute, also for the role of the environment."""
    assert run("process", HUB, "--profile", "base", "--wait-for-new-role", "1m")[0] == 0
    monkeypatch.setenv("AWS_ROLE_ARN", HUB)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
    for proof in ((HUB, "--profile", "base"), ("--from-env",)):
        status, _, err = run("process", *proof, "--wait-for-new-role", "61s")
        assert (status, "61 seconds" in err) == (2, True)
    assert len(stub.requests) == 1


# MFA codes from a terminal --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"666666\n", signal.SIGTERM])
def test_a_code_is_requested_at_the_terminal(stub: Stub, answer: bytes | signal.Signals) -> None:
    """The code is not shown. After a signal, the terminal shows typed characters again."""
    ours, theirs = os.openpty()
    command = [*HERE, "process", HUB, "--profile", "base", "--mfa-serial", f"{DEVICE}dave"]
    # Start a new session, of which this is the terminal.
    script = f"import fcntl, os, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv({command[0]!r}, {command})"
    start = [sys.executable, "-I", "-S", "-c", script]
    with subprocess.Popen(start, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True) as asked:
        try:
            shown = b""
            while not shown.endswith(f"MFA code of {DEVICE}dave: ".encode()):
                shown += os.read(ours, 1000)
            assert not termios.tcgetattr(theirs)[3] & termios.ECHO
            if isinstance(answer, bytes):
                os.write(ours, answer)
            else:
                asked.send_signal(answer)
            out, _ = asked.communicate(timeout=60)
        finally:
            asked.kill()
    assert termios.tcgetattr(theirs)[3] & termios.ECHO
    os.close(ours)
    os.close(theirs)
    if isinstance(answer, bytes):
        assert (asked.returncode, json.loads(out)["Version"]) == (0, 1)
        assert stub.requests[0].form["TokenCode"] == "666666"
    else:
        assert (asked.returncode, out, stub.requests) == (128 + answer, b"", [])


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ("555555", 0),
        (EOFError(), 4),
        (KeyboardInterrupt(), 130),
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
    ],
)
def test_a_prompt_accepts_a_code_or_ends(
    stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch, typed: str | BaseException | signal.Signals, status: int
) -> None:
    """A code, the end of input, Ctrl-C or a signal ends the prompt. A signal has its previous effect afterwards."""

    def answer(_prompt: str) -> str:
        if isinstance(typed, BaseException):
            raise typed
        if isinstance(typed, signal.Signals):
            signal.raise_signal(typed)
        return str(typed)

    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)]
    monkeypatch.setattr("getpass.getpass", answer)
    found, out, err = run("process", HUB, "--profile", "base", "--mfa-serial", f"{DEVICE}erin")
    assert (found, out != "") == (status, status == 0)
    assert ("--mfa-command" in err) == (status == 4)
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)] == before


def test_the_error_for_a_wrong_typed_code_names_no_option(
    stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code was typed at the terminal, so the error names no option."""
    monkeypatch.setattr("getpass.getpass", lambda _prompt: "12")
    status, _, err = run("process", HUB, "--profile", "base", "--mfa-serial", f"{DEVICE}frank")
    assert status == 3
    assert "MFA code has 2 characters" in err
    assert "--mfa-command" not in err


# assume: outputs ------------------------------------------------------------------------------------------------------


def test_credentials_are_printed_as_shell_text_or_json(stub: Stub, run: Run) -> None:
    """The output contains the secrets, because that is the purpose of the command."""
    to_shell = ("assume", HUB, "--profile", "base", "--to-shell")
    status, out, _ = run(*to_shell, "--region", "eu-west-1")
    assert status == 0
    assert f"export AWS_SESSION_TOKEN='{SESSION_TOKEN}';\n" in out
    assert "export AWS_REGION='eu-west-1';\n" in out
    assert f"set -gx AWS_SESSION_TOKEN '{SESSION_TOKEN}';\n" in run(*to_shell, "fish")[1]
    assert json.loads(run(*to_shell, "--region", "eu-west-1", "--json")[1])["AWS_REGION"] == "eu-west-1"


@pytest.mark.case("P5")
def test_a_dotenv_file_and_a_profile_have_options(stub: Stub, run: Run, tmp_path: Path) -> None:
    """The options set the files, a backup, the region and the output format."""
    env = tmp_path / ".env"
    env.touch(0o600)
    env.write_text("A=1\n")
    to = ("assume", HUB, "--profile", "base")
    assert run(*to, "--to-dotenv", str(env), "--backup", "--region", "eu-west-1")[0] == 0
    assert env.with_name(".env.bak").read_text() == "A=1\n"
    assert "AWS_REGION=eu-west-1\n" in env.read_text()
    assert run(*to, "--to-profile", "kept", "--backup")[0] == 0
    assert (Path.home() / ".aws" / "credentials.bak").exists()
    files = ("--credentials-file", str(tmp_path / "keys"), "--config-file", str(tmp_path / "conf"))
    assert run(*to, "--to-profile", "p", "--set-output", "json", *files)[0] == 0
    assert (tmp_path / "conf").read_text() == "[profile p]\noutput = json\n"
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600


def test_an_invalid_target_costs_no_call(stub: Stub, run: Run) -> None:
    """The destination is checked before STS is called."""
    status, out, err = run("assume", HUB, "--profile", "base", "--to-profile", "DEFAULT")
    assert (status, out, stub.requests) == (7, "", [])
    assert err.startswith("stskit: ")


def test_long_term_keys_are_replaced_only_on_request(stub: Stub, run: Run) -> None:
    """They are replaced only with --overwrite."""
    assert run("assume", HUB, "--profile", "base", "--to-profile", "base")[:2] == (7, "")
    assert run("assume", HUB, "--profile", "base", "--to-profile", "base", "--overwrite")[0] == 0
    assert BASE.secret_access_key not in (Path.home() / ".aws" / "credentials").read_text()


# assume: proofs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["keys.json", "-"])
def test_keys_are_read_from_json(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """A file and standard input work, in the format that aws sts prints."""
    path = Path("keys.json")
    path.write_text(json.dumps({"Credentials": Credentials("ASIAFILE", "s", "t").as_dict()}))
    with path.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert run("assume", HUB, "--keys-file", source, "--to-process")[0] == 0
    assert stub.requests[0].access_key_id == "ASIAFILE"


@pytest.mark.parametrize(
    "text", ["[aws]\nsecret-canary = 1", '{"AccessKeyId": "secret-canary"}', '["secret-canary"]', "[" * 5000]
)
def test_the_error_for_invalid_json_does_not_quote_it(run: Run, text: str) -> None:
    """The error names the file and does not quote its content."""
    Path("keys").write_text(text)
    status, out, err = run("whoami", "--keys-file", "keys")
    assert (status, out) == (3, "")
    assert err.startswith("stskit: keys contains no credentials. ")
    assert err.endswith("Save the output of an aws sts command in it.\n")
    assert "canary" not in err


def test_a_role_of_an_assertion_can_be_named_without_its_arn(stub: Stub, run: Run) -> None:
    """The name must be unique. Upper and lower case do not matter."""
    path = saml(ROLE, "arn:aws:iam::123456789012:role/path/Admin", "arn:aws:iam::210987654321:role/Admin")
    to = ("assume", "--saml-file", path, "--to-process")
    for name in ("app", "APP"):
        assert run(*to, name)[0] == 0
        assert stub.requests[-1].form["RoleArn"] == ROLE
    for name in ("path/Admin", "123456789012/Admin", "123456789012/path/Admin"):
        assert run(*to, name)[0] == 0
        assert stub.requests[-1].form["RoleArn"] == "arn:aws:iam::123456789012:role/path/Admin"
    assert run(*to, "Admin")[::2] == (
        2,
        "stskit: saml.log offers several roles called Admin. Pass one of these roles:\n"
        "  arn:aws:iam::123456789012:role/path/Admin\n"
        "  arn:aws:iam::210987654321:role/Admin\n",
    )
    assert run(*to, "arn:aws:iam::210987654321:role/Admin")[0] == 0


@pytest.mark.parametrize("roles", [(), (ROLE, f"{ROLE}2")])
def test_several_offered_roles_are_listed(stub: Stub, run: Run, roles: Sequence[str]) -> None:
    """The error lists the roles that the user can type."""
    status, _, err = run("assume", "--saml-file", saml(*roles), "--to-process")
    assert (status, stub.requests) == (2, [])
    assert all(role in err for role in roles)
    shown = json.loads(run("assume", "nobody", "--saml-file", "saml.log", "--to-process", "--json")[2])
    assert (shown["error"], shown.get("offered", []), shown["path"]) == ("RoleNotOffered", [*roles], "saml.log")


def test_an_encrypted_assertion_needs_role_and_provider(stub: Stub, run: Run) -> None:
    """Only AWS can read the assertion, so the error names the missing options."""
    path = str(DATA / "saml" / "encrypted.b64")
    for arguments in (["assume", "--saml-file", path, "--to-process"], ["roles", path]):
        status, _, err = run(*arguments)
        assert (status, path in err, "--principal-arn" in err) == (3, True, True)
    assert run("assume", ROLE, "--saml-file", path, "--principal-arn", PROVIDER, "--to-process")[0] == 0
    assert stub.requests[0].form["PrincipalArn"] == PROVIDER


def test_a_json_field_can_contain_the_token(stub: Stub, run: Run) -> None:
    """An option names the field."""
    Path("token.json").touch(0o600)
    Path("token.json").write_text(json.dumps({"id_token": "opaque-token"}))
    arguments = ("assume", HUB, "--oidc-token-file", "token.json", "--to-process")
    assert run(*arguments)[0] == 3
    assert run(*arguments, "--json-field", "id_token")[0] == 0
    assert stub.requests[0].form["WebIdentityToken"] == "opaque-token"


# Without a role -------------------------------------------------------------------------------------------------------


def test_a_session_of_the_user_becomes_a_profile(stub: Stub, run: Run) -> None:
    """It needs one code. The cache makes the session available to the next command too."""
    stub.answers.append(an_hour)
    mfa = ("--mfa-serial", f"{DEVICE}dora", "--session-token", "--cache")
    assert run("assume", "--profile", "base", *mfa, "--mfa-command", "echo 444444", "--to-profile", "mfa")[0] == 0
    assert run("assume", "--profile", "base", *mfa, "--mfa-command", "false", "--to-dotenv", ".env")[0] == 0
    assert [(each.form["Action"], each.form["TokenCode"]) for each in stub.requests] == [("GetSessionToken", "444444")]
    assert Profile("mfa").fetch().session_token == SESSION_TOKEN


def test_a_session_of_the_user_can_use_the_environment(stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session is requested in the region of the arguments."""
    monkeypatch.setenv("AWS_PROFILE", "base")
    status, out, _ = run("process", "--session-token", "--region", "eu-west-3")
    assert (status, json.loads(out)["SessionToken"]) == (0, SESSION_TOKEN)
    assert "/eu-west-3/sts/" in stub.requests[0].headers["authorization"]


def test_temporary_credentials_are_written_like_those_of_a_role(stub: Stub, run: Run) -> None:
    """Credentials of an SSO profile are delivered without a call to STS."""
    Path("keys.json").write_text(json.dumps(Credentials("ASIA", "secret", "token").as_dict()))
    assert run("assume", "--keys-file", "keys.json", "--to-dotenv", ".env")[0] == 0
    assert "AWS_ACCESS_KEY_ID=ASIA" in Path(".env").read_text()
    assert stub.requests == []


def test_long_term_keys_are_not_copied(stub: Stub, run: Run) -> None:
    """A copy would never expire, so the error suggests a role or a session."""
    status, out, err = run("assume", "--profile", "base", "--to-dotenv", ".env")
    assert (status, out) == (2, "")
    assert (
        err
        == "stskit: These are long-term keys, and stskit does not copy them. Pass a role ARN, or add --session-token.\n"
    )
    assert not Path(".env").exists()


def test_credentials_of_a_process_are_cached_with_a_key(run: Run, tmp_path: Path) -> None:
    """Two commands run the process once."""
    keys = {"Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t"}
    (tmp_path / "keys.json").write_text(json.dumps({**keys, "Expiration": in_an_hour()}))
    (tmp_path / "give").write_text(f"echo run >>{tmp_path}/runs; cat {tmp_path}/keys.json")
    config = Path.home() / ".aws" / "config"
    config.parent.mkdir()
    config.write_text(f"[profile slow]\ncredential_process = sh {tmp_path}/give\n")
    kept = ("process", "--profile", "slow", "--cache", "--cache-key", "me")
    first = run(*kept)
    assert first[0] == 0
    assert run(*kept) == first
    assert (tmp_path / "runs").read_text() == "run\n"


def test_credentials_of_a_process_are_not_cached_without_a_key(run: Run, tmp_path: Path) -> None:
    """Two users can run the same command, and stskit does not run it to find out who the user is."""
    config = Path.home() / ".aws" / "config"
    config.parent.mkdir()
    config.write_text(f"[profile slow]\ncredential_process = touch {tmp_path}/run\n")
    status, output, error = run("process", "--profile", "slow", "--cache")
    assert (status, output) == (3, "")
    assert "--cache-key NAME" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "option",
    [
        *("--session-name=a", "--duration=1h", "--policy-file=a", "--policy-arn=a", "--tag=a=b", "--transitive-tag=a"),
        *("--external-id=a", "--source-identity=a", "--wait-for-new-role=1s", "--duration=0", "--wait-for-new-role=0"),
    ],
)
def test_an_option_for_a_role_needs_a_role(option: str, stub: Stub, run: Run) -> None:
    """Without a role the option would have no effect, which is dangerous for a session policy."""
    flag = option.split("=", maxsplit=1)[0]
    error = f"stskit: {flag} has no effect without a role. Pass a role ARN, or omit the option.\n"
    assert run("process", "--profile", "base", option) == (2, "", error)
    assert stub.requests == []


# Invalid usage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["assume", HUB],
            "there is no destination for the credentials. Add --to-profile NAME, --to-shell, --to-dotenv FILE or "
            "--to-process.",
        ),
        (["assume", HUB, "--to-process", "--to-shell"], "--to-shell and --to-process cannot be used together"),
        (
            ["assume", "--to-process"],
            "There is no role to assume. Pass a role ARN, for example arn:aws:iam::123456789012:role/Deploy",
        ),
        (
            ["assume", "--to-process"],
            "To use credentials without a role, pass --profile, --keys-file or --session-token",
        ),
        (
            ["exec", "--profile", "a", "--mfa-serial", "123456789", "--", "ls"],
            "has no effect without a role or --session-token",
        ),
        (["exec", "--profile", "a", "--sts-region", "b", "--", "ls"], "--sts-region has no effect: STS is not called"),
        (["process", "--profile", "a", "--region", "b"], "--region has no effect: STS is not called without a role"),
        (["assume", "--profile", "a", "--region", "b", "--to-process"], "--region has no effect: STS is not called"),
        (["process", HUB, "--region", "b", "--sts-region", "c"], "--region has no effect together with --sts-region"),
        (["exec", HUB, "--region", "a b", "--", "ls"], "'a b' is not a valid region"),
        (["assume", HUB, "--sts-region", "-", "--to-shell"], "'-' is not a valid region"),
        (["exec", HUB, "--cache-key", "me", "--", "ls"], "--cache-key has no effect without --cache"),
        (["process", HUB, "--use-fips", "--endpoint-url", "https://a"], "--use-fips and --endpoint-url cannot be used"),
        (["process", HUB, "--allow-http", "--endpoint-url", "https://a"], "--allow-http has no effect on an https"),
        (["process", "--keys-file", "a", "--allow-http"], "--allow-http has no effect: no server is called"),
        (
            ["process", HUB, "--external-id", "ab", "--external-id-file", "f"],
            "--external-id and --external-id-file cannot",
        ),
        (["process", HUB, "--token-code", "123456"], "--token-code has no effect without --mfa-serial"),
        (
            ["process", HUB, "--mfa-serial", "123456789", "--mfa-command", "x", "--token-code", "123456"],
            "--token-code and --mfa-command cannot be used together",
        ),
        (
            ["process", HUB, "--keys-file", "-", "--external-id-file", "-"],
            "--keys-file and --external-id-file cannot both read standard input. Pass a file for one of them",
        ),
        (
            ["process", "--keys-file", "a", "--endpoint-url", "https://b"],
            "--endpoint-url has no effect: STS is not called",
        ),
        (["process", "--keys-file", "a", "--use-fips"], "--use-fips has no effect: STS is not called without"),
        (["process", "--keys-file", "a", "--cache"], "--cache has no effect on the keys of --keys-file. Omit it"),
        (["assume", "saml.log", "--to-process"], "saml.log is a file, not a role. Did you mean --saml-file"),
        (
            ["assume", HUB, "--role-arn", "x", "--to-process"],
            "no option --role-arn. Write the role without an option: stskit assume ROLE",
        ),
        (
            ["assume", HUB, "Deploy", "--to-process"],
            "'Deploy' is not a valid role ARN. Several roles are a chain, each assumed",
        ),
        (["roles", "saml.log", "x"], "roles has no argument 'x'. See: stskit roles --help"),
        (["assume", "Deploy", "--to-process"], "'Deploy' is a name, not a role ARN"),
        (
            ["assume", HUB, "--profile", "a", "--saml-file", "b", "--to-process"],
            "--profile and --saml-file cannot be used",
        ),
        (
            ["assume", HUB, "--principal-arn", "a", "--to-process"],
            "--principal-arn has no effect without --saml-file. Omit it",
        ),
        (["assume", HUB, "--overwrite", "--to-process"], "--overwrite has no effect without --to-profile"),
        (["assume", HUB, "--backup", "--to-process"], "--backup has no effect without --to-profile or --to-dotenv"),
        (
            ["assume", HUB, "--session-token", "--saml-file", "a", "--to-process"],
            "--session-token needs the long-term",
        ),
        (["assume", HUB, "--from-env", "--to-process"], "--from-env uses the role of AWS_ROLE_ARN"),
        (["assume", "--from-env", "--to-process"], "AWS_ROLE_ARN is not set"),
        (
            ["assume", HUB, "--policy-file", "nix", "--to-process"],
            "There is no file nix. It must contain a session policy",
        ),
        (["assume", HUB, "--mfa-serial", "a", "--mfa-command", "'", "--to-process"], "a quote that is not closed"),
        (["assume", HUB, "--mfa-serial", "123456789", "--mfa-command", " ", "--to-process"], "--mfa-command is empty"),
        (
            ["assume", HUB, "--duration", "soon", "--to-process"],
            "--duration 'soon' is not a valid time. Write it as 3600, 90s, 15m or 1h30m.",
        ),
        (["assume", HUB, "--duration", "1m", "--to-process"], "duration"),
        (["assume", HUB, "--tag", "team", "--to-process"], "--tag 'team' is not a valid tag. Write --tag KEY=VALUE"),
        (["assume", HUB, "--tag", "=blue", "--to-process"], "--tag '=blue' is not a valid tag. Write --tag KEY=VALUE"),
        (
            ["assume", HUB, "--to-shell", "nushell"],
            "--to-shell 'nushell' is not a supported shell. Use one of: sh, bash",
        ),
        (["whoami", "--profile", "a", "--keys-file", "b"], "--profile and --keys-file cannot be used together"),
        (
            ["assume", HUB, "--to-profile", "p", "--config-file", "c", "--overwrite"],
            "--config-file has no effect with --overwrite and without a region or an output format",
        ),
        (["exec", HUB, "--profile", "a", "ls", "x"], "Write the command after two dashes: -- ls x"),
        (["whoami", "x"], "whoami has no argument 'x'. Did you mean --profile x?"),
        (["exec", HUB, "--saml", "a"], "There is no option --saml. Did you mean --saml-file?"),
        (["saml.log"], "saml.log is a file, not a command. To show its roles, run: stskit roles saml.log"),
        (["login"], "'login' is not a command. The commands are roles, assume, exec"),
        (["roles", "--role-arn", HUB], "There is no option --role-arn. See: stskit roles --help"),
        (["process", HUB, "--tag", "a=b", "--tag", "a=c"], "--tag has the key 'a' more than once. Keep one of them."),
        (["assume", "--to-profile", HUB, "--profile", "base"], "Write the role before the options: stskit assume ROLE"),
        (
            ["process", HUB, HUB, "--profile", "base", "--duration", "2h"],
            "--duration is 7200 seconds, but STS allows at",
        ),
        (["exec", HUB, "--profile", "a", "python", "-c", "1"], "Write the command to run, with its options, after two"),
        ([], "the command is missing. The commands are roles, assume, exec, process, whoami, doctor."),
        (
            ["$", "stskit", "assume", HUB],
            "'$' is not an argument. It is a prompt that was copied with the command. Remove it: stskit assume ...",
        ),
        (["assume", HUB, "#", "note"], "It is a prompt that was copied with the command. Remove it and the comment."),
        (["stskit", "assume", HUB], "stskit was typed twice. Remove one of them: stskit assume ..."),
        (["asume", HUB], "'asume' is not a command. Did you mean assume?"),
        (["assume-role-with-saml"], "Did you mean assume?"),
        (["get-caller-identity"], "Did you mean whoami?"),
        (["help"], "Run: stskit --help"),
        (["help", "exec"], "Run: stskit exec --help"),
        (["exec", "help"], "stskit exec has no argument 'help'. Run: stskit exec -h"),
        (["version"], "Run: stskit --version"),
        (["-v"], "There is no option -v. Did you mean --version?"),
        (["--hlep"], "Did you mean --help?"),
        ([HUB], "the command is missing before the role. Use: stskit assume ROLE --to-profile NAME"),
        (["\u201cassume\u201d"], "has curly quotation marks. Type straight quotation marks, or none."),
        (["--profile", "a"], "--profile is before the command. Write the command first: stskit COMMAND --profile ..."),
        (["--profile", "a", "exec"], "Write the command first: stskit exec --profile ..."),
        (["--verbose", "assume"], "There is no option --verbose. Omit it. To find a problem, run: stskit doctor"),
        (
            ["assume", HUB, "--to-shell", "/bin/zsh"],
            "--to-shell '/bin/zsh' is not a supported shell. Did you mean zsh?",
        ),
        (["assume", "--to-shell", HUB], "--to-shell is followed by a role. Write the role before --to-shell."),
        (["assume", HUB, "--profile", "--to-process"], "--profile has no value. Write --profile NAME"),
        (["assume", HUB, "--to-process=yes"], "--to-process does not allow a value. Write the option alone."),
        (["assume", HUB, "\u2014profile", "a", "--to-process"], "begins with a long dash. Type two hyphens: --profile"),
        (["doctor", "\u2013run"], "begins with a long dash. Type two hyphens: --run"),
        (["doctor", "\u2013RUN"], "begins with a long dash. Type two hyphens in place of the dash."),
        (["assume", HUB, "-p", "a", "--to-process"], "There is no option -p. Did you mean --profile?"),
        (
            ["assume", HUB, "--samlfile", "a", "--to-process"],
            "There is no option --samlfile. Did you mean --saml-file?",
        ),
        (["assume", HUB, "--xyz", "--to-process"], "There is no option --xyz. See: stskit assume --help"),
        (
            ["process", HUB, "--to-profile", "a"],
            "stskit process has no option --to-profile. Omit it. Only stskit assume has",
        ),
        (
            ["roles", "--saml-file", "a"],
            "There is no option --saml-file. Write the file without an option: stskit roles FILE",
        ),
        (["roles"], "FILE is missing. Run: stskit roles FILE [--json]"),
        (["whoami", HUB], "This command does not use a role. To show the session of a role, run stskit whoami with"),
        (
            ["assume", HUB, "--profile", HUB, "--to-process"],
            f"--profile '{HUB}' is an ARN, not the name of a profile. Write the role",
        ),
        (["whoami", "--profile", HUB], "is an ARN, not the name of a profile. Write --profile NAME"),
        (["exec", "--", HUB, "--profile", "a"], "is a role, not a command. Write the role before the two dashes"),
        (["assume", "--to-process", "--", HUB, "aws"], "To run a command with the credentials, use: stskit exec ROLE"),
        (["assume", HUB, "--to-process", "--", "aws"], "To run a command with the credentials, use: stskit exec ROLE"),
        (
            ["assume", HUB, "--policy-arn", "Admin", "--to-process"],
            "--policy-arn 'Admin' is not a valid policy ARN. Pass arn:",
        ),
        (
            ["assume", "", "--profile", "a", "--to-process"],
            "The role is empty. Pass a role ARN. If it is a shell variable",
        ),
        (
            ["assume", "123456789012", "--to-process"],
            "'123456789012' is an account ID, not a role ARN. Pass a role ARN",
        ),
        (["assume", "aws:iam::role", "--to-process"], "'aws:iam::role' is not a valid role ARN. Pass a role ARN"),
    ],
)
def test_a_usage_error_shows_the_usage(run: Run, arguments: list[str], said: str) -> None:
    """Only the error is printed, and it suggests what to type."""
    Path("saml.log").write_text("")
    status, out, err = run(*arguments)
    assert (status in (2, 3), out) == (True, "")
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["assume", HUB, "--profile", "", "--saml-file", "x", "--to-process"],
            "--profile is empty. Pass a value, or omit the option",
        ),
        (["assume", HUB, "--json-field", "", "--to-process"], "--json-field is empty"),
        (["assume", HUB, "--endpoint-url", "", "--to-process"], "--endpoint-url is empty"),
        (["assume", HUB, "--to-profile", ""], "--to-profile is empty"),
        (["assume", "--from-env", "--policy-file", "", "--to-process"], "--policy-file is empty"),
        (["assume", "--from-env", "--session-name", "", "--to-process"], "--session-name is empty"),
        (["assume", "--from-env", "--duration", "0", "--to-process"], "--duration is 0 seconds"),
    ],
)
def test_an_empty_option_is_refused(
    stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """An unset variable of a shell must not remove a session policy."""
    Path("token").touch(0o600)
    Path("token").write_text("opaque-token")
    monkeypatch.setenv("AWS_ROLE_ARN", HUB)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
    status, out, err = run(*arguments)
    assert (status, out, stub.requests) == (2, "", [])
    assert said in err


def test_an_mfa_command_is_not_quoted(run: Run) -> None:
    """The command can contain the seed of the MFA device."""
    err = run("assume", HUB, "--to-process", "--mfa-serial", "123456789", "--mfa-command", "oathtool 'canary")[2]
    assert ("--mfa-command" in err, "canary" in err) == (True, False)


def test_an_error_about_a_copied_prompt_does_not_quote_the_other_arguments(run: Run) -> None:
    """An external ID is shared with a third party, and a command for MFA codes can contain the seed of the device."""
    err = run("$", "assume", HUB, "--external-id", "canary", "--mfa-command", "oathtool canary")[2]
    assert ("stskit assume ..." in err, "canary" in err) == (True, False)


def test_a_json_error_names_the_option_as_it_is_typed(stub: Stub, run: Run) -> None:
    """Its message begins with the option of the command line, and not with the argument of Python."""
    shown = json.loads(run("process", HUB, "--profile", "base", "--session-name", "x", "--json")[2])
    assert (shown["message"].split()[0], shown["option"]) == ("--session-name", "--session-name")


def test_help_does_not_break_a_line_within_an_option(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option can be copied from the help in a terminal of any width."""
    for columns in ("60", "80", "100"):
        monkeypatch.setenv("COLUMNS", columns)
        assert not any(re.search(r"\w-$", line) for line in run("assume", "--help")[1].splitlines())


def test_a_message_of_argparse_without_a_text_of_stskit_is_shown() -> None:
    """A usage error that stskit has no text for shows the text of argparse."""
    with pytest.raises(UsageError, match=r"^invalid usage: argument -x: odd\. See: stskit --help$"):
        parser().error("argument -x: odd")


def test_a_profile_can_have_the_name_of_an_arn(stub: Stub, run: Run) -> None:
    """A profile whose name is an ARN is used like any other profile."""
    config = Path.home() / ".aws" / "config"
    config.write_text(f"[profile {ROLE}]\naws_access_key_id = AKIAARN\naws_secret_access_key = s\n")
    assert run("process", HUB, "--profile", ROLE)[0] == 0
    assert stub.requests[-1].access_key_id == "AKIAARN"


def test_arguments_after_the_dashes_belong_to_the_command(run: Run) -> None:
    """An option --json of the command does not change the output of stskit."""
    assert run("exec", HUB, "--nope", "--", "ls", "--json")[2].startswith("stskit: There is no option --nope")


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Output]:
    """Return a command with these arguments that ends with that error."""

    def fail(error: BaseException, *arguments: str) -> Output:
        def fetch(_self: object) -> Credentials:
            raise error

        monkeypatch.setattr(Profile, "fetch", fetch)
        monkeypatch.setattr(ProfileSnapshot, "fetch", fetch)
        command = "assume" if "--to-profile" in arguments else "process"
        return run(command, *arguments, "--profile", "base", HUB)

    return fail


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (ProofInvalid("it is odd"), 3, "it is odd"),
        (ProofInvalid("it is odd", remedy="look"), 3, "it is odd. look"),
        (ProofInvalid("It is odd.", remedy="Look."), 3, "It is odd. Look."),
        (ProofInvalid("a; b.txt is odd. ", remedy="look; again"), 3, "a; b.txt is odd. . look; again"),
        (ProofInvalid("it is odd", remedy="set it=True", cli_remedy="pass --it"), 3, "it is odd. pass --it"),
        (RoleError("it is new", cli_remedy="add --duration 1h", option="duration"), 2, "it is new. add --duration 1h"),
        (ProofInvalid("odd path", option="path"), 3, "odd path"),
        (RoleError("nothing of the command line", option="provided_contexts"), 2, "nothing of the command line"),
        (SignInRequired("it has expired"), 4, "it has expired"),
        (STSError("refused", code="AccessDenied"), 5, "refused"),
        (STSUnavailable("not there"), 6, "not there"),
        (STSUnavailable("no such endpoint", kind="setup"), 2, "no such endpoint"),
    ],
)
def test_an_error_shows_the_message_and_the_remedy(
    fails: Callable[..., Output], error: StskitError, status: int, shown: str
) -> None:
    """The remedy is that of the command line. Options that were not typed are not shown."""
    assert fails(error) == (status, "", f"stskit: {shown}\n")


@pytest.mark.parametrize(
    ("typed", "error", "shown"),
    [
        ("--duration 1h", RoleError("it is short", remedy="wait", option="duration"), "--duration: it is short. wait"),
        (
            "--duration=1h",
            RoleError("duration has 0 s", cli_message="has 0 s", option="duration"),
            "--duration has 0 s",
        ),
        ("--tag a=b", RoleError("tags are odd", option="tags"), "--tag: tags are odd"),
        ("--region a", RoleError("odd region", option="region"), "--region: odd region"),
        ("--sts-region a", RoleError("odd region", option="region"), "--sts-region: odd region"),
        ("--region a --sts-region b --to-profile p", RoleError("odd", option="region"), "--sts-region: odd"),
        ("--region a --sts-region b --to-profile p", SinkError("odd", option="region"), "--region: odd"),
        ("--config-file a --to-profile p", SinkError("odd", option="config_path"), "--config-file: odd"),
        ("--external-id-file id", RoleError("odd", option="external_id"), "--external-id-file: odd"),
        ("--mfa-serial 123456789", SourceMissing("no device", option="mfa"), "--mfa-serial: no device"),
        ("--cache --cache-key me", SourceMissing("odd", option="key"), "--cache-key: odd"),
    ],
)
def test_an_error_begins_with_the_typed_option(
    stub: Stub, fails: Callable[..., Output], typed: str, error: StskitError, shown: str
) -> None:
    """The name of the Python argument is not repeated after it."""
    Path("id").touch(0o600)
    Path("id").write_text("shared")
    assert fails(error, *typed.split())[2] == f"stskit: {shown}\n"


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (
            ["--saml-file", str(DATA / "saml" / "encrypted.b64")],
            "--principal-arn arn:aws:iam::ACCOUNT:saml-provider/NAME",
        ),
        (["--oidc-token-file", "keys.json"], "--json-field NAME"),
        (["--profile", "base", "--endpoint-url", "http://192.0.2.1"], "--allow-http"),
        (["--keys-file", "keys.json", "--session-token"], "omit --session-token"),
        (["--profile", "base", "--to-profile", "base"], "pass --overwrite"),
    ],
)
def test_remedies_name_options_of_the_command_line(stub: Stub, run: Run, arguments: list[str], remedy: str) -> None:
    """A remedy for Python programs is replaced by one for the command line."""
    Path("keys.json").touch(0o600)
    Path("keys.json").write_text(json.dumps(Credentials("ASIA", "secret", "token").as_dict()))
    command = "assume" if "--to-profile" in arguments else "process"
    assert remedy in run(command, HUB, *arguments)[2]


def test_the_error_for_a_denied_role_mentions_new_roles(stub: Stub, run: Run) -> None:
    """The remedy for AccessDenied names --wait-for-new-role, because the role can be new."""
    stub.answers.append(refused("AccessDenied", status=403))
    assert "--wait-for-new-role 30s" in run("process", HUB, "--profile", "base")[2]


def test_the_remedies_of_doctor_name_options_too(run: Run) -> None:
    """For a token file in JSON, doctor names the option."""
    Path("token.json").touch(0o600)
    Path("token.json").write_text('{"id_token": "opaque-token"}')
    assert "--json-field NAME" in run("doctor", "--offline", "--oidc-token-file", "token.json")[1]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ProofInvalid("odd"), {"remedy": ""}),
        (
            SinkError("odd", remedy="set it=True", cli_remedy="pass --it", option="output", path="/a"),
            {"remedy": "pass --it", "option": "--set-output", "path": "/a"},
        ),
        (RoleError("odd", option="extra", variable="AWS_X"), {"remedy": "", "option": "extra", "variable": "AWS_X"}),
        (RoleNotOffered("odd", (ROLE,)), {"remedy": "", "offered": [ROLE]}),
        (
            STSError("odd", code="X", http_status=400, clock_skew=timedelta(minutes=1)),
            {"remedy": "", "code": "X", "http_status": 400, "attempts": 1, "retryable": False, "clock_skew": 60},
        ),
    ],
)
def test_an_error_is_json_on_request(
    fails: Callable[..., Output], error: StskitError, shown: Mapping[str, object]
) -> None:
    """It has all attributes of the error that have a value, and always the remedy."""
    _, out, err = fails(error, "--json")
    assert (out, json.loads(err)) == ("", {"error": type(error).__name__, "message": "odd", **shown})


@pytest.mark.case("P10")
@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["assume", HUB, "--json", "--duration", "soon"], {"option"}),
        (["assume", HUB, "--json"], set()),
        (["whoami", "x", "--json"], set()),
        (["process", HUB, "--json", "--profile"], {"option"}),
        (["process", HUB, "--json", "--json-field", "a"], {"option"}),
        (["exec", HUB, "--json", "--profile", "base", "--", "./none"], set()),
    ],
)
def test_every_error_of_the_command_line_is_json_too(
    stub: Stub, run: Run, executed: list[Executed], arguments: list[str], keys: set[str]
) -> None:
    """This includes errors of the arguments, and a command that cannot be started."""
    status, out, err = run(*arguments)
    assert (status in (2, 126), out) == (True, "")
    assert json.loads(err).keys() == {"error", "message", "remedy"} | keys


def test_the_error_of_sts_contains_no_secret(stub: Stub, run: Run) -> None:
    """The error has all attributes and no secret."""
    stub.answers.append(refused("AccessDenied", status=403))
    found, out, err = run("process", HUB, "--profile", "base", "--json")
    shown = json.loads(err)
    assert (found, out, shown["error"], shown["operation"], shown["role_arn"]) == (5, "", "STSError", "AssumeRole", HUB)
    assert BASE.secret_access_key not in err


def test_an_expired_assertion_has_its_own_status(stub: Stub, run: Run) -> None:
    """The status is 4, also if STS reports it because the clocks differ. Expired credentials have another status."""
    status, _, err = run("process", "--saml-file", str(DATA / "saml" / "plain.b64"))
    assert (status, stub.requests) == (4, [])
    assert "Sign in again" in err
    stub.answers.extend([refused("ExpiredTokenException")] * 2)
    assert run("process", "--saml-file", saml(ROLE))[0] == 4
    assert run("process", HUB, "--profile", "base")[0] == 5


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["process", "--saml-file", "saml.log", "--tag", "a=b"], 2, "cannot be used with AssumeRoleWithSAML"),
        (["process", "--keys-file", "keys.json", "--session-token"], 3, "GetSessionToken needs the long-term"),
    ],
)
def test_an_invalid_request_is_not_sent(stub: Stub, run: Run, arguments: list[str], status: int, said: str) -> None:
    """The error is reported before STS is called."""
    Path("keys.json").write_text(json.dumps(Credentials("ASIA", "secret", "token").as_dict()))
    saml(ROLE)
    found, _, err = run(*arguments)
    assert (found, stub.requests) == (status, [])
    assert said in err


def test_ctrl_c_ends_without_a_message(fails: Callable[..., Output]) -> None:
    """The status is 130, as for other programs."""
    assert fails(KeyboardInterrupt()) == (130, "", "")


# Streams and terminals ------------------------------------------------------------------------------------------------


@pytest.mark.case("X18")
@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        ("--version >&-", 1, "stskit: Cannot write to standard output: Bad file descriptor.\n"),
        ("--version >/dev/full", 1, "stskit: Cannot write to standard output: No space left on device.\n"),
        ("roles nix 2>/dev/full", 3, ""),
    ],
)
def test_a_closed_or_full_stream_does_not_change_the_status(
    command: str, status: int, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no traceback. Python would write buffered text at exit and fail, so the text is dropped."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    if "/dev/full" in command and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    line = f"{sys.executable} -X dev -m stskit {command}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", error)


def test_a_reader_that_closes_the_pipe_is_not_an_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A reader such as `head` can stop. The status shows that not everything was written."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit, match="1"):
            main(["--version"])
    assert capfd.readouterr().err == ""


def test_a_closed_output_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is 1."""
    monkeypatch.setattr(sys, "stdout", None)
    assert run("--version")[::2] == (1, "stskit: Cannot write to standard output: Bad file descriptor.\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("name", "status"), [("stdout", 1), ("stderr", 3)])
def test_a_full_stream_is_ignored(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, status: int
) -> None:
    """Closing the stream does not write again."""
    Path("keys.json").write_text(json.dumps(Credentials("ASIA", "secret", "token").as_dict()))
    keys = "keys.json" if name == "stdout" else "nix"
    with open("/dev/full", "w") as stream:
        monkeypatch.setattr(sys, name, stream)
        assert main(["process", "--keys-file", keys]) == status
        monkeypatch.undo()
    assert ("No space left" in capfd.readouterr().err) == (name == "stdout")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["whoami", "--keys-file", "-"], 3, "standard input is empty. It must contain credentials"),
        (
            ["process", HUB, "--profile", "base", "--policy-file", "-"],
            3,
            "standard input is empty. It must contain a session policy",
        ),
        (["whoami", "--nope"], 2, "There is no option --nope"),
    ],
)
def test_closed_streams_are_treated_as_empty(
    stub: Stub, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, said: str
) -> None:
    """A closed standard input is empty, and text for a closed standard error is dropped."""
    monkeypatch.setattr(sys, "stdin", None)
    found, _, err = run(*arguments)
    assert (found, said in err) == (status, True)
    sys.stdin.close()
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    assert run(*arguments)[0] == status
    for opened in (sys.stdin, sys.stderr):
        opened.close()


def test_characters_outside_the_encoding_are_escaped(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the file is printed with an escape, and the status is 0."""
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["assume", HUB, "--profile", "base", "--to-dotenv", "d\xfc.env"]) == 0
        stream.seek(0)
        assert stream.readline() == "variables in d\\xfc.env\n"


def test_control_characters_are_not_printed(stub: Stub, run: Run) -> None:
    """Names in files of other people can contain control characters, which are escaped."""
    odd, escaped = "\x1b[2J\x9b\u202e", r"\x1b[2J\x9b\u202e"
    now = datetime.now(UTC)
    values = {"Role": [f"{ROLE}\x9b,{PROVIDER}"], "RoleSessionName": ["al\u202eice"]}
    Path("odd.log").write_text(encoded(response(values, start=now, end=now + timedelta(minutes=5))))
    Path("shared").write_text("opaque")
    Path("shared").chmod(0o644)
    Path("shared").rename(odd)
    shown = [
        run("roles", "odd.log"),
        run("assume", "nobody", "--saml-file", "odd.log", "--to-process"),
        run("roles", f"{odd}-"),
        run("assume", HUB, "--oidc-token-file", odd, "--to-dotenv", "env"),  # with a warning
        run("assume", HUB, "--profile", "base", "--to-dotenv", f"{odd}.env"),
        run("assume", "--saml-file", two_responses(f"{odd}.log"), "--to-process"),  # with a note
    ]
    for output in shown:
        assert all(each.isprintable() or each == "\n" for text in output[1:] for each in text)
    assert [escaped in "".join(output[1:]) for output in shown] == [False, False, True, True, True, True]


def test_each_warning_and_note_is_one_line(stub: Stub, run: Run, executed: list[Executed]) -> None:
    """They do not show a place in the code. For a program, notes are not shown."""
    Path("token").write_text("opaque-token")
    Path("token").chmod(0o644)
    status, _, err = run("assume", HUB, "--oidc-token-file", "token", "--to-process")
    assert status == 0
    assert all(line.startswith("stskit: warning: token") for line in err.splitlines())
    log = two_responses("two.log")
    assert "using this SAML response" in run("assume", "--saml-file", log, "--to-process")[2]
    assert run("assume", "--saml-file", log, "--to-process", "--json")[2] == ""
    assert run("process", "--saml-file", log)[2] == ""
    assert run("exec", "--saml-file", log, "--", "x")[2] == "stskit: x could not be started: not really run.\n"


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_used_at_terminals_only(
    run: Run, monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], coloured: bool
) -> None:
    """NO_COLOR and a simple terminal switch colours off."""
    assert "\033" not in run("roles", "nix")[2]
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert ("\033[31mstskit:\033[0m" in run("roles", "nix")[2]) == coloured


def test_secrets_are_printed_only_on_request(stub: Stub, run: Run) -> None:
    """Neither a result nor a warning shows a secret."""
    outputs = [*run("assume", HUB, "--profile", "base", "--to-profile", "p"), *run("whoami", "--profile", "p")]
    shown = "".join(map(str, outputs))
    assert all(secret not in shown for secret in (SECRET_KEY, SESSION_TOKEN, BASE.secret_access_key))


@pytest.mark.case("P10")
def test_help_and_version_are_printed(run: Run) -> None:
    """Each command has a help page."""
    status, out, _ = run("--version")
    assert (status, out.startswith("stskit ")) == (0, True)
    for command in ("roles", "assume", "exec", "process", "whoami", "doctor"):
        status, out, _ = run(command, "--help")
        assert (status, f"usage: stskit {command}" in out) == (0, True)


def test_a_program_can_capture_the_output(stub: Stub) -> None:
    """Standard output can be a stream without an encoding."""
    with redirect_stdout(io.StringIO()) as captured:
        assert main(["whoami", "--profile", "base"]) == 0
    assert "account" in captured.getvalue()


def test_the_module_can_be_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m stskit` does the same."""
    monkeypatch.setattr(sys, "argv", ["stskit", "roles", "nix"])
    with pytest.raises(SystemExit, match="3"):
        run_path(str(PACKAGE / "__main__.py"), run_name="__main__")
    assert capsys.readouterr().err.startswith("stskit: There is no file nix")


# roles and doctor -----------------------------------------------------------------------------------------------------


@pytest.mark.case("P5")
def test_the_roles_of_an_assertion_are_a_table(run: Run) -> None:
    """The output also shows the subject and the expiry. JSON has the times in ISO 8601."""
    path = saml(ROLE, f"{ROLE}-long-name")
    status, out, err = run("roles", path)
    lines = out.splitlines()
    assert (status, err, lines[0].split()) == (0, "", ["ACCOUNT", "ROLE", "PROVIDER"])
    assert lines[1].split() == ["123456789012", ROLE, PROVIDER]
    assert "  subject      alice" in lines
    assert "UTC (in 5 min)" in out or "UTC (in 4 min)" in out  # Some time has passed since.
    shown = json.loads(run("roles", path, "--json")[1])
    assert shown["roles"][0] == {"role_arn": ROLE, "principal_arn": PROVIDER}
    assert (shown["issuer"], shown["not_on_or_after"][-1]) == ("https://idp.example", "Z")


def test_an_expired_assertion_can_be_examined(run: Run) -> None:
    """The output shows that it has expired."""
    status, out, _ = run("roles", str(DATA / "saml" / "plain.b64"))
    assert status == 0
    assert " days ago" in out
    Path("none.log").write_text(encoded(response({}, end=None)))
    out = run("roles", "none.log")[1]
    assert ("It offers no role of AWS" in out, "valid until" in out) == (True, False)


BAD: Mapping[str, bytes] = {
    "empty": b"",
    "binary": bytes(range(256)),
    "nul": b"\0" * 100,
    "utf-16": "<p/>".encode("utf-16"),
    "page": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "token": b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
    "deep": b"<a>" * 100_000,
    "cut": b64decode((DATA / "saml" / "plain.b64").read_bytes())[:900],
    "har": b'{"log": {"entries": []}}',
    "log-cut": b'{"log": {"entries": [',
    "failed": encoded(response(status="Requester")).encode(),
    "two": encoded(response(extra="<a:Assertion/>")).encode(),
    "deflated": b"fZFfa8IwFMXfB/sOJe82",
}
FILES = [*BAD, "folder", "fifo", "missing"]


@pytest.fixture
def bad(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a file that cannot be used, or a path that is not a file."""
    name: str = request.param
    path = tmp_path / name
    if name in BAD:
        path.touch(0o600)
        path.write_bytes(BAD[name])
    elif name == "folder":
        path.mkdir()
    elif name == "fifo":
        os.mkfifo(path)
    return path


@pytest.mark.parametrize("bad", FILES, indirect=True)
def test_roles_reports_each_bad_file_in_one_sentence(run: Run, bad: Path) -> None:
    """The error names the file, the problem and the remedy, without a traceback."""
    status, out, err = run("roles", str(bad))
    assert (status, out, err.count("\n")) == (3, "", 1)
    assert err.startswith("stskit: ")
    assert str(bad) in err


@pytest.mark.parametrize(
    ("option", "bad"),
    [
        *(("--saml-file", each) for each in ("page", "deep", "fifo")),
        *(("--keys-file", each) for each in ("binary", "token", "deep", "folder", "missing")),
        *(("--oidc-token-file", each) for each in ("empty", "nul", "page", "har", "log-cut", "fifo", "missing")),
    ],
    indirect=["bad"],
)
def test_doctor_reports_each_bad_file_in_one_sentence(run: Run, bad: Path, option: str) -> None:
    """The finding shows the problem, and the remedy on its own line. The status is 1."""
    status, out, err = run("doctor", "--offline", option, str(bad))
    (said,) = (number for number, line in enumerate(out.splitlines()) if str(bad) in line)
    assert (status, err) == (1, "")
    assert out.splitlines()[said].startswith("wrong  ")
    assert out.splitlines()[said].endswith(".")
    assert out.splitlines()[said + 1].startswith("       ")


def test_doctor_reports_facts_and_problems(run: Run, stskit_aws: FakeSTS) -> None:
    """The output is lines of text or a JSON list. The status is 1 if there is a problem. No role is assumed."""
    status, out, err = run("doctor", "--profile", "default")
    assert (status, err) == (0, "")
    assert out.startswith("ok     versions: stskit ")
    assert "ok     clock: " in out
    assert stskit_aws.calls == []
    status, out, _ = run("doctor", "--profile", "gone", "--offline", "--json")
    assert status == 1
    # It has no findings that follow from this one.
    (wrong,) = (each for each in json.loads(out) if each["state"] == "wrong")
    assert wrong["about"] == "profile gone"
    assert wrong.keys() == {"about", "state", "text", "remedy", "facts"}


def test_doctor_has_the_options_of_the_call(run: Run) -> None:
    """It uses the field of the token and the endpoint."""
    Path("token.json").touch(0o600)
    Path("token.json").write_text(json.dumps({"id_token": "opaque-token"}))
    look = ("doctor", "--offline", "--oidc-token-file", "token.json", "--region", "us-east-2")
    out = run(*look, "--json-field", "id_token", "--use-fips")[1]
    assert "ok     OIDC token file: token.json contains a token" in out
    assert "us-east-2 (from --region)" in out
    assert "https://sts-fips.us-east-2.amazonaws.com" in out
    assert "http://127.0.0.1:1 (from --endpoint-url)" in run(*look, "--endpoint-url", "http://127.0.0.1:1")[1]
