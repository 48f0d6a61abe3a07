"""The cache in files: one for each key, whole or not there, this user's alone; no fault costs anybody credentials."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from forking import in_child
from helpers import Down, ManualClock, ScriptedSource, credentials, lowest

from stskit import Cached, Credentials, RefreshPolicy, _cache_entry
from stskit.caches import FileCache
from stskit.errors import CacheWarning
from stskit.protocols import CacheEntry

KEY = "key"
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "cache")


@pytest.fixture
def entry(clock: ManualClock) -> CacheEntry:
    return CacheEntry(credentials(clock, hours=1), clock.now())


def file_of(cache: FileCache, kind: str = "json") -> Path:
    (found,) = Path(cache.folder).glob(f"*.{kind}")
    return found


def cached(source: ScriptedSource, cache: FileCache, clock: ManualClock) -> Cached:
    return Cached(source, cache, RefreshPolicy(jitter=0), KEY, clock, lowest)


def read_often(both: Cached, clock: ManualClock) -> None:
    """Three times, each after what came before has expired."""
    for _ in range(3):
        assert not both.fetch().is_expired(now=clock.now())
        clock.advance(minutes=15)


def names(cache: FileCache) -> list[str]:
    return sorted(path.suffix for path in Path(cache.folder).iterdir())


# What is kept ------------------------------------------------------------------------------------------------------


def test_what_was_put_is_there_for_another_process(cache: FileCache, entry: CacheEntry) -> None:
    """For another object on the same folder, to the microsecond; and nothing is there for another key."""
    assert cache.get(KEY) is None
    cache.put(KEY, entry)
    assert FileCache(cache.folder).get(KEY) == entry
    assert cache.get("other") is None


@pytest.mark.case("C2")
@pytest.mark.parametrize("key", ["../../x", "/etc/passwd", "a\0b", "", ".", "x" * 10_000, "ключ\n", "\ud800"])
def test_no_key_leads_out_of_the_folder(cache: FileCache, entry: CacheEntry, tmp_path: Path, key: str) -> None:
    """Whatever it is made of, the name of its file is hexadecimal."""
    cache.put(key, entry)
    assert cache.get(key) == entry
    assert all(c in "0123456789abcdef" for c in file_of(cache).stem)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.case("C3")
def test_an_entry_cut_short_at_any_byte_is_not_there(cache: FileCache, entry: CacheEntry) -> None:
    """Never an exception; and the next one that is put is read."""
    cache.put(KEY, entry)
    file = file_of(cache)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert cache.get(KEY) is None
    cache.put(KEY, entry)
    assert cache.get(KEY) == entry


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return apply


BAD: dict[str, Callable[[bytes], bytes]] = {
    "no JSON": lambda _: b"\xff\xfe{",
    "a list": lambda data: b"[" + data + b"]",
    "a number": lambda _: b"1",
    "deep": lambda _: b"[" * 100_000 + b"]" * 100_000,
    "deep inside": lambda data: data.replace(b'"version": 1', b'"version": ' + b"[" * 100_000 + b"]" * 100_000),
    "a key twice": lambda data: data.replace(b'{"version": 1', b'{"version": 1, "version": 1'),
    "NaN": changed(lambda document: document.update(version=float("nan"))),
    "infinite": changed(lambda document: document["credentials"].update(packed_policy_size=float("inf"))),
    "no version": changed(lambda document: document.pop("version")),
    "version as truth": changed(lambda document: document.update(version=True)),
    "an older version": changed(lambda document: document.update(version=0)),
    "no key": changed(lambda document: document.pop("key")),
    "another key": changed(lambda document: document.update(key="other")),
    "no since": changed(lambda document: document.pop("since")),
    "a since of no time": changed(lambda document: document.update(since="yesterday")),
    "a since without zone": changed(lambda document: document.update(since="2026-11-25T12:00:00")),
    "since as a number": changed(lambda document: document.update(since=1)),
    "no credentials": changed(lambda document: document.pop("credentials")),
    "credentials as text": changed(lambda document: document.update(credentials="AKIA")),
    "no secret": changed(lambda document: document["credentials"].update(secret_access_key=None)),
    "an empty secret": changed(lambda document: document["credentials"].update(secret_access_key="")),
    "an empty key id": changed(lambda document: document["credentials"].update(access_key_id="")),
    "key id as a number": changed(lambda document: document["credentials"].update(access_key_id=5)),
    "size as text": changed(lambda document: document["credentials"].update(packed_policy_size="5")),
    "one field less": changed(lambda document: document["credentials"].pop("issuer")),
    "one field more": changed(lambda document: document["credentials"].update(more="x")),
    "no expiration": changed(lambda document: document["credentials"].update(expiration=None)),
    "expires in the year 9999": changed(
        lambda document: document["credentials"].update(expiration="9999-01-01T00:00:00Z")
    ),
    "lives for more than 37 hours": changed(
        lambda document: document["credentials"].update(expiration="2026-11-27T01:00:00.000001Z")
    ),
}


@pytest.mark.case("C4", "C7")
@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_entry_is_not_there(cache: FileCache, entry: CacheEntry, bad: str) -> None:
    """Of whatever shape; and the next one that is put takes its place."""
    cache.put(KEY, entry)
    file = file_of(cache)
    file.write_bytes(BAD[bad](file.read_bytes()))
    assert cache.get(KEY) is None
    cache.put(KEY, entry)
    assert cache.get(KEY) == entry


@pytest.mark.case("C4")
def test_a_huge_file_is_not_read(cache: FileCache, entry: CacheEntry) -> None:
    """A hundred megabytes cost no more than the limit."""
    cache.put(KEY, entry)
    os.truncate(file_of(cache), 100_000_000)
    assert cache.get(KEY) is None
    cache.put(KEY, entry)
    assert cache.get(KEY) == entry


@pytest.mark.case("C5")
def test_an_entry_of_a_newer_version_is_left_alone(cache: FileCache, clock: ManualClock, entry: CacheEntry) -> None:
    """It is not read, and not overwritten: who made it needs it."""
    cache.put(KEY, entry)
    file = file_of(cache)
    file.write_bytes(newer := changed(lambda document: document.update(version=2, more="x"))(file.read_bytes()))
    assert cache.get(KEY) is None
    keys = credentials(clock, hours=1)
    assert cached(ScriptedSource(keys), cache, clock).fetch() is keys
    assert file.read_bytes() == newer


@pytest.mark.case("C6")
def test_the_entry_of_another_key_is_not_taken(cache: FileCache, entry: CacheEntry) -> None:
    """Though somebody has copied its file over: the key stands inside."""
    cache.put("other", entry)
    other = file_of(cache)
    cache.put(KEY, entry)
    (mine,) = set(Path(cache.folder).glob("*.json")) - {other}
    mine.write_bytes(other.read_bytes())
    assert cache.get(KEY) is None
    assert cache.get("other") == entry


@pytest.mark.case("C7")
@pytest.mark.parametrize(
    "moved",
    [timedelta(hours=1), timedelta(minutes=59, seconds=59), timedelta(days=-365), timedelta(days=365)],
    ids=["expired", "one second left", "a year back", "a year ahead"],
)
def test_an_entry_that_is_not_fresh_by_the_clock_is_fetched_anew(
    cache: FileCache, clock: ManualClock, entry: CacheEntry, moved: timedelta
) -> None:
    """Expired, about to, or written by a clock that was far ahead of this one."""
    cache.put(KEY, entry)
    clock.jump(seconds=moved.total_seconds())
    source = ScriptedSource(keys := credentials(clock, hours=1))
    assert cached(source, cache, clock).fetch() is keys
    assert source.calls == 1


# Whose files they are ----------------------------------------------------------------------------------------------


def not_a_folder(path: Path) -> None:
    path.write_text("mine")


def a_link(path: Path) -> None:
    (path.parent / "victim").mkdir(mode=0o700)
    path.symlink_to(path.parent / "victim")


def with_mode(mode: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        path.chmod(mode)

    return make


def somebody_elses(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, 65534, 65534)


REFUSED = [
    pytest.param(not_a_folder, id="a file"),
    pytest.param(a_link, id="a link"),
    pytest.param(with_mode(0o755), id="0755"),
    pytest.param(with_mode(0o777), id="0777"),
    pytest.param(with_mode(0o710), id="0710"),
    pytest.param(somebody_elses, id="somebody else's", marks=as_root),
]


@pytest.mark.case("C8")
@pytest.mark.parametrize("make", REFUSED)
def test_a_folder_that_is_not_ours_alone_is_not_used(
    tmp_path: Path, clock: ManualClock, make: Callable[[Path], None]
) -> None:
    """One warning, nothing is written there, and credentials come all the same."""
    make(folder := tmp_path / "cache")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    cache, source = FileCache(folder), ScriptedSource(lambda: credentials(clock, minutes=15))
    both = cached(source, cache, clock)
    with pytest.warns(CacheWarning, match="mode 0700") as told:
        read_often(both, clock)
    assert len(told) == 1
    assert cache.purge() == 0
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert source.calls == 3


def a_symlink(file: Path, victim: Path) -> None:
    file.symlink_to(victim)


def a_hard_link(file: Path, victim: Path) -> None:
    file.hardlink_to(victim)


def a_fifo(file: Path, _victim: Path) -> None:
    os.mkfifo(file, 0o600)


def readable(file: Path, victim: Path) -> None:
    file.write_bytes(victim.read_bytes())
    file.chmod(0o640)


def foreign(file: Path, victim: Path) -> None:
    file.write_bytes(victim.read_bytes())
    file.chmod(0o600)
    os.chown(file, 65534, 65534)


@pytest.mark.case("C9")
@pytest.mark.parametrize("make", [a_symlink, a_hard_link, a_fifo, readable, pytest.param(foreign, marks=as_root)])
def test_a_file_that_is_not_ours_alone_is_never_read(
    cache: FileCache, entry: CacheEntry, clock: ManualClock, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    """Though it is a good entry; it is replaced, and what it leads to is as it was."""
    cache.put(KEY, entry)
    file, victim = file_of(cache), tmp_path / "victim"
    file.rename(victim)
    make(file, victim)
    before = victim.read_bytes()
    assert cache.get(KEY) is None
    keys = credentials(clock, hours=1)
    assert cached(ScriptedSource(keys), cache, clock).fetch() is keys
    assert victim.read_bytes() == before
    assert cache.get(KEY) == CacheEntry(keys, clock.now())
    assert stat.S_IMODE(file.lstat().st_mode) == 0o600


@pytest.mark.case("C9")
def test_a_folder_in_the_place_of_a_file_is_told(cache: FileCache, entry: CacheEntry, clock: ManualClock) -> None:
    """It cannot be replaced; credentials come all the same."""
    cache.put(KEY, entry)
    file = file_of(cache)
    file.unlink()
    file.mkdir()
    keys = credentials(clock, hours=1)
    with pytest.warns(CacheWarning, match="cannot keep credentials"):
        assert cached(ScriptedSource(keys), cache, clock).fetch() is keys
    assert not list(Path(cache.folder).glob(".stskit*"))


@pytest.mark.case("C9")
def test_a_lock_that_is_a_link_is_not_followed(cache: FileCache, entry: CacheEntry, tmp_path: Path) -> None:
    """Its victim is not made."""
    with cache.exclusive(KEY, wait=True):
        pass
    lock = file_of(cache, "lock")
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")
    with pytest.warns(CacheWarning, match="cannot lock"), cache.exclusive(KEY, wait=True) as alone:
        assert alone
    assert not (tmp_path / "victim").exists()


@pytest.mark.case("C10")
@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, entry: CacheEntry, umask: int) -> None:
    """Files are 0600 and folders 0700, those above included."""
    cache = FileCache(tmp_path / "above" / "cache")
    before = os.umask(umask)
    try:
        with cache.exclusive(KEY, wait=True):
            cache.put(KEY, entry)
        assert cache.get(KEY) == entry
    finally:
        os.umask(before)
    modes = {path.name[-5:]: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "above").rglob("*")}
    assert modes == {"cache": 0o700, ".json": 0o600, ".lock": 0o600}
    assert stat.S_IMODE((tmp_path / "above").stat().st_mode) == 0o700


# Faults ------------------------------------------------------------------------------------------------------------


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, what: Callable[[], object]) -> None:
    """Have *what* happen at each call of that function of the system to write."""
    real = getattr(os, name)

    def call(*arguments: Any, **options: Any) -> Any:
        if name != "open" or arguments[1] & os.O_EXCL:
            what()
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)


@pytest.mark.case("C11")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("step", ["open", "write", "fchmod", "fsync", "rename"])
def test_a_fault_of_the_disk_costs_nobody_credentials(
    cache: FileCache, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    """One warning, though it happens each time; no temporary file is left, and nothing is half written."""

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    source = ScriptedSource(lambda: credentials(clock, minutes=15))
    both = cached(source, cache, clock)
    fail_at(monkeypatch, step, fail)
    with pytest.warns(CacheWarning, match=f"cannot keep credentials: {os.strerror(number)}") as told:
        read_often(both, clock)
    assert len(told) == 1
    assert source.calls == 3
    assert names(cache) == [".lock"]


@pytest.mark.case("C12")
@needs_fork
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["open", "write", "fchmod", "fsync", "rename"])
def test_a_kill_at_any_step_leaves_the_old_or_the_new(
    cache: FileCache, entry: CacheEntry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """Whole; and who comes next writes, and sweeps when an hour has gone by."""
    cache.put(KEY, entry)
    new = CacheEntry(credentials(clock, hours=1), clock.now())
    child = os.fork()
    if not child:
        real = getattr(os, step)

        def call(*arguments: Any, **options: Any) -> Any:
            if step == "open" and not arguments[1] & os.O_EXCL:
                return real(*arguments, **options)
            if when == "after":
                real(*arguments, **options)
            return os.kill(os.getpid(), signal.SIGKILL)

        setattr(os, step, call)
        cache.put(KEY, new)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert cache.get(KEY) == (new if (step, when) == ("rename", "after") else entry)
    for left in Path(cache.folder).glob(".stskit*"):
        os.utime(left, (time.time() - 3601,) * 2)
    cache.put(KEY, new)
    assert cache.get(KEY) == new
    assert names(cache) == [".json"]


@pytest.mark.case("C15")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_used_without(
    cache: FileCache, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """One warning; what is written is found all the same."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", fail)
    source = ScriptedSource(lambda: credentials(clock, minutes=15))
    with pytest.warns(CacheWarning, match="cannot lock, and so several processes may make the same call") as told:
        read_often(cached(source, cache, clock), clock)
    assert (len(told), source.calls) == (1, 3)
    assert FileCache(cache.folder).get(KEY)


@pytest.mark.case("C16")
def test_without_a_home_folder_there_is_no_cache(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is told, nothing is made in the working folder, and credentials come all the same."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    keys = credentials(clock, hours=1)
    with pytest.warns(CacheWarning, match="there is no home folder"):
        assert cached(ScriptedSource(keys), FileCache(), clock).fetch() is keys
    assert not Path("~").exists()


@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        (None, "home/.cache/stskit"),
        ("relative", "home/.cache/stskit"),
        ("", "home/.cache/stskit"),
        ("/x/y", "/x/y/stskit"),
    ],
)
def test_where_it_is_by_default(monkeypatch: pytest.MonkeyPatch, home: Path, variable: str | None, folder: str) -> None:
    """Where programs keep what can be made again, as the base directory specification of freedesktop.org says."""
    if variable is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", variable)
    assert FileCache().folder == folder.replace("home", str(home), 1)
    assert FileCache("~/x").folder == str(home / "x")


# Locks -------------------------------------------------------------------------------------------------------------


def test_one_is_inside_at_a_time(tmp_path: Path) -> None:
    """For each key; who shall not wait is told at once, and who waits in vain goes on with a warning."""
    cache = FileCache(tmp_path / "cache", lock_timeout=3600)
    with cache.exclusive(KEY, wait=True) as alone:
        assert alone
        with cache.exclusive(KEY, wait=False) as second:
            assert not second
        with cache.exclusive("other", wait=False) as other:
            assert other
        impatient = FileCache(cache.folder, lock_timeout=0)
        with (
            pytest.warns(CacheWarning, match="another process holds the lock"),
            impatient.exclusive(KEY, wait=True) as late,
        ):
            assert not late
    with cache.exclusive(KEY, wait=False) as again:
        assert again


def test_what_fails_inside_is_not_swallowed(cache: FileCache) -> None:
    """An error of the system too; and the lock is free afterwards."""
    for error in (OSError(errno.ENOSPC, "full"), TimeoutError(), Down()):
        with pytest.raises(type(error)), cache.exclusive(KEY, wait=True):
            raise error
        with cache.exclusive(KEY, wait=False) as alone:
            assert alone


# Order -------------------------------------------------------------------------------------------------------------


@pytest.mark.case("C17")
def test_purge_removes_what_is_ours_and_nothing_else(cache: FileCache, entry: CacheEntry) -> None:
    """Entries, locks and temporary files by their names; how many is told."""
    with cache.exclusive(KEY, wait=True):
        cache.put(KEY, entry)
    folder = Path(cache.folder)
    (folder / f".stskit-{'0' * 16}.tmp").touch()
    others = ["notes.json", "x.lock", "a" * 63 + ".json", "g" * 64 + ".json", "a" * 64 + ".json.bak", ".stskit-1.tmp"]
    for name in others:
        (folder / name).touch()
    assert cache.purge() == 3
    assert sorted(path.name for path in folder.iterdir()) == sorted(others)
    assert cache.purge() == 0


def test_there_is_nothing_to_purge_where_nothing_was_put(cache: FileCache) -> None:
    """And no folder is made for it."""
    assert cache.purge() == 0
    assert not Path(cache.folder).exists()


def test_what_is_dead_is_swept(cache: FileCache, entry: CacheEntry) -> None:
    """Temporary files of an hour ago and entries of two days ago, with the next write; younger ones stay."""
    for key in ("old", "young"):
        cache.put(key, entry)
    old, young = sorted(Path(cache.folder).glob("*.json"), key=lambda path: json.loads(path.read_bytes())["key"])
    stale, fresh = (Path(cache.folder) / f".stskit-{digit * 16}.tmp" for digit in "01")
    for path, age in ((old, 48 * 3600 + 1), (young, 48 * 3600 - 60), (stale, 3601), (fresh, 3540)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    cache.put("new", entry)
    left = set(Path(cache.folder).iterdir())
    assert {young, fresh} < left
    assert not {old, stale} & left


def test_its_repr_and_its_pickle_tell_where_it_is(cache: FileCache) -> None:
    """And nothing else."""
    assert repr(cache) == f"FileCache(folder='{cache.folder}', lock_timeout=15)"
    assert pickle.loads(pickle.dumps(cache)) == cache
    assert hash(cache) == hash(FileCache(cache.folder))


@needs_fork
def test_a_child_says_for_itself_what_is_wrong(cache: FileCache, tmp_path: Path) -> None:
    """The warning of a process is not the warning of another one."""
    Path(cache.folder).mkdir(mode=0o755)

    def child() -> int:
        with pytest.warns(CacheWarning) as told:
            cache.get(KEY)
        return len(told)

    assert in_child(child) == "1"


def test_the_bytes_are_what_the_documentation_says(entry: CacheEntry) -> None:
    """Version, key, since, and the credentials by their names: what another program could read."""
    document = json.loads(_cache_entry.to_bytes(KEY, entry))
    assert list(document) == ["version", "key", "since", "credentials"]
    assert document["credentials"]["access_key_id"] == entry.credentials.access_key_id
    assert isinstance(entry.credentials, Credentials)
