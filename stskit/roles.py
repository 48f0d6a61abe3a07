"""The role to assume and its session options. They are checked when a `Role` is built, before anything is sent."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypedDict, TypeVar, Unpack

from attrs import field, frozen

from stskit._arguments import check_list, check_mapping, check_type, is_type, quoted, repr_without_defaults, text
from stskit.credentials import Secret, check_secret, secret
from stskit.errors import RoleError, init_without_frames, prefixed, without_frames
from stskit.limits import PARAMETERS, check, check_size, duration_in_seconds
from stskit.mfa import MFA, check_mfa

__all__ = ["ProvidedContext", "Role", "RoleARN", "RoleOptions", "default_session_name", "sanitize_session_name"]

V = TypeVar("V")

_MAX_ARN_LENGTH: Final = 2048  # characters, by the service model of STS
_MAX_NAME_LENGTH: Final = 64  # characters; https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_EXPECTED: Final = "arn:aws:iam::ACCOUNT:role/NAME"
# Servers that are not AWS may have role ARNs without an account.
_ROLE: Final = r"arn:([a-z0-9-]+):iam::(\d{12})?:role(/(?:[!-~]+/)?)([\w+=,.@-]{1,64})"
_is_account: Final = is_type((str, type(None)), "text of twelve digits", "Write account='123456789012'.")


@init_without_frames
@frozen
class RoleARN:
    """The parts of a role ARN, ``arn:aws:iam::123456789012:role/path/NAME``. ``str()`` builds the ARN.

    Args:
        name: Role name without the path, up to 64 characters.
        account: Account ID, 12 digits. None on servers that have no accounts.
        path: Path of the role. It begins and ends with a slash. Defaults to ``/``.
        partition: AWS partition, for example ``aws-cn`` or ``aws-us-gov``. Defaults to ``aws``.

    Raises:
        RoleError: If the parts do not make a valid role ARN.
        TypeError: If a part has the wrong type.

    Example:
        >>> from stskit.roles import RoleARN
        >>> str(RoleARN("Deploy", "123456789012", path="/ci/"))
        'arn:aws:iam::123456789012:role/ci/Deploy'
        >>> RoleARN.parse("arn:aws:iam::123456789012:role/ci/Deploy").name
        'Deploy'

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
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
        """Split a role ARN into its parts.

        Args:
            text: Role ARN, up to 2,048 characters.

        Returns:
            The parts.

        Raises:
            RoleError: If the text is not a valid role ARN. The message names the part that is wrong.
            TypeError: If it is not text.
        """
        check_type("text", text, str, "the ARN of a role as text")
        parts = _parts(text)
        if parts is None:
            raise _not_a_role_arn(text)
        partition, account, path, name = parts
        return cls(name or "", account, path=path or "/", partition=partition or "")


def _parts(text: str) -> tuple[str | None, ...] | None:
    """Return partition, account, path and name of a role ARN, or None if *text* is not a valid role ARN."""
    match = re.fullmatch(_ROLE, text, re.ASCII) if len(text) <= _MAX_ARN_LENGTH else None
    return match and match.groups()


def _not_a_role_arn(text: str) -> RoleError:
    if not text:
        return RoleError("The role ARN is empty.", remedy=f"Expected {_EXPECTED}.", option="arn")
    problem, remedy = _arn_problem(text)
    return RoleError(f"{quoted(text)} is not a valid role ARN: {problem}.", remedy=remedy, option="arn")


def _arn_problem(text: str) -> tuple[str, str]:
    """Return which part of *text* is wrong, without quoting it, and what to write instead."""
    remedy = f"Expected {_EXPECTED}."
    parts = text.split(":", 5)
    if text != text.strip():
        return f"it {'begins' if text[:1].isspace() else 'ends'} with a space or a line break", "Remove it."
    if text[0] in "\"'`":
        return "it begins with a quotation mark", "Remove the quotation marks."
    if len(text) > _MAX_ARN_LENGTH:
        return f"it has {len(text):,} characters, more than {_MAX_ARN_LENGTH:,}", remedy
    if parts[0] != "arn" or len(parts) < 6:
        is_name = re.fullmatch(r"(?a:[\w+=,.@-]{1,64})", text) is not None
        return "it is a name without an account" if is_name else "it is not an ARN", remedy
    _, partition, service, region, account, resource = parts
    kind, _, name = resource.partition("/")
    if service == "sts" and kind == "assumed-role":
        role = f"arn:{partition}:iam::{account}:role/{name.partition('/')[0]}"
        expected = role if _parts(role) and quoted(role) == repr(role) else _EXPECTED
        return "it is the ARN of a session", f"Write its role ARN: {expected}, with the role's path if it has one."
    if service != "iam":
        return "it does not belong to IAM", remedy
    if not re.fullmatch(r"[a-z0-9-]+", partition):
        return "the partition is not valid; in most accounts it is aws", remedy
    if kind != "role":
        known = {"user": "an IAM user", "group": "an IAM group", "policy": "an IAM policy", "root": "an AWS account"}
        owner = known.get(kind, "an instance profile" if kind == "instance-profile" else "another resource")
        return f"it is the ARN of {owner}", f"Pass the ARN of a role: {_EXPECTED}."
    if region:
        return "the part before the account ID must be empty, because roles have no region", remedy
    if account and not re.fullmatch(r"[0-9]{12}", account):
        if account.isascii() and account.isdigit():
            return f"the account ID has {len(account)} digits, not 12", remedy
        if re.fullmatch(r"[0-9]{12}", re.sub(r"[- ]", "", account)):
            return "the account ID has hyphens or spaces", "Write its 12 digits only."
        return "the account ID is not 12 digits", remedy
    name = name.rpartition("/")[2]
    if not name:
        return "the role name is missing", remedy
    if len(name) > _MAX_NAME_LENGTH:
        return f"the role name has {len(name)} characters, more than {_MAX_NAME_LENGTH}", remedy
    return "the role name or its path has characters that IAM does not allow", remedy


@init_without_frames
@frozen
class ProvidedContext:
    """A context assertion for trusted identity propagation, which IAM Identity Center issues.

    Args:
        provider_arn: ARN of the context provider, 20 to 2,048 characters.
        context_assertion: The signed assertion, 4 to 3,072 characters. It is secret.

    Raises:
        RoleError: If a value is out of its limits.
        TypeError: If a value is not text.

    Example:
        >>> from stskit.roles import ProvidedContext
        >>> ProvidedContext("arn:aws:iam::aws:contextProvider/IdentityCenter", "eyJhbGciOi...")
        ProvidedContext(provider_arn='arn:aws:iam::aws:contextProvider/IdentityCenter', context_assertion=Secret('***'))

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
    """Hide the external ID from reprs and logs, because it is shared with a third party. Its type is checked later."""
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
        "policy cannot be written as JSON.",
        remedy="Pass JSON text, or a mapping of texts, numbers and lists.",
        option="policy",
    )


class RoleOptions(TypedDict, total=False):
    """The options of `Role`, as types for `Role.named`.

    Example:
        >>> from stskit import Role
        >>> from stskit.roles import RoleOptions
        >>> options: RoleOptions = {"session_name": "nightly", "duration": 900}
        >>> Role.named("Reports", account="123456789012", **options).session_name
        'nightly'
    """

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
@frozen(repr=False)
class Role:
    """A role to assume, with the options of its session. Options that you omit are not sent to STS.

    Args:
        arn: Role ARN, up to 2,048 characters. Servers that are not AWS may have ARNs without an account.
        session_name: Name of the session, which CloudTrail shows; 2 to 64 characters. Defaults to the environment
            variable ``AWS_ROLE_SESSION_NAME``, then to ``stskit-<user>-<host>``. Not with SAML, where the identity
            provider decides.
        duration: How long the credentials are valid, in seconds or as a timedelta; 900 to 43,200 seconds. Defaults to
            one hour, or to what the SAML assertion says. STS allows at most one hour for a chained role.
        policy: Session policy, as a mapping or as JSON text. It can only reduce permissions.
        policy_arns: ARNs of up to 10 managed policies as session policies. They can only reduce permissions.
        tags: Up to 50 session tags.
        transitive_tag_keys: Keys of the tags that are passed on to chained roles.
        external_id: External ID that a third party's trust policy requires, 2 to 1,224 characters. Not shown in reprs.
        source_identity: Who uses the session, 2 to 256 characters. It stays the same in chained roles.
        mfa: MFA device and code, if the trust policy requires MFA.
        provided_contexts: Up to 5 context assertions for trusted identity propagation.
        minimum_session_token_size: Minimum size of the session token, 0 to 4,096 bytes.
        extra: Parameters of STS that this version of stskit does not know, by STS's own names. Not shown in reprs.

    Raises:
        RoleError: If an option is out of its limits. It names the option, the value and the limit.
        TypeError: If an option has the wrong type.

    Example:
        >>> from stskit import Role, assume
        >>> role = Role("arn:aws:iam::123456789012:role/Reports", session_name="nightly", duration=900)
        >>> role
        Role('arn:aws:iam::123456789012:role/Reports', session_name='nightly', duration=900)
        >>> assume(role).assumed_role_arn
        'arn:aws:sts::123456789012:assumed-role/Reports/nightly'

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
        check_type("arn", self.arn, str, "a role ARN as text")
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

    def __repr__(self) -> str:
        return repr_without_defaults(self)

    def _check_tags(self) -> None:
        for key, value in self.tags.items():
            check("tag key", key)
            check("tag value", value)
        for key in self.transitive_tag_keys:
            check("tag key", key, argument="transitive_tag_keys")
        names = [key.casefold() for key in self.tags]
        if twice := [key for key in self.tags if names.count(key.casefold()) > 1]:
            problem = f"has the keys {' and '.join(twice)}. STS ignores case, so they are the same key."
            raise RoleError(f"tags {problem}", remedy="Keep one of them.", cli_message=problem, option="tags")
        for option, keys in ("tags", self.tags), ("transitive_tag_keys", self.transitive_tag_keys):
            if reserved := [key for key in keys if key.casefold().startswith("aws:")]:
                problem = f"has the key {reserved[0]}. Keys that begin with aws: are reserved for AWS."
                raise RoleError(f"{option} {problem}", remedy="Choose another key.", cli_message=problem, option=option)

    def _check_extra(self) -> None:
        for option, names in PARAMETERS.items():
            if clash := [name for name in names if name in self.extra]:
                raise RoleError(
                    f"extra has {clash[0]}, and stskit has the option {option} for it.",
                    remedy=f"Pass {option}=... instead.",
                    option="extra",
                )

    @classmethod
    @without_frames
    def named(
        cls, name: str, *, account: str, path: str = "/", partition: str = "aws", **options: Unpack[RoleOptions]
    ) -> Role:
        """Build a role from its name and account, without writing the ARN.

        Args:
            name: Role name, up to 64 characters.
            account: Account ID, 12 digits.
            path: Path of the role. It begins and ends with a slash. Defaults to ``/``.
            partition: AWS partition. Defaults to ``aws``.
            **options: Options of `Role`.

        Returns:
            The role.

        Raises:
            RoleError: If the parts do not make a valid role ARN, or if an option is out of its limits.
            TypeError: If an argument has the wrong type.
        """
        return cls(str(RoleARN(name, account, path=path, partition=partition)), **options)

    @property
    def partition(self) -> str:
        """The AWS partition of the role, for example ``aws``, ``aws-cn`` or ``aws-us-gov``. Raises nothing."""
        return self.arn.split(":")[1]

    @property
    def account(self) -> str | None:
        """The account ID of the role. None if the ARN has none, as on some servers that are not AWS.

        Raises nothing.
        """
        return self.arn.split(":")[4] or None


@without_frames
def sanitize_session_name(text: str) -> str:
    """Return a text as a valid session name: other characters become ``-``, and it is cut to 64 characters.

    Use it for session names made from a person's name. stskit never changes a `session_name` that you pass to `Role`.

    Args:
        text: Any text.

    Returns:
        A valid session name.

    Raises:
        RoleError: If fewer than two characters remain.
        TypeError: If it is not text.

    Example:
        >>> from stskit.roles import sanitize_session_name
        >>> sanitize_session_name("Zoë O'Neill")
        'Zo--O-Neill'

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    check_type("text", text, str, "text")
    name = re.sub(r"[^\w+=,.@-]", "-", text, flags=re.ASCII)[:64]
    check("session_name", name)
    return name


def default_session_name() -> str:
    """Return the session name of a role that has none: ``AWS_ROLE_SESSION_NAME``, else ``stskit-<user>-<host>``.

    Returns:
        A valid session name.

    Raises:
        RoleError: If the environment variable has a name that is not valid.

    Example:
        >>> from stskit.roles import default_session_name
        >>> default_session_name()
        'stskit-...'

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
    """
    name = os.environ.get("AWS_ROLE_SESSION_NAME")
    if name:
        try:
            check("session_name", name, variable="AWS_ROLE_SESSION_NAME")
        except RoleError as error:
            raise prefixed(error, "AWS_ROLE_SESSION_NAME: ") from None
        return name
    from getpass import getuser
    from platform import node

    try:
        user = getuser()
    except (ImportError, KeyError, OSError):  # the user has no name, as in many containers
        user = "unknown"
    return sanitize_session_name(f"stskit-{user}-{node()}")
