"""Test code that uses stskit, with an STS, a clock and an identity provider that the test controls.

>>> from stskit import assume
>>> from stskit.sources import Static
>>> from stskit.testing import FakeSTS
>>> sts = FakeSTS()
>>> assume("arn:aws:iam::123456789012:role/Deploy", source=Static(sts.user()), sts=sts).account_id
'123456789012'
"""

from stskit.testing._signing import Flaw
from stskit.testing.calls import (
    Call,
    ClockOff,
    Drop,
    Fault,
    Garbage,
    GiveExpired,
    Hang,
    Incomplete,
    Refuse,
    Throttle,
)
from stskit.testing.checks import check_cache, check_sink, check_source
from stskit.testing.clock import ManualClock
from stskit.testing.fake_sts import FakeSTS
from stskit.testing.identity_provider import IdentityProvider
from stskit.testing.trust import Trust

__all__ = [
    "Call",
    "ClockOff",
    "Drop",
    "FakeSTS",
    "Fault",
    "Flaw",
    "Garbage",
    "GiveExpired",
    "Hang",
    "IdentityProvider",
    "Incomplete",
    "ManualClock",
    "Refuse",
    "Throttle",
    "Trust",
    "check_cache",
    "check_sink",
    "check_source",
]
