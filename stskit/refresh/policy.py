"""When credentials are fetched again, as a pure function of what is held: no clock, no lock, no chance of its own.

The windows and the back-off follow the credential refresh that the AWS SDKs are moving to in 2026, so that stskit,
botocore and the others put the same load on STS.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf
from typing import Final, Literal, NoReturn, TypeAlias

import attrs
from attrs import define, field, frozen
from attrs.validators import optional

from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SignInRequired, STSError
from stskit.protocols import CacheEntry

__all__ = ["Failed", "Held", "Kind", "RefreshPolicy", "Step", "kind_of"]

Step: TypeAlias = Literal["use", "refresh", "wait", "raise", "serve"]
"""What to do at a read: use what is at hand; one caller refreshes and the others use it; one refreshes and the others
wait; raise the last error; serve what has expired.
"""
Kind: TypeAlias = Literal["passing", "final", "sign-in"]
"""Of a failure: it may pass; STS says that trying again will not help; a person is needed."""
Range: TypeAlias = tuple[timedelta, timedelta]

_ZERO: Final = timedelta(0)
_CLOCK_SLACK: Final = timedelta(minutes=5)  # an entry that is from later than this comes from a clock that was wrong
_ALMOST_ALL: Final = 0.9  # of a life: a window that is longer would make each read a fetch


def _span(_policy: object, attribute: attrs.Attribute[timedelta], value: timedelta) -> None:
    if not isinstance(value, timedelta) or value < _ZERO:
        raise ValueError(f"{attribute.name} is {value!r}; it is a timedelta, and not negative")


def _range(_policy: object, attribute: attrs.Attribute[Range], value: Range) -> None:
    match value:
        case (timedelta() as least, timedelta() as most) if _ZERO <= least <= most:
            return
    raise ValueError(f"{attribute.name} is {value!r}; it is two timedeltas, the shortest pause and the longest")


@frozen(kw_only=True)
class RefreshPolicy:
    """How early to refresh, and what to do when that fails.

    `advisory`: how long before expiry one caller refreshes while the others go on with what is there; None: 5 minutes
    for credentials that live up to 20 (and half of a life under 10), 15 minutes under 90, else 60. One that is given
    counts as no less than `mandatory`. With its jitter it is nine tenths of the life at most.
    `mandatory`: how long before expiry everyone waits for that refresh; one minute, and at most the advisory window.
    `jitter`: by what part of itself, at most, the advisory window starts earlier, drawn anew for each set, so that a
    fleet started together does not refresh together; 0 to 1.
    `on_expired`: what to do once the credentials have expired and cannot be had anew: ``"raise"`` the error, or
    ``"serve"`` the expired ones with a warning, as the AWS SDKs do.
    `retry_valid`, `retry_expired`, `retry_final`: after a failure, the next try comes after a time drawn between these
    two: while the credentials are still valid, once they have expired, and where STS said that it will not help.

    Raises `ValueError` for a number out of its limits.
    """

    advisory: timedelta | None = field(default=None, validator=optional(_span))
    mandatory: timedelta = field(default=timedelta(minutes=1), validator=_span)
    jitter: float = 0.2
    on_expired: Literal["raise", "serve"] = "raise"
    retry_valid: Range = field(default=(timedelta(seconds=300), timedelta(seconds=600)), validator=_range)
    retry_expired: Range = field(default=(timedelta(seconds=1), timedelta(seconds=10)), validator=_range)
    retry_final: Range = field(default=(timedelta(seconds=1), timedelta(seconds=5)), validator=_range)

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is {self.jitter!r}; it is a part, from 0 to 1")
        if self.on_expired not in ("raise", "serve"):
            raise ValueError(f'on_expired is {self.on_expired!r}; it is "raise" or "serve"')

    def windows(self, lifetime: timedelta, chance: float) -> tuple[timedelta, timedelta]:
        """How long before expiry the advisory and the mandatory window open; *chance* is 0 to 1, for the jitter.

        *lifetime*: from when the credentials came until they expire. Raises nothing.
        """
        if self.advisory is not None:
            advisory = max(self.advisory, self.mandatory)
        elif lifetime <= timedelta(minutes=20):
            advisory = min(timedelta(minutes=5), lifetime / 2)  # half: some servers give less than STS's 15 minutes
        else:
            advisory = timedelta(minutes=15 if lifetime < timedelta(minutes=90) else 60)
        advisory = min(advisory * (1 + self.jitter * chance), lifetime * _ALMOST_ALL)
        return advisory, min(self.mandatory, advisory)

    def decide(
        self,
        lifetime: timedelta,
        left: timedelta,
        chance: float,
        failed: Kind | None = None,
        *,
        rejected: bool = False,
    ) -> Step:
        """What to do at a read, by the life of the credentials at hand and what is *left* of it.

        With nothing at hand both are zero; for credentials that never expire both are `timedelta.max`. *chance* is that
        of `windows`. *failed*: how the last try did, while the pause after it lasts. *rejected*: whether a service has
        refused the credentials. Raises nothing.
        """
        if failed is not None:
            return self.fall_back(lifetime, left, failed)
        advisory, mandatory = (_ZERO, _ZERO) if left == timedelta.max else self.windows(lifetime, chance)
        if rejected or left <= mandatory:
            return "wait"
        return "refresh" if left <= advisory else "use"

    def fall_back(self, lifetime: timedelta, left: timedelta, kind: Kind) -> Step:
        """What to do after a failure of that *kind*, as long as the source is not asked again. Raises nothing."""
        if kind == "final":
            return "raise"
        if left > _ZERO:
            return "use"
        return "serve" if lifetime and self.on_expired == "serve" and kind == "passing" else "raise"

    def pause(self, kind: Kind, *, valid: bool) -> Range:
        """Between which two the pause after a failure is drawn; who has signed in expects it to go on at once.

        Raises nothing.
        """
        if kind == "sign-in":
            return _ZERO, _ZERO
        if kind == "final":
            return self.retry_final
        return self.retry_valid if valid else self.retry_expired


@define(eq=False)
class Held:
    """One set of credentials. Only `fresh_until` and `rejected` change, towards a refresh and never back."""

    credentials: Credentials
    lifetime: timedelta
    chance: float
    fresh_until: float  # seconds since 1970, for a quick look
    rejected: bool = False

    @classmethod
    def fetched(cls, credentials: object, now: datetime, policy: RefreshPolicy, chance: float) -> Held:
        """What a source gave *now*. Raises `ProofInvalid` where it is of no use."""
        if not isinstance(credentials, Credentials):
            raise ProofInvalid(f"what came back is {type(credentials).__name__}, and no Credentials; mend the source")
        if credentials.is_expired(now=now):
            raise ProofInvalid(
                f"the credentials that came back expired at {credentials.expiration}, and it is {now}; "
                "check the clock of this machine and of the server"
            )
        return cls.since(credentials, now, policy, chance)

    @classmethod
    def from_cache(
        cls, entry: CacheEntry, now: datetime, policy: RefreshPolicy, chance: float, *, instead_of: Held | None
    ) -> Held | None:
        """What a cache gave; None where it has expired, was written by a clock that was wrong, or was refused."""
        found = cls.since(entry.credentials, entry.since, policy, chance)
        if entry.since > now + _CLOCK_SLACK or found.left(now) <= _ZERO:
            return None
        refused = instead_of.credentials.access_key_id if instead_of and instead_of.rejected else None
        return None if entry.credentials.access_key_id == refused else found

    @classmethod
    def since(cls, credentials: Credentials, since: datetime, policy: RefreshPolicy, chance: float) -> Held:
        """*credentials* as they came at *since*."""
        if credentials.expiration is None:
            return cls(credentials, timedelta.max, chance, inf)
        lifetime = credentials.expiration - since
        advisory, _ = policy.windows(lifetime, chance)
        return cls(credentials, lifetime, chance, (credentials.expiration - advisory).timestamp())

    def step(self, policy: RefreshPolicy, now: datetime, failed: Kind | None = None) -> Step:
        """What to do at a read at the time *now*."""
        return policy.decide(self.lifetime, self.left(now), self.chance, failed, rejected=self.rejected)

    def left(self, now: datetime) -> timedelta:
        """How long they are still good for."""
        left = self.credentials.expires_in(now=now)
        return timedelta.max if left is None else left

    def reject(self) -> None:
        """A service has refused them."""
        self.rejected, self.fresh_until = True, -inf


@frozen
class Failed:
    """What went wrong last, and until when (monotonic, seconds) the source is left alone for it."""

    error: Exception
    kind: Kind
    while_valid: bool
    until: float

    def pausing(self, monotonic: float, *, valid: bool) -> Kind | None:
        """How it failed, while the pause lasts; one that began with valid credentials ends where they do."""
        is_over = monotonic >= self.until or (self.while_valid and not valid)
        return None if is_over else self.kind

    def raise_again(self) -> NoReturn:
        """Raise the error, perhaps for the thousandth time: without the tracebacks of before, and without what the
        caller was handling.
        """
        try:
            raise self.error.with_traceback(None)
        finally:
            self.error.__context__ = None


def kind_of(error: Exception) -> Kind:
    """How *error* is to be taken."""
    if isinstance(error, SignInRequired):
        return "sign-in"
    return "final" if isinstance(error, STSError) and not error.retryable else "passing"
