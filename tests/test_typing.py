"""The types of the public API, by the checker that users run."""

from __future__ import annotations

from pathlib import Path

from mypy import api

TYPING = Path(__file__).parent / "typing"


def checked(name: str, cache: Path) -> str:
    out, err, _ = api.run(["--strict", "--cache-dir", str(cache), str(TYPING / name)])
    return out + err


def test_right_use_has_right_types(tmp_path: Path) -> None:
    """Sources, sinks and recipes of our own and of others fit together, each result with its own type."""
    assert checked("right.py", tmp_path).startswith("Success")


def test_wrong_use_is_an_error_of_types(tmp_path: Path) -> None:
    """A value where a recipe is needed, and the like: an ignore that is not needed would be reported."""
    assert checked("wrong.py", tmp_path).startswith("Success")
    bare = tmp_path / "bare.py"
    bare.write_text((TYPING / "wrong.py").read_text().replace("# type: ignore", "#"))
    expected = (TYPING / "wrong.py").read_text().count("# type: ignore")
    assert f"Found {expected} errors" in checked(str(bare), tmp_path)
