"""The types of the public API, by the checker that users run."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

TYPING = Path(__file__).parent / "typing"


def checked(*paths: Path, cache: Path) -> str:
    out, err, _ = api.run(["--strict", "--cache-dir", str(cache), *map(str, paths)])
    return out + err


@pytest.mark.case("P21", "P36")
def test_correct_code_passes_mypy_and_wrong_code_does_not(tmp_path: Path) -> None:
    """Correct code passes mypy, and each marked line of wrong.py is an error."""
    assert checked(TYPING / "right.py", TYPING / "wrong.py", cache=tmp_path).startswith("Success")


@pytest.mark.case("P36")
@pytest.mark.gate
def test_each_wrong_use_is_one_error(tmp_path: Path) -> None:
    """Without the marks, mypy reports exactly one error for each."""
    text = (TYPING / "wrong.py").read_text()
    bare = tmp_path / "bare.py"
    bare.write_text(text.replace("# type: ignore", "#"))
    assert f"Found {text.count('# type: ignore')} errors" in checked(bare, cache=tmp_path)
