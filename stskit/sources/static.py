"""Proof that is already at hand."""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import frozen

from stskit.cache_key import proof_key
from stskit.proofs import Proof

__all__ = ["Static"]

P = TypeVar("P", bound=Proof)


@frozen
class Static(Generic[P]):
    """Return the `proof` that it was made with: credentials, a SAML assertion or a web identity token in memory."""

    proof: P

    def fetch(self) -> P:
        """Return the proof, always the same one. Raises nothing."""
        return self.proof

    @property
    def identity(self) -> str:
        """A key for caches: for the whole proof, which cannot be read from it. Raises nothing."""
        return proof_key(self.proof)
