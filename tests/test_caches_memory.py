"""The cache in memory: bounded, for one caller at a time, and empty elsewhere. And entries as bytes, of any kind."""

from __future__ import annotations

import json
import pickle
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from helpers import CountedLock, ManualClock, credentials
from hypothesis import given
from hypothesis import strategies as st

from stskit import _cache_entry
from stskit.caches import MemoryCache
from stskit.identity import Credentials
from stskit.protocols import CacheEntry


def entry() -> CacheEntry:
    clock = ManualClock()
    return CacheEntry(credentials(clock, hours=1), clock.now())


def test_what_was_put_is_there_until_it_is_forgotten() -> None:
    """The very object, under its key alone; what is put later takes its place."""
    cache, first, second = MemoryCache(), entry(), entry()
    assert cache.get("a") is None
    cache.put("a", first)
    assert cache.get("a") is first
    assert cache.get("b") is None
    cache.put("a", second)
    assert cache.get("a") is second
    cache.clear()
    assert cache.get("a") is None


def test_those_that_nobody_has_looked_for_make_room() -> None:
    """A look and a new value count alike."""
    cache, one = MemoryCache(3), entry()
    for key in "abc":
        cache.put(key, one)
    cache.get("a")
    cache.put("b", one)
    cache.put("d", one)
    assert [key for key in "abcd" if cache.get(key)] == ["a", "b", "d"]


@pytest.mark.parametrize("number", [0, -1])
def test_there_must_be_room_for_one(number: int) -> None:
    """Else it would be no cache."""
    with pytest.raises(ValueError, match="room for one"):
        MemoryCache(number)
    assert repr(MemoryCache(1)) == "MemoryCache(max_entries=1)"
    assert MemoryCache().max_entries == 1000


@pytest.mark.case("C19")
def test_ten_thousand_keys_stay_in_their_bounds() -> None:
    """With tokens of 400 characters, a thousand entries take less than 3 MiB, whatever was put before them."""
    cache, now = MemoryCache(1000), datetime.now(UTC)
    tracemalloc.start()
    try:
        for number in range(10_000):
            keys = Credentials(f"AKIA{number}", f"{number:040}", f"{number:0400}", now + timedelta(hours=1))
            cache.put(f"{number:064}", CacheEntry(keys, now))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 3 * 2**20
    assert len(cache._entries) == 1000


def test_one_thread_is_inside_at_a_time() -> None:
    """For each key; who shall not wait is told at once, and who waits comes in when it is free."""
    cache, inside = MemoryCache(), threading.Event()
    with ThreadPoolExecutor(1) as pool:

        def wait() -> bool:
            inside.set()
            with cache.exclusive("k", wait=True) as alone:
                return alone

        with cache.exclusive("k", wait=True) as alone:
            assert alone
            with cache.exclusive("k", wait=False) as second, cache.exclusive("other", wait=False) as other:
                assert (second, other) == (False, True)
            waiting = pool.submit(wait)
            assert inside.wait(10)
            assert not waiting.done()
        assert waiting.result(10)
    assert not cache._turns


def test_a_crowd_goes_in_one_by_one() -> None:
    """Thirty-two threads that want in together are never two at a time, and leave nothing behind."""
    cache, here, most = MemoryCache(), 0, 0
    lock: Any = CountedLock(32)
    cache._turns["k"] = lock, 1

    def enter(_: int) -> None:
        nonlocal here, most
        with cache.exclusive("k", wait=True):
            assert lock.crowded.wait(10)
            here += 1
            most = max(most, here)
            here -= 1

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(enter, range(32)))
    assert most == 1
    assert cache._turns["k"] == (lock, 1)


def test_what_fails_inside_leaves_it_free() -> None:
    """And nothing is kept for a key that nobody is at."""
    cache = MemoryCache()
    with pytest.raises(OSError, match="broken"), cache.exclusive("k", wait=True):
        raise OSError("broken")
    assert not cache._turns
    with cache.exclusive("k", wait=False) as alone:
        assert alone


@pytest.mark.case("C18")
def test_after_a_fork_nobody_is_inside() -> None:
    """What was put stays; and a block that was entered before can be left."""
    cache, one = MemoryCache(), entry()
    cache.put("k", one)
    with cache.exclusive("k", wait=True):
        cache.rearm()
        with cache.exclusive("k", wait=False) as alone:
            assert alone
    assert cache.get("k") is one
    assert not cache._turns


def test_it_pickles_as_an_empty_one() -> None:
    """Credentials go nowhere by it."""
    cache = MemoryCache(7)
    cache.put("k", entry())
    data = pickle.dumps(cache)
    assert b"AKIA" not in data
    there = pickle.loads(data)
    assert (there.max_entries, there.get("k")) == (7, None)


# Entries as bytes --------------------------------------------------------------------------------------------------

FACTS = ("account_id", "assumed_role_arn", "assumed_role_id", "source_identity", "subject", "issuer", "audience")
TEXTS = st.none() | st.text()
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
ENTRIES = st.builds(
    lambda since, life, key_id, secret, token, size, texts: CacheEntry(
        Credentials(key_id, secret, token, since + life, packed_policy_size=size, **texts), since
    ),
    MOMENTS,
    st.timedeltas(timedelta(hours=-1), timedelta(hours=37)),
    st.text(min_size=1),
    st.text(min_size=1),
    st.none() | st.text(min_size=1),
    st.none() | st.integers(0, 100),
    st.fixed_dictionaries(dict.fromkeys(FACTS, TEXTS)),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
)


@given(st.text(), ENTRIES)
def test_what_is_written_is_read(key: str, written: CacheEntry) -> None:
    """Whatever is in it, to the microsecond."""
    assert _cache_entry.from_bytes(key, _cache_entry.to_bytes(key, written)) == written


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_was_not_written_is_not_there(data: bytes) -> None:
    """Bytes or JSON of any kind: never an exception."""
    assert _cache_entry.from_bytes("key", data) is None
    assert _cache_entry.is_newer(data) in (False, True)


@given(ENTRIES, st.integers(0, 5000), st.integers(0, 255))
def test_a_byte_that_has_changed_gives_no_other_key(written: CacheEntry, at: int, byte: int) -> None:
    """It is an entry for the same key, or none."""
    data = bytearray(_cache_entry.to_bytes("key", written))
    data[at % len(data)] = byte
    read = _cache_entry.from_bytes("key", bytes(data))
    assert read is None or isinstance(read.credentials, Credentials)
    assert _cache_entry.from_bytes("other", bytes(data)) is None
