"""What `FakeSTS` records of each call, and what you can order to go wrong: a small value for each kind of fault."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeAlias

from attrs import field, frozen

from stskit._arguments import text, timespan, whole_number

__all__ = ["Call", "ClockOff", "Drop", "Fault", "Garbage", "GiveExpired", "Hang", "Incomplete", "Refuse", "Throttle"]


@frozen
class Throttle:
    """Refuse with ``Throttling`` and that `message`. The AWS SDKs make up to three attempts."""

    message: str = field(default="Rate exceeded", validator=text)


@frozen
class Refuse:
    """Refuse with that `code`, `message` and HTTP `status`."""

    code: str = field(validator=text)
    message: str = field(default="", validator=text)
    status: int = field(default=400, validator=whole_number)


@frozen
class GiveExpired:
    """Return credentials that expired an hour ago."""


@frozen
class Incomplete:
    """Return a response `without` that field: one of the response itself, or one of its credentials."""

    without: str = field(default="SessionToken", validator=text)


@frozen
class Hang:
    """Do not respond until the caller disconnects or the server closes. In process: an immediate time-out."""


@frozen
class Drop:
    """Close the connection without a response. The AWS SDKs try again by themselves."""


@frozen
class Garbage:
    """Respond with that `body`, which STS never sends, as a proxy or a sign-in page does.

    `status`: 200, or 500 to 599.
    """

    body: str = field(default="<!doctype html><html><body>Sign in to the network<br></body></html>", validator=text)
    status: int = field(default=200, validator=whole_number)


@frozen
class ClockOff:
    """Respond normally, with a clock that is ahead `by` that span, or behind where it is negative.

    The clock decides expirations, what has expired, the header ``Date``, and the time that a signature may have.
    """

    by: timedelta = field(validator=timespan)


Fault: TypeAlias = Throttle | Refuse | GiveExpired | Incomplete | Hang | Drop | Garbage | ClockOff
"""What can go wrong with a call."""


@frozen
class Call:
    """One call of STS, as it came in.

    `operation`: the name of the operation, for example ``AssumeRole``.
    `parameters`: by STS's own names; a secret is a `Secret`, which no repr shows.
    `caller`: the ARN of the caller that signed the call; None for an unsigned call and for an unknown caller.
    `access_key_id`: the key that signed it. `code`: the error code of a refusal; None where the call was not refused.
    `fault`: the fault that was ordered for it.
    """

    operation: str
    parameters: Mapping[str, object]
    caller: str | None = None
    access_key_id: str | None = None
    code: str | None = None
    fault: Fault | None = None
