"""All combinations of a proof, a cache, and an event between two calls.

Each test checks the exact number of STS calls and the person whose credentials are returned.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import count, product
from pathlib import Path

import pytest
from attrs import define, field
from forking import in_child
from helpers import START

from stskit import MFA, AssumedRole, Cached, Credentials, Role, SAMLAssertion, assume_all
from stskit.caches import FileCache, MemoryCache
from stskit.errors import RoleError, StskitError
from stskit.proofs import Proof
from stskit.protocols import Cache, Source
from stskit.sources import OIDCTokenFile, Profile, SAMLFile
from stskit.sts import retry
from stskit.testing import Drop, FakeSTS, Fault, ManualClock, Refuse, Throttle

HUB, TARGET = "arn:aws:iam::123456789012:role/Hub", "arn:aws:iam::210987654321:role/Target"
DEVICE = "arn:aws:iam::123456789012:mfa/phone"
KINDS = ("chain", "saml", "oidc", "profile")
CACHES = ("no cache", "memory", "file")
CODES = count(100_000)  # STS accepts each code of a device once.


class Ledger:
    """A `FakeSTS` that records the person behind each set of credentials."""

    def __init__(self, clock: ManualClock) -> None:
        self.sts = FakeSTS(clock=clock)
        self.identity = self.sts.identity
        self.persons: dict[str, str] = {}
        self.before_call: Callable[[Role], None] = lambda _role: None

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        self.before_call(role)
        new = self.sts.exchange(proof, role)
        self.persons[new.access_key_id] = self.person(proof)
        return new

    def person(self, proof: Proof) -> str:
        if isinstance(proof, Credentials):
            return self.persons[proof.access_key_id]
        return str(proof.subject if isinstance(proof, SAMLAssertion) else proof.claims["sub"])


@define
class World:
    """One combination: a way to the role, a cache, and the proof files of the person who signed in last."""

    kind: str
    kept_in: str
    folder: Path
    clock: ManualClock = field(factory=lambda: ManualClock(START))
    ledger: Ledger = field(init=False)
    memory: MemoryCache = field(factory=MemoryCache)
    keys: dict[str, Credentials] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.ledger = Ledger(self.clock)
        self.sign_in("alice")

    @property
    def hops(self) -> int:
        """The number of calls for one session."""
        return 2 if self.kind == "chain" else 1

    @property
    def shares(self) -> bool:
        """Whether a second session finds the credentials of the first."""
        return self.kept_in != "no cache"

    @property
    def calls(self) -> int:
        return self.ledger.sts.count()

    def sign_in(self, person: str) -> None:
        """Overwrite the proof file with that of this person, at the current time."""
        sts = self.ledger.sts
        if person not in self.keys:
            self.keys[person] = keys = sts.user(person)
            self.ledger.persons[keys.access_key_id] = person
        keys = self.keys[person]
        profile = (
            f"[base]\naws_access_key_id = {keys.access_key_id}\naws_secret_access_key = {keys.secret_access_key:s}\n"
        )
        for name, text in (
            ("saml.b64", sts.idp.saml_response(roles=[TARGET], subject=person, session_name=person)),
            ("token", sts.idp.oidc_token(subject=person)),
            (".aws/credentials", profile),
        ):
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o600)

    def root(self) -> Source[Proof]:
        match self.kind:
            case "saml":
                return SAMLFile(self.folder / "saml.b64", clock=self.clock)
            case "oidc":
                return OIDCTokenFile(self.folder / "token", clock=self.clock)
        return Profile("base")

    def recipe(self, mfa: MFA | None = None, wait: timedelta = timedelta(0)) -> AssumedRole:
        first = Role(HUB, mfa=mfa) if self.kind == "chain" else Role(TARGET, mfa=mfa)
        then = [TARGET] if self.kind == "chain" else []
        return AssumedRole.through(first, *then, source=self.root(), sts=self.ledger, wait_for_new_role=wait)

    def cache(self) -> Cache | None:
        return {"no cache": None, "memory": self.memory, "file": FileCache(self.folder / "kept")}[self.kept_in]

    def session(self, mfa: MFA | None = None, wait: timedelta = timedelta(0)) -> Cached:
        """Return a new session, as a new program would create it."""
        return Cached(self.recipe(mfa, wait), self.cache(), clock=self.clock)

    def person(self, credentials: Credentials) -> str:
        return self.ledger.persons[credentials.access_key_id]


@pytest.fixture(params=product(KINDS, CACHES), ids=" with ".join)
def world(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    kind, kept_in = request.param
    made = World(kind, kept_in, home)

    def sleep(seconds: float) -> None:
        made.clock.advance(timedelta(seconds=seconds))

    monkeypatch.setattr(retry, "sleep", sleep)
    monkeypatch.setattr(retry, "monotonic", made.clock.monotonic)
    return made


def passing(kind: str) -> Fault:
    """Return a temporary refusal of the last role for this kind of proof."""
    if kind in ("saml", "oidc"):
        return Refuse("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
    return Refuse("AccessDenied", "User is not authorized to perform: sts:AssumeRole", 403)


def test_a_temporary_error_costs_one_more_call(world: World) -> None:
    """After a temporary refusal, only the refused call is repeated, also in a chain, and the next session uses the
    cache.
    """
    wait = timedelta(seconds=0 if world.kind in ("saml", "oidc") else 20)
    world.ledger.sts.next(*[None] * (world.hops - 1), passing(world.kind))
    assert world.person(world.session(wait=wait).fetch()) == "alice"
    assert world.calls == world.hops + 1
    assert world.person(world.session(wait=wait).fetch()) == "alice"
    assert world.calls == world.hops + 1 + (0 if world.shares else world.hops)


def test_after_a_throttled_call_the_next_caller_tries_immediately(world: World) -> None:
    """A throttled call fails for its caller only; the next caller makes a call immediately."""
    session = world.session()
    world.ledger.sts.next(Throttle())
    with pytest.raises(StskitError):
        session.fetch()
    assert world.calls == 1
    assert world.person(session.fetch()) == world.person(session.fetch()) == "alice"
    assert world.calls == 1 + world.hops


def test_an_outage_costs_one_call_for_each_role(world: World) -> None:
    """During an outage, valid credentials are used. Each role is tried once, and again after the pause."""
    session = world.session()
    first = session.fetch()
    world.clock.advance(timedelta(minutes=50))
    world.sign_in("alice")
    world.ledger.sts.always(Drop())
    assert [session.fetch() for _ in range(5)] == [first] * 5
    assert world.calls == 2 * world.hops
    world.ledger.sts.always(None)
    world.clock.advance(timedelta(minutes=5, seconds=1))
    world.sign_in("alice")
    assert world.person(second := session.fetch()) == "alice"
    assert second != first
    assert world.calls == 3 * world.hops


def test_a_stopped_iteration_makes_no_new_call(world: World) -> None:
    """If the caller stops the iteration during the second call, the other eight calls are not made."""
    source: Source[Proof] = world.root()
    if world.kind == "chain":
        source = Cached(AssumedRole(HUB, source=source, sts=world.ledger), world.cache(), clock=world.clock)
    under_way, stopped, targets = threading.Event(), threading.Event(), count(1)

    def wait(role: Role) -> None:
        if role.arn != HUB and next(targets) == 2:
            under_way.set()
            assert stopped.wait(10)

    world.ledger.before_call = wait
    names = [TARGET, *(f"{TARGET}{number}" for number in range(9))]
    if world.kind == "saml":
        text = world.ledger.sts.idp.saml_response(roles=names, subject="alice", session_name="alice")
        (world.folder / "saml.b64").write_text(text)
    before = threading.active_count()
    outcomes = assume_all(names, source=source, sts=world.ledger, workers=1)
    first = next(outcomes)
    assert under_way.wait(10)
    outcomes.close()  # type: ignore[attr-defined]
    stopped.set()
    for thread in threading.enumerate():
        if thread.name == "stskit-fleet":
            thread.join(10)
    assert threading.active_count() == before
    assert first.credentials is not None
    assert world.person(first.credentials) == "alice"
    assert world.calls == world.hops + 1


def test_a_forked_child_uses_the_held_credentials(world: World) -> None:
    """A forked child uses the credentials of its parent without a call, and refreshes them with its own calls."""
    session = world.session()
    first = session.fetch()

    def work() -> object:
        same = session.fetch() == first
        before = world.calls
        world.clock.advance(timedelta(minutes=61))
        world.sign_in("alice")
        return before, same, world.person(session.fetch()), world.calls

    hops = world.hops
    assert in_child(work) == str((hops, True, "alice", 2 * hops))
    assert session.fetch() == first
    assert world.calls == hops


def test_after_an_interrupted_call_the_next_caller_gets_credentials(world: World) -> None:
    """After Ctrl-C in one caller, the next caller in another thread gets credentials immediately."""
    session = world.session()

    def interrupt(role: Role) -> None:
        if role.arn == TARGET:
            raise KeyboardInterrupt

    world.ledger.before_call = interrupt
    with pytest.raises(KeyboardInterrupt):
        session.fetch()
    world.ledger.before_call = lambda _role: None
    found: list[Credentials] = []
    thread = threading.Thread(target=lambda: found.append(session.fetch()), daemon=True)
    thread.start()
    thread.join(10)
    assert [world.person(each) for each in found] == ["alice"]
    assert world.calls == world.hops  # The intermediate role was obtained before and is kept.


def test_shared_credentials_need_one_mfa_code(world: World) -> None:
    """With a cache, one MFA code serves several sessions. SAML and OIDC refuse MFA before any call."""
    asked: list[str] = []

    def ask(serial: str) -> str:
        asked.append(serial)
        return str(next(CODES))

    mfa = MFA(DEVICE, ask)
    if world.kind in ("saml", "oidc"):
        with pytest.raises(RoleError):
            world.session(mfa).fetch()
        assert world.calls == len(asked) == 0
        return
    assert [world.person(world.session(mfa).fetch()) for _ in range(3)] == ["alice"] * 3
    times = 1 if world.shares else 3
    assert world.calls == times * world.hops
    assert len(asked) == times


@pytest.mark.case("P27")
def test_another_person_never_gets_the_credentials_of_the_first(world: World) -> None:
    """If another person's proof replaces the file, the first person's credentials are not used, until the first proof
    is back.
    """
    paths = [world.folder / name for name in ("saml.b64", "token", ".aws/credentials")]
    proofs = [path.read_bytes() for path in paths]
    assert world.person(world.session().fetch()) == "alice"
    world.sign_in("bob")
    assert world.person(world.session().fetch()) == "bob"
    assert world.calls == 2 * world.hops
    for path, proof in zip(paths, proofs, strict=True):
        path.write_bytes(proof)
    assert world.person(world.session().fetch()) == "alice"
    assert world.calls == (2 if world.shares else 3) * world.hops


def test_a_running_session_uses_a_new_proof_at_its_next_refresh(world: World) -> None:
    """A session keeps its credentials until the next refresh, and then uses the proof of the person who signed in
    since.
    """
    session = world.session()
    assert world.person(session.fetch()) == "alice"
    world.clock.advance(timedelta(minutes=10))
    world.sign_in("bob")
    assert world.person(session.fetch()) == "alice"
    world.clock.advance(timedelta(minutes=55))
    world.sign_in("bob")
    assert world.person(session.fetch()) == "bob"
    assert world.calls == 2 * world.hops


def test_another_endpoint_never_gets_the_credentials_of_the_first(world: World) -> None:
    """With the same proof and role, another STS endpoint makes its own calls and returns its own credentials."""
    first = world.session().fetch()
    other = Ledger(world.clock)
    other.sts = FakeSTS(clock=world.clock, idp=world.ledger.sts.idp)
    other.identity = other.sts.identity
    for person, keys in world.keys.items():
        other.sts.user(person, keys)
        other.persons[keys.access_key_id] = person
    here, world.ledger = world.ledger, other
    second = world.session().fetch()
    assert second.access_key_id != first.access_key_id
    assert (here.sts.count(), other.sts.count()) == (world.hops, world.hops)
    assert world.person(second) == "alice"
