"""A cache entry as bytes: a written entry is read back, and bytes that are not an exact valid entry are ignored."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from dateutil.parser import isoparse
from hypothesis import example, given
from hypothesis import strategies as st

from stskit._arguments import secret_kind
from stskit.caches.entry import entry_from_bytes, entry_to_bytes, is_newer
from stskit.credentials import Credentials, Secret
from stskit.protocols import CacheEntry

KEY = "arn:aws:iam::123456789012:role/dev"
LONGEST = timedelta(hours=37)
SINCE = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ENTRY = CacheEntry(
    Credentials(
        "AKIAEXAMPLE",
        "secret",
        "token",
        SINCE + timedelta(hours=1, microseconds=1),
        account_id="123456789012",
        assumed_role_arn="arn:aws:sts::123456789012:assumed-role/dev/me",
        packed_policy_size=6,
    ),
    SINCE,
)
DATA = entry_to_bytes(KEY, ENTRY)

MOMENTS = st.datetimes(max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
VISIBLE = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1)
OPTIONAL: dict[str, Any] = {
    attribute.name: st.none() | (st.integers() if attribute.name == "packed_policy_size" else st.text())
    for attribute in attrs.fields(Credentials)
    if attribute.kw_only
}


@st.composite
def entries(draw: st.DrawFn) -> CacheEntry:
    """Draw any entry that a cache can store, including expired entries."""
    since = draw(MOMENTS)
    life = draw(st.timedeltas(max(-LONGEST, datetime.min.replace(tzinfo=UTC) - since), LONGEST))
    key_id = draw(VISIBLE.filter(lambda text: not secret_kind(text)))  # other texts are not valid key IDs
    secret = draw(VISIBLE)
    token = draw(st.none() | VISIBLE)
    facts = draw(st.fixed_dictionaries(OPTIONAL))
    return CacheEntry(Credentials(key_id, secret, token, since + life, **facts), since)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(SCALARS, lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=10)
FIELDS = st.sampled_from([attribute.name for attribute in attrs.fields(Credentials)])


def as_it_stands(data: bytes) -> CacheEntry:
    """Return the entry in *data* without any checks."""
    document = json.loads(data)
    end, since = isoparse(document["credentials"]["expiration"]), isoparse(document["since"])
    return CacheEntry(Credentials(**{**document["credentials"], "expiration": end}), since)


def believed(data: bytes) -> CacheEntry | None:
    """Return the entry that is read from *data*, or None. Checks its key, its content and its lifetime."""
    assert is_newer(data) in (True, False)
    entry = entry_from_bytes(KEY, data)
    if entry is not None:
        document = json.loads(data)
        assert (document["version"], document["key"]) == (1, KEY)
        assert entry == as_it_stands(data)
        assert entry.credentials.expiration is not None
        assert entry.credentials.expiration - entry.since <= LONGEST
    return entry


@given(st.text() | st.just("\udcff"), entries())
def test_a_written_entry_is_read_back(key: str, entry: CacheEntry) -> None:
    """An entry is read back under its key with each field and each microsecond, and its secrets are still masked."""
    read = entry_from_bytes(key, data := entry_to_bytes(key, entry))
    assert read == entry
    assert type(read.credentials.secret_access_key) is Secret
    assert type(read.credentials.session_token) in (Secret, type(None))
    assert entry_to_bytes(key, read) == data


@given(st.text(), st.text(), entries())
def test_an_entry_is_read_only_with_its_own_key(key: str, other: str, entry: CacheEntry) -> None:
    """An entry is read only for the key with which it was written."""
    assert (entry_from_bytes(other, entry_to_bytes(key, entry)) is None) == (key != other)


@pytest.mark.case("P110")
@given(entries(), st.timedeltas(timedelta(microseconds=1), timedelta(days=10_000)))
def test_an_entry_with_too_long_a_lifetime_is_not_read(entry: CacheEntry, more: timedelta) -> None:
    """An entry is not read if its lifetime exceeds 37 hours, even by one microsecond."""
    since = min(entry.since, datetime(9000, 1, 1, tzinfo=UTC))
    longest = CacheEntry(attrs.evolve(entry.credentials, expiration=since + LONGEST), since)
    too_long = CacheEntry(attrs.evolve(entry.credentials, expiration=since + LONGEST + more), since)
    assert entry_from_bytes(KEY, entry_to_bytes(KEY, longest)) == longest
    assert entry_from_bytes(KEY, entry_to_bytes(KEY, too_long)) is None


def test_long_term_keys_are_not_read() -> None:
    """Credentials without an expiration are not read, because a cache must not store long-term keys."""
    entry = CacheEntry(attrs.evolve(ENTRY.credentials, expiration=None), SINCE)
    assert entry_from_bytes(KEY, entry_to_bytes(KEY, entry)) is None


@pytest.mark.parametrize("hours", [-12, 5.5, 14])
def test_the_zone_of_a_clock_does_not_matter(hours: float) -> None:
    """The time zone of a timestamp makes no difference, because it is the same moment."""
    local = CacheEntry(ENTRY.credentials, SINCE.astimezone(timezone(timedelta(hours=hours))))
    assert entry_from_bytes(KEY, entry_to_bytes(KEY, local)) == ENTRY


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
@example(b"")
@example(b"\xef\xbb\xbf{}")
@example(b'{"version": 1}')
@example(b'{"version": 1e999}')
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"version": ' + b"9" * 10_000 + b"}")
def test_other_bytes_and_json_are_read_as_none(data: bytes) -> None:
    """Any bytes or JSON that are not an entry are read as None, without an exception."""
    assert believed(data) is None


@given(JSON, st.sampled_from(["version", "key", "since", "credentials"]))
def test_a_part_of_a_wrong_type_is_not_read(value: Any, name: str) -> None:
    """An entry with a part that does not fit is not read."""
    believed(json.dumps({**json.loads(DATA), name: value}).encode())


@given(JSON, FIELDS)
@example(True, "packed_policy_size")
@example("", "access_key_id")
@example("9999-12-31T24:00:00Z", "expiration")
@example("0001-01-01T00:00:00+23:59", "expiration")
@example("2026-11-25T12:00:60Z", "expiration")
def test_a_field_of_a_wrong_type_is_not_read(value: Any, name: str) -> None:
    """An entry is read only if its fields have the right types: text, an integer for the policy size, a moment for the
    end.
    """
    document = json.loads(DATA)
    document["credentials"][name] = value
    if name == "packed_policy_size":
        fits = value is None or type(value) is int
    else:
        fits = value is None or isinstance(value, str)
    entry = believed(json.dumps(document).encode())
    assert entry is None or fits


@pytest.mark.parametrize("part", [(), ("credentials",)], ids=["outside", "inside"])
def test_an_entry_with_a_missing_part_is_not_read(part: tuple[str, ...]) -> None:
    """An entry with a missing part, or with an additional field in its credentials, is not read."""
    names = json.loads(DATA)["credentials"] if part else json.loads(DATA)
    for name in names:
        document = json.loads(DATA)
        (document["credentials"] if part else document).pop(name)
        assert believed(json.dumps(document).encode()) is None
        document = json.loads(DATA)
        document["credentials"]["more"] = None
        assert believed(json.dumps(document).encode()) is None


@pytest.mark.parametrize("name", ["version", "key", "credentials", "access_key_id", "expiration"])
def test_an_entry_with_a_repeated_field_is_not_read(name: str) -> None:
    """An entry with a repeated field is not read, because JSON readers differ in which value they use."""
    document = json.loads(DATA)
    value = json.dumps(document.get(name) or document["credentials"].get(name)).encode()
    doubled = DATA.replace(f'"{name}": '.encode(), f'"{name}": '.encode() + value + f', "{name}": '.encode(), 1)
    assert doubled != DATA
    assert json.loads(doubled) == document
    assert believed(doubled) is None


@pytest.mark.case("C3")
def test_a_cut_entry_is_not_read() -> None:
    """An entry that is cut at the start or at the end, by any number of bytes, is not read."""
    assert believed(DATA) == ENTRY
    for length in range(len(DATA)):
        assert believed(DATA[:length]) is None
        assert believed(DATA[length + 1 :]) is None


@given(entries(), st.data())
def test_any_cut_entry_is_not_read(entry: CacheEntry, draw: st.DataObject) -> None:
    """Any entry that is cut at its end is not read."""
    data = entry_to_bytes(KEY, entry)
    assert believed(data[: draw.draw(st.integers(0, len(data) - 1))]) is None


@given(st.binary(min_size=1))
def test_an_entry_with_trailing_bytes_is_not_read(more: bytes) -> None:
    """An entry with more bytes after it is not read, unless they are only blanks and line ends."""
    assert believed(DATA + more) == (None if more.strip(b" \t\r\n") else ENTRY)


def test_a_changed_bit_is_never_read_as_another_entry() -> None:
    """If one bit of an entry changes, either it is not read, or the result equals its content for the same key."""
    for position in range(len(DATA)):
        for bit in range(8):
            data = bytearray(DATA)
            data[position] ^= 1 << bit
            believed(bytes(data))


@given(st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.binary(max_size=3)), min_size=1, max_size=5))
def test_changed_bytes_are_never_read_as_another_entry(changes: list[tuple[int, bytes]]) -> None:
    """If several bytes of an entry change, either it is not read, or the result equals its content for the same key."""
    data = DATA
    for position, instead in changes:
        data = data[:position] + instead + data[position + 1 :]
    believed(data)


@pytest.mark.case("C5")
@pytest.mark.parametrize(
    ("data", "newer"),
    [
        (DATA, False),
        (DATA.replace(b'"version": 1', b'"version": 0'), False),
        (DATA.replace(b'"version": 1', b'"version": -2'), False),
        (DATA.replace(b'"version": 1', b'"version": 2'), True),
        (b'{"version": 2}', True),
        (b'{"version": 2, "sealed": [1, {"a": null}]}', True),
        (b'{"version": 2.0}', False),
        (b'{"version": "2"}', False),
        (b'{"version": true}', False),
        (b'{"version": null}', False),
        (b'{"version": 2, "version": 2}', False),
        (b'{"version": 2', False),
        (b'[{"version": 2}]', False),
        (b"", False),
    ],
)
def test_a_newer_entry_is_recognized_by_its_version(data: bytes, newer: bool) -> None:
    """An entry with a higher version is newer, and is not read. Bytes that are not a document are not newer."""
    assert is_newer(data) is newer
    assert entry_from_bytes(KEY, data) == (ENTRY if data is DATA else None)


@pytest.mark.case("P71")
def test_an_entry_is_a_json_document() -> None:
    """An entry is one JSON object with version, key, since, and the credentials by the names of their attributes."""
    document = json.loads(DATA)
    assert (document["version"], document["key"], document["since"]) == (1, KEY, "2026-11-25T12:00:00+00:00")
    assert list(document["credentials"]) == [attribute.name for attribute in attrs.fields(Credentials)]
    assert document["credentials"]["expiration"] == "2026-11-25T13:00:00.000001+00:00"
    assert DATA.isascii()
