"""ARNs of roles are built and split, in all partitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stskit.errors import RoleError
from stskit.roles import RoleARN

names = st.text("abcXYZ019_+=,.@-", min_size=1, max_size=64)
accounts = st.integers(0, 10**12 - 1).map("{:012}".format) | st.none()
partitions = st.sampled_from(["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "aws-eusc", "minio"])
paths = st.lists(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=9), max_size=3
).map(lambda parts: "".join(f"/{part}" for part in parts) + "/")


@given(names, accounts, paths, partitions)
def test_a_role_arn_is_split_and_built(name: str, account: str | None, path: str, partition: str) -> None:
    """A role ARN is split and built without a change."""
    arn = RoleARN(name, account, path=path, partition=partition)
    assert str(arn) == f"arn:{partition}:iam::{account or ''}:role{path}{name}"
    assert RoleARN.parse(str(arn)) == arn


def test_role_arn_has_no_path_and_partition_aws_by_default() -> None:
    """RoleARN has no path and the partition aws by default."""
    assert str(RoleARN("app", "123456789012")) == "arn:aws:iam::123456789012:role/app"
    assert RoleARN.parse("arn:aws:iam::123456789012:role/a/b/app").path == "/a/b/"


@pytest.mark.case("E3")
@pytest.mark.parametrize(
    "make",
    [
        lambda: RoleARN("", "123456789012"),
        lambda: RoleARN("a/b", "123456789012"),
        lambda: RoleARN("app", "12"),
        lambda: RoleARN("app", ""),
        lambda: RoleARN("app", "123456789012", path="a"),
        lambda: RoleARN("app", "123456789012", path="/a"),
        lambda: RoleARN("app", "123456789012", path=""),
        lambda: RoleARN("app", "123456789012", partition="AWS"),
        lambda: RoleARN("app", "123456789012", path=f"/{'p' * 2048}/"),
        lambda: RoleARN.parse("arn:aws:iam::123456789012:user/app"),
        lambda: RoleARN.parse("arn:aws:sts::123456789012:assumed-role/app/me"),
    ],
)
def test_the_error_for_an_invalid_part_names_it(make: Callable[[], object]) -> None:
    """The error for invalid parts names the part."""
    with pytest.raises(RoleError, match="is not a valid role ARN: "):
        make()


def test_an_error_shortens_a_long_arn() -> None:
    """An error quotes a short ARN, and shortens a long one."""
    with pytest.raises(RoleError, match="^'user/app' is not a valid role ARN"):
        RoleARN.parse("user/app")
    with pytest.raises(RoleError, match=r"^'arn:x{195}\.\.\. is not a valid role ARN"):
        RoleARN.parse("arn:" + "x" * 5000)


@given(st.text())
def test_any_text_is_split_or_refused(text: Any) -> None:
    """Any text is split, or raises RoleError."""
    with pytest.raises(RoleError):
        RoleARN.parse(text)


@pytest.mark.parametrize(
    ("arn", "problem", "remedy"),
    [
        ("arn:aws:iam::12345678901:role/app", "the account ID has 11 digits, not 12", "arn:aws:iam::ACCOUNT:role/NAME"),
        ("arn:aws:iam::1234-5678-9012:role/app", "the account ID has hyphens or spaces", "Write its 12 digits only."),
        ("arn:aws:iam::1234 56789012:role/app", "the account ID has hyphens or spaces", "Write its 12 digits only."),
        ("'arn:aws:iam::123456789012:role/app'", "it begins with a quotation mark", "Remove the quotation marks."),
        ("arn:aws:iam::ACCOUNT:role/app", "the account ID is not 12 digits", "arn:aws:iam::ACCOUNT:role/NAME"),
        ("arn:aws:iam::123456789012:user/me", "it is the ARN of an IAM user", "Pass the ARN of a role"),
        ("arn:aws:iam::123456789012:instance-profile/x", "it is the ARN of an instance profile", "ARN of a role"),
        ("arn:aws:iam::123456789012:root", "it is the ARN of an AWS account", "Pass the ARN of a role"),
        ("arn:aws:iam::123456789012:mfa/me", "it is the ARN of another resource", "Pass the ARN of a role"),
        (
            "arn:aws:sts::123456789012:assumed-role/app/me",
            "it is the ARN of a session",
            "Write its role ARN: arn:aws:iam::123456789012:role/app, with",
        ),
        (
            "arn:aws:sts::123456789012:assumed-role",
            "it is the ARN of a session",
            "arn:aws:iam::ACCOUNT:role/NAME, with",
        ),
        ("arn:aws:iam::123456789012:role/app ", "it ends with a space or a line break", "Remove it."),
        ("\tarn:aws:iam::123456789012:role/app", "it begins with a space or a line break", "Remove it."),
        ("arn:aws:s3:::bucket", "it does not belong to IAM", "arn:aws:iam::ACCOUNT:role/NAME"),
        ("arn:AWS:iam::123456789012:role/app", "the partition is not valid", "arn:aws:iam::ACCOUNT:role/NAME"),
        ("arn:aws:iam:eu-west-1:123456789012:role/app", "roles have no region", "arn:aws:iam::ACCOUNT:role/NAME"),
        ("arn:aws:iam::123456789012:role/path/", "the role name is missing", "arn:aws:iam::ACCOUNT:role/NAME"),
        ("arn:aws:iam::123456789012:role/" + "n" * 65, "the role name has 65 characters, more than 64", "Expected"),
        ("arn:aws:iam::123456789012:role/a b", "has characters that IAM does not allow", "Expected"),
        ("app", "it is a name without an account", "Expected"),
        ("https://example.com/", "it is not an ARN", "Expected"),
    ],
)
def test_an_error_names_the_wrong_part_of_an_arn(arn: str, problem: str, remedy: str) -> None:
    """The error names the wrong part of an ARN, and the remedy says what to write."""
    with pytest.raises(RoleError) as caught:
        RoleARN.parse(arn)
    assert problem in caught.value.message
    assert remedy in caught.value.remedy


def test_the_error_for_a_session_arn_hides_a_token() -> None:
    """The error for a session ARN does not quote a token that is in the place of the role name."""
    token = "ghp_" + "c4n4ry" * 6
    with pytest.raises(RoleError) as caught:
        RoleARN.parse(f"arn:aws:sts::123456789012:assumed-role/{token}/me")
    assert "c4n4ry" not in caught.value.remedy
