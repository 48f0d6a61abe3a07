"""The names of roles and of their sessions, built and split: in every partition, with and without a path.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
"""

from __future__ import annotations

import re
from typing import Final

from attrs import field, frozen

from stskit.errors import RoleError

__all__ = ["AssumedRoleARN", "RoleARN"]

_MOST: Final = 2048  # characters, by the service model of STS
# On servers that are not AWS there may be no account.
_ROLE: Final = r"arn:([a-z0-9-]+):iam::(\d{12})?:role(/(?:[!-~]+/)?)([\w+=,.@-]{1,64})"
_SESSION: Final = r"arn:([a-z0-9-]+):sts::(\d{12})?:assumed-role/([\w+=,.@-]{1,64})/([\w+=,.@-]{2,64})"


@frozen
class RoleARN:
    """The ARN of a role: ``arn:aws:iam::123456789012:role/path/NAME``; ``str()`` builds it.

    `name`: up to 64 characters, without the path. `account`: twelve digits; None on servers that have none. `path`: it
    begins and ends with a slash. `partition`: ``aws``, ``aws-cn``, ``aws-us-gov`` and so on.

    Raises `RoleError` where the parts make no ARN of a role.
    """

    name: str
    account: str | None
    path: str = field(default="/", kw_only=True)
    partition: str = field(default="aws", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if _parts(_ROLE, str(self)) != (self.partition, self.account, self.path, self.name):
            raise _no_role(str(self))

    def __str__(self) -> str:
        return f"arn:{self.partition}:iam::{self.account or ''}:role{self.path}{self.name}"

    @classmethod
    def parse(cls, text: str) -> RoleARN:
        """The parts of *text*. Raises `RoleError` where it is no ARN of a role, of up to 2,048 characters."""
        parts = _parts(_ROLE, text)
        if parts is None:
            raise _no_role(text)
        partition, account, path, name = parts
        return cls(name or "", account, path=path or "/", partition=partition or "")


@frozen
class AssumedRoleARN:
    """The ARN of a session of a role: ``arn:aws:sts::123456789012:assumed-role/NAME/SESSION``; ``str()`` builds it.

    `role_name`: without the path, so the role's own ARN cannot be made of it where there may be one. `session_name`: 2
    to 64 characters. `account`, `partition`: as of `RoleARN`.

    Raises `RoleError` where the parts make no such ARN.
    """

    role_name: str
    session_name: str
    account: str | None
    partition: str = field(default="aws", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if _parts(_SESSION, str(self)) != (self.partition, self.account, self.role_name, self.session_name):
            raise _no_session(str(self))

    def __str__(self) -> str:
        return f"arn:{self.partition}:sts::{self.account or ''}:assumed-role/{self.role_name}/{self.session_name}"

    @classmethod
    def parse(cls, text: str) -> AssumedRoleARN:
        """The parts of *text*. Raises `RoleError` where it is no ARN of a session of a role."""
        parts = _parts(_SESSION, text)
        if parts is None:
            raise _no_session(text)
        partition, account, role_name, session_name = parts
        return cls(role_name or "", session_name or "", account, partition=partition or "")


def _parts(pattern: str, text: object) -> tuple[str | None, ...] | None:
    match = re.fullmatch(pattern, text, re.ASCII) if isinstance(text, str) and len(text) <= _MOST else None
    return match and match.groups()


def _no_role(text: object) -> RoleError:
    return RoleError(
        f"{_shortened(text)} is no role ARN; one looks like arn:aws:iam::123456789012:role/NAME, "
        f"with up to {_MOST} characters. See it with: aws iam get-role --role-name NAME"
    )


def _no_session(text: object) -> RoleError:
    return RoleError(
        f"{_shortened(text)} is no ARN of a role's session; one looks like "
        "arn:aws:sts::123456789012:assumed-role/NAME/SESSION. See it with: aws sts get-caller-identity"
    )


def _shortened(text: object) -> str:
    return repr(text) if len(repr(text)) <= 200 else f"{repr(text)[:200]}..."
