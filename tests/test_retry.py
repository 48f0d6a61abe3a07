"""What stskit tries retry, since botocore does not know of it: with a fresh proof, and never for long."""

from __future__ import annotations

import pickle
import random
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fake_server import Answer, Request, fake_server, granted, refused
from helpers import START, ScriptedSource
from hypothesis import given
from hypothesis import strategies as st

from stskit import MFA, AssumedRole, Cached, Credentials, Role, WebIdentityToken, assume
from stskit.errors import RoleError, STSError
from stskit.proofs import Proof
from stskit.sources import Static
from stskit.sts import BotocoreSTS, retry
from stskit.testing import FakeSTS, ManualClock, Refuse, Trust

ROLE = "arn:aws:iam::123456789012:role/R"
KEYS = "Couldn't retrieve verification key from your identity provider, please reference documentation"
DENIED, NO_KEYS = refused("AccessDenied", status=403), refused("InvalidIdentityToken", KEYS)


class Renewed:
    """A source that returns another token each time."""

    def __init__(self) -> None:
        self.number = 0

    def fetch(self) -> WebIdentityToken:
        self.number += 1
        return WebIdentityToken(f"token-{self.number}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses, in a time that only they move."""
    made: list[float] = []
    clock = ManualClock(START)

    def pause(seconds: float) -> None:
        made.append(seconds)
        clock.advance(timedelta(seconds=seconds))

    monkeypatch.setattr(retry, "sleep", pause)
    monkeypatch.setattr(retry, "monotonic", clock.monotonic)
    monkeypatch.setattr(random, "uniform", lambda _least, most: most)
    return made


@pytest.mark.case("P138")
@pytest.mark.parametrize("failures", [1, 4])
def test_retries_after_missing_provider_keys_send_a_new_token(failures: int, pauses: list[float]) -> None:
    """If STS could not fetch the keys of the identity provider, each attempt sends a new token."""
    with fake_server(*[NO_KEYS] * failures, granted) as server:
        assume(ROLE, source=Renewed(), sts=BotocoreSTS(endpoint_url=server.url))
    tokens = [request.form["WebIdentityToken"] for request in server.requests]
    assert tokens == [f"token-{number}" for number in range(1, failures + 2)]
    assert pauses == [1, 2, 4, 8][:failures]


@pytest.mark.case("P138")
def test_five_attempts_are_made(pauses: list[float]) -> None:
    """After five attempts, the error has the next step and is retryable."""
    with (
        fake_server(NO_KEYS) as server,
        pytest.raises(STSError, match="could not fetch the keys of the identity provider") as caught,
    ):
        assume(ROLE, source=Renewed(), sts=BotocoreSTS(endpoint_url=server.url))
    assert len(server.requests) == 5
    assert caught.value.retryable
    assert sum(pauses) == 15


@pytest.mark.case("E8", "S29")
@pytest.mark.parametrize(
    "answer",
    [
        DENIED,
        refused("InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://idp"),
        refused("InvalidIdentityToken", "Response signature invalid"),
        refused("InvalidIdentityToken", "SAML Assertion must be used within 5 minutes of issuance"),
        refused("ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance"),
        refused("IDPRejectedClaim"),
        refused("MalformedPolicyDocument"),
        refused("RegionDisabledException", status=403),
    ],
)
def test_other_errors_are_not_retried(answer: Answer, pauses: list[float]) -> None:
    """Other errors cause one request and no pause. The wording of STS is an assumption."""
    with fake_server(answer) as server, pytest.raises(STSError):
        assume(ROLE, source=Renewed(), sts=BotocoreSTS(endpoint_url=server.url))
    assert (len(server.requests), pauses) == (1, [])


@pytest.mark.case("P139")
@pytest.mark.parametrize(("seconds", "made"), [(5, [1, 2, 2]), (60, [1, 2, 4, 8, 10, 10, 10, 10, 5]), (0.5, [0.5])])
def test_a_new_role_is_retried_for_the_given_time(seconds: float, made: list[float], pauses: list[float]) -> None:
    """A denied new role is tried again for the given time, with pauses up to ten seconds."""
    wait = timedelta(seconds=seconds)
    with fake_server(DENIED) as server, pytest.raises(STSError, match="AccessDenied"):
        assume(ROLE, source=Renewed(), sts=BotocoreSTS(endpoint_url=server.url), wait_for_new_role=wait)
    assert pauses == made
    assert len(server.requests) == len(made) + 1


def test_a_new_role_that_becomes_known_returns_credentials(pauses: list[float]) -> None:
    """When STS knows the new role, its credentials are returned."""
    with fake_server(DENIED, DENIED, NO_KEYS, granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        recipe = AssumedRole(ROLE, source=Renewed(), sts=sts, wait_for_new_role=timedelta(minutes=1))
        assert recipe.fetch().session_token
    assert pauses == [1, 2, 1]


@pytest.mark.case("P139")
@pytest.mark.parametrize("seconds", [-1, 61])
def test_a_wait_of_more_than_a_minute_is_refused(seconds: int) -> None:
    """wait_for_new_role of more than a minute is an error."""
    with pytest.raises(RoleError, match="wait_for_new_role is .* seconds, but it must be between 0 and 60 seconds"):
        AssumedRole(ROLE, wait_for_new_role=timedelta(seconds=seconds))


def test_each_role_of_a_chain_can_be_new(pauses: list[float]) -> None:
    """Each role of a chain can be new."""

    def second_is_new(request: Request) -> Answer:
        return granted(request) if request.form["RoleArn"] == ROLE or len(pauses) == 2 else DENIED

    with fake_server(second_is_new) as server:
        recipe = AssumedRole.through(
            ROLE,
            f"{ROLE}2",
            source=Static(Credentials("AKIA", "secret")),
            sts=BotocoreSTS(endpoint_url=server.url),
            wait_for_new_role=timedelta(seconds=30),
        )
        recipe.fetch()
    assert pauses == [1, 2]


@pytest.mark.case("E17")
def test_the_refused_role_of_a_chain_is_named(pauses: list[float]) -> None:
    """The error for a refused role of a chain names it, and no credentials are stored."""

    def second_is_refused(request: Request) -> Answer:
        return granted(request) if request.form["RoleArn"] == ROLE else DENIED

    with fake_server(second_is_refused) as server, pytest.raises(STSError) as caught:
        sts = BotocoreSTS(endpoint_url=server.url)
        assume(ROLE, f"{ROLE}2", source=Static(Credentials("AKIA", "secret")), sts=sts)
    assert caught.value.role_arn == f"{ROLE}2"
    assert "assumed-role/R/s" in caught.value.remedy


def test_an_interrupt_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt ends the wait at once."""

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(retry, "sleep", interrupted)
    with fake_server(NO_KEYS) as server, pytest.raises(KeyboardInterrupt):
        assume(ROLE, source=Renewed(), sts=BotocoreSTS(endpoint_url=server.url))
    assert len(server.requests) == 1


def test_a_recipe_with_a_wait_can_be_pickled() -> None:
    """A recipe with wait_for_new_role can be pickled."""
    recipe = AssumedRole(ROLE, wait_for_new_role=timedelta(seconds=9))
    assert pickle.loads(pickle.dumps(recipe)) == recipe


@given(st.floats(0, 60))
def test_the_pauses_never_exceed_the_given_time(seconds: float) -> None:
    """The pauses never exceed the given time."""
    clock = ManualClock(START)
    with pytest.MonkeyPatch.context() as patch:
        pauses: list[float] = []

        def pause(length: float) -> None:
            pauses.append(length)
            clock.advance(timedelta(seconds=length))

        class Denying:
            def exchange(self, proof: Proof, role: Role) -> Credentials:
                raise STSError("no", "AccessDenied")

        patch.setattr(retry, "monotonic", clock.monotonic)
        patch.setattr(retry, "sleep", pause)
        with pytest.raises(STSError):
            source = Static(Credentials("AKIA", "secret"))
            retry.exchange_with_retries(Denying(), source, Role(ROLE), timedelta(seconds=seconds))
    assert all(0 < length <= 10 for length in pauses)
    assert sum(pauses) == pytest.approx(seconds, abs=1e-3)


class Scripted:
    """An STS that raises the given errors, once each."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        if self.errors:
            raise self.errors.pop(0)
        return Credentials(role.arn, "secret")


def test_another_sts_class_is_retried_alike(pauses: list[float]) -> None:
    """The errors of another STS class are retried in the same way."""
    error: Callable[..., STSError] = STSError
    sts = Scripted(error("m", "InvalidIdentityToken", retryable=True), error("m", "Throttling", retryable=True))
    with pytest.raises(STSError) as caught:
        AssumedRole(ROLE, source=ScriptedSource(Credentials("AKIA", "secret")), sts=sts).fetch()
    assert caught.value.code == "Throttling"
    assert pauses == [1]


# Chains: only the call that was refused is made again ----------------------------------------------------------------


CHAIN = [f"arn:aws:iam::123456789012:role/R{number}" for number in range(3)]
OIDC_KEYS = Refuse("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_retries_do_not_multiply_along_a_chain(hops: int, cached: bool, pauses: list[float]) -> None:
    """Retries do not multiply along a chain: five calls and 15 seconds at most."""
    sts = FakeSTS()
    sts.always(OIDC_KEYS)
    source = Static(WebIdentityToken(sts.idp.oidc_token()))
    recipe = AssumedRole.through(*CHAIN[:hops], source=source, sts=sts, wait_for_new_role=timedelta(minutes=1))
    with pytest.raises(STSError, match="InvalidIdentityToken"):
        (Cached(recipe) if cached else recipe).fetch()
    assert (sts.count(), sum(pauses)) == (5, 15)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("new", [0, 1, 2])
def test_roles_before_a_new_one_are_assumed_once(new: int, cached: bool, pauses: list[float]) -> None:
    """The wait for a new role in a chain takes a minute at most, and the roles before it are assumed once."""
    sts = FakeSTS(roles={role: None if number == new else Trust() for number, role in enumerate(CHAIN)})
    recipe = AssumedRole.through(*CHAIN, source=Static(sts.user()), sts=sts, wait_for_new_role=timedelta(minutes=1))
    with pytest.raises(STSError, match="AccessDenied"):
        (Cached(recipe) if cached else recipe).fetch()
    assert [sts.count("AssumeRole"), sum(pauses)] == [new + 10, 60]


@pytest.mark.parametrize("code", ["123456", lambda _serial: "123456"], ids=["text", "callable"])
def test_waiting_for_a_new_role_and_an_mfa_code_are_refused_together(code: object) -> None:
    """Waiting for a new role together with an MFA code is an error before any call."""
    role = Role(ROLE, mfa=MFA("arn:aws:iam::123456789012:mfa/me", code))  # type: ignore[arg-type]
    with pytest.raises(RoleError, match="wait_for_new_role cannot be used together with mfa.*SessionToken") as caught:
        AssumedRole(role, wait_for_new_role=timedelta(seconds=20))
    assert caught.value.option == "wait_for_new_role"
    assert AssumedRole(role).role is role


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (30, "Did you mean timedelta(seconds=30)?"),
        ("30s", "Write timedelta(...)."),
        (None, "Write"),
        (timedelta, "Write"),
    ],
)
def test_a_wait_that_is_not_a_timedelta_is_a_type_error(wrong: Any, hint: str) -> None:
    """A wait that is not a timedelta is a TypeError with a hint."""
    with pytest.raises(TypeError, match=f"^wait_for_new_role must be a timedelta, not .*{re.escape(hint)}"):
        AssumedRole(ROLE, wait_for_new_role=wrong)


# STS refuses the key of a hop ----------------------------------------------------------------------------------------


class Dead:
    """An STS that can refuse its own keys for a hub, and records the calls."""

    def __init__(self, sts: FakeSTS, code: str) -> None:
        self.sts, self.code, self.dead, self.all_dead = sts, code, set[str](), False
        self.calls: list[str] = []
        self.given: list[str] = []

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        assert isinstance(proof, Credentials)
        self.calls.append(role.arn.rpartition("/")[2])
        if proof.access_key_id in self.dead or (self.all_dead and proof.session_token):
            raise STSError(f"{self.code}: not any more", self.code)
        given = self.sts.exchange(proof, role)
        self.given.append(given.access_key_id)
        return given


HOP_CODES = ["ExpiredToken", "InvalidClientTokenId", "InvalidSubjectCredentials"]


@pytest.mark.case("P168")
@pytest.mark.parametrize("shared", [False, True], ids=["chain", "hub of the user"])
@pytest.mark.parametrize("code", HOP_CODES)
def test_a_hub_with_a_refused_key_is_assumed_again_once(code: str, shared: bool, clock: ManualClock) -> None:
    """If STS refuses the key of a hub, the hub is assumed again once, and the call is repeated."""
    fake = FakeSTS(clock=clock)
    sts = Dead(fake, code)
    hub = AssumedRole(CHAIN[0], source=Static(fake.user()), sts=sts)
    both = Cached(AssumedRole(CHAIN[1], source=Cached(hub, clock=clock) if shared else hub, sts=sts), clock=clock)
    both.fetch()
    clock.advance(timedelta(seconds=61))
    sts.dead.add(sts.given[0])
    both.invalidate()
    both.fetch()
    assert sts.calls == ["R0", "R1", "R1", "R0", "R1"]


@pytest.mark.case("P168")
@pytest.mark.parametrize("code", [*HOP_CODES, "AccessDenied"])
def test_a_hub_with_refused_keys_is_assumed_at_most_once_in_five_minutes(code: str, clock: ManualClock) -> None:
    """If STS rejects the keys of a hub, the hub is assumed again after a minute, and at most once in 5 minutes."""
    fake = FakeSTS(clock=clock)
    sts = Dead(fake, code)
    hub = Cached(AssumedRole(CHAIN[0], source=Static(fake.user()), sts=sts), clock=clock)
    hub.fetch()
    sts.all_dead = True

    def ask() -> int:
        with pytest.raises(STSError, match=code):
            AssumedRole(CHAIN[1], source=hub, sts=sts).fetch()
        return sts.calls.count("R0")

    known = code in HOP_CODES
    clock.advance(timedelta(seconds=59))
    assert [ask() for _ in range(3)] == [1] * 3
    clock.advance(timedelta(seconds=1))
    assert [ask() for _ in range(21)] == [1 + known] * 21
    clock.advance(timedelta(seconds=299))
    assert [ask() for _ in range(3)] == [1 + known] * 3
    clock.advance(timedelta(seconds=1))
    assert [ask() for _ in range(3)] == [1 + 2 * known] * 3


def test_a_refused_key_of_a_source_without_a_cache_is_the_error(clock: ManualClock) -> None:
    """A refused key of a source that keeps nothing is the error, after one call."""
    fake = FakeSTS(clock=clock)
    fake.next(Refuse("ExpiredToken", "too old", 403))
    with pytest.raises(STSError, match="ExpiredToken"):
        AssumedRole(ROLE, source=Static(fake.user()), sts=fake).fetch()
    assert fake.count() == 1
