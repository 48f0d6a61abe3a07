"""What is asked for: a `Role`, checked when it is built, before anything is sent."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypedDict, TypeVar, Unpack

from attrs import field, frozen

from stskit._arguments import check_list, check_mapping, check_type, is_type, quoted, text
from stskit.credentials import Secret, check_secret, secret
from stskit.errors import RoleError, init_without_frames, prefixed, without_frames
from stskit.limits import PARAMETERS, check, check_size, duration_in_seconds
from stskit.mfa import MFA, check_mfa

__all__ = ["ProvidedContext", "Role", "RoleARN", "RoleOptions", "default_session_name", "sanitize_session_name"]

V = TypeVar("V")

_MAX_ARN_LENGTH: Final = 2048  # characters, by the service model of STS
# On servers that are not AWS there may be no account.
_ROLE: Final = r"arn:([a-z0-9-]+):iam::(\d{12})?:role(/(?:[!-~]+/)?)([\w+=,.@-]{1,64})"


_is_account: Final = is_type((str, type(None)), "text of twelve digits", "Write account='123456789012'.")


@init_without_frames
@frozen
class RoleARN:
    """The ARN of a role: ``arn:aws:iam::123456789012:role/path/NAME``; ``str()`` builds it.

    `name`: up to 64 characters, without the path. `account`: twelve digits; None on servers that have none. `path`: it
    begins and ends with a slash. `partition`: ``aws``, ``aws-cn``, ``aws-us-gov`` and so on.

    Raises `RoleError` where the parts make no ARN of a role.
    """

    name: str = field(validator=text)
    account: str | None = field(validator=_is_account)
    path: str = field(default="/", kw_only=True, validator=text)
    partition: str = field(default="aws", kw_only=True, validator=text)

    def __attrs_post_init__(self) -> None:
        if _parts(str(self)) != (self.partition, self.account, self.path, self.name):
            raise _not_a_role_arn(str(self))

    def __str__(self) -> str:
        return f"arn:{self.partition}:iam::{self.account or ''}:role{self.path}{self.name}"

    @classmethod
    @without_frames
    def parse(cls, text: str) -> RoleARN:
        """The parts of *text*. Raises `RoleError` where it is no ARN of a role, of up to 2,048 characters."""
        check_type("text", text, str, "the ARN of a role as text")
        parts = _parts(text)
        if parts is None:
            raise _not_a_role_arn(text)
        partition, account, path, name = parts
        return cls(name or "", account, path=path or "/", partition=partition or "")


def _parts(text: object) -> tuple[str | None, ...] | None:
    """Return partition, account, path and name of the role ARN *text*; None where it is not one."""
    fits = isinstance(text, str) and len(text) <= _MAX_ARN_LENGTH
    match = re.fullmatch(_ROLE, text, re.ASCII) if fits and isinstance(text, str) else None
    return match and match.groups()


def _not_a_role_arn(text: object) -> RoleError:
    return RoleError(
        f"{quoted(text)} is no role ARN; one looks like arn:aws:iam::123456789012:role/NAME, "
        f"with up to {_MAX_ARN_LENGTH} characters.",
        remedy="See it with: aws iam get-role --role-name NAME",
        option="arn",
    )


@init_without_frames
@frozen
class ProvidedContext:
    """A trusted context assertion, as IAM Identity Center gives it for trusted identity propagation.

    `provider_arn`: 20 to 2,048 characters. `context_assertion`: 4 to 3,072 characters.

    Raises `RoleError` where one is out of its limits.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_ProvidedContext.html
    """

    provider_arn: str
    context_assertion: Secret = field(converter=secret, validator=check_secret)

    def __attrs_post_init__(self) -> None:
        check("provider ARN", self.provider_arn)
        check("context assertion", self.context_assertion)


def _list(option: str, entries: Sequence[str]) -> tuple[str, ...]:
    check_list(option, entries, "a list of texts")
    return tuple(entries)


def _policy_arns(arns: Sequence[str]) -> tuple[str, ...]:
    return _list("policy_arns", arns)


def _transitive_tag_keys(keys: Sequence[str]) -> tuple[str, ...]:
    return _list("transitive_tag_keys", keys)


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return _mapping("tags", tags)


def _extra(extra: Mapping[str, object]) -> dict[str, object]:
    return _mapping("extra", extra)


def _external_id(external_id: str | None) -> Secret | None:
    """Hide the external ID from reprs and logs, because a third party shares it. Its type is checked later."""
    return Secret(external_id) if isinstance(external_id, str) else external_id


def _contexts(contexts: Sequence[ProvidedContext]) -> tuple[ProvidedContext, ...]:
    check_list("provided_contexts", contexts, "a list of ProvidedContext")
    return tuple(contexts)


def _mapping(option: str, entries: Mapping[str, V]) -> dict[str, V]:
    check_mapping(option, entries, "a mapping of names to values")
    return dict(entries)


def _policy_text(policy: str | Mapping[str, object] | None) -> str | None:
    if policy is None or isinstance(policy, str):
        return policy
    check_type("policy", policy, Mapping, "JSON text or a mapping")
    import json

    with suppress(TypeError, ValueError, RecursionError):
        return json.dumps(policy, separators=(",", ":"), allow_nan=False)
    raise RoleError(
        "policy cannot be written as JSON",
        remedy="give JSON text, or a mapping of texts, numbers and lists",
        option="policy",
    )


class RoleOptions(TypedDict, total=False):
    """The options of `Role`, for `Role.named`."""

    session_name: str | None
    duration: timedelta | int | None
    policy: str | Mapping[str, object] | None
    policy_arns: Sequence[str]
    tags: Mapping[str, str]
    transitive_tag_keys: Sequence[str]
    external_id: str | None
    source_identity: str | None
    mfa: MFA | None
    provided_contexts: Sequence[ProvidedContext]
    minimum_session_token_size: int | None
    extra: Mapping[str, object]


@init_without_frames
@frozen
class Role:
    """A role, and how its session shall be. What is None or empty is not sent.

    `arn`: of the role, up to 2,048 characters; on servers that are not AWS it may lack the account.
    `session_name`: shows in CloudTrail, 2 to 64 characters; None: ``AWS_ROLE_SESSION_NAME``, else
    ``stskit-<user>-<host>``. For SAML the identity provider decides, and naming one is an error.
    `duration`: seconds or a timedelta, 900 to 43,200; None leaves it to STS, which takes an hour, or what the assertion
    says. A chained role gets at most an hour.
    `policy`: a session policy, as mapping or JSON text. `policy_arns`: up to 10 managed policies. Both only narrow.
    `tags`: up to 50 session tags; `transitive_tag_keys`: those of them that go on to chained roles.
    `external_id`: what a third party's trust policy asks for. `source_identity`: who is behind the session, 2 to 256.
    `mfa`: the device whose code the trust policy asks for. `provided_contexts`: up to 5, for trusted identity
    propagation.
    `minimum_session_token_size`: 0 to 4,096 bytes that the session token shall have at least.
    `extra`: parameters that STS has learned since this release, by STS's own names; what they hold shows in no repr.

    Raises `RoleError`, naming the option, the value and the rule, when one is out of its limits, and `TypeError` for an
    option of the wrong type.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """

    arn: str
    session_name: str | None = field(default=None, kw_only=True)
    duration: int | None = field(default=None, kw_only=True, converter=duration_in_seconds)
    policy: str | None = field(default=None, kw_only=True, converter=_policy_text)
    policy_arns: Sequence[str] = field(default=(), kw_only=True, converter=_policy_arns)
    tags: Mapping[str, str] = field(factory=dict, kw_only=True, converter=_tags, hash=False)
    transitive_tag_keys: Sequence[str] = field(default=(), kw_only=True, converter=_transitive_tag_keys)
    external_id: Secret | None = field(default=None, kw_only=True, converter=_external_id)
    source_identity: str | None = field(default=None, kw_only=True)
    mfa: MFA | None = field(default=None, kw_only=True)
    provided_contexts: Sequence[ProvidedContext] = field(default=(), kw_only=True, converter=_contexts)
    minimum_session_token_size: int | None = field(default=None, kw_only=True)
    extra: Mapping[str, object] = field(factory=dict, kw_only=True, converter=_extra, hash=False, repr=False)

    def __attrs_post_init__(self) -> None:
        check_type("arn", self.arn, str, "the ARN of a role as text")
        if _parts(self.arn) is None:
            raise _not_a_role_arn(self.arn)
        for option in ("session_name", "policy", "external_id", "source_identity"):
            if (value := getattr(self, option)) is not None:
                check(option, value)
        for option in ("duration", "minimum_session_token_size"):
            check_size(option, getattr(self, option))
        for option in ("policy_arns", "tags", "transitive_tag_keys", "provided_contexts"):
            check_size(option, len(getattr(self, option)))
        for arn in self.policy_arns:
            check("policy ARN", arn)
        check_mfa(self.mfa)
        for context in self.provided_contexts:
            check_type("provided_contexts", context, ProvidedContext, "a list of ProvidedContext")
        self._check_tags()
        self._check_extra()

    def _check_tags(self) -> None:
        for key, value in self.tags.items():
            check("tag key", key)
            check("tag value", value)
        for key in self.transitive_tag_keys:
            check("tag key", key, argument="transitive_tag_keys")
        names = [key.casefold() for key in self.tags]
        if twice := [key for key in self.tags if names.count(key.casefold()) > 1]:
            raise RoleError(
                f"tags has {' and '.join(twice)}, which are one key to STS: it ignores case",
                remedy="keep one of them",
                cli_message=f"has {' and '.join(twice)}, which are one key to STS: it ignores case",
                option="tags",
            )
        for option, keys in ("tags", self.tags), ("transitive_tag_keys", self.transitive_tag_keys):
            if reserved := [key for key in keys if key.casefold().startswith("aws:")]:
                raise RoleError(
                    f"tags has {reserved[0]}", remedy="keys that begin with aws: are reserved for AWS", option=option
                )

    def _check_extra(self) -> None:
        for option, names in PARAMETERS.items():
            if clash := [name for name in names if name in self.extra]:
                raise RoleError(
                    f"extra has {clash[0]}, which is the option {option}", remedy="use that", option="extra"
                )

    @classmethod
    @without_frames
    def named(
        cls, name: str, *, account: str, path: str = "/", partition: str = "aws", **options: Unpack[RoleOptions]
    ) -> Role:
        """The role of that name in *account*; *path* begins and ends with a slash. *options* are those of `Role`.

        Raises `RoleError` where the parts make no ARN of a role, and as `Role` does.
        """
        return cls(str(RoleARN(name, account, path=path, partition=partition)), **options)

    @property
    def partition(self) -> str:
        """The part of AWS the role lives in: ``aws``, ``aws-cn``, ``aws-us-gov`` and so on. Raises nothing."""
        return self.arn.split(":")[1]

    @property
    def account(self) -> str | None:
        """The twelve digits of the role's account; None where the ARN has none, as on some servers that are not AWS.

        Raises nothing.
        """
        return self.arn.split(":")[4] or None


@without_frames
def sanitize_session_name(text: str) -> str:
    """*text* as STS takes it for a session name: other characters become ``-``, and it is cut to 64.

    For names that are made of what people are called; nothing that is passed as `session_name` is ever changed.
    Raises `RoleError` where fewer than two characters are left.
    """
    check_type("text", text, str, "text")
    name = re.sub(r"[^\w+=,.@-]", "-", text, flags=re.ASCII)[:64]
    check("session_name", name)
    return name


def default_session_name() -> str:
    """``AWS_ROLE_SESSION_NAME`` as it is, else ``stskit-<user>-<host>``, cut and cleaned to what STS takes.

    Raises `RoleError` where the variable holds a name that STS would refuse.
    """
    given = os.environ.get("AWS_ROLE_SESSION_NAME")
    if given:
        try:
            check("session_name", given, variable="AWS_ROLE_SESSION_NAME")
        except RoleError as error:
            raise prefixed(error, "AWS_ROLE_SESSION_NAME: ") from None
        return given
    from getpass import getuser
    from platform import node

    try:
        user = getuser()
    except (ImportError, KeyError, OSError):  # no such user, as in many containers; which one depends on the Python
        user = "unknown"
    return sanitize_session_name(f"stskit-{user}-{node()}")
