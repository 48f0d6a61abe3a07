"""`assume_all`: one proof, many roles, by a few workers that slow down together."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from attrs import evolve, field, frozen

from stskit._arguments import check_list, is_type, wrong_type
from stskit._time import SystemClock
from stskit.credentials import Credentials
from stskit.engine import AssumedRole
from stskit.errors import (
    SourceError,
    STSError,
    StskitError,
    init_without_frames,
    prefixed,
    remove_frames,
    without_frames,
)
from stskit.proofs import Proof, SAMLAssertion
from stskit.protocols import STS, Clock, Source
from stskit.roles import Role
from stskit.sources import Profile
from stskit.sts import BotocoreSTS, sts_for

__all__ = ["Outcome", "assume_all"]

_TRIES: Final = 5  # for a role that is throttled, each of them three attempts of botocore's
_SLOWEST: Final = 5.0  # seconds between the starts of two calls
_FIRST_PAUSE: Final = 0.1
_MARGIN: Final = timedelta(minutes=1)  # a proof that ends sooner is fetched anew


@init_without_frames
@frozen
class Outcome:
    """What became of one `role`: its `credentials`, or the `error`; the other is None."""

    role: Role = field(validator=is_type(Role, "a Role"))
    credentials: Credentials | None = field(
        default=None, validator=is_type((Credentials, type(None)), "Credentials or None")
    )
    error: StskitError | None = None


@without_frames
def assume_all(
    roles: Iterable[Role | str],
    *,
    source: Source[Proof] | None = None,
    sts: STS | None = None,
    workers: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Outcome]:
    """The credentials of many roles by one proof, each as an `Outcome`, in the order in which they come.

    *source*: where the proof comes from, fetched once, and again only when it is about to end; None: the ambient
    credentials. When it cannot be had again, as with a SAML assertion that has ended, the roles that are left fail with
    that error and without a call. *workers*: how many calls are under way at a time. When STS throttles, all of them
    slow down, and the role is tried again, five times in all. *progress* is called with how many roles are done and how
    many there are, by whoever iterates.

    One role that fails never stops the others. Whoever stops iterating, also by Ctrl-C, stops the rest: no new call is
    made. Raises at once, before any call, `RoleError` for a role that is not valid, and what the source raises; an
    exception that is no `StskitError`, from an STS of somebody else, comes out of the iteration and ends it.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    if type(workers) is not int:
        wrong_type("workers", workers, "a whole number")
    if progress is not None and not callable(progress):
        wrong_type("progress", progress, "a function or None")
    check_list("roles", roles, "a list of roles")
    if workers < 1:
        raise ValueError(f"workers is {workers}; there must be at least one")
    source, sts = Profile() if source is None else source, BotocoreSTS() if sts is None else sts
    sts = sts_for(source, sts)
    recipes = [AssumedRole(role, source=source, sts=sts) for role in roles]  # each is checked before the first call
    if not recipes:
        return iter(())
    shared = _SharedProof(source, SystemClock())
    shared.fetch()
    return _outcomes([evolve(recipe, source=shared) for recipe in recipes], workers, progress or _ignore_progress)


def _ignore_progress(_done: int, _all: int) -> None: ...


def _outcomes(recipes: list[AssumedRole], workers: int, progress: Callable[[int, int], None]) -> Iterator[Outcome]:
    from queue import SimpleQueue

    results: SimpleQueue[Outcome | BaseException] = SimpleQueue()
    stop = threading.Event()
    pace = _Pace(stop.wait)
    todo = deque(recipes)

    def work() -> None:
        try:
            while not stop.is_set() and (recipe := _next(todo)):
                results.put(_assume(evolve(recipe, sts=_StoppableSTS(recipe.sts, stop)), pace))
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised where it was waited for
            results.put(error)

    process = os.getpid()
    try:
        for _ in range(min(workers, len(recipes))):
            # a daemon, because a call that is under way must not delay the end of the program
            threading.Thread(target=work, name="stskit-fleet", daemon=True).start()
        for done in range(1, len(recipes) + 1):
            if os.getpid() != process:
                raise RuntimeError("this iteration belongs to the process that it was begun in; call assume_all again")
            result = results.get()
            if isinstance(result, BaseException):
                remove_frames(result)
                raise result
            progress(done, len(recipes))
            yield result
    finally:
        stop.set()


class _Stopped(Exception):
    """Nobody waits for the call that a worker was about to make."""


@frozen
class _StoppableSTS:
    """An STS that makes no call once the iteration has been stopped, however long a worker has paused before it."""

    sts: STS
    stop: threading.Event

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        if self.stop.is_set():
            raise _Stopped
        return self.sts.exchange(proof, role)


def _next(todo: deque[AssumedRole]) -> AssumedRole | None:
    with suppress(IndexError):
        return todo.popleft()
    return None


def _assume(recipe: AssumedRole, pace: _Pace) -> Outcome:
    tries = 0
    while True:
        started, tries = pace.wait(), tries + 1
        try:
            credentials = recipe.fetch()
        except StskitError as error:
            if tries == _TRIES or not _is_throttling(error):
                return Outcome(recipe.role, error=error)
            pace.slower(started)
        else:
            pace.faster()
            return Outcome(recipe.role, credentials)


def _is_throttling(error: StskitError) -> bool:
    from stskit.sts.remedies import canonical_code

    return isinstance(error, STSError) and canonical_code(error.code or "", error.http_status or 0) == "Throttling"


class _Pace:
    """How soon after each other calls may start, for all workers together: at once, until STS says it is too much."""

    def __init__(self, pause: Callable[[float], object], clock: Callable[[], float] = monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._between = 0.0  # seconds
        self._next = 0.0
        self._slowed = 0.0

    def wait(self) -> float:
        """Wait for one's turn; gives the moment of it."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._between
        if turn > now:
            self._pause(turn - now)
        return turn

    def slower(self, started: float) -> None:
        """A call that started then was throttled. Many that started together count as one."""
        with self._lock:
            now = self._clock()
            if started >= self._slowed:
                self._between = min(max(2 * self._between, _FIRST_PAUSE), _SLOWEST)
                self._slowed = now
            self._next = max(self._next, now + self._between)

    def faster(self) -> None:
        """A call went through."""
        with self._lock:
            self._between = self._between * 0.9 if self._between > _FIRST_PAUSE / 10 else 0.0


class _SharedProof:
    """One proof for all, until it ends. A source that fails then is not asked again."""

    def __init__(self, source: Source[Proof], clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._proof: Proof | None = None
        self._failed: SourceError | None = None

    @without_frames
    def fetch(self) -> Proof:
        with self._lock:
            if self._failed is None and (self._proof is None or self._is_ending(self._proof)):
                try:
                    self._proof = self._source.fetch()
                except SourceError as error:
                    self._failed = prefixed(error, "")  # without frames, whose locals may hold secrets
            if self._failed is not None:
                raise prefixed(self._failed, "")  # no two roles share one error
            assert self._proof is not None
            return self._proof

    def replace_refused(self, access_key_id: str) -> bool:
        """Have the source replace the key that STS has refused; return whether there is another one by now."""
        replace = getattr(self._source, "replace_refused", None)
        with self._lock:
            proof = self._proof
            if replace is None or not isinstance(proof, Credentials):
                return False
            if proof.access_key_id == access_key_id:
                if not replace(access_key_id):
                    return False
                self._proof = None  # the next fetch gets the new one
            return True

    def _is_ending(self, proof: Proof) -> bool:
        end = _expiration(proof)
        return end is not None and self._clock.now() >= end - _MARGIN


def _expiration(proof: Proof) -> datetime | None:
    with suppress(SourceError):  # an encrypted assertion tells nobody
        return proof.not_on_or_after if isinstance(proof, SAMLAssertion) else proof.expiration
    return None
