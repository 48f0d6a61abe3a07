"""The remedy fits the error of STS, and includes facts that can explain it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import jwt
import pytest
from fake_server import Answer, fake_server, refused, told
from helpers import START
from hypothesis import given
from hypothesis import strategies as st
from saml_samples import PAIR, PROVIDER, ROLE, encoded, response

from stskit import Credentials, Role, SAMLAssertion, WebIdentityToken
from stskit.errors import STSError
from stskit.proofs import Proof
from stskit.sts import BotocoreSTS, refusals
from stskit.sts.remedies import ANY_5XX, ANY_OTHER, REMEDIES, remedy_for
from stskit.sts.requests import OPERATIONS

KEY = "a key that is long enough for it"
BASE = Credentials("AKIABASE", "base-secret-canary", "base-token-canary")
CLAIMS = {"iss": "https://idp", "sub": "alice", "aud": "sts.amazonaws.com", "exp": int(START.timestamp())}
WEB = WebIdentityToken(jwt.encode(CLAIMS, KEY))
SAML = SAMLAssertion(encoded(response({"Role": [PAIR], "RoleSessionName": ["alice"]})))

ANY_ROLE = Role(ROLE)


def refusal(answer: Answer, proof: Proof = BASE, role: Role = ANY_ROLE) -> STSError:
    with fake_server(answer) as server, pytest.raises(STSError) as caught:
        BotocoreSTS(endpoint_url=server.url).exchange(proof, role)
    return caught.value


# The table --------------------------------------------------------------------------------------------------------


def test_no_pattern_is_slow_for_a_long_message() -> None:
    """No pattern needs long for a message of a megabyte."""
    start = time.process_time()
    remedy_for("InvalidIdentityToken", "AssumeRoleWithSAML", "within " * 140_000, 400)
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("code", "operation", "message", "words"),
    [
        ("AccessDenied", "AssumeRole", "", "sts:TagSession"),
        (
            "AccessDenied",
            "AssumeRole",
            "MultiFactorAuthentication failed with invalid MFA",
            "MFA code",
        ),
        (
            "AccessDenied",
            "GetSessionToken",
            "Cannot call GetSessionToken with session credentials",
            "keys of an IAM user",
        ),
        ("AccessDenied", "AssumeRoleWithSAML", "", "AWSReservedSSO_"),
        ("AccessDenied", "AssumeRoleWithWebIdentity", "", "subject (sub)"),
        ("ExpiredToken", "AssumeRole", "", "credentials that signed the call have expired"),
        ("ExpiredToken", "AssumeRoleWithSAML", "", "Sign in again"),
        ("ExpiredToken", "AssumeRoleWithWebIdentity", "", "Get a new token"),
        ("InvalidIdentityToken", "AssumeRoleWithWebIdentity", "Couldn't retrieve verification key from", "many jobs"),
        ("InvalidIdentityToken", "AssumeRoleWithWebIdentity", "No OpenIDConnect provider found in", "Create an OpenID"),
        ("InvalidIdentityToken", "AssumeRoleWithWebIdentity", "Incorrect token audience", "sts.amazonaws.com.cn"),
        ("InvalidIdentityToken", "AssumeRoleWithWebIdentity", "other", "is registered"),
        (
            "InvalidIdentityToken",
            "AssumeRoleWithSAML",
            "RoleSessionName in AuthnResponse must match",
            "RoleSessionName",
        ),
        ("InvalidIdentityToken", "AssumeRoleWithSAML", "Source Identity must match [a-z]", "and SourceIdentity"),
        (
            "InvalidIdentityToken",
            "AssumeRoleWithSAML",
            "must be used within 5 minutes of issue",
            "save the new response",
        ),
        ("InvalidIdentityToken", "AssumeRoleWithSAML", "Response signature invalid", "current metadata"),
        ("SignatureDoesNotMatch", "AssumeRole", "Signature expired: 2026 is now earlier than", "Set the clock"),
        ("SignatureDoesNotMatch", "AssumeRole", "The request signature we calculated", "secret access key"),
        (
            "ValidationError",
            "AssumeRole",
            "exceeds the 1 hour limit for role chaining",
            "at most one hour",
        ),
        (
            "ValidationError",
            "AssumeRole",
            "exceeds the MaxSessionDuration set for this role",
            "maximum session duration",
        ),
        ("ValidationError", "AssumeRoleWithSAML", "principal exists outside the account of the Role", "same account"),
        ("ValidationError", "AssumeRole", "1 validation error detected", "that STS names"),
        ("MissingAuthenticationToken", "AssumeRole", "", "not signed"),
        ("UnrecognizedClient", "AssumeRole", "", "does not know the access key ID"),
        ("TooManyRequests", "AssumeRole", "", "Too many calls"),
        ("RequestTimeTooSkewed", "AssumeRole", "", "Set the clock"),
    ],
)
def test_the_remedy_depends_on_the_answer_of_sts(code: str, operation: str, message: str, words: str) -> None:
    """The remedy depends on the code, the operation and the message."""
    assert words in remedy_for(code, operation, message, 400).text


def test_each_row_can_be_reached() -> None:
    """Each row of the table can be reached."""
    for number, row in enumerate(REMEDIES):
        for earlier in REMEDIES[:number]:
            is_general = not earlier.message_pattern and earlier.operation in ("", row.operation)
            assert not (is_general and earlier.code == row.code), (earlier, row)


def test_the_rows_name_existing_operations() -> None:
    """The rows name existing operations."""
    assert {row.operation for row in REMEDIES} - {""} <= set(OPERATIONS)
    assert {row.context for row in REMEDIES} == {"", "proof", "clock", "both", "policy"}


@pytest.mark.case("P4")
@given(st.text(), st.sampled_from([*OPERATIONS]), st.text(), st.integers(400, 599))
def test_every_response_has_a_remedy(code: str, operation: str, message: str, status: int) -> None:
    """There is a remedy for every response."""
    assert remedy_for(code, operation, message, status) in (*REMEDIES, ANY_5XX, ANY_OTHER)


# What is known ----------------------------------------------------------------------------------------------------


@pytest.mark.case("P30")
def test_the_error_for_a_refused_token_has_its_claims() -> None:
    """The error for a refused token has its claims and times."""
    error = refusal(refused("AccessDenied", status=403), WEB)
    assert error.remedy.endswith(
        "The token has: issuer 'https://idp', audience 'sts.amazonaws.com', subject 'alice', "
        "valid until 2026-11-25 12:00:00 UTC."
    )
    assert WEB.value not in told(error)


@pytest.mark.case("P30")
def test_the_error_for_a_refused_assertion_has_its_content() -> None:
    """The error for a refused assertion has its audience, session name, times and roles."""
    error = refusal(refused("AccessDenied", status=403), SAML)
    assert error.remedy.endswith(
        "The assertion has: issuer 'https://idp.example', audience 'urn:amazon:webservices', session name 'alice', "
        "issued at 2026-11-25 12:00:00 UTC, valid from 2026-11-25 12:00:00 UTC, "
        f"valid until 2026-11-25 12:05:00 UTC. It offers the roles {ROLE}."
    )
    assert SAML.value not in told(error)


@pytest.mark.parametrize(
    "proof", [WebIdentityToken("opaque-token"), SAMLAssertion("junk", PROVIDER)], ids=["token", "assertion"]
)
def test_a_proof_that_cannot_be_read_has_no_facts(proof: Proof) -> None:
    """For a proof that cannot be read, the error has no facts about its content."""
    assert refusals.describe_proof(proof) == ""
    assert refusal(refused("AccessDenied", status=403), proof).remedy.endswith(".")


def test_an_assertion_without_roles_has_no_list_of_roles() -> None:
    """For an assertion without roles, the error has no list of roles."""
    assert "offers" not in refusals.describe_proof(SAMLAssertion(encoded(response({}))))


@pytest.mark.parametrize(("status", "row"), [(499, ANY_OTHER), (500, ANY_5XX), (599, ANY_5XX)])
def test_the_remedy_for_an_unknown_code_depends_on_the_status(status: int, row: object) -> None:
    """The remedy for an unknown code depends on the status."""
    assert remedy_for("Novelty", "AssumeRole", "", status) is row


def test_long_lists_and_claims_are_shortened() -> None:
    """Long lists and claims are shortened in an error."""
    many = SAMLAssertion(encoded(response({"Role": [PAIR.replace("app", f"r{number}") for number in range(50)]})))
    assert refusals.describe_proof(many).endswith("role/r19 and 30 more.")
    assert len(refusals.describe_proof(WebIdentityToken(jwt.encode({"sub": "x" * 5000}, KEY)))) < 300


def test_the_error_for_refused_credentials_has_the_key_id() -> None:
    """The error for refused credentials has their key ID, and their identity and expiration if known."""
    assert "The call was signed with AKIABASE." in refusal(refused("InvalidClientTokenId")).remedy
    session = Credentials("ASIA", "s", "t", START, assumed_role_arn="arn:aws:sts::123456789012:assumed-role/Hub/me")
    assert refusals.describe_proof(session) == (
        "The call was signed with ASIA of arn:aws:sts::123456789012:assumed-role/Hub/me, "
        "valid until 2026-11-25 12:00:00 UTC."
    )


@pytest.mark.case("E4")
@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (
            '{"Version": "2012-10-17",\n "Statement": }',
            "The policy is not valid JSON at line 2, column 15 (Expecting value).",
        ),
        ("[" * 100_000, "The policy is nested too deeply."),
        ('{"Version": "2012"}', "The policy has 19 characters."),
    ],
)
def test_the_error_for_a_refused_policy_has_the_position(policy: str, words: str) -> None:
    """The error for a refused policy has the position of the error."""
    error = refusal(refused("MalformedPolicyDocument", "Syntax errors in policy."), role=Role(ROLE, policy=policy))
    assert error.remedy.endswith(words)


@pytest.mark.case("E4")
def test_the_error_for_a_large_policy_has_the_used_part() -> None:
    """The error for a too large policy has the used part of the packed size."""
    error = refusal(
        refused("PackedPolicyTooLargeException", "Packed size of session tags consumes 112% of the space allotted.")
    )
    assert error.code == "PackedPolicyTooLarge"
    assert "112%" in str(error)
    assert "Transitive tags" in error.remedy


# Clocks -----------------------------------------------------------------------------------------------------------


def dated(code: str, seconds: float) -> Answer:
    """Return an error response of a server with a different clock."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    return Answer(refused(code, "No.").body, 403, {"Date": date})


@pytest.mark.case("E15", "P30")
@pytest.mark.parametrize(
    ("seconds", "words"),
    [(601, "10 min behind that of STS."), (-901, "15 min ahead of that of STS."), (30, None), (-30, None)],
)
@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "RequestExpired", "ExpiredToken"])
def test_an_error_about_time_has_the_clock_difference(seconds: int, words: str | None, code: str) -> None:
    """An error about time has the difference between the clocks."""
    error = refusal(dated(code, seconds))
    assert error.clock_skew is not None
    assert abs(error.clock_skew - timedelta(seconds=seconds)) < timedelta(seconds=3)
    assert ("The clock of this machine is" in error.remedy) == (words is not None)
    assert error.remedy.endswith(words or ".")


def test_other_errors_do_not_mention_the_clocks() -> None:
    """Other errors do not mention the clocks, but have the attribute."""
    error = refusal(dated("AccessDenied", 9999))
    assert error.clock_skew
    assert "clock" not in error.remedy


@pytest.mark.parametrize("headers", [{"Date": "soon"}, {"Date": ""}])
def test_a_response_without_a_date_has_no_clock_difference(headers: dict[str, str]) -> None:
    """A response without a valid date has no clock difference."""
    assert refusal(Answer(refused("RequestExpired").body, 403, headers)).clock_skew is None
