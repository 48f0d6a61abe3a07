"""When credentials are fetched again: functions of the time alone, without a clock, a lock or a random number.

The windows and the pauses follow the credential refresh that the AWS SDKs are moving to in 2026, so that stskit,
botocore and the others put the same load on STS.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from math import inf
from typing import Final, Literal, TypeAlias

import attrs
from attrs import define, field, frozen
from attrs.validators import optional

from stskit._arguments import check_number, check_timespan, quoted
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SignInRequired, StskitError, init_without_frames
from stskit.protocols import CacheEntry

__all__ = [
    "Action",
    "CachedCredentials",
    "FileState",
    "RefreshFailure",
    "RefreshPolicy",
    "file_of",
    "file_state",
    "is_usable",
]

Action: TypeAlias = Literal["use", "refresh", "wait", "raise", "serve"]
"""What to do when credentials are read: use those in hand; one caller refreshes and the others use those in hand; one
caller refreshes and the others wait; raise the last error; serve expired credentials.
"""
FileState: TypeAlias = tuple[int, int, int] | None
"""What tells a changed file: its time of modification, its size, its inode. None where there is no file."""
Pause: TypeAlias = tuple[float, float]
"""The shortest and the longest time until the next try, in seconds. The actual time is drawn between the two."""

_ZERO: Final = timedelta(0)
_CLOCK_SLACK: Final = timedelta(minutes=5)  # an entry from further in the future was written by a wrong clock
_SHORT: Final = timedelta(minutes=10)  # some servers return less than the 15 minutes of STS
_MANDATORY: Final = timedelta(minutes=1)
_ALMOST_ALL: Final = 0.9  # of a lifetime: a longer window would make each read a fetch
_WHILE_VALID: Final = 300.0, 600.0
_MAX_PAUSE: Final = 10.0  # with nothing valid in hand
_MAX_DEPTH: Final = 10  # of sources behind sources; nobody chains more roles


def _span(_policy: object, attribute: attrs.Attribute[timedelta], value: timedelta) -> None:
    check_timespan(attribute.name, value)
    if value < _ZERO:
        raise ValueError(f"{attribute.name} is {value}; it must not be negative")


def _fraction(_policy: object, attribute: attrs.Attribute[float], value: float) -> None:
    check_number(attribute.name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} is {value!r}; it must be from 0 to 1")


@init_without_frames
@frozen(kw_only=True)
class RefreshPolicy:
    """How early to refresh, and what to do when that fails.

    `advisory`: how long before expiry one caller refreshes while the others go on with the credentials in hand.
    Defaults to 5 minutes for credentials that are valid for up to 20 minutes, 15 minutes under 90, else 60. It is at
    most half of a lifetime under 10 minutes, and with its jitter at most nine tenths of any lifetime.
    `mandatory`: how long before expiry everyone waits for that refresh. Defaults to one minute; at most the advisory
    window.
    `jitter`: maximum random fraction by which the advisory window starts earlier, 0 to 1. It is drawn once for each
    set of credentials, so that a fleet started together does not refresh together.
    `on_expired`: what to do once the credentials have expired and no new ones can be fetched: ``"raise"`` the error, or
    ``"serve"`` the expired ones with a warning, as the AWS SDKs do.

    After a failure the next try comes 300 to 600 seconds later while the credentials are valid, or when they expire.
    With nothing valid in hand, the next caller tries again at once, and then the pauses are 1, 2, 4, 8 and 10 seconds.

    Raises `TypeError` for a value of the wrong type, and `ValueError` for a value out of its limits and where you pass
    an `advisory` that is shorter than the `mandatory` that you pass.
    """

    advisory: timedelta | None = field(default=None, validator=optional(_span))
    mandatory: timedelta | None = field(default=None, validator=optional(_span))
    jitter: float = field(default=0.2, validator=_fraction)
    on_expired: Literal["raise", "serve"] = "raise"

    def __attrs_post_init__(self) -> None:
        if self.on_expired not in ("raise", "serve"):
            raise ValueError(f'on_expired is {quoted(self.on_expired)}; it must be "raise" or "serve"')
        if self.advisory is not None and self.mandatory is not None and self.advisory < self.mandatory:
            raise ValueError(
                f"advisory ({self.advisory}) is shorter than mandatory ({self.mandatory}); the mandatory window must "
                "lie inside the advisory window"
            )

    def windows(self, lifetime: timedelta, jitter_fraction: float) -> tuple[timedelta, timedelta]:
        """Return how long before expiry the advisory and the mandatory window open.

        *lifetime*: from when the credentials came until they expire. *jitter_fraction*: the part of the jitter that
        applies, 0 to 1. Raises nothing.
        """
        if self.advisory is not None:
            advisory = self.advisory
        elif lifetime <= timedelta(minutes=20):
            advisory = timedelta(minutes=5)
        else:
            advisory = timedelta(minutes=15 if lifetime < timedelta(minutes=90) else 60)
        if lifetime < _SHORT:
            advisory = min(advisory, lifetime / 2)
        advisory = min(advisory * (1 + self.jitter * jitter_fraction), lifetime * _ALMOST_ALL)
        return advisory, min(_MANDATORY if self.mandatory is None else self.mandatory, advisory)

    def decide(
        self,
        lifetime: timedelta,
        left: timedelta,
        jitter_fraction: float,
        *,
        pausing: bool = False,
        rejected: bool = False,
    ) -> Action:
        """Return what to do when credentials are read, by their lifetime and how much of it is *left*.

        With nothing in hand both are zero; for credentials that never expire both are `timedelta.max`.
        *jitter_fraction*: as for `windows`. *pausing*: whether the pause after a failure lasts. *rejected*: whether a
        service has refused the credentials. Raises nothing.
        """
        if pausing:
            return self.after_failure(lifetime, left)
        advisory, mandatory = (_ZERO, _ZERO) if left == timedelta.max else self.windows(lifetime, jitter_fraction)
        if rejected or left <= mandatory:
            return "wait"
        return "refresh" if left <= advisory else "use"

    def after_failure(self, lifetime: timedelta, left: timedelta) -> Action:
        """Return what to do after a failure, until the source is asked again. Raises nothing."""
        if left > _ZERO:
            return "use"
        return "serve" if lifetime and self.on_expired == "serve" else "raise"

    def pause(self, failures: int, *, valid: bool) -> Pause:
        """Return the bounds of the pause after that many *failures* in a row.

        *valid*: whether the credentials in hand are valid. Raises nothing.
        """
        if valid:
            return _WHILE_VALID
        pause = 0.0 if failures == 1 else min(2.0 ** min(failures - 2, 10), _MAX_PAUSE)
        return pause, pause


@define(eq=False)
class CachedCredentials:
    """One set of credentials in hand. Only `fresh_until`, `fresh_until_monotonic` and `rejected` change, towards a
    refresh and never back; `origin`, with which its identity can be told later, is set once.
    """

    credentials: Credentials
    lifetime: timedelta
    jitter_fraction: float
    since: float  # monotonic seconds
    fresh_until: float  # seconds since 1970, for a quick look
    fresh_until_monotonic: float
    rejected: bool = False
    origin: object = field(default=None, repr=False)  # the source as it was when they came

    @classmethod
    def fetched(
        cls, credentials: object, now: datetime, monotonic: float, policy: RefreshPolicy, jitter_fraction: float
    ) -> CachedCredentials:
        """Return what a source returned *now*. Raises `ProofInvalid` where it cannot be used."""
        if not isinstance(credentials, Credentials):
            raise ProofInvalid(
                f"the source returned {type(credentials).__name__} instead of Credentials",
                remedy="correct the fetch() of the source",
            )
        if credentials.is_expired(now=now):
            raise ProofInvalid(
                f"the source returned credentials that expired at {credentials.expiration}, and it is {now}",
                remedy="check the clock of this machine and of the server",
            )
        return cls.of(CacheEntry(credentials, now), now, monotonic, policy, jitter_fraction)

    @classmethod
    def of(
        cls, entry: CacheEntry, now: datetime, monotonic: float, policy: RefreshPolicy, jitter_fraction: float
    ) -> CachedCredentials:
        """Return the credentials of *entry*, which came at its time `since`."""
        credentials, since = entry.credentials, monotonic - (now - entry.since).total_seconds()
        if credentials.expiration is None:
            return cls(credentials, timedelta.max, jitter_fraction, since, inf, inf)
        lifetime = credentials.expiration - entry.since
        advisory, _ = policy.windows(lifetime, jitter_fraction)
        fresh_until = (credentials.expiration - advisory).timestamp()
        return cls(
            credentials, lifetime, jitter_fraction, since, fresh_until, since + (lifetime - advisory).total_seconds()
        )

    def action(self, policy: RefreshPolicy, left: timedelta, *, pausing: bool = False) -> Action:
        """Return what to do when they are read with that much time *left*."""
        return policy.decide(self.lifetime, left, self.jitter_fraction, pausing=pausing, rejected=self.rejected)

    def left(self, now: datetime, monotonic: float) -> timedelta:
        """Return how long they are still valid, by the clock that says less."""
        left = self.credentials.expires_in(now=now)
        if left is None:
            return timedelta.max
        return min(left, self.lifetime - timedelta(seconds=monotonic - self.since))

    def reject(self) -> None:
        """Mark them as refused by a service."""
        self.rejected, self.fresh_until = True, -inf

    def has_keys_of(self, other: Credentials) -> bool:
        """Whether *other* would sign a request as these do."""
        mine = self.credentials
        return (mine.access_key_id, mine.secret_access_key, mine.session_token) == (
            other.access_key_id,
            other.secret_access_key,
            other.session_token,
        )

    def is_replaced_by(self, entry: CacheEntry, now: datetime, monotonic: float) -> bool:
        """Whether *entry* of a cache is valid for longer than these, or these have been refused and it has others."""
        if self.rejected:
            return not self.has_keys_of(entry.credentials)
        left = entry.credentials.expires_in(now=now)
        return (timedelta.max if left is None else left) > self.left(now, monotonic)


def is_usable(entry: CacheEntry, now: datetime) -> bool:
    """Whether the credentials of *entry* are valid, and it was not written by a clock that was wrong."""
    credentials = entry.credentials
    if credentials.is_expired(now=now) or credentials.is_expired(now=entry.since):
        return False
    return entry.since <= now + _CLOCK_SLACK


@define
class RefreshFailure:
    """What went wrong last, and for how long the source is left alone because of it. Only `is_warned_of` changes."""

    error: StskitError
    failures: int  # in a row
    while_valid: bool
    began: float  # monotonic seconds
    pause: float  # seconds
    file: FileState = None  # of the file that the source reads, before it was asked
    is_warned_of: bool = False

    def pausing(self, monotonic: float, *, valid: bool, path: str | None = None) -> bool:
        """Whether the pause lasts. With valid credentials it ends when they expire; where a person must sign in, it
        ends as soon as the file at *path* changes.
        """
        if not 0 <= monotonic - self.began < self.pause or (self.while_valid and not valid):
            return False
        return not isinstance(self.error, SignInRequired) or file_state(path) == self.file


def file_state(path: str | None) -> FileState:
    """Return the state of the file at *path*; None where there is no such file."""
    if path is None:
        return None
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def file_of(source: object) -> str | None:
    """Return the path of the file that *source* reads, or that the source behind it reads; None for other sources."""
    for _ in range(_MAX_DEPTH):
        path = getattr(source, "path", None)
        if isinstance(path, str):
            return os.path.expanduser(path)
        source = getattr(source, "source", None)
    return None
