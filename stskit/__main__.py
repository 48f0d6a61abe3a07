"""The command line: ``stskit``, or ``python -m stskit``. Each command makes the same calls as a Python program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from stskit._cli import commands, console
from stskit._cli.parser import before_double_dash, parse
from stskit.errors import SignInRequired, SinkError, SourceError, STSError, StskitError, STSUnavailable

__all__ = ["main"]

# The first class that fits decides.
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
    """Run the command of *argv*, by default that of this process, and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    console.open_closed_streams()
    try:
        args = parse(words)
        with console.console_logging(quiet=args.json or args.command in ("exec", "process")):
            result = _COMMANDS[args.command](args)
    except StskitError as error:
        ours = before_double_dash(words)
        console.write_error(error, ours, in_json="--json" in ours)
        return _status(error)
    except KeyboardInterrupt:
        return 130
    text = console.as_json(result.facts) if args.json else result.text
    return (console.output(text) if result.text else 0) or result.status


def _status(error: StskitError) -> int:
    if isinstance(error, STSUnavailable) and error.kind == "setup":
        return 2  # nothing was sent, because the region, the endpoint or another setting is not valid
    if isinstance(error, STSError) and (error.operation, error.code) == ("AssumeRoleWithSAML", "ExpiredToken"):
        return 4  # the assertion was sent within the allowed clock difference; a person must sign in again
    return next(status for kind, status in _STATUS if isinstance(error, kind))


if __name__ == "__main__":
    sys.exit(main())
