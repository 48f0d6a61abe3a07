"""Use botocore's model of STS for the limits of parameters, and for the format of requests and responses over HTTP.

It is independent of `stskit.limits`, so that tests can compare the two.

https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from attrs import define

from stskit.credentials import Secret

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

__all__ = [
    "VERSION",
    "Refusal",
    "access_denied",
    "check_limits",
    "compiled_pattern",
    "error_xml",
    "masked",
    "parse_form",
    "response_xml",
    "service",
]

VERSION: Final = "2011-06-15"
_NAMESPACE: Final = f"https://sts.amazonaws.com/doc/{VERSION}/"
_BLANKS: Final = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# Java's patterns in Python's terms; \w there is ASCII
_JAVA: Final = (
    (r"\p{L}\p{Z}\p{N}_", rf"\w{_BLANKS}", 0),
    (r"\u10000-\u10FFFF", r"\U00010000-\U0010FFFF", re.ASCII),
    ("", "", re.ASCII),
)
# Parameters that are secret or shared with a third party, although the model does not mark them as sensitive.
_SECRET: Final = ("ExternalId", "TokenCode", "ProvidedContexts")


@define(slots=False)
class Refusal(Exception):
    """An error response of STS. `FakeSTS` raises an `STSError` for it, or sends it as XML."""

    code: str
    message: str
    status: int = 400


def access_denied(message: str) -> Refusal:
    """Return the refusal of a caller without permission."""
    return Refusal("AccessDenied", message, 403)


@cache
def service() -> ServiceModel:
    """Return the STS model of botocore."""
    from botocore.loaders import create_loader
    from botocore.model import ServiceModel

    return ServiceModel(create_loader().load_service_model("sts", "service-2"), "sts")


def _input_shape(operation: str) -> Any:
    return service().operation_model(operation).input_shape


def parse_form(operation: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of an operation from the fields of the query protocol."""
    shape = _input_shape(operation)
    parameters: dict[str, Any] = {} if shape is None else _parse_shape(shape, form, "")
    return parameters


def check_limits(operation: str, parameters: Mapping[str, Any]) -> None:
    """Raise `Refusal` if parameters are outside the limits of the model."""
    shape = _input_shape(operation)
    problems = [] if shape is None else list(_violations(shape, parameters, ""))
    if problems:
        errors = "error" if len(problems) == 1 else "errors"
        raise Refusal("ValidationError", f"{len(problems)} validation {errors} detected: {'; '.join(problems)}")


def masked(operation: str, parameters: Mapping[str, Any]) -> dict[str, object]:
    """Return parameters with each secret as a `Secret`."""
    members = {} if (shape := _input_shape(operation)) is None else shape.members
    secret = {name for name, member in members.items() if member.metadata.get("sensitive")} | {*_SECRET}
    return {name: _as_secret(value) if name in secret else value for name, value in parameters.items()}


def _as_secret(value: Any) -> Any:
    match value:
        case list():
            return [_as_secret(each) for each in value]
        case Mapping():
            return {name: _as_secret(each) for name, each in value.items()}
    return Secret(value)


def response_xml(operation: str, result: Mapping[str, Any], request_id: str) -> str:
    """Return the XML of a response."""
    shape: Any = service().operation_model(operation).output_shape
    inner = "".join(_to_xml(shape.members[name], name, value) for name, value in result.items())
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    wrapped = f"<{operation}Result>{inner}</{operation}Result>"
    return f'<{operation}Response xmlns="{_NAMESPACE}">{wrapped}{metadata}</{operation}Response>'


def error_xml(refusal: Refusal, request_id: str) -> str:
    """Return the XML of a refusal."""
    side = "Sender" if refusal.status < 500 else "Receiver"
    parts = {"Type": side, "Code": refusal.code, "Message": refusal.message}
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in parts.items())
    return (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error>{inner}</Error><RequestId>{request_id}</RequestId></ErrorResponse>'
    )


def _parse_shape(shape: Any, form: Mapping[str, str], prefix: str) -> Any:
    match shape.type_name:
        case "structure":
            names = {name: f"{prefix}{name}" for name in shape.members}
            return {
                name: _parse_shape(
                    member, form, f"{names[name]}." if member.type_name in ("structure", "list") else names[name]
                )
                for name, member in shape.members.items()
                if names[name] in form or any(key.startswith(f"{names[name]}.") for key in form)
            }
        case "list":
            pattern = re.compile(rf"{re.escape(prefix)}member\.([1-9]\d{{0,3}})(\..*)?", re.DOTALL)
            numbers = sorted({int(match[1]) for key in form if (match := pattern.fullmatch(key))})
            separator = "." if shape.member.type_name in ("structure", "list") else ""
            return [_parse_shape(shape.member, form, f"{prefix}member.{number}{separator}") for number in numbers]
        case "integer":
            if not re.fullmatch(r"-?\d{1,10}", form[prefix], re.ASCII):
                raise Refusal("MalformedInput", f"{prefix} must be an integer")
            return int(form[prefix])
    return form[prefix]


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                below = f"{path}.{_first_letter_lower(name)}" if path else _first_letter_lower(name)
                if name in value:
                    yield from _violations(member, value[name], below)
                elif name in shape.required_members:
                    yield f"Value null at '{below}' failed to satisfy constraint: Member must not be null"
        case "list":
            yield from (
                f"{_constraint(shape, value, path)}{rule}" for rule in _limit_violations(shape, len(value), "length")
            )
            for number, each in enumerate(value, 1):
                yield from _violations(shape.member, each, f"{path}.{number}.member")
        case "integer":
            yield from (f"{_constraint(shape, value, path)}{rule}" for rule in _limit_violations(shape, value, "value"))
        case _:
            yield from (
                f"{_constraint(shape, value, path)}{rule}" for rule in _limit_violations(shape, len(value), "length")
            )
            pattern = shape.metadata.get("pattern")
            if pattern and not compiled_pattern(pattern).fullmatch(value):
                yield f"{_constraint(shape, value, path)}Member must satisfy regular expression pattern: {pattern}"


def _limit_violations(shape: Shape, size: int, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"Member must have {what} greater than or equal to {least}"
    if most is not None and size > most:
        yield f"Member must have {what} less than or equal to {most}"


def _constraint(shape: Shape, value: object, path: str) -> str:
    shown = "" if shape.metadata.get("sensitive") else f" '{value}'"
    return f"Value{shown} at '{path}' failed to satisfy constraint: "


def _first_letter_lower(name: str) -> str:
    """Return a parameter name as STS writes it in messages, for example ``sAMLAssertion``."""
    return name[0].lower() + name[1:]


@cache
def compiled_pattern(pattern: str) -> re.Pattern[str]:
    """Return a Java pattern of the model as a Python pattern."""
    java, python, flags = next(row for row in _JAVA if row[0] in pattern)
    return re.compile(pattern.replace(java, python) if java else pattern, flags)


def _to_xml(shape: Any, name: str, value: Any) -> str:
    match value:
        case Mapping():
            value = "".join(_to_xml(shape.members[each], each, inner) for each, inner in value.items())
        case _:
            value = escape(str(value))
    return f"<{name}>{value}</{name}>"
