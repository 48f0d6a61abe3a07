"""Keys of caches: texts that differ wherever what proves the identity differs, and that hold nothing secret.

A key is an HMAC under random bytes that belong to the user. It covers the proof itself (the bytes of an assertion or a
token, the whole of some keys) and not what the proof says, because nobody has verified that before STS has.
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
    """Return the attribute ``identity`` of a source or an STS; None where it has none, or one that is not text."""
    identity = getattr(part, "identity", None)
    return identity if isinstance(identity, str) and identity else None


def optional_method(part: object, name: str) -> Callable[..., Any] | None:
    """Return the method *name* that the class of *part* defines; None where it defines none.

    A wrapper that passes unknown attributes on to the part inside would otherwise be left out: the method of the inner
    part returns a source or an STS that does not know the wrapper. A mock has every attribute.
    """
    return getattr(part, name) if hasattr(type(part), name) else None


def identity_for(source: object, name: str) -> str | None:
    """Return the identity of *source* if *name* says whose proof it starts from, whatever the source itself says."""
    derived = optional_method(source, "identity_for")
    found: str | None = digest("named", name) if derived is None else derived(name)
    return found


def snapshot_of(source: Source[P_co]) -> Source[P_co]:
    """Return *source* as it is now: its `identity` is for the very proof that its `fetch` returns.

    Raises what the source does.
    """
    take = optional_method(source, "snapshot")
    taken: Source[P_co] = _Observed(source, identity_of(source)) if take is None else take()
    return taken


def anonymous_part(source: object, sts: object | None = None) -> object | None:
    """Return which of *source*, its parts and *sts* has no identity, so that no key can be made; None where all have.

    A file that a source would have to read for that is not read. Raises what the identity of another source does.
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
    """A source that cannot be held still: its identity before the fetch, and None if another one was there after it."""

    source: Source[P_co]
    identity: str | None

    def fetch(self) -> P_co:
        proof = self.source.fetch()
        if self.identity is not None and identity_of(self.source) != self.identity:
            self.identity = None
        return proof


def digest(*parts: object) -> str:
    """Return one short text for all *parts*, from which none of them can be read or guessed; hexadecimal."""
    from hashlib import sha256
    from hmac import new

    from stskit._io.cache_folder import user_key

    return new(user_key(), _encoded(parts), sha256).hexdigest()


def proof_key(proof: Proof) -> str:
    """Return a key for *proof* itself. Raises nothing."""
    match proof:
        case Credentials():
            return digest("credentials", proof.access_key_id, proof.secret_access_key, proof.session_token)
        case SAMLAssertion():
            return digest("assertion", proof.value, proof.principal_arn)
        case _:
            return digest("token", proof.value, proof.provider_id)


def role_key(role: Role, source: str | None, sts: object, *, sts_name: str | None = None) -> str | None:
    """Return a key for *role* with each of its options, by the proof that *source* stands for, at *sts*.

    None where *source* is None, or the STS has no identity and no *sts_name* stands for it.
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
    """Return the same for a session of the user's own."""
    server = identity_of(sts) or sts_name
    return None if source is None or server is None else digest("session", duration, mfa, source, server)


def _encoded(value: object) -> bytes:
    """Return *value* as bytes that no other value has: its kind, its length and its content."""
    match value:
        case None:
            kind, content = b"-", b""
        case str():
            kind, content = b"s", value.encode("utf-8", "surrogatepass")
        case bytes():
            kind, content = b"b", value
        case MFA():  # a code is good for one call only
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
