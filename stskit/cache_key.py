"""Make cache keys, which differ if the proofs of identity differ, and contain no secret.

A key is an HMAC under random bytes of the user. It covers the proof itself (the bytes of an assertion or a token, or
whole credentials), not the claims of the proof, because only STS can verify those.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
from attrs import define

from stskit.credentials import Credentials
from stskit.mfa import MFA
from stskit.proofs import Proof, SAMLAssertion
from stskit.roles import ProvidedContext, Role, default_session_name

if TYPE_CHECKING:
    from stskit.protocols import Source

__all__ = [
    "anonymous_part",
    "digest",
    "identity_for",
    "identity_of",
    "optional_method",
    "proof_key",
    "role_key",
    "session_key",
    "snapshot_of",
]

P_co = TypeVar("P_co", covariant=True)


def identity_of(part: object) -> str | None:
    """Return the attribute ``identity`` of a source or an STS, or None if it has none that is text."""
    identity = getattr(part, "identity", None)
    return identity if isinstance(identity, str) and identity else None


def optional_method(part: object, name: str) -> Callable[..., Any] | None:
    """Return a method that the class of *part* defines, or None.

    A wrapper may pass unknown attributes to an inner object, whose method would return an object without the wrapper.
    A mock has every attribute.
    """
    return getattr(part, name) if hasattr(type(part), name) else None


def identity_for(source: object, name: str) -> str | None:
    """Return the identity of *source* if *name* stands for the identity of the first source behind it."""
    derived = optional_method(source, "identity_for")
    found: str | None = digest("named", name) if derived is None else derived(name)
    return found


def snapshot_of(source: Source[P_co]) -> Source[P_co]:
    """Return the present state of a source, whose `identity` belongs to the proof that its `fetch` returns.

    Raises what the source raises.
    """
    take = optional_method(source, "snapshot")
    taken: Source[P_co] = _Observed(source, identity_of(source)) if take is None else take()
    return taken


def anonymous_part(source: object, sts: object | None = None) -> object | None:
    """Return the source, the part of it or the STS that has no identity, or None if each has one.

    It reads no files. Raises what the identity of a source raises.
    """
    if sts is not None and identity_of(sts) is None:
        return sts
    ask = optional_method(source, "anonymous_part")
    if ask is not None:
        part: object | None = ask()
        return part
    has_snapshot = optional_method(source, "snapshot") is not None
    return source if not has_snapshot and identity_of(source) is None else None


@define(eq=False)
class _Observed(Generic[P_co]):
    """A source without snapshots: its identity before the fetch, or None if the identity was another one after it."""

    source: Source[P_co]
    identity: str | None

    def fetch(self) -> P_co:
        proof = self.source.fetch()
        if self.identity is not None and identity_of(self.source) != self.identity:
            self.identity = None
        return proof


def digest(*parts: object) -> str:
    """Return a hexadecimal digest of all parts, from which no part can be read or guessed."""
    from hashlib import sha256
    from hmac import new

    from stskit._io.cache_folder import user_key

    return new(user_key(), _encoded(parts), sha256).hexdigest()


def proof_key(proof: Proof) -> str:
    """Return a key for a proof. Raises nothing."""
    match proof:
        case Credentials():
            return digest("credentials", proof.access_key_id, proof.secret_access_key, proof.session_token)
        case SAMLAssertion():
            return digest("assertion", proof.value, proof.principal_arn)
        case _:
            return digest("token", proof.value, proof.provider_id)


def role_key(role: Role, source: str | None, sts: object, *, sts_name: str | None = None) -> str | None:
    """Return a key for a role with its options, a source and an STS.

    None if *source* is None, or if the STS has no identity and no *sts_name* replaces it.
    """
    server = identity_of(sts) or sts_name
    if source is None or server is None:
        return None
    session = role.session_name or os.environ.get("AWS_ROLE_SESSION_NAME") or default_session_name()
    options = attrs.asdict(role, recurse=False) | {"session_name": session}
    return digest("role", options, source, server)


def session_key(
    source: str | None, duration: int | None, mfa: MFA | None, sts: object, *, sts_name: str | None = None
) -> str | None:
    """Return a key for a session token, a source and an STS."""
    server = identity_of(sts) or sts_name
    return None if source is None or server is None else digest("session", duration, mfa, source, server)


def _encoded(value: object) -> bytes:
    """Return bytes that no other value has: the kind, the length and the content of a value."""
    match value:
        case None:
            kind, content = b"-", b""
        case str():
            kind, content = b"s", value.encode("utf-8", "surrogatepass")
        case bytes():
            kind, content = b"b", value
        case MFA():  # a code is valid for one call only
            kind, content = b"m", _encoded(value.serial)
        case ProvidedContext():
            kind, content = b"c", _encoded((value.provider_arn, value.context_assertion))
        case Mapping():
            kind, content = b"d", b"".join(sorted(_encoded(key) + _encoded(each) for key, each in value.items()))
        case set() | frozenset():
            kind, content = b"u", b"".join(sorted(map(_encoded, value)))
        case list() | tuple():
            kind, content = b"l", b"".join(map(_encoded, value))
        case _:
            kind, content = b"o", f"{type(value).__qualname__} {value!r}".encode("utf-8", "surrogatepass")
    return b"%b%d:%b" % (kind, len(content), content)
