"""Resolve names in docstrings, annotations and Markdown: `SAMLFile`, `fetch`, `stskit.Role`, `timedelta`.

A name with documentation becomes a link. A name of Python or botocore stays text. Sphinx reports any other name in an
annotation or in an explicit role.
"""

from __future__ import annotations

import builtins
import re
from functools import cache
from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.addnodes import desc, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util.nodes import make_refnode

_OF_PYTHON = ("argparse", "collections.abc", "contextlib", "datetime", "os", "random", "typing")
_ELSEWHERE = (*_OF_PYTHON, "boto3", "botocore")
_NAME = re.compile(r"[A-Z][A-Za-z0-9]+|assume|assume_all|boto3_session|caller_identity|stskit(\.\w+)+")
_TYPES = ("name", "obj", "class", "exc", "func", "meth", "attr", "data", "mod")


class NameRole(XRefRole):
    """A name in single backquotes: a link if it is documented, else code."""

    def process_link(
        self, env: BuildEnvironment, refnode: nodes.Element, _has_explicit_title: bool, title: str, target: str
    ) -> tuple[str, str]:
        """Store the module and the class of the docstring, because the name is looked up there first."""
        refnode["py:module"] = env.ref_context.get("py:module")
        refnode["py:class"] = env.ref_context.get("py:class")
        refnode["may_be_text"] = True
        return title, target


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element) -> nodes.Node | None:
    """Return a link for a name, its text if it belongs to another project, or None if it is unknown."""
    if node["refdomain"] not in ("", "py") or node["reftype"] not in _TYPES:
        return None
    target, module, owner = node["reftarget"], node.get("py:module") or "stskit", node.get("py:class")
    documented = env.get_domain("py").data["objects"]
    for name in _candidates(target, module, owner, documented):
        if name in documented:
            entry = documented[name]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, name)
    return contnode if node.get("may_be_text") or _is_elsewhere(target) else None


def _candidates(target: str, module: str, owner: str | None, documented: Any) -> list[str]:
    found = [f"{module}.{owner}.{target}"] if owner else []
    found += [f"{module}.{target}", target]
    found += [_true_name(each) for each in (f"{module}.{target}", target) if _true_name(each)]
    public = re.sub(r"^([a-z_]+\.)+(?=[A-Z])", "", target)
    if public[:1].isupper():  # a class or a member of one: no two classes have the same name
        found += [name for name in documented if name.endswith(f".{public}")]
    return found


@cache
def _true_name(dotted: str) -> str:
    """Return the name under which an object was defined, or "" if there is no such object."""
    parts = dotted.split(".")
    for number in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:number]))
        except ImportError:
            continue
        for part in parts[number:]:
            if not hasattr(found, part):
                return ""
            found = getattr(found, part)
        return f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    return ""


@cache
def _is_elsewhere(target: str) -> bool:
    if target.startswith(tuple(f"{name}." for name in _ELSEWHERE)) or hasattr(builtins, target):
        return True
    if "." not in target and any(hasattr(import_module(name), target) for name in _OF_PYTHON):
        return True
    return re.fullmatch(r"(.*\.)?[A-Z](_co)?", target) is not None  # a type variable


def link_code(app: Sphinx, doctree: nodes.document) -> None:
    """Link the names of classes and functions in Markdown that stand alone in backquotes."""
    for literal in list(doctree.findall(nodes.literal)):
        inside = isinstance(literal.parent, nodes.title | nodes.reference | pending_xref) or _is_in_docstring(literal)
        if inside or not _NAME.fullmatch(text := literal.astext()):
            continue
        found = pending_xref("", refdomain="py", reftype="name", reftarget=text, may_be_text=True)
        found["refdoc"] = app.env.docname
        literal.replace_self(found)
        found += literal


def _is_in_docstring(node: nodes.Node | None) -> bool:
    while node is not None and not isinstance(node, desc):
        node = node.parent
    return node is not None


def correct_links_of_source(app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Lead from the source of an object to its description, also where the two have different module names.

    `sphinx.ext.viewcode` takes one module name for all objects of a source file, but `stskit.Role` and
    `stskit.roles.RoleARN` are in the same file.
    """
    if page.startswith("_modules/"):
        documented = app.env.get_domain("py").data["objects"]

        def correct(found: re.Match[str]) -> str:
            names: list[str] = [name for name in documented if name.endswith(f".{found['name']}")]
            return found["before"] + min(names, key=len)

        link = r'(?P<before>id="(?P<name>[\w.]+)">\n<a class="viewcode-back" href="[^"#]*#)[^"]*'
        context["body"] = re.sub(link, correct, context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the role, which is the default role of docstrings."""
    app.add_role("name", NameRole())
    app.connect("doctree-read", link_code)
    app.connect("missing-reference", resolve)
    app.connect("html-page-context", correct_links_of_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
