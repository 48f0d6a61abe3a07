"""Names in docstrings and annotations, found as Python finds them: `SAMLFile`, `fetch`, `stskit.Role`, `timedelta`.

What is documented becomes a link, in Markdown too. What belongs to Python or to botocore stays text. Any other name in
an annotation, or in a role that was written by hand, is left to Sphinx, which reports it.
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
    """A name in single backquotes: a link where it is that of something documented, else code."""

    def process_link(
        self, env: BuildEnvironment, refnode: nodes.Element, _has_explicit_title: bool, title: str, target: str
    ) -> tuple[str, str]:
        """Keep where the name stands, for that is where it is looked up."""
        refnode["py:module"] = env.ref_context.get("py:module")
        refnode["py:class"] = env.ref_context.get("py:class")
        refnode["may_be_text"] = True
        return title, target


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element) -> nodes.Node | None:
    """A link to what *node* names; the text of it where it is not ours to document; None where nobody knows it."""
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
    if target[:1].isupper():  # a class: there are no two of one name
        found += [name for name in documented if name.endswith(f".{target}")]
    return found


@cache
def _true_name(dotted: str) -> str:
    """Where the object of that name was made, which is how autodoc knows it; "" where there is none."""
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
    """In Markdown, what stands in backquotes and is the whole name of a class or function is looked up too."""
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


def setup(app: Sphinx) -> dict[str, bool]:
    """Make it the role of what has no other."""
    app.add_role("name", NameRole())
    app.connect("doctree-read", link_code)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
