"""The page on testing: each block runs as printed, by itself, as a script or by pytest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

pytestmark = pytest.mark.gate

PAGE = Path(__file__).parent.parent / "docs" / "howto" / "testing.md"


def blocks() -> list[ParameterSet]:
    text = PAGE.read_text()
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [pytest.param(each[1], id=f"{PAGE.name}:{text.count(chr(10), 0, each.start()) + 1}") for each in found]


@pytest.mark.parametrize("block", blocks())
def test_a_block_runs_as_printed(block: str, tmp_path: Path) -> None:
    """Each block of the page runs without a warning. Blocks with tests are run by pytest."""
    program = tmp_path / "test_example.py"
    program.write_text(block)
    tests = len(re.findall(r"^def test_", block, re.MULTILINE))
    how = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if tests else []
    done = subprocess.run(
        [sys.executable, "-W", "error", *how, str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert not tests or f"{tests} passed" in done.stdout


def test_every_public_name_is_on_the_page() -> None:
    """The page names every public name of the test kit."""
    import stskit.testing

    text = PAGE.read_text()
    unnamed = {"Call", "Fault", "Flaw"}  # types: of what is in `calls`, of the faults and the flaws
    assert all(f"`{name}" in text or name in unnamed for name in stskit.testing.__all__)
    assert stskit.testing.__all__ == sorted(stskit.testing.__all__)
