"""`Cached` fetches again when `RefreshPolicy` says so. The only lock and the only clock are here."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from attrs import evolve

from stskit._io.fork import reset_in_children
from stskit._time import SystemClock
from stskit.credentials import Credentials
from stskit.errors import SourceError, SourceMissing, StskitWarning
from stskit.protocols import Cache, CacheEntry, Clock, LiveSink, RefreshListener, Source, attach
from stskit.refresh.policy import Failed, Held, RefreshPolicy, Step, kind_of

if TYPE_CHECKING:
    from stskit.refresh.cache_access import Shelf
    from stskit.refresh.events import Outbox

__all__ = ["Cached", "RefreshPolicy", "SystemClock"]

R = TypeVar("R")
Uniform: TypeAlias = Callable[[float, float], float]
Reading: TypeAlias = tuple[Step, Held | None, Failed | None]
"""What to do, and what it was decided by; the credentials are there unless it is to wait or to raise."""

_NOTHING: Final = timedelta(0)


def _uniform(least: float, most: float) -> float:
    import random  # on first use: it is slow to import, and few programs get here

    return random.uniform(least, most)


class Cached:
    """A source of credentials that asks *source* only when it has to; safe across threads and forks.

    However many threads read, one call is under way at a time. A failed refresh keeps credentials that are still
    valid, and is not repeated for a while; where STS says that trying again will not help, the error is raised at once.
    Credentials without expiration are fetched once. Where a role is assumed from another one, each is refreshed on its
    own. To share the credentials of a hub role among many recipes, make one ``hub = Cached(AssumedRole(HUB))`` and pass
    it as their source.

    `cache`: where credentials are looked for before a call, and put after it: with `stskit.caches.FileCache` all
    processes of a machine share one call. `key`: where in it; None: by the role and each of its options, region and
    endpoint, and the ``identity`` of the source. `policy`: when to refresh. `clock`: what it takes the time from.
    `uniform`: draws a number between two, as `random.uniform` does. `listener`: whom it tells of refreshes.

    Where the source needs a person (`SignInRequired`: the SAML assertion has ended, an MFA code is asked for), a
    warning says so while the credentials are still valid, the source is asked again at every use, since that costs no
    call, and once they have expired the error is raised, whatever `on_expired` says.

    It pickles as the recipe it is, without credentials. Raises `SourceMissing` where the cache outlives the process,
    no key is given, and the source does not say whose credentials it gives.
    """

    def __init__(
        self,
        source: Source[Credentials],
        cache: Cache | None = None,
        policy: RefreshPolicy = RefreshPolicy(),
        key: str | None = None,
        clock: Clock = SystemClock(),
        uniform: Uniform = _uniform,
        listener: RefreshListener | None = None,
    ) -> None:
        if not hasattr(source, "fetch"):
            raise TypeError(
                f"source has no fetch(), for it is {type(source).__name__}; what refreshes is a recipe: "
                "AssumedRole(role, source=...), and credentials at hand are a value: credentials.to(sink)"
            )
        self._policy = policy
        self._clock = clock
        self._uniform = uniform
        self._recipe = (source, cache, policy, key, clock, uniform, listener)
        self._seconds = time.time if isinstance(clock, SystemClock) else lambda: clock.now().timestamp()
        self._source = source.wrap_source(self._hop) if hasattr(source, "wrap_source") else source
        self._held: Held | None = None
        self._failed: Failed | None = None
        self._whose: str | None = None
        self._shelf: Shelf | None = None
        if cache is not None:
            from stskit.refresh.cache_access import Shelf

            self._shelf = Shelf(cache, self._source, key)
        self._outbox: Outbox | None = None
        if listener is not None:
            from stskit.refresh.events import Outbox

            self._outbox = Outbox(listener)
        self.reset_after_fork()
        reset_in_children(self)

    def __repr__(self) -> str:
        return f"Cached({self.source!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return Cached, self._recipe

    @property
    def source(self) -> Source[Credentials]:
        """What it asks, as it was given. Raises nothing."""
        return self._recipe[0]

    @property
    def identity(self) -> str | None:
        """Whose they are, as the source said when they came, else the key. Raises what the source does."""
        if self._whose is None or self._held is None:
            self._whose = self._name()
        return self._whose

    def fetch(self) -> Credentials:
        """Credentials that are good for a while. Raises what the source raises, once nothing valid is left."""
        held = self._held
        if held is not None and self._seconds() < held.fresh_until:
            return held.credentials
        return self._look_closer()

    def invalidate(self, access_key_id: str | None = None) -> None:
        """Have the next read fetch new credentials, since a service has refused these.

        *access_key_id*: those that were refused; where others are in use by now, nothing happens. None: whichever are.
        Until new ones can be had, the old ones are kept while they are valid, as after any failure. Raises nothing.
        """
        held = self._held
        if held is not None and not held.rejected and access_key_id in (None, held.credentials.access_key_id):
            held.reject()
            self._failed = None

    def to(self, sink: LiveSink[R]) -> R:
        """Attach *sink* to this, so that all that is made of it shares one set of credentials.

        Raises `TypeError` for a sink that takes credentials as a value: write ``cached.fetch().to(sink)`` for these.
        """
        return attach(sink, self)

    def reset_after_fork(self) -> None:
        """Forget whoever is refreshing: in a forked child that thread does not exist. Raises nothing."""
        self._lock = threading.Lock()
        self._holder: int | None = None  # the thread that has the lock

    def _name(self) -> str | None:
        given = getattr(self._source, "identity", None)
        return given if given and isinstance(given, str) else self._recipe[3]

    def _hop(self, recipe: Source[Credentials]) -> Cached:
        """A `Cached` of its own for the role that the source is assumed from: it belongs to this object alone."""
        _, cache, policy, key, clock, uniform, _ = self._recipe
        # What has expired is of no use to the next role, which has its own to serve; a given key is for the last alone.
        return Cached(recipe, None if key else cache, evolve(policy, on_expired="raise"), None, clock, uniform)

    def _look_closer(self) -> Credentials:
        reading = self._reading()
        if reading[0] in ("refresh", "wait"):
            reading = self._take_turn(*reading)
        try:
            return self._given(*reading)
        finally:
            if self._outbox:
                self._outbox.send()

    def _reading(self) -> Reading:
        held, failed = self._held, self._failed  # in this order, for a success forgets the failure first
        now = self._clock.now()
        valid = held is not None and held.left(now) > _NOTHING
        how = failed.pausing(self._clock.monotonic(), valid=valid) if failed else None
        step = held.step(self._policy, now, how) if held else self._policy.decide(_NOTHING, _NOTHING, 0, how)
        return step, held, failed

    def _take_turn(self, step: Step, held: Held | None, failed: Failed | None) -> Reading:
        lock = self._lock  # a forked child has another one
        if self._holder == threading.get_ident():
            if step == "wait":
                raise SourceMissing("the source of these credentials waits for them itself; give it others to use")
        elif lock.acquire(blocking=step == "wait"):
            self._holder = threading.get_ident()
            try:
                return self._refresh()
            finally:
                self._holder = None
                lock.release()
        return "use", held, failed

    def _refresh(self) -> Reading:
        step, held, failed = self._reading()
        if step in ("refresh", "wait"):  # else another thread was faster
            try:
                if self._shelf is None:
                    self._fetch_new()
                else:
                    self._shelf.renew(self._fetch_new, self._weigh)
            except Exception as error:  # noqa: BLE001 - a source is anybody's code
                return self._remember(error.with_traceback(None))
            return "use", self._held, None
        return step, held, failed

    def _fetch_new(self) -> CacheEntry:
        credentials, now = self._source.fetch(), self._clock.now()
        self._keep(Held.fetched(credentials, now, self._policy, self._uniform(0, 1)))
        return CacheEntry(credentials, now)

    def _weigh(self, entry: CacheEntry | None) -> Step:
        """What is to be done with an entry of the cache at hand; it is kept where it is better than what was."""
        held, now = self._held, self._clock.now()
        if entry is not None:
            found = Held.from_cache(entry, now, self._policy, self._uniform(0, 1), instead_of=held)
            if found is not None and (held is None or held.rejected or found.left(now) > held.left(now)):
                self._keep(held := found, from_cache=True)
        return held.step(self._policy, now) if held else "wait"

    def _keep(self, held: Held, *, from_cache: bool = False) -> None:
        self._failed = None
        self._held = held
        if self._whose is not None:  # somebody keeps others under it
            with suppress(SourceError):
                self._whose = self._name()
        if self._outbox:
            self._outbox.put("refreshed", held, from_cache=from_cache)

    def _remember(self, error: Exception) -> Reading:
        held, before, kind = self._held, self._failed, kind_of(error)
        lifetime, left = (held.lifetime, held.left(self._clock.now())) if held else (_NOTHING, _NOTHING)
        least, most = self._policy.pause(kind, valid=left > _NOTHING)
        until = self._clock.monotonic() + self._uniform(least.total_seconds(), most.total_seconds())
        self._failed = failed = Failed(error, kind, left > _NOTHING, until)
        if self._outbox:
            self._outbox.put("refresh_failed", held, error)
        if held and left > _NOTHING and kind == "sign-in" and (before is None or before.kind != kind):
            end = held.credentials.expiration
            warnings.warn(f"credentials that end at {end} cannot be renewed yet: {error}", StskitWarning, 6)
        return self._policy.fall_back(lifetime, left, kind), held, failed

    def _given(self, step: Step, held: Held | None, failed: Failed | None) -> Credentials:
        if failed and (step == "raise" or held is None):
            failed.raise_again()
        assert held is not None
        if failed and step == "serve":
            if self._outbox:
                self._outbox.put("served_stale", held, failed.error)
            warnings.warn(f"serving expired credentials, for there are no new ones: {failed.error}", StskitWarning, 4)
        return held.credentials
