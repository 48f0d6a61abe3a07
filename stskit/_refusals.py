"""What STS says no with, and what botocore raises, as errors of this package with the next step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from stskit.errors import ProofInvalid, STSError, StskitError, STSUnavailable
from stskit.identity import Secret

__all__ = ["REMEDIES", "Call", "explained", "unavailable"]

# What to do about a refusal: STS's code (without "Exception"), or "code operation" where the operation matters.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html and the error lists of the three operations.
REMEDIES: Final[Mapping[str, str]] = {
    "AccessDenied": (
        "Check that the role exists, that its trust policy names this caller, and that the caller's own policy "
        "allows sts:AssumeRole; where they ask for an external id, a source identity, tags or MFA, pass it."
    ),
    "AccessDenied AssumeRoleWithSAML": (
        "Check that the role exists (case counts) and that its trust policy names the SAML provider and accepts "
        "the assertion's audience."
    ),
    "AccessDenied AssumeRoleWithWebIdentity": (
        "Check that the role exists and that its trust policy names the token's issuer and accepts its audience "
        "(aud) and subject (sub)."
    ),
    "ExpiredToken": (
        "The proof is too old. Get a new one (sign in again, or wait for the token file to be renewed) and check "
        "the clock of this machine."
    ),
    "IDPCommunicationError": (
        "STS could not reach the identity provider. Try again; if it lasts, check that the provider's discovery "
        "document and keys can be read from the internet."
    ),
    "IDPRejectedClaim": (
        "The identity provider refused. Sign in to it again, and check that the user may use this application."
    ),
    "InvalidClientTokenId": (
        "STS does not know the access key id. Check that the key is active, that its session token came along, and "
        "that it belongs to the partition of the role."
    ),
    "InvalidIdentityToken": (
        "Check that the identity provider is registered in the account of the role, that its certificate or keys "
        "are current there, and that the token's audience is one that the provider lists."
    ),
    "MalformedPolicyDocument": "Correct the session policy: it must be an IAM policy in JSON.",
    "PackedPolicyTooLarge": "Pass a shorter policy, managed policy ARNs in its place, or fewer tags.",
    "RegionDisabled": "Activate STS for this region in the account settings of IAM, or use another region.",
    "RequestExpired": "Set the clock of this machine: requests are valid for 15 minutes.",
    "SignatureDoesNotMatch": "Check the secret access key, and the clock of this machine.",
    "Throttling": "Too many calls at once. Keep credentials until they expire, and start fewer calls at a time.",
    "ValidationError": (
        "Correct the value that STS names. A duration must not be over the maximum of the role, and not over an "
        "hour when the caller's credentials are themselves temporary (role chaining)."
    ),
    "a status of 5xx": "STS has a fault of its own. Try again; if it lasts, ask whoever runs the server.",
    "anything else": "Look the code up in the STS API reference; AWS support can trace the request id.",
}
# What servers that are not AWS's call the same.
_OTHER_NAMES: Final = {"InvalidAccessKeyId": "InvalidClientTokenId", "InvalidParameterValue": "ValidationError"}
_BY_STATUS: Final = {400: "ValidationError", 403: "AccessDenied", 429: "Throttling"}  # some servers send no code
_RETRYABLE: Final = ("Throttling", "IDPCommunicationError", "RequestTimeout")  # and whatever comes with a status of 5xx

# Why there is no usable answer: kind -> what happened, what to do; and which exceptions of botocore are of that kind.
_UNAVAILABLE: Final = {
    "connection": ("could not be reached", "Check the network, the proxy settings and the endpoint."),
    "timeout": ("did not answer in time", "Try again; check the network and the endpoint, or allow more time."),
    "tls": ("could not be reached by TLS", "Check the endpoint, its certificate, the clock, and AWS_CA_BUNDLE."),
    "answer": ("gave no answer of STS", "Check the endpoint: a proxy or a sign-in page may have answered."),
    "setup": ("could not be called", "Check the region, the endpoint URL, AWS_PROFILE and the AWS config file."),
}
_KINDS: Final = {
    "ConnectTimeoutError": "timeout",
    "ReadTimeoutError": "timeout",
    "SSLError": "tls",
    "ResponseParserError": "answer",
    "ConnectionError": "connection",
    "HTTPClientError": "connection",
    "BotoCoreError": "setup",
}
_NOT_SENDABLE: Final = ("ParamValidationError", "UnicodeEncodeError")  # a `Role` is checked, so it is the proof
_LONG_WORD: Final = re.compile(r"[\w+/=%.~-]{16,}")


@frozen
class Call:
    """What is known about a call, for the errors that tell of it. `secrets` are cut from what STS says.

    `has_client`: whether botocore made one, so that what it does not expect is in the answer.
    """

    operation: str
    role_arn: str | None
    region: str | None
    endpoint: str | None
    secrets: tuple[Secret, ...] = field(repr=False)
    has_client: bool = False


def explained(error: Exception, call: Call) -> StskitError:
    """The error to raise in place of botocore's *error*, which holds the request and the answer in clear."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "ResponseMetadata" in response:
        # Some servers leave out the ErrorResponse around the Error; its fields are then one level up.
        return _refused(response["ResponseMetadata"], response.get("Error", response), call)
    names = [each.__name__ for each in type(error).__mro__]
    if names[0] in _NOT_SENDABLE:
        return ProofInvalid(
            f"{_what(call)}: the proof was not sent, for it is too short or no text. Check its source ({names[0]})"
        )
    kinds = (_KINDS[name] for name in names if name in _KINDS)
    return unavailable(next(kinds, "answer" if call.has_client else "setup"), names[0], call)


def unavailable(kind: str, detail: str, call: Call) -> STSUnavailable:
    """The error for a call that got no usable answer."""
    happened, remedy = _UNAVAILABLE[kind]
    return STSUnavailable(
        f"{_what(call)}: STS{f' at {call.endpoint}' if call.endpoint else ''} {happened} ({detail}). {remedy}",
        kind=kind,
        operation=call.operation,
        role_arn=call.role_arn,
        region=call.region,
        endpoint=call.endpoint,
        retryable=kind in ("connection", "timeout", "answer"),
        remedy=remedy,
    )


def _refused(metadata: Mapping[str, Any], error: Mapping[str, Any], call: Call) -> STSError:
    status: int = metadata["HTTPStatusCode"]
    code = _said(error, "Code", call).removesuffix("Exception")
    code = "" if code == str(status) else code  # where there is none, botocore takes the status for it
    cause = _OTHER_NAMES.get(code, code) or _BY_STATUS.get(status, "")
    others = REMEDIES["a status of 5xx" if status >= 500 else "anything else"]
    remedy = REMEDIES.get(f"{cause} {call.operation}") or REMEDIES.get(cause) or others
    said = _said(error, "Message", call).rstrip(".")
    return STSError(
        f"{_what(call)}: STS refused with {code or f'HTTP status {status}'}{said and f': {said}'}. {remedy}",
        code=code or None,
        http_status=status,
        operation=call.operation,
        role_arn=call.role_arn,
        region=call.region,
        endpoint=call.endpoint,
        request_id=_said(metadata, "RequestId", call) or None,
        attempts=metadata.get("RetryAttempts", 0) + 1,
        retryable=cause in _RETRYABLE or status >= 500,
        remedy=remedy,
    )


def _what(call: Call) -> str:
    return call.operation if call.role_arn is None else f"{call.operation} for {call.role_arn}"


def _said(answer: Mapping[str, Any], name: str, call: Call) -> str:
    from urllib.parse import unquote

    value = answer.get(name)
    text = value if isinstance(value, str) else ""  # it may be missing, empty or XML
    for secret in sorted(call.secrets, key=len, reverse=True):  # the longer one first: it may hold another
        text = text.replace(secret, "***")
    return _LONG_WORD.sub(lambda word: "***" if _is_part(unquote(word[0]), call.secrets) else word[0], text)


def _is_part(word: str, secrets: tuple[Secret, ...]) -> bool:
    """Whether *word* has much of a secret in it, for a server may shorten what it quotes, or put words around it."""
    pieces = [word[at : at + 16] for at in range(0, len(word) - 15, 16)]
    return any(piece in secret for secret in secrets for piece in pieces)
