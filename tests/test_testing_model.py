"""The fake reads the requests of botocore, botocore reads the responses of the fake, and limits are checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stskit import Credentials, Role
from stskit.credentials import Secret
from stskit.testing import FakeSTS, Refuse, _service_model

MODEL = ServiceModel(create_loader().load_service_model("sts", "service-2"), "sts")
OPERATIONS = ("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetCallerIdentity", "GetSessionToken")
PATTERNS = {
    str(shape.metadata["pattern"])
    for shape in map(MODEL.shape_for, MODEL.shape_names)
    if "pattern" in shape.metadata
}  # fmt: skip
KEYS_OF_USER = Credentials("AKIAIOSFODNN7EXAMPLE", "not-so-secret")
# All examples have one server; a request takes longer than reading it does, so there are fewer of them.
ONE_SERVER = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def sts() -> FakeSTS:
    return FakeSTS()


@pytest.fixture
def connection(sts: FakeSTS) -> Iterator[HTTPConnection]:
    with sts.serve() as url:
        connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
        yield connection
        connection.close()


@pytest.fixture
def client(sts: FakeSTS) -> Iterator[Any]:
    with sts.serve() as url:
        yield boto3.client(
            "sts",
            "us-east-1",
            endpoint_url=url,
            aws_access_key_id=KEYS_OF_USER.access_key_id,
            aws_secret_access_key=KEYS_OF_USER.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}),
        )


def posted(connection: HTTPConnection, form: dict[str, str]) -> int:
    """Return the status of the response to an unsigned request."""
    connection.request("POST", "/", urlencode(form))
    answer = connection.getresponse()
    answer.read()
    return answer.status


def values(shape: Any) -> st.SearchStrategy[Any]:
    """Return any value of a shape, within its limits or not."""
    if shape.type_name == "structure":
        members = {name: values(member) for name, member in shape.members.items()}
        return st.fixed_dictionaries({}, optional=members)
    if shape.type_name == "list":
        return st.lists(values(shape.member), min_size=1, max_size=3)
    if shape.type_name == "integer":
        return st.integers(-(10**9), 10**9)
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@ONE_SERVER
@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "GetCallerIdentity"])
@given(data=st.data())
def test_the_fake_reads_what_botocore_writes(
    sts: FakeSTS, connection: HTTPConnection, operation: str, data: st.DataObject
) -> None:
    """The fake reads every parameter of every operation as botocore writes it."""
    shape: Any = MODEL.operation_model(operation)
    parameters = data.draw(values(shape.input_shape).filter(lambda drawn: {} not in _structures(drawn)))
    request = create_serializer("query", include_validation=False).serialize_to_request(parameters, shape)
    posted(connection, {name: str(value) for name, value in request["body"].items()})
    assert sts.calls[-1].operation == operation
    assert sts.calls[-1].parameters == parameters


def _structures(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*([value] if not value else []), *(each for inner in value.values() for each in _structures(inner))]
    return [each for inner in value for each in _structures(inner)] if isinstance(value, list) else []


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
KEYS = TEXTS | st.sampled_from(["Tags.member.1.Key", "Tags.member.x", "Tags", "DurationSeconds"])


@ONE_SERVER
@pytest.mark.parametrize("operation", OPERATIONS)
@given(form=st.dictionaries(KEYS, TEXTS))
def test_any_form_is_an_error_of_sts(connection: HTTPConnection, operation: str, form: dict[str, str]) -> None:
    """Any form is an error of STS, and never a server error."""
    assert posted(connection, {**form, "Action": operation}) in (400, 403)


@ONE_SERVER
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_botocore_reads_any_response_of_the_fake(sts: FakeSTS, client: Any, text: str) -> None:
    """Botocore reads any response and any error of the fake."""
    clean = re.sub(r"[^\t\n -\ud7ff\ue000-\ufffd]", "", text)
    sts.user(clean, KEYS_OF_USER)
    assert client.get_caller_identity()["Arn"] == f"arn:aws:iam::123456789012:user/{clean}"
    sts.next(Refuse("Code", clean))
    with pytest.raises(ClientError) as caught:
        client.get_caller_identity()
    assert (caught.value.response["Error"]["Message"] or "") == clean


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_of_the_model_is_read_as_java_does(pattern: str) -> None:
    """A pattern of the model is read as in Java: letters of all scripts if it says so, and otherwise ASCII."""
    matches = _service_model.compiled_pattern(pattern).fullmatch
    assert matches("A1") or "d]" in pattern
    assert bool(matches("\u00e9")) == (r"\p{L}" in pattern or r"\u00FF" in pattern or r"\uD7FF" in pattern)
    assert bool(matches("\u4e2d")) == (r"\p{L}" in pattern or r"\uD7FF" in pattern)
    assert bool(matches("\U0001f600")) == (r"\uD7FF" in pattern)
    assert not matches("\x00")


def test_every_secret_is_masked(sts: FakeSTS) -> None:
    """Every secret parameter is masked, and other values are unchanged."""
    sts.exchange(sts.user(), Role("arn:aws:iam::123456789012:role/R", external_id="canary", duration=900))
    sent = sts.calls[-1].parameters
    assert (sent["ExternalId"], type(sent["ExternalId"])) == ("canary", Secret)
    assert (sent["DurationSeconds"], type(sent["RoleSessionName"])) == (900, str)
    assert "canary" not in repr(sent)
