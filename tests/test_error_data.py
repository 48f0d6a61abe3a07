"""Errors have data: the remedies for Python and for the command line, and the wrong argument, variable or file."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_server import fake_server, refused
from saml_samples import PAIR, PROVIDER, ROLE, encoded, response

from stskit import (
    MFA,
    AssumedRole,
    Credentials,
    MFACommand,
    Role,
    SAMLAssertion,
    StskitError,
    assume,
)
from stskit.errors import RoleError
from stskit.roles import ProvidedContext
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, SessionToken, Static
from stskit.sts import BotocoreSTS

KEYS = Credentials("AKIABASE", "secret")
SESSION = Credentials("ASIABASE", "secret", "token")
OFFER = SAMLAssertion(encoded(response({"Role": [PAIR]})))
SEALED = SAMLAssertion(encoded(response().replace("a:Assertion", "a:EncryptedAssertion")))
SERIAL = "arn:aws:iam::123456789012:mfa/me"


def error_of(make: Callable[[], object]) -> StskitError:
    with pytest.raises(StskitError) as caught:
        make()
    return caught.value


WRONG_OPTIONS: dict[str, list[Callable[[], object]]] = {
    "arn": [lambda: Role("app"), lambda: AssumedRole("arn:aws:iam::12:role/app")],
    "session_name": [lambda: Role(ROLE, session_name="x"), lambda: Role(ROLE, session_name="a b")],
    "duration": [
        lambda: Role(ROLE, duration=60),
        lambda: SessionToken(Static(KEYS), duration=60),
        lambda: AssumedRole(Role(ROLE, duration=7200), source=AssumedRole(ROLE)),
    ],
    "policy": [lambda: Role(ROLE, policy=""), lambda: Role(ROLE, policy={"Statement": {1}})],
    "policy_arns": [lambda: Role(ROLE, policy_arns=["arn"])],
    "tags": [
        lambda: Role(ROLE, tags={"": "x"}),
        lambda: Role(ROLE, tags={"aws:x": "y"}),
        lambda: Role(ROLE, tags={"a": "x", "A": "y"}),
        lambda: assume(Role(ROLE, tags={"a": "x"}), source=Static(OFFER)),
    ],
    "transitive_tag_keys": [
        lambda: Role(ROLE, transitive_tag_keys=[""]),
        lambda: Role(ROLE, transitive_tag_keys=["aws:x"]),
    ],
    "external_id": [lambda: Role(ROLE, external_id="x")],
    "source_identity": [lambda: Role(ROLE, source_identity="x")],
    "provider_arn": [lambda: ProvidedContext("arn", "abcd")],
    "minimum_session_token_size": [lambda: Role(ROLE, minimum_session_token_size=5000)],
    "extra": [lambda: Role(ROLE, extra={"Tags": []})],
    "serial": [lambda: MFA("x", "123456")],
    "code": [lambda: MFA(SERIAL, "12345")],
    "arguments": [lambda: MFACommand([])],
    "expiration": [lambda: Credentials("AKIA", "secret", expiration=datetime(2026, 1, 1))],
    "access_key_id": [lambda: Credentials("", "secret")],
    "wait_for_new_role": [lambda: AssumedRole(ROLE, wait_for_new_role=timedelta(hours=1))],
    "endpoint_url": [lambda: BotocoreSTS(endpoint_url="https://me:canary@sts.example")],
    "region": [
        lambda: BotocoreSTS("cn-north-1").exchange(KEYS, Role(ROLE)),
        lambda: BotocoreSTS().exchange(KEYS, Role(ROLE.replace(":aws:", ":minio:"))),
    ],
    "role": [lambda: OFFER.principal_for(f"{ROLE}2")],
    "principal_arn": [lambda: assert_never(SEALED.roles)],
    "source": [
        lambda: SessionToken(Static(SESSION)).fetch(),
        lambda: BotocoreSTS().exchange("text", Role(ROLE)),  # type: ignore[arg-type]
    ],
}


def assert_never(value: object) -> None:
    raise AssertionError(value)


@pytest.mark.parametrize(
    ("option", "make"), [(option, make) for option, cases in WRONG_OPTIONS.items() for make in cases]
)
def test_the_error_for_a_wrong_option_names_it(option: str, make: Callable[[], object]) -> None:
    """An error about a wrong argument has its name and a remedy, and neither a variable nor a path."""
    error = error_of(make)
    assert (error.option, error.variable, error.path) == (option, None, None)
    assert error.remedy
    assert str(error).startswith(error.message)
    assert str(error).endswith(error.remedy)
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, "AWS_ROLE_ARN"),
        ({"AWS_ROLE_ARN": "app"}, "AWS_ROLE_ARN"),
        ({"AWS_ROLE_ARN": ROLE, "AWS_ROLE_SESSION_NAME": "x"}, "AWS_ROLE_SESSION_NAME"),
        ({"AWS_ROLE_ARN": ROLE}, "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ],
)
def test_the_error_for_a_wrong_variable_names_it(environ: dict[str, str], variable: str) -> None:
    """An error about a wrong variable has the name of the variable instead of an argument."""
    error = error_of(lambda: AssumedRole.from_env(environ))
    assert (error.option, error.variable) == (None, variable)
    assert error.remedy


def test_the_error_for_the_default_session_name_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid AWS_ROLE_SESSION_NAME is named as a variable, also if it is read during the call."""
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "x")
    error = error_of(lambda: BotocoreSTS().exchange(KEYS, Role(ROLE)))
    assert (error.option, error.variable) == (None, "AWS_ROLE_SESSION_NAME")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\xfd", b"no proof at all: canary", b'{"a": "canary"}'])
@pytest.mark.parametrize("source", [SAMLFile, OIDCTokenFile])
@pytest.mark.parametrize("name", ["response", "a; b. c: d"])
def test_the_error_for_a_wrong_file_names_it(source: Any, content: bytes | None, name: str, tmp_path: Path) -> None:
    """An error about a file has its path as data, whatever its name is, and the remedy does not contain it."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    error = error_of(source(str(path)).fetch)
    assert error.path == str(path)
    assert error.remedy
    assert str(path) in error.message
    assert str(path) not in error.remedy
    assert "canary" not in str(error)


def test_the_error_for_a_wrong_profile_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An error about a wrong profile names the argument, the variable AWS_PROFILE, or the file."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    error = error_of(Profile("nobody").fetch)
    assert (error.option, error.variable) == ("profile", None)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    error = error_of(Profile().fetch)
    assert (error.option, error.variable) == (None, "AWS_PROFILE")
    (tmp_path / "config").write_text("[profile nobody\n")
    error = error_of(Profile().fetch)
    assert (error.path, error.remedy) == (str(tmp_path / "config"), "Correct the file.")


def saved(folder: Path, content: str) -> str:
    path = folder / "proof"
    path.write_text(content)
    path.chmod(0o600)
    return str(path)


def used_code() -> None:
    mfa = MFA(SERIAL, "778899")
    assert_never([mfa.token_code(), mfa.token_code()])


OF_THE_COMMAND_LINE: dict[str, Callable[[Path], object]] = {
    "--principal-arn arn:": lambda _: assert_never(SEALED.roles),
    "--oidc-token-file": lambda folder: SAMLFile(saved(folder, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln")).fetch(),
    "--saml-file": lambda folder: OIDCTokenFile(saved(folder, encoded(response()))).fetch(),
    "--json-field NAME": lambda folder: OIDCTokenFile(saved(folder, '{"id_token": "x"}')).fetch(),
    "--sts-region": lambda _: BotocoreSTS().exchange(KEYS, Role(ROLE.replace(":aws:", ":minio:"))),
    "--allow-http": lambda _: BotocoreSTS(endpoint_url="http://sts.example").exchange(KEYS, Role(ROLE)),
    "--session-token and --cache": lambda _: used_code(),
    "omit --session-token": lambda _: SessionToken(Static(SESSION)).fetch(),
    "--from-env": lambda _: AssumedRole.from_env({}),
    "--wait-for-new-role 30s": lambda _: refused_with("AccessDenied"),
    "(--cache)": lambda _: refused_with("Throttling"),
}


def refused_with(code: str) -> None:
    with fake_server(refused(code)) as server:
        BotocoreSTS(endpoint_url=server.url).exchange(KEYS, Role(ROLE))


@pytest.mark.parametrize("flag", OF_THE_COMMAND_LINE)
def test_the_command_line_has_its_own_remedy(flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy for the command line names the option, and only the other remedy has Python code."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    error = error_of(lambda: OF_THE_COMMAND_LINE[flag](tmp_path))
    assert flag in error.cli_remedy
    assert not re.search(r"\w\(|\w=(?!\w*\.amazonaws)", error.cli_remedy)
    assert "--" not in error.remedy


def test_an_error_that_is_raised_again_keeps_its_data(tmp_path: Path) -> None:
    """An error about the content of a file gets the path and keeps its remedies."""
    path = saved(tmp_path, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln")
    error = error_of(SAMLFile(path, PROVIDER).fetch)
    assert (error.remedy, error.cli_remedy) == (
        "Use OIDCTokenFile(path) for it.",
        "Use --oidc-token-file for it.",
    )
    assert (error.message, error.path) == (f"{path}: This is an OIDC token, not a SAML response.", path)


@pytest.mark.parametrize(
    "role",
    [
        Role(ROLE, mfa=MFA(SERIAL, "123456")),
        Role(ROLE, session_name="me"),
        Role(ROLE, tags={"a": "b"}),
        Role(ROLE, transitive_tag_keys=["a"]),
        Role(ROLE, source_identity="me"),
    ],
    ids=["mfa", "session_name", "tags", "transitive_tag_keys", "source_identity"],
)
def test_the_error_for_an_option_that_saml_lacks_names_it(role: Role, request: pytest.FixtureRequest) -> None:
    """The error about an option that SAML does not allow has the name of the option as data."""
    with pytest.raises(RoleError) as caught:
        assume(role, source=Static(OFFER))
    assert f"[{caught.value.option}]" in request.node.name
