"""The decisions of a refresh policy, as a table of lifetime, time left, last failure and random value."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stskit.errors import SignInRequired, SourceMissing
from stskit.refresh import RefreshPolicy
from stskit.refresh.policy import Action, RefreshFailure, file_of, file_state

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NOTHING, EVER = timedelta(0), timedelta.max


# Windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P143")
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
    """The refresh windows are those of the AWS SDKs."""
    assert RefreshPolicy().windows(lifetime, 0) == (advisory, mandatory)


@pytest.mark.case("P154")
@pytest.mark.parametrize(
    ("policy", "windows"),
    [
        (RefreshPolicy(advisory=10 * MINUTE), (10 * MINUTE, MINUTE)),
        (RefreshPolicy(advisory=10 * MINUTE, mandatory=3 * MINUTE), (10 * MINUTE, 3 * MINUTE)),
        (RefreshPolicy(advisory=2 * MINUTE), (2 * MINUTE, MINUTE)),
        (RefreshPolicy(advisory=30 * SECOND), (30 * SECOND, 30 * SECOND)),
        (RefreshPolicy(mandatory=20 * MINUTE), (15 * MINUTE, 15 * MINUTE)),
        (RefreshPolicy(advisory=60 * MINUTE), (54 * MINUTE, MINUTE)),
        (RefreshPolicy(advisory=timedelta(0), mandatory=timedelta(0)), (timedelta(0), timedelta(0))),
    ],
)
def test_a_given_advisory_window_is_used(policy: RefreshPolicy, windows: tuple[timedelta, timedelta]) -> None:
    """A given advisory window is used, is shorter than the lifetime, and contains the mandatory one."""
    assert policy.windows(timedelta(hours=1), 0) == windows


@pytest.mark.case("P143")
@pytest.mark.parametrize(("jitter", "chance", "minutes"), [(0.2, 0, 15), (0.2, 0.5, 16.5), (0.2, 1, 18), (0, 1, 15)])
def test_jitter_starts_the_advisory_window_earlier(jitter: float, chance: float, minutes: float) -> None:
    """The jitter starts the advisory window up to a fifth earlier, and does not change the mandatory window."""
    windows = RefreshPolicy(jitter=jitter).windows(timedelta(hours=1), chance)
    assert windows == (timedelta(minutes=minutes), MINUTE)


@pytest.mark.case("P154")
@pytest.mark.parametrize("advisory", [None, 9 * MINUTE])
def test_the_advisory_window_of_a_short_lifetime_is_half_of_it(advisory: timedelta | None) -> None:
    """For a lifetime below ten minutes, the advisory window is half of it, before the jitter."""
    policy = RefreshPolicy(advisory=advisory)
    assert policy.windows(8 * MINUTE, 0) == (4 * MINUTE, MINUTE)
    assert policy.windows(8 * MINUTE, 1) == (4.8 * MINUTE, MINUTE)


@given(st.timedeltas(SECOND, timedelta(hours=36)), st.floats(0, 1))
def test_new_credentials_are_not_refreshed_at_once(lifetime: timedelta, chance: float) -> None:
    """New credentials are not refreshed at once, however short their lifetime is."""
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
def test_the_decision_depends_on_the_time_left(lifetime: timedelta, left: timedelta, step: Action) -> None:
    """The decision depends on the time left: use, refresh by one caller, or refresh while all wait."""
    assert RefreshPolicy().decide(lifetime, left, 0) == step


@pytest.mark.case("R1")
@pytest.mark.parametrize("chance", [0, 0.5, 1])
def test_the_random_value_changes_only_the_advisory_window(chance: float) -> None:
    """The random value changes only the start of the advisory window."""
    opens = 15 * MINUTE * (1 + 0.2 * chance)
    decide = RefreshPolicy().decide
    assert decide(HOUR, opens + SECOND, chance) == "use"
    assert decide(HOUR, opens, chance) == "refresh"
    assert decide(HOUR, MINUTE + SECOND, chance) == "refresh"
    assert decide(HOUR, MINUTE, chance) == "wait"


# During the pause after a failure, by the time left and by on_expired.
PAUSING: list[tuple[timedelta, str, Action]] = [
    (10 * MINUTE, "raise", "use"),
    (SECOND, "raise", "use"),
    (10 * MINUTE, "serve", "use"),
    (NOTHING, "raise", "raise"),
    (NOTHING, "serve", "serve"),
]


@pytest.mark.case("R1")
@pytest.mark.parametrize(("left", "on_expired", "step"), PAUSING)
def test_the_source_is_not_called_in_the_pause_after_a_failure(left: timedelta, on_expired: Any, step: Action) -> None:
    """During the pause after a failure, the source is not called, and valid credentials are used."""
    assert RefreshPolicy(on_expired=on_expired).decide(HOUR, left, 0, pausing=True) == step


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
        (True, 39.9, True, False),  # a test that froze the time has ended
    ],
)
def test_a_pause_ends_at_a_time_or_at_the_expiration(while_valid: bool, now: float, valid: bool, lasts: bool) -> None:
    """A pause ends at a time of the monotonic clock, or when the credentials expire."""
    failed = RefreshFailure(SourceMissing("m"), 1, while_valid, began=40.0, pause=60.0)
    assert failed.pausing(now, valid=valid) is lasts


@pytest.mark.parametrize("error", [SignInRequired("m"), SourceMissing("m")])
def test_a_pause_after_sign_in_required_ends_when_the_file_changes(error: Any, tmp_path: Path) -> None:
    """A pause after SignInRequired ends when the file of the source changes."""
    path = tmp_path / "saml"
    failed = RefreshFailure(error, 1, True, began=40.0, pause=60.0, file=file_state(str(path)))
    assert failed.pausing(50.0, valid=True, path=str(path))
    path.write_text("new")
    assert failed.pausing(50.0, valid=True, path=str(path)) is isinstance(error, SourceMissing)


def test_the_file_of_a_source_is_found_through_wrappers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a source is found through roles and caches. A loop of sources has none."""
    monkeypatch.setenv("HOME", "/home/me")
    file = SimpleNamespace(path="~/saml")
    assert file_of(SimpleNamespace(source=SimpleNamespace(source=file))) == "/home/me/saml"
    assert file_of(SimpleNamespace(path=7)) is None
    circle = SimpleNamespace()
    circle.source = circle
    assert file_of(circle) is None
    assert file_state(None) is file_state("\0") is None


@pytest.mark.parametrize("on_expired", ["raise", "serve"])
def test_a_failure_without_credentials_is_raised(on_expired: Any) -> None:
    """Without credentials, a failure is raised."""
    assert RefreshPolicy(on_expired=on_expired).decide(NOTHING, NOTHING, 0, pausing=True) == "raise"


@pytest.mark.parametrize("left", [HOUR, 10 * MINUTE, MINUTE, EVER])
def test_all_callers_wait_to_replace_refused_credentials(left: timedelta) -> None:
    """If a service has refused the credentials, all callers wait for a refresh, except after a failure."""
    lifetime = EVER if left == EVER else HOUR
    assert RefreshPolicy().decide(lifetime, left, 0, rejected=True) == "wait"
    assert RefreshPolicy().decide(lifetime, left, 0, pausing=True, rejected=True) == "use"


@pytest.mark.parametrize("failures", [1, 2, 100])
def test_pauses_with_valid_credentials_are_five_to_ten_minutes(failures: int) -> None:
    """While the credentials are valid, each pause is five to ten minutes."""
    assert RefreshPolicy().pause(failures, valid=True) == (300, 600)


@pytest.mark.case("P159")
def test_pauses_without_valid_credentials_grow_to_ten_seconds() -> None:
    """Without valid credentials, the pauses grow to ten seconds."""
    pauses = [RefreshPolicy().pause(failures, valid=False) for failures in (1, 2, 3, 4, 5, 6, 10_000)]
    assert pauses == [(each, each) for each in (0, 1, 2, 4, 8, 10, 10)]


@given(
    lifetime=st.timedeltas(NOTHING, timedelta(hours=36)),
    part=st.floats(-1, 1),
    chance=st.floats(0, 1),
    pausing=st.booleans(),
    on_expired=st.sampled_from(["raise", "serve"]),
    rejected=st.booleans(),
)
def test_expired_credentials_are_used_only_if_the_policy_says_so(
    lifetime: timedelta, part: float, chance: float, pausing: bool, on_expired: Any, rejected: bool
) -> None:
    """Expired credentials are returned only if the policy says so."""
    left = lifetime * part
    step = RefreshPolicy(on_expired=on_expired).decide(lifetime, left, chance, pausing=pausing, rejected=rejected)
    if left <= NOTHING:
        assert step in (("wait", "raise", "serve") if on_expired == "serve" and lifetime else ("wait", "raise"))
    if not pausing:
        assert step in ("use", "refresh", "wait")


# Limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"advisory": -SECOND}, "advisory is .* not be negative"),
        ({"mandatory": -SECOND}, "mandatory is"),
        ({"jitter": -0.1}, "jitter is -0.1, but it must be between 0 and 1"),
        ({"jitter": 1.1}, "jitter is 1.1"),
        ({"on_expired": "Serve"}, 'on_expired is \'Serve\', but it must be "raise" or "serve"'),
        ({"jitter": float("nan")}, "jitter is nan"),
        ({"advisory": MINUTE, "mandatory": 2 * MINUTE}, "advisory .* is shorter than mandatory"),
    ],
)
def test_a_number_outside_its_limits_is_refused(options: dict[str, Any], told: str) -> None:
    """A number outside its limits is an error when the policy is created."""
    with pytest.raises(ValueError, match=told):
        RefreshPolicy(**options)


@pytest.mark.parametrize("option", ["advisory", "mandatory", "jitter"])
@pytest.mark.parametrize("value", ["300", [300], timedelta])
def test_a_value_of_the_wrong_type_is_named(option: str, value: Any) -> None:
    """A value of the wrong type raises a TypeError that names the argument and the expected type."""
    with pytest.raises(TypeError, match=f"{option} must be a (timedelta|number)"):
        RefreshPolicy(**{option: value})
