"""Edits of a .env file: other lines keep their bytes and readers find the new values, or the edit is refused."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from dotenv import dotenv_values
from helpers import needs, reachable_text
from hypothesis import given
from hypothesis import strategies as st
from readers import NODE, node

from stskit import Credentials
from stskit.errors import SinkError
from stskit.sinks import DotEnv
from stskit.sinks.dot_env.env_file import BARE, updated

SESSION = Credentials("ASIANEW", "new/secret+", "newtoken==")
STATIC = Credentials("AKIANEW", "static/secret")
DUE = Credentials("A", "s", "t", datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC))
NEW = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": None, "AWS_PROFILE": None}
WRITTEN = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}
BOTH = "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=s\n"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.touch(0o600)
    return path


# Text of the file


@pytest.mark.case("X12")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", BOTH),
        ("# mine\n", f"# mine\n{BOTH}"),
        ("X=1", f"X=1\n{BOTH}"[:-1]),
        ("X=1\r\n", "X=1\r\nAWS_ACCESS_KEY_ID=A\r\nAWS_SECRET_ACCESS_KEY=s\r\n"),
        ("export X=1\n", "export X=1\nexport AWS_ACCESS_KEY_ID=A\nexport AWS_SECRET_ACCESS_KEY=s\n"),
        (
            "X=1\nexport AWS_PROFILE=dev\n",
            "X=1\nexport AWS_ACCESS_KEY_ID=A\nexport AWS_SECRET_ACCESS_KEY=s\n",
        ),
        (
            "X=1\nexport AWS_SESSION_TOKEN=1\nAWS_ACCESS_KEY_ID=1\n",
            "X=1\nexport AWS_ACCESS_KEY_ID=A\nexport AWS_SECRET_ACCESS_KEY=s\n",
        ),
        ("export X=1\nAWS_ACCESS_KEY_ID=1\n", f"export X=1\n{BOTH}"),
        ("X=1\nexport Y=2\n", f"X=1\nexport Y=2\n{BOTH}"),
        (
            "  export  AWS_ACCESS_KEY_ID = 'old' # mine\nX=1\nAWS_SECRET_ACCESS_KEY: old\n",
            "  export  AWS_ACCESS_KEY_ID=A # mine\nX=1\nexport AWS_SECRET_ACCESS_KEY=s\n",
        ),
        (
            "AWS_ACCESS_KEY_ID=1\nX=1\nexport AWS_ACCESS_KEY_ID=2\nAWS_SECRET_ACCESS_KEY=3\r\n",
            "export AWS_ACCESS_KEY_ID=A\nX=1\nexport AWS_ACCESS_KEY_ID=A\nexport AWS_SECRET_ACCESS_KEY=s\r\n",
        ),
        (
            "#AWS_ACCESS_KEY_ID=old\n # AWS_ACCESS_KEY_ID=old\n",
            f"#AWS_ACCESS_KEY_ID=old\n # AWS_ACCESS_KEY_ID=old\n{BOTH}",
        ),
        ("AWS_SESSION_TOKEN=1\nX=1\nAWS_SESSION_TOKEN=2", f"X=1\n{BOTH}"[:-1]),
        ("KEY='a\nb'\n", f"KEY='a\nb'\n{BOTH}"),
        ('KEY="a\\"\nb"\nX=\'it is\'\n', f'KEY="a\\"\nb"\nX=\'it is\'\n{BOTH}'),
        ('AWS_ACCESS_KEY_ID="v # w" # note\n', "AWS_ACCESS_KEY_ID=A # note\nAWS_SECRET_ACCESS_KEY=s\n"),
        ("AWS_ACCESS_KEY_ID_OLD=1\nXAWS_ACCESS_KEY_ID=1\n", f"AWS_ACCESS_KEY_ID_OLD=1\nXAWS_ACCESS_KEY_ID=1\n{BOTH}"),
    ],
)
def test_only_the_variables_change(before: str, after: str) -> None:
    """All lines of a changed variable change, all other bytes stay, and a second edit changes nothing."""
    assert updated(before, NEW) == after
    assert updated(after, NEW) == after


@pytest.mark.case("P56")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("X='a\nAWS_SECRET_ACCESS_KEY=CANARY\nb'\n", "line 1 sets several"),
        ("X=1 AWS_SECRET_ACCESS_KEY=CANARY\n", "line 1 is not NAME=value"),
        ("AWS_SESSION_TOKEN = b=CANARY\n", "line 1 sets several"),
        ("X=CANARY|\nY=1\n", "line 1 is not NAME=value"),
        ("X=$(CANARY\n", "line 1 is not NAME=value"),
        ("X=CANARY return\n", "line 1 is not NAME=value"),
        ("# x\nAWS_SESSION_TOKEN='a\nCANARY'\n", "line 2 begins a value on several lines"),
        ("X='CANARY\n", "line 1 is not NAME=value"),
        ("X=CANARY'S\n", "line 1 is not NAME=value"),
        ("X=CANARY\\\nAWS_SECRET_ACCESS_KEY=old\n", "line 1 is not NAME=value"),
        ("X=CANARY\\", "line 1 is not NAME=value"),
        ('X="CANARY\\\\"\n', "line 1 is not NAME=value"),
        ("X='CANARY\\''\n", "line 1 is not NAME=value"),
        ("X=1\nCANARY\n", "line 2 is not NAME=value"),
        ("X=`CANARY`\n", "line 1 is not NAME=value"),
        ("X=1\nY=CANARY\x0c\n", "line 2 has a character"),
        ("X=CANARY\rY=1\n", "line 1 has a character"),
    ],
)
def test_a_file_that_readers_read_differently_is_refused(text: str, reason: str) -> None:
    """A file that readers read differently is refused, with the line number but without any content."""
    with pytest.raises(SinkError, match=reason) as caught:
        updated(text, NEW)
    assert "CANARY" not in reachable_text(caught.value)


# Readers of the file


Found = dict[str, str | None]


def read_with_python(paths: list[Path]) -> list[Found]:
    return [dict(dotenv_values(path, interpolate=False)) for path in paths]


def read_with_shell(shell: str, paths: list[Path]) -> list[Found]:
    found: list[Found] = []
    for path in paths:
        command = [needs(shell), "-c", 'set -a; . "$1"; env -0', "sh", str(path)]
        done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
        found.append(dict(each.partition("=")[::2] for each in done.stdout.split("\0") if "=" in each))
    return found


def read_with_javascript(paths: list[Path]) -> list[Found]:
    code = "const { parse } = require('dotenv'), { readFileSync } = require('fs');"
    code += "console.log(JSON.stringify(process.argv.slice(1).map((path) => parse(readFileSync(path)))))"
    done = subprocess.run([node(), "-e", code, *map(str, paths)], cwd=NODE, capture_output=True, text=True, check=True)
    found: list[Found] = json.loads(done.stdout)
    return found


READERS: dict[str, Callable[[list[Path]], list[Found]]] = {
    "python": read_with_python,
    "bash": partial(read_with_shell, "bash"),
    "dash": partial(read_with_shell, "dash"),
    "zsh": partial(read_with_shell, "zsh"),
    "javascript": read_with_javascript,
}


@pytest.mark.debian
@pytest.mark.case("X11")
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_finds_the_written_values(reader: str, env: Path) -> None:
    """Every reader finds all permitted characters in the written values, and the other variables unchanged."""
    env.write_text("# note\nexport A=1\nB='two words'\nAWS_SESSION_TOKEN=old\nAWS_PROFILE=old\n")
    allowed = "".join(character for character in map(chr, range(128)) if BARE.fullmatch(character))
    Credentials("A", f"{allowed}==", f"a=b{allowed}", datetime(2099, 1, 2, tzinfo=UTC)).to(
        DotEnv(env, region="eu-west-1", expiration=True)
    )
    (found,) = READERS[reader]([env])
    assert {name: found.get(name) for name in ("A", "B")} == {"A": "1", "B": "two words"}
    assert {name: value for name, value in found.items() if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID": "A",
        "AWS_SECRET_ACCESS_KEY": f"{allowed}==",
        "AWS_SESSION_TOKEN": f"a=b{allowed}",
        "AWS_CREDENTIAL_EXPIRATION": "2099-01-02T00:00:00Z",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def some_file(chance: random.Random) -> str:
    """Return a random file with typical lines and some invalid ones."""
    values = [
        "",
        "v",
        "v # n",
        "'q'",
        '"q"',
        "'q",
        "'a\nb'",
        '"a\nb"',
        "it's",
        "v\\",
        "`b`",
        "a=b",
        "#n",
        '"a\\"b"',
        "a b",
    ]
    names = ["A", "B", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_SECRET_ACCESS_KEY"]
    text = ""
    for _ in range(chance.randrange(6)):
        if chance.random() < 0.7:
            text += (
                chance.choice(["", "", "export ", "  "]) + chance.choice(names) + chance.choice(["=", "=", "=", " = "])
            )
            text += chance.choice(values) + "\n"
        else:
            text += chance.choice(["", "# note", "#AWS_ACCESS_KEY_ID=old", "stray", "'", " "]) + "\n"
    return text if chance.random() < 0.7 else text.removesuffix("\n")


@pytest.mark.gate
@pytest.mark.debian
@pytest.mark.case("X12")
@pytest.mark.parametrize("reader", READERS)
def test_each_reader_finds_a_correct_edit(reader: str, tmp_path: Path) -> None:
    """In 600 random files, each edit is refused, or each reader finds the new values and all others unchanged."""
    chance, old, new = random.Random(1), [], []
    for number in range(600):
        text = some_file(chance)
        with suppress(SinkError):
            after = updated(text, NEW)
            assert updated(after, NEW) == after
            old.append(tmp_path / f"{number}-old")
            new.append(tmp_path / f"{number}-new")
            old[-1].write_text(f"{text}\nPROBE=1\n")
            new[-1].write_text(f"{after}\nPROBE=1\n")
    read = 0
    for path, before, now in zip(new, READERS[reader](old), READERS[reader](new), strict=True):
        if "PROBE" in before:  # Otherwise this shell stops before the end of the file.
            read += 1
            assert {name: now.pop(name) for name in WRITTEN} == WRITTEN, path.read_text()
            assert now == {name: value for name, value in before.items() if name not in NEW}, path.read_text()
    assert read > 100


@given(text=st.text(st.sampled_from("AB=# '\"\\\n\r\x0c`$x"), max_size=30))
def test_any_text_is_refused_or_edited_repeatably(text: str) -> None:
    """Any text is refused or edited; its bytes stay at the start, and a second edit changes nothing."""
    with suppress(SinkError):
        after = updated(text, NEW)
        assert updated(after, NEW) == after
        assert after.startswith(text)
