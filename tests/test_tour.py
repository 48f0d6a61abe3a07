"""The tour completes its steps, changes no file of the user, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws import LocalAWS

from stskit import Credentials
from stskit.sinks import CredentialsFile

pytestmark = pytest.mark.gate

TOUR = Path(__file__).parent.parent / "docs" / "examples" / "tour.py"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files of the tour."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def tour(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOUR), *arguments]
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=120, check=False
    )


def processes_of(folder: Path) -> Iterator[int]:
    """Return the processes with *folder* in their arguments or environment."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
        if str(folder).encode() in seen and int(process.name) != os.getpid():
            yield int(process.name)


@pytest.mark.case("P37")
def test_the_tour_uses_three_proofs_and_three_sinks(scratch: Path, home: Path) -> None:
    """The tour uses three proofs and three sinks, and refreshes, also in a hostile environment."""
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text("[default]\naws_access_key_id = MINE\n")
    done = tour(AWS_PROFILE="no-such-profile", AWS_ACCESS_KEY_ID="MINE", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stderr) == (0, "")
    assert "identity (AWS CLI)    arn:aws:sts::123456789012:assumed-role/Deploy/alice" in done.stdout
    assert "identity of child" in done.stdout
    assert "yes: new keys in the same session" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[-3:]] == ["SAMLFile", "OIDCTokenFile", "Profile"]
    assert [path.read_text() for path in home.rglob("*") if path.is_file()] == ["[default]\naws_access_key_id = MINE\n"]
    assert list(scratch.iterdir()) == []


def test_seaweedfs_verifies_the_token_with_the_provider(aws: LocalAWS, scratch: Path) -> None:
    """SeaweedFS verifies the token with the keys of the identity provider, and the tour shows the request."""
    if not aws.has_seaweedfs:
        pytest.skip("SeaweedFS has no wheel for this platform, and moto verifies nothing")
    assert "GET /jwks" in tour().stdout


def test_without_seaweedfs_the_tour_uses_moto(scratch: Path) -> None:
    """Without SeaweedFS, the tour uses moto and says so."""
    done = tour("--without-seaweedfs")
    assert (done.returncode, done.stderr) == (0, "")
    assert "moto is the STS" in done.stdout
    assert list(scratch.iterdir()) == []


@pytest.mark.case("P38")
@pytest.mark.parametrize("proof", ["--profile", "--saml-file", "--token-file"])
def test_the_tour_works_with_a_role_of_the_user(
    proof: str, aws: LocalAWS, base: Credentials, scratch: Path, tmp_path: Path, home: Path
) -> None:
    """With a role of the user, the tour uses each kind of proof, and changes no file of the user."""
    file = tmp_path / "proof"
    match proof:
        case "--profile":
            base.to(CredentialsFile("mine"))
            argument, role, endpoint = "mine", aws.hub_role, aws.sts_url
        case "--saml-file":
            file.write_text(aws.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)]))
            argument, role, endpoint = str(file), aws.saml_role, aws.saml_url
        case _:
            file.write_text(aws.idp.oidc_token())
            file.chmod(0o600)
            argument, role, endpoint = str(file), aws.web_role, aws.sts_url
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    done = tour("--role-arn", role, proof, argument, AWS_ENDPOINT_URL=endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("   identity  ") == 4
    assert "yes: new keys in the same session" in done.stdout
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--role-arn", "arn:aws:iam::123456789012:role/A"], 2, "needs one of"),
        (["--profile", "mine"], 2, "needs one of"),
        (["--role-arn", "A", "--profile", "mine", "--without-seaweedfs"], 2, "has no effect with --role-arn"),
        (["--role-arn", "A", "--profile", "mine"], 1, "RoleError: 'A' is not a valid role ARN"),
        (
            ["--role-arn", "arn:aws:iam::123456789012:role/A", "--token-file", "nowhere"],
            1,
            "SourceMissing: There is no",
        ),
        (
            ["--role-arn", "arn:aws:iam::123456789012:role/A", "--profile", "nobody"],
            1,
            "SourceMissing: Profile 'nobody' does not exist",
        ),
    ],
)
def test_wrong_arguments_are_explained(arguments: list[str], status: int, message: str, scratch: Path) -> None:
    """Wrong arguments are explained in one line."""
    done = tour(*arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(scratch.iterdir()) == []


# A shell starts what runs in the background with some signals ignored, and who runs these tests may be such.
AS_A_TERMINAL_DOES = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("number", "lines"),
    [
        *((signal.SIGINT, lines) for lines in (0, 2, 20)),
        (signal.SIGKILL, 9),
        (signal.SIGTERM, 1),
    ],
)
def test_an_interrupted_tour_leaves_nothing(number: signal.Signals, lines: int, scratch: Path) -> None:
    """After a signal at any moment, no server and no folder of the tour remains."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc to look for processes that are left")
    start = [sys.executable, "-c", AS_A_TERMINAL_DOES]
    command = [*start, sys.executable, str(TOUR), *([] if number == signal.SIGINT else ["--without-seaweedfs"])]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout
        assert process.stderr
        for _ in range(lines):
            process.stdout.readline()
        os.killpg(process.pid, number)
        process.wait(60)
        if number != signal.SIGKILL and lines:
            assert process.returncode == 130
            assert "Interrupted." in process.stderr.read()
    deadline = time.monotonic() + 20  # a killed tour cannot wait for its servers: they notice, and end by themselves
    while (any(processes_of(scratch)) or any(scratch.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(processes_of(scratch)) == []
    assert list(scratch.iterdir()) == []
