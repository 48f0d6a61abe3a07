"""A chain of roles in a `Cached`: each role is refreshed separately, and two chains share nothing implicitly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from helpers import START

from stskit import AssumedRole, Cached, Role
from stskit.caches import MemoryCache
from stskit.sources import Static
from stskit.testing import FakeSTS, ManualClock

HUB, TARGET = (f"arn:aws:iam::123456789012:role/{name}" for name in ("Hub", "Target"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def sts(clock: ManualClock) -> FakeSTS:
    return FakeSTS(clock=clock)


def assumed(sts: FakeSTS) -> list[str]:
    """Return the names of the assumed roles in the order of the calls."""
    return [str(call.parameters["RoleArn"]).rpartition("/")[2] for call in sts.calls]


@pytest.mark.case("P171")
def test_each_role_of_a_chain_is_refreshed_separately(clock: ManualClock, sts: FakeSTS) -> None:
    """In a chain, a role of 15 minutes is assumed again while its hub of one hour is not."""
    chain = AssumedRole.through(HUB, Role(TARGET, duration=900), source=Static(sts.user()), sts=sts)
    short = Cached(chain, clock=clock)
    for _ in range(3):
        short.fetch()
        clock.advance(timedelta(minutes=12))
    assert assumed(sts) == ["Hub", "Target", "Target", "Target"]


@pytest.mark.case("P83", "P172")
def test_two_chains_through_one_role_share_nothing(clock: ManualClock, sts: FakeSTS) -> None:
    """Two `Cached` with equal chains each assume the hub, because they share nothing without a cache."""
    source = Static(sts.user())
    for _ in range(2):
        Cached(AssumedRole.through(HUB, TARGET, source=source, sts=sts), clock=clock).fetch()
    assert assumed(sts) == ["Hub", "Target"] * 2


@pytest.mark.case("P31", "P84", "P172")
def test_a_cached_that_the_user_makes_is_a_hub_for_many_roles(clock: ManualClock, sts: FakeSTS) -> None:
    """A thousand roles through one `Cached` hub assume the hub once and each role once."""
    hub = Cached(AssumedRole(HUB, source=Static(sts.user()), sts=sts), clock=clock)
    for number in range(1000):
        Cached(AssumedRole(f"{TARGET}{number}", source=hub, sts=sts), clock=clock).fetch()
    assert (len(sts.calls), assumed(sts).count("Hub")) == (1001, 1)


def test_the_roles_of_a_chain_use_the_cache_of_the_last_one(clock: ManualClock, sts: FakeSTS) -> None:
    """A second chain with the same cache makes no call. A key is for the last role, so another key makes new calls."""
    cache, source = MemoryCache(), Static(sts.user())
    for _ in range(2):
        Cached(AssumedRole.through(HUB, TARGET, source=source, sts=sts), cache, clock=clock).fetch()
    assert assumed(sts) == ["Hub", "Target"]
    for key in ("one", "two"):
        Cached(AssumedRole.through(HUB, TARGET, source=source, sts=sts), cache, key=key, clock=clock).fetch()
    assert assumed(sts) == ["Hub", "Target"] * 3
