"""Changes one section of an AWS config or credentials file and leaves every other byte as it is.

Lines are told apart as `configparser` does it, which botocore reads these files with. The proof is in reading: what
comes out is parsed and compared with what should have come out, and what cannot be changed safely is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

if TYPE_CHECKING:
    from configparser import RawConfigParser

__all__ = ["Refused", "updated"]

_LINE: Final = re.compile(
    r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+"
)  # not splitlines(), which breaks lines where readers do not
_HEADER: Final = re.compile(r"\[(.+)\]")
_OPTION: Final = re.compile(r"(.*?)\s*[=:]")
_UNSAFE: Final = "the section is written in a way that cannot be changed safely; rewrite it by hand, one option a line"


class Refused(Exception):
    """The text cannot be changed safely; says why, and quotes nothing of it."""


@frozen
class _Line:
    text: str
    kind: Literal["header", "option", "continuation", "other"]
    section: str | None
    option: str = ""


def updated(text: str, section: str, values: Mapping[str, str | None]) -> str:
    """*text* with *values* in *section*, which is added where it is missing; an option whose value is None is removed.

    Raises `Refused` where *text* cannot be parsed, or cannot be changed so that this and nothing else changes.
    """
    before = _parsed(text, "it cannot be parsed, and so no AWS tool can use it; correct it")
    lines = list(_lines(text))
    if any(_plain(line.section) == section != line.section for line in lines if line.kind == "header"):
        raise Refused(
            f"the header of [{section}] has blanks, quotes or a comment that some readers take as part of the name"
        )
    after = _changed(lines, section, values) if before.has_section(section) else _added(text, section, values)
    wanted = _contents(before)
    options = {**wanted.get(section, before.defaults()), **values}
    wanted[section] = {option: value for option, value in options.items() if value is not None}
    if _contents(_parsed(after, _UNSAFE)) != wanted:
        raise Refused(_UNSAFE)
    return after


def _parsed(text: str, otherwise: str) -> RawConfigParser:
    from configparser import Error, RawConfigParser

    parser = RawConfigParser()
    try:
        parser.read_string(re.sub(r"\r\n?", "\n", text))  # as opening the file in text mode does
        return parser
    except Error as error:  # it quotes the offending line, so no error may keep it
        line = getattr(error, "lineno", None) or getattr(error, "errors", [(0, "")])[0][0]
    raise Refused(f"line {line}: {otherwise}")


def _contents(parser: RawConfigParser) -> dict[str, dict[str, str]]:
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _lines(text: str) -> Iterator[_Line]:
    section, option, indent = None, "", 0
    for match in _LINE.finditer(text):
        line, content = match.group(), match.group().strip()
        if not content or content[0] in "#;":
            yield _Line(line, "other", section)
        elif option and _indent(line) > indent:
            yield _Line(line, "continuation", section)
        elif header := _HEADER.match(content):
            section, option, indent = header.group(1), "", _indent(line)
            yield _Line(line, "header", section)
        else:  # the text was parsed before, so this is an option
            name = _OPTION.match(content)
            option, indent = name.group(1).lower() if name else "", _indent(line)
            yield _Line(line, "option", section, option)


def _changed(lines: list[_Line], section: str, values: Mapping[str, str | None]) -> str:
    out: list[str] = []
    missing, end, dropping = dict(values), 0, False
    for line in lines:
        mine = line.section == section
        if mine and line.kind == "option":
            dropping = line.option in values
            if dropping:
                value = missing.pop(line.option)
                out += [] if value is None else [_replaced(line, value)]
        if not (mine and dropping and line.kind in ("option", "continuation")):
            out.append(line.text)
        if mine and line.kind != "other":
            end = len(out)
    new = _options(missing, _line_end(lines))
    if new and not out[end - 1].endswith(("\r", "\n")):
        out[end - 1] += _line_end(lines)
    return "".join(out[:end] + new + out[end:])


def _added(text: str, section: str, values: Mapping[str, str | None]) -> str:
    lines = list(_lines(text))
    end = _line_end(lines)
    before = "" if not text or text.endswith(("\r", "\n")) else end
    blank = "" if not lines or not lines[-1].text.strip() else end
    return "".join([text, before, blank, f"[{section}]{end}", *_options(values, end)])


def _options(values: Mapping[str, str | None], end: str) -> list[str]:
    return [f"{name} = {value}{end}" for name, value in values.items() if value is not None]


def _replaced(line: _Line, value: str) -> str:
    end = line.text[len(line.text.rstrip("\r\n")) :]
    return f"{line.text[: _indent(line.text)]}{line.option} = {value}{end}"


def _line_end(lines: list[_Line]) -> str:
    ends = ["\r\n" if line.text.endswith("\r\n") else line.text[-1] for line in lines]
    return max(("\n", "\r\n", "\r"), key=ends.count)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _plain(section: str | None) -> str:
    return " ".join(re.sub("[\"']", "", (section or "").partition("]")[0]).split())
