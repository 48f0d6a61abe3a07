"""A small identity provider that signs SAML responses and OIDC tokens for AWS with one key.

    idp = IdentityProvider.create("https://idp.example.com")
    assertion = idp.saml_response(roles=[(role_arn, provider_arn)])   # for AssumeRoleWithSAML
    token = idp.oidc_token(subject="alice")                           # for AssumeRoleWithWebIdentity

To verify them, use `idp.certificate` for the first and `idp.jwks()` for the second.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from xml.sax.saxutils import escape

import jwt
from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

AWS_SIGN_IN = "https://signin.aws.amazon.com/saml"

# The signer replaces "placeholder" with the signature. The SAML schema requires it after the issuer.
RESPONSE = """\
<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" \
ID="_{response_id}" Version="2.0" IssueInstant="{now}" Destination="{recipient}">
  <saml:Issuer>{issuer}</saml:Issuer>
  <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
  <saml:Assertion ID="_{assertion_id}" Version="2.0" IssueInstant="{now}">
    <saml:Issuer>{issuer}</saml:Issuer>
    <ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>
    <saml:Subject>
      <saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{subject}</saml:NameID>
      <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
        <saml:SubjectConfirmationData NotOnOrAfter="{expiry}" Recipient="{recipient}"/>
      </saml:SubjectConfirmation>
    </saml:Subject>
    <saml:Conditions NotBefore="{now}" NotOnOrAfter="{expiry}">
      <saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>
    </saml:Conditions>
    <saml:AuthnStatement AuthnInstant="{now}" SessionIndex="_{assertion_id}">
      <saml:AuthnContext>
        <saml:AuthnContextClassRef>{authentication}</saml:AuthnContextClassRef>
      </saml:AuthnContext>
    </saml:AuthnStatement>
    <saml:AttributeStatement>{attributes}</saml:AttributeStatement>
  </saml:Assertion>
</samlp:Response>"""


@frozen
class IdentityProvider:
    """The name of an issuer, its private key and its certificate."""

    issuer: str
    key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate

    @classmethod
    def create(cls, issuer: str) -> IdentityProvider:
        """Create a key, and a certificate that is valid for a day."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls(issuer, key, _self_signed(key))

    def save(self, folder: Path) -> None:
        """Write issuer, certificate and key (with mode 0600) to files in a folder."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "issuer").write_text(self.issuer)
        (folder / "certificate.pem").write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "key.pem").touch(mode=0o600)
        (folder / "key.pem").write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    @classmethod
    def load(cls, folder: Path) -> IdentityProvider:
        """Read the files that `save` wrote."""
        key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
        return cls((folder / "issuer").read_text(), key, certificate)

    def saml_response(
        self,
        *,
        roles: Sequence[tuple[str, str]],
        session_name: str = "alice",
        duration: int | None = 3600,
        valid_for: timedelta = timedelta(minutes=5),
        audience: str = AWS_SIGN_IN,
        provider_first: bool = False,
        now: datetime | None = None,
    ) -> str:
        """Return a signed SAML response in base64, for pairs of role ARN and provider ARN; *duration* is in seconds."""
        now = now or datetime.now(UTC)
        attributes = {
            "Role": [",".join(reversed(pair) if provider_first else pair) for pair in roles],
            "RoleSessionName": [session_name],
            "SessionDuration": [] if duration is None else [str(duration)],
        }
        response = RESPONSE.format(
            response_id=uuid4().hex,
            assertion_id=(assertion_id := uuid4().hex),
            issuer=escape(self.issuer),
            subject=escape(session_name),
            audience=escape(audience),
            recipient=AWS_SIGN_IN,
            authentication="urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
            now=_xml_time(now),
            expiry=_xml_time(now + valid_for),
            attributes="".join(_attribute(name, values) for name, values in attributes.items() if values),
        )
        return b64encode(self._sign(response, f"#_{assertion_id}")).decode()

    def oidc_token(
        self,
        *,
        subject: str = "alice",
        audience: str = "sts.amazonaws.com",
        lifetime: timedelta = timedelta(hours=1),
        overrides: Mapping[str, object] = {},
    ) -> str:
        """Return a signed JSON Web Token. *overrides* replaces claims, and None removes a claim."""
        now = datetime.now(UTC)
        claims: dict[str, object] = {"iss": self.issuer, "sub": subject, "aud": audience}
        claims |= {"iat": now, "nbf": now, "exp": now + lifetime, **overrides}
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, self.key, algorithm="RS256", headers={"kid": self.key_id})

    @property
    def key_id(self) -> str:
        """The ID of the key in tokens and in the key set: the first characters of the fingerprint."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()[:16]

    def jwks(self) -> dict[str, object]:
        """Return the key set that STS fetches to verify tokens."""
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self.key_id, "use": "sig", "alg": "RS256"}]}

    def discovery(self) -> dict[str, object]:
        """Return the document at /.well-known/openid-configuration, with the address of the key set."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def _sign(self, response: str, reference: str) -> bytes:
        signer = XMLSigner(
            signature_algorithm=SignatureMethod.RSA_SHA256,
            digest_algorithm=DigestAlgorithm.SHA256,
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )
        document = etree.fromstring(response)
        signed = signer.sign(document, key=self.key, cert=[self.certificate], reference_uri=reference)
        return bytes(etree.tostring(signed))


def _self_signed(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An identity provider for examples")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


def _attribute(name: str, values: Sequence[str]) -> str:
    texts = "".join(f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue>" for value in values)
    return (
        f'<saml:Attribute Name="https://aws.amazon.com/SAML/Attributes/{name}" '
        f'NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">{texts}</saml:Attribute>'
    )


def _xml_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
