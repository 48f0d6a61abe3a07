"""Which endpoint, region and CA bundle count for a call, and which setting an error names."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from botocore.session import Session
from fake_server import fake_server, granted, refused

from stskit import AssumedRole, Cached, Credentials, Role, WebIdentityToken, assume, caller_identity
from stskit.errors import ProofInvalid, RoleError, STSError, StskitError, STSUnavailable
from stskit.protocols import Source
from stskit.sources import Profile, SessionToken, Static
from stskit.sts import BotocoreSTS
from stskit.sts.settings import bad_variable, unused_settings
from stskit.testing import FakeSTS

ROLE = "arn:aws:iam::123456789012:role/R"
OTHER = "arn:aws:iam::123456789012:role/Other"
KEYS = Credentials("AKIABASE", "base-secret-canary", "base-token-canary")
WEB = WebIdentityToken(jwt.encode({"sub": "alice"}, "a key that is long enough for it"))


def configure(home: Path, text: str) -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(text)


def base(settings: str, *, token: str = "aws_session_token = t\n") -> str:
    return f"[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n{token}{settings}\n"


# A named profile -------------------------------------------------------------------------------------------------

DERIVED: dict[str, Callable[[Source[Credentials]], Source[Credentials]]] = {
    "role": lambda profile: AssumedRole(ROLE, source=profile),
    "chain": lambda profile: AssumedRole(OTHER, source=AssumedRole(ROLE, source=profile)),
    "cached": lambda profile: AssumedRole(ROLE, source=Cached(profile)),
    "cached chain": lambda profile: Cached(AssumedRole(OTHER, source=Cached(AssumedRole(ROLE, source=profile)))),
    "session token": SessionToken,
    "role by session token": lambda profile: AssumedRole(ROLE, source=Cached(SessionToken(profile))),
}


@pytest.mark.case("P116")
@pytest.mark.parametrize("derived", DERIVED)
@pytest.mark.parametrize("setting", ["endpoint_url = {0}", "services = s\n[services s]\nsts =\n  endpoint_url = {0}"])
def test_the_endpoint_of_a_named_profile_applies(derived: str, setting: str, home: Path) -> None:
    """The endpoint of a named profile applies to calls with its credentials, and with derived ones."""
    with fake_server(granted) as server:
        configure(home, base(setting.format(server.url), token=""))
        DERIVED[derived](Profile("base")).fetch()
        assert len(server.requests) == (2 if "chain" in derived or derived == "role by session token" else 1)


@pytest.mark.case("P116")
def test_the_region_and_ca_bundle_of_a_named_profile_apply(home: Path, certificate: Path) -> None:
    """The region and the CA bundle of a named profile apply to its calls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with fake_server(granted, tls=context) as server:
        configure(home, base(f"endpoint_url = {server.url}\nregion = eu-west-3\nca_bundle = {certificate}"))
        assume(ROLE, source=Profile("base"))
        assert "/eu-west-3/sts/" in server.requests[0].headers["authorization"]


@pytest.mark.case("P118")
def test_arguments_and_variables_take_precedence_over_the_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments and variables take precedence over the profile. Keys that are passed directly use no profile."""
    with fake_server(granted) as server, fake_server(granted) as of_profile:
        configure(home, base(f"endpoint_url = {of_profile.url}\nregion = eu-west-3"))
        assume(ROLE, source=Profile("base"), sts=BotocoreSTS("eu-west-1", endpoint_url=server.url))
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_REGION", "eu-west-2")
        assume(ROLE, source=Profile("base"))
        assert of_profile.requests == []
        regions = [request.headers["authorization"].split("/")[2] for request in server.requests]
        assert regions == ["eu-west-1", "eu-west-2"]
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        caller_identity(KEYS)
        assert len(server.requests) == 3


def test_a_changed_file_applies_to_the_next_call(home: Path) -> None:
    """After a change of the config file, the next call uses the new endpoint."""
    with fake_server(granted) as old, fake_server(granted) as new:
        for server in (old, new):
            configure(home, base(f"endpoint_url = {server.url}"))
            assume(ROLE, source=Profile("base"))
        assert (len(old.requests), len(new.requests)) == (1, 1)


def test_another_sts_class_is_used_unchanged() -> None:
    """An STS class of a user without with_profile is used unchanged."""
    fake = FakeSTS()
    user = fake.user()

    class Named:
        settings_profile = "base"

        def fetch(self) -> Credentials:
            return user

    assert AssumedRole(ROLE, source=Named(), sts=fake).fetch().access_key_id
    assert fake.count() == 1


# Endpoints that are refused --------------------------------------------------------------------------------------


@pytest.mark.case("P52", "P123")
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://user:canary@sts.example", "contains a user name or a password"),
        ("localhost:4566", "is not a valid URL"),
        ("//localhost", "is not a valid URL"),
    ],
)
@pytest.mark.parametrize("setting", ["endpoint_url = {0}", "services = s\n[services s]\nsts =\n  endpoint_url = {0}"])
def test_a_wrong_endpoint_of_a_profile_is_named(url: str, problem: str, setting: str, home: Path) -> None:
    """The error for a wrong endpoint of a profile names the profile and not the password."""
    configure(home, base(setting.format(url)))
    with pytest.raises(RoleError, match=f"^endpoint_url of the profile 'base' {problem}") as caught:
        assume(ROLE, source=Profile("base"))
    assert "canary" not in str(caught.value)


@pytest.mark.case("P122")
@pytest.mark.parametrize(
    ("sts", "environment", "place"),
    [
        (BotocoreSTS(use_fips=True), {}, "the option use_fips"),
        (BotocoreSTS(use_dualstack=True), {}, "the option use_dualstack"),
        (BotocoreSTS(), {"AWS_USE_FIPS_ENDPOINT": "true"}, "AWS_USE_FIPS_ENDPOINT"),
        (BotocoreSTS(), {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "AWS_USE_DUALSTACK_ENDPOINT"),
        (BotocoreSTS(), {"AWS_PROFILE": "fips"}, "use_fips_endpoint of the profile 'fips'"),
    ],
)
def test_fips_and_dual_stack_are_refused_with_an_endpoint(
    sts: BotocoreSTS, environment: dict[str, str], place: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FIPS or dual-stack together with an endpoint URL is an error."""
    configure(home, "[profile fips]\nuse_fips_endpoint = true\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://sts.example")
    with pytest.raises(RoleError) as caught:
        sts.exchange(KEYS, Role(ROLE))
    assert place in str(caught.value)
    assert caught.value.variable == "AWS_ENDPOINT_URL"


# Settings that do not count for unsigned calls -------------------------------------------------------------------


@pytest.mark.case("P121")
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ("region = eu-west-1", "use region of the profile 'default': set AWS_REGION"),
        ("endpoint_url = https://sts.example", "use endpoint_url of the profile 'default': set AWS_ENDPOINT_URL"),
        ("ca_bundle = /ca.pem", "use ca_bundle of the profile 'default': set AWS_CA_BUNDLE"),
        ("ca_bundle =", ""),
        ("output = json", ""),
    ],
)
def test_settings_that_an_unsigned_call_ignores_are_named(settings: str, named: str, home: Path) -> None:
    """Settings of a profile that an unsigned call does not use are named, with the variable to set."""
    configure(home, f"[default]\n{settings}\n")
    assert (named in unused_settings()) if named else unused_settings() == ""


def test_an_invalid_csm_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid CSM port is named if client-side monitoring is on."""
    monkeypatch.setenv("AWS_CSM_PORT", "x")
    monkeypatch.setenv("AWS_CSM_ENABLED", "true")
    with pytest.raises(STSUnavailable, match="AWS_CSM_PORT='x'"):
        BotocoreSTS().exchange(WEB, Role(ROLE))


def test_with_the_variable_set_no_setting_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the variable is set, or the file cannot be read, no setting is named."""
    configure(home, "[default]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    assert unused_settings() == ""
    configure(home, "[default\n")
    assert unused_settings() == ""


@pytest.mark.case("P121")
@pytest.mark.parametrize(("proof", "is_named"), [(WEB, True), (KEYS, False)], ids=["token", "keys"])
def test_errors_name_the_ignored_endpoint(
    proof: WebIdentityToken | Credentials, is_named: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The errors of unsigned calls name the endpoint of the profile that was not used."""
    configure(home, "[default]\nendpoint_url = https://sts.example\n")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with fake_server(refused("AccessDenied"), "reset") as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        for kind in (STSError, STSUnavailable):
            with pytest.raises(kind) as caught:
                sts.exchange(proof, Role(ROLE))
            assert ("do not use endpoint_url of the profile 'default'" in str(caught.value)) is is_named


# Variables with a bad value --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_MAX_ATTEMPTS", "abc"),
        ("AWS_MAX_ATTEMPTS", "0"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "x"),
        ("AWS_RESPONSE_CHECKSUM_VALIDATION", "x"),
        ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "x"),
        ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "x"),
        ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "99999999"),
    ],
)
def test_a_bad_setting_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a bad setting names the attribute, its value and the expected value."""
    monkeypatch.setenv(variable, value)
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        with pytest.raises(STSUnavailable) as caught:
            sts.exchange(WEB, Role(ROLE))
    assert (caught.value.kind, caught.value.variable, caught.value.retryable) == ("setup", variable, False)
    assert f"{variable}={value!r}" in caught.value.remedy


@pytest.mark.parametrize("value", ["standard", "2", "auto", "when_required", "us-east-1,*", "ipv4", "preferred"])
def test_valid_settings_are_not_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Valid settings are not named."""
    names = {
        "standard": "AWS_RETRY_MODE",
        "2": "AWS_METADATA_SERVICE_TIMEOUT",
        "auto": "AWS_DEFAULTS_MODE",
        "when_required": "AWS_REQUEST_CHECKSUM_CALCULATION",
        "us-east-1,*": "AWS_SIGV4A_SIGNING_REGION_SET",
        "ipv4": "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
        "preferred": "AWS_ACCOUNT_ID_ENDPOINT_MODE",
    }
    monkeypatch.setenv(names[value], value)
    assert bad_variable() is None


def test_a_missing_ca_bundle_is_named(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing CA bundle is named with its path, and an empty one is allowed."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with fake_server(granted, tls=context) as server, pytest.raises(StskitError) as caught:
        BotocoreSTS(endpoint_url=server.url).exchange(WEB, Role(ROLE))
    assert caught.value.variable == "AWS_CA_BUNDLE"
    assert "/nowhere/ca.pem" in caught.value.remedy


@pytest.mark.parametrize(
    ("expiration", "problem"), [("2030-01-01T00:00:00", "is not a valid time"), ("2020-01-01T00:00:00Z", "has passed")]
)
def test_a_wrong_expiration_in_the_environment_is_named(
    expiration: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for a wrong expiration in the environment names the variable and the value."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", expiration)
    with pytest.raises(ProofInvalid, match=f"AWS_CREDENTIAL_EXPIRATION {problem}") as caught:
        Profile().fetch()
    assert caught.value.variable == "AWS_CREDENTIAL_EXPIRATION"


def test_a_bad_setting_is_named_for_a_profile_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad setting is named for a profile too."""
    configure(home, base(""))
    monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "1s")
    with pytest.raises(ProofInvalid, match="AWS_METADATA_SERVICE_TIMEOUT='1s'") as caught:
        Profile("base").fetch()
    assert caught.value.variable == "AWS_METADATA_SERVICE_TIMEOUT"


def test_a_bad_session_name_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a bad session name in the environment names the variable."""
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "octo/hello")
    with pytest.raises(RoleError, match="^AWS_ROLE_SESSION_NAME: ") as caught:
        BotocoreSTS().exchange(WEB, Role(ROLE))
    assert caught.value.variable == "AWS_ROLE_SESSION_NAME"


def test_other_botocore_sessions_are_not_changed() -> None:
    """Stskit changes no session of botocore that it did not create."""
    before: Any = Session().get_config_variable("ca_bundle")
    assert before is None
    assert Static(KEYS).fetch() is KEYS
