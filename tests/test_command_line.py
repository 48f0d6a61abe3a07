"""The command line says what the library does: results to people or as JSON, errors with the next step and a status."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import termios
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from runpy import run_path

import pytest
from botocore.session import Session
from fake_server import SECRET_KEY, SESSION_TOKEN, FakeServer, fake_server, granted, refused
from helpers import PACKAGE
from local_aws import LocalAWS
from saml_samples import PROVIDER, ROLE, encoded, response

from stskit import Credentials
from stskit.__main__ import main
from stskit._cli.parser import parse
from stskit._cli.recipe import region, server
from stskit.sinks import CredentialsFile
from stskit.sources import Profile
from stskit.testing import FakeSTS

HUB = "arn:aws:iam::123456789012:role/Hub"
HERE = [sys.executable, "-m", "stskit"]
DATA = Path(__file__).parent / "data"
BASE = Credentials("AKIABASE", "base/secret+canary-kkkkkkkkkkkkkkk")

Told = tuple[int, str, str]
Run = Callable[..., Told]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line sets for its own process is as before after a test."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "_STSKIT_CREDENTIAL_PROCESSES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process; gives exit status, standard output and standard error."""

    def call(*arguments: str) -> Told:
        try:
            status = main(arguments)
        except SystemExit as end:  # argparse's way
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """An STS that grants all, and a profile `base` to ask it with."""
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        BASE.to(CredentialsFile("base"))
        yield server


def separately(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [*HERE, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def in_an_hour() -> str:
    """As STS writes it."""
    return f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


# The recipes of the AWS CLI, on real servers --------------------------------------------------------------------------


@pytest.fixture
def real(aws: LocalAWS, base: Credentials, monkeypatch: pytest.MonkeyPatch) -> LocalAWS:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.sts_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    base.to(CredentialsFile("base"))
    Path("token").touch(0o600)
    Path("token").write_text(aws.idp.oidc_token())
    Path("saml.log").write_text(aws.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)]))
    return aws


def test_a_saml_response_becomes_a_profile_in_one_line(
    real: LocalAWS, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role and its provider are found in it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", real.saml_url)
    status, out, err = run("assume", "--saml-file", "saml.log", "--to-profile", "deploy", "--set-region", "eu-west-1")
    assert (status, err) == (0, "")
    assert out.startswith(f"profile deploy in {Path.home()}/.aws/credentials\n  account  123456789012\n  arn ")
    session = Session(profile="deploy")
    assert session.get_credentials() is not None
    assert session.get_scoped_config()["region"] == "eu-west-1"


def test_a_role_is_assumed_from_a_profile_through_another_in_one_line(real: LocalAWS, run: Run) -> None:
    """From left to right the path taken; for a program the result is JSON."""
    status, out, err = run(
        "assume", real.hub_role, real.target_role, "--profile", "base", "--to-profile", "reports", "--json"
    )
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert (told["profile"], told["account"]) == ("reports", "123456789012")
    assert told["arn"].startswith("arn:aws:sts::123456789012:assumed-role/Reports/")
    assert told["expiration"].endswith("Z")
    status, out, _ = run("whoami", "--profile", "reports")
    assert status == 0
    assert "  account  123456789012\n" in out
    assert "assumed-role/Reports/" in out
    _, out, _ = run("whoami", "--profile", "reports", "--json")
    assert json.loads(out).keys() == {"account", "arn", "user_id"}


def test_an_oidc_token_becomes_a_profile_in_one_line(real: LocalAWS, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the one of the environment too, with the role that is named there."""
    assert run("assume", real.web_role, "--oidc-token-file", "token", "--to-profile", "web")[0] == 0
    assert Session(profile="web").get_credentials() is not None
    monkeypatch.setenv("AWS_ROLE_ARN", real.web_role)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
    status, out, _ = run("assume", "--from-env", "--session-name", "job-7", "--to-process")
    assert status == 0
    assert json.loads(out)["Version"] == 1


def test_a_command_runs_with_the_credentials(real: LocalAWS) -> None:
    """And without what the environment said of others; its exit status is the one of stskit."""
    script = (
        "import os, sys, boto3\n"
        "arn = boto3.client('sts').get_caller_identity()['Arn']\n"
        "print(arn, os.environ['AWS_REGION'], 'AWS_PROFILE' in os.environ)\n"
        "sys.exit(7)"
    )
    command = [sys.executable, "-c", script]
    done = separately(
        "exec", real.hub_role, "--profile", "base", "--set-region", "us-east-1", "--", *command, AWS_PROFILE="other"
    )
    assert (done.returncode, done.stderr) == (7, "")
    assert "assumed-role/Hub/" in done.stdout
    assert done.stdout.endswith(" us-east-1 False\n")


# exec -----------------------------------------------------------------------------------------------------------------


def test_the_command_gets_the_signals_itself(stub: FakeServer) -> None:
    """It is in the place of stskit: the same process, and no ignored signals but those that were ignored before."""
    script = (
        "import os, signal\n"
        "print([int(each) for each in signal.Signals if signal.getsignal(each) is signal.SIG_IGN], flush=True)\n"
        "print(os.getpid(), flush=True)\n"
        "signal.pause()"
    )

    def ignored(*before: str) -> str:
        with subprocess.Popen([*before, sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
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


def test_a_command_that_reads_a_part_ends_the_one_that_writes(stub: FakeServer) -> None:
    """`yes` ends by the signal that a closed pipe sends, which Python had ignored."""
    command = f"{sys.executable} -m stskit exec {HUB} --profile base -- yes | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == (f"y\n{128 + signal.SIGPIPE}\n", "")


@pytest.fixture
def signals() -> Iterator[None]:
    """Those that exec sets as programs have them, and this process does not want so."""
    before = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_command_that_cannot_be_run_has_the_status_that_shells_give(stub: FakeServer, run: Run) -> None:
    """127 where there is none, 126 where it is no program. It would have had the signals that Python ignores."""
    (Path.cwd() / "text").write_text("")
    assert run("exec", HUB, "--profile", "base", "--", "no-such-command")[::2] == (
        127,
        "stskit: no-such-command cannot be run: No such file or directory\n",
    )
    assert run("exec", HUB, "--profile", "base", "--", "./text")[::2] == (
        126,
        "stskit: ./text cannot be run: Permission denied\n",
    )
    assert [signal.getsignal(each) for each in (signal.SIGPIPE, signal.SIGXFSZ)] == [signal.SIG_DFL, signal.SIG_DFL]


def test_a_command_has_to_be_there(run: Run) -> None:
    """Before anything is asked; what is after the dashes is not for stskit."""
    for arguments in (["exec", HUB], ["exec", HUB, "--"]):
        status, _, err = run(*arguments)
        assert status == 2
        assert "stskit exec ROLE -- aws s3 ls" in err


@pytest.mark.usefixtures("stub")
def test_the_profile_that_is_named_says_the_region_too(
    stub: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the AWS CLI; one that the environment names, and that need not exist, plays no part."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_PROFILE", "gone")
    BASE.to(CredentialsFile("base", region="eu-south-1"))
    assert run("process", HUB, "--profile", "base")[0] == 0
    assert "/eu-south-1/sts/" in stub.requests[0].headers["authorization"]


# process --------------------------------------------------------------------------------------------------------------


@pytest.mark.case("X15")
def test_a_process_prints_the_document_and_nothing_else(stub: FakeServer) -> None:
    """One line; where it fails nothing, with the reason on standard error."""
    done = separately("process", HUB, "--profile", "base")
    assert Credentials.from_dict(json.loads(done.stdout)).session_token == SESSION_TOKEN
    assert (done.stdout.count("\n"), done.stderr, done.returncode) == (1, "", 0)
    done = separately("process", HUB, "--profile", "no-such-profile")
    assert (done.stdout, done.returncode) == ("", 3)
    assert done.stderr.startswith("stskit: ")


@pytest.mark.case("X18")
@pytest.mark.parametrize(("where", "why"), [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_an_output_that_takes_nothing_is_an_error_and_no_traceback(stub: FakeServer, where: str, why: str) -> None:
    """Also where there is no output at all."""
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -X dev -m stskit process {HUB} --profile base {where}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"stskit: standard output cannot be written: {why}\n")


def test_a_reader_that_has_had_enough_is_no_error_to_tell(stub: FakeServer) -> None:
    """As `head` has; the status still says that not all was written."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*HERE, "process", HUB, "--profile", "base"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("output", ["full", "closed", "none"])
def test_what_cannot_be_printed_has_a_status(
    monkeypatch: pytest.MonkeyPatch, output: str, stub: FakeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same in this process, on a file that is full, a pipe that is closed, and with none."""
    if output == "none":
        monkeypatch.setattr(sys, "stdout", None)
        assert main(["process", HUB, "--profile", "base"]) == 1
        return
    if output == "full":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        read, descriptor = os.pipe()
        os.close(read)
    with open(descriptor, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["process", HUB, "--profile", "base"]) == 1
    assert ("No space left" in capfd.readouterr().err) == (output == "full")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_error_that_cannot_be_told_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for standard error: the status stays, and the stream closes without another try."""
    with open("/dev/full", "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(["roles", "nix"]) == 3
        monkeypatch.undo()


@pytest.mark.case("X19")
@pytest.mark.parametrize("program", ["stskit", f"{sys.executable} -m stskit"])
def test_a_process_that_asks_for_its_own_profile_says_so(home: Path, program: str, stub: FakeServer) -> None:
    """The very one that the AWS SDK has started, and not only the one after it."""
    program = (
        program.replace("stskit", str(Path(sys.executable).with_name("stskit")), 1) if program == "stskit" else program
    )
    (home / ".aws" / "config").write_text(
        f"[profile loop]\ncredential_process = {program} process {HUB} --profile loop\n"
    )
    done = separately("process", HUB, "--profile", "loop")
    assert done.returncode == 3
    assert "asks for the credentials of this very profile" in done.stderr
    assert stub.requests == []


def test_a_process_marks_itself(stub: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """For what it starts."""
    monkeypatch.setenv("_STSKIT_CREDENTIAL_PROCESSES", "")
    assert run("process", HUB, "--profile", "base")[0] == 0
    assert len(os.environ["_STSKIT_CREDENTIAL_PROCESSES"]) == 64


# assume: each option arrives ------------------------------------------------------------------------------------------


def test_every_option_of_a_role_is_sent(stub: FakeServer, run: Run, tmp_path: Path) -> None:
    """Under the names that STS has."""
    policy = tmp_path / "policy.json"
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
        "--mfa-serial": "arn:aws:iam::123456789012:mfa/alice",
        "--mfa-command": "echo 123 456".replace(" 456", "456"),
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
        "SerialNumber": "arn:aws:iam::123456789012:mfa/alice",
        "TokenCode": "123456",
    }


def test_of_a_chain_the_last_role_has_the_options_and_the_first_the_code(stub: FakeServer, run: Run) -> None:
    """As the help says."""
    mfa = ("--mfa-serial", "arn:aws:iam::123456789012:mfa/bob", "--mfa-command", "echo 222222")
    assert run("assume", HUB, ROLE, "--profile", "base", "--to-process", "--session-name", "last", *mfa)[0] == 0
    first, last = (request.form for request in stub.requests)
    assert ("TokenCode" in first, first["RoleSessionName"] == "last") == (True, False)
    assert ("TokenCode" in last, last["RoleSessionName"]) == (False, "last")


def test_one_code_is_given_for_a_session_of_the_user(stub: FakeServer, run: Run) -> None:
    """And the role is assumed from that."""
    mfa = ("--mfa-serial", "arn:aws:iam::123456789012:mfa/carol", "--mfa-command", "echo 333333", "--session-token")
    assert run("assume", HUB, "--profile", "base", "--to-process", *mfa)[0] == 0
    assert [(each.form["Action"], "TokenCode" in each.form) for each in stub.requests] == [
        ("GetSessionToken", True),
        ("AssumeRole", False),
    ]
    assert run("assume", HUB, "--profile", "base", "--to-process", "--session-token")[0] == 0


def test_a_person_is_asked_for_a_code_at_the_terminal(stub: FakeServer) -> None:
    """Which does not show it; where nobody answers, that is what is said."""
    import pty

    leader, follower = pty.openpty()
    command = [*HERE, "process", HUB, "--profile", "base", "--mfa-serial", "arn:aws:iam::123456789012:mfa/dave"]
    question = "MFA code of arn:aws:iam::123456789012:mfa/dave: "
    with subprocess.Popen(
        command, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stderr is not None
            asked = process.stderr.read(len(question))  # what is typed before is thrown away
            os.write(leader, b"444444\n")
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    os.close(leader)
    os.close(follower)
    assert process.returncode == 0, err
    assert asked == question
    assert json.loads(out)["Version"] == 1
    assert stub.requests[0].form["TokenCode"] == "444444"
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        start_new_session=True,
    )
    assert done.returncode == 4
    assert "--mfa-command" in done.stderr


@pytest.mark.parametrize(("typed", "status"), [("555555", 0), (EOFError(), 4), (KeyboardInterrupt(), 130)])
def test_a_person_may_answer_or_not(
    stub: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch, typed: str | BaseException, status: int
) -> None:
    """A code, the end of the input, or Ctrl-C."""

    def answer(_prompt: str) -> str:
        if isinstance(typed, BaseException):
            raise typed
        return typed

    monkeypatch.setattr("getpass.getpass", answer)
    found, out, _ = run("process", HUB, "--profile", "base", "--mfa-serial", "arn:aws:iam::123456789012:mfa/erin")
    assert (found, out != "") == (status, status == 0)


def test_the_server_is_the_one_that_is_named(run: Run) -> None:
    """Region and endpoint; without TLS on another machine only where that is allowed."""
    with fake_server(granted) as server:
        BASE.to(CredentialsFile("base"))
        asked = ("assume", HUB, "--profile", "base", "--to-process", "--region", "eu-west-3", "--endpoint-url")
        assert run(*asked, server.url)[0] == 0
        assert "/eu-west-3/sts/" in server.requests[0].headers["authorization"]
    status, _, err = run(*asked, "http://192.0.2.1")
    assert status in (5, 6)
    assert "--allow-http" in err
    status, _, err = run(*asked, "http://[::1]:1", "--allow-http")
    assert status == 6


def test_the_cache_of_the_user_is_used_where_that_is_asked_for(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands, one call."""
    with fake_server(lambda request: granted(request, Expiration=in_an_hour())) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        BASE.to(CredentialsFile("base"))
        first = run("process", HUB, "--profile", "base", "--cache")
        assert run("process", HUB, "--profile", "base", "--cache") == first
        assert len(server.requests) == 1
    assert list((home / ".cache" / "stskit").glob("*.json"))


def test_a_session_of_the_user_is_kept_too(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One code, in one command, serves another role in the next."""
    mfa = ("--mfa-serial", "arn:aws:iam::123456789012:mfa/carol", "--session-token", "--cache")
    with fake_server(lambda request: granted(request, Expiration=in_an_hour())) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        BASE.to(CredentialsFile("base"))
        assert run("process", HUB, "--profile", "base", *mfa, "--mfa-command", "echo 444444")[0] == 0
        assert run("process", ROLE, "--profile", "base", *mfa, "--mfa-command", "false")[0] == 0
        mine = ("--region", "eu-west-3", "--endpoint-url", server.url)
        assert run("process", f"{ROLE}3", "--profile", "base", *mfa, *mine, "--mfa-command", "echo 444446")[0] == 0
        assert all("/eu-west-3/sts/" in each.headers["authorization"] for each in server.requests[3:])
    actions = [each.form["Action"] for each in server.requests]
    assert actions == ["GetSessionToken", "AssumeRole", "AssumeRole", "GetSessionToken", "AssumeRole"]


def test_a_role_that_was_just_made_is_tried_for_a_while(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as is said, up to a minute."""
    with fake_server(refused("AccessDenied", status=403), granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        BASE.to(CredentialsFile("base"))
        monkeypatch.setattr("time.sleep", lambda _seconds: None)
        arguments = ("assume", HUB, "--profile", "base", "--to-process", "--wait-for-new-role")
        assert run(*arguments, "30s")[0] == 0
        assert run(*arguments, "61s")[0] == 2
        monkeypatch.setenv("AWS_ROLE_ARN", HUB)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
        assert run("process", "--from-env", "--wait-for-new-role", "61s")[0] == 2


# assume: where credentials go -----------------------------------------------------------------------------------------


def test_a_shell_gets_text_or_json(stub: FakeServer, run: Run) -> None:
    """That is what the command is for, so it shows them."""
    status, out, _ = run("assume", HUB, "--profile", "base", "--to-shell", "--set-region", "eu-west-1")
    assert status == 0
    assert f"export AWS_SESSION_TOKEN='{SESSION_TOKEN}';\n" in out
    assert "export AWS_REGION='eu-west-1';\n" in out
    _, out, _ = run("assume", HUB, "--profile", "base", "--to-shell", "fish")
    assert f"set -gx AWS_SESSION_TOKEN '{SESSION_TOKEN}';\n" in out
    _, out, _ = run("assume", HUB, "--profile", "base", "--to-shell", "--set-region", "eu-west-1", "--json")
    assert json.loads(out)["AWS_REGION"] == "eu-west-1"


def test_a_dotenv_file_and_a_profile_take_their_options(stub: FakeServer, run: Run, tmp_path: Path) -> None:
    """Files of one's own, a backup, the output format, a name with a blank."""
    env = tmp_path / ".env"
    env.touch(0o600)
    env.write_text("A=1\n")
    assert run("assume", HUB, "--profile", "base", "--to-dotenv", str(env), "--backup")[0] == 0
    assert env.with_name(".env.bak").read_text() == "A=1\n"
    assert run("assume", HUB, "--profile", "base", "--to-dotenv", str(env), "--set-region", "eu-west-1")[0] == 0
    assert "AWS_REGION=eu-west-1\n" in env.read_text()
    assert run("assume", HUB, "--profile", "base", "--to-profile", "kept", "--backup")[0] == 0
    assert (Path.home() / ".aws" / "credentials.bak").exists()
    assert server(parse(["whoami", "--use-fips"])).use_fips
    files = ("--credentials-file", str(tmp_path / "keys"), "--config-file", str(tmp_path / "conf"))
    assert run("assume", HUB, "--profile", "base", "--to-profile", "p", "--set-output", "json", *files)[0] == 0
    assert (tmp_path / "conf").read_text() == "[profile p]\noutput = json\n"
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
    status, _, err = run("assume", HUB, "--profile", "base", "--to-profile", "a b")
    assert (status, "--any-name" in err) == (7, True)
    assert run("assume", HUB, "--profile", "base", "--to-profile", "a b", "--any-name")[0] == 0


def test_a_place_that_is_none_costs_no_call(stub: FakeServer, run: Run) -> None:
    """It is looked at first."""
    status, out, err = run("assume", HUB, "--profile", "base", "--to-profile", "DEFAULT")
    assert (status, out, stub.requests) == (7, "", [])
    assert err.startswith("stskit: ")


def test_long_term_keys_are_lost_only_where_that_is_asked_for(stub: FakeServer, run: Run, home: Path) -> None:
    """The message names the option, as one would write it here."""
    status, out, err = run("assume", HUB, "--profile", "base", "--to-profile", "base")
    assert (status, out) == (7, "")
    assert "pass --overwrite if that may be" in err
    assert run("assume", HUB, "--profile", "base", "--to-profile", "base", "--overwrite")[0] == 0
    assert BASE.secret_access_key not in (home / ".aws" / "credentials").read_text()


# assume: which proof --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["file", "-"])
def test_keys_come_from_json(
    stub: FakeServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """From a file or standard input, in the shape that aws sts prints."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"Credentials": Credentials("ASIAFILE", "s", "t").as_dict()}))
    with path.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert run("assume", HUB, "--keys-file", str(path) if source == "file" else "-", "--to-process")[0] == 0
    assert stub.requests[0].access_key_id == "ASIAFILE"


@pytest.mark.parametrize(
    "text", ["[aws]\nsecret-canary = 1", '{"AccessKeyId": "secret-canary"}', '["secret-canary"]', "[" * 5000]
)
def test_what_is_no_json_of_keys_is_said_without_its_text(run: Run, tmp_path: Path, text: str) -> None:
    """One sentence, with the file's name."""
    (tmp_path / "keys").write_text(text)
    status, out, err = run("whoami", "--keys-file", "keys")
    assert (status, out) == (3, "")
    assert err.startswith("stskit: keys holds no credentials: ")
    assert "canary" not in err


def saml(*roles: str, name: str = "saml.log") -> str:
    now = datetime.now(UTC)
    pairs = [f"{role},{PROVIDER}" for role in roles]
    Path(name).write_text(encoded(response({"Role": pairs}, start=now, end=now + timedelta(minutes=5))))
    return name


def test_a_role_of_an_assertion_may_be_given_by_its_name(stub: FakeServer, run: Run) -> None:
    """Where it is the only one of that name, in capitals or not."""
    path = saml(ROLE, "arn:aws:iam::123456789012:role/path/Admin", "arn:aws:iam::210987654321:role/Admin")
    for name in ("app", "APP"):
        assert run("assume", name, "--saml-file", path, "--to-process")[0] == 0
        assert stub.requests[-1].form["RoleArn"] == ROLE
    for name in ("path/Admin", "123456789012/Admin", "123456789012/path/Admin"):
        assert run("assume", name, "--saml-file", path, "--to-process")[0] == 0
        assert stub.requests[-1].form["RoleArn"] == "arn:aws:iam::123456789012:role/path/Admin"
    status, _, err = run("assume", "Admin", "--saml-file", path, "--to-process")
    assert status == 2
    assert err.splitlines()[1:] == [
        "  arn:aws:iam::123456789012:role/path/Admin",
        "  arn:aws:iam::210987654321:role/Admin",
    ]
    assert run("assume", "arn:aws:iam::210987654321:role/Admin", "--saml-file", path, "--to-process")[0] == 0


@pytest.mark.parametrize("roles", [(), (ROLE, f"{ROLE}2")])
def test_where_the_role_is_not_clear_those_that_are_offered_are_listed(
    stub: FakeServer, run: Run, roles: Sequence[str]
) -> None:
    """With what to type next."""
    status, _, err = run("assume", "--saml-file", saml(*roles), "--to-process")
    assert (status, stub.requests) == (2, [])
    assert all(role in err for role in roles)
    status, _, err = run("assume", "nobody", "--saml-file", "saml.log", "--to-process", "--json")
    assert json.loads(err)["offered"] == list(roles)


def test_an_encrypted_assertion_needs_role_and_provider(stub: FakeServer, run: Run) -> None:
    """Only AWS can read it; what is missing is named as an option."""
    path = str(DATA / "saml" / "encrypted.b64")
    for arguments in (["assume", "--saml-file", path, "--to-process"], ["roles", path]):
        status, _, err = run(*arguments)
        assert (status, path in err, "--principal-arn" in err) == (3, True, True)
    assert run("assume", ROLE, "--saml-file", path, "--principal-arn", PROVIDER, "--to-process")[0] == 0
    assert stub.requests[0].form["PrincipalArn"] == PROVIDER


def test_a_token_may_be_a_field_of_a_json_file(stub: FakeServer, run: Run, aws: LocalAWS) -> None:
    """Which is said as an option where it is needed."""
    Path("token.json").touch(0o600)
    Path("token.json").write_text(json.dumps({"id_token": aws.idp.oidc_token()}))
    arguments = ("assume", HUB, "--oidc-token-file", "token.json", "--to-process")
    status, _, err = run(*arguments)
    assert (status, "--json-field NAME" in err) == (3, True)
    assert run(*arguments, "--json-field", "id_token")[0] == 0


# Without a role -------------------------------------------------------------------------------------------------------


def test_a_command_runs_with_the_credentials_of_a_profile_as_they_are(
    stub: FakeServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with its region, where nothing else says one; nothing is asked of STS."""
    (home / ".aws" / "config").write_text("[profile base]\nregion = eu-north-1\n")
    show = "import os; print(*(os.environ.get(f'AWS_{name}') for name in ('ACCESS_KEY_ID', 'PROFILE', 'REGION')))"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    done = separately("exec", "--profile", "base", "--", sys.executable, "-c", show)
    assert done.stdout == "AKIABASE None eu-north-1\n"
    assert stub.requests == []


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [
        ({}, ["--profile", "base"], "eu-north-1"),
        ({}, ["--profile", "base", "--set-region", "eu-west-3"], "eu-west-3"),
        ({}, ["--profile", "other"], None),
        ({}, ["--profile", "empty"], None),
        ({}, ["--profile", "block"], None),
        ({}, ["--keys-file", "keys.json"], None),
        ({"AWS_REGION": "us-west-2"}, ["--profile", "base"], None),
        ({"AWS_DEFAULT_REGION": "us-west-2"}, ["--profile", "base"], None),
        ({"AWS_REGION": ""}, ["--profile", "base"], "eu-north-1"),
        ({"AWS_DEFAULT_REGION": ""}, ["--profile", "base"], "eu-north-1"),
    ],
)
def test_a_command_gets_the_region_that_is_named_for_it(
    environment: dict[str, str],
    arguments: list[str],
    expected: str | None,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the option, else by the profile that is named; what the environment has stays as it is."""
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\n[profile base]\nregion = eu-north-1\n[profile other]\n"
        "[profile empty]\nregion =\n[profile block]\nregion =\n  a = b\n"
    )
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert region(parse(["exec", *arguments, "--", "x"])) == expected


def test_a_session_of_the_user_becomes_a_profile_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one code, which the cache makes serve the next command too, as `aws sts get-session-token` would give it."""
    with fake_server(lambda request: granted(request, Expiration=in_an_hour())) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        BASE.to(CredentialsFile("base"))
        mfa = ("--mfa-serial", "arn:aws:iam::123456789012:mfa/dora", "--session-token", "--cache")
        assert run("assume", "--profile", "base", *mfa, "--mfa-command", "echo 444444", "--to-profile", "mfa")[0] == 0
        assert run("assume", "--profile", "base", *mfa, "--mfa-command", "false", "--to-dotenv", ".env")[0] == 0
    assert [(each.form["Action"], each.form["TokenCode"]) for each in server.requests] == [
        ("GetSessionToken", "444444")
    ]
    assert Profile("mfa").fetch().session_token == SESSION_TOKEN


def test_a_session_of_the_user_may_be_that_of_the_ambient_keys(
    stub: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is asked for where the arguments say."""
    monkeypatch.setenv("AWS_PROFILE", "base")
    status, out, _ = run("process", "--session-token", "--region", "eu-west-3")
    assert (status, json.loads(out)["SessionToken"]) == (0, SESSION_TOKEN)
    assert "/eu-west-3/sts/" in stub.requests[0].headers["authorization"]


def test_credentials_that_are_temporary_go_where_those_of_a_role_go(stub: FakeServer, run: Run) -> None:
    """As those of an SSO profile are."""
    Path("keys.json").write_text(json.dumps(Credentials("ASIA", "secret", "token").as_dict()))
    assert run("assume", "--keys-file", "keys.json", "--to-dotenv", ".env")[0] == 0
    assert "AWS_ACCESS_KEY_ID=ASIA" in Path(".env").read_text()
    assert stub.requests == []


def test_what_a_profile_gets_from_a_process_is_kept_where_that_is_asked_for(
    home: Path, run: Run, tmp_path: Path
) -> None:
    """Two commands, one run of it."""
    keys = {
        "Version": 1,
        "AccessKeyId": "ASIA",
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": in_an_hour(),
    }
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    (tmp_path / "give").write_text(f"echo run >>{tmp_path}/runs; cat {tmp_path}/keys.json")
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(f"[profile slow]\ncredential_process = sh {tmp_path}/give\n")
    first = run("process", "--profile", "slow", "--cache")
    assert first[0] == 0
    assert run("process", "--profile", "slow", "--cache") == first
    assert (tmp_path / "runs").read_text() == "run\n"


def test_long_term_keys_are_not_copied(stub: FakeServer, run: Run) -> None:
    """They would lie in one more place, for ever; the next step is a role or a session."""
    status, out, err = run("assume", "--profile", "base", "--to-dotenv", ".env")
    assert (status, out) == (2, "")
    assert err == "stskit: those are long-term keys, and are not copied; name a role, or add --session-token\n"
    assert not Path(".env").exists()


@pytest.mark.parametrize(
    "option",
    [
        *("--session-name=a", "--duration=1h", "--policy-file=a", "--policy-arn=a", "--tag=a=b", "--transitive-tag=a"),
        *("--external-id=a", "--source-identity=a", "--wait-for-new-role=1s"),
    ],
)
def test_what_is_for_a_role_needs_one(option: str, stub: FakeServer, run: Run) -> None:
    """Else it would do nothing, and a policy that narrows nothing is worse than none."""
    status, _, err = run("process", "--profile", "base", option)
    assert (status, err.partition(" is for a role, and none is named; name it, or ")[0]) == (
        2,
        f"stskit: {option.split('=', maxsplit=1)[0]}",
    )
    assert stub.requests == []


# Called wrongly -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["assume", HUB],
            "say where the credentials go, by one of: --to-profile, --to-shell, --to-dotenv, --to-process",
        ),
        (["assume", HUB, "--to-process", "--to-shell"], "--to-shell and --to-process do not go together"),
        (["assume", "--to-process"], "no role is named; give its ARN, such as arn:aws:iam::123456789012:role/Deploy"),
        (["assume", "--to-process"], "used as they are: name them by --profile or --keys-file, or ask for --session-"),
        (["exec", "--profile", "a", "--mfa-serial", "123456789", "--", "ls"], "is for a role, or for --session-token"),
        (["exec", "--profile", "a", "--region", "b", "--", "ls"], "--region is for a call of STS, and none is made"),
        (["process", "--keys-file", "a", "--endpoint-url", "b"], "--endpoint-url is for a call of STS, and none is"),
        (["process", "--keys-file", "a", "--use-fips"], "--use-fips is for a call of STS, and none is made without"),
        (["process", "--keys-file", "a", "--cache"], "--cache would keep what --keys-file has; leave it out"),
        (["assume", "saml.log", "--to-process"], "saml.log is a file, and no role; is it --saml-file"),
        (
            ["assume", HUB, "--role-arn", "x", "--to-process"],
            "no option --role-arn; a role is given without one: stskit",
        ),
        (["assume", HUB, "Deploy", "--to-process"], "'Deploy' is no role ARN. Several roles are a chain, each assumed"),
        (["roles", "saml.log", "x"], "roles takes no 'x'; see: stskit roles --help"),
        (["assume", "Deploy", "--to-process"], "'Deploy' is no role ARN"),
        (["assume", HUB, "--profile", "a", "--saml-file", "b", "--to-process"], "--profile and --saml-file do not go"),
        (
            ["assume", HUB, "--principal-arn", "a", "--to-process"],
            "--principal-arn goes with --saml-file; leave it out",
        ),
        (["assume", HUB, "--overwrite", "--to-process"], "--overwrite goes with --to-profile"),
        (["assume", HUB, "--backup", "--to-process"], "--backup goes with --to-profile or --to-dotenv"),
        (["assume", HUB, "--set-region", "x", "--to-process"], "--set-region goes with --to-profile or --to-dotenv"),
        (
            ["assume", HUB, "--session-token", "--saml-file", "a", "--to-process"],
            "--session-token is for the long-term",
        ),
        (["assume", HUB, "--from-env", "--to-process"], "--from-env takes the role from AWS_ROLE_ARN"),
        (["assume", "--from-env", "--to-process"], "AWS_ROLE_ARN is not set"),
        (
            ["assume", HUB, "--policy-file", "nix", "--to-process"],
            "there is no file nix; it should hold a session policy",
        ),
        (["assume", HUB, "--mfa-serial", "a", "--mfa-command", "'", "--to-process"], "a quote that does not end"),
        (["assume", HUB, "--mfa-serial", "123456789", "--mfa-command", " ", "--to-process"], "--mfa-command is empty"),
        (
            ["assume", HUB, "--duration", "soon", "--to-process"],
            "'soon' is no time; write it as 3600, 90s, 15m or 1h30m",
        ),
        (["assume", HUB, "--duration", "1m", "--to-process"], "duration"),
        (["assume", HUB, "--tag", "team", "--to-process"], "'team' is no tag; write it as KEY=VALUE"),
        (["assume", HUB, "--tag", "=blue", "--to-process"], "'=blue' is no tag; write it as KEY=VALUE"),
        (["assume", HUB, "--to-shell", "nushell"], "invalid choice: 'nushell'"),
        (["whoami", "--profile", "a", "--keys-file", "b"], "--profile and --keys-file do not go together"),
        (["exec", HUB, "--profile", "a", "ls", "x"], "the command to run comes after two dashes: -- ls x"),
        (["whoami", "x"], "whoami takes no 'x'; is it --profile x?"),
        (["exec", HUB, "--saml", "a"], "there is no option --saml; is it --saml-file?"),
        (["assume", HUB, "saml.log", "--to-process"], "saml.log is a file, and no role"),
        (["assume", "Deploy", "--to-process"], "or say by --saml-file which response offers it: then its name"),
        (["saml.log"], "saml.log is a file, and no command; what it offers is shown by: stskit roles saml.log"),
        (["login"], "invalid choice: 'login'"),
        ([], "{roles,assume,exec,process,whoami,doctor}"),
        ([], "required: COMMAND"),
    ],
)
def test_what_is_called_wrongly_says_how_it_is_called(run: Run, arguments: list[str], said: str) -> None:
    """Nothing is printed but the error, and the status is the one for that."""
    Path("saml.log").write_text("")
    status, out, err = run(*arguments)
    assert (status in (2, 3), out) == (True, "")
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["assume", HUB, "--profile", "", "--saml-file", "x", "--to-process"], "--profile is empty; leave it out"),
        (["assume", HUB, "--json-field", "", "--to-process"], "--json-field is empty"),
        (["assume", HUB, "--endpoint-url", "", "--to-process"], "--endpoint-url is empty"),
        (["assume", HUB, "--to-profile", ""], "is no profile name"),
        (["assume", "--from-env", "--policy-file", "", "--to-process"], "--policy-file is empty"),
        (["assume", "--from-env", "--session-name", "", "--to-process"], "--session-name is empty"),
        (["assume", "--from-env", "--duration", "0", "--to-process"], "duration has 0 seconds"),
        (["exec", HUB, "--", ""], "no command is given"),
    ],
)
def test_an_option_that_is_empty_is_not_one_that_is_left_out(
    stub: FakeServer, run: Run, aws: LocalAWS, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """As an unset variable of a shell leaves it: a session policy must not get lost so."""
    Path("token").touch(0o600)
    Path("token").write_text(aws.idp.oidc_token())
    monkeypatch.setenv("AWS_ROLE_ARN", HUB)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
    status, out, err = run(*arguments)
    assert (status in (2, 7), out, stub.requests) == (True, "", [])
    assert said in err


def test_what_prints_a_code_is_not_quoted(run: Run) -> None:
    """It may have the seed of the device in it."""
    err = run("assume", HUB, "--to-process", "--mfa-serial", "123456789", "--mfa-command", "oathtool 'canary")[2]
    assert ("--mfa-command" in err, "canary" in err) == (True, False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["assume", HUB, "--json", "--duration", "soon"],
        ["assume", HUB, "--json"],
        ["whoami", "x", "--json"],
        ["process", HUB, "--json", "--profile"],
        ["exec", HUB, "--json", "--profile", "base", "--", "no-such-command"],
    ],
)
def test_every_error_is_json_where_that_is_asked_for(
    stub: FakeServer, run: Run, signals: None, arguments: list[str]
) -> None:
    """Also where the arguments cannot be read, and where the command cannot be run."""
    status, out, err = run(*arguments)
    assert (status in (2, 127), out) == (True, "")
    assert json.loads(err).keys() == {"error", "message"}


def test_the_json_of_a_command_is_not_that_of_stskit(run: Run) -> None:
    """What is after the dashes is not for stskit."""
    assert run("exec", HUB, "--nope", "--", "ls", "--json")[2].startswith("stskit: there is no option --nope")


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("whoami --keys-file - <&-", 3, "standard input holds no credentials: it is no JSON"),
        ("process ROLE --profile base --policy-file - <&-", 2, "policy has 0 characters"),
        ("process ROLE --profile base --mfa-serial 123456789 <&-", 4, "no code was given for the MFA device"),
        ("roles nix 2>&-", 3, ""),
        ("roles nix 2>/dev/full", 3, ""),
        ("whoami --nope 2>&-", 2, ""),
        ("--version >&-", 1, "standard output cannot be written"),
        ("--version >/dev/full", 1, "standard output cannot be written"),
    ],
)
def test_a_stream_that_is_closed_or_full_changes_no_status(
    stub: FakeServer, command: str, status: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And there is no traceback; Python keeps what it could not write for later, unless it is told not to."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    if "/dev/full" in command and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    line = f"{sys.executable} -m stskit {command.replace('ROLE', HUB)}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False, start_new_session=True
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_streams_that_are_closed_are_empty_ones(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in this process."""
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert run("whoami", "--keys-file", "-")[:2] == (3, "")
    for stream in (sys.stdin, sys.stderr):
        stream.close()


def test_nothing_that_is_shown_steers_a_terminal(stub: FakeServer, run: Run) -> None:
    """Names come from files of others: what cannot be printed is shown as an escape, and in JSON as JSON has it."""
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
    ]
    for told in shown:
        assert all(each.isprintable() or each == "\n" for text in told[1:] for each in text)
    assert [escaped in "".join(told[1:]) for told in shown] == [False, False, True, True, True]


def test_notes_do_not_steer_a_terminal_either(stub: FakeServer, run: Run) -> None:
    """Which response of several is taken."""
    two = "".join(f"SAMLResponse={Path(saml(role)).read_text()}\n" for role in (ROLE, f"{ROLE}2"))
    Path("\x9btwo.log").write_text(two.replace("+", "%2B"))
    err = run("assume", "--saml-file", "\x9btwo.log", "--to-process")[2]
    assert ("\x9b" in err, r"\x9btwo.log" in err) == (False, True)


def test_what_the_encoding_of_the_output_lacks_is_an_escape(stub: FakeServer) -> None:
    """The file is written by then, and the status says so."""
    done = separately("assume", HUB, "--profile", "base", "--to-dotenv", "dü.env", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, r"variables in d\xfc.env")


def test_a_signal_ends_the_question_for_a_code_alone(
    stub: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it the signal does what it did before."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: signal.raise_signal(signal.SIGTERM))
    assert run("process", HUB, "--profile", "base", "--mfa-serial", "123456789")[:2] == (128 + signal.SIGTERM, "")
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_echoes_again_where_the_question_for_a_code_is_ended(stub: FakeServer, number: int) -> None:
    """A person sees what they type."""
    ours, theirs = os.openpty()
    command = [*HERE, "process", HUB, "--profile", "base", "--mfa-serial", "123456789"]
    script = f"import fcntl, os, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv({command[0]!r}, {command})"
    with subprocess.Popen([sys.executable, "-c", script], stdin=theirs, stderr=theirs, start_new_session=True) as asked:
        said = b""
        while b"MFA code" not in said:
            said += os.read(ours, 1000)
        while termios.tcgetattr(theirs)[3] & termios.ECHO:
            pass
        asked.send_signal(number)
        assert asked.wait(30) == 128 + number
    assert termios.tcgetattr(theirs)[3] & termios.ECHO
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_the_region_of_the_profile_that_is_named_counts(
    stub: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch, home: Path, variable: str
) -> None:
    """And not the one of the profile that the environment names; doctor says so too."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    BASE.to(CredentialsFile("base", region="eu-west-3"))
    BASE.to(CredentialsFile("other", region="us-west-2"))
    monkeypatch.setenv(variable, "other")
    out = run("doctor", "--profile", "base", "--offline")[1]
    assert "STS would be asked in eu-west-3, as the profile says" in out
    monkeypatch.setenv(variable, "other")
    assert run("process", HUB, "--profile", "base")[0] == 0
    assert "/eu-west-3/sts/" in stub.requests[0].headers["authorization"]


def test_help_and_version_are_there(run: Run) -> None:
    """The help of all commands, with no word of it lost."""
    status, out, _ = run("--version")
    assert (status, out.startswith("stskit ")) == (0, True)
    for command in ("roles", "assume", "exec", "process", "whoami", "doctor"):
        status, out, _ = run(command, "--help")
        assert (status, f"usage: stskit {command}" in out) == (0, True)


def test_it_is_a_module_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m stskit` is the same."""
    monkeypatch.setattr(sys, "argv", ["stskit", "roles", "nix"])
    with pytest.raises(SystemExit, match="3"):
        run_path(str(PACKAGE / "__main__.py"), run_name="__main__")
    assert capsys.readouterr().err.startswith("stskit: there is no file nix")


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (refused("AccessDenied", status=403), 5, "STSError"),
        ("reset", 6, "STSUnavailable"),
    ],
)
def test_what_goes_wrong_has_a_status_and_is_json_where_that_is_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch, answer: object, status: int, error: str
) -> None:
    """With all that the error knows; no secret is in it."""
    with fake_server(answer) as server:  # type: ignore[arg-type]
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        BASE.to(CredentialsFile("base"))
        found, out, err = run("process", HUB, "--profile", "base", "--json")
        assert (found, out) == (status, "")
        told = json.loads(err)
        assert (told["error"], told["operation"], told["role_arn"]) == (error, "AssumeRole", HUB)
        assert "wait_for_new_role=" not in err
        assert BASE.secret_access_key not in err


def test_an_assertion_that_has_ended_needs_a_person(run: Run) -> None:
    """Which has a status of its own, so that a script can open the browser."""
    status, _, err = run("process", "--saml-file", str(DATA / "saml" / "plain.b64"))
    assert status == 4
    assert "sign in again" in err


def test_an_assertion_that_is_too_old_for_sts_needs_a_person_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks may differ, so that it was sent; for credentials that have expired it is another matter."""
    with fake_server(refused("ExpiredTokenException")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        BASE.to(CredentialsFile("base"))
        assert run("process", "--saml-file", saml(ROLE))[0] == 4
        assert run("process", HUB, "--profile", "base")[0] == 5


def test_an_option_that_a_response_decides_is_named_as_it_is_written(stub: FakeServer, run: Run) -> None:
    """And not as a program would."""
    status, _, err = run("process", "--saml-file", saml(ROLE), "--tag", "a=b")
    assert (status, stub.requests) == (2, [])
    assert "does not take --tag: the identity provider sets it, or AssumeRole alone has it; leave it out" in err


def test_a_session_token_from_temporary_keys_is_refused_in_terms_of_options(stub: FakeServer, run: Run) -> None:
    """What to leave out is what was typed."""
    Path("keys.json").write_text(json.dumps(Credentials("ASIA", "secret", "token").as_dict()))
    status, _, err = run("process", "--keys-file", "keys.json", "--session-token")
    assert (status, stub.requests) == (3, [])
    assert err.endswith("or assume the role from these without --session-token\n")


def test_ctrl_c_ends_without_a_word(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As other programs do."""
    monkeypatch.setattr("stskit.sources.Profile.fetch", lambda _self: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run("whoami") == (130, "", "")


def test_warnings_and_notes_are_a_line_each(stub: FakeServer, run: Run) -> None:
    """Without the place in the code; for a program no notes."""
    Path("token").write_text("opaque-token")
    Path("token").chmod(0o644)
    status, _, err = run("assume", HUB, "--oidc-token-file", "token", "--to-process")
    assert status == 0
    assert all(line.startswith("stskit: warning: token") for line in err.splitlines())
    two = "".join(f"SAMLResponse={Path(saml(role)).read_text()}\n" for role in (ROLE, f"{ROLE}2"))
    Path("two.log").write_text(two.replace("+", "%2B"))
    assert "this SAML response is taken" in run("assume", "--saml-file", "two.log", "--to-process")[2]
    assert run("assume", "--saml-file", "two.log", "--to-process", "--json")[2] == ""
    assert run("process", "--saml-file", "two.log")[2] == ""
    done = separately("exec", "--saml-file", "two.log", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")


# roles ----------------------------------------------------------------------------------------------------------------


def test_what_an_assertion_offers_is_a_table(run: Run, aws: LocalAWS) -> None:
    """With whose it is and until when; as JSON with the times as such."""
    Path("saml.log").write_text(aws.idp.saml_response(roles=[(ROLE, PROVIDER), (f"{ROLE}-long-name", PROVIDER)]))
    status, out, err = run("roles", "saml.log")
    lines = out.splitlines()
    assert (status, err, lines[0].split()) == (0, "", ["ACCOUNT", "ROLE", "PROVIDER"])
    assert lines[1].split() == ["123456789012", ROLE, PROVIDER]
    assert "  session name       alice" in lines
    assert "UTC (in 5 min)" in out or "UTC (in 4 min)" in out  # a moment has passed
    _, out, _ = run("roles", "saml.log", "--json")
    told = json.loads(out)
    assert told["roles"][0] == {"role_arn": ROLE, "principal_arn": PROVIDER}
    assert (told["session_duration"], told["not_on_or_after"][-1]) == (3600, "Z")


def test_an_assertion_that_has_ended_can_be_looked_into(run: Run) -> None:
    """That it has ended is told."""
    status, out, _ = run("roles", str(DATA / "saml" / "plain.b64"))
    assert status == 0
    assert " days ago" in out
    Path("none.log").write_text(encoded(response({}, end=None)))
    out = run("roles", "none.log")[1]
    assert ("It offers no role of AWS." in out, "good until" in out) == (True, False)


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


FILES = [*BAD, "folder", "fifo", "missing", *(f"ini/{each.name}" for each in (DATA / "ini").iterdir())]


@pytest.fixture
def bad(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of the corpus, or what is no file."""
    name: str = request.param
    path = tmp_path / name
    if name in BAD:
        path.write_bytes(BAD[name])
        path.chmod(0o600)
    elif name == "folder":
        path.mkdir()
    elif name == "fifo":
        os.mkfifo(path)
    elif name.startswith("ini/"):
        return DATA / name
    return path


@pytest.mark.parametrize("bad", FILES, indirect=True)
def test_on_each_bad_file_roles_says_one_clear_sentence(run: Run, bad: Path) -> None:
    """Never a traceback: what is wrong with it, by its name, and what to do."""
    status, out, err = run("roles", str(bad))
    assert (status, out, err.count("\n")) == (3, "", 1)
    assert err.startswith("stskit: ")
    assert str(bad) in err


TOKENS = {"utf-16", "token", "failed", "two", "deflated"}  # which they may be: a token may look like anything
LOOKS = [(option, each) for option in ("--saml-file", "--keys-file", "--oidc-token-file") for each in FILES]


@pytest.mark.parametrize(
    ("option", "bad"),
    [(option, each) for option, each in LOOKS if option != "--oidc-token-file" or each not in TOKENS],
    indirect=["bad"],
)
def test_on_each_bad_file_doctor_says_one_clear_sentence(run: Run, bad: Path, option: str) -> None:
    """What is wrong with it, with the next step in a line of its own, and the status for that."""
    status, out, err = run("doctor", "--offline", option, str(bad))
    (said,) = (number for number, line in enumerate(out.splitlines()) if str(bad) in line)
    assert (status, err) == (1, "")
    assert out.splitlines()[said].startswith("wrong  ")
    assert out.splitlines()[said].endswith(".")
    assert out.splitlines()[said + 1].startswith("       ")


def test_doctor_says_what_is_so_and_what_is_wrong(run: Run, stskit_aws: FakeSTS) -> None:
    """For people in lines, for programs as a list; the status is 1 where something is wrong. Nothing is assumed."""
    status, out, err = run("doctor", "--profile", "default")
    assert (status, err) == (0, "")
    assert out.startswith("ok     versions: stskit ")
    assert "ok     clock: " in out
    assert stskit_aws.calls == []
    status, out, _ = run("doctor", "--profile", "gone", "--offline", "--json")
    assert status == 1
    (wrong,) = (each for each in json.loads(out) if each["state"] == "wrong")  # and nothing that follows from it
    assert wrong["about"] == "profile gone"
    assert wrong.keys() == {"about", "state", "text", "remedy", "facts"}


def test_doctor_takes_the_options_of_the_call(run: Run, aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> None:
    """The field of the token, and which endpoint; what to do is said as an option."""
    Path("token.json").touch(0o600)
    Path("token.json").write_text(json.dumps({"id_token": aws.idp.oidc_token()}))
    look = ("doctor", "--offline", "--oidc-token-file", "token.json", "--region", "us-east-2")
    assert "--json-field NAME" in run(*look)[1]
    out = run(*look, "--json-field", "id_token", "--use-fips")[1]
    assert "ok     OIDC token file: token.json holds a token" in out
    assert "us-east-2, as --region says" in out
    assert "https://sts-fips.us-east-2.amazonaws.com" in out
    assert "http://127.0.0.1:1, as --endpoint-url says" in run(*look, "--endpoint-url", "http://127.0.0.1:1")[1]


def test_no_secret_is_shown_where_that_is_not_the_purpose(stub: FakeServer, run: Run) -> None:
    """Neither by a result nor by what is told of it."""
    told = [*run("assume", HUB, "--profile", "base", "--to-profile", "p"), *run("whoami", "--profile", "p")]
    shown = "".join(map(str, told))
    assert all(secret not in shown for secret in (SECRET_KEY, SESSION_TOKEN, BASE.secret_access_key))


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_for_terminals(
    run: Run, monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], coloured: bool
) -> None:
    """And not even there where it is not wanted."""
    assert "\033" not in run("roles", "nix")[2]
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert ("\033[31mstskit:\033[0m" in run("roles", "nix")[2]) == coloured
