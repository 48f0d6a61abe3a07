"""What a read gives in each window, whatever the source does: outages, refusals, and credentials that are refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from helpers import START, Answer, Down, ScriptedSource, cached, credentials

from stskit import AssumedRole
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SignInRequired, STSError
from stskit.refresh import Cached
from stskit.sources import OIDCTokenFile
from stskit.testing import FakeSTS, ManualClock

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


# Every window with all that a source may do ------------------------------------------------------------------------


DENIED = STSError("denied", code="AccessDenied", retryable=False)
WINDOWS = {"fresh": timedelta(minutes=10), "advisory": 50 * MINUTE, "mandatory": 59.5 * MINUTE, "expired": 61 * MINUTE}
DOES: dict[str, Callable[[ManualClock], Answer]] = {
    "answers": lambda clock: credentials(clock, hours=1),
    "answers with a shorter life": lambda clock: credentials(clock, minutes=15),
    "answers with what has expired": lambda clock: credentials(clock, minutes=-1),
    "answers with something else": lambda _clock: lambda: None,  # type: ignore[dict-item,return-value]
    "fails": lambda _clock: Down("no network"),
    "fails for good": lambda _clock: DENIED,
    "needs a person": lambda _clock: SignInRequired("sign in again"),
}
OLD, NEW = "the old ones", "the new ones"
# What a read gives, and after how many seconds the source is asked again; by the window and what the source does.
EXPECTED: dict[tuple[str, str], tuple[object, float]] = {
    **{("fresh", does): (OLD, 35 * 60) for does in DOES},
    **{(window, "answers"): (NEW, 45 * 60) for window in ("advisory", "mandatory", "expired")},
    **{(window, "answers with a shorter life"): (NEW, 10 * 60) for window in ("advisory", "mandatory", "expired")},
    **{("advisory", does): (OLD, 300) for does in ("answers with what has expired", "answers with something else")},
    **{("mandatory", does): (OLD, 30) for does in ("answers with what has expired", "answers with something else")},
    **{
        ("expired", does): (ProofInvalid, 0)
        for does in ("answers with what has expired", "answers with something else")
    },
    ("advisory", "fails"): (OLD, 300),
    ("mandatory", "fails"): (OLD, 30),  # when they expire
    ("expired", "fails"): (Down, 0),
    ("advisory", "fails for good"): (OLD, 300),
    ("mandatory", "fails for good"): (OLD, 30),
    ("expired", "fails for good"): (STSError, 0),
    ("advisory", "needs a person"): (OLD, 300),
    ("mandatory", "needs a person"): (OLD, 30),
    ("expired", "needs a person"): (SignInRequired, 0),
}


@pytest.mark.case("R1", "R4")
@pytest.mark.filterwarnings("ignore:The credentials, which expire at")
@pytest.mark.parametrize(("window", "does"), EXPECTED)
def test_each_window_and_result_is_as_in_the_table(clock: ManualClock, window: str, does: str) -> None:
    """For each window and each result of a source, a read and the next attempt are as in the table."""
    old = credentials(clock, hours=1)
    both = cached(source := ScriptedSource(old), clock, jitter=0)
    both.fetch()
    clock.advance(timedelta(seconds=WINDOWS[window].total_seconds()))
    source.answers.append(new := DOES[does](clock))
    given, seconds = EXPECTED[window, does]
    assert outcome_of(both) is {OLD: old, NEW: new}.get(given, given)  # type: ignore[call-overload]
    assert source.calls == (1 if window == "fresh" else 2)
    calls = source.calls
    if seconds:
        clock.advance(timedelta(seconds=seconds - 0.001))
        outcome_of(both)
        assert source.calls == calls
        clock.advance(timedelta(seconds=0.001))
    outcome_of(both)
    assert source.calls == calls + 1


def outcome_of(both: Cached) -> Credentials | type[Exception]:
    """Return the credentials of a read, or the class of its error."""
    try:
        return both.fetch()
    except Exception as error:
        return type(error)


def test_the_table_is_complete() -> None:
    """The table has a row for each window and each result of a source."""
    assert EXPECTED.keys() == {(window, does) for window in WINDOWS for does in DOES}


# Whatever the code of the failure ----------------------------------------------------------------------------------


@pytest.mark.case("R1", "P145", "P157")
@pytest.mark.parametrize("on_expired", ["raise", "serve"])
@pytest.mark.parametrize(
    "code", ["AccessDenied", "ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "SomethingNew", None]
)
def test_valid_credentials_are_served_whatever_the_code(
    clock: ManualClock, on_expired: Literal["raise", "serve"], code: str | None
) -> None:
    """After an error of any code, valid credentials stay in use, and the next attempt follows after five minutes."""
    old, new = credentials(clock, hours=1), credentials(clock, hours=3)
    source = ScriptedSource(old, STSError("refused", code=code, retryable=False), new)
    both = cached(source, clock, jitter=0, on_expired=on_expired)
    both.fetch()
    clock.advance(timedelta(minutes=50))
    assert all(both.fetch() is old for _ in range(1000))
    assert source.calls == 2
    clock.advance(timedelta(seconds=300))
    assert both.fetch() is new


def test_a_throttled_refresh_keeps_valid_credentials(clock: ManualClock) -> None:
    """A throttled refresh keeps valid credentials in use."""
    old = credentials(clock, hours=1)
    both = cached(ScriptedSource(old, STSError("slow down", code="Throttling", retryable=True)), clock)
    both.fetch()
    clock.advance(timedelta(minutes=50))
    assert both.fetch() is old


# When STS is away --------------------------------------------------------------------------------------------------


@pytest.mark.case("R3", "P14")
def test_ten_minutes_without_sts_cause_three_calls(clock: ManualClock) -> None:
    """Ten minutes without STS cause at most three calls, however many threads read."""
    source = ScriptedSource(credentials(clock, hours=1), *[Down()] * 3, lambda: credentials(clock, hours=1))
    both = cached(source, clock, jitter=0)
    both.fetch()
    clock.advance(timedelta(minutes=45))
    with ThreadPoolExecutor(64) as pool:
        for _ in range(21):  # every half a minute, from the first failure to ten minutes later
            for each in [pool.submit(both.fetch) for _ in range(64)]:
                assert not each.result().is_expired(now=clock.now())
            clock.advance(timedelta(seconds=30))
        assert source.calls - 1 <= 3
        clock.advance(timedelta(minutes=4))
        for each in [pool.submit(both.fetch) for _ in range(64)]:
            each.result()
    assert source.calls - 1 <= 4


@pytest.mark.case("R2")
def test_fifteen_minutes_of_frequent_reads_cause_one_call(clock: ManualClock) -> None:
    """Credentials that are read often in their first ten minutes cost one call."""
    source = ScriptedSource(lambda: credentials(clock, minutes=15))
    both = cached(source, clock)
    for _ in range(1000):
        both.fetch()
        clock.advance(timedelta(seconds=0.5))
    assert source.calls == 1


@pytest.mark.case("T5")
def test_a_session_continues_if_the_token_file_is_missing(clock: ManualClock, tmp_path: Path) -> None:
    """If a token file is missing, a session with valid credentials continues, and tries again after five minutes."""
    sts, path = FakeSTS(clock=clock), tmp_path / "token"
    path.touch(0o600)
    path.write_text(sts.idp.oidc_token())
    source = OIDCTokenFile(path, clock=clock)
    recipe = AssumedRole("arn:aws:iam::123456789012:role/R", source=source, sts=sts)
    both = cached(recipe, clock, jitter=0)
    first = both.fetch()
    path.unlink()
    clock.advance(timedelta(minutes=50))
    assert all(both.fetch() is first for _ in range(100))
    path.touch(0o600)
    path.write_text(sts.idp.oidc_token())
    clock.advance(timedelta(minutes=5))
    assert both.fetch() is not first
    assert sts.count() == 2


@pytest.mark.case("R8", "P155")
def test_expired_credentials_are_replaced_after_a_suspend(clock: ManualClock) -> None:
    """After a suspend of the machine, credentials that have expired by the wall clock are replaced at once."""
    new = credentials(clock, hours=9)
    source = ScriptedSource(credentials(clock, hours=1), Down(), new)
    both = cached(source, clock, jitter=0)
    both.fetch()
    clock.advance(timedelta(minutes=50))
    both.fetch()
    clock.set(clock.now() + timedelta(hours=1))
    assert both.fetch() is new


@pytest.mark.case("R8", "P155")
def test_a_wall_clock_set_back_in_a_pause_changes_nothing(clock: ManualClock) -> None:
    """A wall clock that is set back during a pause changes nothing."""
    source = ScriptedSource(credentials(clock, hours=1), Down(), lambda: credentials(clock, hours=1))
    both = cached(source, clock, jitter=0)
    both.fetch()
    clock.advance(timedelta(minutes=50))
    for _ in range(100):
        both.fetch()
        clock.set(clock.now() + timedelta(minutes=-1))
    assert source.calls == 2
    clock.set(clock.now() + timedelta(minutes=100))
    clock.advance(timedelta(seconds=300))
    both.fetch()
    assert source.calls == 3


# A service has refused them ----------------------------------------------------------------------------------------


@pytest.mark.case("R1")
@pytest.mark.parametrize("by_name", [True, False])
def test_a_refused_key_is_replaced(clock: ManualClock, by_name: bool) -> None:
    """A key that a service has refused is replaced at the next read."""
    old, new = credentials(clock, hours=1), credentials(clock, hours=1)
    source = ScriptedSource(old, new)
    both = cached(source, clock)
    both.fetch()
    both.invalidate(old.access_key_id if by_name else None)
    assert [both.fetch() for _ in range(3)] == [new] * 3
    assert source.calls == 2


@pytest.mark.case("R1")
def test_refusals_of_one_key_in_many_threads_cause_one_refresh(clock: ManualClock) -> None:
    """Sixteen threads that were refused with the same key cause one refresh."""
    source = ScriptedSource(*(sets := [credentials(clock, hours=1) for _ in range(3)]))
    both = cached(source, clock)
    both.invalidate("nothing is held yet")
    both.fetch()
    both.invalidate("AKIAOTHER")
    assert both.fetch() is sets[0]
    for _ in range(16):
        both.invalidate(sets[0].access_key_id)
        assert both.fetch() is sets[1]
    assert source.calls == 2


@pytest.mark.case("P151")
def test_a_refused_key_that_cannot_be_replaced_causes_no_more_calls(clock: ManualClock) -> None:
    """If a refused key cannot be replaced, it is used again, and refusing it again causes no calls."""
    old = credentials(clock, hours=1)
    source = ScriptedSource(old, Down())
    both = cached(source, clock)
    both.fetch()
    for _ in range(100):
        both.invalidate(old.access_key_id)
        assert both.fetch() is old
    assert source.calls == 2
    clock.advance(timedelta(seconds=300))
    both.fetch()
    assert source.calls == 3


@pytest.mark.case("P151")
def test_the_first_refusal_of_a_key_ends_a_pause(clock: ManualClock) -> None:
    """The first refusal of a key ends a pause."""
    new = credentials(clock, hours=2)
    source = ScriptedSource(credentials(clock, hours=1), Down(), new)
    both = cached(source, clock)
    both.fetch()
    clock.advance(timedelta(minutes=50))
    both.fetch()
    both.invalidate()
    assert both.fetch() is new


def test_refused_long_term_keys_are_read_again(clock: ManualClock) -> None:
    """Long-term keys that a service has refused are read again."""
    new = credentials(clock)
    both = cached(ScriptedSource(credentials(clock), new), clock)
    both.fetch()
    both.invalidate()
    assert both.fetch() is new


def test_a_refused_key_that_cannot_be_replaced_is_not_an_error(clock: ManualClock) -> None:
    """If a refused key cannot be replaced, no further error is raised, because the caller already has one."""
    old = credentials(clock, hours=1)
    both = cached(source := ScriptedSource(old, Down()), clock)
    assert not both.replace_refused(old.access_key_id)  # nothing is in hand
    both.fetch()
    clock.advance(timedelta(hours=2))
    assert not both.replace_refused(old.access_key_id)
    assert source.calls == 2


def test_a_program_without_logging_prints_no_records() -> None:
    """A program without logging prints no log record of stskit."""
    code = """
import sys
from stskit import AssumedRole, Cached
from stskit.errors import STSError
from stskit.sources import Static
from stskit.testing import FakeSTS, Throttle
sts = FakeSTS()
sts.next(Throttle())
try:
    Cached(AssumedRole("arn:aws:iam::123456789012:role/R", source=Static(sts.user()), sts=sts)).fetch()
except STSError as error:
    print(error.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("Throttling\n", "")
