"""How `Cached` uses a cache: which entries it uses and writes, when it waits, and under which key."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from attrs import Factory, define
from helpers import START, Down, ScriptedSource, credentials
from test_jwt import token

from stskit import AssumedRole, Cached, Credentials, RefreshPolicy, Role
from stskit.cache_key import digest
from stskit.caches import FileCache, MemoryCache
from stskit.errors import CacheWarning, SourceMissing
from stskit.proofs import Proof, WebIdentityToken
from stskit.protocols import CacheEntry, Source
from stskit.sources import OIDCTokenFile
from stskit.testing import ManualClock

ARN = "arn:aws:iam::123456789012:role/"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def place() -> str:
    """Return the key of the entry of `cached`."""
    return digest("entry", digest("named", "key"))


def cached(source: Source[Credentials], cache: object, clock: ManualClock) -> Cached:
    policy = RefreshPolicy(jitter=0)
    return Cached(source, cache, policy, "key", clock)  # type: ignore[arg-type]


@define(eq=False)
class Person:
    """A source whose identity and access key ID are the name of a person, who can change."""

    name: str = "alice"

    @property
    def identity(self) -> str:
        return self.name

    def fetch(self) -> Credentials:
        return Credentials(self.name, "secret")


@define(eq=False)
class Telling:
    """An STS whose session token names the role and the caller's key."""

    clock: ManualClock
    calls: list[str] = Factory(list)
    identity = "telling"

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        assert isinstance(proof, Credentials)
        told = f"{role.arn.removeprefix(ARN)} for {proof.session_token or proof.access_key_id}"
        self.calls.append(told)
        return Credentials("AKIA", "secret", told, self.clock.now() + timedelta(hours=1))


@pytest.mark.case("P79", "P106")
def test_a_fresh_entry_is_used_without_a_call(clock: ManualClock) -> None:
    """A fresh entry is used without a call, and its refresh windows start at the time of its fetch."""
    cache, source = MemoryCache(), ScriptedSource(lambda: credentials(clock, hours=1))
    first = cached(source, cache, clock).fetch()
    clock.advance(timedelta(minutes=44))
    late = cached(source, cache, clock)
    assert late.fetch() is first
    clock.advance(timedelta(minutes=1))
    assert late.fetch() is not first
    assert source.calls == 2


def test_an_entry_of_another_cached_is_used(clock: ManualClock) -> None:
    """Two `Cached` with one cache make one call for each refresh window."""
    cache, source = MemoryCache(), ScriptedSource(lambda: credentials(clock, hours=1))
    one, other = cached(source, cache, clock), cached(source, cache, clock)
    for _ in range(10):
        assert one.fetch() is other.fetch()
        clock.advance(timedelta(minutes=45))
    assert source.calls == 10


def test_a_valid_entry_is_used_when_the_source_fails(clock: ManualClock) -> None:
    """If the source fails, a new process uses the valid entry of another process until it expires."""
    cache = MemoryCache()
    first = cached(ScriptedSource(credentials(clock, hours=1)), cache, clock).fetch()
    clock.advance(timedelta(minutes=50))
    late = cached(ScriptedSource(Down()), cache, clock)
    assert late.fetch() is first
    clock.advance(timedelta(minutes=10))
    with pytest.raises(Down):
        late.fetch()


@pytest.mark.case("P101")
def test_in_the_advisory_window_no_process_waits_for_another(clock: ManualClock) -> None:
    """In the advisory window, while another process refreshes, the old credentials are used, and then its new ones."""
    cache, source = MemoryCache(), ScriptedSource(credentials(clock, hours=1))
    both = cached(source, cache, clock)
    first = both.fetch()
    clock.advance(timedelta(minutes=50))
    with cache.exclusive(place(), wait=True):
        assert both.fetch() is first
        cache.put(place(), CacheEntry(new := credentials(clock, hours=1), clock.now()))
    assert both.fetch() is new
    assert source.calls == 1


def test_a_new_process_with_a_valid_entry_does_not_wait(clock: ManualClock) -> None:
    """A new process uses an entry in its advisory window while another process refreshes it."""
    cache = MemoryCache()
    first = cached(ScriptedSource(credentials(clock, hours=1)), cache, clock).fetch()
    clock.advance(timedelta(minutes=50))
    with cache.exclusive(place(), wait=True):
        assert cached(ScriptedSource(), cache, clock).fetch() is first


@pytest.mark.case("P100")
def test_in_the_mandatory_window_a_process_waits_for_another(clock: ManualClock) -> None:
    """In the mandatory window, a caller waits for the other process and uses its new entry without a call."""
    cache, source, wanted = MemoryCache(), ScriptedSource(credentials(clock, hours=1)), Event()

    class Watched:
        persistent = False
        get, put = cache.get, cache.put

        @contextmanager
        def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
            assert wait
            wanted.set()
            with cache.exclusive(key, wait=wait) as alone:
                yield alone

    both = cached(source, Watched(), clock)
    with ThreadPoolExecutor(1) as pool:
        with cache.exclusive(place(), wait=True):
            waiting = pool.submit(both.fetch)
            assert wanted.wait(10)
            cache.put(place(), CacheEntry(new := credentials(clock, hours=1), clock.now()))
        assert waiting.result(10) is new
    assert source.calls == 0


def test_a_refused_entry_is_not_used_again(clock: ManualClock) -> None:
    """After `invalidate`, the cached entry is not used again, but a newer entry of another caller is."""
    cache, source = MemoryCache(), ScriptedSource(lambda: credentials(clock, hours=1))
    both, other = cached(source, cache, clock), cached(source, cache, clock)
    first = both.fetch()
    assert other.fetch() is first
    both.invalidate(first.access_key_id)
    other.invalidate(first.access_key_id)
    assert both.fetch() is other.fetch() is not first
    assert source.calls == 2


@pytest.mark.parametrize(
    ("since", "end"),
    [
        (timedelta(days=-1), timedelta(0)),
        (timedelta(hours=-1), timedelta(seconds=-1)),
        (timedelta(minutes=6), timedelta(hours=1)),
    ],
    ids=["ends now", "has ended", "is from later than now"],
)
def test_an_expired_or_future_entry_is_not_used(clock: ManualClock, since: timedelta, end: timedelta) -> None:
    """An expired entry, or one from the future, is not used, even if the source fails."""
    cache, now = MemoryCache(), clock.now()
    cache.put(place(), CacheEntry(Credentials("AKIA", "s", "t", now + end), now + since))
    with pytest.raises(Down):
        cached(ScriptedSource(Down()), cache, clock).fetch()


def test_a_clock_that_is_a_little_slow_causes_no_error(clock: ManualClock) -> None:
    """An entry that is five minutes in the future is used, because clocks of processes can differ."""
    cache = MemoryCache()
    cache.put(place(), CacheEntry(keys := credentials(clock, hours=1), clock.now() + timedelta(minutes=5)))
    assert cached(ScriptedSource(Down()), cache, clock).fetch() is keys


@pytest.mark.case("P71", "P109")
def test_long_term_keys_are_not_cached(clock: ManualClock, tmp_path: Path) -> None:
    """Long-term keys are not written to a cache."""
    cache = FileCache(tmp_path / "cache")
    cached(ScriptedSource(credentials(clock)), cache, clock).fetch()
    assert cache.get(place()) is None


class Broken:
    """A third-party cache of which one method fails."""

    persistent = False

    def __init__(self, fails: str) -> None:
        self.fails = fails

    def _at(self, what: str) -> None:
        if what == self.fails:
            raise ConnectionError("canary")

    def get(self, key: str, /) -> CacheEntry | None:
        self._at("get")
        return None

    def put(self, key: str, entry: CacheEntry, /) -> None:
        self._at("put")

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        self._at("exclusive")
        yield True


@pytest.mark.parametrize("fails", ["get", "put", "exclusive"])
def test_a_failing_cache_method_is_a_warning(clock: ManualClock, fails: str) -> None:
    """If a method of the cache fails, the credentials are still returned, with a warning that names the error's class
    only.
    """
    keys = credentials(clock, hours=1)
    with pytest.warns(
        CacheWarning,
        match="^Broken failed with ConnectionError. The cache is not used for this refresh. Correct its code.$",
    ):
        assert cached(ScriptedSource(keys), Broken(fails), clock).fetch() is keys


def test_jitter_is_drawn_once_for_each_set_of_credentials(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jitter is drawn once for each set of credentials, so a second reading of the cache cannot postpone the
    refresh.
    """
    drawn = iter([1.0, 0.0, 0.0, 0.0])
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    monkeypatch.setattr(random, "uniform", lambda _least, _most: next(drawn))
    both = Cached(source, MemoryCache(), RefreshPolicy(), "key", clock)
    both.fetch()
    clock.advance(timedelta(minutes=42.5))
    both.fetch()
    assert source.calls == 2


def test_a_failing_lock_does_not_prevent_the_refresh(clock: ManualClock) -> None:
    """If the lock of a cache fails, the refresh is still made, also in the advisory window."""
    new = credentials(clock, hours=2)
    both = cached(ScriptedSource(credentials(clock, hours=1), new), Broken("exclusive"), clock)
    with pytest.warns(CacheWarning):
        both.fetch()
    clock.advance(timedelta(minutes=50))
    with pytest.warns(CacheWarning):
        assert both.fetch() is new


def test_a_fresh_entry_is_used_without_a_lock(clock: ManualClock) -> None:
    """A fresh entry is used without a lock."""
    keys = credentials(clock, hours=1)

    class Full(Broken):
        def get(self, key: str, /) -> CacheEntry | None:
            return CacheEntry(keys, clock.now())

    assert cached(ScriptedSource(Down()), Full("exclusive"), clock).fetch() is keys


def test_wrong_types_of_cache_and_source_are_refused(clock: ManualClock) -> None:
    """A value that is not a cache or not a source raises TypeError in the constructor, with a remedy."""
    with pytest.raises(TypeError, match=r"cache must be a cache, not str\. Did you mean FileCache\(folder\)\?"):
        Cached(ScriptedSource(), "folder")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"source must be a source, not Credentials\. Did you mean Static\("):
        Cached(credentials(clock))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lock_timeout"):
        FileCache(lock_timeout=-1)


def test_an_error_of_the_source_is_raised_unchanged(clock: ManualClock) -> None:
    """An error of the source while the cache is locked is raised as it is, without a warning about the cache."""
    with pytest.raises(Down):
        cached(ScriptedSource(Down()), Broken("nothing"), clock).fetch()


# Identity of the caller --------------------------------------------------------------------------------------------


def test_another_user_never_gets_the_entry(clock: ManualClock, tmp_path: Path) -> None:
    """If the source changes to another user, this user never gets the entry of the first user."""
    person, sts, cache = Person(), Telling(clock), FileCache(tmp_path / "cache")
    recipe = AssumedRole(ARN + "R", source=person, sts=sts)
    for name in ("alice", "bob", "alice", "bob"):
        person.name = name
        assert Cached(recipe, cache, clock=clock).fetch().session_token == f"R for {name}"
    assert sts.calls == ["R for alice", "R for bob"]


def test_credentials_of_a_hub_are_never_cached_for_another_user(clock: ManualClock, tmp_path: Path) -> None:
    """Credentials that a hub holds for one user are never cached under the identity of another user."""
    person, sts, cache = Person(), Telling(clock), FileCache(tmp_path / "cache")
    hub = Cached(AssumedRole(ARN + "Hub", source=person, sts=sts), clock=clock)
    both = Cached(AssumedRole(ARN + "R", source=hub, sts=sts), cache, clock=clock)
    assert both.fetch().session_token == "R for Hub for alice"
    person.name = "bob"
    both.invalidate()
    assert both.fetch().session_token == "R for Hub for alice"
    fresh = AssumedRole.through(ARN + "Hub", ARN + "R", source=person, sts=sts)
    assert Cached(fresh, cache, clock=clock).fetch().session_token == "R for Hub for bob"
    clock.advance(timedelta(minutes=50))
    assert both.fetch().session_token == "R for Hub for bob"


def test_credentials_are_not_cached_if_the_user_changes_during_the_call(clock: ManualClock, tmp_path: Path) -> None:
    """If the user changes during the call, the credentials are used but not cached."""
    person, cache = Person(), FileCache(tmp_path / "cache")

    class Switching:
        identity = "switching"

        def exchange(self, proof: Proof, role: Role) -> Credentials:
            person.name = "bob"
            return credentials(clock, hours=1)

    recipe = AssumedRole(ARN + "R", source=person, sts=Switching())
    alice = recipe.identity
    assert Cached(recipe, cache, clock=clock).fetch()
    assert recipe.identity != alice
    assert [cache.get(name or "") for name in (alice, recipe.identity)] == [None, None]


def test_a_key_applies_to_every_role_of_a_chain(clock: ManualClock, tmp_path: Path) -> None:
    """With one key, each role of a chain has its own entry, so another chain through the same hub finds the hub."""
    sts, cache = Telling(clock), FileCache(tmp_path / "cache")

    def fetch(target: str) -> None:
        recipe = AssumedRole.through(ARN + "Hub", ARN + target, source=ScriptedSource(credentials(clock)), sts=sts)
        with pytest.raises(SourceMissing, match="does not say whose"):
            Cached(recipe, cache, clock=clock)
        Cached(recipe, cache, key="mine", clock=clock).fetch()

    for target, calls in [("R", 2), ("R", 2), ("S", 3)]:
        fetch(target)
        assert len(sts.calls) == calls


@pytest.mark.parametrize("asked", [True, False], ids=["after its identity was asked for", "before"])
def test_credentials_of_a_hub_keep_their_identity(asked: bool, clock: ManualClock, tmp_path: Path) -> None:
    """Credentials of a hub keep the identity of their fetch, even if another user has replaced the file since."""
    sts, cache, file = Telling(clock), FileCache(tmp_path / "cache"), tmp_path / "token"

    class Reading:
        identity = "reading"

        def exchange(self, proof: Proof, role: Role) -> Credentials:
            if isinstance(proof, Credentials):
                return sts.exchange(proof, role)
            assert isinstance(proof, WebIdentityToken)
            return Credentials("AKIA", "s", f"Hub for {proof.subject}", clock.now() + timedelta(hours=1))

    def write(subject: str) -> None:
        file.touch(0o600)
        file.write_text(token({"iss": "i", "sub": subject}).value)

    def target(hub: Source[Credentials]) -> str | None:
        recipe = AssumedRole(ARN + "R", source=hub, sts=Reading())
        return Cached(recipe, cache, clock=clock).fetch().session_token

    write("alice")
    hub = Cached(AssumedRole(ARN + "Hub", source=OIDCTokenFile(file), sts=Reading()), clock=clock)
    alice = AssumedRole(ARN + "Hub", source=OIDCTokenFile(file), sts=Reading()).identity
    hub.fetch()
    if asked:
        assert hub.identity == alice
    write("bob")
    assert hub.identity == alice
    assert target(hub) == "R for Hub for alice"
    assert target(AssumedRole(ARN + "Hub", source=OIDCTokenFile(file), sts=Reading())) == "R for Hub for bob"


def test_a_cached_keeps_its_identity_until_the_next_refresh(clock: ManualClock) -> None:
    """A `Cached` keeps the identity of its credentials until new ones replace them, even if its source changes."""
    person, sts = Person(), Telling(clock)
    hub = Cached(AssumedRole(ARN + "Hub", source=person, sts=sts), clock=clock)
    alice = hub.identity
    hub.fetch()
    person.name = "bob"
    assert hub.identity == alice
    clock.advance(timedelta(hours=1))
    hub.fetch()
    assert hub.identity != alice
