"""AssumedRole, assume and boto3_session: how a source, roles and an STS work together, also in chains."""

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
    """A minimal STS that records its calls and returns credentials named after them."""

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
    """A minimal source. Its truth value is false, because it has no elements."""

    def fetch(self) -> WebIdentityToken:
        return WebIdentityToken(Secret("token"))

    def __len__(self) -> int:
        return 0


class KeyId:
    """A minimal sink."""

    def write(self, credentials: Credentials, /) -> str:
        return credentials.access_key_id


class Attached:
    """A minimal live sink."""

    def attach(self, source: Source[Credentials], /) -> Callable[[], str]:
        return lambda: source.fetch().access_key_id


# The recipe ------------------------------------------------------------------------------------------------------


def test_a_recipe_makes_no_call_before_fetch() -> None:
    """A recipe calls nothing when it is created. Each fetch calls its source and STS once."""
    source, sts = ScriptedSource(BASE), Ledger()
    recipe = AssumedRole(FIRST, source=source, sts=sts)
    assert (source.calls, sts.calls) == (0, [])
    for number in (1, 2):
        assert recipe.fetch().access_key_id == "AKIABASE>First"
        assert (source.calls, sts.calls) == (number, [("AKIABASE", FIRST)] * number)


def test_a_string_is_read_as_a_role_arn() -> None:
    """A string is accepted as a role ARN and is validated."""
    assert AssumedRole(FIRST) == AssumedRole(Role(FIRST))
    with pytest.raises(RoleError, match="is not a valid role ARN"):
        AssumedRole("First")


def test_the_default_source_is_the_ambient_credentials() -> None:
    """By default a recipe uses the standard credential chain and the default STS."""
    recipe = AssumedRole(FIRST)
    assert (recipe.source, recipe.sts) == (Profile(), BotocoreSTS())
    assert AssumedRole.through(FIRST) == recipe


def test_recipes_are_values() -> None:
    """Recipes with equal parts are equal and have the same hash."""
    recipe = AssumedRole(Role(FIRST, tags={"a": "b"}), source=Profile("p"), sts=BotocoreSTS("eu-west-1"))
    same = AssumedRole(Role(FIRST, tags={"a": "b"}), source=Profile("p"), sts=BotocoreSTS("eu-west-1"))
    assert recipe == same
    assert hash(recipe) == hash(same)
    others = [evolve(recipe, role=FIRST), evolve(recipe, source=Profile("q")), evolve(recipe, sts=BotocoreSTS())]
    assert recipe not in others


def test_a_recipe_can_be_pickled() -> None:
    """A recipe can be pickled, and the copy fetches credentials."""
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
    """The repr of a recipe hides keys and external IDs."""
    recipe = AssumedRole(Role(FIRST, external_id="external-canary"), source=Static(BASE))
    assert "canary" not in repr(recipe)
    assert FIRST in repr(recipe)


def test_a_repr_shows_the_options_that_differ_from_their_defaults() -> None:
    """The repr of a recipe is one line of Python with only the options that differ from their defaults."""
    assert repr(AssumedRole(FIRST)) == f"AssumedRole({FIRST!r})"
    chain = AssumedRole.through(FIRST, Role(SECOND, duration=900))
    assert repr(chain) == f"AssumedRole(Role({SECOND!r}, duration=900), source=AssumedRole({FIRST!r}))"


# boto3_session ---------------------------------------------------------------------------------------------------


def test_boto3_session_refreshes_itself() -> None:
    """`boto3_session` returns a session with the region, whose credentials refresh themselves through the chain."""
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        session = boto3_session(FIRST, SECOND, source=Static(BASE), sts=sts, region_name="eu-central-1")
        assert (session.region_name, server.requests) == ("eu-central-1", [])
        keys = session.get_credentials()
        assert isinstance(keys, RefreshableCredentials)
        assert str(keys.get_frozen_credentials().access_key).startswith("AKIABASE.")
        assert len(server.requests) == 2


def test_boto3_session_has_the_options_of_a_recipe_and_of_its_sink() -> None:
    """`boto3_session` accepts the options of a recipe and of its cache, and errors name the wrong option."""
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
    """Without boto3, `boto3_session` raises SinkError with the command that installs it."""
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    with pytest.raises(SinkError, match=r"pip install 'stskit\[boto3\]'"):
        boto3_session(FIRST, source=Static(BASE))


# Sinks -----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P17")
def test_a_recipe_can_be_attached_to_a_third_party_live_sink() -> None:
    """A third-party live sink with one method receives the recipe and can fetch at any time."""
    sts = Ledger()
    current = AssumedRole(FIRST, source=Vault(), sts=sts).to(Attached())
    assert (current(), current()) == ("WebIdentityToken>First",) * 2
    assert len(sts.calls) == 2


@pytest.mark.case("P21")
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("sink", [CredentialsFile("p"), Environment(), KeyId()])
def test_a_recipe_cannot_be_written_to_a_sink_for_values(sink: object, home: Path, cached: bool) -> None:
    """A recipe is refused by a sink for fixed credentials, with the right call in the message and without a fetch."""
    sts = Ledger()
    recipe = AssumedRole(FIRST, source=Vault(), sts=sts)
    to: Callable[..., object] = Cached(recipe).to if cached else recipe.to
    with pytest.raises(TypeError, match=rf"^{type(sink).__name__} takes .*\. Write \.fetch\(\)\.to\(\.\.\.\) instead"):
        to(sink)
    assert sts.calls == []
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("source", ["samlresponse.log", Credentials("AKIACANARY", "CANARY")])
def test_a_value_that_is_not_a_source_is_refused(source: Any) -> None:
    """A path or credentials in the source argument raise TypeError, which names the right source but no secret."""
    with pytest.raises(
        TypeError, match=r"source must be a source, not .*(SAMLFile\(path\)|Static\(credentials\))"
    ) as caught:
        assume(FIRST, source=source)
    assert "CANARY" not in str(caught.value)


@pytest.mark.case("P17")
def test_credentials_can_be_written_to_a_third_party_sink() -> None:
    """Credentials are passed to a third-party sink with one method."""
    assert assume(FIRST, source=Vault(), sts=Ledger()).to(KeyId()) == "WebIdentityToken>First"


# Chains ----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P19")
@pytest.mark.parametrize("call", [assume, boto3_session, AssumedRole])
def test_a_source_or_a_list_as_role_is_an_error_with_the_right_call(call: Any) -> None:
    """A source, or a list of roles, in place of a role is a TypeError that shows the right call."""
    with pytest.raises(TypeError, match=r"not Static\. Pass a source as source=\.\.\."):
        call(Static(BASE))
    with pytest.raises(TypeError, match=r"not list\. Call assume_all\(\) for several roles\. To chain roles"):
        call([FIRST, SECOND])


def test_a_chain_is_assumed_from_left_to_right() -> None:
    """A chain assumes each role with the credentials of the role before it; only the first role uses the proof."""
    sts = Ledger()
    third = "arn:aws:iam::123456789012:role/Third"
    assert assume(FIRST, Role(SECOND), third, source=Vault(), sts=sts).access_key_id.endswith(">First>Second>Third")
    path = ["WebIdentityToken", "WebIdentityToken>First", "WebIdentityToken>First>Second"]
    assert sts.calls == list(zip(path, [FIRST, SECOND, third], strict=True))
    recipe = AssumedRole.through(FIRST, SECOND, source=Static(BASE), sts=sts)
    assert recipe == AssumedRole(SECOND, source=AssumedRole(FIRST, source=Static(BASE), sts=sts), sts=sts)


@pytest.mark.case("E2")
def test_a_chained_role_for_more_than_an_hour_is_an_error() -> None:
    """A chained role for more than an hour raises RoleError before any call; the first role can last longer."""
    source = ScriptedSource(BASE)
    long, hour = Role(SECOND, duration=timedelta(hours=1, seconds=1)), Role(SECOND, duration=timedelta(hours=1))
    with pytest.raises(RoleError, match=f"^duration of {SECOND} is 3601 seconds, but STS allows at most 3600 "):
        AssumedRole.through(FIRST, long, source=source)
    with pytest.raises(RoleError):
        assume(FIRST, long, source=source, sts=Ledger())
    assert source.calls == 0
    assert AssumedRole.through(evolve(long, arn=FIRST), hour).role.duration == 3600


def test_the_refused_second_role_is_named(home: Path) -> None:
    """If the second role is denied, the error names it, and credentials of the first are in no file and no error."""
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
def test_a_refused_first_role_ends_the_chain() -> None:
    """If the first role is denied, the second is not called."""
    with fake_server(refused("AccessDenied")) as server, pytest.raises(STSError) as caught:
        assume(FIRST, SECOND, source=Static(BASE), sts=BotocoreSTS(endpoint_url=server.url))
    assert caught.value.role_arn == FIRST
    assert len(server.requests) == 1


# Errors of a source ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SourceMissing("no"), ProofInvalid("no"), STSUnavailable("no"), KeyboardInterrupt()])
def test_an_exception_of_a_source_is_raised_unchanged(error: BaseException) -> None:
    """An exception of the source is raised unchanged, and STS is not called."""
    sts = Ledger()
    with pytest.raises(type(error)) as caught:
        AssumedRole(FIRST, source=ScriptedSource(error), sts=sts).fetch()
    assert caught.value is error
    assert sts.calls == []


def test_a_value_that_is_not_a_proof_is_an_error() -> None:
    """If a third-party source returns another type than a proof, ProofInvalid is raised."""
    source: Source[Credentials] = ScriptedSource(lambda: "token")  # type: ignore[arg-type,return-value]
    with pytest.raises(ProofInvalid, match="The source returned str, which is not a proof"):
        assume(FIRST, source=source)


# caller_identity -------------------------------------------------------------------------------------------------


def test_caller_identity_uses_the_passed_credentials() -> None:
    """`caller_identity` uses the passed credentials and the passed STS."""
    assert caller_identity(BASE, sts=Ledger()).arn == "arn:AKIABASE"


def test_caller_identity_uses_the_ambient_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments, `caller_identity` and `assume` use the ambient credentials and the ambient endpoint."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert caller_identity().user_id == "AKIAAMBIENT"
        assert assume(FIRST).access_key_id.startswith("AKIAAMBIENT.stskit-")


def test_caller_identity_needs_credentials(home: Path) -> None:
    """Without ambient credentials, `caller_identity` raises SourceMissing."""
    with pytest.raises(SourceMissing, match="The standard AWS credential chain"):
        caller_identity()


# Real servers ----------------------------------------------------------------------------------------------------


def test_two_roles_are_chained(aws: LocalAWS, sts: BotocoreSTS, base: Credentials) -> None:
    """Two roles are chained on a real server, where the second role trusts only sessions of the first."""
    hub = Role(aws.hub_role, session_name="first")
    credentials_ = assume(hub, Role(aws.target_role, session_name="second"), source=Static(base), sts=sts)
    identity = caller_identity(credentials_, sts=sts)
    assert identity.arn == f"arn:aws:sts::{aws.account}:assumed-role/Reports/second"
    if aws.has_seaweedfs:
        with pytest.raises(STSError) as caught:
            assume(aws.target_role, source=Static(base), sts=sts)
        assert (caught.value.code, caught.value.role_arn) == ("AccessDenied", aws.target_role)


def test_proof_from_files_gives_access_to_a_bucket(
    aws: LocalAWS, sts: BotocoreSTS, saml_sts: BotocoreSTS, tmp_path: Path
) -> None:
    """A token file and a SAML file become a boto3 session and variables that work on real servers."""
    (tmp_path / "token").write_text(f"{aws.idp.oidc_token()}\n")
    (tmp_path / "token").chmod(0o600)
    session = assume(aws.web_role, source=OIDCTokenFile("token"), sts=sts).to(Boto3Session("us-east-1"))
    listed = session.client("s3", endpoint_url=aws.sts_url).list_objects_v2(Bucket="reports")
    assert [item["Key"] for item in listed["Contents"]] == ["2026/summary.txt"]
    (tmp_path / "response").write_text(aws.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)]))
    given = assume(aws.saml_role, source=SAMLFile("response"), sts=saml_sts)
    assert given.to(Environment())["AWS_ACCESS_KEY_ID"] == given.access_key_id


def test_a_profile_is_a_source(aws: LocalAWS, base: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named profile is used as source, although the environment has other keys."""
    base.to(CredentialsFile("base"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.sts_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    given = assume(Role(aws.hub_role, session_name="me"), source=Profile("base"))
    assert caller_identity(given).arn.endswith("/Hub/me")


@pytest.mark.case("E19")
@pytest.mark.parametrize("flags", [["-O"], ["-OO"], ["-X", "dev", "-W", "error"]], ids=" ".join)
def test_it_works_under_every_mode_of_the_interpreter(flags: list[str], tmp_path: Path) -> None:
    """A complete program works with -O, -OO, and with warnings as errors, so no file or socket stays open."""
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
