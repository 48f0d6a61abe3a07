"""Changes sections of an AWS config or credentials file and leaves every other byte as it is.

A header at the start of a line ends whatever was before it, to every reader there is. So a section can be changed on
its own, and `configparser`, which botocore reads these files with, is asked about that section alone. What cannot be
changed so that all readers see this and nothing else change is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from stskit.errors import Refused
from stskit.sinks.credentials_file.ini_section import Step, carried_out, lines, plan, without_values

if TYPE_CHECKING:
    from configparser import RawConfigParser

__all__ = ["Ini", "is_plain"]

_HEADER: Final = re.compile(rb"\[[^\[\]\n]+\](?:[ \t]+[#;][^\[\]\n]*)?[ \t]*\r?(?![^\n])")  # to every reader
_BLANKS: Final = r"[\s\"']+"
_ODD: Final = re.compile(_BLANKS)
_UNSAFE: Final = "the section is written in a way that cannot be changed safely; rewrite it by hand, one option a line"


class Ini:
    """A file that botocore can read, and where *sections* are in it. Raises `Refused` for any other.

    *plain*: what `is_plain` says of *data*, where that is known.
    """

    def __init__(self, data: bytes, sections: AbstractSet[str], plain: bool | None = None) -> None:
        self._data = data
        self._end = _end(data)
        self._spans = dict(_spans(data, sections))
        plain = is_plain(data) if plain is None else plain
        self._defaults = b"" if plain else _defaults(data, sections, self._spans.keys())
        self._shapes = {section: _shape(data[start:stop]) for section, (start, stop) in self._spans.items()}

    def options(self, section: str) -> Collection[str]:
        """The names of the options that have a value in *section*, in lower case; none where it is missing."""
        return _options(self._shapes.get(section, ""))

    def value(self, section: str, option: str) -> str | None:
        """What botocore reads there."""
        return _parsed(self._block(section)).get(section, option, fallback=None)

    def updated(self, changes: Mapping[str, Mapping[str, str | None]]) -> list[bytes | memoryview]:
        """The file with these values in these sections, in pieces; what is missing is added, what is None is taken out.

        Raises `Refused` where that cannot be done so that this and nothing else changes, to whatever reader.
        """
        pieces: list[bytes | memoryview] = []
        at, old = 0, memoryview(self._data)
        for section in sorted(self._spans.keys() & changes.keys(), key=self._spans.__getitem__):
            start, stop = self._spans[section]
            block = self._changed(self._data[start:stop], self._shapes[section], changes[section], self._defaults)
            pieces += [old[at:start], block]
            at = stop
        new = [
            self._changed(b"[%b]%b" % (section.encode(), self._end), "[x]\n", values, self._defaults)
            for section, values in changes.items()
            if section not in self._spans and any(values.values())
        ]
        return [*pieces, old[at:], self._appendix(new)]

    def without(self, section: str, options: Collection[str]) -> list[bytes | memoryview]:
        """The file as it was before `updated` put *options* there; a section in which nothing else is goes as well."""
        if section not in self._spans:
            return [self._data]
        start, stop = self._spans[section]
        before, block, after = self._data[:start], self._data[start:stop], self._data[stop:]
        # what botocore adds to all sections was there before as well
        rest = self._changed(block, self._shapes[section], dict.fromkeys(options), defaults=b"")
        header, _, body = rest.partition(b"\n")
        if body.strip() or header.strip() != b"[%b]" % section.encode():
            return [before, rest, after]
        before = re.sub(rb"(?<=\n)\r?\n\Z", b"", before)  # the empty line that is put before a section
        return [before if block.endswith(b"\n") else re.sub(rb"\r?\n\Z", b"", before), body, after]

    def _block(self, section: str) -> bytes:
        start, stop = self._spans.get(section, (0, 0))
        return self._data[start:stop]

    def _changed(self, block: bytes, shape: str, values: Mapping[str, str | None], defaults: bytes) -> bytes:
        steps = _steps(shape, tuple(values), tuple([name for name in values if values[name] is None]), defaults)
        return carried_out(steps, block.decode(), values, self._end.decode()).encode()

    def _appendix(self, sections: list[bytes]) -> bytes:
        """Each after an empty line; where the last line had no end, it has none then either."""
        if not sections or not self._data:
            return self._end.join(sections)
        if self._data.endswith(b"\n"):
            return self._end.join([b"", *sections])
        return self._end.join([self._end, *sections]).removesuffix(self._end)


@lru_cache(256)
def _options(shape: str) -> frozenset[str]:
    return frozenset(line.option for line in lines(shape) if line.full)


@lru_cache(256)
def _steps(shape: str, names: tuple[str, ...], gone: tuple[str, ...], defaults: bytes) -> tuple[Step, ...]:
    """How a section of this shape gets other values for *names*, but for those that go; botocore's reader says whether
    this and nothing else changes.
    """
    marked = dict.fromkeys(names, "new") | dict.fromkeys(gone)
    steps = plan(tuple(lines(shape)), marked)
    after = carried_out(steps, shape, marked, "\n").replace("[x]", "[y]", 1)
    parser = _parsed(defaults + f"{shape}\n{after}".encode())  # both in one go, for a parser costs time
    wanted = {**dict(parser.items("x")), **marked}
    options = {name: value for name, value in wanted.items() if value is not None}
    if parser.sections() != ["x", "y"] or dict(parser.items("y")) != options:
        raise Refused(_UNSAFE)
    return steps


def _end(data: bytes) -> bytes:
    """What most lines end with."""
    if b"\r" not in data:
        return b"\n"
    both = data.count(b"\r\n")
    if data.count(b"\r") > both:
        raise Refused(
            "a carriage return stands alone in it, which not all readers take for an end of line; save it anew"
        )
    return b"\r\n" if both * 2 > data.count(b"\n") else b"\n"


def _shape(block: bytes) -> str:
    return "[x]" + without_values(block).partition(b"]")[2].decode()


def is_plain(data: bytes) -> bool:
    """Whether botocore certainly reads *data*, with each header at the start of a line."""
    head, *blocks = (b"\n%b" % without_values(data)).split(b"\n[")  # a line end before each header, the first one too
    names, shapes = set(), set()
    for block in blocks:
        name, close, shape = block.partition(b"]")
        names.add(name)
        shapes.add(close + shape)
    if len(names) < len(blocks) or names & {b"", b"DEFAULT"} or b"\n" in b"".join(names):
        return False
    sample = head + b"".join(b"\n[%d%b" % numbered for numbered in enumerate(shapes))
    try:
        return len(_parsed(sample).sections()) == len(shapes) and not re.search(rb"\n[^\S\n]+\[", sample)
    except Refused:
        return False


def _defaults(data: bytes, sections: AbstractSet[str], found: AbstractSet[str]) -> bytes:
    """What botocore adds to each section, as a section. Raises `Refused` where botocore cannot read *data*."""
    parser = _parsed(data)
    if not sections & set(parser.sections()) <= found:
        raise Refused(_UNSAFE)
    return "".join(["[DEFAULT]\n", *(f"{name} = x\n" for name in parser.defaults())]).encode()


def _parsed(data: bytes) -> RawConfigParser:
    from configparser import Error, RawConfigParser

    parser = RawConfigParser()
    try:
        parser.read_string(data.decode().replace("\r\n", "\n"))  # as opening the file in text mode does
        return parser
    except Error as error:  # it quotes the offending line, so no error may keep it
        line = getattr(error, "lineno", None) or getattr(error, "errors", [(0, "")])[0][0]
    raise Refused(f"line {line}: it cannot be parsed, and so no AWS tool can use it; correct it")


def _spans(data: bytes, sections: AbstractSet[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where *sections* begin, and where what comes after them does."""
    for found in _headers(data, sections):
        section = found[1].decode()
        if section not in sections and _ODD.search(section):
            section = _ODD.sub(" ", section).strip()
        if section in sections:
            header = found[0].removeprefix(b"\n")
            start, after = found.end() - len(header), data.find(b"\n[", found.end())
            usual = _HEADER.match(data, start) and (after < 0 or _HEADER.match(data, after + 1))
            if not usual or header != b"[%b]" % section.encode():
                raise Refused(
                    f"the header of [{section}], or the one after it, has blanks, quotes or a comment that some "
                    "readers take as part of the name"
                )
            yield section, (start, len(data) if after < 0 else after + 1)


def _headers(data: bytes, sections: AbstractSet[str]) -> Iterator[re.Match[bytes]]:
    """Whatever some reader might take for the header of one of *sections*, and others."""
    name = r"[^\]\n]*"
    if len(sections) == 1:  # so that nobody looks at the others
        words = (re.escape(word) for section in sections for word in section.split(" "))
        name = rf"[ \t\"']*{_BLANKS.join(words)}[ \t\"']*"
    header = rf"[^\S\n]*\[({name})\]".encode()
    first = re.match(header, data)
    yield from [first] if first else []
    yield from re.finditer(b"\n" + header, data)  # quicker than to look for the starts of lines
