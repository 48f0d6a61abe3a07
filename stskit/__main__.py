"""Run the command line: ``stskit``, or ``python -m stskit``. Each command makes the same calls as a Python program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from stskit._cli import commands, console
from stskit._cli.parser import before_double_dash, parse
from stskit.errors import SignInRequired, SinkError, SourceError, STSError, StskitError, STSUnavailable

__all__ = ["main"]

# The order matters, because SignInRequired is also a SourceError, and all are a StskitError.
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
    """Run a command of the command line. Results go to standard output, errors to standard error.

    Args:
        argv: Arguments of the command line, without the name of the program. Defaults to those of this process.

    Returns:
        The exit status. ``stskit --help`` lists them.

    Raises:
        SystemExit: If the arguments ask for help or for the version.

    Example:
        >>> from stskit.__main__ import main
        >>> main(["whoami", "--profile", "base"])
          account  123456789012
          arn      arn:aws:iam::123456789012:user/...
          user id  ...
        0
    """
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
