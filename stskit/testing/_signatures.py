"""Signature Version 4, as the one that gets it judges it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from attrs import frozen

from stskit.testing._refusal import Refusal

__all__ = ["Signed", "check", "check_time", "mismatch"]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_TOLERANCE: Final = timedelta(minutes=15)
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@frozen
class Signed:
    """What a request says of its signature: whose key, in which scope, over which headers, when."""

    access_key_id: str
    scope: str
    headers: tuple[str, ...]
    signature: str
    stamp: str
    moment: datetime
    token: str | None

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Signed | None:
        """What *headers*, by their names in small letters, say; None where the request is not signed at all.

        Raises `Refusal` where it is signed in another way.
        """
        text = headers.get("authorization", "")
        if not text:
            return None
        match = re.fullmatch(
            rf"{_ALGORITHM} Credential=([^/,]+)/([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{{64}})", text
        )
        stamp = headers.get("x-amz-date", "")
        moment = _moment(stamp)
        if match is None or moment is None:
            raise Refusal(
                "IncompleteSignature",
                "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters, and existence "
                "of an 'X-Amz-Date' header.",
            )
        key, scope, names, signature = match.groups()
        return cls(key, scope, tuple(names.split(";")), signature, stamp, moment, headers.get("x-amz-security-token"))


def check(signed: Signed, secret: str, path: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Raises `Refusal` where the signature is not one by *secret* over this very request, or not one of *now*."""
    region = signed.scope.split("/")[1:2]
    if signed.scope != f"{signed.stamp[:8]}/{''.join(region)}/sts/aws4_request":
        raise mismatch("Credential should be scoped to a valid region, the service 'sts', and the day of the request.")
    if signed.token and "x-amz-security-token" not in signed.headers:
        raise mismatch("'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.")
    check_time(signed.moment, now)
    lines = [f"{name}:{re.sub(' +', ' ', headers.get(name, '').strip())}\n" for name in signed.headers]
    request = "\n".join(["POST", path, "", "".join(lines), ";".join(signed.headers), sha256(body).hexdigest()])
    to_sign = "\n".join([_ALGORITHM, signed.stamp, signed.scope, sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (*signed.scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(key.hex(), signed.signature):
        raise mismatch()


def check_time(signed: datetime, now: datetime) -> None:
    """Raises `Refusal` where what was *signed* then is not one of *now*."""
    stamp, here = signed.strftime(_STAMP), now.strftime(_STAMP)
    if signed < now - _TOLERANCE:
        edge = (now - _TOLERANCE).strftime(_STAMP)
        raise mismatch(f"Signature expired: {stamp} is now earlier than {edge} ({here} - 15 min.)")
    if signed > now + _TOLERANCE:
        edge = (now + _TOLERANCE).strftime(_STAMP)
        raise mismatch(f"Signature not yet current: {stamp} is still later than {edge} ({here} + 15 min.)")


def _moment(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def mismatch(message: str = _MISMATCH) -> Refusal:
    """The refusal for a signature that is not in order."""
    return Refusal("SignatureDoesNotMatch", message, 403)
