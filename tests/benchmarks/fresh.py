"""Run measurements in separate processes, in an environment with nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

from attrs import evolve, frozen

HERE = Path(__file__).parent
CONFIG = """\
[profile base]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = secret
[profile role]
role_arn = arn:aws:iam::123456789012:role/R
source_profile = base
"""


@frozen
class Home:
    """A home folder with an AWS config file, and its environment."""

    folder: str
    variables: dict[str, str]
    python: str = sys.executable

    def by(self, python: str | None) -> Home:
        """Return the same home with another interpreter, if one is given."""
        return evolve(self, python=python) if python else self

    def run(self, *arguments: str) -> str:
        """Return the output of Python with these *arguments*. Raise `RuntimeError` with its last line if it fails."""
        command = [self.python, *arguments]
        done = subprocess.run(
            command, env=self.variables, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False
        )
        _check(done.returncode, done.stderr)
        return done.stdout

    def processor_time(self, *arguments: str) -> float:
        """Return the processor milliseconds of Python with these *arguments*, from start to end."""
        with TemporaryFile("w+") as said:
            process = subprocess.Popen(
                [self.python, *arguments], env=self.variables, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=said
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            _check(process.returncode, said.read())
        return (usage.ru_utime + usage.ru_stime) * 1000

    def call(self, module: str, function: str, *arguments: object) -> Any:
        """Return the result of *function* of a *module* of this folder, in a separate process."""
        code = f"import json, sys, {module} as m; print(json.dumps(m.{function}(*json.loads(sys.argv[1]))))"
        return json.loads(self.run("-c", code, json.dumps(arguments)).splitlines()[-1])


def _check(status: int, said: str) -> None:
    if status:
        raise RuntimeError((said.strip().splitlines() or ["no message"])[-1][:200])


@contextmanager
def home(url: str = "http://127.0.0.1:9") -> Iterator[Home]:
    """Return a home for processes whose STS is at *url*."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    with TemporaryDirectory() as folder:
        Path(folder, "config").write_text(CONFIG)
        yield Home(
            folder,
            ours
            | {
                "HOME": folder,
                "PYTHONPATH": str(HERE),
                "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_CONFIG_FILE": str(Path(folder, "config")),
                "AWS_SHARED_CREDENTIALS_FILE": str(Path(folder, "none")),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL_STS": url,
                "AWS_EC2_METADATA_DISABLED": "true",
            },
        )
