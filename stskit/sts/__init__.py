"""`BotocoreSTS`: the operations of STS side by side, over botocore.

What is particular to stskit: one client serves all roles and callers of a region; calls that need no keys never look
for any, so no profile and no ``credential_process`` is touched; nothing secret is logged; every refusal is explained.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from attrs import evolve, field, frozen
from attrs.validators import optional

from stskit._arguments import check_type, flag, number, optional_text
from stskit.cache_key import digest
from stskit.credentials import CallerIdentity, Credentials, check_credentials
from stskit.errors import ProofInvalid, RoleError, StskitError, init_without_frames, without_frames
from stskit.limits import duration_in_seconds
from stskit.mfa import MFA, check_mfa
from stskit.proofs import Proof
from stskit.roles import Role
from stskit.sts.requests import check_known, credentials_in, identity_in, in_sts_terms, request_for, secrets, with_code

if TYPE_CHECKING:
    from botocore.client import BaseClient

__all__ = ["BotocoreSTS"]

T = TypeVar("T")
Reader: TypeAlias = Callable[[Mapping[str, Any]], T]

# What the environment says about the server. The profile is named in it, and may say the rest.
_WHICH_SERVER: Final = (
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
)


def _without_password(_self: object, _field: object, url: str | None) -> None:
    if "@" in (url or ""):
        raise RoleError(
            "endpoint_url has a user name or a password in it, which would be shown",
            remedy="leave it out",
            option="endpoint_url",
        )


@init_without_frames
@frozen
class BotocoreSTS:
    """STS as botocore reaches it: its endpoint rules, proxies, CA bundles and retries (three attempts in all).

    `region`: None takes ``AWS_REGION``, ``AWS_DEFAULT_REGION``, for signed calls the region of the ambient profile,
    and last the home region of the role's partition. A region of another partition than the role's is passed over,
    and is a `RoleError` where it is given here. `endpoint_url`: another server than AWS's; None takes
    ``AWS_ENDPOINT_URL_STS`` or ``AWS_ENDPOINT_URL``. `use_fips`, `use_dualstack`: that kind of endpoint.
    `connect_timeout`, `read_timeout`: seconds, for each attempt. `total_timeout`: seconds for the whole exchange, all
    attempts and the search for the server's address included; None: there is no such limit.
    `allow_http`: whether an endpoint without TLS may be on another machine. `trace_wire`: whether botocore's loggers
    may show everything that is sent and received, proofs and new keys included.

    AssumeRoleWithSAML and AssumeRoleWithWebIdentity go out unsigned, and see neither the config file nor the
    credentials file. Equal values of this class share their connections, also between threads.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_region-endpoints.html
    """

    region: str | None = field(default=None, validator=optional_text)
    endpoint_url: str | None = field(default=None, kw_only=True, validator=[optional_text, _without_password])
    use_fips: bool = field(default=False, kw_only=True, validator=flag)
    use_dualstack: bool = field(default=False, kw_only=True, validator=flag)
    connect_timeout: float = field(default=5, kw_only=True, validator=number)
    read_timeout: float = field(default=10, kw_only=True, validator=number)
    total_timeout: float | None = field(default=None, kw_only=True, validator=optional(number))
    allow_http: bool = field(default=False, kw_only=True, validator=flag)
    trace_wire: bool = field(default=False, kw_only=True, validator=flag)

    @property
    def identity(self) -> str:
        """Which server is asked, by what is set here and in the environment, as one text for the keys of caches.

        Raises nothing.
        """
        set_here = self.region, self.endpoint_url, self.use_fips, self.use_dualstack
        return digest("sts", set_here, [os.environ.get(name) for name in _WHICH_SERVER])

    @without_frames
    def exchange(self, proof: Proof, role: Role) -> Credentials:
        """The credentials of *role*, by one call: AssumeRole for credentials, else the one that fits the proof.

        Raises `RoleError` before the call, where *role* asks for what that operation does not take, and `ProofInvalid`
        where *proof* cannot be sent; `STSError` where STS refuses; `STSUnavailable` where no answer can be used.
        """
        check_type("role", role, Role, "a Role", "Write Role(arn).")
        operation, parameters = request_for(proof, role)
        given = self._call(operation, parameters, proof, role, credentials_in)
        return given if given.account_id else evolve(given, account_id=role.account)

    @without_frames
    def caller_identity(self, credentials: Credentials, /) -> CallerIdentity:
        """Whose *credentials* are, by GetCallerIdentity, which needs no permission. Raises as `exchange` does."""
        check_credentials(credentials)
        return self._call("GetCallerIdentity", {}, credentials, None, identity_in)

    @without_frames
    def session_token(
        self, credentials: Credentials, /, *, duration: int | None = None, mfa: MFA | None = None
    ) -> Credentials:
        """Temporary credentials of the same user, by GetSessionToken; *duration* in seconds. Raises as `exchange` does.

        https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
        """
        check_credentials(credentials)
        check_mfa(mfa)
        asked = in_sts_terms({"duration": duration_in_seconds(duration), "mfa": mfa})
        return self._call("GetSessionToken", asked, credentials, None, credentials_in)

    def _call(
        self, operation: str, parameters: Mapping[str, Any], proof: Proof, role: Role | None, read: Reader[T]
    ) -> T:
        from stskit.sts import clients
        from stskit.sts.refusals import CallDetails, translate, unavailable

        details = CallDetails(
            operation,
            role.arn if role else None,
            self.region,
            self.endpoint_url,
            proof=proof,
            policy=parameters.get("Policy"),
        )
        try:
            client = self._client(role.partition if role else _partition(proof), signed=isinstance(proof, Credentials))
            meta = client.meta
            details = evolve(details, region=meta.region_name, endpoint=meta.endpoint_url, has_client=True)
            check_known(meta.service_model, operation, parameters)
            if not self.allow_http and clients.is_remote_plaintext(client):
                raise unavailable("http", "no TLS", details)
            parameters = with_code(parameters)
            details = evolve(details, secrets=secrets(proof, parameters))
            send = partial(clients.call, client, operation, parameters, proof, log_secrets=self.trace_wire)
            answer = send() if self.total_timeout is None else clients.run_with_deadline(self.total_timeout, send)
        except StskitError:
            raise
        except Exception as error:  # noqa: BLE001 - what botocore raises has no common base
            raise translate(error, details) from None
        try:
            return read(answer)
        except ProofInvalid as error:
            raise unavailable("answer", str(error), details) from None

    def _client(self, partition: str | None, *, signed: bool) -> BaseClient:
        options = (
            ("connect_timeout", self.connect_timeout),
            ("read_timeout", self.read_timeout),
            ("use_fips_endpoint", self.use_fips or None),  # None: as the environment or the profile says
            ("use_dualstack_endpoint", self.use_dualstack or None),
        )
        from stskit.sts import clients

        return clients.client_for(
            self.region, partition, signed=signed, endpoint_url=self.endpoint_url, options=options
        )


def _partition(proof: Proof) -> str | None:
    arn = proof.assumed_role_arn if isinstance(proof, Credentials) else None
    return (arn or "").partition(":")[2].partition(":")[0] or None
