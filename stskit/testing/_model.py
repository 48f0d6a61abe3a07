"""What botocore's own model of STS says: the limits, and how a request and an answer look on the wire.

It is not the table of limits that stskit checks roles by, so that the one can be judged by the other.

https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from stskit.credentials import Secret
from stskit.testing._refusal import Refusal

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

__all__ = ["VERSION", "answer", "check", "discreetly", "error", "parse", "service"]

VERSION: Final = "2011-06-15"
_NAMESPACE: Final = f"https://sts.amazonaws.com/doc/{VERSION}/"
_BLANKS: Final = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# Java's patterns in Python's terms; \w there is ASCII
_JAVA: Final = (
    (r"\p{L}\p{Z}\p{N}_", rf"\w{_BLANKS}", 0),
    (r"\u10000-\u10FFFF", r"\U00010000-\U0010FFFF", re.ASCII),
    ("", "", re.ASCII),
)
# Parameters that are secret, or shared with a third party, and not said to be so in the model.
_DISCREET: Final = ("ExternalId", "TokenCode", "ProvidedContexts")


@cache
def service() -> ServiceModel:
    """The model itself."""
    from botocore.loaders import create_loader
    from botocore.model import ServiceModel

    return ServiceModel(create_loader().load_service_model("sts", "service-2"), "sts")


def _input(operation: str) -> Any:
    return service().operation_model(operation).input_shape


def parse(operation: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of *operation* in *form*, which has them as the query protocol does."""
    shape = _input(operation)
    found: dict[str, Any] = {} if shape is None else _read(shape, form, "")
    return found


def check(operation: str, parameters: Mapping[str, Any]) -> None:
    """Raises `Refusal` where *parameters* are not within the limits of the model."""
    shape = _input(operation)
    problems = [] if shape is None else list(_problems(shape, parameters, ""))
    if problems:
        errors = "error" if len(problems) == 1 else "errors"
        raise Refusal("ValidationError", f"{len(problems)} validation {errors} detected: {'; '.join(problems)}")


def discreetly(operation: str, parameters: Mapping[str, Any]) -> dict[str, object]:
    """*parameters* with each secret as a `Secret`."""
    members = {} if (shape := _input(operation)) is None else shape.members
    secret = {name for name, member in members.items() if member.metadata.get("sensitive")} | {*_DISCREET}
    return {name: _masked(value) if name in secret else value for name, value in parameters.items()}


def _masked(value: Any) -> Any:
    match value:
        case str():
            return Secret(value)
        case list():
            return [_masked(each) for each in value]
        case Mapping():
            return {name: _masked(each) for name, each in value.items()}
    return value


def answer(operation: str, result: Mapping[str, Any], request_id: str) -> str:
    """The XML that *operation* answers with."""
    shape: Any = service().operation_model(operation).output_shape
    inner = "".join(_written(shape.members[name], name, value) for name, value in result.items())
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    wrapped = f"<{operation}Result>{inner}</{operation}Result>"
    return f'<{operation}Response xmlns="{_NAMESPACE}">{wrapped}{metadata}</{operation}Response>'


def error(refusal: Refusal, request_id: str) -> str:
    """The XML of a refusal."""
    side = "Sender" if refusal.status < 500 else "Receiver"
    parts = {"Type": side, "Code": refusal.code, "Message": refusal.message}
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in parts.items())
    return (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error>{inner}</Error><RequestId>{request_id}</RequestId></ErrorResponse>'
    )


def _read(shape: Any, form: Mapping[str, str], prefix: str) -> Any:
    match shape.type_name:
        case "structure":
            names = {name: f"{prefix}{name}" for name in shape.members}
            return {
                name: _read(
                    member, form, f"{names[name]}." if member.type_name in ("structure", "list") else names[name]
                )
                for name, member in shape.members.items()
                if names[name] in form or any(key.startswith(f"{names[name]}.") for key in form)
            }
        case "list":
            pattern = re.compile(rf"{re.escape(prefix)}member\.([1-9]\d{{0,3}})(\..*)?", re.DOTALL)
            numbers = sorted({int(match[1]) for key in form if (match := pattern.fullmatch(key))})
            deeper = "." if shape.member.type_name in ("structure", "list") else ""
            return [_read(shape.member, form, f"{prefix}member.{number}{deeper}") for number in numbers]
        case "integer":
            if not re.fullmatch(r"-?\d{1,10}", form[prefix], re.ASCII):
                raise Refusal("MalformedInput", f"{prefix} must be an integer")
            return int(form[prefix])
    return form[prefix]


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                below = f"{path}.{_lower(name)}" if path else _lower(name)
                if name in value:
                    yield from _problems(member, value[name], below)
                elif name in shape.required_members:
                    yield f"Value null at '{below}' failed to satisfy constraint: Member must not be null"
        case "list":
            yield from (f"{_at(shape, value, path)}{rule}" for rule in _broken(shape, len(value), "length"))
            for number, each in enumerate(value, 1):
                yield from _problems(shape.member, each, f"{path}.{number}.member")
        case "integer":
            yield from (f"{_at(shape, value, path)}{rule}" for rule in _broken(shape, value, "value"))
        case _:
            yield from (f"{_at(shape, value, path)}{rule}" for rule in _broken(shape, len(value), "length"))
            pattern = shape.metadata.get("pattern")
            if pattern and not _compiled(pattern).fullmatch(value):
                yield f"{_at(shape, value, path)}Member must satisfy regular expression pattern: {pattern}"


def _broken(shape: Shape, size: int, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"Member must have {what} greater than or equal to {least}"
    if most is not None and size > most:
        yield f"Member must have {what} less than or equal to {most}"


def _at(shape: Shape, value: object, path: str) -> str:
    shown = "" if shape.metadata.get("sensitive") else f" '{value}'"
    return f"Value{shown} at '{path}' failed to satisfy constraint: "


def _lower(name: str) -> str:
    """A name as STS has it in these messages, ``sAMLAssertion`` included."""
    return name[0].lower() + name[1:]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    java, python, flags = next(row for row in _JAVA if row[0] in pattern)
    return re.compile(pattern.replace(java, python) if java else pattern, flags)


def _written(shape: Any, name: str, value: Any) -> str:
    match value:
        case Mapping():
            value = "".join(_written(shape.members[each], each, inner) for each, inner in value.items())
        case _:
            value = escape(str(value))
    return f"<{name}>{value}</{name}>"
