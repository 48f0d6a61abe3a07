"""Signatures of attrs classes for the documentation, with each default as it is written in the code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import attrs
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

from stskit.sinks import Shell

# Private names of types, and what they stand for.
_ALIASES = {
    "Code": "str | Callable[[str], str] | MFACommand",
    "Shell": repr(Shell).removeprefix("typing."),
}


MINUTE = timedelta(minutes=1)


def signature(
    _app: Sphinx, _what: str, _name: str, thing: object, _options: object, given: str | None, _returns: str | None
) -> tuple[str | None, str | None] | None:
    """Return the signature of an attrs class, with its defaults as code. A protocol has no signature."""
    if getattr(thing, "_is_protocol", False):
        return "", None
    if isinstance(thing, type) and attrs.has(thing) and given:
        return f"({', '.join(_parameters(thing))})", None
    return None


def _parameters(thing: type) -> Iterator[str]:
    types: dict[str, Any] = {}
    for base in reversed(thing.__mro__):
        types.update(getattr(vars(base).get("__init__"), "__annotations__", {}))
    star = False
    for field in attrs.fields(thing):
        if not field.init:
            continue
        if field.kw_only and not star:
            star = True
            yield "*"
        name = field.alias or field.name
        stated = types.get(name, field.type)
        kind = stated if isinstance(stated, str) else stringify_annotation(stated, "smart")
        yield f"{name}: {_ALIASES.get(kind, kind)}{_default(field)}"


def _default(field: Any) -> str:
    if field.default is attrs.NOTHING:
        return ""
    if not isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        return f" = {_shown(field.default)}"
    factory = field.default.factory
    return " = {}" if factory is dict else f" = {factory.__name__}()"


def _shown(value: object) -> str:
    """Return a value as code. Fields with their default value are omitted."""
    if isinstance(value, timedelta):
        whole = value >= MINUTE and not value % MINUTE
        return f"timedelta(minutes={value / MINUTE:g})" if whole else f"timedelta(seconds={value.total_seconds():g})"
    if attrs.has(kind := type(value)):
        given = {field: getattr(value, field.name) for field in attrs.fields(kind)}
        differ = [f"{field.name}={_shown(shown)}" for field, shown in given.items() if shown != field.default]
        return f"{kind.__name__}({', '.join(differ)})"
    if isinstance(value, tuple) and value:
        return f"({', '.join(map(_shown, value))})"
    return repr(value)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the handler with autodoc."""
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
