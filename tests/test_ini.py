"""The editor of config and credentials files makes the requested change or refuses it, and never changes more."""

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
    """Several sections change in one edit: existing ones in their places, new ones at the end in the given order."""
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
    """Return the content of a file with *text* as botocore reads it."""
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
    """An edit keeps comments, blanks and line ends; a removed value loses its continuation lines, and repeating has no
    effect.
    """
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
def test_a_file_that_cannot_be_changed_safely_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    """A file that cannot be changed safely is refused; the error names the line but no content."""
    path = tmp_path / "credentials"
    path.touch(0o600)
    path.write_bytes(text.encode())
    with pytest.raises(SinkError, match=re.escape(reason)) as caught:
        Credentials("A", "s").to(CredentialsFile("dev", path, overwrite=True))
    assert "SECRET" not in reachable_text(caught.value)
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize("section", ["dev", "default", "brand-new"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_sample_files_are_changed_correctly_or_refused(sample: Path, section: str, tmp_path: Path) -> None:
    """In each sample file, an edit is refused, or botocore reads the new values and all other profiles unchanged."""
    try:
        text = sample.read_bytes().decode()
        after = changed(text, section, NEW)
    except (UnicodeDecodeError, SinkError):
        return  # The sink does not write such a file.
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
def test_any_file_is_changed_correctly_or_refused(
    text: str, section: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In any file, an edit is refused, or all other sections are read as before and a second edit changes nothing."""
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
def test_a_file_that_botocore_cannot_read_is_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file that botocore cannot read is not changed."""
    try:
        read(text, tmp_path_factory.getbasetemp())
    except ConfigParseError:
        with pytest.raises(SinkError):
            changed(text, "brand-new", NEW)


# Files that botocore cannot read ----------------------------------------------------------------------------------

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
    """If any profile has an invalid nested value, `check` and `write` refuse the file and it is unchanged."""
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
    """Valid nested values stay as they are, also after an empty line and beside continued values."""
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
def test_botocore_can_read_every_written_file(options: list[tuple[str, list[str]]]) -> None:
    """Botocore can read every file that an edit produces, including its nested values."""
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
            assert before is None or "[" in text  # Other reasons for a refusal have tests above.
            return
        assert before is not None
        assert raw_config_parse(str(path)) == before | {"dev": WRITTEN}


@pytest.mark.parametrize("text", ["[old]\nk = v\n", "[DEFAULT]\nk = v\n"])
def test_botocore_must_read_the_changed_file(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If botocore cannot read the changed file, the edit is refused."""
    assert "[dev]" in changed(text, "dev", NEW)

    def refuse(path: str) -> None:
        assert b"[" in Path(path).read_bytes()
        raise ConfigParseError(path=path, error="CANARY")

    monkeypatch.setattr(configloader, "raw_config_parse", refuse)
    with pytest.raises(SinkError, match="botocore could not read the changed file") as caught:
        changed(text, "dev", NEW)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("missing", ["memfd_create", "/dev/fd"])
def test_a_system_without_memory_files_is_supported(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memfd_create or /dev/fd, the check of the changed file still works."""
    if missing == "/dev/fd":
        monkeypatch.setattr(os.path, "isfile", lambda _path: False)
    else:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    assert "[dev]" in changed("[old]\nk = v\n", "dev", NEW)
    with pytest.raises(SinkError, match="indented line of its own"):
        changed("[old]\nk =\n  v\n", "dev", NEW)
