"""What STS says no with, and what botocore raises, as errors of this package with the next step."""

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

from stskit.credentials import Credentials, Secret
from stskit.errors import ProofInvalid, STSError, StskitError, STSUnavailable, joined
from stskit.proofs import Proof, SAMLAssertion
from stskit.sts.remedies import Remedy, remedy_for

__all__ = ["CallDetails", "describe_policy", "describe_proof", "translate", "unavailable"]

# Why there is no usable answer: kind -> what happened, what to do, and the same for the command line where it differs;
# and which exceptions of botocore are of that kind.
_UNAVAILABLE: Final = {
    "connection": ("could not be reached", "Check the network, the proxy settings and the endpoint.", ""),
    "timeout": ("did not answer in time", "Try again; check the network and the endpoint, or allow more time.", ""),
    "tls": ("could not be reached by TLS", "Check the endpoint, its certificate, the clock, and AWS_CA_BUNDLE.", ""),
    "answer": ("gave no answer of STS", "Check the endpoint: a proxy or a sign-in page may have answered.", ""),
    "http": (
        "was not called, because the request would travel in clear",
        "Use an https endpoint, or allow it: BotocoreSTS(allow_http=True).",
        "Use an https endpoint, or allow it: --allow-http.",
    ),
    "size": ("returned too long an answer", "Check the endpoint: this server is not an STS.", ""),
    "setup": ("could not be called", "Check the region, the endpoint URL, AWS_PROFILE and the AWS config file.", ""),
}
# The kind that an error shows, where it is another one.
_SHOWN_KINDS: Final = {"http": "setup", "size": "answer"}
# What of a profile could have made a difference, had the call been signed.
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
_NOT_SENDABLE: Final = ("ParamValidationError", "UnicodeEncodeError")  # a `Role` is checked, so it is the proof
_MAX_MESSAGE: Final = 20_000  # characters; an encoded authorization message has some thousands
_LONG_WORD: Final = r"[\w+/=%.~-]{16,}"
_NOTABLE: Final = timedelta(minutes=1)  # of difference between two clocks
_MAX_ROLES: Final = 20  # of those that an assertion offers
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
    "issued_at": "made at",
    "not_before": "valid from",
    "not_on_or_after": "valid until",
}


def _without_user(url: str | None) -> str | None:
    """*url* as errors show it: a variable may have put a password there."""
    return url and re.sub(r"(?<=//)[^/]*@", "", url)


@frozen
class CallDetails:
    """What is known about a call, for the errors that tell of it. `secrets` are cut from what STS says.

    `has_client`: whether botocore made one, so that what it does not expect is in the answer. `proof` and `policy` are
    what was sent, for what can be told of them.
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
    """The error to raise in place of botocore's *error*, which holds the request and the answer in clear."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "ResponseMetadata" in response:
        # Some servers leave out the ErrorResponse around the Error; its fields are then one level up.
        return _refused(response["ResponseMetadata"], response.get("Error", response), details)
    names = [each.__name__ for each in type(error).__mro__]
    if names[0] in _NOT_SENDABLE:
        return ProofInvalid(
            f"{_what(details)}: the proof was not sent, for it is too short or no text ({names[0]}).",
            remedy="Check its source",
            option="source",
        )
    kind = next((_KINDS[name] for name in names if name in _KINDS), "answer" if details.has_client else "setup")
    return unavailable(kind, str(error) if kind in ("http", "size") else names[0], details)


def unavailable(kind: str, detail: str, details: CallDetails) -> STSUnavailable:
    """The error for a call that got no usable answer."""
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
    code = "" if code == str(status) else code  # where there is none, botocore takes the status for it
    said = _redacted(error, "Message", details).rstrip(".")
    skew = _skew(metadata)
    row = remedy_for(code, details.operation, said, status)
    context = [sentence for sentence in _context(row, details, skew) if sentence]
    return STSError(
        f"{_what(details)}: STS refused with {code or f'HTTP status {status}'}{said and f': {said}'}.",
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
    """What is known that may explain the refusal, each as a sentence; nothing secret is in it."""
    from stskit.sts.settings import unused_settings

    told = []
    if row.context in ("proof", "both") and details.proof is not None:
        told.append(describe_proof(details.proof))
    if row.context in ("clock", "both") and skew is not None and abs(skew) > _NOTABLE:
        ahead = "behind" if skew > timedelta(0) else "ahead of"
        told.append(f"The clock of this machine is {abs(skew).total_seconds() / 60:.0f} min {ahead} that of STS.")
    if details.proof is not None and not isinstance(details.proof, Credentials):
        told.append(unused_settings(("endpoint_url",)))
    if row.context == "policy" and details.policy is not None:
        told.append(describe_policy(details.policy))
    return told


def _skew(metadata: Mapping[str, Any]) -> timedelta | None:
    """The server's clock less this machine's, by the header Date."""
    with suppress(ValueError, TypeError, KeyError):  # no such header, or no date in it
        there = parsedate_to_datetime(metadata["HTTPHeaders"]["date"])
        return there.astimezone(UTC) - datetime.now(UTC).replace(microsecond=0)
    return None


def _what(details: CallDetails) -> str:
    return details.operation if details.role_arn is None else f"{details.operation} for {details.role_arn}"


def _redacted(answer: Mapping[str, Any], name: str, details: CallDetails) -> str:
    value = answer.get(name)
    text = value if isinstance(value, str) else ""  # it may be missing, empty or XML
    for secret in sorted(details.secrets, key=len, reverse=True):  # the longer one first: it may hold another
        text = text.replace(secret, "***")
    return re.sub(
        _LONG_WORD, lambda word: "***" if _is_part(unquote(word[0]), details.secrets) else word[0], text[:_MAX_MESSAGE]
    )


def _is_part(word: str, secrets: tuple[Secret, ...]) -> bool:
    """Whether *word* has much of a secret in it, for a server may shorten what it quotes, or put words around it."""
    pieces = [word[at : at + 16] for at in range(0, len(word) - 15, 16)]
    return any(piece in secret for secret in secrets for piece in pieces)


def describe_proof(proof: Proof) -> str:
    """A sentence about *proof*; "" where nothing is known."""
    if isinstance(proof, Credentials):
        who = f" of {proof.assumed_role_arn}" if proof.assumed_role_arn else ""
        end = f", and ended or end at {proof.expiration}" if proof.expiration else ""
        return f"The call was signed with {proof.access_key_id}{who}{end}."
    is_saml = isinstance(proof, SAMLAssertion)
    found = {label: _property(proof, name) for name, label in (_SAML_CLAIMS if is_saml else _TOKEN_CLAIMS).items()}
    said = ", ".join(f"{label} {value}" for label, value in found.items() if value is not None)
    offered = _offered(proof) if isinstance(proof, SAMLAssertion) else ""
    return f"The {'assertion' if is_saml else 'token'} says: {said}.{offered}" if said else ""


def describe_policy(policy: str) -> str:
    """A sentence about what is wrong with *policy* as JSON; "" where nothing is."""
    try:
        json.loads(policy)
    except json.JSONDecodeError as error:
        return f"It is no JSON from line {error.lineno}, column {error.colno} on ({error.msg})."
    except RecursionError:
        return "It is nested too deep."
    return f"It has {len(policy):,} characters."


def _offered(assertion: SAMLAssertion) -> str:
    roles = [role.role_arn for role in _property(assertion, "roles") or ()]
    if not roles:
        return ""
    more = f" and {len(roles) - _MAX_ROLES} more" if len(roles) > _MAX_ROLES else ""
    return f" It offers: {', '.join(roles[:_MAX_ROLES])}{more}."


def _property(proof: Proof, name: str) -> Any:
    with suppress(ProofInvalid):  # encrypted, or no assertion at all
        value = getattr(proof, name)
        return f"{value[:200]!r}" if isinstance(value, str) else value
    return None
