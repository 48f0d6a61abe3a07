"""The random bytes for cache keys: each user has one file of them, and a fault in it never raises an error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stskit import Credentials
from stskit._io import cache_folder
from stskit._io.cache_folder import default_folder, user_key
from stskit.sources import Static


@pytest.fixture(autouse=True)
def forget() -> None:
    """Clear the memory of this process, as if a new process started."""
    cache_folder._user_key_in.cache_clear()


@pytest.fixture
def file(home: Path) -> Path:
    return home / ".cache" / "stskit" / "cache-key"


@pytest.mark.case("P94")
def test_the_key_file_is_created_once_and_is_private(file: Path) -> None:
    """The first call creates 32 bytes with mode 0600 in a folder with mode 0700; later calls return the same bytes."""
    key = user_key()
    assert file.read_bytes() == key
    assert len(key) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_nlink == 1
    assert os.listdir(file.parent) == ["cache-key"]
    cache_folder._user_key_in.cache_clear()
    assert user_key() == key


def test_eight_processes_use_the_same_key_file(home: Path, file: Path) -> None:
    """Eight processes that start at the same time all use the bytes in the file."""
    code = "import sys; from stskit._io.cache_folder import user_key; sys.stdin.read(1); print(user_key().hex())"
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for child in children:
        assert child.stdin
        child.stdin.write("x")
        child.stdin.flush()
    told = {child.communicate()[0].strip() for child in children}
    assert told == {file.read_bytes().hex()}


def _broken(file: Path) -> None:
    file.write_bytes(b"short")
    file.chmod(0o600)


def _shared(file: Path) -> None:
    file.write_bytes(b"x" * 32)
    file.chmod(0o644)


def _link(file: Path) -> None:
    target = file.parent.parent / "target"
    target.write_bytes(b"x" * 32)
    target.chmod(0o600)
    file.symlink_to(target)


def _folder(file: Path) -> None:
    file.mkdir()


def _open_folder(file: Path) -> None:
    file.parent.chmod(0o755)


def _no_folder(file: Path) -> None:
    file.parent.rmdir()
    file.parent.write_text("a file")


@pytest.mark.case("P95")
@pytest.mark.parametrize("spoil", [_broken, _shared, _link, _folder, _open_folder, _no_folder])
def test_an_unsafe_key_file_is_replaced_by_random_bytes(spoil: Callable[[Path], None], file: Path) -> None:
    """If the file cannot be trusted, the process uses its own bytes until it ends, without an error."""
    file.parent.mkdir(parents=True, mode=0o700)
    spoil(file)
    key = user_key()
    assert len(key) == 32
    assert key not in (b"x" * 32, b"short")
    assert user_key() == key
    cache_folder._user_key_in.cache_clear()
    assert user_key() != key


@pytest.mark.case("P95")
def test_without_a_home_folder_the_process_uses_random_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a home folder, the process uses its own bytes and creates no folder called ~."""
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert default_folder().startswith("~")
    assert len(user_key()) == 32
    assert not os.listdir()


@pytest.mark.case("P94")
def test_the_key_file_of_another_user_makes_other_keys(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's bytes make another cache key, so cache keys cannot be used to test guessed secrets."""
    source = Static(Credentials("AKIA", "secret"))
    mine = source.identity
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert source.identity != mine
    assert "secret" not in mine
