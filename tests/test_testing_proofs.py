"""Proofs made to order, as others see them: signxml and lxml, PyJWT and cryptography, and stskit's own readers."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from helpers import START
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.exceptions import InvalidDigest, InvalidInput, InvalidSignature
from signxml.verifier import XMLVerifier

from stskit import SAMLAssertion, WebIdentityToken
from stskit.testing import Flaw, IdentityProvider, ManualClock, _rsa, _saml

ROLE = "arn:aws:iam::123456789012:role/Deploy"
PROVIDER = "arn:aws:iam::123456789012:saml-provider/idp"
IDP = IdentityProvider(clock=ManualClock(START))
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff", min_codepoint=32), min_size=1
)
TEXTS |= st.text("<>&\"'\t\n\r", min_size=1)


def verified(response: str, idp: IdentityProvider = IDP) -> Any:
    """The assertion that signxml finds to be signed by *idp*."""
    found: Any = XMLVerifier().verify(b64decode(response), x509_cert=idp.certificate)
    return found.signed_xml


@pytest.mark.parametrize("key", [_rsa.KEY, _rsa.OTHER_KEY])
def test_the_keys_are_what_their_certificates_say(key: _rsa.RSAKey) -> None:
    """Two different ones of 2,048 bits, for longer than anybody will test with them."""
    certificate = x509.load_pem_x509_certificate(key.pem.encode())
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.public_numbers().n == key.modulus
    assert public.key_size == 2048
    assert certificate.not_valid_after_utc > datetime(2100, 1, 1, tzinfo=UTC)
    assert repr(key) == "RSAKey()"
    assert _rsa.KEY.modulus != _rsa.OTHER_KEY.modulus


def test_a_saml_response_is_one_for_others() -> None:
    """Signxml verifies it, and stskit reads in it what was ordered."""
    idp = IdentityProvider("https://other.example", name="other", clock=ManualClock(START))
    response = idp.saml_response(
        roles=[ROLE, (ROLE, PROVIDER)],
        session_name="bob",
        subject="Bob",
        duration=timedelta(hours=2),
        attributes={"SourceIdentity": "bob", "PrincipalTag:team": ["blue"], "TransitiveTagKeys": ["team"]},
        recipient="https://eu-central-1.signin.aws.amazon.com/saml",
        session_not_on_or_after=START + timedelta(hours=1),
    )
    assert verified(response, idp).tag.endswith("}Assertion")
    said = SAMLAssertion(response)
    assert [role.principal_arn for role in said.roles] == [PROVIDER.replace("idp", "other"), PROVIDER]
    assert (said.issuer, said.subject, said.session_name) == ("https://other.example", "Bob", "bob")
    assert (said.issued_at, said.not_before, said.not_on_or_after) == (START, START, START + timedelta(minutes=5))
    assert said.session_duration == timedelta(hours=2)
    assert said.session_not_on_or_after == START + timedelta(hours=1)
    assert (said.source_identity, dict(said.tags), said.transitive_tag_keys) == ("bob", {"team": "blue"}, ("team",))
    assert (said.audience, said.recipient) == (
        "https://signin.aws.amazon.com/saml",
        "https://eu-central-1.signin.aws.amazon.com/saml",
    )


def test_times_and_attributes_can_be_ordered_one_by_one() -> None:
    """What is None is left out."""
    later = START + timedelta(hours=1)
    response = IDP.saml_response(
        *(), roles=[ROLE], duration=900, issued_at=START, not_before=later, not_on_or_after=later, audience="urn:x",
        attributes={"RoleSessionName": None},
    )  # fmt: skip
    said = SAMLAssertion(response)
    assert (said.not_before, said.not_on_or_after, said.audience) == (later, later, "urn:x")
    assert (said.session_name, said.subject, said.session_duration) == (None, "alice", timedelta(minutes=15))


@settings(max_examples=50)
@given(TEXTS, TEXTS, TEXTS)
def test_any_text_comes_out_in_canonical_form(subject: str, name: str, value: str) -> None:
    """What is signed is what canonical XML makes of it, so that any verifier agrees."""
    response = IDP.saml_response(
        roles=[ROLE], subject=subject, recipient=name, attributes={f"PrincipalTag:{name}": value}
    )
    xml = b64decode(response)
    assertion = verified(response)
    written = xml[xml.index(b"<saml:Assertion ") : xml.index(b"</samlp:Response>")]
    signature = written[written.index(b"<ds:Signature ") : written.index(b"</ds:Signature>") + len("</ds:Signature>")]
    canonical: Any = etree.tostring(assertion, method="c14n", exclusive=True)
    assert canonical in (written, written.replace(signature, b""))
    assert _saml.is_signed_by(xml.decode(), IDP.key)


@pytest.mark.parametrize("flaw", [flaw for flaw in get_args(Flaw) if flaw not in ("tampered", "wrong key", "unsigned")])
def test_a_saml_response_with_a_flaw_is_sound_otherwise(flaw: Flaw) -> None:
    """It is signed, and out of its time or for somebody else, by more than any allowance for clocks."""
    response = IDP.saml_response(roles=[ROLE], flaw=flaw)
    said = SAMLAssertion(response)
    verified(response)
    assert said.issued_at is not None
    assert said.not_on_or_after is not None
    assert (flaw == "expired") == (said.not_on_or_after <= START - timedelta(hours=1))
    assert (flaw == "not yet valid") == (said.issued_at >= START + timedelta(hours=1))
    assert (flaw == "wrong audience") == (said.audience == "https://elsewhere.example")


@pytest.mark.parametrize(
    ("flaw", "error"), [("tampered", InvalidDigest), ("wrong key", InvalidSignature), ("unsigned", InvalidInput)]
)
def test_a_saml_response_of_nobody_is_refused_by_others(flaw: Flaw, error: type[Exception]) -> None:
    """The reader of stskit, which verifies nothing, takes it."""
    response = IDP.saml_response(roles=[ROLE], flaw=flaw)
    with pytest.raises(error):
        verified(response)
    assert not _saml.is_signed_by(b64decode(response).decode(), IDP.key)
    assert (SAMLAssertion(response).subject == "alice-else") == (flaw == "tampered")


@pytest.mark.parametrize("spoil", ["DigestValue>", 'Algorithm="http', ' ID="', "SignatureValue>"])
def test_a_signature_that_was_tampered_with_does_not_count(spoil: str) -> None:
    """Whichever part of it."""
    xml = b64decode(IDP.saml_response(roles=[ROLE])).decode()
    start = xml.index(spoil, xml.index("<saml:Assertion")) + len(spoil)
    assert not _saml.is_signed_by(xml[:start] + ("B" if xml[start] != "B" else "C") + xml[start + 1 :], IDP.key)
    assert not _saml.is_signed_by(xml.replace("SignatureValue", "Other"), IDP.key)


def test_a_token_is_one_for_others() -> None:
    """PyJWT verifies it by the key set, and stskit reads in it what was ordered."""
    idp = IdentityProvider(clock=ManualClock())
    token = idp.oidc_token(
        subject="bob", audience=["a", "b"], lifetime=timedelta(minutes=5), claims={"nbf": None, "x": 1}
    )
    keys: Any = idp.jwks()["keys"]
    claims = jwt.decode(token, jwt.PyJWK(keys[0]).key, algorithms=["RS256"], audience="b", issuer=idp.issuer)
    assert claims["exp"] - claims["iat"] == 300
    assert (claims["sub"], claims["x"], "nbf" in claims) == ("bob", 1, False)
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": keys[0]["kid"], "typ": "JWT"}
    said = WebIdentityToken(token)
    assert (said.subject, said.audience, said.is_signed) == ("bob", "a", True)


@pytest.mark.parametrize(
    ("flaw", "error"),
    {
        "expired": jwt.ExpiredSignatureError,
        "not yet valid": jwt.ImmatureSignatureError,
        "wrong audience": jwt.InvalidAudienceError,
        "wrong key": jwt.InvalidSignatureError,
        "tampered": jwt.InvalidSignatureError,
        "unsigned": jwt.InvalidAlgorithmError,
    }.items(),
)
def test_a_token_with_a_flaw_has_that_one_for_others(flaw: Flaw, error: type[Exception]) -> None:
    """By the library that most use."""
    idp = IdentityProvider()
    keys: Any = idp.jwks()["keys"]
    with pytest.raises(error):
        jwt.decode(
            idp.oidc_token(flaw=flaw), jwt.PyJWK(keys[0]).key, algorithms=["RS256"], audience="sts.amazonaws.com"
        )


def test_a_flaw_that_nobody_knows_is_told() -> None:
    """With those that can be ordered."""
    unknown: Any = "late"
    with pytest.raises(ValueError, match="there is no flaw 'late'; these can be ordered: expired, "):
        IDP.oidc_token(flaw=unknown)
    assert IdentityProvider(audiences="one").audiences == ("one",)
    assert "key" not in repr(IDP)
