"""Finds the values of the form field ``SAMLResponse`` in a text: a page, a form body, a copied command, a log.

Every step takes time in proportion to the length of the text. That is why `html.parser` only ever sees the text from
one ``<`` to the next, and why every regular expression here is possessive or cannot fail after a long match.

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#naming-form-controls:-the-name-attribute
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Final

from stskit.credentials import Secret
from stskit.proofs.saml_encoding import is_whole

__all__ = ["FIELD", "responses_in", "without_quotes"]

FIELD: Final = "SAMLResponse"

# What stands between the name of the field and its value: quotes, colons, a tab, the headers of a multipart body.
_GAP: Final = re.compile(
    r"""(?:[\s"'`:=,;>|^\\(\[]|&(?:quot|apos|nbsp|\#34|\#39|\#x22|\#x27);|value\b|Content-[A-Za-z-]{1,30}:[^\r\n]{0,200})++""",
    re.VERBOSE | re.IGNORECASE,
)
# The value with all that may be inside: percent signs, entities, the carets of a Windows command, blanks.
_RUN: Final = re.compile(r"(?:[A-Za-z0-9+/=%^_\s-]|&\#(?:x[0-9a-fA-F]{1,4}|[0-9]{1,5});)++")
_TAG: Final = re.compile(r"<[^<>]*+>")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t"}
_QUOTES: Final = "\"'`"
_MAX_TAG: Final = 400_000  # characters; four times what STS accepts, and html.parser needs much memory for attributes


def responses_in(text: str) -> list[Secret]:
    """Return the values of the field in *text*, in their order; raises nothing.

    *text* is read as it stands. Where no whole response is found that way, the escapes of JavaScript, quoted-printable
    or the markup of a "view source" page are removed first.
    """
    incomplete: list[Secret] = []
    for view in (_as_it_stands, _without_backslashes, _from_quoted_printable, _without_markup):
        shown = view(text)
        for read in (_fields_of_pages, _fields_of_text):
            found = list(read(shown)) if FIELD in shown else []
            if whole := [each for each in found if is_whole(each)]:
                return whole
            incomplete = incomplete or found
    return incomplete


def without_quotes(text: str) -> Secret:
    """Return *text* without the quotes around it, which a copy from code or JSON has, and a comma after them."""
    bare = text.rstrip(",; \t\r\n")
    if len(bare) > 1 and bare[0] in _QUOTES and bare[-1] == bare[0]:
        return Secret(_without_backslashes(bare[1:-1]))
    return Secret(text)


# Pages ----------------------------------------------------------------------------------------------------------------


class _Form(HTMLParser):
    """Collects the value of the field: of an attribute, else the text after the tag."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Secret] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - any tag
        attributes = {name: _without_escaped_quotes(value or "") for name, value in reversed(attrs)}
        if attributes.get("name") == FIELD:
            self._is_open = not attributes.get("value")
            self.values += [Secret(attributes["value"])] if not self._is_open else []

    def handle_data(self, data: str) -> None:
        if self._is_open and data.strip():
            self.values.append(Secret(data.strip()))


def _fields_of_pages(text: str) -> Iterator[Secret]:
    end = 0
    while (at := text.find(FIELD, end)) >= 0:
        start = text.rfind("<", end, at)
        end = _next(text, "<", at)
        if start >= 0:
            yield from _values_of_tag(text[start:end])


def _values_of_tag(markup: str) -> list[Secret]:
    form = _Form()
    try:
        form.feed(markup[:_MAX_TAG])
        form.close()
    except (ValueError, AssertionError):  # a character reference of thousands of digits; a broken declaration
        return []
    return form.values


def _without_escaped_quotes(value: str) -> str:
    return value[2:].partition(value[:2])[0] if value[:2] in ('\\"', "\\'") else value


# Other texts ----------------------------------------------------------------------------------------------------------


def _fields_of_text(text: str) -> Iterator[Secret]:
    at = text.find(FIELD)
    while at >= 0:
        start, at = at + len(FIELD), text.find(FIELD, at + len(FIELD))
        limit = len(text) if at < 0 else at
        gap = _GAP.match(text, start, limit)
        run = gap and _RUN.match(text, gap.end(), limit)
        if gap and run:
            value = _whole_reading(run[0].replace("^", ""))
            if value is None and ("=" in gap[0] or ":" in gap[0]):
                value = _bare(run[0].split(None, 1)[0].replace("^", ""))
            if value is not None:
                yield value


def _whole_reading(run: str) -> Secret | None:
    """Return the part of *run* that is a response: its first word, its lines of the same length, or all of it."""
    lines = run.split()
    same = next((number for number, line in enumerate(lines) if len(line) != len(lines[0])), len(lines))
    readings = (lines[0], *("".join(lines[:count]) for count in (same, same + 1)), run) if lines else ()
    return next((each for each in map(_bare, dict.fromkeys(readings)) if is_whole(each)), None)


def _bare(value: str) -> Secret:
    return Secret(unescape(value).strip())


def _next(text: str, what: str, start: int) -> int:
    found = text.find(what, start)
    return len(text) if found < 0 else found


# Views: the text behind another notation ------------------------------------------------------------------------------


def _as_it_stands(text: str) -> str:
    return text


def _without_backslashes(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    return chr(int(code, 16)) if code else _LETTERS.get(escape[3], escape[3])


def _from_quoted_printable(text: str) -> str:
    from quopri import decodestring

    if "quoted-printable" not in text:
        return ""
    return decodestring(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _without_markup(text: str) -> str:
    try:
        return unescape(_TAG.sub("", text)) if "&lt;" in text else ""
    except ValueError:  # a character reference of thousands of digits
        return ""
