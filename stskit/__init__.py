"""Temporary AWS credentials: a proof from a source, a role, credentials that cannot change, a sink.

>>> from stskit import assume, sources, sinks
>>> assume("arn:aws:iam::123456789012:role/Deploy", source=sources.SAMLFile("samlresponse.log")).to(
...     sinks.CredentialsFile("deploy")
... )  # doctest: +SKIP
"""

from stskit import sinks, sources
from stskit.credentials import CallerIdentity, Credentials
from stskit.engine import AssumedRole, assume, caller_identity
from stskit.errors import StskitError
from stskit.fleet import Outcome, assume_all
from stskit.mfa import MFA, MFACommand
from stskit.proofs import SAMLAssertion, WebIdentityToken
from stskit.refresh import Cached, RefreshPolicy
from stskit.roles import Role

__all__ = [  # noqa: RUF022 - sorted as sorted() does it
    "AssumedRole",
    "Cached",
    "CallerIdentity",
    "Credentials",
    "MFA",
    "MFACommand",
    "Outcome",
    "RefreshPolicy",
    "Role",
    "SAMLAssertion",
    "StskitError",
    "WebIdentityToken",
    "assume",
    "assume_all",
    "caller_identity",
    "sinks",
    "sources",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from stskit._version import __version__

        return __version__
    raise AttributeError(f"module 'stskit' has no attribute {name!r}")
