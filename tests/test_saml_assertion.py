"""What a `SAMLAssertion` says of itself: properties, roles, durations, and that it reads itself once."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from helpers import START, reachable_text
from saml_samples import ASSERTION, AWS, OTHER, PAIR, PROVIDER, ROLE, encoded, response, stamp

from stskit.errors import ProofInvalid, RoleError, RoleNotOffered
from stskit.proofs import SAMLAssertion, SAMLRole, saml_parser

MINUTE = timedelta(minutes=1)
ENCRYPTED = response().replace("a:Assertion", "a:EncryptedAssertion")
EVERYTHING = {
    "Role": [PAIR],
    "RoleSessionName": ["alice@example.com"],
    "SessionDuration": ["7200"],
    "SourceIdentity": ["alice"],
    "PrincipalTag:Team": ["blue"],
    "PrincipalTag:a:b": ["x y"],
    "TransitiveTagKeys": ["Team", "a:b"],
}


def assertion(xml: str, principal_arn: str | None = None) -> SAMLAssertion:
    return SAMLAssertion.from_text(xml, principal_arn)


def confirmed(**attributes: str) -> str:
    """Return a subject with a confirmation."""
    listed = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return (
        f"<a:Subject><a:SubjectConfirmation><a:SubjectConfirmationData {listed}/></a:SubjectConfirmation></a:Subject>"
    )


def test_an_assertion_shows_its_content() -> None:
    """An assertion shows its subject, audience, times, roles and tags."""
    xml = response(
        EVERYTHING,
        extra=confirmed(Recipient="https://signin.aws.amazon.com/saml")
        + f'<a:AuthnStatement SessionNotOnOrAfter="{stamp(START + 480 * MINUTE)}"/>',
    )
    it = assertion(xml)
    assert not it.is_encrypted
    assert it.roles == (SAMLRole(ROLE, PROVIDER),)
    assert (it.session_name, it.session_duration) == ("alice@example.com", timedelta(hours=2))
    assert (it.source_identity, it.tags) == ("alice", {"Team": "blue", "a:b": "x y"})
    assert it.transitive_tag_keys == ("Team", "a:b")
    assert (it.issuer, it.subject) == ("https://idp.example", "alice")
    assert (it.audience, it.recipient) == ("urn:amazon:webservices", "https://signin.aws.amazon.com/saml")
    assert (it.issued_at, it.not_before, it.not_on_or_after) == (START, START, START + 5 * MINUTE)
    assert it.session_not_on_or_after == START + 480 * MINUTE


def test_an_attribute_that_only_contains_principal_tag_is_not_a_tag() -> None:
    """An attribute that only contains the word PrincipalTag is not a tag."""
    xml = response({"PrincipalTag:Team": ["blue"]}).replace(f'"{AWS}PrincipalTag:', f'"urn:x:{AWS}PrincipalTag:')
    assert assertion(xml).tags == {}


def test_missing_parts_of_an_assertion_are_none() -> None:
    """Missing parts of an assertion are None or empty."""
    it = assertion(response({}, start=None, end=None, audiences=()))
    assert (it.roles, it.tags, it.transitive_tag_keys, it.audiences, it.invalid_role_count) == ((), {}, (), (), 0)
    silent = ["session_name", "session_duration", "source_identity", "audience", "recipient"]
    silent += ["not_before", "not_on_or_after", "session_not_on_or_after"]
    assert [getattr(it, name) for name in silent] == [None] * len(silent)


@pytest.mark.parametrize(
    ("extra", "begin", "end"),
    [
        (confirmed(NotOnOrAfter=stamp(START + 2 * MINUTE)), START, START + 2 * MINUTE),
        (confirmed(NotOnOrAfter=stamp(START + 9 * MINUTE)), START, START + 5 * MINUTE),
        (
            confirmed(NotOnOrAfter=stamp(START + MINUTE)) + confirmed(NotOnOrAfter=stamp(START + 3 * MINUTE)),
            START,
            START + 3 * MINUTE,
        ),
        (confirmed(NotBefore=stamp(START + MINUTE)), START + MINUTE, START + 5 * MINUTE),
    ],
)
def test_the_strictest_times_apply(extra: str, begin: datetime, end: datetime) -> None:
    """The strictest times of the conditions and the confirmation apply."""
    it = assertion(response(extra=extra))
    assert (it.not_before, it.not_on_or_after) == (begin, end)


@pytest.mark.parametrize("text", ["2026-11-25T12:00:00.123456789Z", "2026-11-25T12:00:00", "2026-11-25T13:00:00+01:00"])
def test_times_are_read_in_every_form(text: str) -> None:
    """Times with fractions, without a zone (UTC) and with another zone are read."""
    it = assertion(response().replace(stamp(START), text))
    assert it.issued_at is not None
    assert it.issued_at.replace(microsecond=0) == datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-25", "25.11.2026 12:00", "2026-02-30T12:00:00Z", "9999-12-31T23:59:59-01:00"]
)
def test_an_invalid_time_is_named(text: str) -> None:
    """The error for an invalid time has the name of the attribute."""
    it = assertion(response().replace(f'NotBefore="{stamp(START)}"', f'NotBefore="{text}"'))
    with pytest.raises(ProofInvalid, match="NotBefore of the SAML assertion is not a valid date and time") as caught:
        _ = it.not_before
    assert caught.value.__context__ is None


@pytest.mark.case("S27")
@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("900", 900),
        ("43200", 43200),
        ("899", None),
        ("43201", None),
        ("abc", None),
        ("", None),
        ("-900", None),
        ("9e2", None),
        ("٩٠٠", None),
        ("1" * 5000, None),
    ],
    ids=lambda value: str(value)[:8],
)
def test_a_session_duration_outside_its_limits_is_refused(value: str, taken: int | None) -> None:
    """SessionDuration outside 900 to 43,200 seconds is an error."""
    it = assertion(response({"SessionDuration": [value]}))
    if taken is not None:
        assert it.session_duration == timedelta(seconds=taken)
    else:
        with pytest.raises(
            ProofInvalid, match="SessionDuration of the SAML assertion is '.{0,20}', but STS allows 900 to 43,200"
        ):
            _ = it.session_duration


def test_the_audience_of_aws_is_shown() -> None:
    """Of several audiences, that of AWS is shown."""
    it = assertion(response(audiences=["https://app.example/sp", "https://signin.aws.amazon.com/saml"]))
    assert it.audience == "https://signin.aws.amazon.com/saml"
    assert assertion(response(audiences=["https://app.example/sp", "x"])).audience == "https://app.example/sp"


def test_an_assertion_is_parsed_once() -> None:
    """An assertion is parsed once for a thousand lookups."""
    it = SAMLAssertion(encoded(response()))
    with patch.object(saml_parser, "read", wraps=saml_parser.read) as reading:
        assert {it.principal_for(ROLE) for _ in range(1000)} == {PROVIDER}
    assert reading.call_count == 1


def test_a_parsed_assertion_is_equal_to_an_unparsed_one() -> None:
    """A parsed assertion is equal to one that was not parsed, and can be pickled."""
    it, fresh = assertion(response()), SAMLAssertion(encoded(response()))
    assert it.roles
    assert it == fresh
    assert hash(it) == hash(fresh)
    assert "app" not in repr(it)
    for other in (copy.deepcopy(it), pickle.loads(pickle.dumps(it))):
        assert (other, other.roles) == (it, it.roles)


# Roles and providers ----------------------------------------------------------------------------------------------


def test_a_given_provider_is_used_for_an_offered_role() -> None:
    """A given provider is used instead of the listed one."""
    assert assertion(response(), "arn:given").principal_for(ROLE) == "arn:given"


@pytest.mark.parametrize("principal", [None, "arn:given"])
def test_a_role_that_is_not_offered_is_an_error_with_the_offered_ones(principal: str | None) -> None:
    """A role that is not offered is an error with the offered roles, also with a given provider."""
    with pytest.raises(RoleNotOffered, match=f"does not offer {OTHER}. It offers: {ROLE}") as caught:
        assertion(response(), principal).principal_for(OTHER)
    assert caught.value.offered == (ROLE,)


@pytest.mark.case("S17")
@pytest.mark.parametrize("xml", [ENCRYPTED, response({})], ids=["encrypted", "no roles"])
def test_an_assertion_without_roles_needs_a_given_provider(xml: str) -> None:
    """An assertion that cannot be read, or has no roles, can be sent with a given provider."""
    it = assertion(xml, PROVIDER)
    assert it.principal_for(ROLE) == PROVIDER
    it.check_duration(43_200)


def test_with_a_given_provider_any_text_is_sent() -> None:
    """With a given provider, text that cannot be read is sent unchecked."""
    it = SAMLAssertion("anything", PROVIDER)
    assert it.principal_for(ROLE) == PROVIDER
    it.check_duration(43_200)
    with pytest.raises(ProofInvalid):
        SAMLAssertion("anything").principal_for(ROLE)


@pytest.mark.case("S17")
def test_an_encrypted_assertion_is_an_error_for_each_attribute() -> None:
    """Each attribute of an encrypted assertion raises an error with the next step."""
    it = assertion(ENCRYPTED)
    for name in ("roles", "session_name", "tags", "audience", "not_on_or_after", "invalid_role_count"):
        with pytest.raises(ProofInvalid, match=r"encrypted.*principal_arn="):
            getattr(it, name)
    with pytest.raises(ProofInvalid, match="encrypted"):
        it.principal_for(ROLE)
    assert repr(it) == "<SAMLAssertion: encrypted>"


@pytest.mark.parametrize(("seconds", "refused"), [(None, False), (3600, False), (3601, True)])
def test_a_duration_above_the_limit_of_the_assertion_is_an_error(seconds: int | None, refused: bool) -> None:
    """A duration above the limit of the assertion is an error with both numbers."""
    it = assertion(response({"SessionDuration": ["3600"]}))
    if refused:
        with pytest.raises(
            RoleError, match="duration is 3601 seconds, but the SAML assertion allows 3600. Pass a shorter duration"
        ):
            it.check_duration(seconds)
    else:
        it.check_duration(seconds)
    assertion(response()).check_duration(seconds)


@pytest.mark.case("S19")
@pytest.mark.parametrize("inner", ["", "AuthnFailed"])
def test_the_error_for_a_failed_sign_in_has_its_status(inner: str) -> None:
    """The error for a failed sign-in has the status of the identity provider."""
    code = f'<p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{inner}"/>' if inner else ""
    xml = response(status="Responder").replace('Responder"/>', f'Responder">{code}</p:StatusCode>')
    for each in (xml, xml[: xml.index("<a:Assertion")] + "</p:Response>"):
        with pytest.raises(ProofInvalid, match=f"status is 'Responder{' / ' * bool(inner)}{inner}'"):
            assertion(each)


@pytest.mark.case("S18")
@pytest.mark.parametrize(
    ("xml", "what"),
    [
        ("<Response xmlns='urn:oasis:names:tc:SAML:1.0:protocol'>canary</Response>", "a response of SAML 1.1"),
        ("<p:LogoutResponse xmlns:p='urn:oasis:names:tc:SAML:2.0:protocol'/>", "a SAML logout response"),
        ("<p:AuthnRequest xmlns:p='urn:oasis:names:tc:SAML:2.0:protocol'/>", "a SAML request"),
        (f"<Assertion xmlns='{ASSERTION}'>canary</Assertion>", "a SAML assertion without the response"),
        ("<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'>canary</s:Envelope>", "a SOAP message"),
        ("<html><body>canary</body></html>", "a web page"),
        ("<canary/>", "This is XML, not a SAML 2.0 response"),
    ],
)
def test_another_document_is_named_and_not_quoted(xml: str, what: str) -> None:
    """Another document is named in the error, and not quoted."""
    with pytest.raises(ProofInvalid, match=what) as caught:
        assertion(xml)
    assert "canary" not in reachable_text(caught.value)
