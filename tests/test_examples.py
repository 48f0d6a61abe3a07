"""Every Python block of the README and the docs runs as printed, in a process of its own, on real servers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from local_aws import LocalAWS

from stskit import Credentials
from stskit.sinks import CredentialsFile

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"  # which have tests of their own
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if EXAMPLES not in path.parents)]


def blocks() -> list[ParameterSet]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            found.append(pytest.param(match.group(1), id=f"{page.relative_to(ROOT)}:{line}"))
    return found


@pytest.fixture
def workplace(aws: LocalAWS, base: Credentials, tmp_path: Path) -> Path:
    """The files that the examples speak of."""
    response = aws.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)])
    (tmp_path / "samlresponse.log").write_text(response)
    (tmp_path / "token").write_text(aws.idp.oidc_token())
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "vault.json").write_text(json.dumps(base.as_dict()))
    base.to(CredentialsFile("base"))
    return tmp_path


@pytest.mark.parametrize("block", blocks())
def test_an_example_runs_as_printed(block: str, aws: LocalAWS, workplace: Path) -> None:
    """A stranger who copies it, with such files and roles, sees it work."""
    endpoint = aws.saml_url if "SAMLFile" in block else aws.sts_url
    environment = {**os.environ, "AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
    program = workplace / "example.py"
    program.write_text(block)
    done = subprocess.run(
        [sys.executable, str(program)],
        env=environment,
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
