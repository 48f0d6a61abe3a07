"""Reading takes time in proportion to the length of the text, whatever is in it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest
from saml_samples import encoded, response

from stskit.errors import ProofInvalid
from stskit.proofs import SAMLAssertion, browser_log

FIELD = "SAMLResponse"
SHAPES: dict[str, Callable[[int], str]] = {
    "p_redos form": lambda n: "SAMLResponse=a" + " " * n + "\nX",
    "xml": lambda n: "<?xml " * (n // 6),
    "lt": lambda n: FIELD + "<" * n,
    "lt2": lambda n: "<" + FIELD * (n // 12),
    "input": lambda n: "<input name=SAMLResponse " * (n // 25),
    "input quote": lambda n: '<input name="SAMLResponse ' * (n // 26),
    "input q2": lambda n: "<i a=\"SAMLResponse'" * (n // 20),
    "one tag quotes": lambda n: "<i SAMLResponse " + "a=\"'" * (n // 4),
    "one tag attrs": lambda n: "<i SAMLResponse " + "a='b' " * (n // 6),
    "one tag open": lambda n: "<i name=SAMLResponse " + "a='b" * (n // 4),
    "one tag blanks": lambda n: "<i name=SAMLResponse " + " " * n,
    "one tag blanks2": lambda n: "<i name=SAMLResponse " + "a   " * (n // 4),
    "one tag slash": lambda n: "<i name=SAMLResponse " + "/ " * (n // 2),
    "one tag eq": lambda n: "<i name=SAMLResponse " + "=" * n,
    "tag amp": lambda n: "<i name=SAMLResponse value=" + "&amp" * (n // 4),
    "tag digits": lambda n: "<i name=SAMLResponse value='&#" + "9" * n + ";'>",
    "comments": lambda n: FIELD + "<!--" * (n // 4),
    "comments2": lambda n: "<!--SAMLResponse" * (n // 16),
    "comment1": lambda n: "<!-- SAMLResponse " + "--" * (n // 2),
    "cdata": lambda n: "<![CDATA[SAMLResponse" * (n // 21),
    "cdata1": lambda n: "<![CDATA[SAMLResponse" + "]" * n,
    "decl": lambda n: "<!x SAMLResponse " + "[" * n,
    "pi": lambda n: "<?SAMLResponse" * (n // 14),
    "script": lambda n: "<script>SAMLResponse" * (n // 20),
    "endtag": lambda n: "</SAMLResponse" * (n // 14),
    "fields": lambda n: "SAMLResponse=" * (n // 13),
    "fields abcd": lambda n: "SAMLResponse=PHN4 " * (n // 18),
    "run": lambda n: "x SAMLResponse=" + "A" * n,
    "run lines": lambda n: "x SAMLResponse=" + "AAAA\n" * (n // 5),
    "run pct": lambda n: "x SAMLResponse=" + "%" * n,
    "run pct41": lambda n: "x SAMLResponse=" + "%41" * (n // 3),
    "run caret": lambda n: "x SAMLResponse=" + "^" * n,
    "run eq": lambda n: "x SAMLResponse" + "=" * n,
    "gap": lambda n: "x SAMLResponse" + "\"':" * (n // 3),
    "gap value": lambda n: "x SAMLResponse" + " value" * (n // 6),
    "gap content": lambda n: "x SAMLResponse" + "Content-A:" * (n // 10),
    "gap content2": lambda n: "x SAMLResponse" + "Content-A:\n" * (n // 11),
    "gap amp": lambda n: "x SAMLResponse" + "&quot;" * (n // 6),
    "backslash": lambda n: "x SAMLResponse=" + "\\" * n,
    "bs u": lambda n: "x SAMLResponse=" + "\\u0041" * (n // 6),
    "qp": lambda n: "quoted-printable SAMLResponse " + "=3D" * (n // 3),
    "qp2": lambda n: "quoted-printable SAMLResponse " + "=" * n,
    "qp3": lambda n: "quoted-printable SAMLResponse " + " " * n + "x",
    "markup": lambda n: "SAMLResponse &lt;" + "<" * n,
    "markup2": lambda n: "SAMLResponse &lt;" + "<a>" * (n // 3),
    "markup3": lambda n: "SAMLResponse &lt;" + "&lt;" * (n // 4),
    "markup4": lambda n: "SAMLResponse &lt;&#" + "9" * n,
    "json nest": lambda n: '{"SAMLResponse":' + "[" * n,
    "json nest2": lambda n: '{"a":' * (n // 5),
    "json list": lambda n: '["SAMLResponse",' + '"x",' * (n // 4) + '"y"]',
    "json lists": lambda n: "[" + '["SAMLResponse","x"],' * (n // 21) + "1]",
    "json objs": lambda n: "[" + '{"SAMLResponse":"x"},' * (n // 21) + "1]",
    "json keys": lambda n: "{" + ",".join(f'"k{i}":"SAMLResponse"' for i in range(n // 22)) + "}",
    "json digits": lambda n: "[" + "1" * n + "]",
    "json float": lambda n: "[1." + "1" * n + "]",
    "json docs": lambda n: "{} " * (n // 3),
    "json docs2": lambda n: "{}" * (n // 2) + "x",
    "json str": lambda n: json.dumps(["SAMLResponse=" + "\\" * (n // 2)]),
    "json b64": lambda n: '[{"encoding":"base64","text":"' + "A" * n + '"}]',
    "json nested": lambda n: json.dumps([json.dumps([json.dumps({"SAMLResponse": "a" * n})])]),
    "quotes": lambda n: '"' * n,
    "quote commas": lambda n: '"' + "," * n + '"',
    "blanks": lambda n: " " * n + "x",
    "commas": lambda n: "x" + "," * n + "x",
    "abc": lambda n: "ab " * (n // 3),
    "commentmsg": lambda n: "<!--SAMLResponse" + "-" * n,
    "commentmsg2": lambda n: "<!---->" * (n // 7) + FIELD,
    "pimsg": lambda n: "<?>" * (n // 3) + FIELD,
    "wordmsg": lambda n: "<" + "a" * n + FIELD,
    "wordmsg2": lambda n: "<" + "a:" * (n // 2) + FIELD,
    "wordmsg3": lambda n: "<" + "aRequest" * (n // 8) + FIELD,
    "jwt": lambda n: "eyJ" + "a." * (n // 2),
    "form": lambda n: "a=b&" * (n // 4) + "SAMLResponse",
    "boundary": lambda n: '--b\r\nContent-Disposition: form-data; name="SAMLResponse"\r\n\r\n' * (n // 63),
    "amp entities run": lambda n: "SAMLResponse=" + "&#65;" * (n // 5),
    "tag entity value": lambda n: '<input name=SAMLResponse value="' + "&#65;" * (n // 5) + '">',
    "nul": lambda n: "SAMLResponse=" + "\0" * n,
    "tags of attributes": lambda n: ("<i name=SAMLResponse " + "a   " * 24_750 + ">") * max(1, n // 99_000),
    "tags of slashes": lambda n: ("<i name=SAMLResponse " + "a/" * 49_500 + ">") * max(1, n // 99_000),
    "open tags": lambda n: ("<i name=SAMLResponse " + "a='b' " * 16_500) * max(1, n // 99_000),
    "tags of one name": lambda n: ("<i name=SAMLResponse " + "a" * 99_000) * max(1, n // 99_000),
    "runs of blanks": lambda n: ("SAMLResponse=PHN4" + "A B " * 200_000) * max(1, n // 800_000),
    "runs of lines": lambda n: "SAMLResponse=PHN4\n" + "PHN4\n" * (n // 5),
    "runs of percents": lambda n: ("SAMLResponse=PHN4" + "%80" * 300_000) * max(1, n // 900_000),
    "runs of entities": lambda n: ("SAMLResponse=" + "&#65;" * 1000) * (n // 5013),
    "codes": lambda n: "SAMLResponse" + "a\\x41" * (n // 5),
    "escapes": lambda n: "SAMLResponse" + '\\a\\n\\\\\\"' * (n // 8),
    "escaped mentions": lambda n: "SAMLResponse" + "\\x53AMLResponse<" * (n // 16),
    "long names": lambda n: "SAMLResponse &lt;" + ("&" + "a" * 32) * (n // 33),
    "json of objects": lambda n: "[" + '{"url":0,"startedDateTime":"2026-11-25T12:00:00Z"},' * (n // 52) + "1]",
    "json of lists": lambda n: "[" + "[0]," * (n // 4) + "1]",
    "json of some lists": lambda n: "[" + "[0]," * min(n // 4, 700_000) + '"' + " " * n + '"]',
    "json of deep lists": lambda n: "[" + ("[" * 900 + "]" * 900 + ",") * (n // 1801) + "1]",
    "json of numbers": lambda n: "[" + "0," * (n // 2) + "1]",
    "json of base64": lambda n: "[" + '{"encoding":"base64","text":"QUFB"},' * (n // 36) + "1]",
    "json of json": lambda n: "[" + (json.dumps(json.dumps(["SAMLResponse"])) + ",") * (n // 21) + "1]",
}
# Those that took longest, of these and of many more, in each of the readers behind `SAMLAssertion.from_text`.
WORST = (
    *("bs u", "json keys", "json docs", "json objs", "json of objects", "json of json", "tags of slashes"),
    *("tags of one name", "runs of blanks", "runs of entities", "escaped mentions", "escapes", "xml", "input"),
    *("json of lists", "json of some lists", "json of numbers", "json of base64"),
)
SECONDS = 20  # on a machine that does nothing else: under 8


def cost(text: str) -> float:
    """Return the processor time of one reading, which ends in an error."""
    start = time.process_time()
    with pytest.raises(ProofInvalid):
        SAMLAssertion.from_text(text)
    return time.process_time() - start


def is_linear(make: Callable[[int], str], size: int, tries: int, ratio: float = 2.2) -> bool:
    """Return whether twice the *size* costs at most *ratio* times as much: the least of several, on a busy machine.

    What takes less than a tenth of a second is noise.
    """
    short, long = make(size), make(2 * size)
    least, most = math.inf, math.inf
    for _ in range(tries):
        least, most = min(least, cost(short)), min(most, cost(long))
        if most <= ratio * max(least, 0.1):
            return True
    return False


@pytest.mark.gate
@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_text_needs_at_most_twice_the_time(shape: str) -> None:
    """So it is for each shape of a text, and no construct is quadratic."""
    assert any(is_linear(SHAPES[shape], size, 4) for size in (1_000_000, 2_000_000, 4_000_000))


@pytest.mark.gate
@pytest.mark.parametrize("shape", WORST)
def test_fifty_megabytes_of_any_text_need_seconds(shape: str) -> None:
    """That is the most that a file may have."""
    assert cost(SHAPES[shape](50_000_000)) < SECONDS


@pytest.mark.gate
@pytest.mark.parametrize("shape", ["json of numbers", "tags of one name", "one tag blanks"])
def test_fifty_megabytes_need_linear_time(shape: str) -> None:
    """These are searched to their end."""
    # 2.5 was measured where the text does not fit into the processor's caches; a quadratic search needs 4
    assert is_linear(SHAPES[shape], 25_000_000, 3, ratio=3)


@pytest.mark.parametrize(
    "text",
    [
        "SAMLResponse " * 21_000,
        json.dumps(["SAMLResponse"] * 2 + ["x"] * 21_000),
        json.dumps([{"SAMLResponse": "x"}] * 21_000),
        "{}" * 2_000_001,
    ],
)
def test_a_text_with_too_many_fields_is_refused(text: str) -> None:
    """No log mentions the field twenty thousand times, and what does is not searched to its end."""
    with pytest.raises(ProofInvalid, match=r"^It is more complex than any log.*value of the form field SAMLResponse"):
        SAMLAssertion.from_text(text)


def test_a_log_of_a_thousand_sign_ins_is_read() -> None:
    """The bound is far over what people save."""
    value = encoded(response())
    pages = [{"response": {"content": {"text": f'<input name="SAMLResponse" value="{value}">' * 2}}}] * 1_000
    posts = [{"request": {"url": "https://x", "postData": {"text": f"SAMLResponse={quote(value)}"}}}] * 1_000
    found = browser_log.newest(json.dumps({"log": {"entries": pages + posts}}))
    assert (unquote(found.value), found.among) == (value, 1_000)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_costly_text_is_refused(shape: str) -> None:
    """Nothing but a typed error comes out, at any length."""
    for size in (0, 100, 5_000):
        with pytest.raises(ProofInvalid):
            SAMLAssertion.from_text(SHAPES[shape](size))
