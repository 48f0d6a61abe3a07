"""The tests connect only to this machine."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import conftest
import pytest
from attrs import evolve

from stskit import Credentials
from stskit.sts import BotocoreSTS

TOUR = Path(__file__).parent.parent / "docs" / "examples" / "tour.py"


def test_the_guard_stops_connections_to_other_machines() -> None:
    """The guard of the tests stops a connection to another machine before anything is sent."""
    with socket.socket() as outside, pytest.raises(ConnectionRefusedError, match="only loopback"):
        outside.connect(("192.0.2.1", 443))
    assert conftest.CONNECTIONS.pop() == "192.0.2.1"


@pytest.mark.case("P37")
@pytest.mark.debian
@pytest.mark.gate
def test_the_programs_of_the_tests_connect_only_to_loopback(tmp_path: Path) -> None:
    """The tour and its servers connect only to loopback addresses."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "strace.log"
    command = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(log), sys.executable, str(TOUR)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    addresses = [
        line.split('inet_addr("')[1].split('"')[0] for line in log.read_text().splitlines() if "inet_addr" in line
    ]
    assert addresses
    assert {address for address in addresses if not ipaddress.ip_address(address).is_loopback} == set()


@pytest.mark.last
def test_no_test_has_connected_to_another_machine(sts: BotocoreSTS, base: Credentials) -> None:
    """No test has connected to another machine. A connection made here shows that they are counted."""
    before = len(conftest.CONNECTIONS)
    evolve(sts, read_timeout=9).caller_identity(base)
    assert len(conftest.CONNECTIONS) > before
    assert {host for host in conftest.CONNECTIONS if not ipaddress.ip_address(host).is_loopback} == set()
