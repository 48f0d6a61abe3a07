"""`BotocoreSTS`: the operations of STS side by side, over botocore.

What is particular to stskit: one client serves all roles and callers of a region; calls that need no keys never look
for any, so no profile and no ``credential_process`` is touched; nothing secret is logged; every refusal is explained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from stskit._arguments import check_type, flag, number, optional_number, optional_shown_text
from stskit.cache_key import digest, optional_method
from stskit.credentials import CallerIdentity, Credentials, check_credentials
from stskit.errors import ProofInvalid, RoleError, StskitError, init_without_frames, without_frames
from stskit.limits import duration_in_seconds
from stskit.mfa import MFA, check_mfa
from stskit.proofs import Proof
from stskit.roles import Role
from stskit.sts.requests import (
    check_known,
    check_rules_of_aws,
    credentials_in,
    identity_in,
    in_sts_terms,
    request_for,
    secrets,
    with_code,
)

if TYPE_CHECKING:
    from botocore.client import BaseClient

__all__ = ["BotocoreSTS", "close_clients"]

S = TypeVar("S")
T = TypeVar("T")
Reader: TypeAlias = Callable[[Mapping[str, Any]], T]


def _without_password(_self: object, _field: object, url: str | None) -> None:
    if "@" in (url or ""):
        raise RoleError(
            "endpoint_url has a user name or a password in it, which would be shown",
            remedy="leave it out",
            cli_message="has a user name or a password in it, which would be shown",
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
    attempts included, but not the search for the server's address; None: there is no such limit. An answer of more than
    1 MB is an error. `allow_http`: whether an endpoint without TLS may be on another machine, or behind a proxy.
    `trace_wire`: whether botocore's loggers may show all that is sent and received, proofs and new keys included.

    A call that is signed with the credentials of a named `Profile`, or of a source derived from it, uses the endpoint,
    region and CA bundle of that profile where neither an argument nor an environment variable sets them.
    AssumeRoleWithSAML and AssumeRoleWithWebIdentity are not signed and use neither the config file nor the credentials
    file; an error names the settings that were not used.

    Equal values of this class share their connections, also between threads.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_region-endpoints.html
    """

    region: str | None = field(default=None, validator=optional_shown_text)
    endpoint_url: str | None = field(default=None, kw_only=True, validator=[optional_shown_text, _without_password])
    use_fips: bool = field(default=False, kw_only=True, validator=flag)
    use_dualstack: bool = field(default=False, kw_only=True, validator=flag)
    connect_timeout: float = field(default=5, kw_only=True, validator=number)
    read_timeout: float = field(default=10, kw_only=True, validator=number)
    total_timeout: float | None = field(default=60, kw_only=True, validator=optional_number)
    allow_http: bool = field(default=False, kw_only=True, validator=flag)
    trace_wire: bool = field(default=False, kw_only=True, validator=flag)
    _profile: str | None = field(default=None, init=False, repr=False)

    def with_profile(self, profile: str) -> BotocoreSTS:
        """Return the same, with endpoint, region and CA bundle of *profile* for signed calls where nothing else is set.

        `AssumedRole`, `SessionToken` and others call it where their source gets its credentials from a named profile.
        Arguments and environment variables still come first. Raises nothing.
        """
        configured = copy(self)
        object.__setattr__(configured, "_profile", profile)
        return configured

    @property
    def identity(self) -> str:
        """A key for caches: by all that decides which server is asked, here, in the environment and in the profile that
        the environment names. Raises nothing.
        """
        from stskit.sts.shared_config import endpoint_settings, read_shared_config

        set_here = self.region, self.endpoint_url, self.use_fips, self.use_dualstack
        return digest("sts", set_here, self._profile, endpoint_settings(read_shared_config(), self._profile))

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
        from stskit.sts.wire import check_url

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
            check_rules_of_aws(proof, role, meta.endpoint_url)
            if not self.allow_http:  # before an MFA code is used up
                check_url(meta.endpoint_url)
            parameters = with_code(parameters)
            details = evolve(details, secrets=secrets(proof, parameters))
            answer = clients.call(client, operation, parameters, proof, log_secrets=self.trace_wire)
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
            self.region,
            partition,
            signed=signed,
            endpoint_url=self.endpoint_url,
            options=options,
            profile=self._profile,
            allow_http=self.allow_http,
            total_timeout=self.total_timeout,
        )


def sts_for(source: object, sts: S) -> S:
    """Return *sts* as the profile configures it that *source* gets its credentials from, if it names one.

    A source names it by an attribute ``settings_profile``, and an STS takes it by a method ``with_profile``; both are
    optional. Raises nothing of its own.
    """
    profile, configure = getattr(source, "settings_profile", None), optional_method(sts, "with_profile")
    if configure is None or not isinstance(profile, str):
        return sts
    configured: S = configure(profile)
    return configured


def close_clients() -> None:
    """Drop the clients that all `BotocoreSTS` share, and close their connections; the next call makes new ones.

    Call it in tests that start a mock of AWS, such as moto, after a call was made. A call that is under way in another
    thread goes on. Raises nothing.
    """
    from stskit.sts import clients

    clients.close_clients()


def _partition(proof: Proof) -> str | None:
    arn = proof.assumed_role_arn if isinstance(proof, Credentials) else None
    return (arn or "").partition(":")[2].partition(":")[0] or None
