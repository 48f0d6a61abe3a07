"""What people see: results, errors and warnings, as text or as JSON."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from errno import EBADF
from typing import Any, Final, TextIO

from attrs import asdict

from stskit._cli.formatting import printable, until
from stskit.errors import StskitError

__all__ = ["as_json", "error", "fields", "in_options", "moment", "output", "paint", "table", "tell", "write"]

_COLOURS: Final = {"red": "31", "yellow": "33", "green": "32", "bold": "1"}
# How a message calls what a program would write, and what does the same here.
_AS_OPTIONS: Final = {
    "SAMLFile(path, principal_arn='arn:aws:iam::ACCOUNT:saml-provider/NAME')": "--principal-arn "
    "arn:aws:iam::ACCOUNT:saml-provider/NAME",
    "BotocoreSTS(region=...)": "--region",
    "BotocoreSTS(allow_http=True)": "--allow-http",
    "OIDCTokenFile(path)": "--oidc-token-file",
    "SAMLFile(path)": "--saml-file",
    "wait_for_new_role=": "--wait-for-new-role 30s",
    "overwrite=True": "--overwrite",
    "any_name=True": "--any-name",
    "json_field=...": "--json-field NAME",
    "config_path": "--config-file",
    "Cached(SessionToken(...))": "--session-token --cache",
    "without SessionToken": "without --session-token",
    "Keep credentials until they expire (Cached)": "Keep credentials until they expire (--cache)",
}
_OF_A_ROLE: Final = {
    "mfa": "--mfa-serial",
    "session_name": "--session-name",
    "tags": "--tag",
    "transitive_tag_keys": "--transitive-tag",
    "external_id": "--external-id",
    "source_identity": "--source-identity",
}


def paint(text: str, colour: str, stream: TextIO) -> str:
    """*text* in a colour where *stream* is a terminal that has them. https://no-color.org/"""
    plain = not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[{_COLOURS[colour]}m{text}\033[0m"


def write(text: str, stream: TextIO) -> None:
    """Write *text* now, with escapes for what *stream* has no letters for. Raises `OSError` where that cannot be."""
    encoding = stream.encoding
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding).removesuffix("\n") + "\n")
    stream.flush()


def tell(text: str) -> None:
    """Write *text* to standard error, where that can be."""
    try:
        write(text, sys.stderr)
    except OSError:
        _let_go(sys.stderr)


def output(text: str) -> int:
    """Print *text*; gives the exit status, which is not 0 where it cannot be printed."""
    try:
        if sys.stdout is None:  # as ``>&-`` has it
            raise OSError(EBADF, os.strerror(EBADF))
        write(text, sys.stdout)
    except BrokenPipeError:  # whoever reads has had enough, as ``head`` has
        pass
    except OSError as error:
        tell(f"stskit: standard output cannot be written: {error.strerror}")
    else:
        return 0
    if sys.stdout is not None:
        _let_go(sys.stdout)
    return 1


def _let_go(stream: TextIO) -> None:
    """Have what could not be written go nowhere: else Python tries again at the end, and makes the status 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def as_json(value: object) -> str:
    """*value* as JSON: times in ISO 8601, attrs values as objects."""
    return json.dumps(value, indent=2, default=_plain)


def _plain(value: Any) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    return asdict(value)


def fields(values: Mapping[str, object]) -> str:
    """A line for each of *values* that there is."""
    present = {name: value for name, value in values.items() if value not in (None, "", ())}
    width = max(map(len, present), default=0)
    return "\n".join(f"  {name.ljust(width)}  {printable(str(value))}" for name, value in present.items())


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO) -> str:
    """*rows* in columns under *heads*."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = "  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()
    return "\n".join([paint(head, "bold", stream), *lines])


def moment(when: datetime | None) -> str:
    """*when*, and how far that is from now; "" for None."""
    return "" if when is None else until(when, datetime.now(UTC))


def error(problem: StskitError, *, in_json: bool) -> None:
    """Say on standard error what went wrong, and what to do."""
    if not in_json:
        tell(f"{paint('stskit:', 'red', sys.stderr)} {printable(in_options(str(problem)))}")
        return
    known = {"error": type(problem).__name__, **vars(problem), "message": str(problem)}
    tell(as_json({name: in_options(value) if isinstance(value, str) else value for name, value in known.items()}))


def in_options(text: str) -> str:
    """*text* with the options of the command line, where it names what a program would write."""
    for call, option in _AS_OPTIONS.items():
        text = text.replace(call, option)
    return re.sub(r"(?<=does not take )(\w+)", lambda name: _OF_A_ROLE.get(name[1], name[1]), text)
