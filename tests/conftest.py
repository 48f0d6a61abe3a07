"""Start a local AWS for the whole run, isolate the home and environment of each test, and forbid other connections."""

from __future__ import annotations

import ipaddress
import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

# The tests use the CRT to read files only; otherwise it would replace botocore's signers.
os.environ["BOTO_DISABLE_CRT"] = "true"

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, settings
from local_aws import LocalAWS, local_aws

from stskit import Credentials
from stskit.sts import BotocoreSTS

pytest_plugins = ["pytester"]

# the initial content of the credentials file
OTHER = "# mine\n[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = s\n"
# Disable deadlines, because no property depends on the speed of the machine. The examples of a property may share a
# folder. Where the variable CI is set, Hypothesis applies its CI defaults: it uses the same examples in each run.
_UNCHECKED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("stskit", settings.default, deadline=None, suppress_health_check=_UNCHECKED)
settings.register_profile("few", settings.get_profile("stskit"), max_examples=20)
settings.load_profile("stskit")
CONNECTIONS: list[str] = []  # The hosts to which this process connected or tried to connect.


def _only_loopback(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return  # An address that is not a tuple is the path of a Unix socket.
    host = str(arguments[1][0])
    CONNECTIONS.append(host)
    if not ipaddress.ip_address(host).is_loopback:
        raise ConnectionRefusedError(f"a test tried to connect to {host}; only loopback is allowed")


sys.addaudithook(_only_loopback)


def pytest_report_header() -> str:
    """Return a line that says how long the run takes, because the first tests start servers and print little."""
    return "stskit: the default selection takes about six minutes on two processors"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a new home folder for the test. The environment has no AWS and no proxy variables; it is restored
    afterwards.
    """
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
            del os.environ[name]
        os.environ |= {"HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
        yield folder


@pytest.fixture(autouse=True)
def least_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `random.uniform` return its lower bound: no jitter and the shortest pauses. A test can replace this."""
    monkeypatch.setattr(random, "uniform", lambda least, _most: least)


@pytest.fixture(autouse=True)
def no_wait_for_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a pipe without a writer an immediate error. A test can set another waiting time."""
    monkeypatch.setattr("stskit._io.streams.SECONDS_FOR_A_WRITER", 0)


@pytest.fixture
def file(home: Path) -> Path:
    """Return the path of a credentials file that has a comment and another profile."""
    path = home / ".aws" / "credentials"
    path.parent.mkdir(0o700)
    path.touch(0o600)
    path.write_text(OTHER)
    return path


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAWS]:
    """Run SeaweedFS and moto as real servers."""
    with local_aws() as servers:
        yield servers


@pytest.fixture
def sts(aws: LocalAWS) -> BotocoreSTS:
    """Return the STS client of SeaweedFS: AssumeRole, AssumeRoleWithWebIdentity and GetCallerIdentity."""
    return BotocoreSTS(endpoint_url=aws.sts_url)


@pytest.fixture
def saml_sts(aws: LocalAWS) -> BotocoreSTS:
    """Return the STS client of moto: AssumeRoleWithSAML."""
    return BotocoreSTS(endpoint_url=aws.saml_url)


@pytest.fixture
def base(aws: LocalAWS) -> Credentials:
    """Return the long-term keys of a user who may assume the hub role."""
    return Credentials(aws.access_key_id, aws.secret_access_key)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return the path of a private key with a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime.now(UTC) - timedelta(days=1))
    builder = builder.not_valid_after(datetime.now(UTC) + timedelta(days=1))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        + builder.sign(key, hashes.SHA256()).public_bytes(pem)
    )
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests with the marker `last` last, because they check the whole run."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
