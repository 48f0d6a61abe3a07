"""The parser of SAML responses reads valid ones, and refuses hostile ones at once with a typed error."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from textwrap import wrap

import pytest
from helpers import reachable_text
from hypothesis import given
from hypothesis import strategies as st

from stskit.errors import ProofInvalid
from stskit.proofs import SAMLAssertion, SAMLRole, saml_encoding, saml_parser

SAML = Path(__file__).parent / "data" / "saml"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
NAME = "https://aws.amazon.com/SAML/Attributes/Role"
ROLE = "arn:aws:iam::123456789012:role/app"
OTHER = "arn:aws:iam::123456789012:role/other"
PROVIDER = "arn:aws:iam::123456789012:saml-provider/Example"


def wrapped(body: str, *, head: str = "", p: str = "p", a: str = "a") -> str:
    """Return a response around *body*, with the prefixes *p* and *a*."""
    return f'{head}<{p}:Response xmlns:{p}="{PROTOCOL}" xmlns:{a}="{ASSERTION}">{body}</{p}:Response>'


def assertion(*values: str, a: str = "a", name: str = NAME) -> str:
    """Return an assertion with one attribute that has these values as XML."""
    listed = "".join(f"<{a}:AttributeValue>{value}</{a}:AttributeValue>" for value in values)
    return (
        f"<{a}:Assertion><{a}:AttributeStatement><{a}:Attribute Name='{name}'>{listed}</{a}:Attribute>"
        f"</{a}:AttributeStatement></{a}:Assertion>"
    )


def encoded(xml: str | bytes) -> str:
    return b64encode(xml.encode() if isinstance(xml, str) else xml).decode()


def pairs(xml: str | bytes) -> list[tuple[str, str]]:
    return [(role.role_arn, role.principal_arn) for role in SAMLAssertion(encoded(xml)).roles]


GOOD = wrapped(assertion(f"{ROLE},{PROVIDER}"))


# What is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "swapped", "prefix-saml2"])
def test_the_responses_of_real_providers_are_read(name: str) -> None:
    """Responses of real providers are read, with any prefix and order."""
    text = (SAML / f"{name}.b64").read_text()
    assert SAMLAssertion.from_text(text).roles == (SAMLRole(ROLE, PROVIDER),)


def test_an_encrypted_assertion_can_be_sent() -> None:
    """An encrypted assertion can be sent, and the error for its roles says how."""
    sendable = SAMLAssertion.from_text((SAML / "encrypted.b64").read_text())
    assert sendable.is_encrypted
    with pytest.raises(ProofInvalid, match="encrypted.*principal_arn="):
        _ = sendable.roles


letters = st.sampled_from("abzAZ09_+=,.@-")
names = st.text(letters, min_size=1, max_size=64)
accounts = st.from_regex(r"\A[0-9]{12}\Z") | st.just("")
partitions = st.sampled_from(["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "minio"])
paths = st.sampled_from(["", "team/", "a/b/c/", "~!odd:path/"])
role_arns = st.builds("arn:{}:iam::{}:role/{}{}".format, partitions, accounts, paths, names)
providers = st.builds(
    "arn:{}:iam::{}:saml-provider/{}".format, partitions, accounts, st.from_regex(r"\A[A-Za-z0-9._-]{1,128}\Z")
)
gaps = st.text(" \t\n", max_size=3)
prefixes = st.from_regex(r"\A[A-Za-wyz_][A-Za-z0-9_.-]{0,8}\Z")


@pytest.mark.case("S20", "S24", "S26")
@given(st.lists(st.tuples(role_arns, providers, st.booleans(), gaps, gaps), max_size=6), prefixes, prefixes)
def test_pairs_are_read_in_either_order_and_with_any_prefix(
    listed: list[tuple[str, str, bool, str, str]], p: str, a: str
) -> None:
    """Role and provider are read in either order, with spaces and any prefix, once each and in order."""
    a = a if a != p else a + "x"
    values = [
        before + after.join((f"{second},", first) if swapped else (f"{first},", second)) + before
        for first, second, swapped, before, after in listed
    ]
    xml = wrapped(assertion(*values, a=a), p=p, a=a)
    assert pairs(xml) == list(dict.fromkeys((role, provider) for role, provider, *_ in listed))


@pytest.mark.case("S26")
def test_elements_in_the_default_namespace_are_read() -> None:
    """Elements with the default namespace are read."""
    xml = (
        f"<Response xmlns='{PROTOCOL}'><Assertion xmlns='{ASSERTION}'><AttributeStatement>"
        f"<Attribute Name='https://aws.amazon.com/SAML/Attributes/Role'><AttributeValue>{ROLE},{PROVIDER}"
        "</AttributeValue></Attribute></AttributeStatement></Assertion></Response>"
    )
    assert pairs(xml) == [(ROLE, PROVIDER)]


@pytest.mark.case("S4", "S5")
@pytest.mark.parametrize(
    "value",
    [
        f"{ROLE}<!-- -->,{PROVIDER}",
        f"arn:aws:iam::123456789012:role/a<!--x-->pp,{PROVIDER}",
        f"arn:aws:iam::123456789012:role/a<?x y?>pp,{PROVIDER}",
        f"arn:aws:iam::123456789012:role/a<![CDATA[pp]]>,{PROVIDER}",
        f"<![CDATA[{ROLE},{PROVIDER}]]>",
        f"arn:aws:iam::123456789012:role/a<b>p</b>p,{PROVIDER}",
        f"arn:aws:iam::123456789012:role/a<a:AttributeValue>p</a:AttributeValue>p,{PROVIDER}",
        f"arn:aws:iam::123456789012:role/a&#112;p,{PROVIDER}",
        f"\n  {ROLE} ,\n  {PROVIDER}\n",
    ],
)
def test_nothing_inside_a_value_shortens_it(value: str) -> None:
    """Comments, instructions, CDATA, references and elements inside a value do not shorten it."""
    assert pairs(wrapped(assertion(value))) == [(ROLE, PROVIDER)]


@pytest.mark.case("S21")
@pytest.mark.parametrize(
    "value",
    [
        "",
        ROLE,
        f"{ROLE},",
        f"{ROLE},{ROLE}",
        f"{PROVIDER},{PROVIDER}",
        f"{ROLE};{PROVIDER}",
        f"{ROLE},{PROVIDER},{OTHER}",
        f"{ROLE},{PROVIDER},x",
        f"{ROLE},arn:aws:iam::12:saml-provider/Example",
        f"{ROLE},arn:aws:iam::123456789012:oidc-provider/Example",
        f"arn:aws:iam::123456789012:role/,{PROVIDER}",
        f"{ROLE}<b/>{ROLE},{PROVIDER} {PROVIDER}",
    ],
)
def test_a_value_that_is_not_a_pair_is_skipped(value: str) -> None:
    """A Role value that is not a pair is skipped, and the others are used."""
    assert pairs(wrapped(assertion(f"{OTHER},{PROVIDER}", value))) == [(OTHER, PROVIDER)]


@pytest.mark.case("S22")
def test_a_role_is_listed_once_and_in_order() -> None:
    """A role is listed once, in the order of the response."""
    values = [f"{OTHER},{PROVIDER}", f"{ROLE},{PROVIDER}", f"{PROVIDER},{OTHER}"]
    assert pairs(wrapped(assertion(*values))) == [(OTHER, PROVIDER), (ROLE, PROVIDER)]


@pytest.mark.case("S26")
@pytest.mark.parametrize(
    "xml",
    [
        wrapped(assertion(f"{ROLE},{PROVIDER}", name=f"{NAME}2")),
        wrapped(assertion(f"{ROLE},{PROVIDER}").replace(" Name=", " FriendlyName=")),
        wrapped(f"<a:Assertion><a:Advice>{ROLE},{PROVIDER}</a:Advice></a:Assertion>"),
        wrapped(assertion(f"{ROLE},{PROVIDER}").replace("a:AttributeValue", "p:AttributeValue")),
        wrapped(assertion(f"{ROLE},{PROVIDER}").replace("a:AttributeStatement", "a:Evidence")),
        wrapped(assertion(f"<a:Attribute Name='{NAME}'/>{ROLE},{PROVIDER}", name="other")),
        wrapped("<a:Assertion/>" + assertion(f"{ROLE},{PROVIDER}")[13:-14]),
    ],
    ids=["other attribute", "no name", "no attribute", "other namespace", "other place", "inside", "outside"],
)
def test_a_role_value_in_another_place_is_not_used(xml: str) -> None:
    """A Role value in another place or namespace is not used."""
    assert pairs(xml) == []


# What is sent -----------------------------------------------------------------------------------------------------

PLAIN = encoded(GOOD + "\n" * ((1 - len(GOOD)) % 3))  # of a length that needs padding


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN + "\n",
        f"\ufeff {PLAIN}",
        "\n".join(wrap(PLAIN, 76)),
        "\r\n".join(wrap(PLAIN, 64)),
        " ".join(wrap(PLAIN, 7)),
        PLAIN.rstrip("="),
        PLAIN.removesuffix("="),
        PLAIN + "=",
    ],
    ids=["as it is", "newline", "BOM", "wrapped", "CRLF", "blanks", "no padding", "half", "too much"],
)
def test_a_response_is_sent_in_one_form(text: str) -> None:
    """A response is sent as standard base64 on one line, with the exact bytes of the identity provider."""
    assert PLAIN.endswith("==")
    assert saml_encoding.canonical(text) == PLAIN


@pytest.mark.parametrize("text", [GOOD, f"\ufeff\n{GOOD}\n"], ids=["as it is", "BOM"])
def test_xml_is_sent_in_base64(text: str) -> None:
    """A response in XML is encoded."""
    assert saml_encoding.canonical(text) == encoded(GOOD)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "us-ascii", "iso-8859-1", "utf-16"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_xml_as_text_is_sent_as_utf_8(encoding: str, quote: str) -> None:
    """XML as text is sent as UTF-8, without another encoding in its declaration."""
    xml = wrapped(
        assertion(f"{ROLE},{PROVIDER}", "Zoë"), head=f"<?xml version='1.0' encoding={quote}{encoding}{quote}?>"
    )
    sent = b64decode(saml_encoding.canonical(xml)).decode()
    assert sent == wrapped(assertion(f"{ROLE},{PROVIDER}", "Zoë"), head="<?xml version='1.0'?>")
    assert pairs(sent) == [(ROLE, PROVIDER)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "cp1252"])
def test_xml_in_base64_keeps_its_encoding(encoding: str) -> None:
    """XML in base64 keeps its own encoding declaration."""
    declared = encoding.removesuffix("-sig")
    data = wrapped(assertion(f"{ROLE},{PROVIDER}"), head=f"<?xml version='1.0' encoding='{declared}'?>").encode(
        encoding
    )
    assert saml_encoding.canonical(encoded(data)) == encoded(data)
    assert pairs(data) == [(ROLE, PROVIDER)]


@pytest.mark.case("P53")
@pytest.mark.parametrize(("length", "taken"), [(99_996, True), (100_000, True), (100_004, False)])
def test_one_hundred_thousand_characters_are_sent(length: int, taken: bool) -> None:
    """100,000 characters of base64 are sent, and four more are refused."""
    xml = GOOD.encode() + b"\n" * (length // 4 * 3 - len(GOOD.encode()))
    assert len(encoded(xml)) == length
    if taken:
        assert len(saml_encoding.canonical(encoded(xml))) == length
    else:
        with pytest.raises(ProofInvalid, match="has 100,004 characters, but STS allows 100,000"):
            saml_encoding.canonical(encoded(xml))


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "-_-_",
        PLAIN.replace("A", "-"),
        PLAIN + "junk!",
        PLAIN[:-2] + "==" + PLAIN,
        PLAIN + "A",
        PLAIN.rstrip("=")[:-1],
        "SAMLResponse:=" + PLAIN,
        "{}",
        "é" * 8,
        "\ud800",
        "<\ud800>",
    ],
)
def test_text_that_is_neither_base64_nor_xml_is_refused(text: str) -> None:
    """Text that is neither base64 nor XML is refused without guessing."""
    with pytest.raises(ProofInvalid, match="neither base64 nor XML|not contain well-formed XML|URL-safe") as caught:
        saml_encoding.canonical(text)
    assert caught.value.__context__ is None


# What is refused --------------------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
DEEP = "<x>" * 100_000
WIDE = " ".join(f"a{number}='{number}'" for number in range(20_000))


@pytest.mark.case("S1", "S25", "P53")
@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (" ", "no element found"),
        ("<html><body>Sign in</body></html>", "not a SAML 2.0 response"),
        (f"<Response xmlns='{ASSERTION}'/>", "not a SAML 2.0 response"),
        ("<Response xmlns='urn:oasis:names:tc:SAML:1.0:protocol'/>", "not a SAML 2.0 response"),
        (f"<LogoutResponse xmlns='{PROTOCOL}'/>", "not a SAML 2.0 response"),
        (GOOD[:-5], "not contain well-formed XML"),
        (GOOD + "<x/>", "junk after document element"),
        (GOOD.replace("p:Response", "q:Response"), "unbound prefix"),
        (wrapped(""), "has 0 assertions, but STS needs exactly one"),
        (wrapped(assertion() * 2), "has 2 assertions, but STS needs exactly one"),
        (wrapped(assertion() + "<a:EncryptedAssertion/>"), "has 2 assertions, but STS needs exactly one"),
        (
            wrapped(f"<p:Extensions>{assertion()}</p:Extensions>{assertion()}"),
            "has 2 assertions, but STS needs exactly one",
        ),
        (
            wrapped(assertion().replace("</a:A", "<a:Assertion/></a:A", 1)),
            "has 2 assertions, but STS needs exactly one",
        ),
        ("<!DOCTYPE x>" + GOOD, "document type"),
        (f"<!DOCTYPE x [{LAUGHS}]>" + wrapped(assertion("&l9;")), "document type"),
        ("<!DOCTYPE x SYSTEM 'http://127.0.0.1:9/x.dtd'>" + GOOD, "document type"),
        ("<!DOCTYPE x [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]>" + GOOD, "document type"),
        (wrapped(assertion("&undefined;")), "undefined entity"),
        (wrapped(DEEP), "nested more than 64 levels"),
        (DEEP, "not a SAML 2.0 response"),
        (wrapped(f"<x {WIDE}/>"), "has 0 assertions, but STS needs exactly one"),
        (wrapped("<x a='1' a='2'/>"), "duplicate attribute"),
        ("\x00", "not contain well-formed XML"),
    ],
    ids=lambda value: value[:30],
)
def test_hostile_xml_is_refused(xml: str, message: str) -> None:
    """Hostile XML raises ProofInvalid at once, without a context."""
    start = time.perf_counter()
    with pytest.raises(ProofInvalid, match=message) as caught:
        pairs(xml)
    assert time.perf_counter() - start < 1
    assert caught.value.__context__ is None


@pytest.mark.case("S18")
@pytest.mark.parametrize(
    "xml",
    [
        "<canary/>",
        "<html><body class='canary'>canary</body></html>",
        "<canary",
        "canary",
        wrapped("<canary>"),
        wrapped("&canary;"),
        "<?xml version='1.0' encoding='canary'?><a/>",
        "<!DOCTYPE canary><a/>",
    ],
)
def test_an_error_quotes_nothing(xml: str) -> None:
    """An error quotes nothing of the text, not even names of elements."""
    with pytest.raises(ProofInvalid) as caught:
        pairs(xml)
    assert "canary" not in reachable_text(caught.value)


@pytest.mark.case("S6", "P53")
def test_sixty_four_levels_are_read() -> None:
    """64 levels of XML are read, and one more is refused."""
    levels = saml_parser.MAX_DEPTH - 1
    assert pairs(wrapped(f"{'<x>' * levels}{'</x>' * levels}{assertion(f'{ROLE},{PROVIDER}')}")) == [(ROLE, PROVIDER)]
    with pytest.raises(ProofInvalid, match="64 levels"):
        pairs(wrapped(f"{'<x>' * (levels + 1)}{'</x>' * (levels + 1)}"))


@pytest.mark.case("S16")
@pytest.mark.parametrize(
    "encoding", ["klingon", "utf-7", "utf-32", "rot13", "hex", "idna", "unicode-escape", "shift_jis"]
)
@pytest.mark.filterwarnings("error")
def test_an_unsupported_encoding_is_refused(encoding: str) -> None:
    """An encoding that the parser does not support raises ProofInvalid."""
    with pytest.raises(ProofInvalid, match="not a SAML response.*(encoding|not well-formed)") as caught:
        pairs(f"<?xml version='1.0' encoding='{encoding}'?><a/>")
    assert caught.value.__context__ is None


READ = [name for name, member in vars(SAMLAssertion).items() if isinstance(member, property)]


def read_all(text: str) -> None:
    """Use every attribute of a response. Only ProofInvalid is allowed as an error."""
    with suppress(ProofInvalid):
        assertion = SAMLAssertion.from_text(text)
        for name in READ:
            with suppress(ProofInvalid):
                getattr(assertion, name)


@given(st.text() | st.text("<>/?!='\"&;ab:").map("<{}".format) | st.from_regex(r"<\?xml[^>]{0,40}\?><a/>"))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Any text is read, or raises ProofInvalid."""
    read_all(text)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Any bytes in valid base64 are read, or raise ProofInvalid."""
    read_all(encoded(data))
    read_all(data.decode("latin-1"))


@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 40),
    st.text(max_size=8) | st.sampled_from(["<!-- -->", "<a:Assertion/>", "<![CDATA[", "]]>", "<?x?>", "&#0;", "&lt;"]),
)
def test_a_damaged_response_is_read_or_refused(start: int, length: int, instead: str) -> None:
    """A valid response with any damage is read, or raises ProofInvalid."""
    read_all(GOOD[:start] + instead + GOOD[start + length :])


@pytest.mark.parametrize(
    "page", ["<html><body>Sign in</body></html>", "<!DOCTYPE html><html></html>", "<a", "sign in!"]
)
def test_the_error_for_a_wrong_file_says_what_to_save(page: str) -> None:
    """The error for a wrong file says which form field to save, and quotes nothing."""
    with pytest.raises(ProofInvalid, match="Save the value of the form field SAMLResponse") as caught:
        saml_encoding.canonical(page)
    assert "Sign in" not in str(caught.value)
