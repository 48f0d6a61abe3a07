"""What users write, as type checkers see it: no line may need a remark. Checked and never run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import boto3.session
import botocore.session

from stskit import (
    MFA,
    AssumedRole,
    Cached,
    Credentials,
    MFACommand,
    Outcome,
    RefreshPolicy,
    Role,
    SAMLAssertion,
    WebIdentityToken,
    assume,
    assume_all,
)
from stskit.caches import FileCache, MemoryCache
from stskit.proofs import Proof
from stskit.protocols import STS, Cache, CacheEntry, LiveSink, RefreshEvent, Sink, Source
from stskit.roles import RoleARN
from stskit.sinks import (
    Boto3Session,
    BotocoreSession,
    CredentialProcess,
    CredentialsFile,
    DotEnv,
    Environment,
    ShellExports,
)
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, SessionToken, Static
from stskit.testing import (
    Call,
    ClockOff,
    FakeSTS,
    IdentityProvider,
    ManualClock,
    Refuse,
    Throttle,
    Trust,
    check_cache,
    check_sink,
    check_source,
)


class Vault:
    def fetch(self) -> WebIdentityToken:
        return WebIdentityToken("token")


class Both:
    """A sink for values and for recipes, each with a result of its own type."""

    def write(self, credentials: Credentials, /) -> int:
        return len(credentials.access_key_id)

    def attach(self, source: Source[Credentials], /) -> bytes:
        return source.fetch().access_key_id.encode()


class Canned:
    def exchange(self, proof: Proof, role: Role) -> Credentials:
        return Credentials(role.arn, "secret")


sources: list[Source[Proof]] = [
    SAMLFile("file"),
    OIDCTokenFile("file"),
    Profile(),
    Static(Credentials("id", "secret")),
    Vault(),
]
sts: STS = Canned()
value_sink: Sink[int] = Both()
live_sink: LiveSink[bytes] = Both()

credentials: Credentials = assume("arn", Role("arn", duration=timedelta(hours=1)), source=sources[0], sts=sts)
recipe: AssumedRole = AssumedRole.through("arn", "arn", source=Vault())
nested: AssumedRole = AssumedRole("arn", source=recipe)

path: str = credentials.to(CredentialsFile("name", region="eu-central-1"))
variables: dict[str, str] = credentials.to(Environment(os.environ))
text: str = credentials.to(ShellExports("fish"))
document: str = credentials.to(CredentialProcess())
env_file: str = credentials.to(DotEnv(".env"))
written: str = CredentialsFile.write_all({"name": credentials})
fixed: boto3.session.Session = credentials.to(Boto3Session())
fixed_core: botocore.session.Session = credentials.to(BotocoreSession())
live: boto3.session.Session = recipe.to(Boto3Session("eu-central-1"))
shared: botocore.session.Session = Cached(recipe).to(BotocoreSession())
number: int = credentials.to(Both())
data: bytes = recipe.to(Both())


def tell(done: int, total: int) -> None:
    """How far it is."""


codes: list[MFA] = [
    MFA("serial-number", "123456"),
    MFA("serial-number", lambda serial: serial),
    MFA("s", MFACommand(["x"])),
]
one_code: Cached = Cached(SessionToken(Profile(), codes[0], timedelta(hours=1)))
everything: Role = Role(
    str(RoleARN("name", "123456789012", path="/ci/")),
    policy={"Version": "2012-10-17"},
    tags={"key": "value"},
    external_id="text",
    mfa=codes[0],
    extra={"New": [1]},
)
named: Role = Role.named("name", account="123456789012", duration=900, tags={"key": "value"})
outcomes: list[Outcome] = list(assume_all(["arn", named], source=one_code, progress=tell))
found: Credentials | None = outcomes[0].credentials
from_env: AssumedRole = AssumedRole.from_env()
waiting: Credentials = assume("arn", wait_for_new_role=timedelta(seconds=30))
assertion: SAMLAssertion = SAMLFile("file", skew=timedelta(0)).fetch()
lasts: timedelta | None = assertion.session_duration
claim: object = OIDCTokenFile.from_env({}).fetch().claims["sub"]

in_memory: Source[SAMLAssertion] = Static(assertion)


class Drawer:
    """A cache of a user."""

    def get(self, key: str, /) -> CacheEntry | None:
        return None

    def put(self, key: str, entry: CacheEntry, /) -> None:
        """Keep nothing."""

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        yield wait


class Metrics:
    def notify(self, event: RefreshEvent, /) -> None:
        self.last = event.kind, event.expiration


caches: list[Cache] = [MemoryCache(), FileCache(), FileCache("folder", lock_timeout=1.5), Drawer()]
kept: Cached = Cached(recipe, caches[0], RefreshPolicy(advisory=timedelta(minutes=10)), key="mine", listener=Metrics())
kept.invalidate(kept.fetch().access_key_id)
kept.invalidate()
cached_session: boto3.session.Session = recipe.to(Boto3Session("eu-central-1", cache=FileCache()))
behind: AssumedRole = AssumedRole("arn", source=kept)
removed: int = FileCache().purge()
name: str | None = recipe.identity

clock = ManualClock(datetime.now(UTC))
fake = FakeSTS(roles={"arn": Trust("*", subjects=["me"], mfa=True), "other": None}, others=None, clock=clock)
fake.roles["arn"] = None
fake.next(Throttle(), None, Refuse("AccessDenied", status=403))
fake.always(ClockOff(timedelta(minutes=20)))
with fake.serve() as url:
    served: str = url
faked: Credentials = assume("arn", source=Static(fake.user()), sts=fake)
asked: list[Call] = fake.calls
response: str = IdentityProvider(clock=clock).saml_response(roles=["arn", ("arn", "arn")], duration=900, flaw="expired")
check_source(lambda: SAMLFile("file"), broken=[lambda: OIDCTokenFile("file")], pickles=True)
check_sink(lambda: CredentialsFile("name"), look=lambda: b"", persistent=True)
check_cache(FileCache, processes=True)
