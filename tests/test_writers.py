"""Many writers at once lose nothing, and what programs without a lock do to the file is noticed."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import time as now
from typing import Any

import pytest
from awscli.customizations.configure import writer
from botocore.configloader import raw_config_parse
from conftest import OTHER
from helpers import folder_of

from stskit import Credentials
from stskit._io import locks
from stskit.errors import SinkError, StskitWarning
from stskit.sinks import CredentialsFile, file_edit

SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==")
WRITERS, PROFILES, ROUNDS = 16, 50, 5
WORKER = """
import sys
from stskit import Credentials
from stskit.errors import SinkError
from stskit.sinks import CredentialsFile
path, number, profiles = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for round in sys.stdin:
    for each in range(profiles):
        keys = Credentials(f"ASIA{number}X{each}", "s", f"round-{round.strip()}")
        while True:
            try:
                keys.to(CredentialsFile(f"p{number}-{each}", path))
                break
            except SinkError as error:
                if "another process holds the lock" not in str(error):
                    raise
    print("done", flush=True)
"""


@pytest.mark.gate
@pytest.mark.case("F4")
def test_sixteen_writers_lose_no_profile(file: Path) -> None:
    """Sixteen writers of fifty profiles each lose none, and a reader always sees a complete file."""
    start = [sys.executable, "-c", WORKER, str(file)]
    writers = [
        subprocess.Popen([*start, str(number), str(PROFILES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(WRITERS)
    ]
    code = "import sys; from botocore.configloader import raw_config_parse as read\n"
    code += "while True: assert 'other' in read(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stderr=subprocess.PIPE) as reader:
        for number in range(ROUNDS):
            for writer in writers:
                print(number, file=writer.stdin, flush=True)
            for writer in writers:
                assert writer.stdout is not None
                assert writer.stdout.readline() == "done\n"
            found = raw_config_parse(str(file))
            tokens = [
                found[f"p{each}-{profile}"]["aws_session_token"]
                for each in range(WRITERS)
                for profile in range(PROFILES)
            ]
            assert tokens == [f"round-{number}"] * 800
        assert reader.poll() is None, reader.stderr
        reader.kill()
    for writer in writers:
        writer.communicate()
    assert len(found) == 801
    assert file.read_text().startswith(OTHER)
    assert folder_of(file) == ["credentials"]


def as_the_aws_cli(file: Path, read: str, name: str) -> None:
    """Write the old content with one more profile, in place and without a lock."""
    with file.open("w") as target:
        target.write(f"{read}\n[{name}]\naws_access_key_id = AKIACLI\naws_secret_access_key = s\n")


def meanwhile(monkeypatch: pytest.MonkeyPatch, step: str, others: list[Callable[[], None]]) -> None:
    """Let another program run *others* when the new content is written or renamed."""
    real = getattr(os, step)

    def stepped(*arguments: Any, **folders: int) -> Any:
        result = real(*arguments, **folders)
        if others and (step != "fsync" or stat.S_ISREG(os.fstat(*arguments).st_mode)):
            others.pop(0)()
        return result

    monkeypatch.setattr(os, step, stepped)


@pytest.mark.case("F5", "F19", "P65")
@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_changes_of_another_program_are_kept(step: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another program writes during a write of stskit, both changes are kept."""
    meanwhile(monkeypatch, step, [lambda: as_the_aws_cli(file, OTHER, "theirs")])
    SESSION.to(CredentialsFile("ours"))
    assert sorted(raw_config_parse(str(file))) == ["other", "ours", "theirs"]


@pytest.mark.case("F19")
def test_a_change_by_an_editor_is_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of an editor that replaces or removes the file is kept."""

    def replace() -> None:
        (file.parent / "edited").write_text("# edited\n" + OTHER)
        (file.parent / "edited").replace(file)

    def anew() -> None:
        file.touch(0o600)
        file.write_text("# anew\n")

    meanwhile(monkeypatch, "fsync", [replace, file.unlink, anew])
    SESSION.to(CredentialsFile("ours"))
    assert file.read_text().startswith("# anew\n\n[ours]\n")


@pytest.mark.case("F5", "P65")
def test_a_change_lost_during_the_rename_causes_a_warning(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another program writes to the old file during the rename, a warning says so."""
    theirs = file.open("a")
    meanwhile(monkeypatch, "rename", [lambda: print("# lost", file=theirs, flush=True)])
    with pytest.warns(StskitWarning, match="Another program wrote to .*credentials.* run it again"):
        SESSION.to(CredentialsFile("ours"))
    theirs.close()
    assert sorted(raw_config_parse(str(file))) == ["other", "ours"]


class Pauses:
    """A `sleep` that runs a function and moves the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *events: Callable[[], object]) -> None:
        self.events, self.count, self.late = list(events), 0, 0.0
        monkeypatch.setattr(file_edit, "sleep", self.sleep)
        monkeypatch.setattr(file_edit, "time", lambda: now() + self.late)

    def sleep(self, seconds: float) -> None:
        self.count += 1
        self.late += seconds
        if self.events:
            self.events.pop(0)()


def put(file: Path, text: str, *, age: float = 0) -> None:
    """Write in place as the AWS CLI does, with a modification time *age* seconds ago."""
    file.write_text(text)
    os.utime(file, (now() - age, now() - age))


@pytest.mark.case("F5")
def test_a_file_that_was_just_emptied_is_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another program has just emptied is read again."""
    put(file, "")
    Pauses(monkeypatch, lambda: put(file, OTHER))
    SESSION.to(CredentialsFile("ours"))
    assert sorted(raw_config_parse(str(file))) == ["other", "ours"]


@pytest.mark.case("F5")
def test_a_file_that_is_half_written_is_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is half written is read again."""
    long = OTHER + "".join(f"[p{number}]\nk = v\n" for number in range(9))
    for first in (long, ""):
        put(file, first)
        monkeypatch.setattr(locks, "locked_folder", half_written(file, long, locks.locked_folder))
        Pauses(monkeypatch, lambda: put(file, long))
        SESSION.to(CredentialsFile("ours"))
        monkeypatch.undo()
        assert len(raw_config_parse(str(file))) == 11


def half_written(file: Path, text: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `locked_folder` during which another program writes."""

    def locked_folder(*arguments: Any) -> Any:
        with file.open("r+") as target:
            target.truncate(0)
            target.write(text[: len(OTHER)])
        return real(*arguments)

    return locked_folder


@pytest.mark.parametrize("age", [0.06, 59, 61, 10**6, -1])
def test_an_empty_file_is_written_at_once(age: float, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has been empty for a while is written at once."""
    put(file, "", age=age)
    pauses = Pauses(monkeypatch)
    SESSION.to(CredentialsFile("ours"))
    assert pauses.count == 0
    assert raw_config_parse(str(file)).keys() == {"ours"}


def test_an_empty_file_causes_one_pause(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty file costs one pause, and is then used as it is."""
    put(file, "")
    pauses = Pauses(monkeypatch)
    SESSION.to(CredentialsFile("ours"))
    assert pauses.count == 1


def test_a_file_just_written_by_stskit_causes_no_pause(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that stskit has just written is read without a pause."""
    pauses = Pauses(monkeypatch)
    for name in "abc":
        SESSION.to(CredentialsFile(name))
    assert pauses.count == 0


@pytest.mark.case("F5")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who has a file open")
def test_a_file_that_another_program_holds_empty_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a program has emptied the file and holds it open, the write is refused."""
    pauses = Pauses(monkeypatch)
    with file.open("w") as theirs:
        with pytest.raises(SinkError, match=f"{file} was not changed: another program is writing to it") as caught:
            SESSION.to(CredentialsFile("ours"))
        theirs.write(OTHER)
    assert (caught.value.remedy, caught.value.path) == ("Try again when that program has finished.", str(file))
    assert pauses.count == 20
    SESSION.to(CredentialsFile("ours"))
    assert sorted(raw_config_parse(str(file))) == ["other", "ours"]


def test_constant_changes_do_not_block_a_write(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that changes the file all the time does not block a write."""
    put(file, "")
    pauses = Pauses(monkeypatch, *[lambda: put(file, OTHER)] * 99)
    monkeypatch.setattr(file_edit, "time", now)
    SESSION.to(CredentialsFile("ours"))
    assert pauses.count == 20
    assert sorted(raw_config_parse(str(file))) == ["other", "ours"]


@pytest.mark.case("F5")
def test_a_write_of_the_aws_cli_is_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the AWS CLI writes at the same time, its profiles are kept."""
    emptied, paused = threading.Event(), threading.Event()

    def go_on() -> None:
        paused.set()
        cli.join(10)

    Pauses(monkeypatch, go_on)

    def opened(path: str, mode: str = "r") -> Any:
        handle = open(path, mode)  # noqa: SIM115 - the writer closes it
        if mode == "w":
            emptied.set()
            assert paused.wait(10)
        return handle

    monkeypatch.setattr(writer, "open", opened, raising=False)
    change = {"__section__": "other", "aws_access_key_id": "AKIACLI"}
    cli = threading.Thread(target=writer.ConfigFileWriter().update_config, args=(change, str(file)))
    cli.start()
    assert emptied.wait(10)
    SESSION.to(CredentialsFile("ours"))
    cli.join(10)
    found = raw_config_parse(str(file))
    assert (sorted(found), found["other"]["aws_access_key_id"]) == (["other", "ours"], "AKIACLI")


def test_a_file_that_changes_constantly_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes constantly is an error after some attempts."""

    def more() -> None:
        with file.open("a") as target:
            print("# more", file=target)

    meanwhile(monkeypatch, "fsync", [more] * 99)
    Pauses(monkeypatch)
    with pytest.raises(SinkError, match="keeps changing it without a lock"):
        SESSION.to(CredentialsFile("ours"))
    assert "ours" not in file.read_text()


@pytest.mark.case("F6")
def test_a_write_removes_files_of_killed_writers(file: Path) -> None:
    """A write removes temporary files of killed writers: of its file at once, and of other files after an hour."""
    old = [
        f".credentials.stskit-{'a' * 16}.tmp",
        f".credentials.bak.stskit-{'a' * 16}.tmp",
        f".other.stskit-{'b' * 16}.tmp",
    ]
    young = [f".other.stskit-{'c' * 16}.tmp", f"credentials.stskit-{'d' * 16}.tmp", ".credentials.stskit-1.tmp"]
    for name in old + young:
        (file.parent / name).touch()
    os.utime(file.parent / old[2], (0, 0))
    SESSION.to(CredentialsFile("ours"))
    assert folder_of(file) == sorted(["credentials", *young])


@pytest.mark.case("F18")
def test_a_large_file_is_changed_with_little_memory(file: Path) -> None:
    """A file of ten megabytes is changed with less than a hundred megabytes of memory."""
    profile = "[p{}]\naws_access_key_id = ASIA\naws_secret_access_key = s\naws_session_token = " + "t" * 440 + "\n\n"
    file.write_text("".join(profile.format(number) for number in range(20_000)))
    assert file.stat().st_size > 10_000_000
    code = (
        "import sys; from stskit import Credentials; from stskit.sinks import CredentialsFile\n"
        "Credentials('ASIANEW', 's', 't').to(CredentialsFile('p10000', sys.argv[1]))\n"
        "print(open('/proc/self/status').read())"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc here")
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    peak = re.search(r"VmHWM:\s*(\d+) kB", done.stdout)
    assert peak is not None
    assert int(peak[1]) < 100_000
    text = file.read_text()
    assert text.count("ASIANEW") == 1
    assert len(text) > 10_000_000 - 450
