"""The benchmarks run, and their counts are exact. People check the times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.gate
BENCHMARKS = Path(__file__).parent / "benchmarks"
COUNTS = {
    "modules loaded then": range(131),
    "heavy ones among them": [0],
    "100 threads, first use: calls": [1],
    "100 threads, first use: errors": [0],
    "100 threads, expired: calls": [1],
    "100 threads, expired: errors": [0],
    "100 threads, first look at a session: calls": [1],
    "100 threads, first look at a session: errors": [0],
    "100 threads, in the advisory window: threads that wait": [1],
    "8 processes of 4 threads, with a cache: calls": [1],
    "8 processes of 4 threads, with a cache: errors": [0],
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the results of one quick run of all areas, and the page that it writes."""
    folder = tmp_path_factory.mktemp("benchmarks")
    command = [sys.executable, str(BENCHMARKS), "--quick", "--output", str(folder)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(command, env=ours, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "benchmarks.json").read_text())["measured"], (folder / "benchmarks.md").read_text()


def test_the_counts_of_stskit_are_exact(found: Any) -> None:
    """A hundred threads or eight processes with stskit make one call to STS, without errors or heavy imports."""
    seen = {each["what"]: each["values"] for each in found[0] if each["way"] == "stskit" and each["what"] in COUNTS}
    assert seen.keys() == COUNTS.keys()
    assert [what for what, values in seen.items() if not values or not set(values) <= set(COUNTS[what])] == []


def test_no_area_fails(found: Any) -> None:
    """No measurement fails; peers that are not installed are left out."""
    faults = {(each["what"], each["way"]): each["fault"] for each in found[0] if each["fault"]}
    assert faults == {}


def test_the_page_has_all_areas(found: Any) -> None:
    """The page of results has a section for each area, and no other sections."""
    sections = [line.removeprefix("## ") for line in found[1].splitlines() if line.startswith("## ")]
    areas = ["Import", "Cold start", "Warm call", "Bulk", "Contention", "Hot path", "Memory", "File"]
    assert sections == [*areas, "Method"]
