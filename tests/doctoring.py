"""Helpers for the tests of `stskit doctor`: run it and check the form of each finding, and create files for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from helpers import START

from stskit._cli.doctor.examine import Finding, examine
from stskit.testing import ManualClock

CANARY = "canary"  # a secret that must not appear in any finding
KEYS = f"aws_access_key_id = AKIA\naws_secret_access_key = {CANARY}\n"
FILES = {
    "credentials file": "credentials",
    "config file": "config",
    "SAML file": "saml_file",
    "OIDC token file": "oidc_token_file",
    "keys file": "keys_file",
}


def look(clock: ManualClock | None = None, /, **given: object) -> list[Finding]:
    """Return all findings, after a check of their form. No request is sent unless *given* changes `offline`."""
    do: Callable[..., Iterator[Finding]] = examine
    found = list(do(**{"offline": True, "clock": clock or ManualClock(START), **given}))
    for finding in found:
        assert finding.text.endswith(".")
        assert finding.text[-2] not in ".;:, "
        assert finding.text.isprintable()
        assert finding.remedy.isprintable()
        assert finding.remedy[-1:] not in (";", ":", ",", " "), finding
        assert finding.state != "wrong" or finding.remedy, finding
        assert CANARY not in json.dumps([finding.about, finding.text, finding.remedy, dict(finding.facts)])
    return found


def about(found: list[Finding], name: str) -> list[Finding]:
    """Return the findings about *name*."""
    return [finding for finding in found if finding.about == name]


def only(found: list[Finding], name: str) -> Finding:
    """Return the only finding about *name*."""
    (finding,) = about(found, name)
    return finding


def texts(found: list[Finding], name: str) -> list[str]:
    """Return the findings about *name* as text."""
    return [f"{finding.state}: {finding.text}" for finding in about(found, name)]


def wrong(found: list[Finding]) -> list[Finding]:
    """Return the findings that make the command fail."""
    return [finding for finding in found if finding.state == "wrong"]


def secret(path: Path, content: str | bytes) -> Path:
    """Write a file that only its owner can read."""
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def place(home: Path, name: str) -> Path:
    """Return the path of the file that findings call *name*."""
    return home / ".aws" / FILES[name]


def named(home: Path, name: str) -> dict[str, object]:
    """Return the arguments that pass this file, if it must be passed."""
    return {FILES[name]: str(place(home, name))} if FILES[name].endswith("_file") else {}


def put(home: Path, name: str, content: str | bytes) -> dict[str, object]:
    """Write *content* to the file, and return the arguments that pass it."""
    secret(place(home, name), content)
    return named(home, name)


def configure(home: Path, config: str = "", credentials: str = "") -> None:
    """Write the config file and the credentials file."""
    put(home, "config file", config)
    put(home, "credentials file", credentials)
