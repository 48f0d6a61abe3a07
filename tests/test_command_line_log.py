"""Log records that the command line shows, and the time limits of `doctor`."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from stskit._cli.doctor.deadline import run_with_deadline
from stskit._cli.doctor.sources import _mfa_serial_of_a_source
from stskit._cli.log_lines import log_lines

LOGGER = logging.getLogger("stskit")


def test_a_warning_is_shown_where_the_command_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning about a failed refresh is shown after the command succeeds. Other records are shown immediately."""
    with log_lines():
        LOGGER.warning("Could not refresh.", extra={"refresh": "refresh_failed"})
        LOGGER.info("Refreshed.", extra={"refresh": "refreshed"})
        LOGGER.info("this SAML response is taken")
        assert capsys.readouterr().err == "stskit: this SAML response is taken\n"
    assert capsys.readouterr().err == "stskit: Could not refresh.\n"


def test_a_warning_is_not_shown_beside_the_error_that_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning about a failed refresh is not shown if the command fails with an error."""
    with pytest.raises(ZeroDivisionError), log_lines():
        LOGGER.warning("Could not refresh.", extra={"refresh": "refresh_failed"})
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""


def test_a_call_that_exceeds_its_deadline_is_abandoned() -> None:
    """A call that exceeds its deadline raises TimeoutError without waiting for its thread."""
    release = threading.Event()
    with pytest.raises(TimeoutError):
        run_with_deadline(0.01, release.wait)
    release.set()
    assert run_with_deadline(10, lambda: 5) == 5


def test_profiles_that_name_each_other_end_the_search_for_a_device(home: Path) -> None:
    """A circle of source profiles has no MFA device, and the search for it ends."""
    profiles = {name: {"role_arn": "r", "source_profile": other} for name, other in (("a", "b"), ("b", "a"))}
    assert _mfa_serial_of_a_source(profiles["a"], profiles) is None
