"""Assume many roles with one proof: a few worker threads, which slow down together if STS throttles."""

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

_ATTEMPTS: Final = 5  # for a role that is throttled; botocore makes three requests in each
_SLOWEST: Final = 5.0  # seconds between the starts of two calls
_FIRST_PAUSE: Final = 0.1
_MARGIN: Final = timedelta(minutes=1)  # a proof that expires sooner is fetched again


@init_without_frames
@frozen(repr=False)
class Outcome:
    """The result of one role of `assume_all`: its credentials or its error.

    Args:
        role: The role.
        credentials: Its credentials. None if there is an error.
        error: Why there are no credentials. None if there are some.

    Raises:
        TypeError: If a part has the wrong type.

    Example:
        >>> from stskit import assume_all
        >>> for outcome in assume_all(["arn:aws:iam::123456789012:role/Deploy"]):
        ...     print(outcome.role.arn, "failed" if outcome.error else "works")
        arn:aws:iam::123456789012:role/Deploy works
    """

    role: Role = field(validator=is_type(Role, "a Role"))
    credentials: Credentials | None = field(
        default=None, validator=is_type((Credentials, type(None)), "Credentials or None")
    )
    error: StskitError | None = None

    def __repr__(self) -> str:
        if self.error is None:
            return f"<Outcome {self.role.arn}: {self.credentials!r}>"
        code = self.error.code if isinstance(self.error, STSError) else None
        return f"<Outcome {self.role.arn}: {type(self.error).__name__}: {code or self.error.message}>"


@without_frames
def assume_all(
    roles: Iterable[Role | str],
    *,
    source: Source[Proof] | None = None,
    sts: STS | None = None,
    workers: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Outcome]:
    """Assume many roles with one proof, and yield an `Outcome` for each role as soon as it is there.

    A role that fails does not stop the others. If STS throttles, all workers slow down and the role is retried, up to
    five attempts. Stopping the iteration, also by Ctrl-C, cancels the remaining calls.

    Args:
        roles: Role ARNs, or `Role` values with options.
        source: Where the proof comes from. It is fetched once, and again only when it is about to expire; if that
            fails, the remaining roles fail with that error and without a call. Defaults to the standard AWS credential
            chain.
        sts: The STS client that exchanges the proof for credentials. Defaults to ``BotocoreSTS()``.
        workers: How many calls may run at the same time, at least 1. Defaults to 8.
        progress: Function that is called after each role with the number of finished roles and the number of all roles.
            It runs in the thread that iterates.

    Returns:
        An iterator of outcomes, in the order in which the roles finish.

    Raises:
        RoleError: If a role is not valid. Raised at once, before any call.
        SourceError: If the source has no valid proof. Raised at once.
        ValueError: If *workers* is less than 1.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume_all
        >>> roles = [f"arn:aws:iam::123456789012:role/{name}" for name in ("Deploy", "ReadOnly")]
        >>> sorted(outcome.credentials.assumed_role_arn for outcome in assume_all(roles))
        ['arn:aws:sts::123456789012:assumed-role/Deploy/...', 'arn:aws:sts::123456789012:assumed-role/ReadOnly/...']

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    if type(workers) is not int:
        wrong_type("workers", workers, "a whole number")
    if progress is not None and not callable(progress):
        wrong_type("progress", progress, "a function or None")
    check_list("roles", roles, "a list of roles")
    if workers < 1:
        raise ValueError(f"workers is {workers}, but at least 1 is needed")
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
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that iterates
            results.put(error)

    process = os.getpid()
    try:
        for _ in range(min(workers, len(recipes))):
            # a daemon, because a running call must not delay the end of the program
            threading.Thread(target=work, name="stskit-fleet", daemon=True).start()
        for done in range(1, len(recipes) + 1):
            if os.getpid() != process:
                raise RuntimeError("this iterator was created before a fork; call assume_all in the child process")
            result = results.get()
            if isinstance(result, BaseException):
                remove_frames(result)
                raise result
            progress(done, len(recipes))
            yield result
    finally:
        stop.set()


class _Stopped(Exception):
    """The iteration was stopped, so a worker must not make its next call."""


@frozen
class _StoppableSTS:
    """An STS that makes no call after the iteration was stopped, however long a worker waited before the call."""

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
            if tries == _ATTEMPTS or not _is_throttling(error):
                return Outcome(recipe.role, error=error)
            pace.slower(started)
        else:
            pace.faster()
            return Outcome(recipe.role, credentials)


def _is_throttling(error: StskitError) -> bool:
    from stskit.sts.remedies import canonical_code

    return isinstance(error, STSError) and canonical_code(error.code or "", error.http_status or 0) == "Throttling"


class _Pace:
    """The time between the starts of two calls, shared by all workers: zero until STS throttles."""

    def __init__(self, pause: Callable[[float], object], clock: Callable[[], float] = monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._between = 0.0  # seconds
        self._next = 0.0
        self._slowed = 0.0

    def wait(self) -> float:
        """Wait until the next call may start, and return that time."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._between
        if turn > now:
            self._pause(turn - now)
        return turn

    def slower(self, started: float) -> None:
        """Slow down after a throttled call. Calls that started together slow down the workers once."""
        with self._lock:
            now = self._clock()
            if started >= self._slowed:
                self._between = min(max(2 * self._between, _FIRST_PAUSE), _SLOWEST)
                self._slowed = now
            self._next = max(self._next, now + self._between)

    def faster(self) -> None:
        """Speed up a little after a call that was not throttled."""
        with self._lock:
            self._between = self._between * 0.9 if self._between > _FIRST_PAUSE / 10 else 0.0


class _SharedProof:
    """A source that fetches one proof for all roles, until it expires. If fetching fails, it is not tried again."""

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
                    self._failed = prefixed(error, "")  # a copy without frames, whose locals may contain secrets
            if self._failed is not None:
                raise prefixed(self._failed, "")  # each role gets its own copy
            assert self._proof is not None
            return self._proof

    def replace_refused(self, access_key_id: str) -> bool:
        """Replace the key that STS refused, if the source can, and return whether there is a new one."""
        replace = getattr(self._source, "replace_refused", None)
        with self._lock:
            proof = self._proof
            if replace is None or not isinstance(proof, Credentials):
                return False
            if proof.access_key_id == access_key_id:
                if not replace(access_key_id):
                    return False
                self._proof = None  # the next fetch returns the new one
            return True

    def _is_ending(self, proof: Proof) -> bool:
        end = _expiration(proof)
        return end is not None and self._clock.now() >= end - _MARGIN


def _expiration(proof: Proof) -> datetime | None:
    with suppress(SourceError):  # the times of an encrypted assertion are unknown
        return proof.not_on_or_after if isinstance(proof, SAMLAssertion) else proof.expiration
    return None
