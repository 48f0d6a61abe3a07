"""Run the ``credential_process`` of a profile.

It and its child processes have a time limit, it cannot start itself, and errors do not contain its output.

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

_PROCESSES: Final = "_STSKIT_CREDENTIAL_PROCESSES"  # the environment variable with the digests of running processes


@frozen
class CompletedProcess:
    """A process that has ended, with the methods of `subprocess.Popen` that botocore calls."""

    output: bytes = field(repr=False)
    returncode: int = 0

    def communicate(self) -> tuple[bytes, bytes]:
        """Return the output of the process."""
        return self.output, b""


def mark_process(arguments: Sequence[str]) -> None:
    """Mark this process as a credential process. A command that ends with *arguments* is an error from now on."""
    os.environ[_PROCESSES] = " ".join([*os.environ.get(_PROCESSES, "").split(), _digest(arguments)])


def _digest(command: Sequence[str]) -> str:
    return sha256("\0".join(command).encode(errors="surrogateescape")).hexdigest()


def run_process(timeout: float, command: list[str]) -> CompletedProcess:
    """Run a ``credential_process`` for at most *timeout* seconds. botocore calls it instead of `subprocess.Popen`.

    Raises `ProofInvalid`, which does not quote the output.
    """
    from subprocess import TimeoutExpired

    above = os.environ.get(_PROCESSES, "").split()
    if any(_digest(command[start:]) in above for start in range(len(command))):
        raise ProofInvalid(
            "its credential_process needs the credentials of the same profile, so it would never end.",
            remedy="Use another profile in the process.",
        )
    environment = {**os.environ, _PROCESSES: " ".join([*above, _digest(command)])}
    try:
        done = _completed(command, environment, timeout)
    except TimeoutExpired:  # the exception has the output, so it must not become a cause
        raise ProofInvalid(
            f"its credential_process did not end within {timeout:g} seconds and was stopped.",
            remedy="Run it in a terminal to see why, or pass Profile(..., process_timeout=seconds).",
            cli_remedy="Run it in a terminal to see why.",
        ) from None
    except (OSError, ValueError, IndexError) as error:  # it does not exist, contains a NUL or is empty
        why = getattr(error, "strerror", None) or "it is not a command"
        raise ProofInvalid(
            f"its credential_process could not be started: {why}.", remedy=_how_to_correct(command)
        ) from None
    _check_output(done.returncode, done.output)
    return done


def _how_to_correct(command: list[str]) -> str:
    if command and command[0].startswith(("~", "$")):
        return f"Write the full path, because no shell replaces the {command[0][0]!r} at its beginning."
    return "Correct the setting credential_process."


def _completed(command: list[str], environment: dict[str, str], timeout: float) -> CompletedProcess:
    """Run a command to its end. After *timeout* seconds or an interruption, stop it and its child processes.

    At a terminal it stays in the process group that can ask the user. Only the process itself is stopped then.
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
    """Return whether this process can read from its terminal. The system stops a process of another group."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:  # there is no terminal
        return False
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    finally:
        os.close(descriptor)


def _check_output(status: int, output: bytes) -> None:
    """Raise `ProofInvalid`, which does not quote the output, if the process failed or printed no credentials."""
    if status:
        how = f"with status {status}" if status > 0 else f"by signal {-status}"
        raise ProofInvalid(f"its credential_process ended {how}.", remedy="Run it in a terminal to see why.")
    try:
        Credentials.from_dict(loads(output))
    except ProofInvalid as error:
        raise prefixed(error, "its credential_process returned no valid credentials: ") from None
    except (ValueError, RecursionError):
        raise ProofInvalid(
            "its credential_process printed no JSON.", remedy="Run it in a terminal to see its output."
        ) from None
