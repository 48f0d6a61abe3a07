"""Two directives: Markdown from a function, and the options of a command from its parser."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from doc_commands import options_of
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles


def named(dotted: str) -> Any:
    """Return the object with a dotted name."""
    module, _, name = dotted.rpartition(".")
    return getattr(import_module(module), name)


class Written(SphinxDirective):
    """Base of both directives: an argument, and Markdown that becomes a part of the page."""

    required_arguments = 1

    def read(self, text: str) -> list[nodes.Node]:
        """Return the nodes of *text*, with its sections."""
        parent = nodes.Element()
        nested_parse_with_titles(self.state, StringList(text.split("\n"), self.arguments[0]), parent)
        return list(parent.children)


class FromCode(Written):
    """``{from-code} module.function``: insert the Markdown that a function returns."""

    def run(self) -> list[nodes.Node]:
        """Call the function, and insert its result into the page."""
        return self.read(named(self.arguments[0])())


class CommandLine(Written):
    """``{command-line} module.function``: insert the commands and options of an `argparse.ArgumentParser`."""

    def run(self) -> list[nodes.Node]:
        """Call the function, and insert each command of its parser."""
        return self.read(options_of(named(self.arguments[0])()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both directives."""
    app.add_directive("from-code", FromCode)
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
