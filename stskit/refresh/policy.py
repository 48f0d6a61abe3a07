"""Decide when to refresh, from the time alone: these functions use no clock, no lock and no random numbers.

The windows and the pauses are those that the AWS SDKs are introducing in 2026, so that stskit, botocore and other
clients put the same load on STS.
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
from stskit._time import shown_time
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
"""The action of a read: use the kept credentials; one caller refreshes and the others use them; one caller refreshes
and the others wait; raise the last error; serve expired credentials.
"""
FileState: TypeAlias = tuple[int, int, int] | None
"""Modification time, size and inode of a file, which differ after a change. None if there is no file."""
Pause: TypeAlias = tuple[float, float]
"""The shortest and the longest time until the next attempt, in seconds. The actual time is random between the two."""

_ZERO: Final = timedelta(0)
_CLOCK_SLACK: Final = timedelta(minutes=5)  # an entry from further in the future was written with a wrong clock
_SHORT: Final = timedelta(minutes=10)  # some servers allow less than the 15 minutes of STS
_MANDATORY: Final = timedelta(minutes=1)
_ALMOST_ALL: Final = 0.9  # of a lifetime; with a longer window each read would refresh
_WHILE_VALID: Final = 300.0, 600.0
_MAX_PAUSE: Final = 10.0  # seconds, without valid credentials
_MAX_DEPTH: Final = 10  # sources behind sources that are searched for a file


def _span(_policy: object, attribute: attrs.Attribute[timedelta], value: timedelta) -> None:
    check_timespan(attribute.name, value)
    if value < _ZERO:
        raise ValueError(f"{attribute.name} is {value}, but it must not be negative")


def _fraction(_policy: object, attribute: attrs.Attribute[float], value: float) -> None:
    check_number(attribute.name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} is {value!r}, but it must be between 0 and 1")


@init_without_frames
@frozen(kw_only=True)
class RefreshPolicy:
    """When to refresh before expiry, and what to do if that fails.

    After a failure the next attempt comes 300 to 600 seconds later while the credentials are valid, or when they
    expire. Without valid credentials, the next caller tries again at once, and then the pauses are 1, 2, 4, 8 and 10
    seconds.

    Args:
        advisory: How long before expiry one caller refreshes while the others continue, as a timedelta. Defaults to 5
            minutes for credentials that are valid for up to 20 minutes, to 15 minutes below 90 minutes, else to 60
            minutes. It is limited to half of a lifetime below 10 minutes, and its length with the jitter to nine tenths
            of any lifetime.
        mandatory: How long before expiry all callers wait for a refresh. Defaults to one minute. It is limited to the
            advisory window.
        jitter: Maximum random fraction by which the advisory window starts earlier, 0 to 1. It is drawn once for each
            new credentials, so that processes that started together do not refresh together. Defaults to 0.2.
        on_expired: What to do if the credentials have expired and cannot be refreshed: ``"raise"`` the error, or
            ``"serve"`` them with a warning, as the AWS SDKs do. Defaults to ``"serve"`` for a session made from a
            recipe, and to ``"raise"`` for a `Cached`.

    Raises:
        ValueError: If a value is out of its limits, or if you pass both windows and `advisory` is the shorter one.
        TypeError: If a value has the wrong type.

    Example:
        >>> from datetime import timedelta
        >>> from stskit import RefreshPolicy, boto3_session
        >>> policy = RefreshPolicy(advisory=timedelta(minutes=10), on_expired="raise")
        >>> session = boto3_session("arn:aws:iam::123456789012:role/Reports", refresh=policy)
    """

    advisory: timedelta | None = field(default=None, validator=optional(_span))
    mandatory: timedelta | None = field(default=None, validator=optional(_span))
    jitter: float = field(default=0.2, validator=_fraction)
    on_expired: Literal["raise", "serve"] | None = None

    def __attrs_post_init__(self) -> None:
        if self.on_expired not in ("raise", "serve", None):
            raise ValueError(f'on_expired is {quoted(self.on_expired)}, but it must be "raise" or "serve"')
        if self.advisory is not None and self.mandatory is not None and self.advisory < self.mandatory:
            raise ValueError(
                f"advisory ({self.advisory}) is shorter than mandatory ({self.mandatory}), but the mandatory window "
                "must be inside the advisory window"
            )

    def windows(self, lifetime: timedelta, jitter_fraction: float) -> tuple[timedelta, timedelta]:
        """Return how long before expiry the two windows open.

        Args:
            lifetime: Time from the fetch of the credentials to their expiry.
            jitter_fraction: The part of the jitter that applies, 0 to 1.

        Returns:
            The advisory window and the mandatory window. Raises nothing.
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
        """Return the action of a read.

        Args:
            lifetime: Lifetime of the kept credentials. Zero without credentials, `timedelta.max` if they never expire.
            left: How long they are still valid. Zero or `timedelta.max` as for *lifetime*.
            jitter_fraction: The part of the jitter that applies, 0 to 1.
            pausing: Whether the pause after a failure has not ended. Defaults to False.
            rejected: Whether a service refused the credentials. Defaults to False.

        Returns:
            The action. Raises nothing.
        """
        if pausing:
            return self.after_failure(lifetime, left)
        advisory, mandatory = (_ZERO, _ZERO) if left == timedelta.max else self.windows(lifetime, jitter_fraction)
        if rejected or left <= mandatory:
            return "wait"
        return "refresh" if left <= advisory else "use"

    def after_failure(self, lifetime: timedelta, left: timedelta) -> Action:
        """Return the action of a read in the pause after a failure.

        Args:
            lifetime: Lifetime of the kept credentials. Zero without credentials.
            left: How long they are still valid.

        Returns:
            The action. Raises nothing.
        """
        if left > _ZERO:
            return "use"
        return "serve" if lifetime and self.on_expired == "serve" else "raise"

    def pause(self, failures: int, *, valid: bool) -> Pause:
        """Return the limits of the pause after failures.

        Args:
            failures: Number of failures in a row.
            valid: Whether the kept credentials are valid.

        Returns:
            The shortest and the longest pause in seconds. Raises nothing.
        """
        if valid:
            return _WHILE_VALID
        pause = 0.0 if failures == 1 else min(2.0 ** min(failures - 2, 10), _MAX_PAUSE)
        return pause, pause


@define(eq=False)
class CachedCredentials:
    """The kept credentials with their times.

    Only `fresh_until` and `rejected` change, in the direction of a refresh. `origin` is set once.
    """

    credentials: Credentials
    lifetime: timedelta
    jitter_fraction: float
    since: float  # monotonic seconds
    fresh_until: float  # seconds since 1970, for a fast comparison
    fresh_until_monotonic: float
    rejected: bool = False
    origin: object = field(default=None, repr=False)  # the snapshot of the source that returned them

    @classmethod
    def fetched(
        cls, credentials: object, now: datetime, monotonic: float, policy: RefreshPolicy, jitter_fraction: float
    ) -> CachedCredentials:
        """Return the result of a source with its times. Raises `ProofInvalid` if it cannot be used."""
        if not isinstance(credentials, Credentials):
            raise ProofInvalid(
                f"The source returned {type(credentials).__name__} instead of Credentials.",
                remedy="Correct the fetch() of the source.",
            )
        if credentials.expiration is not None and credentials.is_expired(now=now):
            raise ProofInvalid(
                f"The source returned credentials that expired at {shown_time(credentials.expiration)}. The time is "
                f"{shown_time(now)}.",
                remedy="Check the clocks of this machine and of the server.",
            )
        return cls.of(CacheEntry(credentials, now), now, monotonic, policy, jitter_fraction)

    @classmethod
    def of(
        cls, entry: CacheEntry, now: datetime, monotonic: float, policy: RefreshPolicy, jitter_fraction: float
    ) -> CachedCredentials:
        """Return the credentials of an entry with their times."""
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
        """Return the action of a read with that much time *left*."""
        return policy.decide(self.lifetime, left, self.jitter_fraction, pausing=pausing, rejected=self.rejected)

    def left(self, now: datetime, monotonic: float) -> timedelta:
        """Return how long they are still valid, by the clock that shows less time."""
        left = self.credentials.expires_in(now=now)
        if left is None:
            return timedelta.max
        return min(left, self.lifetime - timedelta(seconds=monotonic - self.since))

    def reject(self) -> None:
        """Mark them as refused by a service."""
        self.rejected, self.fresh_until = True, -inf

    def has_keys_of(self, other: Credentials) -> bool:
        """Return whether *other* has the same keys and session token."""
        mine = self.credentials
        return (mine.access_key_id, mine.secret_access_key, mine.session_token) == (
            other.access_key_id,
            other.secret_access_key,
            other.session_token,
        )

    def is_replaced_by(self, entry: CacheEntry, now: datetime, monotonic: float) -> bool:
        """Return whether an entry is valid for longer, or has other keys if these were refused."""
        if self.rejected:
            return not self.has_keys_of(entry.credentials)
        left = entry.credentials.expires_in(now=now)
        return (timedelta.max if left is None else left) > self.left(now, monotonic)


def is_usable(entry: CacheEntry, now: datetime) -> bool:
    """Return whether the credentials of an entry are valid and it was not written with a wrong clock."""
    credentials = entry.credentials
    if credentials.is_expired(now=now) or credentials.is_expired(now=entry.since):
        return False
    return entry.since <= now + _CLOCK_SLACK


@define
class RefreshFailure:
    """The last failure and its pause. Only `is_warned_of` changes."""

    error: StskitError
    failures: int  # in a row
    while_valid: bool
    began: float  # monotonic seconds
    pause: float  # seconds
    file: FileState = None  # state of the source's file before the attempt
    is_warned_of: bool = False

    def pausing(self, monotonic: float, *, valid: bool, path: str | None = None) -> bool:
        """Return whether the pause has not ended.

        With valid credentials it ends when they expire. If a person must sign in, it ends when the file at *path*
        changes.
        """
        if not 0 <= monotonic - self.began < self.pause or (self.while_valid and not valid):
            return False
        return not isinstance(self.error, SignInRequired) or file_state(path) == self.file


def file_state(path: str | None) -> FileState:
    """Return the state of a file, or None if it does not exist."""
    if path is None:
        return None
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def file_of(source: object) -> str | None:
    """Return the path of the file that a source, or the source behind it, reads. None for other sources."""
    for _ in range(_MAX_DEPTH):
        path = getattr(source, "path", None)
        if isinstance(path, str):
            return os.path.expanduser(path)
        source = getattr(source, "source", None)
    return None
