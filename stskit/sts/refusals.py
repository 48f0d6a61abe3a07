"""Translate errors of STS and exceptions of botocore into errors of stskit, with the next step."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import unquote

from attrs import field, frozen

from stskit._time import shown_time
from stskit.credentials import Credentials, Secret
from stskit.errors import ProofInvalid, STSError, StskitError, STSUnavailable, joined
from stskit.proofs import Proof, SAMLAssertion
from stskit.sts.remedies import Remedy, remedy_for

__all__ = ["CallDetails", "describe_policy", "describe_proof", "translate", "unavailable"]

# Why there is no usable response, by kind: what happened, what to do, and what to do on the command line if it differs.
_UNAVAILABLE: Final = {
    "connection": ("could not be reached", "Check the network, the proxy settings and the endpoint.", ""),
    "timeout": (
        "did not respond in time",
        "Try again. If the error remains, check the network and the endpoint, or pass a longer "
        "BotocoreSTS(read_timeout=...).",
        "Try again. If the error remains, check the network and the endpoint.",
    ),
    "tls": (
        "could not be reached with TLS",
        "Check the endpoint, its certificate, the clock of this machine, and AWS_CA_BUNDLE.",
        "",
    ),
    "answer": (
        "returned an invalid response",
        "Check the endpoint: a proxy or a sign-in page can respond instead of STS.",
        "",
    ),
    "http": (
        "was not called, because the request would not be encrypted",
        "Use an https endpoint, or pass BotocoreSTS(allow_http=True).",
        "Use an https endpoint, or add --allow-http.",
    ),
    "size": ("returned a response that is too long", "Check the endpoint: this server is not an STS.", ""),
    "setup": ("could not be called", "Check the region, the endpoint URL, AWS_PROFILE and the AWS config file.", ""),
}
# Kinds that an error shows under another name.
_SHOWN_KINDS: Final = {"http": "setup", "size": "answer"}
# Settings of a profile that an unsigned call does not use, and that could have made a difference.
_SETTINGS: Final = {"tls": ("ca_bundle", "endpoint_url")}
_KINDS: Final = {
    "PlaintextError": "http",
    "AnswerTooLongError": "size",
    "gaierror": "connection",
    "TimeoutError": "timeout",
    "ConnectTimeoutError": "timeout",
    "ReadTimeoutError": "timeout",
    "SSLError": "tls",
    "ResponseParserError": "answer",
    "ConnectionError": "connection",
    "HTTPClientError": "connection",
    "BotoCoreError": "setup",
}
# The `Role` was checked before, so these exceptions of botocore are about the proof.
_NOT_SENDABLE: Final = ("ParamValidationError", "UnicodeEncodeError")
_MAX_MESSAGE: Final = 20_000  # characters; an encoded authorization message has thousands
_LONG_WORD: Final = r"[\w+/=%.~-]{16,}"
_NOTABLE: Final = timedelta(minutes=1)  # a smaller difference between two clocks is not reported
_MAX_ROLES: Final = 20  # roles of an assertion that an error lists
_TOKEN_CLAIMS: Final = {
    "issuer": "issuer",
    "audience": "audience",
    "subject": "subject",
    "not_before": "valid from",
    "expiration": "valid until",
}
_SAML_CLAIMS: Final = {
    "issuer": "issuer",
    "audience": "audience",
    "recipient": "recipient",
    "session_name": "session name",
    "issued_at": "issued at",
    "not_before": "valid from",
    "not_on_or_after": "valid until",
}


def _without_user(url: str | None) -> str | None:
    """Return a URL without user name and password, as errors show it."""
    return url and re.sub(r"(?<=//)[^/]*@", "", url)


@frozen
class CallDetails:
    """Description of a call, for its errors.

    Args:
        operation: STS operation.
        role_arn: Role ARN. None if the call is not about a role.
        region: Region that the call is signed for. None if it is not known yet.
        endpoint: URL of STS. None if it is not known yet.
        secrets: Texts that are removed from STS's messages.
        has_client: Whether botocore made a client. If it did, an unexpected exception is about the response.
        proof: The proof that was sent, so that an error can describe it.
        policy: The session policy that was sent, so that an error can describe it.
    """

    operation: str
    role_arn: str | None = None
    region: str | None = None
    endpoint: str | None = field(default=None, converter=_without_user)
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    has_client: bool = False
    proof: Proof | None = field(default=None, repr=False)
    policy: str | None = field(default=None, repr=False)


def translate(error: Exception, details: CallDetails) -> StskitError:
    """Return the error to raise instead of botocore's, which contains the request and the response in plain text."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "ResponseMetadata" in response:
        # Some servers omit the element ErrorResponse around Error, and its fields are then one level up.
        return _refused(response["ResponseMetadata"], response.get("Error", response), details)
    names = [each.__name__ for each in type(error).__mro__]
    if names[0] in _NOT_SENDABLE:
        return ProofInvalid(
            f"{_what(details)}: nothing was sent, because botocore rejected the proof ({names[0]}): it is too "
            "short, or not text.",
            remedy="Check the source of the proof.",
            option="source",
        )
    kind = next((_KINDS[name] for name in names if name in _KINDS), "answer" if details.has_client else "setup")
    return unavailable(kind, str(error) if kind in ("http", "size") else names[0], details)


def unavailable(kind: str, detail: str, details: CallDetails) -> STSUnavailable:
    """Return the error for a call without a usable response."""
    from stskit.sts.settings import bad_variable, unused_settings

    happened, remedy, cli_remedy = _UNAVAILABLE[kind]
    bad = bad_variable() if kind in ("setup", "tls", "connection") else None
    if bad is not None:
        remedy, cli_remedy = f"Correct {bad.variable}={bad.value!r}: it must be {bad.name}.", ""
    if details.proof is not None and not isinstance(details.proof, Credentials):
        unused = unused_settings(_SETTINGS.get(kind, ("endpoint_url", "region")))
        remedy, cli_remedy = joined(remedy, unused), cli_remedy and joined(cli_remedy, unused)
    return STSUnavailable(
        f"{_what(details)}: STS{f' at {details.endpoint}' if details.endpoint else ''} {happened} ({detail}).",
        kind=_SHOWN_KINDS.get(kind, kind),
        operation=details.operation,
        role_arn=details.role_arn,
        region=details.region,
        endpoint=details.endpoint,
        retryable=bad is None and kind in ("connection", "timeout", "answer"),
        remedy=remedy,
        cli_remedy=cli_remedy,
        variable=bad.variable if bad else None,
    )


def _refused(metadata: Mapping[str, Any], error: Mapping[str, Any], details: CallDetails) -> STSError:
    status: int = metadata["HTTPStatusCode"]
    code = _redacted(error, "Code", details).removesuffix("Exception")
    code = "" if code == str(status) else code  # without a code, botocore has the status here
    message = _redacted(error, "Message", details).rstrip(".")
    skew = _skew(metadata)
    row = remedy_for(code, details.operation, message, status)
    context = [sentence for sentence in _context(row, details, skew) if sentence]
    reason = f"{code or f'HTTP status {status}'}{message and f': {message}'}"
    return STSError(
        f"{_what(details)}: STS refused the request with {reason}.",
        code=code or None,
        http_status=status,
        operation=details.operation,
        role_arn=details.role_arn,
        region=details.region,
        endpoint=details.endpoint,
        request_id=_redacted(metadata, "RequestId", details) or None,
        attempts=metadata.get("RetryAttempts", 0) + 1,
        retryable=row.retryable or status >= 500,
        remedy=" ".join([row.text, *context]),
        cli_remedy=" ".join([row.cli_text, *context]) if row.cli_text else "",
        clock_skew=skew,
    )


def _context(row: Remedy, details: CallDetails, skew: timedelta | None) -> list[str]:
    """Return sentences about what may be the cause. They contain no secret."""
    from stskit.sts.settings import unused_settings

    sentences = []
    if row.context in ("proof", "both") and details.proof is not None:
        sentences.append(describe_proof(details.proof))
    if row.context in ("clock", "both") and skew is not None and abs(skew) > _NOTABLE:
        ahead = "behind" if skew > timedelta(0) else "ahead of"
        sentences.append(f"The clock of this machine is {abs(skew).total_seconds() / 60:.0f} min {ahead} that of STS.")
    if details.proof is not None and not isinstance(details.proof, Credentials):
        sentences.append(unused_settings(("endpoint_url",)))
    if row.context == "policy" and details.policy is not None:
        sentences.append(describe_policy(details.policy))
    return sentences


def _skew(metadata: Mapping[str, Any]) -> timedelta | None:
    """Return how far the server's clock is ahead of this machine's, from the header Date. None if there is none."""
    with suppress(ValueError, TypeError, KeyError):  # no such header, or it is not a date
        there = parsedate_to_datetime(metadata["HTTPHeaders"]["date"])
        return there.astimezone(UTC) - datetime.now(UTC).replace(microsecond=0)
    return None


def _what(details: CallDetails) -> str:
    return details.operation if details.role_arn is None else f"{details.operation} for {details.role_arn}"


def _redacted(answer: Mapping[str, Any], name: str, details: CallDetails) -> str:
    value = answer.get(name)
    text = value if isinstance(value, str) else ""  # it may be missing or not text
    for secret in sorted(details.secrets, key=len, reverse=True):  # a longer secret may contain a shorter one
        text = text.replace(secret, "***")
    return re.sub(
        _LONG_WORD, lambda word: "***" if _is_part(unquote(word[0]), details.secrets) else word[0], text[:_MAX_MESSAGE]
    )


def _is_part(word: str, secrets: tuple[Secret, ...]) -> bool:
    """Return whether *word* contains a part of a secret, because a server may quote only a part of it."""
    pieces = [word[at : at + 16] for at in range(0, len(word) - 15, 16)]
    return any(piece in secret for secret in secrets for piece in pieces)


def describe_proof(proof: Proof) -> str:
    """Return a sentence about a proof, or "" if nothing is known about it."""
    if isinstance(proof, Credentials):
        who = f" of {proof.assumed_role_arn}" if proof.assumed_role_arn else ""
        end = f", valid until {shown_time(proof.expiration)}" if proof.expiration else ""
        return f"The call was signed with {proof.access_key_id}{who}{end}."
    is_saml = isinstance(proof, SAMLAssertion)
    found = {label: _property(proof, name) for name, label in (_SAML_CLAIMS if is_saml else _TOKEN_CLAIMS).items()}
    claims = ", ".join(f"{label} {_shown(value)}" for label, value in found.items() if value is not None)
    offered = _offered(proof) if isinstance(proof, SAMLAssertion) else ""
    return f"The {'assertion' if is_saml else 'token'} has: {claims}.{offered}" if claims else ""


def _shown(value: object) -> object:
    return shown_time(value) if isinstance(value, datetime) else value


def describe_policy(policy: str) -> str:
    """Return a sentence about a policy: where it is not valid JSON, or its length."""
    try:
        json.loads(policy)
    except json.JSONDecodeError as error:
        return f"The policy is not valid JSON at line {error.lineno}, column {error.colno} ({error.msg})."
    except RecursionError:
        return "The policy is nested too deeply."
    return f"The policy has {len(policy):,} characters."


def _offered(assertion: SAMLAssertion) -> str:
    roles = [role.role_arn for role in _property(assertion, "roles") or ()]
    if not roles:
        return ""
    more = f" and {len(roles) - _MAX_ROLES} more" if len(roles) > _MAX_ROLES else ""
    return f" It offers the roles {', '.join(roles[:_MAX_ROLES])}{more}."


def _property(proof: Proof, name: str) -> Any:
    with suppress(ProofInvalid):  # it is encrypted, or not an assertion
        value = getattr(proof, name)
        return f"{value[:200]!r}" if isinstance(value, str) else value
    return None
