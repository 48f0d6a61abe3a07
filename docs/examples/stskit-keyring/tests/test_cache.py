"""Whether `KeyringCache` is a cache as stskit wants one."""

from __future__ import annotations

from pathlib import Path

import pytest
from file_keyring import FailingKeyring, use
from stskit import AssumedRole, Cached
from stskit.errors import CacheWarning
from stskit.protocols import CacheEntry
from stskit.testing import FakeSTS, ManualClock, check_cache

from stskit_keyring import KeyringCache, KeyringSink

ROLE = "arn:aws:iam::123456789012:role/Hub"


def spoil(folder: Path, text: str) -> None:
    """Have *text* in every item."""
    for path in folder.iterdir():
        path.write_text(text)


def test_it_conforms() -> None:
    """By stskit's own check, with other processes; and who shall not wait is not kept for an hour."""
    check_cache(lambda: KeyringCache(lock_timeout=3600), processes=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"credentials": {}}', '{"credentials": {"expiration": 1}}'])
def test_an_item_that_somebody_has_spoilt_is_no_entry(items: Path, text: str) -> None:
    """By the same check: it finds nothing, and takes the next entry."""
    check_cache(KeyringCache, spoil=lambda: spoil(items, text))


def test_equal_recipes_share_one_call(stskit_sts: FakeSTS, stskit_clock: ManualClock) -> None:
    """Source, sink and cache together; the second finds all that STS has said."""
    source = stskit_sts.user().to(KeyringSink("base"))
    recipe = AssumedRole(ROLE, source=source, sts=stskit_sts)
    first, second = (Cached(recipe, KeyringCache(), clock=stskit_clock).fetch() for _ in range(2))
    assert first == second
    assert stskit_sts.count("AssumeRole") == 1


def test_nobody_goes_without_credentials_for_a_keyring(stskit_sts: FakeSTS, stskit_clock: ManualClock) -> None:
    """One that fails is told of once for reading and once for writing, however often it is used."""
    cache, entry = KeyringCache(), CacheEntry(stskit_sts.user(), stskit_clock.now())
    use(FailingKeyring)
    with pytest.warns(CacheWarning, match="take"):
        cache.put("hub", entry)
    with pytest.warns(CacheWarning, match="read"):
        assert cache.get("hub") is None
    cache.put("hub", entry)
    assert cache.get("hub") is None


def test_where_nothing_can_be_locked_all_go_on(tmp_path: Path) -> None:
    """And that is told once."""
    (tmp_path / "file").touch()
    cache = KeyringCache(tmp_path / "file")
    with pytest.warns(CacheWarning, match="file"), cache.exclusive("a", wait=True) as alone:
        assert alone
    with cache.exclusive("a", wait=True) as alone:
        assert alone


def test_the_folder_of_locks_lets_nobody_else_in(tmp_path: Path) -> None:
    """Who could hold a lock could hold up its owner."""
    with KeyringCache(tmp_path / "locks").exclusive("a", wait=False):
        assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700
