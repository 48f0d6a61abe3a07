"""The file list shows the architecture: imports go one way only, and botocore comes in by three doors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import stskit

PACKAGE = Path(stskit.__file__).parent

# From the left to the right; a module imports only from groups before its own.
GROUPS: list[set[str]] = [
    {"_cli", "_disk", "_doctor", "_profile", "_proofs", "_refresh", "_sts", "_text"},  # folders
    {"errors"},
    {"_disk.files", "_disk.locks", "_forks", "_proofs.jwt", "_secret", "_text.env_file", "_text.ini_section", "_times"}
    | {"_text.shown"},
    {"_disk.rewrite", "_proofs.saml_reader", "_text.ini"},
    {"_proofs.browser_log", "_proofs.saml_text"},
    {"_sts.limits", "arns", "saml", "web_identity"},
    {"mfa"},
    {"identity", "roles"},
    {"_proofs.file", "_sts.data", "protocols"},
    {"_profile.chain", "_proofs.whose", "_refresh.policy", "_sts.again", "_sts.clients", "_sts.facts", "_sts.remedies"}
    | {"_proofs.given_files", "_sts.requests", "caches._entry", "sinks._profiles", "sinks._variables"},
    {"_profile.identity", "_refresh.hops", "_refresh.outbox", "_refresh.shelf", "_sts.refusals"},
    {"_profile.faults", "caches.file", "caches.memory", "refresh", "sts"},
    {"caches", "testing._refusal", "testing._rsa", "testing.clock", "testing.faults", "testing.trust"},
    {"testing._model", "testing._saml", "testing._signatures", "testing.calls"},
    {"testing.identity_provider"},
    {"testing._federation", "testing._world"},
    {"testing._expect", "testing._sessions"},
    {"testing._operations", "testing.check_cache", "testing.check_sink", "testing.check_source"},
    {"testing._brain"},
    {"testing._server"},
    {"testing.fake_sts"},
    {"testing", "testing._practice"},
    {"testing.__main__"},
    {"_pytest"},
    {"sources.oidc_token_file", "sources.profile", "sources.saml_file", "sources.session_token"}
    | {"sources.static"}
    | {"sinks.credential_process", "sinks.credentials_file", "sinks.dot_env", "sinks.environment", "sinks.session"}
    | {"sinks.shell_exports"},
    {"sinks", "sources"},
    {"engine"},
    {"fleet"},
    {""},  # stskit itself
    {"_doctor.findings"},
    {"_doctor.region"},
    {"_doctor.files", "_doctor.proofs", "_doctor.server", "_doctor.sso"},
    {"_doctor.profile"},
    {"_doctor.credentials"},
    {"_doctor.examine"},
    {"_cli.options", "_cli.usage"},
    {"_cli.mfa_code", "_cli.show"},
    {"_cli.deliver", "_cli.parser", "_cli.recipe"},
    {"_cli.commands"},
    {"__main__"},
]
DOORS = {
    "botocore": {
        "_profile.chain",
        "_profile.identity",
        "_sts.clients",
        "_sts.data",
        "sinks.session",
        "sources.profile",
        "testing._model",
    }
    | {"_cli.recipe", "_doctor.credentials", "_doctor.files", "_doctor.server"},
    "boto3": {"sinks.session"},
    "dateutil": {"_times"},
}
ON_FIRST_USE = {"_sts.data"}  # modules that are only imported inside functions, and may import what is heavy
MODULES = {
    f"stskit.{path.relative_to(PACKAGE).with_suffix('').as_posix().replace('/', '.')}" for path in PACKAGE.rglob("*.py")
}


@cache
def modules() -> dict[str, ast.Module]:
    paths = {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")}
    return {
        name.replace("/", ".").removesuffix("__init__").rstrip("."): ast.parse(path.read_text())
        for name, path in paths.items()
    }


def imports(node: ast.AST, *, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """The modules that *node* imports when it runs, and whether inside a function."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.Import():
            yield from ((alias.name, inside) for alias in node.names)
        case ast.ImportFrom():
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in MODULES or node.module == "stskit" else node.module or ""), inside
    inside = inside or isinstance(node, ast.FunctionDef)
    for child in ast.iter_child_nodes(node):
        yield from imports(child, inside=inside)


def test_every_module_has_its_place() -> None:
    """A new file is put into a group, by hand and on purpose."""
    assert sorted(modules()) == sorted(name for group in GROUPS for name in group)


@pytest.mark.parametrize("number", range(len(GROUPS)))
def test_a_module_imports_only_from_groups_before_its_own(number: int) -> None:
    """So no two modules of a group know each other, and there is no circle."""
    before = {name for group in GROUPS[:number] for name in group}
    for name in GROUPS[number]:
        ours = {module for module, _ in imports(modules()[name]) if module.split(".")[0] == "stskit"}
        assert {module.removeprefix("stskit").lstrip(".") for module in ours} <= before, name


@pytest.mark.parametrize("library", DOORS)
def test_a_heavy_library_comes_in_by_its_doors_and_on_first_use(library: str) -> None:
    """Nowhere else, and inside functions: importing stskit does not pay for it."""
    users = {
        (name, inside)
        for name, tree in modules().items()
        for module, inside in imports(tree)
        if module.split(".")[0] == library
    }
    assert users == {(name, name not in ON_FIRST_USE) for name in DOORS[library]}


def test_what_may_import_at_its_top_is_imported_on_first_use() -> None:
    """By whoever needs it, inside a function."""
    found = {each for tree in modules().values() for each in imports(tree)}
    for name in ON_FIRST_USE:
        assert (f"stskit.{name}", True) in found, name
        assert (f"stskit.{name}", False) not in found, name


def test_no_module_and_no_function_is_long() -> None:
    """What wants to be two is cut in two: 250 lines for a module, 40 for a function."""
    for name, tree in modules().items():
        assert max((node.end_lineno or 0 for node in tree.body), default=0) <= 250, name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno <= 40, (name, node.name)
