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
def test_a_role_arn_is_built_and_split(name: str, account: str | None, path: str, partition: str) -> None:
    """The one is the inverse of the other, with every path, account and partition."""
    arn = RoleARN(name, account, path=path, partition=partition)
    assert str(arn) == f"arn:{partition}:iam::{account or ''}:role{path}{name}"
    assert RoleARN.parse(str(arn)) == arn


def test_the_usual_case_is_short() -> None:
    """No path, and the partition of most."""
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
def test_what_makes_no_role_arn_is_refused(make: Callable[[], object]) -> None:
    """Part by part, with an example of what does."""
    with pytest.raises(RoleError, match="is no role ARN; one looks like arn:aws:iam::123456789012:role/NAME"):
        make()


def test_what_was_given_is_shown_and_cut() -> None:
    """So that one finds it again, and an error stays readable."""
    with pytest.raises(RoleError, match="^'user/app' is no role ARN"):
        RoleARN.parse("user/app")
    with pytest.raises(RoleError, match=r"^'arn:x{195}\.\.\. is no role ARN"):
        RoleARN.parse("arn:" + "x" * 5000)


@given(st.text())
def test_anything_is_split_or_refused(text: Any) -> None:
    """No text gets another exception out."""
    with pytest.raises(RoleError):
        RoleARN.parse(text)
