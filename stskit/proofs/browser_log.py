"""Finds the newest SAML response in what a browser has written down: a HAR file, a saved log, a form, a page.

What a browser posts is the form field ``SAMLResponse``. In a HAR file it is looked for in the requests, and where none
was kept there in the pages that were received; in any other text wherever the name of the field stands.

http://www.softwareishard.com/blog/har-12-spec/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from html import unescape
from typing import Final
from urllib.parse import urlsplit

from attrs import field, frozen

from stskit._time import instant
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, without_frames
from stskit.proofs.saml_parser import is_aws

__all__ = ["FoundResponse", "newest"]

_FORM_BODY: Final = re.compile(r"(?:[\w.-]+=[^&\s]*&)*SAMLResponse=([^&\r\n]+)(?:&\S*)?\s*")
# The field as lists of parameters, command lines and JSON have it, or as HTML does, its value in clear or escaped.
_FIELD: Final = re.compile(
    r"""\bSAMLResponse(?:=|\\?["']?\s{0,20}[:=]\s{0,20}|\\?["'][^<>]{0,200}?\bvalue\s?=\s?)\\?["']?"""
    r"""(?P<value>(?:[A-Za-z0-9+/%=]|&\#(?:x[0-9a-fA-F]{1,4}|[0-9]{1,5});){4,})""",
    re.VERBOSE,
)
_XML: Final = re.compile(r"<(?!!doctype\s+html|html\b)", re.IGNORECASE)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@frozen
class FoundResponse:
    """The response that a text holds.

    `which`: which one it is, in words; "" where the text holds nothing else. `among`: the number of responses there.
    """

    value: Secret = field(converter=Secret)
    which: str = ""
    among: int = 1


@frozen
class _Post:
    """One response of a HAR file: when and where it went."""

    value: Secret = field(converter=Secret)
    at: datetime
    url: str


@without_frames
def newest(text: str) -> FoundResponse:
    """The response in *text* that was posted last, to AWS if any was. What is no log is given back as it is.

    Raises `ProofInvalid` where *text* is a log without any response.
    """
    text = Secret(text.lstrip("\ufeff").strip())
    if body := _FORM_BODY.fullmatch(text):
        return FoundResponse(body[1])
    if text.startswith("{"):
        posts = _posts(text)
        if posts is not None:
            return _newest_post(posts)
    elif "SAMLResponse" not in text or _XML.match(text):
        return FoundResponse(text)
    values = list(_values(text))
    if not values:
        raise _nothing_found()
    which = f"the last of {len(values)} responses in it" if len(values) > 1 else ""
    return FoundResponse(values[-1], which, len(values))


def _nothing_found() -> ProofInvalid:
    return ProofInvalid(
        "no SAML response is in it",
        remedy="sign in again with the developer tools open and the log "
        "preserved (Preserve log, Persist logs), and save the log once the AWS page is there",
    )


def _values(text: str) -> Iterator[Secret]:
    return (Secret(unescape(match["value"])) for match in _FIELD.finditer(text))


def _newest_post(posts: list[_Post]) -> FoundResponse:
    if not posts:
        raise _nothing_found()
    # the later one of two at the same time, too
    _, _, post = max(((is_aws(post.url), post.at), at, post) for at, post in enumerate(posts))
    when = "an unknown time" if post.at == _LONG_AGO else post.at.replace(microsecond=0)
    one = f"of {len(posts)} responses the one" if len(posts) > 1 else "the response"
    return FoundResponse(post.value, f"{one} posted at {when} to {_host(post.url)}", len(posts))


def _posts(text: str) -> list[_Post] | None:
    """What the HAR file *text* holds; None where it is other JSON."""
    try:
        entries = _get(json.loads(text), "log", "entries")
    except (ValueError, RecursionError):  # it holds the text, so no error may keep it
        raise ProofInvalid(
            "it starts as JSON, as a HAR file does, and is not whole", remedy="save the browser log again"
        ) from None
    if not isinstance(entries, list):
        return None
    return list(_each(entries, _sent)) or list(_each(entries, _received))


def _each(entries: list[object], look: Callable[[object], Iterable[Secret]]) -> Iterator[_Post]:
    for entry in entries:
        for value in look(entry):
            yield _Post(value, _moment(_get(entry, "startedDateTime")), str(_get(entry, "request", "url")))


def _sent(entry: object) -> Iterator[Secret]:
    body = _get(entry, "request", "postData", "text")
    if isinstance(body, str) and (values := list(_form_values(body))):
        yield from values
        return
    fields = _get(entry, "request", "postData", "params")
    for each in fields if isinstance(fields, list) else ():
        value = _get(each, "value")
        if _get(each, "name") == "SAMLResponse" and isinstance(value, str):
            yield Secret(value)


def _received(entry: object) -> Iterator[Secret]:
    page = _get(entry, "response", "content", "text")
    return _values(page) if isinstance(page, str) else iter(())


def _form_values(body: str) -> Iterator[Secret]:
    match = _FORM_BODY.fullmatch(body.strip())
    return iter([Secret(match[1])] if match else ())


def _get(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _moment(text: object) -> datetime:
    with suppress(ValueError):
        if isinstance(text, str):
            return instant(text, zone_needed=False)
    return _LONG_AGO


def _host(url: str) -> str:
    with suppress(ValueError):
        return urlsplit(url).hostname or "an unknown host"
    return "an unknown host"
