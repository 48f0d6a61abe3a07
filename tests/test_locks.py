"""Locks: one holder at a time, free when the holder dies, and never on another user's file.

These tests call `_io.locks` directly with a simulated time, because a sink or a cache would really wait.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stskit._io import locks


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


class SteppingTime:
    """A simulated time for the lock: each pause advances it and can call a function."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.seconds, self.pauses, self.meanwhile = 0.0, 0, meanwhile
        monkeypatch.setattr(locks, "monotonic", lambda: self.seconds)
        monkeypatch.setattr(locks, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.pauses += 1
        self.meanwhile()


def taken(path: Path) -> bool:
    """Return whether another process or descriptor holds the lock."""
    with open(path, "r+b") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("problem", [None, ValueError, KeyboardInterrupt])
def test_the_lock_is_held_during_the_block(tmp_path: Path, problem: type[BaseException] | None) -> None:
    """The lock is released at the end of the block, also after an exception."""
    path = tmp_path / "lock"
    try:
        with locks.locked(str(path), 0):
            assert taken(path)
            if problem is not None:
                raise problem
    except (ValueError, KeyboardInterrupt):
        pass
    assert not taken(path)


def test_a_lock_that_stays_held_causes_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that stays held raises TimeoutError after the timeout; the error names the lock and has no context."""
    clock = SteppingTime(monkeypatch)
    path = str(tmp_path / "lock")
    before = open_descriptors()
    with (
        locks.locked(path, 0),
        pytest.raises(TimeoutError, match="another process holds the lock on .*lock") as caught,
        locks.locked(path, 1),
    ):
        pytest.fail("two hold the lock")
    assert caught.value.__context__ is None
    assert 1 <= clock.seconds <= 1 + 2 * locks.PAUSE
    assert open_descriptors() == before


def test_with_a_timeout_of_zero_the_lock_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a timeout of zero, a held lock raises TimeoutError without a pause."""
    clock = SteppingTime(monkeypatch)
    path = str(tmp_path / "lock")
    with locks.locked(path, 0), pytest.raises(TimeoutError), locks.locked(path, 0):
        pass
    assert clock.pauses == 0


def test_a_waiting_thread_gets_the_free_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiting process gets the lock after the other holder releases it."""
    path = tmp_path / "lock"
    other = open(path, "w")  # noqa: SIM115 - closed by the clock
    fcntl.flock(other, fcntl.LOCK_EX)
    clock = SteppingTime(monkeypatch, other.close)
    with locks.locked(str(path), 1):
        assert clock.pauses == 1


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """The lock of a killed process is free."""
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


def test_a_link_with_the_name_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    """A link with the name of the lock file is refused, and its target is unchanged."""
    target = tmp_path / "target"
    target.write_bytes(b"old")
    (tmp_path / "lock").symlink_to(target)
    with pytest.raises(OSError) as caught, locks.locked(str(tmp_path / "lock"), 0):
        pass
    assert caught.value.errno == errno.ELOOP
    assert target.read_bytes() == b"old"


def test_an_error_of_the_lock_call_is_raised_immediately(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the lock call, as on a file system without locks, is raised immediately."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(OSError, match="no locks available"), locks.locked(str(tmp_path / "lock"), 9):
        pass


def as_user(monkeypatch: pytest.MonkeyPatch, user: int, owner: int) -> list[tuple[int, int]]:
    """Simulate *user* as owner of files and *owner* as owner of folders; return the list of new owners."""
    look, seen = os.fstat, list[tuple[int, int]]()

    def owned(descriptor: int) -> os.stat_result:
        found = look(descriptor)
        uid = owner if stat.S_ISDIR(found.st_mode) else user
        return os.stat_result((*found[:4], uid, 100, *found[6:]))

    monkeypatch.setattr(os, "fstat", owned)
    monkeypatch.setattr(os, "fchown", lambda _descriptor, user, group: seen.append((user, group)))
    return seen


@pytest.mark.parametrize(
    ("user", "owner", "given"), [(0, 1000, [(1000, 100)]), (0, 0, []), (1000, 0, []), (1000, 1000, [])]
)
def test_a_lock_created_by_root_belongs_to_the_owner_of_the_folder(
    user: int, owner: int, given: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If root creates a lock file, it belongs to the owner of the folder, so that this user can open it."""
    seen = as_user(monkeypatch, user, owner)
    with locks.locked(str(tmp_path / "lock"), 0):
        assert seen == given


def test_an_existing_lock_file_keeps_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner and the mode of an existing lock file do not change, even for root."""
    (tmp_path / "lock").touch(0o644)
    seen = as_user(monkeypatch, 0, 1000)
    with locks.locked(str(tmp_path / "lock"), 0):
        assert seen == []
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o644


def test_a_second_name_of_another_file_is_not_locked(tmp_path: Path) -> None:
    """A lock file that is a hard link of another file is refused, and the owner and mode of that file do not change."""
    (tmp_path / "precious").touch(0o644)
    (tmp_path / "lock").hardlink_to(tmp_path / "precious")
    before = open_descriptors()
    with (
        pytest.raises(PermissionError, match="not a regular file with one name"),
        locks.locked(str(tmp_path / "lock"), 0),
    ):
        pass
    assert (tmp_path / "precious").stat().st_mode & 0o777 == 0o644
    assert open_descriptors() == before


# Folders ----------------------------------------------------------------------------------------------------------


def no_fallback() -> str:
    pytest.fail("this file system can lock folders")


def is_locked(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_locking_a_folder_leaves_no_file_in_it(tmp_path: Path) -> None:
    """A folder is locked through its descriptor until the end of the block, and no file is left in it."""
    before = open_descriptors()
    with locks.locked_folder(str(tmp_path), 0, no_fallback) as folder:
        assert is_locked(tmp_path)
        assert os.path.samestat(os.fstat(folder), tmp_path.stat())
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert open_descriptors() == before


def test_a_folder_that_stays_locked_causes_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that stays locked raises TimeoutError, which names the folder."""
    clock = SteppingTime(monkeypatch)
    with (
        locks.locked_folder(str(tmp_path), 0, no_fallback),
        pytest.raises(TimeoutError, match=f"another process holds the lock on {tmp_path}"),
        locks.locked_folder(str(tmp_path), 1, no_fallback),
    ):
        pytest.fail("two hold the lock")
    assert 1 <= clock.seconds <= 1 + 2 * locks.PAUSE


def test_a_lock_file_is_used_if_the_folder_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If folders cannot be locked, as on NFS, a lock file is used instead."""
    lock = fcntl.flock

    def files_only(descriptor: int, how: int) -> None:
        if stat.S_ISDIR(os.stat(descriptor).st_mode):
            raise OSError(errno.EBADF, "bad file descriptor")
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", files_only)
    (tmp_path / "folder").mkdir()
    with locks.locked_folder(str(tmp_path / "folder"), 0, lambda: str(tmp_path / "lock")):
        assert taken(tmp_path / "lock")
    assert not taken(tmp_path / "lock")


def test_a_link_is_not_locked_as_a_folder(tmp_path: Path) -> None:
    """A link is refused as a folder to lock, because the caller has already resolved all links."""
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError) as caught, locks.locked_folder(str(tmp_path / "link"), 0, no_fallback):
        pass
    assert caught.value.errno in {errno.ELOOP, errno.ENOTDIR}


def test_a_folder_that_was_replaced_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the folder is replaced before it is locked, an error is raised, because writes would go to the old folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    lock = fcntl.flock

    def replace_then_lock(descriptor: int, how: int) -> None:
        folder.rename(tmp_path / f"old{how}")
        folder.mkdir()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", replace_then_lock)
    with (
        pytest.raises(OSError, match="was replaced by another folder") as caught,
        locks.locked_folder(str(folder), 0, no_fallback),
    ):
        pass
    assert caught.value.errno == errno.ESTALE


INTERRUPTED = """
import fcntl, os, sys
from stskit._io import locks

folder, number, when = sys.argv[1], 0, 0

class Interrupt(BaseException):
    pass

def count(frame, event, _):
    global number
    if frame.f_code.co_filename.endswith(("locks.py", "contextlib.py")):
        frame.f_trace_opcodes = True
        if event == "opcode":
            number += 1
            if number == when:
                raise Interrupt
        return count

def stays_locked():
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)

stuck = 0
while number >= when:
    when, number = when + 1, 0
    sys.settrace(count)
    try:
        with locks.locked_folder(folder, 0, str):
            pass
    except Interrupt:
        pass
    finally:
        sys.settrace(None)
    stuck += bool(stays_locked())
print(when, stuck)
"""


def test_no_lock_stays_held_when_a_signal_handler_raises(tmp_path: Path) -> None:
    """If a signal handler raises at any instruction of the lock code, no lock stays held."""
    if sys.version_info[:2] == (3, 12):
        pytest.skip("here Python 3.12 reports one instruction only to the trace function")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, tmp_path], capture_output=True, text=True, check=True, timeout=60
    )
    instructions, stuck = map(int, done.stdout.split())
    assert instructions > 300
    assert stuck == 0, done.stderr
