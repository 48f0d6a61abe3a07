"""Locks: one holder at a time, free when it dies, and never a way to somebody else's file.

This tests `_io.locks` itself, with a time of its own: through a sink or a cache the tests would have to wait.
"""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stskit._io import locks


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


class SteppingTime:
    """Time for the lock: every pause moves it, and may do something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.seconds, self.pauses, self.meanwhile = 0.0, 0, meanwhile
        monkeypatch.setattr(locks, "monotonic", lambda: self.seconds)
        monkeypatch.setattr(locks, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.pauses += 1
        self.meanwhile()


def taken(path: Path) -> bool:
    """Whether somebody else has the lock."""
    with open(path, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("problem", [None, ValueError, KeyboardInterrupt])
def test_the_lock_is_held_for_the_block_and_no_longer(tmp_path: Path, problem: type[BaseException] | None) -> None:
    """It ends with the block, however that ends; the lock file stays."""
    path = tmp_path / "lock"
    try:
        with locks.locked(str(path), 0):
            assert taken(path)
            if problem is not None:
                raise problem
    except (ValueError, KeyboardInterrupt):
        pass
    assert not taken(path)


def test_a_lock_that_stays_taken_is_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at again and again until the time is over; then the error names the lock and carries no context."""
    clock = SteppingTime(monkeypatch)
    path = str(tmp_path / "lock")
    before = open_descriptors()
    with (
        locks.locked(path, 0),
        pytest.raises(TimeoutError, match="another process holds the lock .*lock") as caught,
        locks.locked(path, 1),
    ):
        pytest.fail("two hold the lock")
    assert caught.value.__context__ is None
    assert 1 <= clock.seconds <= 1 + 2 * locks.PAUSE
    assert open_descriptors() == before


def test_without_patience_the_lock_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout of zero does not wait at all."""
    clock = SteppingTime(monkeypatch)
    path = str(tmp_path / "lock")
    with locks.locked(path, 0), pytest.raises(TimeoutError), locks.locked(path, 0):
        pass
    assert clock.pauses == 0


def test_a_waiter_gets_the_lock_when_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock goes over as soon as the other lets go."""
    path = tmp_path / "lock"
    other = open(path, "w")  # noqa: SIM115 - closed by the clock
    fcntl.flock(other, fcntl.LOCK_EX)
    clock = SteppingTime(monkeypatch, other.close)
    with locks.locked(str(path), 1):
        assert clock.pauses == 1


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """The kernel lets go of it; nothing has to be cleaned up by hand."""
    path = tmp_path / "lock"
    code = (
        "import fcntl, sys; fcntl.flock(f := open(sys.argv[1], 'w'), fcntl.LOCK_EX); print('held', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert taken(path)
        other.kill()
        other.wait()
        with locks.locked(str(path), 10):
            pass


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    """A lock file that somebody made a symlink beforehand is refused, and what it points to is not touched."""
    target = tmp_path / "target"
    target.write_bytes(b"old")
    (tmp_path / "lock").symlink_to(target)
    with pytest.raises(OSError) as caught, locks.locked(str(tmp_path / "lock"), 0):
        pass
    assert caught.value.errno == errno.ELOOP
    assert target.read_bytes() == b"old"


def test_an_error_of_the_lock_itself_is_no_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks says so at once."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(OSError, match="no locks available"), locks.locked(str(tmp_path / "lock"), 9):
        pass


@pytest.mark.parametrize(
    ("user", "owner", "given"), [(0, 1000, [(1000, 100)]), (0, 0, []), (1000, 0, []), (1000, 1000, [])]
)
def test_a_lock_that_root_makes_belongs_to_whom_the_folder_does(
    user: int, owner: int, given: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its owner could not open it the next time."""
    look, seen = os.fstat, list[tuple[int, int]]()
    monkeypatch.setattr(os, "fstat", lambda descriptor: os.stat_result((*look(descriptor)[:4], user, 0, *[0] * 4)))
    monkeypatch.setattr(os, "stat", lambda _path: os.stat_result((0, 0, 0, 0, owner, 100, *[0] * 4)))
    monkeypatch.setattr(os, "fchown", lambda _descriptor, user, group: seen.append((user, group)))
    with locks.locked(str(tmp_path / "lock"), 0):
        assert seen == given
