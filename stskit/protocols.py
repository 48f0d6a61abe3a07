"""The seams: what a part must be able to do to take part. Each is one method (`Clock` has two, `Cache` three), and two
values pass through them: `CacheEntry` and `RefreshEvent`.

Nothing is inherited and nothing is registered: any object with the method fits.
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
    """Where proof comes from.

    One that takes part in caches which outlive the process has an attribute ``identity`` besides: a text, never secret,
    that says whose proof it gives, and that another user's source never has; None where it cannot be told. It must
    cover what proves the identity, not what an unverified proof says. It may raise what `fetch` raises.

    A source that reads a file may have a method ``snapshot()``, which returns a source that has read it: its
    ``identity`` and its ``fetch`` are about the same bytes. Without it, credentials are put into a cache only if the
    identity is the same before and after the fetch.
    """

    def fetch(self) -> P_co:
        """The proof as it is now.

        Called again for every refresh, perhaps from another thread, so read again what can change and keep nothing.
        Raise `SourceMissing` where nothing is there and `ProofInvalid` where it is broken, with no secret in the text.
        """
        ...


class STS(Protocol):
    """What turns a proof into credentials.

    To take part in caches which outlive the process, it needs an attribute ``identity``: a text that says which server
    it asks. The name of its class says nothing about that, because two objects of one class may ask two servers.
    """

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        """One call: the credentials of *role* for *proof*.

        Raises `RoleError` before the call, `STSError` on a refusal, `STSUnavailable` where no answer can be used.
        Safe to call from several threads.
        """
        ...


class STSOperations(Protocol):
    """The operations of STS that need no role."""

    def caller_identity(self, credentials: Credentials, /) -> CallerIdentity:
        """The account, ARN and user id behind *credentials*, as STS sees them. Raises as `STS.exchange` does."""
        ...

    def session_token(
        self, credentials: Credentials, /, *, duration: int | None = None, mfa: MFA | None = None
    ) -> Credentials:
        """Temporary credentials of the same user; *duration* in seconds. Raises as `STS.exchange` does."""
        ...


class LiveSink(Protocol[R_co]):
    """Where a recipe goes, to keep itself fresh."""

    def attach(self, source: Source[Credentials], /) -> R_co:
        """Something that asks *source* for credentials whenever it needs new ones.

        Raise `SinkError` where that cannot be made; what the source raises comes out where the credentials are used.
        """
        ...


def attach(sink: LiveSink[R], source: Source[Credentials]) -> R:
    """Attach *sink* to *source*. Raises `TypeError`, with what to write, for a sink that cannot be attached."""
    if hasattr(sink, "write") and not hasattr(sink, "attach"):
        raise TypeError(
            f"{type(sink).__name__} takes credentials as a value and does not refresh them; "
            "write .fetch().to(...) in place of .to(...)"
        )
    check_method("sink", sink, "attach", "a sink", "Write for example Boto3Session().")
    return sink.attach(source)


class Clock(Protocol):
    """What time it is; a test passes one that it can move."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC. Expiry is judged by it. Raises nothing."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow. Waiting between tries is measured by it. Raises nothing."""
        ...


@init_without_frames
@frozen
class CacheEntry:
    """What a cache keeps: `credentials`, and `since` when they are there, aware, in UTC; windows are judged by it."""

    credentials: Credentials = field(validator=is_type(Credentials, "Credentials"))
    since: datetime = field(validator=aware)


class Cache(Protocol):
    """Where credentials are kept for others: other recipes, other processes.

    It may have an attribute ``persistent``, False where nothing outlives the process. Nothing raises for want of
    storage: a cache that cannot do its work warns once, finds nothing, and lets everybody go on.
    """

    def get(self, key: str, /) -> CacheEntry | None:
        """What was put under *key*; None where nothing is there or it cannot be read. Raises nothing."""
        ...

    def put(self, key: str, entry: CacheEntry, /) -> None:
        """Keep *entry* under *key*, in the place of what was there, whole or not at all. Raises nothing."""
        ...

    def exclusive(self, key: str, /, *, wait: bool) -> AbstractContextManager[bool]:
        """A block that one caller of all threads and processes is in at a time, for each *key*.

        It gives True inside of it. Where another one is in it: with *wait* this waits, and gives False after a while;
        without, it gives False at once. A caller that dies makes room. Raises nothing.
        """
        ...


RefreshEventKind: TypeAlias = Literal["refreshed", "refresh_failed", "served_stale"]


@init_without_frames
@frozen
class RefreshEvent:
    """What a `RefreshListener` is told; nothing in it is secret.

    `kind`: ``"refreshed"``, ``"refresh_failed"`` or ``"served_stale"``. `access_key_id`, `expiration`: of the
    credentials at hand then, None where there are none. `error`: what went wrong; of an error that is not stskit's, its
    class alone. `from_cache`: whether new credentials were found in the cache, without a call. `role_arn`: the role
    that is refreshed, None where the source names none. `seconds`: how long the refresh or the failed try took; None
    for expired credentials that were served.
    """

    kind: RefreshEventKind
    access_key_id: str | None = field(default=None, validator=optional_text)
    expiration: datetime | None = field(default=None, validator=optional(aware))
    error: str | None = field(default=None, validator=optional_text)
    from_cache: bool = field(default=False, validator=flag)
    role_arn: str | None = field(default=None, validator=optional_text)
    seconds: float | None = field(default=None, validator=optional_number)


class RefreshListener(Protocol):
    """Who wants to know of refreshes: for logs and metrics."""

    def notify(self, event: RefreshEvent, /) -> None:
        """Called after the fact, by whoever read the credentials, while nobody waits for it but that caller.

        What it raises becomes a warning, and nobody goes without credentials for it.
        """
        ...
