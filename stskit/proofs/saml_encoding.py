"""Convert a saved SAML response to the form that is sent: standard base64 on one line."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final
from urllib.parse import unquote
from zlib import decompressobj, error

from attrs import frozen

from stskit.credentials import Secret
from stskit.errors import ProofInvalid, without_frames
from stskit.proofs.saml_parser import NEXT_STEP, Response, read_xml

__all__ = ["MAX_LENGTH", "DecodedResponse", "canonical", "decode", "is_whole"]

MAX_ENCODED: Final = 100_000  # characters of SAMLAssertion, by the service model of STS
MAX_LENGTH: Final = 10 * MAX_ENCODED  # with spaces and line breaks; a longer text is refused without reading it

_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
# Base64 of text that begins with "<", white space or a byte order mark, also if it is URL-encoded.
_START_OF_XML: Final = re.compile(r"\s*+(?:[PCDI7/+]|%2[BbFf])(?:[A-Za-z0-9+/=\s]++|%[0-9A-Fa-f]{2})*+")
_DECLARED_ENCODING: Final = re.compile(r"""\sencoding\s*=\s*("[^"]*"|'[^']*')""")
_MAX_DECLARATION: Final = 200  # characters of <?xml ... ?>; real ones are much shorter
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060\u00a0 \t\r\n\f\v"
_FRAMES: Final = ("-----", "```", "~~~", ">", "data:")
_DATA_URL: Final = re.compile(r"\Adata:[\w/+.;=-]{0,100}?,")
_AROUND_XML: Final = b"\0 \t\r\n\xef\xbb\xbf\xfe\xff"  # white space and byte order marks, in UTF-16 too


@frozen
class DecodedResponse:
    """A SAML response as it is sent, together with its parsed content."""

    value: Secret
    response: Response


@without_frames
def canonical(text: str) -> Secret:
    """Return the `value` of `decode`, and raise as it does."""
    return decode(text).value


@without_frames
def decode(text: str) -> DecodedResponse:
    """Return the bytes that the identity provider signed, as standard base64 on one line, and their content.

    *text* is base64, in one or several lines and with or without padding, or URL-encoded base64, or XML. It is decoded
    once and parsed once. Raises `ProofInvalid` if it is not a SAML response.
    """
    text = Secret(text.strip(_INVISIBLE))
    if text.startswith(_FRAMES):
        text = _without_frame(text)
    _check_size(len(text), MAX_LENGTH)
    if text.startswith("<"):
        return _checked(_encoded_xml(text))
    if _PERCENT.search(text):
        text = _unquoted(text)
    problem = _not_base64(text)
    for candidate in _candidates(text):
        try:
            return _checked(candidate)
        except ProofInvalid as error:
            problem = error
    raise problem


def is_whole(text: str) -> bool:
    """Return whether *text* is base64, possibly URL-encoded, of a text from ``<`` to ``>``."""
    if len(text) > MAX_LENGTH or not _START_OF_XML.fullmatch(text):
        return False
    contents = (each.strip(_AROUND_XML) for each in _candidates(_unquoted(text)))
    return any(content.startswith(b"<") and content.endswith(b">") for content in contents)


def _not_base64(text: str) -> ProofInvalid:
    """Return the error for a text that is neither base64 nor XML."""
    if re.fullmatch(r"eyJ[\w-]+\.[\w-]+\.[\w-]*", text, re.ASCII):
        return ProofInvalid(
            "This is an OIDC token, not a SAML response.",
            remedy="Use OIDCTokenFile(path) for it.",
            cli_remedy="Use --oidc-token-file for it.",
        )
    if re.fullmatch(r"[\w\s=-]+", text, re.ASCII) and re.search(r"[-_]", text):
        return ProofInvalid("This is URL-safe base64, which a SAML response never is.", remedy=NEXT_STEP)
    return ProofInvalid("This is neither base64 nor XML, so it is not a SAML response.", remedy=NEXT_STEP)


def _candidates(text: str) -> list[bytes]:
    """Return the possible contents of base64. A space in it is formatting, or a plus that a form decoder replaced."""
    compact = "".join(text.split())
    restored = "".join(text.replace(" ", "+").split())
    found = (_decoded(each) for each in dict.fromkeys([compact, restored]))
    return [each for each in found if each is not None]


def _decoded(compact: str) -> bytes | None:
    bare = compact.rstrip("=")  # some tools remove the padding
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:
        return None


def _encoded_xml(text: str) -> bytes:
    try:  # text has no encoding, whatever the XML declares
        return _without_declared_encoding(text).encode()
    except UnicodeEncodeError:
        raise ProofInvalid("This is neither base64 nor XML, so it is not a SAML response.", remedy=NEXT_STEP) from None


def _without_declared_encoding(text: str) -> str:
    end = text.find("?>", 0, _MAX_DECLARATION) if text.startswith("<?xml") else -1
    return text if end < 0 else _DECLARED_ENCODING.sub("", text[:end], count=1) + text[end:]


def _unquoted(text: str) -> Secret:
    return Secret(unquote(text))  # once; not unquote_plus, because base64 has plus signs and no spaces


def _without_frame(text: str) -> Secret:
    """Return *text* without a frame of PEM or Markdown, signs of a quotation, or the beginning of a data URL."""
    lines = (line.removeprefix(">").strip() for line in str(text).splitlines())
    bare = "\n".join(line for line in lines if not line.startswith(("-----", "```", "~~~")))
    return Secret(_DATA_URL.sub("", bare, count=1))


def _checked(xml: bytes) -> DecodedResponse:
    encoded = Secret(b64encode(xml).decode())
    _check_size(len(encoded), MAX_ENCODED)
    if _is_deflated(xml):
        raise ProofInvalid(
            "This response is deflated, as in the redirect binding of SAML, and STS does not accept that.",
            remedy="Save the response that the browser posts to the AWS sign-in page.",
        )
    return DecodedResponse(encoded, read_xml(xml))


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ProofInvalid(
            f"The SAML response has {size:,} characters, but STS allows {MAX_ENCODED:,} characters of base64.",
            remedy="Send fewer roles or attributes from the identity provider.",
        )


def _is_deflated(data: bytes) -> bool:
    try:
        start = decompressobj(-15).decompress(data, 64)
    except error:
        return False
    return start.lstrip().startswith(b"<")
