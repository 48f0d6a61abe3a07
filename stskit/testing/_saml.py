"""A signed SAML response, written in canonical form at once, so that nothing is needed to make it so.

https://docs.oasis-open.org/security/saml/v2.0/saml-core-2.0-os.pdf; https://www.w3.org/TR/xml-exc-c14n/;
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import uuid4

from attrs import frozen

from stskit.testing._rsa import RSAKey

__all__ = ["Statement", "is_signed_by", "signed", "unsigned"]

_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
_SAML: Final = "urn:oasis:names:tc:SAML:2.0:"
_HERE: Final = "<!-- the signature -->"
_ASSERTION: Final = re.compile(r"<saml:Assertion .*</saml:Assertion>", re.DOTALL)
_SIGNATURE: Final = re.compile(r"<ds:Signature .*?</ds:Signature>", re.DOTALL)
_SIGNED_INFO: Final = re.compile(r"<ds:SignedInfo .*</ds:SignedInfo>", re.DOTALL)


@frozen
class Statement:
    """What an assertion says. `attributes`: by the names that AWS has for them, without the part that all share."""

    issuer: str
    subject: str
    audience: str
    recipient: str
    issued_at: datetime
    not_before: datetime
    not_on_or_after: datetime
    session_not_on_or_after: datetime | None
    attributes: Mapping[str, Sequence[str]]


def signed(statement: Statement, key: RSAKey) -> str:
    """The response that says *statement*, as XML, with its assertion signed by *key*."""
    name = f"_{uuid4().hex}"
    assertion = _assertion(statement, name)
    info = _signed_info(name, assertion.replace(_HERE, ""))
    signature = b64encode(key.sign(info.encode())).decode()
    known_by = f"<ds:X509Data><ds:X509Certificate>{key.certificate}</ds:X509Certificate></ds:X509Data>"
    proof = (
        f'<ds:Signature xmlns:ds="{_DSIG}">{info}<ds:SignatureValue>{signature}</ds:SignatureValue>'
        f"<ds:KeyInfo>{known_by}</ds:KeyInfo></ds:Signature>"
    )
    return _response(statement, assertion.replace(_HERE, proof))


def unsigned(statement: Statement) -> str:
    """The same without a signature."""
    return _response(statement, _assertion(statement, f"_{uuid4().hex}").replace(_HERE, ""))


def is_signed_by(xml: str, key: RSAKey) -> bool:
    """Whether *xml* has an assertion of the form that `signed` writes, with a signature of *key* for all of it."""
    assertion, signature = _ASSERTION.search(xml), _SIGNATURE.search(xml)
    info = _SIGNED_INFO.search(signature[0]) if signature else None
    value = re.search(r"<ds:SignatureValue>([^<]*)<", signature[0]) if signature else None
    name = re.match(r'<saml:Assertion [^>]*? ID="([^"]*)"', assertion[0]) if assertion else None
    if not (assertion and signature and info and value and name):
        return False
    content = assertion[0].replace(signature[0], "")
    return info[0] == _signed_info(name[1], content) and key.verifies(info[0].encode(), b64decode(value[1]))


def _response(statement: Statement, assertion: str) -> str:
    place = _quoted(statement.recipient)
    return (
        f'<samlp:Response xmlns:samlp="{_SAML}protocol" Destination="{place}" ID="_{uuid4().hex}" '
        f'IssueInstant="{_time(statement.issued_at)}" Version="2.0"><samlp:Status>'
        f'<samlp:StatusCode Value="{_SAML}status:Success"></samlp:StatusCode></samlp:Status>'
        f"{assertion}</samlp:Response>"
    )


def _assertion(statement: Statement, name: str) -> str:
    begin, end = _time(statement.not_before), _time(statement.not_on_or_after)
    session = statement.session_not_on_or_after
    session_end = f' SessionNotOnOrAfter="{_time(session)}"' if session else ""
    attributes = "".join(_attribute(name, values) for name, values in statement.attributes.items())
    return (
        f'<saml:Assertion xmlns:saml="{_SAML}assertion" ID="{name}" IssueInstant="{_time(statement.issued_at)}" '
        f'Version="2.0"><saml:Issuer>{_escaped(statement.issuer)}</saml:Issuer>{_HERE}<saml:Subject>'
        f'<saml:NameID Format="{_SAML}nameid-format:persistent">{_escaped(statement.subject)}</saml:NameID>'
        f'<saml:SubjectConfirmation Method="{_SAML}cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{end}" '
        f'Recipient="{_quoted(statement.recipient)}"></saml:SubjectConfirmationData></saml:SubjectConfirmation>'
        f'</saml:Subject><saml:Conditions NotBefore="{begin}" NotOnOrAfter="{end}"><saml:AudienceRestriction>'
        f"<saml:Audience>{_escaped(statement.audience)}</saml:Audience></saml:AudienceRestriction></saml:Conditions>"
        f'<saml:AuthnStatement AuthnInstant="{_time(statement.issued_at)}"{session_end}><saml:AuthnContext>'
        f"<saml:AuthnContextClassRef>{_SAML}ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef>"
        f"</saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>{attributes}</saml:AttributeStatement>"
        f"</saml:Assertion>"
    )


def _attribute(name: str, values: Sequence[str]) -> str:
    texts = "".join(f"<saml:AttributeValue>{_escaped(value)}</saml:AttributeValue>" for value in values)
    full = _quoted(f"https://aws.amazon.com/SAML/Attributes/{name}")
    return f'<saml:Attribute Name="{full}" NameFormat="{_SAML}attrname-format:uri">{texts}</saml:Attribute>'


def _signed_info(name: str, content: str) -> str:
    def says(element: str, algorithm: str) -> str:
        return f'<ds:{element} Algorithm="{algorithm}"></ds:{element}>'

    digest = b64encode(sha256(content.encode()).digest()).decode()
    transforms = says("Transform", f"{_DSIG}enveloped-signature") + says("Transform", _C14N)
    return (
        f'<ds:SignedInfo xmlns:ds="{_DSIG}">{says("CanonicalizationMethod", _C14N)}'
        f"{says('SignatureMethod', 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256')}"
        f'<ds:Reference URI="#{name}"><ds:Transforms>{transforms}</ds:Transforms>'
        f"{says('DigestMethod', 'http://www.w3.org/2001/04/xmlenc#sha256')}"
        f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
    )


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _escaped(text: str) -> str:
    """*text* as canonical XML writes it between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")


def _quoted(text: str) -> str:
    """*text* as canonical XML writes it between quotes."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("\t", "&#x9;").replace("\n", "&#xA;").replace("\r", "&#xD;")
