"""When credentials are fetched again, by whom, and what happens when that fails."""

from __future__ import annotations

import ast
import copy
import gc
import pickle
import random
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers import PACKAGE, START, Bug, CrowdedClock, Down, Draw, ScriptedSource, cached, credentials, highest, lowest

from stskit import AssumedRole, Role
from stskit._time import SystemClock
from stskit.caches import MemoryCache
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SignInRequired, SourceMissing, StskitWarning
from stskit.proofs import Proof
from stskit.protocols import RefreshEvent, Source
from stskit.refresh import Cached, RefreshPolicy
from stskit.sinks import Boto3Session, BotocoreSession
from stskit.sources import Static
from stskit.testing import ManualClock

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
THREADS = 32


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


# Cached: what is fetched when -------------------------------------------------------------------------------------


def test_the_first_read_fetches(clock: ManualClock) -> None:
    """The first read fetches credentials, and later reads return the same object."""
    source = ScriptedSource(credentials(clock, hours=1))
    both = cached(source, clock)
    assert source.calls == 0
    assert both.fetch() is both.fetch()
    assert source.calls == 1


@pytest.mark.case("P142")
@pytest.mark.parametrize(("draw", "minutes"), [(lowest, 45), (highest, 42)])
def test_the_advisory_window_starts_to_the_second(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, draw: Draw, minutes: int
) -> None:
    """Before the advisory window, including its jitter, no new credentials are fetched. At its start, they are."""
    monkeypatch.setattr(random, "uniform", draw)
    old, new = credentials(clock, hours=1), credentials(clock, hours=2)
    both = Cached(ScriptedSource(old, new), clock=clock)
    both.fetch()
    clock.advance(timedelta(minutes=minutes, microseconds=-1))
    assert both.fetch() is old
    clock.advance(timedelta(microseconds=1))
    assert both.fetch() is new


@pytest.mark.case("P160")
def test_jitter_is_drawn_for_each_new_credentials(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jitter is drawn again for each new credentials, so that many processes do not refresh together."""
    drawn: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        drawn.append((least, most))
        return least

    monkeypatch.setattr(random, "uniform", uniform)
    both = Cached(ScriptedSource(lambda: credentials(clock, hours=1)), clock=clock)
    for _ in range(3):
        both.fetch()
        clock.advance(timedelta(hours=1))
    assert drawn == [(0, 1)] * 3


@pytest.mark.case("R2")
def test_a_short_session_costs_one_more_call(clock: ManualClock) -> None:
    """A session of 15 minutes that is read every 9 seconds costs one more call."""
    source = ScriptedSource(lambda: credentials(clock, minutes=15))
    both = cached(source, clock)
    for _ in range(100):
        both.fetch()
        clock.advance(timedelta(seconds=9))
    assert source.calls == 2


@pytest.mark.case("R10")
def test_credentials_without_expiration_are_fetched_once(clock: ManualClock) -> None:
    """Credentials without an expiration are fetched once."""
    source = ScriptedSource(credentials(clock))
    both = cached(source, clock)
    first = both.fetch()
    clock.advance(timedelta(days=100_000))
    assert both.fetch() is first
    assert source.calls == 1


def test_windows_follow_the_lifetime_of_the_newest_credentials(clock: ManualClock) -> None:
    """The refresh windows follow the lifetime of the newest credentials."""
    source = ScriptedSource(credentials(clock, hours=12), lambda: credentials(clock, minutes=15))
    both = cached(source, clock)
    both.fetch()
    clock.advance(timedelta(hours=11))
    both.fetch()
    clock.advance(timedelta(minutes=10, seconds=-1))
    both.fetch()
    assert source.calls == 2
    clock.advance(timedelta(seconds=1))
    both.fetch()
    assert source.calls == 3


@pytest.mark.case("R8")
@pytest.mark.parametrize("hours", [1, 24, 365])
def test_a_wall_clock_that_jumps_ahead_causes_a_refresh(clock: ManualClock, hours: int) -> None:
    """Credentials that have expired by the wall clock after a suspend of the machine are replaced."""
    source = ScriptedSource(credentials(clock, minutes=30), lambda: credentials(clock, hours=1))
    both = cached(source, clock)
    both.fetch()
    clock.set(clock.now() + timedelta(hours=hours))
    assert not both.fetch().is_expired(now=clock.now())
    assert source.calls == 2


@pytest.mark.case("R8")
def test_a_wall_clock_that_jumps_back_causes_no_refresh(clock: ManualClock) -> None:
    """If the wall clock jumps back, the credentials are kept."""
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    both = cached(source, clock)
    first = both.fetch()
    clock.set(clock.now() + timedelta(hours=-1))
    assert all(both.fetch() is first for _ in range(100))
    assert source.calls == 1


# Cached: threads --------------------------------------------------------------------------------------------------


class Gate:
    """A source that reports each call, and returns when it is allowed to."""

    def __init__(self, *answers: Credentials | BaseException) -> None:
        self.script = ScriptedSource(*answers)
        self.entered, self.open = threading.Event(), threading.Event()

    def fetch(self) -> Credentials:
        self.entered.set()
        assert self.open.wait(10)
        return self.script.fetch()


class WatchedClock(ManualClock):
    """A clock that shows when a caller has read it."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.looked = threading.Event()

    def now(self) -> datetime:
        try:
            return super().now()
        finally:
            self.looked.set()


def read_together(both: Cached, clock: CrowdedClock) -> list[Credentials | Exception]:
    """Return the results of many threads that read at the same moment."""

    def read(_: int) -> Credentials | Exception:
        try:
            return both.fetch()
        except (Down, Bug) as error:
            return error

    clock.crowded = True
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(read, range(THREADS)))


def test_many_threads_at_the_start_cause_one_call() -> None:
    """At the first use, one of many threads fetches, and all get the same object."""
    clock = CrowdedClock(THREADS)
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    got = read_together(cached(source, clock), clock)
    assert source.calls == 1
    assert len({id(each) for each in got}) == 1


@pytest.mark.case("R5")
@pytest.mark.parametrize("minutes", [59, 61], ids=["mandatory", "expired"])
def test_many_threads_after_the_expiration_cause_one_call(minutes: int) -> None:
    """With expired credentials, one of many threads fetches, and all get the same object."""
    clock = CrowdedClock(THREADS)
    source = ScriptedSource(credentials(clock, hours=1), credentials(clock, hours=3))
    both = cached(source, clock)
    both.fetch()
    clock.advance(timedelta(minutes=minutes))
    got = read_together(both, clock)
    assert source.calls == 2
    assert {id(each) for each in got} == {id(source.answers[1])}


def test_a_failure_in_the_mandatory_window_keeps_valid_credentials() -> None:
    """If the refresh of one thread fails in the mandatory window, all threads continue with the valid credentials."""
    clock = CrowdedClock(THREADS)
    old = credentials(clock, hours=1)
    source = ScriptedSource(old, Down())
    both = cached(source, clock)
    both.fetch()
    clock.advance(timedelta(minutes=59))
    assert all(each is old for each in read_together(both, clock))
    assert source.calls == 2


@pytest.mark.case("P146")
def test_many_threads_without_credentials_cause_one_attempt() -> None:
    """Without credentials, one of many threads tries and fails, and the others get a copy of its error."""
    clock = CrowdedClock(THREADS)
    source = ScriptedSource(Down("no network"))
    got = read_together(cached(source, clock), clock)
    assert [type(each) for each in got] == [Down] * THREADS
    assert {str(each) for each in got} == {"no network"}
    assert len({id(each) for each in got}) == THREADS  # each has a copy of its own
    assert source.calls == 1


@pytest.mark.case("P143")
def test_in_the_advisory_window_other_threads_do_not_wait(clock: ManualClock) -> None:
    """In the advisory window, the other threads get the current credentials at once, and later the new ones."""
    old, new = credentials(clock, hours=1), credentials(clock, hours=2)
    gate = Gate(old, new)
    gate.open.set()
    both = cached(gate, clock)
    both.fetch()
    gate.open.clear()
    gate.entered.clear()
    clock.advance(timedelta(minutes=45))
    with ThreadPoolExecutor(1) as pool:
        refresher = pool.submit(both.fetch)
        assert gate.entered.wait(10)
        assert [both.fetch() for _ in range(9)] == [old] * 9
        assert not refresher.done()
        gate.open.set()
        assert refresher.result(10) is new
    assert both.fetch() is new
    assert gate.script.calls == 2


@pytest.mark.case("P144")
def test_in_the_mandatory_window_other_threads_wait() -> None:
    """In the mandatory window, the other threads wait for the new credentials."""
    clock = WatchedClock(START)
    old, new = credentials(clock, hours=1), credentials(clock, hours=2)
    gate = Gate(old, new)
    gate.open.set()
    both = cached(gate, clock)
    both.fetch()
    gate.open.clear()
    gate.entered.clear()
    clock.advance(timedelta(minutes=59))
    with ThreadPoolExecutor(2) as pool:
        refresher = pool.submit(both.fetch)
        assert gate.entered.wait(10)
        clock.looked.clear()
        other = pool.submit(both.fetch)
        assert clock.looked.wait(10)  # it has decided what to do by this time, and cannot be done with it yet
        assert not other.done()
        gate.open.set()
        assert [refresher.result(10), other.result(10)] == [new, new]
    assert gate.script.calls == 2


class Selfish:
    """A source that reads the `Cached` around it."""

    def __init__(self, *answers: Credentials | None) -> None:
        self.around: Cached | None = None
        self.answers = iter(answers)
        self.got: list[Credentials] = []

    def fetch(self) -> Credentials:
        answer = next(self.answers)
        if answer is None:
            assert self.around is not None
            self.got.append(self.around.fetch())
            answer = next(self.answers)
        assert answer is not None
        return answer


@pytest.mark.case("R7")
def test_a_source_that_needs_its_own_credentials_is_an_error(clock: ManualClock) -> None:
    """A source that needs its own credentials raises SourceMissing, and the lock is released."""
    new = credentials(clock, hours=1)
    selfish = Selfish(None, new)
    selfish.around = both = cached(selfish, clock)
    with pytest.raises(SourceMissing, match="needs the same credentials, so it would wait for itself"):
        both.fetch()
    clock.advance(timedelta(seconds=1))
    assert both.fetch() is new


def test_a_source_can_use_the_current_credentials_for_a_refresh(clock: ManualClock) -> None:
    """In the advisory window, a read inside the refresh returns the current credentials."""
    old, new = credentials(clock, hours=1), credentials(clock, hours=2)
    selfish = Selfish(old, None, new)
    selfish.around = both = cached(selfish, clock)
    both.fetch()
    clock.advance(timedelta(minutes=45))
    assert both.fetch() is new
    assert selfish.got == [old]


# Cached: failures -------------------------------------------------------------------------------------------------


@pytest.mark.case("R3", "P145")
@pytest.mark.parametrize(("draw", "pause"), [(lowest, 300), (highest, 600)])
def test_a_failure_keeps_valid_credentials_and_starts_a_pause(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, draw: Draw, pause: int
) -> None:
    """After a failure with valid credentials, the next attempt follows after 300 to 600 seconds."""
    old = credentials(clock, hours=12)
    source = ScriptedSource(old, Down(), Down(), lambda: credentials(clock, hours=12))
    monkeypatch.setattr(random, "uniform", draw)
    both = Cached(source, refresh=RefreshPolicy(jitter=0), clock=clock)
    both.fetch()
    clock.advance(timedelta(hours=11))
    assert all(both.fetch() is old for _ in range(1000))
    assert source.calls == 2
    clock.set(clock.now() + timedelta(minutes=30))
    assert both.fetch() is old
    clock.advance(timedelta(seconds=pause - 0.001))
    assert both.fetch() is old
    assert source.calls == 2
    clock.advance(timedelta(seconds=0.001))
    assert both.fetch() is old
    assert source.calls == 3
    clock.advance(timedelta(seconds=pause))
    assert both.fetch() is not old
    assert source.calls == 4


@pytest.mark.case("P145")
def test_the_long_pause_ends_at_the_expiration(clock: ManualClock) -> None:
    """The pause for valid credentials ends when they expire."""
    source = ScriptedSource(credentials(clock, hours=1), Down(), lambda: credentials(clock, hours=1))
    both = cached(source, clock)
    both.fetch()
    clock.advance(timedelta(minutes=59))
    both.fetch()
    clock.advance(timedelta(minutes=1))
    assert not both.fetch().is_expired(now=clock.now())
    assert source.calls == 3


@pytest.mark.case("P147", "P148")
@pytest.mark.parametrize("cold", [True, False], ids=["cold", "expired"])
def test_without_valid_credentials_the_pauses_grow(clock: ManualClock, cold: bool) -> None:
    """Without valid credentials, the next caller tries at once, and then the pauses are 1, 2, 4, 8 and 10 seconds."""
    source = ScriptedSource(*([] if cold else [credentials(clock, hours=1)]), Down())
    both = Cached(source, clock=clock)
    if not cold:
        both.fetch()
        clock.advance(timedelta(hours=1))
    before, errors = source.calls, []

    def read(calls: int) -> None:
        with pytest.raises(Down) as caught:
            both.fetch()
        errors.append(caught.value)
        assert source.calls == before + calls

    read(1)
    for number, pause in enumerate((0, 1, 2, 4, 8, 10, 10), 2):
        if pause:
            read(number - 1)
            clock.advance(timedelta(seconds=pause - 0.001))
            read(number - 1)
            clock.advance(timedelta(seconds=0.001))
        read(number)
    assert len({id(each) for each in errors}) == len(errors)


def test_a_success_ends_the_pause_of_a_failure(clock: ManualClock) -> None:
    """A successful refresh ends the pause of an earlier failure."""
    source = ScriptedSource(credentials(clock, hours=1), Down(), lambda: credentials(clock, minutes=4))
    both = cached(source, clock)
    both.fetch()
    clock.advance(timedelta(minutes=59))
    both.fetch()
    clock.advance(timedelta(minutes=1))
    first = both.fetch()
    clock.advance(timedelta(minutes=2))
    assert both.fetch() is not first


@pytest.mark.case("R4")
@pytest.mark.parametrize("life", [timedelta(0), timedelta(hours=-1)])
def test_a_response_with_expired_credentials_is_a_failure(clock: ManualClock, life: timedelta) -> None:
    """A response with expired credentials keeps the valid ones. Without valid ones, it is an error with both times."""
    stale = Credentials("AKIA", "s", "t", clock.now() + timedelta(minutes=45) + life)
    old = credentials(clock, hours=1)
    source = ScriptedSource(old, stale)
    both = cached(source, clock)
    both.fetch()
    clock.advance(timedelta(minutes=45))
    assert both.fetch() is old
    assert both.fetch() is old
    assert source.calls == 2
    with pytest.raises(ProofInvalid, match="credentials that expired at .*\\. The time is 2026-11-25 12:45"):
        cached(ScriptedSource(stale), clock).fetch()


def test_a_source_that_returns_none_is_a_failure(clock: ManualClock) -> None:
    """If a source returns None, valid credentials stay in use."""
    old = credentials(clock, hours=1)
    answers = iter([old, None])
    source = ScriptedSource(lambda: next(answers))  # type: ignore[arg-type,return-value]
    both = cached(source, clock)
    both.fetch()
    clock.advance(timedelta(minutes=45))
    assert both.fetch() is old


@pytest.mark.case("P158")
def test_expired_credentials_are_not_returned(clock: ManualClock) -> None:
    """Expired credentials raise the error of the source, unless the policy allows them."""
    both = cached(ScriptedSource(credentials(clock, hours=1), Down("no network")), clock)
    both.fetch()
    clock.advance(timedelta(hours=1))
    with pytest.raises(Down, match="no network"):
        both.fetch()


@pytest.mark.case("P148", "P158")
def test_each_failure_with_expired_credentials_warns_once(clock: ManualClock) -> None:
    """Each failure with expired credentials warns once, at the line of the caller."""
    old = credentials(clock, hours=1)
    source = ScriptedSource(old, Down("no network"))
    both = cached(source, clock, on_expired="serve")
    both.fetch()
    clock.advance(timedelta(hours=1))
    for seconds in (0, 0, 1, 2):  # each read is a try
        clock.advance(timedelta(seconds=seconds))
        with pytest.warns(StskitWarning, match="using the expired ones.*no network") as caught:
            assert both.fetch() is old
        assert [each.filename for each in caught] == [__file__]
        if seconds:
            assert both.fetch() is old
    assert source.calls == 5


def test_without_credentials_every_policy_raises(clock: ManualClock) -> None:
    """Without any credentials, every policy raises the error."""
    with pytest.raises(Down):
        cached(ScriptedSource(Down()), clock, on_expired="serve").fetch()


# Where a person is needed ------------------------------------------------------------------------------------------


@pytest.mark.case("R11", "P149")
def test_a_required_sign_in_warns_once_while_valid(clock: ManualClock) -> None:
    """If a person must sign in while the credentials are valid, one warning says until when and why."""
    old = credentials(clock, hours=1)
    both = cached(ScriptedSource(old, SignInRequired("sign in again")), clock)
    both.fetch()
    clock.advance(timedelta(minutes=50))
    with pytest.warns(StskitWarning, match=r"expire at 2026-11-25 13:00:00 UTC, .* sign in again") as told:
        assert [both.fetch() for _ in range(3)] == [old] * 3
    assert len(told) == 1
    assert told[0].filename == __file__


def test_a_required_sign_in_raises_after_the_expiration(clock: ManualClock) -> None:
    """If a person must sign in after the expiration, each read raises, and a session warns."""
    answers = credentials(clock, hours=1), SignInRequired("sign in again")
    both, session = cached(ScriptedSource(*answers), clock), cached(ScriptedSource(*answers), clock, on_expired="serve")
    both.fetch(), session.fetch()
    clock.advance(timedelta(minutes=61))
    for _ in range(3):
        with pytest.raises(SignInRequired, match="sign in again"):
            both.fetch()
    with pytest.warns(StskitWarning, match="using the expired ones.*sign in again"):
        assert session.fetch() is answers[0]


class SavedResponse:
    """A source that reads a file, and needs a person if its text is old."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        self.path, self.clock, self.calls = str(path), clock, 0

    def fetch(self) -> Credentials:
        self.calls += 1
        if "old" in Path(self.path).read_text():
            raise SignInRequired("sign in")
        return credentials(self.clock, hours=1)


@pytest.mark.case("P149", "P161")
@pytest.mark.parametrize(
    ("minutes", "chained"), [(50, False), (61, False), (61, True)], ids=["still valid", "expired", "expired hub"]
)
@pytest.mark.filterwarnings("ignore::stskit.errors.StskitWarning")
def test_a_new_file_is_used_at_once(clock: ManualClock, tmp_path: Path, minutes: int, chained: bool) -> None:
    """The first use after a person has saved a new file gets new credentials, without a pause."""
    path = tmp_path / "response"
    path.write_text("fresh")
    source = SavedResponse(path, clock)
    both = cached(cached(source, clock) if chained else source, clock)
    first = both.fetch()
    path.write_text("old")
    clock.advance(timedelta(minutes=minutes))
    for _ in range(100):
        with suppress(SignInRequired):
            assert both.fetch() is first
    assert source.calls <= 3  # the second one at once where nothing valid is left
    path.write_text("new one")
    assert both.fetch() is not first


@pytest.mark.filterwarnings("ignore::stskit.errors.StskitWarning")
def test_a_required_sign_in_without_a_file_has_the_usual_pauses(clock: ManualClock) -> None:
    """If a person must sign in and there is no file, the pauses are the same as after other failures."""
    source = ScriptedSource(credentials(clock, hours=1), SignInRequired("sign in"), Down(), credentials(clock, hours=2))
    both = cached(source, clock)
    for minutes in (0, 45, 0, 4, 1, 0, 5):
        clock.advance(timedelta(minutes=minutes))
        both.fetch()
    assert source.calls == 4


@pytest.mark.case("R12", "P150")
@pytest.mark.parametrize("minutes", [0, 50, 59.5, 61])
@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit, Bug, TimeoutError])
def test_another_exception_reaches_its_caller_and_is_not_stored(
    clock: ManualClock, problem: type[BaseException], minutes: float
) -> None:
    """An exception that is not from stskit reaches its caller, is not stored, and starts no pause."""
    new, raised = credentials(clock, hours=3), problem()
    source = ScriptedSource(credentials(clock, hours=1), raised, new)
    both = cached(source, clock, on_expired="serve")
    if minutes:
        both.fetch()
    else:
        source.answers.pop(0)
    clock.advance(timedelta(minutes=minutes))
    with pytest.raises(problem) as caught:
        both.fetch()
    assert caught.value is raised
    assert both.fetch() is new


@pytest.mark.case("P150")
def test_after_another_exception_a_waiting_thread_refreshes() -> None:
    """After an exception that is not from stskit, one of the waiting threads refreshes for all."""
    clock = CrowdedClock(THREADS)
    bug, new = Bug(), credentials(clock, hours=1)
    source = ScriptedSource(bug, new)
    got = read_together(cached(source, clock), clock)
    assert got.count(bug) == 1
    assert got.count(new) == THREADS - 1
    assert source.calls == 2


def test_an_error_that_is_raised_again_has_no_old_context(clock: ManualClock) -> None:
    """An error that is raised again has no context and no old traceback."""
    both = cached(ScriptedSource(Down()), clock)
    depths = []
    for secret in ("canary 1", "canary 2", "canary 3"):
        try:
            raise ValueError(secret)
        except ValueError:
            with pytest.raises(Down) as caught:
                both.fetch()
        assert caught.value.__context__ is None
        depths.append(len(caught.traceback))
    assert depths == [depths[0]] * 3


def test_a_stored_failure_keeps_no_local_variables(clock: ManualClock) -> None:
    """A stored failure keeps no local variables of the fetch alive."""

    class Proof:
        """A proof that contains a secret."""

    proofs: list[weakref.ref[Proof]] = []

    def fail() -> Credentials:
        proof = Proof()
        proofs.append(weakref.ref(proof))
        raise Down

    old = credentials(clock, hours=1)
    both = cached(ScriptedSource(old, fail), clock)
    both.fetch()
    clock.advance(timedelta(minutes=45))
    assert both.fetch() is old
    gc.collect()
    assert [proof() for proof in proofs] == [None]


# Listeners -----------------------------------------------------------------------------------------------------


class Noted:
    """A listener that records its events, and fails on request."""

    def __init__(self, error: Exception | None = None) -> None:
        self.events: list[RefreshEvent] = []
        self.error = error

    def notify(self, event: RefreshEvent, /) -> None:
        self.events.append(event)
        if self.error:
            raise self.error


@pytest.mark.filterwarnings("ignore:Could not refresh")
def test_a_listener_gets_each_refresh_and_failure_once(clock: ManualClock) -> None:
    """A listener gets each refresh, each failure and each use of expired credentials once, and no fresh read."""
    one, two = credentials(clock, hours=1), credentials(clock, hours=3)
    noted, policy = Noted(), RefreshPolicy(jitter=0, on_expired="serve")
    both = Cached(
        ScriptedSource(one, SourceMissing("no file"), Down("down"), Down("down"), two),
        refresh=policy,
        clock=clock,
        listener=noted,
    )
    for minutes in (0, 10, 40, 11, 0, 0, 1):
        clock.advance(timedelta(minutes=minutes))
        both.fetch()
    about_one = (one.access_key_id, one.expiration)
    assert noted.events == [
        RefreshEvent("refreshed", *about_one, seconds=0),
        RefreshEvent("refresh_failed", *about_one, error="no file", seconds=0),
        RefreshEvent("refresh_failed", *about_one, error="down", seconds=0),
        RefreshEvent("served_stale", *about_one, error="down"),
        RefreshEvent("refresh_failed", *about_one, error="down", seconds=0),
        RefreshEvent("served_stale", *about_one, error="down"),
        RefreshEvent("served_stale", *about_one, error="down"),
        RefreshEvent("refreshed", two.access_key_id, two.expiration, seconds=0),
    ]


def test_a_listener_gets_a_failure_without_credentials(clock: ManualClock) -> None:
    """A listener gets a failure without credentials, and the error is raised."""
    noted = Noted()
    with pytest.raises(Down):
        Cached(ScriptedSource(Down("down")), clock=clock, listener=noted).fetch()
    with pytest.raises(Bug):
        Cached(ScriptedSource(Bug("canary")), clock=clock, listener=noted).fetch()
    assert noted.events == [RefreshEvent("refresh_failed", error=error, seconds=0) for error in ("down", "Bug")]


def test_an_event_from_a_cache_has_no_seconds(clock: ManualClock) -> None:
    """An event of a refresh from a cache has no seconds, because no call was needed."""
    cache, noted = MemoryCache(), Noted()
    for _ in range(2):
        Cached(ScriptedSource(credentials(clock, hours=1)), cache, key="k", clock=clock, listener=noted).fetch()
    assert [event.from_cache for event in noted.events] == [False, True]


def test_a_listener_can_read_the_credentials(clock: ManualClock) -> None:
    """A listener can read the credentials, because the lock is released before it is called."""
    one, two = credentials(clock, hours=1), credentials(clock, hours=2)
    seen: list[Credentials] = []

    class Reader:
        def notify(self, event: RefreshEvent, /) -> None:
            if event.access_key_id == one.access_key_id:
                both.invalidate()
                with ThreadPoolExecutor(1) as pool:  # another thread may refresh by now
                    seen.append(pool.submit(both.fetch).result(10))

    both = Cached(ScriptedSource(one, two), clock=clock, listener=Reader())
    both.fetch()
    assert seen == [two]


def test_a_listener_that_raises_causes_a_warning(clock: ManualClock) -> None:
    """A listener that raises causes a warning with the class of the error, at the line of the caller."""
    both = Cached(ScriptedSource(credentials(clock, hours=1)), clock=clock, listener=Noted(Down("canary")))
    with pytest.warns(StskitWarning, match="listener raised Down for 'refreshed'. Correct its notify") as told:
        both.fetch()
    assert told[0].filename == __file__


# Elsewhere and at the end ------------------------------------------------------------------------------------------


@pytest.mark.case("R16", "P33")
def test_a_cached_recipe_pickles_without_credentials() -> None:
    """A pickled Cached has all options and no credentials, and works in another process."""
    keys = Credentials("AKIABASE", "base-canary")
    recipe = AssumedRole("arn:aws:iam::123456789012:role/R", source=Static(keys), sts=Fixed())
    both = Cached(recipe, MemoryCache(7), RefreshPolicy(jitter=0.5), "key", SystemClock(), Noted())
    assert both.fetch().session_token == "live-canary"
    data = pickle.dumps(both)
    assert b"live-canary" not in data
    there = pickle.loads(data)
    assert repr(there) == repr(both)
    assert there.source == recipe
    assert pickle.dumps(there) == data  # all options came along
    assert there.fetch().session_token == "live-canary"
    assert b"live-canary" not in pickle.dumps(copy.deepcopy(both))


class Fixed:
    """An STS with the same response for all calls."""

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        return Credentials("AKIALIVE", "live", "live-canary", datetime.now(UTC) + timedelta(hours=1))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Fixed()"


@pytest.mark.case("R16", "P69")
def test_credentials_are_pickled_with_their_secrets(clock: ManualClock) -> None:
    """Credentials are pickled with their secrets, and the documentation says so."""
    keys = credentials(clock, hours=1)
    assert pickle.loads(pickle.dumps(keys)) == keys
    assert "pickle" in (Credentials.__doc__ or "")


@pytest.mark.case("R13")
def test_the_program_ends_during_a_refresh() -> None:
    """The program ends without a traceback during a refresh that hangs, and with a read in an exit handler."""
    code = """
import atexit, threading
from stskit import Cached, Credentials

class Hangs:
    def fetch(self):
        entered.set()
        threading.Event().wait()

class Works:
    def fetch(self):
        return Credentials("AKIA", "secret")

entered, both, other = threading.Event(), Cached(Hangs()), Cached(Works())
threading.Thread(target=both.fetch, daemon=True).start()
entered.wait()
atexit.register(lambda: print(other.fetch().access_key_id))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "AKIA\n", "")


@pytest.mark.case("R13", "P33", "P156")
def test_no_background_thread_runs(clock: ManualClock) -> None:
    """There is no background thread, and an unused Cached is garbage-collected at once."""
    before = threading.active_count()
    both = cached(ScriptedSource(credentials(clock, hours=1)), clock)
    both.fetch()
    assert threading.active_count() == before
    gone = weakref.ref(both)
    del both
    gc.collect()
    assert gone() is None


@pytest.mark.case("R14")
def test_no_asynchronous_interface_is_documented() -> None:
    """The package documents no asynchronous interface."""
    nodes = [node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    assert not [node for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.Await)]


# Cached and SystemClock: the rest ---------------------------------------------------------------------------------


@pytest.mark.case("P80")
def test_sessions_of_one_cached_share_its_credentials(clock: ManualClock) -> None:
    """All sessions of one Cached share its credentials."""

    class Sink:
        def attach(self, source: Source[Credentials], /) -> Source[Credentials]:
            return source

    both = cached(ScriptedSource(), clock)
    assert both.to(Sink()) is both


def test_the_repr_names_the_source_only(clock: ManualClock) -> None:
    """The repr names the source and contains no credentials."""
    both = cached(ScriptedSource(credentials(clock, hours=1)), clock)
    both.fetch()
    assert repr(both) == "Cached(ScriptedSource())"


def test_the_defaults_are_the_clock_and_random_of_the_system() -> None:
    """Without a clock and a random generator, Cached uses those of the system."""
    source = ScriptedSource(lambda: Credentials("AKIA", "s", "t", datetime.now(UTC) + timedelta(hours=1)))
    both = Cached(source)
    assert both.fetch() is both.fetch()
    assert source.calls == 1


def test_the_system_clock_is_aware_and_monotonic() -> None:
    """The system clock returns an aware UTC time, and seconds that never decrease."""
    clock = SystemClock()
    before, between, after = datetime.now(UTC), clock.now(), datetime.now(UTC)
    assert before <= between <= after
    assert between.tzinfo is UTC
    assert time.monotonic() <= clock.monotonic() <= time.monotonic()


@pytest.mark.parametrize("wrong", ['{"Statement": []}', {"Statement": []}, RefreshPolicy])
@pytest.mark.parametrize(
    "make",
    [
        lambda wrong: Cached(Static(Credentials("AKIA", "secret")), refresh=wrong),
        lambda wrong: BotocoreSession(refresh=wrong),
        lambda wrong: Boto3Session(refresh=wrong),
    ],
    ids=["Cached", "BotocoreSession", "Boto3Session"],
)
def test_an_iam_policy_as_refresh_is_an_error(make: Callable[[Any], object], wrong: object) -> None:
    """The error for an IAM policy as refresh= says where a session policy belongs."""
    with pytest.raises(TypeError, match=r"refresh must be a RefreshPolicy, not .*Role\(arn, policy=\.\.\.\)"):
        make(wrong)
