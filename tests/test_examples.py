"""Every Python block of the README and the docs runs as printed, in its own process.

Blocks that use S3 run on SeaweedFS and moto. The others run in the folder of a practice AWS.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from _pytest.mark.structures import ParameterSet
from local_aws import LocalAWS
from pages import PAGES, Block, blocks_of, fits, practice_aws

from stskit import Credentials
from stskit.sinks import CredentialsFile

SAVED = [block for page in PAGES for block in blocks_of(page) if block.file and block.language == "python"]


def blocks(*languages: str) -> list[ParameterSet]:
    return [
        pytest.param(block, id=f"{page}:{block.line}")
        for page in PAGES
        for block in blocks_of(page)
        # It has its own tests.
        if block.language in languages and not block.is_skipped and page != "docs/howto/testing.md"
    ]


def needs_servers(example: ParameterSet) -> bool:
    (block,) = example.values
    assert isinstance(block, Block)
    return re.search(r"""["']s3["']""", block.text) is not None


def run(block: Block, folder: Path, environment: Mapping[str, str]) -> None:
    for other in SAVED:
        (folder / str(other.file)).write_text(other.text)
    program = folder / "example.py"
    program.write_text(block.text)
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
    assert block.output is None or fits(done.stdout, block.output), done.stdout


@pytest.fixture
def workplace(aws: LocalAWS, base: Credentials, tmp_path: Path) -> Path:
    """Write the files that the examples read, and return their folder."""
    response = aws.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)])
    (tmp_path / "samlresponse.log").write_text(response)
    (tmp_path / "token").write_text(aws.idp.oidc_token())
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "vault.json").write_text(json.dumps(base.as_dict()))
    base.to(CredentialsFile("base"))
    return tmp_path


@pytest.mark.gate
@pytest.mark.parametrize("block", [example for example in blocks("python") if needs_servers(example)])
def test_an_example_runs_as_printed(block: Block, aws: LocalAWS, workplace: Path) -> None:
    """An example with S3 runs as printed, with the files and roles that the page describes."""
    endpoint = aws.saml_url if "SAMLFile" in block.text else aws.sts_url
    run(block, workplace, {**os.environ, "AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"})


@pytest.mark.gate
@pytest.mark.parametrize("block", [example for example in blocks("python") if not needs_servers(example)])
def test_an_example_runs_on_the_practice_aws(block: Block, tmp_path: Path) -> None:
    """An example without S3 runs in the folder of a practice AWS and prints the output on the page."""
    with practice_aws(tmp_path / "practice") as environment:
        run(block, tmp_path / "practice", {**environment, "AWS_PROFILE": "base"})


@pytest.mark.parametrize("block", blocks("json"))
def test_a_json_block_is_json(block: Block) -> None:
    """A JSON block of the docs is valid JSON."""
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_a_yaml_block_is_yaml(block: Block) -> None:
    """A YAML block of the docs is valid YAML."""
    assert list(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", blocks("ini"))
def test_an_ini_block_has_profiles(block: Block) -> None:
    """An INI block of the docs is readable and has sections."""
    parser = configparser.RawConfigParser()
    parser.read_string(block.text)
    assert parser.sections()


def test_every_block_names_its_language() -> None:
    """Every block of the docs has a language that the tests run, parse, or skip on purpose."""
    known = {"python", "console", "json", "yaml", "ini", "sh", "text", "hcl"}
    assert [f"{page}:{block.line}" for page in PAGES for block in blocks_of(page) if block.language not in known] == []
