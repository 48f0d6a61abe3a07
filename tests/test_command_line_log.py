"""Log records on the command line, and the deadline for the checks of `doctor`."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from stskit._cli.doctor.deadline import run_with_deadline
from stskit._cli.doctor.sources import _mfa_serial_of_a_source
from stskit._cli.log_lines import log_lines

LOGGER = logging.getLogger("stskit")


def test_a_warning_is_shown_if_the_command_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    """The warning reports a failed refresh with credentials that are still valid. Other records are shown at once."""
    with log_lines():
        LOGGER.warning("Could not refresh.", extra={"refresh": "refresh_failed"})
        LOGGER.info("Refreshed.", extra={"refresh": "refreshed"})
        LOGGER.info("this SAML response is taken")
        assert capsys.readouterr().err == "stskit: this SAML response is taken\n"
    assert capsys.readouterr().err == "stskit: Could not refresh.\n"


def test_a_warning_is_not_shown_beside_the_same_error(capsys: pytest.CaptureFixture[str]) -> None:
    """One problem is reported once."""
    with pytest.raises(ZeroDivisionError), log_lines():
        LOGGER.warning("Could not refresh.", extra={"refresh": "refresh_failed"})
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""


def test_a_slow_check_is_stopped() -> None:
    """The thread of a check that exceeds the deadline is not awaited."""
    release = threading.Event()
    with pytest.raises(TimeoutError):
        run_with_deadline(0.01, release.wait)
    release.set()
    assert run_with_deadline(10, lambda: 5) == 5


def test_a_loop_of_profiles_ends_the_search_for_a_device(home: Path) -> None:
    """The search finds no device."""
    profiles = {name: {"role_arn": "r", "source_profile": other} for name, other in (("a", "b"), ("b", "a"))}
    assert _mfa_serial_of_a_source(profiles["a"], profiles) is None
