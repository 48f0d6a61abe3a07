"""Keep credentials and refresh them before they expire, as a `RefreshPolicy` says.

What a read does depends on the credentials that are kept:

=================================================  ===========================================================
fresh                                              return them
in the advisory window                             one caller refreshes; the others use them
in the mandatory window, expired, refused, none    one caller refreshes; the others wait for it
pause after a failure, credentials valid           return them
pause after a failure, credentials expired         raise the error, or return them (``on_expired="serve"``)
pause after a failure, no credentials              raise the error
=================================================  ===========================================================

The caller that refreshes holds the lock. It checks the state again, because another thread may have been faster.
Without a cache it fetches from the source. With a cache:

1. If the cache has a fresh entry, it uses that entry and makes no call.
2. Otherwise it locks the entry, so that one process makes the call. If another process has the lock, a caller with
   valid credentials continues at once, and a caller without them waits for the other process.
3. It reads the cache again, and fetches from the source if there is still no fresh entry.

A failure (a `StskitError`) is kept together with its pause, and each caller gets a copy of it. Any other exception
reaches only the caller that it hit, and the next caller refreshes. The only lock between threads and the only clock of
the refresh are in this module. The lock between processes belongs to the cache.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Final, NoReturn, TypeVar
from weakref import ref

from attrs import define, evolve, field, frozen

from stskit._arguments import check_method, check_source, check_type
from stskit._io.fork import Occupied, OneAtATime, caller, lock_across_forks
from stskit._time import SystemClock, shown_time
from stskit.cache_key import anonymous_part, digest, identity_for, identity_of, optional_method, snapshot_of
from stskit.credentials import Credentials
from stskit.errors import (
    CacheWarning,
    ProofInvalid,
    SignInRequired,
    SourceError,
    SourceMissing,
    StskitError,
    prefixed,
    remove_frames,
    warn_caller,
    without_frames,
)
from stskit.protocols import (
    Cache,
    CacheEntry,
    Clock,
    LiveSink,
    RefreshEvent,
    RefreshEventKind,
    RefreshListener,
    Source,
    attach,
)
from stskit.refresh.events import EventQueue, Notice, describe_left
from stskit.refresh.policy import (
    Action,
    CachedCredentials,
    FileState,
    RefreshFailure,
    RefreshPolicy,
    file_of,
    file_state,
    is_usable,
)

__all__ = ["Cached", "RefreshPolicy"]

R = TypeVar("R")
T = TypeVar("T")

_ZERO: Final = timedelta(0)
_STALE: Final = "Could not refresh the credentials; using the expired ones."
_OLD_ENOUGH: Final = 60.0  # seconds; a service that refuses newer credentials has another reason
_BETWEEN_REFUSALS: Final = 300.0  # seconds; a service that always refuses must not cause a call for each request


@frozen
class _Options:
    """The arguments of a `Cached`, which are also its pickle."""

    source: Source[Credentials]
    cache: Cache | None
    refresh: RefreshPolicy
    key: str | None
    clock: Clock
    listener: RefreshListener | None


@frozen
class _Reading:
    """The action for one read, and the state that it was decided by.

    `held` is None only if the action is to wait or to raise. `failure` is not None if the action is to raise or serve.
    """

    action: Action
    held: CachedCredentials | None
    failure: RefreshFailure | None = None


class Cached:
    """A source that keeps the credentials of another source and refreshes them before they expire.

    Many threads share one call. It is safe across threads, signals and forks. Credentials without expiration are
    fetched once. If a role is assumed from another role, each of the two is refreshed when it needs to be. A pickle
    contains the arguments and no credentials.

    What a read does:

    - Before the advisory window, it returns the kept credentials.
    - In the advisory window, one caller refreshes and the others continue. In the mandatory window and after expiry,
      one caller refreshes and the others wait.
    - After a failure while the credentials are valid, it returns them, whatever the error code. The logger ``stskit``
      writes a warning. The next attempt comes after 300 to 600 seconds, or when they expire.
    - After a failure without valid credentials, the threads that waited get a copy of the error. The next caller tries
      again at once; later pauses are 1, 2, 4, 8 and 10 seconds. In a pause each caller gets a copy of the last error.
    - `SignInRequired` is handled like any failure, with an additional `StskitWarning`. The next attempt also comes as
      soon as the file of the source changes.
    - Any other exception, for example your own time limit, reaches only the caller that it hit.

    The AWS SDKs differ in three ways. They raise AccessDenied and some other errors while the credentials are valid.
    They return expired credentials, where `fetch` raises unless you pass ``on_expired="serve"``. Without valid
    credentials, they pause 1 to 10 seconds after the first failure.

    Args:
        source: The source of the credentials, for example an `AssumedRole`. To share the credentials of a hub role
            among many recipes, create one ``hub = Cached(AssumedRole(HUB))`` and pass it as their source.
        cache: Where credentials are searched before a call and stored after it. With a `stskit.caches.FileCache` all
            processes of a machine share one call. Defaults to none.
        refresh: When to refresh, and what to do on a failure. Defaults to ``RefreshPolicy()``.
        key: Name of the identity of the first source, instead of the source's ``identity``. You need it if the source
            has no identity and the cache outlives the process. The role with its options and the STS are always part of
            the cache key too. Defaults to the identity of the source.
        clock: The source of the time. Defaults to the system clock.
        listener: Its ``notify`` is called after each refresh, each failure, and each read of expired credentials.
            Defaults to none.

    Raises:
        SourceMissing: If the cache outlives the process, no key is given and the source has no identity, or if the key
            is empty.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import AssumedRole, Cached
        >>> cached = Cached(AssumedRole("arn:aws:iam::123456789012:role/Reports"))
        >>> cached.fetch() is cached.fetch()
        True

    https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
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
        if key == "":
            raise SourceMissing(
                "key is empty, so it does not name an identity.",
                remedy="Pass a name, or omit key.",
                cli_remedy="Pass a name, or omit --cache-key.",
                option="key",
            )
        check_method("clock", clock, "now", "a clock")
        if listener is not None:
            check_method("listener", listener, "notify", "a RefreshListener")
        self._options = _Options(source, cache, check_refresh(refresh), key, clock, listener)
        self._policy = refresh
        self._clock = clock
        self._wall_seconds = _system_seconds if isinstance(clock, SystemClock) else lambda: clock.now().timestamp()
        wrap = optional_method(source, "wrap_source")
        self._events = EventQueue(listener)
        self._source: Source[Credentials] = source if wrap is None else wrap(self._cached_parent)
        self._access = None if cache is None else _CacheAccess(cache, key)
        if self._access:
            self._access.check(self._source)
        self._held: CachedCredentials | None = None
        self._failure: RefreshFailure | None = None
        self._refused_at: float | None = None  # monotonic seconds
        self._turn = OneAtATime()
        self._refusals = lock_across_forks()

    def __repr__(self) -> str:
        return f"Cached({self.source!r})"

    def __reduce__(self) -> tuple[object, ...]:
        options = self._options
        arguments = options.source, options.cache, options.refresh, options.key, options.clock, options.listener
        return Cached, arguments

    @property
    def source(self) -> Source[Credentials]:
        """The source that was passed. Raises nothing."""
        return self._options.source

    @property
    def settings_profile(self) -> str | None:
        """The profile whose endpoint, region and CA bundle apply to calls that use these credentials.

        None if there is none. Raises nothing.
        """
        return getattr(self.source, "settings_profile", None)

    @property
    @without_frames
    def identity(self) -> str | None:
        """The cache key of the kept credentials, or of the source if there are none yet.

        A `key` replaces the identity of the first source. Raises what the source raises.
        """
        held = self._held
        return self._identity_of(held.origin if held else self._source)

    def identity_for(self, name: str, /) -> str | None:
        """Return the cache key if *name* stands for the identity of the first source.

        Args:
            name: Name of the identity. A `key` takes precedence.

        Returns:
            The cache key, or None if there can be none. Raises nothing.
        """
        return identity_for(self._source, self._options.key or name)

    def anonymous_part(self) -> object | None:
        """Return the part of the source that has no identity, so that there is no cache key.

        Returns:
            The part, or None if each part has an identity or there is a `key`. Raises nothing.
        """
        return None if self._options.key else anonymous_part(self._source)

    def snapshot(self) -> Source[Credentials]:
        """Return a source whose identity belongs to the credentials that it fetches from this object.

        Returns:
            A source.

        Raises:
            SourceError: If the source cannot be read.
        """
        held = self._held
        if held is not None and self._action_now() == "use":
            return _Snapshot(self, self._identity_of, self._fetch_slow, held.origin)
        source = snapshot_of(self._source)
        return _Snapshot(self, self._identity_of, partial(self._fetch_slow, source), source)

    @property
    def in_hand(self) -> Credentials | None:
        """The kept credentials, which may have expired. None before the first refresh. Fetches and raises nothing."""
        held = self._held
        return None if held is None else held.credentials

    @property
    def is_fresh(self) -> bool:
        """Whether a read returns the kept credentials without a refresh. Raises nothing."""
        held = self._held
        return (
            held is not None
            and self._wall_seconds() < held.fresh_until
            and self._clock.monotonic() < held.fresh_until_monotonic
        )

    @property
    def time_left(self) -> timedelta:
        """How long the kept credentials can be used. Zero or less if there are none, or if a service refused them.

        The wall clock and the monotonic clock are compared, and the shorter time is returned. `timedelta.max` stands
        for credentials that do not expire. Raises nothing.
        """
        held = self._held
        return _ZERO if held is None or held.rejected else self._left()

    @property
    def clock(self) -> Clock:
        """The clock that was passed. Raises nothing."""
        return self._options.clock

    def fetch(self) -> Credentials:
        """Return valid credentials, after a refresh if it is needed.

        Returns:
            The credentials. Fetch again when you need them the next time, and do not keep them.

        Raises:
            StskitError: If the refresh failed and there are no valid credentials. Each caller gets its own copy.
        """
        held = self._held
        if (
            held is not None
            and self._wall_seconds() < held.fresh_until
            and self._clock.monotonic() < held.fresh_until_monotonic
        ):
            return held.credentials
        try:
            return self._fetch_slow().credentials
        except BaseException as error:  # a decorator would cost each read another call
            remove_frames(error)
            raise

    def invalidate(self, access_key_id: str | None = None) -> None:
        """Make the next read fetch new credentials, because a service refused the kept ones.

        The old credentials stay in use while they are valid and no new ones can be fetched. A pause after a failure
        ends, once for each key. Raises nothing.

        Args:
            access_key_id: Access key ID that was refused. If other credentials are in use now, nothing happens.
                Defaults to the kept credentials.
        """
        held = self._held
        if held is not None and not held.rejected and access_key_id in (None, held.credentials.access_key_id):
            held.reject()
            self._failure = None

    def replace_refused(self, access_key_id: str) -> bool:
        """Fetch new credentials because a service refused a key, and return whether there are other ones now.

        Only credentials that are older than a minute are fetched again, at most once in 5 minutes for all threads. If
        other credentials are in use already, nothing is fetched. Credentials with the same key ID and another session
        token are other credentials.

        Args:
            access_key_id: Access key ID that was refused.

        Returns:
            Whether there are other credentials now. False if the source failed with a `StskitError`. Raises nothing of
            its own.
        """
        held = self._held
        if held is None:
            return False
        is_held = held.credentials.access_key_id == access_key_id
        if is_held and not self._act_upon_refusal(held):
            return False
        try:
            new = self.fetch()
        except StskitError:
            return False
        return not held.has_keys_of(new) if is_held else new.access_key_id != access_key_id

    @without_frames
    def to(self, sink: LiveSink[R]) -> R:
        """Attach a sink. Everything that it makes shares these credentials.

        Args:
            sink: A sink that refreshes, for example ``Boto3Session()``.

        Returns:
            What the sink's ``attach`` returns.

        Raises:
            TypeError: If the sink only takes fixed credentials. Write ``cached.fetch().to(sink)`` for those.
            SinkError: If the sink refuses.
        """
        return attach(sink, self)

    def _act_upon_refusal(self, held: CachedCredentials) -> bool:
        """Invalidate refused credentials if the limits allow it, and return whether they are invalid now."""
        now = self._clock.monotonic()
        with self._refusals:
            if not held.rejected:
                if now - held.since < _OLD_ENOUGH:
                    return False
                if self._refused_at is not None and 0 <= now - self._refused_at < _BETWEEN_REFUSALS:
                    return False
                self._refused_at = now
                self.invalidate(held.credentials.access_key_id)
        return True

    def _identity_of(self, source: object) -> str | None:
        key = self._options.key
        return identity_of(source) if key is None else identity_for(source, key)

    def _cached_parent(self, parent: Source[Credentials]) -> Cached:
        """Return a `Cached` for the role that the source is assumed from. Only this object uses it."""
        options = self._options
        # If the parent cannot be refreshed, the expired credentials of this object are used, not the parent's.
        refresh = evolve(options.refresh, on_expired="raise")
        cached = Cached(parent, options.cache, refresh, options.key, options.clock)
        cached._send_events_by(self._events)  # it refreshes while this object holds its lock
        return cached

    def _send_events_by(self, outer: EventQueue) -> None:
        self._events = EventQueue(None, outer)

    # One read ---------------------------------------------------------------------------------------------------

    def _fetch_slow(self, source: Source[Credentials] | None = None) -> CachedCredentials:
        """Return the credentials to use now. *source* is the snapshot to fetch from; by default one is taken."""
        try:
            reading = self._assess()
            if reading.action in ("refresh", "wait"):
                reading = self._refresh_or_wait(reading, source)
            return self._resolve(reading)
        finally:
            self._events.send()

    def _assess(self) -> _Reading:
        held, failure = self._held, self._failure  # in this order, because a success clears the failure first
        now, monotonic = self._clock.now(), self._clock.monotonic()
        left = held.left(now, monotonic) if held else _ZERO
        pausing = failure is not None and failure.pausing(monotonic, valid=left > _ZERO, path=file_of(self._source))
        if held is None:
            return _Reading(self._policy.decide(_ZERO, _ZERO, 0, pausing=pausing), None, failure)
        return _Reading(held.action(self._policy, left, pausing=pausing), held, failure)

    def _refresh_or_wait(self, reading: _Reading, source: Source[Credentials] | None) -> _Reading:
        work = partial(self._refresh, reading, source)
        outcome = self._turn.run(work, wait=reading.action == "wait")
        if outcome is Occupied.BY_ANOTHER_THREAD and self._left() <= _ZERO:  # the credentials expired in the meantime
            outcome = self._turn.run(work, wait=True)
        if isinstance(outcome, _Reading):
            return outcome
        if self._left() <= _ZERO:
            raise _unavailable_while_refreshing(outcome)
        return evolve(reading, action="use")

    def _resolve(self, reading: _Reading) -> CachedCredentials:
        held, failure = reading.held, reading.failure
        if failure and (reading.action == "raise" or held is None):
            _raise_copy(failure.error)
        assert held is not None
        if failure and reading.action == "serve":
            warning = "" if failure.is_warned_of else f"{_STALE} {failure.error}"
            failure.is_warned_of = True
            self._events.add(Notice(self._event("served_stale", held.credentials, str(failure.error)), "", warning))
        return held

    def _left(self) -> timedelta:
        held = self._held
        return held.left(self._clock.now(), self._clock.monotonic()) if held else _ZERO

    # One refresh, by the caller that has the lock ------------------------------------------------------------------

    def _refresh(self, before: _Reading, source: Source[Credentials] | None) -> _Reading:
        """Refresh, unless another caller did so or failed after the reading *before*."""
        reading = self._assess()
        if reading.action not in ("refresh", "wait"):
            return reading
        held, failure = reading.held, reading.failure
        if failure is not None and failure is not before.failure:  # this caller waited for that attempt
            return evolve(reading, action=self._policy.after_failure(held.lifetime if held else _ZERO, self._left()))
        file, started = file_state(file_of(self._source)), self._clock.monotonic()
        try:
            self._renew(snapshot_of(self._source) if source is None else source, started)
        except StskitError as error:
            return self._record_failure(prefixed(error, ""), file, started)
        except Exception as error:
            self._add_failure(type(error).__name__, started)  # its text may contain a secret
            raise
        return _Reading("use", self._held)

    def _renew(self, source: Source[Credentials], started: float) -> None:
        """Use a fresh entry of the cache, fetch from *source*, or leave that to another process.

        *source* is a snapshot, so that the key and the credentials belong to the same proof.
        """
        access = self._access
        if access is None:
            self._fetch_new(source, started)
            return
        key = access.key(source)
        self._keep_if_better(access.get(key), source, started)
        action = self._action_now()
        if action != "use":
            work = partial(self._renew_alone, access, key, source, action, started)
            access.run_exclusive(key, work, wait=action == "wait")

    def _renew_alone(
        self,
        access: _CacheAccess,
        key: str,
        source: Source[Credentials],
        action: Action,
        started: float,
        alone: bool,
    ) -> None:
        if not alone and action == "refresh":
            return  # another process is making the call, and the credentials in hand are valid
        self._keep_if_better(access.get(key), source, started)
        if self._action_now() != "use":
            access.put(key, self._fetch_new(source, started), source)

    def _fetch_new(self, source: Source[Credentials], started: float) -> CacheEntry:
        credentials, now, monotonic = source.fetch(), self._clock.now(), self._clock.monotonic()
        new = CachedCredentials.fetched(credentials, now, monotonic, self._policy, _uniform(0, 1))
        held = self._held
        if held and held.rejected and held.has_keys_of(credentials):
            raise ProofInvalid(
                f"The source returned the access key {credentials.access_key_id} again, which a service refused.",
                remedy="Replace the key where it is stored.",
                option="source",
            )
        self._keep(new, source, started)
        return CacheEntry(credentials, now)

    def _keep_if_better(self, entry: CacheEntry | None, source: Source[Credentials], started: float) -> None:
        """Keep an entry of the cache if it is usable and valid for longer than the kept credentials."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        held = self._held
        if entry and is_usable(entry, now) and (held is None or held.is_replaced_by(entry, now, monotonic)):
            found = CachedCredentials.of(entry, now, monotonic, self._policy, _uniform(0, 1))
            self._keep(found, source, started, cached=True)

    def _action_now(self) -> Action:
        return self._held.action(self._policy, self._left()) if self._held else "wait"

    def _keep(self, held: CachedCredentials, origin: object, started: float, *, cached: bool = False) -> None:
        how = "Fetched the credentials" if self._held is None else "Refreshed the credentials"
        if cached:
            how = "Found credentials in the cache"
        self._failure = None
        held.origin = origin
        self._held = held
        event = self._event("refreshed", held.credentials, started=started, from_cache=cached)
        self._events.add(Notice(event, f"{how} of {self._name(held.credentials)}: {describe_left(self._left())}."))

    def _record_failure(self, error: StskitError, file: FileState, started: float) -> _Reading:
        held, before, left = self._held, self._failure, self._left()
        valid = left > _ZERO
        failures = before.failures + 1 if before and before.while_valid == valid else 1
        pause = _uniform(*self._policy.pause(failures, valid=valid))
        self._failure = failure = RefreshFailure(error, failures, valid, self._clock.monotonic(), pause, file)
        warned = before is not None and isinstance(before.error, SignInRequired)
        self._add_failure(str(error), started, warn=valid and isinstance(error, SignInRequired) and not warned)
        return _Reading(self._policy.after_failure(held.lifetime if held else _ZERO, left), held, failure)

    def _add_failure(self, error: str, started: float, *, warn: bool = False) -> None:
        held = self.in_hand
        left = describe_left(self._left() if held else None)
        log = f"Could not refresh the credentials of {self._name(held)} ({left}): {error}"
        until = f", which expire at {shown_time(held.expiration)}," if held and held.expiration else ""
        warning = f"The credentials{until} cannot be refreshed: {error}" if warn else ""
        event = self._event("refresh_failed", held, error, started=started)
        self._events.add(Notice(event, log, warning))

    def _event(
        self,
        kind: RefreshEventKind,
        credentials: Credentials | None,
        error: str | None = None,
        *,
        started: float | None = None,
        from_cache: bool = False,
    ) -> RefreshEvent:
        key_id, expiration = (credentials.access_key_id, credentials.expiration) if credentials else (None, None)
        seconds = None if started is None else self._clock.monotonic() - started
        return RefreshEvent(kind, key_id, expiration, error, from_cache, self._role_arn, seconds)

    @property
    def _role_arn(self) -> str | None:
        arn = getattr(getattr(self._options.source, "role", None), "arn", None)
        return arn if isinstance(arn, str) else None

    def _name(self, credentials: Credentials | None) -> str:
        """Return the role and the account for the log."""
        arn = self._role_arn or (credentials and credentials.assumed_role_arn)
        account = credentials.account_id if credentials else None
        return " in account ".join(filter(None, (arn or type(self.source).__name__, account)))


@define(eq=False)
class _Snapshot:
    """A `Cached` with the identity that belongs to the credentials that it returns."""

    cached: Cached
    identity_of: Callable[[object], str | None]
    fetch_held: Callable[[], CachedCredentials]
    origin: object

    @property
    def identity(self) -> str | None:
        return self.identity_of(self.origin)

    def identity_for(self, name: str, /) -> str | None:
        return self.cached.identity_for(name)

    def replace_refused(self, access_key_id: str) -> bool:
        return self.cached.replace_refused(access_key_id)

    def fetch(self) -> Credentials:
        held = self.fetch_held()
        self.origin = held.origin
        return held.credentials


@frozen(eq=False)
class _Lock:
    """A lock of a cache that a running refresh holds or waits for, its holder, and the lock around it."""

    cache: Cache
    key: str
    outer: _Lock | None
    holder: object = field(factory=caller)


class _Innermost(threading.local):
    """The innermost lock of this thread. It is a weak reference, so that it vanishes if a signal handler raises."""

    reference: ref[_Lock] | None = None


_innermost: Final = _Innermost()


def _lock_in_use() -> _Lock | None:
    reference = _innermost.reference
    return None if reference is None else reference()


def _is_locked(cache: Cache, key: str) -> bool:
    """Return whether a refresh of this caller has that lock already, so that it would wait for itself."""
    lock = _lock_in_use()
    while lock is not None:
        if lock.key == key and lock.holder == caller() and (lock.cache is cache or lock.cache == cache):
            return True
        lock = lock.outer
    return False


@frozen
class _CacheAccess:
    """The access to a cache for the credentials of one source.

    The cache key is made from the identity of the source. `given_key` can replace the identity of the first source.
    Raises `TypeError` for an object that is not a cache.
    """

    cache: Cache
    given_key: str | None
    # for a source without an identity; no other object has the same key
    _unique_fallback_key: str = field(init=False, factory=lambda: f"unnamed-{os.urandom(16).hex()}")

    def __attrs_post_init__(self) -> None:
        hint = "Did you mean FileCache(folder)?" if isinstance(self.cache, str | os.PathLike) else ""
        check_method("cache", self.cache, "exclusive", "a cache", hint)

    def check(self, source: Source[Credentials]) -> None:
        """Raise `SourceMissing` if the cache outlives the process and the source has no identity."""
        nameless: object | None = None
        with suppress(SourceError):  # the fetch raises it again
            nameless = None if self.given_key else anonymous_part(source)
        if nameless is not None:
            self._unnamed(type(nameless).__name__)

    def key(self, source: Source[Credentials]) -> str:
        """Return the cache key for the credentials of a source. Raises as `check`."""
        identity = identity_of(source) if self.given_key is None else identity_for(source, self.given_key)
        return self._unnamed(type(source).__name__) if identity is None else digest("entry", identity)

    def _unnamed(self, name: str) -> str:
        if getattr(self.cache, "persistent", True):
            raise SourceMissing(
                f"{name} does not say whose credentials it returns, so another user could get them from a cache that "
                "outlives the process.",
                remedy="Add an attribute identity to your source, or name the identity: "
                "Cached(AssumedRole(...), cache, key=...).",
                cli_remedy="Choose a name for the identity, and add --cache-key NAME.",
                option="key",
            )
        return self._unique_fallback_key

    def get(self, key: str) -> CacheEntry | None:
        """Return the entry for *key*, or None."""
        with self._warn_on_error():
            found: object = self.cache.get(key)
            if found is None or isinstance(found, CacheEntry):
                return found
            self._warn(f"returned {type(found).__name__} instead of a CacheEntry")
        return None

    def put(self, key: str, entry: CacheEntry, source: Source[Credentials]) -> None:
        """Store *entry*, unless the source has another proof now than when *key* was made."""
        if entry.credentials.expiration is None:  # long-term keys do not belong in a cache
            return
        with suppress(SourceError):  # the identity is unknown now
            if self.key(source) == key:
                with self._warn_on_error():
                    self.cache.put(key, entry)

    def run_exclusive(self, key: str, work: Callable[[bool], None], *, wait: bool) -> None:
        """Run *work* with the cache's lock for *key*, and pass whether the lock is held.

        If the cache fails, *work* runs anyway. The ``with`` of this frame acquires the lock, so that a signal handler
        cannot leave it locked.
        """
        if _is_locked(self.cache, key):  # the source reads the same entry again
            return work(True)
        lock = _Lock(self.cache, key, _lock_in_use())
        _innermost.reference = ref(lock)
        failed: list[BaseException] = []  # exceptions of the work, not of the cache
        try:
            with (
                self._warn_on_error(unless=lambda error: error in failed),
                self.cache.exclusive(key, wait=wait) as alone,
            ):
                try:
                    return work(alone)
                except BaseException as error:
                    failed.append(error)
                    raise
            if failed:
                raise failed[0]  # the cache also failed when it released the lock
        finally:
            failed.clear()  # its traceback refers to this frame
            _innermost.reference = None if lock.outer is None else ref(lock.outer)
        return work(True)

    @contextmanager
    def _warn_on_error(self, unless: Callable[[Exception], bool] = lambda _: False) -> Iterator[None]:
        """Turn an exception of the cache into a warning, because a broken cache must not stop a refresh."""
        try:
            yield
        except Exception as error:
            if unless(error):
                raise
            self._warn(f"failed with {type(error).__name__}")

    def _warn(self, problem: str) -> None:
        text = f"{type(self.cache).__name__} {problem}. The cache is not used for this refresh. Correct its code."
        warn_caller(text, CacheWarning)


def check_refresh(refresh: RefreshPolicy) -> RefreshPolicy:
    """Return *refresh*, or raise `TypeError` if it is not a `RefreshPolicy`."""
    hint = "A session policy of IAM belongs to the role: Role(arn, policy=...)."
    check_type("refresh", refresh, RefreshPolicy, "a RefreshPolicy", hint)
    return refresh


def _uniform(least: float, most: float) -> float:
    import random  # imported here, because it is slow and most programs do not need it

    return random.uniform(least, most)


def _system_seconds() -> float:
    return time.time()  # looked up at each use, because a test may replace it


def _unavailable_while_refreshing(why: Occupied) -> SourceMissing:
    if why is Occupied.BY_ANOTHER_GREENLET:
        return SourceMissing(
            "Another greenlet of this thread is fetching these credentials. This greenlet cannot wait for it, because "
            "threads are not patched and gevent is not loaded.",
            remedy="Patch threads, or fetch the credentials once before you start the greenlets.",
        )
    return SourceMissing(
        "The source of these credentials needs the same credentials, so it would wait for itself.",
        remedy="Pass the source other credentials.",
    )


def _raise_copy(error: StskitError) -> NoReturn:
    """Raise a copy of *error* without context, so that no two callers share one exception."""
    copy = prefixed(error, "")
    try:
        raise copy
    finally:
        copy.__context__ = None
        del copy
