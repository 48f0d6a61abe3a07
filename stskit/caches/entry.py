"""Convert entries of a cache to bytes and back. Bytes that cannot be read count as no entry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, timedelta
from typing import Any, Final, NoReturn

import attrs

from stskit._time import instant
from stskit.credentials import Credentials
from stskit.errors import StskitError
from stskit.protocols import CacheEntry

__all__ = ["entry_from_bytes", "entry_to_bytes", "is_newer"]

VERSION: Final = 1
# The longest session of STS (GetSessionToken), and an hour for clocks. An entry that expires later is not valid.
# https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
_LONGEST: Final = timedelta(hours=37)


def entry_to_bytes(key: str, entry: CacheEntry) -> bytes:
    """Convert an entry to bytes, for a cache that stores entries outside the process.

    The bytes contain the credentials in plain text.

    Args:
        key: The cache key, which is part of the bytes.
        entry: The entry.

    Returns:
        JSON in UTF-8. Raises nothing.

    Example:
        >>> from datetime import UTC, datetime
        >>> from stskit import assume
        >>> from stskit.caches import entry_from_bytes, entry_to_bytes
        >>> from stskit.protocols import CacheEntry
        >>> entry = CacheEntry(assume("arn:aws:iam::123456789012:role/Deploy"), datetime.now(UTC))
        >>> entry_from_bytes("key", entry_to_bytes("key", entry)) == entry
        True
    """
    document = {
        "version": VERSION,
        "key": key,
        "since": entry.since,
        "credentials": attrs.asdict(entry.credentials),
    }
    return json.dumps(document, default=lambda moment: moment.astimezone(UTC).isoformat()).encode()


def entry_from_bytes(key: str, data: bytes) -> CacheEntry | None:
    """Convert bytes of `entry_to_bytes` to an entry.

    Args:
        key: The cache key.
        data: The bytes.

    Returns:
        The entry. None if the bytes are broken, have another key, have no expiration or one that is more than 37 hours
        later (which no session of STS has), or come from a newer version of stskit. Raises nothing.

    Example:
        >>> from stskit.caches import entry_from_bytes
        >>> entry_from_bytes("key", b"not an entry") is None
        True
    """
    with suppress(ValueError, TypeError, KeyError, RecursionError, StskitError):
        document = _document(data)
        credentials = _credentials(document["credentials"])
        entry = CacheEntry(credentials, instant(document["since"]))
        end = credentials.expiration
        if (document["version"], document["key"]) == (VERSION, key) and end and end - entry.since <= _LONGEST:
            return entry
    return None


def is_newer(data: bytes) -> bool:
    """Return whether the bytes are an entry of a newer version of stskit."""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        return bool(_document(data)["version"] > VERSION)
    return False


def _document(data: bytes) -> dict[str, Any]:
    document = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse)
    if not isinstance(document, dict) or type(document["version"]) is not int:
        raise TypeError
    return document


def _credentials(fields: Mapping[str, Any]) -> Credentials:
    for attribute in attrs.fields(Credentials):
        value = fields[attribute.name]
        wanted = int if attribute.name == "packed_policy_size" else str
        if value is not None and type(value) is not wanted:
            raise TypeError
    return Credentials(**{**fields, "expiration": instant(fields["expiration"])})


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _refuse(_constant: str) -> NoReturn:
    raise ValueError
