"""Whose credentials are kept under a key: each thing that makes a difference makes another one, and none is secret."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import attrs
import pytest
from botocore.session import Session
from helpers import START, ScriptedSource, credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from saml_samples import PROVIDER, encoded, response
from test_jwt import token
from test_profile import configure

from stskit import MFA, AssumedRole, Cached, Credentials, MFACommand, Role, SAMLAssertion
from stskit.caches import FileCache, MemoryCache
from stskit.errors import ProofInvalid, SourceMissing
from stskit.proofs import Proof, WebIdentityToken
from stskit.roles import ProvidedContext
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, SessionToken, Static
from stskit.sts import BotocoreSTS
from stskit.testing import ManualClock

ARN = "arn:aws:iam::123456789012:role/R"
SERIAL = "arn:aws:iam::123456789012:mfa/alice"
BASE = Static(Credentials("AKIABASE", "secret-canary", "token-canary"))


def of(role: Role | str = ARN, sts: Any = None, source: Any = BASE) -> str | None:
    return AssumedRole(role, source=source, sts=sts or BotocoreSTS()).identity


# The role and the server -------------------------------------------------------------------------------------------

OPTIONS: dict[str, list[Any]] = {
    "arn": ["arn:aws:iam::123456789012:role/Other", "arn:aws:iam::123456789012:role/path/R"],
    "session_name": ["alice", "bob"],
    "duration": [900, 901],
    "policy": ["{}", '{"Version":"2012-10-17"}'],
    "policy_arns": [["arn:aws:iam::aws:policy/A"], ["arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/B"]],
    "tags": [{"a": "1"}, {"a": "2"}, {"b": "1"}],
    "transitive_tag_keys": [["a"], ["b"]],
    "external_id": ["external-canary", "external-canary-2"],
    "source_identity": ["alice", "bob"],
    "mfa": [MFA(SERIAL, "123456"), MFA(SERIAL + "2", "123456")],
    "provided_contexts": [
        [ProvidedContext(PROVIDER, "context-canary")],
        [ProvidedContext(PROVIDER, "context-canary-2")],
    ],
    "minimum_session_token_size": [0, 1],
    "extra": [{"New": 1}, {"New": "1"}, {"Other": 1}],
}


def test_every_option_of_a_role_is_looked_at() -> None:
    """A new one without a row here fails."""
    assert OPTIONS.keys() == {field.name for field in attrs.fields(Role)}


@pytest.mark.case("C1")
def test_each_option_of_a_role_makes_a_difference() -> None:
    """Alone, in each of its values."""
    given: list[dict[str, Any]] = [{name: value} for name, values in OPTIONS.items() for value in values]
    roles = [Role(ARN), *(Role(**{"arn": ARN, **option}) for option in given)]
    assert len({of(role) for role in roles}) == len(roles)


@pytest.mark.case("C1")
def test_each_setting_of_the_server_makes_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Region, endpoint and its kind, here or in the environment; time-outs and logs make none."""
    servers = [
        BotocoreSTS(),
        BotocoreSTS("eu-west-1"),
        BotocoreSTS("eu-west-2"),
        BotocoreSTS(endpoint_url="http://127.0.0.1:1"),
        BotocoreSTS(endpoint_url="http://127.0.0.1:2"),
        BotocoreSTS(use_fips=True),
        BotocoreSTS(use_dualstack=True),
    ]
    seen = {of(sts=each) for each in servers}
    variables = ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_PROFILE"]
    for name in (*variables, "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_ROLE_SESSION_NAME"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "eu-west-1")
            seen.add(of())
    assert len(seen) == len(servers) + 8
    assert of(sts=BotocoreSTS(connect_timeout=1, read_timeout=1, total_timeout=1, trace_wire=True)) == of()


@pytest.mark.case("C1")
def test_an_sts_of_somebody_else_is_told_by_what_it_says_or_by_its_class() -> None:
    """So one class for two servers must say which."""

    class One:
        def exchange(self, proof: Proof, role: Role) -> Credentials: ...  # type: ignore[empty-body]

    class Other(One):
        pass

    class Saying(One):
        def __init__(self, identity: str) -> None:
            self.identity = identity

    told = [of(sts=each) for each in (One(), Other(), Saying("a"), Saying("b"))]
    assert len(set(told)) == 4
    assert of(sts=One()) == told[0]


def test_the_code_of_an_mfa_device_makes_no_difference() -> None:
    """It is of the moment."""
    codes: list[Any] = ["123456", "654321", lambda serial: "123456", MFACommand(["oathtool"])]
    assert len({of(Role(ARN, mfa=MFA(SERIAL, code))) for code in codes}) == 1


def test_the_order_within_a_parameter_makes_no_difference() -> None:
    """Of a mapping and of a set, whatever is in them; that of a list does."""
    told = [of(Role(ARN, extra={"New": new})) for new in ({"a", "b"}, {"b", "a"}, ["a", "b"], ["b", "a"], ("a", "b"))]
    assert told[0] == told[1] != told[2] != told[3]
    assert told[2] == told[4]


def test_it_is_the_same_in_another_process() -> None:
    """Whatever the order of dictionaries and the seed of hashes there."""
    code = (
        "from stskit import AssumedRole, Credentials, Role; from stskit.sources import Static;"
        "role = Role(%r, tags={'b': '1', 'a': '2'}, extra={'New': {'y': 1, 'x': 2}});"
        "print(AssumedRole(role, source=Static(Credentials('AKIABASE', 'another-secret'))).identity)"
    )
    done = subprocess.run([sys.executable, "-c", code % ARN], capture_output=True, text=True, check=True)
    here = of(Role(ARN, tags={"a": "2", "b": "1"}, extra={"New": {"x": 2, "y": 1}}))
    assert done.stdout.strip() == here


@pytest.mark.case("C1", "C2")
def test_nothing_can_be_read_from_it() -> None:
    """It is 64 hexadecimal digits, whatever went in; and a secret key makes no difference, for its id does."""
    role = Role(ARN, external_id="external-canary", provided_contexts=[ProvidedContext(PROVIDER, "context-canary")])
    assert re.fullmatch("[0-9a-f]{64}", of(role) or "")
    assert of(role, source=Static(Credentials("AKIABASE", "other"))) == of(role)


# The proof ---------------------------------------------------------------------------------------------------------


def assertion(subject: str = "alice", issuer: str = "https://idp.example", **attributes: str) -> str:
    """A response for *subject*, with more attributes of AWS."""
    values = {"Role": [f"{ARN},{PROVIDER}"], **{name: [value] for name, value in attributes.items()}}
    return (
        response(values).replace(">alice</a:NameID>", f">{subject}</a:NameID>").replace("https://idp.example", issuer)
    )


CLAIMS = {"iss": "https://issuer", "sub": "me", "aud": "sts"}
PROOFS: dict[str, Callable[[], Proof]] = {
    "a key": lambda: Credentials("AKIA1", "s"),
    "another key": lambda: Credentials("AKIA2", "s"),
    "a token": lambda: token(CLAIMS),
    "of another issuer": lambda: token({**CLAIMS, "iss": "https://other"}),
    "of another subject": lambda: token({**CLAIMS, "sub": "you"}),
    "for another audience": lambda: token({**CLAIMS, "aud": "other"}),
    "for several": lambda: token({**CLAIMS, "aud": ["sts", "other"]}),
    "for another party": lambda: token({**CLAIMS, "azp": "app"}),
    "with tags": lambda: token({**CLAIMS, "https://aws.amazon.com/tags": {"principal_tags": {"a": ["1"]}}}),
    "of another provider": lambda: WebIdentityToken(token(CLAIMS).value, "www.amazon.com"),
    "an assertion": lambda: SAMLAssertion(encoded(assertion())),
    "of another person": lambda: SAMLAssertion(encoded(assertion("bob"))),
    "of another identity provider": lambda: SAMLAssertion(encoded(assertion(issuer="https://other"))),
    "by another provider": lambda: SAMLAssertion(encoded(assertion()), PROVIDER + "2"),
    "with a session name": lambda: SAMLAssertion(encoded(assertion(RoleSessionName="alice"))),
    "with a duration": lambda: SAMLAssertion(encoded(assertion(SessionDuration="900"))),
    "with an identity": lambda: SAMLAssertion(encoded(assertion(SourceIdentity="alice"))),
    "with a tag": lambda: SAMLAssertion(encoded(assertion(**{"PrincipalTag:team": "blue"}))),
    "with another tag": lambda: SAMLAssertion(encoded(assertion(**{"PrincipalTag:team": "red"}))),
}


@pytest.mark.case("C1")
def test_each_proof_of_somebody_else_makes_a_difference() -> None:
    """By what it says of its owner, and never two alike."""
    told = {name: Static(make()).identity for name, make in PROOFS.items()}
    assert None not in told.values()
    assert len(set(told.values())) == len(told)


@pytest.mark.case("C1")
def test_a_renewed_proof_of_the_same_person_makes_none() -> None:
    """A new token, a new assertion: whoever has them finds what was kept for the old ones."""
    later = token({**CLAIMS, "iat": 5, "exp": 9, "jti": "x"}, signature="b3RoZXI")
    assert Static(later).identity == Static(token(CLAIMS)).identity
    renewed = assertion().replace("IssueInstant", 'ID="x" IssueInstant')
    assert Static(SAMLAssertion(encoded(renewed))).identity == Static(SAMLAssertion(encoded(assertion()))).identity


@pytest.mark.parametrize("value", ["opaque-token", token({"iss": "x"}).value], ids=["opaque", "no subject"])
def test_a_token_that_says_nothing_has_no_name(value: str) -> None:
    """Then a key has to be given."""
    assert Static(WebIdentityToken(value)).identity is None
    assert of(source=Static(WebIdentityToken(value))) is None


def test_files_say_whose_proof_they_hold_also_when_it_has_ended(tmp_path: Path) -> None:
    """What is kept of a session outlives the assertion that it came by; of a file that is gone nothing is known."""
    clock = ManualClock(START)
    (tmp_path / "saml").write_text(encoded(assertion()))
    (tmp_path / "token").write_text(token({**CLAIMS, "exp": 1}).value)
    clock.advance(timedelta(days=1))
    saml, oidc = SAMLFile(tmp_path / "saml", clock=clock), OIDCTokenFile(tmp_path / "token", clock=clock)
    assert saml.identity == Static(SAMLAssertion(encoded(assertion()))).identity
    assert oidc.identity == Static(token(CLAIMS)).identity
    for each in (saml, oidc):
        with pytest.raises(ProofInvalid):
            each.fetch()
    for path in (tmp_path / "saml", tmp_path / "token"):
        path.unlink()
    for each in (saml, oidc):
        with pytest.raises(SourceMissing):
            _ = each.identity


def test_an_encrypted_assertion_is_its_own_name() -> None:
    """Nothing of it can be read, so each is somebody else's."""
    sealed = [
        response()
        .replace("<a:Assertion ", f"<a:EncryptedAssertion>{number}</a:EncryptedAssertion><x ")
        .replace("</a:Assertion>", "</x>")
        for number in range(2)
    ]
    told = [Static(SAMLAssertion(encoded(each), PROVIDER)).identity for each in sealed]
    assert len(set(told)) == 2
    assert None not in told


# Profiles ----------------------------------------------------------------------------------------------------------

KEYS = "aws_access_key_id = AKIA1\naws_secret_access_key = s\n"
OTHER = KEYS.replace("AKIA1", "AKIA2")


def changes(home: Path, config: str = "", credentials: str = "", name: str | None = "dev") -> str | None:
    configure(home, config, credentials)
    return Profile(name).identity


@pytest.mark.case("C1")
def test_each_setting_that_decides_makes_a_difference(home: Path, tmp_path: Path) -> None:
    """The keys, the role, the source of a role, the process, the sign-in; and secrets make none."""
    (tmp_path / "one").write_text(token(CLAIMS).value)
    (tmp_path / "two").write_text(token({**CLAIMS, "sub": "you"}).value)
    base = f"[profile dev]\nrole_arn = {ARN}\n"
    sso = "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = R\n"
    corp = "[sso-session corp]\nsso_start_url = https://corp\n"
    told = [
        changes(home, credentials=f"[dev]\n{KEYS}"),
        changes(home, credentials=f"[dev]\n{OTHER}"),
        changes(home, f"[profile dev]\n{KEYS}region = eu-west-1\n"),
        changes(home, f"{base}source_profile = base\n", f"[base]\n{KEYS}"),
        changes(home, f"{base}source_profile = base\n", f"[base]\n{OTHER}"),
        changes(home, f"{base}source_profile = base\nexternal_id = x\n", f"[base]\n{KEYS}"),
        changes(home, f"{base}source_profile = a\n[profile a]\n{base[14:]}source_profile = base\n", f"[base]\n{KEYS}"),
        changes(home, f"{base}source_profile = a\n[profile a]\n{base[14:]}source_profile = base\n", f"[base]\n{OTHER}"),
        changes(home, "[profile dev]\ncredential_process = one\n"),
        changes(home, "[profile dev]\ncredential_process = two\n"),
        changes(home, sso + corp),
        changes(home, sso + corp.replace("https://corp", "https://other")),
        changes(home, sso.replace("_name = R", "_name = S") + corp),
        changes(home, f"{base}web_identity_token_file = {tmp_path / 'one'}\n"),
        changes(home, f"{base}web_identity_token_file = {tmp_path / 'two'}\n"),
        changes(home, "[profile dev]\nlogin_session = arn:aws:iam::123456789012:user/alice\n"),
    ]
    assert None not in told
    assert len(set(told)) == len(told)
    for secret in ("aws_secret_access_key = s", "aws_session_token = t\naws_secret_access_key = s"):
        assert changes(home, credentials=f"[dev]\naws_access_key_id = AKIA1\n{secret}2\n") == told[0]
    assert changes(home, '[profile "dev"]\ncredential_process = one\n') == told[8]


def test_the_same_file_with_another_subject_is_somebody_elses(home: Path, tmp_path: Path) -> None:
    """A token file that is renewed for the same one is not."""
    file = tmp_path / "token"
    config = f"[profile dev]\nrole_arn = {ARN}\nweb_identity_token_file = {file}\n"
    told = []
    for claims in (CLAIMS, {**CLAIMS, "exp": 5}, {**CLAIMS, "sub": "you"}):
        file.write_text(token(claims).value)
        told.append(changes(home, config))
    assert told[0] == told[1] != told[2]
    file.unlink()
    assert changes(home, config) not in (None, *told)


def test_the_environment_goes_before_the_default_chain_and_not_before_a_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is for botocore."""
    configure(home, credentials=f"[dev]\n{KEYS}[default]\n{OTHER}[base]\n{KEYS.replace('AKIA1', 'AKIA3')}")
    named, ambient = Profile("dev").identity, Profile().identity
    for variable in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "dev")
            assert Profile().identity == named
    assert ambient == Profile("default").identity != named
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    assert Profile("dev").identity == named
    assert Profile().identity == Static(Credentials("AKIAENV", "s")).identity


def test_a_role_with_keys_of_the_environment_is_theirs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their id."""
    config = f"[profile dev]\nrole_arn = {ARN}\ncredential_source = Environment\n"
    told = set()
    for key in ("AKIA1", "AKIA2"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        told.add(changes(home, config))
    assert len(told | {None}) == 3


def test_a_token_that_the_environment_names_counts_for_the_default_chain(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its subject, and by the role."""
    file = tmp_path / "token"
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(file))
    told = []
    for subject, role in (("me", "R"), ("you", "R"), ("me", "S")):
        file.write_text(token({**CLAIMS, "sub": subject}).value)
        monkeypatch.setenv("AWS_ROLE_ARN", role)
        told.append(Profile().identity)
    assert len({*told, None}) == 4
    assert Profile("dev").identity not in told


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[default]\nregion = eu-west-1\n",
        f"[default]\nrole_arn = {ARN}\ncredential_source = Ec2InstanceMetadata\n",
        f"[default]\nrole_arn = {ARN}\ncredential_source = EcsContainer\n",
        f"[default]\nrole_arn = {ARN}\nsource_profile = a\n"
        f"[profile a]\nrole_arn = {ARN}\ncredential_source = EcsContainer\n",
    ],
)
def test_what_the_instance_or_the_container_decides_has_no_name(home: Path, config: str) -> None:
    """Nothing on this machine says whose credentials those will be."""
    assert changes(home, config, name=None) is None


@pytest.mark.parametrize(
    "config",
    ["[default\n", "no header\n", "[profile dev]\nregion = x\n[profile dev]\n", "[profile dev]\nrole_arn = \xff\n"],
)
def test_what_cannot_be_read_is_told_when_it_is_fetched(home: Path, config: str) -> None:
    """Not when somebody asks for its name."""
    configure(home)
    (home / ".aws" / "config").write_bytes(config.encode("latin-1"))
    assert Profile("dev").identity


def test_a_profile_that_does_not_exist_has_a_name(home: Path) -> None:
    """It is told when it is fetched; the default one may be the instance's, and has none."""
    configure(home, f"[profile other]\n{KEYS}")
    assert Profile("dev").identity not in (None, Profile("other").identity)
    assert Profile().identity is None


def test_profiles_in_a_circle_have_a_name(home: Path) -> None:
    """They are told when they are fetched."""
    circle = (
        f"[profile dev]\nrole_arn = {ARN}\nsource_profile = a\n[profile a]\nrole_arn = {ARN}\nsource_profile = dev\n"
    )
    assert changes(home, circle)


def test_the_files_that_the_environment_names_count(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for botocore."""
    configure(home, credentials=f"[dev]\n{KEYS}")
    usual = Profile("dev").identity
    (tmp_path / "credentials").write_text(f"[dev]\n{OTHER}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert Profile("dev").identity != usual
    (tmp_path / "config").write_text("[profile dev]\nsource_profile = x\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert Profile("dev").identity != usual


NAMES = st.sampled_from(["default", "dev", "a", "b"])
SECTIONS = st.dictionaries(
    NAMES,
    st.fixed_dictionaries({}, optional={"aws_access_key_id": st.sampled_from(["AKIA1", "AKIA2", "AKIA3"])}),
    max_size=4,
)


def ini(sections: Mapping[str, Mapping[str, str]], prefix: str = "") -> str:
    lines = []
    for name, values in sections.items():
        lines.append(f"[{prefix if name != 'default' else ''}{name}]")
        lines += [f"{key} = {value}\naws_secret_access_key = s" for key, value in values.items()]
    return "\n".join(lines)


@settings(max_examples=60)
@given(st.lists(st.tuples(SECTIONS, SECTIONS), min_size=2, max_size=4), NAMES)
def test_where_botocore_finds_other_keys_the_name_is_another(
    home: Path, files: list[tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]], name: str
) -> None:
    """For any files with keys in either of them."""
    found: list[tuple[str, str | None]] = []
    for config, shared in files:
        configure(home, ini(config, "profile "), ini(shared))
        if name in config or name in shared:
            keys = Session(profile=name).get_credentials()
            if keys:
                found.append((keys.access_key or "", Profile(name).identity))
    for (one, its_name), (other, other_name) in combinations(found, 2):
        assert None not in (its_name, other_name)
        assert one == other or its_name != other_name


# Sessions and caches -----------------------------------------------------------------------------------------------


@pytest.mark.case("C1")
def test_a_session_of_the_users_own_is_named_by_how_it_is_asked_for() -> None:
    """User, duration, device and server; not the code."""
    other = Static(Credentials("AKIAOTHER", "s"))
    told = [
        SessionToken(BASE).identity,
        SessionToken(other).identity,
        SessionToken(BASE, duration=900).identity,
        SessionToken(BASE, MFA(SERIAL, "123456")).identity,
        SessionToken(BASE, MFA(SERIAL + "2", "123456")).identity,
        SessionToken(BASE, sts=BotocoreSTS("eu-west-1")).identity,
        BASE.identity,
    ]
    assert len({*told, None}) == len(told) + 1
    assert SessionToken(BASE, MFA(SERIAL, "654321")).identity == told[3]
    assert SessionToken(ScriptedSource()).identity is None


def test_a_cached_recipe_is_named_as_the_recipe_is() -> None:
    """Else by the key that was given, else not at all."""
    recipe = AssumedRole(ARN, source=BASE)
    assert Cached(recipe).identity == recipe.identity == Cached(Cached(recipe), key="k").identity
    assert AssumedRole(ARN, source=Cached(recipe)).identity == AssumedRole(ARN, source=recipe).identity
    named = Cached(ScriptedSource(credentials(ManualClock(START))), key="k")
    assert named.identity == "k"
    named.fetch()
    assert named.identity == "k"
    assert Cached(ScriptedSource()).identity is None


def test_a_source_without_a_name_needs_a_key_in_a_file_cache(tmp_path: Path) -> None:
    """That is told before anything is called and any file is made, with both ways out."""
    clock = ManualClock(START)
    source, folder = ScriptedSource(credentials(clock, hours=1)), tmp_path / "cache"
    with pytest.raises(SourceMissing, match=r"ScriptedSource does not say whose .* key=.* attribute identity"):
        Cached(source, FileCache(folder))
    assert source.calls == 0
    assert not folder.exists()
    assert Cached(source, FileCache(folder), key="mine", clock=clock).fetch()


@pytest.mark.parametrize("said", [5, "", None])
def test_a_name_is_a_text(said: object, tmp_path: Path) -> None:
    """What is anything else is none."""
    source = ScriptedSource()
    source.identity = said  # type: ignore[attr-defined]
    with pytest.raises(SourceMissing, match="does not say whose"):
        Cached(source, FileCache(tmp_path / "cache"))


def test_sources_without_a_name_do_not_share_what_is_in_memory() -> None:
    """Each is somebody else's, for all that is known."""
    clock, cache = ManualClock(START), MemoryCache()
    both = [Cached(ScriptedSource(credentials(clock, hours=1)), cache, clock=clock) for _ in range(2)]
    assert both[0].fetch() is not both[1].fetch()


def test_a_file_that_is_missing_is_told_when_it_is_fetched(tmp_path: Path) -> None:
    """By its own error, and not as a source without a name."""
    source = OIDCTokenFile(tmp_path / "token")
    both = Cached(AssumedRole(ARN, source=source), FileCache(tmp_path / "cache"))
    with pytest.raises(SourceMissing, match="there is no file"):
        both.fetch()
