"""What scripts leave in a token file when they go wrong is refused by name, before anything is sent."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from saml_samples import response

from stskit import AssumedRole
from stskit.errors import ProofInvalid, StskitWarning
from stskit.sources import OIDCTokenFile
from stskit.testing import FakeSTS

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"
ROLE = "arn:aws:iam::123456789012:role/app"

MISTAKES = [
    (f'"{TOKEN}"', "a text in quotes"),
    (f"'{TOKEN}'", "a text in quotes"),
    (f"`{TOKEN}`", "a text in quotes"),
    (f'\\"{TOKEN}\\"', "a text in quotes"),
    ("null", "the word 'null'"),
    ("NULL", "the word 'null'"),
    ("undefined", "the word 'undefined'"),
    ("None", "the word 'none'"),
    ("[object Object]", "the word"),
    ("(null)", "the word"),
    ("${CI_JOB_JWT_V2}", "the name of a variable"),
    ("$TOKEN", "the name of a variable"),
    ("$(cat token)", "the name of a variable"),
    ("${{ secrets.TOKEN }}", "the name of a variable"),
    ("$env:TOKEN", "the name of a variable"),
    ("%TOKEN%", "the name of a variable"),
    ("{{token}}", "the name of a variable"),
    ("{{ token }}", "the name of a variable"),
    ("#{TOKEN}", "the name of a variable"),
    ("<your-token>", "a placeholder"),
    (f"TOKEN={TOKEN}", "a line NAME=VALUE"),
    (f"export TOKEN={TOKEN}", "a line NAME=VALUE"),
    (f'id_token: "{TOKEN}"', "a line NAME=VALUE"),
    ("TOKEN=opaque", "a line NAME=VALUE"),
    (f"Bearer {TOKEN}", "an Authorization header"),
    (f"Authorization: Bearer {TOKEN}", "an Authorization header"),
    (b64encode(TOKEN.encode()).decode(), "the base64 of a token"),
    (b64encode(f"{TOKEN}\n".encode()).decode().rstrip("="), "the base64 of a token"),
    (TOKEN.replace(".", "%2E"), "a URL-encoded text"),
    ("Atza%7CIQEBLjAs", "a URL-encoded text"),
    ("eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d", "an encrypted token (JWE)"),
    ("eyJhbGciOiJkaXIifQ..b.c.d", "an encrypted token (JWE)"),
    (TOKEN.rpartition(".")[0], "a part of a JSON Web Token"),
    (b64encode(b'{"id_token": "x"}').decode(), "a part of a JSON Web Token, or JSON in base64"),
    (response(), "a SAML response"),
    (b64encode(response().encode()).decode(), "a SAML response"),
    ("<!DOCTYPE html><html>canary</html>", "a web page"),
    ("-----BEGIN PRIVATE KEY-----", "a key or a certificate"),
    ("https://idp.example/token", "a URL"),
    ("AKIAIOSFODNN7EXAMPLE", "an AWS access key ID"),
]


def token_file(folder: Path, text: str) -> Path:
    path = folder / "token"
    path.touch(0o600)
    path.write_text(text)
    return path


@pytest.mark.parametrize(("text", "what"), MISTAKES)
def test_text_that_is_not_a_token_is_refused_by_name(text: str, what: str, tmp_path: Path) -> None:
    """Text that is not a token is refused by its name, without a call."""
    sts = FakeSTS()
    with pytest.raises(ProofInvalid) as caught:
        AssumedRole(ROLE, source=OIDCTokenFile(token_file(tmp_path, text)), sts=sts).fetch()
    assert f"contains {what}" in caught.value.message
    assert caught.value.remedy
    assert TOKEN[:30] not in str(caught.value)
    assert "canary" not in str(caught.value)
    assert sts.count() == 0


@pytest.mark.parametrize("text", ['"canary"', "[]", '{"a": 1}', "null"])
def test_a_json_field_is_checked_like_a_file(text: str, tmp_path: Path) -> None:
    """A JSON field is checked like a file."""
    with pytest.raises(ProofInvalid, match="contains (a text in quotes|JSON|the word 'null')"):
        OIDCTokenFile(token_file(tmp_path, json.dumps({"t": text})), json_field="t").fetch()
    with pytest.raises(ProofInvalid):
        OIDCTokenFile(token_file(tmp_path, text)).fetch()


@pytest.mark.parametrize(
    "token",
    [
        "Atza|IwEBIJ-canary_x",
        "EAABwzLixnjYBAcanary",
        "ya29.canary-x",
        "two.parts",
        "b3BhcXVlIQ==",
        "nullable",
        "Zm9v",
        "ZXlKcanary",
    ],
)
def test_an_opaque_token_is_sent(token: str, tmp_path: Path) -> None:
    """An opaque token is sent."""
    with pytest.warns(StskitWarning, match="not a JSON Web Token"):
        assert OIDCTokenFile(token_file(tmp_path, token)).fetch().value == token
