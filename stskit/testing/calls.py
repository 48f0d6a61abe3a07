"""The calls that `FakeSTS` records, and the faults that a test can add to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeAlias

from attrs import field, frozen

from stskit._arguments import text, timespan, whole_number

__all__ = ["Call", "ClockOff", "Drop", "Fault", "Garbage", "GiveExpired", "Hang", "Incomplete", "Refuse", "Throttle"]


@frozen
class Throttle:
    """Refuse with ``Throttling``. The AWS SDKs make up to three attempts.

    Args:
        message: Message of the error. Defaults to ``"Rate exceeded"``.

    Example:
        >>> from stskit import caller_identity
        >>> from stskit.errors import STSError
        >>> from stskit.testing import FakeSTS, Throttle
        >>> sts = FakeSTS()
        >>> sts.next(Throttle())
        >>> try:
        ...     caller_identity(sts.user(), sts=sts)
        ... except STSError as error:
        ...     print(error.code)
        Throttling
    """

    message: str = field(default="Rate exceeded", validator=text)


@frozen
class Refuse:
    """Refuse with an error code.

    Args:
        code: Error code.
        message: Message of the error. Defaults to none.
        status: HTTP status. Defaults to 400.

    Example:
        >>> from stskit import caller_identity
        >>> from stskit.errors import STSError
        >>> from stskit.testing import FakeSTS, Refuse
        >>> sts = FakeSTS()
        >>> sts.next(Refuse("RegionDisabledException", status=403))
        >>> try:
        ...     caller_identity(sts.user(), sts=sts)
        ... except STSError as error:
        ...     print(error.code)
        RegionDisabled
    """

    code: str = field(validator=text)
    message: str = field(default="", validator=text)
    status: int = field(default=400, validator=whole_number)


@frozen
class GiveExpired:
    """Return credentials that expired an hour ago.

    Example:
        >>> from stskit import assume
        >>> from stskit.errors import STSUnavailable
        >>> from stskit.sources import Static
        >>> from stskit.testing import FakeSTS, GiveExpired
        >>> sts = FakeSTS()
        >>> sts.next(GiveExpired())
        >>> try:
        ...     assume("arn:aws:iam::123456789012:role/Deploy", source=Static(sts.user()), sts=sts)
        ... except STSUnavailable as error:
        ...     print(error.kind)
        answer
    """


@frozen
class Incomplete:
    """Return a response without a field.

    Args:
        without: Field of the response or of its credentials. Defaults to ``"SessionToken"``.

    Example:
        >>> from stskit import assume
        >>> from stskit.errors import STSUnavailable
        >>> from stskit.sources import Static
        >>> from stskit.testing import FakeSTS, Incomplete
        >>> sts = FakeSTS()
        >>> sts.next(Incomplete())
        >>> try:
        ...     assume("arn:aws:iam::123456789012:role/Deploy", source=Static(sts.user()), sts=sts)
        ... except STSUnavailable as error:
        ...     print(error.kind)
        answer
    """

    without: str = field(default="SessionToken", validator=text)


@frozen
class Hang:
    """Do not respond until the caller disconnects or the server closes. In process, this is an immediate timeout.

    Example:
        >>> from stskit import caller_identity
        >>> from stskit.errors import STSUnavailable
        >>> from stskit.testing import FakeSTS, Hang
        >>> sts = FakeSTS()
        >>> sts.next(Hang())
        >>> try:
        ...     caller_identity(sts.user(), sts=sts)
        ... except STSUnavailable as error:
        ...     print(error.kind)
        timeout
    """


@frozen
class Drop:
    """Close the connection without a response. The AWS SDKs retry.

    Example:
        >>> from stskit import caller_identity
        >>> from stskit.errors import STSUnavailable
        >>> from stskit.testing import FakeSTS, Drop
        >>> sts = FakeSTS()
        >>> sts.next(Drop())
        >>> try:
        ...     caller_identity(sts.user(), sts=sts)
        ... except STSUnavailable as error:
        ...     print(error.kind)
        connection
    """


@frozen
class Garbage:
    """Respond with a text that STS never sends, as a proxy or a sign-in page does.

    Args:
        body: Body of the response. Defaults to a web page.
        status: HTTP status: 200, or 500 to 599. Defaults to 200.

    Example:
        >>> from stskit import caller_identity
        >>> from stskit.errors import STSUnavailable
        >>> from stskit.testing import FakeSTS, Garbage
        >>> sts = FakeSTS()
        >>> sts.next(Garbage())
        >>> try:
        ...     caller_identity(sts.user(), sts=sts)
        ... except STSUnavailable as error:
        ...     print(error.kind)
        answer
    """

    body: str = field(default="<!doctype html><html><body>Sign in to the network<br></body></html>", validator=text)
    status: int = field(default=200, validator=whole_number)


@frozen
class ClockOff:
    """Respond normally, with a clock that differs from that of the caller.

    The clock decides about expirations, the header ``Date``, and the allowed time of signatures.

    Args:
        by: How far the clock is ahead. A negative span is behind.

    Example:
        >>> from datetime import timedelta
        >>> from stskit import caller_identity
        >>> from stskit.errors import STSError
        >>> from stskit.testing import ClockOff, FakeSTS
        >>> sts = FakeSTS()
        >>> sts.next(ClockOff(timedelta(hours=1)))
        >>> try:
        ...     caller_identity(sts.user(), sts=sts)
        ... except STSError as error:
        ...     print(error.code, round(error.clock_skew / timedelta(hours=1)))
        SignatureDoesNotMatch 1
    """

    by: timedelta = field(validator=timespan)


Fault: TypeAlias = Throttle | Refuse | GiveExpired | Incomplete | Hang | Drop | Garbage | ClockOff
"""A fault of a call."""


@frozen
class Call:
    """A call that a `FakeSTS` received.

    Attributes:
        operation: STS operation, for example ``AssumeRole``.
        parameters: Parameters by STS's own names. A secret is a `Secret`, which no repr shows.
        caller: ARN of the caller that signed the call. None for an unsigned call and for an unknown caller.
        access_key_id: Access key ID that signed it.
        code: Error code. None if the call was not refused.
        fault: The fault of the call, or None.

    Example:
        >>> from stskit import caller_identity
        >>> from stskit.testing import FakeSTS
        >>> sts = FakeSTS()
        >>> identity = caller_identity(sts.user(), sts=sts)
        >>> sts.calls[0].operation, sts.calls[0].caller
        ('GetCallerIdentity', 'arn:aws:iam::123456789012:user/developer')
    """

    operation: str
    parameters: Mapping[str, object]
    caller: str | None = None
    access_key_id: str | None = None
    code: str | None = None
    fault: Fault | None = None
