"""`Cached`: credentials that are fetched again before they expire, as `RefreshPolicy` says.

What a read does depends on the credentials in hand:

=================================================  ===========================================================
fresh                                              use them
in the advisory window                             one caller refreshes; the others use them
in the mandatory window, expired, refused, none    one caller refreshes; the others wait for it
pause after a failure, credentials valid           use them (raise the error if trying again will not help)
pause after a failure, credentials expired         raise the error, or serve them (``on_expired="serve"``)
pause after a failure, none                        raise the error
=================================================  ===========================================================

The one caller that refreshes holds the lock. It looks again, because another thread may have been faster. Without a
cache it fetches from the source. With a cache:

1. A fresh entry of the cache is used; no call is made.
2. Else it locks the entry, so that one process makes the call. If another process has the lock, it goes on with valid
   credentials at once, and waits for the other process only if it must have new ones.
3. It looks into the cache once more, and fetches from the source if there is still no fresh entry.

A failure is kept with its pause. The only lock between threads and the only clock of the refresh are in this module;
the lock between processes is the cache's.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Final, NoReturn, TypeVar

from attrs import evolve, field, frozen

from stskit._arguments import check_method, check_source, check_type
from stskit._io.fork import reset_in_children
from stskit._time import SystemClock
from stskit.cache_key import identity_of
from stskit.credentials import Credentials
from stskit.errors import (
    CacheWarning,
    SourceError,
    SourceMissing,
    StskitError,
    StskitWarning,
    remove_frames,
    without_frames,
)
from stskit.protocols import Cache, CacheEntry, Clock, LiveSink, RefreshListener, Source, attach
from stskit.refresh.events import EventQueue
from stskit.refresh.policy import (
    Action,
    CachedCredentials,
    RefreshFailure,
    RefreshPolicy,
    failure_kind,
    is_usable,
)

__all__ = ["Cached", "RefreshPolicy"]

R = TypeVar("R")

_ZERO: Final = timedelta(0)


@frozen
class _Options:
    """The arguments of a `Cached`: all that its pickle holds."""

    source: Source[Credentials]
    cache: Cache | None
    refresh: RefreshPolicy
    key: str | None
    clock: Clock
    listener: RefreshListener | None


@frozen
class _Reading:
    """What to do at a read, and what it was decided by.

    `held` is there unless the action is to wait or to raise; `failure` is there if it is to raise or to serve.
    """

    action: Action
    held: CachedCredentials | None
    failure: RefreshFailure | None = None


class Cached:
    """A source of credentials that asks *source* only when it has to; safe across threads and forks.

    However many threads read, one call is under way at a time. A failed refresh keeps credentials that are still
    valid, and is not repeated for a while; where STS says that trying again will not help, the error is raised at once.
    Credentials without expiration are fetched once. Where a role is assumed from another one, each is refreshed on its
    own. To share the credentials of a hub role among many recipes, make one ``hub = Cached(AssumedRole(HUB))`` and pass
    it as their source.

    `cache`: where credentials are looked for before a call, and put after it: with `stskit.caches.FileCache` all
    processes of a machine share one call. `key`: where in it. Defaults to the role and each of its options, region and
    endpoint, and the ``identity`` of the source. `refresh`: when to refresh. `clock`: the source of the time.
    `listener`: is notified of refreshes.

    Where the source needs a person (`SignInRequired`: the SAML assertion has ended, an MFA code is asked for), a
    warning says so while the credentials are still valid, the source is asked again at every use, since that costs no
    call, and once they have expired the error is raised, whatever `on_expired` says.

    It pickles as the recipe it is, without credentials. Raises `SourceMissing` where the cache outlives the process,
    no key is given, and the source does not say whose credentials it gives, and `TypeError` for an argument of the
    wrong type.
    """

    @without_frames
    def __init__(
        self,
        source: Source[Credentials],
        cache: Cache | None = None,
        refresh: RefreshPolicy = RefreshPolicy(),
        key: str | None = None,
        clock: Clock = SystemClock(),
        listener: RefreshListener | None = None,
    ) -> None:
        check_source("source", source)
        check_type("key", key, (str, type(None)), "text or None")
        check_method("clock", clock, "now", "a clock")
        self._options = _Options(source, cache, check_refresh(refresh), key, clock, listener)
        self._policy = refresh
        self._clock = clock
        self._wall_seconds = time.time if isinstance(clock, SystemClock) else lambda: clock.now().timestamp()
        wrap = getattr(source, "wrap_source", None)
        self._source: Source[Credentials] = source if wrap is None else wrap(self._cached_parent)
        self._access = None if cache is None else _CacheAccess(cache, self._source, key)
        self._events = EventQueue(listener)
        self._held: CachedCredentials | None = None
        self._failure: RefreshFailure | None = None
        self._identity: str | None = None
        self.reset_after_fork()
        reset_in_children(self)

    def __repr__(self) -> str:
        return f"Cached({self.source!r})"

    def __reduce__(self) -> tuple[object, ...]:
        given = self._options
        return Cached, (given.source, given.cache, given.refresh, given.key, given.clock, given.listener)

    @property
    def source(self) -> Source[Credentials]:
        """The source that it was made from. Raises nothing."""
        return self._options.source

    @property
    @without_frames
    def identity(self) -> str | None:
        """Whose credentials these are, as the source said when they came, else the key. Raises what the source does."""
        if self._identity is None or self._held is None:
            self._identity = self._identity_now()
        return self._identity

    def fetch(self) -> Credentials:
        """Credentials that are valid for a while. Raises what the source raises, once nothing valid is left."""
        held = self._held
        if held is not None and self._wall_seconds() < held.fresh_until:
            return held.credentials
        try:
            return self._fetch_slow()
        except BaseException as error:  # `without_frames` would cost each read a call
            remove_frames(error)
            raise

    def invalidate(self, access_key_id: str | None = None) -> None:
        """Have the next read fetch new credentials, because a service has refused these.

        *access_key_id*: those that were refused; where others are in use by now, nothing happens. Defaults to whichever
        are in use. Until new ones can be fetched, the old ones are kept while they are valid, as after any failure.
        Raises nothing.
        """
        held = self._held
        if held is not None and not held.rejected and access_key_id in (None, held.credentials.access_key_id):
            held.reject()
            self._failure = None

    @without_frames
    def to(self, sink: LiveSink[R]) -> R:
        """Attach *sink* to this, so that all that is made of it shares one set of credentials.

        Raises `TypeError` for a sink that takes credentials as a value: write ``cached.fetch().to(sink)`` for these.
        """
        return attach(sink, self)

    def reset_after_fork(self) -> None:
        """Forget a refresh that is under way: in a forked child its thread does not exist. Raises nothing."""
        self._lock = threading.Lock()
        self._refreshing: int | None = None  # the thread that has the lock

    def _identity_now(self) -> str | None:
        return identity_of(self._source) or self._options.key

    def _cached_parent(self, parent: Source[Credentials]) -> Cached:
        """Return a `Cached` for the role that the source is assumed from; it belongs to this object alone."""
        given = self._options
        # The next role has expired credentials of its own to serve, and a key names the last role only.
        refresh = evolve(given.refresh, on_expired="raise")
        return Cached(parent, None if given.key else given.cache, refresh, clock=given.clock)

    # One read ---------------------------------------------------------------------------------------------------

    def _fetch_slow(self) -> Credentials:
        reading = self._assess()
        if reading.action in ("refresh", "wait"):
            reading = self._refresh_or_wait(reading)
        try:
            return self._resolve(reading)
        finally:
            self._events.send()

    def _assess(self) -> _Reading:
        held, failure = self._held, self._failure  # in this order, because a success forgets the failure first
        now = self._clock.now()
        valid = held is not None and held.left(now) > _ZERO
        failed = failure.pausing(self._clock.monotonic(), valid=valid) if failure else None
        action = held.action(self._policy, now, failed) if held else self._policy.decide(_ZERO, _ZERO, 0, failed)
        return _Reading(action, held, failure)

    def _refresh_or_wait(self, reading: _Reading) -> _Reading:
        lock = self._lock  # a forked child has another one
        if self._refreshing == threading.get_ident():
            if reading.action == "wait":
                raise SourceMissing(
                    "the source of these credentials waits for them itself", remedy="give it others to use"
                )
        elif lock.acquire(blocking=reading.action == "wait"):
            self._refreshing = threading.get_ident()
            try:
                return self._refresh()
            finally:
                self._refreshing = None
                lock.release()
        return evolve(reading, action="use")

    def _resolve(self, reading: _Reading) -> Credentials:
        held, failure = reading.held, reading.failure
        if failure and (reading.action == "raise" or held is None):
            _raise_again(failure.error)
        assert held is not None
        if failure and reading.action == "serve":
            self._events.add("served_stale", held.credentials, failure.error)
            error = failure.error  # the text of an error that is not stskit's may hold a secret
            text = str(error) if isinstance(error, StskitError) else type(error).__name__
            warnings.warn(f"serving expired credentials, for there are no new ones: {text}", StskitWarning, 4)
        return held.credentials

    # One refresh, by the caller that has the lock ------------------------------------------------------------------

    def _refresh(self) -> _Reading:
        reading = self._assess()
        if reading.action not in ("refresh", "wait"):  # another thread was faster
            return reading
        try:
            self._renew()
        except Exception as error:  # noqa: BLE001 - a source is a third party's code
            return self._record_failure(error.with_traceback(None))
        return _Reading("use", self._held)

    def _renew(self) -> None:
        """Keep a fresh entry of the cache, or fetch from the source, or leave that to another process."""
        access = self._access
        if access is None:
            self._fetch_new()
            return
        key = access.key()
        self._keep_if_better(access.get(key))
        action = self._action_now()
        if action == "use":
            return
        with access.exclusive(key, wait=action == "wait") as alone:
            if not alone and action == "refresh":
                return  # another process is making the call, and the credentials in hand are valid
            self._keep_if_better(access.get(key))
            if self._action_now() != "use":
                access.put(key, self._fetch_new())

    def _fetch_new(self) -> CacheEntry:
        credentials, now = self._source.fetch(), self._clock.now()
        self._keep(CachedCredentials.fetched(credentials, now, self._policy, _uniform(0, 1)))
        return CacheEntry(credentials, now)

    def _keep_if_better(self, entry: CacheEntry | None) -> None:
        """Keep *entry* of the cache if it is usable and valid for longer than the credentials in hand."""
        now = self._clock.now()
        held = self._held
        if entry and is_usable(entry, now) and (held is None or held.is_replaced_by(entry, now)):
            found = CachedCredentials.since(entry.credentials, entry.since, self._policy, _uniform(0, 1))
            self._keep(found, from_cache=True)

    def _action_now(self) -> Action:
        return self._held.action(self._policy, self._clock.now()) if self._held else "wait"

    def _keep(self, held: CachedCredentials, *, from_cache: bool = False) -> None:
        self._failure = None
        self._held = held
        if self._identity is not None:  # a cache keeps other credentials under it
            with suppress(SourceError):
                self._identity = self._identity_now()
        self._events.add("refreshed", held.credentials, from_cache=from_cache)

    def _record_failure(self, error: Exception) -> _Reading:
        held, before, kind = self._held, self._failure, failure_kind(error)
        lifetime, left = (held.lifetime, held.left(self._clock.now())) if held else (_ZERO, _ZERO)
        shortest, longest = self._policy.pause(kind, valid=left > _ZERO)
        until = self._clock.monotonic() + _uniform(shortest.total_seconds(), longest.total_seconds())
        self._failure = failure = RefreshFailure(error, kind, left > _ZERO, until)
        self._events.add("refresh_failed", held.credentials if held else None, error)
        if held and left > _ZERO and kind == "sign-in" and (before is None or before.kind != kind):
            end = held.credentials.expiration
            warnings.warn(f"credentials that end at {end} cannot be renewed yet: {error}", StskitWarning, 6)
        return _Reading(self._policy.after_failure(lifetime, left, kind), held, failure)


@frozen
class _CacheAccess:
    """The place in a cache for the credentials of one source: under the key that is given, else by its identity.

    Raises `SourceMissing` where the cache outlives the process and neither is known, and `TypeError` for an object
    that is not a cache.
    """

    cache: Cache
    source: object
    given_key: str | None
    # for a source that does not say whose credentials it returns: nobody else can have the same key
    _unique_fallback_key: str = field(init=False, factory=lambda: f"unnamed-{os.urandom(16).hex()}")

    def __attrs_post_init__(self) -> None:
        hint = "Did you mean FileCache(folder)?" if isinstance(self.cache, str | os.PathLike) else ""
        check_method("cache", self.cache, "exclusive", "a cache", hint)
        try:
            name = self._name()
        except SourceError:  # it is raised again when the credentials are fetched
            return
        self._require(name)

    def key(self) -> str:
        """Return the key, by whose credentials the source returns at this time."""
        return self._require(self._name())

    def _name(self) -> str | None:
        return self.given_key or identity_of(self.source)

    def _require(self, name: str | None) -> str:
        if name is None and getattr(self.cache, "persistent", True):
            raise SourceMissing(
                f"{type(self.source).__name__} does not say whose credentials it gives, and in a cache that outlives "
                "the process they could be taken for another user's",
                remedy="name them: Cached(source, cache, key=...), or give what is behind them an attribute identity",
            )
        return name or self._unique_fallback_key

    def get(self, key: str) -> CacheEntry | None:
        """Return the entry for *key*, if there is one."""
        with self._warn_on_error():
            return self.cache.get(key)
        return None

    def put(self, key: str, entry: CacheEntry) -> None:
        """Keep *entry*, unless the source returns somebody else's credentials by now."""
        if entry.credentials.expiration is None:  # long-term keys have their own place
            return
        with suppress(SourceError):  # then it cannot be known whose these are
            if self.key() == key:
                with self._warn_on_error():
                    self.cache.put(key, entry)

    @contextmanager
    def exclusive(self, key: str, *, wait: bool) -> Iterator[bool]:
        """Hold the cache's lock for *key*; gives whether it is held, which is assumed where the cache fails."""
        with ExitStack() as stack:
            alone = True
            with self._warn_on_error():
                alone = stack.enter_context(self.cache.exclusive(key, wait=wait))
            yield alone

    @contextmanager
    def _warn_on_error(self) -> Iterator[None]:
        """A cache is a third party's code, and costs no caller its credentials."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            text = f"{type(self.cache).__name__} failed with {type(error).__name__}, and is not used; mend it"
            warnings.warn(text, CacheWarning, 2)


def check_refresh(refresh: RefreshPolicy) -> RefreshPolicy:
    """Return *refresh*. Raises `TypeError` where it is not a `RefreshPolicy`: IAM policies belong to the role."""
    hint = "A session policy of IAM belongs to the role: Role(arn, policy=...)."
    check_type("refresh", refresh, RefreshPolicy, "a RefreshPolicy", hint)
    return refresh


def _uniform(least: float, most: float) -> float:
    import random  # slow to import, and few programs get here

    return random.uniform(least, most)


def _raise_again(error: Exception) -> NoReturn:
    """Raise *error*, perhaps for the thousandth time, without earlier tracebacks and what the caller was handling."""
    try:
        raise error.with_traceback(None)
    finally:
        error.__context__ = None
