"""What sessions of botocore and boto3 that stskit makes share, and how they verify TLS."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import SSLError
from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session
from fake_server import fake_server, granted

from stskit import Credentials
from stskit.sinks import Boto3Session, BotocoreSession
from stskit.sources import Static


def test_sessions_do_not_share_models(tmp_path: Path) -> None:
    """A data path or a changed model of one session has no effect on another session."""
    first, second = (BotocoreSession("us-east-1").attach(Static(Credentials("AKIA", "secret"))) for _ in range(2))
    model = first.get_component("data_loader").load_service_model("sqs", "service-2")
    folder = tmp_path / "private" / "2026-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps(model))
    first.get_component("data_loader").search_paths.append(str(tmp_path))
    model["operations"].clear()
    assert "private" in first.get_available_services()
    assert "private" not in second.get_available_services()
    assert not first.get_service_model("sqs").operation_names
    assert second.get_service_model("sqs").operation_names == Session().get_service_model("sqs").operation_names


def test_sessions_parse_a_file_of_botocore_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second session uses the parsed data of botocore without reading the file."""
    opened: list[str] = []
    load = JSONFileLoader.load_file

    def noting(self: JSONFileLoader, path: str) -> object:
        opened.append(path)
        return load(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", noting)
    names = ("lambda/2015-03-31/paginators-1", "lambda/2015-03-31/waiters-2")
    expected = [Session().get_component("data_loader").load_data(name) for name in names]
    opened.clear()
    for _ in range(3):
        session = BotocoreSession("us-east-1").attach(Static(Credentials("AKIA", "secret")))
        assert [session.get_component("data_loader").load_data(name) for name in names] == expected
    read = [path for path in opened if path.startswith(Loader.BUILTIN_DATA_PATH) and "lambda" in path]
    assert len(read) <= len(names)


@pytest.mark.case("P51", "P125")
@pytest.mark.parametrize("where", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"])
@pytest.mark.parametrize("sink", [BotocoreSession("us-east-1"), Boto3Session("us-east-1")])
def test_an_empty_ca_bundle_does_not_switch_tls_off(
    sink: BotocoreSession | Boto3Session, where: str, home: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty CA bundle setting does not switch verification off: an untrusted certificate is refused."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    if where == "ca_bundle":
        (home / ".aws").mkdir()
        (home / ".aws" / "config").write_text("[default]\nca_bundle =\n")
    else:
        monkeypatch.setenv(where, " ")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    session: Any = Credentials("AKIA", "secret").to(sink)
    with fake_server(granted, tls=context) as server:
        make = session.client if isinstance(sink, Boto3Session) else session.create_client
        with pytest.raises(SSLError):
            make("sts", endpoint_url=server.url).get_caller_identity()
    assert server.requests == []
