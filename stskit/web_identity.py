"""A web identity token: one of the three proofs that STS accepts."""

from __future__ import annotations

from attrs import field, frozen

from stskit._secret import Secret, secret

__all__ = ["WebIdentityToken"]


@frozen
class WebIdentityToken:
    """An OpenID Connect token (or an OAuth 2.0 one, with its `provider_id`), as STS takes it.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
    """

    value: Secret = field(converter=secret)
    provider_id: str | None = None
