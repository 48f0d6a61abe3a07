"""Credentials arrive where they should, whole or not at all, and nothing else changes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.session import Session
from helpers import reachable_text

from stskit import Credentials
from stskit.errors import SinkError
from stskit.sinks import CredentialsFile, Environment

SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==", account_id="123456789012")
STATIC = Credentials("AKIANEW", "static/secret")
OLD = "# mine\n[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = s\n"


@pytest.fixture
def file(home: Path) -> Path:
    """A credentials file with a comment and another profile."""
    path = home / ".aws" / "credentials"
    path.parent.mkdir()
    path.write_text(OLD)
    return path


def credentials_of(session: Session | boto3.Session) -> Any:
    """What botocore holds for *session*: its stubs know neither our object nor newer attributes."""
    return session.get_credentials()


def folder_of(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


# The credentials file


def test_a_profile_is_read_back_by_botocore_and_by_the_aws_cli(file: Path) -> None:
    """In other sessions and processes, with region and output from the config file."""
    assert SESSION.to(CredentialsFile("dev", region="eu-west-1", output="text")) == str(file)
    session = Session(profile="dev")
    assert credentials_of(session).get_frozen_credentials() == (
        "ASIANEW",
        "new/secret+",
        "newtoken==",
        "123456789012",
    )
    assert session.get_config_variable("region") == "eu-west-1"
    command = [sys.executable, "-m", "awscli", "configure", "get", "aws_secret_access_key", "--profile", "dev"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "new/secret+\n"
    assert file.read_text().startswith(OLD)
    assert (file.parent / "config").read_text() == "[profile dev]\nregion = eu-west-1\noutput = text\n"


def test_static_keys_inherit_nothing_of_a_session(file: Path) -> None:
    """A token, the account and the old name of the token go with the keys that they belonged to."""
    file.write_text("[dev]\naws_security_token = stale\n")
    SESSION.to(CredentialsFile("dev"))
    STATIC.to(CredentialsFile("dev"))
    assert file.read_text() == "[dev]\naws_access_key_id = AKIANEW\naws_secret_access_key = static/secret\n"


def test_the_same_again_writes_nothing(file: Path) -> None:
    """The file keeps its inode and its time."""
    SESSION.to(CredentialsFile("dev"))
    before = file.stat()
    SESSION.to(CredentialsFile("dev"))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_new_files_and_folders_are_for_the_owner_alone(home: Path, umask: int) -> None:
    """Whatever the umask."""
    old = os.umask(umask)
    try:
        path = Path(SESSION.to(CredentialsFile("default", region="us-east-1")))
    finally:
        os.umask(old)
    assert path == home / ".aws" / "credentials"
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert (path.parent / "config").read_text() == "[default]\nregion = us-east-1\n"


def test_an_old_file_keeps_its_mode(file: Path) -> None:
    """It may be shared on purpose, and is neither opened nor closed."""
    file.chmod(0o640)
    SESSION.to(CredentialsFile("dev"))
    assert file.stat().st_mode & 0o777 == 0o640


def test_paths_come_from_the_argument_else_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The config file lies beside a path that is given, unless a variable or an argument says otherwise."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "by-variable"))
    assert SESSION.to(CredentialsFile("dev")) == str(tmp_path / "by-variable")
    SESSION.to(CredentialsFile("dev", tmp_path / "a" / "keys", "us-east-1"))
    assert (tmp_path / "a" / "config").exists()
    SESSION.to(CredentialsFile("dev", tmp_path / "b" / "keys", "us-east-1", config_path=tmp_path / "c" / "conf"))
    assert (tmp_path / "c" / "conf").exists()
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "conf-by-variable"))
    SESSION.to(CredentialsFile("dev", tmp_path / "d" / "keys", "us-east-1"))
    assert (tmp_path / "conf-by-variable").exists()
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "")
    assert SESSION.to(CredentialsFile("dev")).endswith("/.aws/credentials")


def test_a_link_stays_and_its_target_changes(file: Path, tmp_path: Path) -> None:
    """Also a link to a link; the lock lies beside the target."""
    target = tmp_path / "real"
    file.rename(target)
    (tmp_path / "middle").symlink_to("real")
    file.symlink_to(tmp_path / "middle")
    SESSION.to(CredentialsFile("dev"))
    assert file.is_symlink()
    assert "[dev]" in target.read_text()
    assert (tmp_path / "real.lock").exists()


def dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def hard_link(file: Path) -> None:
    os.link(file, file.parent / "twin")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def a_mark(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + OLD.encode())


def latin_1(file: Path) -> None:
    file.write_bytes(OLD.encode() + b"# caf\xe9 CANARY\n")


def broken(file: Path) -> None:
    file.write_text(OLD + "stray CANARY\n")


def locked_by_a_link(file: Path) -> None:
    (file.parent / "victim").write_text("precious")
    (file.parent / "credentials.lock").symlink_to("victim")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (dangling, "a link to"),
        (loop, "a link to"),
        (hard_link, "hard links"),
        (a_folder, "directory"),
        (a_fifo, "regular file"),
        (a_mark, "byte order mark"),
        (latin_1, "UTF-8"),
        (broken, "line 5"),
        (locked_by_a_link, "symbolic links"),
    ],
)
def test_what_cannot_be_written_safely_stays_as_it_is(spoil: object, reason: str, file: Path) -> None:
    """The error names the file and the reason; nothing of the file, and no secret, is in it or in its traceback."""
    assert callable(spoil)
    spoil(file)
    before = {each.name: each.read_bytes() for each in file.parent.iterdir() if each.is_file()}
    with pytest.raises(SinkError, match=reason) as caught:
        SESSION.to(CredentialsFile("dev", region="us-east-1"))
    after = {each.name: each.read_bytes() for each in file.parent.iterdir() if each.is_file()}
    locks = {"credentials.lock": b"", "config.lock": b""}
    assert {name: data for name, data in after.items() if locks.get(name) != data} == before
    assert caught.value.path == str(file)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    shown = "".join(str(frame.locals) for frame in frames if frame.filename != __file__)
    for secret in ("CANARY", SESSION.secret_access_key, SESSION.session_token, "AKIAOTHER"):
        assert str(secret) not in reachable_text(caught.value) + shown


def test_a_link_that_is_the_lock_does_no_harm_to_what_it_leads_to(file: Path) -> None:
    """Who can plant a link beside the file gains nothing by it."""
    locked_by_a_link(file)
    with pytest.raises(SinkError):
        SESSION.to(CredentialsFile("dev"))
    assert (file.parent / "victim").read_text() == "precious"


def test_who_waits_too_long_for_the_lock_is_told_which(file: Path) -> None:
    """And what to do; the file is as it was."""
    from fcntl import LOCK_EX, flock

    with (file.parent / "credentials.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        with pytest.raises(SinkError, match=r"another process holds the lock .*credentials\.lock.*lock_timeout"):
            SESSION.to(CredentialsFile("dev", lock_timeout=0))
    assert file.read_text() == OLD


def test_expired_credentials_are_not_written(file: Path) -> None:
    """Nobody could use them, and they would take the place of ones that may be good."""
    stale = Credentials("A", "s", "t", datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(SinkError, match="expired"):
        stale.to(CredentialsFile("other"))
    assert file.read_text() == OLD


@pytest.mark.parametrize(
    "name", ["", "a b", "a]\n[default", "a\r", "DEFAULT", "__proto__", "[x]", "a#b", "é", "a=b\n", None]
)
def test_a_name_that_not_all_tools_read_alike_is_refused(name: str) -> None:
    """When the sink is built, before there are any credentials."""
    with pytest.raises(SinkError, match="profile name"):
        CredentialsFile(name)


@pytest.mark.parametrize("value", ["", "a b", "a\nb", "a\r\n[x]", "'a'", '"a"', "#a", ";a", "\x85", "é"])
def test_a_value_that_would_not_be_read_back_is_refused(value: str, file: Path) -> None:
    """In region and output when the sink is built; in keys before the file is touched, and without showing them."""
    with pytest.raises(SinkError, match="region"):
        CredentialsFile("dev", region=value)
    if value:
        with pytest.raises(SinkError, match="aws_session_token") as caught:
            Credentials("A", "s", value).to(CredentialsFile("dev"))
        assert value not in reachable_text(caught.value) or len(value) == 1
    assert folder_of(file) == ["credentials"]


def test_the_second_file_is_not_written_where_the_first_cannot_be(file: Path) -> None:
    """Both are prepared before one is put in its place."""
    file.write_text("stray\n")
    with pytest.raises(SinkError):
        SESSION.to(CredentialsFile("dev", region="us-east-1"))
    assert folder_of(file) == ["config.lock", "credentials", "credentials.lock"]


def test_one_file_cannot_be_both(tmp_path: Path) -> None:
    """Keys and config in the same file would wait for each other's lock; it is told at once, and nothing is made."""
    with pytest.raises(SinkError, match="config_path"):
        SESSION.to(CredentialsFile("dev", tmp_path / "sub" / "config", region="us-east-1"))
    assert not (tmp_path / "sub").exists()


def write_ten(path: str, number: int) -> None:
    for profile in range(10):
        SESSION.to(CredentialsFile(f"p{number}-{profile}", path))


def test_writers_in_parallel_lose_nothing(file: Path) -> None:
    """Eight processes, ten profiles each; whoever reads meanwhile reads a whole file."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_ten, args=(str(file), number)) for number in range(8)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert "other" in Session().full_config["profiles"]
    for writer in writers:
        writer.join()
    profiles = Session().full_config["profiles"]
    assert sorted(profiles) == sorted(["other", *(f"p{number}-{each}" for number in range(8) for each in range(10))])
    assert file.read_text().startswith(OLD)
    assert folder_of(file) == ["credentials", "credentials.lock"]


WRITE = "from test_sinks import *; SESSION.to(CredentialsFile('dev', sys.argv[1]))"
FAULTS = [
    "fsync:signal=SIGKILL:when=1",
    "rename:signal=SIGKILL:when=1",
    "fsync:error=EIO:when=1",
    "fchmod:error=EPERM:when=1",
    "rename:error=EXDEV:when=1",
    "rename:error=EACCES:when=1",
]


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@pytest.mark.debian
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_step_leaves_a_whole_file(fault: str, file: Path) -> None:
    """The old one, for the step that failed came before the new one was in its place; errors are told, and clean up."""
    strace = [
        needs("strace"),
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=" + fault.split(":", maxsplit=1)[0],
        "-e",
        f"inject={fault}",
    ]
    path = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "docs" / "examples")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*strace, os.path.realpath(sys.executable), "-c", WRITE, str(file)]
    environment["PYTHONPATH"] += os.pathsep + os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert file.read_text() == OLD
    if "error" in fault:
        assert "was not changed" in done.stderr
        assert folder_of(file) == ["credentials", "credentials.lock"]


@pytest.mark.debian
def test_a_folder_that_cannot_be_written_is_told(file: Path) -> None:
    """As another user, for root may write anywhere: a clear error, and no writing in place as a last resort."""
    needs("setpriv")
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    private = os.open(file.parent, os.O_RDONLY)  # the home of a test is closed to others: hand the folder over
    os.close(private)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        status = 1
        try:
            os.chown(file.parent, 0, 0)
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
    assert file.read_text() == OLD


# The environment


def test_variables_are_a_new_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set in this process."""
    expected = {
        "AWS_ACCESS_KEY_ID": "ASIANEW",
        "AWS_SECRET_ACCESS_KEY": "new/secret+",
        "AWS_SESSION_TOKEN": "newtoken==",
    }
    assert SESSION.to(Environment()) == expected
    assert "AWS_ACCESS_KEY_ID" not in os.environ


def test_an_environment_loses_what_it_said_of_other_credentials() -> None:
    """A token or a profile that stayed would mix with the new keys; the mapping itself is not changed."""
    base = {"PATH": "/bin", "AWS_SESSION_TOKEN": "stale", "AWS_PROFILE": "old", "AWS_REGION": "eu-west-1"}
    before = dict(base)
    made = STATIC.to(Environment(base))
    assert made == {
        "PATH": "/bin",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIANEW",
        "AWS_SECRET_ACCESS_KEY": "static/secret",
    }
    assert base == before
    assert "stale" not in repr(Environment(base))


def test_the_expiration_is_told_on_request() -> None:
    """Botocore stops ten minutes before it, so nobody gets it without asking."""
    due = Credentials("A", "s", "t", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert "AWS_CREDENTIAL_EXPIRATION" not in due.to(Environment())
    assert due.to(Environment(expiration=True))["AWS_CREDENTIAL_EXPIRATION"] == "2030-01-02T03:04:05Z"
    assert "AWS_CREDENTIAL_EXPIRATION" not in SESSION.to(Environment(expiration=True))
