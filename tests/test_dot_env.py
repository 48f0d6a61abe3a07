"""Credentials are written to a .env file as safely as to the credentials file, with a warning if git does not ignore
it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dotenv import dotenv_values
from helpers import folder_of, needs, reachable_text, shown_locals, unchecked

from stskit import Credentials
from stskit.errors import SinkError, StskitWarning
from stskit.sinks import DotEnv

SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==", account_id="123456789012")
STATIC = Credentials("AKIANEW", "static/secret")
DUE = Credentials("ASIADUE", "due/secret", "duetoken", datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC))
OTHER = "# mine\nA='1 2'\n"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """Return the path of a .env file with a comment and another variable."""
    path = tmp_path / "project" / ".env"
    path.parent.mkdir(0o700)
    path.touch(0o600)
    path.write_text(OTHER)
    return path


# Written content --------------------------------------------------------------------------------------------------


FULL = {
    "A": "1 2",
    "AWS_ACCESS_KEY_ID": "ASIADUE",
    "AWS_SECRET_ACCESS_KEY": "due/secret",
    "AWS_SESSION_TOKEN": "duetoken",
    "AWS_CREDENTIAL_EXPIRATION": "2099-01-02T03:04:05Z",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


def test_region_and_expiration_are_written_on_request(env: Path) -> None:
    """Region and expiration are written on request; without a region, the region in the file is kept."""
    assert DUE.to(DotEnv(env, region="eu-west-1", expiration=True)) == str(env)
    assert dotenv_values(env) == FULL
    SESSION.to(DotEnv(env))
    found = dotenv_values(env)
    assert "AWS_CREDENTIAL_EXPIRATION" not in found
    assert (found["AWS_SESSION_TOKEN"], found["AWS_REGION"]) == ("newtoken==", "eu-west-1")


def test_variables_of_other_credentials_are_removed(env: Path) -> None:
    """A profile and an old session token are removed from the file, because they would conflict with the new keys."""
    env.write_text("AWS_PROFILE=dev\nexport AWS_SECURITY_TOKEN=old\n" + OTHER)
    DUE.to(DotEnv(env, expiration=True))
    STATIC.to(DotEnv(env))
    assert env.read_text() == OTHER + "export AWS_ACCESS_KEY_ID=AKIANEW\nexport AWS_SECRET_ACCESS_KEY=static/secret\n"


@pytest.mark.case("X14")
def test_an_equal_write_changes_nothing(env: Path) -> None:
    """A second write of the same credentials keeps the inode and the time of the file and makes no backup."""
    SESSION.to(DotEnv(env))
    before = env.read_bytes(), env.stat().st_ino, env.stat().st_mtime_ns
    SESSION.to(DotEnv(env, backup=True))
    assert (env.read_bytes(), env.stat().st_ino, env.stat().st_mtime_ns) == before
    assert folder_of(env) == [".env"]


# Safe writes ------------------------------------------------------------------------------------------------------


@pytest.mark.case("X14", "P61")
def test_a_new_file_is_private(home: Path) -> None:
    """A new file has mode 0600 with any umask, and its path can begin with a tilde."""
    (home / "project").mkdir()
    before = os.umask(0)
    try:
        SESSION.to(DotEnv("~/project/.env"))
    finally:
        os.umask(before)
    path = home / "project" / ".env"
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    assert folder_of(path) == [".env"]


@pytest.mark.case("X14")
def test_a_link_stays_and_its_target_changes(env: Path, tmp_path: Path) -> None:
    """A write through a link changes its target and keeps the link."""
    link = tmp_path / ".env"
    link.symlink_to("project/.env")
    assert SESSION.to(DotEnv(link)) == str(link)
    assert link.is_symlink()
    assert "ASIANEW" in env.read_text()
    assert folder_of(env) == [".env"]


@pytest.mark.case("X14", "P74")
def test_an_old_file_keeps_its_mode_and_causes_a_warning_if_others_can_read_it(env: Path) -> None:
    """A file that others can read keeps its mode, with a warning at the caller's line that has no secret."""
    env.chmod(0o644)
    with pytest.warns(StskitWarning, match=f"{env} contains keys and is readable by other users") as caught:
        DotEnv(env).write(SESSION)
    assert [each.filename for each in caught] == [__file__]
    assert "secret" not in str(caught[0].message)
    assert env.stat().st_mode & 0o777 == 0o644


@pytest.mark.case("X14")
def test_a_backup_is_made_on_request(env: Path) -> None:
    """The backup has the old content and mode 0600."""
    SESSION.to(DotEnv(env, backup=True))
    assert Path(f"{env}.bak").read_text() == OTHER
    assert Path(f"{env}.bak").stat().st_mode & 0o777 == 0o600


KILLED = """
import os, signal, sys
from stskit import Credentials
from stskit.sinks import DotEnv
os.rename = lambda *paths, **folders: os.kill(os.getpid(), signal.SIGKILL)
DotEnv(sys.argv[1]).write(Credentials("ASIANEW", "new/secret+", "newtoken=="))
"""


@pytest.mark.case("X14")
def test_after_a_kill_the_next_writer_removes_the_temporary_file(env: Path) -> None:
    """If the writer is killed before the rename, the old file stays, and the next writer removes the temporary file."""
    assert subprocess.run([sys.executable, "-c", KILLED, env], check=False).returncode == -9
    assert env.read_text() == OTHER
    assert len(folder_of(env)) == 2
    SESSION.to(DotEnv(env))
    assert folder_of(env) == [".env"]


# Refused files ----------------------------------------------------------------------------------------------------


def hard_link(env: Path) -> None:
    os.link(env, env.parent / "twin")


def read_only(env: Path) -> None:
    env.chmod(0o400)


def a_mark(env: Path) -> None:
    env.write_bytes(b"\xef\xbb\xbf" + OTHER.encode())


def latin_1(env: Path) -> None:
    env.write_bytes(b"# caf\xe9 CANARY\n")


def open_quote(env: Path) -> None:
    env.write_text("A='CANARY\nAWS_SESSION_TOKEN='CANARY'\n")


@pytest.mark.case("X14")
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (hard_link, "hard link"),
        (read_only, "read-only"),
        (a_mark, "byte order"),
        (latin_1, "UTF-8"),
        (open_quote, "line"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_stays_unchanged(
    spoil: Callable[[Path], None], reason: str, env: Path
) -> None:
    """A file that cannot be changed safely is unchanged; the error names it but shows no content and no secret."""
    spoil(env)
    before = env.read_bytes()
    with pytest.raises(SinkError, match=f"{env} was not changed: .*{reason}") as caught:
        SESSION.to(DotEnv(env))
    assert caught.value.path == str(env)
    assert env.read_bytes() == before
    shown = reachable_text(caught.value) + shown_locals(caught.value)
    assert not any(secret in shown for secret in ("CANARY", "new/secret+", "newtoken=="))


@pytest.mark.case("X11")
@pytest.mark.parametrize("value", ["a b", "a#b", "a$b", "a'b", 'a"b', "a\\b", "a`b", "a\nb", "ä", "=a", "a&b", "a~b"])
def test_a_value_that_readers_read_differently_is_not_written(value: str, env: Path) -> None:
    """A value that readers would read differently is refused by its name, without showing it and without a lock."""
    for sink, keys, name in (
        (
            DotEnv(env),
            unchecked(Credentials("ASIANEW", "s", "t"), secret_access_key="CANARY" + value),
            "AWS_SECRET_ACCESS_KEY",
        ),
        (DotEnv(env, region=value), SESSION, "AWS_REGION"),
    ):
        if name == "AWS_SECRET_ACCESS_KEY" and value == "=a":
            continue  # This is only invalid at the start of a value.
        with pytest.raises(SinkError, match=f"{env} was not changed: {name} has characters") as caught:
            keys.to(sink)
        assert (caught.value.path, caught.value.variable) == (str(env), name)
        assert caught.value.remedy == "Check the place where the value comes from."
        assert "CANARY" not in reachable_text(caught.value) + shown_locals(caught.value)
    assert env.read_text() == OTHER
    assert folder_of(env) == [".env"]


@pytest.mark.case("P170")
def test_expired_credentials_are_refused(env: Path) -> None:
    """Expired credentials are refused, and the file is unchanged."""
    stale = Credentials("A", "CANARY", "t", datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(SinkError, match=f"{env} was not changed: the credentials expired at") as caught:
        stale.to(DotEnv(env))
    assert caught.value.path == str(env)
    assert env.read_text() == OTHER


def test_a_check_raises_what_writing_would_raise(env: Path) -> None:
    """`check` raises the same error as a write for an invalid region or file, and never changes a file."""
    DotEnv(env).check()
    assert env.read_text() == OTHER
    assert folder_of(env) == [".env"]
    with pytest.raises(SinkError, match="AWS_REGION has characters"):
        DotEnv(env, region="a b").check()
    open_quote(env)
    before = env.read_text()
    for action in (DotEnv(env).check, lambda: SESSION.to(DotEnv(env))):
        with pytest.raises(SinkError, match="line 1 is not NAME=value"):
            action()
    assert env.read_text() == before


def test_a_file_has_export_everywhere_or_nowhere(env: Path) -> None:
    """If the keys in a file are exported, the session token and the region are exported too."""
    env.write_text("DEBUG=1\nexport AWS_ACCESS_KEY_ID=AKIAOLD\nexport AWS_SECRET_ACCESS_KEY=old\n")
    SESSION.to(DotEnv(env, region="eu-west-1"))
    lines = env.read_text().splitlines()
    assert lines[0] == "DEBUG=1"
    assert len(lines) == 6
    assert all(line.startswith("export AWS_") for line in lines[1:])


# Git --------------------------------------------------------------------------------------------------------------


def git(*arguments: str | Path) -> None:
    who = ("-c", "user.name=me", "-c", "user.email=me@example.com", "-c", "init.defaultBranch=main")
    subprocess.run([needs("git"), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def tree(env: Path) -> Path:
    """Make the folder of the file a git work tree, and return it."""
    git("init", env.parent)
    return env.parent


def spy(tmp_path: Path) -> tuple[Path, Path]:
    """Return a program and the file that it creates when it runs."""
    program, mark = tmp_path / "spy", tmp_path / "ran"
    program.write_text(f"#!/bin/sh\necho > {mark}\nexit 1\n")
    program.chmod(0o700)
    return program, mark


@pytest.mark.debian
@pytest.mark.case("X13")
def test_a_file_that_git_does_not_ignore_causes_a_warning(tree: Path, env: Path) -> None:
    """Each write to a file that git does not ignore warns at the caller's line, also in subfolders and linked work
    trees.
    """
    for _ in range(2):
        with pytest.warns(StskitWarning, match=rf"git does not ignore {env}, .*\.gitignore") as caught:
            DotEnv(env).write(SESSION)
        assert [each.filename for each in caught] == [__file__]
    (tree / "a" / "b").mkdir(parents=True)
    with pytest.warns(StskitWarning, match="git does not ignore"):
        SESSION.to(DotEnv(tree / "a" / "b" / ".env"))
    git("-C", tree, "commit", "--allow-empty", "-m", "first")
    git("-C", tree, "worktree", "add", tree.parent / "linked")
    with pytest.warns(StskitWarning, match="git does not ignore"):
        SESSION.to(DotEnv(tree.parent / "linked" / ".env"))


@pytest.mark.debian
@pytest.mark.case("X13")
def test_an_ignored_file_causes_no_warning(tree: Path, env: Path) -> None:
    """An ignored file, or a file in the folder .git, causes no warning; an ignored file that was committed does."""
    (tree / ".gitignore").write_text(".env\n")
    SESSION.to(DotEnv(env))
    SESSION.to(DotEnv(tree / ".git" / "env"))
    git("-C", tree, "add", "-f", ".env")
    with pytest.warns(StskitWarning, match="git does not ignore"):
        STATIC.to(DotEnv(env))


@pytest.mark.debian
@pytest.mark.case("X13")
def test_a_backup_must_be_ignored_too(tree: Path, env: Path) -> None:
    """The backup must be ignored too, because it has keys."""
    (tree / ".gitignore").write_text(".env\n")
    (tree / "new").mkdir()
    SESSION.to(DotEnv(tree / "new" / ".env", backup=True))  # There was no file, so there is no backup.
    with pytest.warns(StskitWarning, match=rf"git does not ignore {env}\.bak") as caught:
        SESSION.to(DotEnv(env, backup=True))
    assert len(caught) == 1


@pytest.mark.debian
@pytest.mark.case("X13")
def test_the_target_of_a_link_must_be_ignored(tree: Path, env: Path, tmp_path: Path) -> None:
    """For a link, git's rules are checked for its target, because git commits only the path in a link."""
    outside = tmp_path / "outside"
    (tree / "link").symlink_to(outside)
    outside.touch(0o600)
    SESSION.to(DotEnv(tree / "link"))
    (tmp_path / "link").symlink_to(env)
    with pytest.warns(StskitWarning, match=f"git does not ignore {env}"):
        SESSION.to(DotEnv(tmp_path / "link"))


@pytest.mark.debian
@pytest.mark.case("X13")
def test_without_a_git_work_tree_there_is_no_warning(env: Path, tmp_path: Path) -> None:
    """Without a git repository, or in a bare one, there is no warning."""
    SESSION.to(DotEnv(env))
    git("init", "--bare", tmp_path / "bare")
    SESSION.to(DotEnv(tmp_path / "bare" / ".env"))


@pytest.mark.case("X13")
@pytest.mark.parametrize("program", ["", "#!/bin/sh\nexit 128\n", "#!/bin/sh\nexec /usr/bin/tail -f /dev/null\n"])
def test_if_git_fails_there_is_no_warning(
    program: str, env: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If git is missing, fails or hangs, the file is written without a warning."""
    (env.parent / ".git").mkdir()
    if program:
        (tmp_path / "git").write_text(program)
        (tmp_path / "git").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, timeout, **more: run(*args, timeout=timeout / 20, **more))
    SESSION.to(DotEnv(env))
    assert "ASIANEW" in env.read_text()


@pytest.mark.case("X13")
@pytest.mark.parametrize("ignored", [True, False])
def test_git_is_run_for_the_file(
    ignored: bool,
    env: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`git check-ignore` is called for the file: status 1 causes a warning, and its output is not shown."""
    (env.parent / ".git").mkdir()
    (tmp_path / "git").write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho out; echo err >&2\nexit {not ignored:d}'
    )
    (tmp_path / "git").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    SESSION.to(DotEnv(env))
    assert (tmp_path / "asked").read_text().endswith(f"check-ignore -q -- {env}\n")
    assert len(recwarn) == (0 if ignored else 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.debian
@pytest.mark.case("X13")
@pytest.mark.parametrize("setting", ["core.fsmonitor", "core.hooksPath", "core.pager", "core.sshCommand"])
def test_no_program_of_the_repository_is_run(setting: str, tree: Path, env: Path, tmp_path: Path) -> None:
    """No program in the repository's git configuration runs, although plain git runs core.fsmonitor."""
    program, mark = spy(tmp_path)
    git("-C", tree, "config", setting, program)
    with pytest.warns(StskitWarning, match="git does not ignore"):
        SESSION.to(DotEnv(env))
    assert not mark.exists()
    if setting == "core.fsmonitor":
        subprocess.run([needs("git"), "-C", tree, "check-ignore", "-q", env], check=False, capture_output=True)
        assert mark.exists()


@pytest.mark.debian
@pytest.mark.case("X13")
def test_no_program_of_the_repository_is_used_to_fetch(tmp_path: Path) -> None:
    """In a partial clone, no program in its git configuration runs to fetch a missing .gitignore."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    git("init", origin)
    (origin / "deep").mkdir()
    (origin / "deep" / ".gitignore").write_text(".env\n")
    git("-C", origin, "add", ".")
    git("-C", origin, "commit", "-m", "first")
    git("-C", origin, "config", "uploadpack.allowFilter", "true")
    git("clone", "--filter=blob:none", "--no-checkout", origin.as_uri(), clone)
    git("-C", clone, "sparse-checkout", "set", "--no-cone", "/none")
    git("-C", clone, "checkout")
    (clone / "deep").mkdir()
    program, mark = spy(tmp_path)
    git("-C", clone, "config", "remote.origin.uploadpack", program)
    SESSION.to(DotEnv(clone / "deep" / ".env"))
    assert not mark.exists()
    ask: list[str | Path] = [needs("git"), "-C", clone, "check-ignore", "-q", clone / "deep" / ".env"]
    subprocess.run(ask, check=False, capture_output=True)
    assert mark.exists()


@pytest.mark.debian
@pytest.mark.case("X13")
def test_in_a_hook_the_right_repository_is_used(
    tree: Path, env: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a git hook, the variables of the hook's repository are ignored and the file's own repository is checked."""
    (tree / ".gitignore").write_text(".env\n")
    git("init", tmp_path / "other")
    (tree / "deep").mkdir()
    for name, value in (("GIT_DIR", "other/.git"), ("GIT_WORK_TREE", "project/deep"), ("GIT_INDEX_FILE", "nothing")):
        monkeypatch.setenv(name, str(tmp_path / value))
    SESSION.to(DotEnv(tree / "deep" / ".env"))
    (tree / ".gitignore").unlink()
    with pytest.warns(StskitWarning, match="git does not ignore"):
        STATIC.to(DotEnv(env))


@pytest.mark.debian
@pytest.mark.case("X13")
def test_a_program_named_git_beside_the_file_is_not_run(tree: Path, env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program called git in the file's folder is not run, even if the current folder is in PATH."""
    program, mark = spy(env.parent.parent)
    program.rename(tree / "git")
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    with pytest.warns(StskitWarning, match="git does not ignore"):
        SESSION.to(DotEnv(env))
    assert not mark.exists()
