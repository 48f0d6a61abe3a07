"""The examples in docstrings run in the folder of a practice AWS, one module at a time."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pages import practice_aws

import stskit

MODULES = [
    found.name for found in pkgutil.walk_packages(stskit.__path__, "stskit.") if not found.name.endswith("__main__")
]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
RUN = """
import doctest, importlib, sys
result = doctest.testmod(importlib.import_module(sys.argv[1]), optionflags=int(sys.argv[2]))
sys.exit(bool(result.failed))
"""


def has_examples(module: str) -> bool:
    """Return whether a docstring of the module, or of an object defined in it, has an example."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    return any(test.examples for test in finder.find(importlib.import_module(module)))


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Yield the folder of a practice AWS and an environment in which its profile ``base`` is the default."""
    home = tmp_path_factory.mktemp("home")
    folder = tmp_path_factory.mktemp("practice")
    with practice_aws(folder) as environment:
        yield folder, {**environment, "AWS_PROFILE": "base", "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}


@pytest.mark.parametrize("module", ["stskit", *(name for name in MODULES if has_examples(name))])
def test_the_examples_in_docstrings_show_what_they_print(module: str, practice: tuple[Path, Mapping[str, str]]) -> None:
    """Every example in a docstring prints the output that it shows."""
    folder, environment = practice
    done = subprocess.run(
        [sys.executable, "-c", RUN, module, str(OPTIONS)],
        cwd=folder,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout, done.stderr) == ("", "")
