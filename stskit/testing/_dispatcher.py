"""Answer a call of `FakeSTS`, in process or over HTTP: find the caller, apply the fault, run the operation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import uuid4

from attrs import define, field, frozen

from stskit._io.fork import lock_across_forks
from stskit.protocols import Clock
from stskit.testing import _service_model
from stskit.testing._account import Account, Principal, RequestContext
from stskit.testing._operations import OPERATIONS, SIGNED
from stskit.testing._service_model import Refusal
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

__all__ = ["Dispatcher", "Identify", "Reply"]

Identify: TypeAlias = Callable[[Mapping[str, Principal], timedelta], Principal | None]
"""A function that returns the principal that signed a call, or None for an unsigned call. It gets the known principals
by access key ID, and how far the clock is ahead. It raises `Refusal` for an invalid signature.
"""
_NOTHING: Final = timedelta(0)


@frozen
class Reply:
    """The outcome of a call: a result, a refusal, or a fault that differs in process and over HTTP."""

    request_id: str
    result: Mapping[str, Any] = field(factory=dict)
    refusal: Refusal | None = None
    fault: Hang | Drop | Garbage | None = None
    clock_offset: timedelta = _NOTHING


@define
class Dispatcher:
    """The state of a `FakeSTS`, which answers one call at a time."""

    account: Account
    clock: Clock
    calls: list[Call] = field(factory=list)
    upcoming: deque[Fault | None] = field(factory=deque)
    permanent: Fault | None = None
    lock: AbstractContextManager[object] = field(factory=lock_across_forks)

    def order(self, faults: Iterable[Fault | None]) -> None:
        """Add faults for the next calls, one for each call."""
        with self.lock:
            self.upcoming.extend(faults)

    def reply(self, operation: str, read: Callable[[], Mapping[str, Any]], identify: Identify) -> Reply:
        """Return the outcome of a call. *read* returns its parameters."""
        with self.lock:
            fault = self.upcoming.popleft() if self.upcoming else self.permanent
            offset = fault.by if isinstance(fault, ClockOff) else _NOTHING
            caller, parameters, result, refusal = None, {}, {}, None
            try:
                if operation not in OPERATIONS:
                    raise Refusal(
                        "InvalidAction", f"Could not find operation {operation} for version {_service_model.VERSION}"
                    )
                parameters = dict(read())
                _raise_fault(fault)
                if not isinstance(fault, Hang | Drop | Garbage):
                    caller = self._caller(operation, identify, offset)
                    _service_model.check_limits(operation, parameters)
                    now = self.clock.now() + offset
                    result = OPERATIONS[operation](self.account, RequestContext(parameters, caller, now))
                    result = _corrupted(result, fault, now)
            except Refusal as error:
                refusal = error.with_traceback(None)
            self._record(operation, parameters, caller, refusal, fault)
            silent = fault if isinstance(fault, Hang | Drop | Garbage) and refusal is None else None
            return Reply(str(uuid4()), result, refusal, silent, offset)

    def _caller(self, operation: str, identify: Identify, offset: timedelta) -> Principal | None:
        if operation not in SIGNED:
            return None
        caller = identify(self.account.principals, offset)
        if caller is None:
            raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        if caller.expiration is not None and self.clock.now() + offset >= caller.expiration:
            raise Refusal("ExpiredToken", "The security token included in the request is expired", 403)
        return caller

    def _record(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        caller: Principal | None,
        refusal: Refusal | None,
        fault: Fault | None,
    ) -> None:
        known = _service_model.masked(operation, deepcopy(dict(parameters))) if operation in OPERATIONS else {}
        code = refusal.code.removesuffix("Exception") if refusal else None
        arn, key_id = (caller.arn, caller.access_key_id) if caller else (None, None)
        self.calls.append(Call(operation, known, arn, key_id, code, fault))


def _raise_fault(fault: Fault | None) -> None:
    match fault:
        case Throttle():
            raise Refusal("Throttling", fault.message)
        case Refuse():
            raise Refusal(fault.code, fault.message, fault.status)


def _corrupted(result: dict[str, Any], fault: Fault | None, now: datetime) -> dict[str, Any]:
    keys = dict(result.get("Credentials", {}))
    match fault:
        case GiveExpired() if keys:
            keys["Expiration"] = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        case Incomplete(name):
            keys.pop(name, None)
            result.pop(name, None)
    return {**result, "Credentials": keys} if "Credentials" in result else result
