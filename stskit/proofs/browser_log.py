"""Find the newest SAML response in a browser log: a HAR file, a saved log, a form or a page.

A browser posts the form field ``SAMLResponse``. In JSON, such as a HAR file or an export of SAML-tracer, requests are
preferred to received pages.

http://www.softwareishard.com/blog/har-12-spec/
https://github.com/SimpleSAMLphp/SAML-tracer
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from stskit._time import instant, shown_time
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, without_frames
from stskit.proofs.saml_parser import is_aws_sign_in
from stskit.proofs.saved_text import (
    FIELD,
    STEPS_FOR_A_MENTION,
    Effort,
    may_hold_field,
    responses_in,
    without_quotes,
)

__all__ = ["FoundResponse", "newest"]

# The first element of a SAML message or of a similar document. Any other text with "<" can be a page.
_MESSAGE: Final = re.compile(
    r"(?:<\?[^>]*>|<!--[^>]*-->|\s)*+<(?:[\w.-]+:)?(?:Response|Assertion|EncryptedAssertion|Envelope|\w+(?:Request|Response))[\s/>]"
)
_NOT_SEARCHED: Final = frozenset(
    {"url", "get", "headers", "requestHeaders", "responseHeaders", "queryString", "cookies"}
)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_MAX_DEPTH: Final = 4  # JSON in the text of JSON
_STEPS_FOR_A_VALUE: Final = 2


@frozen
class FoundResponse:
    """The SAML response of a text.

    Args:
        value: The response.
        which: Which response it is, in words. Empty if the text contains nothing else.
        among: Number of responses in the text.
    """

    value: Secret = field(converter=Secret)
    which: str = ""
    among: int = 1


@frozen
class _Place:
    """The entry of a log that a text belongs to."""

    url: str | None = None
    at: datetime | None = None
    is_received: bool = False


@frozen
class _Post:
    """A response in a log, and the entry that contains it."""

    value: Secret = field(converter=Secret)
    place: _Place


@without_frames
def newest(text: str) -> FoundResponse:
    """Return the response that was posted last, to AWS if any was. A text that is not a log is returned as it is.

    Raises `ProofInvalid` if the text is a log without a response, or is much larger than the log of a browser.
    """
    text = without_quotes(text.lstrip("\ufeff").strip())
    effort = Effort()
    posts = _posts_in_json(text, effort) if text[:1] in ("{", "[") else None
    if posts is not None:
        return _newest_post(posts)
    if not may_hold_field(text) or _MESSAGE.match(text):
        return FoundResponse(text)
    values = responses_in(text, effort)
    if not values:
        raise _not_whole() if text[0] == "{" else _nothing_found()
    which = f"the last of {len(values)} responses" if len(values) > 1 else ""
    return FoundResponse(values[-1], which, len(values))


def _nothing_found() -> ProofInvalid:
    return ProofInvalid(
        "It contains no SAML response.",
        remedy="Open the developer tools, switch on Preserve log (Chrome) or Persist logs (Firefox), sign in again, "
        "and save the network log when the AWS page is there.",
    )


def _not_whole() -> ProofInvalid:
    return ProofInvalid(
        "It begins as a HAR file in JSON, but its end is missing.", remedy="Save the network log again."
    )


def _newest_post(posts: list[_Post]) -> FoundResponse:
    posts = [post for post in posts if not post.place.is_received] or posts
    if not posts:
        raise _nothing_found()
    # Of two at the same time, the later one in the log is used.
    _, _, last = max(
        (is_aws_sign_in(post.place.url or ""), post.place.at or _LONG_AGO, at) for at, post in enumerate(posts)
    )
    post = posts[last]
    if post.place == _Place():
        which = f"the last of {len(posts)} responses" if len(posts) > 1 else ""
        return FoundResponse(post.value, which, len(posts))
    when = shown_time(post.place.at) if post.place.at else "an unknown time"
    one = f"the newest of {len(posts)} responses," if len(posts) > 1 else "the response"
    return FoundResponse(post.value, f"{one} posted at {when} to {_host(post.place.url or '')}", len(posts))


# JSON -----------------------------------------------------------------------------------------------------------------


def _posts_in_json(text: str, effort: Effort) -> list[_Post] | None:
    """Return the responses in JSON, or None if *text* is not JSON. Raises `ProofInvalid` if a log is cut off."""
    try:
        documents = list(_documents(text, effort))
    except (ValueError, RecursionError):  # the exception contains the text, so it must not become a cause
        documents = []
    if documents:
        return list(_posts(documents, _Place(), 0, effort))
    start = text[:1000]
    if '"log"' in start or '"requests"' in start or (text[0] == "{" and FIELD not in text):
        raise _not_whole() from None
    return None


def _documents(text: str, effort: Effort) -> Iterator[object]:
    """Yield the JSON values in *text*, with None for numbers."""
    effort.spend((text.count("[") + text.count("{")) // 2)  # brackets in its texts are counted too, and cost less
    decoder = json.JSONDecoder(strict=False, parse_int=_no_number, parse_float=_no_number)
    at = 0
    while at < len(text):
        effort.spend(1)
        value, end = decoder.raw_decode(text, at)
        yield value
        at = _BLANKS.match(text, end).end()  # type: ignore[union-attr]  # it always matches


_BLANKS: Final = re.compile(r"\s*+")


def _no_number(_digits: str) -> None:
    """Return None for a number, because a number of thousands of digits would raise an error."""


def _posts(value: object, place: _Place, depth: int, effort: Effort) -> Iterator[_Post]:
    """Yield the responses in a JSON value, in document order and without recursion."""
    rest = [(value, place)]
    while rest:
        value, place = rest.pop()
        effort.spend(_STEPS_FOR_A_VALUE)
        match value:
            case str():
                yield from _posts_in_text(value, place, depth, effort)
            case [str(name), *values] if name == FIELD:
                rest += [(_Response(each), place) for each in reversed(_texts(values, effort))]
            case list():
                rest += [(each, place) for each in reversed(value) if _may_contain_field(each)]
            case dict():
                place = _place_of(value, place)
                parts = [part for part in _parts(value, place, effort) if _may_contain_field(part[0])]
                rest += reversed(parts)
            case _Response():
                yield _Post(value.text, place)


def _may_contain_field(value: object) -> bool:
    return FIELD in value if isinstance(value, str) else bool(value)


@frozen
class _Response:
    """A value of the form field."""

    text: Secret = field(converter=Secret)


def _parts(value: Mapping[str, object], place: _Place, effort: Effort) -> Iterator[tuple[object, _Place]]:
    """Yield the parts of a JSON object that are searched, each with its log entry."""
    if FIELD in (value.get("name"), value.get("key")):
        yield from ((_Response(each), place) for each in _texts(value.get("value"), effort))
        return
    for name, each in value.items():
        if name == FIELD:
            yield from ((_Response(text), place) for text in _texts(each, effort))
        elif name == "text" and str(value.get("encoding")).lower() == "base64":
            yield _decoded(each), place
        elif name == "params" and isinstance(text := value.get("text"), str) and FIELD in text:
            pass  # the same value again
        elif name not in _NOT_SEARCHED:
            yield each, evolve(place, is_received=True) if name == "response" else place


def _place_of(value: Mapping[str, object], place: _Place) -> _Place:
    if "request" not in value and "url" not in value and "startedDateTime" not in value:
        return place
    url = value.get("url") or _get(value, "request", "url")
    return _Place(
        url if isinstance(url, str) else place.url or "",
        _moment(value.get("startedDateTime")) or place.at,
        place.is_received,
    )


def _posts_in_text(text: str, place: _Place, depth: int, effort: Effort) -> Iterator[_Post]:
    if FIELD not in text or depth > _MAX_DEPTH:
        return
    inner = None
    if text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            inner = list(_documents(text.strip(), effort))
    if inner:
        yield from _posts(inner, place, depth + 1, effort)
    else:
        yield from (_Post(value, place) for value in responses_in(text, effort))


def _texts(value: object, effort: Effort) -> list[str]:
    """Return a text, or the texts of a list."""
    values = value if isinstance(value, list) else [value]
    values = [text for each in values for text in (each if isinstance(each, list) else [each])]
    texts = [each for each in values if isinstance(each, str) and each.strip()]
    effort.spend(len(texts) * STEPS_FOR_A_MENTION)
    return texts


def _decoded(text: object) -> str:
    with suppress(ValueError):
        if isinstance(text, str):
            data = b64decode(text)
            return data.decode("utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8", "replace")
    return ""


def _get(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _moment(text: object) -> datetime | None:
    with suppress(ValueError):
        if isinstance(text, str):
            return instant(text, zone_needed=False)
    return None


def _host(url: str) -> str:
    with suppress(ValueError):
        return urlsplit(url).hostname or "an unknown host"
    return "an unknown host"
