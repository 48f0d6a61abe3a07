"""What tests of code that uses stskit need: an STS, a clock and an identity provider that do as they are told.

>>> from stskit import assume
>>> from stskit.sources import Static
>>> from stskit.testing import FakeSTS
>>> sts = FakeSTS()
>>> assume("arn:aws:iam::123456789012:role/Deploy", source=Static(sts.user()), sts=sts).account_id
'123456789012'
"""

from stskit.testing.calls import Call
from stskit.testing.check_cache import check_cache
from stskit.testing.check_sink import check_sink
from stskit.testing.check_source import check_source
from stskit.testing.clock import ManualClock
from stskit.testing.fake_sts import FakeSTS
from stskit.testing.faults import ClockOff, Drop, Fault, Garbage, GiveExpired, Hang, Incomplete, Refuse, Throttle
from stskit.testing.identity_provider import Flaw, IdentityProvider
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
