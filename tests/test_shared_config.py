"""stskit reads the shared files as botocore does, without an import of it: both ways, over many files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError
from botocore.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st
from test_profile import SAMPLES, configure

from stskit.sts.shared_config import ambient_profile, read_shared_config

LINES = st.sampled_from(
    [
        *(
            "[default]",
            "[profile a]",
            "[a]",
            '[profile "a b"]',
            "[profile 'a]",
            "[profilea]",
            "[profile a b]",
            "[DEFAULT]",
        ),
        *("[sso-session s]", "[services v]", "[preview]", "[profile a] # x", "[ a ]", "[]", "["),
        *("aws_access_key_id = A", "aws_access_key_id=B", "AWS_SECRET_ACCESS_KEY: s", "region =", "region", "= x"),
        *(
            "sts =",
            "  endpoint_url = https://x",
            "  no pair",
            "  a = b = c",
            "\tc = d",
            "services = v",
            "sso_session = s",
        ),
        *("# comment", "; comment", "a = 1 ; 2", "a = %(b)s", "", "  ", "\x0c", "é = ü"),
    ]
)


def both() -> tuple[object, object]:
    """Return the results of botocore and of stskit, or None if the files cannot be read."""
    config = read_shared_config()
    ours = config and (config.profiles, config.sso_sessions, config.services)
    try:
        full = Session().full_config
    except BotoCoreError:
        return None, ours
    return (full["profiles"], full.get("sso_sessions", {}), full.get("services", {})), ours


@pytest.mark.parametrize("file", ["config", "credentials"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_sample_is_read_as_botocore_reads_it(sample: Path, file: str, home: Path) -> None:
    """Every sample file is read as botocore reads it."""
    configure(home, "[profile other]\nregion = x\n", "[other]\nregion = y\n")
    (home / ".aws" / file).write_bytes(sample.read_bytes())
    theirs, ours = both()
    assert ours == theirs


@settings(max_examples=300)
@given(st.lists(LINES, max_size=12), st.lists(LINES, max_size=8))
def test_any_file_is_read_as_botocore_reads_it(home: Path, config: list[str], credentials: list[str]) -> None:
    """Any generated file is read as botocore reads it."""
    configure(home, "\n".join(config) + "\n", "\n".join(credentials) + "\n")
    theirs, ours = both()
    assert ours == theirs


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_CONFIG_FILE": ""},
        {"AWS_CONFIG_FILE": "~/elsewhere"},
        {"AWS_CONFIG_FILE": "$HOME/elsewhere", "AWS_SHARED_CREDENTIALS_FILE": "${HOME}/.aws"},
        {"AWS_SHARED_CREDENTIALS_FILE": "nowhere"},
    ],
)
def test_the_files_of_the_environment_are_read(
    variables: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of the environment variables are read, and a folder counts as no file."""
    configure(home, "[profile a]\nregion = a\n", "[a]\nb = c\n")
    (home / "elsewhere").write_text("[profile e]\nregion = e\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    theirs, ours = both()
    assert ours == theirs


@pytest.mark.parametrize("first", [None, "", "a"])
@pytest.mark.parametrize("second", [None, "", "b"])
def test_the_profile_of_the_environment_is_that_of_botocore(
    first: str | None, second: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile of the environment is that of botocore, also for an empty variable."""
    for name, value in (("AWS_DEFAULT_PROFILE", first), ("AWS_PROFILE", second)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert ambient_profile() == (Session().get_config_variable("profile") or "default")


FOUND = """
import sys
from datetime import timedelta
from stskit import AssumedRole, Cached, Credentials
from stskit.caches import FileCache
from stskit.sources import OIDCTokenFile, Profile
from stskit.sts import BotocoreSTS
ARN = "arn:aws:iam::123456789012:role/R"
sources = {"environment": Profile(), "profile": Profile("p"), "token": OIDCTokenFile("token")}
cached = Cached(AssumedRole(ARN, source=sources[sys.argv[1]]), FileCache("c"))
if sys.argv[2] == "fill":
    from datetime import UTC, datetime
    end = datetime.now(UTC) + timedelta(hours=1)
    BotocoreSTS.exchange = lambda self, proof, role: Credentials("AKIA", "s", "t", end)
print(cached.fetch().access_key_id, *[name for name in ("botocore", "urllib3", "dateutil") if name in sys.modules])
"""


@pytest.mark.parametrize("kind", ["environment", "profile", "token"])
def test_a_cache_entry_is_found_without_botocore(kind: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache entry is found without importing botocore."""
    Path("token").write_text("Atza|opaque-token")
    Path("token").chmod(0o600)
    configure(home, "[profile p]\nregion = eu-west-1\n", "[p]\naws_access_key_id = A\naws_secret_access_key = s\n")
    if kind == "environment":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    for step in ("fill", "find"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FOUND, kind, step], capture_output=True, text=True, check=True
        )
    assert done.stdout == "AKIA\n"
