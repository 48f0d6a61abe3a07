"""A profile returns the same credentials as botocore, or raises an error with the next step."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pty
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import botocore.credentials
import pytest
from botocore.session import Session
from fake_server import SECRET_KEY, SESSION_TOKEN, Answer, fake_server, granted, refused, told
from hypothesis import given, settings
from hypothesis import strategies as st

from stskit import Cached, Credentials
from stskit.caches import FileCache
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, SignInRequired, SourceError, SourceMissing
from stskit.sources import Profile
from stskit.testing import ManualClock

ROLE = "arn:aws:iam::123456789012:role/R"
ROLE_OF = f"role_arn = {ROLE}\nrole_session_name = me\nregion = us-east-1\nsource_profile = "
SAMPLES = sorted(path for path in (Path(__file__).parent / "data" / "ini").iterdir())
SSO_ALONE = (
    "sso_start_url = https://idp.example\nsso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = R\n"
)
SSO = f"{SSO_ALONE}region = us-east-1\n"
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)
HAS_LOGIN = hasattr(botocore.credentials, "LoginProvider")


def failure(source: Profile, kind: type[SourceError] = ProofInvalid) -> str:
    """Return the text of the error, without the class of botocore's exception. It must contain no canary."""
    with pytest.raises(SourceError) as caught:
        source.fetch()
    error = caught.value
    assert type(error) is kind
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "canary" not in told(error)
    return re.sub(r" \(\w+\)(?=[;.])", "", str(error))


def configure(home: Path, config: str = "", credentials: str = "") -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(config)
    (home / ".aws" / "credentials").write_text(credentials)


def keys_of(name: str) -> str:
    return f"[{name}]\naws_access_key_id = AKIA-{name}\naws_secret_access_key = secret-{name}\n"


def process(home: Path, script: str, header: str = "[profile p]") -> str:
    """Return a profile with a process that runs this shell script."""
    path = home / f"process-{len(list(home.iterdir()))}"
    path.write_text(script)
    return f"{header}\ncredential_process = sh {path}\n"


def document(**changes: object) -> str:
    """Return the document of a process. *changes* replaces fields, and removes those that are None."""
    fields = {"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "canary", "SessionToken": "canary", **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def printing(home: Path, output: str) -> str:
    return process(home, f"printf %s {shlex.quote(output)}")


@pytest.fixture
def environment_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-environment")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-environment")


# Which keys ------------------------------------------------------------------------------------------------------


@pytest.mark.case("B7")
def test_a_named_profile_ignores_the_keys_of_the_environment(home: Path, environment_keys: None) -> None:
    """A named profile returns its own keys, also if the environment has other keys."""
    configure(home, credentials=keys_of("default") + keys_of("work"))
    assert Profile("work").fetch() == Credentials("AKIA-work", "secret-work")
    assert isinstance(Profile("work").fetch().secret_access_key, Secret)


@pytest.mark.case("B7")
def test_the_default_chain_uses_the_keys_of_the_environment_first(
    home: Path, environment_keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default chain uses the keys of the environment before those of AWS_PROFILE, which must still exist."""
    configure(home, credentials=keys_of("default") + keys_of("work"))
    assert Profile().fetch() == Credentials("AKIA-environment", "secret-environment", "token-environment")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert Profile().fetch().access_key_id == "AKIA-environment"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "there is no profile 'nobody'" in failure(Profile(), SourceMissing)


def test_the_default_chain_uses_aws_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default chain uses the profile of AWS_PROFILE, or else the default profile."""
    configure(home, credentials=keys_of("default") + keys_of("work"))
    assert Profile().fetch().access_key_id == "AKIA-default"
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert Profile().fetch().access_key_id == "AKIA-work"


@pytest.mark.case("B8")
@pytest.mark.parametrize("named", ["~/my keys", "$HOME/my keys", "${HOME}/my keys", "my keys"])
def test_the_path_of_the_credentials_file_is_expanded_as_in_botocore(
    named: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the credentials file can contain the home folder, variables and spaces, as in botocore."""
    configure(home, credentials=keys_of("default"))
    for folder in (home, Path.cwd()):
        (folder / "my keys").write_text(keys_of("default").replace("AKIA-default", "AKIA-elsewhere"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", named)
    assert Profile("default").fetch().access_key_id == "AKIA-elsewhere"


@pytest.mark.case("B8")
@pytest.mark.parametrize("named", ["", " ", " keys", "$NOWHERE/keys"])
def test_a_missing_credentials_file_of_the_environment_is_named(
    named: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the credentials file of the environment does not exist, no other file is used, and the error names it."""
    configure(home, credentials=keys_of("default"))
    Path("keys").write_text(keys_of("default"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", named)
    said = failure(Profile(), SourceMissing)
    assert said.startswith("The standard AWS credential chain found no credentials, neither in the environment nor in ")
    assert f"{str(home / '.aws' / 'config')!r} or {named!r}. Run: aws configure. Or pass another source." in said


def test_a_changed_file_is_read_by_the_next_fetch(home: Path) -> None:
    """A fetch after a change of the file returns the new keys."""
    configure(home, credentials=keys_of("default"))
    source = Profile()
    assert source.fetch().access_key_id == "AKIA-default"
    configure(home, credentials=keys_of("default").replace("AKIA-default", "AKIA-new"))
    assert source.fetch().access_key_id == "AKIA-new"


def test_an_expiration_in_the_environment_is_kept(environment_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The expiration in AWS_CREDENTIAL_EXPIRATION is kept."""
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2036-11-25T12:00:00Z")
    assert Profile().fetch().expiration == datetime(2036, 11, 25, 12, tzinfo=UTC)


def answers(source: Profile) -> tuple[str, ...] | SourceError:
    try:
        found = source.fetch()
    except SourceError as error:
        return error
    return (found.access_key_id, str(found.secret_access_key), str(found.session_token or ""))


def answers_of_botocore(name: str | None) -> tuple[str, ...] | None:
    """Return None if botocore returns nothing, raises, or returns keys that cannot sign a call."""
    with suppress(Exception):
        found = Session(profile=name).get_credentials()
        if found and (keys := found.get_frozen_credentials()).access_key and keys.secret_key:
            return keys.access_key, keys.secret_key, keys.token or ""
    return None


@pytest.mark.case("B1")
@pytest.mark.parametrize("sample", SAMPLES, ids=[path.name for path in SAMPLES])
def test_every_unusual_file_is_read_as_botocore_reads_it_or_refused(
    sample: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each header in unusual files, Profile returns the keys of botocore, or an error without file content."""
    variable = "AWS_CONFIG_FILE" if sample.suffix == ".config" else "AWS_SHARED_CREDENTIALS_FILE"
    monkeypatch.setenv(variable, str(sample))
    text = sample.read_bytes().decode("latin-1")
    headers = re.findall(r"\[([^\r\n]*)\]", text) + re.findall(r"\[([^\]\r\n]*)\]", text)
    names = {name.encode("latin-1").decode(errors="replace") for each in headers for name in (each, each.strip())}
    for name in ["dev", "default", None, *names, *(each.removeprefix("profile ").strip("\"'") for each in names)]:
        expected, got = answers_of_botocore(name), answers(Profile(name))
        if expected is not None and "".join(expected).isprintable() and " " not in expected[0]:
            assert got == expected
        else:
            assert isinstance(got, SourceError)
            assert not {value for value in re.findall(r"=\s*(\S{5,})", text) if value in told(got)}


# What is not there -----------------------------------------------------------------------------------------------


def test_without_any_credentials_the_error_says_so(home: Path) -> None:
    """Without files, variables and a role of the machine, the error says that no credentials were found."""
    assert failure(Profile(), SourceMissing) == (
        "The standard AWS credential chain found no credentials, neither in the environment nor in "
        f"'{home}/.aws/config' or "
        f"'{home}/.aws/credentials'. Run: aws configure. Or pass another source."
    )


@pytest.mark.case("B6")
@pytest.mark.parametrize("variable", [None, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_a_missing_profile_is_an_error_with_the_known_ones(
    variable: str | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing profile raises SourceMissing, and the message names both files and the known profiles."""
    configure(home, credentials=keys_of("default"))
    if variable:
        monkeypatch.setenv(variable, "nobody")
    start, remedy = "Profile 'nobody' does not exist", "Correct the name."
    if variable:
        start = f"The standard AWS credential chain: there is no profile 'nobody', the value of {variable},"
        remedy = f"Correct {variable}, or unset it."
    assert failure(Profile(None if variable else "nobody"), SourceMissing) == (
        f"{start} in '{home}/.aws/config' or '{home}/.aws/credentials'. {remedy} The profiles are: default."
    )


@pytest.mark.case("B9")
@pytest.mark.parametrize("name", [None, "p"])
def test_without_a_home_folder_the_error_names_the_variables(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a home folder, the error names the variables to set."""

    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    remedy = "There is no home folder. Set HOME, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE."
    assert failure(Profile(name), SourceMissing).endswith(remedy)
    Path("keys").write_text(keys_of("p") + keys_of("default"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "keys")
    assert Profile(name).fetch().access_key_id == f"AKIA-{name or 'default'}"


def test_a_file_that_cannot_be_read_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a file that cannot be read names it. botocore would treat it as empty."""
    configure(home, credentials=keys_of("p"))
    monkeypatch.setattr("os.access", lambda path, mode: not path.endswith("credentials"))
    said = failure(Profile("q"), SourceMissing)
    assert said.endswith(f". {home}/.aws/credentials cannot be read. Correct its owner or mode.")


# What is there and does not work ---------------------------------------------------------------------------------


@pytest.mark.case("B1")
@pytest.mark.parametrize(
    ("config", "credentials", "message"),
    [
        ("", "[p]\naws_access_key_id = AKIA\n", "aws_secret_access_key is missing. Add it"),
        ("", "[p]\naws_access_key_id =\naws_secret_access_key = canary\n", "access_key_id is empty"),
        ("", "[p]\naws_access_key_id = AKIA\naws_secret_access_key =\n", "secret_access_key is empty"),
        ("", "[p]\n\ncanary\n", ".aws/credentials cannot be parsed at line 3. Correct the file."),
        ("", "canary\n[p]\n", ".aws/credentials cannot be parsed at line 1. Correct the file."),
        ("[profile p\ncanary\n", "", ".aws/config cannot be parsed at line 1. Correct the file."),
        ("", "[p]\nk = 1\n[p]\nx = canary\n", ".aws/credentials cannot be parsed at line 3. Correct the file."),
        ("", "[p]\nk = 1\nK = canary\n", ".aws/credentials cannot be parsed at line 3. Correct the file."),
        ("[profile p]\ns3 =\n  canary\n", "", "cannot be parsed: an indented line is not `name = value`. Correct"),
        (
            f"[profile p]\n{ROLE_OF.replace('region', '#')}q",
            keys_of("q"),
            "has no region. Add a region to it, or set AWS_DEF",
        ),
        (
            f"[profile p]\n{ROLE_OF}nobody",
            "",
            "its source_profile 'nobody' does not exist. Correct the name, or create",
        ),
        (f"[profile p]\n{ROLE_OF}q\n[profile q]\n{ROLE_OF}nobody", "", "its source_profile 'nobody' does not exist"),
        (f"[profile p]\n{ROLE_OF}q\n[profile q]\nregion = x", "", "its settings contradict each other. Check its role"),
        (f"[profile p]\n{ROLE_OF}\n  x = canary", "", "See the reason with: aws sts get-caller-identity --profile p"),
        (f"[profile p]\nrole_arn = {ROLE}", "", "source_profile or credential_source is missing. Add it, or remove"),
        (
            f"[profile p]\nrole_arn = {ROLE}\ncredential_source = canary",
            "",
            "its settings contradict each other. Check",
        ),
        (
            f"[profile p]\nrole_arn = {ROLE}\ncredential_source = Environment",
            "",
            "Environment returned no credentials. Ch",
        ),
        (f"[profile p]\nrole_arn = {ROLE}\nweb_identity_token_file = /canary", "", "Check its web_identity_token_file"),
        ("[profile p]\nsso_account_id = canary\nsso_role_name = canary", "", "Check its role_arn, source_profile, cre"),
        (
            f"[profile p]\n{ROLE_OF.replace('= me', '= x')}q",
            keys_of("q"),
            "one of its values is not valid for STS. Check",
        ),
        (f"[profile p]\n{ROLE_OF}q", keys_of("q"), "a server that it needs could not be reached. Check the net"),
    ],
)
def test_an_invalid_profile_is_named_without_its_content(
    config: str, credentials: str, message: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for an invalid profile has its name, the next step and a line number, and no content of the files."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    configure(home, config, credentials)
    said = failure(Profile("p"))
    assert said.startswith("Profile 'p': ")
    assert message in said


@pytest.mark.case("B1")
def test_a_file_in_another_encoding_is_an_error(home: Path) -> None:
    """The error for a file in UTF-16 or Latin-1 says that it is not UTF-8 text."""
    configure(home)
    for data in (keys_of("canary").encode("utf-16"), "# caf\u00e9 canary\n".encode("latin-1")):
        (home / ".aws" / "credentials").write_bytes(data)
        assert f"{home}/.aws/credentials cannot be parsed: it is not UTF-8 text. Correct the file." in failure(
            Profile("p")
        )


def test_an_access_key_id_without_a_secret_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An access key ID without a secret key in the environment is an error, as in the SDKs."""
    configure(home, credentials=keys_of("default"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    assert "The standard AWS credential chain: AWS_SECRET_ACCESS_KEY is missing" in failure(Profile())


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 86_401])
def test_a_time_limit_outside_its_limits_is_refused(seconds: float) -> None:
    """A time limit outside its limits is an error when the source is created."""
    with pytest.raises(ValueError, match="process_timeout"):
        Profile(process_timeout=seconds)


# Processes -------------------------------------------------------------------------------------------------------


def test_a_process_runs_for_each_fetch_and_its_expiration_is_kept(home: Path, tmp_path: Path) -> None:
    """A process runs once for each fetch, and its expiration is converted to UTC."""
    answer = document(Expiration="2036-11-25T13:00:00+01:00", AccountId="123456789012")
    configure(home, process(home, f"echo run >> {tmp_path}/runs; echo {shlex.quote(answer)}"))
    for _ in range(2):
        credentials = Profile("p").fetch()
        assert credentials.expiration == datetime(2036, 11, 25, 12, tzinfo=UTC)
        assert credentials.expiration.tzinfo is UTC
        assert (credentials.access_key_id, credentials.session_token) == ("AKIA", "canary")
        assert credentials.account_id == "123456789012"
    assert len((tmp_path / "runs").read_text().splitlines()) == 2


def test_a_cache_runs_the_process_only_after_the_expiration(home: Path, tmp_path: Path) -> None:
    """A cache runs the process again only after the credentials have expired."""
    clock = ManualClock(datetime.now(UTC))
    configure(home, process(home, f"cat {tmp_path}/answer"))
    cached = Cached(Profile("p"), clock=clock)
    for number, passed in enumerate([timedelta(0), timedelta(minutes=50)]):
        clock.advance(passed)
        expiration = (clock.now() + timedelta(hours=1)).isoformat()
        (tmp_path / "answer").write_text(document(AccessKeyId=f"AKIA{number}", Expiration=expiration))
        assert cached.fetch().access_key_id == f"AKIA{number}"
        (tmp_path / "answer").write_text("canary")
        assert cached.fetch().access_key_id == f"AKIA{number}"


@pytest.mark.case("B3", "B4", "H6", "P59")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo canary; echo canary >&2; exit 3", "ended with status 3. Run it in a terminal to see why"),
        ("echo canary >&2; kill -9 $$", "ended by signal 9. Run it in a terminal to see why"),
        ("exit 0", "printed no JSON. Run it in a terminal to see its output"),
        ("echo canary", "printed no JSON. Run it in a terminal to see its output"),
        (r"printf '\377canary'", "printed no JSON. Run it in a terminal to see its output"),
        ("head -c 100000 /dev/zero | tr '\\0' '['", "printed no JSON. Run it in a terminal to see its output"),
        ("echo '[\"canary\"]'", "returned no valid credentials: Credentials must be a mapping of names to values, not"),
        ('echo \'{"Version": 1, "AccessKeyId": "canary"}\'', "SecretAccessKey is missing"),
        (f"echo '{document(AccessKeyId=7)}'", "AccessKeyId is not text"),
        (f"echo '{document(Expiration='canary')}'", "Expiration is not a valid ISO 8601 date and time. Write it as in"),
        (f"echo '{document(Version=2)}'", "returned no document with Version 1. Correct the process"),
        (f"echo '{document(Version=None)}'", "returned no document with Version 1. Correct the process"),
    ],
)
@pytest.mark.parametrize("is_source", [False, True], ids=["itself", "source"])
def test_the_error_for_a_failed_process_hides_its_output(
    script: str, message: str, is_source: bool, home: Path
) -> None:
    """The error for a process that fails has its status, or the fault of its document, and not its output."""
    config = process(home, script, "[profile q]" if is_source else "[profile p]")
    configure(home, config + (f"[profile p]\n{ROLE_OF}q\n" if is_source else ""))
    said = failure(Profile("p"))
    assert said.startswith("Profile 'p': its credential_process ")
    assert message in said


@settings(max_examples=30)
@given(output=ANY_JSON)
def test_any_output_of_a_process_is_credentials_or_a_source_error(output: object, home: Path) -> None:
    """For any JSON that a process prints, the result is valid credentials or a SourceError."""
    for printed in (json.dumps(output), *(document(**{name: output}) for name in ("AccessKeyId", "Expiration"))):
        (home / "printed").write_text(printed)
        configure(home, f"[profile p]\ncredential_process = cat {home}/printed\n")
        with suppress(SourceError):
            assert Profile("p").fetch().access_key_id


def test_an_expiration_without_a_time_zone_is_invalid(home: Path) -> None:
    """An expiration without a time zone is an error, because botocore cannot compare it."""
    configure(home, printing(home, document(Expiration="2036-11-25T12:00:00")))
    assert "its credential_process returned no valid credentials: " in failure(Profile("p"))


@pytest.mark.case("E12")
def test_expired_credentials_of_a_process_are_an_error(home: Path) -> None:
    """Expired credentials of a process are an error."""
    configure(home, printing(home, document(Expiration="2020-01-01T00:00:00Z")))
    assert "its credentials have expired. Check the clock, and the place where the credentials come" in failure(
        Profile("p")
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("/nowhere/canary", "could not be started: No such file or directory. Correct the setting"),
        ("/", "could not be started: Permission denied. Correct the setting"),
        ("", "could not be started: it is not a command. Correct the setting"),
        ("sh -c 'canary\0'", "could not be started: it is not a command. Correct the setting"),
    ],
)
def test_a_process_that_cannot_be_started_is_invalid(command: str, message: str, home: Path) -> None:
    """The error for a process that cannot be started does not contain the command, which can have a password."""
    configure(home, f"[profile p]\ncredential_process = {command}\n")
    assert f"its credential_process {message}" in failure(Profile("p"))


def test_a_command_with_an_open_quote_is_invalid(home: Path) -> None:
    """A command with an open quote is an error."""
    configure(home, "[profile p]\ncredential_process = sh 'canary\n")
    assert "See the reason with: aws sts get-caller-identity --profile p" in failure(Profile("p"))


def has_ended(pid: int) -> bool:
    """Return whether the process ends within a moment."""
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_running(pid)


def is_running(pid: int) -> bool:
    """Return whether the process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.case("B5", "P59")
@pytest.mark.parametrize("is_source", [False, True], ids=["itself", "source"])
def test_a_process_that_hangs_is_stopped(is_source: bool, home: Path, tmp_path: Path) -> None:
    """A process that hangs is stopped after the time limit, and the error does not contain its output."""
    header = "[profile q]" if is_source else "[profile p]"
    config = process(home, f"echo $$ > {tmp_path}/pid; echo canary; exec sleep 30", header)
    configure(home, config + (f"[profile p]\n{ROLE_OF}q\n" if is_source else ""))
    start = time.monotonic()
    assert "its credential_process did not end within 0.3 seconds and was stopped. Run it in a terminal to see why" in (
        failure(Profile("p", process_timeout=0.3))
    )
    assert time.monotonic() - start < 5
    assert has_ended(int((tmp_path / "pid").read_text()))


@pytest.mark.case("B5")
@pytest.mark.parametrize("rest", ["", "; wait"], ids=["process ended", "process waits"])
def test_the_children_of_a_process_that_hangs_are_stopped_too(rest: str, home: Path, tmp_path: Path) -> None:
    """The children of a process that hangs are stopped too."""
    script = f"sleep 30 & echo $! > {tmp_path}/pid; echo {shlex.quote(document())}{rest}"
    configure(home, process(home, script))
    assert "did not end within 0.3 seconds" in failure(Profile("p", process_timeout=0.3))
    assert has_ended(int((tmp_path / "pid").read_text()))


def test_a_process_is_stopped_if_the_fetch_is_interrupted(home: Path, tmp_path: Path) -> None:
    """A process and its children are stopped if Ctrl-C or a signal handler interrupts the fetch."""
    configure(home, process(home, f"sleep 30 & echo $! > {tmp_path}/pid; sleep 0.3; kill -USR1 $PPID; wait"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            Profile("p").fetch()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert has_ended(int((tmp_path / "pid").read_text()))


def test_an_agent_that_a_process_starts_keeps_running(home: Path, tmp_path: Path) -> None:
    """An agent that a process starts in the background keeps running."""
    script = f"sleep 30 > /dev/null & echo $! > {tmp_path}/pid; echo {shlex.quote(document())}"
    configure(home, process(home, script))
    assert Profile("p").fetch()
    pid = int((tmp_path / "pid").read_text())
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("hangs", [False, True], ids=["answers", "hangs"])
def test_a_process_can_ask_the_user_at_the_terminal(hangs: bool, home: Path, tmp_path: Path) -> None:
    """A process can ask the user at the terminal."""
    wait = f"echo $$ > {tmp_path}/pid; exec sleep 30" if hangs else f"echo {shlex.quote(document(AccessKeyId='$key'))}"
    wait = wait.replace("$key", "'$key'")
    configure(home, process(home, f"read key < /dev/tty; {wait}"))
    code = f"from stskit.sources import Profile; print(Profile('p', process_timeout={2 if hangs else 60}).fetch())"
    child, terminal = pty.fork()
    if not child:  # pragma: no cover - another process
        os.execv(sys.executable, [sys.executable, "-c", code])
    os.write(terminal, b"AKIATYPED\n")
    shown = b""
    with suppress(OSError):  # the other end is closed when the process ends
        while part := os.read(terminal, 1024):
            shown += part
    os.close(terminal)
    os.waitpid(child, 0)
    if hangs:
        assert b"within 2 seconds and was stopped" in shown
        assert has_ended(int((tmp_path / "pid").read_text()))
    else:
        assert b"<Credentials AKIATYPED: no expiration>" in shown


@pytest.mark.parametrize("seconds", [3600, 800, 300])
@pytest.mark.parametrize("is_source", [False, True], ids=["itself", "source"])
def test_a_process_runs_once_for_each_fetch(
    seconds: int, is_source: bool, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process runs once for each fetch, even if its credentials are about to expire."""
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    header = "[profile q]" if is_source else "[profile p]"
    script = f"echo run >> {tmp_path}/runs; echo {shlex.quote(document(Expiration=end.isoformat()))}"
    configure(home, process(home, script, header) + (f"[profile p]\n{ROLE_OF}q\n" if is_source else ""))
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        for number in (1, 2):
            Profile("p").fetch()
            assert (tmp_path / "runs").read_text().split() == ["run"] * number


@pytest.mark.parametrize("start", ["~", "$HOME"])
def test_a_path_that_only_a_shell_expands_is_named(start: str, home: Path) -> None:
    """The error for a path with ~ or $HOME says that no shell replaces it."""
    configure(home, f"[profile p]\ncredential_process = {start}/process\n")
    assert f"Write the full path, because no shell replaces the '{start[0]}' at its beginning" in failure(Profile("p"))


@pytest.mark.case("H12", "P77")
def test_a_process_gets_the_environment_of_botocore(home: Path, tmp_path: Path, environment_keys: None) -> None:
    """A process gets the environment of this process, and in addition the list of processes of stskit."""
    code = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w')); print(sys.argv[2])"
    command = shlex.join([sys.executable, "-c", code, str(tmp_path / "seen"), document()])
    configure(home, f"[profile p]\ncredential_process = {command}\n")
    seen = []
    for run in (Profile("p").fetch, Session(profile="p").get_credentials):
        run()
        seen.append(json.loads((tmp_path / "seen").read_text()))
    assert re.fullmatch("[0-9a-f]{64}", seen[0].pop("_STSKIT_CREDENTIAL_PROCESSES"))
    of_a_terminal = ("COLUMNS", "LINES")  # which a library may set behind Python's back
    assert seen[0] == {name: value for name, value in seen[1].items() if name not in of_a_terminal}
    assert seen[0]["AWS_SECRET_ACCESS_KEY"] == "secret-environment"


# The role of the machine ------------------------------------------------------------------------------------------


class MachineRole(BaseHTTPRequestHandler):
    """The response of a container or an instance with a role."""

    def do_GET(self) -> None:
        end = "2036-11-25T12:00:00Z"
        answer = {"AccessKeyId": "AKIA-machine", "SecretAccessKey": "s", "Token": "t", "Expiration": end}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a container with a role."""
    with ThreadingHTTPServer(("127.0.0.1", 0), MachineRole) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ("region = eu-west-1", "it has no credentials. Complete"),
        ("", "it has no credentials. Complete"),
        ("aws_secret_access_key = canary", "it has no credentials: aws_access_key_id is missing. Complete"),
        ("aws_acces_key_id = A\naws_secret_access_key = canary", "Did you mean aws_access_key_id?"),
        ("sso_session = corp", "it has no credentials: sso_account_id and sso_role_name are missing. Complete"),
        ("sso_start_url = https://a\nsso_region = b", "sso_account_id and sso_role_name are missing. Complete"),
        ("source_profile = q", "it has no credentials: role_arn is missing. Complete"),
        ("credential_source = Environment", "it has no credentials: role_arn is missing. Complete"),
        ("canary canary = canary", "it has no credentials. Complete"),
    ],
)
@pytest.mark.usefixtures("machine")
def test_a_named_profile_without_credentials_is_an_error(settings: str, missing: str, home: Path) -> None:
    """A named profile without credentials is an error, and does not use the role of the machine."""
    configure(home, f"[profile p]\n{settings}\n[sso-session corp]\nsso_start_url = a\n[profile q]\nregion = x\n")
    text = failure(Profile("p"), SourceMissing)
    assert "Profile 'p': it has no credentials" in text
    assert missing in text
    assert "To use the role of this machine, pass Profile() without a name" in text
    configure(home, "", f"[p]\n{settings}\n")
    assert "it has no credentials" in failure(Profile("p"), SourceMissing)


@pytest.mark.parametrize(
    ("name", "variables", "config"),
    [
        (None, {}, ""),
        (None, {}, "[default]\nregion = eu-west-1\n"),
        ("default", {}, "[default]\nregion = eu-west-1\n"),
        (None, {"AWS_PROFILE": "p"}, "[profile p]\nregion = eu-west-1\n"),
        (None, {"AWS_DEFAULT_PROFILE": "p"}, "[profile p]\nregion = eu-west-1\n"),
        ("p", {"AWS_PROFILE": "p"}, "[profile p]\nregion = eu-west-1\n"),
        ("p", {}, "[profile p]\ncredential_source = EcsContainer\n"),
    ],
)
@pytest.mark.usefixtures("machine")
def test_the_default_chain_can_use_the_role_of_the_machine(
    name: str | None,
    variables: dict[str, str],
    config: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The default chain can use the role of the machine, and logs this at INFO."""
    configure(home, config)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with caplog.at_level(logging.INFO, "stskit"):
        assert Profile(name).fetch().access_key_id == "AKIA-machine"
    profile = "p" if "[profile p]" in config else "default"
    assert caplog.messages == [
        f"Profile '{profile}' has no credentials. Using the credentials of this machine (container-role)."
    ]


@pytest.mark.parametrize(
    "settings",
    ["web_identity_token_file =", "role_arn = arn:aws:iam::123456789012:role/R\nweb_identity_token_file ="],
)
@pytest.mark.usefixtures("machine")
def test_a_named_profile_never_uses_the_role_of_the_machine(settings: str, home: Path) -> None:
    """A named profile does not use the role of the machine if botocore ignores an empty or unknown setting."""
    configure(home, f"[profile p]\n{settings}\n")
    text = failure(Profile("p"), SourceMissing)
    assert (
        "Profile 'p': botocore cannot use its credentials, and found those of this machine instead, which were not used"
        in text
    )


@pytest.mark.usefixtures("machine")
def test_credentials_of_the_machine_are_not_cached_for_a_profile(home: Path, tmp_path: Path) -> None:
    """Credentials of the machine are not cached under the key of a profile."""
    configure(home, "[default]\nrole_arn = arn:aws:iam::123456789012:role/R\nweb_identity_token_file =\n")
    source, cache = Profile(), FileCache(tmp_path / "cache")
    assert source.identity is not None
    assert Cached(source, cache).fetch().access_key_id == "AKIA-machine"
    assert cache.purge() == 0
    snapshot = source.snapshot()
    snapshot.fetch()
    assert snapshot.identity is None


@pytest.mark.usefixtures("machine")
def test_a_profile_with_credentials_logs_nothing_about_the_machine(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A profile with its own credentials logs nothing about the machine."""
    configure(home, credentials=keys_of("p"))
    with caplog.at_level(logging.INFO, "stskit"):
        assert Profile("p").fetch().access_key_id == "AKIA-p"
    assert not caplog.messages


# Roles and source profiles ---------------------------------------------------------------------------------------


def test_a_profile_can_assume_a_role_from_each_kind_of_source(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile can assume a role from each kind of source that botocore supports."""
    configure(home, f"[profile p]\n{ROLE_OF}base\n", keys_of("base"))
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        credentials = Profile("p").fetch()
    assert (credentials.access_key_id, credentials.secret_access_key) == ("AKIA-base.me", SECRET_KEY)
    assert credentials.expiration == datetime(2036, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (f"[profile p]\n{ROLE_OF.replace('source_profile =', 'credential_source = Environment')}", "AKIA-environment"),
        (f"[profile p]\n{ROLE_OF}q\n[profile q]\ncredential_process = {{}}\n", "AKIA"),
        (f"[profile p]\n{ROLE_OF}p\naws_access_key_id = AKIA-p\naws_secret_access_key = secret-p\n", "AKIA-p"),
    ],
    ids=["environment", "process", "itself"],
)
@pytest.mark.case("B2")
def test_a_role_can_use_keys_of_any_source(
    config: str, key: str, home: Path, environment_keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role is assumed with keys of the environment, of a process, or of the same profile."""
    (home / "answer").write_text(document())
    configure(home, config.replace("{}", f"cat {home}/answer"))
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert Profile("p").fetch().access_key_id == f"{key}.me"
    assert len(server.requests) == 1


def test_the_default_profile_can_assume_a_role_and_run_a_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default profile can assume a role and run a process."""
    configure(home, f"[default]\n{ROLE_OF}base\n", keys_of("base"))
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert Profile().fetch().access_key_id == "AKIA-base.me"
    configure(home, process(home, "exit 3", "[default]"))
    assert "The standard AWS credential chain: its credential_process ended with status 3" in failure(Profile())


def test_a_source_profile_ignores_the_identity_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source profile uses its own keys, and not the web identity of the environment."""
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/canary")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    configure(home, f"[profile p]\n{ROLE_OF}base\n", keys_of("base"))
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert Profile("p").fetch().access_key_id == "AKIA-base.me"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refused("AccessDenied", "canary", 403), "AssumeRole was refused with AccessDenied. Check that the role"),
        (refused("canary " * 20, "canary", 403), "AssumeRole was refused with no error code. "),
        (refused(None, "canary", 403), "AssumeRole was refused with no error code. "),
        (Answer("<html>canary</html>"), "See the reason with: aws sts get-caller-identity --profile p"),
        (Answer("canary", 500), "a server that it needs returned an unreadable response. Check the endpoint"),
    ],
)
def test_the_error_for_a_refused_role_has_the_code(
    answer: Answer, message: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If STS refuses a role of a profile, the error has the code and the next step, without the text of the server."""
    configure(home, f"[profile p]\n{ROLE_OF}base\nexternal_id = canary-external\n", keys_of("base"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with fake_server(answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert message in failure(Profile("p"))


@pytest.mark.case("B2")
@pytest.mark.parametrize("chain", ["pp", "pqp", "pqrp", "pqrq"])
def test_a_loop_of_source_profiles_is_listed(chain: str, home: Path) -> None:
    """The error for a loop of source profiles lists the whole loop."""
    steps = dict(pairwise(chain))
    configure(home, "".join(f"[profile {each}]\n{ROLE_OF}{then}\n" for each, then in steps.items()))
    said = failure(Profile("p"))
    assert (
        f"its source_profile leads back to itself: {' -> '.join(chain)}. Change one source_profile of the loop." in said
    )


def chain_of(length: int) -> str:
    roles = "".join(f"[profile p{number}]\n{ROLE_OF}p{number + 1}\n" for number in range(length))
    return f"{roles}[profile p{length}]\naws_access_key_id = AKIA\naws_secret_access_key = canary\n"


@pytest.mark.case("B2")
def test_a_chain_of_many_profiles_makes_one_call_each(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of many profiles makes one call for each profile."""
    configure(home, chain_of(60))
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert Profile("p0").fetch().access_key_id == "AKIA" + ".me" * 60
    assert len(server.requests) == 60


@pytest.mark.case("B2")
def test_a_chain_that_is_too_long_for_botocore_is_an_error(home: Path) -> None:
    """The error for a chain that is too long for botocore says so."""
    configure(home, chain_of(2_000))
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)  # the default, which a type checker that ran in this process has raised
    try:
        told = failure(Profile("p0"))
    finally:
        sys.setrecursionlimit(before)
    assert "its chain of source profiles is too long. Shorten the chain." in told


# What only a person can do ---------------------------------------------------------------------------------------


def in_a_thread(source: Profile) -> BaseException | None:
    problems: list[BaseException] = []

    def fetch() -> None:
        try:
            source.fetch()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=fetch)
    thread.start()
    thread.join()
    return problems[0] if problems else None


@pytest.mark.case("R11")
def test_an_mfa_code_is_requested_in_the_main_thread_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An MFA code of a profile is requested in the main thread only. Other threads get an error before any call."""
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return "123456"

    monkeypatch.setattr("getpass.getpass", answer)
    configure(home, f"[profile p]\n{ROLE_OF}base\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n", keys_of("base"))
    with fake_server(granted) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        assert Profile("p").fetch().access_key_id == "AKIA-base.me"
        problem = in_a_thread(Profile("p"))
    assert isinstance(problem, SignInRequired)
    assert str(problem).startswith(
        "Profile 'p': it needs an MFA code, and there is no person to ask: this is not the main thread at a terminal"
    )
    assert [request.form["TokenCode"] for request in server.requests] == ["123456"]
    assert questions == ["Enter MFA code for arn:aws:iam::123456789012:mfa/me: "]


def test_a_missing_mfa_code_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no MFA code can be entered, the error says that a person is needed."""

    def nobody(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    configure(home, f"[profile p]\n{ROLE_OF}base\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n", keys_of("base"))
    assert "it needs an MFA code, and there is no person to ask" in failure(Profile("p"), SignInRequired)


@pytest.fixture
def sso_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for tokens of `aws sso login`. botocore sets it when it is imported."""
    folder = home / ".aws" / "sso" / "cache"
    folder.mkdir(parents=True)
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(folder))
    monkeypatch.setattr("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", str(folder))
    return folder


def sign_in(folder: Path, key: str, expires: str = "2036-11-25T12:00:00Z") -> None:
    token = {"accessToken": "canary", "expiresAt": expires, "startUrl": "https://idp.example", "region": "us-east-1"}
    (folder / f"{hashlib.sha1(key.encode()).hexdigest()}.json").write_text(json.dumps(token))


ENDED = Answer('{"message": "canary"}', 401, {"x-amzn-ErrorType": "UnauthorizedException"})
SESSION = "[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://idp.example\n"


@pytest.mark.parametrize("expires", [None, "2020-01-01T00:00:00Z"], ids=["no token", "expired"])
@pytest.mark.parametrize(
    ("config", "name", "option"),
    [
        (f"[profile p]\n{SSO}", "p", " --profile p"),
        (f"[profile p]\n{SSO}sso_session = s\n{SESSION}", "p", " --profile p"),
        (f"[profile p]\n{ROLE_OF}two words\n[profile two words]\n{SSO}", "p", " --profile 'two words'"),
        (f"[default]\n{SSO}", None, ""),
        (f"[profile p]\n{SSO}source_profile = q\n[profile q]\n", "p", " --profile p"),
        (f"[profile p]\n{ROLE_OF}q\n[profile q]\n{ROLE_OF}p\naws_access_key_id = 1\n{SSO_ALONE}", "p", " --profile q"),
    ],
    ids=["legacy", "session", "source", "default", "no role", "loop behind it"],
)
def test_an_expired_sso_session_says_how_to_sign_in(
    expires: str | None,
    config: str,
    name: str | None,
    option: str,
    home: Path,
    sso_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error for an expired SSO session has the command to sign in, with the right profile."""
    configure(home, config.replace("[profile two words]", '[profile "two words"]'))
    if expires:
        for key in ("https://idp.example", "s"):
            sign_in(sso_cache, key, expires)
    with fake_server(ENDED) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", server.url)
        said = failure(Profile(name), SignInRequired)
    assert f"you are not signed in, or the sign-in has expired. Run: aws sso login{option}" in said


def test_an_sso_session_works_until_it_is_refused(home: Path, sso_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a new SSO sign-in, the next fetch works. A forbidden role is another error."""
    configure(home, f"[profile p]\n{SSO}")
    until = datetime(2036, 11, 25, 12, tzinfo=UTC)
    keys = {"accessKeyId": "AKIA-sso", "secretAccessKey": SECRET_KEY, "sessionToken": SESSION_TOKEN}
    good = Answer(json.dumps({"roleCredentials": {**keys, "expiration": int(until.timestamp() * 1000)}}))
    barred = Answer('{"message": "canary"}', 403, {"x-amzn-ErrorType": "ForbiddenException"})
    with fake_server(ENDED, good, barred) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", server.url)
        failure(Profile("p"), SignInRequired)
        sign_in(sso_cache, "https://idp.example")
        assert "Run: aws sso login --profile p" in failure(Profile("p"), SignInRequired)
        credentials = Profile("p").fetch()
        assert credentials.access_key_id == "AKIA-sso"
        assert credentials.expiration == until
        said = failure(Profile("p"))
    assert "GetRoleCredentials was refused with Forbidden. Check its sso_account_id and sso_role_name, and" in said


@pytest.mark.skipif(not HAS_LOGIN, reason="this botocore knows no `aws login`")
def test_an_expired_login_session_says_how_to_sign_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for an expired login session has the command to sign in, or the package that botocore needs."""
    configure(home, "[profile p]\nlogin_session = arn:aws:iam::123456789012:user/me\nregion = us-east-1\n")
    monkeypatch.setattr("botocore.credentials.EC", None)
    assert "botocore needs another package for that. Run: pip install 'botocore[crt]'" in failure(Profile("p"))
    monkeypatch.setattr("botocore.credentials.EC", object())
    assert "Run: aws login --profile p" in failure(Profile("p"), SignInRequired)


# What is relied on -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "p"])
def test_only_two_providers_of_botocore_are_replaced(name: str | None, home: Path) -> None:
    """Only two providers of botocore's chain are replaced, each with one of the same kind and position."""
    from botocore.credentials import AssumeRoleProvider, ProcessProvider, ProfileProviderBuilder

    from stskit.sources.profile.provider_chain import SourceProviders, harden_chain

    configure(home, credentials=keys_of("p"))
    session = Session(profile=name)
    before = list(session.get_component("credential_provider").providers)
    harden_chain(session, 60)
    after = session.get_component("credential_provider").providers
    assert [type(each) for each in after] == [type(each) for each in before]
    changed = [type(new) for old, new in zip(before, after, strict=True) if new is not old]
    assert changed == [AssumeRoleProvider, ProcessProvider]
    theirs = ProfileProviderBuilder(session).providers("p")
    ours = SourceProviders(session, 60).providers("p")
    assert [type(each) for each in ours] == [type(each) for each in theirs]


def test_at_a_terminal_only_the_process_is_stopped(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal, only the process is stopped, because this process is in the same process group."""
    configure(home, process(home, f"echo $$ > {tmp_path}/pid; exec sleep 30"))
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: real(os.devnull if path == "/dev/tty" else path, *rest))
    monkeypatch.setattr(os, "tcgetpgrp", lambda _descriptor: os.getpgrp())
    assert "did not end within 0.3 seconds" in failure(Profile("p", process_timeout=0.3))
    assert has_ended(int((tmp_path / "pid").read_text()))
