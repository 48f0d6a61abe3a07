"""What a policy decides, as a table: by the life of the credentials, what is left, the last failure and chance."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stskit.refresh import RefreshPolicy
from stskit.refresh.policy import Action, FailureKind, RefreshFailure

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NOTHING, EVER = timedelta(0), timedelta.max


# Windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lifetime", "advisory", "mandatory"),
    [
        (timedelta(hours=12), 60 * MINUTE, MINUTE),
        (timedelta(minutes=120), 60 * MINUTE, MINUTE),
        (timedelta(minutes=90), 60 * MINUTE, MINUTE),
        (timedelta(minutes=90) - SECOND, 15 * MINUTE, MINUTE),
        (timedelta(minutes=60), 15 * MINUTE, MINUTE),
        (timedelta(minutes=20) + SECOND, 15 * MINUTE, MINUTE),
        (timedelta(minutes=20), 5 * MINUTE, MINUTE),
        (timedelta(minutes=15), 5 * MINUTE, MINUTE),
        (timedelta(minutes=4), 2 * MINUTE, MINUTE),
        (timedelta(seconds=90), 45 * SECOND, 45 * SECOND),
    ],
)
def test_the_windows_are_those_of_the_aws_sdks(lifetime: timedelta, advisory: timedelta, mandatory: timedelta) -> None:
    """5, 15 or 60 minutes by the length of life, half of a short one; mandatory one minute, at most that."""
    assert RefreshPolicy().windows(lifetime, 0) == (advisory, mandatory)


@pytest.mark.parametrize(
    ("policy", "windows"),
    [
        (RefreshPolicy(advisory=10 * MINUTE), (10 * MINUTE, MINUTE)),
        (RefreshPolicy(advisory=10 * MINUTE, mandatory=3 * MINUTE), (10 * MINUTE, 3 * MINUTE)),
        (RefreshPolicy(advisory=2 * MINUTE, mandatory=3 * MINUTE), (3 * MINUTE, 3 * MINUTE)),
        (RefreshPolicy(mandatory=20 * MINUTE), (15 * MINUTE, 15 * MINUTE)),
        (RefreshPolicy(advisory=60 * MINUTE), (54 * MINUTE, MINUTE)),
        (RefreshPolicy(advisory=timedelta(0), mandatory=timedelta(0)), (timedelta(0), timedelta(0))),
    ],
)
def test_a_window_that_is_given_counts(policy: RefreshPolicy, windows: tuple[timedelta, timedelta]) -> None:
    """An advisory window is as configured, never below the mandatory one, and never a whole life."""
    assert policy.windows(timedelta(hours=1), 0) == windows


@pytest.mark.parametrize(("jitter", "chance", "minutes"), [(0.2, 0, 15), (0.2, 0.5, 16.5), (0.2, 1, 18), (0, 1, 15)])
def test_jitter_opens_the_advisory_window_earlier(jitter: float, chance: float, minutes: float) -> None:
    """By up to a fifth of itself, and never the mandatory one."""
    windows = RefreshPolicy(jitter=jitter).windows(timedelta(hours=1), chance)
    assert windows == (timedelta(minutes=minutes), MINUTE)


@given(st.timedeltas(SECOND, timedelta(hours=36)), st.floats(0, 1))
def test_new_credentials_are_never_inside_of_their_windows(lifetime: timedelta, chance: float) -> None:
    """However short they live, the default policy does not fetch at each read."""
    advisory, mandatory = RefreshPolicy().windows(lifetime, chance)
    assert timedelta(0) < mandatory <= advisory <= lifetime * 0.9


# Decisions --------------------------------------------------------------------------------------------------------


@pytest.mark.case("R1")
@pytest.mark.parametrize(
    ("lifetime", "left", "step"),
    [
        # an hour: advisory 15 minutes, mandatory one
        (HOUR, HOUR, "use"),
        (HOUR, 15 * MINUTE + SECOND, "use"),
        (HOUR, 15 * MINUTE, "refresh"),
        (HOUR, MINUTE + SECOND, "refresh"),
        (HOUR, MINUTE, "wait"),
        (HOUR, SECOND, "wait"),
        (HOUR, NOTHING, "wait"),
        (HOUR, -HOUR, "wait"),
        # fifteen minutes: advisory 5
        (15 * MINUTE, 5 * MINUTE + SECOND, "use"),
        (15 * MINUTE, 5 * MINUTE, "refresh"),
        # twelve hours: advisory an hour
        (12 * HOUR, HOUR + SECOND, "use"),
        (12 * HOUR, HOUR, "refresh"),
        # nothing at hand, and what never expires
        (NOTHING, NOTHING, "wait"),
        (EVER, EVER, "use"),
    ],
)
def test_what_is_done_by_the_time_that_is_left(lifetime: timedelta, left: timedelta, step: Action) -> None:
    """Fresh: used; advisory: one refreshes; mandatory, expired or nothing at hand: all wait for one."""
    assert RefreshPolicy().decide(lifetime, left, 0) == step


@pytest.mark.case("R1")
@pytest.mark.parametrize("chance", [0, 0.5, 1])
def test_chance_moves_the_start_of_the_advisory_window_and_nothing_else(chance: float) -> None:
    """By a fifth of the window, at most; the mandatory one stays."""
    opens = 15 * MINUTE * (1 + 0.2 * chance)
    decide = RefreshPolicy().decide
    assert decide(HOUR, opens + SECOND, chance) == "use"
    assert decide(HOUR, opens, chance) == "refresh"
    assert decide(HOUR, MINUTE + SECOND, chance) == "refresh"
    assert decide(HOUR, MINUTE, chance) == "wait"


# While the pause after a failure lasts: by its kind, what is left, and what the policy does with what has expired.
PAUSING: list[tuple[FailureKind, timedelta, str, Action]] = [
    ("passing", 10 * MINUTE, "raise", "use"),
    ("passing", SECOND, "raise", "use"),
    ("passing", NOTHING, "raise", "raise"),
    ("passing", NOTHING, "serve", "serve"),
    ("final", 10 * MINUTE, "raise", "raise"),
    ("final", 10 * MINUTE, "serve", "raise"),
    ("final", NOTHING, "serve", "raise"),
    ("sign-in", 10 * MINUTE, "serve", "use"),
    ("sign-in", NOTHING, "raise", "raise"),
    ("sign-in", NOTHING, "serve", "raise"),
]


@pytest.mark.case("R1")
@pytest.mark.parametrize(("kind", "left", "on_expired", "step"), PAUSING)
def test_what_is_done_in_the_pause_after_a_failure(
    kind: FailureKind, left: timedelta, on_expired: Any, step: Action
) -> None:
    """The source is left alone; what is valid is used, unless STS said that trying again will not help."""
    assert RefreshPolicy(on_expired=on_expired).decide(HOUR, left, 0, kind) == step


@pytest.mark.case("R1")
@pytest.mark.parametrize(
    ("while_valid", "now", "valid", "lasts"),
    [
        (True, 99.9, True, True),
        (True, 100.0, True, False),
        (True, 99.9, False, False),  # a long pause ends where the credentials do
        (False, 99.9, False, True),
        (False, 100.0, False, False),
        (False, 99.9, True, True),
    ],
)
def test_how_long_the_source_is_left_alone(while_valid: bool, now: float, valid: bool, lasts: bool) -> None:
    """Up to a moment of the clock that nobody sets, or until the credentials expire that it began with."""
    failed = RefreshFailure(ValueError(), "passing", while_valid, until=100.0)
    assert failed.pausing(now, valid=valid) == ("passing" if lasts else None)


@pytest.mark.parametrize("on_expired", ["raise", "serve"])
def test_with_nothing_at_hand_a_failure_is_raised(on_expired: Any) -> None:
    """There is nothing to serve."""
    assert RefreshPolicy(on_expired=on_expired).decide(NOTHING, NOTHING, 0, "passing") == "raise"


@pytest.mark.parametrize("left", [HOUR, 10 * MINUTE, MINUTE, EVER])
def test_what_a_service_has_refused_is_waited_for(left: timedelta) -> None:
    """However much is left; and after a failure it is used again while it is valid."""
    lifetime = EVER if left == EVER else HOUR
    assert RefreshPolicy().decide(lifetime, left, 0, rejected=True) == "wait"
    assert RefreshPolicy().decide(lifetime, left, 0, "passing", rejected=True) == "use"


@pytest.mark.parametrize(
    ("kind", "valid", "seconds"),
    [
        ("passing", True, (300, 600)),
        ("passing", False, (1, 10)),
        ("final", True, (1, 5)),
        ("final", False, (1, 5)),
        ("sign-in", True, (0, 0)),
        ("sign-in", False, (0, 0)),
    ],
)
def test_the_pauses_are_those_of_the_aws_sdks(kind: FailureKind, valid: bool, seconds: tuple[int, int]) -> None:
    """5 to 10 minutes while the credentials are valid, 1 to 10 seconds after; 1 to 5 where it will not help."""
    assert RefreshPolicy().pause(kind, valid=valid) == tuple(timedelta(seconds=each) for each in seconds)


@given(
    lifetime=st.timedeltas(NOTHING, timedelta(hours=36)),
    part=st.floats(-1, 1),
    chance=st.floats(0, 1),
    failed=st.sampled_from([None, "passing", "final", "sign-in"]),
    on_expired=st.sampled_from(["raise", "serve"]),
    rejected=st.booleans(),
)
def test_nothing_expired_is_used(
    lifetime: timedelta, part: float, chance: float, failed: FailureKind | None, on_expired: Any, rejected: bool
) -> None:
    """Whatever happens, expired credentials are given out only by a policy that serves them; and never without one
    there is an error without a failure.
    """
    left = lifetime * part
    step = RefreshPolicy(on_expired=on_expired).decide(lifetime, left, chance, failed, rejected=rejected)
    if left <= NOTHING:
        assert step in (("wait", "raise", "serve") if on_expired == "serve" and lifetime else ("wait", "raise"))
    if failed is None:
        assert step in ("use", "refresh", "wait")


# Limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"advisory": -SECOND}, "advisory is .* not be negative"),
        ({"mandatory": -SECOND}, "mandatory is"),
        ({"jitter": -0.1}, "jitter is -0.1; it is a part, from 0 to 1"),
        ({"jitter": 1.1}, "jitter is 1.1"),
        ({"on_expired": "Serve"}, 'on_expired is \'Serve\'; it is "raise" or "serve"'),
        ({"on_expired": None}, "on_expired is None"),
    ],
)
def test_a_number_out_of_its_limits_is_refused(options: dict[str, Any], told: str) -> None:
    """When the policy is built, with its name, its value and the rule."""
    with pytest.raises(ValueError, match=told):
        RefreshPolicy(**options)
