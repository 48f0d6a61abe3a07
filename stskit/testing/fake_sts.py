"""`FakeSTS`: an STS for tests that judges as AWS's does, in process and over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any, Final, TypeVar
from uuid import uuid4

from attrs import evolve

from stskit._time import SystemClock
from stskit.credentials import CallerIdentity, Credentials
from stskit.errors import ProofInvalid, without_frames
from stskit.mfa import MFA
from stskit.proofs import Proof
from stskit.protocols import Clock
from stskit.roles import Role
from stskit.sts.refusals import CallDetails, translate, unavailable
from stskit.sts.requests import check_known, in_sts_terms, request_for, secrets, with_code
from stskit.sts.responses import credentials_in, identity_in
from stskit.testing import _model
from stskit.testing._brain import Brain, Reply, unknown_key
from stskit.testing._refusal import Refusal
from stskit.testing._server import served
from stskit.testing._signatures import check_time, mismatch
from stskit.testing._world import Principal, World, new_key_id, new_secret, stable_id
from stskit.testing.calls import Call
from stskit.testing.faults import Drop, Fault, Garbage, Hang
from stskit.testing.identity_provider import IdentityProvider
from stskit.testing.trust import Trust

__all__ = ["FakeSTS"]

T = TypeVar("T")

# What botocore raises for each fault that is no answer of STS's.
_RAISED: Final = {
    Hang: ("timeout", "ReadTimeoutError"),
    Drop: ("connection", "ConnectionClosedError"),
    Garbage: ("answer", "ResponseParserError"),
}


class FakeSTS:
    """An STS for tests that refuses what AWS's would refuse, with the same codes, statuses and words.

    Every role exists and may be assumed by everybody whose keys it knows, or whose proof its identity provider signed.

    `roles`: what single roles ask for instead, by their ARNs; None for one that does not exist; it can be changed at
    any time as the attribute of that name. `others`: what all other roles ask for; None: there are none.
    `account`: where its users are. `clock`: by which credentials and proofs end. `idp`: whose assertions and tokens it
    takes, in every account; None makes one with the same clock.

    In process it is a `stskit.protocols.STS` with `STSOperations`: pass it as ``sts=``. In
    ``with sts.serve() as url:`` any AWS SDK can call it. Both faces share users, sessions, calls and faults.
    """

    def __init__(
        self,
        *,
        roles: Mapping[str, Trust | None] | None = None,
        others: Trust | None = Trust(),  # noqa: B008 - it cannot change
        account: str = "123456789012",
        clock: Clock | None = None,
        idp: IdentityProvider | None = None,
    ) -> None:
        clock = SystemClock() if clock is None else clock
        idp = IdentityProvider(clock=clock) if idp is None else idp
        self._brain = Brain(World(account, idp, dict(roles or {}), others), clock)
        self.identity: Final = f"FakeSTS {uuid4()}"  # for the keys of caches: no two are the same server

    def __repr__(self) -> str:
        return f"FakeSTS(account={self._brain.world.account!r}, calls={len(self.calls)})"

    @property
    def idp(self) -> IdentityProvider:
        """Whose assertions and tokens it takes. Raises nothing."""
        return self._brain.world.idp

    @property
    def roles(self) -> MutableMapping[str, Trust | None]:
        """What single roles ask for, by their ARNs; None for one that does not exist. Raises nothing."""
        return self._brain.world.roles

    @property
    def calls(self) -> list[Call]:
        """What it was asked so far, the oldest first. Raises nothing."""
        with self._brain.lock:
            return list(self._brain.calls)

    def count(self, operation: str | None = None) -> int:
        """How many calls there were, of that operation or of all. Raises nothing."""
        return sum(operation in (None, call.operation) for call in self.calls)

    def user(self, name: str = "developer", keys: Credentials | None = None) -> Credentials:
        """Long-term keys of an IAM user, new ones or the *keys* that it shall know from now on. Raises nothing."""
        world = self._brain.world
        arn = f"arn:aws:iam::{world.account}:user/{name}"
        given = Credentials(new_key_id("AKIA"), new_secret(), account_id=world.account) if keys is None else keys
        known = Principal(
            arn=arn,
            user_id=stable_id("AIDA", arn),
            account=world.account,
            access_key_id=given.access_key_id,
            secret_access_key=given.secret_access_key,
            session_token=given.session_token,
            expiration=given.expiration,
        )
        with self._brain.lock:
            world.principals[given.access_key_id] = known
        return given

    def forget(self, credentials: Credentials) -> None:
        """Know these keys no longer, as when somebody has deleted them. Raises nothing."""
        with self._brain.lock:
            self._brain.world.principals.pop(credentials.access_key_id, None)

    def next(self, *faults: Fault | None) -> None:
        """Let the next calls go wrong so, one each; None stands for one that goes well.

        In process that is a call of stskit's; over HTTP it is a request, of which an SDK sends up to three for a call.
        Raises nothing by itself.
        """
        self._brain.order(faults)

    def always(self, fault: Fault | None) -> None:
        """Let all calls go wrong so, those that `next` speaks of excepted; None: no longer. Raises nothing itself."""
        with self._brain.lock:
            self._brain.lasting = fault

    @contextmanager
    def serve(self) -> Iterator[str]:
        """The URL of a server on a free port of 127.0.0.1, for as long as the block lasts.

        Raises `OSError` where no port can be opened.
        """
        with served(self._brain) as url:
            yield url

    @without_frames
    def exchange(self, proof: Proof, role: Role) -> Credentials:
        """The credentials of *role*. Raises what `BotocoreSTS.exchange` raises."""
        operation, parameters = request_for(proof, role)
        given = self._call(operation, parameters, proof, role, self._credentials)
        return given if given.account_id else evolve(given, account_id=role.account)

    @without_frames
    def caller_identity(self, credentials: Credentials, /) -> CallerIdentity:
        """Whose *credentials* are. Raises as `exchange` does."""
        return self._call("GetCallerIdentity", {}, credentials, None, identity_in)

    @without_frames
    def session_token(
        self, credentials: Credentials, /, *, duration: int | None = None, mfa: MFA | None = None
    ) -> Credentials:
        """Temporary credentials of the same user; *duration* in seconds. Raises as `exchange` does."""
        asked = in_sts_terms({"duration": duration, "mfa": mfa})
        return self._call("GetSessionToken", asked, credentials, None, self._credentials)

    def _credentials(self, answer: Mapping[str, Any]) -> Credentials:
        return credentials_in(answer, self._brain.clock.now())

    def _signer(self, proof: Proof, known: Mapping[str, Principal], off: timedelta) -> Principal:
        """Whose keys *proof* has. Raises `Refusal` for keys that are not known, or not quite."""
        assert isinstance(proof, Credentials)  # else the call needs no signature
        signer = known.get(proof.access_key_id)
        if signer is None or signer.session_token != proof.session_token:
            raise unknown_key()
        now = self._brain.clock.now()
        check_time(now, now + off)
        if signer.secret_access_key != proof.secret_access_key:
            raise mismatch()
        return signer

    def _call(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        proof: Proof,
        role: Role | None,
        read: Callable[[Mapping[str, Any]], T],
    ) -> T:
        check_known(_model.service(), operation, parameters)
        sent = with_code(parameters)
        called = CallDetails(
            operation,
            role.arn if role else None,
            secrets=secrets(proof, sent),
            proof=proof,
            policy=role.policy if role else None,
        )
        reply = self._brain.reply(operation, lambda: sent, partial(self._signer, proof))
        if reply.refusal:
            raise translate(_Refused(reply.refusal, reply), called)
        if reply.fault:
            raise unavailable(*_RAISED[type(reply.fault)], called)
        try:
            return read(reply.result)
        except ProofInvalid as error:
            problem = unavailable("answer", str(error), called)
        raise problem


class _Refused(Exception):
    """A refusal in the form in which botocore has it."""

    def __init__(self, refusal: Refusal, reply: Reply) -> None:
        date = format_datetime(datetime.now(UTC) + reply.off, usegmt=True)
        metadata = {
            "HTTPStatusCode": refusal.status,
            "HTTPHeaders": {"date": date},
            "RequestId": reply.request_id,
        }
        error = {"Code": refusal.code, "Message": refusal.message}
        self.response = {"Error": error, "ResponseMetadata": metadata}
