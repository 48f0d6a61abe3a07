"""Cached credentials of one caller are never returned to another: the cache key covers the proof of the identity."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.parsers import expat

import attrs
import pytest
from attrs import field
from botocore.session import Session
from helpers import PACKAGE, START, Down, ScriptedSource, credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from saml_samples import PROVIDER, encoded, response
from test_jwt import token
from test_profile import configure

from stskit import MFA, AssumedRole, Cached, Credentials, MFACommand, RefreshPolicy, Role
from stskit._io import atomic
from stskit.cache_key import digest
from stskit.caches import FileCache, MemoryCache
from stskit.credentials import CallerIdentity
from stskit.errors import CacheWarning, ProofInvalid, RoleError, SignInRequired, SourceMissing
from stskit.proofs import Proof, SAMLAssertion, WebIdentityToken, saml_encoding, saml_parser
from stskit.protocols import Source
from stskit.roles import ProvidedContext
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, SessionToken, Static
from stskit.sts import BotocoreSTS
from stskit.testing import ManualClock

ARN = "arn:aws:iam::123456789012:role/R"
DEVICE = "arn:aws:iam::123456789012:mfa/alice"
BASE = Static(Credentials("AKIABASE", "secret-canary", "token-canary"))
CLAIMS = {"iss": "https://issuer", "sub": "me", "aud": "sts"}
HEXADECIMAL = r"[0-9a-f]{64}"


def keys(key: str, secret: str = "secret-canary") -> str:
    """Return the two settings of a user's long-term keys."""
    return f"aws_access_key_id = {key}\naws_secret_access_key = {secret}\n"


def saml(subject: str = "alice", issuer: str = "https://idp.example", **attributes: str) -> str:
    """Return a SAML response for *subject* from *issuer*, with more AWS attributes."""
    values = {"Role": [f"{ARN},{PROVIDER}"], **{name: [value] for name, value in attributes.items()}}
    xml = response(values).replace(">alice</a:NameID>", f">{subject}</a:NameID>")
    return encoded(xml.replace("https://idp.example", issuer))


# Changes of a recipe that change its identity ----------------------------------------------------------------------

# At least one other value for each field of a role. A change of one field must change the identity.
ROLE: Mapping[str, list[Any]] = {
    "arn": ["arn:aws:iam::123456789012:role/S", "arn:aws:iam::123456789012:role/path/R", ARN.replace("aws", "aws-cn")],
    "session_name": ["alice", "bob"],
    "duration": [900, 901, timedelta(hours=1)],
    "policy": ["{}", {"Version": "2012-10-17"}],
    "policy_arns": [["arn:aws:iam::aws:policy/A"], ["arn:aws:iam::aws:policy/B"]],
    "tags": [{"team": "red"}, {"team": "blue"}, {"colour": "red"}],
    "transitive_tag_keys": [["team"], ["colour"]],
    "external_id": ["external-canary", "external-canary-2"],
    "source_identity": ["alice", "bob"],
    "mfa": [MFA(DEVICE, "123456"), MFA(f"{DEVICE}2", "123456")],
    "provided_contexts": [
        [ProvidedContext(PROVIDER, "context-canary")],
        [ProvidedContext(PROVIDER, "context-canary2")],
    ],
    "minimum_session_token_size": [0, 1],
    "extra": [{"New": "1"}, {"New": "2"}, {"Newer": "1"}, {"New": {"b": 1, "a": ["x"]}}],
}
SERVER: Mapping[str, list[Any]] = {
    "region": ["eu-west-1", "eu-west-2"],
    "endpoint_url": ["https://sts.example", "https://sts2.example"],
    "use_fips": [True],
    "use_dualstack": [True],
}
PATIENCE: Mapping[str, Any] = {  # Options that say how a server is called but not which server it is.
    "connect_timeout": 1,
    "read_timeout": 1,
    "total_timeout": 1,
    "allow_http": True,
    "trace_wire": True,
}
ENVIRONMENT = [
    ("AWS_ROLE_SESSION_NAME", "carol"),
    ("AWS_ROLE_SESSION_NAME", "dave"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_REGION", "eu-west-2"),
    ("AWS_DEFAULT_REGION", "eu-west-1"),
    ("AWS_ENDPOINT_URL", "https://sts.example"),
    ("AWS_ENDPOINT_URL_STS", "https://sts.example"),
    ("AWS_ENDPOINT_URL_STS", "https://sts2.example"),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
    ("AWS_USE_FIPS_ENDPOINT", "true"),
    ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
    ("AWS_STS_REGIONAL_ENDPOINTS", "legacy"),
    ("AWS_DATA_PATH", "elsewhere"),
]


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def recipes() -> Iterator[tuple[str, str | None]]:
    """Yield each change of the recipe with the resulting identity. The first pair has no change."""
    yield "nothing", AssumedRole(ARN, source=BASE, sts=BotocoreSTS()).identity
    for option, values in ROLE.items():
        for value in values:
            yield f"{option} {value}", AssumedRole(Role(**{"arn": ARN, option: value}), source=BASE).identity
    for option, values in SERVER.items():
        for value in values:
            yield f"{option} {value}", AssumedRole(ARN, source=BASE, sts=BotocoreSTS(**{option: value})).identity
    for name, text in ENVIRONMENT:
        with environment(**{name: text}):
            yield f"{name} {text}", AssumedRole(ARN, source=BASE).identity


SOURCES: Mapping[str, Callable[[], Source[Proof]]] = {
    "a key": lambda: Static(Credentials("AKIA1", "s")),
    "another key": lambda: Static(Credentials("AKIA2", "s")),
    "a session of the user's own": lambda: SessionToken(Static(Credentials("AKIA1", "s"))),
    "a role in between": lambda: AssumedRole(f"{ARN}2", source=Static(Credentials("AKIA1", "s"))),
    "the same role of another user": lambda: AssumedRole(f"{ARN}2", source=Static(Credentials("AKIA2", "s"))),
    "a profile": lambda: Profile("one"),
    "another profile": lambda: Profile("two"),
    "the default profile": Profile,
    "a token": lambda: Static(token(CLAIMS)),
    "of another subject": lambda: Static(token({**CLAIMS, "sub": "you"})),
    "of another issuer": lambda: Static(token({**CLAIMS, "iss": "https://other"})),
    "for another audience": lambda: Static(token({**CLAIMS, "aud": "other"})),
    "for two audiences": lambda: Static(token({**CLAIMS, "aud": ["sts", "other"]})),
    "for another party": lambda: Static(token({**CLAIMS, "azp": "app"})),
    "of another provider": lambda: Static(WebIdentityToken(token(CLAIMS).value, "www.amazon.com")),
    "of a third provider": lambda: Static(WebIdentityToken(token(CLAIMS).value, "graph.facebook.com")),
    "an assertion": lambda: Static(SAMLAssertion(saml())),
    "of another person": lambda: Static(SAMLAssertion(saml("bob"))),
    "of another identity provider": lambda: Static(SAMLAssertion(saml(issuer="https://other"))),
    "with a principal": lambda: Static(SAMLAssertion(saml(), PROVIDER)),
    "with another principal": lambda: Static(SAMLAssertion(saml(), f"{PROVIDER}2")),
    "with a session name": lambda: Static(SAMLAssertion(saml(RoleSessionName="alice"))),
    "with an end": lambda: Static(SAMLAssertion(saml(SessionDuration="900"))),
    "with a source identity": lambda: Static(SAMLAssertion(saml(SourceIdentity="alice"))),
    "with a tag": lambda: Static(SAMLAssertion(saml(**{"PrincipalTag:team": "red"}))),
    "with another tag": lambda: Static(SAMLAssertion(saml(**{"PrincipalTag:team": "blue"}))),
}


def alike(told: list[tuple[str, str | None]]) -> list[tuple[str, str]]:
    """Return the pairs that have the same identity."""
    return [(one, other) for (one, its), (other, others) in combinations(told, 2) if its == others]


@pytest.mark.case("P92")
def test_the_table_has_every_option() -> None:
    """The tables have a row for every field of a role, of a server and of a recipe."""
    assert {field.name for field in attrs.fields(Role)} == ROLE.keys()
    assert {field.name for field in attrs.fields(BotocoreSTS) if field.init} == {*SERVER, *PATIENCE}
    assert {field.name for field in attrs.fields(AssumedRole)} == {"role", "source", "sts", "wait_for_new_role"}


@pytest.mark.case("C1", "P90", "P92")
def test_each_change_of_a_recipe_changes_its_identity() -> None:
    """A change of the role, of any option, of the server or of the environment changes the identity of a recipe."""
    assert not alike(list(recipes()))


@pytest.mark.case("C1")
def test_another_source_makes_another_recipe(home: Path) -> None:
    """Another user, profile, token or assertion has another identity, both as a source and as the source of a role."""
    configure(home, credentials=f"[one]\n{keys('AKIA3')}[two]\n{keys('AKIA4')}[default]\n{keys('AKIA5')}")
    told = [(name, AssumedRole(ARN, source=make()).identity) for name, make in SOURCES.items()]
    assert not alike(told)
    alone = [(name, getattr(make(), "identity", None)) for name, make in SOURCES.items()]
    assert not alike(alone)
    assert all(re.fullmatch(HEXADECIMAL, identity or "") for _, identity in [*told, *alone])


@pytest.mark.case("C1", "P88")
def test_another_key_in_the_same_profile_makes_another_recipe(home: Path) -> None:
    """If the key in a profile changes, the identity changes, although the profile name stays the same."""
    told = []
    for key in ("AKIA1", "AKIA2"):
        configure(home, credentials=f"[dev]\n{keys(key)}")
        told.append(AssumedRole(ARN, source=Profile("dev")).identity)
    assert told[0] != told[1]


@pytest.mark.case("C1")
def test_each_role_of_a_chain_changes_the_identity() -> None:
    """Each role of a chain and its options are part of the identity, also the first role."""
    one, other, long = Role(f"{ARN}1"), Role(f"{ARN}2"), Role(f"{ARN}1", duration=900)
    chains = [(one, Role(ARN)), (other, Role(ARN)), (long, Role(ARN)), (one, Role(ARN), Role(ARN))]
    told = [AssumedRole.through(*chain, source=BASE).identity for chain in chains]
    assert len({*told, None}) == 5


def test_the_same_recipe_built_again_has_the_same_identity() -> None:
    """Equal recipes have the same identity, whatever the order of tags and parameters, and with an ARN or a Role."""
    assert list(recipes()) == list(recipes())
    one = Role(ARN, tags={"a": "1", "b": "2"}, extra={"New": {"x": 1, "y": 2}}, duration=3600)
    other = Role(ARN, tags={"b": "2", "a": "1"}, extra={"New": {"y": 2, "x": 1}}, duration=timedelta(hours=1))
    assert AssumedRole(one, source=BASE).identity == AssumedRole(other, source=BASE).identity
    assert AssumedRole(ARN, source=BASE).identity == AssumedRole(Role(ARN), source=BASE).identity


def test_another_process_finds_the_same_identity() -> None:
    """Another process computes the same identities, whatever its hash seed is."""
    path = f"{PACKAGE.parent}{os.pathsep}{Path(__file__).parent}"
    code = "import json, test_cache_key as table; print(json.dumps(list(table.recipes())))"
    for seed in ("1", "2"):
        variables = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
        assert [tuple(each) for each in json.loads(done.stdout)] == list(recipes())


def test_options_of_retries_do_not_change_the_identity() -> None:
    """Time-outs, traces and the waiting time for a new role do not change the identity."""
    usual = AssumedRole(ARN, source=BASE).identity
    for option, value in PATIENCE.items():
        assert AssumedRole(ARN, source=BASE, sts=BotocoreSTS(**{option: value})).identity == usual
    assert AssumedRole(ARN, source=BASE, wait_for_new_role=timedelta(seconds=9)).identity == usual


def test_option_and_variable_of_a_session_name_are_the_same() -> None:
    """AWS_ROLE_SESSION_NAME has the same effect as the option, and has no effect on a role that has a session name."""
    named = AssumedRole(Role(ARN, session_name="alice"), source=BASE)
    without = AssumedRole(ARN, source=BASE)
    alone = named.identity
    with environment(AWS_ROLE_SESSION_NAME="alice"):
        assert without.identity == alone
    with environment(AWS_ROLE_SESSION_NAME="bob"):
        assert named.identity == alone != without.identity


@pytest.mark.case("C1", "P91")
def test_an_sts_without_identity_leaves_the_role_without_one() -> None:
    """With an STS that has no identity, a role has no identity, because two instances can use two servers."""

    class Mine:
        def exchange(self, proof: Proof, role: Role) -> Credentials:
            raise AssertionError("nothing is called")

        def caller_identity(self, credentials: Credentials, /) -> CallerIdentity:
            raise AssertionError("nothing is called")

        def session_token(
            self, credentials: Credentials, /, *, duration: int | None = None, mfa: MFA | None = None
        ) -> Credentials:
            raise AssertionError("nothing is called")

    class Saying(Mine):
        def __init__(self, identity: Any) -> None:
            self.identity = identity

    told = [AssumedRole(ARN, source=BASE, sts=each).identity for each in (BotocoreSTS(), Saying("a"), Saying("b"))]
    assert len({*told, None}) == 4
    for sts in (Mine(), Saying(""), Saying(5)):
        recipe = AssumedRole(ARN, source=BASE, sts=sts)
        assert recipe.identity is None
        assert SessionToken(BASE, sts=sts).identity is None
        assert AssumedRole(ARN, source=recipe).identity is None
        with pytest.raises(SourceMissing, match=f"{type(sts).__name__} does not say whose"):
            Cached(recipe, FileCache("c"))


def test_a_recipe_with_an_unnamed_source_has_no_identity() -> None:
    """If a source has no identity, neither a role nor a chain with this source has one."""
    recipe = AssumedRole(ARN, source=ScriptedSource())
    assert recipe.identity is None
    assert AssumedRole(ARN, source=recipe).identity is None


# Identities contain no secrets -------------------------------------------------------------------------------------


@pytest.mark.case("C1", "C2", "P49")
def test_an_identity_contains_no_readable_data() -> None:
    """An identity is always 64 hexadecimal digits, so no key, token or external ID can be read from it."""
    for _, identity in recipes():
        assert re.fullmatch(HEXADECIMAL, identity or "")
    assert re.fullmatch(HEXADECIMAL, BotocoreSTS("eu-west-1").identity)


@pytest.mark.case("C1", "P27", "P85", "P87")
def test_another_secret_or_token_makes_another_identity(home: Path) -> None:
    """With the same key ID but another secret or token, the identity is another one."""
    parts: list[tuple[str, str | None]] = [("a", None), ("b", None), ("a", "t"), ("a", "u")]
    told: list[str | None] = [Static(Credentials("AKIA1", *each)).identity for each in parts]
    for secrets in (
        keys("AKIA1", "a"),
        keys("AKIA1", "b"),
        f"{keys('AKIA1', 'a')}aws_session_token = t\n",
        f"{keys('AKIA1', 'a')}aws_session_token = u\n",
        f"{keys('AKIA1', 'a')}aws_security_token = t\n",
    ):
        configure(home, credentials=f"[dev]\n{secrets}[sub]\nrole_arn = {ARN}\nsource_profile = dev\n")
        told += [Profile("dev").identity, Profile("sub").identity]
    for secret, session in [("one", "t"), ("two", "t"), ("one", "u")]:
        with environment(AWS_ACCESS_KEY_ID="AKIA1", AWS_SECRET_ACCESS_KEY=secret, AWS_SESSION_TOKEN=session):
            told.append(Profile().identity)
    with environment(AWS_ACCESS_KEY_ID="AKIA1", AWS_SECRET_ACCESS_KEY="one", AWS_SECURITY_TOKEN="v"):
        told.append(Profile().identity)
    assert len({*told, None}) == len(told) + 1
    same = Credentials("AKIA1", "a", None, datetime(2036, 1, 1, tzinfo=UTC), account_id="123456789012", subject="me")
    assert Static(same).identity == told[0]


def test_the_parts_of_a_key_cannot_be_confused() -> None:
    """Each part of a key is encoded with its length and type, so two different lists of parts never have the same
    digest.
    """
    one = (
        ["a", "bc"],
        ["ab", "c"],
        ["abc"],
        ["a", ["bc"]],
        ["a", "bc", None],
        ["a", b"bc"],
        ["a", {"b": "c"}],
        ["1"],
        [1],
    )
    assert len({digest(*parts) for parts in one}) == len(one)
    assert digest({"b": 1, "a": 2}, {"y", "x"}) == digest({"a": 2, "b": 1}, {"x", "y"})


@pytest.mark.parametrize("make", [lambda mfa: Role(ARN, mfa=mfa), lambda mfa: mfa], ids=["role", "session"])
def test_the_mfa_device_changes_the_identity_and_its_code_does_not(make: Callable[[MFA], Any]) -> None:
    """The MFA device is part of the identity; the code and the way to get it are not."""

    def identity(mfa: MFA) -> str | None:
        made = make(mfa)
        source = AssumedRole(made, source=BASE) if isinstance(made, Role) else SessionToken(BASE, made)
        return source.identity

    codes: list[Any] = ["123456", "654321", str, MFACommand(["oathtool"]), MFACommand(["ykman"], timeout=1)]
    told = {identity(MFA(DEVICE, code)) for code in codes}
    told.add(identity(MFA(DEVICE, "123456", unattended=True)))
    assert len(told) == 1
    assert identity(MFA(f"{DEVICE}2", "123456")) not in told


# Proofs ------------------------------------------------------------------------------------------------------------


@pytest.mark.case("C1", "P27", "P85", "P96")
def test_only_the_same_proof_has_the_same_identity(tmp_path: Path) -> None:
    """A token or assertion with a forged signature has another identity, because stskit verifies no signatures."""
    real, forged = token(CLAIMS), token(CLAIMS, signature="Zm9yZ2Vk")
    assert Static(real).identity == Static(token(CLAIMS)).identity != Static(forged).identity
    (tmp_path / "token").write_text(real.value)
    first = OIDCTokenFile(tmp_path / "token").identity
    (tmp_path / "token").write_text(forged.value)
    assert OIDCTokenFile(tmp_path / "token").identity != first
    signed = saml().replace("=", "")
    told: list[str | None] = [
        Static(SAMLAssertion(signed)).identity,
        Static(SAMLAssertion(signed[:-4] + "AAAA")).identity,
    ]
    for text in (signed, signed[:-4] + "AAAA"):
        (tmp_path / "saml").write_text(text)
        told.append(SAMLFile(tmp_path / "saml").identity)
    assert not alike([(str(number), identity) for number, identity in enumerate(told)])


@pytest.mark.case("P87")
def test_an_opaque_token_has_the_identity_of_its_bytes(tmp_path: Path) -> None:
    """The identity of an opaque token depends on its bytes only."""
    told = []
    for value in ("opaque-one", "opaque-two"):
        (tmp_path / "token").write_text(value)
        told += [OIDCTokenFile(tmp_path / "token").identity, Static(WebIdentityToken(value)).identity]
    assert len({*told, None}) == 5


def test_an_expired_proof_still_has_its_identity(tmp_path: Path) -> None:
    """An expired proof keeps its identity, because a cached session can be valid for longer than its proof."""
    clock = ManualClock(START)
    (tmp_path / "saml").write_text(saml())
    (tmp_path / "token").write_text(token({**CLAIMS, "exp": 1}).value)
    (tmp_path / "early").write_text(token({**CLAIMS, "nbf": 9_999_999_999}).value)
    assertion = SAMLFile(tmp_path / "saml", clock=clock)
    before = assertion.identity
    clock.advance(timedelta(days=1))
    with pytest.raises(SignInRequired):
        assertion.fetch()
    assert assertion.identity == before
    for name in ("token", "early"):
        source = OIDCTokenFile(tmp_path / name, clock=clock)
        with pytest.raises(ProofInvalid):
            source.fetch()
        assert source.identity


@pytest.mark.case("P86")
def test_the_content_of_a_file_changes_the_identity_and_its_path_does_not(tmp_path: Path) -> None:
    """The identity of a file source depends on the content and on the options that select the proof, not the path."""
    text = json.dumps({"id": token(CLAIMS).value, "other": token({"sub": "you"}).value})
    for name in ("one", "two"):
        (tmp_path / name).write_text(text)
    one, two = (OIDCTokenFile(tmp_path / name, json_field="id") for name in ("one", "two"))
    assert one.identity == two.identity
    told = [
        one.identity,
        OIDCTokenFile(tmp_path / "one", json_field="other").identity,
        OIDCTokenFile(tmp_path / "one").identity,
        SAMLFile(tmp_path / "one").identity,
        SAMLFile(tmp_path / "one", PROVIDER).identity,
    ]
    assert len({*told, None}) == 6


def sealed(number: int) -> str:
    """Return a response with an encrypted assertion."""
    hidden = response().replace("<a:Assertion ", f"<a:EncryptedAssertion>{number}</a:EncryptedAssertion><x ")
    return encoded(hidden.replace("</a:Assertion>", "</x>"))


@pytest.mark.case("C1")
def test_each_encrypted_assertion_has_its_own_identity() -> None:
    """Each encrypted assertion has its own identity, because stskit cannot read the user in it."""
    told: list[tuple[str, str | None]] = [
        ("one", Static(SAMLAssertion(sealed(1), PROVIDER)).identity),
        ("another", Static(SAMLAssertion(sealed(2), PROVIDER)).identity),
        ("by another provider", Static(SAMLAssertion(sealed(1), f"{PROVIDER}2")).identity),
        ("a plain one", Static(SAMLAssertion(saml(), PROVIDER)).identity),
    ]
    assert not alike(told)
    assert told[0][1] == Static(SAMLAssertion(sealed(1), PROVIDER)).identity
    assert all(re.fullmatch(HEXADECIMAL, identity or "") for _, identity in told)


@pytest.mark.parametrize("source", [OIDCTokenFile("gone"), SAMLFile("gone")], ids=["token", "SAML"])
def test_a_file_that_is_missing_says_so(source: Source[Proof]) -> None:
    """If the file is missing, the identity of the source or of its role raises SourceMissing and names the file."""
    with pytest.raises(SourceMissing, match="There is no file gone"):
        _ = source.identity  # type: ignore[attr-defined]
    with pytest.raises(SourceMissing, match="There is no file gone"):
        _ = AssumedRole(ARN, source=source).identity


# Profiles ----------------------------------------------------------------------------------------------------------

DEV = f"[profile dev]\nrole_arn = {ARN}\n"
SSO = "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = R\n"
CORP = "[sso-session corp]\nsso_start_url = https://corp\nsso_region = us-east-1\n"
BY_A = f"{DEV}source_profile = a\n[profile a]\nrole_arn = {ARN}2\nsource_profile = b\n"

# With each of these pairs of a config file and a credentials file, the profile dev belongs to another caller.
PROFILES: Mapping[str, tuple[str, str]] = {
    "keys in the credentials file": ("", f"[dev]\n{keys('AKIA1')}"),
    "other keys there": ("", f"[dev]\n{keys('AKIA2')}"),
    "keys in the config file": (f"[profile dev]\n{keys('AKIA3')}", ""),
    "other keys in it": (f"[profile dev]\n{keys('AKIA4')}", ""),
    "a role by a profile with keys": (f"{DEV}source_profile = a\n", f"[a]\n{keys('AKIA1')}"),
    "by one with other keys": (f"{DEV}source_profile = a\n", f"[a]\n{keys('AKIA2')}"),
    "another role": (f"{DEV.replace('/R', '/S')}source_profile = a\n", f"[a]\n{keys('AKIA1')}"),
    "with an external id": (f"{DEV}source_profile = a\nexternal_id = x\n", f"[a]\n{keys('AKIA1')}"),
    "by a role by a profile": (BY_A, f"[b]\n{keys('AKIA1')}"),
    "by one with other keys, far away": (BY_A, f"[b]\n{keys('AKIA2')}"),
    "by another role in between": (BY_A.replace("/R2", "/R3"), f"[b]\n{keys('AKIA1')}"),
    "itself": (f"{DEV}source_profile = dev\n", f"[dev]\n{keys('AKIA1')}"),
    "itself with other keys": (f"{DEV}source_profile = dev\n", f"[dev]\n{keys('AKIA2')}"),
    "SSO": (SSO + CORP, ""),
    "another start page": (SSO + CORP.replace("//corp", "//other"), ""),
    "another SSO role": (SSO.replace("_name = R", "_name = S") + CORP, ""),
    "another SSO account": (SSO.replace("9012", "9013") + CORP, ""),
    "SSO without a session": ("[profile dev]\nsso_start_url = https://a\nsso_account_id = 1\nsso_role_name = R\n", ""),
    "another one": ("[profile dev]\nsso_start_url = https://b\nsso_account_id = 1\nsso_role_name = R\n", ""),
    "a token": (f"{DEV}web_identity_token_file = one\n", ""),
    "another subject's token": (f"{DEV}web_identity_token_file = two\n", ""),
    "a token that is missing": (f"{DEV}web_identity_token_file = gone\n", ""),
    "a role by a token": (f"{DEV}source_profile = a\n{DEV.replace('dev', 'a')}web_identity_token_file = one\n", ""),
    "a role by another token": (
        f"{DEV}source_profile = a\n{DEV.replace('dev', 'a')}web_identity_token_file = two\n",
        "",
    ),
    "a sign-in": ("[profile dev]\nlogin_session = arn:aws:iam::123456789012:user/alice\n", ""),
    "another person's": ("[profile dev]\nlogin_session = arn:aws:iam::123456789012:user/bob\n", ""),
    "a source that is missing": (f"{DEV}source_profile = nobody\n", ""),
    "nothing": ("", ""),
}


def identity_with(home: Path, config: str = "", shared: str = "", name: str | None = "dev") -> str | None:
    configure(home, config, shared)
    return Profile(name).identity


@pytest.fixture
def tokens() -> None:
    """Write the tokens of two users into the working folder."""
    Path("one").write_text(token(CLAIMS).value)
    Path("two").write_text(token({**CLAIMS, "sub": "you"}).value)


@pytest.mark.case("C1", "P88")
@pytest.mark.usefixtures("tokens")
def test_each_deciding_setting_of_a_profile_changes_its_identity(home: Path) -> None:
    """A change of the keys, roles, source profiles, sign-ins or tokens of a profile changes its identity."""
    told = [(what, identity_with(home, *files)) for what, files in PROFILES.items()]
    assert not alike(told)
    assert all(re.fullmatch(HEXADECIMAL, identity or "") for _, identity in told)


@pytest.mark.parametrize(
    "header", ["[profile dev]", '[profile "dev"]', "[profile 'dev']", "[profile  dev]"], ids=lambda header: header[8:-1]
)
def test_a_name_can_be_quoted_in_the_config_file(header: str, home: Path) -> None:
    """A quoted profile name in the config file is the same profile for stskit and botocore."""
    assert identity_with(home, f"{header}\n{keys('AKIA1')}") == identity_with(home, f"[profile dev]\n{keys('AKIA1')}")
    assert key_of_botocore("dev") == "AKIA1"


@pytest.mark.case("C1", "P89")
@pytest.mark.parametrize(
    "config",
    [
        "[profile dev]\ncredential_process = one\n",
        f"{DEV}source_profile = a\n[profile a]\ncredential_process = one\n",
        f"[profile dev]\ncredential_process = one\n{keys('AKIA1')}",
    ],
    ids=["alone", "of the source profile", "beside keys"],
)
def test_a_profile_with_a_process_needs_a_key(config: str, home: Path) -> None:
    """A profile with a credential_process has no identity, because two users can run it; a file cache needs a key."""
    configure(home, config)
    recipe = AssumedRole(ARN, source=Profile("dev"))
    assert Profile("dev").identity is None
    assert recipe.identity is None
    with pytest.raises(SourceMissing, match=r"Profile does not say whose .*key=\.\.\."):
        Cached(recipe, FileCache("c"))
    assert Cached(recipe, FileCache("c"), key="me")


def test_the_default_profile_is_found_in_either_file(home: Path) -> None:
    """The default profile is found in both files, with its name and without a name."""
    told = set()
    for config, shared in ((f"[default]\n{keys('AKIA1')}", ""), ("", f"[default]\n{keys('AKIA1')}")):
        told |= {identity_with(home, config, shared, name) for name in (None, "default")}
    assert len(told) == 1
    assert identity_with(home, f"[default]\n{keys('AKIA2')}", name=None) not in {*told, None}


def test_keys_in_the_credentials_file_take_precedence(home: Path) -> None:
    """Keys in the credentials file have precedence, so unused keys in the config file do not change the identity."""
    told = [
        identity_with(home, f"[profile dev]\n{keys(unused)}", f"[dev]\n{keys(used)}")
        for unused, used in [("AKIA1", "AKIA2"), ("AKIA3", "AKIA2"), ("AKIA1", "AKIA4")]
    ]
    assert told[0] == told[1] != told[2]


@pytest.mark.case("C1")
def test_keys_in_the_environment_apply_to_the_default_chain_only(home: Path) -> None:
    """Keys in the environment decide for the default chain but not for a profile that is named."""
    configure(home, credentials=f"[dev]\n{keys('AKIA1')}[default]\n{keys('AKIA2')}")
    named, ambient = Profile("dev").identity, Profile().identity
    told = []
    for key in ("AKIAENV1", "AKIAENV2"):
        with environment(AWS_ACCESS_KEY_ID=key, AWS_PROFILE="dev"):
            told.append(Profile().identity)
            assert Profile("dev").identity == named
            assert Profile("default").identity == ambient
    assert len({*told, named, ambient, None}) == 5
    with environment(AWS_ACCESS_KEY_ID=""):
        assert Profile().identity == ambient


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_the_profile_of_the_environment_is_that_of_the_default_chain(variable: str, home: Path) -> None:
    """AWS_PROFILE and AWS_DEFAULT_PROFILE decide for the default chain but not for a profile that is named."""
    configure(home, credentials=f"[dev]\n{keys('AKIA1')}[default]\n{keys('AKIA2')}")
    dev, default = Profile("dev").identity, Profile("default").identity
    with environment(**{variable: "dev"}):
        assert Profile().identity == dev
        assert Profile("default").identity == default
    with environment(**{variable: "nobody"}):
        assert Profile().identity is None


@pytest.mark.parametrize("name", [None, "dev"])
def test_files_named_by_variables_are_read(name: str | None, home: Path, tmp_path: Path) -> None:
    """The files named by AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE are read instead of the usual files."""
    header = "[default]" if name is None else "[profile dev]"
    usual = identity_with(home, f"{header}\n{keys('AKIA1')}", name=name)
    (tmp_path / "config").write_text(f"{header}\n{keys('AKIA2')}")
    (home / "shared").write_text(f"[{name or 'default'}]\n{keys('AKIA3')}")
    with environment(AWS_CONFIG_FILE=str(tmp_path / "config")):
        by_config = Profile(name).identity
    with environment(AWS_SHARED_CREDENTIALS_FILE="~/shared"):
        by_both = Profile(name).identity
    assert len({usual, by_config, by_both, None}) == 4


def test_a_role_with_the_keys_of_the_environment_has_their_identity(home: Path) -> None:
    """With credential_source = Environment, the keys in the environment are part of the identity, also in a chain."""
    role = f"{DEV}credential_source = Environment\n"
    far = f"{DEV}source_profile = a\n[profile a]\nrole_arn = {ARN}2\ncredential_source = Environment\n"
    told = [identity_with(home, role)]
    for key in ("AKIA1", "AKIA2"):
        with environment(AWS_ACCESS_KEY_ID=key):
            told += [identity_with(home, role), identity_with(home, far)]
    assert len({*told, None}) == 6


@pytest.mark.case("P89")
@pytest.mark.parametrize("place", ["Ec2InstanceMetadata", "EcsContainer"])
def test_a_role_of_the_instance_or_the_container_has_no_identity(place: str, home: Path) -> None:
    """A role with credentials of the instance or the container has no identity, also in a chain or beside keys."""
    near = f"{DEV}credential_source = {place}\n"
    far = f"{DEV}source_profile = a\n[profile a]\nrole_arn = {ARN}2\ncredential_source = {place}\n"
    with environment(AWS_ACCESS_KEY_ID="AKIA1"):
        assert identity_with(home, near) is None
        assert identity_with(home, far) is None


@pytest.mark.parametrize("config", ["", "[default]\nregion = eu-west-1\n", f"[profile other]\n{keys('AKIA1')}"])
def test_without_configuration_there_is_no_identity(config: str, home: Path) -> None:
    """Without configured credentials the default chain has no identity, because the machine decides."""
    assert identity_with(home, config, name=None) is None


def test_without_any_file_there_is_no_identity(home: Path) -> None:
    """Without any AWS file, the default chain has no identity."""
    assert not (home / ".aws").exists()
    assert Profile().identity is None


def test_only_the_default_profile_can_use_the_machine(home: Path) -> None:
    """A named profile without credentials has an identity, because only the default profile uses the machine's."""
    region = "region = eu-west-1\noutput = json\n"
    assert identity_with(home, f"[profile dev]\n{region}[default]\n{region}") is not None
    assert Profile("default").identity is None
    with environment(AWS_PROFILE="dev"):
        assert Profile("dev").identity is None
        assert Profile().identity is None
    assert identity_with(home, f"[profile dev]\n{region}credential_source = Ec2InstanceMetadata\n") is None


def test_a_missing_profile_is_an_error_of_the_fetch_only(home: Path) -> None:
    """A missing profile has an identity of its own, and its fetch raises SourceMissing."""
    configure(home, credentials=f"[dev]\n{keys('AKIA1')}")
    assert len({Profile("nobody").identity, Profile("nothing").identity, Profile("dev").identity, None}) == 4
    with pytest.raises(SourceMissing, match="Profile 'nobody' does not exist"):
        Profile("nobody").fetch()


def test_a_loop_of_profiles_ends(home: Path) -> None:
    """Profiles that refer to each other in a circle have identities, and other settings of them are part of these."""
    circle = f"{DEV}source_profile = a\n{DEV.replace('dev', 'a')}source_profile = b\n{DEV.replace('dev', 'b')}"
    told = [identity_with(home, f"{circle}source_profile = {name}\n") for name in ("dev", "a", "b")]
    assert len({*told, None}) == 4


@pytest.mark.parametrize(
    "content",
    [
        b"[dev\n",
        b"no header\n",
        b"[dev]\n[dev]\n",
        b"[dev]\na = 1\na = 2\n",
        b"[dev]\n# \xff\n",
        b"\xef\xbb\xbf[dev]\n",
    ],
)
@pytest.mark.parametrize("file", ["config", "credentials"])
@pytest.mark.parametrize("name", [None, "dev"])
def test_an_unreadable_file_is_an_error_of_the_fetch_only(
    content: bytes, file: str, name: str | None, home: Path
) -> None:
    """If a profile file is unreadable, the identity differs from all others, and only the fetch raises an error."""
    usual = identity_with(home, f"[profile dev]\n{keys('AKIA1')}[default]\n{keys('AKIA1')}", name=name)
    (home / ".aws" / file).write_bytes(content)
    assert Profile(name).identity != usual
    with pytest.raises(ProofInvalid):
        Profile(name).fetch()


def test_a_folder_with_the_name_of_the_config_file_is_ignored(home: Path) -> None:
    """A folder in the position of the config file is ignored, as in botocore."""
    configure(home, credentials=f"[dev]\n{keys('AKIA1')}")
    usual = Profile("dev").identity
    (home / ".aws" / "config").unlink()
    (home / ".aws" / "config").mkdir()
    assert Profile("dev").identity == usual
    assert Profile("dev").fetch().access_key_id == "AKIA1"


@pytest.mark.usefixtures("tokens")
def test_a_token_file_variable_changes_the_default_identity(home: Path) -> None:
    """The token, role and session name in the environment decide for the default chain but not for a named profile."""
    configure(home, credentials=f"[dev]\n{keys('AKIA1')}")
    named, told = Profile("dev").identity, []
    for file, role, name in [
        ("one", "R", "me"),
        ("two", "R", "me"),
        ("one", "S", "me"),
        ("one", "R", "x"),
        ("gone", "R", "me"),
    ]:
        with environment(AWS_WEB_IDENTITY_TOKEN_FILE=file, AWS_ROLE_ARN=role, AWS_ROLE_SESSION_NAME=name):
            told.append(Profile().identity)
            assert Profile("dev").identity == named
    assert len({*told, named, None}) == len(told) + 2


@pytest.mark.case("C1", "P88")
def test_the_bytes_of_a_token_file_change_the_identity(home: Path) -> None:
    """The bytes of a token file are part of the identity, whether a profile or the environment names the file."""
    configure(home, f"{DEV}web_identity_token_file = token\n")
    told: list[str | None] = []
    for claims in (CLAIMS, {**CLAIMS, "iat": 5, "exp": 9}, {**CLAIMS, "sub": "you"}):
        Path("token").write_text(token(claims).value)
        told.append(Profile("dev").identity)
        with environment(AWS_WEB_IDENTITY_TOKEN_FILE="token", AWS_ROLE_ARN=ARN):
            told.append(Profile().identity)
    assert len({*told, None}) == 7


@pytest.mark.case("C1", "P88")
@pytest.mark.parametrize("kind", ["sso session", "sso page", "login"])
def test_two_people_with_one_profile_have_two_identities(kind: str, home: Path) -> None:
    """Another user's sign-in changes the identity of a profile, because it changes botocore's token file."""
    config, name, folder = {
        "sso session": (SSO + CORP, "corp", "sso/cache"),
        "sso page": (PROFILES["SSO without a session"][0], "https://a", "sso/cache"),
        "login": (PROFILES["a sign-in"][0], "arn:aws:iam::123456789012:user/alice", "login/cache"),
    }[kind]
    configure(home, config)
    make = hashlib.sha256 if kind == "login" else hashlib.sha1
    file = home / ".aws" / folder / f"{make(name.encode()).hexdigest()}.json"
    told = [Profile("dev").identity]
    file.parent.mkdir(parents=True)
    for person in ("alice", "bob"):
        file.write_text(json.dumps({"accessToken": person}))
        told.append(Profile("dev").identity)
    assert len({*told, None}) == 4
    if kind == "login":
        elsewhere = home / "elsewhere"
        file.parent.rename(elsewhere)
        with environment(AWS_LOGIN_CACHE_DIRECTORY="$HOME/elsewhere"):
            assert Profile("dev").identity == told[-1]


# Agreement with botocore -------------------------------------------------------------------------------------------

NAMES = ["default", "a", "b", "c"]
KEYS = st.sampled_from(["AKIA1", "AKIA2", "AKIA3"]).map(
    lambda key: {"aws_access_key_id": key, "aws_secret_access_key": "s"}
)
ROLES = st.fixed_dictionaries(
    {"role_arn": st.sampled_from([ARN, f"{ARN}2"]), "source_profile": st.sampled_from(NAMES)},
    optional={"external_id": st.sampled_from(["one", "two"])},
)
SETTINGS = st.one_of(
    KEYS,
    ROLES,
    st.tuples(ROLES, KEYS).map(lambda both: both[0] | both[1]),
    st.just({"aws_secret_access_key": "s"}),
    st.just({"region": "eu-west-1"}),
)
FORMS = st.sampled_from(["[profile {}]", '[profile "{}"]', "[profile '{}']", "[profile  {}]"])
VARIABLES: st.SearchStrategy[Mapping[str, str]] = st.one_of(
    st.just({}),
    st.sampled_from(NAMES).map(lambda name: {"AWS_PROFILE": name}),
    st.sampled_from(NAMES).map(lambda name: {"AWS_DEFAULT_PROFILE": name}),
    st.sampled_from(["AKIA1", "AKIA4"]).map(lambda key: {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "s"}),
)


@attrs.frozen
class World:
    """A complete configuration: both files and the environment variables."""

    config: Mapping[str, Mapping[str, str]]
    shared: Mapping[str, Mapping[str, str]]
    form: str
    variables: Mapping[str, str]

    def build(self, home: Path) -> None:
        written = {name: self.form.format(name) if name != "default" else "[default]" for name in NAMES}
        plain = {name: f"[{name}]" for name in NAMES}
        configure(home, _ini(self.config, written), _ini(self.shared, plain))


def _ini(profiles: Mapping[str, Mapping[str, str]], headers: Mapping[str, str]) -> str:
    return "".join(
        f"{headers[name]}\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
        for name, values in profiles.items()
    )


WORLDS = st.builds(
    World,
    st.dictionaries(st.sampled_from(NAMES), SETTINGS, max_size=4),
    st.dictionaries(st.sampled_from(NAMES), SETTINGS, max_size=4),
    FORMS,
    VARIABLES,
)


def _client(_session: Session, _service: str, **options: Any) -> object:
    """Return an STS client whose access key IDs contain the request and the caller's key."""

    def assume_role(**asked: Any) -> dict[str, Any]:
        asked.pop("RoleSessionName")
        told = f"{sorted(asked.items())} for {options['aws_access_key_id']}"
        end = datetime.now(UTC) + timedelta(hours=1)
        return {"Credentials": {"AccessKeyId": told, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": end}}

    return SimpleNamespace(assume_role=assume_role)


def key_of_botocore(name: str | None) -> str | None:
    """Return the access key ID that botocore finds, or None if it would ask the container or the instance."""
    found = Session(profile=name).get_credentials()
    return found.get_frozen_credentials().access_key if found else None


@pytest.mark.case("C1")
@settings(max_examples=30)
@given(st.lists(WORLDS, min_size=2, max_size=5), st.sampled_from([None, *NAMES]))
def test_other_keys_of_botocore_make_another_identity(home: Path, worlds: list[World], name: str | None) -> None:
    """Two configurations for which botocore finds different keys have different identities."""
    found: list[tuple[str, str | None]] = []
    for world in worlds:
        world.build(home)
        with environment(**world.variables), pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "create_client", _client)
            identity = Profile(name).identity
            try:
                key = key_of_botocore(name)
            except Exception:  # The fetch reports this error.
                continue
        if key is None and identity is not None:
            assert name in NAMES[1:]
            with pytest.raises(SourceMissing, match="it has no credentials"):
                Profile(name).fetch()
        elif key is None:
            assert name in (None, "default", *world.variables.values())
        else:
            assert identity is not None
            found.append((key, identity))
    for (one, its), (other, others) in combinations(found, 2):
        assert one == other or its != others


# Sessions and cached recipes ---------------------------------------------------------------------------------------


@pytest.mark.case("C1", "P90")
def test_the_identity_of_a_session_has_these_parts() -> None:
    """The user, duration, MFA device and server are part of the identity of a session; without a user there is none."""
    told = [
        ("the user", BASE.identity),
        ("a session", SessionToken(BASE).identity),
        ("another user's", SessionToken(Static(Credentials("AKIAOTHER", "s"))).identity),
        ("a short one", SessionToken(BASE, duration=900).identity),
        ("another length", SessionToken(BASE, duration=901).identity),
        ("with a device", SessionToken(BASE, MFA(DEVICE, "123456")).identity),
        ("with another device", SessionToken(BASE, MFA(f"{DEVICE}2", "123456")).identity),
        ("of another region", SessionToken(BASE, sts=BotocoreSTS("eu-west-1")).identity),
        ("a role", AssumedRole(ARN, source=BASE).identity),
    ]
    assert not alike(told)
    assert all(re.fullmatch(HEXADECIMAL, identity or "") for _, identity in told)
    assert SessionToken(BASE, duration=timedelta(minutes=15)).identity == told[3][1]
    assert SessionToken(ScriptedSource()).identity is None


def test_a_key_replaces_the_identity_of_the_source() -> None:
    """A key replaces the identity of the source only; the roles, their options and the STS are still part of the
    identity.
    """
    recipe = AssumedRole(ARN, source=BASE)
    assert Cached(recipe).identity == Cached(Cached(recipe)).identity == recipe.identity
    assert AssumedRole(ARN, source=Cached(recipe)).identity == AssumedRole(ARN, source=recipe).identity
    chain = AssumedRole(ARN, source=recipe)
    assert Cached(chain).identity == chain.identity  # Although each role of it is refreshed separately.
    unknown = ScriptedSource()
    assert Cached(unknown).identity is None
    told = [
        Cached(unknown, key="mine").identity,
        Cached(unknown, key="yours").identity,
        Cached(AssumedRole(ARN, source=unknown), key="mine").identity,
        Cached(AssumedRole(f"{ARN}2", source=unknown), key="mine").identity,
        Cached(AssumedRole(Role(ARN, duration=900), source=unknown), key="mine").identity,
        Cached(AssumedRole(ARN, source=unknown, sts=BotocoreSTS("eu-west-1")), key="mine").identity,
        Cached(AssumedRole.through(ARN, f"{ARN}2", source=unknown), key="mine").identity,
        Cached(SessionToken(unknown), key="mine").identity,
    ]
    assert len({*told, None}) == len(told) + 1
    assert Cached(AssumedRole(ARN, source=BASE), key="mine").identity == told[2]
    assert AssumedRole(ARN, source=Cached(unknown, key="mine")).identity == told[2]
    assert Cached(AssumedRole(ARN, source=Cached(unknown, key="mine")), key="yours").identity == told[2]


# Entries in a cache ------------------------------------------------------------------------------------------------


class Telling:
    """An STS whose credentials contain the access key ID of the proof. It counts its calls."""

    identity = "telling"

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.calls = 0

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        self.calls += 1
        key = (proof.session_token or proof.access_key_id) if isinstance(proof, Credentials) else None
        who = str(key or proof.subject)
        end = self.clock.now() + timedelta(hours=1)
        return Credentials(who.replace(" ", "-"), "secret", f"{role.arn[-1]} for {who}", end)


class Unnamed(ScriptedSource):
    """A source without an identity."""


@pytest.mark.case("P91", "P97")
def test_a_persistent_cache_needs_a_key_for_a_source_without_identity(tmp_path: Path) -> None:
    """A persistent cache refuses a source without identity with both remedies, before any call or new file."""
    clock = ManualClock(START)
    folder, source = tmp_path / "c", Unnamed(credentials(clock, hours=1))
    with pytest.raises(SourceMissing, match=r"Unnamed does not say whose .* attribute identity .*key=\.\.\."):
        Cached(source, FileCache(folder))
    with pytest.raises(SourceMissing, match="Unnamed does not say whose"):
        Cached(AssumedRole(ARN, source=source), FileCache(folder))
    with pytest.raises(SourceMissing, match="Unnamed does not say whose"):
        Cached(AssumedRole.through(ARN, ARN, source=source), FileCache(folder))
    assert source.calls == 0
    assert not folder.exists()
    named = [Cached(source, FileCache(folder), key="mine", clock=clock) for _ in range(2)]
    assert named[0].fetch() == named[1].fetch()
    assert source.calls == 1


@pytest.mark.case("P97")
def test_a_third_party_cache_is_persistent_by_default() -> None:
    """A cache of another class is persistent unless its attribute `persistent` is false."""

    class Mine(MemoryCache):
        persistent = True

    class Saying:
        def __init__(self) -> None:
            self.get, self.put, self.exclusive = MemoryCache().get, MemoryCache().put, MemoryCache().exclusive

    for cache in (Mine(), Saying()):
        with pytest.raises(SourceMissing, match="does not say whose"):
            Cached(Unnamed(), cache)


@pytest.mark.parametrize("said", [5, "", None, b"mine", ["mine"]])
def test_an_identity_is_a_text(said: object, tmp_path: Path) -> None:
    """An identity that is empty or not text has the same effect as no identity."""
    source = Unnamed()
    source.identity = said  # type: ignore[attr-defined]
    with pytest.raises(SourceMissing, match="does not say whose"):
        Cached(source, FileCache(tmp_path / "c"))


def test_a_value_that_is_not_a_cache_is_refused(tmp_path: Path) -> None:
    """A value that is not a cache, for example a path, raises TypeError."""
    with pytest.raises(TypeError, match=r"Did you mean FileCache\(folder\)\?"):
        Cached(BASE, str(tmp_path))  # type: ignore[arg-type]


@pytest.mark.case("C1", "P93")
def test_a_key_never_finds_the_entry_of_another_role(tmp_path: Path) -> None:
    """With the same key, each role has its own entry; the key replaces the source's own identity."""
    clock, cache = ManualClock(START), FileCache(tmp_path / "c")
    sts, source = Telling(clock), Unnamed(credentials(clock))
    for role, calls in [(ARN, 1), (f"{ARN}2", 2), (ARN, 2)]:
        cached = Cached(AssumedRole(role, source=source, sts=sts), cache, key="me", clock=clock)
        assert (cached.fetch().session_token or "").startswith(role[-1])
        assert sts.calls == calls
    source.identity = "alice"  # type: ignore[attr-defined]
    assert Cached(AssumedRole(ARN, source=source, sts=sts), cache, key="me", clock=clock).fetch()
    assert sts.calls == 2


@pytest.mark.case("P49")
def test_the_keys_of_a_cache_are_not_plain_text() -> None:
    """Neither the key that you pass nor the identity of a source is plain text in a cache."""
    clock, seen = ManualClock(START), []

    class Watched(MemoryCache):
        def get(self, key: str, /) -> Any:
            seen.append(key)
            return super().get(key)

    source = Unnamed(credentials(clock, hours=1))
    source.identity = "alice"  # type: ignore[attr-defined]
    for key in ("mine", None):
        Cached(source, Watched(), key=key, clock=clock).fetch()
    assert all(re.fullmatch(HEXADECIMAL, each) for each in seen)
    assert len(set(seen)) == 2


@pytest.mark.case("C1")
def test_in_memory_a_source_without_identity_shares_nothing() -> None:
    """In a memory cache, a source without identity needs no key, and no other `Cached` finds its entry."""
    clock, cache = ManualClock(START), MemoryCache()
    sources = [Unnamed(lambda: credentials(clock, hours=1)) for _ in range(2)]
    all_of_them = [Cached(each, cache, clock=clock) for each in (*sources, sources[0])]
    assert len({each.fetch().access_key_id for each in all_of_them}) == 3
    for each in all_of_them:
        assert each.fetch() is each.fetch()
    assert [each.calls for each in sources] == [2, 1]


@pytest.mark.case("C1")
def test_two_users_never_share_an_entry(tmp_path: Path) -> None:
    """The same role with the keys of two users, alone and through a hub, has one cache entry for each user."""
    clock = ManualClock(START)
    sts, cache, users = Telling(clock), FileCache(tmp_path / "c"), ["AKIAALICE", "AKIABOB"]
    chains: list[tuple[list[str], str]] = [([ARN], "R for {}"), ([f"{ARN}-hub1", f"{ARN}2"], "2 for 1 for {}")]
    for chain, answer in chains:
        for _ in range(2):
            for user in users:
                recipe = AssumedRole.through(*chain, source=Static(Credentials(user, "s")), sts=sts)
                assert Cached(recipe, cache, clock=clock).fetch().session_token == answer.format(user)
    assert sts.calls == 2 + 4


@pytest.mark.case("C1")
@pytest.mark.parametrize("kind", ["profile", "token", "SAML"])
def test_a_replaced_proof_file_has_another_entry(kind: str, tmp_path: Path, home: Path) -> None:
    """If another user's keys, token or assertion replace a file, its role has another cache entry."""
    clock, file = ManualClock(START), tmp_path / "proof"
    sts, cache = Telling(clock), FileCache(tmp_path / "c")
    makers: dict[str, tuple[Source[Proof], Callable[[str], str]]] = {
        "profile": (Profile("dev"), lambda who: f"[dev]\n{keys(who)}"),
        "token": (OIDCTokenFile(file), lambda who: token({**CLAIMS, "sub": who}).value),
        "SAML": (SAMLFile(file, clock=clock), saml),
    }
    source, write = makers[kind]
    with environment(AWS_SHARED_CREDENTIALS_FILE=str(file)):
        for who in ("alice", "bob", "alice", "bob"):
            file.touch(mode=0o600)
            file.write_text(write(who))
            recipe = AssumedRole(ARN, source=source, sts=sts)
            assert Cached(recipe, cache, clock=clock).fetch().access_key_id == who
    assert sts.calls == 2


@pytest.mark.parametrize("make", [lambda: FileCache("c"), MemoryCache], ids=["file", "memory"])
def test_a_missing_proof_file_is_an_error_of_the_fetch_only(make: Callable[[], Any]) -> None:
    """A `Cached` can be built while its file is missing. The fetch raises SourceMissing until the file exists."""
    clock = ManualClock(START)
    both = Cached(AssumedRole(ARN, source=OIDCTokenFile("token"), sts=Telling(clock)), make(), clock=clock)
    assert not Path("c").exists()
    with pytest.raises(SourceMissing, match="There is no file token"):
        both.fetch()
    Path("token").touch(mode=0o600)
    Path("token").write_text(token(CLAIMS).value)
    clock.advance(timedelta(hours=1))
    assert both.fetch().access_key_id == "me"


def test_an_invalid_session_name_is_a_role_error_with_a_cache(tmp_path: Path) -> None:
    """An invalid AWS_ROLE_SESSION_NAME raises RoleError with a cache, as it does without one."""
    with environment(AWS_ROLE_SESSION_NAME="not good"), pytest.raises(RoleError, match="session_name"):
        Cached(AssumedRole(ARN, source=BASE), FileCache(tmp_path / "c")).fetch()


# Use of a cache ----------------------------------------------------------------------------------------------------


class Failing:
    """A cache of which every method fails."""

    persistent = False

    def get(self, key: str, /) -> Any:
        raise Down

    def put(self, key: str, entry: object, /) -> None:
        raise Down

    def exclusive(self, key: str, /, *, wait: bool) -> Any:
        raise Down


def test_a_failing_cache_causes_warnings_only() -> None:
    """If all methods of a cache fail, each failure is a warning and the source is called."""
    clock = ManualClock(START)
    mine = credentials(clock, hours=1)
    with pytest.warns(CacheWarning, match="Failing failed with Down") as told:
        assert Cached(Unnamed(mine), Failing(), clock=clock).fetch() is mine
    assert len(told) == 4  # two reads, one lock, one write


@pytest.mark.case("P109")
def test_keys_without_an_expiration_are_not_cached(tmp_path: Path) -> None:
    """Long-term keys are not written to a cache."""
    assert Cached(BASE, FileCache(tmp_path / "c")).fetch() is BASE.proof
    assert not list((tmp_path / "c").glob("*.json"))


def test_credentials_of_a_changed_identity_are_not_cached() -> None:
    """If the identity changes during the fetch, the credentials are not cached."""
    clock, cache = ManualClock(START), MemoryCache()

    def change() -> Credentials:
        source.identity = "bob"  # type: ignore[attr-defined]
        return credentials(clock, hours=1)

    source = Unnamed(change)
    source.identity = "alice"  # type: ignore[attr-defined]
    first = Cached(source, cache, clock=clock)
    mixed = first.fetch()
    assert first.identity is None
    for name in ("alice", "bob"):
        source.identity = name  # type: ignore[attr-defined]
        assert Cached(source, cache, clock=clock).fetch() is not mixed


def key_of(cached: Cached) -> str:
    """Return the key of its entry in a cache."""
    return digest("entry", cached.identity)


def test_during_another_refresh_the_old_credentials_are_used() -> None:
    """While another process refreshes, the old credentials are used; the holder of the lock reads the cache again
    first.
    """
    clock, cache = ManualClock(START), MemoryCache()
    source, policy = Unnamed(lambda: credentials(clock, hours=1)), RefreshPolicy(jitter=0)
    one, other = (Cached(source, cache, policy, "mine", clock) for _ in range(2))
    first = one.fetch()
    clock.advance(timedelta(minutes=50))
    with cache.exclusive(key_of(one), wait=True):
        assert one.fetch() is first
    assert other.fetch() is not first
    assert source.calls == 2

    entered: list[str] = []

    class Slow(MemoryCache):
        @contextmanager
        def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
            entered.append(key)
            slow.put(key, cache.get(key) or pytest.fail("nothing there"))  # Another process has written it meanwhile.
            yield True

    slow = Slow()
    late = Cached(source, slow, policy, "mine", clock)
    assert late.fetch() is other.fetch()
    assert Cached(source, slow, policy, "mine", clock).fetch() is other.fetch()
    assert entered == [key_of(one)]  # once, because fresh credentials need no lock
    assert source.calls == 2


# Configurations that are easy to miss ------------------------------------------------------------------------------

CONFIG, SHARED = "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"
USED, UNUSED = keys("KEY"), keys("AKIAUNUSED")


@attrs.frozen
class Reading:
    """A profile for which botocore finds the access key ID KEY."""

    name: str | None = "dev"
    config: str = field(default="", kw_only=True)
    shared: str = field(default="", kw_only=True)
    variables: Mapping[str, str] = field(factory=dict, kw_only=True)


READINGS: Mapping[str, Reading] = {
    "a variable in the path of the credentials file": Reading(
        shared=f"[dev]\n{USED}", variables={SHARED: "$HOME/.aws/credentials"}
    ),
    "a variable in the path of the config file": Reading(
        config=f"[profile dev]\n{USED}", variables={CONFIG: "${HOME}/.aws/config"}
    ),
    "an empty path": Reading(config=f"[profile dev]\n{USED}", shared=f"[dev]\n{UNUSED}", variables={SHARED: ""}),
    "a tab in the header": Reading(config=f"[profile\tdev]\n{USED}"),
    "quotes inside the name": Reading(config=f'[profile d"e"v]\n{USED}'),
    "a backslash in the name": Reading(config=f"[profile d\\ev]\n{USED}"),
    "a header that begins so": Reading(config=f"[profiles dev]\n{USED}"),
    "blanks in the credentials file": Reading(" dev ", shared=f"[ dev ]\n{USED}"),
    "quotes in the credentials file": Reading('"dev"', shared=f'["dev"]\n{USED}'),
    "the word in the credentials file": Reading("profile dev", shared=f"[profile dev]\n{USED}"),
    "a section of that name in the config file": Reading(config=f"[profile dev]\n{USED}[dev]\n{UNUSED}"),
    "another name in the credentials file": Reading(shared=f"[dev]\n{USED}[profile dev]\n{UNUSED}"),
    "both variables": Reading(
        None, shared=f"[KEY]\n{USED}[a]\n{UNUSED}", variables={"AWS_DEFAULT_PROFILE": "KEY", "AWS_PROFILE": "a"}
    ),
}


@pytest.mark.case("C1")
@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS.keys())
def test_a_file_is_read_as_botocore_reads_it(reading: Reading, home: Path) -> None:
    """Where botocore finds another user's keys in a profile, the identity of the profile is another one."""
    told: list[str | None] = []
    for key in ("AKIA1", "AKIA2"):
        configure(home, reading.config.replace("KEY", key), reading.shared.replace("KEY", key))
        with environment(**{name: text.replace("KEY", key) for name, text in reading.variables.items()}):
            if key_of_botocore(reading.name) != key:
                raise ValueError(f"botocore does not find {key}")
            told.append(Profile(reading.name).identity)
    assert told[0] != told[1]


@pytest.mark.case("C1")
@pytest.mark.parametrize("header", ['[sso-session "corp"]', "[sso-session  corp]", "[sso-session\tcorp]"])
def test_an_sso_session_can_be_quoted(header: str, home: Path) -> None:
    """The start page of an SSO session with a quoted name is part of the identity."""
    corp = CORP.replace("[sso-session corp]", header)
    assert identity_with(home, SSO + corp) != identity_with(home, SSO + corp.replace("//corp", "//other"))


@pytest.mark.case("C1")
@pytest.mark.parametrize("name", [None, "dev"])
def test_two_opaque_tokens_have_two_identities(name: str | None, home: Path) -> None:
    """Two opaque tokens in the same file have two identities."""
    configure(home, f"{DEV}web_identity_token_file = token\n")
    told = []
    for value in ("opaque-one", "opaque-two"):
        Path("token").write_text(value)
        with environment(AWS_WEB_IDENTITY_TOKEN_FILE="token", AWS_ROLE_ARN=ARN):
            told.append(Profile(name).identity)
    assert len({*told, None}) == 3


@pytest.mark.case("C1")
@pytest.mark.parametrize("variable", ["AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"])
@pytest.mark.usefixtures("tokens")
def test_role_variables_change_the_identity_of_the_default_profile(variable: str, home: Path) -> None:
    """AWS_ROLE_ARN and AWS_ROLE_SESSION_NAME override the default profile, so they are part of its identity."""
    configure(home, f"{DEV.replace('profile dev', 'default')}web_identity_token_file = one\n")
    told = []
    for end in ("1", "2"):
        with environment(**{variable: ARN.rpartition("/")[2] + end}):
            told.append(Profile().identity)
    assert told[0] != told[1]


@pytest.mark.case("C1")
def test_the_sts_endpoint_changes_the_identity_of_a_profile(home: Path) -> None:
    """The STS endpoint in the environment is part of the identity of a profile with a role."""
    configure(home, *PROFILES["a role by a profile with keys"])
    with environment(AWS_ENDPOINT_URL_STS="https://sts.example"):
        elsewhere = Profile("dev").identity
    assert elsewhere != Profile("dev").identity


@pytest.mark.parametrize(
    ("config", "variables"),
    [
        ("", {"AWS_WEB_IDENTITY_TOKEN_FILE": ""}),
        ("[default]\ncredential_source = Environment\n", {}),
        (f"[default]\nsource_profile = a\n[profile a]\n{keys('AKIA1')}", {}),
        (f"[default]\n{keys('AKIA1')}", {CONFIG: ""}),
    ],
    ids=["an empty name of a token", "no role", "no role by a profile", "an empty path"],
)
def test_settings_without_effect_give_no_identity(config: str, variables: Mapping[str, str], home: Path) -> None:
    """Settings that select no credentials give the default chain no identity.

    Here the instance decides, although each setting would have an effect beside another one.
    """
    configure(home, config)
    with environment(**variables):
        if key_of_botocore(None) is not None:
            raise ValueError("botocore finds something")
        assert Profile().identity is None


@pytest.mark.case("C1")
def test_the_source_identity_of_a_token_changes_the_identity() -> None:
    """The source identity in a token is part of the identity, because STS passes it to the session."""
    claim = "https://aws.amazon.com/source_identity"
    assert Static(token({**CLAIMS, claim: "alice"})).identity != Static(token({**CLAIMS, claim: "bob"})).identity


@pytest.mark.case("C1")
@pytest.mark.parametrize(
    "attributes",
    [{"Role": [f"{ARN},{PROVIDER}2"]}, {"Role": [f"{ARN},{PROVIDER}"], "TransitiveTagKeys": ["team"]}],
    ids=["principal", "transitive"],
)
def test_principal_and_transitive_tags_change_the_identity(attributes: Mapping[str, list[str]]) -> None:
    """The principal beside the role and the transitive tag keys of an assertion are part of the identity."""
    assert Static(SAMLAssertion(encoded(response(attributes)))).identity != Static(SAMLAssertion(saml())).identity


def test_a_session_name_that_is_not_sent_is_not_checked(tmp_path: Path) -> None:
    """A SAML response has its own session name, so an invalid AWS_ROLE_SESSION_NAME is ignored, also with a cache."""
    recipe = AssumedRole(ARN, source=Static(SAMLAssertion(saml())), sts=Telling(ManualClock(START)))
    with environment(AWS_ROLE_SESSION_NAME="not good"):
        assert Cached(recipe, FileCache(tmp_path / "c"), clock=ManualClock(START)).fetch()


def test_an_extra_parameter_can_have_any_type() -> None:
    """An extra parameter can have any value for the identity. The order of mappings and sets makes no difference."""
    one, other = (
        AssumedRole(Role(ARN, extra={"New": extra}), source=BASE).identity
        for extra in ({1: "a", "b": {"x", "y"}}, {"b": {"y", "x"}, 1: "a"})
    )
    assert one == other


def test_a_cached_source_with_an_invalid_identity_has_none() -> None:
    """A `Cached` ignores an identity of its source that is not text."""
    source = Unnamed()
    source.identity = 5  # type: ignore[attr-defined]
    assert Cached(source).identity is None


def test_a_file_that_is_missing_after_the_fetch_is_no_error(tmp_path: Path) -> None:
    """If the proof file disappears during the fetch, no warning blames the cache."""
    clock, file = ManualClock(START), tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text(token(CLAIMS).value)

    class Slow(Telling):
        def exchange(self, proof: Proof, role: Role) -> Credentials:
            file.unlink()
            return super().exchange(proof, role)

    recipe = AssumedRole(ARN, source=OIDCTokenFile(file), sts=Slow(clock))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Cached(recipe, FileCache(tmp_path / "c"), clock=clock).fetch()
    assert not [each for each in told if "FileCache failed with SourceMissing" in str(each.message)]


# Endpoints ---------------------------------------------------------------------------------------------------------

REGION = "region = us-east-1\n"
OLD_SECTION, NEW_SECTION = (f"[services s]\nsts =\n  endpoint_url = https://{host}\n" for host in ("old", "new"))
# The variables and the config file before and after a change of the server.
ENDPOINTS: Mapping[str, tuple[Mapping[str, str], str, Mapping[str, str], str]] = {
    "AWS_ENDPOINT_URL": ({"AWS_ENDPOINT_URL": "https://old"}, "", {"AWS_ENDPOINT_URL": "https://new"}, ""),
    "AWS_ENDPOINT_URL_STS": ({"AWS_ENDPOINT_URL_STS": "https://old"}, "", {"AWS_ENDPOINT_URL_STS": "https://new"}, ""),
    "endpoint_url of the default profile": (
        {},
        "[default]\nendpoint_url = https://old\n",
        {},
        "[default]\nendpoint_url = https://new\n",
    ),
    "endpoint_url of AWS_PROFILE": (
        {"AWS_PROFILE": "p"},
        "[profile p]\nendpoint_url = https://old\n",
        {"AWS_PROFILE": "p"},
        "[profile p]\nendpoint_url = https://new\n",
    ),
    "another AWS_PROFILE": (
        {"AWS_PROFILE": "p"},
        "[profile p]\nendpoint_url = https://old\n[profile q]\nendpoint_url = https://new\n",
        {"AWS_PROFILE": "q"},
        "[profile p]\nendpoint_url = https://old\n[profile q]\nendpoint_url = https://new\n",
    ),
    "services section": ({}, f"[default]\nservices = s\n{OLD_SECTION}", {}, f"[default]\nservices = s\n{NEW_SECTION}"),
    "another section": (
        {},
        f"[default]\nservices = s\n{OLD_SECTION}{NEW_SECTION.replace('s]', 't]')}",
        {},
        f"[default]\nservices = t\n{OLD_SECTION}{NEW_SECTION.replace('s]', 't]')}",
    ),
    "ignored from now on": (
        {},
        "[default]\nendpoint_url = https://old\n",
        {},
        "[default]\nendpoint_url = https://old\nignore_configured_endpoint_urls = true\n",
    ),
    "ignored by the environment": (
        {},
        "[default]\nendpoint_url = https://old\n",
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        "[default]\nendpoint_url = https://old\n",
    ),
    "FIPS": ({}, f"[default]\n{REGION}", {}, f"[default]\n{REGION}use_fips_endpoint = true\n"),
    "dual stack": ({}, f"[default]\n{REGION}", {}, f"[default]\n{REGION}use_dualstack_endpoint = true\n"),
    "legacy": ({}, f"[default]\n{REGION}", {}, f"[default]\n{REGION}sts_regional_endpoints = legacy\n"),
    "region": ({}, f"[default]\n{REGION}", {}, "[default]\nregion = cn-north-1\n"),
    "region in the environment": ({}, "", {"AWS_DEFAULT_REGION": "cn-north-1"}, ""),
    "another file": ({}, "[default]\nendpoint_url = https://old\n", {"AWS_CONFIG_FILE": "nowhere"}, ""),
    "a file that cannot be read": ({}, "", {}, "[default\n"),
}


@pytest.mark.case("C1", "P92")
@pytest.mark.parametrize("change", ENDPOINTS.values(), ids=ENDPOINTS)
def test_credentials_of_one_server_are_never_found_for_another(
    change: tuple[Mapping[str, str], str, Mapping[str, str], str], home: Path
) -> None:
    """After a change of the endpoint, cached credentials are not found; after the change back, they are."""
    clock, cache = ManualClock(START), FileCache("c")
    calls = 0

    @attrs.frozen
    class Counting(BotocoreSTS):
        def exchange(self, proof: Proof, role: Role) -> Credentials:
            nonlocal calls
            calls += 1
            return credentials(clock, hours=1)

    before, config, after, new_config = change
    found = []
    for variables, text in [(before, config), (after, new_config), (before, config)]:
        configure(home, text)
        with environment(**variables):
            found.append(Cached(AssumedRole(ARN, source=BASE, sts=Counting()), cache, clock=clock).fetch())
    assert found[0] == found[2] != found[1]
    assert calls == 2


def test_an_unrelated_setting_of_a_profile_does_not_change_the_key(home: Path) -> None:
    """Settings that do not concern the server, and settings of other profiles, do not change the STS identity."""
    told = []
    for text in (
        "[default]\nregion = us-east-1\n",
        "[default]\nregion = us-east-1\noutput = json\n[profile p]\na = b\n",
    ):
        configure(home, text)
        told.append(BotocoreSTS().identity)
    assert told[0] == told[1]


# One read and one parse --------------------------------------------------------------------------------------------


@pytest.mark.case("P86")
@pytest.mark.parametrize("kind", ["SAML", "token"])
@pytest.mark.parametrize("hops", [1, 2], ids=["a role", "a chain"])
def test_a_fetch_reads_the_proof_once(kind: str, hops: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch reads and parses the proof once. A cached entry needs one read."""
    clock, file = ManualClock(START), tmp_path / "proof"
    file.touch(mode=0o600)
    file.write_text(saml() if kind == "SAML" else token(CLAIMS).value)
    source: Source[Any] = SAMLFile(file, clock=clock) if kind == "SAML" else OIDCTokenFile(file)
    counts: Counter[str] = Counter()

    def count(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            counts[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)

    count(atomic, "read")
    count(expat, "ParserCreate")
    count(saml_encoding, "b64decode")
    count(saml_parser, "b64decode")

    class Reading:
        identity = "reading"

        def exchange(self, proof: Proof, role: Role) -> Credentials:
            assert isinstance(proof, Credentials) or proof.subject
            return credentials(clock, hours=1)

    cache = FileCache(tmp_path / "c")
    for expected in ({"read": 1} | ({"ParserCreate": 1, "b64decode": 1} if kind == "SAML" else {}), {"read": 1}):
        counts.clear()
        recipe = AssumedRole.through(*[f"{ARN}{number}" for number in range(hops)], source=source, sts=Reading())
        Cached(recipe, cache, clock=clock).fetch()
        assert counts == expected


def test_a_snapshot_returns_the_proof_that_its_identity_is_for(tmp_path: Path) -> None:
    """A snapshot returns the proof for which it has the identity, also after the file has changed."""
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text(token(CLAIMS).value)
    source = OIDCTokenFile(file)
    snapshot, identity = source.snapshot(), source.identity
    file.write_text(token({**CLAIMS, "sub": "you"}).value)
    assert snapshot.identity == identity != source.identity
    assert snapshot.fetch().subject == "me"
    assert source.fetch().subject == "you"
    assert str(token(CLAIMS).value) not in repr(snapshot)


def test_a_profile_that_changes_during_the_fetch_has_no_identity(home: Path) -> None:
    """If a profile changes before the fetch of its snapshot, the snapshot has no identity afterwards."""
    configure(home, credentials=f"[dev]\n{keys('AKIA1')}")
    snapshot = Profile("dev").snapshot()
    assert snapshot.fetch().access_key_id == "AKIA1"
    assert snapshot.identity == Profile("dev").identity
    configure(home, credentials=f"[dev]\n{keys('AKIA2')}")
    assert snapshot.fetch().access_key_id == "AKIA2"
    assert snapshot.identity is None
    assert "AKIA1" not in repr(snapshot)
