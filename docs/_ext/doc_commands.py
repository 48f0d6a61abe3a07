"""Write an `argparse.ArgumentParser` as Markdown: a section for each command, a table for each group."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

__all__ = ["options_of"]


def options_of(parser: argparse.ArgumentParser) -> str:
    """Return the parser and its commands, each as a section with usage, description and tables."""
    return "\n".join(_lines(parser))


def _lines(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {parser.prog}\n"
    if parser.description:
        yield f"{_text(parser, parser.description)}\n"
    yield f"```text\n{_usage(parser)}\n```\n"
    for group in parser._action_groups:
        yield from _group(parser, group)
    if parser.epilog:
        yield f"{_text(parser, parser.epilog)}\n"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                yield from _lines(command)


def _group(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> Iterator[str]:
    rows = [action for action in group._group_actions if _is_shown(action)]
    if not rows:
        return
    about = f": {_text(parser, group.description)}" if group.description else ""
    yield f"**{_sentence(group.title or 'options')}**{about}\n"
    yield "| Argument | Meaning |\n|---|---|"
    yield from (f"| {_names(parser, action)} | {_help(parser, action)} |" for action in rows)
    yield ""


def _is_shown(action: argparse.Action) -> bool:
    elsewhere = isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    return action.help != argparse.SUPPRESS and not elsewhere


def _usage(parser: argparse.ArgumentParser) -> str:
    return parser.format_usage().removeprefix("usage: ").rstrip()


def _names(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    usual = action.dest.upper() if action.option_strings else action.dest
    metavar = parser._get_formatter()._format_args(action, usual) if action.nargs != 0 else ""
    names = [f"{name} {metavar}".strip() for name in action.option_strings] or [metavar]
    return ", ".join(f"`{_cell(name)}`" for name in names)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = action.help or ""
    values = {**vars(action), "prog": parser.prog}
    return _cell(_text(parser, text % values if "%" in text else text))


def _text(parser: argparse.ArgumentParser, text: str) -> str:
    """Return *text* in Markdown: a text of several lines keeps its lines, and options are code."""
    text = text.replace("%(prog)s", parser.prog).strip()
    if "\n" in text:
        return f"```text\n{text}\n```"
    return re.sub(r"(?<!\S)--?[a-z][\w-]*", r"`\g<0>`", text.replace("*", "\\*").replace("<", "\\<"))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
