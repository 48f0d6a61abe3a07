"""The documentation: every public name has a complete docstring and a place in the reference, and all links work."""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
import doc_tables
import doc_timeline
import pytest
from botocore.model import ServiceModel
from botocore.session import Session
from doc_commands import options_of

import stskit
from stskit import RefreshPolicy
from stskit.limits import PARAMETERS
from stskit.sts.remedies import REMEDIES
from stskit.sts.requests import OPERATIONS

ROOT = Path(__file__).parent.parent
# It has no leading underscore, so that the list of files shows where it is, but users do not need it.
INTERNAL = {"cache_key"}
MODULES = [
    f"stskit.{found.name}"
    for found in pkgutil.iter_modules(stskit.__path__)
    if not found.name.startswith("_") and found.name not in INTERNAL
]
NAMES = {f"{module}.{name}" for module in MODULES for name in importlib.import_module(module).__all__}


def named(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)


CLASSES = sorted(name for name in NAMES if isinstance(named(name), type))
FUNCTIONS = {name: named(name) for name in sorted(NAMES - set(CLASSES)) if inspect.isfunction(named(name))}
MEMBERS = {
    f"{name}.{each}": member
    for name in CLASSES
    for each, member in vars(named(name)).items()
    if not each.startswith("_") and (inspect.isroutine(member) or isinstance(member, property | classmethod))
}


# Docstrings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["stskit", *MODULES])
def test_a_public_module_has_a_docstring(module: str) -> None:
    """Every public module has a docstring."""
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS, *MEMBERS])
def test_a_public_name_has_a_docstring(name: str) -> None:
    """Each public class, function, method and property has its own docstring."""
    thing = MEMBERS[name] if name in MEMBERS else named(name)
    assert (thing.__doc__ or "").strip()


METHODS = {name: member for name, member in MEMBERS.items() if not isinstance(member, property)}


def sections(docstring: str) -> dict[str, str]:
    """Return the sections of a docstring in Google style, each without its heading."""
    parts = re.split(r"^ *(Args|Attributes|Returns|Yields|Raises|Example):\n", docstring, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section: str) -> list[str]:
    """Return the names that a section explains, one at the start of each entry."""
    text = inspect.cleandoc(f"\n{section}")
    return re.findall(r"^\**(\w+):", text, re.MULTILINE)


def parameters(function: Any) -> list[str]:
    """Return the names of the parameters that a caller passes."""
    function = getattr(function, "__func__", function)
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS])
def test_a_public_function_explains_each_argument(name: str) -> None:
    """The section Args of a public function has one entry for each parameter, in the order of the signature."""
    function = {**FUNCTIONS, **METHODS}[name]
    assert entries(sections(function.__doc__).get("Args", "")) == parameters(function)


@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS])
def test_a_public_function_says_what_it_returns(name: str) -> None:
    """The docstring of a public function has a section Returns or Yields, unless it returns None."""
    function = {**FUNCTIONS, **METHODS}[name]
    returned = inspect.signature(getattr(function, "__func__", function)).return_annotation
    found = {"Returns", "Yields"} & sections(function.__doc__).keys()
    assert bool(found) == (returned not in ("None", "NoReturn"))


@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS])
def test_a_public_function_says_what_it_raises(name: str) -> None:
    """The docstring of a public function has a section Raises, or says that nothing is raised."""
    docstring = {**FUNCTIONS, **METHODS}[name].__doc__
    assert ("Raises" in sections(docstring)) != ("Raises nothing" in docstring)


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_a_public_name_has_an_example(name: str) -> None:
    """Each public class and function has an example. The examples run in test_docstring_examples.py."""
    assert ">>> " in sections(named(name).__doc__).get("Example", "")


@pytest.mark.parametrize("name", [name for name in CLASSES if attrs.has(named(name))])
def test_a_public_field_is_explained(name: str) -> None:
    """Each field of a public class has an entry in a section Args or Attributes of the class or of a base class."""
    thing = named(name)
    fields = {field.name for field in attrs.fields(thing) if not field.name.startswith("_")}
    found = [sections(each.__doc__ or "") for each in thing.__mro__ if attrs.has(each)]
    assert fields <= {
        entry for each in found for part in ("Args", "Attributes") for entry in entries(each.get(part, ""))
    }


# Pages that are generated from the code --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    """Return botocore's service model of STS. Skips the test if it is older than stskit's table."""
    found = Session().get_service_model("sts")
    shape = found.operation_model("AssumeRole").input_shape
    if shape is None or not {name for names in PARAMETERS.values() for name in names} <= set(shape.members):
        pytest.skip("this botocore has an older model of STS than the table was made by")
    return found


def test_the_conformance_table_has_every_parameter_of_the_model(model: ServiceModel) -> None:
    """The conformance page has every parameter of botocore's STS model, so a parameter that AWS adds fails here."""
    assert doc_tables.uncovered(model) == []
    page = doc_tables.conformance()
    for operation in OPERATIONS:
        section = page.split(f"\n## {operation}\n")[1].split("\n## ")[0]
        shape = model.operation_model(operation).input_shape
        assert all(f"| `{name}`" in section for name in (shape.members if shape else ()))


def test_a_missing_parameter_is_named(model: ServiceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the table lacks a parameter, the check names it and the page cannot be generated."""
    known = OPERATIONS["AssumeRole"]
    less = attrs.evolve(known, options=tuple(option for option in known.options if option != "tags"))
    monkeypatch.setattr("doc_tables.OPERATIONS", {**OPERATIONS, "AssumeRole": less})
    assert doc_tables.uncovered(model) == ["AssumeRole.Tags"]
    with pytest.raises(KeyError, match="Tags"):
        doc_tables.conformance()


def test_the_conformance_page_lists_missing_operations(model: ServiceModel) -> None:
    """The conformance page lists each operation of STS that stskit does not have."""
    others = doc_tables.conformance().split("## Other operations")[1]
    assert sorted(re.findall(r"^- (\w+):", others, re.MULTILINE)) == sorted(doc_tables.missing(model))
    assert {*OPERATIONS, *doc_tables.missing(model)} == set(model.operation_names)


def test_the_page_of_errors_has_every_remedy() -> None:
    """The page of errors has every remedy, in the section of its code."""
    page = doc_tables.errors().replace("\\", "")
    for row in REMEDIES:
        assert row.text in page.split(f"## {row.code}\n")[1].split("\n## ")[0]


def test_the_timeline_is_drawn_from_the_policy() -> None:
    """The timeline is drawn from the RefreshPolicy, so other numbers make another picture and another legend."""
    usual = doc_timeline.picture()
    other = doc_timeline.picture(RefreshPolicy(advisory=timedelta(minutes=10)))
    assert "starts 18 to 15 minutes before the expiration" in usual
    assert "follows at the first use after 5 to 10 minutes" in usual
    assert "starts 12 to 10 minutes before the expiration" in other
    assert usual.count("<circle") == len(doc_timeline.failures(RefreshPolicy())) == 3
    assert other.count("<circle") == 2


def parser() -> argparse.ArgumentParser:
    """Return a command-line parser with one example of each feature."""
    made = argparse.ArgumentParser("tool", description="What %(prog)s is for.", epilog="See also: man.")
    made.add_argument("--loud", action="store_true", help="a|b at 100%% of %(prog)s")
    made.add_argument("--hidden", help=argparse.SUPPRESS)
    run = made.add_subparsers().add_parser("run", description="Runs.")
    run.add_argument("roles", nargs="*", metavar="ROLE", help="the roles, left to right")
    where = run.add_argument_group("where", "What %(prog)s asks.").add_mutually_exclusive_group()
    where.add_argument("-r", "--region", default="us-east-1", help="default: %(default)s")
    return made


def test_the_page_of_a_command_line_has_all_its_options() -> None:
    """The page of a command line has all its commands and options with their help, without suppressed options."""
    text = options_of(parser())
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["tool", "tool run"]
    assert "What tool is for." in text
    assert "See also: man." in text
    assert "| `--loud` | a\\|b at 100% of tool |" in text
    assert "| `[ROLE ...]` | the roles, left to right |" in text
    assert "**Where**: What tool run asks." in text
    assert "| `-r REGION`, `--region REGION` | default: us-east-1 |" in text.split("**Where**")[1]
    assert "hidden" not in text


# The site --------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The links, anchors and headings of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Return a function that builds the site of a folder, with warnings as errors, and returns its path."""
    pytest.importorskip("sphinx")

    def run(source: Path) -> Path:
        to = tmp_path_factory.mktemp("site")
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
        done = subprocess.run(
            [*command, "-d", str(to / "doctrees"), str(source), str(to / "html")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return to / "html"

    return run


@pytest.fixture(scope="session")
def site(build: Callable[[Path], Path]) -> dict[Path, Page]:
    """Return the pages of the documentation."""
    folder = build(ROOT / "docs")
    return {path: Page(path) for path in folder.rglob("*.html")}


@pytest.mark.gate
def test_every_link_within_the_site_leads_somewhere(site: dict[Path, Page]) -> None:
    """Every link within the site leads to an existing file and to an existing anchor in it."""
    links = [(path, link) for path, page in site.items() for link in page.links]
    assert [f"{path.name}: {link}" for path, link in links if not leads(site, path, link)] == []


def leads(site: dict[Path, Page], path: Path, link: str) -> bool:
    url = urlsplit(link)
    if url.scheme or url.netloc:
        return True
    target = (path.parent / unquote(url.path)).resolve() if url.path else path
    anchor = unquote(url.fragment)
    return target.is_file() and (not anchor or target not in site or anchor in site[target].anchors)


@pytest.mark.gate
@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_is_in_the_reference(name: str, site: dict[Path, Page]) -> None:
    """A public name is described once in the reference, under a path from which it can be imported."""
    paths = {f"stskit.{each}" for each in stskit.__all__} | NAMES
    paths = {path for path in paths if named(path) is named(name)}
    assert len([page for page in site.values() for path in paths if path in page.anchors]) == 1


WORDS = ["console", "async", "windows", "lambda", "docker", "okta", "entra", "terraform"]


@pytest.mark.parametrize("word", WORDS)
def test_a_search_for_a_related_product_leads_somewhere(word: str) -> None:
    """A search for this related product finds a page of the site."""
    pages = [path.read_text().lower() for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    assert [page for page in pages if re.search(rf"\b{word}\b", page)]


@pytest.mark.gate
def test_a_page_can_have_a_command_line(build: Callable[[Path], Path], tmp_path: Path) -> None:
    """The directive `command-line` shows the options of the parser that the named function returns."""
    extensions = f"import sys\nsys.path[:0] = {[str(ROOT / 'docs' / '_ext'), str(tmp_path)]}\n"
    (tmp_path / "conf.py").write_text(f'{extensions}extensions = ["myst_parser", "doc_directives"]\n')
    (tmp_path / "shop.py").write_text(
        "import argparse\n"
        "def parser():\n"
        "    made = argparse.ArgumentParser('shop')\n"
        "    made.add_argument('--milk', help='with milk')\n"
        "    return made\n"
    )
    (tmp_path / "index.md").write_text("# Shop\n\n```{command-line} shop.parser\n```\n")
    page = (build(tmp_path) / "index.html").read_text()
    assert "--milk MILK" in page
    assert "with milk" in page


def test_a_page_begins_with_its_title() -> None:
    """Each page begins with its title, which links and the table of contents show."""
    for path in (ROOT / "docs").rglob("*.md"):
        if "_build" not in path.parts and path.name != "changelog.md":
            assert re.match(r"# \S", path.read_text()), path
