"""Every Python block of the README and the docs runs as printed, in a process of its own.

Those of the README, and those that use S3, run on SeaweedFS and moto; the others on the practice AWS that a reader can
start, in its folder.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from _pytest.mark.structures import ParameterSet
from local_aws import LocalAWS
from pages import PAGES, blocks_of, practice_aws

from stskit import Credentials
from stskit.sinks import CredentialsFile

SAVED = [block for page in PAGES for block in blocks_of(page) if block.file and block.language == "python"]


def blocks(*languages: str) -> list[ParameterSet]:
    return [
        pytest.param(block.text, id=f"{page}:{block.line}")
        for page in PAGES
        for block in blocks_of(page)
        if block.language in languages and not block.is_skipped and page != "docs/howto/testing.md"  # has its own tests
    ]


def needs_servers(example: ParameterSet) -> bool:
    return str(example.id).startswith("README.md") or "s3" in str(example.values[0])


def run(block: str, folder: Path, environment: Mapping[str, str]) -> None:
    for other in SAVED:
        (folder / str(other.file)).write_text(other.text)
    program = folder / "example.py"
    program.write_text(block)
    done = subprocess.run(
        [sys.executable, str(program)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def workplace(aws: LocalAWS, base: Credentials, tmp_path: Path) -> Path:
    """The files that the README speaks of."""
    response = aws.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)])
    (tmp_path / "samlresponse.log").write_text(response)
    (tmp_path / "token").write_text(aws.idp.oidc_token())
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "vault.json").write_text(json.dumps(base.as_dict()))
    base.to(CredentialsFile("base"))
    return tmp_path


@pytest.mark.gate
@pytest.mark.parametrize("block", [example for example in blocks("python") if needs_servers(example)])
def test_an_example_runs_as_printed(block: str, aws: LocalAWS, workplace: Path) -> None:
    """A stranger who copies it, with such files and roles, sees it work."""
    endpoint = aws.saml_url if "SAMLFile" in block else aws.sts_url
    run(block, workplace, {**os.environ, "AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"})


@pytest.mark.gate
@pytest.mark.parametrize("block", [example for example in blocks("python") if not needs_servers(example)])
def test_an_example_runs_on_the_practice_aws(block: str, tmp_path: Path) -> None:
    """As it does for a reader who has started one, in its folder."""
    with practice_aws(tmp_path / "practice") as environment:
        run(block, tmp_path / "practice", environment)


@pytest.mark.parametrize("text", blocks("json"))
def test_a_json_block_is_json(text: str) -> None:
    """So that what is copied can be read by AWS."""
    json.loads(text)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_yaml_block_is_yaml(text: str) -> None:
    """So that what is copied can be read by a CI system."""
    assert list(yaml.safe_load_all(text))


@pytest.mark.parametrize("text", blocks("ini"))
def test_an_ini_block_has_profiles(text: str) -> None:
    """So that what is copied can be read by the AWS SDKs."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    assert parser.sections()


def test_every_block_says_what_it_is() -> None:
    """One of the languages that are run, parsed, or known to be neither."""
    known = {"python", "console", "json", "yaml", "ini", "sh", "text", "hcl"}
    assert [f"{page}:{block.line}" for page in PAGES for block in blocks_of(page) if block.language not in known] == []
