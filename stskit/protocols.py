"""The protocols of the parts that can be replaced, and the two values that they exchange.

Any object with the methods of a protocol fits. It needs no base class and no registration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar

from attrs import field, frozen
from attrs.validators import optional

from stskit._arguments import aware, check_method, flag, is_type, optional_number, optional_text
from stskit.credentials import Credentials, Sink
from stskit.errors import init_without_frames

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime

    from stskit.credentials import CallerIdentity
    from stskit.mfa import MFA
    from stskit.proofs import Proof
    from stskit.roles import Role

__all__ = [
    "STS",
    "Cache",
    "CacheEntry",
    "Clock",
    "LiveSink",
    "RefreshEvent",
    "RefreshEventKind",
    "RefreshListener",
    "STSOperations",
    "Sink",
    "Source",
    "attach",
]

P_co = TypeVar("P_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")


class Source(Protocol[P_co]):
    """A place that a proof comes from.

    A source can have an attribute ``identity``: text that is not secret and that no source of another user has, or None
    if the identity is unknown. It must cover what proves the identity, not what an unverified proof says. Caches that
    outlive the process need it. It may raise what `fetch` raises.

    A source that reads a file can have a method ``snapshot()``, which returns a source that has read the file, so that
    ``identity`` and ``fetch`` of the result use the same bytes. Without it, credentials are cached only if the identity
    is the same before and after the fetch.

    Example:
        >>> from stskit import Credentials, assume
        >>> class Vault:
        ...     def fetch(self) -> Credentials:
        ...         return Profile("base").fetch()
        >>> from stskit.sources import Profile
        >>> assume("arn:aws:iam::123456789012:role/Deploy", source=Vault()).account_id
        '123456789012'
    """

    def fetch(self) -> P_co:
        """Return the current proof.

        It is called again for every refresh, perhaps in another thread. Read again whatever can change.

        Returns:
            The proof.

        Raises:
            SourceMissing: If there is no proof.
            ProofInvalid: If the proof is not valid. The text must not contain a secret.
        """
        ...


class STS(Protocol):
    """The exchange of a proof for credentials.

    An STS can have an attribute ``identity``: text that says which server it calls. Caches that outlive the process
    need it.

    Example:
        >>> from stskit import Credentials, Role, assume
        >>> class CannedSTS:
        ...     def exchange(self, proof, role: Role) -> Credentials:
        ...         return Credentials("ASIAEXAMPLE", "secret", "token", account_id=role.account)
        >>> assume("arn:aws:iam::123456789012:role/Deploy", sts=CannedSTS()).access_key_id
        'ASIAEXAMPLE'
    """

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        """Exchange a proof for credentials of a role. It must be safe to call from several threads.

        Args:
            proof: Credentials, a SAML assertion or an OIDC token.
            role: The role with its options.

        Returns:
            Temporary credentials of the role.

        Raises:
            RoleError: If the role does not fit the proof. Nothing was sent.
            STSError: If STS refused the request.
            STSUnavailable: If STS could not be reached, or its response was not usable.
        """
        ...


class STSOperations(Protocol):
    """The operations of STS that need no role.

    Example:
        >>> from stskit import CallerIdentity, caller_identity
        >>> class CannedSTS:
        ...     def caller_identity(self, credentials, /) -> CallerIdentity:
        ...         return CallerIdentity("123456789012", "arn:aws:iam::123456789012:user/me", "AIDAEXAMPLE")
        ...     def session_token(self, credentials, /, *, duration=None, mfa=None):
        ...         return credentials
        >>> caller_identity(sts=CannedSTS()).user_id
        'AIDAEXAMPLE'
    """

    def caller_identity(self, credentials: Credentials, /) -> CallerIdentity:
        """Return the identity of credentials.

        Args:
            credentials: The credentials to ask about.

        Returns:
            Account, ARN and user ID.

        Raises:
            STSError: If STS does not accept the credentials.
            STSUnavailable: If STS could not be reached, or its response was not usable.
        """
        ...

    def session_token(
        self, credentials: Credentials, /, *, duration: int | None = None, mfa: MFA | None = None
    ) -> Credentials:
        """Return temporary credentials of the same user.

        Args:
            credentials: Long-term keys of a user.
            duration: How long they are valid, in seconds. Defaults to the server's choice.
            mfa: MFA device and code. Defaults to none.

        Returns:
            Temporary credentials.

        Raises:
            STSError: If STS refused the request.
            STSUnavailable: If STS could not be reached, or its response was not usable.
        """
        ...


class LiveSink(Protocol[R_co]):
    """A place that a recipe can be attached to, so that it refreshes itself.

    Example:
        >>> from stskit import AssumedRole
        >>> class Getter:
        ...     def attach(self, source, /):
        ...         return source.fetch
        >>> get = AssumedRole("arn:aws:iam::123456789012:role/Deploy").to(Getter())
        >>> get().account_id
        '123456789012'
    """

    def attach(self, source: Source[Credentials], /) -> R_co:
        """Return an object that fetches credentials from *source* whenever it needs new ones.

        Args:
            source: The recipe.

        Returns:
            What the user gets from ``recipe.to(sink)``.

        Raises:
            SinkError: If the object cannot be made. Errors of the source are raised later, when credentials are used.
        """
        ...


def attach(sink: LiveSink[R], source: Source[Credentials]) -> R:
    """Attach a sink to a source.

    Args:
        sink: A sink that refreshes.
        source: The source of the credentials.

    Returns:
        The result of ``sink.attach(source)``.

    Raises:
        TypeError: If the sink only takes fixed credentials. The message says what to write.
        SinkError: If the sink refuses.

    Example:
        >>> from stskit import AssumedRole
        >>> from stskit.protocols import attach
        >>> from stskit.sinks import Boto3Session
        >>> session = attach(Boto3Session(), AssumedRole("arn:aws:iam::123456789012:role/Deploy"))
    """
    if hasattr(sink, "write") and not isinstance(sink, type) and not hasattr(sink, "attach"):
        raise TypeError(
            f"{type(sink).__name__} takes fixed credentials and does not refresh them. "
            "Write .fetch().to(...) instead of .to(...)."
        )
    check_method("sink", sink, "attach", "a sink", "Write for example Boto3Session().")
    return sink.attach(source)


class Clock(Protocol):
    """A source of the time. Tests pass one that they can move.

    Example:
        >>> from stskit import AssumedRole, Cached
        >>> from stskit.testing import ManualClock
        >>> cached = Cached(AssumedRole("arn:aws:iam::123456789012:role/Deploy"), clock=ManualClock())
    """

    def now(self) -> datetime:
        """Return the wall clock, which decides about expiry.

        Returns:
            An aware datetime in UTC. Raises nothing.
        """
        ...

    def monotonic(self) -> float:
        """Return the monotonic clock, which measures pauses.

        Returns:
            Seconds that never decrease. Raises nothing.
        """
        ...


@init_without_frames
@frozen
class CacheEntry:
    """An entry of a cache: credentials, and when they were fetched.

    Args:
        credentials: The credentials.
        since: When they were fetched, with a time zone. The refresh windows depend on it.

    Raises:
        TypeError: If an argument has the wrong type.

    Example:
        >>> from datetime import UTC, datetime
        >>> from stskit import assume
        >>> from stskit.protocols import CacheEntry
        >>> entry = CacheEntry(assume("arn:aws:iam::123456789012:role/Deploy"), datetime.now(UTC))
    """

    credentials: Credentials = field(validator=is_type(Credentials, "Credentials"))
    since: datetime = field(validator=aware)


class Cache(Protocol):
    """A place that stores credentials for other recipes or other processes.

    It can have an attribute ``persistent``, which is False if nothing outlives the process. Methods do not raise if the
    storage fails: such a cache warns once, finds nothing, and lets every caller continue.

    Example:
        >>> from contextlib import nullcontext
        >>> from stskit import AssumedRole, Cached
        >>> class DictCache:
        ...     persistent = False
        ...     def __init__(self):
        ...         self.entries = {}
        ...     def get(self, key, /):
        ...         return self.entries.get(key)
        ...     def put(self, key, entry, /):
        ...         self.entries[key] = entry
        ...     def exclusive(self, key, /, *, wait):
        ...         return nullcontext(True)
        >>> cached = Cached(AssumedRole("arn:aws:iam::123456789012:role/Deploy"), DictCache())
    """

    def get(self, key: str, /) -> CacheEntry | None:
        """Return an entry.

        Args:
            key: The cache key.

        Returns:
            The entry, or None if there is none that can be read. Raises nothing.
        """
        ...

    def put(self, key: str, entry: CacheEntry, /) -> None:
        """Store an entry completely, or not at all, in place of an older one. Raises nothing.

        Args:
            key: The cache key.
            entry: The entry.
        """
        ...

    def exclusive(self, key: str, /, *, wait: bool) -> AbstractContextManager[bool]:
        """Return a block that only one caller of all threads and processes is in, for each key.

        The lock of a caller that dies must become free.

        Args:
            key: The cache key.
            wait: Whether to wait for another caller that is in the block.

        Returns:
            A context manager that yields True if this caller has the lock. If another caller has it, it yields False,
            at once without *wait*, and after a time limit with *wait*. Raises nothing.
        """
        ...


RefreshEventKind: TypeAlias = Literal["refreshed", "refresh_failed", "served_stale"]
"""The kinds of a `RefreshEvent`."""


@init_without_frames
@frozen
class RefreshEvent:
    """An event for a `RefreshListener`. It contains no secret.

    Args:
        kind: ``"refreshed"``, ``"refresh_failed"`` or ``"served_stale"`` (expired credentials were used).
        access_key_id: Access key ID of the credentials in use. None if there are none.
        expiration: When they expire.
        error: Text of the error. For an error that is not stskit's, only its class.
        from_cache: Whether the new credentials came from the cache, without a call.
        role_arn: ARN of the role that is refreshed. None if the source is not about a role.
        seconds: How long the attempt took. None for expired credentials that were used.

    Raises:
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit.protocols import RefreshEvent
        >>> RefreshEvent("refresh_failed", error="STS could not be reached.").kind
        'refresh_failed'
    """

    kind: RefreshEventKind
    access_key_id: str | None = field(default=None, validator=optional_text)
    expiration: datetime | None = field(default=None, validator=optional(aware))
    error: str | None = field(default=None, validator=optional_text)
    from_cache: bool = field(default=False, validator=flag)
    role_arn: str | None = field(default=None, validator=optional_text)
    seconds: float | None = field(default=None, validator=optional_number)


class RefreshListener(Protocol):
    """An object that gets refresh events, for logs and metrics.

    Example:
        >>> from stskit import AssumedRole, Cached
        >>> class Printed:
        ...     def notify(self, event, /):
        ...         print(event.kind, event.role_arn)
        >>> credentials = Cached(AssumedRole("arn:aws:iam::123456789012:role/Deploy"), listener=Printed()).fetch()
        refreshed arn:aws:iam::123456789012:role/Deploy
    """

    def notify(self, event: RefreshEvent, /) -> None:
        """Handle an event. Only the caller that caused the event waits for it.

        An exception becomes a warning, so it does not stop the refresh. Raises nothing.

        Args:
            event: The event.
        """
        ...
