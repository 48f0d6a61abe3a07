"""The installed package: its import time, its dependencies and its files."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from helpers import PACKAGE

import stskit

ROOT = Path(__file__).parent.parent
HEAVY = ["botocore", "boto3", "urllib3", "dateutil", "ssl", "http.client"]


# Modules that are imported on first use, inside functions: they import heavy libraries at their top, or are not needed
# before the first call. The lists of public names in `stskit.sinks` and `stskit._cli` work the same way.
ON_FIRST_USE = {
    "stskit._version",
    "stskit._cli.doctor.examine",
    "stskit._cli.log_lines",
    "stskit._io.atomic",
    "stskit._io.cache_folder",
    "stskit._io.streams",
    "stskit.proofs.browser_log",
    "stskit.proofs.saml_encoding",
    "stskit.proofs.saml_parser",
    "stskit.proofs.token_form",
    "stskit.sinks.live_credentials",
    "stskit.sources.profile.errors",
    "stskit.sources.profile.cache_key",
    "stskit.sources.profile.missing",
    "stskit.sources.profile.provider_chain",
    "stskit.sts.clients",
    "stskit.sts.loader",
    "stskit.sts.refusals",
    "stskit.sts.remedies",
    "stskit.sts.retry",
    "stskit.sts.shared_config",
    "stskit.sts.settings",
    "stskit.sts.wire",
}


MODULES = {
    f"stskit.{path.relative_to(PACKAGE).with_suffix('').as_posix().replace('/', '.').removesuffix('.__init__')}"
    for path in PACKAGE.rglob("*.py")
}


def imported_in_functions(path: Path) -> set[str]:
    """Return the modules of stskit that the file imports inside functions."""
    functions = [each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.FunctionDef)]
    imports = [each for function in functions for each in ast.walk(function) if isinstance(each, ast.ImportFrom)]
    names = {f"{each.module}.{alias.name}" for each in imports for alias in each.names}
    return (names | {str(each.module) for each in imports}) & MODULES


def test_only_listed_modules_are_imported_in_functions() -> None:
    """Only the listed modules are imported inside functions."""
    used = {name for path in PACKAGE.rglob("*.py") for name in imported_in_functions(path)}
    packages = {"stskit._io", "stskit.proofs", "stskit.sources.profile", "stskit.sts"}  # `from package import module`
    plugin = {"stskit.testing"}  # the fixtures of the pytest plugin import it; the wheel has the plugin elsewhere
    assert used - packages - plugin == ON_FIRST_USE


def modules_after(code: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after *code*."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDEVMODE"}  # it loads three more
    command = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split())


@pytest.mark.case("P35")
def test_import_stskit_loads_few_modules() -> None:
    """Import stskit loads no slow library, and at most 97 further modules on Python 3.11."""
    loaded = modules_after("import stskit")
    assert loaded & {*HEAVY, *ON_FIRST_USE} == set()
    assert len(loaded) <= 130
    assert len(loaded - modules_after("pass")) <= 97 or sys.version_info >= (3, 12)


@pytest.mark.case("P7")
def test_the_command_line_loads_modules_when_needed() -> None:
    """The command line loads sinks, logging and slow libraries only if a command uses them."""
    loaded = modules_after("import stskit.__main__")
    assert loaded & {*HEAVY, "getpass", "logging", "shutil", "urllib.parse"} == set()
    assert {name for name in loaded if name.startswith("stskit.sinks.")} == set()


def test_the_package_has_three_dependencies() -> None:
    """The package has three dependencies without extras."""
    needed = [line for line in requires("stskit") or [] if "extra ==" not in line]
    assert sorted(re.split(r"[<>=!~ ]", line)[0] for line in needed) == ["attrs", "botocore", "python-dateutil"]
    assert all(">=" in line for line in needed)


@pytest.mark.case("P36")
def test_the_package_contains_py_typed() -> None:
    """The package contains py.typed."""
    assert (Path(stskit.__file__).parent / "py.typed").is_file()


def test_the_public_names_are_sorted_and_exist() -> None:
    """`__all__` is sorted, its names exist, and the version is a text."""
    assert stskit.__all__ == sorted(stskit.__all__)
    assert all(hasattr(stskit, name) for name in stskit.__all__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", stskit.__version__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = stskit.nothing


def test_a_sink_is_loaded_when_its_name_is_used() -> None:
    """A sink is loaded when its name is used, and an unknown name is an AttributeError."""
    assert dir(stskit.sinks) == sorted(stskit.sinks.__all__)
    assert all(hasattr(stskit.sinks, name) for name in stskit.sinks.__all__)
    with pytest.raises(AttributeError, match=r"module 'stskit\.sinks' has no attribute 'nothing'"):
        _ = stskit.sinks.nothing


def test_nothing_else_lies_at_the_top() -> None:
    """The repository has only the expected files at its top level."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone, so other files can be here")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    top = {line.split("/")[0] for line in done.stdout.splitlines()}
    expected = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "stskit", "tests", "docs"}
    assert {name for name in top if not name.startswith(".")} <= expected


def test_the_changelog_tells_of_this_version() -> None:
    """The change log has a section for this version, or for the next one."""
    assert re.search(
        rf"^## \[({re.escape(stskit.__version__)}|Unreleased)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
