"""Many processes: one call for all that share a file cache, whatever becomes of who makes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from fake_server import SESSION_TOKEN, Answer, FakeServer, Request, fake_server, granted
from workers import MANY, PROCESSES, ROUNDS, THREADS

WORKERS = Path(__file__).parent / "workers.py"
SECONDS = 120


def command(name: str, server: FakeServer, folder: Path, *more: str) -> Sequence[str]:
    return [sys.executable, "-P", str(WORKERS), name, server.url, str(folder), *more]


def run(name: str, server: FakeServer, folder: Path, *more: str) -> Any:
    """Return the output of the program and the requests to the server."""
    done = subprocess.run(
        command(name, server, folder, *more), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    asked = Counter(request.form["RoleArn"].rpartition("/")[2] for request in server.requests)
    return json.loads(done.stdout), asked


def numbered() -> Any:
    """Return an STS whose responses have different tokens and are valid for an hour."""
    number = iter(range(10_000))
    return lambda request: granted(request, SessionToken=f"token-{next(number)}", Expiration=in_an_hour())


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.mark.case("C13", "P15", "P31")
@pytest.mark.gate
def test_a_cold_start_of_many_processes_causes_one_call(tmp_path: Path) -> None:
    """Eight processes with four threads each make one call, in twenty runs."""
    with fake_server(numbered()) as server:
        seen, asked = run("cold-start", server, tmp_path / "cache")
    assert asked == {f"r{number}": 1 for number in range(ROUNDS)}
    assert [len(keys) for keys in seen] == [PROCESSES * THREADS] * ROUNDS
    assert [len(set(keys)) for keys in seen] == [1] * ROUNDS
    assert not [key for keys in seen for key in keys if key.startswith("error")]


@pytest.mark.case("R16")
@pytest.mark.parametrize("method", ["fork", "forkserver", pytest.param("spawn", marks=pytest.mark.gate)])
def test_a_recipe_works_in_an_executor(tmp_path: Path, method: str) -> None:
    """A recipe in an executor makes a call for each use, and with a file cache one call in total."""
    with fake_server(numbered()) as server:
        tokens, asked = run("pool", server, tmp_path / "cache", method)
    assert asked == {"plain": 8, "cached": 1}
    assert len(set(tokens[:8])) == 8
    assert len(set(tokens[8:])) == 1
    assert not [token for token in tokens if token.startswith("error")]


@pytest.mark.case("C13", "P15", "P82", "P100")
@pytest.mark.gate
def test_fifty_processes_cause_one_call(tmp_path: Path) -> None:
    """Fifty processes with four threads each and an empty cache make one call."""
    with fake_server(numbered()) as server:
        (keys,), asked = run("many", server, tmp_path / "cache")
    assert asked == {"r0": 1}
    assert (len(keys), len(set(keys))) == (MANY * THREADS, 1)


@contextmanager
def a_process_in_the_middle_of_its_call(folder: Path) -> Iterator[tuple[FakeServer, subprocess.Popen[bytes]]]:
    """Run a process that holds the lock during a call that does not end."""
    entered, release = Event(), Event()

    def react(request: Request) -> Answer:
        if not entered.is_set():
            entered.set()
            release.wait(SECONDS)
        return granted(request, Expiration=in_an_hour())

    with (
        fake_server(react) as server,
        subprocess.Popen(command("one", server, folder, "60"), stdout=subprocess.DEVNULL) as holder,
    ):
        try:
            assert entered.wait(SECONDS)
            yield server, holder
        finally:
            release.set()


@pytest.mark.case("C13", "P102")
def test_another_process_continues_after_a_kill(tmp_path: Path) -> None:
    """If the process in its call is killed, another one calls STS long before the time limit."""
    folder = tmp_path / "cache"
    with a_process_in_the_middle_of_its_call(folder) as (server, holder):
        waiting = command("one", server, folder, "60")
        with subprocess.Popen(waiting, stdout=subprocess.PIPE, text=True) as waiter:
            os.kill(holder.pid, signal.SIGKILL)
            out, _ = waiter.communicate(timeout=30)
        assert json.loads(out) == SESSION_TOKEN
        assert len(server.requests) == 2


@pytest.mark.case("C14", "P103")
def test_another_process_continues_if_the_first_hangs(tmp_path: Path) -> None:
    """If the process in its call hangs, another one warns after the time limit, and calls STS."""
    folder = tmp_path / "cache"
    with a_process_in_the_middle_of_its_call(folder) as (server, _):
        done = subprocess.run(
            command("one", server, folder, "0.1"), capture_output=True, text=True, timeout=SECONDS, check=True
        )
        assert json.loads(done.stdout) == SESSION_TOKEN
        assert "CacheWarning" in done.stderr
        assert "another process holds the lock" in done.stderr
        assert len(server.requests) == 2
