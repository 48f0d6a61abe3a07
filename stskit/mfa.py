"""MFA codes: where they come from, when a person is asked for one, and that each is used once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from attrs import field, frozen

from stskit._arguments import check_list, check_type, flag, number, wrong_type
from stskit._io.fork import lock_across_forks
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, RoleError, SignInRequired, SourceMissing, init_without_frames, without_frames
from stskit.limits import check

__all__ = ["MFA", "MFACommand"]

Code: TypeAlias = "str | Callable[[str], str] | MFACommand"

# Used codes with the serial of their device, because STS accepts each code once. A code is valid for 30 seconds, and no
# process uses this many before the first of them expires.
_used: Final[deque[tuple[str, Secret]]] = deque(maxlen=1000)
_lock: Final = lock_across_forks()


def _arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    check_list("arguments", arguments, 'a list such as ["ykman", "oath", "accounts", "code", "-s", "aws"]')
    if not (words := tuple(arguments)):
        raise RoleError(
            "arguments is empty, but an MFACommand needs a program.",
            remedy='Write for example MFACommand(["ykman", "oath", "accounts", "code", "-s", "aws"]).',
            option="arguments",
        )
    for each in words:
        check_type("arguments", each, str, "a list of texts")
    return words


@init_without_frames
@frozen
class MFACommand:
    """A program that prints the current MFA code, for example ``ykman`` or ``oathtool``.

    It runs without a shell and without standard input. Its standard error goes to the standard error of this process,
    so that it can ask you to touch a key.

    Args:
        arguments: The program and its arguments.
        timeout: Seconds after which the program is stopped. Defaults to 60.

    Raises:
        RoleError: If there are no arguments.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import MFACommand
        >>> MFACommand(["echo", "123456"]).run()
        Secret('***')

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa.html
    """

    arguments: Sequence[str] = field(converter=_arguments, repr=lambda arguments: f"[{arguments[0]!r}, ...]")
    timeout: float = field(default=60, kw_only=True, validator=number)

    @without_frames
    def run(self) -> Secret:
        """Run the program.

        Returns:
            Its output, without white space around it.

        Raises:
            SourceMissing: If the program cannot be started.
            ProofInvalid: If it fails or takes too long. The error does not contain its output.
        """
        import subprocess

        program = f"The MFA command {self.arguments[0]}"
        try:
            done = subprocess.run(  # noqa: S603 - the caller's own command, without a shell
                self.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=self.timeout, check=False
            )
        except subprocess.TimeoutExpired:  # the exception contains the output
            raise ProofInvalid(
                f"{program} printed no code within {self.timeout:g} seconds and was stopped.",
                remedy="Run it in a terminal to see why, or pass a longer timeout.",
            ) from None
        except OSError as error:
            raise SourceMissing(
                f"{program} could not be started: {error.strerror}.", remedy="Check the path of the program."
            ) from None
        if done.returncode != 0:
            raise ProofInvalid(
                f"{program} failed with exit status {done.returncode}.", remedy="Run it in a terminal to see why."
            )
        return Secret(done.stdout.decode("ascii", "replace").strip())


def check_mfa(value: object) -> None:
    """Raise `TypeError` if the argument ``mfa`` is neither an `MFA` nor None."""
    check_type("mfa", value, (MFA, type(None)), "MFA(serial, code) or None")


def _code(code: Code) -> Code:
    if not isinstance(code, str):
        return code
    check("MFA code", code)
    return Secret(code)


@init_without_frames
@frozen
class MFA:
    """An MFA device and where its codes come from, for a `Role` or a `SessionToken` that requires MFA.

    A function is called at every refresh that needs a code, and only in the main thread, because it may ask a person.
    In another thread `SignInRequired` is raised. A code is never used twice in a process, because STS rejects it.

    Args:
        serial: ARN of a virtual device, or serial number of a hardware device; 9 to 256 characters.
        code: Six digits as text, which work once; a function that takes the serial and returns the code; or an
            `MFACommand`.
        unattended: Whether the function works without a person, so that any thread may call it. Defaults to False.

    Raises:
        RoleError: If the serial or the code is not valid.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import MFA, Role
        >>> mfa = MFA("arn:aws:iam::123456789012:mfa/developer", input)
        >>> Role("arn:aws:iam::123456789012:role/Admin", mfa=mfa).mfa.serial
        'arn:aws:iam::123456789012:mfa/developer'

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
    """

    serial: str
    code: Code = field(converter=_code)
    unattended: bool = field(default=False, kw_only=True, validator=flag)

    def __attrs_post_init__(self) -> None:
        check("MFA serial", self.serial)
        if not isinstance(self.code, str | MFACommand) and not callable(self.code):
            wrong_type("code", self.code, "text of six digits, a function or an MFACommand")

    @without_frames
    def token_code(self) -> Secret:
        """Ask for a code that was not used yet.

        Returns:
            The code.

        Raises:
            SignInRequired: If only a person can provide a new code.
            ProofInvalid: If the code is not six digits, or the command failed.
            TypeError: If the function did not return text.
        """
        code = self._ask()
        try:
            check("MFA code", code)
        except RoleError as error:
            raise ProofInvalid(
                f"The code for the MFA device {self.serial} is not valid. {error.message}",
                remedy=error.remedy,
                option=error.option,
            ) from None
        with _lock:
            if (self.serial, code) not in _used:
                _used.append((self.serial, code))
                return code
        is_of_a_person = not self.unattended and not isinstance(self.code, MFACommand)
        raise (SignInRequired if is_of_a_person else ProofInvalid)(
            f"The code of the MFA device {self.serial} was used already, and STS accepts each code once.",
            remedy="Wait for the next code. To use one code for many roles, pass source=Cached(SessionToken(...)).",
            cli_remedy="Wait for the next code. To use one code for many roles, add --session-token and --cache.",
            option="mfa",
        )

    def _ask(self) -> Secret:
        if isinstance(self.code, str):
            return Secret(self.code)
        if isinstance(self.code, MFACommand):
            return self.code.run()
        if not self.unattended and threading.current_thread() is not threading.main_thread():
            raise SignInRequired(
                f"A code of the MFA device {self.serial} is needed, and stskit asks for one in the main thread only.",
                remedy="Call fetch() in the main thread first, or pass unattended=True if no person is asked.",
                cli_remedy="Name a program that prints the code: --mfa-command.",
                option="mfa",
            )
        code = self.code(self.serial)
        check_type("code", code, str, "a function that returns text")
        return Secret(code)
