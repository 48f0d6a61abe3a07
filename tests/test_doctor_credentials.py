"""`stskit doctor` reports the same credentials of a profile or the environment as `Profile.fetch` returns.

Without --run it fetches only credentials in variables and files.
"""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path

import pytest
from doctoring import CANARY, KEYS, about, configure, look, only, secret, texts, wrong
from fake_server import Answer, fake_server, granted, refused
from saml_samples import ROLE

from stskit.__main__ import main
from stskit.errors import SourceError
from stskit.sources import Profile

KEY_ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
TOKEN_FILE = "AWS_WEB_IDENTITY_TOKEN_FILE"
CONTAINER = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
AMBIENT = "credential chain"
NOT_FETCHED = "They were not fetched, because that starts a program or calls a server."
MFA = "arn:aws:iam::123456789012:mfa/me"

CONFIG = f"""
[profile keys]
{KEYS}mfa_serial = {MFA}
[profile half]
aws_access_key_id = AKIA
[profile temporary]
aws_access_key_id = ASIA
aws_secret_access_key = {CANARY}
aws_session_token = {CANARY}
[profile cut]
aws_access_key_id = ASIA
aws_secret_access_key = {CANARY}
[profile swapped]
aws_access_key_id = {CANARY}
aws_secret_access_key = AKIA
[profile nested]
aws_access_key_id =
  {CANARY} = {CANARY}
aws_secret_access_key = {CANARY}
[profile bare]
region = eu-central-1
[profile role]
role_arn = {ROLE}
source_profile = keys
external_id = {CANARY}
[profile mfa]
role_arn = {ROLE}
source_profile = keys
mfa_serial = {MFA}
[profile over]
role_arn = {ROLE}
source_profile = mfa
[profile lost]
role_arn = {ROLE}
source_profile = nobody
[profile place]
role_arn = {ROLE}
credential_source = Ec2InstanceMetadata
[profile token]
role_arn = {ROLE}
web_identity_token_file = /nowhere/token
[profile login]
login_session = arn:aws:iam::123456789012:user/me
[profile process]
credential_process = sh -c {CANARY}
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Admin
[profile block]
credential_process =
  {CANARY} = {CANARY}
[sso-session corp]
sso_start_url = https://start
sso_region = eu-central-1
"""


@pytest.fixture
def profiles(home: Path) -> None:
    temporary = f"aws_access_key_id = ASIA\naws_secret_access_key = {CANARY}\naws_session_token = {CANARY}\n"
    configure(
        home,
        CONFIG,
        f"[filed]\n{KEYS}"
        f"[expired]\n{temporary}x_security_token_expires = 2026-11-25T11:00:00Z\n"
        f"[valid]\n{temporary}x_security_token_expires = 2026-11-25T13:00:00Z\n"
        f"[other]\n{temporary}x_security_token_expires = soon\n",
    )


@pytest.fixture
def program(home: Path, tmp_path: Path) -> Path:
    """Create a program that records its runs and prints credentials, and a profile `program` that runs it."""
    document = {"Version": 1, "AccessKeyId": "ASIA1", "SecretAccessKey": CANARY, "SessionToken": CANARY}
    code = f"import json, pathlib\npathlib.Path({str(tmp_path / 'was-run')!r}).touch()\nprint(json.dumps({document!r}))"
    script = secret(tmp_path / "program.py", code)
    configure(
        home,
        f"[profile program]\ncredential_process = '{sys.executable}' '{script}'\n"
        f"[profile role]\nrole_arn = {ROLE}\nsource_profile = program\n",
    )
    return tmp_path / "was-run"


# Credentials in variables and files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (
            "keys",
            "ok: The credentials of profile 'keys' (access key ID AKIA, method config-file) are long-term keys",
        ),
        (
            "filed",
            "ok: The credentials of profile 'filed' (access key ID AKIA, method shared-credentials-file) are",
        ),
        (
            "temporary",
            "ok: The credentials of profile 'temporary' (access key ID ASIA, method config-file) are temp",
        ),
        (
            "cut",
            "wrong: The credentials of profile 'cut' (access key ID ASIA, method config-file) are temporary "
            "credentials w",
        ),
        (
            "expired",
            "wrong: The credentials of profile 'expired' (access key ID ASIA, method shared-credentials-file) are "
            "temporary credentials that expired at 2026-11-25 11:00",
        ),
        (
            "valid",
            "ok: The credentials of profile 'valid' (access key ID ASIA, method shared-credentials-file) are "
            "temporary credentials that expire at 2026-11-25 13:00",
        ),
        (
            "other",
            "ok: The credentials of profile 'other' (access key ID ASIA, method shared-credentials-file) are "
            "temporary credentials without an expiration",
        ),
        ("swapped", "ok: The credentials of profile 'swapped' (method config-file) are long-term keys."),
        ("half", "wrong: Profile 'half': aws_secret_access_key is missing"),
        ("nested", "wrong: Profile 'nested': access_key_id is empty"),
        ("bare", "wrong: Profile 'bare': it has no credentials"),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_keys_in_files_are_fetched_and_reported(name: str, found: str) -> None:
    """The finding shows the kind of the keys, the key ID and the origin, or the error of the fetch."""
    (finding,) = texts(look(profile=name), f"profile {name}")
    assert finding.startswith(found)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        (
            {},
            "ok: The credentials in the standard chain (access key ID AKIA, method shared-credentials-file) are "
            "long-term keys.",
        ),
        (
            {KEY_ID: "AKIA1", SECRET: CANARY},
            "ok: The credentials in the standard chain (access key ID AKIA1, method env) are long-te",
        ),
        ({KEY_ID: "AKIA"}, f"wrong: The standard AWS credential chain: {SECRET} is missing"),
        (
            {KEY_ID: "ASIA", SECRET: CANARY},
            "wrong: The credentials in the standard chain (access key ID ASIA, method env) are temp",
        ),
        (
            {
                KEY_ID: "ASIA",
                SECRET: CANARY,
                "AWS_SESSION_TOKEN": CANARY,
                "AWS_CREDENTIAL_EXPIRATION": "2200-01-01T00:00Z",
            },
            "ok: The credentials in the standard chain (access key ID ASIA, method env) are temporary "
            "credentials that expire at 2200",
        ),
        (
            {
                KEY_ID: "ASIA",
                SECRET: "s",
                "AWS_SESSION_TOKEN": "t",
                "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z",
            },
            "wrong: The standard AWS credential chain: AWS_CREDENTIAL_EXPIRATION has passed",
        ),
        (
            {"AWS_PROFILE": "other"},
            "ok: The credentials of profile 'other' in the standard chain (access key ID AKIAOTHER, method shared-cred",
        ),
        (
            {"AWS_PROFILE": "nobody"},
            "wrong: The standard AWS credential chain: there is no profile 'nobody', the value of AWS_PROFILE, in ",
        ),
        (
            {"AWS_PROFILE": ""},
            "wrong: The standard AWS credential chain: there is no profile '', the value of AWS_PROFILE, in ",
        ),
        (
            {"AWS_PROFILE": "nobody", KEY_ID: "AKIA", SECRET: CANARY},
            "wrong: The standard AWS credential chain: there is no profile 'nobody', the value of AWS_PROFILE, in ",
        ),
    ],
)
def test_ambient_keys_are_fetched_and_reported(
    environment: dict[str, str], found: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These are keys in variables, and keys of the profile in AWS_PROFILE. The finding has the error of the fetch."""
    configure(home, "", f"[default]\n{KEYS}[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = {CANARY}\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (finding,) = texts(look(), AMBIENT)
    assert finding.startswith(found)
    try:
        Profile().fetch()
    except SourceError:
        assert finding.startswith("wrong: ")


def test_details_are_facts_for_programs(profiles: None, capsys: pytest.CaptureFixture[str]) -> None:
    """All elements of the JSON have the same fields."""
    assert main(["doctor", "--profile", "filed", "--offline", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {tuple(each) for each in found} == {("about", "state", "text", "remedy", "facts")}
    (credentials,) = (each for each in found if each["about"] == "profile filed")
    assert credentials["facts"] == {"access_key_id": "AKIA", "method": "shared-credentials-file"}


# Credentials that need a program or the network -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("role", f"role_arn {ROLE}, source_profile keys"),
        ("lost", f"role_arn {ROLE}, source_profile nobody"),
        ("place", f"role_arn {ROLE}, credential_source Ec2InstanceMetadata"),
        ("token", f"role_arn {ROLE}, web_identity_token_file /nowhere/token"),
        ("login", "login_session arn:aws:iam::123456789012:user/me"),
        ("process", "credential_process"),
        ("block", "credential_process"),
        ("sso", "sso_account_id 123456789012, sso_role_name Admin, sso_session corp"),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_a_profile_that_needs_a_program_or_the_network_is_described(name: str, origin: str) -> None:
    """The finding lists the settings without secrets, and the command that fetches the credentials."""
    (finding,) = about(look(profile=name), f"profile {name}")
    assert finding.state == "note"
    assert finding.text == f"The credentials of profile {name!r} come from {origin}. {NOT_FETCHED}"
    assert finding.remedy == f"Run: stskit doctor --profile {name} --run"


@pytest.mark.parametrize(
    ("environment", "origin"),
    [
        ({"AWS_PROFILE": "process"}, "of profile 'process' in the standard chain come from credential_process."),
        ({TOKEN_FILE: "/nowhere", "AWS_ROLE_ARN": ROLE}, f"come from {TOKEN_FILE} /nowhere."),
        ({CONTAINER: "http://127.0.0.1:9/canary"}, f"come from {CONTAINER}."),
        ({"AWS_EC2_METADATA_DISABLED": "false"}, "come from the EC2 instance."),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_ambient_credentials_that_need_the_network_are_described(
    environment: dict[str, str], origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding names the origin of the credentials."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (finding,) = about(look(), AMBIENT)
    assert (finding.state, finding.remedy) == ("note", "Run: stskit doctor --run")
    assert f"{origin} {NOT_FETCHED}" in finding.text


def test_the_token_file_of_a_role_is_judged(profiles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile or a variable can name the file."""
    assert only(look(profile="token"), "OIDC token file").text.startswith("There is no file /nowhere/token")
    monkeypatch.setenv(TOKEN_FILE, "/nowhere/else")
    assert only(look(), "OIDC token file").text.startswith("There is no file /nowhere/else")
    monkeypatch.setenv(KEY_ID, "AKIA")
    monkeypatch.setenv(SECRET, CANARY)
    assert not about(look(), "OIDC token file")


@pytest.mark.parametrize("run", [True, False])
@pytest.mark.usefixtures("profiles")
def test_a_profile_without_credentials_does_not_mention_the_machine(run: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile is refused, and the metadata service is not called."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    finding = only(look(profile="bare", run=run), "profile bare")
    assert (finding.state, finding.text) == ("wrong", "Profile 'bare': it has no credentials.")


@pytest.mark.parametrize("run", [True, False])
@pytest.mark.parametrize("name", ["mfa", "over"], ids=["itself", "its source profile"])
@pytest.mark.usefixtures("profiles")
def test_a_profile_that_needs_an_mfa_code_is_described(run: bool, name: str) -> None:
    """Doctor never asks for an MFA code, also with --run. The remedy is a command that asks for it."""
    finding = only(look(profile=name, run=run), f"profile {name}")
    assert (finding.state, finding.remedy) == ("note", f"Run: stskit whoami --profile {name}")
    assert finding.text.endswith(f"mfa_serial {MFA}. They were not fetched, because that needs an MFA code.")


def test_without_run_nothing_is_run_and_only_the_time_is_requested(
    home: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program of the profile does not run, and the server receives one request without content."""
    with fake_server(Answer()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        names = [None, "program", "role"]
        for name in names:
            look(offline=False, profile=name)
        configure(home, CONFIG)
        others = ["place", "sso", "login", "bare"]
        for name in others:
            look(offline=False, profile=name)
        assert len(server.requests) == len([*names, *others])
        look(profile="role")
    assert {request.body for request in server.requests} == {""}
    assert len(server.requests) == len([*names, *others])
    assert not program.exists()
    assert not (home / ".cache").exists()


# With --run -------------------------------------------------------------------------------------------------------


def test_with_run_a_program_runs_and_its_credentials_are_reported(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The finding shows the credentials of the fetch."""
    assert main(["doctor", "--profile", "program", "--run", "--endpoint-url", "http://127.0.0.1:9"]) == 1
    text = "The credentials of profile 'program' (access key ID ASIA1) are temporary credentials without an expiration"
    assert f"ok     profile program: {text}" in capsys.readouterr().out
    assert program.exists()


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            granted,
            "ok: The credentials of profile 'role' (account ID 123456789012) are temporary credentials that expire at ",
        ),
        (refused("AccessDenied", CANARY, 403), "wrong: Profile 'role': AssumeRole was refused with AccessDenied"),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_with_run_a_role_is_assumed_or_the_refusal_is_reported(
    answer: object, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding shows the result or the error of the fetch, without the text of STS."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with fake_server(answer) as server:  # type: ignore[arg-type]
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        (finding,) = texts(look(profile="role", run=True), "profile role")
    assert finding.startswith(found)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lost", "wrong: Profile 'lost': its source_profile 'nobody' does not exist"),
        ("process", "wrong: Profile 'process': its credential_process ended with status 127"),
        ("block", "wrong: Profile 'block': "),
        ("sso", "wrong: Profile 'sso': you are not signed in, or the sign-in has expired"),
        (
            "keys",
            "ok: The credentials of profile 'keys' (access key ID AKIA, method config-file) are long-term keys",
        ),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_with_run_a_failure_is_reported(name: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding has the error of the fetch. doctor does not ask for the MFA code of any profile in a chain."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(getpass, "getpass", lambda _question: pytest.fail("a code was asked for"))
    (finding,) = texts(look(profile=name, run=True), f"profile {name}")
    assert finding.startswith(found)


@pytest.mark.parametrize(
    "other", [["--offline"], ["--saml-file", "x"], ["--oidc-token-file", "x"], ["--keys-file", "x"]]
)
def test_run_without_an_effect_is_a_usage_error(other: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A proof in a file needs no run, and a run needs the network."""
    assert main(["doctor", "--run", *other]) == 2
    assert capsys.readouterr().err == f"stskit: --run and {other[0]} cannot be used together. Use only one of them.\n"


def test_no_secret_is_logged(profiles: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """No logger writes a secret at any level, with or without --run."""
    caplog.set_level(0)
    monkeypatch.setenv("HTTPS_PROXY", "http://u:canary@127.0.0.1:9")
    for name in ("keys", "filed", "swapped", "half", "cut", "process", "token", None):
        look(profile=name)
    for name in ("process", "block"):
        look(profile=name, run=True)
    look(offline=False, endpoint_url="https://sts.example")
    assert CANARY not in caplog.text
    assert wrong(look(profile="half"))
