"""Write results, errors, warnings and log records to the terminal, as text or as JSON."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from errno import EBADF
from typing import Any, Final, TextIO

from attrs import asdict

from stskit._cli.formatting import format_deadline, iso, printable
from stskit._cli.options import flag_for, is_among
from stskit.errors import StskitError, StskitWarning, joined

__all__ = [
    "as_json",
    "console_logging",
    "fields",
    "moment",
    "open_closed_streams",
    "output",
    "paint",
    "table",
    "write_error",
    "write_stderr",
]

_COLOURS: Final = {"red": "31", "yellow": "33", "green": "32", "bold": "1"}


# Streams --------------------------------------------------------------------------------------------------------------


def open_closed_streams() -> None:
    """Open standard input and standard error on the null device if ``<&-`` or ``2>&-`` closed them."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - open until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def output(text: str) -> int:
    """Print *text*, and return the exit status, which is 1 if it cannot be printed."""
    try:
        if sys.stdout is None:  # closed by ``>&-``
            raise OSError(EBADF, os.strerror(EBADF))
        _write(text, sys.stdout)
    except BrokenPipeError:  # the reader has stopped, as ``head`` does
        pass
    except OSError as error:
        write_stderr(f"stskit: Cannot write to standard output: {error.strerror}.")
    else:
        return 0
    if sys.stdout is not None:
        redirect_to_devnull(sys.stdout)
    return 1


def write_stderr(text: str) -> None:
    """Write *text* to standard error. It is dropped if it cannot be written."""
    try:
        _write(text, sys.stderr)
    except OSError:
        redirect_to_devnull(sys.stderr)


def redirect_to_devnull(stream: TextIO) -> None:
    """Drop buffered text of a stream. Otherwise Python writes it at exit, fails, and returns the status 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"  # io.StringIO has none
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding).removesuffix("\n") + "\n")
    stream.flush()


# Errors, warnings and notes -------------------------------------------------------------------------------------------


def write_error(error: StskitError, words: Sequence[str], *, in_json: bool) -> None:
    """Write an error and its remedy to standard error.

    *words* are the arguments of the command line. The message begins with the wrong option if it was typed.
    """
    remedy, flag = error.cli_remedy or error.remedy, flag_for(error, words)
    is_typed = flag is not None and is_among(flag, words)
    with_flag = f"{flag} {error.cli_message}" if is_typed and error.cli_message else ""
    if in_json:
        data = {"error": type(error).__name__, "message": with_flag or error.message, "remedy": remedy}
        known = {**vars(error), "option": flag or error.option}
        hidden = (*data, "cli_message", "cli_remedy")
        shown = {name: value for name, value in known.items() if name not in hidden and _has(value)}
        write_stderr(as_json({**data, **shown}))
        return
    text = joined(with_flag or (f"{flag}: {error.message}" if is_typed else error.message), remedy)
    write_stderr(f"{paint('stskit:', 'red', sys.stderr)} {printable(text)}")


@contextmanager
def console_logging(*, quiet: bool) -> Iterator[None]:
    """Write warnings, and log records unless *quiet*, to standard error, each on one line."""
    with warnings.catch_warnings(), nullcontext() if quiet else _log_lines():
        warnings.showwarning = _show_warning
        warnings.simplefilter("always", StskitWarning)
        yield


def _log_lines() -> AbstractContextManager[None]:
    from stskit._cli.log_lines import log_lines  # imported here, because it loads logging

    return log_lines()


def _show_warning(message: Warning | str, *_where: Any, **_more: Any) -> None:
    write_stderr(f"{paint('stskit: warning:', 'yellow', sys.stderr)} {printable(str(message))}")


# Text and JSON --------------------------------------------------------------------------------------------------------


def paint(text: str, colour: str, stream: TextIO | None) -> str:
    """Return *text* in a colour if *stream* is a terminal with colours. https://no-color.org/

    *stream* is None if it is closed.
    """
    plain = stream is None or not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[{_COLOURS[colour]}m{text}\033[0m"


def as_json(value: object) -> str:
    """Return JSON, with times in ISO 8601 and attrs values as objects."""
    return json.dumps(value, indent=2, default=_plain)


def _plain(value: Any) -> object:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    return asdict(value)


def _has(value: object) -> bool:
    return value is not None and value not in ("", (), [], {})


def fields(values: Mapping[str, object]) -> str:
    """Return a line for each value that is neither None nor empty."""
    present = {name: value for name, value in values.items() if _has(value)}
    width = max(map(len, present), default=0)
    return "\n".join(f"  {name.ljust(width)}  {printable(str(value))}" for name, value in present.items())


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO | None) -> str:
    """Return a table."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = "  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()
    return "\n".join([paint(head, "bold", stream), *lines])


def moment(when: datetime | None) -> str:
    """Return a time with its distance from now, or "" for None."""
    return "" if when is None else format_deadline(when, datetime.now(UTC))
