"""The example package of docs/examples uses public names only. Its own tests run in .ci/run."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "stskit-keyring"
FILES = sorted(path for folder in ("src", "tests") for path in (EXAMPLE / folder).rglob("*.py"))


def taken(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Return the modules of stskit that a file imports, each with the imported name, or ""."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] == "stskit")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "stskit":
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.case("P17")
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLE)))
def test_the_example_imports_public_names_only(path: Path) -> None:
    """The example package imports only public names of stskit."""
    text = path.read_text()
    assert "stskit._" not in text
    for module, name in taken(ast.parse(text)):
        assert not name or name in importlib.import_module(module).__all__, f"{module}.{name}"


def test_the_example_uses_all_three_checks() -> None:
    """The tests of the example package use all three checks."""
    found = {each for path in FILES for each in taken(ast.parse(path.read_text()))}
    assert {("stskit.testing", f"check_{part}") for part in ("source", "sink", "cache")} <= found
