"""The fake and SeaweedFS, which verifies proofs, accept and refuse the same requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from local_aws import LocalAWS

from stskit import Credentials, Role, SAMLAssertion, WebIdentityToken
from stskit.errors import STSError
from stskit.proofs import Proof
from stskit.sts import BotocoreSTS
from stskit.testing import FakeSTS, Flaw, Trust


@pytest.fixture
def fake(aws: LocalAWS, base: Credentials) -> FakeSTS:
    """Return a fake with the roles of SeaweedFS."""
    known = {
        aws.hub_role: Trust("*:user/developer"),
        aws.web_role: Trust(),
        aws.web_alice_role: Trust(subjects="alice"),
    }
    sts = FakeSTS(roles={**known, aws.target_role: Trust("*:assumed-role/Hub/*")}, others=None)
    sts.user("developer", base)
    return sts


def told(call: Callable[[], object]) -> tuple[str | None, int | None] | None:
    """Return the code and the status of an error, or None."""
    try:
        call()
    except STSError as error:
        return error.code, error.http_status
    return None


def agree(aws: LocalAWS, fake: FakeSTS, call: Callable[[BotocoreSTS], object]) -> tuple[str | None, int | None] | None:
    """Check that both servers give the same result, and return it."""
    with fake.serve() as url:
        here, there = (told(lambda each=each: call(BotocoreSTS(endpoint_url=each))) for each in (url, aws.sts_url))  # type: ignore[misc]
    assert here == there
    return here


CALLS: dict[str, tuple[Callable[[LocalAWS, Credentials], tuple[Proof, Role]], object]] = {
    "the hub": (lambda aws, base: (base, Role(aws.hub_role)), None),
    "no such role": (lambda aws, base: (base, Role(f"{aws.hub_role}X")), ("AccessDenied", 403)),
    "not trusted": (lambda aws, base: (base, Role(aws.target_role)), ("AccessDenied", 403)),
    "wrong secret": (
        lambda aws, base: (evolve(base, secret_access_key="wrong"), Role(aws.hub_role)),
        ("SignatureDoesNotMatch", 403),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_fake_and_seaweedfs_agree_on_calls(aws: LocalAWS, fake: FakeSTS, base: Credentials, name: str) -> None:
    """The fake and SeaweedFS give the same code and status for the same call."""
    if not aws.has_seaweedfs:
        pytest.skip("no SeaweedFS here")
    proof, role = CALLS[name][0](aws, base)
    assert agree(aws, fake, lambda sts: sts.exchange(proof, role)) == CALLS[name][1]


def test_the_fake_and_seaweedfs_agree_on_tokens(aws: LocalAWS, fake: FakeSTS) -> None:
    """The fake and SeaweedFS give the same result for valid, expired and untrusted tokens."""
    if not aws.has_seaweedfs:
        pytest.skip("no SeaweedFS here")
    from datetime import timedelta

    theirs, ours = BotocoreSTS(endpoint_url=aws.sts_url), fake
    for arn, subject, lifetime in (
        (aws.web_role, "alice", timedelta(hours=1)),
        (aws.web_alice_role, "bob", timedelta(hours=1)),
        (aws.web_role, "alice", timedelta(hours=-1)),
    ):
        there = WebIdentityToken(aws.idp.oidc_token(subject=subject, lifetime=lifetime))
        here = WebIdentityToken(fake.idp.oidc_token(subject=subject, lifetime=lifetime))
        assert told(lambda: theirs.exchange(there, Role(arn))) == told(lambda: ours.exchange(here, Role(arn)))  # noqa: B023


@pytest.mark.parametrize("flaw", ["not yet valid", "wrong audience", "wrong key", "tampered", "unsigned"])
def test_seaweedfs_refuses_keys_of_the_fake(aws: LocalAWS, fake: FakeSTS, flaw: Flaw) -> None:
    """SeaweedFS refuses keys of the fake, with its own codes."""
    if not aws.has_seaweedfs:
        pytest.skip("no SeaweedFS here")
    proof = WebIdentityToken(fake.idp.oidc_token(flaw=flaw, claims={"iss": aws.idp.issuer}))
    for sts in (BotocoreSTS(endpoint_url=aws.sts_url), fake):
        found: Any = told(lambda: sts.exchange(proof, Role(aws.web_role)))  # noqa: B023
        assert found
        assert found[1] in (400, 403)


def test_moto_accepts_a_saml_response_of_the_test_kit(aws: LocalAWS, fake: FakeSTS) -> None:
    """Moto accepts a SAML response of the test kit, with the same session."""
    fake.roles[aws.saml_role] = Trust()
    proof = SAMLAssertion(fake.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)], session_name="bob"))
    given = [sts.exchange(proof, Role(aws.saml_role)) for sts in (BotocoreSTS(endpoint_url=aws.saml_url), fake)]
    assert len({each.assumed_role_arn for each in given}) == 1
