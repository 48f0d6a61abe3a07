"""The conformance checks: stskit's own parts pass them, and each catches a part that is broken in its way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from stskit import AssumedRole, Cached, Credentials, WebIdentityToken
from stskit.caches import FileCache, MemoryCache
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, SinkError, SourceMissing, without_frames
from stskit.proofs import Proof
from stskit.protocols import CacheEntry, Sink, Source
from stskit.sinks import CredentialProcess, CredentialsFile, DotEnv, Environment, ShellExports
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, SessionToken, Static
from stskit.testing import FakeSTS, IdentityProvider, check_cache, check_sink, check_source, checks

ROLE = "arn:aws:iam::123456789012:role/Deploy"
IDP = IdentityProvider()


def keys(**life: float) -> Credentials:
    """Return new keys."""
    end = datetime.now(UTC) + timedelta(**life or {"hours": 1})
    return FakeSTS().user(
        "u", Credentials(f"ASIA{next(NUMBERS):016}", Secret("the-canary-key"), Secret("a-canary-token"), end)
    )


NUMBERS = count(1)


# Sources ----------------------------------------------------------------------------------------------------------


def test_saml_file_passes_check_source(tmp_path: Path) -> None:
    """SAMLFile passes check_source: it returns a new response, and raises SourceError for a damaged one."""
    file, broken = tmp_path / "samlresponse.log", tmp_path / "broken"

    def renew() -> None:
        file.write_text(IDP.saml_response(roles=[ROLE]))

    renew()
    broken.write_text("canary-text")
    missing = SAMLFile(tmp_path / "missing")
    check_source(
        lambda: SAMLFile(file),
        renew=renew,
        broken=[lambda: missing, lambda: SAMLFile(broken)],
        secrets=["canary"],
        pickles=True,
    )


def test_oidc_token_file_passes_check_source(tmp_path: Path) -> None:
    """OIDCTokenFile passes check_source."""
    file, old = tmp_path / "token", tmp_path / "old"
    file.touch(0o600)
    file.write_text(IDP.oidc_token())
    old.write_text(IDP.oidc_token(flaw="expired"))
    check_source(
        lambda: OIDCTokenFile(file),
        renew=lambda: file.write_text(IDP.oidc_token(subject="bob")),
        broken=[lambda: OIDCTokenFile(tmp_path / "missing"), lambda: OIDCTokenFile(old)],
        secrets=[old.read_text()],
        pickles=True,
    )


def test_profile_passes_check_source(file: Path) -> None:
    """Profile passes check_source."""
    keys().to(CredentialsFile("p"))
    check_source(
        lambda: Profile("p"), renew=lambda: keys().to(CredentialsFile("p")), broken=[lambda: Profile("q")], pickles=True
    )


def test_other_sources_pass_check_source() -> None:
    """Sources that wrap other sources, and Static, pass check_source."""
    sts = FakeSTS()
    user = Static(sts.user())
    for source in (
        user,
        Static(WebIdentityToken(IDP.oidc_token())),
        SessionToken(user, sts=sts),
        AssumedRole(ROLE, source=user, sts=sts),
        Cached(AssumedRole(ROLE, source=user, sts=sts)),
    ):
        check_source(lambda source=source: source)  # type: ignore[misc]


@define
class Broken:
    """A source with a given fault."""

    give: Callable[[], Any] = keys
    secret: str = ""
    identity: object = field(default=None, repr=False)

    def fetch(self) -> Any:
        return self.give()


class Once:
    """A source that works in one thread only."""

    def __init__(self, second: object = None) -> None:
        self.owner, self.second = threading.get_ident(), second

    def fetch(self) -> Any:
        if threading.get_ident() == self.owner:
            return keys()
        if self.second is None:
            raise RuntimeError
        return self.second


class Wandering:
    """A source whose identity changes at each read."""

    @property
    def identity(self) -> str:
        return f"{next(NUMBERS)}"

    def fetch(self) -> Credentials:
        return keys()


class Unpicklable:
    """A source with a lock, which cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def fetch(self) -> Credentials:
        return keys()


def failing(error: Exception, cause: Exception | None = None) -> Callable[[], Source[Proof]]:
    def give() -> Credentials:
        raise error from cause

    return lambda: Broken(give)


def failing_over(text: str) -> Source[Proof]:
    """Raise an error whose context contains another one."""

    def give() -> Credentials:
        try:
            raise ValueError(text)
        except ValueError:
            raise SourceMissing("no") from None

    return Broken(give)


class Careless:
    """A source whose frames contain the secret as plain text."""

    def fetch(self) -> Credentials:
        text = "my-" + "canary"
        if text:
            raise ProofInvalid("this is no proof")
        return keys()


class Careful(Careless):
    """The same source with without_frames."""

    fetch = without_frames(Careless.fetch)


BAD_SOURCES: dict[str, tuple[Callable[[], Source[Proof]], dict[str, Any], str]] = {
    "no proof": (lambda: Broken(lambda: "text"), {}, r"Broken\.fetch\(\) returned str\. Return a SAMLAssertion"),
    "expired": (lambda: Broken(lambda: keys(hours=-1)), {}, "returned expired credentials"),
    "threads": (Once, {}, r"Once\.fetch\(\) raised RuntimeError in one of several threads"),
    "threads, and gives": (lambda: Once("text"), {}, "returned str in one of several threads"),
    "repr": (lambda: Broken(secret="the-canary-key"), {}, "The repr of Broken shows a secret"),
    "identity tells": (lambda: Broken(identity="of the-canary-key"), {}, "identity contains a secret"),
    "identity is int. It must be text or None": (
        lambda: Broken(identity=3),
        {},
        "identity is int. It must be text or None",
    ),
    "identity changes": (Wandering, {}, "identity changed between two reads"),
    "pickle": (Unpicklable, {"pickles": True}, r"Unpicklable cannot be pickled \(TypeError\)"),
    "keeps": (lambda: Static(keys()), {"renew": lambda: None}, "returned the old proof although there is a new one"),
    "other error": (Broken, {"broken": [failing(KeyError())]}, "raised KeyError without a proof"),
    "no error": (Broken, {"broken": [Broken]}, "returned a value without a proof"),
    "error tells": (
        Broken,
        {"broken": [failing(ProofInvalid("the-canary-key is wrong"))]},
        r"The error of Broken\.fetch\(\) shows a secret",
    ),
    "cause tells": (
        Broken,
        {"broken": [failing(SourceMissing("no"), ValueError("my-canary"))], "secrets": ["my-canary"]},
        "shows a secret, in its text or its context",
    ),
    "traceback tells": (
        Broken,
        {"broken": [Careless], "secrets": ["my-canary"]},
        r"A traceback with local variables shows a secret of Careless in fetch\(\)\. Convert it to a Secret at once",
    ),
    "context tells": (
        Broken,
        {"broken": [lambda: failing_over("my-canary")], "secrets": ["my-canary"]},
        "shows a secret, in its text or its context",
    ),
}


def test_a_source_without_frames_passes() -> None:
    """A source with without_frames passes check_source."""
    check_source(Broken, broken=[Careful], secrets=["my-canary"])


@pytest.mark.case("P22")
@pytest.mark.parametrize("name", BAD_SOURCES)
def test_a_faulty_source_is_reported(name: str) -> None:
    """check_source reports a faulty source in one sentence."""
    make, options, sentence = BAD_SOURCES[name]
    with pytest.raises(AssertionError, match=sentence):
        check_source(make, **options)


# Sinks ------------------------------------------------------------------------------------------------------------


def test_the_sinks_for_files_pass_check_sink(tmp_path: Path) -> None:
    """The sinks that write files pass check_sink."""
    file, env = tmp_path / "credentials", tmp_path / "secrets.env"
    blocked = tmp_path / "blocked"
    blocked.mkdir(0o700)
    blocked.joinpath("file").touch()
    inside = blocked / "file" / "credentials"
    check_sink(
        lambda: CredentialsFile("p", file),
        look=file.read_bytes,
        broken=[lambda: CredentialsFile("p", inside)],
        persistent=True,
    )
    check_sink(lambda: DotEnv(env), look=env.read_bytes, broken=[lambda: DotEnv(inside)], persistent=True)


@pytest.mark.parametrize(
    "sink", [Environment(), ShellExports(), CredentialProcess()], ids=lambda sink: type(sink).__name__
)
def test_the_sinks_that_return_a_value_pass_check_sink(sink: Sink[object]) -> None:
    """The sinks that return a value pass check_sink."""
    check_sink(lambda: sink)


@define
class Place:
    """A place that the sinks of a test write to."""

    text: str = ""


@frozen
class Odd:
    """A sink with a given fault."""

    place: Place
    write_to: Callable[[Place, Credentials], object]
    kept: list[str] = field(factory=list)

    def write(self, credentials: Credentials, /) -> object:
        return self.write_to(self.place, credentials)


def well(place: Place, credentials: Credentials) -> None:
    place.text = credentials.access_key_id


def nothing(_place: Place, _credentials: Credentials) -> None:
    """Deliver nothing."""


def fails(_place: Place, _credentials: Credentials) -> None:
    raise OSError


def refuses(place: Place, _credentials: Credentials) -> None:
    raise SinkError("no")


def refuses_late(place: Place, credentials: Credentials) -> None:
    well(place, credentials)
    raise SinkError("no")


def refuses_aloud(_place: Place, credentials: Credentials) -> None:
    raise SinkError(f"cannot write {credentials.secret_access_key}")


def in_main_thread(place: Place, credentials: Credentials) -> None:
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError
    well(place, credentials)


def mixes(place: Place, credentials: Credentials) -> None:
    alone = threading.current_thread() is threading.main_thread()
    place.text = credentials.access_key_id if alone else "half"


class Telling:
    """A sink whose repr shows the credentials."""

    def __init__(self) -> None:
        self.last = ""

    def __repr__(self) -> str:
        return f"Telling({self.last})"

    def write(self, credentials: Credentials, /) -> None:
        self.last = str(credentials.secret_access_key)


BAD_SINKS: dict[str, tuple[Callable[[Place, Credentials], object], dict[str, Any], str]] = {
    "fails": (fails, {}, r"Odd\.write\(\) raised OSError for valid credentials"),
    "delivers nothing": (nothing, {}, "delivered the same content for different credentials"),
    "one thread": (in_main_thread, {}, "raised RuntimeError in one of several threads"),
    "mixes": (mixes, {}, "mixed two credentials"),
    "expired": (well, {"persistent": True}, "raised nothing for expired credentials. Raise SinkError"),
    "error": (well, {"broken": [fails]}, "raised OSError when it cannot deliver. Raise SinkError"),
    "no error": (well, {"broken": [nothing]}, "raised nothing when it cannot deliver. Raise SinkError"),
    "changes": (well, {"broken": [refuses_late]}, "changed the content when it cannot deliver"),
    "tells": (well, {"broken": [refuses_aloud]}, "shows a secret, in its text or its context"),
}


@pytest.mark.parametrize("name", BAD_SINKS)
def test_a_faulty_sink_is_reported(name: str) -> None:
    """check_sink reports a faulty sink in one sentence."""
    write, options, sentence = BAD_SINKS[name]
    place = Place()
    broken = [lambda each=each: Odd(place, each) for each in options.pop("broken", ())]
    with pytest.raises(AssertionError, match=sentence):
        check_sink(lambda: Odd(place, write), look=lambda: place.text, broken=broken, **options)


def test_a_sink_whose_repr_shows_credentials_is_reported() -> None:
    """check_sink reports a sink whose repr shows the credentials."""
    with pytest.raises(AssertionError, match="The repr of Telling shows a secret"):
        check_sink(Telling)


def test_a_sink_that_refuses_correctly_passes() -> None:
    """A sink that refuses correctly passes check_sink."""
    place = Place()
    check_sink(lambda: Odd(place, well), look=lambda: place.text, broken=[lambda: Odd(place, refuses)])


# Caches -----------------------------------------------------------------------------------------------------------


def test_memory_cache_passes_check_cache() -> None:
    """MemoryCache passes check_cache."""
    check_cache(MemoryCache)


def test_file_cache_passes_check_cache(tmp_path: Path) -> None:
    """FileCache passes check_cache with several processes and damaged files."""
    folder = tmp_path / "cache"

    def spoil() -> None:
        for file in folder.glob("*.json"):
            file.write_bytes(file.read_bytes()[:-1])

    check_cache(lambda: FileCache(folder), spoil=spoil, processes=True)


class Drawer:
    """A correct cache. Its subclasses have one fault each."""

    def __init__(self) -> None:
        self.entries: dict[str, CacheEntry] = {}
        self.locks: dict[str, threading.Lock] = {}
        self.guard = threading.Lock()

    def get(self, key: str, /) -> CacheEntry | None:
        return self.entries.get(key)

    def put(self, key: str, entry: CacheEntry, /) -> None:
        self.entries[key] = entry

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        with self.guard:
            lock = self.locks.setdefault(key, threading.Lock())
        alone = lock.acquire(blocking=wait)
        try:
            yield alone
        finally:
            if alone:
                lock.release()


class Never(Drawer):
    def get(self, key: str, /) -> CacheEntry | None:
        return CacheEntry(keys(), datetime.now(UTC))


class First(Drawer):
    def put(self, key: str, entry: CacheEntry, /) -> None:
        self.entries.setdefault(key, entry)


class Folding(Drawer):
    def get(self, key: str, /) -> CacheEntry | None:
        return self.entries.get(key.lower())

    def put(self, key: str, entry: CacheEntry, /) -> None:
        self.entries[key.lower()] = entry


class Showing(Drawer):
    def __repr__(self) -> str:
        return "".join(str(entry.credentials.secret_access_key) for entry in self.entries.values())


class Closed(Drawer):
    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        yield False


class Open(Drawer):
    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        yield True


class OneLock(Drawer):
    def exclusive(self, key: str, /, *, wait: bool) -> Any:
        return super().exclusive("one", wait=wait)


class Losing(Drawer):
    def put(self, key: str, entry: CacheEntry, /) -> None:
        if not any(lock.locked() for lock in self.locks.values()):
            super().put(key, entry)
        else:
            self.entries.pop(key, None)


class Sticky(Drawer):
    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        lock = self.locks.setdefault(key, threading.Lock())
        alone = lock.acquire(blocking=False)
        yield alone
        if alone:
            lock.release()


class Swallowing(Drawer):
    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        with super().exclusive(key, wait=wait) as alone, suppress(KeyError):
            yield alone


class Impatient(Drawer):
    """A cache that does not wait. Its threads come one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.entered, self.turn = threading.Lock(), threading.Event(), threading.Lock()

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        others = key == "crowd" and not self.first.acquire(blocking=False)
        if others:
            self.entered.wait()
        with self.turn if others else nullcontext(), super().exclusive(key, wait=False) as alone:
            if key == "crowd":
                self.entered.set()
            yield alone


class Raising(Drawer):
    def exclusive(self, key: str, /, *, wait: bool) -> Any:
        if key == "crowd":
            raise RuntimeError
        return super().exclusive(key, wait=wait)


class Crowded(Drawer):
    """A cache that lets all waiting threads into the block."""

    def __init__(self) -> None:
        super().__init__()
        self.barrier = threading.Barrier(8)

    def put(self, key: str, entry: CacheEntry, /) -> None:
        if key == "crowd":
            self.barrier.wait(10)
        super().put(key, entry)

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        if key == "crowd":
            yield True
        else:
            with super().exclusive(key, wait=wait) as alone:
                yield alone


class Strict(Drawer):
    def get(self, key: str, /) -> CacheEntry | None:
        if "spoilt" in self.entries:
            raise ValueError
        return super().get(key)


class Stubborn(Drawer):
    def put(self, key: str, entry: CacheEntry, /) -> None:
        if "spoilt" not in self.entries:
            super().put(key, entry)

    def get(self, key: str, /) -> CacheEntry | None:
        return None if "spoilt" in self.entries else super().get(key)


BAD_CACHES: dict[type[Drawer], str] = {
    Never: "returned a value for a key without an entry",
    First: r"get\(\) did not return the latest entry of the key 'a'",
    Folding: "treats the key 'a' and another key as the same",
    Showing: "The repr of Showing shows a secret",
    Closed: "yielded False although no other caller is in the block",
    Open: "let a second thread into the block",
    OneLock: "blocks another key",
    Losing: r"put\(\) does not work inside the block",
    Sticky: "stays locked after an error",
    Swallowing: "suppressed an error of the block",
    Raising: "raised RuntimeError in one of several threads",
    Crowded: "let 8 of 8 threads into the block at the same time",
}


@pytest.mark.parametrize("kind", BAD_CACHES, ids=lambda kind: kind.__name__)
def test_a_faulty_cache_is_reported(kind: type[Drawer]) -> None:
    """check_cache reports a faulty cache in one sentence."""
    with pytest.raises(AssertionError, match=BAD_CACHES[kind]):
        check_cache(kind)


def test_a_cache_that_does_not_wait_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """check_cache reports a cache that does not wait, on any machine."""
    monkeypatch.setattr(checks, "_SOON", 60)
    with pytest.raises(AssertionError, match="did not wait for a block that is soon free"):
        check_cache(Impatient)


class Waiting(Drawer):
    """A cache that always waits, also with wait=False."""

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        lock = self.locks.setdefault(key, threading.Lock())
        alone = lock.acquire(timeout=15)
        try:
            yield alone
        finally:
            if alone:
                lock.release()


def test_a_cache_that_waits_with_wait_false_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """check_cache reports a cache that waits with wait=False, without waiting for its time limit."""
    monkeypatch.setattr(checks, "_AT_ONCE", 0.05)
    with pytest.raises(AssertionError, match=r"Waiting\.exclusive\(wait=False\) waited or failed"):
        check_cache(Waiting)


def test_a_correct_cache_passes() -> None:
    """A correct cache passes check_cache."""
    check_cache(Drawer)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Drawer, r"Drawer\.get\(\) returned a damaged entry"),
        (Strict, r"get\(\) raised ValueError for a damaged entry\. Return None"),
        (Stubborn, r"put\(\) did not replace a damaged entry"),
    ],
)
def test_a_cache_that_fails_with_a_damaged_entry_is_reported(kind: type[Drawer], sentence: str) -> None:
    """check_cache reports a cache that fails with a damaged entry."""
    cache = kind()
    with pytest.raises(AssertionError, match=sentence):
        check_cache(lambda: cache, spoil=lambda: cache.entries.update(spoilt=CacheEntry(keys(), datetime.now(UTC))))


def test_a_cache_for_one_process_is_reported() -> None:
    """check_cache reports a cache that does not work with several processes."""
    with pytest.raises(AssertionError, match=r"Drawer cannot be pickled \(TypeError\)"):
        check_cache(Drawer, processes=True)
    with pytest.raises(AssertionError, match="let another process into the block"):
        check_cache(MemoryCache, processes=True)


def test_a_cache_that_fails_in_another_process_is_reported(tmp_path: Path) -> None:
    """check_cache reports a cache that fails in another process, without the output of that process."""
    with pytest.raises(AssertionError, match="Homebound does not work in another process"):
        check_cache(Homebound, processes=True)


class Homebound(Drawer):
    """A cache that can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return exit_at_once, ()


def exit_at_once() -> None:
    raise SystemExit(1)
