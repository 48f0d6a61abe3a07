"""What `FakeSTS` remembers of each call, for asserts."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from stskit.testing.faults import Fault

__all__ = ["Call"]


@frozen
class Call:
    """One call of STS, as it came in.

    `operation`: what STS calls it, for example ``AssumeRole``.
    `parameters`: by the names that STS has for them; what is secret in them is a `Secret`, which shows in no repr.
    `caller`: the ARN of whoever signed it, None where nobody did or could be told. `access_key_id`: of the key that
    signed it. `code`: of the refusal, None where there was none. `fault`: what it was told to do.
    """

    operation: str
    parameters: Mapping[str, object]
    caller: str | None = None
    access_key_id: str | None = None
    code: str | None = None
    fault: Fault | None = None
