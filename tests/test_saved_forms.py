"""SAML responses are read in the forms in which browsers, pages, tools and people save them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from html import escape
from textwrap import wrap
from typing import Any
from urllib.parse import quote

import pytest
from saml_samples import PAIR, encoded, response

from stskit.errors import ProofInvalid
from stskit.proofs import SAMLAssertion, browser_log
from stskit.proofs.saml_parser import is_aws_sign_in
from stskit.proofs.saved_text import Effort, responses_in

AWS = "https://signin.aws.amazon.com/saml"
XML = response({"Role": [PAIR], "RoleSessionName": ["ü>>>???~~~"]})
R = encoded(XML + "\n" * ((1 - len(XML.encode())) % 3))
OTHER = encoded(response({"Role": [PAIR], "RoleSessionName": ["other"]}))
WRAPPED = "\r\n".join(wrap(R, 76))
ENTITIES = R.replace("+", "&#x2b;").replace("=", "&#61;")
FIELD = f'<input type="hidden" name="SAMLResponse" value="{R}"/>'


def page(field: str) -> str:
    return f"<!DOCTYPE html>\n<html><body><form method=post action='{AWS}'>{field}</form></body></html>"


def har(*entries: dict[str, Any]) -> str:
    return json.dumps({"log": {"entries": [{"startedDateTime": "2026-11-30T21:00:00Z", **each} for each in entries]}})


def received(text: str, **more: str) -> str:
    url = "https://idp.example/sso"
    return har({"request": {"url": url}, "response": {"content": {"mimeType": "text/html", "text": text, **more}}})


def posted(text: str, mime: str = "application/x-www-form-urlencoded") -> str:
    return har({"request": {"url": AWS, "method": "POST", "postData": {"mimeType": mime, "text": text}}})


def tracer(post: object) -> str:
    return json.dumps({"requests": [{"method": "POST", "url": AWS, "post": post, "saml": XML}], "timestamp": "x"})


def part(headers: str = "") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="SAMLResponse"{headers}\r\n\r\n{R}\r\n--b--\r\n'


def source_view(markup: str) -> str:
    """Return the page that a browser saves for "view source"."""
    shown = escape(markup, quote=False).replace("SAMLResponse", "<span class=value>SAMLResponse</span>")
    return f"<html><body><table><td class=line-content>{shown}</td></table></body></html>"


def quoted_printable(text: str) -> str:
    body = "=\r\n".join(wrap(text.replace("=", "=3D"), 70, drop_whitespace=False))
    return f"MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{body}"


FORMS = {
    "SAML-tracer": tracer([["SAMLResponse", R], ["RelayState", ""]]),
    "SAML-tracer, object": tracer({"SAMLResponse": [R]}),
    "JSON": json.dumps({"SAMLResponse": R}),
    "JSON, pretty": json.dumps({"a": [{"SAMLResponse": R}]}, indent=4),
    "JSON, name and value": json.dumps({"form": [{"name": "SAMLResponse", "value": R}]}),
    "JSON, key and value": json.dumps([{"key": "SAMLResponse", "value": [R]}]),
    "JSON, escaped": json.dumps({"SAMLResponse": R}).replace("/", "\\/").replace("+", "\\u002B"),
    "JSON, raw line breaks": '{"SAMLResponse": "' + WRAPPED + '"}',
    "JSON in JSON": json.dumps({"body": json.dumps({"SAMLResponse": R})}),
    "JSON, one value in each line": json.dumps({"a": 1}) + "\n" + json.dumps({"SAMLResponse": R}) + "\n",
    "a dictionary of Python": str({"SAMLResponse": R}),
    "base64 in quotes": f'"{R}"',
    "base64 in quotes, a comma": f"'{R}',",
    "base64 in quotes, escaped": json.dumps(WRAPPED),
    "page": page(FIELD),
    "value before name": page(f'<input type="hidden" value="{R}" name="SAMLResponse"/>'),
    "upper case": page(f'<INPUT TYPE="HIDDEN" NAME="SAMLResponse" VALUE="{R}">'),
    "single quotes": page(f"<input name='SAMLResponse' value='{R}'>"),
    "wrapped": page(f'<input name="SAMLResponse" value="{WRAPPED}">'),
    "wrapped, in front": page(f'<input value="{WRAPPED}" id="x" name="SAMLResponse">'),
    "entities": page(f'<input name="SAMLResponse" value="{ENTITIES}">'),
    "no quotes": page(f"<input type=hidden name=SAMLResponse value={R}>"),
    "a > in another attribute": page(f'<input data-x="a>b" name="SAMLResponse" title="a>b" value="{R}">'),
    "textarea": page(f'<textarea name="SAMLResponse">\n{WRAPPED}\n</textarea>'),
    "a piece of a page": f"<form>{FIELD}</form>",
    "a comment in front": f"<!-- saved --><html>{FIELD}</html>",
    "an open tag": f'<input name="SAMLResponse" value="{R}"',
    "page in a script": f"document.write({json.dumps(FIELD)})",
    "page in a script, \\u003c": f"x = {json.dumps(FIELD)}".replace("<", "\\u003c"),
    "page in a script, \\x3c": f"x = {json.dumps(page(FIELD))}".replace("<", "\\x3C"),
    "view source": source_view(FIELD),
    "page as one file (MHTML)": quoted_printable(page(FIELD)),
    "HAR, page": received(page(f'<input value="{R}" name="SAMLResponse">')),
    "HAR, page wrapped": received(page(f'<input name="SAMLResponse" value="{WRAPPED}">')),
    "HAR, page in base64": received(b64encode(page(FIELD).encode()).decode(), encoding="base64"),
    "HAR, multipart": posted(part(), "multipart/form-data; boundary=b"),
    "HAR, multipart with headers": posted(part("\r\nContent-Type: text/plain; charset=x"), "multipart/form-data"),
    "HAR, JSON": posted(json.dumps({"SAMLResponse": R}), "application/json"),
    "HAR, body with wrapped value": posted(f"SAMLResponse={quote(WRAPPED, safe='')}&RelayState="),
    "multipart": part(),
    "form body, wrapped": f"SAMLResponse={WRAPPED}&RelayState=x",
    "form body, a plus lost": f"SAMLResponse={R.replace('+', ' ')}&RelayState=x",
    "cURL": f"curl '{AWS}' --data-raw 'SAMLResponse={quote(R, safe='')}&RelayState='",
    "cURL, --form": f"curl {AWS} -F 'SAMLResponse={R}'",
    "cURL, urlencode": f"curl {AWS} --data-urlencode 'SAMLResponse={R}' -d a=b",
    "cURL of cmd": f'curl ^"{AWS}^" --data-raw ^"SAMLResponse={quote(R, safe="").replace("%", "^%^")}^&RelayState=^"',
    "cURL, multipart": f"curl {AWS} --data-raw $'{part().encode('unicode_escape').decode()}'",
    "PowerShell": f'Invoke-WebRequest -Uri "{AWS}" -Body "SAMLResponse={quote(R, safe="")}&RelayState="',
    "a table": f"SAMLResponse\t{R}\nRelayState\t",
    "a list": f"SAMLResponse: {R}\nRelayState: x",
    "two lines": f"SAMLResponse\n{R}\nRelayState\nx",
    "a list, wrapped": f"SAMLResponse:\n{WRAPPED}\nRelayState: x",
    "YAML": "SAMLResponse: |\n  " + "\n  ".join(wrap(R, 76)) + "\nRelayState: x",
    "code": f"form.append('SAMLResponse', '{R}');",
    "UTF-16 in base64": page(f'<input name="SAMLResponse" value="{encoded(XML.encode("utf-16"))}">'),
}


@pytest.mark.case("P11")
@pytest.mark.parametrize("form", FORMS)
def test_a_saved_response_is_read_in_every_common_form(form: str) -> None:
    """A response in each common form of saving is read, with the exact bytes of the page."""
    value = SAMLAssertion.from_text(FORMS[form]).value
    assert value == (encoded(XML.encode("utf-16")) if "UTF-16" in form else R)


@pytest.mark.parametrize("wrong", ["", "abcd", "-_-_", R[:-9], "%zz", "&#1;", "=" * 400])
@pytest.mark.parametrize("form", ["page", "cURL", "a table", "JSON", "HAR, page", "view source"])
def test_a_damaged_response_is_refused_in_every_form(form: str, wrong: str) -> None:
    """A damaged response in each form raises ProofInvalid without a quote."""
    text = FORMS[form].replace(quote(R, safe=""), wrong).replace(R, wrong)
    with pytest.raises(ProofInvalid) as caught:
        SAMLAssertion.from_text(text)
    assert R[:30] not in str(caught.value)
    assert caught.value.__context__ is None


def entry(value: str, url: str, minute: int = 0) -> dict[str, Any]:
    body = {"text": f"SAMLResponse={quote(value, safe='')}"}
    return {"startedDateTime": f"2026-11-30T21:{minute:02}:00Z", "request": {"url": url, "postData": body}}


@pytest.mark.case("P55")
@pytest.mark.parametrize(
    "url",
    [
        "https://signin.aws.amazon.com.evil.test/saml",
        "https://evil.test/signin.aws.amazon.com",
        "https://evilsignin.aws.amazon.com/saml",
        "https://signin.aws.amazon.com@evil.test/saml",
        "https://evil.test\\@signin.aws.amazon.com/saml",
        "https://evil.test#.signin.aws.amazon.com/",
        "http://signin.aws.amazon.com/saml",
        "https://aws.evil.test/saml",
    ],
)
def test_the_post_to_aws_is_used_before_a_later_one(url: str) -> None:
    """A later post to another host is not used instead of the post to AWS."""
    assert not is_aws_sign_in(url)
    text = har(entry(R, AWS), entry(OTHER, url, 5))
    assert SAMLAssertion.from_text(text).value == R
    posts = [{"url": AWS, "post": {"SAMLResponse": R}}, {"url": url, "post": {"SAMLResponse": OTHER}}]
    assert SAMLAssertion.from_text(json.dumps({"requests": posts})).value == R


def test_every_sign_in_host_of_botocore_is_known() -> None:
    """Every sign-in host in botocore's endpoint rules is known."""
    import re

    from botocore.loaders import Loader

    if "signin" not in Loader().list_available_services("endpoint-rule-set-1"):
        pytest.skip("this botocore does not know the sign-in service")
    rules = json.dumps(Loader().load_service_model("signin", "endpoint-rule-set-1"))
    urls = [url for url in re.findall(r'"url": "(https://[^"]+)"', rules) if "#dnsSuffix" not in url]
    # The others, of dual stack and OAuth, have no pages.
    urls = [url for url in urls if re.search(r"signin(-fips)?\.(aws\.amazon|amazonaws|c)", url)]
    assert urls
    for url in urls:
        assert is_aws_sign_in(url.replace("{Region}", "eu-central-1")), url
        assert is_aws_sign_in(url.replace("{Region}.", "") + "/saml"), url
    assert is_aws_sign_in("https://SIGNIN.aws.amazon.com:443/saml?x#y")


def test_the_last_of_several_responses_is_used() -> None:
    """Of several responses without times and addresses, the last is used."""
    found = browser_log.newest(json.dumps([{"SAMLResponse": OTHER}, {"SAMLResponse": R}]))
    assert (found.value, found.which, found.among) == (R, "the last of 2 responses", 2)
    assert browser_log.newest(json.dumps({"SAMLResponse": R})).which == ""
    twice = f"<input name=SAMLResponse value={OTHER}><input name=SAMLResponse value={R}>"
    assert responses_in(twice, Effort()) == [OTHER, R]


def test_a_form_saved_twice_counts_once() -> None:
    """A form that a browser saves as text and as parameters counts as one response."""
    post = entry(R, AWS)
    post["request"]["postData"]["params"] = [{"name": "SAMLResponse", "value": quote(R, safe="")}]
    assert browser_log.newest(har(post)).among == 1


def test_text_that_cannot_be_decoded_is_skipped() -> None:
    """Text that cannot be decoded is skipped."""
    nested = json.dumps({"SAMLResponse": R})
    for _ in range(9):
        nested = json.dumps({"text": nested})
    for text in (
        received("SAMLResponse", encoding="base64"),
        har({"response": {"content": {"text": 5, "encoding": "base64"}}}),
        nested,
        page(f'<input name="SAMLResponse" value="&#{"9" * 9000};">'),
        f"SAMLResponse &lt;&#{'9' * 9000};",
        '["SAMLResponse"',
        "[SAMLResponse]",
        '{"a": "SAMLResponse"',
        "{SAMLResponse}",
        "<![x SAMLResponse",
        "SAMLResponse is missing",
        json.dumps(["SAMLResponse", [5, [" "]]]),
        har({"request": {"url": 5}, "response": {"content": {"text": '{"SAMLResponse'}}}),
    ):
        with pytest.raises(ProofInvalid, match="It contains no SAML response|its end is missing"):
            SAMLAssertion.from_text(text)


def test_only_the_xml_declaration_loses_its_encoding() -> None:
    """Only the XML declaration loses its encoding, and nothing else changes."""
    body = XML.replace("alice", "<?x encoding='y'?>alice")
    sent = b64decode(SAMLAssertion.from_text(f'<?xml version="1.0" encoding="utf-16"?>{body}').value).decode()
    assert sent == f'<?xml version="1.0"?>{body}'


def test_xml_with_a_lone_surrogate_is_refused() -> None:
    """XML with a lone surrogate is refused."""
    with pytest.raises(ProofInvalid, match="neither base64 nor XML"):
        SAMLAssertion.from_text("<\ud800>")
