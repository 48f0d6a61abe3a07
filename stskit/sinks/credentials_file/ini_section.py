"""One section of an AWS config or credentials file, line by line: what each line is, and which are to change.

It is looked at without its values, which make no difference to where a line belongs; so nearly all sections of a file
are the same, and what is found out about one holds for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, Literal

from attrs import frozen

from stskit.errors import Refused

__all__ = ["Line", "Step", "carried_out", "lines", "plan", "without_values"]

_VALUE: Final = re.compile(rb"=[ \t]*[^\s][^\n]*")
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")  # not splitlines(), which breaks lines where readers do not
_START: Final = re.compile(r"[ \t]*([^=\s]+)[ \t]*=[ \t]*")
_OPTION: Final = re.compile(r"(.*?)\s*[=:]\s*(.*)")

Step = tuple[int | None, str | None]  # the line that stays or is replaced, if any, and the option to write, if any


@frozen
class Line:
    """`option`: whose line it is, or whose value goes on in it. `seen`: what some readers see in a continuation."""

    kind: Literal["header", "option", "continuation", "note", "other"]  # a note is an indented comment
    option: str = ""
    seen: str = ""
    full: bool = False  # whether it is of an option that has a value
    indented: bool = False


def without_values(data: bytes) -> bytes:
    """*data* with one and the same value wherever there is one."""
    return _VALUE.sub(b"=v", data)


def lines(block: str) -> Iterator[Line]:
    """The lines of a section as `configparser` tells them apart."""
    option, indent, nested = "", 0, False
    for line in _LINE.findall(block):
        content, depth = line.strip(), len(line) - len(line.lstrip())
        found = _OPTION.match(content)
        name = found[1] if found else ""
        if not content or content[0] in "#;":
            yield Line("note" if content and depth else "other")
        elif option and depth > indent:
            yield Line("continuation", option, "[" if content[0] == "[" else "" if nested else name)
        elif content[0] == "[":
            option = ""
            yield Line("header")
        else:
            option, indent, nested = name.lower(), depth, bool(found and not found[2])
            yield Line("option", option, full=not nested, indented=bool(depth))


def plan(section: Collection[Line], values: Mapping[str, str | None]) -> tuple[Step, ...]:
    """How to get from the lines of a section to those with *values*. Raises `Refused` where readers would differ."""
    steps: list[Step] = []
    missing = [name for name, value in values.items() if value is not None]
    end, dropping, below = 0, False, False
    for number, line in enumerate(section):
        if line.seen == "[" or (number and line.kind == "header"):
            raise Refused("an indented line is a header to some readers; write the section anew by hand")
        if line.kind == "option":
            dropping = line.option in values
            if line.indented and below and dropping:
                raise Refused("an indented option follows one without a value, and belongs to it for some readers")
            below = not (line.full or dropping) or (below and line.indented)
            if line.option in missing:
                missing.remove(line.option)
                steps.append((number, line.option))
        if not dropping or line.kind == "other":
            steps.append((number, None))
            if line.seen in values:
                raise Refused("an indented line is a line of its own to some readers; write the section anew by hand")
        elif line.kind == "note":
            raise Refused(
                "an indented comment follows an option that changes, and is part of its value to some readers; "
                "move it to the start of the line"
            )
        if line.kind != "other":
            end = len(steps)
    return (*steps[:end], *((None, name) for name in missing), *steps[end:])


def carried_out(steps: tuple[Step, ...], block: str, values: Mapping[str, str | None], end: str) -> str:
    """*block* after *steps*; new lines end with *end*, and where the last line had no end, it has none then either."""
    bare = not block.endswith("\n")
    old = _LINE.findall(block + end if bare else block)
    new = []
    for number, option in steps:
        line = "" if number is None else old[number]
        new.append(line if option is None else _option(line, option, values[option] or "", end))
    text = "".join(new)
    return text[: -len("\r\n" if text.endswith("\r\n") else "\n")] if bare else text


def _option(line: str, name: str, value: str, end: str) -> str:
    """The line for an option; written as the one in its place, so far as every reader understands that."""
    found = _START.match(line)
    indent = line[: len(line) - len(line.lstrip())]
    start = found[0] if found and found[1] == name else f"{indent}{name} = "
    return start + value + ("\r\n" if line.endswith("\r\n") else "\n" if line else end)
