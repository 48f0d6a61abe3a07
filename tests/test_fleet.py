"""Many roles by one proof: each gets its outcome, nobody floods STS, and it stops when one stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_server import Request, fake_server, granted, refused
from helpers import START
from local_aws import LocalAWS
from saml_samples import PROVIDER, encoded, response

from stskit import AssumedRole, Credentials, Outcome, Role, SAMLAssertion, WebIdentityToken, assume_all, fleet
from stskit.errors import (
    RoleError,
    RoleNotOffered,
    SignInRequired,
    SourceMissing,
    STSError,
    StskitError,
    STSUnavailable,
)
from stskit.proofs import Proof
from stskit.sources import Profile, SAMLFile, Static
from stskit.sts import BotocoreSTS
from stskit.testing import FakeSTS, ManualClock, Throttle

BASE = Credentials("AKIABASE", "base-secret")


def arn(number: int) -> str:
    return f"arn:aws:iam::123456789012:role/r{number}"


ROLES = [arn(number) for number in range(40)]


class Counted:
    """A source that counts, and gives its proofs one after the other, the last one for ever."""

    def __init__(self, *proofs: Proof | Exception) -> None:
        self.proofs, self.calls = proofs, 0

    def fetch(self) -> Proof:
        self.calls += 1
        proof = self.proofs[min(self.calls, len(self.proofs)) - 1]
        if isinstance(proof, Exception):
            raise proof
        return proof


class CannedSTS:
    """Answers for the role by *answer*, and keeps what it was asked."""

    def __init__(self, answer: Callable[[Role], Exception | None] = lambda role: None) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.proofs: list[Proof] = []
        self.threads: set[str] = set()

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        self.asked.append(role.arn)
        self.proofs.append(proof)
        self.threads.add(threading.current_thread().name)
        if error := self.answer(role):
            raise error
        return Credentials(role.arn, "secret")


# Outcomes ---------------------------------------------------------------------------------------------------------


@pytest.mark.case("P20")
@pytest.mark.parametrize("workers", [1, 3, 100])
def test_each_role_has_an_outcome_by_one_proof(workers: int) -> None:
    """Whatever the number of workers, each role once, and the source is asked once."""
    source, sts = Counted(BASE), CannedSTS()
    outcomes = list(assume_all(ROLES, source=source, sts=sts, workers=workers))
    assert sorted(outcome.role.arn for outcome in outcomes) == sorted(ROLES)
    assert all(outcome.credentials and outcome.credentials.access_key_id == outcome.role.arn for outcome in outcomes)
    assert all(outcome.error is None for outcome in outcomes)
    assert source.calls == 1
    assert sts.threads == {"stskit-fleet"}


def test_one_failure_stops_nobody() -> None:
    """It is the outcome of its role."""
    refusal = STSError("no", "AccessDenied")
    outcomes = list(
        assume_all(ROLES, source=Static(BASE), sts=CannedSTS(lambda role: refusal if "r7" in role.arn else None))
    )
    assert [(outcome.role.arn, outcome.error) for outcome in outcomes if outcome.error] == [(arn(7), refusal)]
    assert len(outcomes) == len(ROLES)
    assert [outcome.credentials for outcome in outcomes if outcome.error] == [None]


def test_outcomes_come_as_they_finish() -> None:
    """A slow role keeps nobody waiting but itself."""
    rest_is_done = threading.Event()

    def answer(role: Role) -> None:
        if role.arn == arn(0):
            rest_is_done.wait(10)

    order = []
    for outcome in assume_all(ROLES[:5], source=Static(BASE), sts=CannedSTS(answer), workers=2):
        order.append(outcome.role.arn)
        if len(order) == 4:
            rest_is_done.set()
    assert order[-1] == arn(0)


def test_progress_is_told_to_whoever_iterates() -> None:
    """How many are done, of how many, in the thread that asks."""
    told: list[tuple[int, int, str]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total, threading.current_thread().name))

    for number, _ in enumerate(assume_all(ROLES[:3], source=Static(BASE), sts=CannedSTS(), progress=progress), 1):
        assert told[-1] == (number, 3, "MainThread")
    assert len(told) == 3


def test_a_role_may_come_twice_and_with_options() -> None:
    """They are done as they are given."""
    roles: list[Role | str] = [arn(1), arn(1), Role(arn(1), session_name="me")]
    outcomes = list(assume_all(roles, source=Static(BASE), sts=CannedSTS()))
    assert sorted(outcome.role.session_name or "" for outcome in outcomes) == ["", "", "me"]


def test_without_source_and_sts_it_is_the_ambient_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a single role."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert [outcome.error for outcome in assume_all([arn(1)])] == [None]
    assert [request.access_key_id for request in server.requests] == ["AKIAAMBIENT"]


@pytest.mark.case("P20")
def test_eight_are_under_way_at_a_time() -> None:
    """Unless another number is asked for; STS throttles by account."""
    all_there, under_way = threading.Barrier(8), []

    def answer(role: Role) -> None:
        under_way.append(role.arn)
        if len(under_way) <= 8:
            all_there.wait(10)

    assert len(list(assume_all(ROLES, source=Static(BASE), sts=CannedSTS(answer)))) == len(ROLES)


def test_no_roles_need_no_proof() -> None:
    """There is nothing to ask for."""
    source = Counted(SourceMissing("nothing there"))
    assert list(assume_all([], source=source)) == []
    assert source.calls == 0


def test_an_outcome_shows_the_role_and_its_result_in_one_line() -> None:
    """A log line names the role, how long its credentials are valid or the error, and no secret."""
    role, far = Role(arn(1)), datetime(2999, 1, 1, tzinfo=UTC)
    worked = Outcome(role, Credentials("ASIA", "canary", "canary", far))
    refused = Outcome(role, error=STSError("canary", code="AccessDenied"))
    missing = Outcome(role, error=SourceMissing("There is no file token."))
    assert repr(worked).startswith(f"<Outcome {arn(1)}: <Credentials ASIA: valid until 2999-01-01 00:00:00 UTC (")
    assert repr(refused) == f"<Outcome {arn(1)}: STSError: AccessDenied>"
    assert repr(missing) == f"<Outcome {arn(1)}: SourceMissing: There is no file token.>"
    assert "canary" not in repr(worked) + repr(refused)


# Before the first call --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"roles": [arn(1), "R"]}, RoleError, "'R' is not a valid role ARN"),
        (
            {"roles": arn(1)},
            TypeError,
            r"roles must be a list of roles, not str\. For a list of one entry, write",
        ),
        (
            {"roles": [Role(arn(1), duration=7200)], "source": AssumedRole(arn(0))},
            RoleError,
            "assumed from another role",
        ),
        ({"source": BASE}, TypeError, r"Did you mean Static\(credentials\)\?"),
        ({"source": Counted(SourceMissing("nothing there"))}, SourceMissing, "nothing there"),
        ({"source": Profile("nobody")}, SourceMissing, "Profile 'nobody' does not exist"),
        ({"workers": 0}, ValueError, "workers is 0, but at least 1 is needed"),
    ],
)
def test_what_cannot_work_is_told_at_once(change: Any, error: type[Exception], message: str) -> None:
    """When it is called, and not when somebody iterates; nothing is sent."""
    sts = CannedSTS()
    with pytest.raises(error, match=message):
        assume_all(**{"roles": ROLES, "source": Static(BASE), "sts": sts} | change)
    assert sts.asked == []


def test_a_bug_is_not_swallowed() -> None:
    """What is no error of stskit comes out of the iteration, and ends it."""
    with pytest.raises(ZeroDivisionError):
        list(assume_all(ROLES, source=Static(BASE), sts=CannedSTS(lambda _role: ZeroDivisionError())))


# The end of the proof ---------------------------------------------------------------------------------------------


class Stepping(ManualClock):
    """Each look at it costs a minute."""

    def now(self) -> Any:
        self.advance(timedelta(minutes=1))
        return super().now()


def ending(kind: str, minutes: float) -> Proof:
    """A proof of that kind that ends then."""
    import jwt

    end = ManualClock(START).now() + timedelta(minutes=minutes)
    if kind == "saml":
        return SAMLAssertion.from_text(response({"Role": [f"{role},{PROVIDER}" for role in ROLES]}, end=end))
    if kind == "web":
        return WebIdentityToken(jwt.encode({"exp": int(end.timestamp())}, "a key that is long enough for it"))
    return Credentials("ASIA", "secret", "token", end)


@pytest.mark.parametrize("kind", ["saml", "web", "keys"])
def test_a_proof_that_is_about_to_end_is_fetched_anew(kind: str) -> None:
    """Once, a minute before its end, and then the new one serves."""
    old, new = ending(kind, 10), ending(kind, 999)
    source = Counted(old, new)
    shared = fleet._SharedProof(source, Stepping(START))
    given = [shared.fetch() for _ in range(30)]
    assert source.calls == 2
    assert given == [old] * 9 + [new] * 21


def test_when_no_new_proof_is_to_be_had_the_rest_fails_without_a_call() -> None:
    """The end of a SAML assertion is one deadline for all; the source is asked for another once."""
    source = Counted(ending("saml", 10), SignInRequired("sign in again"))
    shared = fleet._SharedProof(source, Stepping(START))
    for _ in range(9):
        shared.fetch()
    errors = []
    for _ in range(3):
        with pytest.raises(SignInRequired, match="sign in again") as caught:
            shared.fetch()
        errors.append(caught.value)
    assert source.calls == 2
    assert len({id(error) for error in [*errors, source.proofs[-1]]}) == 4  # each role has an error of its own


def test_a_proof_without_an_end_is_fetched_once() -> None:
    """Long-term keys, opaque tokens and encrypted assertions."""
    sealed = SAMLAssertion(encoded(response().replace("a:Assertion", "a:EncryptedAssertion")), PROVIDER)
    for proof in (BASE, WebIdentityToken("opaque"), sealed):
        source = Counted(proof)
        shared = fleet._SharedProof(source, Stepping(START))
        assert [shared.fetch() for _ in range(99)] == [proof] * 99
        assert source.calls == 1


def test_an_assertion_that_has_ended_is_a_deadline_for_all(tmp_path: Path) -> None:
    """End to end: the first roles go through, and once the file's assertion is over the others need a person."""
    clock = ManualClock(START)
    path = tmp_path / "response"
    path.write_text(response({"Role": [f"{role},{PROVIDER}" for role in ROLES]}))
    sts = CannedSTS(lambda role: clock.advance(timedelta(minutes=1)))
    source = SAMLFile(path, skew=timedelta(0), clock=clock)
    shared = fleet._SharedProof(source, clock)
    outcomes = [
        fleet._assume(AssumedRole(role, source=shared, sts=sts), fleet._Pace(lambda _s: None)) for role in ROLES
    ]
    assert [type(outcome.error) for outcome in outcomes] == [type(None)] * 5 + [SignInRequired] * 35
    assert len(sts.asked) == 5


def test_a_role_that_is_not_offered_costs_no_call() -> None:
    """It is told with those that are; the others go on."""
    proof = SAMLAssertion.from_text(response({"Role": [f"{arn(1)},{PROVIDER}"]}))
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        outcomes = list(assume_all([arn(1), arn(2)], source=Counted(proof), sts=sts))
    assert {outcome.role.arn: type(outcome.error) for outcome in outcomes} == {
        arn(1): type(None),
        arn(2): RoleNotOffered,
    }
    assert len(server.requests) == 1


# Throttling -------------------------------------------------------------------------------------------------------


class Time:
    """A clock of seconds that only pauses move, for `_Pace`: how calls are spaced can only be tested inside."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def pace() -> tuple[fleet._Pace, Time]:
    time_ = Time()
    return fleet._Pace(time_.pause, lambda: time_.now), time_


def test_nobody_waits_until_sts_says_it_is_too_much() -> None:
    """Then the starts of all are spaced, more with each time, up to five seconds."""
    it, time_ = pace()
    for _ in range(50):
        it.wait()
    assert time_.pauses == []
    spaced = []
    for _ in range(8):
        it.slower(it.wait())
        spaced.append(round(it.wait() - time_.now + time_.pauses[-1], 3))
    assert spaced == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_many_that_are_throttled_together_count_as_one() -> None:
    """Else eight workers would slow down by two to the power of eight."""
    it, time_ = pace()
    started = [it.wait() for _ in range(8)]
    time_.now += 0.5
    for start in started:
        it.slower(start)
    it.wait()
    assert time_.pauses == [pytest.approx(0.1)]


def test_success_makes_it_faster_again() -> None:
    """By a tenth with each, until a hundredth of a second is left; then nobody waits any more."""
    it, time_ = pace()
    it.slower(it.wait())
    it.wait()
    for _ in range(40):
        it.faster()
        it.wait()
    left = [0.1 * 0.9**step for step in range(40) if step == 0 or 0.1 * 0.9 ** (step - 1) > 0.01]
    assert time_.pauses == pytest.approx([0.1, *left])


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (STSError("slow", "Throttling"), True),
        (STSError("slow", "TooManyRequests"), True),
        (STSError("slow", None, 429), True),
        (STSError("no", "AccessDenied", 403), False),
        (STSUnavailable("silent"), False),
    ],
)
def test_throttling_is_known_under_every_name(error: StskitError, known: bool) -> None:
    """Servers that are not AWS's have other codes for it, or a status alone."""
    it, _ = pace()
    sts = CannedSTS(lambda _role: error)
    assert fleet._assume(AssumedRole(arn(1), source=Static(BASE), sts=sts), it).error is error
    assert len(sts.asked) == (5 if known else 1)


def throttled(times: int) -> Callable[[Role], Exception | None]:
    """Throttles the first calls, whoever makes them."""
    left = iter(range(times))
    return lambda _role: None if next(left, None) is None else STSError("slow", "Throttling", retryable=True)


@pytest.mark.parametrize(("times", "good"), [(1, True), (4, True), (5, False)])
def test_a_throttled_role_is_tried_again_five_times_in_all(times: int, good: bool) -> None:
    """Then the refusal is its outcome."""
    it, time_ = pace()
    sts = CannedSTS(throttled(times))
    outcome = fleet._assume(AssumedRole(arn(1), source=Static(BASE), sts=sts), it)
    assert (outcome.error is None) == good
    assert len(sts.asked) == min(times + 1, 5)
    assert time_.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8][: len(sts.asked) - 1])


def test_throttling_slows_all_and_loses_nobody() -> None:
    """At a server: the throttled role comes through at last, and so do all others."""
    seen: dict[str, int] = {}

    def once_each_third(request: Request) -> Any:
        role = request.form["RoleArn"]
        seen[role] = seen.get(role, 0) + 1
        return refused("Throttling") if role == arn(3) and seen[role] <= 3 else granted(request)

    with fake_server(once_each_third) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        outcomes = list(assume_all(ROLES[:10], source=Static(BASE), sts=sts))
    assert all(outcome.credentials for outcome in outcomes)
    assert seen[arn(3)] == 4  # three attempts of botocore's, and one more


# The end of the iteration -----------------------------------------------------------------------------------------


def test_who_stops_iterating_stops_the_rest() -> None:
    """What is under way ends by itself; nothing new is started."""
    sts = CannedSTS(lambda role: time.sleep(0.002))
    many = [arn(number) for number in range(1000)]
    outcomes = assume_all(many, source=Static(BASE), sts=sts, workers=2)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    for thread in [thread for thread in threading.enumerate() if thread.name == "stskit-fleet"]:
        thread.join(10)
    assert len(sts.asked) < 50


def test_who_stops_while_sts_throttles_makes_no_new_call() -> None:
    """Workers that pause before their next call end without it, and none waits for its whole pause."""
    sts = FakeSTS()
    sts.next(None)
    sts.always(Throttle())
    outcomes = assume_all([arn(number) for number in range(200)], source=Static(sts.user()), sts=sts)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    under_way = sts.count() + 8
    for thread in [thread for thread in threading.enumerate() if thread.name == "stskit-fleet"]:
        thread.join(10)
        assert not thread.is_alive()
    assert sts.count() <= under_way


def test_a_worker_that_has_been_stopped_makes_no_call() -> None:
    """However long it has paused before it."""
    asked, stop = CannedSTS(), threading.Event()
    sts = fleet._StoppableSTS(asked, stop)
    sts.exchange(BASE, Role(arn(1)))
    stop.set()
    with pytest.raises(fleet._Stopped):
        sts.exchange(BASE, Role(arn(2)))
    assert asked.asked == [arn(1)]


def test_an_iteration_that_never_starts_makes_no_call() -> None:
    """The proof was fetched, to tell early where there is none."""
    source, sts = Counted(BASE), CannedSTS()
    assume_all(ROLES, source=source, sts=sts)
    assert (source.calls, sts.asked) == (1, [])


@pytest.mark.case("E16")
def test_ctrl_c_ends_it_at_once_and_cleanly() -> None:
    """While a server hangs: the program is gone within moments, with nothing but the interrupt, and no new request."""
    script = """
        import signal, sys
        from stskit import Credentials, assume_all
        from stskit.sources import Static
        from stskit.sts import BotocoreSTS

        roles = [f"arn:aws:iam::123456789012:role/r{number}" for number in range(100)]
        sts = BotocoreSTS(endpoint_url=sys.argv[1], read_timeout=60)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
        print("started", flush=True)
        try:
            for outcome in assume_all(roles, source=Static(Credentials("AKIA", "secret")), sts=sts, workers=4):
                print(outcome)
        except KeyboardInterrupt:
            print("interrupted")
    """
    with fake_server("hang") as server:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        deadline = time.monotonic() + 20
        while len(server.requests) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        start = time.monotonic()
        os.kill(child.pid, signal.SIGINT)
        output, errors = child.communicate(timeout=20)
        assert (child.returncode, output, errors) == (0, "interrupted\n", "")
        assert time.monotonic() - start < 5
        assert len(server.requests) == 4


# Real servers -----------------------------------------------------------------------------------------------------


def test_real_roles_are_had_together(aws: LocalAWS, sts: BotocoreSTS, base: Credentials) -> None:
    """The one that trusts the caller, and the one that does not, each with its outcome."""
    outcomes = {o.role.arn: o for o in assume_all([aws.hub_role, aws.target_role], source=Static(base), sts=sts)}
    assert outcomes[aws.hub_role].credentials
    error = outcomes[aws.target_role].error
    assert isinstance(error, STSError)
    assert error.code == "AccessDenied"


def test_another_worker_may_have_replaced_a_refused_key_already() -> None:
    """Then nothing is replaced again, and the next fetch is of the key that is there now."""
    keys = Credentials("AKIANEW", "s")

    class Source:
        def fetch(self) -> Credentials:
            return keys

        def replace_refused(self, access_key_id: str) -> bool:
            raise AssertionError("it was replaced already")

    shared = fleet._SharedProof(Source(), Stepping(START))
    assert shared.fetch() is keys
    assert shared.replace_refused("AKIAOLD")
    assert shared.fetch() is keys


def test_an_iteration_is_not_continued_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads of a forked child do not exist, so it would wait for ever."""
    sts = FakeSTS()
    outcomes = assume_all(ROLES[:3], source=Static(sts.user()), sts=sts, workers=1)
    next(outcomes)
    monkeypatch.setattr("os.getpid", lambda: 1)
    with pytest.raises(RuntimeError, match="call assume_all in the child process"):
        next(outcomes)
