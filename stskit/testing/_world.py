"""What there is in the world of `FakeSTS`: whose keys it knows, and what each role asks for."""

from __future__ import annotations

import secrets
from base64 import b32encode, b64encode
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from attrs import define, evolve, field, frozen

from stskit.credentials import Secret
from stskit.errors import RoleError
from stskit.roles import RoleARN
from stskit.testing._refusal import Refusal
from stskit.testing.identity_provider import IdentityProvider
from stskit.testing.trust import Trust

__all__ = ["Principal", "World", "new_key_id", "new_secret", "role_of", "stable_id"]

_TOKEN: Final = 300  # bytes, about as many as those of STS have


@frozen
class Principal:
    """Whoever can sign: a user with long-term keys, or a session. Tags are those that go on to chained roles."""

    arn: str
    user_id: str
    account: str
    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None
    expiration: datetime | None = None
    role_arn: str | None = None
    tags: Mapping[str, str] = field(factory=dict)
    source_identity: str | None = None
    mfa: bool = False


@define
class World:
    """All that lasts from one call to the next."""

    account: str
    idp: IdentityProvider
    roles: MutableMapping[str, Trust | None]
    others: Trust | None
    principals: dict[str, Principal] = field(factory=dict)
    codes: set[tuple[str, str]] = field(factory=set)

    def trust(self, role: RoleARN) -> Trust | None:
        """What *role* asks for; None where there is no such role."""
        return self.roles.get(str(role), self.others)

    def add_session(self, like: Principal, now: datetime, lasts: timedelta, least_token: int) -> Principal:
        """A session with keys of its own, from *now* on; its token has *least_token* bytes at least."""
        token = b64encode(secrets.token_bytes(max(_TOKEN, least_token))).decode()
        made = evolve(
            like,
            access_key_id=new_key_id("ASIA"),
            secret_access_key=new_secret(),
            session_token=Secret(token),
            expiration=(now + lasts).replace(microsecond=0),
        )
        self.principals[made.access_key_id] = made
        return made


def role_of(arn: str) -> RoleARN:
    """The role called so. Raises `Refusal` where that is no ARN of a role."""
    try:
        return RoleARN.parse(arn)
    except RoleError:
        raise Refusal("ValidationError", f"{arn} is invalid") from None


def new_key_id(prefix: str) -> str:
    """An access key id unlike any other, as AWS makes them: ``AKIA`` for users, ``ASIA`` for sessions."""
    return prefix + b32encode(secrets.token_bytes(10)).decode()


def new_secret() -> Secret:
    """A secret access key unlike any other."""
    return Secret(b64encode(secrets.token_bytes(30)).decode())


def stable_id(prefix: str, arn: str) -> str:
    """The unique id of a user (``AIDA``) or a role (``AROA``), the same for the same ARN."""
    return prefix + b32encode(sha256(arn.encode()).digest()).decode()[:17]
