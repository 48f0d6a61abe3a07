"""The MFA code: from a person at a terminal, or from a command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from stskit._cli.usage import UsageError
from stskit.errors import SignInRequired
from stskit.mfa import MFA, MFACommand

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["mfa"]


def mfa(args: Namespace) -> MFA | None:
    """The MFA that the arguments ask for. Raises `UsageError` where the command for its code is none."""
    if args.mfa_serial is None:
        return None
    if args.mfa_command is None:
        return MFA(args.mfa_serial, _code_of_a_person)
    import shlex

    words: list[str] = []
    with suppress(ValueError):  # a quote that does not end
        words = shlex.split(args.mfa_command)
    if not words:  # what it is may be secret: programs are given seeds
        raise UsageError("--mfa-command is empty, or has a quote that does not end; give it as a shell would read it")
    return MFA(args.mfa_serial, MFACommand(words))


def _code_of_a_person(serial: str) -> str:
    import warnings
    from getpass import GetPassWarning, getpass

    with warnings.catch_warnings(), suppress(EOFError), _ending_in_order():
        warnings.simplefilter("ignore", GetPassWarning)  # without a terminal the code is read from standard input
        return getpass(f"MFA code of {serial}: ")
    raise SignInRequired(f"no code was given for the MFA device {serial}; call it at a terminal, or give --mfa-command")


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let the signals that end a process do so by an exception, so that a terminal echoes again what is typed."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
