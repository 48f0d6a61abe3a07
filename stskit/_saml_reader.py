"""Reads a SAML 2.0 response as far as callers of STS need it. Nothing is verified here: STS does that.

Elements are matched by namespace, not by prefix. A document type, and with it every entity, is refused before it can
do anything, and so is nesting that no identity provider produces; comments and processing instructions cut no value.

https://docs.oasis-open.org/security/saml/v2.0/saml-core-2.0-os.pdf
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stskit.errors import ProofInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ENCODED = 100_000  # characters of SAMLAssertion, by the service model of STS
_NEXT_STEP = "save the value of the form field SAMLResponse, exactly as the browser sent it"
MAX_DEPTH = 64  # elements inside each other; real responses stay under 15

_ROLE = "https://aws.amazon.com/SAML/Attributes/Role"
_ROLE_ARN = re.compile(r"arn:[a-z0-9-]+:iam::(\d{12})?:role/\S+", re.ASCII)
_PROVIDER_ARN = re.compile(r"arn:[a-z0-9-]+:iam::(\d{12})?:saml-provider/[^\s,]+", re.ASCII)
_BETWEEN_ARNS = re.compile(r",(?=\s*arn:)")  # the name of a role may hold commas of its own
_DECLARED_ENCODING = re.compile(r"""(<\?xml[^>]*?)\sencoding\s*=\s*("[^"]*"|'[^']*')""")

# expat joins namespace and local name with the separator it was given: a blank
_NAMESPACE = "urn:oasis:names:tc:SAML:2.0:assertion"
_RESPONSE = "urn:oasis:names:tc:SAML:2.0:protocol Response"
_ASSERTION = f"{_NAMESPACE} Assertion"
_ATTRIBUTE_PATH = [_RESPONSE, _ASSERTION, f"{_NAMESPACE} AttributeStatement", f"{_NAMESPACE} Attribute"]
_VALUE_PATH = [*_ATTRIBUTE_PATH, f"{_NAMESPACE} AttributeValue"]


def canonical(text: str) -> str:
    """The one form that is sent: standard base64 on one line. Raises `ProofInvalid` for what is no SAML response."""
    encoded = _encoded(text.lstrip("\ufeff").strip())
    if encoded is None:
        raise ProofInvalid(f"this is neither base64 nor XML, so it is no SAML response; {_NEXT_STEP}")
    if len(encoded) > MAX_ENCODED:
        raise ProofInvalid(
            f"the SAML response has {len(encoded):,} characters in base64 and STS takes {MAX_ENCODED:,}; "
            "have the identity provider send fewer roles or attributes"
        )
    _read(encoded)
    return encoded


def role_pairs(encoded: str) -> list[tuple[str, str]]:
    """(role ARN, provider ARN) for each role offered; on the wire the two come in either order."""
    reader = _read(encoded)
    if reader.encrypted:
        raise ProofInvalid(
            "the SAML assertion is encrypted, so its roles cannot be listed here; name the provider yourself: "
            "SAMLFile(path, principal_arn='arn:aws:iam::ACCOUNT:saml-provider/NAME')"
        )
    pairs = (_pair(value) for value in reader.attributes.get(_ROLE, ()))
    return list(dict.fromkeys(pair for pair in pairs if pair is not None))


def _pair(value: str) -> tuple[str, str] | None:
    parts = [part.strip() for part in _BETWEEN_ARNS.split(value)]
    if len(parts) != 2:
        return None
    for role, provider in (parts, parts[::-1]):
        if _ROLE_ARN.fullmatch(role) and _PROVIDER_ARN.fullmatch(provider):
            return role, provider
    return None


def _encoded(text: str) -> str | None:
    from base64 import b64decode, b64encode

    try:
        if text.startswith("<"):  # as text it has no encoding any more, whatever it declares
            return b64encode(_DECLARED_ENCODING.sub(r"\1", text, count=1).encode()).decode()
        compact = "".join(text.split()).rstrip("=")  # some tools drop the padding
        return b64encode(b64decode(compact + "=" * (-len(compact) % 4), validate=True)).decode()
    except ValueError:
        return None


class _Reader:
    """What expat reports, reduced to attribute values and the number of assertions."""

    def __init__(self) -> None:
        self.attributes: dict[str, list[str]] = {}
        self.assertions = 0
        self.encrypted = 0
        self._path: list[str] = []
        self._attribute = ""
        self._text: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._path.append(name)
        if self._path[0] != _RESPONSE:
            raise ProofInvalid(
                f"this is XML, and no SAML 2.0 response: it does not start with samlp:Response; {_NEXT_STEP}"
            )
        if len(self._path) > MAX_DEPTH:
            raise ProofInvalid(f"the XML is nested more than {MAX_DEPTH} deep, which no SAML response is")
        self.assertions += name == _ASSERTION
        self.encrypted += name == f"{_NAMESPACE} EncryptedAssertion"
        if self._path == _ATTRIBUTE_PATH:
            self._attribute = attributes.get("Name", "")

    def text(self, data: str) -> None:
        if self._path[: len(_VALUE_PATH)] == _VALUE_PATH:  # elements inside of the value do not cut it either
            self._text.append(data)

    def end(self, _name: str) -> None:
        if self._path == _VALUE_PATH:
            self.attributes.setdefault(self._attribute, []).append("".join(self._text).strip())
            self._text.clear()
        self._path.pop()

    def doctype(self, *_declaration: object) -> None:
        raise ProofInvalid(f"the XML declares a document type, as web pages do and SAML responses do not; {_NEXT_STEP}")


def _read(encoded: str) -> _Reader:
    from base64 import b64decode
    from xml.parsers import expat

    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    problem = None
    try:
        parser.Parse(b64decode(encoded), True)
    except expat.ExpatError as error:
        problem = f"{expat.ErrorString(error.code)} in line {error.lineno}"
    except (LookupError, ValueError, Warning):  # how expat reports an encoding that Python lacks, or cannot lend it
        problem = "its encoding is not supported"
    if problem is not None:
        raise ProofInvalid(
            f"this is no SAML response: what the base64 holds is no well-formed XML ({problem}); {_NEXT_STEP}"
        )
    if reader.assertions + reader.encrypted != 1:
        raise ProofInvalid(
            f"a SAML response for STS holds exactly one assertion, this one {reader.assertions + reader.encrypted}; "
            "sign in again and save the response that the browser posts to the AWS sign-in page"
        )
    return reader
