"""A secret that is passed as another value is recognised, and no error and no repr shows it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from stskit import Credentials, RefreshPolicy, Role, SAMLAssertion, WebIdentityToken
from stskit._arguments import quoted, secret_kind
from stskit.errors import ProofInvalid, RoleError, SinkError
from stskit.sinks import Boto3Session, CredentialsFile, DotEnv, Environment, ShellExports
from stskit.sources import OIDCTokenFile, Profile, SAMLFile
from stskit.sts import BotocoreSTS
from stskit.testing import FakeSTS

KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEZ9"[:40]
SHORT = {
    "AWS_SECRET_ACCESS_KEY=CANARYsecret": "a setting with a secret",
    "export AWS_SESSION_TOKEN=CANARYtoken": "a setting with a secret",
    "Password: CANARYword": "a setting with a secret",
    "Bearer CANARY-CANARY": "an Authorization header",
    "ghp_CANARYCANARYCANARY0123": "an access token",
    "glpat-CANARYCANARYCANARY": "an access token",
    "IQoJb3JpZ2luX2VjEJCANARYCANARY": "an access token",
    "-----BEGIN PRIVATE KEY-----\nCANARY": "a key or a certificate",
    KEY: "an AWS secret access key",
}
NOT_SECRET = [
    *("us-east-1", "Deploy", "deploy-token", "my_secret", "token.txt", "/run/secrets/token", "~/.aws/credentials"),
    *(
        "arn:aws:iam::123456789012:role/Deploy",
        "https://sts.example/token=x",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    ),
    *("/home/Alice/Projects2026/deploy/token/a.b", "a=b", "token=short"),
]
EVERYWHERE: list[Callable[[str], object]] = [
    *(SAMLFile, OIDCTokenFile, Profile, Role, DotEnv, CredentialsFile, BotocoreSTS),
    lambda text: SAMLFile("response", text),
    lambda text: SAMLAssertion("cmVzcG9uc2U=", text),
    lambda text: WebIdentityToken("token", text),
    lambda text: BotocoreSTS(endpoint_url=text),
    lambda text: CredentialsFile("deploy", path=text),
    lambda text: CredentialsFile("deploy", region=text),
    lambda text: CredentialsFile("deploy", output=text),
    lambda text: Environment(region=text),
    lambda text: DotEnv(".env", region=text),
    lambda text: Boto3Session(region_name=text),
    lambda text: ShellExports(region=text),
    lambda text: Credentials(text, "secret"),
    lambda text: RefreshPolicy(on_expired=text),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("text", "kind"), SHORT.items())
def test_a_short_secret_is_recognised(text: str, kind: str) -> None:
    """A short secret is recognised by its form."""
    assert secret_kind(text) == kind
    assert quoted(text) == f"{kind} ({len(text)} characters)"


@pytest.mark.parametrize("text", NOT_SECRET)
def test_a_name_or_a_path_is_not_a_secret(text: str) -> None:
    """Names and paths are not secrets, also if they contain the word token."""
    assert secret_kind(text) is None


@pytest.mark.parametrize("make", EVERYWHERE)
@pytest.mark.parametrize("secret", [*SHORT, FakeSTS().idp.oidc_token()])
def test_a_secret_in_the_place_of_another_argument_is_not_shown(make: Callable[[str], object], secret: str) -> None:
    """A secret that is passed as another argument appears in no repr, no error and no local variable."""
    try:
        shown = repr(make(secret))
    except Exception as error:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        assert {frame.filename for frame in frames} == {__file__}
        shown = f"{error} {error!r}"
    assert secret[-8:] not in shown


@pytest.mark.parametrize("value", [b"CANARY", {"SecretAccessKey": "CANARY"}, ["CANARY"], ("CANARY",), object()])
def test_the_error_for_another_type_names_the_class(value: object) -> None:
    """The error for a value of another type names its class, because its repr can contain a secret."""
    assert quoted(value) == f"of the type {type(value).__name__}"


def test_a_secret_key_as_the_access_key_id_is_refused() -> None:
    """A secret key as the access key ID is an error, because reprs and logs show the ID."""
    message = "access_key_id is an AWS secret access key, not an access key ID. Pass the access key ID first"
    with pytest.raises(ProofInvalid, match=message) as caught:
        Credentials(KEY, "AKIAIOSFODNN7EXAMPLE")
    assert caught.value.option == "access_key_id"
    assert Credentials("minioadmin", "minioadmin").access_key_id == "minioadmin"


def test_a_token_in_a_variable_for_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in a variable for a file is refused, and no file with that name is created."""
    token = FakeSTS().idp.oidc_token()
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", token)
    keys = Credentials("ASIAEXAMPLE", "secret", "token", datetime(2099, 1, 1, tzinfo=UTC))
    message = "AWS_SHARED_CREDENTIALS_FILE must be the path of a file, but this is a JSON Web Token"
    with pytest.raises(SinkError, match=message) as caught:
        keys.to(CredentialsFile("deploy"))
    assert caught.value.variable == "AWS_SHARED_CREDENTIALS_FILE"
    assert token[:20] not in f"{caught.value!r}"


def test_an_invalid_region_is_hidden_on_the_command_line() -> None:
    """An invalid region is hidden in the message for the command line too."""
    with pytest.raises((SinkError, TypeError)) as caught:
        CredentialsFile("deploy", region="-----BEGIN PRIVATE KEY-----\nCANARY")
    assert not re.search("CANARY", f"{caught.value!r}")


@pytest.mark.parametrize("account", ["ghp_CANARYCANARYCANARY0123", '{"SecretAccessKey": "CANARY"}', f"x:role/{KEY}"])
def test_a_secret_inside_an_invalid_arn_is_hidden(account: str) -> None:
    """A secret in a part of an invalid ARN is not quoted, and a long ARN is not a secret."""
    with pytest.raises(RoleError) as caught:
        Role.named("Deploy", account=account)
    assert account[-7:] not in f"{caught.value!r}"
    with pytest.raises(RoleError, match="a JSON Web Token"):
        Role(f"arn:aws:iam::{FakeSTS().idp.oidc_token()}:role/Deploy")
