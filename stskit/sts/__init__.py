"""Call STS through botocore.

All roles and callers of a region share one client. Calls that need no keys read no profile and start no
``credential_process``. Nothing secret is logged, and every error of STS is explained.
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
            "endpoint_url contains a user name or a password, which logs would show.",
            remedy="Remove it from the URL.",
            cli_message="contains a user name or a password, which logs would show.",
            option="endpoint_url",
        )


@init_without_frames
@frozen
class BotocoreSTS:
    """The connection to STS: botocore's endpoint rules, proxies, CA bundles and retries (three attempts).

    A call that is signed with the credentials of a named `Profile`, or of a source derived from one, uses the endpoint,
    region and CA bundle of that profile, unless an argument or an environment variable sets them. AssumeRoleWithSAML
    and AssumeRoleWithWebIdentity are not signed and use neither the config file nor the credentials file. Their errors
    name the settings that were not used. A response of more than 1 MB is an error.

    Equal values share their connections, also between threads.

    Args:
        region: AWS region of STS. Defaults to ``AWS_REGION``, then ``AWS_DEFAULT_REGION``, then (for signed calls) the
            region of the profile, then the home region of the role's partition. A default in another partition than the
            role's is ignored.
        endpoint_url: URL of a server other than AWS. Defaults to ``AWS_ENDPOINT_URL_STS``, then ``AWS_ENDPOINT_URL``.
        use_fips: Whether to use a FIPS endpoint. Defaults to the setting of the environment or the profile.
        use_dualstack: Whether to use a dual-stack endpoint. Defaults as `use_fips`.
        connect_timeout: Seconds for a connection, for each attempt. Defaults to 5.
        read_timeout: Seconds for a response, for each attempt. Defaults to 10.
        total_timeout: Seconds for the whole exchange with all attempts, without the name lookup. Defaults to 60. With
            None, there is no limit.
        allow_http: Whether to send requests without TLS to another machine or through a proxy. Defaults to False.
        trace_wire: Whether botocore's loggers may show requests and responses, with all secrets. Defaults to False.

    Raises:
        RoleError: If `endpoint_url` contains a password.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume
        >>> from stskit.sts import BotocoreSTS
        >>> sts = BotocoreSTS("eu-central-1", total_timeout=20)
        >>> assume("arn:aws:iam::123456789012:role/Deploy", sts=sts).account_id
        '123456789012'

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
        """Return this STS with the endpoint, region and CA bundle of a profile for signed calls.

        Recipes and sources call it if their source gets its credentials from a named profile. Arguments and environment
        variables still take precedence.

        Args:
            profile: Profile name.

        Returns:
            A new value. Raises nothing.
        """
        configured = copy(self)
        object.__setattr__(configured, "_profile", profile)
        return configured

    @property
    def identity(self) -> str:
        """The part of a cache key that covers the server.

        It depends on the arguments, the environment variables and the profile. Raises nothing.
        """
        from stskit.sts.shared_config import endpoint_settings, read_shared_config

        set_here = self.region, self.endpoint_url, self.use_fips, self.use_dualstack
        return digest("sts", set_here, self._profile, endpoint_settings(read_shared_config(), self._profile))

    @without_frames
    def exchange(self, proof: Proof, role: Role) -> Credentials:
        """Exchange a proof for credentials of a role, with one call of the operation that fits the proof.

        Args:
            proof: Credentials, a SAML assertion or an OIDC token.
            role: The role with its options.

        Returns:
            Temporary credentials of the role.

        Raises:
            RoleError: If the role has an option that the operation does not have. Nothing was sent.
            ProofInvalid: If the proof cannot be sent.
            STSError: If STS refused the request.
            STSUnavailable: If STS could not be reached, or its response was not usable.
        """
        check_type("role", role, Role, "a Role", "Write Role(arn).")
        operation, parameters = request_for(proof, role)
        credentials = self._call(operation, parameters, proof, role, credentials_in)
        return credentials if credentials.account_id else evolve(credentials, account_id=role.account)

    @without_frames
    def caller_identity(self, credentials: Credentials, /) -> CallerIdentity:
        """Return the identity of credentials. GetCallerIdentity needs no permission.

        Args:
            credentials: The credentials to ask about.

        Returns:
            Account, ARN and user ID.

        Raises:
            STSError: If STS does not accept the credentials.
            STSUnavailable: If STS could not be reached, or its response was not usable.
        """
        check_credentials(credentials)
        return self._call("GetCallerIdentity", {}, credentials, None, identity_in)

    @without_frames
    def session_token(
        self, credentials: Credentials, /, *, duration: int | None = None, mfa: MFA | None = None
    ) -> Credentials:
        """Return temporary credentials of the same user, from GetSessionToken.

        Args:
            credentials: Long-term keys of an IAM user.
            duration: How long they are valid, 900 to 129,600 seconds. Defaults to twelve hours.
            mfa: MFA device and code. Defaults to none.

        Returns:
            Temporary credentials.

        Raises:
            RoleError: If the duration is out of its limits.
            STSError: If STS refused the request.
            STSUnavailable: If STS could not be reached, or its response was not usable.

        https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
        """
        check_credentials(credentials)
        check_mfa(mfa)
        parameters = in_sts_terms({"duration": duration_in_seconds(duration), "mfa": mfa})
        return self._call("GetSessionToken", parameters, credentials, None, credentials_in)

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
            if not self.allow_http:  # before an MFA code is used
                check_url(meta.endpoint_url)
            parameters = with_code(parameters)
            details = evolve(details, secrets=secrets(proof, parameters))
            answer = clients.call(client, operation, parameters, proof, log_secrets=self.trace_wire)
        except StskitError:
            raise
        except Exception as error:  # noqa: BLE001 - the exceptions of botocore have no common base class
            raise translate(error, details) from None
        try:
            return read(answer)
        except ProofInvalid as error:
            # The remedy of the error is for a person who writes credentials, so it does not fit a response of STS.
            raise unavailable("answer", error.message.removesuffix("."), details) from None

    def _client(self, partition: str | None, *, signed: bool) -> BaseClient:
        options = (
            ("connect_timeout", self.connect_timeout),
            ("read_timeout", self.read_timeout),
            ("use_fips_endpoint", self.use_fips or None),  # with None, the environment or the profile decides
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
    """Return *sts* with the settings of the profile that the source gets its credentials from, if there is one.

    A source names the profile with an attribute ``settings_profile``, and an STS has a method ``with_profile``. Both
    are optional. Raises nothing of its own.
    """
    profile, configure = getattr(source, "settings_profile", None), optional_method(sts, "with_profile")
    if configure is None or not isinstance(profile, str):
        return sts
    configured: S = configure(profile)
    return configured


def close_clients() -> None:
    """Close the connections that all `BotocoreSTS` share. The next call makes new ones.

    Call it in tests that start a mock of AWS, such as moto, after a call was made. A running call of another thread is
    not affected. Raises nothing.

    Example:
        >>> from stskit.sts import close_clients
        >>> close_clients()
    """
    from stskit.sts import clients

    clients.close_clients()


def _partition(proof: Proof) -> str | None:
    arn = proof.assumed_role_arn if isinstance(proof, Credentials) else None
    return (arn or "").partition(":")[2].partition(":")[0] or None
