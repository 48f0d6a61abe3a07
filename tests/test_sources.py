"""Where proof comes from: read anew for each fetch, and what is missing, broken or too large is told apart."""

from __future__ import annotations

import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from fake_server import SECRET_KEY, fake_server, granted, refused, told
from identity_provider import IdentityProvider

from stskit import Credentials
from stskit.errors import ProofInvalid, SourceError, SourceMissing, StskitError
from stskit.identity import Proof, Secret
from stskit.protocols import Source
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, Static

ROLE = "arn:aws:iam::123456789012:role/R"
PROVIDER = "arn:aws:iam::123456789012:saml-provider/idp"
IDP = IdentityProvider.create("https://idp.example")
SAML, TOKEN = IDP.saml_response(roles=[(ROLE, PROVIDER)]), IDP.oidc_token()
FileSource: TypeAlias = type[SAMLFile] | type[OIDCTokenFile]
FILE_SOURCES: list[FileSource] = [SAMLFile, OIDCTokenFile]


def failure(source: Source[Proof]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.fetch()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


# Files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", FILE_SOURCES)
def test_a_file_that_is_not_there_is_missing(source: FileSource, tmp_path: Path) -> None:
    """The path is named, and so is what should be in it."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "nowhere", tmp_path / "file" / "below"):
        error = failure(source(path))
        assert type(error) is SourceMissing
        assert f"there is no file {path}; it should hold a" in str(error)


@pytest.mark.parametrize("source", FILE_SOURCES)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; it should hold a"),
        (b"\xef\xbb\xbf \r\n\t\n", "is empty"),
        (b"canary\xff\xfe\x00binary", "is no text in UTF-8"),
        ("canary, in UTF-16".encode("utf-16"), ""),
        (b"\xff\xfec", "is no text in UTF-8"),
        (b"canary " * 8_000_000, "it is larger than"),
        (b"canary, and other words", ""),
        (b"canary\0canary", ""),
        (b"<!DOCTYPE html><html>canary</html>", ""),
        ("canary-\N{SNOWMAN}".encode(), ""),
    ],
)
def test_a_file_with_something_else_in_it_is_invalid(
    source: FileSource, content: bytes, message: str, tmp_path: Path
) -> None:
    """The error names the file and tells nothing of what is in it."""
    path = tmp_path / "proof"
    path.write_bytes(content)
    error = failure(source(path))
    assert type(error) is ProofInvalid
    assert str(path) in str(error)
    assert message in str(error)
    assert "canary" not in told(error)


@pytest.mark.parametrize("source", FILE_SOURCES)
def test_what_is_no_regular_file_is_not_read(source: FileSource, tmp_path: Path) -> None:
    """A folder, a FIFO nobody writes to, a device without end, a link to itself: an error, at once."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/zero"), tmp_path / "loop"):
        error = failure(source(path))
        assert type(error) is ProofInvalid
        assert f"{path} cannot be read: " in str(error)


@pytest.mark.parametrize("source", FILE_SOURCES)
def test_the_home_folder_may_be_written_as_a_tilde(source: FileSource, home: Path) -> None:
    """As it is in config files."""
    (home / "proof").write_text(TOKEN if source is OIDCTokenFile else SAML)
    (home / "proof").chmod(0o600)
    source(Path("~/proof")).fetch()


def test_an_assertion_is_read_in_any_form(tmp_path: Path) -> None:
    """In one line, in several, as XML; always the same goes out, and it is read again for each fetch."""
    path = tmp_path / "response"
    lines = "\r\n".join(SAML[at : at + 76] for at in range(0, len(SAML), 76))
    for text in (SAML, f"\ufeff{lines}\r\n", SAML.rstrip("=")):
        path.write_text(text, newline="")
        assert SAMLFile(path).fetch().value == SAML
    assert SAMLFile(path).fetch().principal_for(ROLE) == PROVIDER
    assert SAMLFile(path, "arn:aws:iam::123456789012:saml-provider/x").fetch().principal_for(ROLE).endswith("/x")


def test_a_source_shows_where_and_not_what(tmp_path: Path) -> None:
    """Its repr is for logs. Two that are equal are equal, whatever kind of path they were given."""
    assert repr(SAMLFile(tmp_path / "x")).startswith(f"SAMLFile(path='{tmp_path / 'x'}', principal_arn=None")
    assert OIDCTokenFile(tmp_path / "x") == OIDCTokenFile(str(tmp_path / "x"))
    assert "canary" not in repr(Static(Credentials("AKIA", "canary", "canary")))


def test_static_gives_what_it_was_given() -> None:
    """The same object, for ever."""
    keys = Credentials("AKIA", "secret")
    assert Static(keys).fetch() is keys


# Profiles --------------------------------------------------------------------------------------------------------


def configure(home: Path, config: str = "", credentials: str = "") -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(config)
    (home / ".aws" / "credentials").write_text(credentials)


def keys_of(name: str) -> str:
    return f"[{name}]\naws_access_key_id = AKIA-{name}\naws_secret_access_key = secret-{name}\n"


@pytest.fixture
def environment_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-environment")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-environment")


def test_a_named_profile_has_its_keys_whatever_the_environment_says(home: Path, environment_keys: None) -> None:
    """It was asked for by name; and it has no token unless it says so."""
    configure(home, credentials=keys_of("default") + keys_of("work"))
    assert Profile("work").fetch() == Credentials("AKIA-work", "secret-work")
    assert isinstance(Profile("work").fetch().secret_access_key, Secret)


def test_the_default_chain_takes_the_environment_first(home: Path, environment_keys: None) -> None:
    """Then AWS_PROFILE, then the default profile."""
    configure(home, credentials=keys_of("default") + keys_of("work"))
    assert Profile().fetch() == Credentials("AKIA-environment", "secret-environment", "token-environment")


def test_the_default_chain_takes_the_ambient_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of AWS_PROFILE, else the default one."""
    configure(home, credentials=keys_of("default") + keys_of("work"))
    assert Profile().fetch().access_key_id == "AKIA-default"
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert Profile().fetch().access_key_id == "AKIA-work"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "elsewhere")
    Path("elsewhere").write_text(keys_of("work").replace("AKIA-work", "AKIA-elsewhere"))
    assert Profile().fetch().access_key_id == "AKIA-elsewhere"


def test_a_changed_file_is_seen(home: Path) -> None:
    """Keys are rotated while a program runs."""
    configure(home, credentials=keys_of("default"))
    source = Profile()
    assert source.fetch().access_key_id == "AKIA-default"
    configure(home, credentials=keys_of("default").replace("AKIA-default", "AKIA-new"))
    assert source.fetch().access_key_id == "AKIA-new"


def test_nothing_at_all_is_missing(home: Path) -> None:
    """No file, no variable, no machine that has a role."""
    error = failure(Profile())
    assert type(error) is SourceMissing
    assert str(error).startswith("the ambient AWS credentials: nothing found. Run `aws configure`")


def test_a_profile_that_does_not_exist_is_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, and by that of AWS_PROFILE."""
    error = failure(Profile("nobody"))
    assert type(error) is SourceMissing
    assert str(error).startswith("the profile 'nobody': there is no such profile; correct the name, or AWS_PROFILE.")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    error = failure(Profile())
    assert type(error) is SourceMissing
    assert str(error).startswith("the ambient AWS credentials: there is no such profile; correct the name, or AWS_PROF")


@pytest.mark.parametrize(
    ("config", "credentials", "message"),
    [
        ("", "[p]\naws_access_key_id = AKIA\n", "half of a key pair"),
        ("", "[p]\naws_access_key_id =\naws_secret_access_key = canary\n", "the access key id is empty"),
        ("", "[p]\naws_access_key_id = AKIA\naws_secret_access_key =\n", "a secret must be text and not empty"),
        ("", "[p]\ncanary\n", "cannot be parsed; correct it (ConfigParseError)"),
        ("[profile p\ncanary\n", "", "cannot be parsed"),
        ("", "[p]\naws_access_key_id = 1\n[p]\naws_secret_access_key = canary\n", "cannot be parsed"),
        (f"[profile p]\nrole_arn = {ROLE}\nsource_profile = q\n[profile q]\n{{}}", "", "back to itself"),
        (f"[profile p]\nrole_arn = {ROLE}\nsource_profile = q\n", keys_of("q"), "names no region"),
        (f"[profile p]\nrole_arn = {ROLE}\nsource_profile = nobody\n", "", "see why with: aws sts get-caller-identity"),
        ("[profile p]\ncredential_process = sh -c 'echo canary >&2; exit 3'\n", "", "credential_process failed; run"),
        ("[profile p]\ncredential_process = echo canary\n", "", "(JSONDecodeError)"),
        ("[profile p]\ncredential_process = /nowhere/canary\n", "", "(FileNotFoundError)"),
        (
            '[profile p]\ncredential_process = echo \'{"Version": 1, "AccessKeyId": "canary"}\'\n',
            *("", "credential_process failed"),
        ),
    ],
)
def test_a_profile_that_does_not_work_is_invalid(
    config: str, credentials: str, message: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the profile and the next step, and nothing of what the files hold or a process says."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    loop = f"role_arn = {ROLE}\nsource_profile = p\n"
    configure(home, config.replace("{}", loop), credentials)
    error = failure(Profile("p"))
    assert type(error) is ProofInvalid
    assert str(error).startswith("the profile 'p': ")
    assert message in str(error)
    assert "canary" not in told(error)


def test_a_half_pair_in_the_environment_is_invalid(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the default profile would have a whole one: that is what the SDKs do."""
    configure(home, credentials=keys_of("default"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    assert "the ambient AWS credentials: it has only half of a key pair" in str(failure(Profile()))


def test_a_process_is_run_for_each_fetch_and_its_expiration_kept(home: Path, tmp_path: Path) -> None:
    """In UTC, whatever the zone that it is told in."""
    keys = {"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "secret", "SessionToken": "token"}
    answer = json.dumps({**keys, "Expiration": "2036-11-25T13:00:00+01:00", "AccountId": "123456789012"})
    script = f"echo run >> {tmp_path}/runs; echo {shlex.quote(answer)}"
    (tmp_path / "process").write_text(script)
    configure(home, f"[profile p]\ncredential_process = sh {tmp_path}/process\n")
    for _ in range(2):
        credentials = Profile("p").fetch()
        assert credentials.expiration == datetime(2036, 11, 25, 12, tzinfo=UTC)
        assert credentials.expiration.tzinfo is UTC
        assert (credentials.access_key_id, credentials.session_token) == ("AKIA", "token")
        assert credentials.account_id == "123456789012"
    assert len((tmp_path / "runs").read_text().splitlines()) == 2


def test_an_expiration_in_the_environment_is_kept(environment_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools that export keys export it along with them."""
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2036-11-25T12:00:00Z")
    assert Profile().fetch().expiration == datetime(2036, 11, 25, 12, tzinfo=UTC)


def test_a_profile_may_use_another_role(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it uses, botocore follows; what a server says to it is not repeated."""
    role = f"role_arn = {ROLE}\nsource_profile = base\nrole_session_name = me\nregion = us-east-1\n"
    configure(home, f"[profile p]\n{role}", keys_of("base"))
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        credentials = Profile("p").fetch()
    assert (credentials.access_key_id, credentials.secret_access_key) == ("AKIA-base.me", SECRET_KEY)
    assert credentials.expiration == datetime(2036, 11, 25, 12, tzinfo=UTC)
    with fake_server(refused("AccessDenied", "canary", 403)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        error = failure(Profile("p"))
    assert isinstance(error, StskitError)
    assert "canary" not in told(error)
