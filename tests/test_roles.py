"""What a `Role` takes and refuses, and that its table of limits is the one of STS."""

from __future__ import annotations

import getpass
import platform
import re
import unicodedata
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import botocore.session
import pytest
from attrs import fields
from botocore.model import ServiceModel, Shape, StructureShape
from hypothesis import given
from hypothesis import strategies as st

from stskit.credentials import Secret
from stskit.errors import RoleError
from stskit.limits import LIMITS, PARAMETERS
from stskit.roles import ProvidedContext, Role, RoleOptions, default_session_name, sanitize_session_name
from stskit.sts.requests import OPERATIONS

ARN = "arn:aws:iam::123456789012:role/app"
POLICY_ARN = "arn:aws:iam::aws:policy/ReadOnlyAccess"
CONTEXT = ProvidedContext("arn:aws:iam::aws:contextProvider/IdentityCenter", Secret("context-canary"))


# The table against the model of STS -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    """Return botocore's service model of STS, if it is as new as the table."""
    loaded = ServiceModel(
        botocore.session.get_session().get_component("data_loader").load_service_model("sts", "service-2")
    )
    if "MinimumSessionTokenSize" not in taken_by(loaded, "AssumeRole"):
        pytest.skip("this botocore has an older model of STS than the table was made by")
    return loaded


def taken_by(model: ServiceModel, operation: str) -> Mapping[str, Any]:
    """Return the parameters of *operation* by name."""
    shape = model.operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    return shape.members


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_table_has_every_parameter_of_the_model(operation: str, model: ServiceModel) -> None:
    """The table has exactly the parameters of the model."""
    ours = {name for option in OPERATIONS[operation].options for name in PARAMETERS[option]}
    assert set(taken_by(model, operation)) == ours | set(OPERATIONS[operation].proof)


# What each limit is of, as a path into the parameters of an operation.
IN_MODEL = {
    "session_name": "AssumeRole.RoleSessionName",
    "duration": "AssumeRole.DurationSeconds",
    "duration of a session token": "GetSessionToken.DurationSeconds",
    "policy": "AssumeRole.Policy",
    "policy for SAML or web identity": "AssumeRoleWithSAML.Policy",
    "policy_arns": "AssumeRole.PolicyArns",
    "policy ARN": "AssumeRole.PolicyArns.member.arn",
    "tags": "AssumeRole.Tags",
    "tag key": "AssumeRole.Tags.member.Key",
    "tag value": "AssumeRole.Tags.member.Value",
    "transitive_tag_keys": "AssumeRole.TransitiveTagKeys",
    "external_id": "AssumeRole.ExternalId",
    "source_identity": "AssumeRole.SourceIdentity",
    "provided_contexts": "AssumeRole.ProvidedContexts",
    "provider ARN": "AssumeRole.ProvidedContexts.member.ProviderArn",
    "context assertion": "AssumeRole.ProvidedContexts.member.ContextAssertion",
    "minimum_session_token_size": "AssumeRole.MinimumSessionTokenSize",
    "MFA serial": "AssumeRole.SerialNumber",
    "MFA code": "AssumeRole.TokenCode",
}


def shape_of(limit: str, model: ServiceModel) -> Shape:
    """Return the shape of *limit* in the model."""
    operation, first, *rest = IN_MODEL[limit].split(".")
    shape = taken_by(model, operation)[first]
    for name in rest:
        shape = shape.member if name == "member" else shape.members[name]
    return shape  # type: ignore[no-any-return]


def test_the_tests_compare_every_limit() -> None:
    """The tests compare every entry of the table of limits."""
    assert set(IN_MODEL) == set(LIMITS)


@pytest.mark.case("P16")
@pytest.mark.parametrize("name", LIMITS)
def test_the_numbers_are_those_of_the_model(name: str, model: ServiceModel) -> None:
    """The minimum and maximum of each limit are those of the model."""
    stated, limit = shape_of(name, model).metadata, LIMITS[name]
    if limit.unit != "entries":
        assert stated.get("min", limit.least) == limit.least
    assert stated.get("max", limit.most) == limit.most


@pytest.mark.parametrize("operation", ["AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"])
def test_a_parameter_has_the_same_limits_in_each_operation(operation: str, model: ServiceModel) -> None:
    """A parameter of several operations has the same limits in each, except the policy."""
    here, there = taken_by(model, operation), taken_by(model, "AssumeRole")
    assert {name for name in here.keys() & there.keys() if here[name].name != there[name].name} == {"Policy"}


@pytest.mark.parametrize("name", ["session_name", "external_id", "source_identity", "MFA serial", "MFA code", "policy"])
def test_the_allowed_characters_are_those_of_the_model(name: str, model: ServiceModel) -> None:
    """The allowed characters are those of the pattern of the model, for all of Unicode."""
    stated = shape_of(name, model).metadata["pattern"]
    for code in (*range(0x3000), 0xFF10, 0x1D7CE):
        assert bool(re.fullmatch(stated, chr(code), re.ASCII)) == bool(re.fullmatch(LIMITS[name].pattern, chr(code)))


def test_the_allowed_characters_of_tags_are_those_of_the_model(model: ServiceModel) -> None:
    """Tags allow letters, separators and numbers of all scripts, and no control characters."""
    for name in ("tag key", "tag value"):
        stated = shape_of(name, model).metadata["pattern"]
        assert re.fullmatch(r"\[\\p\{L}\\p\{Z}\\p\{N}_\.:/=\+\\-@][+*]", stated)
        assert LIMITS[name].pattern == LIMITS["tag key"].pattern
    allowed = re.compile(LIMITS["tag key"].pattern).fullmatch
    for code in range(0x110000):
        character = chr(code)
        taken = unicodedata.category(character)[0] in "LZN" or character in "_.:/=+-@"
        assert bool(allowed(character)) == taken, hex(code)


def test_every_option_of_a_role_is_in_the_table() -> None:
    """Every option of a role is in the table, and `Role.named` has it too."""
    options = {each.name for each in fields(Role)} - {"arn", "extra"}
    assert options | {"arn"} == set(PARAMETERS) == set(OPERATIONS["AssumeRole"].options)
    assert set(RoleOptions.__annotations__) == options | {"extra"}


# The ARN ----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P140")
@pytest.mark.parametrize(
    ("arn", "partition", "account"),
    [
        (ARN, "aws", "123456789012"),
        ("arn:aws-cn:iam::123456789012:role/a", "aws-cn", "123456789012"),
        ("arn:aws-us-gov:iam::123456789012:role/team/sub/a", "aws-us-gov", "123456789012"),
        ("arn:aws-iso-b:iam::123456789012:role/a+=,.@-_Z9", "aws-iso-b", "123456789012"),
        ("arn:aws:iam::123456789012:role/~!odd:path/a", "aws", "123456789012"),
        ("arn:aws:iam:::role/a", "aws", None),
        ("arn:minio:iam:::role/idp-x", "minio", None),
        ("arn:aws:iam::123456789012:role/" + "n" * 64, "aws", "123456789012"),
    ],
)
def test_role_arns_of_all_partitions_and_servers_are_valid(arn: str, partition: str, account: str | None) -> None:
    """Role ARNs of all partitions and of other servers are valid."""
    role = Role(arn)
    assert (role.arn, role.partition, role.account) == (arn, partition, account)


@pytest.mark.case("E3")
@pytest.mark.parametrize(
    "arn",
    [
        "",
        "app",
        "arn:aws:iam::123456789012:user/app",
        "arn:aws:sts::123456789012:assumed-role/app/me",
        "arn:aws:iam::12345:role/app",
        "arn:aws:iam::１２３４５６７８９０１２:role/app",
        "arn:aws:iam:eu-west-1:123456789012:role/app",
        "arn:AWS:iam::123456789012:role/app",
        f" {ARN}",
        f"{ARN}\n",
        f"{ARN} x",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role/é",
        "arn:aws:iam::123456789012:role/" + "n" * 65,
        "arn:aws:iam::123456789012:role/" + "p" * 2048 + "/n",
    ],
)
def test_an_invalid_role_arn_is_refused(arn: str) -> None:
    """The error for an invalid role ARN has the correct form, and quotes at most the start of the wrong one."""
    with pytest.raises(RoleError, match="is not a valid role ARN|The role ARN is empty") as caught:
        Role(arn)
    assert len(str(caught.value)) < 450


def test_an_arn_of_2048_characters_is_valid() -> None:
    """A role ARN can have 2,048 characters."""
    start, end = "arn:aws:iam::123456789012:role/", "/n"
    assert len(Role(start + "p" * (2048 - len(start + end)) + end).arn) == 2048


def test_a_secret_in_the_place_of_the_arn_is_not_shown() -> None:
    """A secret that is passed as the ARN is not quoted."""
    with pytest.raises(RoleError) as caught:
        Role(Secret("canary" * 100))
    assert "canary" not in str(caught.value)


# The options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("session_name", "ab"),
        ("session_name", "n" * 64),
        ("session_name", "aZ9_+=,.@-"),
        ("duration", 900),
        ("duration", 43_200),
        ("policy_arns", (POLICY_ARN,) * 10),
        ("policy_arns", ("a" * 20, "a" * 2048)),
        ("tags", {}),
        ("tags", {str(number): "" for number in range(50)}),
        ("tags", {"k" * 128: "v" * 256}),
        ("tags", {"Straße 7_.:/=+-@": "日本 \u2003½"}),
        ("transitive_tag_keys", tuple(map(str, range(50)))),
        ("external_id", "ab"),
        ("external_id", "x" * 1224),
        ("external_id", "_+=,.@:/-"),
        ("source_identity", "n" * 256),
        ("policy", '{"Version": "2012-10-17"}'),
        ("policy", "x" * 100_000),
        ("minimum_session_token_size", 0),
        ("minimum_session_token_size", 4096),
        ("provided_contexts", (CONTEXT,) * 5),
        ("extra", {"NewParameter": ["x"]}),
    ],
)
def test_values_within_the_limits_are_kept(option: str, value: Any) -> None:
    """Values within the limits are kept unchanged."""
    assert getattr(Role(ARN, **{option: value}), option) == value


@pytest.mark.case("E1", "E2", "P16", "P29")
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("session_name", "", "session_name has 0 characters, but STS allows 2 to 64"),
        ("session_name", "a", "session_name has 1 character, but STS allows 2 to 64"),
        ("session_name", "n" * 65, "session_name has 65 characters, but STS allows 2 to 64"),
        ("session_name", "a b", "session_name 'a b' has characters that STS does not allow. Use letters, digits"),
        ("session_name", "a/b", "session_name 'a/b' has characters"),
        ("session_name", "müller", "session_name 'müller' has characters"),
        ("session_name", "ab\n", r"session_name 'ab\\n' has characters"),
        ("duration", 899, "duration is 899 seconds, but STS allows 900 to 43,200"),
        ("duration", 43_201, "duration is 43,201 seconds"),
        ("duration", timedelta(seconds=899.9), "duration is 899 seconds"),
        ("duration", timedelta.max, "STS allows 900 to 43,200"),
        ("policy_arns", [POLICY_ARN] * 11, "policy_arns has 11 entries, but STS allows 0 to 10"),
        ("policy_arns", ["ReadOnlyAccess"], "policy ARN has 14 characters, but STS allows 20 to 2,048"),
        ("tags", {str(number): "" for number in range(51)}, "tags has 51 entries, but STS allows 0 to 50"),
        ("tags", {"": "v"}, "tag key has 0 characters, but STS allows 1 to 128"),
        ("tags", {"k" * 129: "v"}, "tag key has 129 characters"),
        ("tags", {"k": "v" * 257}, "tag value has 257 characters, but STS allows 0 to 256"),
        ("tags", {"a,b": "v"}, "tag key 'a,b' has characters"),
        ("tags", {"k": "two\nlines"}, r"tag value 'two\\nlines' has characters"),
        ("tags", {"Team": "a", "team": "b"}, "tags has the keys Team and team. STS ignores case"),
        ("tags", {"aws:x": "v"}, "tags has the key aws:x. Keys that begin with aws: are reserved"),
        ("tags", {"AWS:x": "v"}, "tags has the key AWS:x. Keys that begin with aws: are reserved"),
        (
            "transitive_tag_keys",
            ["aws:x"],
            "transitive_tag_keys has the key aws:x. Keys that begin with aws: are reserved",
        ),
        ("transitive_tag_keys", list(map(str, range(51))), "transitive_tag_keys has 51 entries"),
        ("transitive_tag_keys", ["k", ""], "tag key has 0 characters"),
        ("external_id", "x", "external_id has 1 character, but STS allows 2 to 1,224"),
        ("external_id", "x" * 1225, "external_id has 1,225 characters"),
        ("source_identity", "n" * 257, "source_identity has 257 characters, but STS allows 2 to 256"),
        ("source_identity", "a b", "source_identity 'a b' has characters"),
        ("policy", "", "policy has 0 characters, but STS allows 1 or more"),
        ("policy", "{canary\u0100}", "policy has characters that STS does not allow. Use printable characters"),
        ("minimum_session_token_size", 4097, "minimum_session_token_size is 4,097 bytes, but STS allows 0 to 4,096"),
        ("minimum_session_token_size", -1, "STS allows 0 to 4,096"),
        ("provided_contexts", [CONTEXT] * 6, "provided_contexts has 6 entries, but STS allows 0 to 5"),
        ("extra", {"Tags": []}, "extra has Tags, and stskit has the option tags for it"),
        ("extra", {"TokenCode": "1"}, "extra has TokenCode, and stskit has the option mfa for it"),
        ("policy", {"Condition": object()}, "policy cannot be written as JSON"),
        ("policy", {"Number": float("nan")}, "policy cannot be written as JSON"),
    ],
)
def test_values_outside_the_limits_are_refused(option: str, value: Any, message: str) -> None:
    """Values outside the limits raise an error that names the option, the value and the limit."""
    with pytest.raises(RoleError, match=message) as caught:
        Role(ARN, **{option: value})
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("arn", None, "arn must be a role ARN as text, not None."),
        ("session_name", 55, "session_name must be text, not int."),
        ("duration", "3600", "duration must be a whole number of seconds or a timedelta, not str."),
        ("duration", 3600.0, "duration must be a whole number of seconds or a timedelta, not float."),
        ("duration", True, "duration must be a whole number of seconds or a timedelta, not bool."),
        ("policy", 5, "policy must be JSON text or a mapping, not int."),
        ("policy_arns", [None], "policy_arns must be text, not None."),
        ("policy_arns", POLICY_ARN, r"policy_arns must be a list of texts, not str. For a list of one entry, write \["),
        ("tags", {"k": 5}, "tags must be text, not int."),
        ("tags", {5: "v"}, "tags must be text, not int."),
        ("tags", [("k", "v")], "tags must be a mapping of names to values, not list."),
        ("transitive_tag_keys", "project", "transitive_tag_keys must be a list of texts, not str."),
        ("minimum_session_token_size", "9", "minimum_session_token_size must be a whole number of bytes, not str."),
        ("provided_contexts", [{"ProviderArn": "x"}], "provided_contexts must be a list of ProvidedContext, not dict."),
        ("provided_contexts", CONTEXT, "provided_contexts must be a list of ProvidedContext, not ProvidedContext."),
        ("mfa", "123456", r"mfa must be MFA\(serial, code\) or None, not str."),
        ("extra", ["x"], "extra must be a mapping of names to values, not list."),
    ],
)
def test_an_option_of_the_wrong_type_is_named(option: str, value: Any, message: str) -> None:
    """An option of the wrong type raises a TypeError with the expected type and without the value."""
    with pytest.raises(TypeError, match=f"^{message}"):
        Role(**{"arn": ARN, option: value})


def test_the_external_id_is_not_shown() -> None:
    """Neither the repr nor an error contains the external ID."""
    assert "shared-with-them" not in repr(Role(ARN, external_id="shared-with-them"))
    with pytest.raises(RoleError, match="external_id has characters that STS does not allow") as caught:
        Role(ARN, external_id="shared with them")
    assert "shared" not in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "assertion", "message"),
    [
        ("arn:short", "context-canary", "provider ARN has 9 characters"),
        (CONTEXT.provider_arn, "abc", "context assertion has 3 characters, but STS allows 4 to 3,072"),
        (CONTEXT.provider_arn, "x" * 3073, "context assertion has 3,073 characters"),
    ],
)
def test_a_provided_context_is_checked(provider: str, assertion: str, message: str) -> None:
    """A provided context is checked before any call, and its assertion is not shown."""
    with pytest.raises(RoleError, match=message):
        ProvidedContext(provider, Secret(assertion))
    assert "canary" not in repr(Role(ARN, provided_contexts=[CONTEXT], extra={"New": "canary"}))


def test_the_source_identity_has_no_prefix_of_aws() -> None:
    """A source identity must not begin with aws:."""
    with pytest.raises(RoleError, match="source_identity 'aws:me' has characters"):
        Role(ARN, source_identity="aws:me")


def test_a_role_is_named_without_writing_its_arn() -> None:
    """Role.named builds the ARN from name, account, path and partition, and accepts options."""
    assert Role.named("app", account="123456789012") == Role(ARN)
    role = Role.named("app", account="123456789012", path="/a/b/", partition="aws-cn", session_name="me")
    assert role == Role("arn:aws-cn:iam::123456789012:role/a/b/app", session_name="me")
    with pytest.raises(RoleError, match="is not a valid role ARN"):
        Role.named("app", account="12")


@given(st.text(min_size=2))
def test_any_text_becomes_a_session_name(text: str) -> None:
    """sanitize_session_name returns a valid session name for any text of two characters or more."""
    name = sanitize_session_name(text)
    assert Role(ARN, session_name=name).session_name == name
    assert sanitize_session_name(name) == name


@pytest.mark.parametrize(("text", "name"), [("me@x", "me@x"), ("a b/c", "a-b-c"), ("ü" * 99, "-" * 64)])
def test_a_session_name_is_sanitized_only_on_request(text: str, name: str) -> None:
    """sanitize_session_name replaces each invalid character, and cuts the name to 64 characters."""
    assert sanitize_session_name(text) == name
    with pytest.raises(RoleError):
        sanitize_session_name("x")


def test_a_policy_that_contains_itself_is_refused() -> None:
    """A policy that contains itself is an error, and no RecursionError."""
    policy: dict[str, object] = {}
    policy["Statement"] = policy
    with pytest.raises(RoleError, match="policy cannot be written as JSON"):
        Role(ARN, policy=policy)


def test_options_are_converted() -> None:
    """A timedelta becomes seconds, a mapping becomes compact JSON, and a list becomes a tuple."""
    role = Role(
        ARN,
        duration=timedelta(hours=1),
        policy={"Version": "2012-10-17", "Statement": []},
        policy_arns=[POLICY_ARN],
        transitive_tag_keys=["project"],
    )
    assert (role.duration, role.policy) == (3600, '{"Version":"2012-10-17","Statement":[]}')
    assert (role.policy_arns, role.transitive_tag_keys) == ((POLICY_ARN,), ("project",))


def test_a_role_without_options_has_none() -> None:
    """The options of a role without options are None or empty."""
    role = Role(ARN)
    assert (role.session_name, role.duration, role.policy, role.external_id, role.source_identity) == (None,) * 5
    assert [role.policy_arns, role.tags, role.transitive_tag_keys] == [(), {}, ()]


def test_a_role_is_a_value() -> None:
    """Equal roles have equal hashes, and later changes of the arguments do not change a role."""
    tags, arns = {"project": "x"}, [POLICY_ARN]
    role = Role(ARN, tags=tags, policy_arns=arns)
    tags["project"] = "y"
    arns.clear()
    assert role == Role(ARN, tags={"project": "x"}, policy_arns=[POLICY_ARN])
    assert hash(role) == hash(Role(ARN, tags={"project": "x"}, policy_arns=[POLICY_ARN]))
    assert role != Role(ARN, tags=tags, policy_arns=[POLICY_ARN])
    with pytest.raises(AttributeError):
        role.arn = "other"  # type: ignore[misc]


# The default session name -----------------------------------------------------------------------------------------


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Remove the session name from the environment, and set a user and a host."""
    monkeypatch.delenv("AWS_ROLE_SESSION_NAME", raising=False)
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    monkeypatch.setattr(platform, "node", lambda: "host1")
    return monkeypatch


def test_the_default_session_name_has_user_and_host(nameless: pytest.MonkeyPatch) -> None:
    """The default session name has the user and the host."""
    assert default_session_name() == "stskit-alice-host1"


def test_the_default_session_name_is_always_valid(nameless: pytest.MonkeyPatch) -> None:
    """The default session name is valid for any user and host name."""
    nameless.setattr(getpass, "getuser", lambda: "DOMAIN\\Jürgen Müller")
    nameless.setattr(platform, "node", lambda: "h" * 99)
    name = default_session_name()
    assert name.startswith("stskit-DOMAIN-J-rgen-M-ller-hhh")
    assert Role(ARN, session_name=name).session_name == name
    assert len(name) == 64


@pytest.mark.parametrize("error", [KeyError, OSError, ImportError])
def test_a_user_without_a_name_has_a_default_session_name(nameless: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """A user without an entry in the user database has a default session name."""

    def nobody() -> str:
        raise error

    nameless.setattr(getpass, "getuser", nobody)
    assert default_session_name() == "stskit-unknown-host1"


def test_a_session_name_of_the_environment_is_not_changed(nameless: pytest.MonkeyPatch) -> None:
    """``AWS_ROLE_SESSION_NAME`` is used unchanged, or is an error."""
    nameless.setenv("AWS_ROLE_SESSION_NAME", "ci@build-7")
    assert default_session_name() == "ci@build-7"
    nameless.setenv("AWS_ROLE_SESSION_NAME", "no blanks")
    with pytest.raises(RoleError, match="session_name 'no blanks'"):
        default_session_name()
