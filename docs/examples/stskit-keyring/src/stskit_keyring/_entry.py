"""An entry of a cache as text. What cannot be read, for whatever reason, is not there."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import attrs
from stskit import Credentials
from stskit.errors import StskitError
from stskit.protocols import CacheEntry

__all__ = ["from_text", "to_text"]


def to_text(entry: CacheEntry) -> str:
    """*entry* with every field of its credentials: `Credentials.as_dict` has those alone that tools read."""
    return json.dumps(attrs.asdict(entry), default=datetime.isoformat)


def from_text(text: str) -> CacheEntry | None:
    """What `to_text` made *text* of; None where it is anything else."""
    with suppress(ValueError, TypeError, KeyError, RecursionError, StskitError):
        document = json.loads(text)
        fields = document["credentials"]
        fields["expiration"] = _moment(fields["expiration"])
        return CacheEntry(Credentials(**fields), _moment(document["since"]))
    return None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
