"""Proof that is already at hand."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from attrs import field, frozen

from stskit._arguments import check_type
from stskit.cache_key import proof_key
from stskit.credentials import Credentials
from stskit.errors import init_without_frames
from stskit.proofs import Proof, SAMLAssertion, WebIdentityToken

__all__ = ["Static"]

P = TypeVar("P", bound=Proof)


def _check_proof(_self: object, _attribute: object, proof: Any) -> None:
    hint = "Did you mean Static(WebIdentityToken(text)) or Static(SAMLAssertion.from_text(text))?"
    check_type(
        "proof",
        proof,
        (Credentials, SAMLAssertion, WebIdentityToken),
        "Credentials, a SAMLAssertion or a WebIdentityToken",
        hint if isinstance(proof, str) else "",
    )


@init_without_frames
@frozen
class Static(Generic[P]):
    """Return the `proof` that it was made with: credentials, a SAML assertion or a web identity token in memory.

    Raises `TypeError` where it is none of these.
    """

    proof: P = field(validator=_check_proof)

    def fetch(self) -> P:
        """Return the proof, always the same one. Raises nothing."""
        return self.proof

    @property
    def identity(self) -> str:
        """A key for caches: for the whole proof, which cannot be read from it. Raises nothing."""
        return proof_key(self.proof)
