"""An STS for tests that accepts and refuses requests as AWS does, in process and over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any, Final, TypeVar, get_args
from uuid import uuid4

from attrs import evolve

from stskit._arguments import check_mapping, check_method, check_type
from stskit._time import SystemClock
from stskit.credentials import CallerIdentity, Credentials, check_credentials
from stskit.errors import ProofInvalid, without_frames
from stskit.limits import duration_in_seconds
from stskit.mfa import MFA, check_mfa
from stskit.proofs import Proof, SAMLAssertion
from stskit.protocols import Clock
from stskit.roles import Role
from stskit.sts.refusals import CallDetails, translate, unavailable
from stskit.sts.requests import check_known, credentials_in, identity_in, in_sts_terms, request_for, secrets, with_code
from stskit.testing import _service_model
from stskit.testing._account import Account, Principal, new_key_id, new_secret, stable_id
from stskit.testing._dispatcher import Dispatcher, Reply
from stskit.testing._server import check_time, served, signature_mismatch, unknown_key
from stskit.testing._service_model import Refusal
from stskit.testing.calls import Call, Drop, Fault, Garbage, Hang
from stskit.testing.identity_provider import IdentityProvider
from stskit.testing.trust import Trust

__all__ = ["FakeSTS"]

T = TypeVar("T")

# The kind of the error, and the class that botocore raises, for each fault without a response of STS.
_RAISED: Final = {
    Hang: ("timeout", "ReadTimeoutError"),
    Drop: ("connection", "ConnectionClosedError"),
    Garbage: ("answer", "ResponseParserError"),
}


class FakeSTS:
    """An STS for tests. It refuses what AWS refuses, with the same error codes, statuses and messages.

    By default every role exists and can be assumed by every caller with keys of `user` or a proof that `idp` signed. In
    process, pass it as ``sts=``. In ``with sts.serve() as url:`` any AWS SDK can call it. Both ways share users,
    sessions, calls and faults. SAML assertions and OIDC tokens need ``stskit[testing]``; everything else needs no
    extra.

    Args:
        roles: Requirements of single roles, by role ARN. None is a role that does not exist. Defaults to none.
        others: Requirements of all other roles. None means that no other role exists. Defaults to no requirements.
        account: Account ID of the users. Defaults to ``"123456789012"``.
        clock: The source of the time, which decides about expiry. Defaults to the system clock.
        idp: Identity provider whose assertions and tokens are accepted. Defaults to a new one with the same clock.

    Raises:
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume
        >>> from stskit.sources import Static
        >>> from stskit.testing import FakeSTS
        >>> sts = FakeSTS()
        >>> assume("arn:aws:iam::123456789012:role/Deploy", source=Static(sts.user()), sts=sts).account_id
        '123456789012'
        >>> sts.count("AssumeRole")
        1
    """

    def __init__(
        self,
        *,
        roles: Mapping[str, Trust | None] | None = None,
        others: Trust | None = Trust(),  # noqa: B008 - a Trust is immutable
        account: str = "123456789012",
        clock: Clock | None = None,
        idp: IdentityProvider | None = None,
    ) -> None:
        if roles is not None:
            check_mapping("roles", roles, "a mapping of role ARNs to Trust or None")
        check_type("others", others, (Trust, type(None)), "a Trust or None")
        check_type("account", account, str, "text of twelve digits")
        check_type("idp", idp, (IdentityProvider, type(None)), "an IdentityProvider or None")
        clock = SystemClock() if clock is None else clock
        check_method("clock", clock, "now", "a clock")
        idp = IdentityProvider(clock=clock) if idp is None else idp
        self._dispatcher = Dispatcher(Account(account, idp, dict(roles or {}), others), clock)
        self.identity: Final = f"FakeSTS {uuid4()}"  # a part of cache keys, so that no two objects are the same server

    def __repr__(self) -> str:
        return f"FakeSTS(account={self._dispatcher.account.number!r}, calls={len(self.calls)})"

    @property
    def idp(self) -> IdentityProvider:
        """The identity provider whose assertions and tokens are accepted. Raises nothing."""
        return self._dispatcher.account.idp

    @property
    def roles(self) -> MutableMapping[str, Trust | None]:
        """The requirements of single roles, by role ARN. None is a role that does not exist. Raises nothing."""
        return self._dispatcher.account.roles

    @property
    def calls(self) -> list[Call]:
        """The calls so far, the oldest first. Raises nothing."""
        with self._dispatcher.lock:
            return list(self._dispatcher.calls)

    def count(self, operation: str | None = None) -> int:
        """Return the number of calls.

        Args:
            operation: STS operation. Defaults to all operations.

        Returns:
            The number of calls. Raises nothing.
        """
        return sum(operation in (None, call.operation) for call in self.calls)

    def user(self, name: str = "developer", keys: Credentials | None = None) -> Credentials:
        """Add an IAM user, and return its long-term keys.

        Args:
            name: User name.
            keys: Keys to accept from now on. Defaults to new keys.

        Returns:
            The keys.

        Raises:
            TypeError: If an argument has the wrong type.
        """
        check_type("name", name, str, "text")
        check_type("keys", keys, (Credentials, type(None)), "Credentials or None")
        account = self._dispatcher.account
        arn = f"arn:aws:iam::{account.number}:user/{name}"
        if keys is None:
            keys = Credentials(new_key_id("AKIA"), new_secret(), account_id=account.number)
        principal = Principal(
            arn=arn,
            user_id=stable_id("AIDA", arn),
            account=account.number,
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret_access_key,
            session_token=keys.session_token,
            expiration=keys.expiration,
        )
        with self._dispatcher.lock:
            account.principals[keys.access_key_id] = principal
        return keys

    def forget(self, credentials: Credentials) -> None:
        """Delete keys, so that they are refused from now on.

        Args:
            credentials: The keys to delete.

        Raises:
            TypeError: If they are not `Credentials`.
        """
        check_credentials(credentials)
        with self._dispatcher.lock:
            self._dispatcher.account.principals.pop(credentials.access_key_id, None)

    def next(self, *faults: Fault | None) -> None:
        """Add faults for the next calls, one for each call.

        In process, a call is one call of stskit. Over HTTP, it is one request, and an SDK sends up to three for a call.

        Args:
            *faults: Faults, for example ``Throttle()``. None is a call without a fault.

        Raises:
            TypeError: If an argument is not a fault.
        """
        for fault in faults:
            _check_fault(fault)
        self._dispatcher.order(faults)

    def always(self, fault: Fault | None) -> None:
        """Set a fault for all calls, except those with a fault of `next`.

        Args:
            fault: The fault. None ends it.

        Raises:
            TypeError: If it is not a fault.
        """
        _check_fault(fault)
        with self._dispatcher.lock:
            self._dispatcher.permanent = fault

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Run an HTTP server on a free port of 127.0.0.1 for a block.

        Yields:
            The URL, for example for ``AWS_ENDPOINT_URL_STS``.

        Raises:
            OSError: If no port can be opened.
        """
        with served(self._dispatcher) as url:
            yield url

    @without_frames
    def exchange(self, proof: Proof, role: Role) -> Credentials:
        """Exchange a proof for credentials of a role, as `BotocoreSTS.exchange` does.

        Args:
            proof: Credentials, a SAML assertion or an OIDC token.
            role: The role with its options.

        Returns:
            Temporary credentials of the role.

        Raises:
            RoleError: If the role has an option that the operation does not have.
            STSError: If the STS refuses the request.
            STSUnavailable: For a fault without a response of STS.
        """
        check_type("role", role, Role, "a Role", "Write Role(arn).")
        operation, parameters = request_for(proof, role)
        if isinstance(proof, SAMLAssertion):
            proof.check_duration(role.duration)
        credentials = self._call(operation, parameters, proof, role, self._credentials)
        return credentials if credentials.account_id else evolve(credentials, account_id=role.account)

    @without_frames
    def caller_identity(self, credentials: Credentials, /) -> CallerIdentity:
        """Return the identity of credentials.

        Args:
            credentials: The credentials to ask about.

        Returns:
            Account, ARN and user ID.

        Raises:
            STSError: If the STS refuses the request.
            STSUnavailable: For a fault without a response of STS.
        """
        check_credentials(credentials)
        return self._call("GetCallerIdentity", {}, credentials, None, identity_in)

    @without_frames
    def session_token(
        self, credentials: Credentials, /, *, duration: int | None = None, mfa: MFA | None = None
    ) -> Credentials:
        """Return temporary credentials of the same user.

        Args:
            credentials: Long-term keys of a user.
            duration: How long they are valid, in seconds. Defaults to twelve hours.
            mfa: MFA device and code. Defaults to none.

        Returns:
            Temporary credentials.

        Raises:
            STSError: If the STS refuses the request.
            STSUnavailable: For a fault without a response of STS.
        """
        check_credentials(credentials)
        check_mfa(mfa)
        parameters = in_sts_terms({"duration": duration_in_seconds(duration), "mfa": mfa})
        return self._call("GetSessionToken", parameters, credentials, None, self._credentials)

    def _credentials(self, answer: Mapping[str, Any]) -> Credentials:
        return credentials_in(answer, self._dispatcher.clock.now())

    def _signer(self, proof: Proof, known: Mapping[str, Principal], offset: timedelta) -> Principal:
        """Return the principal of the keys. Raises `Refusal` if the keys are unknown or wrong."""
        assert isinstance(proof, Credentials)  # other proofs need no signature
        signer = known.get(proof.access_key_id)
        if signer is None or signer.session_token != proof.session_token:
            raise unknown_key()
        now = self._dispatcher.clock.now()
        check_time(now, now + offset)
        if signer.secret_access_key != proof.secret_access_key:
            raise signature_mismatch()
        return signer

    def _call(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        proof: Proof,
        role: Role | None,
        read: Callable[[Mapping[str, Any]], T],
    ) -> T:
        check_known(_service_model.service(), operation, parameters)
        sent = with_code(parameters)
        called = CallDetails(
            operation,
            role.arn if role else None,
            secrets=secrets(proof, sent),
            proof=proof,
            policy=role.policy if role else None,
        )
        reply = self._dispatcher.reply(operation, lambda: sent, partial(self._signer, proof))
        if reply.refusal:
            raise translate(_Refused(reply.refusal, reply), called)
        if reply.fault:
            raise unavailable(*_RAISED[type(reply.fault)], called)
        try:
            return read(reply.result)
        except ProofInvalid as error:
            raise unavailable("answer", error.message.removesuffix("."), called) from None


def _check_fault(fault: object) -> None:
    check_type("fault", fault, (*get_args(Fault), type(None)), "a fault of stskit.testing or None", "Write Throttle().")


class _Refused(Exception):
    """A refusal with the attributes of botocore's exception."""

    def __init__(self, refusal: Refusal, reply: Reply) -> None:
        date = format_datetime(datetime.now(UTC) + reply.clock_offset, usegmt=True)
        metadata = {
            "HTTPStatusCode": refusal.status,
            "HTTPHeaders": {"date": date},
            "RequestId": reply.request_id,
        }
        error = {"Code": refusal.code, "Message": refusal.message}
        self.response = {"Error": error, "ResponseMetadata": metadata}
