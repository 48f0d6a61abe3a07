"""When to fetch again: `RefreshPolicy` decides, `Cached` does it. The only lock and the only clock are here.

The windows and the back-off follow the credential refresh that the AWS SDKs are moving to in 2026, so that stskit,
botocore and the others put the same load on STS.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

from attrs import frozen

from stskit.errors import ProofInvalid, SignInRequired, SourceMissing, StskitWarning
from stskit.identity import Credentials
from stskit.protocols import Clock, LiveSink, Source

__all__ = ["Cached", "RefreshPolicy", "SystemClock", "attach"]

R = TypeVar("R")

_NEVER = datetime.max.replace(tzinfo=UTC)


@frozen
class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()


@frozen(kw_only=True)
class RefreshPolicy:
    """How early to refresh, and what to do when that fails.

    `advisory`: how long before expiry one caller refreshes while the others go on with what is there; None: 5 minutes
    for credentials that live up to 20, 15 minutes under 90, else 60, and at most half of their life. One that is given
    counts as no less than `mandatory`.
    `mandatory`: how long before expiry everyone waits for that refresh; one minute, and at most the advisory window.
    `jitter`: by what part of itself, at most, the advisory window starts earlier, drawn anew for each set, so that a
    fleet started together does not refresh together; 0 to 1.
    `on_expired`: what to do once the credentials have expired and cannot be had anew: ``"raise"`` the error, or
    ``"serve"`` the expired ones with a warning, as the AWS SDKs do.
    `retry_valid`, `retry_expired`: after a failure, the next try comes after a time drawn between these two, while the
    credentials are still valid and once they have expired.
    """

    advisory: timedelta | None = None
    mandatory: timedelta = timedelta(minutes=1)
    jitter: float = 0.2
    on_expired: Literal["raise", "serve"] = "raise"
    retry_valid: tuple[timedelta, timedelta] = (timedelta(seconds=300), timedelta(seconds=600))
    retry_expired: tuple[timedelta, timedelta] = (timedelta(seconds=1), timedelta(seconds=10))

    def windows(self, lifetime: timedelta, chance: float) -> tuple[timedelta, timedelta]:
        """How long before expiry the advisory and the mandatory window open; *chance* is 0 to 1, for the jitter."""
        if self.advisory is not None:
            advisory = max(self.advisory, self.mandatory)
        else:
            minutes = 5 if lifetime <= timedelta(minutes=20) else 15 if lifetime < timedelta(minutes=90) else 60
            advisory = min(timedelta(minutes=minutes), lifetime / 2)  # half: or each read of short ones would refresh
        return advisory * (1 + self.jitter * chance), min(self.mandatory, advisory)


@frozen
class _Held:
    """One set of credentials, and from when on it should and must be replaced."""

    credentials: Credentials
    advisory: datetime
    mandatory: datetime


@frozen
class _Failed:
    """What went wrong last, when to try again (monotonic), and whether valid credentials were held then."""

    error: Exception
    next_try: float
    while_valid: bool


def attach(sink: LiveSink[R], source: Source[Credentials]) -> R:
    """Attach *sink* to *source*. Raises `TypeError`, with what to write, for a sink that cannot be attached."""
    if not hasattr(sink, "attach"):
        raise TypeError(
            f"{type(sink).__name__} takes credentials as a value and does not refresh them; "
            "write .fetch().to(...) in place of .to(...)"
        )
    return sink.attach(source)


def _uniform(least: float, most: float) -> float:
    import random  # on first use: it is slow to import, and few programs get here

    return random.uniform(least, most)


class Cached:
    """A source of credentials that asks *source* only when it has to; safe for use by many threads.

    However many threads read, one call is under way at a time. A failed refresh keeps credentials that are still
    valid, and is not repeated before a while has passed. Credentials without expiration are fetched once.

    Where the source needs a person (`SignInRequired`: the SAML assertion has ended, an MFA code is asked for), a
    warning says so while the credentials are still valid, the source is asked again at every use, since that costs no
    call, and once they have expired the error is raised, whatever `on_expired` says.
    """

    def __init__(
        self,
        source: Source[Credentials],
        *,
        policy: RefreshPolicy = RefreshPolicy(),
        clock: Clock = SystemClock(),
        uniform: Callable[[float, float], float] = _uniform,
    ) -> None:
        """*uniform* draws a number between two, as `random.uniform` does; tests pass one that they know."""
        self._source = source
        self._policy = policy
        self._clock = clock
        self._uniform = uniform
        self._lock = threading.Lock()
        self._holder: int | None = None  # the thread that has the lock
        self._held: _Held | None = None
        self._failed: _Failed | None = None

    def __repr__(self) -> str:
        return f"Cached({self._source!r})"

    def fetch(self) -> Credentials:
        """Credentials that are good for a while. Raises what the source raises, once nothing valid is left."""
        held, now = self._held, self._clock.now()
        if held is not None and now < held.advisory:
            return held.credentials
        must_wait = held is None or now >= held.mandatory
        if must_wait and self._holder == threading.get_ident():
            raise SourceMissing("the source of these credentials waits for them itself; give it others to work with")
        if not self._lock.acquire(blocking=must_wait):
            assert held is not None  # in the advisory window, while another thread refreshes
            return held.credentials
        self._holder = threading.get_ident()
        try:
            return self._fetch_alone()
        finally:
            self._holder = None
            self._lock.release()

    def to(self, sink: LiveSink[R]) -> R:
        """Attach *sink* to this, so that all that is made of it shares one set of credentials.

        Raises `TypeError` for a sink that takes credentials as a value: write ``cached.fetch().to(sink)`` for these.
        """
        return attach(sink, self)

    def _fetch_alone(self) -> Credentials:
        held = self._held
        if held is not None and self._clock.now() < held.advisory:
            return held.credentials  # another thread was faster
        if self._is_due():
            try:
                return self._renew()
            except Exception as error:  # noqa: BLE001 - a source is anybody's code
                self._remember(error.with_traceback(None))
        return self._what_is_left()

    def _is_due(self) -> bool:
        failed = self._failed
        if failed is None or self._clock.monotonic() >= failed.next_try:
            return True
        return failed.while_valid and not self._is_valid()  # the long pause ends where the credentials do

    def _is_valid(self) -> bool:
        return self._held is not None and not self._held.credentials.is_expired(now=self._clock.now())

    def _renew(self) -> Credentials:
        credentials = self._source.fetch()
        now = self._clock.now()
        if credentials.is_expired(now=now):
            raise ProofInvalid(
                f"the credentials that came back expired at {credentials.expiration}, and it is {now}; "
                "check the clock of this machine and of the server"
            )
        advisory = mandatory = _NEVER
        if credentials.expiration is not None:
            early, late = self._policy.windows(credentials.expiration - now, self._uniform(0, 1))
            advisory, mandatory = credentials.expiration - early, credentials.expiration - late
        self._held, self._failed = _Held(credentials, advisory, mandatory), None
        return credentials

    def _remember(self, error: Exception) -> None:
        valid, by_person, before = self._is_valid(), isinstance(error, SignInRequired), self._failed
        least, most = self._policy.retry_valid if valid else self._policy.retry_expired
        pause = self._uniform(least.total_seconds(), most.total_seconds())
        # Who has signed in expects it to go on at once; and until then no try costs a call.
        self._failed = _Failed(error, self._clock.monotonic() + (0 if by_person else pause), valid)
        if by_person and valid and not (before and isinstance(before.error, SignInRequired)):
            assert self._held is not None
            until = self._held.credentials.expiration
            warnings.warn(f"credentials that end at {until} cannot be renewed yet: {error}", StskitWarning, 4)

    def _what_is_left(self) -> Credentials:
        held, failed = self._held, self._failed
        if held is not None and self._is_valid():
            return held.credentials
        assert failed is not None  # nothing valid is held, so the last try failed
        if held is None or self._policy.on_expired != "serve" or isinstance(failed.error, SignInRequired):
            try:  # it is raised again and again: pile up no tracebacks, and nothing that a caller was handling
                raise failed.error.with_traceback(None)
            finally:
                failed.error.__context__ = None
        warnings.warn(f"serving expired credentials, for they could not be had anew: {failed.error}", StskitWarning, 4)
        return held.credentials
