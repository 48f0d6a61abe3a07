"""Several processes with one cache folder, a moving clock, broken entries and purges.

No person gets another person's credentials, and no call is made that an entry makes unnecessary.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from helpers import START, credentials
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stskit import Cached, Credentials, RefreshPolicy
from stskit.cache_key import digest
from stskit.caches import FileCache
from stskit.testing import ManualClock

PEOPLE, PROCESSES = ["alice", "bob"], [0, 1, 2]
WINDOW = timedelta(minutes=15)  # before the expiry after an hour; in this window a reader makes a new call


class Person:
    """A source of one person's credentials that records its calls."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        self.identity, self.clock, self.issued = name, clock, list[Credentials]()

    def fetch(self) -> Credentials:
        self.issued.append(credentials(self.clock, hours=1))
        return self.issued[-1]


class SharedFolder(RuleBasedStateMachine):
    """A model of the credentials of each process and of the content of each file."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(START)
        self.folder = Path(tempfile.mkdtemp()) / "cache"
        self.people = {name: Person(name, self.clock) for name in PEOPLE}
        self.held: dict[tuple[int, str], Credentials] = {}
        self.kept: dict[str, Credentials] = {}
        self.processes = {(number, name): self.start(name) for number in PROCESSES for name in PEOPLE}

    def start(self, name: str) -> Cached:
        return Cached(self.people[name], FileCache(self.folder), RefreshPolicy(jitter=0), clock=self.clock)

    def file(self, name: str) -> Path:
        return self.folder / f"{sha256(digest('entry', name).encode()).hexdigest()}.json"

    def is_fresh(self, keys: Credentials | None) -> bool:
        left = keys.expires_in(now=self.clock.now()) if keys else None
        return left is not None and left > WINDOW

    @rule(number=st.sampled_from(PROCESSES), name=st.sampled_from(PEOPLE))
    def read(self, number: int, name: str) -> None:
        """Read in one process: it uses its own credentials, else the entry in the folder, else a new call."""
        person, place = self.people[name], (number, name)
        calls = len(person.issued)
        got = self.processes[place].fetch()
        assert got in person.issued
        assert not got.is_expired(now=self.clock.now())
        if self.is_fresh(self.held.get(place)):
            assert (got, len(person.issued)) == (self.held[place], calls)
        elif self.is_fresh(self.kept.get(name)):
            assert (got, len(person.issued)) == (self.kept[name], calls)
        else:
            assert len(person.issued) == calls + 1
            self.kept[name] = got
        self.held[place] = got

    @rule(minutes=st.sampled_from([1, 14, 44, 46, 61]))
    def wait(self, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes))

    @rule(number=st.sampled_from(PROCESSES), name=st.sampled_from(PEOPLE))
    def restart(self, number: int, name: str) -> None:
        self.processes[number, name] = self.start(name)
        self.held.pop((number, name), None)

    @precondition(lambda self: self.kept)
    @rule(data=st.data(), how=st.sampled_from(["cut", "garbage", "empty", "gone", "readable"]))
    def break_an_entry(self, data: st.DataObject, how: str) -> None:
        """Break an entry in some way, which makes it a miss."""
        name = data.draw(st.sampled_from(sorted(self.kept)))
        file = self.file(name)
        content = file.read_bytes()
        match how:
            case "cut":
                file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
            case "garbage":
                file.write_bytes(data.draw(st.binary(max_size=50)))
            case "empty":
                file.write_bytes(b"")
            case "gone":
                file.unlink()
            case _:
                file.chmod(0o644)
        del self.kept[name]

    @precondition(lambda self: len(self.kept) == 2)
    @rule(source=st.sampled_from(PEOPLE))
    def put_one_entry_in_the_place_of_the_other(self, source: str) -> None:
        """Copy one entry over another, which is then a miss because the key in it differs."""
        other = next(name for name in PEOPLE if name != source)
        shutil.copy(self.file(source), self.file(other))
        del self.kept[other]

    @rule()
    def purge(self) -> None:
        FileCache(self.folder).purge()
        self.kept.clear()

    @rule(number=st.sampled_from(PROCESSES), name=st.sampled_from(PEOPLE))
    def purge_while_a_lock_is_held(self, number: int, name: str) -> None:
        """A purge does not remove a held lock."""
        key = digest("entry", name)
        with FileCache(self.folder).exclusive(key, wait=False) as alone:
            assert alone
            self.purge()
            with FileCache(self.folder).exclusive(key, wait=False) as second:
                assert not second

    @invariant()
    def nothing_is_left_behind(self) -> None:
        """Check that each file is an entry or the record of the last clean-up."""
        if self.folder.exists():
            assert all(path.suffix == ".json" or path.name == ".swept" for path in self.folder.iterdir())

    def teardown(self) -> None:
        shutil.rmtree(self.folder.parent)


TestSharedFolder = SharedFolder.TestCase
TestSharedFolder.settings = settings(max_examples=40, stateful_step_count=30)
