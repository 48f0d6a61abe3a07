"""Two directives: a piece of a page that a function writes, and the options of a command from its parser."""

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
    """The object of that dotted name."""
    module, _, name = dotted.rpartition(".")
    return getattr(import_module(module), name)


class Written(SphinxDirective):
    """What both have in common: an argument, and text that is read as a part of the page."""

    required_arguments = 1

    def read(self, text: str) -> list[nodes.Node]:
        """The nodes of *text*, sections included."""
        parent = nodes.Element()
        nested_parse_with_titles(self.state, StringList(text.split("\n"), self.arguments[0]), parent)
        return list(parent.children)


class FromCode(Written):
    """``{from-code} module.function``: the Markdown that the function gives, when the page is built."""

    def run(self) -> list[nodes.Node]:
        """Call it, and read what it gives as a part of the page."""
        return self.read(named(self.arguments[0])())


class CommandLine(Written):
    """``{command-line} module.function``: all commands and options of the `argparse.ArgumentParser` it gives."""

    def run(self) -> list[nodes.Node]:
        """Ask for the parser, and write its commands one after the other."""
        return self.read(options_of(named(self.arguments[0])()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add both."""
    app.add_directive("from-code", FromCode)
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
