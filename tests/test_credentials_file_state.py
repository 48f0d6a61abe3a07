"""After any sequence of writers, no profile of the credentials file is lost and botocore reads the file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.configloader import raw_config_parse
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stskit import Credentials
from stskit.errors import SinkError
from stskit.sinks import CredentialsFile, file_edit

names = st.sampled_from(["a", "b", "c", "d"])
steps = st.sampled_from(["fsync", "rename"])


class AWSCLI:
    """A writer that behaves like the AWS CLI: it reads, empties the file in place, and writes, without a lock."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path, ""

    def empty(self, profile: str, key: str) -> None:
        """Read the file, prepare the change, and empty the file. `finish` writes its content."""
        old = raw_config_parse(str(self.path), parse_subsections=False) if self.path.exists() else {}
        sections: dict[str, dict[str, str]] = {**old, profile: {"aws_access_key_id": key, "aws_secret_access_key": "s"}}
        self.text = "".join(
            f"[{name}]\n" + "".join(f"{option} = {value}\n" for option, value in options.items())
            for name, options in sections.items()
        )
        self.path.touch(0o600)
        self.path.write_text("")

    def finish(self) -> None:
        self.path.write_text(self.text)


class Writers(RuleBasedStateMachine):
    """The credentials file, and the expected key of each profile."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "credentials"
        self.cli = AWSCLI(self.path)
        self.keys: dict[str, str] = {}
        self.serial = 0
        self.is_empty = False

    def teardown(self) -> None:
        self.folder.cleanup()

    def key(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}{self.serial:08}"

    @contextmanager
    def clock(self, *events: Callable[[], None]) -> Iterator[None]:
        """Pretend that the file has just changed. Only pauses advance the time, and each runs one of the events."""
        todo = list(events)
        time = self.path.stat().st_mtime if self.path.exists() else 0.0

        def sleep(seconds: float) -> None:
            nonlocal time
            time += seconds
            if todo:
                todo.pop(0)()

        with patch.object(file_edit, "sleep", sleep), patch.object(file_edit, "time", lambda: time):
            yield

    def write(self, profile: str) -> None:
        key = self.key("ASIA")
        Credentials(key, "s", "t").to(CredentialsFile(profile, self.path, overwrite=True))
        self.keys[profile] = key

    @rule(profile=names)
    def stskit_writes(self, profile: str) -> None:
        """Write with stskit. If the AWS CLI has just emptied the file, it finishes during stskit's pause."""
        with self.clock(self.finish):
            self.write(profile)
        self.finish()

    @rule(profile=names)
    def stskit_removes(self, profile: str) -> None:
        with self.clock(self.finish):
            CredentialsFile(profile, self.path, overwrite=True).remove()
        self.finish()
        self.keys.pop(profile, None)

    @precondition(lambda self: not self.is_empty)
    @rule(profile=names)
    def the_aws_cli_begins(self, profile: str) -> None:
        key = self.key("AKIA")
        self.cli.empty(profile, key)
        self.keys[profile] = key
        self.is_empty = True

    @rule()
    def the_aws_cli_ends(self) -> None:
        self.finish()

    def finish(self) -> None:
        if self.is_empty:
            self.cli.finish()
            self.is_empty = False

    @precondition(lambda self: not self.is_empty)
    @rule(profile=names, other=names, step=steps, cli=st.booleans())
    def another_writes_in_the_middle(self, profile: str, other: str, step: str, cli: bool) -> None:
        """Change the file between stskit's reading and its rename, or after it. The edit of stskit is then repeated."""
        real, todo = getattr(os, step), [True]

        def stepped(*arguments: Any, **options: Any) -> Any:
            result = real(*arguments, **options)
            if todo:
                todo.pop()
                self.interfere(other, cli=cli)
            return result

        with self.clock(), patch.object(os, step, stepped):
            key = self.key("ASIA")
            Credentials(key, "s", "t").to(CredentialsFile(profile, self.path, overwrite=True))
        self.keys[profile] = key

    def interfere(self, profile: str, *, cli: bool) -> None:
        key = self.key("AKIA")
        if cli:
            self.cli.empty(profile, key)
            self.cli.finish()
            self.keys[profile] = key
            return
        with patch.object(file_edit, "_LOCK_TIMEOUT", 0), suppress(SinkError):  # The first writer holds the lock.
            Credentials(key, "s", "t").to(CredentialsFile(profile, self.path, overwrite=True))
            raise AssertionError("two writers had the lock")

    @invariant()
    def botocore_reads_all_profiles(self) -> None:
        """Check that each profile has the key of its last write, without parts of other keys."""
        if self.is_empty:
            return
        found = raw_config_parse(str(self.path)) if self.path.exists() else {}
        assert {name: options["aws_access_key_id"] for name, options in found.items()} == self.keys
        assert all(
            ("aws_session_token" in options) >= (options["aws_access_key_id"][:4] == "ASIA")
            for options in found.values()
        )

    @invariant()
    def nothing_is_left_behind(self) -> None:
        assert set(os.listdir(self.folder.name)) <= {"credentials"}


TestWriters = Writers.TestCase
TestWriters.settings = settings(max_examples=30, stateful_step_count=20)
