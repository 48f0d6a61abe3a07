"""Proofs made to order, as others see them: signxml and PyJWT, and stskit's own readers; and what they need."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import jwt
import pytest
from cryptography import x509
from helpers import START
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.exceptions import InvalidDigest, InvalidInput, InvalidSignature
from signxml.verifier import XMLVerifier

from stskit import Role, SAMLAssertion, WebIdentityToken
from stskit.errors import SourceMissing, STSError
from stskit.sources import SAMLFile
from stskit.sts import BotocoreSTS
from stskit.testing import FakeSTS, Flaw, IdentityProvider, ManualClock

ROLE = "arn:aws:iam::123456789012:role/Deploy"
PROVIDER = "arn:aws:iam::123456789012:saml-provider/idp"
IDP = IdentityProvider(clock=ManualClock(START))
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff", min_codepoint=32), min_size=1
)
TEXTS |= st.text("<>&\"'\t\n\r", min_size=1)


def verified(response: str, idp: IdentityProvider = IDP) -> Any:
    """Return the assertion whose signature of *idp* signxml verifies."""
    found: Any = XMLVerifier().verify(b64decode(response), x509_cert=idp.certificate)
    return found.signed_xml


def test_the_certificate_has_the_key_of_the_key_set() -> None:
    """The certificate has the key of the key set, and is valid long enough."""
    certificate = x509.load_pem_x509_certificate(IDP.certificate.encode())
    keys: Any = IDP.jwks()["keys"]
    public: Any = certificate.public_key()
    assert public.public_numbers() == jwt.PyJWK(keys[0]).key.public_numbers()
    assert public.key_size == 2048
    assert certificate.not_valid_after_utc > datetime(2100, 1, 1, tzinfo=UTC)
    assert set(keys[0]) == {"kty", "alg", "use", "kid", "n", "e"}


@pytest.mark.case("P22")
def test_signxml_verifies_a_saml_response() -> None:
    """A verifier (signxml) verifies a SAML response of the test kit, and stskit reads the requested content."""
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
    read = SAMLAssertion(response)
    assert [role.principal_arn for role in read.roles] == [PROVIDER.replace("idp", "other"), PROVIDER]
    assert (read.issuer, read.subject, read.session_name) == ("https://other.example", "Bob", "bob")
    assert (read.issued_at, read.not_before, read.not_on_or_after) == (START, START, START + timedelta(minutes=5))
    assert read.session_duration == timedelta(hours=2)
    assert read.session_not_on_or_after == START + timedelta(hours=1)
    assert (read.source_identity, dict(read.tags), read.transitive_tag_keys) == ("bob", {"team": "blue"}, ("team",))
    assert (read.audience, read.recipient) == (
        "https://signin.aws.amazon.com/saml",
        "https://eu-central-1.signin.aws.amazon.com/saml",
    )


def test_times_and_attributes_can_be_chosen() -> None:
    """Times and attributes can be chosen, and None omits an attribute."""
    later = START + timedelta(hours=1)
    response = IDP.saml_response(
        *(), roles=[ROLE], duration=900, issued_at=START, not_before=later, not_on_or_after=later, audience="urn:x",
        attributes={"RoleSessionName": None},
    )  # fmt: skip
    read = SAMLAssertion(response)
    assert (read.not_before, read.not_on_or_after, read.audience) == (later, later, "urn:x")
    assert (read.session_name, read.subject, read.session_duration) == (None, "alice", timedelta(minutes=15))


@settings(max_examples=50)
@given(TEXTS, TEXTS, TEXTS)
def test_any_text_is_signed_and_read_unchanged(subject: str, key: str, value: str) -> None:
    """Any text in elements and attributes is signed and read without a change."""
    response = IDP.saml_response(roles=[ROLE], subject=subject, attributes={f"PrincipalTag:{key}": value})
    verified(response)
    document = etree.fromstring(b64decode(response))
    saml = "{urn:oasis:names:tc:SAML:2.0:assertion}"
    assert document.findtext(f".//{saml}NameID") == subject
    *_, attribute = document.iter(f"{saml}Attribute")
    assert attribute.get("Name") == f"https://aws.amazon.com/SAML/Attributes/PrincipalTag:{key}"
    assert attribute.findtext(f"{saml}AttributeValue") == value


def test_text_that_xml_cannot_hold_is_refused() -> None:
    """Text that XML cannot contain is an error."""
    with pytest.raises(ValueError, match="XML compatible"):
        IDP.saml_response(roles=[ROLE], subject="a\0b")


@pytest.mark.parametrize("flaw", [flaw for flaw in get_args(Flaw) if flaw not in ("tampered", "wrong key", "unsigned")])
def test_a_saml_response_with_a_flaw_is_otherwise_valid(flaw: Flaw) -> None:
    """A response with a wrong time or audience is signed and otherwise valid."""
    response = IDP.saml_response(roles=[ROLE], flaw=flaw)
    read = SAMLAssertion(response)
    verified(response)
    assert read.issued_at is not None
    assert read.not_on_or_after is not None
    assert (flaw == "expired") == (read.not_on_or_after <= START - timedelta(hours=1))
    assert (flaw == "not yet valid") == (read.issued_at >= START + timedelta(hours=1))
    assert (flaw == "wrong audience") == (read.audience == "https://elsewhere.example")


@pytest.mark.parametrize(
    ("flaw", "error"), [("tampered", InvalidDigest), ("wrong key", InvalidSignature), ("unsigned", InvalidInput)]
)
def test_a_response_without_a_valid_signature_is_refused_by_verifiers(flaw: Flaw, error: type[Exception]) -> None:
    """Verifiers refuse a response without a valid signature."""
    response = IDP.saml_response(roles=[ROLE], flaw=flaw)
    with pytest.raises(error):
        verified(response)
    assert (SAMLAssertion(response).subject == "alice-else") == (flaw == "tampered")


def changed_at(spot: str) -> Callable[[str], str]:
    """Return the response with a changed letter after *spot*."""

    def change(xml: str) -> str:
        start = xml.index(spot, xml.index("<saml:Assertion")) + len(spot)
        return xml[:start] + ("B" if xml[start] != "B" else "C") + xml[start + 1 :]

    return change


def wrapped(xml: str) -> str:
    """Return a response with XML signature wrapping."""
    start, end = xml.index("<saml:Assertion"), xml.index("</saml:Assertion>") + len("</saml:Assertion>")
    original = re.sub("<ds:Signature .*</ds:Signature>", "", xml[start:end], flags=re.DOTALL)
    other = xml[start:end].replace("alice", "admin").replace(' ID="_', ' ID="_f', 1)
    return (
        xml[:start] + other.replace("</ds:Signature>", f"<ds:Object>{original}</ds:Object></ds:Signature>") + xml[end:]
    )


SPOILT: dict[str, Callable[[str], str]] = {
    "digest": changed_at("DigestValue>"),
    "algorithm": changed_at('Algorithm="http'),
    "identifier": changed_at(' ID="'),
    "signature": changed_at("SignatureValue>"),
    "no value": lambda xml: xml.replace("SignatureValue", "Other"),
    "empty value": lambda xml: xml[: xml.index("ureValue>") + 9] + xml[xml.index("</ds:SignatureValue") :],
    "wrapped": wrapped,
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_signature_that_was_changed_is_refused(name: str) -> None:
    """A changed or moved signature is refused."""
    sts = FakeSTS()
    xml = SPOILT[name](b64decode(sts.idp.saml_response(roles=[ROLE])).decode())
    with pytest.raises(STSError, match="InvalidIdentityToken.*(Response signature invalid|invalid SAML response)"):
        sts.exchange(SAMLAssertion(b64encode(xml.encode()).decode(), PROVIDER), Role(ROLE))


@pytest.mark.case("P22")
def test_pyjwt_verifies_a_token() -> None:
    """PyJWT verifies a token of the test kit with the key set, and stskit reads the requested content."""
    idp = IdentityProvider(clock=ManualClock())
    token = idp.oidc_token(
        subject="bob", audience=["a", "b"], lifetime=timedelta(minutes=5), claims={"nbf": None, "x": 1}
    )
    keys: Any = idp.jwks()["keys"]
    claims = jwt.decode(token, jwt.PyJWK(keys[0]).key, algorithms=["RS256"], audience="b", issuer=idp.issuer)
    assert claims["exp"] - claims["iat"] == 300
    assert (claims["sub"], claims["x"], "nbf" in claims) == ("bob", 1, False)
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": keys[0]["kid"], "typ": "JWT"}
    read = WebIdentityToken(token)
    assert (read.subject, read.audience, read.is_signed) == ("bob", "a", True)


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
def test_a_flawed_token_raises_its_error_in_pyjwt(flaw: Flaw, error: type[Exception]) -> None:
    """PyJWT raises the error of the flaw."""
    idp = IdentityProvider()
    keys: Any = idp.jwks()["keys"]
    with pytest.raises(error):
        jwt.decode(
            idp.oidc_token(flaw=flaw), jwt.PyJWK(keys[0]).key, algorithms=["RS256"], audience="sts.amazonaws.com"
        )


def test_a_proof_is_accepted_in_another_process() -> None:
    """A proof is accepted in another process, because the key is always the same."""
    code = "from stskit.testing import IdentityProvider; print(IdentityProvider().oidc_token())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert FakeSTS().exchange(WebIdentityToken(done.stdout.strip()), Role(ROLE)).subject == "alice"


def test_an_unknown_flaw_is_refused() -> None:
    """The error for an unknown flaw lists the valid ones."""
    unknown: Any = "late"
    with pytest.raises(ValueError, match="'late' is not a valid flaw. Pass one of expired, "):
        IDP.oidc_token(flaw=unknown)
    assert IdentityProvider(audiences="one").audiences == ("one",)


# The extra --------------------------------------------------------------------------------------------------------

WITHOUT = """
import sys
from datetime import timedelta

LIBRARIES = ("jwt", "signxml", "cryptography", "lxml")
for name in LIBRARIES:
    sys.modules[name] = None  # as if it were not installed

from stskit import AssumedRole, Cached, Credentials, Role, assume
from stskit.errors import STSError
from stskit.sources import Static
from stskit.sts import BotocoreSTS
from stskit.testing import FakeSTS, ManualClock, Throttle, check_source

ROLE = "arn:aws:iam::123456789012:role/Deploy"
clock = ManualClock()
sts = FakeSTS(clock=clock)
source = Static(sts.user())
cached = Cached(AssumedRole(ROLE, source=source, sts=sts), clock=clock)
first = cached.fetch()
clock.advance(timedelta(minutes=46))
sts.next(Throttle())
assert cached.fetch() == first
check_source(lambda: source)
with sts.serve() as url:
    assert assume(ROLE, source=source, sts=BotocoreSTS(endpoint_url=url)).account_id == "123456789012"
assert sts.idp.certificate.startswith("-----BEGIN CERTIFICATE-----")
print("fine")
"""


@pytest.mark.case("P23")
def test_only_signed_proofs_import_the_extra() -> None:
    """Only signed proofs import the packages of the extra."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("fine\n", "")


MAKERS: dict[str, Callable[[], object]] = {
    "an assertion": lambda: IDP.saml_response(roles=[ROLE]),
    "a token": IDP.oidc_token,
    "a key set": IDP.jwks,
    "a verified token": lambda: FakeSTS().exchange(WebIdentityToken("e30.e30.e30"), Role(ROLE)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_missing_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a missing extra has the install command."""
    for library in ("jwt", "jwt.exceptions", "jwt.algorithms", "signxml", "signxml.signer", "lxml", "lxml.etree"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SourceMissing, match="needs the package .*, which is not installed") as caught:
        MAKERS[name]()
    assert caught.value.remedy == "Run: pip install 'stskit[testing]'"


@pytest.mark.parametrize("seconds", [0, 899, 43_201, 10**12, -5])
def test_an_assertion_with_a_session_duration_out_of_range_is_refused(seconds: int, tmp_path: Path) -> None:
    """A SessionDuration outside its limits is a ValidationError, and the fake continues."""
    fake = FakeSTS()
    path = tmp_path / "response"
    path.touch(0o600)
    path.write_text(fake.idp.saml_response(roles=[SAML_ROLE], duration=seconds))
    proof = SAMLFile(path).fetch()
    with fake.serve() as url:
        for sts in (fake, BotocoreSTS(endpoint_url=url)):
            with pytest.raises(STSError, match="900 to 43,200") as caught:
                sts.exchange(proof, Role(SAML_ROLE))
            assert caught.value.code == "ValidationError"


SAML_ROLE = "arn:aws:iam::123456789012:role/R"
