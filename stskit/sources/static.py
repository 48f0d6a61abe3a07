"""A source that returns a proof that the program has already."""

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
    """A source that always returns the same proof.

    Args:
        proof: Credentials, a SAML assertion or an OIDC token.

    Raises:
        TypeError: If it is not a proof.

    Example:
        >>> from pathlib import Path
        >>> from stskit import SAMLAssertion, assume
        >>> from stskit.sources import Static
        >>> assertion = SAMLAssertion.from_text(Path("samlresponse.log").read_text())
        >>> assume("arn:aws:iam::123456789012:role/Deploy", source=Static(assertion)).subject
        'alice'
    """

    proof: P = field(validator=_check_proof)

    def fetch(self) -> P:
        """Return the proof.

        Returns:
            Always the same proof. Raises nothing.
        """
        return self.proof

    @property
    def identity(self) -> str:
        """The cache key of the proof, which cannot be read from it. Raises nothing."""
        return proof_key(self.proof)
