"""The output of a credential_process is a document that every AWS SDK reads, and nothing else is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from awscrt.auth import AwsCredentialsProvider
from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup
from botocore.session import Session
from helpers import reachable_text, unchecked
from local_aws import LocalAWS
from readers import NODE, node

from stskit import Credentials
from stskit.errors import ProofInvalid
from stskit.sinks import CredentialProcess
from stskit.sources import Profile

DUE = Credentials("ASIANEW", "s/e+c=", "t" * 2000, datetime(2099, 1, 2, 3, 4, 5, 678, UTC), account_id="123456789012")
STATIC = Credentials("AKIANEW", "static")
EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "credential_process.py"


@pytest.mark.case("X15", "X16", "X17", "P9")
def test_the_document_is_one_object_with_the_fields_of_the_specification() -> None:
    """The document has the fields of the specification: version 1, UTC in whole seconds, and no expiry for long-term
    keys.
    """
    text = DUE.to(CredentialProcess())
    assert "\n" not in text
    assert json.loads(text) == {
        "Version": 1,
        "AccessKeyId": "ASIANEW",
        "SecretAccessKey": "s/e+c=",
        "SessionToken": "t" * 2000,
        "Expiration": "2099-01-02T03:04:05Z",
        "AccountId": "123456789012",
    }
    assert json.loads(STATIC.to(CredentialProcess())) == {
        "Version": 1,
        "AccessKeyId": "AKIANEW",
        "SecretAccessKey": "static",
    }


def test_the_document_is_ascii_and_is_read_back() -> None:
    """The document is ASCII with JSON escapes, so it is independent of the terminal's encoding and is read back
    unchanged.
    """
    token = 'caf\xe9 "\u2028\n'
    text = unchecked(Credentials("A", "s"), session_token=token).to(CredentialProcess())
    assert text.isascii()
    assert json.loads(text)["SessionToken"] == token


@pytest.fixture
def profile(home: Path) -> str:
    """Return the name of a profile whose credential_process prints the document."""
    (home / "document").write_text(DUE.to(CredentialProcess()))
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        f"[profile p]\ncredential_process = cat {home}/document\nregion = eu-west-1\n"
    )
    return "p"


@pytest.mark.case("X16", "P9")
def test_botocore_and_the_common_runtime_read_it(profile: str, home: Path) -> None:
    """Botocore and the AWS Common Runtime read all fields of the document, including the expiry."""
    found = Session(profile=profile).get_credentials()
    assert found is not None
    assert (found.access_key, found.secret_key, found.token) == ("ASIANEW", "s/e+c=", "t" * 2000)
    loop = EventLoopGroup(1)
    bootstrap = ClientBootstrap(loop, DefaultHostResolver(loop))
    config = str(home / ".aws" / "config")
    keys = AwsCredentialsProvider.new_profile(bootstrap, profile, config, "/dev/null").get_credentials().result(10)
    assert (keys.access_key_id, keys.secret_access_key, keys.session_token) == ("ASIANEW", "s/e+c=", "t" * 2000)
    assert keys.expiration == DUE.expiration.replace(microsecond=0) if DUE.expiration else False


@pytest.mark.debian
@pytest.mark.case("X16", "P9")
def test_the_sdk_for_javascript_reads_it(profile: str, home: Path) -> None:
    """The AWS SDK for JavaScript reads all fields of the document."""
    done = subprocess.run(
        [node(), str(NODE / "read_sdk.mjs"), "process", profile], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"ASIANEW s/e+c= {'t' * 2000} 2099-01-02T03:04:05.000Z eu-west-1\n"


def run_example(aws: LocalAWS, token: Path, stdout: int | None = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AWS_ENDPOINT_URL_STS": aws.sts_url, "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, str(EXAMPLE), aws.web_role, str(token)]
    return subprocess.run(
        command, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )


@pytest.fixture
def token(aws: LocalAWS, tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(aws.idp.oidc_token())
    return path


@pytest.mark.case("X15")
def test_credential_process_prints_only_the_document(aws: LocalAWS, token: Path) -> None:
    """The example process prints one document. If it fails, it exits with 1 and prints an error without a secret."""
    done = run_example(aws, token)
    assert json.loads(done.stdout)["Version"] == 1
    assert (done.stdout.count("\n"), done.stderr, done.returncode) == (1, "", 0)
    secret = token.read_text()
    token.write_text(secret[:-9] + "AAAAAAAAA")
    done = run_example(aws, token)
    assert done.stdout == ""
    assert done.returncode == 1
    assert done.stderr.startswith("stskit: ")
    assert secret[:40] not in done.stderr


@pytest.mark.case("X18")
@pytest.mark.parametrize("where", ["full", "closed"])
def test_an_output_that_cannot_be_written_is_an_error(where: str, aws: LocalAWS, token: Path) -> None:
    """If the output is full or closed, the example process exits with 1 and an error, without a traceback."""
    if where == "full":
        with open("/dev/full", "w") as full:
            done = run_example(aws, token, full.fileno())
    else:
        reader, writer = os.pipe()
        os.close(reader)
        done = run_example(aws, token, writer)
        os.close(writer)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("stskit: ")


@pytest.mark.case("X19")
def test_a_process_that_needs_its_own_profile_does_not_loop(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential_process that needs its own profile is refused in its second round; a nested other process is
    allowed.
    """
    (home / ".aws").mkdir()
    ask = "from stskit.sources import Profile; from stskit.sinks import CredentialProcess; import sys; "
    ask += "open(sys.argv[2], 'a').write('x'); print(Profile(sys.argv[1]).fetch().to(CredentialProcess()))"
    (home / "ask.py").write_text(ask)
    (home / "document").write_text(STATIC.to(CredentialProcess()))
    start = f"credential_process = {sys.executable} {home}/ask.py"
    (home / ".aws" / "config").write_text(
        f"[profile loop]\n{start} loop {home}/rounds\n"
        f"[profile outer]\n{start} inner {home}/outer\n"
        f"[profile inner]\ncredential_process = cat {home}/document\n"
    )
    with pytest.raises(ProofInvalid, match="credential_process") as caught:
        Profile("loop").fetch()
    assert "static" not in reachable_text(caught.value)
    assert (home / "rounds").read_text() == "x"
    assert Profile("outer").fetch().access_key_id == "AKIANEW"
    above = sha256("\0".join([sys.executable, f"{home}/ask.py", "loop", f"{home}/rounds"]).encode()).hexdigest()
    monkeypatch.setenv("_STSKIT_CREDENTIAL_PROCESSES", f"{'0' * 64} {above}")
    with pytest.raises(ProofInvalid, match="the same profile, so it would never end. Use another"):
        Profile("loop").fetch()
