"""`BotocoreSTS`: the request for each proof and option, the response, and errors of real servers."""

from __future__ import annotations

import json
import platform
import re
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from attrs import evolve, fields
from botocore.loaders import create_loader
from fake_server import SECRET_KEY, SESSION_TOKEN, Request, document, fake_server, granted, told
from fake_server import Answer as Reply
from hypothesis import example, given, settings
from hypothesis import strategies as st
from identity_provider import IdentityProvider
from local_aws import LocalAWS

from stskit import CallerIdentity, Credentials, Role, SAMLAssertion, WebIdentityToken
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, RoleError, RoleNotOffered, STSError, STSUnavailable
from stskit.limits import PARAMETERS
from stskit.mfa import MFA
from stskit.proofs import Proof
from stskit.roles import ProvidedContext
from stskit.sources import Profile
from stskit.sts import BotocoreSTS
from stskit.sts.requests import OPERATIONS

ROLE = "arn:aws:iam::123456789012:role/team/R"
PROVIDER = "arn:aws:iam::123456789012:saml-provider/idp"
BASE = Credentials("AKIABASE", "base-secret-canary", "base-token-canary")
IDP = IdentityProvider.create("https://idp.example")


@cache
def saml() -> SAMLAssertion:
    return SAMLAssertion.from_text(IDP.saml_response(roles=[(ROLE, PROVIDER)]))


@cache
def web() -> WebIdentityToken:
    return WebIdentityToken(IDP.oidc_token())


PROOFS: dict[str, Callable[[], Proof]] = {
    "AssumeRole": lambda: BASE,
    "AssumeRoleWithSAML": saml,
    "AssumeRoleWithWebIdentity": web,
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}

CODES = count(400_000)

# Each option of `Role`, and what of it goes over the wire.
OPTIONS: dict[str, tuple[object, dict[str, str]]] = {
    "session_name": ("me", {"RoleSessionName": "me"}),
    "duration": (timedelta(minutes=15), {"DurationSeconds": "900"}),
    "policy": (POLICY, {"Policy": json.dumps(POLICY, separators=(",", ":"))}),
    "policy_arns": (
        ["arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/B"],
        {
            "PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/A",
            "PolicyArns.member.2.arn": "arn:aws:iam::aws:policy/B",
        },
    ),
    "provided_contexts": (
        [ProvidedContext("arn:aws:iam::aws:contextProvider/IdentityCenter", Secret("context-canary"))],
        {
            "ProvidedContexts.member.1.ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter",
            "ProvidedContexts.member.1.ContextAssertion": "context-canary",
        },
    ),
    "minimum_session_token_size": (0, {"MinimumSessionTokenSize": "0"}),
    "mfa": (
        MFA("arn:aws:iam::123456789012:mfa/me", lambda _serial: f"{next(CODES):06}"),
        {"SerialNumber": "arn:aws:iam::123456789012:mfa/me", "TokenCode": "400000"},
    ),
    "tags": (
        {"team": "blue", "cost": ""},
        {
            "Tags.member.1.Key": "team",
            "Tags.member.1.Value": "blue",
            "Tags.member.2.Key": "cost",
            "Tags.member.2.Value": "",
        },
    ),
    "transitive_tag_keys": (["team"], {"TransitiveTagKeys.member.1": "team"}),
    "external_id": ("external-id-canary", {"ExternalId": "external-id-canary"}),
    "source_identity": ("alice", {"SourceIdentity": "alice"}),
}
ALWAYS: dict[str, Callable[[], dict[str, str]]] = {
    "AssumeRole": lambda: {"RoleSessionName": "from-the-environment"},
    "AssumeRoleWithSAML": lambda: {"PrincipalArn": PROVIDER, "SAMLAssertion": saml().value},
    "AssumeRoleWithWebIdentity": lambda: {
        "WebIdentityToken": web().value,
        "RoleSessionName": "from-the-environment",
    },
}


def role_with(*options: str) -> Role:
    build: Callable[..., Role] = Role
    return build(ROLE, **{option: OPTIONS[option][0] for option in options})


def sent(proof: Proof, role: Role) -> Request:
    """Return the request that was sent."""
    with fake_server(granted) as server:
        BotocoreSTS(endpoint_url=server.url).exchange(proof, role)
    (request,) = server.requests
    return request


# What goes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "option"),
    [(operation, option) for operation in PROOFS for option in ("", *OPERATIONS[operation].options) if option != "arn"],
)
def test_each_option_is_sent_under_its_name_in_the_operation(
    operation: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option is sent under its name in the operation, with nothing else."""
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "from-the-environment")
    members = create_loader().load_service_model("sts", "service-2")["shapes"][f"{operation}Request"]["members"]
    if option and not set(PARAMETERS[option]) <= set(members):  # an older botocore, and the error says so
        with pytest.raises(RoleError, match=f"does not know the parameter {PARAMETERS[option][0]} of {operation}"):
            sent(PROOFS[operation](), role_with(option))
        return
    request = sent(PROOFS[operation](), role_with(*filter(None, [option])))
    expected = {"Action": operation, "Version": "2011-06-15", "RoleArn": ROLE, **ALWAYS[operation]()}
    assert request.form == {**expected, **(OPTIONS[option][1] if option else {})}


@pytest.mark.parametrize(
    ("operation", "option"),
    [(operation, each) for operation in PROOFS for each in OPTIONS if each not in OPERATIONS[operation].options],
)
def test_an_option_that_the_operation_does_not_have_is_an_error(operation: str, option: str) -> None:
    """An option that the operation does not have is an error that names both, and nothing is sent."""
    with (
        fake_server(granted) as server,
        pytest.raises(RoleError, match=f"^{option} cannot be used with {operation}:") as caught,
    ):
        BotocoreSTS(endpoint_url=server.url).exchange(PROOFS[operation](), role_with(option))
    assert server.requests == []
    assert "canary" not in told(caught.value)


def test_the_tests_cover_every_option_of_a_role() -> None:
    """The tests cover every option of a role."""
    assert set(PARAMETERS) - {"arn"} == set(OPTIONS)


def test_a_newer_parameter_is_sent_if_botocore_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer parameter is sent under its STS name if botocore knows it, and is otherwise an error."""
    monkeypatch.setattr("stskit.roles.PARAMETERS", {})  # a table that has never heard of it
    assert sent(BASE, Role(ROLE, extra={"ExternalId": "from-the-future"})).form["ExternalId"] == "from-the-future"
    with (
        fake_server(granted) as server,
        pytest.raises(RoleError, match="The installed botocore does not know the parameter Novelty of AssumeRole"),
    ):
        BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE, extra={"Novelty": "canary"}))
    assert server.requests == []


@pytest.mark.parametrize("operation", PROOFS)
def test_a_long_policy_is_for_assume_role_only(operation: str) -> None:
    """A policy over 2,048 characters is an error for SAML and web identity, before any call."""
    role = Role(ROLE, policy="x" * 2049)
    if operation == "AssumeRole":
        assert len(sent(PROOFS[operation](), role).form["Policy"]) == 2049
    else:
        with pytest.raises(
            RoleError, match="policy for SAML or web identity has 2,049 characters, but STS allows 1 to 2,048"
        ):
            sent(PROOFS[operation](), role)


def test_a_request_that_is_refused_uses_no_mfa_code() -> None:
    """A request that stskit rejects uses no MFA code."""
    asked: list[str] = []

    def ask(serial: str) -> str:
        asked.append(serial)
        return "000001"

    role = Role(ROLE, mfa=MFA("arn:aws:iam::123456789012:mfa/me", ask))
    for proof in (saml(), web()):
        with pytest.raises(RoleError, match="mfa cannot be used with"):
            sent(proof, role)
    with pytest.raises(RoleError, match="does not know the parameter Novelty"):
        sent(BASE, evolve(role, extra={"Novelty": 1}))
    for hopeless in (BotocoreSTS(endpoint_url="http://sts.example"), BotocoreSTS("no region")):
        with pytest.raises(STSUnavailable):
            hopeless.exchange(BASE, role)
    with pytest.raises(RoleError, match="Pass a region of aws"):
        BotocoreSTS("cn-north-1").exchange(BASE, role)
    assert asked == []


def test_an_error_of_the_mfa_code_is_raised_unchanged() -> None:
    """An error of the MFA code is raised unchanged, and nothing is sent."""
    mfa = MFA("arn:aws:iam::123456789012:mfa/me", lambda _serial: "canary", unattended=True)
    with fake_server(granted) as server, pytest.raises(ProofInvalid, match="code for the MFA device"):
        BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE, mfa=mfa))
    assert server.requests == []


def test_the_provider_id_is_sent() -> None:
    """The provider ID of an OAuth 2.0 token is sent."""
    assert sent(WebIdentityToken(Secret("opaque"), "www.amazon.com"), Role(ROLE)).form["ProviderId"] == "www.amazon.com"


@pytest.mark.parametrize("provider_first", [True, False])
def test_role_and_provider_are_recognised_in_either_order(provider_first: bool) -> None:
    """Role and provider are recognised in either order."""
    text = IDP.saml_response(roles=[(ROLE, PROVIDER)], provider_first=provider_first)
    form = sent(SAMLAssertion.from_text(text), Role(ROLE)).form
    assert (form["RoleArn"], form["PrincipalArn"], form["SAMLAssertion"]) == (ROLE, PROVIDER, text)


def test_a_given_provider_is_used() -> None:
    """A given provider is used, also if the assertion has another one or cannot be read."""
    other = "arn:aws:iam::123456789012:saml-provider/other"
    assert sent(evolve(saml(), principal_arn=other), Role(ROLE)).form["PrincipalArn"] == other


@pytest.mark.case("P28")
def test_a_role_that_is_not_offered_is_an_error() -> None:
    """A role that the assertion does not offer is an error, and nothing is sent."""
    with fake_server(granted) as server, pytest.raises(RoleNotOffered) as caught:
        BotocoreSTS(endpoint_url=server.url).exchange(saml(), Role(f"{ROLE}-other"))
    assert caught.value.offered == (ROLE,)
    assert server.requests == []


@pytest.mark.parametrize("proof", [None, "token", object()])
def test_an_object_that_is_not_a_proof_is_an_error(proof: Proof) -> None:
    """If a source returns an object that is not a proof, the error names its class and not its value."""
    with pytest.raises(
        ProofInvalid,
        match=f"The source returned {type(proof).__name__}, which is not a proof. Return a SAMLAssertion, ",
    ):
        BotocoreSTS().exchange(proof, Role(ROLE))


# The name of the session -----------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1), st.text(max_size=80))
@example("jörg", "host.example.com")
@example("u" * 100, "h")
@example("DOMAIN\\user", "\N{SNOWMAN}\n")
def test_the_default_session_name_is_valid(user: str, host: str) -> None:
    """The default session name is valid for any user and host name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ROLE_SESSION_NAME", raising=False)
        patch.setenv("LOGNAME", user)
        patch.setattr(platform, "node", lambda: host)
        name = sent(web(), Role(ROLE)).form["RoleSessionName"]
    assert re.fullmatch(r"stskit-[\w+=,.@-]{1,57}", name, re.ASCII)
    assert name == re.sub(r"[^\w+=,.@-]", "-", f"stskit-{user}-{host}", flags=re.ASCII)[:64]


@pytest.mark.parametrize("operation", ["AssumeRole", "AssumeRoleWithWebIdentity"])
def test_a_given_session_name_is_sent_unchanged(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A given session name is sent unchanged, and the environment is ignored."""
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "from the environment, and wrong")
    name = "Alice_2+=,.@-" + "x" * 51
    assert sent(PROOFS[operation](), Role(ROLE, session_name=name)).form["RoleSessionName"] == name


@pytest.mark.parametrize("name", ["a", "x" * 65, "two words", "a/b", "ä"])
def test_an_invalid_session_name_of_the_environment_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session name of the environment that is not valid is an error, and nothing is sent. SAML sessions ignore it."""
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", name)
    with fake_server(granted) as server:
        with pytest.raises(RoleError, match="session_name"):
            BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(ROLE))
        assert server.requests == []
        BotocoreSTS(endpoint_url=server.url).exchange(saml(), Role(ROLE))


# Without keys ----------------------------------------------------------------------------------------------------


@pytest.fixture
def hostile(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set keys and a default profile with a process. Return the file that the process would create."""
    trap = tmp_path / "trap"
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(f"[default]\ncredential_process = touch {trap}\nregion = eu-north-1\n")
    (home / ".aws" / "credentials").write_text("[other]\naws_access_key_id = AKIAOTHER\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "ambient-canary")
    return trap


def is_unsigned(request: Request) -> bool:
    """Return whether *request* has no signature, no token and no keys of the environment."""
    told_ = f"{request.headers} {request.body}"
    return "authorization" not in request.headers and "x-amz-" not in str(request.headers) and "canary" not in told_


@pytest.mark.case("E5", "P34", "P120")
@pytest.mark.parametrize("operation", ["AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_PROFILE", "default"),
        ("AWS_PROFILE", "nobody"),
        ("AWS_CONFIG_FILE", "/nowhere"),
        ("AWS_CONFIG_FILE", "broken"),
        ("AWS_SHARED_CREDENTIALS_FILE", "broken"),
    ],
)
def test_a_call_without_keys_reads_no_profile(
    operation: str, name: str, value: str, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call without keys works with any state of the AWS files, is not signed, and runs no process."""
    (tmp_path / "broken").write_text("[default\nregion\n")
    monkeypatch.setenv(name, value)
    assert is_unsigned(sent(PROOFS[operation](), Role(ROLE)))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert is_unsigned(sent(PROOFS[operation](), Role(ROLE)))
    assert not hostile.exists()


def test_the_trap_runs_if_the_default_profile_is_used(hostile: Path) -> None:
    """The process of the trap runs if the default profile is used."""
    with pytest.raises(ProofInvalid):
        Profile("default").fetch()
    assert hostile.exists()


# What comes back -------------------------------------------------------------------------------------------------


def test_a_response_becomes_credentials() -> None:
    """A response becomes credentials with all fields, and with the expiration in UTC."""
    fields_ = (
        "<Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
        "<Expiration>2036-11-25T13:00:00.123456789+01:00</Expiration></Credentials>"
        "<AssumedRoleUser><Arn>arn:aws:sts::210987654321:assumed-role/R/s</Arn><AssumedRoleId>AROA:s</AssumedRoleId>"
        "</AssumedRoleUser><PackedPolicySize>6</PackedPolicySize><SourceIdentity>alice</SourceIdentity>"
        "<Subject>S</Subject><Issuer>I</Issuer><Audience>A</Audience>"
    )
    with fake_server(Reply(document("AssumeRoleWithSAML", fields_))) as server:
        credentials = BotocoreSTS(endpoint_url=server.url).exchange(saml(), Role(ROLE))
    assert credentials == Credentials(
        "ASIA",
        "s",
        "t",
        datetime(2036, 11, 25, 12, 0, 0, 123456, tzinfo=UTC),
        account_id="210987654321",
        assumed_role_arn="arn:aws:sts::210987654321:assumed-role/R/s",
        assumed_role_id="AROA:s",
        packed_policy_size=6,
        source_identity="alice",
        subject="S",
        issuer="I",
        audience="A",
    )
    assert credentials.expiration is not None
    assert credentials.expiration.tzinfo is UTC


@pytest.mark.case("P140")
@pytest.mark.parametrize(("arn", "account"), [(ROLE, "123456789012"), ("arn:aws:iam:::role/app", None)])
def test_a_response_without_a_user_has_the_account_of_the_role(arn: str, account: str | None) -> None:
    """If a response has no assumed role user, the account is that of the role."""
    keys = (
        f"<AccessKeyId>A</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>"
        f"<SessionToken>{SESSION_TOKEN}</SessionToken><Expiration>2036-11-25T12:00:00Z</Expiration>"
    )
    with fake_server(Reply(document("AssumeRole", f"<Credentials>{keys}</Credentials>"))) as server:
        credentials = BotocoreSTS(endpoint_url=server.url).exchange(BASE, Role(arn))
    assert (credentials.account_id, credentials.assumed_role_arn) == (account, None)
    assert (credentials.secret_access_key, credentials.session_token) == (SECRET_KEY, SESSION_TOKEN)


def test_caller_identity_uses_the_partition_of_the_credentials() -> None:
    """caller_identity uses the partition of the credentials."""
    china = evolve(BASE, assumed_role_arn="arn:aws-cn:sts::123456789012:assumed-role/R/s")
    strange = evolve(BASE, assumed_role_arn="strange")
    with fake_server(granted) as server:
        for region, keys in [(None, china), ("cn-north-1", china), ("cn-north-1", BASE), (None, BASE), (None, strange)]:
            identity = BotocoreSTS(region, endpoint_url=server.url).caller_identity(keys)
            assert identity == CallerIdentity("123456789012", "arn:aws:iam::123456789012:user/AKIABASE", "AKIABASE")
        with pytest.raises(RoleError, match="us-east-1 is in the partition aws, but the role is in aws-cn"):
            BotocoreSTS("us-east-1", endpoint_url=server.url).caller_identity(china)
    scopes = [request.headers["authorization"].split("/")[2] for request in server.requests]
    assert scopes == ["cn-northwest-1", "cn-north-1", "cn-north-1", "us-east-1", "us-east-1"]


@pytest.mark.case("E16")
@pytest.mark.parametrize("total_timeout", [None, 20])
def test_an_interrupt_raises_keyboard_interrupt(total_timeout: float | None) -> None:
    """Ctrl-C during a call raises KeyboardInterrupt."""
    main = threading.main_thread()

    def interrupt(request: Request) -> Reply:
        assert main.ident is not None
        signal.pthread_kill(main.ident, signal.SIGINT)
        return granted(request)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with fake_server(interrupt) as server, pytest.raises(KeyboardInterrupt):
            BotocoreSTS(endpoint_url=server.url, total_timeout=total_timeout).exchange(BASE, Role(ROLE))
            time.sleep(5)  # the signal may come when the answer is there already
    finally:
        signal.signal(signal.SIGINT, before)


# Real servers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def verifying(aws: LocalAWS) -> LocalAWS:
    """A server that checks the signature of requests."""
    if not aws.has_seaweedfs:
        pytest.skip("SeaweedFS is not installed, and moto believes everything")
    return aws


def assert_good(credentials: Credentials, role_arn: str) -> None:
    assert credentials.expiration is not None
    assert credentials.expiration.tzinfo is UTC
    assert timedelta(minutes=50) < (credentials.expires_in() or timedelta()) <= timedelta(hours=1)
    assert credentials.session_token
    assert credentials.account_id == role_arn.split(":")[4]


def test_seaweedfs_accepts_keys(aws: LocalAWS, sts: BotocoreSTS, base: Credentials) -> None:
    """SeaweedFS accepts AssumeRole, and knows the new credentials."""
    credentials = sts.exchange(base, Role(aws.hub_role, session_name="me"))
    assert_good(credentials, aws.hub_role)
    assert credentials.assumed_role_arn == f"arn:aws:sts::{aws.account}:assumed-role/Hub/me"
    identity = sts.caller_identity(credentials)
    assert (identity.account, identity.arn) == (aws.account, credentials.assumed_role_arn)


def test_seaweedfs_accepts_a_token(aws: LocalAWS, sts: BotocoreSTS) -> None:
    """SeaweedFS accepts AssumeRoleWithWebIdentity with a condition on the subject."""
    credentials = sts.exchange(WebIdentityToken(aws.idp.oidc_token()), Role(aws.web_alice_role, session_name="me"))
    assert_good(credentials, aws.web_alice_role)
    assert credentials.subject in ("alice", None)  # moto does not say
    assert sts.caller_identity(credentials).account == aws.account


def test_moto_accepts_an_assertion(aws: LocalAWS, saml_sts: BotocoreSTS) -> None:
    """A fake AWS (moto) accepts AssumeRoleWithSAML, and the session name is that of the assertion."""
    text = aws.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)], session_name="alice", duration=3600)
    credentials = saml_sts.exchange(SAMLAssertion.from_text(text), Role(aws.saml_role))
    assert_good(credentials, aws.saml_role)
    assert credentials.assumed_role_arn == f"arn:aws:sts::{aws.account}:assumed-role/Deploy/alice"


def test_long_term_keys_have_a_caller_identity(verifying: LocalAWS, sts: BotocoreSTS, base: Credentials) -> None:
    """GetCallerIdentity works with long-term keys."""
    assert sts.caller_identity(base).arn.endswith(":user/developer")


Case = Callable[[LocalAWS], tuple[Proof, str]]


def base_of(aws: LocalAWS) -> Credentials:
    return Credentials(aws.access_key_id, aws.secret_access_key)


def token_of(aws: LocalAWS, **changes: object) -> WebIdentityToken:
    make: Callable[..., str] = aws.idp.oidc_token
    return WebIdentityToken(make(**changes))


@pytest.mark.parametrize(
    ("case", "code", "status", "next_step"),
    [
        (
            lambda aws: (evolve(base_of(aws), secret_access_key="wrong-secret-canary-0123"), aws.hub_role),
            *("SignatureDoesNotMatch", 403, "secret access key"),
        ),
        (
            lambda aws: (evolve(base_of(aws), access_key_id="AKIANOBODY"), aws.hub_role),
            *("InvalidAccessKeyId", 403, "Check that the key is active"),
        ),
        (lambda aws: (base_of(aws), aws.target_role), "AccessDenied", 403, "trust policy names this caller"),
        (lambda aws: (base_of(aws), f"{aws.hub_role}-not"), "AccessDenied", 403, "the role exists"),
        (
            lambda aws: (token_of(aws, lifetime=timedelta(minutes=-9)), aws.web_role),
            *("ExpiredToken", 400, "Get a new token"),
        ),
        (
            lambda aws: (token_of(aws, audience="another"), aws.web_role),
            *("InvalidParameterValue", 400, "Correct the value"),
        ),
        (
            lambda aws: (WebIdentityToken(evolve(aws.idp, key=IDP.key).oidc_token()), aws.web_role),
            *("InvalidParameterValue", 400, "Correct the value"),
        ),
        (lambda aws: (token_of(aws, subject="bob"), aws.web_alice_role), "AccessDenied", 403, "subject (sub)"),
    ],
    ids=["secret", "key id", "not trusted", "no role", "expired", "audience", "key", "subject"],
)
def test_errors_of_seaweedfs_are_explained(
    case: Case, code: str, status: int, next_step: str, verifying: LocalAWS, sts: BotocoreSTS
) -> None:
    """Errors of SeaweedFS are explained after one request, without secrets."""
    proof, role_arn = case(verifying)
    with pytest.raises(STSError) as caught:
        sts.exchange(proof, Role(role_arn))
    error = caught.value
    assert (error.code, error.http_status, error.attempts, error.retryable) == (code, status, 1, False)
    operation = "AssumeRole" if isinstance(proof, Credentials) else "AssumeRoleWithWebIdentity"
    assert (error.operation, error.role_arn) == (operation, role_arn)
    assert (error.region, error.endpoint) == ("us-east-1", verifying.sts_url)
    assert error.request_id
    assert next_step in error.remedy
    secrets = [getattr(proof, each.name) for each in fields(type(proof))]
    assert not any(secret in told(error) for secret in secrets if isinstance(secret, Secret))
