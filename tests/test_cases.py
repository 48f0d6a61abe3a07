"""Every case of cases.md is held by a test that names it; run as a program, this file prints by which."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent


def catalogue() -> dict[str, str]:
    """What must hold, by the name of the case."""
    return dict(re.findall(r"^\| ([A-Z]\d+) \| (.+) \|$", (TESTS / "cases.md").read_text(), re.MULTILINE))


def held() -> dict[str, list[str]]:
    """The tests that hold each case, as FILE::TEST."""
    tests: dict[str, list[str]] = {}
    for path in sorted(TESTS.glob("test_*.py")):
        for case, name in marked(ast.parse(path.read_text())):
            tests.setdefault(case, []).append(f"{path.name}::{name}")
    return tests


def marked(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Each case that a marker names, with the name of the test: on the test itself or on one of its parameter sets."""
    for function in module.body:
        if isinstance(function, ast.FunctionDef):
            for call in (node for each in function.decorator_list for node in ast.walk(each)):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.case":
                    yield from ((ast.literal_eval(argument), function.name) for argument in call.args)


def test_every_case_is_held() -> None:
    """None is left without a test."""
    families = {name[0] for name in catalogue()}
    assert catalogue().keys() == {name for name in held() if name[0] in families}


if __name__ == "__main__":
    tests = held()
    for case, claim in catalogue().items():
        print(f"{case:4} {claim}\n     {', '.join(tests.get(case, ['NOTHING']))}")  # noqa: T201
