"""What `FakeSTS` does with a call, whichever way it came: who signed it, what was ordered to go wrong, what to give."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import uuid4

from attrs import define, field, frozen

from stskit.protocols import Clock
from stskit.testing import _model
from stskit.testing._operations import OPERATIONS, SIGNED
from stskit.testing._refusal import Refusal
from stskit.testing._sessions import Ask
from stskit.testing._world import Principal, World
from stskit.testing.calls import Call
from stskit.testing.faults import ClockOff, Drop, Fault, Garbage, GiveExpired, Hang, Incomplete, Refuse, Throttle

__all__ = ["Brain", "Identify", "Reply", "unknown_key"]

Identify: TypeAlias = Callable[[Mapping[str, Principal], timedelta], Principal | None]
"""Who signed a call, among those by their access key ids, with a clock that is so far ahead; None: nobody did.

Raises `Refusal` where the signature is not in order.
"""
_NOTHING: Final = timedelta(0)


@frozen
class Reply:
    """What comes of a call: a `result`, a `refusal`, or a `fault` that each face has its own way to show."""

    request_id: str
    result: Mapping[str, Any] = field(factory=dict)
    refusal: Refusal | None = None
    fault: Hang | Drop | Garbage | None = None
    off: timedelta = _NOTHING


@define
class Brain:
    """Answers calls, one at a time."""

    world: World
    clock: Clock
    calls: list[Call] = field(factory=list)
    upcoming: deque[Fault | None] = field(factory=deque)
    lasting: Fault | None = None
    lock: threading.RLock = field(factory=threading.RLock)

    def order(self, faults: Iterable[Fault | None]) -> None:
        """Let the next calls go so, one each."""
        with self.lock:
            self.upcoming.extend(faults)

    def reply(self, operation: str, read: Callable[[], Mapping[str, Any]], identify: Identify) -> Reply:
        """What comes of a call of *operation*, with the parameters that *read* gives."""
        with self.lock:
            fault = self.upcoming.popleft() if self.upcoming else self.lasting
            off = fault.by if isinstance(fault, ClockOff) else _NOTHING
            caller, parameters, result, refusal = None, {}, {}, None
            try:
                if operation not in OPERATIONS:
                    raise Refusal("InvalidAction", f"Could not find operation {operation} for version {_model.VERSION}")
                parameters = dict(read())
                _stumble(fault)
                if not isinstance(fault, Hang | Drop | Garbage):
                    caller = self._caller(operation, identify, off)
                    _model.check(operation, parameters)
                    now = self.clock.now() + off
                    result = _spoilt(OPERATIONS[operation](self.world, Ask(parameters, caller, now)), fault, now)
            except Refusal as error:
                refusal = error.with_traceback(None)
            self._note(operation, parameters, caller, refusal, fault)
            silent = fault if isinstance(fault, Hang | Drop | Garbage) and refusal is None else None
            return Reply(str(uuid4()), result, refusal, silent, off)

    def _caller(self, operation: str, identify: Identify, off: timedelta) -> Principal | None:
        if operation not in SIGNED:
            return None
        caller = identify(self.world.principals, off)
        if caller is None:
            raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        if caller.expiration is not None and self.clock.now() + off >= caller.expiration:
            raise Refusal("ExpiredToken", "The security token included in the request is expired", 403)
        return caller

    def _note(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        caller: Principal | None,
        refusal: Refusal | None,
        fault: Fault | None,
    ) -> None:
        known = _model.discreetly(operation, deepcopy(dict(parameters))) if operation in OPERATIONS else {}
        who = (caller.arn, caller.access_key_id) if caller else (None, None)
        code = refusal.code.removesuffix("Exception") if refusal else None
        self.calls.append(Call(operation, known, who[0], who[1], code, fault))


def unknown_key() -> Refusal:
    """The refusal for a key or a token that STS did not give."""
    return Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)


def _stumble(fault: Fault | None) -> None:
    match fault:
        case Throttle():
            raise Refusal("Throttling", fault.message)
        case Refuse():
            raise Refusal(fault.code, fault.message, fault.status)


def _spoilt(result: dict[str, Any], fault: Fault | None, now: datetime) -> dict[str, Any]:
    keys = dict(result.get("Credentials", {}))
    match fault:
        case GiveExpired() if keys:
            keys["Expiration"] = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        case Incomplete(name):
            keys.pop(name, None)
            result.pop(name, None)
    return {**result, "Credentials": keys} if "Credentials" in result else result
