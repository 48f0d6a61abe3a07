"""Check arguments: their types, secrets where another value is expected, and paths. Show values in messages."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from attrs import NOTHING, Factory, fields

if TYPE_CHECKING:
    from attrs import Attribute

    from stskit.errors import StskitError

_Validator = Callable[[Any, "Attribute[Any]", Any], None]
"""A validator of attrs."""

__all__ = [
    "aware",
    "check_aware",
    "check_environ",
    "check_list",
    "check_mapping",
    "check_method",
    "check_number",
    "check_sink",
    "check_source",
    "check_sts",
    "check_timespan",
    "check_type",
    "describe",
    "expanded",
    "flag",
    "has_method",
    "is_type",
    "number",
    "optional_number",
    "optional_shown_text",
    "optional_text",
    "path_text",
    "profile_hint",
    "quoted",
    "refuse_secret",
    "repr_without_defaults",
    "secret_kind",
    "shown_text",
    "text",
    "timespan",
    "whole_number",
    "wrong_type",
]

SEVERAL_LINES: Final = "text of several lines"
_MAX_COMPONENT: Final = 255  # bytes; no common file system allows a longer file name
_LONG_WORD: Final = 40  # characters
_MAX_QUOTED: Final = 200  # characters
_SHORTEST_SECRET: Final = 12  # characters; a shorter text is quoted
_JWT: Final = re.compile(r"(?<![\w.-])eyJ[\w-]{10,}")  # a word that begins with `{"` in base64url
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=%\s]{120,}")
_FORM: Final = re.compile(r"SAML(?:Response|Request)=")
_XML: Final = re.compile(r"<[A-Za-z?!][ -~]*")
_NAME: Final = re.compile(r"[A-Za-z][\w.-]{0,15}")  # too short for a secret
_SETTING: Final = re.compile(
    r"(?:\S+\s+)?[a-z_]*(?:secret|token|password|passwd|credential|api_?key)[a-z_]*\s*(?:=|:\s)\s*\S{8}", re.IGNORECASE
)
_HEADER: Final = re.compile(r"(?:authorization\s*:|bearer\s)\s*\S{8}", re.IGNORECASE)
# Tokens of GitHub, GitLab, Slack and Vault, and session tokens of AWS, by how they begin.
_TOKEN: Final = re.compile(
    r"(?:gh[opsur]_|github_pat_|gl(?:pat|cbt|dt|rt|ptt)-|xox[a-z]-|hv[sb]\.|IQoJb3JpZ2lu|F[Qw]oGZXIvYXdz|AQoDYXdz)[\w+/=.-]{12,}",
    re.ASCII,
)
_SECRET_KEY: Final = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+][A-Za-z0-9+/]{39}")


# Wrong types ----------------------------------------------------------------------------------------------------------


def check_type(argument: str, value: object, kinds: type | tuple[type, ...], expected: str, hint: str = "") -> None:
    """Check that *value* is an instance of one of *kinds*.

    *expected* says what the argument must be ("a Role or an ARN"). *hint* is a sentence that says what to write. Raises
    `TypeError`, which names the class of *value* and does not quote it, because it may be a secret.
    """
    if not isinstance(value, kinds):
        wrong_type(argument, value, expected, hint)


def check_method(argument: str, value: object, method: str, expected: str, hint: str = "") -> None:
    """Check that *value* is an object, not a class, with that *method*. Raises `TypeError` as `check_type` does."""
    has_method = callable(getattr(value, method, None))
    if isinstance(value, type) and has_method:
        wrong_type(argument, value, expected, f"Write {value.__name__}(...).")
    if not has_method:
        wrong_type(argument, value, expected, hint or f"It needs a method {method}().")


def check_source(argument: str, value: object) -> None:
    """Check that *value* is a source. Raises `TypeError`, which says how to make one of *value*."""
    check_method(argument, value, "fetch", "a source", _source_hint(value))


def check_sts(value: object, method: str) -> None:
    """Check that the argument ``sts`` has the *method* that is needed. Raises `TypeError`."""
    hint = "Did you mean BotocoreSTS({})?" if isinstance(value, str) else ""
    name = f"{value!r}" if _is_name(value) else "endpoint_url=..."
    check_method("sts", value, method, "an STS such as BotocoreSTS()", hint.format(name))


def check_sink(value: object) -> None:
    """Check that *value* is a sink of credentials. Raises `TypeError`, which says how to make one of *value*."""
    hint = "Did you mean CredentialsFile({})?" if isinstance(value, str) else ""
    check_method("sink", value, "write", "a sink", hint.format(repr(value) if _is_name(value) else "profile"))


def profile_hint(value: object) -> str:
    """Return a hint if *value* is a source, or the name of a profile, instead of credentials; else ""."""
    if not isinstance(value, str):
        return "Pass the result of its fetch()." if not isinstance(value, type) and hasattr(value, "fetch") else ""
    return f"Did you mean Profile({value!r}).fetch()?" if _is_name(value) else "Did you mean Profile(name).fetch()?"


def check_number(argument: str, value: object) -> None:
    """Check that *value* is a number. Raises `TypeError`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong_type(argument, value, "a number")


def check_timespan(argument: str, value: object) -> None:
    """Check that *value* is a timedelta. Raises `TypeError`."""
    hint = f"Did you mean timedelta(seconds={value})?" if type(value) in (int, float) else "Write timedelta(...)."
    check_type(argument, value, timedelta, "a timedelta", hint)


def check_aware(argument: str, value: object) -> None:
    """Check that *value* is a datetime with a time zone. Raises `TypeError`."""
    hint = "Write for example datetime.now(UTC)."
    check_type(argument, value, datetime, "a datetime with a time zone", hint)
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise TypeError(f"{argument} must be a datetime with a time zone, but it has none. {hint}")


def check_environ(value: object) -> None:
    """Check that the argument ``environ`` is a mapping of texts, or None. Raises `TypeError`."""
    if value is not None:
        check_mapping("environ", value, "a mapping of variables to texts")
        _check_entries("environ", value, "a mapping of variables to texts")


def check_mapping(argument: str, value: object, expected: str) -> None:
    """Check that *value* is a mapping. Raises `TypeError`."""
    check_type(argument, value, Mapping, expected, "Write {name: value}.")


def check_list(argument: str, value: object, expected: str) -> None:
    """Check that *value* can be iterated and is not a single text. Raises `TypeError`."""
    hint = f"For a list of one entry, write [{argument.removesuffix('s')}]." if isinstance(value, str) else ""
    if isinstance(value, str | bytes | type) or not isinstance(value, Iterable):
        wrong_type(argument, value, expected, hint)


def wrong_type(argument: str, value: object, expected: str, hint: str = "") -> NoReturn:
    """Raise the `TypeError` for *argument*."""
    raise TypeError(f"{argument} must be {expected}, not {describe(value)}. {hint}".rstrip())


def describe(value: object) -> str:
    """Return the class of *value* in words, without the value: "str", or "the class SAMLFile itself"."""
    if isinstance(value, type):
        return f"the class {value.__qualname__} itself"
    return "None" if value is None else type(value).__qualname__


def _check_entries(argument: str, value: Any, expected: str) -> None:
    for part in (*value.keys(), *value.values()):
        if not isinstance(part, str):
            raise TypeError(f"{argument} must be {expected}, but it contains {describe(part)}.")


def _source_hint(value: object) -> str:
    if isinstance(value, type):
        return ""
    if _is_name(value) and "." not in str(value):
        return f"Did you mean Profile({value!r})?"
    if isinstance(value, str | os.PathLike):
        return "Write SAMLFile(path), OIDCTokenFile(path) or Profile(name)."
    names = {"Credentials": "credentials", "SAMLAssertion": "assertion", "WebIdentityToken": "token"}
    name = names.get(type(value).__name__)
    return f"Did you mean Static({name})?" if name else ""


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


# Validators of attrs --------------------------------------------------------------------------------------------------


def is_type(kinds: type | tuple[type, ...], expected: str, hint: str = "") -> _Validator:
    """Return a validator that calls `check_type`."""
    return lambda _self, attribute, value: check_type(attribute.name, value, kinds, expected, hint)


def has_method(method: str, expected: str, hint: str = "") -> _Validator:
    """Return a validator that calls `check_method`. None is valid if it is the default."""

    def check(_self: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None or attribute.default is not None:
            check_method(attribute.name, value, method, expected, hint)

    return check


def number(_self: object, attribute: Attribute[Any], value: object) -> None:
    """Validate a number, with or without decimals."""
    check_number(attribute.name, value)


def optional_number(_self: object, attribute: Attribute[Any], value: object) -> None:
    """Validate a number, or None."""
    if value is not None:
        check_number(attribute.name, value)


def whole_number(_self: object, attribute: Attribute[Any], value: object) -> None:
    """Validate a whole number."""
    if type(value) is not int:
        wrong_type(attribute.name, value, "a whole number")


def aware(_self: object, attribute: Attribute[Any], value: object) -> None:
    """Validate a datetime with a time zone."""
    check_aware(attribute.name, value)


def timespan(_self: object, attribute: Attribute[Any], value: object) -> None:
    """Validate a timedelta."""
    check_timespan(attribute.name, value)


text: Final = is_type(str, "text")
optional_text: Final = is_type((str, type(None)), "text or None")
flag: Final = is_type(bool, "True or False")


def shown_text(_self: object, attribute: Attribute[Any], value: object) -> None:
    """Validate a text that reprs and errors show. Raises `TypeError` for a secret, without quoting it."""
    check_type(attribute.name, value, str, "text")
    kind = secret_kind(str(value))
    if kind and kind != SEVERAL_LINES:
        raise TypeError(
            f"{attribute.name} is shown in logs, so it must not be a secret: this is {kind} "
            f"({len(str(value)):,} characters)."
        )


def optional_shown_text(_self: object, attribute: Attribute[Any], value: object) -> None:
    """Validate a text that reprs and errors show, or None."""
    if value is not None:
        check_type(attribute.name, value, str, "text or None")
        shown_text(_self, attribute, value)


# Secrets where another value is expected ------------------------------------------------------------------------------


def secret_kind(text: str) -> str | None:
    """Return what *text* seems to be if it is a secret or the content of a file; None if it can be a path or a name."""
    begin = text.lstrip("\ufeff \t\r\n\"'")
    if _JWT.search(text):
        return "a JSON Web Token"
    if begin.startswith(("<", "%3C")):
        return "XML"
    if begin.startswith("{") or re.match(r"\[\s*[{\"]", begin):
        return "JSON"
    if _FORM.search(text):
        return "a form with a SAML response"
    if _is_encoded_xml(begin):
        return "base64"
    if begin.startswith("-----BEGIN"):
        return "a key or a certificate"
    if "\n" in text or "\r" in text:
        return SEVERAL_LINES
    if any(len(part.encode("utf-8", "surrogatepass")) > _MAX_COMPONENT for part in text.split("/")):
        return "a long text without slashes"
    is_run = any(len(part) >= _LONG_WORD for part in text.split("/"))  # a long path has shorter names
    if is_run and _BASE64.fullmatch(text) and not text.startswith("/"):
        return "base64"
    return _short_secret_kind(begin)


def _kind_in_arn(arn: str) -> str | None:
    """Return what a part of an ARN seems to be if it is a secret; None otherwise. The ARN may be long and not valid."""
    kinds = (
        "JSON"
        if part.startswith("{")
        else "a JSON Web Token"
        if _JWT.match(part)
        else _short_secret_kind(part[:_MAX_COMPONENT])
        for part in re.split(r":(?:role/?)?", arn)
    )
    return next(filter(None, kinds), None)


def _short_secret_kind(text: str) -> str | None:
    if _SETTING.match(text):
        return "a setting with a secret"
    if _HEADER.match(text):
        return "an Authorization header"
    if _TOKEN.match(text):
        return "an access token"
    return "an AWS secret access key" if _SECRET_KEY.fullmatch(text) else None


def _is_encoded_xml(text: str) -> bool:
    """Return whether *text* begins with the base64 of XML, as a SAML response does."""
    from binascii import a2b_base64

    with suppress(ValueError):  # not base64, or not ASCII
        return _XML.fullmatch(a2b_base64(text[:16], strict_mode=True).decode("ascii")) is not None
    return False


def quoted(value: object) -> str:
    """Return *value* as messages quote it: shortened, and only its kind if it may be or contain a secret."""
    if not isinstance(value, str | int | float | timedelta | datetime | None):
        return f"of the type {describe(value)}"  # its repr may hold a secret
    if isinstance(value, str) and len(value) > _SHORTEST_SECRET:
        kind = _kind_in_arn(value) if value.startswith("arn:") else secret_kind(value)
        if kind:
            return f"{kind} ({len(value):,} characters)"
    shown = repr(value)
    return shown if len(shown) <= _MAX_QUOTED else f"{shown[:_MAX_QUOTED]}..."


def repr_without_defaults(value: Any) -> str:
    """Return a repr for people of an attrs *value*: without names for required fields, and without defaults.

    A field with ``repr=False`` stays hidden. A field with a function as its ``repr`` is shown by that function.
    """
    shown = []
    for field in fields(type(value)):
        content = getattr(value, field.name)
        default = field.default.factory() if isinstance(field.default, Factory) else field.default  # type: ignore[arg-type]
        if field.repr is False or content == default:
            continue
        text = field.repr(content) if callable(field.repr) else repr(content)
        shown.append(text if field.default is NOTHING else f"{field.name}={text}")
    return f"{type(value).__name__}({', '.join(shown)})"


def refuse_secret(
    argument: str,
    text: str,
    expected: str,
    refusal: type[StskitError],
    *,
    remedy: str,
    cli_remedy: str = "",
    variable: str | None = None,
) -> None:
    """Raise *refusal* if *text* seems to be a secret instead of what is *expected*. The error does not quote it."""
    if kind := secret_kind(text):
        problem = f"must be {expected}, but this is {kind} ({len(text):,} characters)."
        raise refusal(
            f"{variable or argument} {problem}",
            remedy=remedy,
            cli_remedy=cli_remedy,
            cli_message="" if variable else problem,
            option=None if variable else argument,
            variable=variable,
        )


# Paths ----------------------------------------------------------------------------------------------------------------


def path_text(
    path: object,
    refusal: type[StskitError],
    *,
    remedy: str,
    cli_remedy: str = "",
    argument: str = "path",
    variable: str | None = None,
) -> str:
    """Return *path* as text.

    Raises `TypeError` if it is not a path, and *refusal* with *remedy* if it is the content of a file. The error names
    the *argument*, or the environment *variable* that the path comes from, and does not quote the value.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(text := os.fspath(path), str):
        wrong_type(argument, path, "a path as text or os.PathLike[str]")
    refuse_secret(
        argument, text, "the path of a file", refusal, remedy=remedy, cli_remedy=cli_remedy, variable=variable
    )
    return text


def expanded(path: str, refusal: type[StskitError], *, variable: str | None = None) -> str:
    """Return *path* with ``~`` replaced by the home folder; a path from *variable* also with ``$NAME`` replaced.

    botocore replaces variables in paths that come from the environment. In other paths the shell does it. Raises
    *refusal* if the path has a character that no path can have, if there is no such home folder, or if the path begins
    with a variable that has no value.
    """
    full = os.path.expanduser(os.path.expandvars(path) if variable else path)
    first = full.split("/", 1)[0]
    no_home = path.split("/", 1)[0] == "~" and os.environ.get("HOME") == ""
    if not _is_possible(path) or first.startswith(("~", "$")) or no_home:
        setting = f"{variable}={path}" if variable else path
        raise refusal(
            f"{setting!r} cannot be used as a path: {_problem('~' if no_home else first)}.",
            remedy="Write the full path.",
            variable=variable,
            path=path,
        )
    return full


def _problem(first: str) -> str:
    if first.startswith("~"):
        return f"the home folder {first} was not found"
    if first.startswith("$"):
        return f"the variable {first} has no value"
    return "it has a NUL or another character that no path can have"


def _is_possible(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # the exception contains the path, so it must not become a cause
        return False
