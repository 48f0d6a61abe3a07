"""What stands next to the forms, files and settings that other tests use: it is read, or refused by name."""

from __future__ import annotations

import os
import plistlib
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from quopri import encodestring
from textwrap import wrap
from typing import Any

import pytest
from fake_server import fake_server, granted
from saml_samples import PAIR, encoded, response

from stskit import Credentials, Role, WebIdentityToken
from stskit.errors import ProofInvalid, SinkError, STSUnavailable
from stskit.proofs.token_form import mistake_in
from stskit.sinks import CredentialsFile, DotEnv
from stskit.sources import SAMLFile
from stskit.sts import BotocoreSTS

R = encoded(response({"Role": [PAIR], "RoleSessionName": ["alice"]}))
PAGE = f'<html><body><form method="post"><input name="SAMLResponse" value="{R}"/></form></body></html>'
KEYS = Credentials("ASIAEXAMPLE", "secret", "token", datetime(2099, 1, 1, tzinfo=UTC))
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"


def quoted_printable(text: str) -> str:
    return encodestring(text.encode()).decode().replace("\n", "\r\n")


def mime(body: str, encoding: str) -> str:
    return f"MIME-Version: 1.0\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n"


def in_lines(text: str) -> str:
    return "\r\n".join(wrap(b64encode(text.encode()).decode(), 76))


def burp(body: str) -> str:
    head = '<?xml version="1.0"?>\n<!DOCTYPE items [\n<!ELEMENT items (item*)>\n]>\n<items><item>'
    return f'{head}<request base64="true"><![CDATA[{in_lines(body)}]]></request></item></items>'


FORMS = {
    "part of a page in quoted-printable": quoted_printable(PAGE).encode(),
    "Quoted-Printable": mime(quoted_printable(PAGE), "Quoted-Printable").encode(),
    "a part in base64": mime(in_lines(PAGE), "BASE64").encode(),
    "a broken part, and one in base64": (mime("AAAAA", "base64") + "--b\r\n" + mime(in_lines(PAGE), "base64")).encode(),
    "Burp": burp("POST /saml HTTP/1.1\r\n\r\nSAMLResponse=" + R).encode(),
    "web archive": plistlib.dumps(
        {"WebMainResource": {"WebResourceData": PAGE.encode()}, "WebSubframeArchives": []}, fmt=plistlib.FMT_BINARY
    ),
    "web archive as XML": plistlib.dumps({"WebMainResource": {"WebResourceData": PAGE.encode()}}),
    "frame of PEM": ("-----BEGIN SAML-----\n" + "\n".join(wrap(R, 64)) + "\n-----END SAML-----\n").encode(),
    "block of Markdown": f"```\n{R}\n```\n".encode(),
    "quotation": "\n".join(f"> {line}" for line in wrap(R, 70)).encode(),
    "data URL": f"data:text/xml;base64,{R}".encode(),
    "invisible characters around": f"\u200b\u00a0{R}\u2060\u00a0\n".encode(),
    "YAML": ("SAMLResponse: >-\n  " + "\n  ".join(wrap(R, 76))).encode(),
    "HAR, BASE64": b'{"log": {"entries": [{"text": "%s", "encoding": "BASE64"}]}}' % b64encode(PAGE.encode()),
    "HAR, UTF-16": b'{"log": {"entries": [{"text": "%s", "encoding": "base64"}]}}' % b64encode(PAGE.encode("utf-16")),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_response_saved_by_another_tool_is_read(form: str, tmp_path: Path) -> None:
    """A response that another tool saved in this form is read, with the exact bytes of the identity provider."""
    (tmp_path / "saved").write_bytes(FORMS[form])
    assert SAMLFile(tmp_path / "saved").read().value == R


@pytest.mark.parametrize("data", [plistlib.dumps({"a": "b"}), b"bplist00broken", b"<plist>broken", plistlib.dumps([])])
def test_a_property_list_without_a_page_is_refused(data: bytes, tmp_path: Path) -> None:
    """A property list without a page is refused."""
    (tmp_path / "saved").write_bytes(data)
    with pytest.raises(ProofInvalid):
        SAMLFile(tmp_path / "saved").read()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("/var/run/secrets/token", "a path or a comment"),
        ("~/token", "a path or a comment"),
        ("./token", "a path or a comment"),
        ("C:\\token", "a path or a comment"),
        ("@token.txt", "a path or a comment"),
        ("ghp_0123456789012345678901234567890123456789", "a token of GitHub, GitLab, Slack or Vault"),
        ("glpat-xxxxxxxxxxxxxxxxxxxx", "a token of GitHub, GitLab, Slack or Vault"),
        ("IQoJb3JpZ2luX2VjEJIQoJb3JpZ2lu", "an AWS session token"),
        (f"{TOKEN};", "a token with other characters around it"),
        (f"{TOKEN}=", "a token with other characters around it"),
        (f"data:text/plain,{TOKEN}", "a token with other characters around it"),
        ("REDACTED", "the word 'redacted'"),
        ("(none)", "the word '(none)'"),
    ],
)
def test_text_that_is_certainly_no_token_is_refused(text: str, what: str) -> None:
    """Text that is certainly not a token is refused by its name, before the call."""
    mistake = mistake_in(text)
    assert mistake is not None
    assert mistake.what.startswith(what)


@pytest.mark.parametrize(
    "token", ["Atza|IQEBLjAsAhRmHjNgHpi0U-Dme37rR6CuUpSR", "EAACEdEose0cBAJ7ZCZBZB0ZC", "+/a+b/c="]
)
def test_opaque_tokens_are_accepted(token: str) -> None:
    """Opaque tokens, such as those of Amazon and Facebook, are accepted."""
    assert mistake_in(token) is None


@pytest.mark.parametrize("variable", ["Http_Proxy", "hTTP_pROXY"])
def test_a_client_with_a_former_proxy_is_not_used(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client with a former proxy is not used after the variable has changed."""
    with fake_server(granted) as proxy, fake_server(granted) as server:
        sts = BotocoreSTS(endpoint_url=server.url)
        proof, role = WebIdentityToken("opaque-token"), Role("arn:aws:iam::123456789012:role/Deploy")
        monkeypatch.setenv(variable, proxy.url)
        with pytest.raises(STSUnavailable, match="HTTP_PROXY names a proxy"):
            sts.exchange(proof, role)
        monkeypatch.delenv(variable)
        sts.exchange(proof, role)
        assert (len(proxy.requests), len(server.requests)) == (0, 1)


def test_a_backup_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    """Check and write refuse a backup path that is a folder, and the error names it."""
    file = tmp_path / "credentials"
    file.write_text("[a]\nx = 1\n")
    Path(f"{file}.bak").mkdir()
    sink = CredentialsFile("deploy", file, backup=True)
    for attempt in (sink.check, lambda: sink.write(KEYS)):
        with pytest.raises(SinkError, match=r"credentials\.bak is a folder"):
            attempt()
    assert file.read_text() == "[a]\nx = 1\n"


@pytest.mark.parametrize("name", ["-", " "])
@pytest.mark.parametrize("make", [lambda name: CredentialsFile("deploy", name), DotEnv], ids=["profile", "dotenv"])
def test_a_file_sink_refuses_the_name_for_standard_output(
    name: str, make: type[DotEnv], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file sink refuses the name -, which would hide the keys in a file called -."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SinkError, match="is not a valid path"):
        make(name).write(KEYS)
    assert list(tmp_path.iterdir()) == []


def test_remove_raises_for_a_folder_that_cannot_be_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove raises an error for a folder that cannot be searched, because the keys may still be there."""
    file = tmp_path / "credentials"
    sink = CredentialsFile("deploy", file)
    sink.write(KEYS)
    real = os.stat

    def stat(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if path == str(file):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        with pytest.raises(SinkError, match="Permission denied"):
            sink.remove()
    assert "ASIAEXAMPLE" in file.read_text()
    assert CredentialsFile("deploy", tmp_path / "none" / "credentials").remove()


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
@pytest.mark.parametrize("value", [" ", "eu west", "-1", "x" * 64])
def test_the_variable_of_an_invalid_region_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for an invalid region of the environment names the variable."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(STSUnavailable, match=variable) as caught:
        BotocoreSTS(endpoint_url="http://127.0.0.1:9").exchange(
            WebIdentityToken("opaque-token"), Role("arn:aws:iam::123456789012:role/Deploy")
        )
    assert caught.value.variable == variable
