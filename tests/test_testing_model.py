"""What the fake reads from botocore's model: what others write by it is what it reads, and its limits are all kept."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

from stskit.credentials import Secret
from stskit.testing import _model
from stskit.testing._operations import OPERATIONS
from stskit.testing._refusal import Refusal

MODEL = ServiceModel(create_loader().load_service_model("sts", "service-2"), "sts")
PATTERNS = {
    str(shape.metadata["pattern"])
    for name in OPERATIONS
    for shape in map(MODEL.shape_for, MODEL.shape_names)
    if "pattern" in shape.metadata
}


def values(shape: Any) -> st.SearchStrategy[Any]:
    """Any value of that shape, within the limits or not."""
    if shape.type_name == "structure":
        members = {name: values(member) for name, member in shape.members.items()}
        return st.fixed_dictionaries({}, optional=members)
    if shape.type_name == "list":
        return st.lists(values(shape.member), min_size=1, max_size=3)
    if shape.type_name == "integer":
        return st.integers(-(10**9), 10**9)
    return st.text(max_size=20)


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "GetCallerIdentity"])
@given(data=st.data())
def test_what_botocore_writes_is_what_is_read(operation: str, data: st.DataObject) -> None:
    """Every parameter of every operation, however deep; an empty structure leaves nothing on the wire."""
    shape: Any = MODEL.operation_model(operation)
    parameters = data.draw(values(shape.input_shape).filter(lambda drawn: {} not in _structures(drawn)))
    request = create_serializer("query", include_validation=False).serialize_to_request(parameters, shape)
    form = {name: str(value) for name, value in request["body"].items()}
    assert _model.parse(operation, form) == parameters


def _structures(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*([value] if not value else []), *(each for inner in value.values() for each in _structures(inner))]
    return [each for inner in value for each in _structures(inner)] if isinstance(value, list) else []


KEYS = st.text(max_size=30) | st.sampled_from(["Tags.member.1.Key", "Tags.member.x", "Tags", "DurationSeconds"])


@pytest.mark.parametrize("operation", OPERATIONS)
@given(form=st.dictionaries(KEYS, st.text()))
def test_any_form_is_read_or_refused(operation: str, form: dict[str, str]) -> None:
    """By a refusal of STS's, and nothing else."""
    with suppress(Refusal):
        _model.check(operation, _model.parse(operation, form))


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_any_answer_and_any_refusal_can_be_read(text: str) -> None:
    """By botocore's own parser."""
    shape: Any = MODEL.operation_model("GetCallerIdentity").output_shape
    clean = re.sub(r"[^\t\n -\ud7ff\ue000-\ufffd]", "", text)
    said = _model.answer("GetCallerIdentity", {"Arn": clean}, "request-1")
    read = create_parser("query").parse({"status_code": 200, "headers": {}, "body": said.encode()}, shape)
    assert (read["Arn"] or "") == clean
    assert read["ResponseMetadata"]["RequestId"] == "request-1"
    error = _model.error(Refusal("Code", clean, 400), "request-2")
    found = create_parser("query").parse({"status_code": 400, "headers": {}, "body": error.encode()}, shape)
    assert found["Error"]["Code"] == "Code"
    assert (found["Error"]["Message"] or "") == clean


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_of_the_model_is_read_as_java_does(pattern: str) -> None:
    """Letters of all scripts where it says so, and ASCII elsewhere."""
    takes = _model._compiled(pattern).fullmatch
    assert takes("A1") or "d]" in pattern
    assert bool(takes("\u00e9")) == (r"\p{L}" in pattern or r"\u00FF" in pattern or r"\uD7FF" in pattern)
    assert bool(takes("\u4e2d")) == (r"\p{L}" in pattern or r"\uD7FF" in pattern)
    assert bool(takes("\U0001f600")) == (r"\uD7FF" in pattern)
    assert not takes("\x00")


def test_all_that_is_secret_is_masked() -> None:
    """By the model and beyond it; numbers and what is no secret stay as they are."""
    given = {
        "ExternalId": "canary",
        "ProvidedContexts": [{"ContextAssertion": "canary", "Odd": 1}],
        "DurationSeconds": 900,
        "RoleSessionName": "me",
    }
    masked = _model.discreetly("AssumeRole", given)
    assert masked == given
    assert "canary" not in repr(masked)
    assert type(masked["RoleSessionName"]) is str
    assert isinstance(_model.discreetly("AssumeRoleWithSAML", {"SAMLAssertion": "canary"})["SAMLAssertion"], Secret)
    assert urlencode({"a": str(masked["ExternalId"])}) == "a=canary"
