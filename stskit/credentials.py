"""`Credentials`: an immutable value. Its secret parts are `Secret` texts, which no repr shows.

`CallerIdentity` says who they belong to, and `Sink` is anything that they can be delivered to.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol, SupportsIndex, TypeVar

from attrs import converters, field, frozen

from stskit._time import instant
from stskit.errors import ProofInvalid, without_frames

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


def secret(value: str) -> Secret:
    """*value* as a `Secret`. Raises `ProofInvalid` where it is empty or no text."""
    if not isinstance(value, str) or not value:
        raise ProofInvalid("a secret must be text and not empty", remedy="check where it was read from")
    return Secret(value)


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ProofInvalid(
            f"the expiration {moment.isoformat()} has no time zone, so nobody can say when that is",
            remedy="give an aware datetime, for example with tzinfo=datetime.UTC",
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


@frozen
class Credentials:
    """AWS credentials: a value that never changes. Read a whole one; never mix the parts of two.

    `access_key_id`: tells whose they are, and is no secret. `secret_access_key`, `session_token`: secret; long-term
    keys have no token. `expiration`: aware and in UTC; None for long-term keys.
    `account_id`, `assumed_role_arn`, `assumed_role_id`, `source_identity`: whose session it is, None where unknown.
    `packed_policy_size`: how much of the room for policies and tags was used, in percent. `subject`, `issuer`,
    `audience`: what the proof said, for SAML and web identity only.

    Raises `ProofInvalid` when a key is empty or the expiration has no time zone.

    A pickle holds the secrets in clear, as it must: treat its bytes as you treat the keys.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html
    """

    access_key_id: str
    secret_access_key: Secret = field(converter=secret)
    session_token: Secret | None = field(default=None, converter=converters.optional(secret))
    expiration: datetime | None = field(default=None, converter=converters.optional(_utc))
    account_id: str | None = field(default=None, kw_only=True)
    assumed_role_arn: str | None = field(default=None, kw_only=True)
    assumed_role_id: str | None = field(default=None, kw_only=True)
    source_identity: str | None = field(default=None, kw_only=True)
    packed_policy_size: int | None = field(default=None, kw_only=True)
    subject: str | None = field(default=None, kw_only=True)
    issuer: str | None = field(default=None, kw_only=True)
    audience: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.access_key_id:
            raise ProofInvalid(
                "the access key id is empty",
                remedy="check where the credentials were read from",
                option="access_key_id",
            )

    def expires_in(self, *, now: datetime | None = None) -> timedelta | None:
        """The time left: negative once expired, None for long-term keys. *now* is aware; default: the system clock.

        Raises nothing.
        """
        if self.expiration is None:
            return None
        return self.expiration - (now or datetime.now(UTC))

    def is_expired(self, *, now: datetime | None = None) -> bool:
        """Whether no time is left. Long-term keys never expire. *now* as of `expires_in`. Raises nothing."""
        left = self.expires_in(now=now)
        return left is not None and left <= timedelta(0)

    def to(self, sink: Sink[R]) -> R:
        """Deliver these credentials, fixed as they are, and give back what *sink* makes of them.

        Raises `SinkError`, and then nothing was changed.
        """
        return sink.write(self)

    def as_dict(self) -> dict[str, str]:
        """The four fields under STS's own names, in plain text; those that are None are left out.

        ``AccessKeyId``, ``SecretAccessKey``, ``SessionToken``, and ``Expiration`` as RFC 3339 in UTC, whole seconds.
        Raises nothing.
        """
        fields = {"AccessKeyId": self.access_key_id, "SecretAccessKey": str(self.secret_access_key)}
        if self.session_token is not None:
            fields["SessionToken"] = str(self.session_token)
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
            packed_policy_size=size if isinstance(size, int) else None,
            subject=_text(data, "Subject") or _text(data, "SubjectFromWebIdentityToken"),
            issuer=_text(data, "Issuer") or _text(data, "Provider"),
            audience=_text(data, "Audience"),
        )


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ProofInvalid(f"credentials are read from a mapping, not from {type(value).__name__}")
    return value


def _text(data: Mapping[str, object], name: str, *, required: bool = False) -> str | None:
    value = data.get(name)
    if isinstance(value, str) and (value or not required):
        return value or None
    if value is None and not required:
        return None
    raise ProofInvalid(f"{name} must be text and not empty; it is {'missing' if value is None else 'not'}", option=name)


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


@frozen
class CallerIdentity:
    """Whose credentials these are, as STS sees it.

    `account`: its twelve digits. `arn`: of the user, or of the session of a role. `user_id`: unique for ever, even
    where a user of that name is made again; that of a session ends with its name.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """

    account: str
    arn: str
    user_id: str
