"""Parts that are each right alone, put together: a `Cached` in a `Cached`, wrappers, third parties' caches, fleets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from forking import in_child
from helpers import START, Down, ScriptedSource, credentials

from stskit import AssumedRole, Cached, Credentials, RefreshPolicy, WebIdentityToken, assume_all
from stskit._io.fork import Occupied
from stskit.caches import FileCache, MemoryCache
from stskit.errors import CacheWarning, SourceMissing, STSError
from stskit.proofs import Proof
from stskit.protocols import CacheEntry, RefreshEvent
from stskit.roles import Role
from stskit.sinks import BotocoreSession
from stskit.sinks.live_credentials import _Refusals
from stskit.sources import Profile, Static
from stskit.sources.proof_file import KeptStream
from stskit.sts.wire import _Watchdog
from stskit.testing import FakeSTS, ManualClock

HUB, TARGET = "arn:aws:iam::123456789012:role/Hub", "arn:aws:iam::210987654321:role/Target"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


# A refresh that comes back to its own entry --------------------------------------------------------------------------


@pytest.mark.parametrize("kept_in", ["memory", "file"])
def test_a_cached_of_a_cached_does_not_block(clock: ManualClock, tmp_path: Path, kept_in: str) -> None:
    """A Cached of a Cached with the same cache entry does not block."""
    cache = MemoryCache() if kept_in == "memory" else FileCache(tmp_path / "cache", lock_timeout=3600)
    sts = FakeSTS(clock=clock)
    inner = Cached(AssumedRole(TARGET, source=Static(sts.user()), sts=sts), cache, clock=clock)
    outer = Cached(Cached(inner, cache, clock=clock), cache, clock=clock)
    for calls in (1, 2):
        assert not outer.fetch().is_expired(now=clock.now())
        assert sts.count() == calls
        clock.advance(timedelta(hours=2))


def test_a_hub_and_its_role_have_separate_locks(clock: ManualClock) -> None:
    """A hub and its role have separate entries and locks in one refresh."""
    sts, locked = FakeSTS(clock=clock), []

    class Watched:
        persistent = False
        get, put = (lambda *_: None), (lambda *_: None)

        def exclusive(self, key: str, /, *, wait: bool) -> AbstractContextManager[bool]:
            locked.append(key)
            return nullcontext(True)

    hub = Cached(AssumedRole(HUB, source=Static(sts.user()), sts=sts), Watched(), clock=clock)
    Cached(AssumedRole(TARGET, source=hub, sts=sts), Watched(), clock=clock).fetch()
    assert len(set(locked)) == 2


# Wrappers and mocks --------------------------------------------------------------------------------------------------


class Wrapper:
    """A wrapper of a source or an STS that passes unknown attributes on."""

    def __init__(self, inner: object) -> None:
        self.inner, self.calls = inner, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def fetch(self) -> Any:
        self.calls += 1
        return self.inner.fetch()  # type: ignore[attr-defined]

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        self.calls += 1
        return self.inner.exchange(proof, role)  # type: ignore[attr-defined,no-any-return]


def test_a_wrapper_that_passes_attributes_on_stays_in_use(clock: ManualClock) -> None:
    """A wrapper that passes unknown attributes on stays in use."""
    sts = FakeSTS(clock=clock)
    wrapped = Wrapper(AssumedRole.through(HUB, TARGET, source=Static(sts.user()), sts=sts))
    Cached(wrapped, MemoryCache(), clock=clock).fetch()
    assert wrapped.calls == 1


def test_a_wrapper_of_an_sts_makes_each_call_of_a_named_profile() -> None:
    class Configurable(FakeSTS):
        def with_profile(self, _profile: str) -> FakeSTS:
            return FakeSTS()

    sts = Wrapper(Configurable())
    source = Wrapper(Static(sts.user()))
    source.settings_profile = "base"  # type: ignore[attr-defined]
    AssumedRole(TARGET, source=source, sts=sts).fetch()
    assert sts.calls == 1


def test_a_mock_is_a_source(clock: ManualClock) -> None:
    """A mock with a fetch is a source."""
    keys = credentials(clock, hours=1)
    source = Mock(**{"fetch.return_value": keys})
    assert Cached(source, clock=clock).fetch() is keys
    assert AssumedRole(TARGET, source=source, sts=Mock(**{"exchange.return_value": keys})).fetch() is keys


# Caches --------------------------------------------------------------------------------------------------------------


class Returning:
    """A cache that returns the same value for each key."""

    persistent = False

    def __init__(self, found: object) -> None:
        self.found = found

    def get(self, _key: str, /) -> Any:
        return self.found

    def put(self, _key: str, _entry: CacheEntry, /) -> None: ...

    def exclusive(self, _key: str, /, *, wait: bool) -> AbstractContextManager[bool]:
        return nullcontext(True)


@pytest.mark.parametrize("found", ["text", b"", {}, 0, Mock()], ids=["text", "bytes", "dict", "zero", "mock"])
def test_another_type_from_a_cache_causes_a_warning(clock: ManualClock, found: object) -> None:
    """If a cache returns another type, a warning names the type, and the credentials are fetched."""
    keys = credentials(clock, hours=1)
    with pytest.warns(
        CacheWarning, match=f"^Returning returned {type(found).__name__} instead of a CacheEntry. The cache is not used"
    ):
        assert Cached(ScriptedSource(keys), Returning(found), clock=clock).fetch() is keys


def test_an_entry_of_a_wrong_clock_is_not_used(clock: ManualClock) -> None:
    """A cache entry that was written by a wrong clock is not used."""
    found = CacheEntry(credentials(clock, minutes=1), clock.now() + timedelta(minutes=4))
    keys = credentials(clock, hours=1)
    assert Cached(ScriptedSource(keys), Returning(found), clock=clock).fetch() is keys


def test_an_empty_key_is_an_error() -> None:
    """An empty key is an error, because all its users would share credentials."""
    with pytest.raises(SourceMissing, match="key is empty") as raised:
        Cached(Static(Credentials("AKIA", "secret")), MemoryCache(), key="")
    assert raised.value.option == "key"


# Listeners -----------------------------------------------------------------------------------------------------------


def test_a_listener_can_read_expired_credentials(clock: ManualClock) -> None:
    """A listener can read expired credentials, and gets no event for its own reads."""
    heard: list[str] = []

    class Reading:
        def notify(self, event: RefreshEvent) -> None:
            heard.append(event.kind)
            cached.fetch()

    source = ScriptedSource(lambda: credentials(clock, hours=1), Down("down"))
    cached = Cached(source, refresh=RefreshPolicy(on_expired="serve"), clock=clock, listener=Reading())
    cached.fetch()
    clock.advance(timedelta(hours=2))
    with pytest.warns(match="using the expired ones"):
        cached.fetch()
    assert sorted(heard) == ["refresh_failed", "refresh_failed", "refreshed", "served_stale"]
    cached.fetch()
    assert heard[4:] == ["served_stale"]


# A service or STS refuses a key --------------------------------------------------------------------------------------


def test_a_new_session_token_under_the_same_key_id_counts_as_new_credentials(clock: ManualClock) -> None:
    tokens = iter("ab")
    source = ScriptedSource(lambda: Credentials("AKIA", "secret", next(tokens), clock.now() + timedelta(hours=1)))
    cached = Cached(source, clock=clock)
    cached.fetch()
    clock.advance(2 * MINUTE)
    assert cached.replace_refused("AKIA")
    assert cached.fetch().session_token == "b"


def test_refused_credentials_are_refreshed(clock: ManualClock) -> None:
    """Refused credentials are refreshed, however long they are valid."""
    cached = Cached(ScriptedSource(lambda: credentials(clock, hours=1)), clock=clock)
    live: Any = cached.to(BotocoreSession("us-east-1")).get_credentials()
    assert live.refresh_needed(refresh_in=1)
    cached.fetch()
    assert not live.refresh_needed(refresh_in=1)
    cached.invalidate()
    assert live.refresh_needed(refresh_in=1)
    cached.fetch()
    clock.advance(timedelta(minutes=59))
    clock.set(START)
    assert not live.refresh_needed(refresh_in=59)
    assert live.refresh_needed(refresh_in=61)


def test_a_body_sent_from_its_middle_is_not_repeated(clock: ManualClock) -> None:
    """A request whose body was sent from its middle is not repeated."""
    refusals = _Refusals(Cached(ScriptedSource(lambda: credentials(clock, hours=1)), clock=clock))
    key_id = refusals._cached.fetch().access_key_id
    clock.advance(2 * MINUTE)
    body = BytesIO(b"header and content")
    answer = None, {"Error": {"Code": "ExpiredToken"}}
    for position, pause in ((7, None), (0, 0.0)):
        body.seek(position)
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={key_id}/20260101/x, Signature=1"}
        request = SimpleNamespace(context={}, headers=headers)
        sent = {"context": request.context, "body": body}
        refusals.keep_position(sent)
        refusals.keep_key_id(request)
        assert refusals.retry_with_new_key(answer, SimpleNamespace(error_shapes=()), sent) == pause


def test_a_reader_waits_if_credentials_expire_during_a_refresh() -> None:
    """A reader waits if the credentials expire during the refresh of another thread."""
    clock = ManualClock(START)
    entered, go = threading.Event(), threading.Event()

    def slow() -> Credentials:
        entered.set()
        go.wait(10)
        return credentials(clock, hours=1)

    first = credentials(clock, hours=1)
    cached = Cached(ScriptedSource(first, slow), refresh=RefreshPolicy(jitter=0), clock=clock)
    cached.fetch()
    clock.advance(timedelta(minutes=50))
    other = threading.Thread(target=cached.fetch)
    other.start()
    assert entered.wait(10)
    run, waits = cached._turn.run, []

    def watched(work: Callable[[], Any], *, wait: bool) -> Any:
        waits.append(wait)
        if wait:
            go.set()
            return run(work, wait=True)
        clock.advance(timedelta(minutes=11))
        return Occupied.BY_ANOTHER_THREAD

    cached._turn = SimpleNamespace(run=watched)  # type: ignore[assignment]
    assert cached.fetch().access_key_id != first.access_key_id
    other.join(10)
    assert waits == [False, True]


# Fleets --------------------------------------------------------------------------------------------------------------


class Configured:
    """An STS that records the profile of each call."""

    def __init__(self, used: list[str | None], profile: str | None = None) -> None:
        self.used, self.profile = used, profile

    def with_profile(self, profile: str) -> Configured:
        return Configured(self.used, profile)

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        self.used.append(self.profile)
        return Credentials("ASIA", "secret", "token")


@pytest.mark.parametrize("wrap", [lambda source: source, Cached], ids=["profile", "cached"])
def test_the_endpoint_of_a_named_profile_applies_to_a_fleet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrap: Callable[[Profile], Any]
) -> None:
    """The endpoint of a named profile applies to assume_all."""
    (tmp_path / "config").write_text("[profile base]\naws_access_key_id=AKIA\naws_secret_access_key=secret\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    used: list[str | None] = []
    list(assume_all([HUB, TARGET], source=wrap(Profile("base")), sts=Configured(used)))
    assert used == ["base", "base"]


def test_a_fleet_replaces_a_refused_key_of_its_hub_once(clock: ManualClock) -> None:
    """assume_all replaces a refused key of its hub once for all roles."""
    sts = FakeSTS(clock=clock)
    hub = Cached(AssumedRole(HUB, source=Static(sts.user()), sts=sts), clock=clock)
    dead = hub.fetch().access_key_id
    clock.advance(2 * MINUTE)

    class Forgetful:
        def exchange(self, proof: Proof, role: Role) -> Credentials:
            if isinstance(proof, Credentials) and proof.access_key_id == dead:
                raise STSError("refused", code="ExpiredToken", http_status=403)
            return sts.exchange(proof, role)

    roles = [f"arn:aws:iam::123456789012:role/r{number}" for number in range(20)]
    assert all(outcome.credentials for outcome in assume_all(roles, source=hub, sts=Forgetful()))
    assert sts.count() == 2 + len(roles)


@pytest.mark.parametrize("proof", ["credentials", "token", "fresh hub"])
def test_a_fleet_with_a_refused_key_has_the_error_in_each_outcome(clock: ManualClock, proof: str) -> None:
    sts = FakeSTS(clock=clock)
    source: Any = {
        "credentials": Static(sts.user()),
        "token": Static(WebIdentityToken(sts.idp.oidc_token())),
        "fresh hub": Cached(AssumedRole(HUB, source=Static(sts.user()), sts=sts), clock=clock),
    }[proof]

    class Refusing:
        def exchange(self, proof: Proof, role: Role) -> Credentials:
            raise STSError("refused", code="ExpiredToken", http_status=403)

    errors = [outcome.error for outcome in assume_all([HUB, TARGET], source=source, sts=Refusing())]
    assert [str(error) for error in errors] == ["refused", "refused"]


def test_a_fleet_without_a_thread_makes_no_more_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a thread of a fleet cannot be started, the other workers stop and make no more calls."""
    sts, start, started, release = FakeSTS(), threading.Thread.start, list[Any](), threading.Event()

    class Waiting:
        def exchange(self, proof: Proof, role: Role) -> Credentials:
            release.wait(10)
            return sts.exchange(proof, role)

    def fails_at_third(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fails_at_third)
    roles = [f"arn:aws:iam::123456789012:role/r{number}" for number in range(20)]
    with pytest.raises(RuntimeError, match="can't start"):
        list(assume_all(roles, source=Static(sts.user()), sts=Waiting()))
    release.set()
    for thread in started:
        thread.join(10)
    assert sts.count() <= 2


def test_a_forked_child_does_not_wait_for_the_workers_of_its_parent() -> None:
    """A forked child does not wait for the threads of its parent."""
    sts = FakeSTS()
    outcomes = assume_all([HUB, TARGET], source=Static(sts.user()), sts=sts, workers=1)
    next(outcomes)

    def go_on() -> str:
        with pytest.raises(RuntimeError, match="was created before a fork"):
            next(outcomes)
        return "raised"

    assert in_child(go_on) == "raised"
    assert [outcome.role.arn for outcome in outcomes] == [TARGET]


# Doubles and forks ---------------------------------------------------------------------------------------------------


def test_a_forked_child_can_call_a_fake_sts_that_another_thread_was_calling() -> None:
    sts, inside, go = FakeSTS(), threading.Event(), threading.Event()

    def hold() -> None:
        with sts._dispatcher.lock:
            inside.set()
            go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(10)
    try:
        recipe = AssumedRole(TARGET, source=Static(Credentials("AKIA", "secret")), sts=sts)
        assert in_child(partial(_class_of_error, recipe)) == "STSError"
    finally:
        go.set()
        holder.join(10)


def _class_of_error(recipe: AssumedRole) -> str:
    with pytest.raises(STSError) as raised:
        recipe.fetch()
    return type(raised.value).__name__


# Handlers of signals that make a call while the thread holds a lock --------------------------------------------------


def test_a_signal_handler_can_start_an_exchange() -> None:
    """A signal handler can start an exchange while its thread starts one."""

    class Over:
        is_over = True

    def interrupted() -> str:
        watchdog = _Watchdog()
        with watchdog._lock:
            watchdog.watch(cast("Any", Over()), 1)
        return "watched"

    assert _in_thread(interrupted) == "watched"


def test_a_signal_handler_can_read_a_kept_stream(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    stream = KeptStream()
    stream._data = b"content"

    def interrupted() -> bytes:
        with stream._lock:
            return stream.read(str(tmp_path / "file"), 100)

    assert _in_thread(interrupted) == b"content"


def _in_thread(work: Callable[[], Any]) -> Any:
    """Return the result of *work* in another thread with a time limit."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(10)
    assert results, "it hangs"
    return results[0]
