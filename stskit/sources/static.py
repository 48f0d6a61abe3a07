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
    """The `credentials` that it was given, unchanged, for ever; or another proof, an assertion or a token in memory."""

    credentials: P

    def fetch(self) -> P:
        """What it was given. Raises nothing."""
        return self.credentials

    @property
    def identity(self) -> str | None:
        """Whose proof it is, as it says itself, for the keys of caches; None for a token that says nothing.

        Raises `ProofInvalid` where it is an assertion that cannot be read.
        """
        return proof_key(self.credentials)
