"""The peers and their versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from fresh import Home, home
from measures import Setup

EXTRA = {
    "aws-assume-role-lib": "aws-assume-role-lib",
    "boto3-assume": "boto3-assume",
    "boto3-refresh-session": "boto3-refresh-session",
    "boto-session-manager": "boto-session-manager",
    "configupdater": "ConfigUpdater",
}
PACKAGES = {name: name for name in ("stskit", "attrs", "botocore", "boto3")} | {"AWS CLI": "awscli"} | EXTRA
APART = "aiobotocore"  # it needs other versions of botocore than the rest


@contextmanager
def prepared(rounds: int, *, quick: bool) -> Iterator[Setup]:
    """Return the setup. A peer that needs its own environment gets one in a temporary folder."""
    left_out = {name: "not installed, see the extra 'bench'" for name in PACKAGES if not _version(PACKAGES[name])}
    pythons: dict[str, str] = {}
    with TemporaryDirectory() as folder:
        if quick:
            left_out |= dict.fromkeys([*EXTRA, APART], "not with --quick")
        else:
            try:
                pythons[APART] = _environment(folder, APART)
            except (OSError, subprocess.CalledProcessError) as error:
                said = getattr(error, "stderr", "") or str(error)
                left_out[APART] = f"its environment could not be made: {said.strip().splitlines()[-1]}"
        yield Setup(rounds, quick, pythons, left_out)


def _environment(folder: str, package: str) -> str:
    """Return the interpreter of a new environment in *folder* with *package*."""
    python = str(Path(folder, "bin", "python"))
    for command in ([sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", "-q", package]):
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return python


def versions(setup: Setup) -> dict[str, str]:
    """Return the versions of Python and of the compared packages."""
    found = {"Python": platform.python_version()}
    found |= {name: each for name, package in PACKAGES.items() if (each := _version(package))}
    for name, python in setup.pythons.items():
        with home() as place:
            found |= {name: _of_its_own(place.by(python), name)}
    return found


def _of_its_own(place: Home, name: str) -> str:
    code = f"from importlib.metadata import version as v; print(v({name!r}), 'with botocore', v('botocore'))"
    return place.run("-c", code).strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def machine() -> dict[str, str]:
    """Return the properties of the machine that affect the figures."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    return {
        "processors": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        "load at the start": f"{load:.1f}",
    }
