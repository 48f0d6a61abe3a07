"""The cache in memory: as many entries as it was given room for, one caller at a time for each key, and a fork or a
pickle that takes neither locks nor secrets along.
"""

from __future__ import annotations

import copy
import os
import pickle
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Self

import pytest
from forking import in_child
from helpers import START, Down, ScriptedSource, credentials
from hypothesis import given
from hypothesis import strategies as st

from stskit import Cached, RefreshPolicy
from stskit.caches import MemoryCache
from stskit.credentials import Credentials
from stskit.protocols import CacheEntry
from stskit.testing import ManualClock

SECONDS = 10  # within which a thread must get on
KEYS = st.sampled_from("abcdef")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
fork_with_threads = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def entry() -> CacheEntry:
    """Return a new entry."""
    return CacheEntry(credentials(ManualClock(START), hours=1), START)


@contextmanager
def held_elsewhere(hold: Callable[[threading.Event, threading.Event], None]) -> Iterator[Future[None]]:
    """Hold a key in another thread until the second event is set."""
    inside, leave = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold, inside, leave)
        try:
            assert inside.wait(SECONDS)
            yield holder
        finally:
            leave.set()
            holder.result(SECONDS)


def enter(cache: MemoryCache, key: str) -> Callable[[threading.Event, threading.Event], None]:
    """Enter the exclusive block of *key*."""

    def hold(inside: threading.Event, leave: threading.Event) -> None:
        with cache.exclusive(key, wait=True) as alone:
            assert alone
            inside.set()
            assert leave.wait(SECONDS)

    return hold


# What is kept ------------------------------------------------------------------------------------------------------


def test_get_returns_the_latest_entry_of_its_key() -> None:
    """Get returns the latest entry of its key only, and None after clear."""
    cache, first, second, other = MemoryCache(), entry(), entry(), entry()
    assert cache.get("a") is None
    cache.put("a", first)
    cache.put("b", other)
    assert (cache.get("a"), cache.get("b")) == (first, other)
    cache.put("a", second)
    assert cache.get("a") is second
    cache.clear()
    assert (cache.get("a"), cache.get("b")) == (None, None)
    cache.put("a", first)
    assert cache.get("a") is first


@pytest.mark.case("P81")
def test_recipes_that_share_a_cache_share_the_call() -> None:
    """Two recipes with one cache call their sources once in total."""
    cache, clock = MemoryCache(), ManualClock(START)
    source = ScriptedSource(keys := credentials(clock, hours=1))
    for asked in (source, ScriptedSource(Down())):
        assert Cached(asked, cache, RefreshPolicy(jitter=0), "key", clock).fetch() is keys
    assert source.calls == 1


@pytest.mark.case("P81")
@pytest.mark.parametrize("looked_at", ["get", "put"])
def test_the_least_recently_used_entry_is_removed_first(looked_at: str) -> None:
    """The entry that was not used for the longest time is removed first. A read is a use."""
    cache, one = MemoryCache(3), entry()
    for key in "abc":
        cache.put(key, one)
    if looked_at == "get":
        cache.get("a")
    else:
        cache.put("a", one)
    cache.put("d", one)
    cache.put("e", one)
    assert {key for key in "abcde" if cache.get(key)} == {"a", "d", "e"}


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), KEYS), max_size=40))
def test_the_cache_behaves_like_an_ordered_list(room: int, steps: list[tuple[bool, str]]) -> None:
    """The cache behaves like a list of limited length in order of use."""
    cache, expected = MemoryCache(room), dict[str, CacheEntry]()
    for number, (is_put, key) in enumerate(steps):
        if is_put:
            value = CacheEntry(Credentials(f"AKIA{number}", "secret"), START)
            cache.put(key, value)
        else:
            found = cache.get(key)
            assert found is expected.get(key)
            if found is None:
                continue
            value = found
        expected.pop(key, None)
        expected[key] = value
        if len(expected) > room:
            del expected[next(iter(expected))]
    left = {key: cache.get(key) for key in "abcdef"}
    assert {key: found for key, found in left.items() if found} == expected


@pytest.mark.parametrize("room", [0, -1])
def test_a_maximum_of_zero_entries_is_an_error(room: int) -> None:
    """A maximum of 0 entries is an error when the cache is created."""
    with pytest.raises(ValueError, match=f"max_entries is {room}, but it must be at least 1"):
        MemoryCache(room)


def test_a_cache_of_one_entry_keeps_the_latest() -> None:
    """A cache with one entry keeps the latest entry."""
    cache, last = MemoryCache(1), entry()
    cache.put("a", entry())
    cache.put("b", last)
    assert (cache.get("a"), cache.get("b")) == (None, last)


@pytest.mark.case("C19")
def test_memory_is_bounded_for_ten_thousand_keys() -> None:
    """Ten thousand keys need no more memory than the maximum of entries, and less than 5 MiB."""
    cache = MemoryCache(1000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(10_000):
            keys = Credentials(f"AKIA{number:016}", f"{number:040}", f"{number:0400}", START + timedelta(hours=1))
            with cache.exclusive(key := f"{number:064}", wait=True):
                cache.put(key, CacheEntry(keys, START))
        after, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < most - before < 5 * 2**20
    assert sum(cache.get(f"{number:064}") is not None for number in range(10_000)) == 1000
    found = cache.get(f"{9_999:064}")
    assert found is not None
    assert len(found.credentials.session_token or "") == 400


# Turns -------------------------------------------------------------------------------------------------------------


def test_lock_without_wait_yields_false_if_the_key_is_busy() -> None:
    """Without wait, the block yields False if another thread is in it, and True for another key."""
    cache = MemoryCache()
    with held_elsewhere(enter(cache, "a")):
        for _ in range(3):
            with cache.exclusive("a", wait=False) as alone, cache.exclusive("b", wait=False) as other:
                assert (alone, other) == (False, True)
    with cache.exclusive("a", wait=False) as alone:
        assert alone


def test_lock_with_wait_enters_when_the_key_is_free() -> None:
    """With wait, a thread enters when the block is free, and finds the new entry."""
    cache, one, order = MemoryCache(), entry(), list[str]()
    started = threading.Event()

    def wait() -> tuple[bool, CacheEntry | None]:
        started.set()
        with cache.exclusive("a", wait=True) as alone:
            order.append("in")
            return alone, cache.get("a")

    with ThreadPoolExecutor(1) as pool:
        with cache.exclusive("a", wait=True):
            waiter = pool.submit(wait)
            assert started.wait(SECONDS)
            cache.put("a", one)
            order.append("out")
        assert waiter.result(SECONDS) == (True, one)
    assert order == ["out", "in"]


def test_one_thread_at_a_time_is_in_the_block_of_a_key() -> None:
    """One thread is in the block of a key at a time, and no lock remains."""
    cache, threads = MemoryCache(), 8
    start = threading.Barrier(threads)
    inside: dict[str, list[int]] = {"a": [], "b": []}

    def work(number: int) -> int:
        start.wait(SECONDS)
        crowd = 0
        for turn in range(200):
            key = "ab"[(number + turn) % 2]
            with cache.exclusive(key, wait=turn % 3 > 0) as alone:
                if alone:
                    inside[key].append(number)
                    crowd = max(crowd, len(inside[key]))
                    inside[key].remove(number)
                else:
                    assert turn % 3 == 0
        return crowd

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(work, range(threads))) == [1] * threads


@pytest.mark.parametrize("problem", [OSError("broken"), Down(), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("first", [True, False], ids=["alone", "not alone"])
def test_an_exception_in_the_block_releases_the_lock(problem: BaseException, first: bool) -> None:
    """An exception in the block reaches the caller, and releases the lock."""
    cache = MemoryCache()

    def fail() -> None:
        with pytest.raises(type(problem)) as caught, cache.exclusive("a", wait=False) as alone:
            assert alone is first
            raise problem
        assert caught.value is problem

    if first:
        fail()
    else:
        with held_elsewhere(enter(cache, "a")):
            fail()
            with cache.exclusive("a", wait=False) as alone:
                assert not alone
    with cache.exclusive("a", wait=False) as alone:
        assert alone


def test_a_memory_cache_is_not_persistent() -> None:
    """A memory cache is not persistent, so a source needs no identity."""
    assert MemoryCache.persistent is False


# Elsewhere ---------------------------------------------------------------------------------------------------------


class SlowKey(str):
    """A key whose hash waits for an event."""

    def __new__(cls, text: str, inside: threading.Event, leave: threading.Event) -> Self:
        made = super().__new__(cls, text)
        made.inside, made.leave = inside, leave
        return made

    inside: threading.Event
    leave: threading.Event

    def __hash__(self) -> int:
        self.inside.set()
        assert self.leave.wait(SECONDS)
        return super().__hash__()


def look(cache: MemoryCache) -> Callable[[threading.Event, threading.Event], None]:
    """Read the cache in another thread, and stop while its lock is held."""

    def hold(inside: threading.Event, leave: threading.Event) -> None:
        cache.get(SlowKey("none", inside, leave))

    return hold


def use(cache: MemoryCache) -> str:
    """Use each method of the cache."""
    found = cache.get("a")
    with cache.exclusive("a", wait=True) as alone:
        cache.put("b", entry())
    known = cache.get("b") is not None
    cache.clear()
    return f"{found and found.credentials.access_key_id} {alone} {known} {cache.get('a')}"


@pytest.mark.case("C18")
@pytest.mark.parametrize("where", [look, lambda cache: enter(cache, "a")], ids=["in a look", "in a turn"])
@needs_fork
@fork_with_threads
def test_a_forked_child_has_a_separate_copy(
    where: Callable[[MemoryCache], Callable[[threading.Event, threading.Event], None]],
) -> None:
    """After a fork, the child has the entries of the parent, and later changes are separate."""
    cache, one = MemoryCache(), entry()
    cache.put("a", one)
    with held_elsewhere(where(cache)) as holder:
        assert in_child(lambda: use(cache)) == f"{one.credentials.access_key_id} True True None"
        assert not holder.done()
    assert cache.get("a") is one
    assert cache.get("b") is None


@pytest.mark.case("C18")
@needs_fork
@fork_with_threads
def test_a_child_that_was_forked_inside_a_block_can_leave_it() -> None:
    """A child that was forked inside a block can leave it, while its parent stays inside."""
    cache = MemoryCache()

    def leave() -> str:
        turn.__exit__(None, None, None)
        return use(cache)

    turn = cache.exclusive("a", wait=True)
    assert turn.__enter__()
    assert in_child(leave) == "None True True None"
    with cache.exclusive("a", wait=False) as alone:
        assert not alone
    turn.__exit__(None, None, None)


@pytest.mark.case("C18")
def test_an_old_block_of_a_child_does_not_release_a_new_one() -> None:
    """After a fork, leaving an old block in the child does not release a new one."""
    cache = MemoryCache()
    old = cache.exclusive("a", wait=True)
    old.__enter__()
    cache.reset_after_fork()
    with cache.exclusive("a", wait=True):
        old.__exit__(None, None, None)
        with cache.exclusive("a", wait=False) as alone:
            assert not alone


@pytest.mark.parametrize("again", [lambda cache: pickle.loads(pickle.dumps(cache)), copy.copy, copy.deepcopy])
def test_a_pickled_cache_is_empty_and_keeps_its_size(again: Callable[[MemoryCache], MemoryCache]) -> None:
    """A pickled cache is empty and keeps its size, also while a thread is in its block."""
    cache = MemoryCache(7)
    cache.put("a", entry())
    with cache.exclusive("a", wait=True):
        assert b"AKIA" not in pickle.dumps(cache)
        other = again(cache)
        with other.exclusive("a", wait=False) as alone:
            assert alone
    assert (other.max_entries, other.get("a")) == (7, None)
    other.clear()
    assert cache.get("a")


def test_the_repr_shows_only_the_size() -> None:
    """The repr has the maximum size, and no key and no secret."""
    cache = MemoryCache(7)
    cache.put("a", entry())
    assert repr(cache) == "MemoryCache(max_entries=7)"
    assert MemoryCache().max_entries == 1000
