"""A fork leaves a child that works, whatever the threads of its parent were doing."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from forking import in_child
from helpers import START, ScriptedSource, cached, credentials

from stskit import Cached
from stskit._io import fork, locks
from stskit.caches import FileCache, MemoryCache
from stskit.credentials import Credentials
from stskit.errors import CacheWarning
from stskit.testing import ManualClock

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


class HangsInParent:
    """A source that waits in the process it was made in, and answers at once in every other."""

    identity = "somebody"

    def __init__(self) -> None:
        self.home, self.entered, self.open = os.getpid(), threading.Event(), threading.Event()
        self.clock = ManualClock(START)

    def fetch(self) -> Credentials:
        if os.getpid() == self.home:
            self.entered.set()
            assert self.open.wait(10)
        return credentials(self.clock, hours=1)


@contextmanager
def refreshing(both: Cached, source: HangsInParent) -> Iterator[None]:
    """While this lasts, a thread is in the middle of a refresh."""
    with ThreadPoolExecutor(1) as pool:
        refresh = pool.submit(both.fetch)
        assert source.entered.wait(10)
        try:
            yield
        finally:
            source.open.set()
            refresh.result(10)


@pytest.mark.case("R6", "C18", "P33")
@pytest.mark.parametrize("cache", [None, MemoryCache()], ids=["no cache", "memory"])
def test_a_fork_in_the_middle_of_a_refresh_leaves_a_child_that_works(cache: MemoryCache | None) -> None:
    """It has credentials of its own within two seconds; the parent goes on as if nothing had happened."""
    source = HangsInParent()
    both = Cached(source, cache, clock=source.clock)
    with refreshing(both, source):
        assert in_child(lambda: both.fetch().access_key_id).startswith("AKIA")
    assert not both.fetch().is_expired(now=source.clock.now())


@pytest.mark.case("R6", "C18")
def test_a_child_waits_for_its_parent_no_longer_than_for_anybody(tmp_path: Path) -> None:
    """The parent refreshes through a file cache: the child waits for as long as it is told to, and goes on alone."""
    source = HangsInParent()
    both = Cached(source, FileCache(tmp_path / "cache", lock_timeout=0.1), clock=source.clock)

    def child() -> str:
        with pytest.warns(CacheWarning, match="another process holds the lock"):
            return both.fetch().access_key_id

    with refreshing(both, source):
        assert in_child(child).startswith("AKIA")


def test_a_child_keeps_no_lock_of_its_parent(tmp_path: Path) -> None:
    """The lock is free when the parent leaves the block, though the child lives on. The child can leave the block too,
    and closes no other file, though the number of the lock's descriptor may be another file's by then.
    """
    here, there = os.pipe()
    held = ExitStack()
    held.enter_context(locks.locked(path := str(tmp_path / "lock"), 0))

    def child() -> str:
        others = [os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR) for _ in range(100)]  # one takes its number
        os.close(there)
        os.read(here, 1)  # until the parent has looked
        held.close()
        assert all(map(os.fstat, others))
        return "done"

    with ThreadPoolExecutor(1) as pool:
        forked = threading.Event()
        done = pool.submit(in_child, child, forked)
        assert forked.wait(10)
        held.close()
        with locks.locked(path, 0):
            os.close(there)
            assert done.result(20) == "done"
    os.close(here)


class Resettable:
    """An object that counts its resets."""

    resets = 0

    def reset_after_fork(self) -> None:
        self.resets += 1


def test_objects_that_are_alive_are_reset_in_a_child() -> None:
    """Once for each fork, and not in the parent; an object that nobody uses any more is garbage."""
    some = [Resettable(), Resettable()]
    for number in range(2):
        fork.reset_in_children(some[number])
    assert in_child(lambda: [each.resets for each in some]) == "[1, 1]"
    assert [each.resets for each in some] == [0, 0]
    gone = weakref.ref(some.pop())
    gc.collect()
    assert gone() is None
    assert in_child(lambda: some[0].resets) == "1"


def test_a_recipe_that_nobody_uses_is_garbage() -> None:
    """What has to be reset in children keeps none alive."""
    gone = weakref.ref(cached(ScriptedSource(), ManualClock(START)))
    gc.collect()
    assert gone() is None


def test_a_system_without_fork_needs_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is a lock."""
    monkeypatch.delattr(os, "register_at_fork")
    with fork.lock_across_forks():
        pass
