"""What stskit tries retry, since botocore does not know of it: with a fresh proof, and never for long."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from fake_server import Answer, Request, fake_server, granted, refused
from helpers import START, ScriptedSource
from hypothesis import given
from hypothesis import strategies as st

from stskit import AssumedRole, Credentials, Role, WebIdentityToken, assume
from stskit.errors import RoleError, STSError
from stskit.proofs import Proof
from stskit.sources import Static
from stskit.sts import BotocoreSTS, retry
from stskit.testing import ManualClock

ROLE = "arn:aws:iam::123456789012:role/R"
KEYS = "Couldn't retrieve verification key from your identity provider, please reference documentation"
DENIED, NO_KEYS = refused("AccessDenied", status=403), refused("InvalidIdentityToken", KEYS)


class Renewed:
    """A source that gives another token each time."""

    def __init__(self) -> None:
        self.number = 0

    def fetch(self) -> WebIdentityToken:
        self.number += 1
        return WebIdentityToken(f"token-{self.number}")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in a time that only they let pass."""
    made: list[float] = []
    clock = ManualClock(START)

    def pause(seconds: float) -> None:
        made.append(seconds)
        clock.advance(timedelta(seconds=seconds))

    monkeypatch.setattr(retry, "sleep", pause)
    monkeypatch.setattr(retry, "monotonic", clock.monotonic)
    monkeypatch.setattr(random, "uniform", lambda _least, most: most)
    return made


@pytest.mark.parametrize("failures", [1, 4])
def test_keys_that_sts_could_not_fetch_are_waited_for(failures: int, pauses: list[float]) -> None:
    """With a fresh token for each try, since the first may expire meanwhile."""
    with fake_server(*[NO_KEYS] * failures, granted) as server:
        assume(ROLE, source=Renewed(), sts=BotocoreSTS(endpoint_url=server.url))
    tokens = [request.form["WebIdentityToken"] for request in server.requests]
    assert tokens == [f"token-{number}" for number in range(1, failures + 2)]
    assert pauses == [1, 2, 4, 8][:failures]


def test_five_tries_are_all(pauses: list[float]) -> None:
    """Then the error says what to look at, and that it may pass."""
    with (
        fake_server(NO_KEYS) as server,
        pytest.raises(STSError, match="could not fetch the identity provider's keys") as caught,
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
def test_nothing_else_is_tried_again(answer: Answer, pauses: list[float]) -> None:
    """One request, and no pause.

    That STS words it so is an assumption, for no server here does: see
    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml.html
    """
    with fake_server(answer) as server, pytest.raises(STSError):
        assume(ROLE, source=Renewed(), sts=BotocoreSTS(endpoint_url=server.url))
    assert (len(server.requests), pauses) == (1, [])


@pytest.mark.parametrize(("seconds", "made"), [(5, [1, 2, 2]), (60, [1, 2, 4, 8, 10, 10, 10, 10, 5]), (0.5, [0.5])])
def test_a_new_role_is_waited_for_where_asked(seconds: float, made: list[float], pauses: list[float]) -> None:
    """With pauses that grow to ten seconds, for as long as was said, and then the refusal stands."""
    wait = timedelta(seconds=seconds)
    with fake_server(DENIED) as server, pytest.raises(STSError, match="AccessDenied"):
        assume(ROLE, source=Renewed(), sts=BotocoreSTS(endpoint_url=server.url), wait_for_new_role=wait)
    assert pauses == made
    assert len(server.requests) == len(made) + 1


def test_once_the_role_is_known_it_goes_on(pauses: list[float]) -> None:
    """With what STS gave then."""
    with fake_server(DENIED, DENIED, NO_KEYS, granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        recipe = AssumedRole(ROLE, source=Renewed(), sts=sts, wait_for_new_role=timedelta(minutes=1))
        assert recipe.fetch().session_token
    assert pauses == [1, 2, 1]


@pytest.mark.parametrize("seconds", [-1, 61])
def test_nobody_waits_for_longer_than_a_minute(seconds: int) -> None:
    """A role that is not known by then is refused for another reason."""
    with pytest.raises(RoleError, match="wait_for_new_role is .*; it may be up to 0:01:00"):
        AssumedRole(ROLE, wait_for_new_role=timedelta(seconds=seconds))


def test_each_hop_of_a_chain_waits(pauses: list[float]) -> None:
    """Whichever role it is that is new."""

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
def test_the_hop_that_was_refused_is_named(pauses: list[float]) -> None:
    """By its ARN; the credentials of the hop before it go nowhere."""

    def second_is_refused(request: Request) -> Answer:
        return granted(request) if request.form["RoleArn"] == ROLE else DENIED

    with fake_server(second_is_refused) as server, pytest.raises(STSError) as caught:
        sts = BotocoreSTS(endpoint_url=server.url)
        assume(ROLE, f"{ROLE}2", source=Static(Credentials("AKIA", "secret")), sts=sts)
    assert caught.value.role_arn == f"{ROLE}2"
    assert "assumed-role/R/s" in caught.value.remedy


def test_an_interrupt_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once."""

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(retry, "sleep", interrupted)
    with fake_server(NO_KEYS) as server, pytest.raises(KeyboardInterrupt):
        assume(ROLE, source=Renewed(), sts=BotocoreSTS(endpoint_url=server.url))
    assert len(server.requests) == 1


def test_a_recipe_that_waits_travels() -> None:
    """It holds nothing but how long."""
    recipe = AssumedRole(ROLE, wait_for_new_role=timedelta(seconds=9))
    assert pickle.loads(pickle.dumps(recipe)) == recipe


@given(st.floats(0, 60))
def test_the_pauses_never_pass_the_end(seconds: float) -> None:
    """However long it is."""
    clock = ManualClock(START)
    with pytest.MonkeyPatch.context() as patch:
        pauses: list[float] = []

        def pause(length: float) -> None:
            pauses.append(length)
            clock.advance(timedelta(seconds=length))

        def denied() -> None:
            raise STSError("no", "AccessDenied")

        patch.setattr(retry, "monotonic", clock.monotonic)
        patch.setattr(retry, "sleep", pause)
        with pytest.raises(STSError):
            retry.retry_exchange(denied, timedelta(seconds=seconds))
    assert all(0 < length <= 10 for length in pauses)
    assert sum(pauses) == pytest.approx(seconds, abs=1e-3)


class Scripted:
    """An STS that fails as it was told, once each."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        if self.errors:
            raise self.errors.pop(0)
        return Credentials(role.arn, "secret")


def test_an_sts_of_somebody_else_is_treated_alike(pauses: list[float]) -> None:
    """By what its errors say."""
    error: Callable[..., STSError] = STSError
    sts = Scripted(error("m", "InvalidIdentityToken", retryable=True), error("m", "Throttling", retryable=True))
    with pytest.raises(STSError) as caught:
        AssumedRole(ROLE, source=ScriptedSource(Credentials("AKIA", "secret")), sts=sts).fetch()
    assert caught.value.code == "Throttling"
    assert pauses == [1]
