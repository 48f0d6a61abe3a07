"""The three kinds of proof that STS accepts: SAML assertions, web identity tokens and AWS credentials."""

from __future__ import annotations

from typing import TypeAlias

from stskit.credentials import Credentials
from stskit.proofs.saml_assertion import SAMLAssertion, SAMLRole
from stskit.proofs.web_identity import WebIdentityToken

__all__ = ["Proof", "SAMLAssertion", "SAMLRole", "WebIdentityToken"]

Proof: TypeAlias = SAMLAssertion | WebIdentityToken | Credentials
"""A proof that STS accepts. AWS decides which kinds exist."""
