"""Area 5, first part: the number of calls of many threads with one session."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any

from clients import SESSIONS, stskit_recipe
from fresh import home
from measures import OURS, Measured, Results, Setup, measured, turns
from stub import calls, stub

THREADS = 100
PROFILE = "boto3, profile with a role"


def thread_crowds(setup: Setup) -> list[Measured]:
    """Return calls and errors, counted by the stub and in the threads."""
    rounds = 1 if setup.quick else setup.rounds
    found = []
    peers = setup.present(dict.fromkeys(SESSIONS, ""))
    with stub() as url, home(url) as place:
        for case, ways in {
            "first use": [OURS],
            "expired": [OURS, *peers],
            "first look at a session": [OURS, PROFILE, *peers],
        }.items():
            run = {way: partial(place.call, "crowds", "threads", way, case) for way in ways}
            results = turns(run, rounds, warm_up=0)
            found += counted(f"100 threads, {case}", results)
    with stub(1000) as url, home(url) as place:
        run = {way: partial(place.call, "crowds", "waiting", way) for way in [OURS, *peers]}
        what = "100 threads, in the advisory window: threads that wait"
        found += measured("contention", what, "threads", turns(run, 1, warm_up=0))
    return found


def counted(what: str, results: Results) -> list[Measured]:
    """Return calls and errors from pairs of them."""
    return [
        *measured("contention", f"{what}: calls", "calls", results, lambda pair: float(pair[0])),
        *measured("contention", f"{what}: errors", "errors", results, lambda pair: float(pair[1])),
    ]


class Moved:
    """A clock that the benchmark moves."""

    ahead = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def crowd(read: Callable[[], object], number: int) -> list[float | None]:
    """Let *number* threads *read* at the same moment. Return the seconds of each, or None for an error."""
    start = Barrier(number)

    def one(_: int) -> float | None:
        start.wait()
        began = time.monotonic()
        try:
            read()
        except Exception:
            return None
        return time.monotonic() - began

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def threads(way: str, case: str) -> tuple[int, int]:
    """Return the calls and the errors of many threads."""
    read = reader(way, case)
    url = os.environ["AWS_ENDPOINT_URL_STS"]
    before = calls(url)
    errors = crowd(read, THREADS).count(None)
    return calls(url) - before, errors


def reader(way: str, case: str) -> Callable[[], object]:
    """Return the function that the threads call."""
    if way == OURS and case != "first look at a session":
        return ours(3590 if case == "expired" else None)
    if way == OURS:
        from stskit.sinks import Boto3Session

        session = stskit_recipe("look").to(Boto3Session("us-east-1"))
    else:
        session = session_of(way)
    if case != "first look at a session":
        return theirs(session, timedelta(seconds=-1))
    return lambda: session.get_credentials().get_frozen_credentials()


def ours(seconds: float | None) -> Callable[[], object]:
    """Return credentials of an hour of which *seconds* have passed."""
    from stskit import Cached

    cached = Cached(stskit_recipe("R"), clock=(clock := Moved()))
    if seconds is not None:
        cached.fetch()
        clock.ahead = seconds
    return cached.fetch


def theirs(session: Any, left: timedelta) -> Callable[[], object]:
    """Return a session whose credentials have the time *left*."""
    credentials = session.get_credentials()
    credentials.get_frozen_credentials()
    credentials._expiry_time = datetime.now(UTC) + left
    cache = getattr(getattr(credentials._refresh_using, "__self__", None), "_cache", None)
    if cache:
        cache.clear()  # what the fetcher keeps has expired as well
    return credentials.get_frozen_credentials  # type: ignore[no-any-return]


def session_of(way: str) -> Any:
    import boto3

    if way == PROFILE:
        return boto3.session.Session(profile_name="role", region_name="us-east-1")
    return SESSIONS[way]("R", boto3.session.Session())


def waiting(way: str) -> int:
    """Return the number of threads that wait for a slow response, while their credentials are still valid."""
    read = ours(3000) if way == OURS else theirs(session_of(way), timedelta(minutes=12))
    return sum(seconds is None or seconds > 0.9 for seconds in crowd(read, THREADS))
