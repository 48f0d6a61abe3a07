"""Whatever fails, and wherever a writer is killed: the old file or the new one is there, whole, and nothing else."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conftest import OTHER
from helpers import folder_of, needs

from stskit import Credentials
from stskit.errors import SinkError, StskitWarning
from stskit.sinks import CredentialsFile, DotEnv

ERRORS = ["ENOSPC", "EDQUOT", "EIO", "EROFS", "EXDEV", "EACCES", "EINTR"]
CALLS = ["openat", "write", "fsync", "fchmod", "renameat", "unlinkat"]
DONE = OTHER + (
    "\n[dev]\naws_access_key_id = ASIA00000000\naws_secret_access_key = CANARY/secret\n"
    "aws_session_token = token-of-0\nx_security_token_expires = 2099-01-01T00:00:00Z\n"
)
SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==")

pytestmark = pytest.mark.debian


def command(*arguments: object) -> list[str]:
    """Return the command of Python itself, because its system calls are traced."""
    here = Path(__file__).parent
    return [os.path.realpath(sys.executable), str(here / "writing.py"), *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}


class Writer:
    """Write the profile ``dev`` under strace, with a fault."""

    def __init__(self, path: Path) -> None:
        self.path, self.log = path, path.parent.parent / "trace"
        self.process = subprocess.Popen(
            command(path), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __call__(self, *options: str) -> str:
        """Return the result of the run, or nothing if it was killed."""
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
    """Return the system calls of one write with their numbers."""
    assert writer() == "written"
    lines = re.findall(r"^(\w+)\((.*)", writer.log.read_text(), re.MULTILINE)
    names = [name for name, _ in lines]
    calls = [(name, names[: number + 1].count(name)) for number, name in enumerate(names)]
    return [call for call, (_, rest) in zip(calls, lines, strict=True) if call[0] != "write" or rest[:2] != "1,"]


@pytest.mark.gate
@pytest.mark.case("F6", "P3", "P67")
def test_a_kill_at_any_system_call_leaves_a_complete_file(writer: Writer, file: Path) -> None:
    """After a kill at any system call, the old or the new file is there, and the next write removes other files."""
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
def test_an_error_at_any_system_call_leaves_a_complete_file(call: str, writer: Writer, file: Path) -> None:
    """After each of seven errors at each system call, the file is complete and the error is typed."""
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
def test_a_short_write_is_an_error(length: int, writer: Writer, file: Path) -> None:
    """A short write is an error, and the old file stays."""
    said = writer(
        "-e", "trace=write", "-e", f"inject=write:retval={length}:when=2"
    )  # the first goes to the file in memory that botocore reads
    assert said.startswith("SinkError: ")
    assert file.read_text() == OTHER


@pytest.mark.case("P2")
def test_a_write_makes_only_the_calls_that_it_needs(writer: Writer) -> None:
    """A write makes one lock, one rename, two syncs, one read and one write."""
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
def test_two_thousand_kills_lose_no_profile(file: Path) -> None:
    """After two thousand kills at random moments, no reported profile is lost."""
    done = subprocess.run(command(file, "kill", 2000), env=environment(), capture_output=True, text=True, check=True)
    torn, lost, left, written = map(int, done.stdout.split())
    assert (torn, lost, left) == (0, 0, 0)
    assert written > 500
    assert file.read_text().startswith(OTHER)


@pytest.mark.case("F7")
def test_a_file_size_limit_is_a_sink_error(file: Path) -> None:
    """A limit of the file size is a SinkError."""
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
def test_an_immutable_file_is_an_error(file: Path) -> None:
    """The error for an immutable file says so."""
    needs("chattr")
    if subprocess.run(["chattr", "+i", file], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no immutable files")
    try:
        with pytest.raises(SinkError, match="not permitted. Get write permission"):
            SESSION.to(CredentialsFile("dev"))
    finally:
        subprocess.run(["chattr", "-i", file], check=True)
    assert file.read_text() == OTHER


@pytest.mark.case("F21")
def test_a_file_that_is_a_mount_is_an_error(file: Path) -> None:
    """The error for a file that is a mount of its own says so."""
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
    assert "is a mount of its own" in done.stdout
    assert file.read_text() == OTHER


@pytest.mark.case("F14")
def test_a_file_written_by_root_stays_with_its_owner(file: Path) -> None:
    """If root writes, the file stays with its owner, and a warning says so."""
    if os.geteuid() != 0:
        pytest.skip("only root can write for another user")
    for path in (file.parent, file):
        os.chown(path, 65534, 65534)
    with pytest.warns(StskitWarning, match=rf"{file} belongs to another user \(uid 65534\)"):
        SESSION.to(CredentialsFile("dev"))
    assert {each.stat().st_uid for each in file.parent.iterdir()} == {65534}
    assert {each.stat().st_gid for each in file.parent.iterdir()} == {65534}


def test_a_folder_without_write_permission_is_an_error(file: Path) -> None:
    """A folder without write permission is a SinkError, and the file stays unchanged."""
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
            status = 0 if "Permission denied. Get write permission" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert file.read_text() == OTHER


# After publishing -------------------------------------------------------------------------------------------------


def failing(monkeypatch: pytest.MonkeyPatch, call: str, when: Callable[..., bool]) -> None:
    """Let a system call fail at a given moment."""
    real = getattr(os, call)

    def fail(*arguments: Any, **options: Any) -> Any:
        if when(*arguments):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **options)

    monkeypatch.setattr(os, call, fail)


def is_folder(descriptor: int) -> bool:
    return stat.S_ISDIR(os.stat(descriptor).st_mode)


def test_a_folder_that_cannot_be_synchronised_causes_a_warning(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the folder cannot be synchronised, one warning for each file says so."""
    failing(monkeypatch, "fsync", is_folder)
    with pytest.warns(StskitWarning, match="was written, but a power failure may undo this") as caught:
        assert SESSION.to(CredentialsFile("dev", region="eu-west-1")) == str(file)
    assert [str(each.message).split()[0] for each in caught] == [str(file.parent / "config"), str(file)]
    assert "ASIANEW" in file.read_text()


@pytest.mark.parametrize("call", ["stat", "fstat", "close"])
def test_nothing_raises_after_the_last_rename(call: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last rename, nothing raises."""
    rename = os.rename

    def rename_then_fail(old: str, new: str, **folders: int) -> None:
        rename(old, new, **folders)
        if new == "credentials":
            failing(monkeypatch, call, lambda *_: True)

    monkeypatch.setattr(os, "rename", rename_then_fail)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StskitWarning)
        SESSION.to(CredentialsFile("dev", region="eu-west-1"))
    monkeypatch.undo()
    assert "ASIANEW" in file.read_text()
    assert folder_of(file) == ["config", "credentials"]


def test_a_file_that_cannot_be_examined_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file cannot be examined before the rename, the error is a SinkError."""
    sync = os.fsync

    def sync_then_fail(descriptor: int) -> None:
        sync(descriptor)
        failing(monkeypatch, "stat", lambda path: path == "credentials")

    monkeypatch.setattr(os, "fsync", sync_then_fail)
    with pytest.raises(SinkError, match=f"{file} was not changed: Input/output error"):
        SESSION.to(CredentialsFile("dev"))
    assert file.read_text() == OTHER


def test_a_first_file_that_cannot_be_restored_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names a first file that could not be restored."""
    seen: list[str] = []

    def later(_old: str, new: str) -> bool:
        seen.append(new)
        return seen != ["config"]

    (file.parent / "config").write_text("[default]\n")
    failing(monkeypatch, "rename", later)
    with pytest.raises(SinkError, match=f"{file.parent / 'config'} was changed before that and could not be restored"):
        SESSION.to(CredentialsFile("dev", region="eu-west-1"))
    assert seen == ["config", "credentials", "config"]
    assert file.read_text() == OTHER


def test_an_interrupt_after_the_first_file_restores_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt right after the first rename restores the first file."""
    rename = os.rename

    def rename_then_interrupt(old: str, new: str, **folders: int) -> None:
        rename(old, new, **folders)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", rename_then_interrupt)
    with pytest.raises(KeyboardInterrupt):
        SESSION.to(CredentialsFile("dev", str(file), region="eu-west-1"))
    assert folder_of(file) == ["credentials"]
    assert file.read_text() == OTHER


KILLED_BACKUP = """
import os, signal, sys
from stskit import Credentials
from stskit.sinks import CredentialsFile, DotEnv
os.rename = lambda *paths, **folders: os.kill(os.getpid(), signal.SIGKILL)
Credentials("ASIANEW", "new/secret+", "newtoken==").to(CredentialsFile("dev", sys.argv[1], backup=True))
"""


def test_the_next_write_removes_an_unfinished_backup(file: Path) -> None:
    """The next write removes an unfinished backup of a killed process, because it contains old keys."""
    assert subprocess.run([sys.executable, "-c", KILLED_BACKUP, file], check=False).returncode == -9
    assert len([name for name in folder_of(file) if name.startswith(".credentials.bak.")]) == 1
    SESSION.to(CredentialsFile("dev"))
    assert folder_of(file) == ["credentials"]


# Owners -----------------------------------------------------------------------------------------------------------


def as_user(user: int, action: Callable[[], object], group: int = 65534) -> str:
    """Return the error of *action* in a process of another user, or nothing."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        said = ""
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
            os.umask(0o007)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                action()
            said = "\n".join(str(each.message) for each in caught)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(there, said.encode())
            os._exit(0)
    os.close(there)
    os.waitpid(child, 0)
    with open(here) as file:
        return file.read()


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a folder that other users can reach."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_files_created_by_root_belong_to_the_user(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that root creates in the home of a user belong to the user."""
    os.chown(shared, 65534, 65534)
    monkeypatch.setenv("HOME", str(shared))
    for sink in (
        CredentialsFile("dev", region="eu-west-1"),
        CredentialsFile("more", backup=True),
        DotEnv(shared / ".env"),
    ):
        with pytest.warns(StskitWarning, match=r"belongs to another user \(uid 65534\)"):
            SESSION.to(sink)
    made = [shared / ".aws", shared / ".env", *(shared / ".aws").iterdir()]
    assert len(made) == 5
    assert {path.stat().st_uid for path in made} == {65534}
    assert as_user(65534, lambda: SESSION.to(CredentialsFile("mine", region="eu-west-1"))) == ""


def test_a_file_of_a_group_stays_with_the_group(shared: Path) -> None:
    """A file of a group stays with the group, and the second user can write it with a warning."""
    os.chown(shared, 0, 4242)
    shared.chmod(0o2770)
    path = shared / "credentials"
    warning = as_user(1001, lambda: os.close(os.open(path, os.O_CREAT, 0o660)), 4242)
    assert warning == ""
    said = [as_user(user, lambda: SESSION.to(CredentialsFile("dev", path)), 4242) for user in (1001, 1002, 1001)]
    assert all("is readable by other users" in each for each in said[:1])
    assert path.stat().st_gid == 4242
    assert path.stat().st_mode & 0o777 == 0o660
    other = as_user(1002, lambda: Credentials("ASIAOTHER", "s", "t").to(CredentialsFile("dev", path)), 4242)
    assert f"{path} belonged to another user (uid 1001) and now belongs to you. Its group keeps access." in other
    assert "ASIAOTHER" in path.read_text()


class SharedStatus:
    """The status of a file that belongs to another user and a common group."""

    def __init__(self, real: os.stat_result) -> None:
        self.real, self.st_uid, self.st_gid, self.st_mode = real, 1001, 4242, real.st_mode | 0o060

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def test_a_changed_owner_causes_a_warning(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the owner of a file changes, a warning says so."""
    look, inode = os.fstat, file.stat().st_ino

    def shared(descriptor: int) -> object:
        real = look(descriptor)
        return SharedStatus(real) if real.st_ino == inode else real

    monkeypatch.setattr(os, "fstat", shared)
    monkeypatch.setattr(os, "fchown", group_only)
    with pytest.warns(StskitWarning) as caught:
        SESSION.to(CredentialsFile("dev"))
    assert f"{file} belonged to another user (uid 1001) and now belongs to you. Its group keeps access." in [
        str(each.message) for each in caught
    ]


def group_only(_descriptor: int, owner: int, _group: int) -> None:
    if owner != -1:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_file_of_another_user_is_refused(shared: Path) -> None:
    """A file of another user without a common group is refused."""
    os.chown(shared, 0, 4242)
    shared.chmod(0o2770)
    path = shared / "credentials"
    path.write_text(OTHER)
    os.chown(path, 1001, 4242)
    path.chmod(0o640)
    said = as_user(1002, lambda: SESSION.to(CredentialsFile("dev", path)), 4242)
    assert said.startswith(f"SinkError: {path} was not changed: Operation not permitted.")
    assert path.read_text() == OTHER
    assert path.stat().st_uid == 1001
