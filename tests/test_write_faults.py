"""Whatever fails, and wherever a writer is killed: the old file or the new one is there, whole, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import OTHER
from helpers import folder_of, needs

from stskit import Credentials
from stskit.errors import SinkError, StskitWarning
from stskit.sinks import CredentialsFile

ERRORS = ["ENOSPC", "EDQUOT", "EIO", "EROFS", "EXDEV", "EACCES", "EINTR"]
CALLS = ["openat", "write", "fsync", "fchmod", "renameat", "unlinkat"]
DONE = OTHER + (
    "\n[dev]\naws_access_key_id = ASIA00000000\naws_secret_access_key = CANARY/secret\n"
    "aws_session_token = token-of-0\nx_security_token_expires = 2099-01-01T00:00:00Z\n"
)
SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==")

pytestmark = pytest.mark.debian


def command(*arguments: object) -> list[str]:
    """Python itself, not a program that starts it: what it does is traced."""
    here = Path(__file__).parent
    return [os.path.realpath(sys.executable), str(here / "writing.py"), *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}


class Writer:
    """Writes the profile ``dev`` while strace looks on, or puts something in the way."""

    def __init__(self, path: Path) -> None:
        self.path, self.log = path, path.parent.parent / "trace"
        self.process = subprocess.Popen(
            command(path), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __call__(self, *options: str) -> str:
        """What came of it; nothing where it was killed."""
        self.path.write_text(OTHER)
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        print("dev", file=stdin, flush=True)
        child = stdout.readline().strip()
        trace = ["strace", "-o", str(self.log), *options, "-p", child]
        with subprocess.Popen(trace, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            assert "attached" in strace.stderr.readline()
            print(file=stdin, flush=True)
            said = stdout.readline().strip()
            if said != "end":
                assert stdout.readline() == "end\n"
            strace.wait(30)
        return "" if said == "end" else said


@pytest.fixture
def writer(file: Path) -> Iterator[Writer]:
    needs("strace")
    made = Writer(file)
    yield made
    assert made.process.stdin is not None
    made.process.stdin.close()
    made.process.wait(30)
    assert made.process.stdout is not None
    made.process.stdout.close()


def calls_of(writer: Writer) -> list[tuple[str, int]]:
    """The system calls of one write, each with which one of its kind it is; but for those that tell how it went."""
    assert writer() == "written"
    lines = re.findall(r"^(\w+)\((.*)", writer.log.read_text(), re.MULTILINE)
    names = [name for name, _ in lines]
    calls = [(name, names[: number + 1].count(name)) for number, name in enumerate(names)]
    return [call for call, (_, rest) in zip(calls, lines, strict=True) if call[0] != "write" or rest[:2] != "1,"]


@pytest.mark.gate
@pytest.mark.case("F6")
def test_killed_at_any_system_call_it_leaves_a_whole_file(writer: Writer, file: Path) -> None:
    """The old one or the new one; and after the next write nothing else."""
    calls = [(name, number) for name, number in calls_of(writer) if name not in ("exit_group", "read")]
    killed = 0
    for name, number in calls:
        said = writer("-e", f"trace={name}", "-e", f"inject={name}:signal=SIGKILL:when={number}")
        killed += said == ""
        assert file.read_text() in (OTHER, DONE), (name, number)
        assert writer("-e", "trace=none") == "written"
        assert file.read_text() == DONE
        assert folder_of(file) == ["credentials", "warm"], (name, number)
    assert killed >= len(calls) - 3  # the last ones come after the work


@pytest.mark.gate
@pytest.mark.case("F7", "X14")
@pytest.mark.parametrize("call", CALLS)
def test_an_error_of_any_call_leaves_a_whole_file(call: str, writer: Writer, file: Path) -> None:
    """Each of seven errors, each time that the call is made: a whole file, a typed error, nothing left, no secret."""
    times = [number for name, number in calls_of(writer) if name == call]
    assert times
    refused = 0
    for error in ERRORS:
        for number in times:
            said = writer("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}")
            cell = call, error, number, said
            assert said == "written" or said.startswith("SinkError: "), cell
            assert file.read_text() == (DONE if said == "written" else OTHER), cell
            assert "CANARY" not in said, cell
            assert "token-of" not in said, cell
            assert folder_of(file) == ["credentials", "warm"], cell
            refused += said != "written"
    assert refused or call == "unlinkat"


@pytest.mark.case("F8")
@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_write_that_lies_about_its_length_is_noticed(length: int, writer: Writer, file: Path) -> None:
    """Less was written than the system said: an error, and the old file."""
    said = writer(
        "-e", "trace=write", "-e", f"inject=write:retval={length}:when=2"
    )  # the first goes to the file in memory that botocore reads
    assert said.startswith("SinkError: ")
    assert file.read_text() == OTHER


def test_a_write_makes_the_calls_that_it_needs_and_no_more(writer: Writer) -> None:
    """One lock, one rename, two times to the disk; one file read and one written."""
    names = [name for name, _ in calls_of(writer)]
    assert {name: names.count(name) for name in ("flock", "renameat", "fsync", "socket", "connect")} == {
        "flock": 2,  # and free again
        "renameat": 1,
        "fsync": 2,
        "socket": 0,
        "connect": 0,
    }


@pytest.mark.gate
@pytest.mark.case("F6")
def test_two_thousand_kills_tear_and_lose_nothing(file: Path) -> None:
    """At random moments; what a writer has reported is there, and nothing is left behind after the next write."""
    done = subprocess.run(command(file, "kill", 2000), env=environment(), capture_output=True, text=True, check=True)
    torn, lost, left, written = map(int, done.stdout.split())
    assert (torn, lost, left) == (0, 0, 0)
    assert written > 500
    assert file.read_text().startswith(OTHER)


@pytest.mark.case("F7")
def test_a_limit_on_the_size_of_files_is_an_error_like_any_other(file: Path) -> None:
    """EFBIG, where the signal that comes with it is ignored, as Python does."""
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40)); sys.argv[1:] = sys.argv[1:]; "
    code += "from writing import write; print(write(sys.argv[1], 'dev'))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        env={**environment(), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("SinkError: ")
    assert "File too large" in done.stdout
    assert file.read_text() == OTHER
    assert folder_of(file) == ["credentials"]


@pytest.mark.case("F13")
def test_an_immutable_file_is_told(file: Path) -> None:
    """Not even root may replace it."""
    needs("chattr")
    if subprocess.run(["chattr", "+i", file], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no immutable files")
    try:
        with pytest.raises(SinkError, match="not permitted. Give yourself the right"):
            SESSION.to(CredentialsFile("dev"))
    finally:
        subprocess.run(["chattr", "-i", file], check=True)
    assert file.read_text() == OTHER


@pytest.mark.case("F21")
def test_a_file_that_is_mounted_on_its_own_is_told(file: Path) -> None:
    """As containers do with one file: it can be written in place only, which would not be safe."""
    needs("unshare")
    (file.parent.parent / "real").touch(0o600)
    script = 'mount --bind "$1/real" "$1/.aws/credentials" && shift && exec "$@"'
    code = "import sys; from writing import write; print(write(sys.argv[1], 'dev'))"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", file.parent.parent, sys.executable, "-c", code, str(file)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    assert "mounted on its own" in done.stdout
    assert file.read_text() == OTHER


@pytest.mark.case("F14")
def test_root_leaves_a_users_file_to_the_user(file: Path) -> None:
    """Else the user could not write there any more. A warning says whose file it is."""
    if os.geteuid() != 0:
        pytest.skip("only root can write for another user")
    for path in (file.parent, file):
        os.chown(path, 65534, 65534)
    with pytest.warns(StskitWarning, match=rf"{file} belongs to another user \(uid 65534\)"):
        SESSION.to(CredentialsFile("dev"))
    assert {each.stat().st_uid for each in file.parent.iterdir()} == {65534}
    assert {each.stat().st_gid for each in file.parent.iterdir()} == {65534}


def test_a_folder_that_cannot_be_written_is_told(file: Path) -> None:
    """As another user, for root may write anywhere: a clear error, and no writing in place as a last resort."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        status = 1
        try:
            file.parent.chmod(0o755)
            file.chmod(0o666)
            os.chdir(file.parent)
            os.setgid(65534)
            os.setuid(65534)
            SESSION.to(CredentialsFile("dev", "credentials"))
        except SinkError as error:
            status = 0 if "Permission denied. Give yourself the right" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert file.read_text() == OTHER
