"""`FakeSTS` in process: its responses, its errors, and its faults."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from attrs import evolve
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from helpers import START, reachable_text

from stskit import MFA, AssumedRole, Cached, Credentials, Role, SAMLAssertion, WebIdentityToken, assume, caller_identity
from stskit.credentials import Secret
from stskit.errors import RoleError, RoleNotOffered, STSError, StskitError, STSUnavailable
from stskit.proofs import Proof
from stskit.protocols import STS, STSOperations
from stskit.roles import ProvidedContext
from stskit.sources import SessionToken, Static
from stskit.testing import (
    ClockOff,
    Drop,
    FakeSTS,
    Garbage,
    GiveExpired,
    Hang,
    IdentityProvider,
    Incomplete,
    ManualClock,
    Refuse,
    Throttle,
    Trust,
)
from stskit.testing._signing import private_key

ROLE = "arn:aws:iam::123456789012:role/ci/Deploy"
HUB = "arn:aws:iam::123456789012:role/Hub"
SERIAL = "arn:aws:iam::123456789012:mfa/developer"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def sts(clock: ManualClock) -> FakeSTS:
    return FakeSTS(clock=clock)


def saml(sts: FakeSTS, **order: Any) -> SAMLAssertion:
    return SAMLAssertion(sts.idp.saml_response(**{"roles": [ROLE], **order}))


def token(sts: FakeSTS, **order: Any) -> WebIdentityToken:
    return WebIdentityToken(sts.idp.oidc_token(**order))


def refusal(sts: FakeSTS, proof: Proof, role: Role) -> STSError:
    with pytest.raises(STSError) as caught:
        sts.exchange(proof, role)
    return caught.value


# What it gives ----------------------------------------------------------------------------------------------------


def test_every_role_exists_in_a_new_fake() -> None:
    """In a new FakeSTS, every role exists, and a caller with keys of user() can assume it."""
    sts = FakeSTS()
    credentials = assume(ROLE, source=Static(sts.user()), sts=sts)
    assert credentials.account_id == "123456789012"


def test_fake_sts_fulfils_the_protocols() -> None:
    """FakeSTS fulfils the protocols of stskit."""
    sts: STS = FakeSTS()
    operations: STSOperations = FakeSTS()
    assert all([sts, operations])
    one, other = FakeSTS(), FakeSTS()
    assert one.identity != other.identity


def test_a_session_has_the_form_of_aws(sts: FakeSTS) -> None:
    """A session has a key, an ARN, an ID and an expiration as in AWS."""
    role = Role(ROLE, session_name="me", tags={"team": "blue"}, source_identity="alice", duration=900)
    one, two = (sts.exchange(sts.user(), role) for _ in range(2))
    assert one.access_key_id.startswith("ASIA")
    assert len(one.access_key_id) == 20
    assert len(one.secret_access_key) == 40
    assert one.access_key_id != two.access_key_id
    assert one.assumed_role_arn == "arn:aws:sts::123456789012:assumed-role/Deploy/me"
    assert one.assumed_role_id == two.assumed_role_id
    assert one.assumed_role_id is not None
    assert one.assumed_role_id.startswith("AROA")
    assert one.assumed_role_id.endswith(":me")
    assert one.expiration == START + timedelta(minutes=15)
    assert one.source_identity == "alice"
    assert one.packed_policy_size is not None
    assert 0 < one.packed_policy_size < 10
    who = caller_identity(one, sts=sts)
    assert (who.arn, who.account, who.user_id) == (one.assumed_role_arn, "123456789012", one.assumed_role_id)


def test_a_user_has_the_form_of_aws(sts: FakeSTS) -> None:
    """A user has the same ID for all its keys, and keys can be added and removed."""
    keys = Credentials("AKIAIOSFODNN7EXAMPLE", "canary")
    assert sts.user("bob", keys) is keys
    who = caller_identity(keys, sts=sts)
    assert who == caller_identity(sts.user("bob"), sts=sts)
    assert who.arn == "arn:aws:iam::123456789012:user/bob"
    assert who.user_id.startswith("AIDA")
    sts.forget(keys)
    sts.forget(keys)
    assert refusal(sts, keys, Role(ROLE)).code == "InvalidClientTokenId"


def test_the_response_to_a_saml_assertion_has_its_content(sts: FakeSTS) -> None:
    """The response to a SAML assertion has its content."""
    given = sts.exchange(
        saml(
            sts,
            session_name="bob",
            duration=timedelta(hours=2),
            attributes={"SourceIdentity": "bob", "PrincipalTag:team": "blue"},
        ),
        Role(ROLE),
    )
    assert (given.subject, given.issuer, given.audience) == (
        "bob",
        "https://idp.example.com",
        "https://signin.aws.amazon.com/saml",
    )
    assert given.assumed_role_arn == "arn:aws:sts::123456789012:assumed-role/Deploy/bob"
    assert given.expiration == START + timedelta(hours=2)
    assert given.source_identity == "bob"
    ended = sts.exchange(saml(sts, session_not_on_or_after=START + timedelta(minutes=20)), Role(ROLE))
    assert ended.expiration == START + timedelta(minutes=20)


def test_the_response_to_a_token_has_its_content(sts: FakeSTS) -> None:
    """The response to a token has its content, with the known one of several audiences."""
    given = sts.exchange(token(sts, subject="bob", audience=["x", "sts.amazonaws.com"]), Role(ROLE))
    assert (given.subject, given.issuer, given.audience) == ("bob", "https://idp.example.com", "sts.amazonaws.com")


def test_a_session_of_a_user_lasts_twelve_hours_by_default(sts: FakeSTS) -> None:
    """A session of a user lasts twelve hours, or the given time."""
    user = sts.user()
    given = sts.session_token(user)
    assert given.expiration == START + timedelta(hours=12)
    assert sts.session_token(user, duration=900).expiration == START + timedelta(minutes=15)
    assert caller_identity(given, sts=sts) == caller_identity(user, sts=sts)
    with pytest.raises(STSError) as caught:
        sts.session_token(given)
    assert (caught.value.code, caught.value.http_status) == ("AccessDenied", 403)
    assert "Cannot call GetSessionToken with session credentials" in str(caught.value)


def test_a_session_token_has_at_least_the_given_size(sts: FakeSTS) -> None:
    """A session token has at least the given size."""
    model = create_loader().load_service_model("sts", "service-2")
    shape: Any = ServiceModel(model, "sts").operation_model("AssumeRole").input_shape
    if "MinimumSessionTokenSize" not in shape.members:
        pytest.skip("this botocore does not know it")
    given = sts.exchange(sts.user(), Role(ROLE, minimum_session_token_size=4096))
    assert given.session_token is not None
    assert len(given.session_token) >= 4096


def test_accounts_and_partitions_are_those_of_the_role() -> None:
    """Account and partition are those of the role."""
    sts = FakeSTS(account="210987654321")
    china = sts.exchange(sts.user(), Role("arn:aws-cn:iam::123456789012:role/R", session_name="me"))
    assert china.assumed_role_arn == "arn:aws-cn:sts::123456789012:assumed-role/R/me"
    assert sts.exchange(sts.user(), Role("arn:aws:iam:::role/R")).account_id == "210987654321"


# What it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    {
        "unknown": (lambda keys: evolve(keys, access_key_id="AKIAUNKNOWN"), "InvalidClientTokenId"),
        "secret": (lambda keys: evolve(keys, secret_access_key="canary-wrong"), "SignatureDoesNotMatch"),
        "token": (lambda keys: evolve(keys, session_token="canary-wrong"), "InvalidClientTokenId"),
        "no token": (lambda keys: evolve(keys, session_token=None), "InvalidClientTokenId"),
    }.values(),
)
def test_wrong_keys_are_refused(sts: FakeSTS, change: Callable[[Credentials], Credentials], code: str) -> None:
    """Wrong keys are refused with the code of AWS and status 403, without a secret."""
    session = sts.exchange(sts.user(), Role(ROLE))
    error = refusal(sts, change(session), Role(ROLE))
    assert (error.code, error.http_status, error.operation, error.role_arn) == (code, 403, "AssumeRole", ROLE)
    assert error.request_id
    assert error.remedy
    assert error.clock_skew == timedelta(0)
    text = reachable_text(error)
    assert "canary" not in text
    assert str(session.secret_access_key) not in text


def test_a_session_expires_by_the_clock_of_the_fake(sts: FakeSTS, clock: ManualClock) -> None:
    """A session expires by the clock of the fake, to the second."""
    session = sts.exchange(sts.user(), Role(ROLE))
    clock.advance(timedelta(hours=1, seconds=-1))
    assert caller_identity(session, sts=sts)
    clock.advance(timedelta(seconds=1))
    error = refusal(sts, session, Role(ROLE))
    assert (error.code, error.http_status) == ("ExpiredToken", 403)


SAML_REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "expired": ({"flaw": "expired"}, "ExpiredToken", "Token must be redeemed within 5 minutes of issuance"),
    "not yet valid": ({"flaw": "not yet valid"}, "InvalidIdentityToken", "not yet valid"),
    "wrong audience": ({"flaw": "wrong audience"}, "InvalidIdentityToken", "required audience"),
    "wrong key": ({"flaw": "wrong key"}, "InvalidIdentityToken", "Response signature invalid"),
    "tampered": ({"flaw": "tampered"}, "InvalidIdentityToken", "Response signature invalid"),
    "unsigned": ({"flaw": "unsigned"}, "InvalidIdentityToken", "Response signature invalid"),
    "short": ({"not_on_or_after": START}, "ExpiredToken", "5 minutes"),
    "no name": ({"attributes": {"RoleSessionName": None}}, "InvalidIdentityToken", "RoleSessionName is required"),
    "bad name": ({"session_name": "a b"}, "InvalidIdentityToken", "RoleSessionName in AuthnResponse must match"),
    "provider": ({"roles": [(ROLE, "arn:aws:iam::123456789012:saml-provider/x")]}, "InvalidIdentityToken", "provider"),
    "account": ({"roles": [(ROLE, "arn:aws:iam::1:saml-provider/idp")]}, "ValidationError", "outside the account"),
}


@pytest.mark.parametrize("name", SAML_REFUSALS)
def test_a_saml_response_that_aws_would_refuse_is_refused(sts: FakeSTS, name: str) -> None:
    """Each SAML response that AWS refuses is refused, with the code, message and remedy."""
    order, code, says = SAML_REFUSALS[name]
    proof = saml(sts, **order)
    if name == "account":
        proof = SAMLAssertion(proof.value, "arn:aws:iam::210987654321:saml-provider/idp")
    error = refusal(sts, proof, Role(ROLE))
    assert (error.code, error.http_status) == (code, 400)
    assert says in str(error)


def test_a_saml_response_is_accepted_for_five_minutes(sts: FakeSTS, clock: ManualClock) -> None:
    """A SAML response is accepted for five minutes after its issue time."""
    proof = saml(sts, not_on_or_after=START + timedelta(hours=1))
    clock.advance(timedelta(minutes=5, seconds=-1))
    assert sts.exchange(proof, Role(ROLE))
    clock.advance(timedelta(seconds=1))
    assert refusal(sts, proof, Role(ROLE)).code == "ExpiredToken"


@pytest.mark.parametrize("text", ["AAAA", "PHhtbC8+", "canary!canary", "/////w=="])
def test_text_that_is_not_a_saml_response_is_refused(sts: FakeSTS, text: str) -> None:
    """Text that is not a SAML response is refused."""
    error = refusal(sts, SAMLAssertion(text, sts.idp.provider_arn(ROLE)), Role(ROLE))
    assert (error.code, error.http_status) == ("InvalidIdentityToken", 400)
    assert "invalid SAML response" in str(error)


def test_stskit_and_the_fake_refuse_a_role_that_is_not_offered(sts: FakeSTS) -> None:
    """Both stskit and the fake refuse a role that is not offered."""
    proof = saml(sts)
    with pytest.raises(RoleNotOffered):
        sts.exchange(proof, Role(HUB))
    with pytest.raises(StskitError):
        sts.exchange(SAMLAssertion(proof.value, sts.idp.provider_arn(ROLE)), Role(HUB))


def test_another_issuer_is_refused(sts: FakeSTS) -> None:
    """Proofs of another issuer are refused."""
    other = IdentityProvider("https://other.example", clock=ManualClock(START))
    error = refusal(sts, SAMLAssertion(other.saml_response(roles=[ROLE])), Role(ROLE))
    assert (error.code, "Issuer not present in specified provider" in str(error)) == ("InvalidIdentityToken", True)
    error = refusal(sts, WebIdentityToken(other.oidc_token()), Role(ROLE))
    assert (error.code, error.http_status) == ("InvalidIdentityToken", 400)
    assert "No OpenIDConnect provider found in your account for https://other.example" in str(error)


TOKEN_REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "expired": ({"flaw": "expired"}, "ExpiredToken", "must be before the expiration date/time"),
    "not yet valid": ({"flaw": "not yet valid"}, "InvalidIdentityToken", "not yet valid"),
    "wrong audience": ({"flaw": "wrong audience"}, "InvalidIdentityToken", "Incorrect token audience"),
    "wrong key": ({"flaw": "wrong key"}, "InvalidIdentityToken", "signature is invalid"),
    "tampered": ({"flaw": "tampered"}, "InvalidIdentityToken", "signature is invalid"),
    "unsigned": ({"flaw": "unsigned"}, "InvalidIdentityToken", "signature is invalid"),
    "no exp": ({"claims": {"exp": None}}, "InvalidIdentityToken", "Missing a required claim: exp"),
    "no iat": ({"claims": {"iat": "x"}}, "InvalidIdentityToken", "Missing a required claim: iat"),
    "no sub": ({"claims": {"sub": None}}, "InvalidIdentityToken", "Missing a required claim: sub"),
    "empty sub": ({"claims": {"sub": ""}}, "InvalidIdentityToken", "Missing a required claim: sub"),
    "no aud": ({"claims": {"aud": None}}, "InvalidIdentityToken", "Incorrect token audience"),
    "kid": ({}, "InvalidIdentityToken", "signature is invalid"),
}


@pytest.mark.parametrize("name", TOKEN_REFUSALS)
def test_a_token_that_aws_would_refuse_is_refused(sts: FakeSTS, name: str) -> None:
    """Each token that AWS refuses is refused, with the code and message."""
    order, code, says = TOKEN_REFUSALS[name]
    proof = token(sts, **order)
    if name == "kid":
        proof = WebIdentityToken(proof.value + "!")
    error = refusal(sts, proof, Role(ROLE))
    assert (error.code, error.http_status) == (code, 400)
    assert says in str(error)


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "e30.e30.", "W10.W10.x", "aa.b", "....", "%%%%.e30.x"])
def test_text_that_is_not_a_token_is_refused(sts: FakeSTS, text: str) -> None:
    """Text that is not a token is refused."""
    error = refusal(sts, WebIdentityToken(text), Role(ROLE))
    assert (error.code, "is not a valid JWT" in str(error)) == ("InvalidIdentityToken", True)


@pytest.mark.parametrize("header", [{"alg": "RS512"}, {"kid": "other"}])
def test_a_token_must_name_the_key_and_its_algorithm(sts: FakeSTS, header: dict[str, str]) -> None:
    """A token must name its key and its algorithm."""
    keys: Any = sts.idp.jwks()["keys"]
    claims = jwt.decode(token(sts).value, options={"verify_signature": False})
    headers = {"kid": keys[0]["kid"], **header}
    signed = jwt.encode(claims, private_key(), algorithm=header.get("alg", "RS256"), headers=headers)
    assert "signature is invalid" in str(refusal(sts, WebIdentityToken(signed), Role(ROLE)))


def test_a_token_without_nbf_is_valid_from_iat(sts: FakeSTS) -> None:
    """A token without nbf is valid from iat. Values that are not numbers are ignored."""
    late = int((START + timedelta(hours=1)).timestamp())
    assert refusal(sts, token(sts, claims={"nbf": None, "iat": late}), Role(ROLE)).code == "InvalidIdentityToken"
    assert sts.exchange(token(sts, claims={"nbf": "soon"}), Role(ROLE))


# Limits -----------------------------------------------------------------------------------------------------------


def test_a_session_lasts_at_most_the_maximum_of_the_role(sts: FakeSTS) -> None:
    """A session lasts at most the maximum of the role."""
    sts.roles[ROLE] = Trust(max_duration=timedelta(minutes=30))
    error = refusal(sts, sts.user(), Role(ROLE, duration=1801))
    assert (error.code, error.http_status) == ("ValidationError", 400)
    assert "exceeds the MaxSessionDuration set for this role" in str(error)
    assert "raise the maximum session duration" in error.remedy
    assert sts.exchange(sts.user(), Role(ROLE)).expiration == START + timedelta(minutes=30)


def test_a_chained_role_lasts_an_hour_at_most(sts: FakeSTS) -> None:
    """A chained role lasts an hour at most. A session of a user does not make a chain."""
    hub = sts.exchange(sts.user(), Role(HUB))
    error = refusal(sts, hub, Role(ROLE, duration=3601))
    assert (error.code, "1 hour session limit for roles assumed by role chaining" in str(error)) == (
        "ValidationError",
        True,
    )
    assert sts.exchange(hub, Role(ROLE, duration=3600))
    assert sts.exchange(sts.session_token(sts.user()), Role(ROLE, duration=7200))


@pytest.mark.parametrize("policy", ["no json", "[]", "{}", "[" * 5000])
def test_an_invalid_policy_is_refused(sts: FakeSTS, policy: str) -> None:
    """An invalid policy is refused, and a valid one is accepted."""
    error = refusal(sts, sts.user(), Role(ROLE, policy=policy))
    assert (error.code, error.http_status) == ("MalformedPolicyDocument", 400)
    assert sts.exchange(sts.user(), Role(ROLE, policy={"Statement": []}, policy_arns=[f"{ROLE}x"])).packed_policy_size


def test_policies_and_tags_must_fit_into_the_packed_size(sts: FakeSTS) -> None:
    """Policies and tags together, with transitive tags, must fit into the packed size."""
    import secrets

    def tags(prefix: str) -> dict[str, str]:
        return {f"{prefix}{number}": secrets.token_urlsafe(96) for number in range(12)}

    many = tags("a")
    error = refusal(sts, sts.user(), Role(ROLE, tags={**many, **tags("b")}))
    assert (error.code, error.http_status) == ("PackedPolicyTooLarge", 400)
    assert re.search(r"Packed size of session tags consumes \d{3}% of allotted space\.", str(error))
    error = refusal(sts, sts.user(), Role(ROLE, policy={"Statement": [secrets.token_urlsafe(4000)]}))
    assert re.search(r"Packed policy consumes \d{3}% of allotted space, please use smaller policy", str(error))
    hub = sts.exchange(sts.user(), Role(HUB, tags=many, transitive_tag_keys=list(many)))
    assert refusal(sts, hub, Role(ROLE, tags=tags("b"))).code == "PackedPolicyTooLarge"


def test_a_changed_transitive_tag_is_refused(sts: FakeSTS) -> None:
    """A tag that changes a transitive tag is refused."""
    hub = sts.exchange(sts.user(), Role(HUB, tags={"a": "1", "b": "2"}, transitive_tag_keys=["a"]))
    assert refusal(sts, hub, Role(ROLE, tags={"a": "1"})).code == "InvalidParameterValue"
    assert refusal(sts, hub, Role(ROLE, tags={"A": "1"})).code == "InvalidParameterValue"
    assert sts.exchange(hub, Role(ROLE, tags={"b": "1"}))


# Trust ------------------------------------------------------------------------------------------------------------


def denied(sts: FakeSTS, proof: Proof, role: Role) -> str:
    error = refusal(sts, proof, role)
    assert (error.code, error.http_status) == ("AccessDenied", 403)
    return str(error)


def test_a_missing_role_is_refused_like_an_untrusted_caller(sts: FakeSTS) -> None:
    """A missing role and an untrusted caller get the same error."""
    sts.roles.update({ROLE: None, HUB: Trust(callers=())})
    for arn in (ROLE, HUB):
        said = denied(sts, sts.user(), Role(arn))
        user = "arn:aws:iam::123456789012:user/developer"
        assert f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}" in said
        proof = SAMLAssertion(sts.idp.saml_response(roles=[arn]))
        assert "Not authorized to perform sts:AssumeRoleWithSAML" in denied(sts, proof, Role(arn))
        assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in denied(sts, token(sts), Role(arn))
    strict = FakeSTS(roles={HUB: Trust()}, others=None)
    assert strict.exchange(strict.user(), Role(HUB))
    assert denied(strict, strict.user(), Role(ROLE))


def test_callers_are_matched_by_patterns(sts: FakeSTS) -> None:
    """Callers are matched by patterns of users, roles, sessions, SAML providers and issuers."""
    sts.roles[ROLE] = Trust(["*:user/alice", HUB])
    assert sts.exchange(sts.user("alice"), Role(ROLE))
    assert denied(sts, sts.user("bob"), Role(ROLE))
    assert sts.exchange(sts.exchange(sts.user("bob"), Role(HUB)), Role(ROLE))
    sts.roles[ROLE] = Trust("*:assumed-role/Hub/me")
    assert sts.exchange(sts.exchange(sts.user(), Role(HUB, session_name="me")), Role(ROLE))
    assert denied(sts, sts.exchange(sts.user(), Role(HUB, session_name="you")), Role(ROLE))
    sts.roles[ROLE] = Trust("*:saml-provider/idp")
    assert sts.exchange(saml(sts), Role(ROLE))
    assert denied(sts, token(sts), Role(ROLE))
    sts.roles[ROLE] = Trust("https://idp.example.com", subjects="repo:me/*")
    assert sts.exchange(token(sts, subject="repo:me/app"), Role(ROLE))
    assert denied(sts, token(sts, subject="repo:you/app"), Role(ROLE))


@pytest.mark.parametrize(
    ("trust", "options"),
    [
        (Trust(external_id="canary-id"), {"external_id": "canary-id"}),
        (Trust(tags="team"), {"tags": {"team": "blue"}}),
        (Trust(tags="team"), {"tags": {"Team": "blue"}}),
        (Trust(source_identity=True), {"source_identity": "alice"}),
        (Trust(mfa=True), {"mfa": MFA(SERIAL, lambda _: "123456")}),
    ],
)
def test_the_conditions_of_a_role_apply(sts: FakeSTS, trust: Trust, options: dict[str, Any]) -> None:
    """A role with conditions is denied without them, and allowed with them."""
    sts.roles[ROLE] = trust
    assert denied(sts, sts.user(), Role(ROLE))
    assert denied(sts, saml(sts), Role(ROLE))
    assert sts.exchange(sts.user(), Role(ROLE, **options))
    assert "canary" not in repr(trust)


def test_values_at_the_limits_are_accepted(sts: FakeSTS) -> None:
    """Values exactly at the limits are accepted."""
    sts.roles[ROLE] = Trust(max_duration=timedelta(hours=2))
    policies = [f"arn:aws:iam::aws:policy/P{number}" for number in range(10)]
    assert sts.exchange(sts.user(), Role(ROLE, duration=timedelta(hours=2), policy_arns=policies))
    for by in (timedelta(minutes=15), timedelta(minutes=-15)):
        sts.next(ClockOff(by), ClockOff(by * 1.1))
        assert sts.exchange(sts.user(), Role(ROLE))
        assert refusal(sts, sts.user(), Role(ROLE)).code == "SignatureDoesNotMatch"


def test_a_proof_is_valid_until_its_expiration(sts: FakeSTS, clock: ManualClock) -> None:
    """A proof is valid from its first second until just before its expiration."""
    now, later = clock.now(), clock.now() + timedelta(seconds=1)
    early: list[Proof] = [
        saml(sts, not_before=later, not_on_or_after=later + timedelta(minutes=5)),
        saml(sts, issued_at=later, not_before=now),
    ]
    for assertion in early:
        assert "Response is not yet valid" in str(refusal(sts, assertion, Role(ROLE)))
    brief = token(sts, lifetime=timedelta(minutes=1))
    clock.advance(timedelta(seconds=59))
    assert all(sts.exchange(proof, Role(ROLE)) for proof in (*early, brief))
    clock.advance(timedelta(seconds=1))
    assert refusal(sts, brief, Role(ROLE)).code == "ExpiredToken"


def test_tags_and_source_identity_of_an_assertion_are_used(sts: FakeSTS) -> None:
    """Tags and source identity of an assertion are used."""
    sts.roles[ROLE] = Trust(tags=["team"], source_identity=True)
    assert sts.exchange(saml(sts, attributes={"PrincipalTag:Team": "x", "SourceIdentity": "bob"}), Role(ROLE))
    for name in ("aws:bob", "b", "bob the builder"):
        error = refusal(sts, saml(sts, attributes={"PrincipalTag:team": "x", "SourceIdentity": name}), Role(ROLE))
        assert error.code == "InvalidIdentityToken"
        assert 'Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"' in str(error)


def test_transitive_tags_and_source_identity_are_passed_along(sts: FakeSTS) -> None:
    """Transitive tags and the source identity are passed along a chain."""
    sts.roles[ROLE] = Trust(tags=["team"], source_identity=True)
    tags = {"team": "blue", "stays": "here"}
    hub = sts.exchange(sts.user(), Role(HUB, tags=tags, transitive_tag_keys=["team"], source_identity="alice"))
    assert sts.exchange(hub, Role(ROLE)).source_identity == "alice"
    assert "sts:SetSourceIdentity" in denied(sts, hub, Role(ROLE, source_identity="bob"))
    sts.roles[ROLE] = Trust(tags=["stays"])
    assert "sts:TagSession" in denied(sts, hub, Role(ROLE))


def test_one_code_is_enough_for_a_session(sts: FakeSTS) -> None:
    """One MFA code is enough for a session, and all its calls are authenticated."""
    sts.roles[ROLE] = Trust(mfa=True)
    user = sts.user()
    session = SessionToken(Static(user), MFA(SERIAL, "654321"), sts=sts).fetch()
    assert sts.exchange(session, Role(ROLE))
    assert denied(sts, user, Role(ROLE))


def test_a_session_of_a_role_has_no_mfa(sts: FakeSTS) -> None:
    """A session of a role is not authenticated with MFA."""
    sts.roles[ROLE] = sts.roles[HUB] = Trust(mfa=True)
    session = SessionToken(Static(sts.user()), MFA(SERIAL, "654322"), sts=sts).fetch()
    for hub in (sts.exchange(session, Role(HUB)), sts.exchange(sts.user(), Role(HUB, mfa=MFA(SERIAL, "654323")))):
        assert "is not authorized to perform: sts:AssumeRole" in denied(sts, hub, Role(ROLE))
    assert "unable to validate MFA code" in denied(sts, hub, Role(ROLE, mfa=MFA(SERIAL, "654324")))


# Faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P22")
def test_each_fault_of_next_applies_to_one_call(sts: FakeSTS) -> None:
    """Each fault of next() applies to one call. None is a call without a fault."""
    user = sts.user()
    sts.next(Throttle(), None, Throttle("Slow down"))
    error = refusal(sts, user, Role(ROLE))
    assert (error.code, error.http_status, error.retryable) == ("Throttling", 400, True)
    assert sts.exchange(user, Role(ROLE))
    assert "Slow down" in str(refusal(sts, user, Role(ROLE)))
    assert sts.exchange(user, Role(ROLE))
    assert [call.code for call in sts.calls] == ["Throttling", None, "Throttling", None]


def test_a_fault_of_always_lasts_until_it_is_removed(sts: FakeSTS) -> None:
    """A fault of always() lasts until it is removed. Faults of next() come first."""
    user = sts.user()
    sts.always(Refuse("IDPCommunicationErrorException", "Try again", 400))
    sts.next(None)
    assert sts.exchange(user, Role(ROLE))
    for _ in range(3):
        assert refusal(sts, user, Role(ROLE)).code == "IDPCommunicationError"
    sts.always(None)
    assert sts.exchange(user, Role(ROLE))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Hang(), "timeout"),
        (Drop(), "connection"),
        (Garbage(), "answer"),
        (GiveExpired(), "answer"),
        (Incomplete(), "answer"),
        (Incomplete("Credentials"), "answer"),
    ],
)
def test_each_invalid_response_has_the_kind_of_http(sts: FakeSTS, fault: Any, kind: str) -> None:
    """Each invalid response is an STSUnavailable of the same kind as over HTTP."""
    user = sts.user()
    sts.next(fault)
    with pytest.raises(STSUnavailable) as caught:
        sts.exchange(user, Role(ROLE))
    assert (caught.value.kind, caught.value.retryable, caught.value.role_arn) == (kind, True, ROLE)
    assert sts.calls[-1].fault == fault


def test_a_missing_field_that_is_not_needed_is_no_error(sts: FakeSTS) -> None:
    """A missing field that is not needed causes no error."""
    user = sts.user()
    sts.next(Incomplete("AssumedRoleUser"), Incomplete("Arn"), GiveExpired())
    assert sts.exchange(user, Role(ROLE)).assumed_role_arn is None
    with pytest.raises(STSUnavailable, match="does not contain account, ARN and user ID"):
        sts.caller_identity(user)
    assert sts.caller_identity(user)


def test_clock_off_changes_the_expirations(sts: FakeSTS) -> None:
    """ClockOff changes the expirations, the expiry checks and the signature times."""
    user = sts.user()
    session = sts.exchange(user, Role(ROLE))
    sts.always(ClockOff(timedelta(minutes=10)))
    assert sts.exchange(user, Role(ROLE)).expiration == START + timedelta(minutes=70)
    sts.always(ClockOff(timedelta(minutes=16)))
    error = refusal(sts, user, Role(ROLE))
    assert (error.code, error.clock_skew) == ("SignatureDoesNotMatch", timedelta(minutes=16))
    why = "20261125T120000Z is now earlier than 20261125T120100Z (20261125T121600Z - 15 min.)"
    assert f"Signature expired: {why}" in str(error)
    sts.always(ClockOff(timedelta(minutes=-16)))
    assert "Signature not yet current: 20261125T120000Z is still later than 20261125T115900Z" in str(
        refusal(sts, user, Role(ROLE))
    )
    sts.always(ClockOff(timedelta(minutes=5)))
    assert refusal(sts, saml(sts), Role(ROLE)).code == "ExpiredToken"
    assert sts.caller_identity(session)


def test_a_failed_refresh_keeps_valid_credentials(sts: FakeSTS, clock: ManualClock) -> None:
    """A failed refresh keeps valid credentials, which the test kit shows without waiting."""
    cached = Cached(AssumedRole(ROLE, source=Static(sts.user()), sts=sts), clock=clock)
    first = cached.fetch()
    clock.advance(timedelta(minutes=46))
    sts.next(Throttle())
    assert cached.fetch() == first
    clock.advance(timedelta(minutes=10))  # the longest pause after a failure
    assert cached.fetch() != first
    assert sts.count("AssumeRole") == 3


# Calls ------------------------------------------------------------------------------------------------------------


def test_recorded_calls_show_no_secrets(sts: FakeSTS) -> None:
    """A FakeSTS records calls. Secrets in them can be compared, and no repr shows them."""
    user = sts.user("alice")
    role = Role(ROLE, session_name="me", external_id="canary-id", mfa=MFA(SERIAL, "777888"), tags={"a": "b"})
    sts.exchange(user, role)
    sts.exchange(token(sts), Role(ROLE))
    first, second = sts.calls
    assert (first.operation, first.code, first.fault) == ("AssumeRole", None, None)
    assert (first.caller, first.access_key_id) == ("arn:aws:iam::123456789012:user/alice", user.access_key_id)
    assert first.parameters["ExternalId"] == "canary-id"
    assert first.parameters["Tags"] == [{"Key": "a", "Value": "b"}]
    assert (second.caller, second.access_key_id) == (None, None)
    shown = repr(sts.calls)
    assert "canary" not in shown
    assert "777888" not in shown
    assert str(second.parameters["WebIdentityToken"]) not in shown
    assert (sts.count(), sts.count("AssumeRole"), sts.count("GetCallerIdentity")) == (2, 1, 0)
    assert repr(sts) == "FakeSTS(account='123456789012', calls=2)"


def test_recorded_context_assertions_are_masked(sts: FakeSTS) -> None:
    """The context assertions of recorded calls are masked."""
    context = ProvidedContext(ROLE, Secret("canary-context"))
    sts.exchange(sts.user(), Role(ROLE, provided_contexts=[context]))
    sent = sts.calls[-1].parameters["ProvidedContexts"]
    assert sent == [{"ProviderArn": ROLE, "ContextAssertion": "canary-context"}]
    assert "canary" not in repr(sts.calls)


def test_a_call_that_stskit_refuses_is_not_recorded(sts: FakeSTS) -> None:
    """A call that stskit rejects is not recorded."""
    with pytest.raises(RoleError, match="external_id cannot be used with"):
        sts.exchange(token(sts), Role(ROLE, external_id="id"))
    with pytest.raises(RoleError, match="does not know the parameter New"):
        sts.exchange(sts.user(), Role(ROLE, extra={"New": 1}))
    assert sts.calls == []
