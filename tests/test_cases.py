"""Every case in cases.md has a test with its name, and every promise in cases.md is on its page.

Run as a program, this file prints the tests of each case.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PAGES = {
    "README.md": TESTS.parent / "README.md",
    **{path.name: path for path in (TESTS.parent / "docs" / "explanation").glob("*.md")},
}
PROMISED = ["README.md", "caches.md", "endpoints.md", "refresh.md", "security.md"]


def catalogue() -> dict[str, str]:
    """Return the claim of each case by the name of the case."""
    return dict(re.findall(r"^\| ([A-Z]\d+) \| (.+) \|$", (TESTS / "cases.md").read_text(), re.MULTILINE))


def promises() -> dict[str, tuple[str, str]]:
    """Return the page and the text of each promise by the name of the case."""
    rows = {name: rest.split(" | ", 1) for name, rest in catalogue().items() if name[0] == "P"}
    return {name: (page, words.replace("\\|", "|")) for name, (page, words) in rows.items()}


def held() -> dict[str, list[str]]:
    """Return the tests of each case, as FILE::TEST."""
    tests: dict[str, list[str]] = {}
    for path in sorted(TESTS.glob("test_*.py")):
        for case, name in marked(ast.parse(path.read_text())):
            tests.setdefault(case, []).append(f"{path.name}::{name}")
    return tests


def marked(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each case that a marker names, with the name of its test. The marker can be on one set of parameters."""
    for function in module.body:
        if isinstance(function, ast.FunctionDef):
            for call in (node for each in function.decorator_list for node in ast.walk(each)):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.case":
                    yield from ((ast.literal_eval(argument), function.name) for argument in call.args)


def test_every_case_has_a_test() -> None:
    """Every case of the catalogue has a test."""
    families = {name[0] for name in catalogue()}
    assert catalogue().keys() == {name for name in held() if name[0] in families}


def test_every_promise_is_on_its_page() -> None:
    """Every promise of the catalogue is on its page, word for word, and every page with promises is covered."""
    pages = {name: " ".join(PAGES[name].read_text().split()) for name in PROMISED}
    assert [(name, words) for name, (page, words) in promises().items() if words not in pages[page]] == []
    assert sorted({page for page, _ in promises().values()}) == PROMISED


if __name__ == "__main__":
    tests = held()
    for case, claim in catalogue().items():
        print(f"{case:4} {claim}\n     {', '.join(tests.get(case, ['NOTHING']))}")  # noqa: T201
