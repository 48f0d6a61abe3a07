"""When credentials are fetched again: functions of the time alone, without a clock, a lock or a random number.

The windows and the pauses follow the credential refresh that the AWS SDKs are moving to in 2026, so that stskit,
botocore and the others put the same load on STS.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf
from typing import Final, Literal, TypeAlias

import attrs
from attrs import define, field, frozen
from attrs.validators import optional

from stskit._arguments import check_timespan, number
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SignInRequired, STSError, init_without_frames
from stskit.protocols import CacheEntry

__all__ = ["Action", "CachedCredentials", "FailureKind", "RefreshFailure", "RefreshPolicy", "failure_kind", "is_usable"]

Action: TypeAlias = Literal["use", "refresh", "wait", "raise", "serve"]
"""What to do when credentials are read: use those in hand; one caller refreshes and the others use those in hand; one
caller refreshes and the others wait; raise the last error; serve expired credentials.
"""
FailureKind: TypeAlias = Literal["passing", "final", "sign-in"]
"""A failure may pass; or STS says that trying again will not help; or a person is needed."""
Pause: TypeAlias = tuple[timedelta, timedelta]
"""The shortest and the longest time until the next try. The actual time is drawn between the two."""

_ZERO: Final = timedelta(0)
_CLOCK_SLACK: Final = timedelta(minutes=5)  # an entry from further in the future was written by a wrong clock
_ALMOST_ALL: Final = 0.9  # of a lifetime: a longer window would make each read a fetch
_WHILE_VALID: Final = timedelta(seconds=300), timedelta(seconds=600)
_ONCE_EXPIRED: Final = timedelta(seconds=1), timedelta(seconds=10)
_AFTER_FINAL: Final = timedelta(seconds=1), timedelta(seconds=5)


def _span(_policy: object, attribute: attrs.Attribute[timedelta], value: timedelta) -> None:
    check_timespan(attribute.name, value)
    if value < _ZERO:
        raise ValueError(f"{attribute.name} is {value}; it must not be negative")


@init_without_frames
@frozen(kw_only=True)
class RefreshPolicy:
    """How early to refresh, and what to do when that fails.

    `advisory`: how long before expiry one caller refreshes while the others go on with the credentials in hand.
    Defaults to 5 minutes for credentials that are valid for up to 20 minutes (half of the lifetime under 10), 15
    minutes under 90, else 60. A value that you pass is raised to `mandatory` at least. With its jitter the window is
    nine tenths of the lifetime at most.
    `mandatory`: how long before expiry everyone waits for that refresh; one minute, and at most the advisory window.
    `jitter`: maximum random fraction by which the advisory window starts earlier, 0 to 1. It is drawn once for each
    set of credentials, so that a fleet started together does not refresh together.
    `on_expired`: what to do once the credentials have expired and no new ones can be fetched: ``"raise"`` the error, or
    ``"serve"`` the expired ones with a warning, as the AWS SDKs do.

    After a failure the next try comes 300 to 600 seconds later while the credentials are valid, 1 to 10 seconds later
    once they have expired, and 1 to 5 seconds later where STS said that trying again will not help.

    Raises `ValueError` for a number out of its limits.
    """

    advisory: timedelta | None = field(default=None, validator=optional(_span))
    mandatory: timedelta = field(default=timedelta(minutes=1), validator=_span)
    jitter: float = field(default=0.2, validator=number)
    on_expired: Literal["raise", "serve"] = "raise"

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is {self.jitter!r}; it is a part, from 0 to 1")
        if self.on_expired not in ("raise", "serve"):
            raise ValueError(f'on_expired is {self.on_expired!r}; it is "raise" or "serve"')

    def windows(self, lifetime: timedelta, jitter_fraction: float) -> tuple[timedelta, timedelta]:
        """Return how long before expiry the advisory and the mandatory window open.

        *lifetime*: from when the credentials came until they expire. *jitter_fraction*: the part of the jitter that
        applies, 0 to 1. Raises nothing.
        """
        if self.advisory is not None:
            advisory = max(self.advisory, self.mandatory)
        elif lifetime <= timedelta(minutes=20):
            advisory = min(timedelta(minutes=5), lifetime / 2)  # half: some servers return less than STS's 15 minutes
        else:
            advisory = timedelta(minutes=15 if lifetime < timedelta(minutes=90) else 60)
        advisory = min(advisory * (1 + self.jitter * jitter_fraction), lifetime * _ALMOST_ALL)
        return advisory, min(self.mandatory, advisory)

    def decide(
        self,
        lifetime: timedelta,
        left: timedelta,
        jitter_fraction: float,
        failed: FailureKind | None = None,
        *,
        rejected: bool = False,
    ) -> Action:
        """Return what to do when credentials are read, by their lifetime and how much of it is *left*.

        With nothing in hand both are zero; for credentials that never expire both are `timedelta.max`.
        *jitter_fraction*: as for `windows`. *failed*: the kind of the last failure, while the pause after it lasts.
        *rejected*: whether a service has refused the credentials. Raises nothing.
        """
        if failed is not None:
            return self.after_failure(lifetime, left, failed)
        advisory, mandatory = (_ZERO, _ZERO) if left == timedelta.max else self.windows(lifetime, jitter_fraction)
        if rejected or left <= mandatory:
            return "wait"
        return "refresh" if left <= advisory else "use"

    def after_failure(self, lifetime: timedelta, left: timedelta, kind: FailureKind) -> Action:
        """Return what to do after a failure of that *kind*, until the source is asked again. Raises nothing."""
        if kind == "final":
            return "raise"
        if left > _ZERO:
            return "use"
        return "serve" if lifetime and self.on_expired == "serve" and kind == "passing" else "raise"

    def pause(self, kind: FailureKind, *, valid: bool) -> Pause:
        """Return the bounds of the pause after a failure; *valid*: whether the credentials in hand are valid.

        Raises nothing.
        """
        if kind == "sign-in":
            return _ZERO, _ZERO  # a person who has signed in expects it to go on at once
        if kind == "final":
            return _AFTER_FINAL
        return _WHILE_VALID if valid else _ONCE_EXPIRED


@define(eq=False)
class CachedCredentials:
    """One set of credentials in hand. Only `fresh_until` and `rejected` change, towards a refresh and never back."""

    credentials: Credentials
    lifetime: timedelta
    jitter_fraction: float
    fresh_until: float  # seconds since 1970, for a quick look
    rejected: bool = False

    @classmethod
    def fetched(
        cls, credentials: object, now: datetime, policy: RefreshPolicy, jitter_fraction: float
    ) -> CachedCredentials:
        """Return what a source returned *now*. Raises `ProofInvalid` where it cannot be used."""
        if not isinstance(credentials, Credentials):
            raise ProofInvalid(
                f"what came back is {type(credentials).__name__}, and no Credentials", remedy="mend the source"
            )
        if credentials.is_expired(now=now):
            raise ProofInvalid(
                f"the credentials that came back expired at {credentials.expiration}, and it is {now}",
                remedy="check the clock of this machine and of the server",
            )
        return cls.since(credentials, now, policy, jitter_fraction)

    @classmethod
    def since(
        cls, credentials: Credentials, since: datetime, policy: RefreshPolicy, jitter_fraction: float
    ) -> CachedCredentials:
        """Return *credentials* as they came at *since*."""
        if credentials.expiration is None:
            return cls(credentials, timedelta.max, jitter_fraction, inf)
        lifetime = credentials.expiration - since
        advisory, _ = policy.windows(lifetime, jitter_fraction)
        return cls(credentials, lifetime, jitter_fraction, (credentials.expiration - advisory).timestamp())

    def action(self, policy: RefreshPolicy, now: datetime, failed: FailureKind | None = None) -> Action:
        """Return what to do when they are read at the time *now*."""
        return policy.decide(self.lifetime, self.left(now), self.jitter_fraction, failed, rejected=self.rejected)

    def left(self, now: datetime) -> timedelta:
        """Return how long they are still valid."""
        left = self.credentials.expires_in(now=now)
        return timedelta.max if left is None else left

    def reject(self) -> None:
        """Mark them as refused by a service."""
        self.rejected, self.fresh_until = True, -inf

    def is_replaced_by(self, entry: CacheEntry, now: datetime) -> bool:
        """Whether *entry* of a cache is valid for longer than these, or these have been refused and it has others."""
        if self.rejected:
            return entry.credentials.access_key_id != self.credentials.access_key_id
        left = entry.credentials.expires_in(now=now)
        return (timedelta.max if left is None else left) > self.left(now)


def is_usable(entry: CacheEntry, now: datetime) -> bool:
    """Whether the credentials of *entry* are valid, and it was not written by a clock that was wrong."""
    return entry.since <= now + _CLOCK_SLACK and not entry.credentials.is_expired(now=now)


@frozen
class RefreshFailure:
    """What went wrong last, and until when (monotonic, seconds) the source is left alone because of it."""

    error: Exception
    kind: FailureKind
    while_valid: bool
    until: float

    def pausing(self, monotonic: float, *, valid: bool) -> FailureKind | None:
        """Return the kind of the failure during its pause. A pause with valid credentials ends when they expire."""
        is_over = monotonic >= self.until or (self.while_valid and not valid)
        return None if is_over else self.kind


def failure_kind(error: Exception) -> FailureKind:
    """Return what kind of failure *error* is."""
    if isinstance(error, SignInRequired):
        return "sign-in"
    return "final" if isinstance(error, STSError) and not error.retryable else "passing"
