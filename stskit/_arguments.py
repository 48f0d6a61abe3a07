"""Checks of arguments: wrong types, and paths that are not paths."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from stskit.errors import StskitError

__all__ = ["check_method", "check_type", "describe", "expanded", "path_text", "secret_kind", "wrong_type"]

_MAX_COMPONENT: Final = 255  # bytes; no common file system allows a longer file name
_JWT: Final = re.compile(r"\s*eyJ[\w-]+\.[\w-]+\.")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=%\s]{120,}")


def check_type(argument: str, value: object, kinds: type | tuple[type, ...], expected: str, hint: str = "") -> None:
    """Check that *value* is an instance of one of *kinds*.

    *expected* says what the argument must be ("a Role or an ARN"); *hint* is a sentence about what to write. Raises
    `TypeError`, which names the class of *value* and never quotes it: it may be a secret.
    """
    if not isinstance(value, kinds):
        wrong_type(argument, value, expected, hint)


def check_method(argument: str, value: object, method: str, expected: str, hint: str = "") -> None:
    """Check that *value* is an object, not a class, with that *method*. Raises `TypeError` as `check_type` does."""
    if isinstance(value, type) or not callable(getattr(value, method, None)):
        wrong_type(argument, value, expected, hint or f"It needs a method {method}().")


def wrong_type(argument: str, value: object, expected: str, hint: str = "") -> NoReturn:
    """Raise the `TypeError` for *argument*."""
    raise TypeError(f"{argument} must be {expected}, not {describe(value)}. {hint}".rstrip())


def describe(value: object) -> str:
    """Return the class of *value* in words, without the value: "str", or "the class SAMLFile itself"."""
    return f"the class {value.__qualname__} itself" if isinstance(value, type) else type(value).__qualname__


def secret_kind(text: str) -> str | None:
    """Return what *text* seems to be, if it is not a path but the content of a file; None for a possible path."""
    if _JWT.match(text):
        return "a JSON Web Token"
    if text.lstrip().startswith("<"):
        return "XML"
    if text.lstrip().startswith(("{", "[")):
        return "JSON"
    if "\n" in text or "\r" in text:
        return "text of several lines"
    if any(len(os.fsencode(part)) > _MAX_COMPONENT for part in text.split("/")):
        return "a long text without slashes"
    return "base64" if _BASE64.fullmatch(text) and "/" not in text[:1] else None


def path_text(path: object, refusal: type[StskitError], *, remedy: str, argument: str = "path") -> str:
    """Return *path* as text.

    Raises `TypeError` where it is not a path, and *refusal*, with that *remedy*, where it is the content of a file: the
    error does not quote it.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(text := os.fspath(path), str):
        wrong_type(argument, path, "a path as text or os.PathLike[str]")
    if kind := secret_kind(text):
        raise refusal(
            f"{argument} must be the path of a file, and this is {kind} ({len(text):,} characters)",
            remedy=remedy,
            option=argument,
        )
    return text


def expanded(path: str, refusal: type[StskitError], *, variable: str | None = None) -> str:
    """Return *path* with ``~`` replaced by the home folder; if it comes from *variable*, with ``$NAME`` replaced too.

    botocore replaces variables in the paths that the environment names; in other paths that is the work of the shell.
    Raises *refusal* where the path has a NUL, where there is no such home folder, or where it begins with a variable
    that has no value.
    """
    full = os.path.expanduser(os.path.expandvars(path) if variable else path)
    first = full.split("/", 1)[0]
    no_home = path.split("/", 1)[0] == "~" and os.environ.get("HOME") == ""
    if "\0" in path or first.startswith(("~", "$")) or no_home:
        setting = f"{variable}={path}" if variable else path
        raise refusal(
            f"{setting!r} cannot be used as a path: {_problem('~' if no_home else first)}",
            remedy="write the whole path",
            variable=variable,
            path=path,
        )
    return full


def _problem(first: str) -> str:
    if first.startswith("~"):
        return f"the home folder {first} was not found"
    return f"the variable {first} was not replaced by its value" if first.startswith("$") else "it has a NUL character"
