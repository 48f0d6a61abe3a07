"""The signing key of `stskit.testing`. Sign proofs and verify signatures with PyJWT and signxml.

Nothing of these libraries is imported before a proof is made or judged. They come with ``stskit[testing]``.

https://docs.oasis-open.org/security/saml/v2.0/saml-core-2.0-os.pdf; https://www.rfc-editor.org/rfc/rfc7519;
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, wraps
from hashlib import sha256
from textwrap import wrap
from typing import Any, Final, Literal, ParamSpec, TypeAlias, TypeVar
from uuid import uuid4

from attrs import frozen

from stskit.errors import SourceMissing

__all__ = [
    "CERTIFICATE",
    "KEY_ID",
    "Flaw",
    "Statement",
    "is_assertion_signed",
    "is_token_signed",
    "jwk",
    "private_key",
    "signed_saml",
    "token",
    "unverified",
]

P = ParamSpec("P")
R = TypeVar("R")

Flaw: TypeAlias = Literal["expired", "not yet valid", "wrong audience", "wrong key", "tampered", "unsigned"]
"""A flaw of a proof: its times, its audience, a wrong key, a change after signing, or a missing signature."""

_SAML: Final = "urn:oasis:names:tc:SAML:2.0:"
_ASSERTION: Final = f"{{{_SAML}assertion}}Assertion"
_DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"

# The private key (DER, base64) and its certificate. Both are public, so use them for tests only. They are fixed, so
# that a FakeSTS in another process accepts proofs of this one.
_KEY: Final = (
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCV47Pfs10fpuEuTNWBJTbxH2v8I6JtUa2yuwrLdihoAZB7D1IeIWP3Q2"
    "BedpEHlpWTQ0RLtrHhlf1f3xMQavoiZEtGwAcAYZLRqavD13YCTDi4BHwAm5gFhrBoSF6l2zoxicKzT4xpFxSqd2oyScnuQcMzMUtJlfU8"
    "yBgqEyQ6pnsJp7NkTln3MltcVorZ/gvel2fjdLHsL3EHoCuNjVwTS7DPDeUUDcnzmlFiCTvsrU2q5pPq1W8MDXk/e63Kr9Kjd+45rGjT1y"
    "K1SThVSasW5ajUpywjn4KABvQAG3pSQFShOm/79rXcf+nRQfNv8Dz455x8Cyt0ZwQOPghxBfN9AgMBAAECggEATE6DwBq8CeUXNk7/UqPz"
    "eIWan940TpsKZrc6I6Kfp3NEbqG6GIS/M54lbXHHG6nZtALGvhTgMgv91dTnC7Cqbt/IQth3uAX0jLBoNWd3OGw9Y9FEn7qWhhmvrSdKp/"
    "0Xfyi26jpRLR8G8lGgysEuABGSonkx7uBc3Piw9JqSExjujRpoIBwOaydh77xhP2NL91GnjvW4GzUzRvT8mUqdCq/B0p7HX0lqilLZ8gpi"
    "AoxiHixjO3HKnna3lFRVvkybWmYn0WsbSsuTW3aFvfDNBaDdoZV6epv1UZ4W0XEwJVCgKNsPHtVJT0BiQtTfCZcZRzcAhWKPm/pBWpDlIY"
    "OBAQKBgQDFqZCmzYqVLcvAR170AtCdAaK0Qfb/xGqtwG8TQZySC+vKN1kzFzuwj+Wu98BxeVJwMd8g6+yrval1qhaPFV9QhjWo3mBd845M"
    "RI64bvmJQUgEL9FmJsNu+Vj5bGvHBwLlphhh2EaSO7/AfDWDn/NKNIuD7NUxhs4krSbuwi2i8QKBgQDCIKSPOXXahcXlNZMgpflyOBkUfU"
    "PRg+UvV7OxF+yRBjPDGD0DRjLbNb/VuZbeyscEjfEQakLbrGuEjsQoDI2aVnTtD0gjoTi9GKjP2SBx87W96kRDZMNmkN+yNZXYgPmve9Rf"
    "40NOGeih3WNXbJ9Y3FvKgd3x1jIbOM4t1DkBTQKBgEw7AAGEhazQ06KdI96hc0kKB3DTe+naG3ZVH8FibXrZxB7hx7HvhOKsLF2VSQ+6RX"
    "Pll/L/afA2HjO13Ctkh7TrfahZ0vqI4tlBG3W/vtcTaS3ML0rhKkATRCA1kz9X0eM1cnPR0C23g1U90fmoZ1C4ARJo9TO7lKcKbFhqZOVR"
    "AoGBALlEkgimnBVragxwbvPPsxsQ8s6dJiZErGvcVYAEBx/5PVlKPqBrVInk6Co/Lv99oyZzmMdDwn8INKyT3B0krdfH/1tnJD/s08uURz"
    "fmTpKyNpcDhxaSifHO/c6EWXgAz0ps8ah5qnhVPbGNKgv7fLA/zdKc0obFF5jnQ851JdpZAoGBAKZslRSHBS0R9tqTYEXzwjKv+kOcoy/w"
    "3MYz7SprbNjJQ0U6l+hZCPAjiYkAowOXBqANtA0ud2abow2M9c304+uyeJZLc8dqZ4Uy9MJTeMTHKy29jN63CF+IgOc8rEikNdc0V96Pex"
    "abrLMP2mRTI7irviCS13phYGJzqh6F49zH"
)
_CERTIFICATE: Final = (
    "MIICrTCCAZWgAwIBAgIBATANBgkqhkiG9w0BAQsFADAZMRcwFQYDVQQDDA5zdHNraXQudGVzdGluZzAgFw0yMDAxMDEwMDAwMDBaGA8yMT"
    "IwMDEwMTAwMDAwMFowGTEXMBUGA1UEAwwOc3Rza2l0LnRlc3RpbmcwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQCV47Pfs10f"
    "puEuTNWBJTbxH2v8I6JtUa2yuwrLdihoAZB7D1IeIWP3Q2BedpEHlpWTQ0RLtrHhlf1f3xMQavoiZEtGwAcAYZLRqavD13YCTDi4BHwAm5"
    "gFhrBoSF6l2zoxicKzT4xpFxSqd2oyScnuQcMzMUtJlfU8yBgqEyQ6pnsJp7NkTln3MltcVorZ/gvel2fjdLHsL3EHoCuNjVwTS7DPDeUU"
    "DcnzmlFiCTvsrU2q5pPq1W8MDXk/e63Kr9Kjd+45rGjT1yK1SThVSasW5ajUpywjn4KABvQAG3pSQFShOm/79rXcf+nRQfNv8Dz455x8Cy"
    "t0ZwQOPghxBfN9AgMBAAEwDQYJKoZIhvcNAQELBQADggEBADU3sguKNnDPYNqOezxFB4rRZH1nLuElGjj1Gp/8RqqO7yGhsblGkc3W0+/t"
    "gyUpzTCBr8umDanvAz1IG5jMOPCcLbbIq9dZrpkblaHHZILgvqwomE1wqO91D04luMxzxfn9iVBGBfdrVPk67Mgzf/VQ45rtfSA9AxEKf0"
    "ma21t9xNDz3FJPIqJT3J4EGu5BZ6Ha6qOOEkhXdd8UVOg46ktuXmJov6NPY17H8xBoxhnoTkdxl15AvGldGIxWRYaXl5GKMAea09oMZXRw"
    "ntLcrWclVD3/hcVvwPWx4PRNOAmbLFR2qS+3tR8Np+GaQXmbJlK+1VBz/jrZbMqF8/kMgA8="
)
CERTIFICATE: Final = "\n".join(
    ["-----BEGIN CERTIFICATE-----", *wrap(_CERTIFICATE, 64), "-----END CERTIFICATE-----", ""]
)
"""The certificate as PEM text."""
KEY_ID: Final = sha256(_CERTIFICATE.encode()).hexdigest()[:16]
"""The name of the key in tokens and in the key set."""


@frozen
class Statement:
    """The content of an assertion. `attributes` have the names of AWS without their common prefix."""

    issuer: str
    subject: str
    audience: str
    recipient: str
    issued_at: datetime
    not_before: datetime
    not_on_or_after: datetime
    session_not_on_or_after: datetime | None
    attributes: Mapping[str, Sequence[str]]


def _with_extra(function: Callable[P, R]) -> Callable[P, R]:
    """Raise `SourceMissing` with the installation command if *function* cannot import its libraries."""

    @wraps(function)
    def guarded(*args: P.args, **options: P.kwargs) -> R:
        try:
            return function(*args, **options)
        except ImportError as error:
            package = error.name
        raise SourceMissing(
            f"Signing and verifying test proofs needs the package {package}, which is not installed.",
            remedy="Run: pip install 'stskit[testing]'",
        )

    return guarded


@_with_extra
def token(claims: Mapping[str, object], flaw: Flaw | None) -> str:
    """Return a JSON Web Token signed with RS256, or with a flaw."""
    payload = json.dumps(claims).encode()
    if flaw == "unsigned":
        return _jws(payload, None, "none")
    text = _jws(payload, _other_key() if flaw == "wrong key" else private_key(), "RS256")
    if flaw == "tampered":
        header, _, signature = text.split(".")
        changed = _jws(json.dumps({**claims, "sub": "another-user"}).encode(), None, "none").split(".")[1]
        return f"{header}.{changed}.{signature}"
    return text


@_with_extra
def is_token_signed(text: str) -> bool:
    """Return whether a JSON Web Token has an RS256 signature of the key, and names the key."""
    from jwt import PyJWS
    from jwt.exceptions import PyJWTError

    try:
        header = PyJWS().decode_complete(text, private_key().public_key(), algorithms=["RS256"])["header"]
    except PyJWTError:
        return False
    return bool(header.get("kid") == KEY_ID)


@_with_extra
def unverified(text: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims of a JSON Web Token without verifying it. Both are empty if it is not one."""
    from jwt import decode_complete
    from jwt.exceptions import PyJWTError

    signed, _, _ = text.rpartition(".")  # is_token_signed checks the signature later
    try:
        read = decode_complete(f"{signed}.", options={"verify_signature": False})
    except (PyJWTError, ValueError, RecursionError):
        return {}, {}
    return (read["header"], read["payload"]) if signed.count(".") == 1 else ({}, {})


@_with_extra
def jwk() -> dict[str, object]:
    """Return the public key as a JSON Web Key (RFC 7517)."""
    from jwt.algorithms import RSAAlgorithm

    public = RSAAlgorithm.to_jwk(private_key().public_key(), as_dict=True)
    return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID, "n": public["n"], "e": public["e"]}


@_with_extra
def signed_saml(statement: Statement, flaw: Flaw | None) -> bytes:
    """Return a SAML response with a signed assertion, or with a flaw.

    Raises `ValueError` for text that XML cannot contain, such as a NUL character.
    """
    from lxml import etree

    name = f"_{uuid4().hex}"
    response = _response(statement, name)
    if flaw == "unsigned":
        signature = response.find(f".//{{{_DSIG}}}Signature")
        signature.getparent().remove(signature)
    else:
        response = _signer().sign(
            response,
            key=_other_key() if flaw == "wrong key" else private_key(),
            cert=CERTIFICATE,
            reference_uri=f"#{name}",
        )
    if flaw == "tampered":
        response.find(f".//{{{_SAML}assertion}}NameID").text += "-else"
    return bytes(etree.tostring(response, encoding="utf-8"))


@_with_extra
def is_assertion_signed(xml: bytes) -> bool:
    """Return whether a response has exactly one assertion, and the key signed all of it."""
    from lxml import etree
    from signxml.exceptions import SignXMLException
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    expected = SignatureConfiguration(location=f"./{_ASSERTION}/")
    try:
        response = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))
        found: Any = XMLVerifier().verify(response, x509_cert=CERTIFICATE, expect_config=expected)
    except (
        SignXMLException,
        etree.LxmlError,
        ValueError,
        TypeError,
    ):  # the last two: undecodable values
        return False
    signed, assertions = found.signed_xml, response.findall(_ASSERTION)
    names = [each.get("ID") for each in assertions]
    return signed is not None and signed.tag == _ASSERTION and names == [signed.get("ID")]


def _jws(payload: bytes, key: Any, algorithm: str) -> str:
    from jwt import PyJWS

    return PyJWS().encode(payload, key, algorithm, headers={"kid": KEY_ID})


@cache
def private_key() -> Any:
    """Return the key as an object of cryptography."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(b64decode(_KEY), None, unsafe_skip_rsa_key_validation=True)


@cache
def _other_key() -> Any:
    """Return a key that no FakeSTS accepts. Creating it takes about 50 ms."""
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    return generate_private_key(65537, 2048)


def _signer() -> Any:
    from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
    from signxml.signer import XMLSigner

    return XMLSigner(
        signature_algorithm=SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )


def _response(statement: Statement, name: str) -> Any:
    """Return the response as an element, with a placeholder for the signature."""
    from lxml.builder import ElementMaker  # pyright: ignore[reportMissingImports] - lxml-stubs lacks it

    protocol = ElementMaker(namespace=f"{_SAML}protocol", nsmap={"samlp": f"{_SAML}protocol"})
    saml = ElementMaker(namespace=f"{_SAML}assertion", nsmap={"saml": f"{_SAML}assertion"})
    signature = ElementMaker(namespace=_DSIG, nsmap={"ds": _DSIG}).Signature(Id="placeholder")
    begin, end, issued = (
        _time(moment) for moment in (statement.not_before, statement.not_on_or_after, statement.issued_at)
    )
    session = statement.session_not_on_or_after
    ends = {} if session is None else {"SessionNotOnOrAfter": _time(session)}
    confirmation = saml.SubjectConfirmationData(NotOnOrAfter=end, Recipient=statement.recipient)
    subject = saml.Subject(
        saml.NameID(statement.subject, Format=f"{_SAML}nameid-format:persistent"),
        saml.SubjectConfirmation(confirmation, Method=f"{_SAML}cm:bearer"),
    )
    audience = saml.AudienceRestriction(saml.Audience(statement.audience))
    context = saml.AuthnContext(saml.AuthnContextClassRef(f"{_SAML}ac:classes:PasswordProtectedTransport"))
    attributes = [
        saml.Attribute(
            *(saml.AttributeValue(value) for value in values),
            Name=f"https://aws.amazon.com/SAML/Attributes/{attribute}",
            NameFormat=f"{_SAML}attrname-format:uri",
        )
        for attribute, values in statement.attributes.items()
    ]
    assertion = saml.Assertion(
        saml.Issuer(statement.issuer),
        signature,
        subject,
        saml.Conditions(audience, NotBefore=begin, NotOnOrAfter=end),
        saml.AuthnStatement(context, AuthnInstant=issued, **ends),
        saml.AttributeStatement(*attributes),
        ID=name,
        IssueInstant=issued,
        Version="2.0",
    )
    return protocol.Response(
        protocol.Status(protocol.StatusCode(Value=f"{_SAML}status:Success")),
        assertion,
        Destination=statement.recipient,
        ID=f"_{uuid4().hex}",
        IssueInstant=issued,
        Version="2.0",
    )


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
