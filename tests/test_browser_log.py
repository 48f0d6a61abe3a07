"""A SAML response is found in logs of browsers, and the result says which response it is."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from helpers import reachable_text
from hypothesis import given
from hypothesis import strategies as st
from saml_samples import encoded, response

from stskit.errors import ProofInvalid, StskitError
from stskit.proofs import SAMLAssertion, browser_log

AWS, OTHER = "https://signin.aws.amazon.com/saml", "https://app.example/sso"
FIRST, SECOND, THIRD = (
    encoded(response({"RoleSessionName": [name]})) for name in ("first>>>", "second???", "third~~~")
)


def post(value: str, at: str | None, url: str = AWS, *, how: str = "text") -> dict[str, Any]:
    """Return an entry of a HAR file, in which the body is text, parameters, or only in the page."""
    body: dict[str, Any] = {"mimeType": "application/x-www-form-urlencoded"}
    if how == "text":
        body["text"] = f"RelayState=&SAMLResponse={quote_plus(value)}"
    elif how == "params":
        body["params"] = [{"name": "RelayState", "value": ""}, {"name": "SAMLResponse", "value": quote_plus(value)}]
    page = f'<form><input type="hidden" name="SAMLResponse" value="{escape(value)}"/></form>' if how == "page" else "hi"
    entry: dict[str, Any] = {"request": {"method": "POST", "url": url, "postData": body}}
    entry["response"] = {"content": {"text": page}}
    return entry | ({"startedDateTime": at} if at else {})


def har(*entries: object) -> str:
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "WebInspector"}, "entries": entries}}, indent=2)


def found(text: str) -> str:
    return SAMLAssertion.from_text(text).value


@pytest.mark.parametrize("how", ["text", "params", "page"])
def test_a_har_file_is_read_in_each_form_of_its_body(how: str) -> None:
    """A response in a HAR file is found in the body as text, in its parameters, or in the page that posts it."""
    assert found(har({"request": {}}, post(FIRST, "2026-11-25T12:00:00.000Z", how=how))) == FIRST


def test_parameters_can_be_decoded_already() -> None:
    """Parameters in a HAR file can already be decoded, because browsers differ in this."""
    entry = post(FIRST, None, how="params")
    entry["request"]["postData"]["params"][1]["value"] = FIRST
    assert found(har(entry)) == FIRST


@pytest.mark.case("S30", "P11", "P55")
@pytest.mark.parametrize(
    "entries",
    [
        [post(FIRST, "2026-11-25T12:00:00Z"), post(SECOND, "2026-11-25T12:01:00Z")],
        [post(SECOND, "2026-11-25T12:01:00Z"), post(FIRST, "2026-11-25T12:00:00Z")],
        [post(SECOND, "2026-11-25T12:01:00+00:00"), post(FIRST, "2026-11-25T13:00:00+01:00")],
        [post(FIRST, None), post(SECOND, None)],
        [post(SECOND, "2026-11-25T12:01:00Z"), post(FIRST, "yesterday")],
        [post(SECOND, "2026-11-25T12:01:00Z"), post(FIRST, "2026-11-25T12:09:00Z", OTHER)],
        [post(FIRST, "2026-11-25T12:00:00Z", how="page"), post(SECOND, "2026-11-25T12:00:00Z", how="params")],
    ],
    ids=["in order", "out of order", "zones", "no times", "no time", "another site", "page and post"],
)
def test_the_newest_response_to_aws_is_used(entries: Sequence[object]) -> None:
    """The newest response to AWS is used, by its time. Then come responses to other hosts, and then pages."""
    assert found(har(*entries)) == SECOND


def test_the_result_names_the_chosen_response() -> None:
    """The result names the time and the host of the chosen response, or is empty if there is only one."""
    log = har(post(FIRST, "2026-11-25T12:00:00Z"), post(SECOND, "2026-11-25T12:01:00Z"))
    assert browser_log.newest(log).which == (
        "the newest of 2 responses, posted at 2026-11-25 12:01:00 UTC to signin.aws.amazon.com"
    )
    assert browser_log.newest(FIRST).which == ""
    assert browser_log.newest(f"SAMLResponse={FIRST}").which == ""
    assert "an unknown host" in browser_log.newest(har(post(FIRST, None, "https://[broken"))).which
    assert "an unknown time" in browser_log.newest(har(post(FIRST, None))).which


LOGS = {
    "curl": "curl 'https://signin.aws.amazon.com/saml' --data-raw 'SAMLResponse={0}&RelayState=' \\\n --compressed",
    "fetch": 'fetch("https://signin.aws.amazon.com/saml", {{"body": "RelayState=&SAMLResponse={0}"}})',
    "payload": "Form Data\nSAMLResponse: {1}\nRelayState: \n",
    "console": "[12:00:01] POST https://signin.aws.amazon.com/saml\n[12:00:01] SAMLResponse={0} 200 OK\n",
    "json": '{{"SAMLResponse": "{1}", "RelayState": ""}}',
    "escaped": '"postData": "{{\\"SAMLResponse\\": \\"{1}\\"}}"',
    "page": '<!DOCTYPE html><html><form><input name="SAMLResponse" type="hidden" value="{2}"></form></html>',
    "small page": '<HTML><input type=hidden name="SAMLResponse" value="{2}">',
}


@pytest.mark.parametrize("kind", LOGS)
def test_other_logs_are_searched_for_the_field(kind: str) -> None:
    """The SAMLResponse field is found in copied commands, code, parameter lists, console lines and pages."""
    text = LOGS[kind].format(quote_plus(FIRST), FIRST, escape(FIRST).replace("+", "&#x2b;"))
    assert found(text) == FIRST


def test_the_last_response_in_a_log_is_the_newest() -> None:
    """In a log without times, the last response is the newest, and the result says how many responses there are."""
    log = "\n".join(f"POST SAMLResponse={quote_plus(value)}&RelayState=" for value in (FIRST, THIRD, SECOND))
    assert found(log) == SECOND
    assert browser_log.newest(log).which == "the last of 3 responses"


def test_xml_is_not_searched_as_a_log() -> None:
    """An XML response is not searched as a log, even if it contains the word SAMLResponse."""
    xml = response({"RoleSessionName": ["SAMLResponse=abcd"]})
    assert found(xml) == encoded(xml)


@pytest.mark.case("S30")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (har(post(FIRST, "2026-11-25T12:00:00Z"))[:-9], "It begins as a HAR file in JSON, but its end is missing"),
        ('{"log": ' + '{"a": ' * 100_000, "its end is missing"),
        (har(), "It contains no SAML response"),
        (
            har({}, [], None, 1, "x", {"request": [], "response": {"content": {"text": 5}}}),
            "It contains no SAML response",
        ),
        (har({"request": {"postData": {"text": 5, "params": [1, {"name": "SAMLResponse"}]}}}), "no SAML response"),
        (har({"request": {"postData": {"params": [{"name": "RelayState", "value": FIRST}]}}}), "no SAML response"),
        (har({"request": {"postData": {"params": [{"name": "SAMLResponse", "value": 5}]}}}), "no SAML response"),
        ('{"log": {"entries": {}}}', "It contains no SAML response"),
        ("{}", "It contains no SAML response"),
        ("POST /saml SAMLResponse=&RelayState=canary-canary", "It contains no SAML response"),
    ],
)
def test_a_log_without_a_complete_response_is_refused(text: str, message: str) -> None:
    """A log without a complete response is refused, with a remedy and without any content of the log."""
    with pytest.raises(ProofInvalid, match=message) as caught:
        found(text)
    assert not {"canary", FIRST[:30], "WebInspector"} & set(reachable_text(caught.value).split())
    assert caught.value.__context__ is None


@pytest.mark.case("S30")
def test_a_large_log_needs_bounded_time_and_memory(tmp_path: Path) -> None:
    """A log of 40 MB is read in 30 seconds and within 400 MB of memory."""
    filler = {"request": {"url": "https://x"}, "response": {"content": {"text": "x" * 100_000}}}
    path = tmp_path / "browser.har"
    path.write_text(har(*[filler] * 400, post(FIRST, "2026-11-25T12:00:00Z")))
    code = f"from stskit.proofs import browser_log as log; print(log.newest(open({str(path)!r}).read()).value[:20])"
    limit = 400_000_000
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.stdout.strip() == quote_plus(FIRST)[:20]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["log", "entries", "request", "postData", "text", "params", "name", "value", "url"])
            | st.just("startedDateTime")
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(json_values)
def test_any_json_is_read_or_refused(value: Mapping[str, object]) -> None:
    """Any JSON value as a log is either read or refused with an error of stskit."""
    for text in (json.dumps(value), json.dumps({"log": {"entries": [value]}})):
        try:
            browser_log.newest(text)
        except StskitError as error:
            assert error.__context__ is None  # noqa: PT017 - both ways are right


@given(st.text() | st.text("SAMLResponse=:\"'\\ <>&;a1+/%{}\n").map("SAMLResponse{}".format))
def test_any_text_is_searched_or_refused(text: str) -> None:
    """Any text as a log is either read or refused with an error of stskit."""
    try:
        browser_log.newest(text)
    except StskitError as error:
        assert error.__context__ is None  # noqa: PT017 - both ways are right
