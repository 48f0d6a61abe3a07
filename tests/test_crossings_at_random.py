"""The events of test_crossings.py in random order: the person behind the credentials, and the number of calls."""

from __future__ import annotations

import os
import random
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch
from warnings import catch_warnings, simplefilter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from test_crossings import CACHES, KINDS, World

from stskit import Cached, Credentials, Role
from stskit.errors import StskitError, StskitWarning
from stskit.sts import retry
from stskit.testing import Drop, Fault, Refuse, Throttle

PEOPLE = ("alice", "bob", "carol")
FAULTS = (Drop(), Throttle(), Refuse("ExpiredToken", "", 403), Refuse("NobodyKnowsThis", "", 400))


class Interrupted(BaseException):
    """An exception of the caller's signal handler."""


class Sessions(RuleBasedStateMachine):
    """Several sessions with the same proof files, which different people overwrite in turn."""

    @initialize(kind=st.sampled_from(KINDS), kept_in=st.sampled_from(CACHES))
    def begin(self, kind: str, kept_in: str) -> None:
        self.cleanup = ExitStack()
        folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory()))
        environment = {"HOME": str(folder), "AWS_SHARED_CREDENTIALS_FILE": str(folder / ".aws" / "credentials")}
        self.cleanup.enter_context(patch.dict(os.environ, environment))
        self.cleanup.enter_context(patch.object(random, "uniform", lambda least, _most: least))
        self.world = World(kind, kept_in, folder)
        self.cleanup.enter_context(patch.object(retry, "sleep", self.sleep))
        self.cleanup.enter_context(patch.object(retry, "monotonic", self.world.clock.monotonic))
        self.signed_in = "alice"
        self.sessions: list[Cached] = []
        self.holds: dict[int, str] = {}  # The person of the last credentials of each session.
        self.is_down = False

    def sleep(self, seconds: float) -> None:
        self.world.clock.advance(timedelta(seconds=seconds))

    @rule(person=st.sampled_from(PEOPLE))
    def sign_in(self, person: str) -> None:
        """Overwrite the proof with that of this person."""
        self.signed_in = person
        self.world.sign_in(person)

    @rule(seconds=st.sampled_from([1, 30, 301, 601, 2700, 3700]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(timedelta(seconds=seconds))

    @rule(fault=st.sampled_from(FAULTS))
    def break_the_next_call(self, fault: Fault) -> None:
        self.world.ledger.sts.next(fault)

    @rule(fault=st.sampled_from([*FAULTS, None]))
    def break_all_calls(self, fault: Fault | None) -> None:
        self.is_down = fault is not None
        self.world.ledger.sts.always(fault)

    @rule()
    def interrupt_the_next_call(self) -> None:
        def interrupt(_role: Role) -> None:
            self.world.ledger.before_call = lambda _role: None
            raise Interrupted

        self.world.ledger.before_call = interrupt

    @rule()
    def start_a_session(self) -> None:
        """Start a new session. It returns the credentials of the person who is signed in now, or none."""
        self.sessions.append(self.world.session())
        if (found := self.read(self.sessions[-1])) is not None:
            self.holds[len(self.sessions) - 1] = self.world.person(found)
            assert self.world.person(found) == self.signed_in

    @rule(data=st.data())
    def use_a_session(self, data: st.DataObject) -> None:
        """Use a session. It returns its old person's credentials, or those of the person who is signed in now."""
        if self.sessions:
            number = data.draw(st.integers(0, len(self.sessions) - 1))
            if (found := self.read(self.sessions[number])) is not None:
                person = self.world.person(found)
                assert person in (self.holds.get(number), self.signed_in)
                assert not found.is_expired(now=self.world.clock.now())
                self.holds[number] = person

    @rule(data=st.data())
    def invalidate_a_session(self, data: st.DataObject) -> None:
        if self.sessions:
            data.draw(st.sampled_from(self.sessions)).invalidate()

    def read(self, session: Cached) -> Credentials | None:
        """Return the credentials, or None. Checks that this makes at most two calls for each role."""
        before = self.world.calls
        try:
            with catch_warnings():
                # a session warns once if its proof has expired, and serves the credentials that it has
                simplefilter("ignore", StskitWarning)
                return session.fetch()
        except (StskitError, Interrupted):
            return None
        finally:
            assert self.world.calls - before <= 2 * self.world.hops

    @invariant()
    def nothing_is_left_behind(self) -> None:
        """Check that the cache folder has no temporary files."""
        kept = self.world.folder / "kept"
        assert not kept.is_dir() or not [name for name in os.listdir(kept) if name.endswith(".tmp")]

    def teardown(self) -> None:
        if hasattr(self, "cleanup"):
            self.cleanup.close()


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
