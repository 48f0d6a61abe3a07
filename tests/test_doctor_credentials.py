"""`stskit doctor` says whose credentials would be used, from variables and files alone."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from hashlib import sha1
from pathlib import Path

import pytest
from doctoring import CANARY, KEYS, about, configure, look, only, secret, told, wrong
from fake_server import Answer, fake_server
from saml_samples import ROLE

from stskit.errors import SourceError
from stskit.sources import Profile

KEY_ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
TOKEN_FILE = "AWS_WEB_IDENTITY_TOKEN_FILE"
CLOSED = "http://127.0.0.1:9"


# The environment --------------------------------------------------------------------------------------------------

AMBIENT = "ambient credentials"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, ["ok: The ambient credentials are those of the profile 'default': the profile 'default' has long-term"]),
        ({KEY_ID: "AKIA", SECRET: CANARY}, [f"ok: The ambient credentials are those in {KEY_ID}: long-term keys."]),
        ({KEY_ID: "AKIA"}, [f"wrong: {KEY_ID} is set and {SECRET} is not, and so no credentials are found anywhere."]),
        ({SECRET: CANARY}, [f"note: {SECRET} is set and {KEY_ID} is not, and so it does nothing.", "ok: The ambient"]),
        ({KEY_ID: "ASIA", SECRET: CANARY}, [f"wrong: The ambient credentials are those in {KEY_ID}: a temporary key"]),
        (
            {KEY_ID: "ASIA", SECRET: CANARY, "AWS_SECURITY_TOKEN": CANARY, "AWS_PROFILE": "other"},
            [
                f"ok: The ambient credentials are those in {KEY_ID}: temporary keys without a date when they end.",
                f"note: AWS_PROFILE is set too, and will not be used for credentials: {KEY_ID} comes first.",
            ],
        ),
        (
            {KEY_ID: "A", SECRET: "s", "AWS_SESSION_TOKEN": "t", "AWS_CREDENTIAL_EXPIRATION": "2026-11-25T11:00:00Z"},
            [f"wrong: The ambient credentials are those in {KEY_ID}: temporary keys that ended at 2026-11-25 11:00:00"],
        ),
        (
            {KEY_ID: "AKIA", SECRET: "s", "AWS_CREDENTIAL_EXPIRATION": CANARY},
            ["wrong: AWS_CREDENTIAL_EXPIRATION is not a date, a time and a zone."],
        ),
        (
            {"AWS_PROFILE": "other"},
            ["ok: The ambient credentials are those of the profile 'other': the profile 'other'"],
        ),
        ({"AWS_PROFILE": "nobody"}, ["wrong: There is no profile 'nobody', which AWS_PROFILE names."]),
        (
            {"AWS_PROFILE": "nobody", KEY_ID: "AKIA", SECRET: CANARY},
            ["wrong: There is no profile 'nobody', which AWS_PROFILE names."],
        ),
        (
            {"AWS_PROFILE": "default", "AWS_DEFAULT_PROFILE": "other"},
            [
                "note: AWS_PROFILE and AWS_DEFAULT_PROFILE differ",
                "ok: The ambient credentials are those of the profile 'o",
            ],
        ),
        (
            {"AWS_ROLE_ARN": ROLE},
            [f"note: AWS_ROLE_ARN is set and {TOKEN_FILE} is not, and so it does nothing.", "ok: "],
        ),
        (
            {TOKEN_FILE: "nowhere"},
            [f"wrong: {TOKEN_FILE} is set and AWS_ROLE_ARN is not, and so no credentials are found"],
        ),
        (
            {TOKEN_FILE: "nowhere", "AWS_ROLE_ARN": ROLE, "AWS_PROFILE": "other"},
            [
                f"ok: The ambient credentials are those of {ROLE}, for the token that {TOKEN_FILE} names.",
                f"note: AWS_PROFILE is set too, and will not be used for credentials: {TOKEN_FILE} comes first.",
            ],
        ),
        (
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/canary",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x",
            },
            [
                "ok: The ambient credentials are those of the profile 'default'",
                "note: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_CONTAINER_CREDENTIALS_FULL_URI are set too, and",
            ],
        ),
    ],
)
def test_what_the_environment_gives_is_told(
    environment: dict[str, str], said: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what else is set, and does not count; by the names of variables and profiles."""
    configure(home, "", f"[default]\n{KEYS}[other]\n{KEYS}")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = told(look(), AMBIENT)
    assert len(found) == len(said)
    assert [line[: len(start)] for line, start in zip(found, said, strict=True)] == said


@pytest.mark.parametrize("key", [None, "", "AKIA"])
@pytest.mark.parametrize("secret_key", [None, "", "s"])
@pytest.mark.parametrize("profile", [None, "", "other", "nobody"])
@pytest.mark.parametrize("end", [None, "2020-01-01T00:00:00Z", "2036-01-01T00:00:00Z", "never"])
def test_wrong_is_what_gives_no_credentials(
    key: str | None,
    secret_key: str | None,
    profile: str | None,
    end: str | None,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compared with what the source gives, over combinations of variables."""
    configure(home, "", f"[other]\n{KEYS}")
    variables = {KEY_ID: key, SECRET: secret_key, "AWS_PROFILE": profile, "AWS_CREDENTIAL_EXPIRATION": end}
    for name, value in {**variables, "AWS_SESSION_TOKEN": "t"}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    given = None
    with suppress(SourceError):
        given = Profile().fetch()
    assert (given is None) == bool(wrong(about(look(), AMBIENT)))


@pytest.mark.parametrize(
    ("environment", "state", "said"),
    [
        ({}, "wrong", "credentials, and AWS_EC2_METADATA_DISABLED says not to ask the EC2 instance for them."),
        (
            {"AWS_EC2_METADATA_DISABLED": ""},
            "note",
            "credentials, so those of the EC2 instance are used, if this is one.",
        ),
        (
            {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/canary"},
            "ok",
            "credentials, so those of the container are used",
        ),
    ],
)
def test_where_nothing_is_set_the_place_decides(
    environment: dict[str, str],
    state: str,
    said: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The container or the instance, neither of which is asked."""
    configure(home, "[profile p]\nregion = eu-central-1\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for given, who in ({}, "No variable and no profile names"), ({"profile": "p"}, "The profile 'p' does not name"):
        finding = look(**given)[1]
        assert finding.state == state
        assert finding.text.startswith(f"{who} {said}")


# Profiles ---------------------------------------------------------------------------------------------------------

CONFIG = f"""
[profile keys]
{KEYS}
[profile half]
aws_access_key_id = AKIA
[profile temporary]
aws_access_key_id = ASIA
aws_secret_access_key = {CANARY}
aws_session_token = {CANARY}
[profile cut]
aws_access_key_id = ASIA
aws_secret_access_key = {CANARY}
[profile role]
role_arn = {ROLE}
source_profile = keys
mfa_serial = arn:aws:iam::123456789012:mfa/me
external_id = {CANARY}
[profile self]
role_arn = {ROLE}
source_profile = self
{KEYS}
[profile second]
role_arn = {ROLE}
source_profile = role
[profile over]
role_arn = {ROLE}
source_profile = self
[profile lost]
role_arn = {ROLE}
source_profile = nobody
[profile bare]
region = eu-central-1
[profile onbare]
role_arn = {ROLE}
source_profile = bare
[profile both]
role_arn = {ROLE}
source_profile = keys
credential_source = Environment
[profile neither]
role_arn = {ROLE}
[profile place]
role_arn = {ROLE}
credential_source = Ec2InstanceMetadata
[profile noplace]
role_arn = {ROLE}
credential_source = Moon
[profile circle]
role_arn = {ROLE}
source_profile = circle2
[profile circle2]
role_arn = {ROLE}
source_profile = circle
[profile ring]
role_arn = {ROLE}
source_profile = ring
[profile token]
role_arn = {ROLE}
web_identity_token_file = /nowhere/token
[profile norole]
web_identity_token_file = /nowhere/token
[profile login]
login_session = arn:aws:iam::123456789012:user/me
[profile process]
credential_process = sh -c {CANARY}
{KEYS}
[profile gone]
credential_process = /nowhere/program {CANARY}
[profile shell]
credential_process = PASSWORD={CANARY} program
[profile quote]
credential_process = sh '{CANARY}
[profile empty]
credential_process =
[profile again]
credential_process = env stskit process --profile again
[profile twice]
credential_process = env aws configure export-credentials --profile=twice2
[profile twice2]
credential_process = env python -m stskit process --profile twice
[profile other]
credential_process = env stskit process --saml-file x
[profile default2]
credential_process = env stskit process
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Admin
[profile nosession]
sso_session = nobody
sso_account_id = 123456789012
sso_role_name = Admin
[profile halfsso]
sso_account_id = 123456789012
sso_region = eu-central-1
[profile oldsso]
sso_start_url = https://start
sso_region = eu-central-1
sso_account_id = 123456789012
sso_role_name = Admin
[sso-session corp]
sso_start_url = https://start
sso_region = eu-central-1
"""
PROFILES: dict[str, list[str]] = {
    "keys": ["ok: The profile 'keys' has long-term keys in the config file."],
    "filed": [
        "ok: The profile 'filed' has long-term keys in the credentials file.",
        "note: The profile 'filed' has cred",
    ],
    "half": ["note: ", "wrong: The profile 'half' has an access key and no aws_secret_access_key."],
    "temporary": ["ok: The profile 'temporary' has temporary keys in the config file."],
    "cut": ["note: ", "wrong: The profile 'cut' has a temporary key and no aws_session_token."],
    "role": [
        f"ok: The profile 'role' assumes {ROLE} with the profile 'keys', and asks for the MFA code of "
        "arn:aws:iam::123456789012:mfa/me; the profile 'keys' has long-term keys in the config file."
    ],
    "self": [f"ok: The profile 'self' assumes {ROLE} with the profile 'self'; the profile 'self' has long-term keys"],
    "second": [
        f"ok: The profile 'second' assumes {ROLE} with the profile 'role'; the profile 'role' assumes {ROLE} with"
    ],
    "over": [f"ok: The profile 'over' assumes {ROLE} with the profile 'self'; the profile 'self' has long-term keys"],
    "lost": ["note: ", "wrong: The profile 'lost' has the source_profile 'nobody', which does not exist."],
    "onbare": ["note: "],
    "both": ["note: ", "wrong: The profile 'both' has a role_arn and both source_profile and credential_source."],
    "neither": [
        "note: ",
        "wrong: The profile 'neither' has a role_arn and neither source_profile nor credential_source.",
    ],
    "place": [f"ok: The profile 'place' assumes {ROLE} with those of the instance."],
    "noplace": ["note: ", "wrong: The profile 'noplace' has the credential_source 'Moon'."],
    "circle": [
        "note: ",
        "wrong: The profile 'circle' gets its credentials from itself, without end: circle -> circle2 -> c",
    ],
    "ring": ["note: ", "wrong: The profile 'ring' gets its credentials from itself, without end: ring -> ring."],
    "token": [f"ok: The profile 'token' assumes {ROLE} with the token in /nowhere/token."],
    "norole": ["note: ", "wrong: The profile 'norole' has a web_identity_token_file and no role_arn."],
    "login": ["ok: The profile 'login' has signed in with `aws login`."],
    "process": [
        "ok: The profile 'process' takes what the program sh prints, which is not run here.",
        "note: The profile 'process' has aws_access_key_id too, which will not be used.",
    ],
    "gone": [
        "note: ",
        "wrong: The profile 'gone' has a credential_process with the program /nowhere/program, which does",
    ],
    "shell": [
        "note: ",
        "wrong: The profile 'shell' has a credential_process with a program, which does not exist or can",
    ],
    "quote": ["note: ", "wrong: The profile 'quote' has a credential_process that is no command."],
    "empty": ["note: ", "wrong: The profile 'empty' has a credential_process that is no command."],
    "again": ["note: ", "wrong: The profile 'again' gets its credentials from itself, without end: again -> again."],
    "twice": [
        "note: ",
        "wrong: The profile 'twice' gets its credentials from itself, without end: twice -> twice2 -> twi",
    ],
    "other": ["ok: The profile 'other' takes what the program env prints, which is not run here."],
    "default2": [
        "note: The profile 'default2' takes what the program env prints, which is not run here; the profile 'def"
    ],
    "sso": [
        "note: The profile 'sso' signs in by SSO as Admin of the account 123456789012.",
        "wrong: Nobody is signed in to",
    ],
    "nosession": ["note: ", "wrong: The profile 'nosession' has the sso_session 'nobody', which does not exist."],
    "halfsso": ["note: ", "wrong: The profile 'halfsso' signs in by SSO and has no sso_start_url, sso_role_name."],
    "oldsso": ["note: ", "wrong: Nobody is signed in to SSO for the profile 'oldsso'."],
    "nobody": ["wrong: There is no profile 'nobody'."],
}


@pytest.fixture
def profiles(home: Path) -> None:
    configure(home, CONFIG, f"[filed]\n{KEYS}credential_process = false\n")


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.usefixtures("profiles")
def test_a_profile_is_told_from_its_files(name: str) -> None:
    """Where its credentials come from by way of others, and what would go wrong."""
    said, found = PROFILES[name], told(look(profile=name), f"profile {name}")
    assert len(found) == len(said)
    assert [line[: len(start)] for line, start in zip(found, said, strict=True)] == said


@pytest.mark.usefixtures("profiles")
def test_what_is_wrong_with_another_profile_is_told_of_that_one() -> None:
    """The profile that has to be changed is named."""
    assert told(look(profile="onbare"), "profile bare") == [
        "wrong: The profile 'bare' is asked for credentials, and names none."
    ]
    assert only(look(profile="token"), "OIDC token file").text.startswith("there is no file /nowhere/token")


@pytest.mark.parametrize(
    "name", sorted(PROFILES.keys() - {"place", "login", "other", "process", "token", "sso", "oldsso"})
)
@pytest.mark.usefixtures("profiles")
def test_what_is_wrong_with_a_profile_is_wrong_to_botocore(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is not wrong needs no more than STS, which is out of reach here."""
    for variable, value in {"AWS_ENDPOINT_URL_STS": CLOSED, "AWS_DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("stskit.sources.profile.provider_chain._ask", lambda _question: "123456")
    problem = ""
    try:
        Profile(name).fetch()
    except SourceError as error:
        problem = str(error)
    is_wrong = any(each.about.startswith("profile ") for each in wrong(look(profile=name)))
    if name != "cut":  # botocore sends such a key, and AWS refuses it
        assert is_wrong == (bool(problem) and "cannot be reached" not in problem), problem


def test_variables_do_not_count_where_a_profile_is_named(profiles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is said, for it surprises."""
    monkeypatch.setenv(KEY_ID, "AKIA")
    monkeypatch.setenv(SECRET, CANARY)
    assert told(look(profile="keys"), "profile keys") == [
        f"note: {KEY_ID}, {SECRET} are set, and will not be used, since a profile is named.",
        "ok: The profile 'keys' has long-term keys in the config file.",
    ]
    found = look(profile="default2")  # whose stskit would find the keys of the environment
    assert not [each for each in wrong(found) if each.about.startswith("profile ")]


def test_a_role_of_the_default_profile_comes_before_the_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As botocore has it."""
    configure(home, f"[default]\nrole_arn = {ROLE}\nsource_profile = keys\n[profile keys]\n{KEYS}")
    monkeypatch.setenv(TOKEN_FILE, "nowhere")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    ok, note = told(look(), AMBIENT)
    assert ok.startswith(
        "ok: The ambient credentials are those of the profile 'default': the profile 'default' assumes"
    )
    assert note.startswith(
        f"note: {TOKEN_FILE} is set too, and will not be used for credentials: the profile 'default'"
    )


def test_the_default_profile_and_the_token_variable_share_a_role(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore takes each from where it is."""
    configure(home, f"[default]\nrole_arn = {ROLE}\nweb_identity_token_file = /x\n")
    monkeypatch.setenv(TOKEN_FILE, "nowhere")
    assert told(look(), AMBIENT) == [
        f"ok: The ambient credentials are those of a role, for the token that {TOKEN_FILE} names."
    ]


@pytest.mark.parametrize(
    ("content", "state", "said"),
    [
        ({"expiresAt": "2026-11-25T20:00:00Z"}, "ok", "counts until 2026-11-25 20:00:00 UTC (in 8 h)."),
        ({"expiresAt": "2026-11-25T20:00:00UTC"}, "ok", "counts until 2026-11-25 20:00:00 UTC (in 8 h)."),
        ({"expiresAt": "2026-11-25T10:00:00Z"}, "wrong", "ended at 2026-11-25 10:00:00 UTC (2 h ago)."),
        (
            {
                "expiresAt": "2026-11-25T10:00:00Z",
                "refreshToken": CANARY,
                "registrationExpiresAt": "2026-12-25T10:00:00Z",
            },
            "note",
            "ended at 2026-11-25 10:00:00 UTC (2 h ago), and will be renewed without a person.",
        ),
        (
            {
                "expiresAt": "2026-11-25T10:00:00Z",
                "refreshToken": CANARY,
                "registrationExpiresAt": "2026-11-25T10:00:00Z",
            },
            "wrong",
            "ended at 2026-11-25 10:00:00 UTC (2 h ago).",
        ),
        ({"expiresAt": CANARY}, "wrong", "Nobody is signed in to SSO for the profile 'sso'."),
        ([CANARY], "wrong", "Nobody is signed in to SSO for the profile 'sso'."),
    ],
)
def test_a_sign_in_is_judged_by_its_token(content: object, state: str, said: str, profiles: None, home: Path) -> None:
    """Which the AWS CLI keeps in a file; one with a name can be renewed."""
    secret(home / ".aws" / "sso" / "cache" / f"{sha1(b'corp').hexdigest()}.json", json.dumps(content))
    finding = about(look(profile="sso"), "profile sso")[-1]
    assert (finding.state, finding.text[-len(said) :]) == (state, said)
    assert finding.remedy == ("Run: aws sso login --profile sso" if state == "wrong" else "")


def test_a_sign_in_without_a_name_is_not_renewed(profiles: None, home: Path) -> None:
    """Botocore does so for an sso_session only, whatever is kept with the token."""
    left = {
        "expiresAt": "2026-11-25T10:00:00Z",
        "refreshToken": CANARY,
        "registrationExpiresAt": "2026-12-25T10:00:00Z",
    }
    name = sha1(b"https://start").hexdigest()
    secret(home / ".aws" / "sso" / "cache" / f"{name}.json", json.dumps(left))
    assert about(look(profile="oldsso"), "profile oldsso")[-1].state == "wrong"


# Nothing is done --------------------------------------------------------------------------------------------------


def test_nothing_is_run_and_nothing_is_asked_but_the_time(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the profile would do: its program leaves no trace, and the server hears one question."""
    program = secret(tmp_path / "bin" / "program", f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    program.chmod(0o700)
    for name in ("aws", "stskit", "security"):
        (program.parent / name).symlink_to(program)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with fake_server(Answer()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        process = "[profile process]\ncredential_process = program\n"
        role = f"[profile role]\nrole_arn = {ROLE}\nsource_profile = process\n"
        place = f"[profile place]\nrole_arn = {ROLE}\ncredential_source = Ec2InstanceMetadata\n"
        configure(
            home, f"{process}{role}{place}{CONFIG.partition('[profile sso]')[1]}" + CONFIG.partition("[profile sso]")[2]
        )
        runs = [None, "process", "role", "place", "sso"]
        for profile in runs:
            look(offline=False, profile=profile)
        assert len(server.requests) == len(runs)
        look(profile="role")
    assert {request.body for request in server.requests} == {""}
    assert len(server.requests) == len(runs)
    assert not (tmp_path / "was-run").exists()
    assert not (home / ".cache").exists()


def test_no_secret_is_logged(home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """By nobody, at any level."""
    caplog.set_level(0)
    configure(home, CONFIG, f"[default]\n{KEYS}")
    monkeypatch.setenv("HTTPS_PROXY", "http://u:canary@127.0.0.1:9")
    for profile in [None, *PROFILES]:
        look(profile=profile)
    look(offline=False, endpoint_url="https://sts.example")
    assert CANARY not in caplog.text
