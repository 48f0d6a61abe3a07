"""Find the values of the form field ``SAMLResponse`` in a text: a page, a form body, a copied command or a log.

The time is proportional to the length of the text. For that reason `html.parser` gets only the text from one ``<`` to
the next, and every regular expression is possessive or cannot fail after a long match. Parts that are slow for their
length, such as tags and entities, are counted, and a text with more of them than a real one is refused.

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#naming-form-controls:-the-name-attribute
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Final

from stskit.credentials import Secret
from stskit.errors import ProofInvalid
from stskit.proofs.saml_encoding import MAX_LENGTH, is_whole

__all__ = ["FIELD", "STEPS_FOR_A_MENTION", "Effort", "may_hold_field", "responses_in", "without_quotes"]

FIELD: Final = "SAMLResponse"

# The characters between the field name and its value: quotes, colons, a tab, the headers of a multipart body.
_GAP: Final = re.compile(
    r"""(?:[\s"'`:=,;>|^\\(\[-]|&(?:quot|apos|nbsp|\#34|\#39|\#x22|\#x27);|value\b|Content-[A-Za-z-]{1,30}:[^\r\n]{0,200})++""",
    re.VERBOSE | re.IGNORECASE,
)
# The value, with percent signs, entities, the carets of a Windows command and white space.
_RUN: Final = re.compile(r"(?:[A-Za-z0-9+/=%^_\s-]++|&\#(?:x[0-9a-fA-F]{1,4}|[0-9]{1,5});)++")
_TAG: Final = re.compile(r"<[^<>]*+>")
_CODE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_QUOTED_PRINTABLE: Final = re.compile(r"quoted-printable|=3D", re.IGNORECASE)
# A base64 part of a saved page or an e-mail, and a request that Burp saved.
_ENCODED: Final = re.compile(
    r"""(?:Content-Transfer-Encoding:[ \t]{0,9}base64[ \t]{0,9}\r?\n(?:[^\r\n]{1,2000}+\r?\n){0,20}+\r?\n
    |base64="true">\s{0,9}<!\[CDATA\[)([A-Za-z0-9+/=\s]++)""",
    re.VERBOSE | re.IGNORECASE,
)
_HIDDEN: Final = re.compile(r'quoted-printable|Content-Transfer-Encoding:|base64="true"', re.IGNORECASE)
_QUOTES: Final = "\"'`"
_MAX_TAG: Final = 400_000  # characters, four times the limit of STS; html.parser needs much memory for attributes
_PARTS_OF_A_TAG: Final = " \t\r\n/="  # begin an attribute or a value, which are slow in html.parser
_LONG_NAME: Final = re.compile(r"&[^\s<&#;]{8}")  # an entity that html.unescape would look up letter by letter
_READINGS: Final = 4  # the largest number of readings of a value
_MAX_GAP: Final = 10_000  # characters
_MAX_STEPS: Final = 2_000_000  # each about a microsecond; a browser log of 50 MB needs a tenth of them
STEPS_FOR_A_MENTION: Final = 100


class Effort:
    """Count the steps of a search, and stop a search that needs more than a real text does."""

    def __init__(self) -> None:
        self._left = _MAX_STEPS

    def spend(self, steps: int) -> None:
        """Count steps of about a microsecond. Raises `ProofInvalid` after two million of them."""
        self._left -= steps
        if self._left < 0:
            raise ProofInvalid(
                "It is more complex than any log or page of a browser, so it was not searched to the end.",
                remedy="Save only the value of the form field SAMLResponse, or the log of one sign-in.",
            )


def responses_in(text: str, effort: Effort) -> list[Secret]:
    """Return the values of the field, in document order. Raises `ProofInvalid` after too much *effort*.

    If no complete response is found in the text, the escapes of JavaScript, quoted-printable, base64 or the markup of a
    "view source" page are removed, one after the other.
    """
    incomplete: list[Secret] = []
    for view in (_unchanged, _without_backslashes, _from_quoted_printable, _from_base64, _without_markup):
        shown = view(text, effort)
        effort.spend(shown.count(FIELD) * STEPS_FOR_A_MENTION)
        for read in (_fields_of_pages, _fields_of_text):
            found = list(read(shown, effort)) if FIELD in shown else []
            if whole := [each for each in found if is_whole(each)]:
                return whole
            incomplete = incomplete or found
    return incomplete


def may_hold_field(text: str) -> bool:
    """Return whether the field is in *text*, or may be in an encoded part of it."""
    return FIELD in text or _HIDDEN.search(text) is not None


def without_quotes(text: str) -> Secret:
    """Return *text* without quotes around it and a comma after them, as in a copy from code or JSON."""
    bare = text.rstrip(",; \t\r\n")
    if len(bare) > 1 and bare[0] in _QUOTES and bare[-1] == bare[0] and not bare.startswith("```"):
        return Secret(_unescaped(bare[1:-1]))
    return Secret(text)


# Pages ----------------------------------------------------------------------------------------------------------------


class _Form(HTMLParser):
    """A parser that collects the values of the field: an attribute, else the text after the tag."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Secret] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - any tag can have the field
        attributes = {name: _without_escaped_quotes(value or "") for name, value in reversed(attrs)}
        if attributes.get("name") == FIELD:
            self._is_open = not attributes.get("value")
            self.values += [Secret(attributes["value"])] if not self._is_open else []

    def handle_data(self, data: str) -> None:
        if self._is_open and data.strip():
            self.values.append(Secret(data.strip()))


def _fields_of_pages(text: str, effort: Effort) -> Iterator[Secret]:
    end = 0
    while (at := text.find(FIELD, end)) >= 0:
        start = text.rfind("<", end, at)
        end = _next(text, "<", at)
        if start >= 0:
            yield from _values_of_tag(text[start : min(end, start + _MAX_TAG)], effort)


def _values_of_tag(markup: str, effort: Effort) -> list[Secret]:
    effort.spend(sum(map(markup.count, _PARTS_OF_A_TAG)) + _cost_of_entities(markup))
    form = _Form()
    try:
        form.feed(markup)
        form.close()
    except (ValueError, AssertionError):  # a character reference with thousands of digits, or a broken declaration
        return []
    return form.values


def _without_escaped_quotes(value: str) -> str:
    return value[2:].partition(value[:2])[0] if value[:2] in ('\\"', "\\'") else value


# Other texts ----------------------------------------------------------------------------------------------------------


def _fields_of_text(text: str, effort: Effort) -> Iterator[Secret]:
    at = text.find(FIELD)
    while at >= 0:
        start, at = at + len(FIELD), text.find(FIELD, at + len(FIELD))
        limit = len(text) if at < 0 else at
        gap = _GAP.match(text, start, min(limit, start + _MAX_GAP))
        run = gap and _RUN.match(text, gap.end(), min(limit, gap.end() + MAX_LENGTH + 1))
        if gap and run:
            effort.spend(run[0].count("&") + run[0].count("%") * _READINGS)
            shown = unescape(run[0].replace("^", ""))
            effort.spend(sum(map(shown.count, " \n")) * _READINGS)
            value = _complete_response(shown)
            if value is None and ("=" in gap[0] or ":" in gap[0]):
                value = Secret("".join(shown.split(None, 1)[:1]))
            if value is not None:
                yield value


def _complete_response(run: str) -> Secret | None:
    """Return the part of a value that is a response: its first word, its lines of equal length, or all of it."""
    lines = run.split()
    same = next((number for number, line in enumerate(lines) if len(line) != len(lines[0])), len(lines))
    readings = (lines[0], *("".join(lines[:count]) for count in (same, same + 1)), run.strip()) if lines else ()
    return next((Secret(each) for each in dict.fromkeys(readings) if is_whole(each)), None)


def _cost_of_entities(text: str) -> int:
    return text.count("&") + 30 * sum(1 for _ in _LONG_NAME.finditer(text))


def _next(text: str, what: str, start: int) -> int:
    found = text.find(what, start)
    return len(text) if found < 0 else found


# Views: the text without an encoding
# -----------------------------------------------------------------------------------


def _unchanged(text: str, _effort: Effort) -> str:
    return text


def _without_backslashes(text: str, effort: Effort) -> str:
    effort.spend(text.count("\\u") + text.count("\\x"))
    return _unescaped(text)


def _unescaped(text: str) -> str:
    """Return *text* without the escapes of JavaScript. Each kind is replaced at once, because there may be many."""
    if "\\" not in text:
        return text
    text = _CODE.sub(_character, text.replace("\\\\", "\0"))
    for letter, character in (("n", "\n"), ("r", "\r"), ("t", "\t"), ("", "")):
        text = text.replace(f"\\{letter}", character)
    return text.replace("\0", "\\")


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1] or escape[2], 16)).replace("\\", "\0")


def _from_quoted_printable(text: str, _effort: Effort) -> str:
    from quopri import decodestring

    if not _QUOTED_PRINTABLE.search(text):
        return ""
    return decodestring(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _from_base64(text: str, _effort: Effort) -> str:
    return "\n".join(_decoded(part[1]) for part in _ENCODED.finditer(text))


def _decoded(part: str) -> str:
    from base64 import b64decode

    try:
        return b64decode(part).decode("utf-8", "replace")
    except ValueError:
        return ""


def _without_markup(text: str, effort: Effort) -> str:
    if "&lt;" not in text:
        return ""
    shown = _TAG.sub("", text)
    effort.spend(_cost_of_entities(shown))
    try:
        return unescape(shown)
    except ValueError:  # a character reference with thousands of digits
        return ""
