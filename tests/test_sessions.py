"""Sessions of botocore and boto3: fixed ones, and such that renew themselves, for one thread and for many."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import credentials as botocore_credentials
from botocore.config import Config
from botocore.session import Session
from fake_server import Answer, Request, fake_server, granted
from helpers import START, CrowdedClock, Down, ScriptedSource, credentials
from local_aws import LocalAWS

from stskit import AssumedRole, Cached, Credentials, RefreshPolicy
from stskit.caches import FileCache, MemoryCache
from stskit.errors import SinkError, StskitWarning
from stskit.protocols import Cache
from stskit.sinks import Boto3Session, BotocoreSession
from stskit.sources import Static
from stskit.sts import BotocoreSTS
from stskit.testing import FakeSTS, ManualClock

SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==", account_id="123456789012")
STATIC = Credentials("AKIANEW", "static/secret")
OLD = "# mine\n[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = s\n"


def credentials_of(session: Session | boto3.Session) -> Any:
    """Return the credentials object of *session*."""
    return session.get_credentials()


@pytest.mark.case("T1", "T7", "P26")
def test_a_fixed_session_uses_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed session uses its arguments, whatever the environment contains."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    for session in (SESSION.to(BotocoreSession("eu-west-1")), SESSION.to(Boto3Session("eu-west-1"))):
        keys = credentials_of(session)
        assert keys.get_frozen_credentials() == ("ASIANEW", "new/secret+", "newtoken==", "123456789012")
        assert "secret" not in repr(keys.get_frozen_credentials()).replace("secret_key", "")
        assert getattr(session, "region_name", "eu-west-1") == "eu-west-1"
    assert SESSION.to(Boto3Session()).region_name == "us-west-2"


@pytest.mark.case("T7", "P14", "P141")
def test_a_refreshing_session_fetches_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refreshing session fetches at its first use and before the expiration, whatever the environment contains."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
    clock = ManualClock(START)
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    session = BotocoreSession(clock=clock).attach(source)
    assert source.calls == 0
    live = credentials_of(session)
    first = live.get_frozen_credentials()
    assert live.get_frozen_credentials() == first
    assert (live.access_key, live.secret_key, live.token, live.account_id) == first
    assert live.get_deferred_property("account_id")() is None
    assert source.calls == 1
    clock.advance(timedelta(minutes=59, seconds=30))
    assert live.get_frozen_credentials() != first
    assert source.calls == 2


@pytest.mark.case("P148", "P169")
def test_a_refreshing_session_continues_if_the_source_fails() -> None:
    """If the source fails, a session continues with expired credentials and warns, unless refresh= says otherwise."""
    clock = ManualClock(START)
    good = credentials(clock, hours=1)
    live = credentials_of(BotocoreSession(clock=clock).attach(ScriptedSource(good, Down("down"))))
    assert live.access_key == good.access_key_id
    clock.advance(timedelta(hours=2))
    with pytest.warns(StskitWarning, match="using the expired ones"):
        assert live.get_frozen_credentials().access_key == good.access_key_id


@pytest.mark.case("P80")
def test_sessions_of_an_attached_cached_share_it() -> None:
    """Two sessions of one Cached share its credentials."""
    clock = ManualClock(START)
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    cached = Cached(source, clock=clock)
    one, two = cached.to(BotocoreSession()), cached.to(Boto3Session())
    assert credentials_of(one).access_key == credentials_of(two).access_key == cached.fetch().access_key_id
    clock.advance(timedelta(minutes=50))
    new = credentials_of(one).access_key
    assert new == cached.fetch().access_key_id == credentials_of(two).access_key
    assert source.calls == 2


@pytest.mark.parametrize("sink", [BotocoreSession, Boto3Session])
@pytest.mark.parametrize(
    ("option", "value"), [("refresh", RefreshPolicy()), ("cache", MemoryCache()), ("clock", ManualClock(START))]
)
def test_an_option_without_effect_is_refused(sink: Any, option: str, value: object) -> None:
    """An option without an effect is a TypeError that names it."""
    made = sink("us-east-1", **{option: value})
    with pytest.raises(TypeError, match=f"{option} has no effect on a session that is attached to a Cached"):
        Cached(Static(SESSION)).to(made)
    with pytest.raises(TypeError, match=f"{option} has no effect on a session that is made of fixed credentials"):
        SESSION.to(made)
    assert credentials_of(made.attach(Static(STATIC))).access_key == STATIC.access_key_id


@pytest.mark.case("P148", "P158")
@pytest.mark.parametrize("sink", [BotocoreSession, Boto3Session])
@pytest.mark.parametrize("policy", [None, RefreshPolicy(), RefreshPolicy(jitter=0)])
def test_a_session_keeps_using_expired_credentials(sink: Any, policy: RefreshPolicy | None) -> None:
    """A session keeps using expired credentials with a warning, unless on_expired is "raise"."""
    clock = ManualClock(START)
    good = credentials(clock, hours=1)
    live = credentials_of(sink(refresh=policy, clock=clock).attach(ScriptedSource(good, Down("no network"))))
    assert live.get_frozen_credentials().access_key == good.access_key_id
    clock.advance(timedelta(hours=1))
    with pytest.warns(StskitWarning, match="using the expired ones.*no network"):
        assert live.get_frozen_credentials().access_key == good.access_key_id


@pytest.mark.parametrize("sink", [BotocoreSession, Boto3Session])
def test_a_session_with_on_expired_raise_raises(sink: Any) -> None:
    """A session raises the error of the source after expiry, if on_expired is "raise"."""
    clock = ManualClock(START)
    source = ScriptedSource(credentials(clock, hours=1), Down("no network"))
    live = credentials_of(sink(refresh=RefreshPolicy(on_expired="raise"), clock=clock).attach(source))
    live.get_frozen_credentials()
    clock.advance(timedelta(hours=1))
    with pytest.raises(Down, match="no network"):
        live.get_frozen_credentials()


def test_key_secret_and_token_always_belong_together() -> None:
    """In sixteen threads over many refreshes, key, secret and token always belong together."""
    clock = ManualClock(START)
    numbers = iter(range(100_000))

    def matching() -> Credentials:
        number = next(numbers)
        return Credentials(f"A{number}", f"S{number}", f"T{number}", clock.now() + timedelta(minutes=15))

    live = credentials_of(BotocoreSession(clock=clock).attach(ScriptedSource(matching)))
    mixed: list[object] = []

    def read() -> None:
        for _ in range(200):
            key, secret, token, _ = live.get_frozen_credentials()
            if len({key[1:], secret[1:], token[1:]}) != 1:
                mixed.append((key, secret, token))
            clock.advance(timedelta(seconds=7))

    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mixed == []
    assert next(numbers) > 10


@pytest.mark.case("T3", "P7")
def test_without_boto3_the_error_has_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without boto3, its sink raises an error with the install command, and the botocore session works."""
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    with pytest.raises(SinkError, match=r"pip install 'stskit\[boto3\]'"):
        SESSION.to(Boto3Session())
    with pytest.raises(SinkError, match="BotocoreSession"):
        Boto3Session().attach(Static(SESSION))
    assert SESSION.to(BotocoreSession())


def test_a_refreshing_session_works_with_seaweedfs(aws: LocalAWS, sts: BotocoreSTS, base: Credentials) -> None:
    """A refreshing session for a chained role works with SeaweedFS S3."""
    recipe = AssumedRole.through(aws.hub_role, aws.target_role, source=Static(base), sts=sts)
    session: boto3.Session = recipe.to(Boto3Session("us-east-1"))
    objects = session.client("s3", endpoint_url=aws.sts_url).list_objects_v2(Bucket="reports")
    assert [each["Key"] for each in objects["Contents"]] == ["2026/summary.txt"]


@pytest.mark.case("T1")
@pytest.mark.parametrize("live", [True, False])
def test_a_session_has_the_account(live: bool) -> None:
    """A session has the account of its credentials."""
    keys = credentials_of(BotocoreSession().attach(Static(SESSION)) if live else SESSION.to(BotocoreSession()))
    assert keys.account_id == keys.get_frozen_credentials().account_id == "123456789012"


@pytest.mark.case("T6")
def test_credentials_without_an_account_have_none() -> None:
    """Credentials without an account have None in botocore."""
    keys = Credentials("AKIA", "secret")
    for session in (keys.to(BotocoreSession()), BotocoreSession().attach(Static(keys))):
        assert credentials_of(session).get_frozen_credentials().account_id is None
        assert credentials_of(session).account_id is None


@pytest.mark.case("T2")
def test_sixteen_threads_are_never_rejected_over_three_expirations() -> None:
    """A service that rejects expired tokens rejects no request of sixteen threads over three expirations."""
    clock, rejected, step = ManualClock(START), [], threading.Barrier(17)

    def service(request: Request) -> Answer:
        end = float(request.headers["x-amz-security-token"])
        if clock.now().timestamp() >= end:
            rejected.append(end)
        return granted(request)

    def numbered() -> Credentials:
        end = clock.now() + timedelta(minutes=15)
        return Credentials("AKIA", "secret", str(end.timestamp()), end)

    source = ScriptedSource(numbered)
    with fake_server(service) as server, ThreadPoolExecutor(16) as pool:
        session = Boto3Session("us-east-1", clock=clock).attach(source)
        client = session.client("sts", endpoint_url=server.url, config=Config(max_pool_connections=16))

        def call() -> None:
            with suppress(threading.BrokenBarrierError):
                while True:
                    client.get_caller_identity()
                    step.wait(10)

        calls = [pool.submit(call) for _ in range(16)]
        while source.calls < 4:  # the first ones, and three expiries
            clock.advance(timedelta(seconds=50))  # in the middle of the calls
            step.wait(10)
        step.abort()
        for each in calls:
            each.result()
        assert len(server.requests) > 16 * 30
    assert not rejected


@pytest.mark.case("R5")
def test_a_million_reads_return_matching_parts() -> None:
    """In a million reads during constant refreshes, the parts always belong together."""
    sets = [Credentials(f"A{number}", f"S{number}", f"T{number}") for number in range(50)]
    number = 0

    def another() -> Credentials:
        nonlocal number
        number += 1
        return sets[number % len(sets)]

    both = Cached(ScriptedSource(another))
    live = credentials_of(both.to(BotocoreSession()))
    mixed: list[object] = []

    def read(times: int) -> None:
        for at in range(times):
            if not at % 500:
                both.invalidate()
            key, secret, token, _ = live.get_frozen_credentials()
            if not key[1:] == secret[1:] == token[1:]:
                mixed.append((key, secret, token))
            one = both.fetch()
            if not one.access_key_id[1:] == one.secret_access_key[1:] == (one.session_token or "")[1:]:
                mixed.append(one)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(read, 62_500) for _ in range(8)]:
            done.result()
    assert mixed == []
    assert number > 100


@pytest.mark.case("P14", "P31")
@pytest.mark.parametrize("sink", [BotocoreSession(), Boto3Session()], ids=["botocore", "boto3"])
def test_a_hundred_threads_with_a_new_session_cause_one_call(sink: BotocoreSession | Boto3Session) -> None:
    """A hundred threads that use a new session at the same moment cause one call, no error and the same credentials."""
    clock = CrowdedClock(100)
    source = ScriptedSource(lambda: credentials(clock, hours=1))
    session: Any = sink.attach(Cached(source, clock=clock))
    clock.crowded = True

    def look(_: int) -> object:
        return credentials_of(session).get_frozen_credentials()

    with ThreadPoolExecutor(100) as pool:
        assert len(set(pool.map(look, range(100)))) == 1
    assert source.calls == 1


@pytest.mark.case("P79")
def test_sessions_with_one_cache_make_one_call(tmp_path: Any) -> None:
    """Two sessions with equal recipes and one cache make one call."""
    clock = ManualClock(START)
    sts = FakeSTS(clock=clock)
    recipe = AssumedRole("arn:aws:iam::123456789012:role/R", source=Static(sts.user()), sts=sts)
    caches: list[Cache] = [MemoryCache(), FileCache(tmp_path / "cache")]
    for number, cache in enumerate(caches, 1):
        one, other = BotocoreSession(cache=cache, clock=clock), Boto3Session(cache=cache, clock=clock)
        assert credentials_of(recipe.to(one)).access_key == credentials_of(recipe.to(other)).access_key
        assert sts.count() == number


@pytest.mark.case("R15")
@pytest.mark.parametrize("new", [True, False], ids=["new refresh", "old refresh"])
def test_the_refresh_of_botocore_has_no_effect(monkeypatch: pytest.MonkeyPatch, new: bool) -> None:
    """The refresh of botocore has no effect on a session of stskit."""
    monkeypatch.setattr(botocore_credentials, "DEFAULT_NEW_CREDENTIAL_REFRESH", new, raising=False)
    monkeypatch.setattr(botocore_credentials, "_DEFAULT_ADVISORY_REFRESH_TIMEOUT", 1 if new else 10_000, raising=False)
    clock = ManualClock(START)
    source = ScriptedSource(credentials(clock, hours=1), Down(), lambda: credentials(clock, hours=1))
    live = credentials_of(BotocoreSession(clock=clock).attach(source))
    seen = []
    for minutes in (0, 30, 20, 1, 12):
        clock.advance(timedelta(minutes=minutes))
        live.get_frozen_credentials()
        seen.append(source.calls)
    assert seen == [1, 1, 2, 2, 3]


def test_boto3_adds_its_folder_to_the_loader_of_each_session_once() -> None:
    """boto3 adds its data folder to the loader of each session once."""
    sessions = [Boto3Session("us-east-1").attach(Static(Credentials("AKIA", "secret"))) for _ in range(5)]
    loaders = [session._session.get_component("data_loader") for session in sessions]
    assert len({id(each) for each in loaders}) == 5
    assert all(len(each.search_paths) == len(set(each.search_paths)) for each in loaders)
    assert "ec2" in sessions[0].get_available_resources()


def test_recipes_and_calls_do_not_load_boto3() -> None:
    """Recipes and calls do not load boto3."""
    code = (
        "import sys; from stskit import AssumedRole, Cached; from stskit.sinks import Boto3Session;"
        "Cached(AssumedRole('arn:aws:iam::123456789012:role/R')); Boto3Session('us-east-1');"
        "print([name for name in ('boto3', 'botocore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("sink", [BotocoreSession(), Boto3Session()])
@pytest.mark.parametrize(
    ("config", "told"), [("", r"profile \(gone\) could not be found"), ("[", "Unable to parse config")]
)
def test_the_error_for_an_invalid_config_says_what_to_correct(
    sink: BotocoreSession | Boto3Session, config: str, told: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for an invalid config file says what to correct, without the secrets of the credentials."""
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(config)
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(SinkError, match=f"{told}.*\\. Correct the file, or the variables AWS_PROFILE"):
        Credentials("AKIA", "secret").to(sink)
