"""The one form of a SAML response that is sent, standard base64 on one line, from whatever people have saved."""

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
MAX_LENGTH: Final = 10 * MAX_ENCODED  # with blanks and line breaks; a longer text is refused without a look

_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
# Base64 of text that starts with "<", a blank or a byte order mark, also if it is URL-encoded.
_START_OF_XML: Final = re.compile(r"\s*+(?:[PCDI7/+]|%2[BbFf])(?:[A-Za-z0-9+/=\s]++|%[0-9A-Fa-f]{2})*+")
_DECLARED_ENCODING: Final = re.compile(r"""\sencoding\s*=\s*("[^"]*"|'[^']*')""")
_MAX_DECLARATION: Final = 200  # characters of <?xml ... ?>, which real ones stay far under
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060\u00a0 \t\r\n\f\v"
_FRAMES: Final = ("-----", "```", "~~~", ">", "data:")
_DATA_URL: Final = re.compile(r"\Adata:[\w/+.;=-]{0,100}?,")
_AROUND_XML: Final = b"\0 \t\r\n\xef\xbb\xbf\xfe\xff"  # blanks and byte order marks, in UTF-16 too


@frozen
class DecodedResponse:
    """A SAML response as it is sent, with what was read in it meanwhile."""

    value: Secret
    response: Response


@without_frames
def canonical(text: str) -> Secret:
    """Return the `value` of `decode`, and raise as it does."""
    return decode(text).value


@without_frames
def decode(text: str) -> DecodedResponse:
    """Return standard base64 on one line, of the very bytes that the identity provider signed, and what they say.

    *text* is base64, in one line or several and with or without padding, or that URL-encoded, or the XML itself. It is
    decoded once and parsed once. Raises `ProofInvalid` for what is no SAML response.
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
    """Return whether *text* is base64, possibly URL-encoded, of something from ``<`` to ``>``; raises nothing."""
    if len(text) > MAX_LENGTH or not _START_OF_XML.fullmatch(text):
        return False
    contents = (each.strip(_AROUND_XML) for each in _candidates(_unquoted(text)))
    return any(content.startswith(b"<") and content.endswith(b">") for content in contents)


def _not_base64(text: str) -> ProofInvalid:
    """Return the error for a *text* that is neither base64 nor XML."""
    if re.fullmatch(r"eyJ[\w-]+\.[\w-]+\.[\w-]*", text, re.ASCII):
        return ProofInvalid(
            "this is an OIDC token, and no SAML response",
            remedy="name it as one: OIDCTokenFile(path)",
            cli_remedy="name it as one: --oidc-token-file",
        )
    if re.fullmatch(r"[\w\s=-]+", text, re.ASCII) and re.search(r"[-_]", text):
        return ProofInvalid("this is base64 of the URL-safe kind, which a SAML response never is", remedy=NEXT_STEP)
    return ProofInvalid("this is neither base64 nor XML, so it is no SAML response", remedy=NEXT_STEP)


def _candidates(text: str) -> list[bytes]:
    """What *text* may hold as base64: a blank in it is formatting, or a plus that a form decoder took for a blank."""
    compact = "".join(text.split())
    restored = "".join(text.replace(" ", "+").split())
    found = (_decoded(each) for each in dict.fromkeys([compact, restored]))
    return [each for each in found if each is not None]


def _decoded(compact: str) -> bytes | None:
    bare = compact.rstrip("=")  # some tools drop the padding
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:
        return None


def _encoded_xml(text: str) -> bytes:
    try:  # as text it has no encoding any more, whatever it declares
        return _without_declared_encoding(text).encode()
    except UnicodeEncodeError:
        raise ProofInvalid("this is neither base64 nor XML, so it is no SAML response", remedy=NEXT_STEP) from None


def _without_declared_encoding(text: str) -> str:
    end = text.find("?>", 0, _MAX_DECLARATION) if text.startswith("<?xml") else -1
    return text if end < 0 else _DECLARED_ENCODING.sub("", text[:end], count=1) + text[end:]


def _unquoted(text: str) -> Secret:
    return Secret(unquote(text))  # once; not unquote_plus, for a plus is one in base64 and a blank never is


def _without_frame(text: str) -> Secret:
    """Return *text* without the frame of PEM or Markdown, the signs of a quotation, or the beginning of a data URL."""
    lines = (line.removeprefix(">").strip() for line in str(text).splitlines())
    bare = "\n".join(line for line in lines if not line.startswith(("-----", "```", "~~~")))
    return Secret(_DATA_URL.sub("", bare, count=1))


def _checked(xml: bytes) -> DecodedResponse:
    encoded = Secret(b64encode(xml).decode())
    _check_size(len(encoded), MAX_ENCODED)
    if _is_deflated(xml):
        raise ProofInvalid(
            "this is a deflated response, as the redirect binding of SAML has it, and STS takes none",
            remedy="save the one that the browser posts to the AWS sign-in page",
        )
    return DecodedResponse(encoded, read_xml(xml))


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ProofInvalid(
            f"the SAML response has {size:,} characters and STS takes {MAX_ENCODED:,} of base64",
            remedy="have the identity provider send fewer roles or attributes",
        )


def _is_deflated(data: bytes) -> bool:
    try:
        start = decompressobj(-15).decompress(data, 64)
    except error:
        return False
    return start.lstrip().startswith(b"<")
