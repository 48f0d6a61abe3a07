"""An OpenID Connect token in a file, as Kubernetes and CI systems leave it there."""

from __future__ import annotations

import re
from typing import Final

from attrs import field, frozen

from stskit._proof_file import path_text, read_proof
from stskit.errors import ProofInvalid
from stskit.identity import WebIdentityToken

__all__ = ["OIDCTokenFile"]

_MAX_BYTES: Final = 100_000  # far over the token itself, for blanks around it
_TOKEN: Final = re.compile(r"[!-~]{4,20000}")  # by the service model of STS; what is no visible ASCII is in no token


@frozen
class OIDCTokenFile:
    """A file that holds an OpenID Connect token and nothing else but blanks around it.

    The file is read again for every fetch, since whoever writes it puts a new token there before the old one expires.

    https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
    """

    path: str = field(converter=path_text)

    def fetch(self) -> WebIdentityToken:
        """Read the file, as it is now. Raises `SourceMissing` or `ProofInvalid`, naming the file."""
        text = read_proof(self.path, "an OIDC token", _MAX_BYTES)
        if not _TOKEN.fullmatch(text):
            raise ProofInvalid(
                f"{self.path} holds no OIDC token: STS takes 4 to 20,000 characters, without blanks or line breaks "
                f"inside; this has {len(text):,}. Save the token alone, as it was issued"
            )
        return WebIdentityToken(text)
