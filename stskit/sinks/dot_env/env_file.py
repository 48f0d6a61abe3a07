"""Change variables in the text of a .env file, and leave every other byte unchanged.

There is no standard for the format: Python, JavaScript and shells differ in quotes, escapes and comments. So values are
written without quotes, from characters without a special meaning, and a file with an ambiguous line is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from stskit.errors import SinkError

__all__ = ["BARE", "updated"]

BARE: Final = re.compile(r"(?!(?:.*:)?=)[A-Za-z0-9+/=_.:-]+")  # zsh expands a = at the start or after a colon
_ODD: Final = re.compile(r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_NOTE: Final = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
# A value in quotes can have several lines. Escapes in it are the same for all readers, except an escaped backslash. In
# a shell, a second word is a command, and some characters continue on the next line.
_BINDING: Final = re.compile(
    r"""([ \t]*(?:export[ \t]+)?)([A-Za-z_][\w.-]*)(=|[ \t]+=[ \t]*|:[ \t]+(?!['"][^'"\n]*\n))
    ('[^'\\]*'|"(?:[^"\\`$]|\\[^\\]|\$(?![{(])|\$\{[\w:-]*\})*"|(?![#])(?:[^\s'"`\\;&|<>()$]|\$(?!\{)|\$\{[\w:-]*\})*)
    ([ \t]+\#[^\r\n]*)?[ \t]*\r?(?:\n|\Z)""",
    re.VERBOSE,
)
_ANOTHER: Final = re.compile(r"['\"]?[\w$][\w${}:[\]-]*\+?=")  # after a space, a shell sets this variable


@frozen
class _Piece:
    text: str
    name: str = ""  # empty for a comment or an empty line
    start: str = ""
    comment: str = ""


def updated(text: str, values: Mapping[str, str | None]) -> str:
    """Return *text* with the new values, at the place of their names or at the end. Values of None are removed.

    All lines get ``export`` if one of these names had it, or if all other lines have it, because the credentials must
    all be exported or none. Raises `SinkError` if some reader would not see exactly this change.
    """
    bare = bool(text) and not text.endswith("\n")
    end = "\r\n" if text and not bare and text.count("\r\n") == text.count("\n") else "\n"
    before = list(_pieces(text + end if bare else text, values))
    bindings = [piece for piece in before if piece.name]
    old = [piece for piece in bindings if piece.name in values]
    exported = any("export" in piece.start for piece in old) or not (old or any(_is_bare(each) for each in bindings))
    export = "export " if bindings and exported else ""
    after = [_changed(each, values[each.name], export) if each.name in values else each.text for each in before]
    missing = values.keys() - {piece.name for piece in bindings}
    after += [f"{export}{name}={value}{end}" for name, value in values.items() if name in missing and value is not None]
    return re.sub(r"\r?\n\Z", "", "".join(after)) if bare else "".join(after)


def _pieces(text: str, values: Mapping[str, str | None]) -> Iterator[_Piece]:
    """Yield the lines of *text*. A value of several lines is one piece."""
    if odd := _ODD.search(text):
        raise SinkError(
            f"line {_line(text, odd.start())} has a character that some tools read as a line end.",
            remedy="Remove it.",
        )
    again = re.compile(rf"(?<![\w.-])(?:{'|'.join(values)})=")
    at = 0
    while at < len(text):
        start, found = at, _NOTE.match(text, at) or _BINDING.match(text, at)
        if found is None:
            raise SinkError(
                f"line {_line(text, start)} is not NAME=value for all tools.",
                remedy="Write NAME=value, with the value in quotes.",
            )
        at = found.end()
        if found.re is _NOTE:
            yield _Piece(found[0])
        elif found[2] in values and "\n" in found[4]:
            raise SinkError(f"line {_line(text, start)} begins a value on several lines.", remedy="Use one line.")
        elif again.search(found[0]) if found[2] not in values else found[3] != "=" and _ANOTHER.match(found[4]):
            raise SinkError(
                f"line {_line(text, start)} sets several variables for some tools.",
                remedy="Write each variable on a line of its own.",
            )
        else:
            yield _Piece(found[0], found[2], found[1], found[5] or "")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _is_bare(piece: _Piece) -> bool:
    return "export" not in piece.start


def _changed(piece: _Piece, value: str | None, export: str) -> str:
    end = "\r\n" if piece.text.endswith("\r\n") else "\n"
    start = piece.start + export if _is_bare(piece) else piece.start
    return "" if value is None else f"{start}{piece.name}={value}{piece.comment}{end}"
