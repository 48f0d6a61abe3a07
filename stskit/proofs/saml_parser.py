"""Read the parts of a SAML 2.0 response that callers of STS need. Nothing is verified, because STS does that.

Elements are compared by namespace, not by prefix. Document types (and so all entities) and very deep nesting are
refused. Comments and processing instructions do not cut values.

https://docs.oasis-open.org/security/saml/v2.0/saml-core-2.0-os.pdf
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

from attrs import frozen

from stskit.errors import ProofInvalid, without_frames

__all__ = ["NEXT_STEP", "Response", "is_aws", "is_aws_sign_in", "read", "read_xml"]

NEXT_STEP: Final = (
    "Save the value of the form field SAMLResponse, exactly as the browser sent it, or the network log (HAR) of the "
    "browser."
)
MAX_DEPTH: Final = 64  # elements inside each other; real responses have less than 15

# expat joins namespace and local name with a space. Here the two namespaces of SAML 2.0 are p and a.
_NAMESPACES: Final = {"urn:oasis:names:tc:SAML:2.0:protocol": "p", "urn:oasis:names:tc:SAML:2.0:assertion": "a"}
_RESPONSE: Final = "p:Response"
_ASSERTION: Final = f"{_RESPONSE}/a:Assertion"
_CONDITIONS: Final = f"{_ASSERTION}/a:Conditions"
_CONFIRMED: Final = f"{_ASSERTION}/a:Subject/a:SubjectConfirmation/a:SubjectConfirmationData"
_STATUS: Final = f"{_RESPONSE}/p:Status/p:StatusCode"
_ATTRIBUTE: Final = f"{_ASSERTION}/a:AttributeStatement/a:Attribute"
_VALUE: Final = f"{_ATTRIBUTE}/a:AttributeValue"

# The kept texts of elements, and XML attributes as PLACE@NAME, with their names in `Response.texts`.
_KEPT: Final = {
    f"{_STATUS}@Value": "status",
    f"{_STATUS}/p:StatusCode@Value": "status detail",
    f"{_ASSERTION}@IssueInstant": "IssueInstant",
    f"{_ASSERTION}/a:Issuer": "Issuer",
    f"{_ASSERTION}/a:Subject/a:NameID": "NameID",
    f"{_CONFIRMED}@Recipient": "Recipient",
    f"{_CONFIRMED}@NotBefore": "confirmed NotBefore",
    f"{_CONFIRMED}@NotOnOrAfter": "confirmed NotOnOrAfter",
    f"{_CONDITIONS}@NotBefore": "NotBefore",
    f"{_CONDITIONS}@NotOnOrAfter": "NotOnOrAfter",
    f"{_CONDITIONS}/a:AudienceRestriction/a:Audience": "Audience",
    f"{_ASSERTION}/a:AuthnStatement@SessionNotOnOrAfter": "SessionNotOnOrAfter",
}
# Other documents that people save, by their outermost element.
_OTHERS: Final = {
    "urn:oasis:names:tc:SAML:1.0:protocol Response": "a response of SAML 1.1, which STS does not accept",
    "urn:oasis:names:tc:SAML:2.0:protocol LogoutResponse": "a SAML logout response",
    "urn:oasis:names:tc:SAML:2.0:protocol AuthnRequest": "a SAML request",
    "urn:oasis:names:tc:SAML:2.0:assertion Assertion": "a SAML assertion without the response around it",
    "http://schemas.xmlsoap.org/soap/envelope/ Envelope": "a SOAP message",
    "http://www.w3.org/2003/05/soap-envelope Envelope": "a SOAP message",
    "http://www.w3.org/1999/xhtml html": "a web page",
    "html": "a web page",
}
_AUDIENCE: Final = re.compile(r"urn:amazon:webservices(?::[\w:-]*)?", re.ASCII)
# The sign-in hosts of all partitions, from botocore's endpoint rules for AWS Sign-In. A region can precede each.
_SIGN_IN_HOSTS: Final = (
    "signin.aws.amazon.com",
    "signin.amazonaws.cn",
    "signin.amazonaws-us-gov.com",
    "signin-fips.amazonaws-us-gov.com",
    "signin.amazonaws-eusc.eu",
    "signin.c2shome.ic.gov",
    "signin.sc2shome.sgov.gov",
    "signin.csphome.hci.ic.gov",
    "signin.csphome.adc-e.uk",
)
_SIGN_IN: Final = re.compile(
    rf"https://(?:[a-z0-9-]+\.)?(?:{'|'.join(map(re.escape, _SIGN_IN_HOSTS))})(?::443)?(?:[/?#].*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)


def is_aws(audience: str) -> bool:
    """Return whether an audience is AWS, in any partition: its URN, or the URL of a sign-in page."""
    return _AUDIENCE.fullmatch(audience) is not None or is_aws_sign_in(audience)


def is_aws_sign_in(url: str) -> bool:
    """Return whether *url* is a sign-in page of AWS, in any partition."""
    return _SIGN_IN.fullmatch(url) is not None


@frozen
class Response:
    """The content of a response. Texts and attributes are empty if the assertion is encrypted.

    Args:
        encrypted: Whether the assertion is encrypted.
        texts: Texts by the names of `_KEPT`, in document order.
        attributes: Values of the attribute statement by the name of the attribute.
    """

    encrypted: bool
    texts: Mapping[str, list[str]]
    attributes: Mapping[str, list[str]]


class _Reader:
    """The handlers of expat. They keep some texts and count the assertions."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.attributes: dict[str, list[str]] = {}
        self.assertions = 0
        self.encrypted = 0
        self._path: list[str] = []
        self._depth = 0  # depth of the element whose text is being kept
        self._attribute = ""
        self._text: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        self._path.append(f"{_NAMESPACES.get(namespace, '?')}:{local}")
        if self._path[0] != _RESPONSE:
            what = _OTHERS.get(name, "XML")
            raise ProofInvalid(
                f"This is {what}, not a SAML 2.0 response: it does not start with samlp:Response.", remedy=NEXT_STEP
            )
        if len(self._path) > MAX_DEPTH:
            raise ProofInvalid(
                f"The XML is nested more than {MAX_DEPTH} levels, which no SAML response is.", remedy=NEXT_STEP
            )
        self.assertions += self._path[-1] == "a:Assertion"
        self.encrypted += self._path[-1] == "a:EncryptedAssertion"
        path = "/".join(self._path)
        if path == _ATTRIBUTE:
            self._attribute = attributes.get("Name", "")
        if path == _VALUE or path in _KEPT:
            self._depth = len(self._path)
        for place in _KEPT.keys() & {f"{path}@{each}" for each in attributes}:
            self.texts.setdefault(_KEPT[place], []).append(attributes[place.rpartition("@")[2]])

    def text(self, data: str) -> None:
        if self._depth:  # elements inside a value do not cut it
            self._text.append(data)

    def end(self, _name: str) -> None:
        if len(self._path) == self._depth:
            path, text = "/".join(self._path), "".join(self._text).strip()
            values, key = (self.attributes, self._attribute) if path == _VALUE else (self.texts, _KEPT[path])
            values.setdefault(key, []).append(text)
            self._text.clear()
            self._depth = 0
        self._path.pop()

    def doctype(self, *_declaration: object) -> None:
        raise ProofInvalid(
            "The XML declares a document type. Web pages do that, and SAML responses do not.", remedy=NEXT_STEP
        )


@without_frames
def read(encoded: str) -> Response:
    """Return the content of base64. Raises `ProofInvalid` if it is not a response with exactly one assertion."""
    try:
        xml = b64decode(encoded)
    except ValueError:
        raise _not_well_formed("its encoding is not supported") from None
    return read_xml(xml)


@without_frames
def read_xml(xml: bytes) -> Response:
    """Return the content of XML. Raises as `read`."""
    reader = _parsed(xml)
    status = [text.rpartition(":")[2] for name in ("status", "status detail") for text in reader.texts.get(name, ())]
    if status and status[0] != "Success":
        raise ProofInvalid(
            f"The identity provider did not sign you in: the status is {' / '.join(status)[:100]!r}.",
            remedy="Sign in again. If the error remains, ask the administrator of the identity provider.",
        )
    if reader.assertions + reader.encrypted != 1:
        raise ProofInvalid(
            f"The SAML response has {reader.assertions + reader.encrypted} assertions, but STS needs exactly one.",
            remedy="Sign in again, and save the response that the browser posts to the AWS sign-in page.",
        )
    return Response(bool(reader.encrypted), reader.texts, reader.attributes)


def _parsed(xml: bytes) -> _Reader:
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise _not_well_formed(f"{expat.ErrorString(error.code)} in line {error.lineno}") from None
    except (LookupError, ValueError, Warning):  # expat reports an unsupported encoding in these ways
        raise _not_well_formed("its encoding is not supported") from None
    return reader


def _not_well_formed(why: str) -> ProofInvalid:
    return ProofInvalid(
        f"This is not a SAML response: the base64 does not contain well-formed XML ({why}).", remedy=NEXT_STEP
    )
