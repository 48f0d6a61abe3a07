"""What the environment says of other identities never wins over the credentials that stskit delivers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import NoAuthTokenError
from botocore.session import Session
from other_identities import ALL, BEARER, KEYS, ROLES_AND_TOOLS

from stskit import Cached, Credentials
from stskit.sinks import Boto3Session, BotocoreSession, DotEnv, Environment, ShellExports
from stskit.sources import Static

MINE = Credentials("ASIAMINE", "secret", "token")
UNKNOWN = "AWS_BEARER_TOKEN_SOME_NEW_SERVICE"
SETTINGS = {"PATH": "/bin", "AWS_REGION": "eu-west-1", "AWS_CONFIG_FILE": "config", "AWS_VAULT_BACKEND": "file"}

SESSIONS: dict[str, Callable[[], Any]] = {
    "fixed, botocore": lambda: MINE.to(BotocoreSession("us-east-1")).create_client,
    "live, botocore": lambda: Cached(Static(MINE)).to(BotocoreSession("us-east-1")).create_client,
    "fixed, boto3": lambda: MINE.to(Boto3Session("us-east-1")).client,
    "live, boto3": lambda: Cached(Static(MINE)).to(Boto3Session("us-east-1")).client,
}


def sent_by(client: Any, call: Callable[[Any], object]) -> AWSPreparedRequest:
    """Return the request that *call* would send, without sending it."""
    requests: list[AWSPreparedRequest] = []

    class Raw:
        def stream(self, **_options: object) -> list[bytes]:
            return []

    def answer(request: AWSPreparedRequest, **_details: object) -> AWSResponse:
        requests.append(request)
        return AWSResponse(request.url, 200, {}, Raw())  # type: ignore[arg-type]

    client.meta.events.register("before-send", answer)
    call(client)
    return requests[0]


def authorization(client: Any, call: Callable[[Any], object]) -> str:
    value = sent_by(client, call).headers["Authorization"]
    return value.decode() if isinstance(value, bytes) else str(value)


def list_models(client: Any) -> None:
    client.list_foundation_models()


# Sessions -------------------------------------------------------------------------------------------------------------


@pytest.mark.case("P26")
@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize(
    "variables",
    [
        {BEARER: "of-another-identity"},
        {"AWS_AUTH_SCHEME_PREFERENCE": "httpBearerAuth"},
        {"AWS_AUTH_SCHEME_PREFERENCE": "httpBearerAuth,sigv4", BEARER: "of-another-identity"},
    ],
    ids=["token", "preference", "both"],
)
def test_a_session_signs_despite_a_bearer_token(
    session: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session signs a call to Bedrock with its keys, despite a bearer token in the environment."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert "Credential=ASIAMINE/" in authorization(SESSIONS[session]()("bedrock"), list_models)


def test_a_session_does_not_send_the_sso_token_of_a_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A session does not send the SSO token of a profile."""
    (tmp_path / "config").write_text(
        "[default]\nsso_session = me\n[sso-session me]\nsso_region = us-east-1\nsso_start_url = https://sso.example\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert Session().get_auth_token() is not None
    session = MINE.to(BotocoreSession("us-east-1"))
    assert session.get_auth_token() is None
    client: Any = session.create_client("codecatalyst", region_name="us-east-1")
    with pytest.raises(NoAuthTokenError):
        client.verify_session()


def test_a_client_that_requires_a_bearer_token_gets_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that requires a bearer token gets an error that says so. The token of the environment is not sent."""
    monkeypatch.setenv(BEARER, "of-another-identity")
    client = SESSIONS["fixed, boto3"]()("bedrock", config=Config(signature_version="bearer"))
    with pytest.raises(NoAuthTokenError):
        client.list_foundation_models()


def test_other_services_are_signed_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other services are signed as usual."""
    for name in ("AWS_BEARER_TOKEN_S3", "AWS_BEARER_TOKEN_STS"):
        monkeypatch.setenv(name, "of-another-identity")
    make = SESSIONS["fixed, boto3"]()
    assert "Credential=ASIAMINE/" in authorization(make("s3"), lambda client: client.head_bucket(Bucket="b"))
    assert "AWSAccessKeyId=ASIAMINE&" in make("s3").generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
    assert (
        "Authorization" not in sent_by(make("cognito-idp"), lambda client: client.forget_device(DeviceKey="k")).headers
    )
    url = make("sts").generate_presigned_url("get_caller_identity")
    assert "X-Amz-Credential=ASIAMINE" in url


# Environment ----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P13", "P26")
@pytest.mark.parametrize("name", [*ALL, UNKNOWN])
def test_an_environment_selects_no_other_identity(name: str) -> None:
    """An environment has no variable that selects another identity, and keeps other settings."""
    made = MINE.to(Environment({**SETTINGS, name: "of-another-identity"}))
    assert "of-another-identity" not in made.values()
    assert SETTINGS.items() <= made.items()


@pytest.mark.parametrize("name", [*ALL, UNKNOWN])
def test_a_block_selects_no_other_identity_and_restores_the_variables(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block has no variable that selects another identity, and restores them at the end."""
    monkeypatch.setenv(name, "of-another-identity")
    before = dict(os.environ)
    with Environment().applied(MINE):
        assert "of-another-identity" not in os.environ.values()
    assert dict(os.environ) == before


@pytest.mark.parametrize("value", ["httpBearerAuth", "sigv4a, httpBearerAuth", "sigv4a"])
def test_a_preference_for_tokens_does_not_reach_a_command(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preference for bearer tokens does not reach a command."""
    monkeypatch.setenv("AWS_AUTH_SCHEME_PREFERENCE", value)
    is_kept = value == "sigv4a"
    assert ("AWS_AUTH_SCHEME_PREFERENCE" in MINE.to(Environment(os.environ))) == is_kept
    assert ("AWS_AUTH_SCHEME_PREFERENCE" not in ShellExports().unset()) == is_kept


def test_the_variables_to_remove_are_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of variables to remove has each name once, with the bearer tokens of the given environment."""
    monkeypatch.setenv(UNKNOWN, "of-another-identity")
    for sink, environ in ((Environment(), os.environ), (Environment({BEARER: "x"}, region="us-east-1"), {})):
        assert len({*sink.unset}) == len(sink.unset)
        assert {*ALL} <= {*sink.unset}
        assert (UNKNOWN in sink.unset) == (environ is os.environ)


# Shells and .env files ------------------------------------------------------------------------------------------------


@pytest.mark.case("P26")
def test_shell_commands_remove_the_variables_of_other_identities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shell commands remove the variables that select another identity."""
    monkeypatch.setenv(UNKNOWN, "of-another-identity")
    script = f"{MINE.to(ShellExports())}env"
    environment = {**dict.fromkeys((*ALL, UNKNOWN), "of-another-identity"), **SETTINGS, "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "of-another-identity" not in done.stdout
    assert "AWS_ACCESS_KEY_ID=ASIAMINE\n" in done.stdout
    assert "AWS_VAULT_BACKEND=file\n" in done.stdout


@pytest.mark.parametrize("name", ["AWS_BEARER_TOKEN_X;touch ran", "AWS_BEARER_TOKEN_$(touch ran)"])
def test_the_name_of_a_variable_cannot_become_a_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable name in the environment cannot become a shell command."""
    monkeypatch.setenv(name, "x")
    assert name not in ShellExports().unset()


def test_a_dotenv_file_loses_keys_and_bearer_tokens_only(tmp_path: Path) -> None:
    """A .env file loses bearer tokens and other keys, and keeps roles and variables of tools."""
    path = tmp_path / ".env"
    path.touch(0o600)
    kept = "".join(f"{name}=of-another-program\n" for name in ROLES_AND_TOOLS)
    path.write_text(kept + "".join(f"{name}=of-another-identity\n" for name in (*KEYS, BEARER, UNKNOWN)))
    MINE.to(DotEnv(path))
    text = path.read_text()
    assert kept in text
    assert "of-another-identity" not in text
    assert "AWS_ACCESS_KEY_ID=ASIAMINE\n" in text
    assert "BEARER" not in text
