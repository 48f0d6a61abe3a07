"""Environment variables for a process: the names that every SDK reads, without variables of older credentials."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from readers import NODE, node

from stskit import Credentials
from stskit.sinks import Environment

SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==", account_id="123456789012")
STATIC = Credentials("AKIANEW", "static/secret")
DUE = Credentials("A", "s", "t", datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC))
STALE = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"]


@pytest.mark.case("X9", "P13")
def test_variables_are_a_new_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Environment` returns a new dictionary and sets nothing in this process."""
    expected = {
        "AWS_ACCESS_KEY_ID": "ASIANEW",
        "AWS_SECRET_ACCESS_KEY": "new/secret+",
        "AWS_SESSION_TOKEN": "newtoken==",
    }
    assert SESSION.to(Environment()) == expected
    assert "AWS_ACCESS_KEY_ID" not in os.environ


@pytest.mark.case("X9")
def test_variables_of_other_credentials_are_removed() -> None:
    """Variables of other credentials are removed from the copy of an environment, and the original is unchanged."""
    base = {"PATH": "/bin", "AWS_REGION": "eu-west-1", **dict.fromkeys(STALE, "stale")}
    before = dict(base)
    assert STATIC.to(Environment(base)) == {
        "PATH": "/bin",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIANEW",
        "AWS_SECRET_ACCESS_KEY": "static/secret",
    }
    assert base == before
    assert "stale" not in repr(Environment(base))


def test_expiration_and_region_are_set_on_request() -> None:
    """Expiration and region are set only on request, because botocore refuses keys ten minutes before an expiration."""
    assert "AWS_CREDENTIAL_EXPIRATION" not in DUE.to(Environment())
    assert "AWS_CREDENTIAL_EXPIRATION" not in SESSION.to(Environment(expiration=True))
    made = DUE.to(Environment({"AWS_REGION": "old"}, expiration=True, region="us-east-1"))
    assert made["AWS_CREDENTIAL_EXPIRATION"] == "2099-01-02T03:04:05Z"
    assert made["AWS_REGION"] == made["AWS_DEFAULT_REGION"] == "us-east-1"


@pytest.mark.case("X8")
def test_unset_has_all_set_and_removed_variables() -> None:
    """`unset` lists every variable that is set or removed, so that a program can remove them again."""
    sink = Environment(expiration=True, region="us-east-1")
    assert set(DUE.to(sink)) | set(STALE) <= set(sink.unset)
    assert "AWS_REGION" not in Environment().unset


@pytest.mark.parametrize("problem", [None, KeyError])
def test_a_block_restores_the_environment(problem: type[Exception] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the block of `applied`, also if it raises, the variables are as before; other changes are kept."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "mine")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("OTHER", "old")
    before = dict(os.environ)
    try:
        with Environment(region="us-east-1").applied(STATIC):
            seen = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
            del seen["AWS_EC2_METADATA_DISABLED"]
            os.environ["OTHER"] = "new"
            os.environ["AWS_PROFILE"] = "of the block"
            if problem is not None:
                raise problem
    except KeyError:
        pass
    assert seen == STATIC.to(Environment(region="us-east-1"))
    assert dict(os.environ) == {**before, "OTHER": "new"}


@pytest.mark.case("X10", "P47", "P73")
def test_a_child_has_the_credentials_in_its_environment_only() -> None:
    """A child process finds the credentials in its environment, but not in its command line, which others can read."""
    code = "import os, sys; sys.stdout.write(open('/proc/self/cmdline').read() + os.environ['AWS_SECRET_ACCESS_KEY'])"
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("there is no /proc here")
    environment = SESSION.to(Environment(os.environ))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("new/secret+")
    assert done.stdout.count("new/secret+") == 1


@pytest.mark.debian
def test_the_sdk_for_javascript_reads_them() -> None:
    """The AWS SDK for JavaScript reads the variables, including region and expiry."""
    environment = DUE.to(Environment({"PATH": os.environ["PATH"]}, expiration=True, region="eu-west-1"))
    command = [node(), str(NODE / "read_sdk.mjs"), "env"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "A s t 2099-01-02T03:04:05.000Z eu-west-1\n"
