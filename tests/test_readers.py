"""The frame rule: to every reader all other profiles are as before, and the new one is there, or nothing changes.

The tests of the editor, `test_ini.py`, hold the same for botocore.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from readers import CRT, Reader, javascript

from stskit.errors import SinkError
from stskit.sinks.credentials_file.ini import Ini

SAMPLES = sorted((Path(__file__).parent / "data" / "ini").glob("*.ini"))
NEW = {
    "aws_access_key_id": "ASIANEW",
    "aws_secret_access_key": "new/secret+",
    "aws_session_token": "newtoken==",
    "x_security_token_expires": "2099-01-01T00:00:00Z",
    "aws_security_token": None,
    "aws_account_id": None,
}
KEYS = ("ASIANEW", "new/secret+", "newtoken==")
PROFILES = ["default", "dev", "dev2", "my profile", "profile default", "s", "new", "a", "a]b", "dev#1", "\xe9", "["]
OPTIONS = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region", "s3", "AWS_ACCESS_KEY_ID", "x"]


@pytest.fixture(scope="module", params=["common runtime", pytest.param("javascript", marks=pytest.mark.debian)])
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    match request.param:
        case "common runtime":
            yield CRT()
        case _:
            with javascript() as read:
                yield read


def check(reader: Reader, data: bytes, section: str, folder: Path) -> bool:
    """Check that *data* was changed correctly for *reader*, and return whether it was changed."""
    try:
        after = b"".join(Ini(data, {section}).updated({section: NEW}))
    except SinkError:
        return False
    assert b"".join(Ini(after, {section}).updated({section: NEW})) == after
    (folder / "before").write_bytes(data)
    (folder / "after").write_bytes(after)
    # stskit does not change a file that a reader cannot read
    (folder / "probe").write_bytes(data + b"\n\n[probe]\naws_access_key_id = P\naws_secret_access_key = P\n")
    before, now = (reader(folder / name, PROFILES) for name in ("before", "after"))
    if reader(folder / "probe", ["probe"])["probe"] == ("P", "P", None):
        assert now[section] == KEYS, (section, data, after)
    for profile in PROFILES:
        if profile != section and before[profile] != "error":
            assert now[profile] == before[profile], (profile, section, data, after)
    return True


@pytest.mark.case("F1", "P2")
@pytest.mark.parametrize("section", ["new", "default", "dev"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_difficult_file_is_changed_correctly_or_refused(
    sample: Path, section: str, reader: Reader, tmp_path: Path
) -> None:
    """Each difficult file is changed correctly for all readers, or refused."""
    data = sample.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError:
        return  # the sink looks at that before
    check(reader, data, section, tmp_path)


def some_file(chance: random.Random) -> str:
    """Return sections and lines as people and programs write them, and some with errors."""
    pick = chance.choice
    text = pick(["", "", "# head\n", "\n", "\x0c"])
    for name in chance.sample(["dev", "default", "a", "dev2", "my profile", "profile default", "\xe9"], 3):
        text += (
            pick(["", "", "", " "])
            + f"[{name}]"
            + pick(["", "", "", " # team", "; x", " ; y", "# [1]", "  ", "\t"])
            + "\n"
        )
        for option in chance.sample(OPTIONS, chance.randrange(6)):
            text += pick(["", "", "", "", "", "  ", "\t"]) + option + pick([" = ", "=", "= ", " =", ":"])
            text += pick(["AKIAOLD", "sec/ret", "", "v # note", "v;x", "[y]"]) + "\n"
            text += pick(["", "", "", "# note\n", "  ; note\n", "  cont\n", "  nested = v\n", "  [dev]\n", " \n",
                          "  aws_access_key_id = NESTED\n", "stray\n" if chance.random() < 0.1 else ""])  # fmt: skip
    text = text.rstrip("\n") if chance.random() < 0.3 else text
    return text.replace("\n", "\r\n") if chance.random() < 0.2 else text


@pytest.mark.gate
@pytest.mark.case("F1")
def test_any_file_is_changed_correctly_or_refused(reader: Reader, tmp_path: Path) -> None:
    """Two thousand generated files are changed correctly for all readers, or refused."""
    chance = random.Random(1)
    changed = [
        check(reader, some_file(chance).encode(), chance.choice(["new", "dev", "default"]), tmp_path)
        for _ in range(2000)
    ]
    assert 600 < sum(changed) < 1900
