"""`AssumedRole` is the recipe, `assume` runs one now, `caller_identity` says whose credentials those are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

from attrs import evolve, field, frozen

from stskit._arguments import check_environ, check_source, check_sts, check_timespan, check_type
from stskit.cache_key import anonymous_part, identity_for, identity_of, role_key, snapshot_of
from stskit.credentials import CallerIdentity, Credentials, check_credentials
from stskit.errors import RoleError, SourceMissing, init_without_frames, without_frames
from stskit.proofs import Proof
from stskit.protocols import STS, LiveSink, Source, STSOperations, attach
from stskit.refresh import Cached
from stskit.roles import Role
from stskit.sources import OIDCTokenFile, Profile
from stskit.sts import BotocoreSTS, sts_for

__all__ = ["AssumedRole", "assume", "caller_identity"]

R = TypeVar("R")

_LONGEST_WAIT: Final = timedelta(minutes=1)  # for a new role; one that takes longer is refused for another reason
# seconds; https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
_MAX_CHAINED_DURATION: Final = 3600


def _uncached(source: object) -> object:
    while isinstance(source, Cached):
        source = source.source
    return source


def _role(role: Role | str) -> Role:
    check_type("role", role, (Role, str), "a Role or the ARN of a role as text")
    return role if isinstance(role, Role) else Role(role)


@init_without_frames
@frozen
class AssumedRole:
    """How to get the credentials of a role: a recipe. It holds no credentials, and is itself a source of them.

    `role`: a `Role`, or an ARN as text. `source`: where the proof comes from; the default is the ambient credentials,
    as the AWS SDKs find them. `sts`: what exchanges the one for the other.
    `wait_for_new_role`: for how long, up to a minute, to try again where access is denied, as it is for some seconds
    after a role or its trust policy was made. Not together with `mfa` of the role: a code is valid once.

    Raises `RoleError` where the role is chained onto another `AssumedRole` for more than the hour that STS allows, and
    `TypeError` for an argument of the wrong type, for example a path or a proof as the source.
    """

    role: Role = field(converter=_role)
    source: Source[Proof] = field(factory=Profile, kw_only=True)
    sts: STS = field(factory=BotocoreSTS, kw_only=True)
    wait_for_new_role: timedelta = field(default=timedelta(0), kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_source("source", self.source)
        check_sts(self.sts, "exchange")
        check_timespan("wait_for_new_role", self.wait_for_new_role)
        if self.wait_for_new_role and self.role.mfa is not None:
            raise RoleError(
                "wait_for_new_role cannot be used together with mfa: each try needs an MFA code, and a code is valid "
                "once.",
                remedy="Leave out wait_for_new_role, or use Cached(SessionToken(source, mfa)) as the source",
                cli_remedy="Leave out --wait-for-new-role, or use --session-token",
                option="wait_for_new_role",
            )
        if not timedelta(0) <= self.wait_for_new_role <= _LONGEST_WAIT:
            raise RoleError(
                f"wait_for_new_role is {self.wait_for_new_role}",
                remedy=f"it may be up to {_LONGEST_WAIT}",
                cli_message=f"is {self.wait_for_new_role}",
                option="wait_for_new_role",
            )
        duration = self.role.duration
        is_chained = isinstance(_uncached(self.source), AssumedRole)
        if is_chained and duration is not None and duration > _MAX_CHAINED_DURATION:
            raise RoleError(
                f"{self.role.arn} is assumed from another role, and such a session lasts {_MAX_CHAINED_DURATION} "
                f"seconds at most; duration is {duration}.",
                remedy="Ask for less, or assume the role from long-term keys, SAML or OIDC",
                option="duration",
            )

    @classmethod
    @without_frames
    def from_env(cls, environ: Mapping[str, str] | None = None, *, sts: STS | None = None) -> AssumedRole:
        """The role of the environment: ``AWS_ROLE_ARN`` with the token in ``AWS_WEB_IDENTITY_TOKEN_FILE``.

        Kubernetes (EKS) and many CI systems set these two; ``AWS_ROLE_SESSION_NAME`` names the session. *environ*: None
        is the environment of this process. Raises `SourceMissing` where one of the first two is not set, and
        `RoleError` where the role or the name is none that STS takes.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
        """
        check_environ(environ)
        environ = os.environ if environ is None else environ
        arn = environ.get("AWS_ROLE_ARN")
        if not arn:
            raise SourceMissing(
                "AWS_ROLE_ARN is not set",
                remedy="set it to the ARN of the role, or use AssumedRole(arn, source=...)",
                cli_remedy="set it to the ARN of the role, or leave out --from-env and name the role and its source",
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
        """Return new credentials: one fetch of the source, one call of STS. Raises what these two raise.

        The call is made again, with a fresh assertion or token, where STS could not fetch the identity provider's keys
        (five tries in all), and with `wait_for_new_role` where it denies access. If STS refuses the key of a `Cached`
        source, it is made once more with a new key. In a chain, only the call that was refused is made again.
        """
        from stskit.sts.retry import exchange_with_retries

        return exchange_with_retries(sts_for(self.source, self.sts), self.source, self.role, self.wait_for_new_role)

    @property
    def settings_profile(self) -> str | None:
        """The profile whose endpoint, region and CA bundle count for calls that are signed with these credentials.

        Raises nothing.
        """
        return getattr(self.source, "settings_profile", None)

    @without_frames
    def to(self, sink: LiveSink[R]) -> R:
        """Attach *sink* to this recipe, and give back what keeps itself fresh by it.

        Raises `TypeError` for a sink that takes credentials as a value: write ``recipe.fetch().to(sink)`` for these.
        """
        return attach(sink, self)

    @property
    @without_frames
    def identity(self) -> str | None:
        """A key for caches: by the role with all its options, the proof and the STS. It holds nothing secret.

        None where `source` or `sts` has no identity. Raises what the source does.
        """
        return role_key(self.role, identity_of(self.source), sts_for(self.source, self.sts))

    def identity_for(self, name: str, /) -> str | None:
        """Return the same where *name* says whose proof it is that `source` starts from. Raises nothing."""
        return role_key(self.role, identity_for(self.source, name), sts_for(self.source, self.sts), sts_name=name)

    def anonymous_part(self) -> object | None:
        """Return what leaves it without identity: `sts`, or a part of `source`; None otherwise. Raises nothing."""
        return anonymous_part(self.source, self.sts)

    def snapshot(self) -> AssumedRole:
        """Return the same with the source as it is now, so that its identity and its credentials are one person's.

        Raises what the source does.
        """
        return evolve(self, source=snapshot_of(self.source), sts=sts_for(self.source, self.sts))

    def wrap_source(self, wrap: Callable[[Source[Credentials]], Source[Credentials]], /) -> AssumedRole:
        """Return the same recipe with *wrap* around the role that it is assumed from, so that `Cached` refreshes each.

        Raises nothing of its own.
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
        """The recipe for a chain of roles, from left to right the path taken. *source* is the proof for *first*.

        Raises as `AssumedRole` and `Role` do; nothing is called yet.

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
    """The credentials of *role*, now; with more roles after it, those of the last, each assumed from the one before.

    *source*: where the proof comes from, for example ``SAMLFile("response.b64")``; None: the ambient credentials.
    *sts*: None is ``BotocoreSTS()``. *wait_for_new_role*: as of `AssumedRole`.

    Raises `RoleError` or `SourceError` before any call, `STSError` where STS refuses, `STSUnavailable` where it does
    not answer.

    https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
    """
    recipe = AssumedRole.through(role, *then, source=source, sts=sts, wait_for_new_role=wait_for_new_role)
    return recipe.fetch()


@without_frames
def caller_identity(credentials: Credentials | None = None, *, sts: STSOperations | None = None) -> CallerIdentity:
    """Account, ARN and user id behind *credentials*, as STS sees them; None: the ambient credentials.

    Raises `STSError` where STS does not know them, `STSUnavailable` where it does not answer, and `TypeError` for an
    argument of the wrong type.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    sts = BotocoreSTS() if sts is None else sts
    check_sts(sts, "caller_identity")
    if credentials is not None:
        check_credentials(credentials)
    return sts.caller_identity(Profile().fetch() if credentials is None else credentials)
