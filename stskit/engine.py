"""Assume a role: once with `assume`, for as long as needed with `boto3_session` or an `AssumedRole`.

`caller_identity` returns the account and the user that credentials belong to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import evolve, field, frozen

from stskit import sinks
from stskit._arguments import (
    check_environ,
    check_source,
    check_sts,
    check_timespan,
    check_type,
    repr_without_defaults,
)
from stskit.cache_key import anonymous_part, identity_for, identity_of, role_key, snapshot_of
from stskit.credentials import CallerIdentity, Credentials, check_credentials
from stskit.errors import RoleError, SourceMissing, init_without_frames, without_frames
from stskit.proofs import Proof
from stskit.protocols import STS, Cache, LiveSink, Source, STSOperations, attach
from stskit.refresh import Cached, RefreshPolicy
from stskit.roles import Role
from stskit.sources import OIDCTokenFile, Profile
from stskit.sts import BotocoreSTS, sts_for

if TYPE_CHECKING:
    import boto3.session

__all__ = ["AssumedRole", "assume", "boto3_session", "caller_identity"]

R = TypeVar("R")

_LONGEST_WAIT: Final = timedelta(minutes=1)  # a role that is not usable after a minute is refused for another reason
# seconds; https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
_MAX_CHAINED_DURATION: Final = 3600


def _uncached(source: object) -> object:
    while isinstance(source, Cached):
        source = source.source
    return source


def _role(role: Role | str) -> Role:
    hint = ""
    if hasattr(role, "fetch"):
        hint = "Pass a source as source=..."
    elif isinstance(role, list | tuple):
        hint = "Call assume_all() for several roles. To chain roles, pass them as separate arguments."
    check_type("role", role, (Role, str), "a Role or the ARN of a role as text", hint)
    return role if isinstance(role, Role) else Role(role)


def _short_role(role: Role) -> str:
    return repr(role.arn) if role == Role(role.arn) else repr(role)


@init_without_frames
@frozen(repr=False)
class AssumedRole:
    """A recipe: how to get the credentials of a role. It is itself a source, so a role can be assumed from it.

    It holds no credentials, so you can pickle it, log it and share it between threads and processes. To get credentials
    once, call `fetch`. To get a boto3 session that refreshes itself, attach a sink: ``recipe.to(Boto3Session())``.

    Args:
        role: Role ARN, or a `Role` with options.
        source: Where the proof comes from. Defaults to the standard AWS credential chain, ``Profile()``.
        sts: The STS client that exchanges the proof for credentials. Defaults to ``BotocoreSTS()``.
        wait_for_new_role: How long to retry if access is denied, as STS does for some seconds after a role or its
            trust policy was created. Up to one minute. Defaults to zero. Cannot be used together with the option
            ``mfa`` of the role, because an MFA code is valid once.

    Raises:
        RoleError: If an option is out of its limits, or if a role that is assumed from another role asks for more than
            the one hour that STS allows.
        TypeError: If an argument has the wrong type, for example a path as the source.

    Example:
        >>> from stskit import AssumedRole
        >>> from stskit.sinks import Boto3Session
        >>> from stskit.sources import Profile
        >>> recipe = AssumedRole("arn:aws:iam::123456789012:role/Deploy", source=Profile("base"))
        >>> session = recipe.to(Boto3Session("eu-central-1"))
        >>> session.client("sts").get_caller_identity()["Account"]
        '123456789012'

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """

    role: Role = field(converter=_role, repr=_short_role)
    source: Source[Proof] = field(factory=Profile, kw_only=True)
    sts: STS = field(factory=BotocoreSTS, kw_only=True)
    wait_for_new_role: timedelta = field(default=timedelta(0), kw_only=True)

    def __repr__(self) -> str:
        return repr_without_defaults(self)

    def __attrs_post_init__(self) -> None:
        check_source("source", self.source)
        check_sts(self.sts, "exchange")
        check_timespan("wait_for_new_role", self.wait_for_new_role)
        if self.wait_for_new_role and self.role.mfa is not None:
            raise RoleError(
                "wait_for_new_role cannot be used together with mfa: each attempt needs an MFA code, and a code is "
                "valid once.",
                remedy="Omit wait_for_new_role, or pass source=Cached(SessionToken(source, mfa)).",
                cli_remedy="Omit --wait-for-new-role, or add --session-token.",
                option="wait_for_new_role",
            )
        if not timedelta(0) <= self.wait_for_new_role <= _LONGEST_WAIT:
            seconds, longest = self.wait_for_new_role.total_seconds(), _LONGEST_WAIT.total_seconds()
            problem = f"is {seconds:g} seconds, but it must be between 0 and {longest:g} seconds."
            raise RoleError(
                f"wait_for_new_role {problem}",
                remedy="Pass a shorter time.",
                cli_message=problem,
                option="wait_for_new_role",
            )
        duration = self.role.duration
        is_chained = isinstance(_uncached(self.source), AssumedRole)
        if is_chained and duration is not None and duration > _MAX_CHAINED_DURATION:
            problem = (
                f"is {duration} seconds, but STS allows at most {_MAX_CHAINED_DURATION} for a role that is assumed "
                "from another role."
            )
            raise RoleError(
                f"duration of {self.role.arn} {problem}",
                cli_message=problem,
                remedy=f"Pass a duration of up to {_MAX_CHAINED_DURATION} seconds, or assume the role directly with "
                "long-term keys, SAML or OIDC.",
                option="duration",
            )

    @classmethod
    @without_frames
    def from_env(cls, environ: Mapping[str, str] | None = None, *, sts: STS | None = None) -> AssumedRole:
        """Return the recipe that the environment describes: a role ARN and an OIDC token file.

        ``AWS_ROLE_ARN`` and ``AWS_WEB_IDENTITY_TOKEN_FILE`` are required; Kubernetes (EKS) and many CI systems set
        both. ``AWS_ROLE_SESSION_NAME`` is the session name, if it is set.

        Args:
            environ: Environment variables. Defaults to those of this process.
            sts: The STS client that exchanges the token for credentials. Defaults to ``BotocoreSTS()``.

        Returns:
            A recipe that reads the token file again at every fetch.

        Raises:
            SourceMissing: If one of the two variables is not set.
            RoleError: If the role ARN or the session name is not valid.
            TypeError: If an argument has the wrong type.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
        """
        check_environ(environ)
        environ = os.environ if environ is None else environ
        arn = environ.get("AWS_ROLE_ARN")
        if not arn:
            raise SourceMissing(
                "The environment variable AWS_ROLE_ARN is not set.",
                remedy="Set it to the role ARN, or use AssumedRole(arn, source=...).",
                cli_remedy="Set it to the role ARN, or omit --from-env and name a role and its source.",
                variable="AWS_ROLE_ARN",
            )
        try:
            role = Role(arn, session_name=environ.get("AWS_ROLE_SESSION_NAME") or None)
        except RoleError as error:
            error.variable = "AWS_ROLE_ARN" if error.option == "arn" else "AWS_ROLE_SESSION_NAME"
            error.option = None
            raise
        return cls(role, source=OIDCTokenFile.from_env(environ), sts=BotocoreSTS() if sts is None else sts)

    @without_frames
    def fetch(self) -> Credentials:
        """Return new credentials. This fetches the proof once and calls STS once.

        The STS call is retried, with a new proof, in three cases: STS could not fetch the keys of the identity provider
        (up to five attempts), access is denied within `wait_for_new_role`, or STS refused the key of a `Cached` source
        (once). In a chain, only the refused call is retried.

        Returns:
            Temporary credentials of the role. Nothing refreshes them.

        Raises:
            SourceError: If the source has no valid proof. Nothing was sent.
            RoleError: If the role does not fit the proof. Nothing was sent.
            STSError: If STS refused the request.
            STSUnavailable: If STS could not be reached, or its response was not usable.
        """
        from stskit.sts.retry import exchange_with_retries

        return exchange_with_retries(sts_for(self.source, self.sts), self.source, self.role, self.wait_for_new_role)

    @property
    def settings_profile(self) -> str | None:
        """The profile whose endpoint, region and CA bundle apply to calls that use these credentials.

        None if there is none. Raises nothing.
        """
        return getattr(self.source, "settings_profile", None)

    @without_frames
    def to(self, sink: LiveSink[R]) -> R:
        """Attach a sink to this recipe, and return what the sink makes of it, for example a boto3 session.

        Args:
            sink: A sink that refreshes, for example ``Boto3Session()``.

        Returns:
            What the sink's ``attach`` returns. It refreshes its credentials from this recipe.

        Raises:
            TypeError: If the sink only takes fixed credentials. Write ``recipe.fetch().to(sink)`` for those.
            SinkError: If the sink refuses.
        """
        return attach(sink, self)

    @property
    @without_frames
    def identity(self) -> str | None:
        """The cache key of these credentials. It covers the role with its options, the proof and the STS.

        It contains no secret. None if `source` or `sts` has no identity. Raises what the source raises.
        """
        return role_key(self.role, identity_of(self.source), sts_for(self.source, self.sts))

    def identity_for(self, name: str, /) -> str | None:
        """Return the cache key if *name* stands for the identity of the first source.

        Args:
            name: Name of the identity, chosen by the user (``key=`` of `Cached`).

        Returns:
            The cache key, or None if `source` or `sts` does not allow a name. Raises nothing.
        """
        return role_key(self.role, identity_for(self.source, name), sts_for(self.source, self.sts), sts_name=name)

    def anonymous_part(self) -> object | None:
        """Return the part that has no identity, so that there is no cache key.

        Returns:
            `sts` or a part of `source`, or None if each part has an identity. Raises nothing.
        """
        return anonymous_part(self.source, self.sts)

    def snapshot(self) -> AssumedRole:
        """Return this recipe with the present state of its source.

        The cache key and the credentials then belong to the same identity, even if a file changes in between.

        Returns:
            A recipe whose source does not read its files again.

        Raises:
            SourceError: If the source cannot be read.
        """
        return evolve(self, source=snapshot_of(self.source), sts=sts_for(self.source, self.sts))

    def wrap_source(self, wrap: Callable[[Source[Credentials]], Source[Credentials]], /) -> AssumedRole:
        """Return this recipe with the role that it is assumed from wrapped, so that `Cached` refreshes each role.

        Args:
            wrap: Function that takes a source and returns a source.

        Returns:
            A new recipe, or this one if its source is not a role. Raises nothing of its own.
        """
        return evolve(self, source=wrap(self.source)) if isinstance(self.source, AssumedRole) else self

    @classmethod
    @without_frames
    def through(
        cls,
        first: Role | str,
        *then: Role | str,
        source: Source[Proof] | None = None,
        sts: STS | None = None,
        wait_for_new_role: timedelta = timedelta(0),
    ) -> AssumedRole:
        """Return the recipe for a chain of roles. Nothing is called yet.

        Args:
            first: Role ARN, or a `Role` with options: the role that the proof of *source* can assume.
            *then: More roles, each assumed from the one before.
            source: Where the proof for *first* comes from. Defaults to the standard AWS credential chain.
            sts: The STS client that exchanges a proof for credentials. Defaults to ``BotocoreSTS()``.
            wait_for_new_role: As for `AssumedRole`, for each role of the chain.

        Returns:
            The recipe for the last role.

        Raises:
            RoleError: If a role or one of its options is not valid.
            TypeError: If an argument has the wrong type.

        Example:
            >>> from stskit import AssumedRole
            >>> recipe = AssumedRole.through(
            ...     "arn:aws:iam::123456789012:role/Hub", "arn:aws:iam::123456789012:role/Reports"
            ... )
            >>> recipe.fetch().assumed_role_arn
            'arn:aws:sts::123456789012:assumed-role/Reports/stskit-...'

        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
        """
        sts = BotocoreSTS() if sts is None else sts
        build = partial(cls, sts=sts, wait_for_new_role=wait_for_new_role)
        recipe = build(first, source=Profile() if source is None else source)
        for role in then:
            recipe = build(role, source=recipe)
        return recipe


@without_frames
def assume(
    role: Role | str,
    *then: Role | str,
    source: Source[Proof] | None = None,
    sts: STS | None = None,
    wait_for_new_role: timedelta = timedelta(0),
) -> Credentials:
    """Return temporary credentials of a role. They expire, after an hour by default, and nothing refreshes them.

    For a boto3 session that refreshes itself, call `boto3_session` instead. For another sink that refreshes, build an
    `AssumedRole`.

    Args:
        role: Role ARN, or a `Role` with options.
        *then: More roles, each assumed from the one before (role chaining).
        source: Where the proof comes from, for example ``SAMLFile("samlresponse.log")``. Defaults to the standard AWS
            credential chain.
        sts: The STS client that exchanges the proof for credentials. Defaults to ``BotocoreSTS()``.
        wait_for_new_role: How long to retry if access is denied, for a role that was created some seconds ago. Up to
            one minute. Defaults to zero.

    Returns:
        Credentials of the last role. Deliver them with ``credentials.to(sink)``.

    Raises:
        RoleError: If a role or one of its options is not valid. Nothing was sent.
        SourceError: If the source has no valid proof. Nothing was sent.
        STSError: If STS refused the request. ``error.remedy`` says what to do.
        STSUnavailable: If STS could not be reached, or its response was not usable.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume
        >>> from stskit.sinks import CredentialsFile
        >>> from stskit.sources import SAMLFile
        >>> role = "arn:aws:iam::123456789012:role/Deploy"
        >>> credentials = assume(role, source=SAMLFile("samlresponse.log"))
        >>> credentials.to(CredentialsFile("deploy"))
        '.../credentials'

    https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
    """
    recipe = AssumedRole.through(role, *then, source=source, sts=sts, wait_for_new_role=wait_for_new_role)
    return recipe.fetch()


@without_frames
def boto3_session(
    role: Role | str,
    *then: Role | str,
    source: Source[Proof] | None = None,
    sts: STS | None = None,
    wait_for_new_role: timedelta = timedelta(0),
    region_name: str | None = None,
    refresh: RefreshPolicy | None = None,
    cache: Cache | None = None,
) -> boto3.session.Session:
    """Return a boto3 session that uses a role and refreshes its credentials before they expire.

    STS is called when the session first needs credentials, not before. All clients and threads of the session share one
    call. If STS is unavailable, the session keeps using the credentials that it has. Needs ``stskit[boto3]``.

    Args:
        role: Role ARN, or a `Role` with options.
        *then: More roles, each assumed from the one before (role chaining).
        source: Where the proof comes from. Defaults to the standard AWS credential chain.
        sts: The STS client that exchanges the proof for credentials. Defaults to ``BotocoreSTS()``.
        wait_for_new_role: How long to retry if access is denied, for a role that was created some seconds ago. Up to
            one minute. Defaults to zero.
        region_name: AWS region of the session's clients. Defaults to the region of the environment or the config file.
        refresh: When to refresh. Defaults to ``RefreshPolicy()``. Unless its `on_expired` is ``"raise"``, the session
            keeps using expired credentials with a warning if it cannot refresh them, as the AWS SDKs do.
        cache: Where credentials are shared with other processes, for example ``FileCache()``. Defaults to none.

    Returns:
        A `boto3.session.Session`.

    Raises:
        RoleError: If a role or one of its options is not valid.
        SinkError: If boto3 is not installed, or the AWS config file cannot be read.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import boto3_session
        >>> session = boto3_session("arn:aws:iam::123456789012:role/Reports", region_name="eu-central-1")
        >>> session.client("sts").get_caller_identity()["Arn"]
        'arn:aws:sts::123456789012:assumed-role/Reports/stskit-...'

    https://docs.aws.amazon.com/boto3/latest/reference/core/session.html
    """
    sink = sinks.Boto3Session(region_name, refresh=refresh, cache=cache)
    return AssumedRole.through(role, *then, source=source, sts=sts, wait_for_new_role=wait_for_new_role).to(sink)


@without_frames
def caller_identity(credentials: Credentials | None = None, *, sts: STSOperations | None = None) -> CallerIdentity:
    """Return the account, the ARN and the user ID that STS knows for credentials.

    Args:
        credentials: Credentials to ask about. Defaults to those of the standard AWS credential chain.
        sts: The STS client. Defaults to ``BotocoreSTS()``.

    Returns:
        Account, ARN and user ID.

    Raises:
        SourceError: If no credentials were passed and the chain has none.
        STSError: If STS does not accept the credentials.
        STSUnavailable: If STS could not be reached, or its response was not usable.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import caller_identity
        >>> caller_identity().arn
        'arn:aws:iam::123456789012:user/developer'

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    sts = BotocoreSTS() if sts is None else sts
    check_sts(sts, "caller_identity")
    if credentials is not None:
        check_credentials(credentials)
    return sts.caller_identity(Profile().fetch() if credentials is None else credentials)
