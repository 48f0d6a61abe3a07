"""`Credentials`: an immutable value. Its secret parts are `Secret` texts, which no repr shows.

`CallerIdentity` says who they belong to, and `Sink` is anything that they can be delivered to.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, TypeVar

from attrs import converters, field, frozen
from attrs.validators import optional

from stskit._arguments import (
    SEVERAL_LINES,
    check_aware,
    check_sink,
    check_type,
    optional_text,
    profile_hint,
    secret_kind,
    text,
    whole_number,
)
from stskit._time import instant
from stskit.errors import ProofInvalid, init_without_frames, without_frames

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["CallerIdentity", "Credentials", "Secret", "Sink", "secret"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Secret(str):
    """A string that behaves as `str` and never shows itself.

    ``repr()`` is masked, and with it the reprs of everything that holds it, log records, assertion messages and
    tracebacks that show locals. ``str()`` and formatting give plain text: use them only where the secret goes.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"

    def __getitem__(self, index: SupportsIndex | slice) -> Secret:
        return Secret(super().__getitem__(index))  # rich and others shorten a text before they show its repr

    def __add__(self, more: str) -> Secret:
        return Secret(super().__add__(more))  # unittest adds a line end before it shows where two texts differ

    def splitlines(self, keepends: bool = False) -> list[str]:  # noqa: ARG002 - as `str` has it
        """Return the mask, because difflib, which unittest and pytest show differences with, asks for lines.

        There are two, because unittest would compare the text itself if there were one. Raises nothing.
        """
        return [repr(self), ""]


def secret(value: str) -> Secret:
    """Return text as a `Secret`, and any other value as it is, for a validator to refuse. Raises nothing."""
    return Secret(value) if isinstance(value, str) else value


def check_secret(_self: object, attribute: Attribute[Any], value: object) -> None:
    """Check that *value* is text and not empty, as a validator of attrs.

    Raises `TypeError` or `ProofInvalid`, which name the attribute and never quote the value.
    """
    check_type(attribute.name, value, str, "text")
    if not value:
        raise ProofInvalid(f"{attribute.name} is empty", remedy="check where it was read from", option=attribute.name)


def _check_key(self: object, attribute: Attribute[Any], value: str | None) -> None:
    """Check that *value* can be a part of credentials. None is allowed where it is the default.

    A line end or a blank at the end is common where keys come from a file, a secret store or a CSV. It would make the
    HTTP header invalid or change the signature, and look like another fault. Other servers than AWS's may have blanks
    inside a secret.
    """
    if value is None and attribute.default is None:
        return
    check_secret(self, attribute, value)
    is_id = attribute.name == "access_key_id"
    if is_id and value and (kind := secret_kind(value)) and kind != SEVERAL_LINES:  # it is shown in every repr
        raise ProofInvalid(
            f"access_key_id is {kind}, not an access key ID",
            remedy="pass the access key ID first, then the secret access key",
            option="access_key_id",
        )
    if value and not (value.isprintable() and value == value.strip() and not (is_id and " " in value)):
        visible = [at for at, each in enumerate(value) if not _is_invisible(each)] or [len(value)]
        begin, end = visible[0], visible[-1]
        wrong = next(
            at
            for at, each in enumerate(value)
            if _is_invisible(each) and (is_id or each != " " or not begin < at < end)
        )
        place = "at its start" if wrong < begin else "at its end" if wrong > end else "inside"
        raise ProofInvalid(
            f"{attribute.name} has {_described(value[wrong])} {place}",
            remedy="remove it where the credentials are stored",
            option=attribute.name,
        )


def _is_invisible(character: str) -> bool:
    return not character.isprintable() or character == " "


def _described(character: str) -> str:
    if character in "\r\n":
        return "a line break"
    return "a blank" if character.isspace() else f"an invisible character (U+{ord(character):04X})"


def _utc(moment: datetime | None) -> datetime | None:
    """Return *moment* in UTC. Raises `TypeError` for another type, `ProofInvalid` where it has no time zone."""
    if moment is None:
        return None
    check_type("expiration", moment, datetime, "an aware datetime or None")
    if moment.utcoffset() is None:
        raise ProofInvalid(
            f"the expiration {moment.isoformat()} has no time zone, so its moment is not known",
            remedy="pass an aware datetime, for example with tzinfo=datetime.UTC",
            option="expiration",
        )
    with suppress(OverflowError):
        return moment.astimezone(UTC)
    raise ProofInvalid(
        f"the expiration {moment.isoformat()} is no date in UTC",
        remedy="check where it was read from",
        option="expiration",
    )


class Sink(Protocol[R_co]):
    """Where credentials go, as the value they are now."""

    def write(self, credentials: Credentials, /) -> R_co:
        """Deliver *credentials*, whole or not at all, and give back where or what they became.

        Raise `SinkError` when that is not possible, with everything as it was before.
        """
        ...


@init_without_frames
@frozen
class Credentials:
    """AWS credentials: a value that never changes. Read a whole one; never mix the parts of two.

    `access_key_id`: tells whose they are, and is no secret. `secret_access_key`, `session_token`: secret; long-term
    keys have no token. `expiration`: aware and in UTC; None for long-term keys.
    `account_id`, `assumed_role_arn`, `assumed_role_id`, `source_identity`: whose session it is, None where unknown.
    `packed_policy_size`: how much of the room for policies and tags was used, in percent. `subject`, `issuer`,
    `audience`: what the proof said, for SAML and web identity only.

    Raises `ProofInvalid` where a key is empty or has a blank, a line end or another invisible character, or where the
    expiration has no time zone; `TypeError` where a part has the wrong type. Both name the part, and never its value.

    A pickle holds the secrets in clear, as it must: treat its bytes as you treat the keys.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html
    """

    access_key_id: str = field(validator=_check_key)
    secret_access_key: Secret = field(converter=secret, validator=_check_key)
    session_token: Secret | None = field(default=None, converter=converters.optional(secret), validator=_check_key)
    expiration: datetime | None = field(default=None, converter=_utc)
    account_id: str | None = field(default=None, kw_only=True, validator=optional_text)
    assumed_role_arn: str | None = field(default=None, kw_only=True, validator=optional_text)
    assumed_role_id: str | None = field(default=None, kw_only=True, validator=optional_text)
    source_identity: str | None = field(default=None, kw_only=True, validator=optional_text)
    packed_policy_size: int | None = field(default=None, kw_only=True, validator=optional(whole_number))
    subject: str | None = field(default=None, kw_only=True, validator=optional_text)
    issuer: str | None = field(default=None, kw_only=True, validator=optional_text)
    audience: str | None = field(default=None, kw_only=True, validator=optional_text)

    @without_frames
    def expires_in(self, *, now: datetime | None = None) -> timedelta | None:
        """The time left: negative once expired, None for long-term keys. *now* is aware; default: the system clock.

        Raises `TypeError` where *now* is not an aware datetime.
        """
        if now is not None:
            check_aware("now", now)
        if self.expiration is None:
            return None
        return self.expiration - (now or datetime.now(UTC))

    @without_frames
    def is_expired(self, *, now: datetime | None = None) -> bool:
        """Whether no time is left. Long-term keys never expire. *now* as of `expires_in`, and raises as it does."""
        left = self.expires_in(now=now)
        return left is not None and left <= timedelta(0)

    @without_frames
    def to(self, sink: Sink[R]) -> R:
        """Deliver these credentials, fixed as they are, and give back what *sink* makes of them.

        Raises `SinkError`, and then nothing was changed; `TypeError` where *sink* is not a sink.
        """
        check_sink(sink)
        return sink.write(self)

    def as_dict(self) -> dict[str, str]:
        """The four fields under STS's own names; those that are None are left out.

        ``AccessKeyId``, ``SecretAccessKey``, ``SessionToken``, and ``Expiration`` as RFC 3339 in UTC, whole seconds.
        The two secrets are `Secret` texts: JSON, a file or an environment gets them in clear, a repr masks them.
        Raises nothing.
        """
        fields: dict[str, str] = {"AccessKeyId": self.access_key_id, "SecretAccessKey": self.secret_access_key}
        if self.session_token is not None:
            fields["SessionToken"] = self.session_token
        if self.expiration is not None:
            fields["Expiration"] = self.expiration.isoformat(timespec="seconds").replace("+00:00", "Z")
        return fields

    @classmethod
    @without_frames
    def from_dict(cls, data: Mapping[str, object]) -> Credentials:
        """Read what `as_dict` gives, the answer of an STS call, or a ``credential_process`` document.

        Raises `ProofInvalid`, naming the field, when one is missing or is not what it should be.

        https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sourcing-external.html
        """
        keys = _mapping(_mapping(data).get("Credentials", data))
        user = _mapping(data.get("AssumedRoleUser") or {})
        arn = _text(user, "Arn")
        account = arn.split(":")[4] if arn and arn.count(":") >= 5 else None
        size = data.get("PackedPolicySize")
        return cls(
            access_key_id=_text(keys, "AccessKeyId", required=True) or "",
            secret_access_key=_text(keys, "SecretAccessKey", required=True) or "",
            session_token=_text(keys, "SessionToken"),
            expiration=_moment(keys.get("Expiration")),
            account_id=account or _text(keys, "AccountId"),
            assumed_role_arn=arn,
            assumed_role_id=_text(user, "AssumedRoleId"),
            source_identity=_text(data, "SourceIdentity"),
            packed_policy_size=size if type(size) is int else None,
            subject=_text(data, "Subject") or _text(data, "SubjectFromWebIdentityToken"),
            issuer=_text(data, "Issuer") or _text(data, "Provider"),
            audience=_text(data, "Audience"),
        )


def check_credentials(value: object) -> None:
    """Check that the argument ``credentials`` is `Credentials`. Raises `TypeError`, which says what to write."""
    check_type("credentials", value, Credentials, "Credentials", profile_hint(value))


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ProofInvalid(
            f"credentials are read from a mapping, not from {type(value).__name__}",
            remedy="check what returned the credentials",
        )
    return value


def _text(data: Mapping[str, object], name: str, *, required: bool = False) -> str | None:
    value = data.get(name)
    if isinstance(value, str) and (value or not required):
        return value or None
    if value is None and not required:
        return None
    raise ProofInvalid(
        f"{name} must be text and not empty; it is {'missing' if value is None else 'not'}",
        remedy="check what returned the credentials",
        option=name,
    )


def _moment(value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    with suppress(ValueError):
        if isinstance(value, str):
            return instant(value)
    raise ProofInvalid(
        "Expiration is not an ISO 8601 date and time",
        remedy="expected for example 2026-01-31T12:00:00Z",
        option="Expiration",
    )


@init_without_frames
@frozen
class CallerIdentity:
    """Whose credentials these are, as STS sees it.

    `account`: its twelve digits. `arn`: of the user, or of the session of a role. `user_id`: unique for ever, even
    where a user of that name is made again; that of a session ends with its name.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """

    account: str = field(validator=text)
    arn: str = field(validator=text)
    user_id: str = field(validator=text)
