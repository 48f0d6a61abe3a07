"""Test `KeyringCache`."""

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
    """Replace the content of every item."""
    for path in folder.iterdir():
        path.write_text(text)


def test_it_passes_the_checks_of_stskit() -> None:
    """KeyringCache passes check_cache with several processes, and does not wait if it must not."""
    check_cache(lambda: KeyringCache(lock_timeout=3600), processes=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"credentials": {}}', '{"credentials": {"expiration": 1}}'])
def test_a_damaged_item_is_not_returned(items: Path, text: str) -> None:
    """Get returns None for a damaged item, and put replaces it."""
    check_cache(KeyringCache, spoil=lambda: spoil(items, text))


def test_equal_recipes_share_one_call(stskit_sts: FakeSTS, stskit_clock: ManualClock) -> None:
    """Two equal recipes with a KeyringCache call STS once."""
    source = stskit_sts.user().to(KeyringSink("base"))
    recipe = AssumedRole(ROLE, source=source, sts=stskit_sts)
    first, second = (Cached(recipe, KeyringCache(), clock=stskit_clock).fetch() for _ in range(2))
    assert first == second
    assert stskit_sts.count("AssumeRole") == 1


def test_a_failing_keyring_warns_once(stskit_sts: FakeSTS, stskit_clock: ManualClock) -> None:
    """A keyring that fails causes one warning for reads and one for writes, and no error."""
    cache, entry = KeyringCache(), CacheEntry(stskit_sts.user(), stskit_clock.now())
    use(FailingKeyring)
    with pytest.warns(CacheWarning, match="store"):
        cache.put("hub", entry)
    with pytest.warns(CacheWarning, match="read"):
        assert cache.get("hub") is None
    cache.put("hub", entry)
    assert cache.get("hub") is None


def test_a_caller_continues_if_no_file_can_be_locked(tmp_path: Path) -> None:
    """If no file can be locked, the caller continues, with one warning."""
    (tmp_path / "file").touch()
    cache = KeyringCache(tmp_path / "file")
    with pytest.warns(CacheWarning, match="file"), cache.exclusive("a", wait=True) as alone:
        assert alone
    with cache.exclusive("a", wait=True) as alone:
        assert alone


def test_the_folder_of_locks_is_private(tmp_path: Path) -> None:
    """Other users cannot open the folder of the lock files, so they cannot block its owner."""
    with KeyringCache(tmp_path / "locks").exclusive("a", wait=False):
        assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700
