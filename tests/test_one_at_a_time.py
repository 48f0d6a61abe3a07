"""One refresh at a time: whatever signals, greenlets, forks and sources that ask for themselves do meanwhile."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from forking import in_child
from helpers import START, Bug, Down, ScriptedSource, credentials

from stskit import AssumedRole, Cached, Credentials
from stskit._io import fork
from stskit._io.fork import Occupied, OneAtATime
from stskit.caches import MemoryCache
from stskit.errors import SourceMissing
from stskit.protocols import Cache, RefreshEvent
from stskit.refresh import RefreshPolicy
from stskit.sources import Static
from stskit.testing import FakeSTS, ManualClock, Refuse

SECONDS = 10  # after which a thread that should have ended is taken to hang


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def in_thread(work: Callable[[], Any]) -> Any:
    """Return the result of *work* in another thread, or raise if it hangs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(SECONDS)


# Signals ------------------------------------------------------------------------------------------------------------


class Interrupt(BaseException):
    """An exception of a signal handler."""


@contextmanager
def alarms() -> Iterator[Callable[[float], None]]:
    """Return a function that raises `Interrupt` at any point after the given seconds."""

    def strike(*_arguments: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, strike)
    try:
        yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no interval timers here")
@pytest.mark.parametrize("cache", [None, MemoryCache()], ids=["no cache", "memory"])
def test_an_exception_of_a_signal_handler_releases_the_lock(
    cache: Cache | None, caplog: pytest.LogCaptureFixture
) -> None:
    """After an exception of a signal handler at any of 400 points, another thread can refresh."""
    caplog.set_level(logging.CRITICAL, "stskit")  # a signal can leave the locks of logging's own handlers taken
    chance = random.Random(16)
    both = Cached(ScriptedSource(*(Credentials(f"AKIA{number}", "secret") for number in range(10**5))), cache, key="k")
    both.fetch()  # which looks up the logger
    struck = 0
    for _ in range(400):
        with alarms() as alarm:
            try:
                alarm(chance.uniform(1e-5, 5e-4))
                while True:
                    both.invalidate()
                    both.fetch()
            except Interrupt:
                struck += 1
        both.invalidate()
        assert in_thread(both.fetch)
    assert struck == 400


def test_a_signal_handler_can_read_during_a_refresh(clock: ManualClock) -> None:
    """A signal handler that reads during a refresh gets the current credentials, or a clear error."""
    got: list[object] = []

    def read(*_arguments: object) -> None:
        try:
            got.append(both.fetch())
        except SourceMissing as error:
            got.append(error)

    def interrupted() -> Credentials:
        signal.raise_signal(signal.SIGUSR1)
        return credentials(clock, hours=1)

    both = Cached(ScriptedSource(interrupted), clock=clock)
    before = signal.signal(signal.SIGUSR1, read)
    try:
        first = both.fetch()
        clock.advance(timedelta(minutes=59))  # the mandatory window
        second = both.fetch()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert "needs the same credentials, so it would wait for itself" in str(got[0])
    assert got[1] is first
    assert second is not first
    assert in_thread(both.fetch) is second


# A source that asks for itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "calls"), [(0, 1), (50, 2), (61, 2)], ids=["cold", "advisory", "expired"])
def test_a_source_that_delegates_to_the_same_key_does_not_block(clock: ManualClock, minutes: int, calls: int) -> None:
    """A source that delegates to a Cached with the same key and cache does not block."""
    cache, source = MemoryCache(), ScriptedSource(lambda: credentials(clock, hours=1))
    inner = Cached(source, cache, key="same", clock=clock)
    outer = Cached(inner, cache, key="same", clock=clock)
    if minutes:
        Cached(source, cache, key="same", clock=clock).fetch()
        clock.advance(timedelta(minutes=minutes))
    assert not in_thread(outer.fetch).is_expired(now=clock.now())
    assert source.calls == calls


# Greenlets -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def greenlets(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Install modules like `greenlet` and `gevent`."""
    now = SimpleNamespace(current="one", meanwhile=lambda: None)

    def sleep(_seconds: float) -> None:
        now.meanwhile()

    monkeypatch.setitem(sys.modules, "greenlet", SimpleNamespace(getcurrent=lambda: now.current))
    monkeypatch.setitem(sys.modules, "gevent", SimpleNamespace(sleep=sleep))
    return now


def test_a_greenlet_lets_others_run_and_then_works(greenlets: SimpleNamespace) -> None:
    """A greenlet lets the others run until the first one has finished, and then does its own work."""
    turn, done = OneAtATime(), []

    def first() -> None:
        greenlets.current = "two"  # the hub switches to it in the middle of the work
        assert turn.run(list, wait=False) is Occupied.BY_ANOTHER_GREENLET
        greenlets.current = "one"
        assert turn.run(list, wait=True) is Occupied.BY_THIS_CALLER
        done.append("first")

    turn.run(first, wait=True)
    lock = turn._lock
    lock.acquire()
    turn._holder = "one"
    greenlets.current, greenlets.meanwhile = "two", lock.release
    assert turn.run(lambda: done.append("second"), wait=True) is None
    assert done == ["first", "second"]
    assert turn._holder is None


def test_a_greenlet_that_cannot_wait_gets_a_clear_error(
    clock: ManualClock, greenlets: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without gevent, a greenlet that cannot wait uses valid credentials, or gets an error that says why."""
    monkeypatch.delitem(sys.modules, "gevent")
    got: list[object] = []

    def switched() -> Credentials:
        greenlets.current = "two"
        try:
            got.append(both.fetch())
        except SourceMissing as error:
            got.append(str(error))
        greenlets.current = "one"
        return credentials(clock, hours=1)

    both = Cached(ScriptedSource(switched), clock=clock)
    first = both.fetch()
    clock.advance(timedelta(minutes=59))
    both.fetch()
    assert "Another greenlet of this thread is fetching these credentials" in str(got[0])
    assert got[1] is first


GEVENT = """
from gevent import monkey
monkey.patch_all(thread={thread})
import gevent, datetime
from stskit import Cached, Credentials

class Slow:
    calls = 0
    def fetch(self):
        self.calls += 1
        gevent.sleep(0.01)
        return Credentials("AKIA", "s", "t", datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1))

source = Slow()
both = Cached(source)
for _ in range(2):
    both.invalidate()
    jobs = [gevent.spawn(both.fetch) for _ in range(20)]
    gevent.joinall(jobs, timeout=20)
    print([type(job.value).__name__ for job in jobs].count("Credentials"), source.calls)
    Slow.fetch = lambda self, fetch=Slow.fetch: __import__("attrs").evolve(fetch(self), access_key_id="AKIA2")
"""


@pytest.mark.parametrize("thread", [True, False])
def test_twenty_greenlets_cause_one_call(thread: bool) -> None:
    """Twenty greenlets of gevent cause one call, with and without patched threads."""
    pytest.importorskip("gevent")
    code = GEVENT.format(thread=thread)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.split("\n")[:2], done.stderr) == (["20 1", "20 2"], "")


# Forks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.case("P33")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_does_not_wait_for_the_lock() -> None:
    """A fork while another thread holds the lock does not wait, and the lock works in both processes."""
    lock, held, leave = fork.lock_across_forks(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            assert leave.wait(SECONDS)

    def child() -> str:
        with lock, lock:
            return "free"

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert held.wait(SECONDS)
        assert in_child(child) == "free"
        assert not holding.done()
        leave.set()
    with lock:
        pass


# What leaves when ----------------------------------------------------------------------------------------------------


def test_records_events_and_warnings_are_sent_when_the_lock_is_free(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Log records, events and warnings are sent when the lock is free, also for the hub of a chain."""
    free: list[str] = []

    def note(what: str) -> None:
        locks = [chain._turn, chain._source.source._turn]  # type: ignore[attr-defined]
        if [in_thread(partial(lock.run, str, wait=False)) for lock in locks] == ["", ""]:
            free.append(what)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note(record.levelname)

    class Listener:
        def notify(self, event: RefreshEvent, /) -> None:
            note(event.kind)

    sts = FakeSTS(clock=clock)
    roles = [f"arn:aws:iam::123456789012:role/{name}" for name in ("Hub", "Target")]
    recipe = AssumedRole.through(*roles, source=Static(sts.user()), sts=sts)
    chain = Cached(recipe, refresh=RefreshPolicy(on_expired="serve", jitter=0), clock=clock, listener=Listener())
    logger, handler = logging.getLogger("stskit"), Handler()
    logger.addHandler(handler)
    caplog.set_level(logging.INFO, "stskit")
    try:
        chain.fetch()
        assert free == ["INFO", "INFO", "refreshed"]  # the hub, the target
        free.clear()
        sts.always(Refuse("AccessDenied", "no"))
        clock.advance(timedelta(minutes=50))
        chain.fetch()
        assert free == ["WARNING", "WARNING", "refresh_failed"]
        free.clear()
        clock.advance(timedelta(minutes=50))
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            monkeypatch.setattr(warnings, "showwarning", lambda *_arguments: note("warning"))
            chain.fetch()
        assert free == ["WARNING", "WARNING", "refresh_failed", "served_stale", "warning"]
    finally:
        logger.removeHandler(handler)


@pytest.mark.case("P145", "P157")
@pytest.mark.parametrize("role", [True, False])
def test_log_records_name_role_account_and_time_left(
    clock: ManualClock, caplog: pytest.LogCaptureFixture, role: bool
) -> None:
    """Log records have the role, the account and the time left, at INFO for a refresh and WARNING for a failure."""
    caplog.set_level(logging.INFO, "stskit")
    sts, arn = FakeSTS(clock=clock), "arn:aws:iam::123456789012:role/R"
    source: Any = AssumedRole(arn, source=Static(sts.user()), sts=sts) if role else Spy(credentials(clock, hours=1))
    name = f"{arn} in account 123456789012" if role else "Spy"
    both = Cached(source, clock=clock)
    both.fetch()
    assert caplog.messages == [f"Fetched the credentials of {name}: 1:00:00 left."]
    clock.advance(timedelta(minutes=50))
    caplog.clear()
    if not role:
        source.answers.append(credentials(clock, hours=1))
    both.fetch()
    assert caplog.messages == [f"Refreshed the credentials of {name}: 1:00:00 left."]
    clock.advance(timedelta(minutes=50))
    caplog.clear()
    if role:
        sts.always(Refuse("AccessDenied", "no"))
    else:
        source.answers.append(Down("no network"))
    both.fetch()
    assert caplog.messages[0].startswith(f"Could not refresh the credentials of {name} (0:10:00 left): ")
    clock.advance(timedelta(minutes=11))
    caplog.clear()
    with suppress(Exception):
        both.fetch()
    assert caplog.messages[0].startswith(f"Could not refresh the credentials of {name} (the credentials have expired)")
    caplog.clear()
    with pytest.raises(Bug):
        Cached(Spy(Bug("canary")), clock=clock).fetch()
    assert caplog.messages == ["Could not refresh the credentials of Spy (there are no credentials): Bug"]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    caplog.clear()
    Cached(Spy(credentials(clock)), clock=clock).fetch()
    assert caplog.messages == ["Fetched the credentials of Spy: the credentials do not expire."]


class Spy(ScriptedSource):
    """A source with a short name."""


def test_an_event_has_the_role_and_the_seconds_of_the_call(clock: ManualClock) -> None:
    """An event has the role, or None for a source without one, and the seconds of the call by the monotonic clock."""
    events: list[RefreshEvent] = []
    listener = SimpleNamespace(notify=events.append)

    class Slow:
        def __init__(self) -> None:
            self.sts = FakeSTS(clock=clock)

        def exchange(self, proof: Any, role: Any) -> Credentials:
            clock.advance(timedelta(seconds=3))
            return self.sts.exchange(proof, role)

    sts = Slow()
    arn = "arn:aws:iam::123456789012:role/R"
    Cached(AssumedRole(arn, source=Static(sts.sts.user()), sts=sts), clock=clock, listener=listener).fetch()
    with pytest.raises(Down):
        Cached(ScriptedSource(Down()), clock=clock, listener=listener).fetch()
    assert [(event.kind, event.role_arn, event.seconds) for event in events] == [
        ("refreshed", arn, 3),
        ("refresh_failed", None, 0),
    ]


@pytest.mark.parametrize("wrong", [print, "log", SimpleNamespace, logging.getLogger()])
def test_a_listener_without_notify_is_refused_at_once(wrong: Any) -> None:
    """A listener without notify is a TypeError when the Cached is created."""
    with pytest.raises(TypeError, match=r"listener must be a RefreshListener, not .*notify\(\)"):
        Cached(ScriptedSource(), listener=wrong)


# A cache that fails ---------------------------------------------------------------------------------------------------


class Leaving:
    """A cache whose lock fails when it is released."""

    persistent = False

    def get(self, key: str, /) -> None:
        return None

    def put(self, key: str, entry: object, /) -> None:
        return None

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        try:
            yield True
        finally:
            raise OSError("cannot unlock")


@pytest.mark.parametrize(
    "answer", [Credentials("AKIA", "secret"), Down("no network"), Bug("mine"), KeyboardInterrupt()]
)
def test_a_lock_that_fails_on_release_does_not_affect_the_caller(answer: Any, clock: ManualClock) -> None:
    """If a lock fails when it is released, the caller still gets the credentials or the error."""
    source = ScriptedSource(answer)
    both = Cached(source, Leaving(), clock=clock)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            got: object = both.fetch()
        except BaseException as error:
            got = error
    assert type(got) is type(answer)
    assert source.calls == 1
    assert "Leaving failed with OSError" in str(caught[0].message)
