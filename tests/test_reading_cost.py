"""Reading takes time in proportion to the length of the text, whatever is in it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from stskit.errors import ProofInvalid
from stskit.proofs import SAMLAssertion

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
}
COUNTED = ("input", "fields abcd", "run", "comments", "xml", "json nested", "one tag open")


def cost(text: str) -> float:
    """Return the processor time of one reading, which ends in an error."""
    start = time.process_time()
    with pytest.raises(ProofInvalid):
        SAMLAssertion.from_text(text)
    return time.process_time() - start


def ratio(make: Callable[[int], str], size: int) -> float:
    """Return the cost of twice the *size* over that of *size*: the least of each, for a busy machine adds to it."""
    short, long = make(size), make(2 * size)
    return min(cost(long) for _ in range(3)) / max(min(cost(short) for _ in range(3)), 0.005)


@pytest.mark.gate
@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_text_costs_at_most_twice_the_time(shape: str) -> None:
    """Where caches of the processor make one size cheap, a larger one is measured."""
    sizes = (500_000, 1_500_000, 3_000_000)
    assert any(ratio(SHAPES[shape], size) <= 2.2 for size in sizes)


@pytest.mark.gate
@pytest.mark.parametrize("shape", COUNTED)
def test_fifty_megabytes_of_anything_are_linear_too(shape: str) -> None:
    """That is the most that a file may have."""
    assert any(ratio(SHAPES[shape], 25_000_000) <= 2.2 for _ in range(2))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_costly_looking_text_is_refused(shape: str) -> None:
    """Nothing but a typed error comes out, at any length."""
    for size in (0, 100, 5_000):
        with pytest.raises(ProofInvalid):
            SAMLAssertion.from_text(SHAPES[shape](size))
