"""`BotocoreSTS`: the three operations of STS side by side, over botocore.

What is particular to stskit: one client serves all roles and callers of a region; calls that need no keys never look
for any, so no profile and no ``credential_process`` is touched; nothing secret is logged; every refusal is explained.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from stskit.errors import ProofInvalid, RoleError, STSError, STSUnavailable, StskitError
from stskit.identity import CallerIdentity, Credentials, Proof, SAMLAssertion, Secret, WebIdentityToken

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

    from stskit.roles import Role

__all__ = ["BotocoreSTS"]

# What each operation takes beyond the role's ARN and the proof: option of Role -> parameter of STS.
_SESSION: Final = {"duration": "DurationSeconds", "policy": "Policy", "policy_arns": "PolicyArns"}
ACCEPTS: Final[Mapping[str, Mapping[str, str]]] = {
    "AssumeRole": {
        **_SESSION,
        "session_name": "RoleSessionName",
        "tags": "Tags",
        "transitive_tag_keys": "TransitiveTagKeys",
        "external_id": "ExternalId",
        "source_identity": "SourceIdentity",
    },
    "AssumeRoleWithSAML": _SESSION,
    "AssumeRoleWithWebIdentity": {**_SESSION, "session_name": "RoleSessionName"},
}
_ALL_OPTIONS: Final = tuple(ACCEPTS["AssumeRole"])  # it takes all that there are

# What to do about a refusal: STS's code (without "Exception"), or "code operation" where the operation matters.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html and the error lists of the three operations.
REMEDIES: Final[Mapping[str, str]] = {
    "AccessDenied": "Check that the role exists, that its trust policy names this caller, and that the caller's own policy "
    "allows sts:AssumeRole; where they ask for an external id, a source identity, tags or MFA, pass it.",
    "AccessDenied AssumeRoleWithSAML": "Check that the role exists (case counts) and that its trust policy names the SAML "
    "provider and accepts the assertion's audience.",
    "AccessDenied AssumeRoleWithWebIdentity": "Check that the role exists and that its trust policy names the token's issuer "
    "and accepts its audience (aud) and subject (sub).",
    "ExpiredToken": "The proof is too old. Get a new one (sign in again, or wait for the token file to be renewed) and check "
    "the clock of this machine.",
    "IDPCommunicationError": "STS could not reach the identity provider. Try again; if it lasts, check that the provider's "
    "discovery document and keys can be read from the internet.",
    "IDPRejectedClaim": "The identity provider refused. Sign in to it again, and check that the user may use this application.",
    "InvalidClientTokenId": "STS does not know the access key id. Check that the key is active, that its session token came "
    "along, and that it belongs to the partition of the role.",
    "InvalidIdentityToken": "Check that the identity provider is registered in the account of the role, that its certificate "
    "or keys are current there, and that the token's audience is one that the provider lists.",
    "MalformedPolicyDocument": "Correct the session policy: it must be an IAM policy in JSON.",
    "PackedPolicyTooLarge": "Pass a shorter policy, managed policy ARNs in its place, or fewer tags.",
    "RegionDisabled": "Activate STS for this region in the account settings of IAM, or use another region.",
    "RequestExpired": "Set the clock of this machine: requests are valid for 15 minutes.",
    "SignatureDoesNotMatch": "Check the secret access key, and the clock of this machine.",
    "Throttling": "Too many calls at once. Keep credentials until they expire, and start fewer calls at a time.",
    "ValidationError": "Correct the value that STS names. A duration must not be over the maximum of the role, and not over an "
    "hour when the caller's credentials are themselves temporary (role chaining).",
}
_BY_STATUS: Final = {400: "ValidationError", 403: "AccessDenied", 429: "Throttling"}  # some servers send no code
_RETRYABLE: Final = {"Throttling", "IDPCommunicationError", "ServiceUnavailable", "InternalFailure", "RequestTimeout"}
_UNAVAILABLE: Final = {
    "connection": ("could not be reached", "Check the network, the proxy settings and the endpoint."),
    "timeout": ("did not answer in time", "Try again; check the network and the endpoint, or allow more time."),
    "tls": ("has a certificate that was not accepted", "Check the endpoint, the clock, and AWS_CA_BUNDLE."),
    "answer": ("gave an answer that is not one of STS", "Check the endpoint: a proxy or a sign-in page may have answered."),
    "setup": ("could not be called", "Check the region, the endpoint and the AWS_ variables."),
}
_KINDS: Final = {
    "ConnectTimeoutError": "timeout",
    "ReadTimeoutError": "timeout",
    "SSLError": "tls",
    "ResponseParserError": "answer",
    "EndpointConnectionError": "connection",
    "ConnectionClosedError": "connection",
    "ProxyConnectionError": "connection",
    "HTTPClientError": "connection",
}
