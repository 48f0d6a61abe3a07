"""What `FakeSTS` can be told to do wrong: one small value for each kind of fault."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeAlias

from attrs import frozen

__all__ = ["ClockOff", "Drop", "Fault", "Garbage", "GiveExpired", "Hang", "Incomplete", "Refuse", "Throttle"]


@frozen
class Throttle:
    """Refuses with ``Throttling`` and that `message`. The AWS SDKs try again by themselves, three times in all."""

    message: str = "Rate exceeded"


@frozen
class Refuse:
    """Refuses with that `code`, `message` and HTTP `status`; what AWS sends with each is up to you."""

    code: str
    message: str = ""
    status: int = 400


@frozen
class GiveExpired:
    """Gives credentials that have expired an hour ago."""


@frozen
class Incomplete:
    """Answers `without` that field: one of the answer, or of the credentials in it."""

    without: str = "SessionToken"


@frozen
class Hang:
    """Does not answer, until the caller goes away or the server closes; in process that is a time-out, at once."""


@frozen
class Drop:
    """Closes the connection without an answer. The AWS SDKs try again by themselves."""


@frozen
class Garbage:
    """Answers with that `body`, which is nothing of STS's: as a proxy or a sign-in page does.

    `status`: 200, or 500 to 599.
    """

    body: str = "<!doctype html><html><body>Sign in to the network<br></body></html>"
    status: int = 200


@frozen
class ClockOff:
    """Answers well, with a clock that is ahead `by` that, or behind where that is below zero.

    It shows in expirations, in what it takes for expired, in the header ``Date``, and in the time of signatures.
    """

    by: timedelta


Fault: TypeAlias = Throttle | Refuse | GiveExpired | Incomplete | Hang | Drop | Garbage | ClockOff
"""What can go wrong at a call."""
