"""Runs the ``credential_process`` of a profile: with a time limit for it and all that it starts, never inside itself,
and with nothing that it prints in an error.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from json import loads
from signal import SIGKILL
from typing import Final

from attrs import field, frozen

from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, prefixed

__all__ = ["CompletedProcess", "mark_process", "run_process"]

_PROCESSES: Final = "_STSKIT_CREDENTIAL_PROCESSES"  # tells a process which ones it runs in


@frozen
class CompletedProcess:
    """A process that has ended, with the methods of `subprocess.Popen` that botocore calls."""

    output: bytes = field(repr=False)
    returncode: int = 0

    def communicate(self) -> tuple[bytes, bytes]:
        """Return what the process has printed. Raises nothing."""
        return self.output, b""


def mark_process(arguments: Sequence[str]) -> None:
    """Let it be noticed where this process, which gives credentials, is run by itself: a command that ends with
    *arguments* is an error from now on.
    """
    os.environ[_PROCESSES] = " ".join([*os.environ.get(_PROCESSES, "").split(), _digest(arguments)])


def _digest(command: Sequence[str]) -> str:
    return sha256("\0".join(command).encode(errors="surrogateescape")).hexdigest()


def run_process(timeout: float, command: list[str]) -> CompletedProcess:
    """Run a ``credential_process`` for at most *timeout* seconds, in the place of `subprocess.Popen` in botocore.

    Raises `ProofInvalid`, which quotes nothing that the process has printed.
    """
    from subprocess import TimeoutExpired

    above = os.environ.get(_PROCESSES, "").split()
    if any(_digest(command[start:]) in above for start in range(len(command))):
        raise ProofInvalid(
            "its credential_process asks for the credentials of this very profile, and so would run for ever",
            remedy="let it start from another profile",
        )
    environment = {**os.environ, _PROCESSES: " ".join([*above, _digest(command)])}
    try:
        done = _completed(command, environment, timeout)
    except TimeoutExpired:  # it holds what was printed, so no error may keep it
        raise ProofInvalid(
            f"its credential_process had not ended after {timeout:g} s, and was stopped",
            remedy="run it to see what it waits for, or allow it more: Profile(..., process_timeout=seconds)",
            cli_remedy="run it to see what it waits for",
        ) from None
    except (OSError, ValueError, IndexError) as error:  # not there, a NUL in it, empty
        why = getattr(error, "strerror", None) or "it is no command"
        raise ProofInvalid(
            f"its credential_process cannot be started: {why}", remedy=_how_to_correct(command)
        ) from None
    _check_output(done.returncode, done.output)
    return done


def _how_to_correct(command: list[str]) -> str:
    if command and command[0].startswith(("~", "$")):
        return f"write the whole path: no shell replaces the {command[0][0]!r} at its beginning"
    return "correct it"


def _completed(command: list[str], environment: dict[str, str], timeout: float) -> CompletedProcess:
    """Run *command* to its end. After *timeout* seconds, or if this is interrupted, stop it and all that it started.

    At a terminal it stays in the process group that may ask the user; there only the process itself is stopped.
    """
    from subprocess import DEVNULL, PIPE, Popen

    group = None if _owns_terminal() else 0
    with Popen(command, env=environment, stdout=PIPE, stderr=DEVNULL, process_group=group) as process:  # noqa: S603
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:
            process.kill() if group is None else _kill_group(process.pid)
            process.wait()
            raise
    return CompletedProcess(output, process.returncode)


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, SIGKILL)


def _owns_terminal() -> bool:
    """Return whether this process may read from its terminal; one in another group would be stopped if it did."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:  # there is none
        return False
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    finally:
        os.close(descriptor)


def _check_output(status: int, output: bytes) -> None:
    """Raise `ProofInvalid`, which quotes nothing of *output*, where the process failed or printed no credentials."""
    if status:
        how = f"with status {status}" if status > 0 else f"by signal {-status}"
        raise ProofInvalid(f"its credential_process ended {how}", remedy="run it to see why")
    try:
        Credentials.from_dict(loads(output))
    except ProofInvalid as error:
        raise prefixed(error, "its credential_process gave no credentials that can be used: ") from None
    except (ValueError, RecursionError):
        raise ProofInvalid("its credential_process printed no JSON", remedy="run it to see what it prints") from None
