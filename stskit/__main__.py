"""The command line: ``stskit``, or ``python -m stskit``. A thin one, over the same calls that everybody has."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from stskit._cli import commands, show
from stskit._cli.formatting import printable
from stskit._cli.parser import own, parse
from stskit.errors import SignInRequired, SinkError, SourceError, STSError, StskitError, StskitWarning, STSUnavailable

__all__ = ["main"]

# The first that fits counts.
_STATUS: Final = (
    (SignInRequired, 4),
    (SourceError, 3),
    (STSError, 5),
    (STSUnavailable, 6),
    (SinkError, 7),
    (StskitError, 2),
)


_COMMANDS: Final = {
    "roles": commands.roles,
    "assume": commands.assume,
    "exec": commands.execute,
    "process": commands.process,
    "whoami": commands.whoami,
    "doctor": commands.doctor,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what *argv* says, None is the command line of this process; gives the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    _open()
    try:
        args = parse(words)
        with _told(quiet=args.json or args.command in ("exec", "process")):
            result = _COMMANDS[args.command](args)
    except StskitError as problem:
        show.error(problem, in_json="--json" in own(words))
        return _status(problem)
    except KeyboardInterrupt:
        return 130
    text = show.as_json(result.facts) if args.json else result.text
    return (show.output(text) if result.text else 0) or result.status


def _status(problem: StskitError) -> int:
    if isinstance(problem, STSError) and (problem.operation, problem.code) == ("AssumeRoleWithSAML", "ExpiredToken"):
        return 4  # within the allowance for clocks STS was asked, and it is a person all the same who has to go on
    return next(status for kind, status in _STATUS if isinstance(problem, kind))


def _open() -> None:
    """Let there be a standard input and error, where ``<&-`` or ``2>&-`` has closed them: an empty one, and nowhere."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - for as long as the process lasts
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


@contextmanager
def _told(*, quiet: bool) -> Iterator[None]:
    """Have warnings, and unless *quiet* notes as well, on standard error in one line each."""
    notes = logging.StreamHandler()
    notes.setFormatter(_Note())
    logger = logging.getLogger("stskit")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        warnings.simplefilter("always", StskitWarning)
        if not quiet:
            logger.addHandler(notes)
            logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(notes)


class _Note(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One line, as errors are."""
        return printable(f"stskit: {record.getMessage()}")


def _show_warning(message: Warning | str, *_where: Any, **_more: Any) -> None:
    show.tell(f"{show.paint('stskit: warning:', 'yellow', sys.stderr)} {printable(str(message))}")


if __name__ == "__main__":
    sys.exit(main())
