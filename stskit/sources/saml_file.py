"""A SAML response that was saved as a file."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from stskit._proof_file import path_text, read_proof
from stskit.errors import ProofInvalid
from stskit.identity import SAMLAssertion

__all__ = ["SAMLFile"]

_MAX_BYTES: Final = 1_000_000  # ten times what STS takes: line breaks and blanks do not count there


@frozen
class SAMLFile:
    """A file that holds the SAML response of an identity provider: base64, in one line or several, or the XML itself.

    It is the value of the form field ``SAMLResponse`` that the browser posts to https://signin.aws.amazon.com/saml.
    `principal_arn`: the ARN of the SAML provider; None finds it in the assertion, beside the role.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml_view-saml-response.html
    """

    path: str = field(converter=path_text)
    principal_arn: str | None = None

    def fetch(self) -> SAMLAssertion:
        """Read the file, as it is now. Raises `SourceMissing` or `ProofInvalid`, naming the file."""
        text = read_proof(self.path, "a SAML response", _MAX_BYTES)
        try:
            return SAMLAssertion.from_text(text, self.principal_arn)
        except ProofInvalid as error:
            problem = f"{self.path}: {error}"
        raise ProofInvalid(problem)
