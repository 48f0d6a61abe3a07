"""``python -m stskit.testing`` creates its files, and removes them at the end."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import pytest

from stskit import SAMLAssertion, assume, caller_identity
from stskit.sinks import CredentialsFile
from stskit.sources import OIDCTokenFile, Profile, SAMLFile
from stskit.testing import FakeSTS, practice_server
from stskit.testing.practice_server import PracticeFolder, main

NAMES = {"samlresponse.log", "token", "credentials", "config", "practice.env", ".stskit-practice"}
ROLE = "arn:aws:iam::123456789012:role/"


@contextmanager
def practising(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the program, and yield it with its first output."""
    command = [sys.executable, "-m", "stskit.testing", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            while "Ctrl-C" not in said:
                line = process.stdout.readline()
                assert line, process.communicate()
                said += line
            yield process, said
        finally:
            process.kill()


def sourced(folder: Path, command: str) -> str:
    """Return the output of *command* in a shell that has sourced the file."""
    odd = {"AWS_PROFILE": "odd", "AWS_ACCESS_KEY_ID": "odd", "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        ["sh", "-c", f". '{folder}/practice.env' && {command}"],
        env={**os.environ, **odd},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_shell_that_sources_the_file_uses_the_practice_aws(tmp_path: Path, number: int) -> None:
    """A shell that sources the file uses the practice AWS. Both signals remove the folder."""
    folder = tmp_path / "a folder"
    with practising(str(folder)) as (process, said):
        assert f"Files in {folder}:" in said
        assert f". '{folder}/practice.env'" in said
        assert {file.name for file in folder.iterdir()} == NAMES
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
        aws = Path(sys.executable).parent / "aws"
        arn = sourced(
            folder,
            f"'{sys.executable}' '{aws}' sts get-caller-identity --profile base --query Arn --output text",
        )
        assert arn == "arn:aws:iam::123456789012:user/developer"
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert not folder.exists()


def test_every_source_of_the_tutorial_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SAML file, the token file and the profile of the practice AWS work."""
    practice = PracticeFolder(tmp_path / "practice", FakeSTS())
    with practice.sts.serve() as url, practice.reserved():
        practice.make(url)
        for line in (practice.folder / "practice.env").read_text().splitlines()[1:]:
            name, _, value = line.removeprefix("export ").partition("=")
            monkeypatch.setenv(name, value)
        given = assume(f"{ROLE}Deploy", source=SAMLFile(practice.folder / "samlresponse.log"))
        assert given.assumed_role_arn == "arn:aws:sts::123456789012:assumed-role/Deploy/alice"
        given.to(CredentialsFile("deploy"))
        assert caller_identity(Profile("deploy").fetch()).arn == given.assumed_role_arn
        assert assume(f"{ROLE}Any", source=OIDCTokenFile(practice.folder / "token")).subject == "alice"
        assert assume(f"{ROLE}Hub", f"{ROLE}Reports", source=Profile("base")).account_id == "123456789012"
        assert practice.remove()


def test_the_proofs_are_renewed_every_minute(tmp_path: Path) -> None:
    """The proofs are renewed every minute."""
    folder, seen, waits = tmp_path / "practice", [], []

    def wait(stop: Event, seconds: float) -> bool:
        waits.append(seconds)
        seen.append((folder / "samlresponse.log").read_text())
        assert {file.name for file in folder.iterdir()} == NAMES
        return len(waits) == 3

    assert main([str(folder)], wait=wait) == 0
    assert waits == [60, 60, 60]
    assert len(set(seen)) == 3
    assert len(SAMLAssertion(seen[-1].strip()).roles) == 2


@pytest.mark.parametrize("place", ["/dev/full", None])
def test_it_runs_with_a_closed_or_full_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str | None
) -> None:
    """The practice AWS runs with a closed or full standard output."""
    if place and not Path(place).exists():
        pytest.skip(f"this system has no {place}")
    seen: list[str] = []
    stream = open(place, "w") if place else None  # noqa: SIM115 - its end cannot be written either
    monkeypatch.setattr(sys, "stdout", stream)
    folder = tmp_path / "practice"

    def wait(_stop: Event, _seconds: float) -> bool:
        seen.append((folder / "token").read_text())
        return True

    assert main([str(folder)], wait=wait) == 0
    monkeypatch.undo()
    assert (len(seen), list(tmp_path.iterdir())) == (1, [])
    if stream:
        with suppress(OSError):
            stream.close()


def test_a_folder_with_other_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with other files, a link and a file are refused, and stay unchanged."""
    taken, link, file = tmp_path / "taken", tmp_path / "link", tmp_path / "file"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    link.symlink_to(tmp_path / "elsewhere")
    file.touch()
    for place in (taken, link, file):
        assert main([str(place)]) == 1
        assert f"{place} exists and is not empty. Choose another folder" in capsys.readouterr().err
    assert [each.name for each in taken.iterdir()] == ["mine"]
    assert not (tmp_path / "elsewhere").exists()
    assert main([str(tmp_path / "no" / "such")]) == 1


def test_a_folder_that_remained_is_used_again(tmp_path: Path) -> None:
    """A folder that remained after a kill, or is empty, is used again. Other files and the folder then stay."""
    folder = tmp_path / "practice"
    folder.mkdir(0o755)
    with practising(str(folder)) as (process, _):
        assert folder.stat().st_mode & 0o777 == 0o700
        process.kill()
        process.wait(30)
    assert {file.name for file in folder.iterdir()} == NAMES
    with practising(str(folder)) as (process, _):
        (folder / "mine").write_text("mine")
        process.terminate()
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert f"{folder} was not removed, because it contains other files." in process.stdout.read()
    assert {file.name for file in folder.iterdir()} == {"mine", ".stskit-practice"}
    with practising(str(folder)):
        assert {file.name for file in folder.iterdir()} == NAMES | {"mine"}
    assert (folder / "mine").read_text() == "mine"


def test_a_folder_of_a_running_practice_aws_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second practice AWS refuses the folder of a running one, and changes no file in it."""
    folder = tmp_path / "practice"
    with practising(str(folder)):
        before = {file.name: file.read_bytes() for file in folder.iterdir()}
        assert main([str(folder)]) == 1
        assert f"Another practice AWS uses {folder}. Stop it first" in capsys.readouterr().err
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_removed_folder_stops_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the folder is removed, the practice AWS stops with a message."""
    folder = tmp_path / "practice"

    def wait(_stop: Event, _seconds: float) -> bool:
        shutil.rmtree(folder)
        return False

    assert main([str(folder)], wait=wait) == 1
    assert "cannot be written: No such file or directory." in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["one", "two"]])
def test_wrong_arguments_print_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments print the usage in one line."""
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m stskit.testing [FOLDER]")


def test_the_package_can_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package can be run, and its main module can be imported."""
    file = Path(practice_server.__file__).with_name("__main__.py")
    runpy.run_path(str(file), run_name="imported")
    monkeypatch.setattr(sys, "argv", ["stskit.testing", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(file), run_name="__main__")
    assert caught.value.code == 2


def test_main_ends_by_a_signal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In this process, main ends by a signal and restores the handlers."""
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    times: list[float] = []

    def wait(stop: Event, seconds: float) -> bool:
        times.append(seconds)
        if len(times) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            return stop.wait(seconds)
        return stop.is_set()

    assert main([], wait=wait) == 0
    assert len(times) == 2
    assert signal.getsignal(signal.SIGTERM) == before
    assert not Path("practice").exists()


def test_main_keeps_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Main keeps other files in the folder, and says so."""
    monkeypatch.chdir(tmp_path)

    def wait(_stop: Event, _seconds: float) -> bool:
        Path("mine/mine").touch()
        return True

    assert main(["mine"], wait=wait) == 0
    assert "mine was not removed, because it contains other files." in capsys.readouterr().out


def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error for a missing extra has the install command, and no file remains."""
    for library in ("jwt", "lxml"):
        monkeypatch.setitem(sys.modules, library, None)
    assert main([str(tmp_path / "practice")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("stskit.testing: ")
    assert said.endswith("Run: pip install 'stskit[testing]'\n")
    assert list(tmp_path.iterdir()) == []
