"""An AWS on loopback for the whole run, a home and an environment of its own for each test, and no way out."""

from __future__ import annotations

import ipaddress
import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

os.environ["BOTO_DISABLE_CRT"] = "true"  # which the tests read files with; it would take over from botocore's signers

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, settings
from local_aws import LocalAWS, local_aws

from stskit import Credentials
from stskit.sts import BotocoreSTS

pytest_plugins = ["pytester"]

OTHER = "# mine\n[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = s\n"  # what is in the file at first
# No property depends on how fast the machine is, and its examples may share a folder. Where CI is set, the rest is as
# Hypothesis has it for CI: the same examples each time.
_UNCHECKED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("stskit", settings.default, deadline=None, suppress_health_check=_UNCHECKED)
settings.register_profile("few", settings.get_profile("stskit"), max_examples=20)
settings.load_profile("stskit")
CONNECTIONS: list[str] = []  # the hosts that anything in this process has connected to, or tried to


def _only_loopback(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return  # an address that is no tuple is a path: a Unix socket
    host = str(arguments[1][0])
    CONNECTIONS.append(host)
    if not ipaddress.ip_address(host).is_loopback:
        raise ConnectionRefusedError(f"a test tried to connect to {host}; only loopback is allowed")


sys.addaudithook(_only_loopback)


def pytest_report_header() -> str:
    """Say how long the run takes, because the first tests start servers and print little."""
    return "stskit: the default selection takes about six minutes on two processors"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder of the test's own; nothing in the environment speaks of AWS or of proxies, also after the test."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
            del os.environ[name]
        os.environ |= {"HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
        yield folder


@pytest.fixture(autouse=True)
def least_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """`random.uniform` returns its lower bound: no jitter, the shortest pauses; a test may set another one."""
    monkeypatch.setattr(random, "uniform", lambda least, _most: least)


@pytest.fixture(autouse=True)
def no_wait_for_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that no program writes to is an error at once; a test may set another time."""
    monkeypatch.setattr("stskit._io.streams.SECONDS_FOR_A_WRITER", 0)


@pytest.fixture
def file(home: Path) -> Path:
    """A credentials file with a comment and another profile."""
    path = home / ".aws" / "credentials"
    path.parent.mkdir(0o700)
    path.touch(0o600)
    path.write_text(OTHER)
    return path


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAWS]:
    """SeaweedFS and moto, as real servers."""
    with local_aws() as servers:
        yield servers


@pytest.fixture
def sts(aws: LocalAWS) -> BotocoreSTS:
    """The STS of SeaweedFS: AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity."""
    return BotocoreSTS(endpoint_url=aws.sts_url)


@pytest.fixture
def saml_sts(aws: LocalAWS) -> BotocoreSTS:
    """The STS of moto: AssumeRoleWithSAML."""
    return BotocoreSTS(endpoint_url=aws.saml_url)


@pytest.fixture
def base(aws: LocalAWS) -> Credentials:
    """Long-term keys of a user who may assume the hub role."""
    return Credentials(aws.access_key_id, aws.secret_access_key)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for 127.0.0.1, signed by nobody but itself."""
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
    """What looks back at the whole run comes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
