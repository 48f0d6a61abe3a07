"""Get temporary AWS credentials and deliver them to profiles, shells and boto3 sessions that refresh themselves.

>>> from stskit import boto3_session
>>> session = boto3_session("arn:aws:iam::123456789012:role/Reports", region_name="eu-central-1")
>>> session.client("sts").get_caller_identity()["Account"]
'123456789012'
"""

from stskit import sinks, sources
from stskit.credentials import CallerIdentity, Credentials
from stskit.engine import AssumedRole, assume, boto3_session, caller_identity
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
    "boto3_session",
    "caller_identity",
    "sinks",
    "sources",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from stskit._version import __version__

        return __version__
    raise AttributeError(f"module 'stskit' has no attribute {name!r}")
