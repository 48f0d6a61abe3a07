"""Findings of `stskit doctor` about TLS, proxies and plain HTTP, and the option --allow-http."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from doctoring import look, texts
from fake_server import fake_server, granted
from saml_samples import PAIR, ROLE, encoded, response


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_empty_bundle_is_a_note(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tools may not verify TLS if the variable is empty."""
    monkeypatch.setenv(variable, "")
    (note,) = [each for each in texts(look(), "certificates") if "empty" in each]
    assert note.startswith(f"note: {variable} is empty. stskit verifies TLS anyway")


def test_an_empty_bundle_of_the_profile_is_a_note(home: Path) -> None:
    """Only signed calls use the setting of the profile."""
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text("[default]\nca_bundle =\n")
    assert any("ca_bundle of the profile is empty" in each for each in texts(look(), "certificates"))


@pytest.mark.case("P121")
def test_settings_that_a_saml_call_ignores_are_notes(home: Path, tmp_path: Path) -> None:
    """The finding names the variables to set instead."""
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text("[default]\nca_bundle = /ca.pem\nendpoint_url = https://sts.example\n")
    path = tmp_path / "response"
    path.touch(0o600)
    path.write_text(encoded(response({"Role": [PAIR]})))
    (note,) = texts(look(saml_file=str(path)), "profile")
    assert "do not use endpoint_url, ca_bundle of the profile 'default'" in note


def test_offline_makes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defaults mode `auto` makes botocore call the metadata service, which does not happen either."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_DEFAULTS_MODE", "auto")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with fake_server(granted) as metadata:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        look(offline=True)
    assert metadata.connections == set()


@pytest.mark.parametrize("where", ["variable", "profile"])
def test_allow_http_works_for_an_endpoint_of_the_environment(where: str, home: Path) -> None:
    """The option in the remedy works if the environment or the profile names the endpoint."""
    endpoint = "http://192.0.2.1:9"
    (home / ".aws").mkdir(exist_ok=True)
    of_profile = f"endpoint_url = {endpoint}\n" if where == "profile" else ""
    keys = "aws_access_key_id = AKIA\naws_secret_access_key = s\n"
    (home / ".aws" / "config").write_text(f"[profile base]\nregion = us-east-1\n{keys}{of_profile}")
    environ = {**os.environ, "AWS_ENDPOINT_URL": endpoint} if where == "variable" else {**os.environ}
    with fake_server(granted) as proxy:  # It takes the role of the other machine.
        environ |= {"http_proxy": proxy.url, "AWS_MAX_ATTEMPTS": "1"}
        command = [sys.executable, "-m", "stskit", "process", ROLE, "--profile", "base"]
        refused = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert "--allow-http" in refused.stderr
        assert proxy.requests == []
        subprocess.run([*command, "--allow-http"], env=environ, capture_output=True, check=True)
        assert len(proxy.requests) == 1
