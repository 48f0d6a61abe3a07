"""What STS says no with, and what botocore raises, as errors of this package with the next step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import field, frozen

from stskit.credentials import Secret
from stskit.errors import ProofInvalid, STSError, StskitError, STSUnavailable
from stskit.proofs import Proof
from stskit.sts import facts
from stskit.sts.remedies import Remedy, remedy_for

__all__ = ["Call", "explained", "unavailable"]

# Why there is no usable answer: kind -> what happened, what to do; and which exceptions of botocore are of that kind.
_UNAVAILABLE: Final = {
    "connection": ("could not be reached", "Check the network, the proxy settings and the endpoint."),
    "timeout": ("did not answer in time", "Try again; check the network and the endpoint, or allow more time."),
    "tls": ("could not be reached by TLS", "Check the endpoint, its certificate, the clock, and AWS_CA_BUNDLE."),
    "answer": ("gave no answer of STS", "Check the endpoint: a proxy or a sign-in page may have answered."),
    "http": (
        "was not called, for what is sent would travel in clear",
        "Use an https endpoint, or allow it: BotocoreSTS(allow_http=True).",
    ),
    "setup": ("could not be called", "Check the region, the endpoint URL, AWS_PROFILE and the AWS config file."),
}
_KINDS: Final = {
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
_LONG_WORD: Final = r"[\w+/=%.~-]{16,}"
_NOTABLE: Final = timedelta(minutes=1)  # of difference between two clocks


def _without_user(url: str | None) -> str | None:
    """*url* as errors show it: a variable may have put a password there."""
    return url and re.sub(r"(?<=//)[^/]*@", "", url)


@frozen
class Call:
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
        f"{_what(call)}: STS{f' at {call.endpoint}' if call.endpoint else ''} {happened} ({detail}).",
        kind="setup" if kind == "http" else kind,
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
    said = _said(error, "Message", call).rstrip(".")
    skew = _skew(metadata)
    row = remedy_for(code, call.operation, said, status)
    remedy = " ".join(filter(None, [row.text, *_known(row, call, skew)]))
    return STSError(
        f"{_what(call)}: STS refused with {code or f'HTTP status {status}'}{said and f': {said}'}.",
        code=code or None,
        http_status=status,
        operation=call.operation,
        role_arn=call.role_arn,
        region=call.region,
        endpoint=call.endpoint,
        request_id=_said(metadata, "RequestId", call) or None,
        attempts=metadata.get("RetryAttempts", 0) + 1,
        retryable=row.retryable or status >= 500,
        remedy=remedy,
        clock_skew=skew,
    )


def _known(row: Remedy, call: Call, skew: timedelta | None) -> list[str]:
    """What is known that may explain the refusal, each as a sentence; nothing secret is in it."""
    told = []
    if row.shows in ("proof", "both") and call.proof is not None:
        told.append(facts.of_proof(call.proof))
    if row.shows in ("clock", "both") and skew is not None and abs(skew) > _NOTABLE:
        ahead = "behind" if skew > timedelta(0) else "ahead of"
        told.append(f"The clock of this machine is {abs(skew).total_seconds() / 60:.0f} min {ahead} that of STS.")
    if row.shows == "policy" and call.policy is not None:
        told.append(facts.of_policy(call.policy))
    return told


def _skew(metadata: Mapping[str, Any]) -> timedelta | None:
    """The server's clock less this machine's, by the header Date."""
    from email.utils import parsedate_to_datetime

    with suppress(ValueError, TypeError, KeyError):  # no such header, or no date in it
        there = parsedate_to_datetime(metadata["HTTPHeaders"]["date"])
        return there.astimezone(UTC) - datetime.now(UTC).replace(microsecond=0)
    return None


def _what(call: Call) -> str:
    return call.operation if call.role_arn is None else f"{call.operation} for {call.role_arn}"


def _said(answer: Mapping[str, Any], name: str, call: Call) -> str:
    from urllib.parse import unquote

    value = answer.get(name)
    text = value if isinstance(value, str) else ""  # it may be missing, empty or XML
    for secret in sorted(call.secrets, key=len, reverse=True):  # the longer one first: it may hold another
        text = text.replace(secret, "***")
    return re.sub(_LONG_WORD, lambda word: "***" if _is_part(unquote(word[0]), call.secrets) else word[0], text)


def _is_part(word: str, secrets: tuple[Secret, ...]) -> bool:
    """Whether *word* has much of a secret in it, for a server may shorten what it quotes, or put words around it."""
    pieces = [word[at : at + 16] for at in range(0, len(word) - 15, 16)]
    return any(piece in secret for secret in secrets for piece in pieces)
