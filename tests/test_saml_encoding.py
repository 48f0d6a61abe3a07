"""What people save of a SAML response, and the one form of it that is sent."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from textwrap import wrap
from unittest.mock import patch
from urllib.parse import quote, quote_plus
from xml.parsers import expat

import pytest
from helpers import reachable_text
from hypothesis import given
from hypothesis import strategies as st
from saml_samples import PAIR, encoded, response

from stskit.errors import ProofInvalid
from stskit.proofs import SAMLAssertion, saml_encoding

# One that has the letters + and / in base64, and needs padding.
XML = response({"Role": [PAIR], "RoleSessionName": ["ü>>>???~~~"]})
XML += "\n" * ((1 - len(XML.encode())) % 3)
PLAIN = encoded(XML)


def sent(text: str) -> str:
    return SAMLAssertion.from_text(text).value


def test_the_sample_has_all_difficult_characters() -> None:
    """The sample response contains all characters that are easily lost."""
    assert {"+", "/", "="} <= set(PLAIN)


@pytest.mark.case("S10")
@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f" {PLAIN}\r\n",
        f"\ufeff{PLAIN}",
        "\n".join(wrap(PLAIN, 76)),
        "\r\n".join(wrap(PLAIN, 64)),
        " ".join(wrap(PLAIN, 100)),
        PLAIN.rstrip("="),
        "\n".join(wrap(PLAIN.rstrip("="), 76)),
    ],
    ids=["one line", "blanks around", "BOM", "wrapped", "CRLF", "blanks", "no padding", "wrapped without padding"],
)
def test_every_form_of_base64_is_sent_in_one_form(text: str) -> None:
    """Every form of base64 is sent in the standard form on one line with padding."""
    assert sent(text) == PLAIN


@pytest.mark.case("S11")
@pytest.mark.parametrize(
    "text",
    [
        quote(PLAIN, safe=""),
        quote(PLAIN, safe="/"),
        quote(PLAIN, safe="").replace("%2B", "%2b"),
        f"SAMLResponse={quote_plus(PLAIN)}",
        f"SAMLResponse={PLAIN}",
        f"RelayState=&SAMLResponse={quote_plus(PLAIN)}&x=%26",
        f"SAMLResponse={quote_plus(PLAIN)}&RelayState=https%3A%2F%2Fconsole\n",
        PLAIN.replace("+", " "),
        f"SAMLResponse={PLAIN.replace('+', ' ')}&RelayState=",
    ],
    ids=[
        "encoded",
        "in part",
        "lower case",
        "field",
        "raw field",
        "body",
        "body with more",
        "plus lost",
        "plus lost in field",
    ],
)
def test_form_encoding_is_decoded(text: str) -> None:
    """Percent signs are decoded once, and a space that was a plus sign is restored."""
    assert sent(text) == PLAIN


@pytest.mark.case("S11")
def test_a_response_that_is_encoded_twice_is_refused() -> None:
    """A response that is encoded twice is refused."""
    with pytest.raises(ProofInvalid, match="neither base64 nor XML"):
        sent(quote(quote(PLAIN, safe=""), safe=""))


@pytest.mark.case("S12")
def test_url_safe_base64_is_refused_by_name() -> None:
    """URL-safe base64 is refused, and the error names it."""
    text = PLAIN.replace("+", "-").replace("/", "_")
    with pytest.raises(ProofInvalid, match="URL-safe base64"):
        sent(text)


def test_other_text_with_a_dash_is_not_called_url_safe() -> None:
    """Other text with a dash is not called URL-safe."""
    for text in ("sign-in!", "a sentence, with-dash", "PHg+PHg+PHg"):
        with pytest.raises(ProofInvalid) as caught:
            sent(text)
        assert "URL-safe" not in str(caught.value)


@pytest.mark.case("S13")
@pytest.mark.parametrize("junk", ["junk", "=junk", "\njunk=", "!", "\0", "<"])
def test_text_after_the_padding_is_refused(junk: str) -> None:
    """Text after the padding is refused."""
    with pytest.raises(ProofInvalid):
        sent(PLAIN + junk)


@pytest.mark.case("S14")
def test_xml_is_encoded_unchanged() -> None:
    """XML is encoded without a change."""
    assert b64decode(sent(XML)).decode() == XML.strip()


@pytest.mark.case("S15")
def test_a_deflated_response_is_refused_by_name() -> None:
    """A deflated response is refused, and the error names it."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflater.compress(XML.encode()) + deflater.flush()
    with pytest.raises(ProofInvalid, match="response is deflated.*redirect binding"):
        sent(b64encode(data).decode())


@pytest.mark.case("S8")
@pytest.mark.parametrize(("size", "taken"), [(99_996, True), (100_000, True), (100_004, False), (2_000_000, False)])
def test_the_limit_of_sts_applies_to_the_sent_text(size: int, taken: bool) -> None:
    """The limit of 100,000 characters applies to the text that is sent."""
    text = encoded(XML.encode() + b"\n" * (size // 4 * 3 - len(XML.encode())))
    if taken:
        assert len(sent("\n".join(wrap(text, 76)))) == size
    else:
        with pytest.raises(ProofInvalid, match=f"has {size:,} characters, but STS allows 100,000"):
            sent(text)


@pytest.mark.case("S9")
@pytest.mark.parametrize("text", ["abc", "abcd", "PHg+"])
def test_a_response_of_three_characters_is_refused(text: str) -> None:
    """A response of three characters is refused."""
    with pytest.raises(ProofInvalid):
        sent(text)


def test_two_readings_of_a_space_are_tried() -> None:
    """Two readings of a space are tried, and no more."""
    with patch("xml.parsers.expat.ParserCreate", wraps=expat.ParserCreate) as parsing, pytest.raises(ProofInvalid):
        saml_encoding.canonical("a b " * 1000)
    assert parsing.call_count <= 2


@given(st.text(), st.integers(0, len(PLAIN)))
def test_any_inserted_text_is_removed_or_refused(text: str, at: int) -> None:
    """Any text inserted into a response results in valid base64 of a response, or in ProofInvalid."""
    try:
        value = sent(PLAIN[:at] + text + PLAIN[at:])
    except ProofInvalid as error:
        assert error.__context__ is None  # noqa: PT017 - both ways are right
        assert PLAIN[:40] not in reachable_text(error)  # noqa: PT017
    else:
        assert b64encode(b64decode(value, validate=True)).decode() == value


def test_a_token_is_recognised() -> None:
    """A token is recognised by its form, and not quoted."""
    with pytest.raises(
        ProofInvalid, match=r"^This is an OIDC token, not a SAML response\. Use OIDCTokenFile\(path\) for it\.$"
    ):
        saml_encoding.canonical("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln")
