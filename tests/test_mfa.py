"""A code for MFA is asked for when it is needed, of whom may be asked, and is used once."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from fake_server import fake_server, granted, told

from stskit import MFA, AssumedRole, Cached, Credentials, MFACommand, Role
from stskit.errors import ProofInvalid, RoleError, SignInRequired, SourceError, SourceMissing, StskitError
from stskit.sources import Static
from stskit.sts import BotocoreSTS

SERIAL = "arn:aws:iam::123456789012:mfa/me"
_codes = count(100_000)


def fresh(_serial: str = SERIAL) -> str:
    """Return a code that no test has used."""
    return f"{next(_codes):06}"


def printing(code: str) -> MFACommand:
    return MFACommand([sys.executable, "-c", code])


def in_thread(work: Callable[[], object]) -> object:
    """Return the result or the exception of *work* in another thread."""
    got: list[object] = []

    def run() -> None:
        try:
            got.append(work())
        except StskitError as error:
            got.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    return got[0]


# What is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("serial", "code", "message"),
    [
        ("short", "123456", "MFA serial has 5 characters, but STS allows 9 to 256"),
        ("s" * 257, "123456", "MFA serial has 257 characters"),
        ("blanks are not in it", "123456", "MFA serial 'blanks are not in it' has characters"),
        (SERIAL, "12345", "MFA code has 5 characters, but STS allows 6. Pass exactly 6"),
        (SERIAL, "12345x", "MFA code has characters that STS does not allow. Use digits"),
        (SERIAL, "１２３４５６", "MFA code has characters"),
    ],
)
def test_values_outside_the_limits_are_refused(serial: str, code: Any, message: str) -> None:
    """Values outside the limits of STS are refused when the MFA is created, and the code is not shown."""
    with pytest.raises(RoleError, match=message) as caught:
        MFA(serial, code)
    assert "12345" not in str(caught.value)


def test_a_function_gets_the_serial_number() -> None:
    """A function gets the serial number at each call."""
    asked: list[str] = []

    def ask(serial: str) -> str:
        asked.append(serial)
        return fresh()

    mfa = MFA(SERIAL, ask)
    assert mfa.token_code() != mfa.token_code()
    assert asked == [SERIAL, SERIAL]


@pytest.mark.parametrize("given", ["12345", "1234567", "canary", ""])
def test_an_invalid_code_of_a_function_is_not_quoted(given: Any) -> None:
    """If a function returns an invalid code, the error names the device and the rule, and not the returned text."""
    with pytest.raises(ProofInvalid, match=f"MFA device {SERIAL} is not valid. The MFA code has") as caught:
        MFA(SERIAL, lambda _serial: given).token_code()
    assert "canary" not in told(caught.value)


@pytest.mark.parametrize("given", [None, 739154, b"739154"])
def test_a_function_that_returns_no_text_is_an_error(given: Any) -> None:
    """If a function returns no text, the error says what is expected, without the returned value."""
    with pytest.raises(TypeError, match="^code must be a function that returns text, not ") as caught:
        MFA(SERIAL, lambda _serial: given).token_code()
    assert "739154" not in told(caught.value)


def test_an_exception_of_the_function_is_raised_unchanged() -> None:
    """An exception of the function reaches the caller."""

    def ask(_serial: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MFA(SERIAL, ask).token_code()


# Once -------------------------------------------------------------------------------------------------------------


def test_a_code_is_used_once() -> None:
    """A code is used once. The second use is an error with the next step, and sends nothing."""
    mfa = MFA(SERIAL, fresh())
    assert mfa.token_code() == mfa.code
    with pytest.raises(SignInRequired, match=r"and STS accepts each code once.*SessionToken") as caught:
        mfa.token_code()
    assert str(mfa.code) not in told(caught.value)
    with pytest.raises(SignInRequired):
        MFA(SERIAL, str(mfa.code)).token_code()
    assert MFA(SERIAL + "2", str(mfa.code)).token_code() == mfa.code


def test_an_unattended_code_is_requested_again() -> None:
    """An unattended code is requested again by itself, so its second use raises ProofInvalid and not SignInRequired."""
    code = fresh()
    mfa = MFA(SERIAL, lambda _serial: code, unattended=True)
    mfa.token_code()
    with pytest.raises(ProofInvalid) as caught:
        mfa.token_code()
    assert type(caught.value) is ProofInvalid


# Threads ----------------------------------------------------------------------------------------------------------


@pytest.mark.case("R11")
def test_no_code_is_requested_in_a_background_thread() -> None:
    """A code is not requested in a background thread, because nobody could see the question."""
    asked: list[str] = []

    def ask(serial: str) -> str:
        asked.append(serial)
        return fresh()

    error = in_thread(MFA(SERIAL, ask).token_code)
    assert isinstance(error, SignInRequired)
    assert "stskit asks for one in the main thread only" in str(error)
    assert asked == []


@pytest.mark.parametrize("mfa", [MFA(SERIAL, fresh, unattended=True), MFA(SERIAL, printing(f"print({fresh()})"))])
def test_unattended_codes_are_requested_in_any_thread(mfa: MFA) -> None:
    """A program and an unattended function are called in any thread."""
    assert isinstance(in_thread(mfa.token_code), str)


# Commands ---------------------------------------------------------------------------------------------------------


def test_a_command_prints_the_code() -> None:
    """A command runs without a shell and without input, and spaces around its output are removed."""
    code = fresh()
    assert MFA(SERIAL, printing(f"import sys; sys.stdin.read(); print(' {code} ')")).token_code() == code


@pytest.mark.case("P59")
@pytest.mark.parametrize(
    ("command", "kind", "message"),
    [
        (
            printing("print('canary'); raise SystemExit(3)"),
            ProofInvalid,
            "failed with exit status 3. Run it in a terminal",
        ),
        (printing("print((chr(99) + 'anary') * 2)"), ProofInvalid, "MFA code has 12 characters"),
        (printing("print()"), ProofInvalid, "MFA code has 0 characters"),
        (printing("import sys; sys.stdout.buffer.write(b'\\xff')"), ProofInvalid, "MFA code has 1 character"),
        (MFACommand(["/nowhere/at-all"]), SourceMissing, "could not be started: No such file or directory"),
        (MFACommand(["sleep", "9"], timeout=0.05), ProofInvalid, "printed no code within 0.05 seconds and was stopped"),
    ],
)
def test_the_error_for_a_failed_command_hides_its_output(
    command: MFACommand, kind: type[SourceError], message: str
) -> None:
    """The error for a command that fails has its name and exit status, and not its output."""
    with pytest.raises(kind, match=message) as caught:
        MFA(SERIAL, command).token_code()
    assert "canary" not in told(caught.value)


@pytest.mark.parametrize("arguments", [[], ()])
def test_a_command_is_a_list(arguments: Any) -> None:
    """A command is a list with at least a program."""
    with pytest.raises(RoleError, match=r"needs a program. Write for example MFACommand\(\["):
        MFACommand(arguments)


def test_a_repr_shows_neither_the_code_nor_the_arguments() -> None:
    """The repr contains neither the code nor the arguments of the command."""
    assert "654321" not in repr(MFA(SERIAL, "654321"))
    assert repr(MFACommand(["oathtool", "--totp", "seed"])) == "MFACommand(arguments=['oathtool', ...], timeout=60)"


def test_a_recipe_with_mfa_can_be_pickled() -> None:
    """A recipe with MFA can be pickled, with a function by its name."""
    for mfa in (MFA(SERIAL, "123456"), MFA(SERIAL, fresh), MFA(SERIAL, MFACommand(["x"]))):
        assert pickle.loads(pickle.dumps(mfa)) == mfa


# With a recipe ----------------------------------------------------------------------------------------------------


def test_each_refresh_with_mfa_requests_one_code(tmp_path: Path) -> None:
    """Each refresh that needs a code requests one, and valid credentials need none."""
    role = Role("arn:aws:iam::123456789012:role/R", mfa=MFA(SERIAL, fresh))
    with fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        cached = Cached(AssumedRole(role, source=Static(Credentials("AKIA", "secret")), sts=sts))
        for _ in range(2):
            cached.fetch()
            cached.fetch()
            cached = Cached(AssumedRole(role, source=Static(Credentials("AKIA", "secret")), sts=sts))
    assert len({request.form["TokenCode"] for request in server.requests}) == 2
    assert {request.form["SerialNumber"] for request in server.requests} == {SERIAL}
