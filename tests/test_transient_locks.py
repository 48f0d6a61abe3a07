"""Locks whose files are removed by their holder: one holder at a time, and nothing left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from stskit._io import transient_locks
from stskit._io.transient_locks import hold, remove_unused


class SteppingTime:
    """A clock that each pause of the lock moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.seconds, self.pauses, self.meanwhile = 0.0, 0, meanwhile
        monkeypatch.setattr(transient_locks, "monotonic", lambda: self.seconds)
        monkeypatch.setattr(transient_locks, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.pauses += 1
        self.meanwhile()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "x.lock")


def is_free(path: str) -> bool:
    try:
        with hold(path, 0):
            return True
    except TimeoutError:
        return False


@pytest.mark.case("P104")
@pytest.mark.parametrize("problem", [None, ValueError, KeyboardInterrupt])
def test_the_lock_file_is_removed_at_the_end(path: str, problem: type[BaseException] | None) -> None:
    """The lock and its file are removed at the end of the block, also after an exception."""
    try:
        with hold(path, 0):
            assert os.path.exists(path)
            assert not is_free(path)
            if problem:
                raise problem
    except (ValueError, KeyboardInterrupt):
        pass
    assert not os.path.exists(path)
    assert is_free(path)


def test_a_waiting_process_gets_the_lock(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiting process gets the lock, and does not use the removed file."""
    first = hold(path, 0)
    first.__enter__()
    time = SteppingTime(monkeypatch, lambda: first.__exit__(None, None, None) if time.pauses == 3 else None)
    with hold(path, 10):
        assert time.pauses == 3
        assert not is_free(path)
    assert not os.path.exists(path)


def test_a_process_that_locks_a_removed_file_starts_again(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that locks a removed file starts again."""
    real = fcntl.flock
    opened: list[int] = []

    def flock(file: object, operation: int) -> None:
        if operation != fcntl.LOCK_UN and not opened:
            opened.append(os.stat(path).st_ino)
            os.unlink(path)  # as the holder does
        real(file, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", flock)
    with hold(path, 0):
        assert os.path.exists(path)
        monkeypatch.undo()
        assert not is_free(path)


def test_the_wait_for_a_lock_ends_with_an_error(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for a lock ends with an error that names the path."""
    time = SteppingTime(monkeypatch)
    with hold(path, 0), pytest.raises(TimeoutError, match="another process holds the lock"), hold(path, 7):
        pytest.fail("two holders")
    assert 7 <= time.seconds <= 8


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_link_is_not_a_lock(path: str, kind: str) -> None:
    """A link is not a lock, and its target is not created."""
    if kind == "folder":
        os.mkdir(path)
    else:
        os.symlink("victim", path)
    with pytest.raises(OSError, match=os.strerror(errno.EISDIR if kind == "folder" else errno.ELOOP)), hold(path, 0):
        pytest.fail("it was locked")
    assert os.listdir(os.path.dirname(path)) == ["x.lock"]


def test_a_file_system_without_locks_is_an_error(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks raises the error of the system, and no file stays open."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="no locks"), hold(path, 0):
        pytest.fail("it was locked")


def test_lock_files_of_dead_processes_are_removed(path: str) -> None:
    """Lock files of dead processes are removed, and locked ones are not."""
    victim = Path(path).with_name("victim")
    victim.touch()
    with hold(path, 0):
        assert not remove_unused(path)
        assert os.path.exists(path)
    Path(path).touch()
    assert remove_unused(path)
    os.symlink(victim, path)
    assert remove_unused(path)
    assert os.listdir(victim.parent) == ["victim"]
    with pytest.raises(FileNotFoundError):
        remove_unused(path)


@pytest.mark.case("P102")
def test_the_lock_of_a_killed_process_is_free(path: str) -> None:
    """The lock of a killed process is free, and the next process removes its file."""
    code = f"from stskit._io.transient_locks import hold\nwith hold({path!r}, 0): print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"held\n"
        assert not is_free(path)
        child.send_signal(signal.SIGKILL)
    assert os.path.exists(path)
    assert is_free(path)
    assert not os.path.exists(path)


@pytest.mark.parametrize("umask", [0, 0o777])
def test_every_umask_gives_a_file_of_mode_0600(path: str, umask: int) -> None:
    """With every umask, a lock file has mode 0600."""
    before = os.umask(umask)
    try:
        with hold(path, 0):
            assert os.stat(path).st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_a_forked_child_neither_holds_nor_releases_the_lock(path: str) -> None:
    """A forked child does not hold or release the lock of its parent."""
    with hold(path, 0):
        child = os.fork()
        if not child:  # pragma: no cover - another process
            os._exit(bool(list(transient_locks._held)) and not all(file.closed for file in transient_locks._held))
        assert os.waitpid(child, 0)[1] == 0
        assert not is_free(path)
    closing = hold(path, 0)
    closing.__enter__()
    transient_locks._close_all()  # as in the child
    Path(path).touch()
    closing.__exit__(None, None, None)
    assert os.path.exists(path)


def test_many_threads_are_never_in_the_block_together(path: str) -> None:
    """Many threads are never in the block at the same time."""
    inside, most, entered = 0, 0, 0
    counting = threading.Lock()

    def turns(seed: int) -> Iterator[None]:
        nonlocal inside, most, entered
        random = Random(seed)
        for _ in range(40):
            if random.random() < 0.3:
                with suppress(FileNotFoundError):
                    remove_unused(path)
            with hold(path, 60):
                with counting:
                    inside, entered = inside + 1, entered + 1
                    most = max(most, inside)
                yield
                with counting:
                    inside -= 1

    threads = [threading.Thread(target=lambda seed=seed: [*turns(seed)]) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, entered, inside) == (1, 240, 0)
    assert not os.path.exists(path)
