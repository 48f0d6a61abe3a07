"""Where a sink writes: the path that was meant, or nowhere."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from botocore.session import Session

from stskit import Credentials
from stskit.errors import SinkError
from stskit.sinks import CredentialsFile, DotEnv

SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==")
TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJDQU5BUlkifQ."


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("value", ["$HOME/.aws/keys", "${HOME}/.aws/keys", "~/.aws/keys"])
def test_a_path_of_the_environment_is_expanded_as_in_botocore(
    value: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path in the environment is expanded as botocore does."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", value)
    monkeypatch.setenv("AWS_CONFIG_FILE", value.replace("keys", "conf"))
    SESSION.to(CredentialsFile("dev", region="eu-west-1"))
    assert everything_in(home) == [".aws", ".aws/conf", ".aws/keys"]
    assert everything_in(tmp_path) == []
    found = Session(profile="dev").get_credentials()
    assert found is not None
    assert found.access_key == "ASIANEW"


@pytest.mark.parametrize("variable", ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("$STSKIT_NONE/keys", "the variable $STSKIT_NONE has no value"),
        ("${STSKIT_NONE}/keys", "the variable ${STSKIT_NONE} has no value"),
        ("~stskit-nobody/keys", "the home folder ~stskit-nobody was not found"),
    ],
)
def test_a_path_that_cannot_be_expanded_names_its_variable(
    variable: str, value: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for a path in the environment that cannot be expanded names the variable. No folder is created."""
    monkeypatch.setenv(variable, value)
    sink = CredentialsFile("dev", region="eu-west-1")
    for action in (sink.check, lambda: SESSION.to(sink)):
        with pytest.raises(
            SinkError, match=re.escape(f"'{variable}={value}' cannot be used as a path: {reason}")
        ) as caught:
            action()
        assert (caught.value.variable, caught.value.remedy) == (variable, "Write the full path.")
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("unset", [True, False])
def test_without_a_home_folder_the_default_file_is_an_error(
    unset: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a home folder, the default file is an error."""
    if unset:
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(os, "getuid", lambda: 1_000_650_000)
    else:
        monkeypatch.setenv("HOME", "")
    for sink in (lambda: CredentialsFile("dev"), lambda: CredentialsFile("dev", "~/keys"), lambda: DotEnv("~/.env")):
        with pytest.raises(SinkError, match="the home folder ~ was not found"):
            SESSION.to(sink())
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("path", ["~stskit-nobody/.env", "$STSKIT_NONE/.env", "a\0b"])
def test_an_argument_that_cannot_be_expanded_is_refused(path: str, tmp_path: Path) -> None:
    """An argument that cannot be expanded is an error when the sink is created."""
    for make in (
        lambda: DotEnv(path),
        lambda: CredentialsFile("dev", path),
        lambda: CredentialsFile("dev", config_path=path),
    ):
        with pytest.raises(SinkError, match="cannot be used as a path"):
            make()
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("name", ["$STAGE.env", "x-${STAGE}"])
def test_a_new_file_cannot_be_named_like_a_variable(name: str, tmp_path: Path) -> None:
    """A new file cannot have a name that begins with a variable. An existing file can."""
    path = tmp_path / name
    sink = DotEnv(path)
    for action in (sink.check, lambda: SESSION.to(sink)):
        with pytest.raises(SinkError, match=r"the variable \$.?STAGE.? in the path has no value") as caught:
            action()
        assert (caught.value.path, caught.value.remedy) == (str(path), "Set the variable, or write the full path.")
    assert everything_in(tmp_path) == []
    path.touch(0o600)
    assert SESSION.to(sink) == str(path)


@pytest.mark.parametrize("make", [DotEnv, lambda path: CredentialsFile("dev", path)])
def test_a_missing_folder_is_not_created(make: Callable[[Path], DotEnv | CredentialsFile], tmp_path: Path) -> None:
    """A missing folder is an error with the command that creates it."""
    sink = make(tmp_path / "no such" / "file")
    for action in (sink.check, lambda: SESSION.to(sink)):
        with pytest.raises(SinkError, match=f"was not changed: the folder {tmp_path}/no such does not exist") as caught:
            action()
        assert caught.value.remedy == f"Create it (mkdir -p '{tmp_path}/no such'), or correct the path."
    assert everything_in(tmp_path) == []


def test_the_standard_folder_is_created(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~/.aws is created if the home folder exists, by write and not by check."""
    sink = CredentialsFile("dev")
    sink.check()
    assert everything_in(home) == []
    SESSION.to(sink)
    assert everything_in(home) == [".aws", ".aws/credentials"]
    assert (home / ".aws").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("HOME", str(home / "none"))
    with pytest.raises(SinkError, match="does not exist"):
        SESSION.to(sink)
    assert everything_in(home) == [".aws", ".aws/credentials"]


@pytest.mark.parametrize("make", [DotEnv, lambda path: CredentialsFile("dev", path)])
def test_a_token_as_a_path_is_not_shown(make: Callable[[str], object]) -> None:
    """A token that is passed as a path is not shown."""
    with pytest.raises(SinkError, match="path must be the path of a .*file, but this is a JSON Web Token") as caught:
        make(TOKEN)
    assert TOKEN not in str(caught.value)


# Locks where folders cannot be locked -----------------------------------------------------------------------------


@pytest.fixture
def files_only(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Simulate a file system that can lock files and no folders. Return the locked files."""
    lock, locked = fcntl.flock, list[str]()

    def flock(descriptor: int, how: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "bad file descriptor")
        if how & fcntl.LOCK_EX:
            locked.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    return locked


@pytest.mark.debian
def test_the_cache_folder_has_the_lock_if_a_folder_cannot_be_locked(files_only: list[str], home: Path) -> None:
    """If a folder cannot be locked, a file in the cache folder is locked, with a digest as its name."""
    for name in ("dev", "more"):
        SESSION.to(CredentialsFile(name, region="eu-west-1"))
    digest = sha256(os.fsencode(os.path.realpath(home / ".aws"))).hexdigest()
    assert files_only == [os.path.realpath(home / ".cache" / "stskit" / f"folder-{digest}.lock")] * 2
    assert sorted(os.listdir(home / ".aws")) == ["config", "credentials"]


@pytest.mark.debian
def test_without_a_lock_nothing_is_written(
    files_only: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a place for a lock, nothing is written."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 1_000_650_000)
    with pytest.raises(SinkError, match="its folder cannot be locked") as caught:
        SESSION.to(DotEnv(tmp_path / ".env"))
    assert caught.value.remedy == "Set HOME or XDG_CACHE_HOME, so that a lock file can be used."
    assert everything_in(tmp_path) == []
    assert files_only == []
