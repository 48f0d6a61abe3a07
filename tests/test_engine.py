"""The recipe and the two functions: how a source, a role and an STS come together, in chains too."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen
from botocore.credentials import RefreshableCredentials
from fake_server import fake_server, granted, refused, told
from helpers import ScriptedSource
from local_aws import LocalAWS
from saml_samples import response

from stskit import (
    AssumedRole,
    Cached,
    CallerIdentity,
    Credentials,
    RefreshPolicy,
    Role,
    WebIdentityToken,
    assume,
    boto3_session,
    caller_identity,
)
from stskit.caches import MemoryCache
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, RoleError, SinkError, SourceMissing, STSError, STSUnavailable
from stskit.mfa import MFA
from stskit.proofs import Proof
from stskit.protocols import Source
from stskit.sinks import Boto3Session, CredentialsFile, Environment
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, Static
from stskit.sts import BotocoreSTS

FIRST, SECOND = "arn:aws:iam::123456789012:role/First", "arn:aws:iam::210987654321:role/Second"
BASE = Credentials("AKIABASE", "base-secret-canary", "base-token-canary")


@frozen
class Ledger:
    """An STS of one method, that writes down what it is asked, and gives credentials named after it."""

    calls: list[tuple[str, str]] = field(factory=list, eq=False)

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        name = proof.access_key_id if isinstance(proof, Credentials) else type(proof).__name__
        self.calls.append((name, role.arn))
        return Credentials(f"{name}>{role.arn.split('/')[-1]}", "secret", "token")

    def caller_identity(self, credentials: Credentials, /) -> CallerIdentity:
        return CallerIdentity("1", f"arn:{credentials.access_key_id}", "id")

    def session_token(
        self, credentials: Credentials, /, *, duration: int | None = None, mfa: MFA | None = None
    ) -> Credentials:
        return credentials


class Vault:
    """A source of one method. It is empty, in a way: its truth is false."""

    def fetch(self) -> WebIdentityToken:
        return WebIdentityToken(Secret("token"))

    def __len__(self) -> int:
        return 0


class KeyId:
    """A sink of one method."""

    def write(self, credentials: Credentials, /) -> str:
        return credentials.access_key_id


class Attached:
    """A live sink of one method."""

    def attach(self, source: Source[Credentials], /) -> Callable[[], str]:
        return lambda: source.fetch().access_key_id


# The recipe ------------------------------------------------------------------------------------------------------


def test_a_recipe_does_nothing_before_it_is_asked() -> None:
    """Then one fetch of the source and one call, each time."""
    source, sts = ScriptedSource(BASE), Ledger()
    recipe = AssumedRole(FIRST, source=source, sts=sts)
    assert (source.calls, sts.calls) == (0, [])
    for number in (1, 2):
        assert recipe.fetch().access_key_id == "AKIABASE>First"
        assert (source.calls, sts.calls) == (number, [("AKIABASE", FIRST)] * number)


def test_a_text_is_taken_as_the_arn_of_a_role() -> None:
    """And is checked as one."""
    assert AssumedRole(FIRST) == AssumedRole(Role(FIRST))
    with pytest.raises(RoleError, match="is not a valid role ARN"):
        AssumedRole("First")


def test_by_default_it_uses_the_ambient_credentials() -> None:
    """And STS as botocore reaches it, each with its own defaults."""
    recipe = AssumedRole(FIRST)
    assert (recipe.source, recipe.sts) == (Profile(), BotocoreSTS())
    assert AssumedRole.through(FIRST) == recipe


def test_recipes_are_values() -> None:
    """Equal where all of their parts are, and of use as a key."""
    recipe = AssumedRole(Role(FIRST, tags={"a": "b"}), source=Profile("p"), sts=BotocoreSTS("eu-west-1"))
    same = AssumedRole(Role(FIRST, tags={"a": "b"}), source=Profile("p"), sts=BotocoreSTS("eu-west-1"))
    assert recipe == same
    assert hash(recipe) == hash(same)
    others = [evolve(recipe, role=FIRST), evolve(recipe, source=Profile("q")), evolve(recipe, sts=BotocoreSTS())]
    assert recipe not in others


def test_a_recipe_pickles_and_still_works() -> None:
    """In a worker process, for example; it holds no credentials but those that it was given."""
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        recipe = AssumedRole.through(FIRST, Role(SECOND, session_name="me"), source=Static(BASE), sts=sts)
        recipe.fetch()
        twin = pickle.loads(pickle.dumps(recipe))
        assert twin == recipe
        assert twin.fetch().access_key_id.endswith(".me")
    ambient = AssumedRole(FIRST, source=Profile("p"))
    assert pickle.loads(pickle.dumps(ambient)) == ambient


def test_a_repr_shows_no_secret() -> None:
    """Keys of the source and the external ID are hidden."""
    recipe = AssumedRole(Role(FIRST, external_id="external-canary"), source=Static(BASE))
    assert "canary" not in repr(recipe)
    assert FIRST in repr(recipe)


def test_a_repr_shows_the_options_that_differ_from_their_defaults() -> None:
    """A recipe fits in a line, and can be pasted into Python."""
    assert repr(AssumedRole(FIRST)) == f"AssumedRole({FIRST!r})"
    chain = AssumedRole.through(FIRST, Role(SECOND, duration=900))
    assert repr(chain) == f"AssumedRole(Role({SECOND!r}, duration=900), source=AssumedRole({FIRST!r}))"


# boto3_session ---------------------------------------------------------------------------------------------------


def test_boto3_session_refreshes_itself() -> None:
    """It has the region, and its credentials are those of a recipe."""
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        session = boto3_session(FIRST, SECOND, source=Static(BASE), sts=sts, region_name="eu-central-1")
        assert (session.region_name, server.requests) == ("eu-central-1", [])
        keys = session.get_credentials()
        assert isinstance(keys, RefreshableCredentials)
        assert str(keys.get_frozen_credentials().access_key).startswith("AKIABASE.")
        assert len(server.requests) == 2


def test_boto3_session_has_the_options_of_a_recipe_and_of_its_sink() -> None:
    """A cache is used, and an error of an option names it."""
    cache = MemoryCache()
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        for _ in range(2):
            refresh = RefreshPolicy(advisory=timedelta(minutes=5))
            session = boto3_session(FIRST, source=Static(BASE), sts=sts, refresh=refresh, cache=cache)
            keys = session.get_credentials()
            assert isinstance(keys, RefreshableCredentials)
            keys.get_frozen_credentials()
        assert len(server.requests) == 1
    with pytest.raises(RoleError, match="wait_for_new_role is 120 seconds"):
        boto3_session(FIRST, wait_for_new_role=timedelta(minutes=2))
    with pytest.raises(TypeError, match=r"^source must be a source, not str. Did you mean Profile\('base'\)"):
        boto3_session(FIRST, source="base")  # type: ignore[arg-type]


def test_boto3_session_says_how_to_install_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called without it."""
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    with pytest.raises(SinkError, match=r"pip install 'stskit\[boto3\]'"):
        boto3_session(FIRST, source=Static(BASE))


# Sinks -----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P17")
def test_a_recipe_goes_to_a_live_sink_of_anybody() -> None:
    """A class with one method; what it gives asks the recipe whenever it likes."""
    sts = Ledger()
    current = AssumedRole(FIRST, source=Vault(), sts=sts).to(Attached())
    assert (current(), current()) == ("WebIdentityToken>First",) * 2
    assert len(sts.calls) == 2


@pytest.mark.case("P21")
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("sink", [CredentialsFile("p"), Environment(), KeyId()])
def test_a_recipe_does_not_go_to_a_sink_for_values(sink: object, home: Path, cached: bool) -> None:
    """A file cannot refresh itself: the error says what to write in place of it, and nothing was fetched."""
    sts = Ledger()
    recipe = AssumedRole(FIRST, source=Vault(), sts=sts)
    to: Callable[..., object] = Cached(recipe).to if cached else recipe.to
    with pytest.raises(TypeError, match=rf"^{type(sink).__name__} takes .*\. Write \.fetch\(\)\.to\(\.\.\.\) instead"):
        to(sink)
    assert sts.calls == []
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("source", ["samlresponse.log", Credentials("AKIACANARY", "CANARY")])
def test_what_is_no_source_is_told_at_once(source: Any) -> None:
    """A path or a proof in its place: the error names the sources to wrap it in, and no secret."""
    with pytest.raises(
        TypeError, match=r"source must be a source, not .*(SAMLFile\(path\)|Static\(credentials\))"
    ) as caught:
        assume(FIRST, source=source)
    assert "CANARY" not in str(caught.value)


@pytest.mark.case("P17")
def test_a_value_goes_to_a_sink_of_anybody() -> None:
    """A class with one method again."""
    assert assume(FIRST, source=Vault(), sts=Ledger()).to(KeyId()) == "WebIdentityToken>First"


# Chains ----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P19")
def test_a_chain_is_the_path_from_left_to_right() -> None:
    """Each role is assumed with the credentials of the one before it; only the first sees the proof."""
    sts = Ledger()
    third = "arn:aws:iam::123456789012:role/Third"
    assert assume(FIRST, Role(SECOND), third, source=Vault(), sts=sts).access_key_id.endswith(">First>Second>Third")
    path = ["WebIdentityToken", "WebIdentityToken>First", "WebIdentityToken>First>Second"]
    assert sts.calls == list(zip(path, [FIRST, SECOND, third], strict=True))
    recipe = AssumedRole.through(FIRST, SECOND, source=Static(BASE), sts=sts)
    assert recipe == AssumedRole(SECOND, source=AssumedRole(FIRST, source=Static(BASE), sts=sts), sts=sts)


@pytest.mark.case("E2")
def test_a_chained_role_for_more_than_an_hour_is_an_error() -> None:
    """STS would refuse it, so it is said at once; the first role and an hour are free of that."""
    source = ScriptedSource(BASE)
    long, hour = Role(SECOND, duration=timedelta(hours=1, seconds=1)), Role(SECOND, duration=timedelta(hours=1))
    with pytest.raises(RoleError, match=f"^duration of {SECOND} is 3601 seconds, but STS allows at most 3600 "):
        AssumedRole.through(FIRST, long, source=source)
    with pytest.raises(RoleError):
        assume(FIRST, long, source=source, sts=Ledger())
    assert source.calls == 0
    assert AssumedRole.through(evolve(long, arn=FIRST), hour).role.duration == 3600


def test_a_denied_second_hop_is_named_and_the_first_goes_nowhere(home: Path) -> None:
    """The error tells which role it was; the credentials of the first are in no file and no error."""
    with fake_server(granted, refused("AccessDenied", "No.", 403)) as server, pytest.raises(STSError) as caught:
        sts = BotocoreSTS(endpoint_url=server.url)
        assume(FIRST, SECOND, source=Static(BASE), sts=sts).to(CredentialsFile("p"))
    error = caught.value
    assert (error.role_arn, error.operation, error.code) == (SECOND, "AssumeRole", "AccessDenied")
    assert SECOND in str(error)
    assert FIRST not in str(error)
    assert [request.form["RoleArn"] for request in server.requests] == [FIRST, SECOND]
    assert "canary" not in told(error)
    assert list(home.iterdir()) == []


@pytest.mark.case("E17")
def test_a_denied_first_hop_ends_the_chain() -> None:
    """Nothing is asked of the second."""
    with fake_server(refused("AccessDenied")) as server, pytest.raises(STSError) as caught:
        assume(FIRST, SECOND, source=Static(BASE), sts=BotocoreSTS(endpoint_url=server.url))
    assert caught.value.role_arn == FIRST
    assert len(server.requests) == 1


# Errors pass through ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SourceMissing("no"), ProofInvalid("no"), STSUnavailable("no"), KeyboardInterrupt()])
def test_what_a_source_raises_comes_out_as_it_is(error: BaseException) -> None:
    """And STS is not asked."""
    sts = Ledger()
    with pytest.raises(type(error)) as caught:
        AssumedRole(FIRST, source=ScriptedSource(error), sts=sts).fetch()
    assert caught.value is error
    assert sts.calls == []


def test_what_is_no_proof_is_an_error() -> None:
    """A source that is not ours may give anything."""
    source: Source[Credentials] = ScriptedSource(lambda: "token")  # type: ignore[arg-type,return-value]
    with pytest.raises(ProofInvalid, match="The source returned str, which is not a proof"):
        assume(FIRST, source=source)


# The caller ------------------------------------------------------------------------------------------------------


def test_the_caller_is_asked_for_of_what_is_given() -> None:
    """Of these credentials, by this STS."""
    assert caller_identity(BASE, sts=Ledger()).arn == "arn:AKIABASE"


def test_the_caller_is_asked_for_of_the_ambient_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """And at the ambient endpoint, where neither is given."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert caller_identity().user_id == "AKIAAMBIENT"
        assert assume(FIRST).access_key_id.startswith("AKIAAMBIENT.stskit-")


def test_without_ambient_credentials_there_is_no_caller(home: Path) -> None:
    """As for every use of them."""
    with pytest.raises(SourceMissing, match="The standard AWS credential chain"):
        caller_identity()


# Real servers ----------------------------------------------------------------------------------------------------


def test_two_roles_are_chained(aws: LocalAWS, sts: BotocoreSTS, base: Credentials) -> None:
    """The target trusts the sessions of the hub only, and each session carries its name."""
    hub = Role(aws.hub_role, session_name="first")
    credentials_ = assume(hub, Role(aws.target_role, session_name="second"), source=Static(base), sts=sts)
    identity = caller_identity(credentials_, sts=sts)
    assert identity.arn == f"arn:aws:sts::{aws.account}:assumed-role/Reports/second"
    if aws.has_seaweedfs:
        with pytest.raises(STSError) as caught:
            assume(aws.target_role, source=Static(base), sts=sts)
        assert (caught.value.code, caught.value.role_arn) == ("AccessDenied", aws.target_role)


def test_proof_from_files_opens_a_bucket(
    aws: LocalAWS, sts: BotocoreSTS, saml_sts: BotocoreSTS, tmp_path: Path
) -> None:
    """From a source to a sink, as a user would write it."""
    (tmp_path / "token").write_text(f"{aws.idp.oidc_token()}\n")
    (tmp_path / "token").chmod(0o600)
    session = assume(aws.web_role, source=OIDCTokenFile("token"), sts=sts).to(Boto3Session("us-east-1"))
    listed = session.client("s3", endpoint_url=aws.sts_url).list_objects_v2(Bucket="reports")
    assert [item["Key"] for item in listed["Contents"]] == ["2026/summary.txt"]
    (tmp_path / "response").write_text(aws.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)]))
    given = assume(aws.saml_role, source=SAMLFile("response"), sts=saml_sts)
    assert given.to(Environment())["AWS_ACCESS_KEY_ID"] == given.access_key_id


def test_a_profile_is_a_source(aws: LocalAWS, base: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its keys are not looked for elsewhere."""
    base.to(CredentialsFile("base"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.sts_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    given = assume(Role(aws.hub_role, session_name="me"), source=Profile("base"))
    assert caller_identity(given).arn.endswith("/Hub/me")


@pytest.mark.case("E19")
@pytest.mark.parametrize("flags", [["-O"], ["-OO"], ["-X", "dev", "-W", "error"]], ids=" ".join)
def test_it_works_under_every_mode_of_the_interpreter(flags: list[str], tmp_path: Path) -> None:
    """Without assertions and docstrings, and with every warning an error: no file, no socket is left open."""
    script = """
        import sys
        from datetime import timedelta
        from stskit import MFA, AssumedRole, Cached, Credentials, Role, SAMLAssertion, assume_all
        from stskit.sinks import Boto3Session, CredentialsFile, Environment
        from stskit.sources import Profile, SAMLFile, Static
        from stskit.sts import BotocoreSTS

        sts = BotocoreSTS(endpoint_url=sys.argv[1], total_timeout=20)
        base = Static(Credentials("AKIA", "secret"))
        role = Role.named("R", account="123456789012", mfa=MFA("serial-number", "123456"), duration=timedelta(hours=1))
        cached = Cached(AssumedRole(role, source=base, sts=sts))
        keys = cached.fetch()
        keys.to(CredentialsFile("p", "credentials", region="eu-west-1"))
        keys.to(Environment())
        cached.to(Boto3Session("eu-west-1")).get_credentials().get_frozen_credentials()
        outcomes = list(assume_all(["arn:aws:iam::123456789012:role/R"] * 9, source=base, sts=sts))
        assertion = SAMLFile("response", skew=timedelta(days=9999)).fetch()
        print(len(outcomes), assertion.session_name, Profile("p").fetch().access_key_id == keys.access_key_id)
    """
    (tmp_path / "response").write_text(response({"Role": [], "RoleSessionName": ["alice"]}))
    with fake_server(granted) as server:
        environment = {**os.environ, "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
        done = subprocess.run(
            [sys.executable, *flags, "-c", textwrap.dedent(script), server.url],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("9 alice True\n", "")
