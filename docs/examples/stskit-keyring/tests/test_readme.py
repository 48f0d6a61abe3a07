"""Test the example of the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from stskit.testing import FakeSTS


@pytest.mark.usefixtures("stskit_aws")
def test_the_example_runs_as_printed(stskit_sts: FakeSTS) -> None:
    """The example of the README runs as printed, with one AssumeRole call."""
    text = (Path(__file__).parent.parent / "README.md").read_text()
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, "README.md", "exec"), {})
    assert stskit_sts.count("AssumeRole") == 1
