"""Credentials are written to the credentials file completely or not at all, and nothing else changes."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.session import Session
from conftest import OTHER
from helpers import folder_of, needs, reachable_text, unchecked
from readers import NODE, node
from test_locks import SteppingTime

from stskit import Credentials
from stskit._io import locks
from stskit.errors import SinkError, StskitWarning
from stskit.sinks import CredentialsFile

SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==", account_id="123456789012")
STATIC = Credentials("AKIANEW", "static/secret")
DUE = Credentials("ASIADUE", "due/secret", "duetoken", datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC))
KEYS = "aws_access_key_id = ASIANEW\naws_secret_access_key = new/secret+\naws_session_token = newtoken==\n"


@pytest.fixture
def config(file: Path) -> Path:
    return file.parent / "config"


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Yield a function that sets the umask; restore the umask afterwards."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


# Written content


@pytest.mark.case("P12")
def test_a_profile_is_read_back_by_botocore_and_by_the_aws_cli(file: Path, config: Path) -> None:
    """Botocore and the AWS CLI read the written profile with its region and output format, in other processes."""
    assert SESSION.to(CredentialsFile("dev", region="eu-west-1", output="text")) == str(file)
    session = Session(profile="dev")
    found = session.get_credentials()
    assert found is not None
    assert (found.access_key, found.secret_key, found.token) == ("ASIANEW", "new/secret+", "newtoken==")
    # The oldest supported botocore has no account ID.
    assert getattr(found, "account_id", "123456789012") == "123456789012"
    assert session.get_config_variable("region") == "eu-west-1"
    command = [sys.executable, "-m", "awscli", "configure", "get", "aws_secret_access_key", "--profile", "dev"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "new/secret+\n"
    assert file.read_text().startswith(OTHER)
    assert config.read_text() == "[profile dev]\nregion = eu-west-1\noutput = text\n"


@pytest.mark.debian
def test_the_sdk_for_javascript_reads_it(file: Path) -> None:
    """The AWS SDK for JavaScript reads the written profile with its region."""
    DUE.to(CredentialsFile("dev", region="eu-west-1"))
    command = [node(), str(NODE / "read_sdk.mjs"), "ini", "dev"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "ASIADUE due/secret duetoken - eu-west-1\n"


def test_the_expiry_is_written_for_other_tools(file: Path) -> None:
    """The expiry is written as x_security_token_expires, as saml2aws does, in whole seconds of UTC."""
    DUE.to(CredentialsFile("default"))
    assert file.read_text().endswith("duetoken\nx_security_token_expires = 2099-01-02T03:04:05Z\n")


@pytest.mark.case("F23")
def test_a_session_has_no_options_of_static_keys(file: Path) -> None:
    """Long-term keys replace the token, account and expiry of an older session, under all their names."""
    file.write_text("[dev]\naws_security_token = stale\nexpiration = stale\naws_session_expiration = stale\n")
    DUE.to(CredentialsFile("dev"))
    SESSION.to(CredentialsFile("dev"))
    STATIC.to(CredentialsFile("dev"))
    assert file.read_text() == "[dev]\naws_access_key_id = AKIANEW\naws_secret_access_key = static/secret\n"


@pytest.mark.case("F2")
def test_an_equal_write_changes_nothing(file: Path, config: Path) -> None:
    """A second write of the same credentials keeps the inode, the time and the backup of both files."""
    sink = CredentialsFile("dev", region="eu-west-1", backup=True)
    SESSION.to(sink)
    before = [(each.stat().st_ino, each.stat().st_mtime_ns) for each in (file, config, Path(f"{file}.bak"))]
    SESSION.to(sink)
    assert [(each.stat().st_ino, each.stat().st_mtime_ns) for each in (file, config, Path(f"{file}.bak"))] == before


def test_many_profiles_are_written_at_once(file: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`write_all` writes each file once: existing profiles stay in their places, and new profiles come at the end."""
    SESSION.to(CredentialsFile("b"))
    renamed: list[str] = []
    rename = os.rename

    def record(old: str, new: str, **folders: int) -> None:
        renamed.append(new)
        rename(old, new, **folders)

    monkeypatch.setattr(os, "rename", record)
    given = {"c": SESSION, "b": STATIC, "a": DUE}
    assert CredentialsFile.write_all(given, region="us-east-1") == str(file)
    profiles = Session().full_config["profiles"]
    assert re.findall(r"\[(.*)\]", file.read_text()) == ["other", "b", "c", "a"]
    assert {name: profiles[name]["aws_access_key_id"] for name in given} == {
        name: keys.access_key_id for name, keys in given.items()
    }
    assert {profiles[name]["region"] for name in given} == {"us-east-1"}
    assert renamed == ["config", "credentials"]


def test_many_profiles_are_written_all_or_none(file: Path) -> None:
    """If one profile cannot be written, `write_all` writes none."""
    stale = Credentials("A", "s", "t", datetime.now(UTC) - timedelta(seconds=1))
    for others in ({"a b": SESSION}, {"b": stale}, {"other": SESSION}):
        with pytest.raises(SinkError):
            CredentialsFile.write_all({"a": SESSION, **others})
    assert file.read_text() == OTHER
    assert CredentialsFile.write_all({}) == str(file)
    assert file.read_text() == OTHER


# Remove


@pytest.mark.case("F3")
@pytest.mark.parametrize(
    "text",
    [OTHER, "", "# only a comment\n", "[x]\nk = v", "[x]\nk = v\n\n\n", "[x]\r\nk = v\r\n", "[x]\r\nk = v", "\n",
     "[x]\nk = v\n  continued\n", "[dev]\nregion = eu-west-1\n# note\n\n[x]\nk = v", "[dev] # team\n\n[x]\n",
     "[dev]\n# note", "[dev]\nregion = x", "[DEFAULT]\naws_access_key_id = A\n"],
)  # fmt: skip
@pytest.mark.parametrize("keys", [SESSION, DUE, STATIC])
def test_remove_restores_the_old_bytes(text: str, keys: Credentials, file: Path, config: Path) -> None:
    """`remove` restores the old bytes of both files, whatever they ended with."""
    file.write_bytes(text.encode())
    config.write_bytes(text.encode().replace(b"[dev]", b"[profile dev]").replace(b"region = ", b"x = "))
    before = file.read_bytes(), config.read_bytes()
    sink = CredentialsFile("dev", region="eu-west-1", output="json", overwrite=True)
    keys.to(sink)
    assert file.read_bytes() != before[0]
    assert sink.remove() == str(file)
    assert (file.read_bytes(), config.read_bytes()) == before


def test_remove_restores_the_text_between_other_profiles(file: Path) -> None:
    """Profiles between other profiles are removed without a trace, in any order."""
    for name in ("a", "b", "c"):
        SESSION.to(CredentialsFile(name))
    for name in ("b", "a", "c"):
        CredentialsFile(name).remove()
    assert file.read_text() == OTHER


def test_remove_keeps_other_settings_and_creates_nothing(file: Path, config: Path) -> None:
    """`remove` keeps a changed region, ignores a missing profile, and creates no file or lock."""
    SESSION.to(CredentialsFile("dev", region="eu-west-1"))
    config.write_text("[profile dev]\nregion = us-east-1\n")
    CredentialsFile("dev", region="eu-west-1").remove()
    CredentialsFile("none").remove()
    assert config.read_text() == "[profile dev]\nregion = us-east-1\n"
    assert file.read_text() == OTHER
    CredentialsFile("dev", file.parent / "no" / "such").remove()
    assert not (file.parent / "no").exists()


def test_long_term_keys_are_removed_only_on_request(file: Path) -> None:
    """`remove` refuses long-term keys without `overwrite`, because they cannot be obtained again."""
    with pytest.raises(SinkError, match=r"\[other\] has long-term keys.*overwrite=True"):
        CredentialsFile("other").remove()
    assert file.read_text() == OTHER
    CredentialsFile("other", overwrite=True).remove()
    assert file.read_text() == "# mine\n"


# Settings that must not be lost or hidden


ELSEWHERE = ["role_arn", "credential_process", "sso_session", "sso_start_url", "login_session"]


@pytest.mark.parametrize("option", ELSEWHERE)
@pytest.mark.parametrize("where", ["credentials", "config"])
@pytest.mark.parametrize("name", ["dev", "default"])
def test_a_profile_with_another_source_is_overwritten_only_on_request(
    option: str, where: str, name: str, file: Path, config: Path
) -> None:
    """A profile with another source of credentials is written only with `overwrite`, and keeps the other source."""
    section = f"profile {name}" if where == "config" and name != "default" else name
    target = file if where == "credentials" else config
    target.write_text(f"[{section}]\n{option} = something\n")
    before = target.read_text()
    with pytest.raises(SinkError, match=rf"\[{section}\] has {option}.*overwrite=True") as caught:
        SESSION.to(CredentialsFile(name))
    assert caught.value.path == str(target)
    assert target.read_text() == before
    SESSION.to(CredentialsFile(name, overwrite=True))
    assert f"{option} = something\n" in target.read_text()
    assert "ASIANEW" in file.read_text()


@pytest.mark.parametrize("where", ["credentials", "config"])
def test_long_term_keys_are_overwritten_or_hidden_only_on_request(where: str, file: Path, config: Path) -> None:
    """Long-term keys in either file are replaced or hidden only with `overwrite`; equal keys can be written again."""
    target, section = (file, "dev") if where == "credentials" else (config, "profile dev")
    target.write_text(f"[{section}]\naws_access_key_id = AKIAMINE\naws_secret_access_key = s\naws_session_token =\n")
    for keys in (SESSION, STATIC):
        with pytest.raises(SinkError, match="long-term keys"):
            keys.to(CredentialsFile("dev"))
    Credentials("AKIAMINE", "s").to(CredentialsFile("dev"))
    SESSION.to(CredentialsFile("dev", overwrite=True))
    assert "ASIANEW" in file.read_text()


def test_keys_of_a_session_are_overwritten(file: Path, config: Path) -> None:
    """Keys with a session token are replaced without `overwrite`, under both names of the token."""
    for token in ("aws_session_token", "aws_security_token"):
        file.write_text(f"[dev]\naws_access_key_id = ASIAOLD\naws_secret_access_key = s\n{token} = old\n")
        config.write_text("[profile dev]\nregion = eu-west-1\n")
        SESSION.to(CredentialsFile("dev"))
        assert "ASIAOLD" not in file.read_text()


PROFILE_DEFAULT = "[profile default]\nregion = us-west-2\noutput = yaml\ns3 =\n  max_queue_size = 5\n"


def test_profile_default_is_changed_in_place(file: Path, config: Path) -> None:
    """[profile default] is changed in place, because botocore ignores it beside a section [default]."""
    config.write_text(PROFILE_DEFAULT)
    sink = CredentialsFile("default", region="eu-west-1")
    SESSION.to(sink)
    assert config.read_text() == PROFILE_DEFAULT.replace("us-west-2", "eu-west-1")
    default = Session().full_config["profiles"]["default"]
    assert (default["region"], default["output"], default["s3"]) == ("eu-west-1", "yaml", {"max_queue_size": "5"})
    sink.remove()
    assert config.read_text() == PROFILE_DEFAULT.replace("region = us-west-2\n", "")


@pytest.mark.parametrize(
    "text", ["[default]\nregion = us-west-1\n" + PROFILE_DEFAULT, PROFILE_DEFAULT + "[default]\nregion = us-west-1\n"]
)
def test_two_sections_for_the_default_profile_are_both_changed_on_request(text: str, file: Path, config: Path) -> None:
    """If the config file has [default] and [profile default], only `overwrite` changes it, and both get the region."""
    config.write_text(text)
    with pytest.raises(SinkError, match=r"\[default\] and \[profile default\] are the same profile") as caught:
        SESSION.to(CredentialsFile("default", region="eu-west-1"))
    assert (caught.value.option, caught.value.path) == ("overwrite", str(config))
    assert config.read_text() == text
    SESSION.to(CredentialsFile("default", region="eu-west-1", overwrite=True))
    assert config.read_text() == text.replace("us-west-1", "eu-west-1").replace("us-west-2", "eu-west-1")


@pytest.mark.parametrize("content", [b"stray\n", b"\xff", b"[default]\r", None])
def test_an_unreadable_config_file_matters_only_when_written(content: bytes | None, file: Path, config: Path) -> None:
    """An unreadable config file is an error only if the sink has to write to it."""
    config.mkdir() if content is None else config.write_bytes(content)
    SESSION.to(CredentialsFile("default"))
    assert "ASIANEW" in file.read_text()
    with pytest.raises(SinkError, match="config was not changed"):
        DUE.to(CredentialsFile("default", region="us-east-1"))
    assert "ASIADUE" not in file.read_text()


# Paths


def test_paths_come_from_the_argument_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are the arguments, else the variables. The config file is beside the credentials file by default."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "by-variable"))
    assert SESSION.to(CredentialsFile("dev")) == str(tmp_path / "by-variable")
    for name in "abcd":
        (tmp_path / name).mkdir()
    SESSION.to(CredentialsFile("dev", tmp_path / "a" / "keys", "us-east-1"))
    assert (tmp_path / "a" / "config").exists()
    SESSION.to(CredentialsFile("dev", tmp_path / "b" / "keys", "us-east-1", config_path=tmp_path / "c" / "conf"))
    assert (tmp_path / "c" / "conf").exists()
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "conf-by-variable"))
    SESSION.to(CredentialsFile("dev", tmp_path / "d" / "keys", "us-east-1"))
    assert (tmp_path / "conf-by-variable").exists()
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "")
    assert SESSION.to(CredentialsFile("dev")).endswith("/.aws/credentials")


@pytest.mark.case("F9")
def test_a_link_stays_and_its_target_changes(file: Path, tmp_path: Path) -> None:
    """A write through links, also relative ones, changes the target and keeps the links."""
    target = tmp_path / "real"
    file.rename(target)
    (tmp_path / "middle").symlink_to("real")
    file.symlink_to(os.path.relpath(tmp_path / "middle", file.parent))
    SESSION.to(CredentialsFile("dev"))
    assert file.is_symlink()
    assert (tmp_path / "middle").is_symlink()
    assert "[dev]" in target.read_text()
    assert folder_of(target) == ["middle", "real"]


def test_both_files_must_be_different(tmp_path: Path) -> None:
    """If both paths are the same file, the write is refused immediately and nothing is created."""
    with pytest.raises(SinkError, match="config_path"):
        SESSION.to(CredentialsFile("dev", tmp_path / "sub" / "config", region="us-east-1"))
    assert not (tmp_path / "sub").exists()


# Permissions


@pytest.mark.case("F11", "P61")
@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o777])
def test_new_files_and_folders_are_private(home: Path, umask: Callable[[int], int], mask: int) -> None:
    """With any umask, new files and backups have mode 0600, ~/.aws has mode 0700, and no lock file remains."""
    umask(mask)
    for keys in (SESSION, DUE):
        path = Path(keys.to(CredentialsFile("default", region="us-east-1", backup=True)))
    assert path == home / ".aws" / "credentials"
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    assert folder_of(path) == ["config", "credentials", "credentials.bak"]
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.case("F12", "P74")
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644])
def test_an_old_file_keeps_its_mode_and_causes_a_warning_if_others_can_read_it(mode: int, file: Path) -> None:
    """A file that others can read keeps its mode, and each change causes one warning at the caller's line."""
    file.chmod(mode)
    with pytest.warns(
        StskitWarning, match=rf"{file} contains keys and is readable by other users.*chmod 600"
    ) as caught:
        CredentialsFile("dev").write(SESSION)
    assert [each.filename for each in caught] == [__file__]
    assert file.stat().st_mode & 0o777 == mode
    SESSION.to(CredentialsFile("dev"))
    assert "new/secret+" not in str(caught[0].message)


def test_a_config_file_can_be_readable_by_everyone(file: Path, config: Path) -> None:
    """A config file that others can read causes no warning, because it has no secrets."""
    config.write_text("")
    config.chmod(0o644)
    SESSION.to(CredentialsFile("dev", region="eu-west-1"))
    assert config.stat().st_mode & 0o777 == 0o644


@pytest.mark.case("F12")
def test_a_read_only_file_is_not_replaced(file: Path) -> None:
    """A read-only file is refused, although a rename could replace it."""
    file.chmod(0o400)
    with pytest.raises(SinkError, match="read-only"):
        SESSION.to(CredentialsFile("dev"))
    assert file.read_text() == OTHER


@pytest.mark.case("F15")
def test_access_lists_and_labels_are_kept(file: Path) -> None:
    """Extended attributes of the file are kept."""
    try:
        os.setxattr(file, "user.label", b"mine")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    SESSION.to(CredentialsFile("dev"))
    assert os.getxattr(file, "user.label") == b"mine"


@pytest.mark.debian
@pytest.mark.case("F15")
def test_an_access_list_is_kept(file: Path) -> None:
    """An access control list of the file is kept."""
    needs("setfacl")
    if subprocess.run(["setfacl", "-m", "u:65534:r", file], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no access lists")
    with pytest.warns(StskitWarning, match="is readable by other users"):
        SESSION.to(CredentialsFile("dev"))
    listed = subprocess.run(["getfacl", "-np", file], capture_output=True, text=True, check=True).stdout
    assert "user:65534:r--" in listed


def test_a_backup_has_the_old_content(file: Path) -> None:
    """The backup has the old content and mode 0600, and replaces a link instead of writing through it."""
    Path(f"{file}.bak").symlink_to("precious")
    (file.parent / "precious").write_text("precious")
    SESSION.to(CredentialsFile("dev", backup=True))
    assert Path(f"{file}.bak").read_text() == OTHER
    assert Path(f"{file}.bak").stat().st_mode & 0o777 == 0o600
    assert (file.parent / "precious").read_text() == "precious"


# Refused files


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
    file.write_bytes(b"\xef\xbb\xbf" + OTHER.encode())


def latin_1(file: Path) -> None:
    file.write_bytes(OTHER.encode() + b"# caf\xe9 CANARY\n")


def utf_16(file: Path) -> None:
    file.write_bytes(OTHER.encode("utf-16"))


def broken(file: Path) -> None:
    file.write_text(OTHER + "stray CANARY\n")


def returns(file: Path) -> None:
    file.write_bytes(OTHER.encode().replace(b"\n", b"\r"))


def too_large(file: Path) -> None:
    os.truncate(file, 64_000_001)


def no_folder(file: Path) -> None:
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("a file in the way")


@pytest.mark.case("P56")
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(dangling, "a link to", marks=pytest.mark.case("F9")),
        pytest.param(loop, "a link to", marks=pytest.mark.case("F9")),
        pytest.param(hard_link, "hard links", marks=pytest.mark.case("F10")),
        pytest.param(no_folder, "Not a directory|File exists", marks=pytest.mark.case("F11")),
        (a_folder, "it is a folder, not a regular file"),
        (a_fifo, "regular file"),
        (a_mark, "byte order mark"),
        (latin_1, "UTF-8"),
        (utf_16, "UTF-8"),
        (broken, "line 5"),
        (returns, "carriage return"),
        (too_large, "larger than"),
    ],
)
def test_a_file_that_cannot_be_written_safely_is_unchanged(
    spoil: Callable[[Path], None], reason: str, file: Path
) -> None:
    """A file that cannot be written safely is unchanged, and the error names it and the reason but no content."""
    spoil(file)
    contents = {each.name: each.read_bytes() for each in file.parent.glob("*") if each.is_file()}
    with pytest.raises(SinkError, match=reason) as caught:
        SESSION.to(CredentialsFile("dev", region="us-east-1"))
    after = {each.name: each.read_bytes() for each in file.parent.glob("*") if each.is_file()}
    assert after == contents
    assert caught.value.path in (str(file), str(file.parent / "config"))
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    shown = "".join(str(frame.locals) for frame in frames if frame.filename != __file__)
    for secret in ("CANARY", SESSION.secret_access_key, SESSION.session_token, "AKIAOTHER"):
        assert str(secret) not in reachable_text(caught.value) + shown


@pytest.mark.case("F22", "P62")
def test_a_link_with_the_name_of_a_lock_is_not_followed(file: Path) -> None:
    """A link with the name of a lock file does not change the file to which it points."""
    (file.parent / "victim").write_text("precious")
    (file.parent / "credentials.lock").symlink_to("victim")
    SESSION.to(CredentialsFile("dev"))
    assert (file.parent / "victim").read_text() == "precious"


def test_a_writer_waits_ten_seconds_for_the_lock(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer waits ten seconds for the lock. Then the error names the lock, and the file is unchanged."""
    clock = SteppingTime(monkeypatch)
    with (
        locks.locked_folder(str(file.parent), 0, str),
        pytest.raises(SinkError, match=r"another process holds the lock on .*\.aws\. Try again"),
    ):
        SESSION.to(CredentialsFile("dev"))
    assert 10 <= clock.seconds < 11
    assert file.read_text() == OTHER


@pytest.mark.parametrize(
    ("make", "option", "remedy", "cli_remedy"),
    [
        (lambda: CredentialsFile("a b"), "profile", "Use letters, digits", ""),
        (lambda: CredentialsFile("default", region="a b"), "region", "Pass for example us-east-1 or json", ""),
        (lambda: CredentialsFile("default", output="é"), "output", "Pass for example us-east-1 or json", ""),
        (
            lambda: SESSION.to(CredentialsFile("dev", "both/config", "us-east-1")),
            "config_path",
            "Pass another config_path.",
            "Pass another --config-file.",
        ),
        (
            lambda: SESSION.to(CredentialsFile("other")),
            "overwrite",
            "Choose another profile, or pass overwrite=True to write to this one.",
            "Choose another profile, or pass --overwrite to write to this one.",
        ),
        (
            CredentialsFile("other").remove,
            "overwrite",
            "Pass overwrite=True to remove them.",
            "Pass --overwrite to remove them.",
        ),
    ],
)
def test_an_error_carries_the_option_and_the_remedy(
    make: Callable[[], object], option: str, remedy: str, cli_remedy: str, file: Path
) -> None:
    """An error has the option, the path, and the remedies for Python and for the command line."""
    with pytest.raises(SinkError) as caught:
        make()
    error = caught.value
    assert (error.option, error.cli_remedy) == (option, cli_remedy)
    assert error.remedy.startswith(remedy)
    assert str(error) == f"{error.message} {error.remedy}"
    assert error.path == (str(file) if option == "overwrite" else "both/config" if "path" in option else None)


def test_an_error_of_the_system_has_a_remedy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy of a system error depends on the errno, with a default for other errors."""

    def refuse(*_: object, **_folders: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "rename", refuse)
    for number, remedy in (
        (errno.ENOSPC, "Free some space on the disk."),
        (errno.EIO, "Correct this, or use another path."),
    ):
        with pytest.raises(SinkError) as caught:
            SESSION.to(CredentialsFile("dev"))
        assert caught.value.message == f"{file} was not changed: {os.strerror(number)}."
        assert (caught.value.remedy, caught.value.path) == (remedy, str(file))


@pytest.mark.case("P170")
def test_expired_credentials_are_not_written(file: Path) -> None:
    """Expired credentials are not written, because they could replace valid ones."""
    stale = Credentials("A", "s", "t", datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(SinkError, match="expired"):
        stale.to(CredentialsFile("new"))
    assert file.read_text() == OTHER


# Refusals before anything is fetched


def test_the_name_of_the_profile_is_required(file: Path) -> None:
    """The profile name is required, so that the default profile is never written by accident."""
    with pytest.raises(TypeError, match="profile"):
        CredentialsFile()  # type: ignore[call-arg]
    assert file.read_text() == OTHER


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CredentialsFile(None), "profile must be text, not None"),  # type: ignore[arg-type]
        (lambda: CredentialsFile(SESSION), "profile must be text, not Credentials"),  # type: ignore[arg-type]
        (lambda: CredentialsFile("dev", 1), "path must be a path as text or os.PathLike"),  # type: ignore[arg-type]
        (lambda: CredentialsFile("dev", config_path=b"x"), "config_path must be a path"),  # type: ignore[arg-type]
        (lambda: CredentialsFile("dev", region=1), "region must be text or None, not int"),  # type: ignore[arg-type]
        (lambda: CredentialsFile.write_all({None: SESSION}), "profile must be text, not None"),  # type: ignore[dict-item]
        (
            lambda: CredentialsFile("dev", config_path="config", overwrite=True),
            "config_path has no effect with overwrite=True and without a region or an output",
        ),
    ],
)
def test_a_wrong_type_or_an_option_without_effect_is_a_type_error(
    make: Callable[[], object], message: str, home: Path
) -> None:
    """A wrong type or an option without effect raises TypeError with the name of the argument, and creates no file."""
    with pytest.raises(TypeError, match=message):
        make()
    assert list(home.iterdir()) == []


def test_a_check_changes_nothing(file: Path, config: Path) -> None:
    """`check` changes no file, time, lock or backup, and the following write succeeds."""
    sink = CredentialsFile("dev", region="eu-west-1", backup=True)
    before = file.stat()
    sink.check()
    assert folder_of(file) == ["credentials"]
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    SESSION.to(sink)
    sink.check()
    assert "placeholder" not in file.read_text() + config.read_text()


def protected(file: Path) -> None:
    file.write_text("[dev]\naws_access_key_id = AKIAMINE\naws_secret_access_key = s\n")


def elsewhere(file: Path) -> None:
    (file.parent / "config").write_text("[profile dev]\ncredential_process = x\n")


def read_only(file: Path) -> None:
    file.chmod(0o400)


def bad_config(file: Path) -> None:
    (file.parent / "config").write_text("stray\n")


@pytest.mark.parametrize(
    "spoil",
    [protected, elsewhere, read_only, bad_config, dangling, hard_link, no_folder, a_folder, a_fifo, a_mark, broken],
)
def test_a_check_raises_what_writing_would_raise(spoil: Callable[[Path], None], file: Path) -> None:
    """`check` raises the same error as `write` would, before an MFA code or an assertion is used."""
    spoil(file)
    sink = CredentialsFile("dev", region="eu-west-1")
    errors = []
    for action in (sink.check, lambda: SESSION.to(sink)):
        with pytest.raises(SinkError) as caught:
            action()
        errors.append((str(caught.value), caught.value.path, caught.value.option))
    assert errors[0] == errors[1]


def test_a_folder_that_cannot_be_written_fails_the_check(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` reports a folder without write permission, also if ~/.aws does not exist yet."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SinkError, match="Permission denied. Get write permission"):
        CredentialsFile("dev").check()
    assert list(home.iterdir()) == []


def test_two_names_of_one_folder_are_locked_once(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names of the same folder, as with a bind mount, are locked once."""
    other = tmp_path / "other"
    other.symlink_to(file.parent)
    monkeypatch.setattr(os.path, "realpath", os.path.abspath)
    monkeypatch.setattr(locks, "_FOLDER_FLAGS", os.O_RDONLY)
    SESSION.to(CredentialsFile("dev", region="eu-west-1", config_path=other / "config"))
    assert folder_of(file) == ["config", "credentials"]


@pytest.mark.case("F16", "F17")
@pytest.mark.parametrize(
    "name",
    ["", "a b", "a]\n[default", "a]\n[default]", "a\r", "DEFAULT", "__proto__", "[x]", "a#b", "é", "a=b\n",
     "profile x", "sso-session x", "services x", "\N{PILE OF POO}", "e\N{COMBINING ACUTE ACCENT}", " a", "a ", "a(b)",
     "a;b", 'a"b', "a'b", "a\\b", "a\nb", "a\x7f", "a\x85", "a\u2028b", "\ufeffa"],
)  # fmt: skip
def test_a_profile_name_that_some_tools_cannot_read_is_refused(name: str) -> None:
    """A profile name that some AWS tools cannot read is refused when the sink is created."""
    with pytest.raises(SinkError, match="profile name"):
        CredentialsFile(name)


@pytest.mark.case("F16")
@pytest.mark.parametrize(
    "value", ["", "a b", "a\nb", "a\r\n[x]", "'a'", '"a"', "#a", ";a", "\x85", "é", "a\0", "\u2028"]
)
def test_a_value_that_would_not_be_read_back_is_refused(value: str, file: Path) -> None:
    """A region that would not be read back is refused by the constructor, and a token of this kind before the file
    changes.
    """
    with pytest.raises(SinkError, match="region"):
        CredentialsFile("dev", region=value)
    if value:
        with pytest.raises(SinkError, match="aws_session_token") as caught:
            unchecked(Credentials("A", "s"), session_token=value).to(CredentialsFile("dev"))
        assert value not in reachable_text(caught.value) or len(value) == 1
    assert folder_of(file) == ["credentials"]


@pytest.mark.case("F16")
@pytest.mark.parametrize("value", ["a=b", "a:b", "=a", ":a", "a;b#c", "%(x)s", "100%", "${X}", "a[b]", "a]"])
def test_a_value_can_have_any_character_without_a_special_meaning(value: str, file: Path) -> None:
    """A token can have any character without a special meaning in the file, as on servers other than AWS."""
    Credentials("A", "s", value).to(CredentialsFile("dev"))
    found = Session(profile="dev").get_credentials()
    assert found is not None
    assert found.token == value


def test_the_second_file_is_not_written_if_the_first_cannot_be(file: Path) -> None:
    """If the credentials file cannot be written, the config file is not written either."""
    file.write_text("stray\n")
    with pytest.raises(SinkError):
        SESSION.to(CredentialsFile("dev", region="us-east-1"))
    assert folder_of(file) == ["credentials"]


@pytest.mark.parametrize("there", ["us-west-2", "us-east-1", ""])
def test_the_first_file_is_restored_if_the_second_cannot_be_replaced(
    there: str, file: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the second file cannot be replaced, the first file is restored."""
    if there:
        config.write_text(f"[profile dev]\nregion = {there}\n")
        config.chmod(0o640)
    rename = os.rename

    def refuse(old: str, new: str, **folders: int) -> None:
        if new == file.name:
            raise PermissionError(13, "Permission denied")
        rename(old, new, **folders)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(SinkError, match="credentials was not changed: Permission denied"):
        SESSION.to(CredentialsFile("dev", region="us-east-1"))
    assert file.read_text() == OTHER
    assert config.exists() == bool(there)
    if there:
        assert config.read_text() == f"[profile dev]\nregion = {there}\n"
        assert config.stat().st_mode & 0o777 == 0o640


def test_a_warning_as_an_error_is_raised_after_the_write(file: Path) -> None:
    """If warnings are errors, the warning is raised after the write, which stays, and no frame shows a secret."""
    file.chmod(0o644)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(StskitWarning) as caught:
            SESSION.to(CredentialsFile("dev"))
    assert KEYS in file.read_text()
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert "new/secret+" not in "".join(str(frame.locals) for frame in frames)
