"""Change sections of an AWS config or credentials file, and leave every other byte unchanged.

For every reader, a header at the start of a line ends the section before it. So a section can be changed on its own,
and `configparser`, which botocore uses, checks only that section. A change that some reader would not see, or that
would change something else for it, is refused with a `SinkError`. At the end botocore itself reads the new file.

The meaning of a line does not depend on its value, so a section is planned by its *shape*: its text with the same value
everywhere. Nearly all sections of a file have the same shape, and each shape is planned once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from configparser import Error, RawConfigParser
from contextlib import contextmanager
from functools import cache, partial
from typing import Final, Literal

from attrs import frozen

from stskit.errors import SinkError
from stskit.sinks.file_edit import Pieces

__all__ = ["Ini"]

_HEADER: Final = re.compile(rb"\[[^\[\]\n]+\](?:[ \t]+[#;][^\[\]\n]*)?[ \t]*\r?(?![^\n])")  # a header for every reader
_LINE_ENDS: Final = tuple(map(str.encode, "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))  # line ends for str.splitlines()
_BLANKS: Final = r"[\s\"']+"
_ODD: Final = re.compile(_BLANKS)
_VALUE: Final = re.compile(rb"=[ \t]*[^\s][^\n]*")
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")  # splitlines() would split at other characters too
_START: Final = re.compile(r"[ \t]*([^=\s]+)[ \t]*=[ \t]*")
_DELIMITER: Final = re.compile(r"[=:]")


class Ini:
    """A file that botocore can read, with the positions of *sections*. Raises `SinkError` for any other file."""

    def __init__(self, data: bytes, sections: AbstractSet[str]) -> None:
        self._data = data
        self._end = _line_end(data)
        self._spans = dict(_spans(data, sections))
        self._sample = _sample(data)
        defaults = b"" if self._sample is not None else _defaults(data, sections, self._spans.keys())
        self._shapes = {section: _shape(data[start:stop]) for section, (start, stop) in self._spans.items()}
        self._plan = cache(partial(_checked_plan, defaults))
        self._options = cache(_options_with_value)

    def options(self, section: str) -> Collection[str]:
        """Return the options of a section that have a value, in lower case. Empty for a missing section."""
        return self._options(self._shapes.get(section, ""))

    def value(self, section: str, option: str) -> str | None:
        """Return the value that botocore reads, or None."""
        start, stop = self._spans.get(section, (0, 0))
        return _parsed(self._data[start:stop]).get(section, option, fallback=None)

    def has(self, section: str) -> bool:
        """Return whether the file has a section."""
        return section in self._spans

    def updated(self, changes: Mapping[str, Mapping[str, str | None]]) -> Pieces:
        """Return the file with new values in these sections. Missing options are added, and values of None removed.

        Raises `SinkError` if some reader would not see exactly this change.
        """
        pieces: list[bytes | memoryview] = []
        blocks: list[bytes] = []
        at, old = 0, memoryview(self._data)
        for section in sorted(self._spans.keys() & changes.keys(), key=self._spans.__getitem__):
            start, stop = self._spans[section]
            blocks.append(self._changed(self._data[start:stop], self._shapes[section], changes[section]))
            pieces += [old[at:start], blocks[-1]]
            at = stop
        new = [
            self._changed(b"[%b]%b" % (section.encode(), self._end), "[x]\n", values)
            for section, values in changes.items()
            if section not in self._spans and any(values.values())
        ]
        pieces += [old[at:], self._appendix(new)]
        self._check(pieces, blocks + new)
        return pieces

    def without(self, section: str, options: Collection[str]) -> Pieces:
        """Return the file without these options of a section, and without the section if nothing else is in it."""
        if section not in self._spans:
            return [self._data]
        start, stop = self._spans[section]
        before, block, after = self._data[:start], self._data[start:stop], self._data[stop:]
        # without defaults, because options that botocore adds to all sections stay
        steps = _checked_plan(b"", self._shapes[section], tuple(options), tuple(options))
        rest = _carry_out(steps, block.decode(), {}, self._end.decode()).encode()
        header, _, body = rest.partition(b"\n")
        if body.strip() or header.strip() != b"[%b]" % section.encode():
            self._check([before, rest, after], [rest])
            return [before, rest, after]
        before = re.sub(rb"(?<=\n)\r?\n\Z", b"", before)  # the empty line before a new section
        return [before if block.endswith(b"\n") else re.sub(rb"\r?\n\Z", b"", before), body, after]

    def _changed(self, block: bytes, shape: str, values: Mapping[str, str | None]) -> bytes:
        steps = self._plan(shape, tuple(values), tuple(name for name in values if values[name] is None))
        return _carry_out(steps, block.decode(), values, self._end.decode()).encode()

    def _check(self, pieces: Pieces, changed: list[bytes]) -> None:
        """Let botocore read the new file. Of a long file, it reads one section of each shape."""
        if self._sample is None:
            _check_readable(b"".join(pieces))
            return
        shapes = {_shape(block).partition("]")[2] for block in changed}
        sections = [f"[new {number}]{shape}".encode() for number, shape in enumerate(shapes)]
        _check_readable(b"\n".join([self._sample, *sections]))

    def _appendix(self, sections: list[bytes]) -> bytes:
        """Return sections, each after an empty line. If the last line of the file has no line end, it gets none."""
        if not sections or not self._data:
            return self._end.join(sections)
        if self._data.endswith(b"\n"):
            return self._end.join([b"", *sections])
        return self._end.join([self._end, *sections]).removesuffix(self._end)


# The whole file


def _line_end(data: bytes) -> bytes:
    """Return the line end of most lines."""
    if b"\r" not in data:
        return b"\n"
    both = data.count(b"\r\n")
    if data.count(b"\r") > both:
        raise SinkError(
            "it has a carriage return without a line feed, which some tools read as a line end.",
            remedy="Save it again with one kind of line ends.",
        )
    return b"\r\n" if both * 2 > data.count(b"\n") else b"\n"


def _spans(data: bytes, sections: AbstractSet[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the start of each section, and the start of the next section."""
    for found in _headers(data, sections):
        section = found[1].decode()
        if section not in sections and _ODD.search(section):
            section = _ODD.sub(" ", section).strip()
        if section in sections:
            header = found[0].removeprefix(b"\n")
            start, after = found.end() - len(header), data.find(b"\n[", found.end())
            usual = _HEADER.match(data, start) and (after < 0 or _HEADER.match(data, after + 1))
            if not usual or header != b"[%b]" % section.encode():
                raise SinkError(
                    f"the header of [{section}], or the next header, has spaces, quotes or a comment that some tools "
                    "read as a part of the name.",
                    remedy="Write both headers as [NAME], each on a line of its own.",
                )
            yield section, (start, len(data) if after < 0 else after + 1)


def _headers(data: bytes, sections: AbstractSet[str]) -> Iterator[re.Match[bytes]]:
    """Yield every text that some reader could read as the header of a section, and possibly other headers."""
    name = r"[^\]\n]*"
    if len(sections) == 1:  # a specific pattern is faster
        words = (re.escape(word) for section in sections for word in section.split(" "))
        name = rf"[ \t\"']*{_BLANKS.join(words)}[ \t\"']*"
    header = rf"[^\S\n]*\[({name})\]".encode()
    first = re.match(header, data)
    yield from [first] if first else []
    yield from re.finditer(b"\n" + header, data)  # faster than a pattern for the start of a line


def _sample(data: bytes) -> bytes | None:
    """Return one section of each shape, if botocore can read the whole file when it can read these; else None.

    It returns None if there is [DEFAULT], an indented header, or a nested value with unusual line ends. The parser
    reads each shape once, which takes a thirtieth of the time for ten thousand profiles.
    """
    head, *blocks = (b"\n%b" % _without_values(data)).split(b"\n[")  # a line end before each header, also the first one
    names, shapes = set(), set()
    for block in blocks:
        name, close, shape = block.partition(b"]")
        names.add(name)
        shapes.add(close + shape)
    if len(names) < len(blocks) or names & {b"", b"DEFAULT"} or b"\n" in b"".join(names):
        return None
    sample = head + b"".join(b"\n[%d%b" % numbered for numbered in enumerate(shapes))
    try:
        parser = _parsed(sample)
    except SinkError:
        return None
    if len(parser.sections()) != len(shapes) or re.search(rb"\n[^\S\n]+\[", sample):
        return None
    return None if _is_nested(parser) and any(end in data for end in _LINE_ENDS) else sample


def _is_nested(parser: RawConfigParser) -> bool:
    return any(value.startswith("\n") for section in parser.sections() for _, value in parser.items(section))


def _defaults(data: bytes, sections: AbstractSet[str], found: AbstractSet[str]) -> bytes:
    """Return the section of defaults, which botocore adds to each section. Raises `SinkError` for an invalid file."""
    parser = _parsed(data)
    if not sections & set(parser.sections()) <= found:
        raise _unsafe()
    return "".join(["[DEFAULT]\n", *(f"{name} = x\n" for name in parser.defaults())]).encode()


def _parsed(data: bytes) -> RawConfigParser:
    parser = RawConfigParser()
    try:
        parser.read_string(data.decode().replace("\r\n", "\n"))  # as in text mode
    except Error as error:  # the exception quotes the line, which may contain a secret
        line = getattr(error, "lineno", None) or getattr(error, "errors", [(0, "")])[0][0]
        raise SinkError(
            f"line {line} cannot be parsed, so AWS tools cannot read the file.", remedy="Correct the line."
        ) from None
    for section in parser.sections():
        if not all(_is_readable(value) for _, value in parser.items(section)):
            raise SinkError(
                f"[{section}] has a value on an indented line of its own, which AWS tools for Python cannot read.",
                remedy="Write the value after the = sign.",
            )
    return parser


def _is_readable(value: str) -> bool:
    """Return whether botocore can read a value. If it begins on the next line, each line must be NAME = value."""
    lines = value.splitlines() if value.startswith("\n") else []
    return all("=" in line for line in lines if line.strip())


def _check_readable(data: bytes) -> None:
    """Read *data* with botocore's own reader. Raises `SinkError` if it fails."""
    from botocore.configloader import raw_config_parse
    from botocore.exceptions import ConfigNotFound

    with _nameless_file(data) as descriptor:
        try:
            raw_config_parse(f"/dev/fd/{descriptor}")
        except ConfigNotFound:  # this system has no /dev/fd; configparser has read the file before
            return
        except Exception:  # noqa: BLE001 - any exception, which would quote the file
            raise SinkError(
                "botocore could not read the changed file.", remedy="Check values on more than one line."
            ) from None


@contextmanager
def _nameless_file(data: bytes) -> Iterator[int]:
    """Keep *data* for the block in a file without a name, so that nothing is left of it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("stskit")
    else:
        from tempfile import TemporaryFile

        with TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    with open(descriptor, "w+b") as file:
        file.write(data)
        file.seek(0)
        yield descriptor


def _unsafe() -> SinkError:
    return SinkError(
        "the section cannot be changed safely.", remedy="Write it again by hand, with one option on each line."
    )


# One section


@frozen
class _Line:
    """A line of a section.

    Args:
        kind: Kind of the line. A note is an indented comment.
        option: Option that the line belongs to.
        seen: Option that some readers see in a continuation line.
        full: Whether the line has a value.
        indented: Whether the line is indented.
    """

    kind: Literal["header", "option", "continuation", "note", "other"]
    option: str = ""
    seen: str = ""
    full: bool = False
    indented: bool = False


@frozen
class _Step:
    """A step of an edit: copy a line, replace it by `option`, or (if `line` is None) write `option` as a new line."""

    line: int | None
    option: str | None = None


def _without_values(data: bytes) -> bytes:
    """Return *data* with the same value everywhere."""
    return _VALUE.sub(b"=v", data)


def _shape(block: bytes) -> str:
    return "[x]" + _without_values(block).partition(b"]")[2].decode()


def _options_with_value(shape: str) -> frozenset[str]:
    return frozenset(line.option for line in _lines(shape) if line.full)


def _lines(block: str) -> Iterator[_Line]:
    """Yield the lines of a section as `configparser` reads them."""
    option, indent, nested = "", 0, False
    for line in _LINE.findall(block):
        content, depth = line.strip(), len(line) - len(line.lstrip())
        delimiter = _DELIMITER.search(content)
        name = content[: delimiter.start()].rstrip() if delimiter else ""
        if not content or content[0] in "#;":
            yield _Line("note" if content and depth else "other")
        elif option and depth > indent:
            yield _Line("continuation", option, "[" if content[0] == "[" else "" if nested else name)
        elif content[0] == "[":
            option = ""
            yield _Line("header")
        else:
            option, indent, nested = name.lower(), depth, bool(delimiter and delimiter.end() == len(content))
            yield _Line("option", option, full=not nested, indented=bool(depth))


def _checked_plan(defaults: bytes, shape: str, names: tuple[str, ...], removed: tuple[str, ...]) -> list[_Step]:
    """Return the steps that set *names* and remove *removed* in a section of this shape.

    Raises `SinkError` if botocore's reader would see any other change.
    """
    marked = dict.fromkeys(names, "new") | dict.fromkeys(removed)
    steps = _plan(shape, marked)
    after = _carry_out(steps, shape, marked, "\n").replace("[x]", "[y]", 1)
    parser = _parsed(defaults + f"{shape}\n{after}".encode())  # both at once, because a parser is slow to create
    wanted = {**dict(parser.items("x")), **marked}
    options = {name: value for name, value in wanted.items() if value is not None}
    if parser.sections() != ["x", "y"] or dict(parser.items("y")) != options:
        raise _unsafe()
    return steps


def _plan(shape: str, values: Mapping[str, str | None]) -> list[_Step]:
    """Return the steps that set new values in a section. Raises `SinkError` if readers would see different results."""
    steps: list[_Step] = []
    missing = [name for name, value in values.items() if value is not None]
    end, dropping, below = 0, False, False
    for number, line in enumerate(_lines(shape)):
        if line.seen == "[" or (number and line.kind == "header"):
            raise SinkError("an indented line is a header for some tools.", remedy="Write the section again by hand.")
        if line.kind == "option":
            dropping = line.option in values
            if line.indented and below and dropping:
                raise SinkError(
                    "an indented option follows an option without a value. Some tools read it as its value.",
                    remedy="Remove the indentation.",
                )
            below = not (line.full or dropping) or (below and line.indented)
            if line.option in missing:
                missing.remove(line.option)
                steps.append(_Step(number, line.option))
        if not dropping or line.kind == "other":
            steps.append(_Step(number))
            if line.seen in values:
                raise SinkError(
                    "an indented line is an option for some tools.", remedy="Write the section again by hand."
                )
        elif line.kind == "note":
            raise SinkError(
                "an indented comment follows an option that changes. Some tools read it as a part of the value.",
                remedy="Remove the indentation.",
            )
        if line.kind != "other":
            end = len(steps)
    return [*steps[:end], *(_Step(None, name) for name in missing), *steps[end:]]


def _carry_out(steps: Collection[_Step], block: str, values: Mapping[str, str | None], end: str) -> str:
    """Return a section after *steps*. New lines end with *end*. A last line without a line end gets none."""
    bare = not block.endswith("\n")
    old = _LINE.findall(block + end if bare else block)
    new = []
    for step in steps:
        line = "" if step.line is None else old[step.line]
        new.append(line if step.option is None else _option(line, step.option, values[step.option] or "", end))
    text = "".join(new)
    return text[: -len("\r\n" if text.endswith("\r\n") else "\n")] if bare else text


def _option(line: str, name: str, value: str, end: str) -> str:
    """Return the line for an option, with the indentation and spacing of the line that it replaces."""
    found = _START.match(line)
    indent = line[: len(line) - len(line.lstrip())]
    start = found[0] if found and found[1] == name else f"{indent}{name} = "
    return start + value + ("\r\n" if line.endswith("\r\n") else "\n" if line else end)
