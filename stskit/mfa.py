"""Codes of a multi-factor authentication device: who is asked for them, when, and that each is used once."""

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

# Codes that were handed out, with their serials: STS takes each once. More than anybody uses while they are valid.
_used: Final[deque[tuple[str, Secret]]] = deque(maxlen=1000)
_lock: Final = lock_across_forks()


def _arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    check_list("arguments", arguments, 'a list such as ["ykman", "oath", "accounts", "code", "-s", "aws"]')
    if not (words := tuple(arguments)):
        raise RoleError(
            "arguments is empty: an MFACommand needs a program",
            remedy='write MFACommand(["ykman", "oath", "accounts", "code", "-s", "aws"])',
            option="arguments",
        )
    for each in words:
        check_type("arguments", each, str, "a list of texts")
    return words


@init_without_frames
@frozen
class MFACommand:
    """A program that prints the code of the moment, for example ``ykman`` or ``oathtool``.

    `arguments`: the program and its arguments; there is no shell. It reads nothing, and what it writes to standard
    error goes where this process's goes, so that it can ask for a touch. `timeout`: seconds until it is ended.
    """

    arguments: Sequence[str] = field(converter=_arguments, repr=lambda arguments: f"[{arguments[0]!r}, ...]")
    timeout: float = field(default=60, kw_only=True, validator=number)

    @without_frames
    def run(self) -> Secret:
        """What the program prints, without blanks around it.

        Raises `SourceMissing` where there is no such program, `ProofInvalid` where it fails or takes too long; the
        error tells nothing of its output.
        """
        import subprocess

        program = f"the MFA command {self.arguments[0]}"
        try:
            done = subprocess.run(  # noqa: S603 - the caller's own command, without a shell
                self.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=self.timeout, check=False
            )
        except subprocess.TimeoutExpired:  # it holds the output
            raise ProofInvalid(
                f"{program} gave no code within {self.timeout:g} seconds and was ended",
                remedy="run it to see why, or pass a longer timeout",
            ) from None
        except OSError as error:
            raise SourceMissing(f"{program} cannot be run: {error.strerror}", remedy="check its path") from None
        if done.returncode != 0:
            raise ProofInvalid(f"{program} failed with exit status {done.returncode}", remedy="run it to see why")
        return Secret(done.stdout.decode("ascii", "replace").strip())


def check_mfa(value: object) -> None:
    """Check that the argument ``mfa`` is an `MFA` or None. Raises `TypeError`."""
    check_type("mfa", value, (MFA, type(None)), "MFA(serial, code) or None")


def _code(code: Code) -> Code:
    if not isinstance(code, str):
        return code
    check("MFA code", code)
    return Secret(code)


@init_without_frames
@frozen
class MFA:
    """The multi-factor authentication that a role's trust policy asks for, or that `SessionToken` gives.

    `serial`: the ARN of a virtual device, or the serial number of a hardware one, 9 to 256 characters. `code`: six
    digits as text, which serve once; a callable that is given the serial; or an `MFACommand`.

    A callable is asked at every refresh that needs a code, and only in the main thread, since it may prompt a person:
    elsewhere `SignInRequired` is raised. `unattended` True says that it needs nobody, so that any thread may ask it,
    as it may an `MFACommand`. No code is used twice in a process, as STS would refuse it.

    Raises `RoleError` where the serial or a text is not what STS takes, `TypeError` for another type.

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
        """A code that has not been used, asked for now.

        Raises `SignInRequired` where only a person could give it, `ProofInvalid` where what was given is no code.
        """
        code = self._ask()
        try:
            check("MFA code", code)
        except RoleError as error:
            raise ProofInvalid(
                f"what was given for the MFA device {self.serial}: {error.message}",
                remedy=error.remedy,
                option=error.option,
            ) from None
        with _lock:
            if (self.serial, code) not in _used:
                _used.append((self.serial, code))
                return code
        is_of_a_person = not self.unattended and not isinstance(self.code, MFACommand)
        raise (SignInRequired if is_of_a_person else ProofInvalid)(
            f"that code of the MFA device {self.serial} has been used, and STS takes each once",
            remedy="wait for the next, or share one session among many roles: Cached(SessionToken(...))",
            cli_remedy="wait for the next, or share one session among many roles: --session-token --cache",
            option="mfa",
        )

    def _ask(self) -> Secret:
        if isinstance(self.code, str):
            return Secret(self.code)
        if isinstance(self.code, MFACommand):
            return self.code.run()
        if not self.unattended and threading.current_thread() is not threading.main_thread():
            raise SignInRequired(
                f"a code of the MFA device {self.serial} is needed, and a person is asked in the main thread only",
                remedy="fetch there once, or say that nobody is asked: MFA(..., unattended=True)",
                cli_remedy="fetch there once, or name a program that gives the code: --mfa-command",
                option="mfa",
            )
        code = self.code(self.serial)
        check_type("code", code, str, "a function that returns text")
        return Secret(code)
