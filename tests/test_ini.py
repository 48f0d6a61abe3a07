"""The editor of config and credentials files changes what it is told to, or refuses, and never anything else."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from botocore import configloader
from botocore.configloader import raw_config_parse
from botocore.exceptions import ConfigParseError
from helpers import reachable_text
from hypothesis import given
from hypothesis import strategies as st

from stskit import Credentials
from stskit.errors import SinkError
from stskit.sinks import CredentialsFile
from stskit.sinks.credentials_file.ini import Ini


def test_many_sections_change_at_once() -> None:
    """Those that are there in their places, the others at the end, in the order that was asked for."""
    text = "[a]\nk = 1\n\n[b]\nk = 1\n[c d]\nk = 1\n"
    changes: dict[str, dict[str, str | None]] = {
        "x": {"k": "2"},
        "b": {"k": "3", "l": "4"},
        "w": {"k": None},
        "a": {"k": "5"},
    }
    after = b"".join(Ini(text.encode(), changes.keys()).updated(changes)).decode()
    assert after == "[a]\nk = 5\n\n[b]\nk = 3\nl = 4\n[c d]\nk = 1\n\n[x]\nk = 2\n"
    alike: dict[str, dict[str, str | None]] = {"a": {"k": "2"}, "b": {"k": "3", "l": None}}
    assert b"".join(Ini(b"[a]\nk = 1\nl = 1\n[b]\nk = 1\nl = 1\n", alike.keys()).updated(alike)) == (
        b"[a]\nk = 2\nl = 1\n[b]\nk = 3\n"
    )
    with pytest.raises(SinkError, match="header"):
        Ini(b"['a']\nk = 1\n", changes.keys())


SAMPLES = sorted((Path(__file__).parent / "data" / "ini").glob("*.ini"))
NEW = {
    "aws_access_key_id": "ASIANEW",
    "aws_secret_access_key": "new/secret+",
    "aws_session_token": "newtoken==",
    "aws_security_token": None,
}
WRITTEN = {name: value for name, value in NEW.items() if value is not None}


def changed(text: str, section: str, values: Mapping[str, str | None]) -> str:
    return b"".join(Ini(text.encode(), {section}).updated({section: values})).decode()


def read(text: str, folder: Path) -> dict[str, dict[str, str]]:
    """What botocore reads in a file with *text*."""
    path = folder / "file"
    path.write_bytes(text.encode())
    return {name: dict(values) for name, values in raw_config_parse(str(path), parse_subsections=False).items()}


@pytest.mark.case("P2")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[dev]\naws_access_key_id = A\n"),
        ("# mine\n", "# mine\n\n[dev]\naws_access_key_id = A\n"),
        ("[x]\nk = v", "[x]\nk = v\n\n[dev]\naws_access_key_id = A"),
        ("[x]\r\nk = v\r\n", "[x]\r\nk = v\r\n\r\n[dev]\r\naws_access_key_id = A\r\n"),
        ("[x]\nk = v\n\n", "[x]\nk = v\n\n\n[dev]\naws_access_key_id = A\n"),
        ("[dev]", "[dev]\naws_access_key_id = A"),
        ("[dev]\n# note\n\n[x]\n", "[dev]\naws_access_key_id = A\n# note\n\n[x]\n"),
        ("[dev]\naws_access_key_id=old\n", "[dev]\naws_access_key_id=A\n"),
        ("[dev]\naws_access_key_id   =\told \n", "[dev]\naws_access_key_id   =\tA\n"),
        ("[dev]\nAWS_Access_Key_Id : old\n", "[dev]\naws_access_key_id = A\n"),
        ("[dev]\nAWS_Access_Key_Id = old\n", "[dev]\naws_access_key_id = A\n"),
        ("[dev]\n  aws_access_key_id: old\n  k = v\n", "[dev]\n  aws_access_key_id = A\n  k = v\n"),
        ("[dev]\n  aws_access_key_id = old\r\n", "[dev]\n  aws_access_key_id = A\r\n"),
        ("[dev]\naws_access_key_id = old\n  and more\n# note\nk = v", "[dev]\naws_access_key_id = A\n# note\nk = v"),
        ("[dev]\nk = v # n\n\n# for x\n[x]\n", "[dev]\nk = v # n\naws_access_key_id = A\n\n# for x\n[x]\n"),
        ("[dev]\ns3 =\n  aws_access_key_id = no\n", "[dev]\ns3 =\n  aws_access_key_id = no\naws_access_key_id = A\n"),
        ("[dev] # team\nk = v\n", "[dev] # team\nk = v\naws_access_key_id = A\n"),
        ("[dev]\naws_session_token = old\n tail\nk = v\n", "[dev]\nk = v\naws_access_key_id = A\n"),
        ("[DEFAULT]\nk = v\n", "[DEFAULT]\nk = v\n\n[dev]\naws_access_key_id = A\n"),
        (
            "[dev]\nk = v\n  ; aws_access_key_id = note\n",
            "[dev]\nk = v\n  ; aws_access_key_id = note\naws_access_key_id = A\n",
        ),
        ("[dev]\nk = v\x0b\x85w\n", "[dev]\nk = v\x0b\x85w\naws_access_key_id = A\n"),
    ],
)
def test_only_the_option_changes(before: str, after: str) -> None:
    """Comments, blanks, line ends and all else keep their bytes; a value that goes takes its other lines with it."""
    assert changed(before, "dev", {"aws_access_key_id": "A", "aws_session_token": None}) == after
    assert changed(after, "dev", {"aws_access_key_id": "A", "aws_session_token": None}) == after


@pytest.mark.case("P56")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[dev]\nstray SECRET line\n", "line 2"),
        ("key = SECRET\n", "line 1"),
        ("[dev]\nk = SECRET\n[dev]\n", "line 3"),
        ("[dev]\nk = SECRET\nK = v\n", "line 3"),
        ("[dev\n", "line 1"),
        ("[dev]\n  [x=SECRET]\n", "indented line is a header"),
        ("[dev]\n  [x]\nk = SECRET\n", "indented line is a header"),
        ("[]SECRET = v\n", "line 1"),
        ("\x0c[dev]\nk = SECRET\n", "header"),
        ("\xa0[dev]\nk = SECRET\n", "cannot be changed safely"),
        ("[dev]\ns3 =\n  k = SECRET\n  [x]\n", "[dev] has a value on an indented line of its own"),
        ("[dev]\ns3 =\n  k = SECRET\n  [x=y]\n", "indented line is a header"),
        ("[dev]\n  x =\n  aws_access_key_id = SECRET\n", "follows an option without a value"),
        ("[dev]\nk = v\n  aws_access_key_id = SECRET\n", "is an option for some tools"),
        ("[dev]\naws_access_key_id = SECRET\n  ; note\n", "indented comment"),
        ("[dev]\nk = SECRET\n[x]; note\n", "or the next header"),
        ("[a\nk = SECRET\nb]\nk = v\n", "line 1"),
        ("[x]\nk = v\n[a\nl = SECRET\nb]\nm = v\n", "line 3"),
        ("[dev] # see [1]\nk = SECRET\n", "header"),
        ("[ dev ]\nk = SECRET\n", "header"),
        ("['dev']\nk = SECRET\n", "header"),
        ("[DEFAULT]\naws_session_token = SECRET\n", "cannot be changed safely"),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    """The error names the line where the file cannot be read, and contains nothing of the file."""
    path = tmp_path / "credentials"
    path.touch(0o600)
    path.write_bytes(text.encode())
    with pytest.raises(SinkError, match=re.escape(reason)) as caught:
        Credentials("A", "s").to(CredentialsFile("dev", path, overwrite=True))
    assert "SECRET" not in reachable_text(caught.value)
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize("section", ["dev", "default", "brand-new"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_tricky_files_are_changed_rightly_or_refused(sample: Path, section: str, tmp_path: Path) -> None:
    """For botocore every other profile reads as before, and the new one as written."""
    try:
        text = sample.read_bytes().decode()
        after = changed(text, section, NEW)
    except (UnicodeDecodeError, SinkError):
        return  # the sink leaves such a file alone
    before, now = read(text, tmp_path), read(after, tmp_path)
    assert now.pop(section).items() >= WRITTEN.items()
    before.pop(section, None)
    assert now == before


names = st.from_regex(r"[A-Za-z0-9_./:%@+-]{1,8}", fullmatch=True).filter(lambda name: name != "DEFAULT")
keys = st.sampled_from([*NEW, "region", "s3", "AWS_Access_Key_ID", "x_other"])
values = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12)
options = st.builds(lambda pad, key, sep, value: f"{pad}{key}{sep}{value}", st.sampled_from(["", "", " ", "\t"]), keys,
                    st.sampled_from([" = ", "=", ": ", " :"]), values)  # fmt: skip
headers = st.builds(
    lambda name, tail: f"[{name}]{tail}", names | st.just("dev"), st.sampled_from(["", "", " # x", " [1]"])
)
others = st.sampled_from(["", "  ", "# note", "  ; note", "   continued", "\tnested = x"])
lines = st.builds(lambda line, end: line + end, headers | options | others, st.sampled_from(["\n", "\n", "\r\n", "\r"]))
texts = st.builds(lambda parts, last: "".join(parts) + last, st.lists(lines, max_size=14), st.just("") | options)


@given(text=texts, section=names | st.just("dev"))
def test_any_file_is_changed_rightly_or_refused(
    text: str, section: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The frame rule: all other sections read as before, what stands before keeps its bytes, twice is as once."""
    folder = tmp_path_factory.getbasetemp()
    try:
        after = changed(text, section, NEW)
    except SinkError:
        return
    before, now = read(text, folder), read(after, folder)
    mine = now.pop(section)
    assert mine.items() >= WRITTEN.items()
    assert set(mine) - set(before.pop(section, {})) <= set(WRITTEN)
    assert now == before
    assert changed(after, section, NEW) == after
    start = re.search(rf"^\[{re.escape(section)}\]", text.replace("\r", "\n"), re.MULTILINE)
    assert after.startswith(text[: start.start()] if start else text)


@given(text=texts)
def test_what_botocore_cannot_read_is_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file that is broken already is not written to; it is for people to mend."""
    try:
        read(text, tmp_path_factory.getbasetemp())
    except ConfigParseError:
        with pytest.raises(SinkError):
            changed(text, "brand-new", NEW)


# What botocore cannot read ----------------------------------------------------------------------------------------

NESTED = [
    "s3 =\n invalid\n",
    "aws_access_key_id =\n  CANARY\naws_secret_access_key = x\n",
    "foo =\n  \n  CANARY\n",
    "foo =\n  k = v\n  CANARY\n",
    "foo =\n  k = v\x85CANARY\n",
    "foo =\n  k = v\u2028CANARY\n",
    "foo =\n  k = v\x1cCANARY\n",
    "foo :\n  k : CANARY\n",
]


@pytest.mark.parametrize("section", ["old", "dev", "DEFAULT"])
@pytest.mark.parametrize("text", NESTED)
def test_a_file_that_botocore_cannot_read_is_not_written(text: str, section: str, tmp_path: Path) -> None:
    """A value on the next line: each of its lines has to be NAME = value. Whichever profile it is in."""
    path = tmp_path / "credentials"
    path.touch(0o600)
    before = f"[{section}]\n{text}[x]\nk = v\n".encode()
    path.write_bytes(before)
    with pytest.raises(ConfigParseError):
        raw_config_parse(str(path))
    for action in (CredentialsFile("dev", path).check, lambda: Credentials("A", "s").to(CredentialsFile("dev", path))):
        with pytest.raises(SinkError, match="indented line of its own|cannot be changed safely") as caught:
            action()
        assert "CANARY" not in reachable_text(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_nested_values_that_botocore_can_read_stay(end: str, tmp_path: Path) -> None:
    """Also after an empty line, and where the value of another option goes on in the next line."""
    text = end.join(["[old]", "s3 =", "  a = b", "", "  c = d = e", "k = v", "  goes on", "[dev]", "r =", ""])
    assert read(changed(text, "dev", NEW), tmp_path) == read(text, tmp_path) | {"dev": {"r": "", **WRITTEN}}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["k =", "k = v", "k:", "k"]), st.lists(st.sampled_from(["a = b", "a", "", "a:b", "#"]))
        ),
        max_size=3,
    )
)
def test_whatever_is_written_botocore_can_read(options: list[tuple[str, list[str]]]) -> None:
    """Its own reader, nested values included, over whole files."""
    lines = [f"{head}{number}" if head == "k" else f"k{number}{head[1:]}" for number, (head, _) in enumerate(options)]
    text = "[old]\n" + "".join(
        "\n  ".join([line, *rest]) + "\n" for line, (_, rest) in zip(lines, options, strict=True)
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "credentials"
        path.write_text(text)
        try:
            before = raw_config_parse(str(path))
        except ConfigParseError:
            before = None
        try:
            path.write_text(changed(text, "dev", NEW))
        except SinkError:
            assert before is None or "[" in text  # what it refuses beyond that is tested above
            return
        assert before is not None
        assert raw_config_parse(str(path)) == before | {"dev": WRITTEN}


@pytest.mark.parametrize("text", ["[old]\nk = v\n", "[DEFAULT]\nk = v\n"])
def test_botocore_has_the_last_word(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else its reader refuses, of a short file or of the shapes of a long one, is not written."""
    assert "[dev]" in changed(text, "dev", NEW)

    def refuse(path: str) -> None:
        assert b"[" in Path(path).read_bytes()
        raise ConfigParseError(path=path, error="CANARY")

    monkeypatch.setattr(configloader, "raw_config_parse", refuse)
    with pytest.raises(SinkError, match="botocore could not read the changed file") as caught:
        changed(text, "dev", NEW)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("missing", ["memfd_create", "/dev/fd"])
def test_a_system_without_files_in_memory_is_enough(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is a temporary file without a name; without /dev/fd the parser that botocore uses has to do."""
    if missing == "/dev/fd":
        monkeypatch.setattr(os.path, "isfile", lambda _path: False)
    else:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    assert "[dev]" in changed("[old]\nk = v\n", "dev", NEW)
    with pytest.raises(SinkError, match="indented line of its own"):
        changed("[old]\nk =\n  v\n", "dev", NEW)
