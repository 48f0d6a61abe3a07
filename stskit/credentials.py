"""AWS credentials as immutable values, whose secret parts no repr shows, and the protocol `Sink` that they go to."""

from __future__ import annotations

import re
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
from stskit._time import instant, shown_time
from stskit.errors import ProofInvalid, init_without_frames, without_frames

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["CallerIdentity", "Credentials", "Secret", "Sink", "secret"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Secret(str):
    """A string whose ``repr`` is masked, so that logs, assertion messages and tracebacks with locals do not show it.

    ``str()`` and formatting return the plain text. Use them only where the secret is needed.

    Args:
        object: The text, as for `str`.

    Example:
        >>> from stskit.credentials import Secret
        >>> Secret("wJalrXUtnFEMI")
        Secret('***')
        >>> Secret("wJalrXUtnFEMI") == "wJalrXUtnFEMI"
        True
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"

    def __getitem__(self, index: SupportsIndex | slice) -> Secret:
        return Secret(super().__getitem__(index))  # rich and others shorten a text, then show its repr

    def __add__(self, more: str) -> Secret:
        return Secret(super().__add__(more))  # unittest adds a line end, then shows a difference

    def splitlines(self, keepends: bool = False) -> list[str]:  # noqa: ARG002 - as `str` has it
        """Return masked lines, because the difflib of unittest and pytest shows the lines of a text.

        Args:
            keepends: Not used. `str` has this parameter.

        Returns:
            The mask and an empty line. With a single line, unittest would compare and show the text itself.
            Raises nothing.
        """
        return [repr(self), ""]


def secret(value: str) -> Secret:
    """Convert text to a `Secret`. A value of another type stays as it is, so that a validator can refuse it.

    Args:
        value: Text.

    Returns:
        The `Secret`. Raises nothing.

    Example:
        >>> from stskit.credentials import secret
        >>> secret("wJalrXUtnFEMI")
        Secret('***')
    """
    return Secret(value) if isinstance(value, str) else value


def check_secret(_self: object, attribute: Attribute[Any], value: object) -> None:
    """Validate a secret text, which must not be empty.

    Raises `TypeError` or `ProofInvalid`. Both name the attribute and do not quote the value.
    """
    check_type(attribute.name, value, str, "text")
    if not value:
        raise ProofInvalid(
            f"{attribute.name} is empty.", remedy="Check the place where it is stored.", option=attribute.name
        )


def _check_key(self: object, attribute: Attribute[Any], value: str | None) -> None:
    """Validate a part of credentials.

    A space or a line end at the end is common if keys come from a file, a secret store or a CSV file. It would make the
    HTTP header invalid or change the signature, and the resulting error would not name the cause. Servers that are not
    AWS may have blanks inside a secret.
    """
    if value is None and attribute.default is None:
        return
    check_secret(self, attribute, value)
    is_id = attribute.name == "access_key_id"
    if is_id and value and (kind := secret_kind(value)) and kind != SEVERAL_LINES:  # every repr shows it
        raise ProofInvalid(
            f"access_key_id is {kind}, not an access key ID.",
            remedy="Pass the access key ID first, then the secret access key.",
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
            f"{attribute.name} has {_described(value[wrong])} {place}.",
            remedy="Remove it in the place where the credentials are stored.",
            option=attribute.name,
        )


def _is_invisible(character: str) -> bool:
    return not character.isprintable() or character == " "


def _described(character: str) -> str:
    if character in "\r\n":
        return "a line break"
    if character == " ":
        return "a space"
    return "a tab or other white space" if character.isspace() else f"an invisible character (U+{ord(character):04X})"


def _utc(moment: datetime | None) -> datetime | None:
    """Convert a time to UTC. Raise `TypeError` for another type, and `ProofInvalid` if it has no time zone."""
    if moment is None:
        return None
    check_type("expiration", moment, datetime, "an aware datetime or None")
    if moment.utcoffset() is None:
        raise ProofInvalid(
            f"expiration {moment.isoformat()} has no time zone, so it is ambiguous.",
            remedy="Pass a datetime with a time zone, for example with tzinfo=datetime.UTC.",
            option="expiration",
        )
    with suppress(OverflowError):
        return moment.astimezone(UTC)
    raise ProofInvalid(
        f"expiration {moment.isoformat()} is not a valid date in UTC.",
        remedy="Check the place where it is stored.",
        option="expiration",
    )


class Sink(Protocol[R_co]):
    """A place that credentials can be delivered to: any object with this one method.

    Example:
        >>> from stskit import Credentials
        >>> class Printed:
        ...     def write(self, credentials: Credentials, /) -> str:
        ...         return f"{credentials.access_key_id} until {credentials.expiration}"
        >>> Credentials("AKIDEXAMPLE", "secret").to(Printed())
        'AKIDEXAMPLE until None'
    """

    def write(self, credentials: Credentials, /) -> R_co:
        """Deliver credentials completely, or change nothing.

        Args:
            credentials: The credentials to deliver.

        Returns:
            What the user gets from ``credentials.to(sink)``, for example a path.

        Raises:
            SinkError: If the credentials cannot be delivered. Everything is then as it was before.
        """
        ...


@init_without_frames
@frozen(repr=False)
class Credentials:
    """AWS credentials: one immutable value, with the identity that they belong to.

    `assume` returns them; build them yourself for a source of your own, or with `from_dict`. A pickle contains the
    secrets in plain text, so protect it like the keys.

    Args:
        access_key_id: Access key ID. It is not secret, and reprs and logs show it.
        secret_access_key: Secret access key.
        session_token: Session token. None for long-term keys.
        expiration: When the credentials expire, with a time zone; stored in UTC. None for long-term keys.
        account_id: Account ID, 12 digits. None if unknown, as for the next three.
        assumed_role_arn: ARN of the session, ``arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION``.
        assumed_role_id: Role ID and session name, ``AROAEXAMPLE:SESSION``.
        source_identity: Source identity of the session.
        packed_policy_size: How much of the space for policies and tags was used, in percent. None if unknown.
        subject: Subject of the SAML assertion or OIDC token. None for AssumeRole, as for the next two.
        issuer: Issuer of the assertion, or identity provider of the token.
        audience: Audience of the assertion or token.

    Raises:
        ProofInvalid: If a key is empty or has a space, a line end or an invisible character, or if the expiration has
            no time zone. It names the part and does not quote it.
        TypeError: If a part has the wrong type.

    Example:
        >>> from stskit import Credentials
        >>> credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI")
        >>> credentials
        <Credentials AKIDEXAMPLE: long-term keys>
        >>> credentials.secret_access_key
        Secret('***')

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

    def __repr__(self) -> str:
        role, name, account = self._session()
        owner = [f"role {role}"] if role else []
        owner += [f"account {account}"] if account else []
        owner += [f"session {name}"] if name else [f"subject {self.subject}"] if self.subject else []
        return f"<Credentials {self.access_key_id}: {', '.join([*owner, self._validity()])}>"

    def _repr_html_(self) -> str:
        """Return a table for Jupyter, without the secrets."""
        from html import escape

        role, name, account = self._session()
        rows = {"Access key ID": self.access_key_id, "Account": account, "Role": role, "Session": name}
        rows |= {"Subject": self.subject, "Valid": self._validity()}
        cells = (f"<tr><th>{head}</th><td>{escape(text)}</td></tr>" for head, text in rows.items() if text)
        return f"<table>{''.join(cells)}</table>"

    def _session(self) -> tuple[str | None, str | None, str | None]:
        """Return role name, session name and account, each None if unknown."""
        match = re.fullmatch(r"arn:[^:]*:sts::([^:]*):assumed-role/(.+)/([^/]+)", self.assumed_role_arn or "")
        account, role, name = match.groups() if match else (None, None, None)
        return role, name, self.account_id or account

    def _validity(self) -> str:
        left = self.expires_in()
        if self.expiration is None or left is None:
            return "no expiration" if self.session_token else "long-term keys"
        until = shown_time(self.expiration)
        return f"expired at {until}" if left <= timedelta(0) else f"valid until {until} ({_rounded(left)} left)"

    @without_frames
    def expires_in(self, *, now: datetime | None = None) -> timedelta | None:
        """Return how long the credentials are still valid.

        Args:
            now: Present time, with a time zone. Defaults to the system clock.

        Returns:
            The time left, negative if they have expired. None for long-term keys.

        Raises:
            TypeError: If *now* is not a datetime with a time zone.
        """
        if now is not None:
            check_aware("now", now)
        if self.expiration is None:
            return None
        return self.expiration - (now or datetime.now(UTC))

    @without_frames
    def is_expired(self, *, now: datetime | None = None) -> bool:
        """Return whether the credentials have expired. Long-term keys never expire.

        Args:
            now: Present time, with a time zone. Defaults to the system clock.

        Returns:
            True if no time is left.

        Raises:
            TypeError: If *now* is not a datetime with a time zone.
        """
        left = self.expires_in(now=now)
        return left is not None and left <= timedelta(0)

    @without_frames
    def to(self, sink: Sink[R]) -> R:
        """Deliver these credentials to a sink. They stay as they are: a session made of them is not refreshed.

        For a session that refreshes itself, call ``stskit.boto3_session`` or use ``AssumedRole(...).to(sink)``.

        Args:
            sink: Where they go, for example ``CredentialsFile("deploy")``.

        Returns:
            What the sink's ``write`` returns.

        Raises:
            SinkError: If the sink cannot deliver them. Nothing was changed.
            TypeError: If it is not a sink.
        """
        check_sink(sink)
        return sink.write(self)

    def as_dict(self) -> dict[str, str]:
        """Return the credentials under STS's own names. Parts that are None are omitted.

        The two secrets are `Secret` texts: JSON, a file and an environment get the plain text, and a repr is masked.

        Returns:
            ``AccessKeyId``, ``SecretAccessKey``, ``SessionToken``, and ``Expiration`` as RFC 3339 in UTC with whole
            seconds. Raises nothing.
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
        """Read credentials from a dict: of `as_dict`, an STS response, or a ``credential_process`` document.

        Args:
            data: The dict. The credentials can be under the key ``Credentials``.

        Returns:
            The credentials, with the identity that the dict contains.

        Raises:
            ProofInvalid: If a field is missing or not valid. It names the field and does not quote it.

        Example:
            >>> from stskit import Credentials
            >>> Credentials.from_dict({"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "..."})
            <Credentials AKIAIOSFODNN7EXAMPLE: long-term keys>

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


def _rounded(left: timedelta) -> str:
    """Return a time in the largest unit that fits twice: "45 seconds", "59 minutes", "11 hours"."""
    seconds = int(left.total_seconds())
    for unit, size in ("hours", 3600), ("minutes", 60):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def shown_identity(subject: str | None, issuer: str | None) -> str:
    """Return who a proof is about, for its repr. Control characters are escaped, because other parties choose them."""
    owner = f" of {subject[:100]!r}" if subject else ""
    return f"{owner} from {issuer[:100]!r}" if issuer else owner


def shown_end(end: datetime | None) -> str:
    """Return until when a proof is valid, for its repr."""
    return f", valid until {shown_time(end)}" if end else ""


def check_credentials(value: object) -> None:
    """Raise `TypeError` if the argument ``credentials`` is not `Credentials`. The message says what to pass."""
    check_type("credentials", value, Credentials, "Credentials", profile_hint(value))


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ProofInvalid(
            f"Credentials must be a mapping of names to values, not {type(value).__name__}.",
            remedy="Check the response that contains them.",
        )
    return value


def _text(data: Mapping[str, object], name: str, *, required: bool = False) -> str | None:
    value = data.get(name)
    if isinstance(value, str) and (value or not required):
        return value or None
    if value is None and not required:
        return None
    raise ProofInvalid(
        f"{name} is {'missing' if value is None else 'empty' if value == '' else 'not text'}.",
        remedy="Credentials have AccessKeyId and SecretAccessKey, and if they are temporary also SessionToken and "
        "Expiration.",
        option=name,
    )


def _moment(value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    with suppress(ValueError):
        if isinstance(value, str):
            return instant(value)
    raise ProofInvalid(
        "Expiration is not a valid ISO 8601 date and time.",
        remedy="Write it as in 2026-01-31T12:00:00Z.",
        option="Expiration",
    )


@init_without_frames
@frozen
class CallerIdentity:
    """The identity that credentials belong to, as STS reports it.

    Args:
        account: Account ID, 12 digits.
        arn: ARN of the user, or of the session of a role.
        user_id: Unique ID. A user or role that is created again with the same name gets another one.

    Raises:
        TypeError: If a part is not text.

    Example:
        >>> from stskit import caller_identity
        >>> caller_identity().account
        '123456789012'

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """

    account: str = field(validator=text)
    arn: str = field(validator=text)
    user_id: str = field(validator=text)
