"""`Cached`: credentials that are fetched again before they expire, as `RefreshPolicy` says.

What a read does depends on the credentials in hand:

=================================================  ===========================================================
fresh                                              use them
in the advisory window                             one caller refreshes; the others use them
in the mandatory window, expired, refused, none    one caller refreshes; the others wait for it
pause after a failure, credentials valid           use them
pause after a failure, credentials expired         raise the error, or serve them (``on_expired="serve"``)
pause after a failure, none                        raise the error
=================================================  ===========================================================

The one caller that refreshes holds the lock. It looks again, because another thread may have been faster. Without a
cache it fetches from the source. With a cache:

1. A fresh entry of the cache is used; no call is made.
2. Else it locks the entry, so that one process makes the call. If another process has the lock, it goes on with valid
   credentials at once, and waits for the other process only if it must have new ones.
3. It looks into the cache once more, and fetches from the source if there is still no fresh entry.

A failure (a `StskitError`) is kept with its pause, and each caller gets a copy of it. Every other exception reaches the
caller that it hit, is not kept, and leaves the next caller to refresh. The only lock between threads and the only clock
of the refresh are in this module; the lock between processes is the cache's.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Final, NoReturn, TypeVar
from weakref import ref

from attrs import define, evolve, field, frozen

from stskit._arguments import check_method, check_source, check_type
from stskit._io.fork import Occupied, OneAtATime, caller, lock_across_forks
from stskit._time import SystemClock
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
_OLD_ENOUGH: Final = 60.0  # seconds: a service that refuses newer credentials does so for another reason
_BETWEEN_REFUSALS: Final = 300.0  # seconds: a service that always refuses must not cost a call for each request


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
    """A source of credentials that asks *source* only when it has to; safe across threads, signals and forks.

    However many threads read, one call is under way at a time. Credentials without expiration are fetched once.

    `source`: whose credentials to keep. Where a role is assumed from another one, each is refreshed on its own. To
    share the credentials of a hub role among many recipes, make one ``hub = Cached(AssumedRole(HUB))`` and pass it as
    their source. `cache`: where credentials are looked for before a call, and put after it. With
    `stskit.caches.FileCache` all processes of a machine share one call. Defaults to none. `refresh`: when to refresh.
    `key`: a name for whose proof it is that the source starts from, in place of the source's ``identity``. The role,
    each of its options and the STS are part of the place in the cache all the same. You need it where the source
    cannot say whose proof it is and the cache outlives the process. `clock`: the source of the time. `listener`: its
    ``notify`` is called after each refresh, each failure, and each read of expired credentials.

    What happens at a read:

    - Before the advisory window, the credentials in hand are returned.
    - In the advisory window one caller fetches and the others go on. In the mandatory window, and after expiry, one
      caller fetches and the others wait.
    - A failure while the credentials are valid, whatever the code: they are returned, the logger ``stskit`` says so at
      WARNING, and the next try comes after 300 to 600 seconds or when they expire.
    - A failure with nothing valid in hand: the threads that waited get a copy of the error. The next caller tries again
      at once; after that the pauses are 1, 2, 4, 8 and 10 seconds, in which each caller gets a copy of the last error.
    - `SignInRequired` (the SAML assertion has ended, an MFA code is needed) is handled alike, with a `StskitWarning`,
      and tried again as soon as the file of the source changes.
    - Any other exception, for example a time limit of yours, reaches the caller that it hit, and nobody else.

    This differs from the AWS SDKs in three ways. They raise AccessDenied and some other refusals while the credentials
    are valid. They use expired credentials, where `fetch` raises unless ``on_expired="serve"``. With nothing valid in
    hand, they pause for 1 to 10 seconds from the first failure on.

    It pickles as the recipe it is, without credentials. Raises `SourceMissing` where the cache outlives the process,
    no key is given, and the source does not say whose credentials it returns, or where the key is empty, and
    `TypeError` for an argument of the wrong type.

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
                "key is empty, and so it does not say whose credentials these are",
                remedy="write a name, or leave out key",
                cli_remedy="write a name: --cache-key NAME, or leave it out",
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
        given = self._options
        return Cached, (given.source, given.cache, given.refresh, given.key, given.clock, given.listener)

    @property
    def source(self) -> Source[Credentials]:
        """The source that it was made from. Raises nothing."""
        return self._options.source

    @property
    def settings_profile(self) -> str | None:
        """The profile whose endpoint, region and CA bundle count for calls that are signed with these credentials.

        Raises nothing.
        """
        return getattr(self.source, "settings_profile", None)

    @property
    @without_frames
    def identity(self) -> str | None:
        """A key for caches: for the source as it was when these credentials came, else as it is now.

        Where a `key` was given, that stands for the proof that the source starts from. Raises what the source does.
        """
        held = self._held
        return self._identity_of(held.origin if held else self._source)

    def identity_for(self, name: str, /) -> str | None:
        """Return the same where *name* says whose the credentials are that the source starts from. Raises nothing."""
        return identity_for(self._source, self._options.key or name)

    def anonymous_part(self) -> object | None:
        """Return the part of the source that leaves this without identity; None where there is none, or a `key`.

        Raises nothing.
        """
        return None if self._options.key else anonymous_part(self._source)

    def snapshot(self) -> Source[Credentials]:
        """Return a source with the identity that belongs to the credentials which it fetches from this object.

        Raises what the source does.
        """
        held = self._held
        if held is not None and self._action_now() == "use":
            return _Snapshot(self, self._identity_of, self._fetch_slow, held.origin)
        source = snapshot_of(self._source)
        return _Snapshot(self, self._identity_of, partial(self._fetch_slow, source), source)

    @property
    def in_hand(self) -> Credentials | None:
        """The credentials of the last refresh, perhaps expired; None before the first. Nothing is fetched."""
        held = self._held
        return None if held is None else held.credentials

    @property
    def is_fresh(self) -> bool:
        """Whether a read returns the credentials in hand without a look at the source. Raises nothing."""
        held = self._held
        return (
            held is not None
            and self._wall_seconds() < held.fresh_until
            and self._clock.monotonic() < held.fresh_until_monotonic
        )

    @property
    def time_left(self) -> timedelta:
        """How long the credentials in hand can be used, by the clock that says less; zero or less for none.

        Refused ones cannot be used. `timedelta.max` stands for credentials that do not expire. Raises nothing.
        """
        held = self._held
        return _ZERO if held is None or held.rejected else self._left()

    @property
    def clock(self) -> Clock:
        """The clock that it was made with. Raises nothing."""
        return self._options.clock

    def fetch(self) -> Credentials:
        """Return credentials that are valid for a while.

        Raises what the source raises, once nothing valid is left; each caller gets a copy of a `StskitError`.
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
        except BaseException as error:  # `without_frames` would cost each read a call
            remove_frames(error)
            raise

    def invalidate(self, access_key_id: str | None = None) -> None:
        """Have the next read fetch new credentials, because a service has refused these.

        *access_key_id*: those that were refused; where others are in use by now, nothing happens. Defaults to whichever
        are in use. Until new ones can be fetched, the old ones are kept while they are valid, as after any failure. It
        ends the pause after a failure, once for each key. Raises nothing.
        """
        held = self._held
        if held is not None and not held.rejected and access_key_id in (None, held.credentials.access_key_id):
            held.reject()
            self._failure = None

    def replace_refused(self, access_key_id: str) -> bool:
        """Fetch new credentials because a service has refused the key *access_key_id*; return whether there are others.

        Only credentials that are older than a minute are fetched again, at most once in 5 minutes for all threads
        together. Where others are in use by now, nothing is fetched. Raises nothing for a `StskitError` of the source:
        then there are no others. New credentials may have the same key ID: another session token makes others of them.
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
        """Attach *sink* to this, so that all that is made of it shares one set of credentials.

        Raises `TypeError` for a sink that takes credentials as a value: write ``cached.fetch().to(sink)`` for these.
        """
        return attach(sink, self)

    def _act_upon_refusal(self, held: CachedCredentials) -> bool:
        """Invalidate *held*, whose key was refused, within the bounds; return whether it is invalid now."""
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
        """Return a `Cached` for the role that the source is assumed from; it belongs to this object alone."""
        given = self._options
        # The next role has expired credentials of its own to serve.
        refresh = evolve(given.refresh, on_expired="raise")
        hop = Cached(parent, given.cache, refresh, given.key, given.clock)
        hop._send_events_by(self._events)  # it refreshes while the lock of this object is held
        return hop

    def _send_events_by(self, outer: EventQueue) -> None:
        self._events = EventQueue(None, outer)

    # One read ---------------------------------------------------------------------------------------------------

    def _fetch_slow(self, source: Source[Credentials] | None = None) -> CachedCredentials:
        """Return what to use now. *source*: a snapshot to fetch from, if that is needed; defaults to one taken then."""
        try:
            reading = self._assess()
            if reading.action in ("refresh", "wait"):
                reading = self._refresh_or_wait(reading, source)
            return self._resolve(reading)
        finally:
            self._events.send()

    def _assess(self) -> _Reading:
        held, failure = self._held, self._failure  # in this order, because a success forgets the failure first
        now, monotonic = self._clock.now(), self._clock.monotonic()
        left = held.left(now, monotonic) if held else _ZERO
        pausing = failure is not None and failure.pausing(monotonic, valid=left > _ZERO, path=file_of(self._source))
        if held is None:
            return _Reading(self._policy.decide(_ZERO, _ZERO, 0, pausing=pausing), None, failure)
        return _Reading(held.action(self._policy, left, pausing=pausing), held, failure)

    def _refresh_or_wait(self, reading: _Reading, source: Source[Credentials] | None) -> _Reading:
        work = partial(self._refresh, reading, source)
        outcome = self._turn.run(work, wait=reading.action == "wait")
        if outcome is Occupied.BY_ANOTHER_THREAD and self._left() <= _ZERO:  # they have expired meanwhile
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
        """Refresh, unless another caller has done so, or has failed, since the reading *before*."""
        reading = self._assess()
        if reading.action not in ("refresh", "wait"):
            return reading
        held, failure = reading.held, reading.failure
        if failure is not None and failure is not before.failure:  # this caller has waited for that try
            return evolve(reading, action=self._policy.after_failure(held.lifetime if held else _ZERO, self._left()))
        file, started = file_state(file_of(self._source)), self._clock.monotonic()
        try:
            self._renew(snapshot_of(self._source) if source is None else source, started)
        except StskitError as error:
            return self._record_failure(prefixed(error, ""), file, started)
        except Exception as error:
            self._add_failure(type(error).__name__, started)  # its text may hold a secret
            raise
        return _Reading("use", self._held)

    def _renew(self, source: Source[Credentials], started: float) -> None:
        """Keep a fresh entry of the cache, or fetch from *source*, or leave that to another process.

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
                f"the source returned the access key {credentials.access_key_id} again, which a service has refused",
                remedy="replace the key at its source",
                option="source",
            )
        self._keep(new, source, started)
        return CacheEntry(credentials, now)

    def _keep_if_better(self, entry: CacheEntry | None, source: Source[Credentials], started: float) -> None:
        """Keep *entry*, found for *source*, if it is usable and valid for longer than the credentials in hand."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        held = self._held
        if entry and is_usable(entry, now) and (held is None or held.is_replaced_by(entry, now, monotonic)):
            found = CachedCredentials.of(entry, now, monotonic, self._policy, _uniform(0, 1))
            self._keep(found, source, started, cached=True)

    def _action_now(self) -> Action:
        return self._held.action(self._policy, self._left()) if self._held else "wait"

    def _keep(self, held: CachedCredentials, origin: object, started: float, *, cached: bool = False) -> None:
        self._failure = None
        held.origin = origin
        self._held = held
        event = self._event("refreshed", held.credentials, started=started, from_cache=cached)
        how = "Found credentials in the cache" if cached else "Refreshed the credentials"
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
        warning = f"The credentials, which expire at {held.expiration}, cannot be refreshed: {error}" if held else ""
        event = self._event("refresh_failed", held, error, started=started)
        self._events.add(Notice(event, log, warning if warn else ""))

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
        """Return the role and the account, for the log."""
        arn = self._role_arn or (credentials and credentials.assumed_role_arn)
        account = credentials.account_id if credentials else None
        return " in account ".join(filter(None, (arn or type(self.source).__name__, account)))


@define(eq=False)
class _Snapshot:
    """A `Cached` with the identity that belongs to the credentials which it returns."""

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
    """The lock of a cache that a refresh under way holds or waits for, who refreshes, and the lock around it."""

    cache: Cache
    key: str
    outer: _Lock | None
    holder: object = field(factory=caller)


class _Innermost(threading.local):
    """The innermost lock of this thread: a reference, so that nothing is left where a signal handler raises."""

    reference: ref[_Lock] | None = None


_innermost: Final = _Innermost()


def _lock_in_use() -> _Lock | None:
    reference = _innermost.reference
    return None if reference is None else reference()


def _is_locked(cache: Cache, key: str) -> bool:
    """Whether a refresh of this caller has that lock already: it would wait for itself."""
    lock = _lock_in_use()
    while lock is not None:
        if lock.key == key and lock.holder == caller() and (lock.cache is cache or lock.cache == cache):
            return True
        lock = lock.outer
    return False


@frozen
class _CacheAccess:
    """The places in a cache for the credentials of one source: by its identity, in which `given_key` may stand for the
    identity of the proof that it starts from.

    Raises `TypeError` for an object that is not a cache.
    """

    cache: Cache
    given_key: str | None
    # for a source that does not say whose credentials it returns: nobody else can have the same key
    _unique_fallback_key: str = field(init=False, factory=lambda: f"unnamed-{os.urandom(16).hex()}")

    def __attrs_post_init__(self) -> None:
        hint = "Did you mean FileCache(folder)?" if isinstance(self.cache, str | os.PathLike) else ""
        check_method("cache", self.cache, "exclusive", "a cache", hint)

    def check(self, source: Source[Credentials]) -> None:
        """Raise `SourceMissing` where the cache outlives the process and *source* can have no key."""
        nameless: object | None = None
        with suppress(SourceError):  # it is raised again when the credentials are fetched
            nameless = None if self.given_key else anonymous_part(source)
        if nameless is not None:
            self._unnamed(type(nameless).__name__)

    def key(self, source: Source[Credentials]) -> str:
        """Return the key for the credentials of *source*. Raises as `check`."""
        identity = identity_of(source) if self.given_key is None else identity_for(source, self.given_key)
        return self._unnamed(type(source).__name__) if identity is None else digest("entry", identity)

    def _unnamed(self, name: str) -> str:
        if getattr(self.cache, "persistent", True):
            raise SourceMissing(
                f"{name} does not say whose credentials it gives, and in a cache that outlives the process they could "
                "be taken for another user's",
                remedy="name them: Cached(source, cache, key=...), or give what is behind them an attribute identity",
                cli_remedy="choose a name for that identity and add it: --cache-key NAME",
                option="key",
            )
        return self._unique_fallback_key

    def get(self, key: str) -> CacheEntry | None:
        """Return the entry for *key*, if there is one."""
        with self._warn_on_error():
            found: object = self.cache.get(key)
            if found is None or isinstance(found, CacheEntry):
                return found
            self._warn(f"returned {type(found).__name__} in place of a CacheEntry")
        return None

    def put(self, key: str, entry: CacheEntry, source: Source[Credentials]) -> None:
        """Keep *entry*, unless *source* has found another proof since *key* was made."""
        if entry.credentials.expiration is None:  # long-term keys have their own place
            return
        with suppress(SourceError):  # then it cannot be known whose these are
            if self.key(source) == key:
                with self._warn_on_error():
                    self.cache.put(key, entry)

    def run_exclusive(self, key: str, work: Callable[[bool], None], *, wait: bool) -> None:
        """Run *work* while the cache's lock for *key* is held, and tell it whether that is so.

        Where the cache fails, *work* runs all the same. The lock is acquired by this frame's own ``with``, so that the
        handler of a signal cannot leave it taken.
        """
        if _is_locked(self.cache, key):  # the source of this caller's own refresh has come back to the same entry
            return work(True)
        lock = _Lock(self.cache, key, _lock_in_use())
        _innermost.reference = ref(lock)
        failed: list[BaseException] = []  # what the work has raised, and not the cache
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
                raise failed[0]  # the cache has failed while it released the lock, too
        finally:
            failed.clear()  # its traceback holds this frame
            _innermost.reference = None if lock.outer is None else ref(lock.outer)
        return work(True)

    @contextmanager
    def _warn_on_error(self, unless: Callable[[Exception], bool] = lambda _: False) -> Iterator[None]:
        """A cache is a third party's code, and costs no caller its credentials."""
        try:
            yield
        except Exception as error:
            if unless(error):
                raise
            self._warn(f"failed with {type(error).__name__}")

    def _warn(self, problem: str) -> None:
        warnings.warn(f"{type(self.cache).__name__} {problem}, and is not used; correct it", CacheWarning, 3)


def check_refresh(refresh: RefreshPolicy) -> RefreshPolicy:
    """Return *refresh*. Raises `TypeError` where it is not a `RefreshPolicy`: IAM policies belong to the role."""
    hint = "A session policy of IAM belongs to the role: Role(arn, policy=...)."
    check_type("refresh", refresh, RefreshPolicy, "a RefreshPolicy", hint)
    return refresh


def _uniform(least: float, most: float) -> float:
    import random  # slow to import, and few programs get here

    return random.uniform(least, most)


def _system_seconds() -> float:
    return time.time()  # looked up at each use: a test may replace it


def _unavailable_while_refreshing(why: Occupied) -> SourceMissing:
    if why is Occupied.BY_ANOTHER_GREENLET:
        return SourceMissing(
            "another greenlet of this thread is fetching these credentials, and this one cannot wait for it, because "
            "threads are not patched and gevent is not loaded",
            remedy="patch threads, or fetch the credentials once before you start the greenlets",
        )
    return SourceMissing(
        "the source of these credentials waits for them itself", remedy="give it other credentials to use"
    )


def _raise_copy(error: StskitError) -> NoReturn:
    """Raise a copy of *error*, so that no two callers share one, without what the caller was handling."""
    copy = prefixed(error, "")
    try:
        raise copy
    finally:
        copy.__context__ = None
        del copy
