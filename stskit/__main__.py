"""The command line: ``stskit``, or ``python -m stskit``. A thin one, over the same calls that everybody has."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import EBADF
from typing import Any, Final

from stskit._cli import commands, show
from stskit._cli.parser import parse
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
    args = parse(sys.argv[1:] if argv is None else argv)
    with _told(quiet=args.json or args.command in ("exec", "process")):
        try:
            result = _COMMANDS[args.command](args)
        except StskitError as problem:
            show.error(problem, in_json=args.json)
            return next(status for kind, status in _STATUS if isinstance(problem, kind))
        except KeyboardInterrupt:
            return 130
    text = show.as_json(result.facts) if args.json else result.text
    return (_write(text) if result.text else 0) or result.status


@contextmanager
def _told(*, quiet: bool) -> Iterator[None]:
    """Have warnings, and unless *quiet* notes as well, on standard error in one line each."""
    notes = logging.StreamHandler()
    notes.setFormatter(logging.Formatter("stskit: %(message)s"))
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


def _show_warning(message: Warning | str, *_where: Any, **_more: Any) -> None:
    show.write(f"{show.paint('stskit: warning:', 'yellow', sys.stderr)} {message}", sys.stderr)


def _write(text: str) -> int:
    """Print *text*; gives the exit status, which is not 0 where it cannot be printed."""
    try:
        if sys.stdout is None:  # as ``>&-`` has it
            raise OSError(EBADF, os.strerror(EBADF))
        show.write(text, sys.stdout)
    except BrokenPipeError:  # whoever reads has had enough, as ``head`` has
        pass
    except OSError as error:
        show.write(f"stskit: standard output cannot be written: {error.strerror}", sys.stderr)
    else:
        return 0
    if sys.stdout is not None:  # else Python tries again at the end, and complains
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


if __name__ == "__main__":
    sys.exit(main())
