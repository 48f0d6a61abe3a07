"""`Cached` as a state machine: clocks that move, sources that fail in every way, refusals, and several keys."""

from __future__ import annotations

import random
import warnings
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from unittest.mock import patch

from attrs import define, field
from helpers import START, Bug, Down
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stskit import Cached, Credentials, RefreshPolicy
from stskit.caches import MemoryCache
from stskit.errors import SignInRequired, STSError, StskitError
from stskit.testing import ManualClock

Mode: TypeAlias = Literal["answers", "answers briefly", "fails", "refuses", "needs a person", "is broken"]
KEYS = ["alice", "bob", "carol"]


@define(eq=False)
class Source:
    """A source that returns the credentials of one person, or fails on request."""

    name: str
    clock: ManualClock
    mode: Mode = "answers"
    calls: int = 0
    raised: list[BaseException] = field(factory=list)

    def fetch(self) -> Credentials:
        self.calls += 1
        problem: Exception
        match self.mode:
            case "answers" | "answers briefly":
                life = timedelta(hours=1) if self.mode == "answers" else timedelta(seconds=90)
                return Credentials(f"{self.name}-{self.calls}", "secret", "token", self.clock.now() + life)
            case "fails":
                problem = Down("no network")
            case "refuses":
                problem = STSError("no", "AccessDenied")
            case "needs a person":
                problem = SignInRequired("sign in")
            case "is broken":
                problem = Bug("mine")
        self.raised.append(problem)
        raise problem


def outcome_of(recipe: Cached) -> Credentials | StskitError | Bug:
    """Return the result or the error of a read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return recipe.fetch()
        except (StskitError, Bug) as error:
            return error


@define(eq=False)
class Held:
    """The credentials that the model expects for one key."""

    credentials: Credentials
    end: float  # monotonic


class CachedMachine(RuleBasedStateMachine):
    """A state machine whose steps read, move a clock, change a source, or refuse a key."""

    def __init__(self) -> None:
        super().__init__()
        self.random = patch.object(random, "uniform", lambda least, _most: least)
        self.random.start()
        self.clock = ManualClock(START)
        self.cache = MemoryCache()
        self.held: dict[str, Held] = {}
        self.errors: list[BaseException] = []

    def teardown(self) -> None:
        self.random.stop()

    @initialize(on_expired=st.sampled_from(["raise", "serve"]), cached=st.booleans())
    def begin(self, on_expired: Literal["raise", "serve"], cached: bool) -> None:
        self.serves = on_expired == "serve"
        policy = RefreshPolicy(on_expired=on_expired)
        self.sources = {name: Source(name, self.clock) for name in KEYS}
        self.recipes = {
            name: Cached(source, self.cache if cached else None, policy, name, self.clock)
            for name, source in self.sources.items()
        }

    @rule(seconds=st.sampled_from([0.5, 1, 10, 61, 299, 300, 601, 2700, 3600, 90_000]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule(minutes=st.sampled_from([-600, -10, -1, 1, 50, 600]))
    def somebody_sets_the_wall_clock(self, minutes: int) -> None:
        self.clock.set(self.clock.now() + timedelta(minutes=minutes))

    @rule(
        name=st.sampled_from(KEYS),
        mode=st.sampled_from(["answers", "answers briefly", "fails", "refuses", "needs a person", "is broken"]),
    )
    def a_source_changes(self, name: str, mode: Mode) -> None:
        self.sources[name].mode = mode

    @rule(name=st.sampled_from(KEYS), own=st.booleans())
    def a_service_refuses(self, name: str, own: bool) -> None:
        held = self.held.get(name)
        self.recipes[name].invalidate(held.credentials.access_key_id if held and own else None)

    @rule(name=st.sampled_from(KEYS))
    def a_service_refuses_a_request(self, name: str) -> None:
        """A refused key costs at most one call in 5 minutes."""
        source = self.sources[name]
        if (held := self.held.get(name)) is None or source.mode == "is broken" or not self.is_valid(held):
            return
        calls = source.calls
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a source that needs a person warns
            replaced = self.recipes[name].replace_refused(held.credentials.access_key_id)
        assert source.calls <= calls + 1
        now = self.recipes[name].in_hand
        assert now
        assert replaced == (now.access_key_id != held.credentials.access_key_id)
        self.note(name, now)

    @rule(name=st.sampled_from(KEYS), reads=st.integers(1, 4))
    def somebody_reads(self, name: str, reads: int) -> None:
        for _ in range(reads):
            self.read(name)

    def read(self, name: str) -> None:
        """A read costs at most one call, and its result is as in the table of the documentation."""
        source, recipe, held = self.sources[name], self.recipes[name], self.held.get(name)
        calls, raised = source.calls, len(source.raised)
        valid = held is not None and self.is_valid(held)
        got = outcome_of(recipe)
        assert source.calls <= calls + 1
        if isinstance(got, Bug):
            assert source.raised[raised:] == [got]  # it is this call's
            return
        if isinstance(got, StskitError):
            assert not valid
            assert not (held and self.serves)
            assert all(got is not other for other in [*self.errors, *source.raised])
            assert got.__context__ is got.__cause__ is None
            self.errors.append(got)
            return
        assert got.access_key_id.startswith(name)
        self.note(name, got)
        assert self.serves or self.is_valid(self.held[name])
        if source.calls == calls:
            assert held is None or held.credentials is got or self.is_valid(self.held[name])

    def note(self, name: str, got: Credentials) -> None:
        held = self.held.get(name)
        if held is None or held.credentials is not got:
            end = got.expiration
            assert end
            left = (end - self.clock.now()).total_seconds()
            self.held[name] = Held(got, self.clock.monotonic() + left)

    def is_valid(self, held: Held) -> bool:
        """Return whether credentials are valid by both clocks."""
        end: datetime | None = held.credentials.expiration
        return end is not None and self.clock.now() < end and self.clock.monotonic() < held.end

    @invariant()
    def nobody_has_the_credentials_of_somebody_else(self) -> None:
        for name, recipe in getattr(self, "recipes", {}).items():
            assert recipe.in_hand is None or recipe.in_hand.access_key_id.startswith(name)


TestCached = CachedMachine.TestCase
TestCached.settings = settings(max_examples=60, stateful_step_count=40)
