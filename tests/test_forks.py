"""After a fork, stskit works in the child, whatever the threads of the parent were doing."""

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
    """A source that waits in the process that created it, and returns immediately in every other process."""

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
    """Keep a thread in the middle of a refresh while the block runs."""
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
def test_a_fork_during_a_refresh_leaves_a_working_child(cache: MemoryCache | None) -> None:
    """A fork during a refresh gives the child its own credentials within two seconds, and the parent continues."""
    source = HangsInParent()
    both = Cached(source, cache, clock=source.clock)
    with refreshing(both, source):
        assert in_child(lambda: both.fetch().access_key_id).startswith("AKIA")
    assert not both.fetch().is_expired(now=source.clock.now())


@pytest.mark.case("R6", "C18")
def test_a_child_waits_until_the_lock_timeout(tmp_path: Path) -> None:
    """If the parent holds the lock of a file cache, the child waits for lock_timeout and then fetches alone."""
    source = HangsInParent()
    both = Cached(source, FileCache(tmp_path / "cache", lock_timeout=0.1), clock=source.clock)

    def child() -> str:
        with pytest.warns(CacheWarning, match="another process holds the lock"):
            return both.fetch().access_key_id

    with refreshing(both, source):
        assert in_child(child).startswith("AKIA")


def test_a_child_keeps_no_lock_of_its_parent(tmp_path: Path) -> None:
    """A lock is free when the parent leaves its block, although a forked child still runs.

    The child can leave the block too, and does not close another file with the same descriptor number.
    """
    here, there = os.pipe()
    held = ExitStack()
    held.enter_context(locks.locked(path := str(tmp_path / "lock"), 0))

    def child() -> str:
        # One of them has the number of the lock's descriptor.
        others = [os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR) for _ in range(100)]
        os.close(there)
        os.read(here, 1)  # Wait until the parent has checked the lock.
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
    """Registered objects are reset once in each forked child, not in the parent, and can be garbage-collected."""
    some = [Resettable(), Resettable()]
    for number in range(2):
        fork.reset_in_children(some[number])
    assert in_child(lambda: [each.resets for each in some]) == "[1, 1]"
    assert [each.resets for each in some] == [0, 0]
    gone = weakref.ref(some.pop())
    gc.collect()
    assert gone() is None
    assert in_child(lambda: some[0].resets) == "1"


def test_an_unused_cached_is_garbage_collected() -> None:
    """A `Cached` that is no longer used is garbage-collected, although it is registered for forks."""
    gone = weakref.ref(cached(ScriptedSource(), ManualClock(START)))
    gc.collect()
    assert gone() is None


def test_a_system_without_fork_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without fork, `lock_across_forks` is an ordinary lock."""
    monkeypatch.delattr(os, "register_at_fork")
    with fork.lock_across_forks():
        pass
