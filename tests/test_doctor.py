"""`stskit doctor` reports each problem in one sentence, with a remedy. No finding contains a secret."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from datetime import timedelta
from importlib import metadata
from pathlib import Path

import jwt
import pytest
from doctoring import CANARY, FILES, KEYS, about, configure, look, named, only, place, put, secret, texts, wrong
from helpers import START
from hypothesis import example, given, settings
from hypothesis import strategies as st
from saml_samples import NAMED, PAIR, ROLE, encoded, response

from stskit._cli.doctor.examine import examine
from stskit.errors import SourceError
from stskit.sources import Profile
from stskit.testing import ManualClock

DATA = Path(__file__).parent / "data"
TOKEN_FILE = "AWS_WEB_IDENTITY_TOKEN_FILE"
SIGNING_KEY = "a key that is long enough for it"
HOUR = timedelta(hours=1)


# Findings of every run --------------------------------------------------------------------------------------------


@pytest.mark.case("P6")
def test_a_valid_setup_has_no_findings(home: Path) -> None:
    """There is one line for each check, in a fixed order."""
    configure(home, "[default]\nregion = eu-central-1\n", f"[default]\n{KEYS}")
    assert [f"{each.about}: {each.text}" for each in look() if each.about not in ("versions", "clock")] == [
        "credential chain: The credentials in the standard chain (access key ID AKIA, method shared-credentials-file) "
        "are long-term keys.",
        "region: stskit would call STS in eu-central-1 (from the profile).",
        "endpoint: stskit would call STS at https://sts.eu-central-1.amazonaws.com.",
        f"config file: {home}/.aws/config can be read, and has 1 section.",
        f"credentials file: {home}/.aws/credentials can be read, and has 1 section.",
        f"cache folder: {home}/.cache/stskit does not exist yet, and is created when it is needed.",
    ]
    assert {each.state for each in look()} == {"ok", "note"}


def test_the_versions_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing boto3 is reported and is not a problem."""
    versions = only(look(), "versions")
    assert versions.facts["botocore"] == metadata.version("botocore")
    assert versions.facts["boto3"] == metadata.version("boto3")

    def version(name: str) -> str:
        if name == "boto3":
            raise metadata.PackageNotFoundError
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    assert only(look(), "versions").facts["boto3"] == "(unknown version)"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert only(look(), "versions").text.endswith("botocore 1, without boto3 (only boto3 sessions need it).")


# Any input file ---------------------------------------------------------------------------------------------------


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


ODD: dict[str, Callable[[Path], object]] = {
    "FIFO": fifo,
    "folder": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "sparse": sparse,
    "loop": lambda path: path.symlink_to(path),
    "junk": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "NUL": lambda path: path.write_bytes(b"[default]\nx\0canary\n"),
    "UTF-16": lambda path: path.write_text("[default]\nx = canary\n", "utf-16"),
    "text": lambda path: path.write_text("canary\ncanary canary\n"),
}


@pytest.mark.case("P6")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
def test_any_file_type_is_reported_in_one_sentence(make: Callable[[Path], object], name: str, home: Path) -> None:
    """The finding names the problem and the remedy. doctor does not hang, and does not read a huge file."""
    path = place(home, name)
    path.parent.mkdir(0o700)
    make(path)
    found = look(**named(home, name))
    assert only(found, name).state == "wrong"
    assert str(path) in only(found, name).text
    assert wrong(found) in ([only(found, name)], [only(found, name), *about(found, "credential chain")])


@pytest.mark.parametrize("name", ["SAML file", "OIDC token file", "keys file"])
def test_a_missing_file_is_reported_in_one_sentence(name: str, home: Path) -> None:
    """The text is that of the source."""
    assert only(look(**named(home, name)), name).text.startswith(
        f"There is no file {place(home, name)}. It must contain"
    )


@pytest.mark.parametrize("path", sorted((DATA / "ini").glob("[0-9c]*")), ids=lambda path: path.name)
def test_a_file_of_profiles_is_read_as_botocore_reads_it(path: Path, home: Path) -> None:
    """A file that botocore cannot read is one finding. A file that botocore can read is no problem."""
    name = "config file" if path.name.startswith("c") else "credentials file"
    put(home, name, path.read_bytes())
    said = texts(look(), name)
    try:
        Profile().fetch()
    except SourceError as error:
        unreadable = "(ConfigParseError)" in str(error)
    else:
        unreadable = False
    assert said[0].startswith(f"wrong: AWS tools cannot read {place(home, name)}: " if unreadable else "ok: ")
    assert len(said) == 1 or not unreadable
    assert "wrong: " not in "".join(said[1:])
    assert "secret/" not in "".join(said)


@pytest.mark.parametrize("path", sorted((DATA / "saml").iterdir()), ids=lambda path: path.name)
def test_a_saml_response_is_reported_in_one_sentence(
    path: Path,
    home: Path,
) -> None:
    """Responses of all known identity providers are read. These responses have expired."""
    finding = only(look(**put(home, "SAML file", path.read_bytes())), "SAML file")
    assert finding.state == ("note" if path.stem == "encrypted" else "wrong")


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25)
@given(content=st.binary(max_size=200) | st.text(alphabet="[]=\n #profile\x00x", max_size=60).map(str.encode))
def test_no_bytes_in_a_file_raise_an_exception(
    name: str,
    content: bytes,
    home: Path,
) -> None:
    """Random content of any file makes a finding, not an exception."""
    given = put(home, name, content)
    assert about(list(examine(offline=True, clock=ManualClock(START), **given)), name)  # type: ignore[arg-type]


OPTIONS = [
    *("role_arn", "source_profile", "credential_source", "web_identity_token_file", "sso_session", "sso_account_id"),
    *("sso_role_name", "sso_start_url", "sso_region", "login_session", "credential_process", "mfa_serial", "region"),
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "x_security_token_expires", "endpoint_url"),
    *("services", "ca_bundle"),
]
VALUES = st.sampled_from(
    ["a", "b", "default", "\n  x = y", "Environment", "'", "stskit process --profile b", "é\0", ""]
)


@settings(max_examples=20)
@example(config={"default": {"aws_access_key_id": "\n  x = y", "aws_secret_access_key": "a"}})
@example(config={"default": {"ca_bundle": "\n  x = y", "services": "\n  x = y"}})
@given(
    config=st.dictionaries(
        st.sampled_from(["default", "profile a", "profile b", "sso-session a", "services a"]),
        st.dictionaries(st.sampled_from(OPTIONS), VALUES, max_size=6),
    )
)
def test_no_profiles_raise_an_exception(
    config: dict[str, dict[str, str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random settings of profiles, and references between them, raise no exception."""
    sections = [
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in of.items()) for name, of in config.items()
    ]
    configure(home, "".join(sections))
    for profile in (None, "a"):
        assert list(examine(profile=profile, offline=True, clock=ManualClock(START)))


# Proofs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("xml", "minutes", "said"),
    [
        (response(NAMED), 1, "ok: FILE offers 1 role, and is valid until 2026-11-25 12:05:00 UTC (in 4 min)"),
        (
            response(NAMED | {"Role": [PAIR, PAIR.replace("app", "two")], "SessionDuration": ["3600"]}),
            1,
            "ok: FILE offers 2 roles, and is valid until 2026-11-25 12:05:00 UTC (in 4 min)",
        ),
        (
            response(NAMED, end=START + HOUR),
            3,
            "ok: FILE offers 1 role, and is valid until 2026-11-25 12:05:00 UTC (in 2 min)",
        ),
        (
            response(NAMED, end=START + HOUR),
            9,
            "note: FILE offers 1 role, and may be too old for AWS: it was valid until 2026-11-25 12:05:00 UTC (4 min",
        ),
        (
            response(NAMED, start=None, end=None).replace("IssueInstant", "Other"),
            0,
            "ok: FILE offers 1 role, and has no expiration",
        ),
        (
            response(NAMED),
            10,
            "wrong: FILE: the SAML assertion expired at 2026-11-25 12:05:00 UTC. The time is 2026-11-25 12:1",
        ),
        (
            response(NAMED),
            -9,
            "wrong: FILE: the SAML assertion is not valid before 2026-11-25 12:00:00 UTC. The time is 2026-11-25 1",
        ),
        (
            response(NAMED, audiences=["https://x"]),
            0,
            "wrong: FILE: The SAML assertion was issued for https://x, not for AWS",
        ),
        (response({}), 0, "wrong: FILE offers no role"),
        (
            response(NAMED | {"Role": [PAIR], "SessionDuration": ["1"]}),
            0,
            "wrong: FILE: SessionDuration of the SAML assertion is '1'",
        ),
        (
            response(NAMED).replace("a:Assertion", "a:EncryptedAssertion"),
            0,
            "note: FILE is encrypted, so only AWS can check",
        ),
        (response(status="Responder"), 0, "wrong: FILE: The identity provider did not sign you in"),
        (f"<!DOCTYPE x [<!ENTITY a 'canary'>]>{response(NAMED)}", 0, "wrong: FILE: "),
    ],
    ids=[
        *("one", "two", "long", "old", "no end", "ended", "not yet", "audience", "no role", "duration"),
        *("encrypted", "failed", "DTD"),
    ],
)
def test_a_saml_file_is_checked_like_its_source(xml: str, minutes: int, said: str, home: Path) -> None:
    """The finding also shows the number of roles and the expiry."""
    clock = ManualClock(START + timedelta(minutes=minutes))
    finding = only(look(clock, **put(home, "SAML file", encoded(xml))), "SAML file")
    assert f"{finding.state}: {finding.text}".startswith(said.replace("FILE", str(place(home, "SAML file"))))


def test_the_content_of_an_expired_assertion_is_a_fact(home: Path) -> None:
    """The facts of the finding include the issuer and the number of roles."""
    given = put(home, "SAML file", encoded(response(NAMED)))
    finding = only(look(ManualClock(START + HOUR), **given), "SAML file")
    assert finding.state == "wrong"
    assert (finding.facts["roles"], finding.facts["partition"]) == (1, "aws")


def test_other_findings_about_a_saml_file_are_notes(home: Path) -> None:
    """Omitted roles and the permissions of the file are notes."""
    given = put(home, "SAML file", encoded(response(NAMED | {"Role": [PAIR, f"{ROLE},canary"]})))
    place(home, "SAML file").chmod(0o644)
    ok, left_out, mode = texts(look(**given), "SAML file")
    assert ok.startswith("ok: ")
    assert (
        "1 values of the attribute Role were skipped, because they are not a pair of a role ARN and a SAML provider ARN"
        in left_out
    )
    assert mode.endswith("is readable by every user of this machine.")


def token(**claims: object) -> str:
    return jwt.encode({"iss": "https://idp", "sub": "job", "aud": "sts.amazonaws.com", **claims}, SIGNING_KEY)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            token(exp=(START + HOUR).timestamp()),
            "ok: FILE contains a token with issuer 'https://idp', audience 'sts.amazonaws.com', subject 'job', "
            "and expires "
            "at 2026-11-25 13:00:00 UTC (in 60 min)",
        ),
        (token(iss="x\x1b[2J", sub=7, aud=[]), r"ok: FILE contains a token with issuer 'x\x1b[2J'."),
        (token(exp=START.timestamp()), "wrong: FILE: the token expired at 2026-11-25 12:00:00 UTC"),
        (token(nbf=(START + HOUR).timestamp()), "wrong: FILE: the token is not valid before 2026-11-25 13:00:00 UTC"),
        ('{"id": "canary"}', "wrong: FILE contains JSON, not only an OIDC token"),
        (
            "canary canary",
            "wrong: FILE contains 13 characters that are not an OIDC token: a token has 4 to 20,000 characters",
        ),
        ("", "wrong: FILE is empty. It must contain an OIDC token"),
    ],
    ids=["good", "odd claims", "expired", "not yet", "JSON", "two", "empty"],
)
def test_a_token_file_is_checked_like_its_source(
    content: str, said: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An argument or a variable can name the file."""
    given = put(home, "OIDC token file", content)
    monkeypatch.setenv(TOKEN_FILE, str(given["oidc_token_file"]))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    for found in (look(**given), look()):
        finding = only(found, "OIDC token file")
        assert f"{finding.state}: {finding.text}".startswith(said.replace("FILE", str(place(home, "OIDC token file"))))


def test_other_findings_about_a_token_are_notes(home: Path) -> None:
    """An opaque token and the permissions of the file are notes. The token can be a field of a JSON file."""
    given = put(home, "OIDC token file", '{"id_token": "opaque-canary"}')
    place(home, "OIDC token file").chmod(0o644)
    assert texts(look(**given, json_field="id_token"), "OIDC token file") == [
        f"ok: {place(home, 'OIDC token file')} contains a token.",
        f"note: {place(home, 'OIDC token file')} contains a token that is not a JSON Web Token, which STS may refuse. "
        "Save the ID token as it was issued.",
        f"note: {place(home, 'OIDC token file')} contains a token and is readable by every user of this machine. "
        f"Run: chmod 600 {place(home, 'OIDC token file')}.",
    ]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "ok: FILE contains long-term keys."),
        (
            {"AccessKeyId": "ASIA"},
            "wrong: FILE contains temporary credentials without their session token, which AWS refuses.",
        ),
        ({"SessionToken": CANARY}, "ok: FILE contains temporary credentials without an expiration."),
        (
            {"SessionToken": CANARY, "Expiration": "2026-11-28T12:00:00Z"},
            "ok: FILE contains temporary credentials that expire at",
        ),
        (
            {"SessionToken": CANARY, "Expiration": "2026-11-25T12:00:00Z"},
            "wrong: FILE contains temporary credentials that expired",
        ),
        (
            {"Expiration": CANARY},
            "wrong: FILE contains no credentials. Expiration is not a valid ISO 8601 date and time",
        ),
        ({"AccessKeyId": ""}, "wrong: FILE contains no credentials. AccessKeyId is empty"),
    ],
)
def test_a_file_of_keys_is_recognised(keys: dict[str, str], said: str, home: Path) -> None:
    """The finding shows the kind of the keys, and when they expire."""
    document = {"Credentials": {"AccessKeyId": "AKIA", "SecretAccessKey": CANARY, **keys}}
    finding = only(look(**put(home, "keys file", json.dumps(document))), "keys file")
    assert f"{finding.state}: {finding.text}".startswith(said.replace("FILE", str(place(home, "keys file"))))


def test_standard_input_is_not_read() -> None:
    """Doctor does not wait for standard input."""
    assert only(look(keys_file="-"), "keys file").state == "note"


# Config and credentials files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "credentials", "said"),
    [
        ("[lost]\nregion = x\n", "", "note: FOLDER/config has [lost], which AWS tools do not read as a profile."),
        ("[profile 'x]\n", "", "note: FOLDER/config has [profile 'x], which AWS tools do not read as a profile."),
        ("[profile a b]\n", "", "note: FOLDER/config has [profile a b], which AWS tools do not read as a profile."),
        ("[ ]\nregion = x\n", "", "note: FOLDER/config has [ ], which AWS tools do not read as a profile."),
        (
            "[default]\n[profile default]\n",
            "",
            "note: FOLDER/config has [default] and [profile default], and AWS tools differ",
        ),
        ("", "[profile p]\n", "note: FOLDER/credentials has [profile p], and tools read the word profile as a part"),
        (
            "",
            f"[p]\n{KEYS}x_security_token_expires = 2026-11-25T11:00:00Z\n",
            "note: Profiles in FOLDER/credentials with expired credentials: p",
        ),
        (
            "",
            "[a]\n[a]\n",
            "wrong: AWS tools cannot read FOLDER/credentials: line 2 repeats a section.",
        ),
        (
            "",
            "[a]\nx = 1\nx = 2\n",
            "wrong: AWS tools cannot read FOLDER/credentials: line 3 repeats an option of its section.",
        ),
        (
            "",
            "x = 1\n",
            "wrong: AWS tools cannot read FOLDER/credentials: line 1 comes before the first [section].",
        ),
        (
            "",
            "[a]\ncanary\n",
            "wrong: AWS tools cannot read FOLDER/credentials: line 2 is neither a [section]",
        ),
        (
            "[a]\ns3 =\n  canary\n",
            "",
            "wrong: AWS tools cannot read FOLDER/config: an indented line is not",
        ),
    ],
)
def test_misleading_settings_are_reported(config: str, credentials: str, said: str, home: Path) -> None:
    """The finding names the section, and shows how to write it."""
    configure(home, config, credentials)
    said = said.replace("FOLDER", f"{home}/.aws")
    found = [f"{each.state}: {each.text}" for each in look() if each.remedy and each.about.endswith("file")]
    assert [line[: len(said)] for line in found] == [said]


def test_other_known_sections_cause_no_finding(
    home: Path,
) -> None:
    """The config file also has other kinds of sections."""
    configure(home, "[default]\n[profile a]\n[sso-session s]\n[services t]\n[preview]\n[plugins]\n")
    assert texts(look(), "config file")[1:] == []


@pytest.mark.parametrize(
    ("mode", "folder", "config", "said"),
    [
        (0o600, 0o700, 0o644, []),
        (0o640, 0o755, 0o644, []),
        (0o644, 0o700, 0o644, ["credentials is readable by every user of this machine."]),
        (0o620, 0o700, 0o600, ["credentials is writable by other users."]),
        (0o600, 0o700, 0o666, ["config is writable by other users."]),
        (0o600, 0o1777, 0o600, []),
        (
            0o600,
            0o770,
            0o600,
            ["config, because its folder is writable by them.", "credentials, because its folder is writable"],
        ),
    ],
)
def test_files_that_others_can_access_are_reported(
    mode: int, folder: int, config: int, said: list[str], home: Path
) -> None:
    """Only the owner must be able to read a credentials file, and to write a config file."""
    configure(home, "[default]\n", f"[default]\n{KEYS}")
    (home / ".aws" / "credentials").chmod(mode)
    (home / ".aws" / "config").chmod(config)
    (home / ".aws").chmod(folder)
    found = wrong(look())
    assert len(found) == len(said)
    assert all(part in each.text for part, each in zip(said, found, strict=True))


def test_a_file_of_another_user_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of a file decides about its content."""
    configure(home, "", f"[default]\n{KEYS}")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if os.getuid() == 0:
        os.chown(home / ".aws" / "credentials", 54321, -1)
    assert f"{home}/.aws/credentials belongs to another user." in [each.text for each in wrong(look())]


def test_a_link_is_followed_and_reported(home: Path, tmp_path: Path) -> None:
    """The permissions of the target are checked."""
    configure(home, "[default]\n", "")
    secret(tmp_path / "real", f"[default]\n{KEYS}").chmod(0o644)
    path = home / ".aws" / "credentials"
    path.unlink()
    path.symlink_to(tmp_path / "real")
    assert texts(look(), "credentials file") == [
        f"ok: {path}, which is a link to {tmp_path}/real, can be read, and has 1 section.",
        f"wrong: {tmp_path}/real is readable by every user of this machine.",
    ]


def test_a_variable_for_a_missing_file_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable, a missing file is not a problem."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "")
    found = look()
    assert texts(found, "config file") == ["wrong: AWS_CONFIG_FILE names /nowhere/config, which does not exist."]
    assert only(found, "credentials file").state == "ok"


def test_without_a_home_folder_there_are_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a finding for each file."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    found = look()
    assert only(found, "config file").text == "There is no home folder, so there is no config file."
    assert only(found, "cache folder").text.startswith(
        "The cache ~/.cache/stskit cannot be read: there is no home folder"
    )


@pytest.mark.parametrize(
    ("make", "state", "said"),
    [
        (lambda path: None, "ok", "does not exist yet, and is created when it is needed."),
        (lambda path: path.mkdir(0o700, parents=True), "ok", "can be used."),
        (
            lambda path: path.mkdir(0o755, parents=True),
            "wrong",
            "it must be a folder of this user with mode 0700, and not a link",
        ),
        (lambda path: secret(path, ""), "wrong", "it must be a folder of this user with mode 0700, and not a link."),
        (lambda path: secret(path.parent, ""), "wrong", "Not a directory"),
    ],
)
def test_the_cache_is_checked_by_its_own_rules(
    make: Callable[[Path], object], state: str, said: str, home: Path
) -> None:
    """The folder is not created."""
    path = home / ".cache" / "stskit"
    make(path)
    before = sorted(home.rglob("*"))
    finding = only(look(), "cache folder")
    assert finding.state == state
    assert said in finding.text
    assert sorted(home.rglob("*")) == before


def test_a_cache_that_cannot_be_written_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This is the case in a read-only home folder."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert texts(look(), "cache folder") == [f"wrong: {home}/.cache/stskit cannot be used: {home} is not writable."]


def test_a_file_name_is_never_used_as_a_remedy() -> None:
    """A semicolon in a file name does not split an error or a warning."""
    secret(Path("a; b.txt"), encoded(response(NAMED)))
    ended = only(look(ManualClock(START + HOUR), saml_file="a; b.txt"), "SAML file")
    assert ended.state == "wrong"
    assert ended.remedy != "B.txt"
    secret(Path("a; b.txt"), token()).chmod(0o644)
    mode = about(look(oidc_token_file="a; b.txt"), "OIDC token file")[-1]
    assert mode.state == "note"
    assert "chmod 600 'a; b.txt'" in f"{mode.text} {mode.remedy}"
