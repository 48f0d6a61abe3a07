"""A SAML assertion: one of the three proofs that STS accepts."""

from __future__ import annotations

from attrs import field, frozen

from stskit import _saml_reader
from stskit._secret import Secret, secret
from stskit.errors import RoleNotOffered, discreet

__all__ = ["SAMLAssertion", "SAMLRole"]


@frozen
class SAMLRole:
    """One role that an assertion offers, with the SAML provider that vouches for it."""

    role_arn: str
    principal_arn: str


@frozen
class SAMLAssertion:
    """A SAML 2.0 response from an identity provider, base64 on one line, as STS takes it.

    `principal_arn` is the ARN of the SAML provider; None: the one that the assertion pairs with the role.
    What the properties say is read from the assertion, not verified: STS verifies it.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithSAML.html
    """

    value: Secret = field(converter=secret)
    principal_arn: str | None = None

    @classmethod
    @discreet
    def from_text(cls, text: str, principal_arn: str | None = None) -> SAMLAssertion:
        """Read base64 (in one line or several) or the XML itself. Raises `ProofInvalid` where it is neither."""
        return cls(_saml_reader.canonical(text), principal_arn)

    @property
    def roles(self) -> tuple[SAMLRole, ...]:
        """What the assertion offers, each once, in its order. Raises `ProofInvalid` where that cannot be read.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
        """
        return tuple(SAMLRole(*pair) for pair in _saml_reader.role_pairs(self.value))

    def principal_for(self, role_arn: str) -> str:
        """The provider to name when asking for *role_arn*. Raises `RoleNotOffered` where the assertion has none."""
        if self.principal_arn is not None:
            return self.principal_arn
        offered = {role.role_arn: role.principal_arn for role in self.roles}
        if role_arn in offered:
            return offered[role_arn]
        listed = ", ".join(offered) or "none at all"
        raise RoleNotOffered(
            f"the SAML assertion does not offer {role_arn}; it offers: {listed}. "
            "Ask for one of these, or have the identity provider grant the role and get a new assertion",
            tuple(offered),
        )
