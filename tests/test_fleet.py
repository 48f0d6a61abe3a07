"""`assume_all`: one outcome for each role, limited load on STS, and an early end when the caller stops."""

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
    """A source that counts its calls, returns its proofs in order, and repeats the last one."""

    def __init__(self, *proofs: Proof | Exception) -> None:
        self.proofs, self.calls = proofs, 0

    def fetch(self) -> Proof:
        self.calls += 1
        proof = self.proofs[min(self.calls, len(self.proofs)) - 1]
        if isinstance(proof, Exception):
            raise proof
        return proof


class CannedSTS:
    """An STS that responds as *answer* says for the role, and records its calls."""

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
def test_each_role_has_an_outcome(workers: int) -> None:
    """With any number of workers, each role has one outcome and the source is called once."""
    source, sts = Counted(BASE), CannedSTS()
    outcomes = list(assume_all(ROLES, source=source, sts=sts, workers=workers))
    assert sorted(outcome.role.arn for outcome in outcomes) == sorted(ROLES)
    assert all(outcome.credentials and outcome.credentials.access_key_id == outcome.role.arn for outcome in outcomes)
    assert all(outcome.error is None for outcome in outcomes)
    assert source.calls == 1
    assert sts.threads == {"stskit-fleet"}


def test_one_failure_does_not_stop_the_other_roles() -> None:
    """A refusal is the outcome of its role, and all other roles succeed."""
    refusal = STSError("no", "AccessDenied")
    outcomes = list(
        assume_all(ROLES, source=Static(BASE), sts=CannedSTS(lambda role: refusal if "r7" in role.arn else None))
    )
    assert [(outcome.role.arn, outcome.error) for outcome in outcomes if outcome.error] == [(arn(7), refusal)]
    assert len(outcomes) == len(ROLES)
    assert [outcome.credentials for outcome in outcomes if outcome.error] == [None]


def test_outcomes_are_returned_as_they_finish() -> None:
    """Outcomes are yielded in the order in which the calls finish, so a slow role does not delay the others."""
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


def test_progress_is_reported_in_the_thread_of_the_caller() -> None:
    """`progress` is called in the caller's thread with the number of finished roles and the total."""
    told: list[tuple[int, int, str]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total, threading.current_thread().name))

    for number, _ in enumerate(assume_all(ROLES[:3], source=Static(BASE), sts=CannedSTS(), progress=progress), 1):
        assert told[-1] == (number, 3, "MainThread")
    assert len(told) == 3


def test_a_role_can_be_repeated_and_have_options() -> None:
    """A role can occur several times, also with different options, and has an outcome each time."""
    roles: list[Role | str] = [arn(1), arn(1), Role(arn(1), session_name="me")]
    outcomes = list(assume_all(roles, source=Static(BASE), sts=CannedSTS()))
    assert sorted(outcome.role.session_name or "" for outcome in outcomes) == ["", "", "me"]


def test_the_defaults_are_the_ambient_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a source and an STS, `assume_all` uses the ambient ones."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert [outcome.error for outcome in assume_all([arn(1)])] == [None]
    assert [request.access_key_id for request in server.requests] == ["AKIAAMBIENT"]


@pytest.mark.case("P20")
def test_eight_calls_run_at_a_time() -> None:
    """By default eight calls run at the same time."""
    all_there, under_way = threading.Barrier(8), []

    def answer(role: Role) -> None:
        under_way.append(role.arn)
        if len(under_way) <= 8:
            all_there.wait(10)

    assert len(list(assume_all(ROLES, source=Static(BASE), sts=CannedSTS(answer)))) == len(ROLES)


def test_without_roles_no_proof_is_fetched() -> None:
    """With an empty list of roles, the source is not called."""
    source = Counted(SourceMissing("nothing there"))
    assert list(assume_all([], source=source)) == []
    assert source.calls == 0


def test_an_outcome_shows_the_role_and_its_result_in_one_line() -> None:
    """The repr of an outcome is one line with the role and the credentials or the error, without a secret."""
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
def test_invalid_arguments_raise_before_the_iteration(change: Any, error: type[Exception], message: str) -> None:
    """An invalid argument raises in `assume_all` itself, before the iteration and before any call."""
    sts = CannedSTS()
    with pytest.raises(error, match=message):
        assume_all(**{"roles": ROLES, "source": Static(BASE), "sts": sts} | change)
    assert sts.asked == []


def test_an_unexpected_exception_is_raised() -> None:
    """An exception that is not from stskit ends the iteration and is raised."""
    with pytest.raises(ZeroDivisionError):
        list(assume_all(ROLES, source=Static(BASE), sts=CannedSTS(lambda _role: ZeroDivisionError())))


# Expiry of the proof ----------------------------------------------------------------------------------------------


class Stepping(ManualClock):
    """A clock that advances by one minute at each reading."""

    def now(self) -> Any:
        self.advance(timedelta(minutes=1))
        return super().now()


def ending(kind: str, minutes: float) -> Proof:
    """Return a proof of this kind that expires after *minutes*."""
    import jwt

    end = ManualClock(START).now() + timedelta(minutes=minutes)
    if kind == "saml":
        return SAMLAssertion.from_text(response({"Role": [f"{role},{PROVIDER}" for role in ROLES]}, end=end))
    if kind == "web":
        return WebIdentityToken(jwt.encode({"exp": int(end.timestamp())}, "a key that is long enough for it"))
    return Credentials("ASIA", "secret", "token", end)


@pytest.mark.parametrize("kind", ["saml", "web", "keys"])
def test_a_proof_that_expires_soon_is_fetched_again(kind: str) -> None:
    """One minute before its expiry, the proof is fetched again once, and the new proof is used."""
    old, new = ending(kind, 10), ending(kind, 999)
    source = Counted(old, new)
    shared = fleet._SharedProof(source, Stepping(START))
    given = [shared.fetch() for _ in range(30)]
    assert source.calls == 2
    assert given == [old] * 9 + [new] * 21


def test_without_a_new_proof_the_other_roles_fail() -> None:
    """If no new proof is available, the other roles fail without a call, and the source is called only once more."""
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
    assert len({id(error) for error in [*errors, source.proofs[-1]]}) == 4  # Each role has its own error object.


def test_a_proof_without_an_expiration_is_fetched_once() -> None:
    """A proof without an expiry (long-term keys, opaque tokens, encrypted assertions) is fetched once."""
    sealed = SAMLAssertion(encoded(response().replace("a:Assertion", "a:EncryptedAssertion")), PROVIDER)
    for proof in (BASE, WebIdentityToken("opaque"), sealed):
        source = Counted(proof)
        shared = fleet._SharedProof(source, Stepping(START))
        assert [shared.fetch() for _ in range(99)] == [proof] * 99
        assert source.calls == 1


def test_an_expired_assertion_ends_all_calls(tmp_path: Path) -> None:
    """When the assertion in a SAML file expires, the roles before it succeed and the others get SignInRequired."""
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
    """A role that the assertion does not offer is RoleNotOffered without a call, and the others succeed."""
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
    """A clock in seconds that only pauses advance, for `_Pace`, whose intervals are not visible from outside."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def pace() -> tuple[fleet._Pace, Time]:
    time_ = Time()
    return fleet._Pace(time_.pause, lambda: time_.now), time_


def test_calls_are_slowed_down_only_after_throttling() -> None:
    """The first throttling error introduces an interval between calls, which doubles each time up to five seconds."""
    it, time_ = pace()
    for _ in range(50):
        it.wait()
    assert time_.pauses == []
    spaced = []
    for _ in range(8):
        it.slower(it.wait())
        spaced.append(round(it.wait() - time_.now + time_.pauses[-1], 3))
    assert spaced == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_simultaneous_throttling_counts_once() -> None:
    """Throttling errors of calls that started together double the interval only once."""
    it, time_ = pace()
    started = [it.wait() for _ in range(8)]
    time_.now += 0.5
    for start in started:
        it.slower(start)
    it.wait()
    assert time_.pauses == [pytest.approx(0.1)]


def test_success_speeds_the_calls_up_again() -> None:
    """Each success reduces the interval by a tenth, until it is below a hundredth of a second and ends."""
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
def test_throttling_is_recognised_by_each_code(error: StskitError, known: bool) -> None:
    """Throttling is recognized by all error codes and by the HTTP status 429, also from servers other than AWS."""
    it, _ = pace()
    sts = CannedSTS(lambda _role: error)
    assert fleet._assume(AssumedRole(arn(1), source=Static(BASE), sts=sts), it).error is error
    assert len(sts.asked) == (5 if known else 1)


def throttled(times: int) -> Callable[[Role], Exception | None]:
    """Return an answer that throttles this number of calls."""
    left = iter(range(times))
    return lambda _role: None if next(left, None) is None else STSError("slow", "Throttling", retryable=True)


@pytest.mark.parametrize(("times", "good"), [(1, True), (4, True), (5, False)])
def test_a_throttled_role_is_tried_five_times(times: int, good: bool) -> None:
    """A throttled role is tried at most five times; then the refusal is its outcome."""
    it, time_ = pace()
    sts = CannedSTS(throttled(times))
    outcome = fleet._assume(AssumedRole(arn(1), source=Static(BASE), sts=sts), it)
    assert (outcome.error is None) == good
    assert len(sts.asked) == min(times + 1, 5)
    assert time_.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8][: len(sts.asked) - 1])


def test_throttled_roles_succeed_in_the_end() -> None:
    """On a server that throttles one role, this role and all others succeed."""
    seen: dict[str, int] = {}

    def once_each_third(request: Request) -> Any:
        role = request.form["RoleArn"]
        seen[role] = seen.get(role, 0) + 1
        return refused("Throttling") if role == arn(3) and seen[role] <= 3 else granted(request)

    with fake_server(once_each_third) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        outcomes = list(assume_all(ROLES[:10], source=Static(BASE), sts=sts))
    assert all(outcome.credentials for outcome in outcomes)
    assert seen[arn(3)] == 4  # three attempts of botocore and one more


# The end of the iteration -----------------------------------------------------------------------------------------


def test_closing_the_iteration_stops_the_other_calls() -> None:
    """If the caller closes the iteration, running calls finish and no new call starts."""
    sts = CannedSTS(lambda role: time.sleep(0.002))
    many = [arn(number) for number in range(1000)]
    outcomes = assume_all(many, source=Static(BASE), sts=sts, workers=2)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    for thread in [thread for thread in threading.enumerate() if thread.name == "stskit-fleet"]:
        thread.join(10)
    assert len(sts.asked) < 50


def test_closing_the_iteration_during_throttling_makes_no_new_call() -> None:
    """If the caller closes the iteration during throttling, the workers end without another call or a full pause."""
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


def test_a_stopped_worker_makes_no_call() -> None:
    """A worker that was stopped makes no call."""
    asked, stop = CannedSTS(), threading.Event()
    sts = fleet._StoppableSTS(asked, stop)
    sts.exchange(BASE, Role(arn(1)))
    stop.set()
    with pytest.raises(fleet._Stopped):
        sts.exchange(BASE, Role(arn(2)))
    assert asked.asked == [arn(1)]


def test_an_iteration_that_never_starts_makes_no_call() -> None:
    """Without an iteration no role is assumed; only the proof is fetched, so that a missing proof is an early error."""
    source, sts = Counted(BASE), CannedSTS()
    assume_all(ROLES, source=source, sts=sts)
    assert (source.calls, sts.asked) == (1, [])


@pytest.mark.case("E16")
def test_ctrl_c_ends_the_iteration_at_once() -> None:
    """Ctrl-C ends a program within moments while a server hangs, without other errors or new requests."""
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


def test_real_roles_are_assumed(aws: LocalAWS, sts: BotocoreSTS, base: Credentials) -> None:
    """On a real server, a role that trusts the caller succeeds and another gets AccessDenied."""
    outcomes = {o.role.arn: o for o in assume_all([aws.hub_role, aws.target_role], source=Static(base), sts=sts)}
    assert outcomes[aws.hub_role].credentials
    error = outcomes[aws.target_role].error
    assert isinstance(error, STSError)
    assert error.code == "AccessDenied"


def test_a_key_that_another_worker_replaced_is_used() -> None:
    """If another worker has already replaced a refused key, it is not replaced again and the next fetch returns it."""
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
    """In a forked child, the iteration raises RuntimeError, because its threads do not exist there."""
    sts = FakeSTS()
    outcomes = assume_all(ROLES[:3], source=Static(sts.user()), sts=sts, workers=1)
    next(outcomes)
    monkeypatch.setattr("os.getpid", lambda: 1)
    with pytest.raises(RuntimeError, match="call assume_all in the child process"):
        next(outcomes)
