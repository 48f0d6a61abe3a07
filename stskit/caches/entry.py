"""An entry of a cache as bytes. What cannot be read, for whatever reason, is not there."""

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
# The longest session that STS gives, by GetSessionToken, and an hour for clocks: what ends later is no entry of ours.
# https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
_LONGEST: Final = timedelta(hours=37)


def entry_to_bytes(key: str, entry: CacheEntry) -> bytes:
    """*entry* with the *key* that it is for, as JSON in UTF-8, for a cache that keeps it outside of the process.

    It holds the credentials in clear. Raises nothing.
    """
    document = {
        "version": VERSION,
        "key": key,
        "since": entry.since,
        "credentials": attrs.asdict(entry.credentials),
    }
    return json.dumps(document, default=lambda moment: moment.astimezone(UTC).isoformat()).encode()


def entry_from_bytes(key: str, data: bytes) -> CacheEntry | None:
    """The entry for *key* in *data*, which `entry_to_bytes` gave: every field, and times as exact as they were.

    None where it is anything else: broken, of another key, without an end or with one more than 37 hours after it was
    put there, which no session of STS has, or of a version of stskit that is newer than this. Raises nothing.
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
    """Whether *data* is an entry of a version that is newer than this one, which is none of our business."""
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
