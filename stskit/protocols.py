"""The seams: what a part must be able to do to take part. Each is one method (`Clock` has two).

Nothing is inherited and nothing is registered: any object with the method fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

    from stskit.identity import CallerIdentity, Credentials, Proof
    from stskit.mfa import MFA
    from stskit.roles import Role

__all__ = ["STS", "Clock", "Identifier", "LiveSink", "SessionTokens", "Sink", "Source"]

P_co = TypeVar("P_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


class Source(Protocol[P_co]):
    """Where proof comes from."""

    def fetch(self) -> P_co:
        """The proof as it is now.

        Called again for every refresh, perhaps from another thread, so read again what can change and keep nothing.
        Raise `SourceMissing` where nothing is there and `ProofInvalid` where it is broken, with no secret in the text.
        """
        ...


class STS(Protocol):
    """What turns a proof into credentials."""

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        """One call: the credentials of *role* for *proof*.

        Raises `RoleError` before the call, `STSError` on a refusal, `STSUnavailable` where no answer can be used.
        Safe to call from several threads.
        """
        ...


class Identifier(Protocol):
    """What can say whose credentials these are."""

    def caller_identity(self, credentials: Credentials, /) -> CallerIdentity:
        """The account, ARN and user id behind *credentials*, as STS sees them."""
        ...


class SessionTokens(Protocol):
    """What can make a session of a user's own, for `SessionToken`."""

    def session_token(
        self, credentials: Credentials, /, *, duration: int | None = None, mfa: MFA | None = None
    ) -> Credentials:
        """Temporary credentials of the same user; *duration* in seconds. Raises as `STS.exchange` does."""
        ...


class Sink(Protocol[R_co]):
    """Where credentials go, as the value they are now."""

    def write(self, credentials: Credentials, /) -> R_co:
        """Deliver *credentials*, whole or not at all, and give back where or what they became.

        Raise `SinkError` when that is not possible, with everything as it was before.
        """
        ...


class LiveSink(Protocol[R_co]):
    """Where a recipe goes, to keep itself fresh."""

    def attach(self, source: Source[Credentials], /) -> R_co:
        """Something that asks *source* for credentials whenever it needs new ones."""
        ...


class Clock(Protocol):
    """What time it is; a test passes one that it can move."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC. Expiry is judged by it."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow. Waiting between tries is measured by it."""
        ...
