"""Chains: each role is refreshed on its own, and one that many are assumed from is called once."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import Factory, define
from helpers import START, credentials, lowest

from stskit import AssumedRole, Cached, Credentials, RefreshPolicy, Role
from stskit._refresh import hops
from stskit.caches import FileCache, MemoryCache
from stskit.errors import RoleError, STSUnavailable
from stskit.identity import Proof
from stskit.sinks import BotocoreSession
from stskit.sources import Static
from stskit.testing import ManualClock

ARN = "arn:aws:iam::123456789012:role/"
BASE = Static(Credentials("AKIABASE", "secret"))


@define(eq=False)
class CountedSTS:
    """Counts the calls for each role; *down* names those that it has no answer for."""

    clock: ManualClock = Factory(lambda: ManualClock(START))
    hours: dict[str, float] = Factory(dict)
    calls: list[tuple[str, str]] = Factory(list)
    down: set[str] = Factory(set)

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        name = role.arn.removeprefix(ARN)
        assert isinstance(proof, Credentials)
        assert not proof.is_expired(now=self.clock.now())
        self.calls.append((name, proof.access_key_id))
        if name in self.down:
            raise STSUnavailable("no network")
        return credentials(self.clock, hours=self.hours.get(name, 1))

    def number(self, name: str) -> int:
        return [role for role, _ in self.calls].count(name)


@pytest.fixture
def sts() -> CountedSTS:
    return CountedSTS()


def cached(recipe: AssumedRole, sts: CountedSTS, cache: MemoryCache | FileCache | None = None) -> Cached:
    return Cached(recipe, cache, RefreshPolicy(jitter=0), clock=sts.clock, uniform=lowest)


def test_each_role_of_a_chain_is_refreshed_on_its_own(sts: CountedSTS) -> None:
    """One of twelve hours is called once, while the one that is assumed from it is called every 45 minutes."""
    sts.hours["Hub"] = 12
    both = cached(AssumedRole.through(ARN + "Hub", ARN + "Reports", source=BASE, sts=sts), sts)
    for _ in range(12):
        both.fetch()
        sts.clock.advance(timedelta(minutes=45))
    assert (sts.number("Hub"), sts.number("Reports")) == (1, 12)


@pytest.mark.parametrize("threads", [1, 16])
def test_a_hub_for_a_thousand_roles_is_called_once(sts: CountedSTS, threads: int) -> None:
    """Recipes that were written one by one, each with a session of its own, share what is equal in them."""
    recipes = [AssumedRole.through(ARN + "Hub", f"{ARN}r{number}", source=BASE, sts=sts) for number in range(1000)]
    all_cached = [cached(recipe, sts) for recipe in recipes]
    with ThreadPoolExecutor(threads) as pool:
        keys = {each.access_key_id for each in pool.map(Cached.fetch, all_cached)}
    assert len(keys) == 1000
    assert (sts.number("Hub"), len(sts.calls)) == (1, 1001)
    assert len({proof for role, proof in sts.calls if role != "Hub"}) == 1


def test_sessions_share_a_hub_too(sts: CountedSTS) -> None:
    """Each with its own role, all on one hub."""
    sink = BotocoreSession(clock=sts.clock)
    recipes = [AssumedRole.through(ARN + "Hub", f"{ARN}r{number}", source=BASE, sts=sts) for number in range(20)]
    for session in [recipe.to(sink) for recipe in recipes]:
        keys = session.get_credentials()
        assert keys
        keys.get_frozen_credentials()
    assert (sts.number("Hub"), len(sts.calls)) == (1, 21)


def test_a_hub_that_is_cached_by_hand_is_shared_by_all(sts: CountedSTS) -> None:
    """Also by recipes that are run at once and never cached."""
    hub = cached(AssumedRole(ARN + "Hub", source=BASE, sts=sts), sts)
    for number in range(10):
        AssumedRole(f"{ARN}r{number}", source=hub, sts=sts).fetch()
    assert sts.number("Hub") == 1


def test_what_is_not_equal_is_not_shared(sts: CountedSTS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another option of the hub, other keys, another STS, policy or environment: each has its own call."""
    other = CountedSTS(sts.clock)
    hubs = [
        AssumedRole(ARN + "Hub", source=BASE, sts=sts),
        AssumedRole(Role(ARN + "Hub", duration=900), source=BASE, sts=sts),
        AssumedRole(ARN + "Hub", source=Static(Credentials("AKIAOTHER", "secret")), sts=sts),
        AssumedRole(ARN + "Hub", source=BASE, sts=other),
    ]
    kept = [cached(AssumedRole(ARN + "R", source=hub, sts=sts), sts) for hub in hubs]
    kept.append(
        Cached(AssumedRole(ARN + "R", source=hubs[0], sts=sts), policy=RefreshPolicy(jitter=0.1), clock=sts.clock)
    )
    monkeypatch.setenv("AWS_PROFILE", "other")
    kept.append(cached(AssumedRole(ARN + "R", source=hubs[0], sts=sts), sts))
    for each in kept:
        each.fetch()
    assert sts.number("Hub") + other.number("Hub") == len(kept)


def test_what_cannot_be_compared_is_not_shared(sts: CountedSTS) -> None:
    """A source of somebody else that has no hash: each recipe has a hub of its own, and works."""

    @define
    class Unhashable:
        def fetch(self) -> Credentials:
            return BASE.fetch()

    hub = AssumedRole(ARN + "Hub", source=Unhashable(), sts=sts)
    for each in [cached(AssumedRole(f"{ARN}r{number}", source=hub, sts=sts), sts) for number in range(3)]:
        each.fetch()
    assert sts.number("Hub") == 3


def test_nothing_is_kept_for_nobody(sts: CountedSTS) -> None:
    """When the last recipe on a hub is gone, so are the hub's credentials."""
    gc.collect()
    before = len(hops._shared)
    both = cached(AssumedRole.through(ARN + "Hub", ARN + "R", source=BASE, sts=sts), sts)
    both.fetch()
    assert len(hops._shared) == before + 1
    del both
    gc.collect()
    assert len(hops._shared) == before


def test_a_hub_that_is_down_costs_nobody_the_good_ones(sts: CountedSTS) -> None:
    """The role at the end goes on with the hub's present ones, and then with its own; what has expired is not used."""
    both = cached(AssumedRole.through(ARN + "Hub", ARN + "R", source=BASE, sts=sts), sts)
    first = both.fetch()
    sts.down.add("Hub")
    sts.clock.advance(timedelta(minutes=59))
    second = both.fetch()
    assert second is not first
    sts.clock.advance(timedelta(minutes=46))
    assert both.fetch() is second
    sts.clock.advance(timedelta(minutes=14))
    with pytest.raises(STSUnavailable):
        both.fetch()
    assert sts.number("R") == 2
    sts.down.clear()
    sts.clock.advance(timedelta(seconds=1))
    assert both.fetch() is not second


def test_the_middle_of_a_long_chain_is_shared(sts: CountedSTS) -> None:
    """Of three roles in a row, two have the first two in common."""
    recipes = [AssumedRole.through(ARN + "A", ARN + "B", ARN + name, source=BASE, sts=sts) for name in ("C", "D")]
    for each in [cached(recipe, sts) for recipe in recipes]:
        each.fetch()
    assert [role for role, _ in sts.calls] == ["A", "B", "C", "D"]


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_cache_is_used_for_each_role(sts: CountedSTS, tmp_path: Path, kind: str) -> None:
    """A second recipe on the same hub finds it there, even when the first one is gone; and one that is found costs
    nothing at all.
    """
    cache = MemoryCache() if kind == "memory" else FileCache(tmp_path / "cache")
    for name in ("A", "B", "A", "B"):
        cached(AssumedRole.through(ARN + "Hub", ARN + name, source=BASE, sts=sts), sts, cache).fetch()
    assert [role for role, _ in sts.calls] == ["Hub", "A", "B"]


def test_a_chain_is_seen_through_a_cache() -> None:
    """More than an hour is refused before any call, also where the hub is cached by hand."""
    hub = Cached(Cached(AssumedRole(ARN + "Hub", source=BASE)))
    with pytest.raises(RoleError, match="3600"):
        AssumedRole(Role(ARN + "R", duration=timedelta(hours=2)), source=hub)


def test_a_recipe_that_is_run_at_once_calls_for_each_role(sts: CountedSTS) -> None:
    """It holds nothing: only what is cached refreshes."""
    recipe = AssumedRole.through(ARN + "Hub", ARN + "R", source=BASE, sts=sts)
    for _ in range(2):
        recipe.fetch()
    assert [role for role, _ in sts.calls] == ["Hub", "R"] * 2


def test_the_environment_is_compared_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept in memory for it names keys, and holds none."""
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    told = str(hops._environment())
    assert "AKIAENVIRONMENT" in told
    assert "canary" not in told
