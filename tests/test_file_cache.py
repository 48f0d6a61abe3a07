"""The file cache with bad files and failing system calls: a miss or one warning, and valid credentials."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from helpers import PACKAGE, START, Down, ScriptedSource, credentials
from hypothesis import given
from hypothesis import strategies as st
from test_transient_locks import SteppingTime

from stskit import Cached, RefreshPolicy
from stskit.caches import FileCache
from stskit.errors import CacheWarning
from stskit.protocols import CacheEntry
from stskit.testing import ManualClock

KEY = "key"
NAME = sha256(KEY.encode()).hexdigest()
READS = 5  # Often enough to see that a warning is not repeated.
HOUR, DAY = 3600, 24 * 3600
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> FileCache:
    return FileCache(folder)


@pytest.fixture
def entry(clock: ManualClock) -> CacheEntry:
    return CacheEntry(credentials(clock, hours=1), clock.now())


@pytest.fixture
def file(cache: FileCache, entry: CacheEntry, folder: Path) -> Path:
    """Write an entry and return its path."""
    cache.put(KEY, entry)
    return folder / f"{NAME}.json"


@pytest.fixture
def set_umask() -> Iterator[Callable[[int], int]]:
    """Yield a function that sets the umask; restore the umask afterwards."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def file_of(folder: Path, key: str) -> Path:
    """Return the path of the entry of *key*."""
    return folder / f"{sha256(key.encode()).hexdigest()}.json"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def names(folder: Path) -> set[str]:
    """Return the names of all files except .swept, whose time is that of the last clean-up."""
    return {*os.listdir(folder)} - {".swept"}


def inside(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return the visible state of *folder* and of everything in it."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in (folder, *folder.rglob("*")):
        found = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
        seen[str(path)] = found.st_mode, found.st_uid, found.st_ino, found.st_mtime_ns, content
    return seen


class OneKey:
    """A cache that stores every entry under KEY, so that tests know the file."""

    def __init__(self, cache: FileCache) -> None:
        self.cache = cache

    def get(self, key: str, /) -> CacheEntry | None:
        return self.cache.get(KEY)

    def put(self, key: str, entry: CacheEntry, /) -> None:
        self.cache.put(KEY, entry)

    def exclusive(self, key: str, /, *, wait: bool) -> AbstractContextManager[bool]:
        return self.cache.exclusive(KEY, wait=wait)


def cached(source: ScriptedSource, cache: FileCache, clock: ManualClock) -> Cached:
    return Cached(source, OneKey(cache), RefreshPolicy(jitter=0), KEY, clock)


def fetched_anew(cache: FileCache, clock: ManualClock) -> CacheEntry:
    """Fetch through *cache*, check that this calls the source, and return the new entry."""
    source = ScriptedSource(keys := credentials(clock, hours=1))
    assert cached(source, cache, clock).fetch() is keys
    assert source.calls == 1
    return CacheEntry(keys, clock.now())


def always_served(cache: FileCache, clock: ManualClock) -> None:
    """Check that several reads, each after the expiry of the last credentials, return new ones with one call each."""
    source = ScriptedSource(lambda: credentials(clock, minutes=15))
    both = cached(source, cache, clock)
    for calls in range(1, READS + 1):
        assert not both.fetch().is_expired(now=clock.now())
        assert source.calls == calls
        clock.advance(timedelta(minutes=15))


# File names --------------------------------------------------------------------------------------------------------


@pytest.mark.case("C2")
@pytest.mark.parametrize(
    "key", ["../../x", "/etc/passwd", "..", "", "a/b\\c", "a\0b", "nul\n", "k" * 100_000, "\udcff"]
)
def test_a_key_is_not_used_as_a_path(
    cache: FileCache, entry: CacheEntry, folder: Path, tmp_path: Path, key: str
) -> None:
    """For any key, the entry and the lock are in the folder and have hexadecimal names."""
    with cache.exclusive(key, wait=True) as alone:
        assert alone
        cache.put(key, entry)
        assert len(names(folder)) == 2
        assert all(re.fullmatch(r"[0-9a-f]{64}\.(json|lock)", name) for name in names(folder))
    assert cache.get(key) == entry
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert len(names(folder)) == 1  # The lock file is removed.


@pytest.mark.case("C2", "P82")
@given(one=st.text(), other=st.text())
def test_each_key_has_its_own_file(one: str, other: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two different keys never have the same file, also on file systems that ignore case."""
    folder = tmp_path_factory.getbasetemp() / "keys"
    cache, clock = FileCache(folder), ManualClock(START)
    cache.purge()  # entries of other examples
    for key in (one, other):
        cache.put(key, CacheEntry(credentials(clock, hours=1), START))
    assert len({name.lower() for name in names(folder)}) == len({one, other})


# File content ------------------------------------------------------------------------------------------------------


@pytest.mark.case("C3", "P108")
def test_an_entry_cut_at_any_byte_is_a_miss_and_is_rewritten(cache: FileCache, clock: ManualClock, file: Path) -> None:
    """An entry that is cut at any byte is a miss, and the next fetch replaces it."""
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert cache.get(KEY) is None
        if length % 50 == 0:
            assert fetched_anew(cache, clock) == cache.get(KEY)


def edited(**changes: object) -> Callable[[bytes], bytes]:
    """Return an edit of the document. A name with two underscores changes a field of its credentials."""

    def edit(data: bytes) -> bytes:
        document = json.loads(data)
        for name, value in changes.items():
            part = document["credentials"] if name.startswith("its__") else document
            part[name.removeprefix("its__")] = value
        return json.dumps(document).encode()

    return edit


DEEP = b"[" * 100_000 + b"]" * 100_000
SPOILED: dict[str, Callable[[bytes], bytes]] = {
    "null": lambda _: b"null",
    "text": lambda _: b'"version"',
    "list": lambda data: b"[" + data + b"]",
    "empty object": lambda _: b"{}",
    "two documents": lambda data: data + data,
    "UTF-16 in part": lambda data: data[:10] + data[10:].decode().encode("utf-16"),
    "100,000 levels": lambda _: DEEP,
    "100,000 levels of objects": lambda _: b'{"version":' * 100_000 + b"1" + b"}" * 100_000,
    "100,000 levels inside": lambda data: data[:-1] + b', "more": ' + DEEP + b"}",
    "the version twice": lambda data: data.replace(b'"version": 1', b'"version": 1, "version": 1'),
    "a key id twice": lambda data: data.replace(b'"access_key_id"', b'"access_key_id": "AKIAOTHER", "access_key_id"'),
    "NaN": edited(more=float("nan")),
    "Infinity": edited(its__packed_policy_size=float("inf")),
    "a number of 5,000 digits": lambda data: data.replace(b'"version": 1', b'"version": ' + b"1" * 5_000),
    "version 0": edited(version=0),
    "version 1.0": edited(version=1.0),
    "version true": edited(version=True),
    "version as text": edited(version="1"),
    "key as list": edited(key=[KEY]),
    "since null": edited(since=None),
    "since without zone": edited(since="2026-11-25T12:00:00"),
    "credentials null": edited(credentials=None),
    "credentials as list": edited(credentials=[1, 2, 3]),
    "credentials empty": edited(credentials={}),
    "a field too many": edited(its__profile="dev"),
    "key id as number": edited(its__access_key_id=1),
    "key id empty": edited(its__access_key_id=""),
    "secret as list": edited(its__secret_access_key=["s"]),
    "secret empty": edited(its__secret_access_key=""),
    "token as object": edited(its__session_token={"a": "b"}),
    "token empty": edited(its__session_token=""),
    "size as text": edited(its__packed_policy_size="5"),
    "size as truth": edited(its__packed_policy_size=True),
    "expiration null": edited(its__expiration=None),
    "expiration as number": edited(its__expiration=1_795_600_000),
    "expiration in no calendar": edited(its__expiration="2026-02-30T00:00:00Z"),
    "expiration outside of UTC": edited(its__expiration="9999-12-31T23:59:59-01:00"),
}


@pytest.mark.case("C4", "P57", "P108")
@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_json_of_another_form_is_a_miss(
    cache: FileCache, clock: ManualClock, file: Path, spoil: Callable[[bytes], bytes]
) -> None:
    """An entry of a wrong shape is a miss without an exception or a warning, and new credentials replace it."""
    file.write_bytes(spoil(file.read_bytes()))
    assert cache.get(KEY) is None
    assert fetched_anew(cache, clock) == cache.get(KEY)


@pytest.mark.case("C4")
def test_a_hundred_megabytes_are_not_read(cache: FileCache, clock: ManualClock, file: Path) -> None:
    """A file of 100 MB is not read into memory, and a new entry replaces it."""
    os.truncate(file, 100_000_000)
    tracemalloc.start()
    try:
        assert cache.get(KEY) is None
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3_000_000
    assert fetched_anew(cache, clock) == cache.get(KEY)
    assert file.stat().st_size < 10_000


@pytest.mark.case("C5")
@pytest.mark.parametrize(
    "newer",
    [edited(version=2), edited(version=2, credentials="sealed", key=None), lambda _: b'{"version": 99}'],
    ids=["the same shape", "another shape", "nothing else"],
)
def test_an_entry_of_a_newer_version_stays(
    cache: FileCache, clock: ManualClock, file: Path, newer: Callable[[bytes], bytes]
) -> None:
    """An entry of a newer version is a miss and is never replaced, even if each read makes a call."""
    file.write_bytes(data := newer(file.read_bytes()))
    before = inside(file)
    assert cache.get(KEY) is None
    always_served(cache, clock)
    assert inside(file) == before
    assert file.read_bytes() == data


@pytest.mark.case("C6")
def test_an_entry_of_another_key_is_a_miss(cache: FileCache, clock: ManualClock, file: Path) -> None:
    """A file that was copied from the entry of another key is a miss."""
    cache.put("other", foreign := CacheEntry(credentials(clock, hours=1), clock.now()))
    shutil.copyfile(file_of(file.parent, "other"), file)
    assert cache.get(KEY) is None
    assert fetched_anew(cache, clock) == cache.get(KEY)
    assert cache.get("other") == foreign


# Time --------------------------------------------------------------------------------------------------------------


@pytest.mark.case("C7")
@pytest.mark.parametrize(
    "jump",
    [
        timedelta(hours=1),
        timedelta(hours=1, days=365),
        timedelta(minutes=59, seconds=59),
        timedelta(minutes=45),
        timedelta(minutes=-5, seconds=-1),
        timedelta(days=-365),
    ],
    ids=["expired", "expired a year ago", "a second left", "in the window", "over five minutes early", "a year back"],
)
def test_an_expired_or_future_entry_is_fetched_again(
    cache: FileCache, clock: ManualClock, file: Path, jump: timedelta
) -> None:
    """An entry that is expired, in its refresh window, or from the future is fetched again."""
    clock.set(clock.now() + timedelta(seconds=jump.total_seconds()))
    assert fetched_anew(cache, clock) == cache.get(KEY)


@pytest.mark.case("C7")
@pytest.mark.parametrize("jump", [timedelta(0), timedelta(minutes=44, seconds=59), timedelta(minutes=-5)])
def test_a_fresh_entry_is_used(
    cache: FileCache, clock: ManualClock, entry: CacheEntry, file: Path, jump: timedelta
) -> None:
    """An entry is used until its refresh window, and also if the clocks differ by five minutes."""
    clock.set(clock.now() + timedelta(seconds=jump.total_seconds()))
    assert cached(ScriptedSource(Down()), cache, clock).fetch() == entry.credentials


@pytest.mark.case("C7", "P110")
@pytest.mark.parametrize(("microseconds", "found"), [(0, True), (1, False), (10**15, False)])
def test_an_entry_for_more_than_37_hours_is_a_miss(
    cache: FileCache, clock: ManualClock, microseconds: int, found: bool
) -> None:
    """An entry that is valid for more than 37 hours is a miss."""
    entry = CacheEntry(credentials(clock, hours=37, microseconds=microseconds), clock.now())
    cache.put(KEY, entry)
    assert cache.get(KEY) == (entry if found else None)


# The folder --------------------------------------------------------------------------------------------------------


def open_to(others: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        folder.mkdir()
        folder.chmod(0o700 | others)

    return make


def linked(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to("elsewhere")


def dangling(folder: Path) -> None:
    folder.symlink_to("nowhere")


def foreign(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)


REFUSED = [
    pytest.param(open_to(0o055), id="0755"),
    pytest.param(open_to(0o077), id="0777"),
    pytest.param(open_to(0o001), id="0701"),
    pytest.param(linked, id="a link"),
    pytest.param(dangling, id="a link to nowhere"),
    pytest.param(lambda folder: folder.touch(0o600), id="a file"),
    pytest.param(lambda folder: os.mkfifo(folder, 0o600), id="a FIFO"),
    pytest.param(foreign, id="somebody else's", marks=as_root),
]


@pytest.mark.case("C8", "P57", "P62", "P107")
@pytest.mark.parametrize("make", REFUSED)
def test_a_folder_that_others_can_reach_is_not_used(
    cache: FileCache, clock: ManualClock, folder: Path, make: Callable[[Path], object]
) -> None:
    """A folder that others can use is not read or changed; there is one warning, and each read returns credentials."""
    make(folder)
    before = inside(folder.parent)
    with pytest.warns(CacheWarning, match="it must be a folder of this user with mode 0700, and not a link") as told:
        always_served(cache, clock)
    assert len(told) == 1
    assert cache.get(KEY) is None
    assert inside(folder.parent) == before


SPOILS = [
    pytest.param(lambda folder: folder.chmod(0o777), id="0777"),
    pytest.param(lambda folder: folder.symlink_to(folder.rename(folder.with_name("real"))), id="a link"),
    pytest.param(lambda folder: os.chown(folder, NOBODY, NOBODY), id="somebody else's", marks=as_root),
]


@pytest.mark.case("C8", "C17")
@pytest.mark.parametrize("spoil", SPOILS)
def test_entries_in_a_refused_folder_are_neither_read_nor_removed(
    folder: Path, file: Path, spoil: Callable[[Path], object]
) -> None:
    """If a folder becomes open to others, its entries are neither read nor removed."""
    spoil(folder)
    before = inside(folder)
    cache = FileCache(folder)
    with pytest.warns(CacheWarning):
        assert cache.purge() == 0
    assert cache.get(KEY) is None
    assert inside(folder) == before


def test_a_file_as_parent_causes_a_warning(clock: ManualClock, tmp_path: Path) -> None:
    """If the parent of the folder is a file, there is one warning, and each read returns credentials."""
    (tmp_path / "file").touch()
    with pytest.warns(CacheWarning, match=os.strerror(errno.ENOTDIR)) as told:
        always_served(FileCache(tmp_path / "file" / "cache"), clock)
    assert len(told) == 1


# Foreign files -----------------------------------------------------------------------------------------------------


def link(file: Path, victim: Path) -> None:
    file.symlink_to(victim)


def hard_link(file: Path, victim: Path) -> None:
    file.hardlink_to(victim)


def fifo(file: Path, _victim: Path) -> None:
    os.mkfifo(file, 0o600)


def for_the_group(file: Path, victim: Path) -> None:
    file.write_bytes(victim.read_bytes())
    file.chmod(0o640)


def of_somebody_else(file: Path, victim: Path) -> None:
    file.write_bytes(victim.read_bytes())
    file.chmod(0o600)
    os.chown(file, NOBODY, NOBODY)


def device(file: Path, _victim: Path) -> None:
    file.symlink_to("/dev/zero")


NOT_OURS = [link, hard_link, fifo, for_the_group, device, pytest.param(of_somebody_else, marks=as_root)]


@pytest.mark.case("C9", "P57")
@pytest.mark.parametrize("make", NOT_OURS)
def test_a_file_that_others_can_reach_is_never_read(
    cache: FileCache, clock: ManualClock, entry: CacheEntry, file: Path, make: Callable[[Path, Path], None]
) -> None:
    """A link, FIFO, device or file of others is never read; a private file replaces it, and its target is unchanged."""
    victim = file.rename(file.parent.parent / "victim")
    make(file, victim)
    before = inside(victim)
    assert cache.get(KEY) is None
    new = fetched_anew(cache, clock)
    assert inside(victim) == before
    assert cache.get(KEY) == new != entry
    assert (mode(file), file.lstat().st_uid, file.lstat().st_nlink) == (0o600, os.geteuid(), 1)


@pytest.mark.case("C9")
def test_an_entry_in_a_fifo_is_never_read(cache: FileCache, clock: ManualClock, file: Path) -> None:
    """An entry in a FIFO is never read."""
    data = file.read_bytes()
    file.unlink()
    os.mkfifo(file, 0o600)
    writer = os.open(file, os.O_RDWR)
    try:
        os.write(writer, data)
        assert cache.get(KEY) is None
        assert os.read(writer, len(data)) == data
    finally:
        os.close(writer)
    assert fetched_anew(cache, clock) == cache.get(KEY)


@pytest.mark.case("C9")
@pytest.mark.parametrize("kind", ["json", "lock"])
def test_a_folder_with_the_name_of_a_file_causes_a_warning(
    cache: FileCache, clock: ManualClock, folder: Path, kind: str
) -> None:
    """A folder with the name of an entry or a lock causes one warning, stays, and leaves no temporary file."""
    folder.mkdir(mode=0o700)
    (odd := folder / f"{NAME}.{kind}").mkdir()
    with pytest.warns(CacheWarning, match=os.strerror(errno.EISDIR)) as told:
        always_served(cache, clock)
    assert len(told) == 1
    assert odd.is_dir()
    assert names(folder) == {f"{NAME}.json", odd.name}


@pytest.mark.case("C9", "P62")
def test_a_link_with_the_name_of_a_lock_is_not_followed(cache: FileCache, clock: ManualClock, folder: Path) -> None:
    """A link with the name of a lock is not followed: there is one warning, and the cache works without a lock."""
    folder.mkdir(mode=0o700)
    (folder / f"{NAME}.lock").symlink_to("victim")
    with pytest.warns(CacheWarning, match="cannot be locked") as told:
        always_served(cache, clock)
    assert len(told) == 1
    with cache.exclusive(KEY, wait=False) as alone:
        assert alone
    assert "victim" not in names(folder)


@pytest.mark.case("C10", "P61", "P82", "P98")
@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
def test_the_umask_does_not_change_the_modes(
    tmp_path: Path, clock: ManualClock, set_umask: Callable[[int], int], umask: int
) -> None:
    """With any umask, new files have mode 0600 and new folders 0700, and the next read finds the entry."""
    set_umask(umask)
    cache = FileCache(tmp_path / "above" / "cache")
    new = fetched_anew(cache, clock)
    assert cache.get(KEY) == new
    above = tmp_path / "above"
    found = {path.name: mode(path) for path in (above, *above.rglob("*"))}
    assert found == {"above": 0o700, "cache": 0o700, f"{NAME}.json": 0o600, ".swept": 0o600}


# Faults ------------------------------------------------------------------------------------------------------------

FAULTS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES]


def have_fail(patch: pytest.MonkeyPatch, folder: Path, step: str, number: int) -> None:
    """Make a system call fail. A second word in *step* limits this to paths in the folder with this ending."""
    call, *endings = step.split()
    real = getattr(os, call)

    def fail(*arguments: Any, **options: Any) -> Any:
        path = str(arguments[0])
        within = path.startswith(str(folder)) or "dir_fd" in options
        if not endings or (within and path.endswith(endings[0])):
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    patch.setattr(os, call, fail)


STEPS = ["mkdir", "lstat cache", "open", "open .lock", "open .tmp", "write", "fchmod", "fsync", "rename", "scandir"]


@pytest.mark.case("C11", "P107")
@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
@pytest.mark.parametrize("step", STEPS)
def test_a_failing_system_call_causes_one_warning(
    cache: FileCache, clock: ManualClock, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    """If any system call fails, each read returns credentials with one warning and no temporary file; later all works
    again.
    """
    with monkeypatch.context() as patch:
        have_fail(patch, folder, step, number)
        with pytest.warns(CacheWarning, match=re.escape(os.strerror(number))) as told:
            always_served(cache, clock)
    assert len(told) == 1
    assert not folder.exists() or not [name for name in names(folder) if name.endswith(".tmp")]
    assert fetched_anew(cache, clock) == cache.get(KEY)


@pytest.mark.case("C11")
@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_an_unreadable_entry_is_a_miss(
    cache: FileCache, clock: ManualClock, file: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """An entry that cannot be read is a miss, and each read returns credentials."""
    have_fail(monkeypatch, file.parent, "open .json", number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert cache.get(KEY) is None
        always_served(cache, clock)


@pytest.mark.case("C11", "P107")
def test_each_reason_causes_one_warning(
    cache: FileCache, clock: ManualClock, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reason causes one warning, which names the remedy and contains no secret."""

    def serve_through(*numbers: int) -> None:
        for number in numbers:
            with monkeypatch.context() as patch:
                have_fail(patch, folder, "fsync", number)
                always_served(cache, clock)

    with pytest.warns(CacheWarning) as told:
        serve_through(errno.ENOSPC, errno.EIO, errno.ENOSPC)
    assert [str(each.message) for each in told] == [
        f"The cache {folder} cannot store credentials: {os.strerror(number)}. "
        "Correct this, or use another folder: FileCache(folder)."
        for number in (errno.ENOSPC, errno.EIO)
    ]


PUT = """
import os, pickle, sys
from stskit.caches import FileCache
old, new = pickle.load(sys.stdin.buffer)
cache = FileCache(sys.argv[1])
cache.put("key", old)
os.access("/begin", 0)
cache.put("key", new)
os.access("/end", 0)
"""


def put_under_strace(folder: Path, old: CacheEntry, new: CacheEntry, *options: str) -> tuple[int, Path]:
    """Run a process that writes both entries; return its status and the log of its system calls."""
    log = folder.with_suffix(".log")
    strace = ["strace", "-f", "-qq", "-e", "trace=%file,%desc", "-o", str(log), *options]
    command = [*strace, os.path.realpath(sys.executable), "-Pc", PUT, str(folder)]
    path = os.pathsep.join([str(PACKAGE.parent), *(each for each in sys.path if each)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, input=pickle.dumps((old, new)), capture_output=True, check=False)
    return done.returncode, log


def calls_of_the_second_put(log: Path) -> list[tuple[str, int]]:
    """Return the system calls of the second write, each with the number of calls of that name since the start."""
    seen: Counter[str] = Counter()
    found, within = [], False
    for line in log.read_text().splitlines():
        name = line.split()[1].partition("(")[0]
        seen[name] += 1
        if '("/end"' in line:
            break
        if within and name not in {"mmap", "mremap", "munmap"}:
            found.append((name, seen[name]))
        within = within or '("/begin"' in line
    return found


@pytest.mark.gate
@pytest.mark.debian
@pytest.mark.case("C12", "P67")
def test_a_kill_at_any_system_call_leaves_the_old_entry_or_the_new(tmp_path: Path, clock: ManualClock) -> None:
    """After a kill at any system call, the old or the new entry is complete.

    At most one temporary file remains, and it is removed an hour later.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    old, new, last = (CacheEntry(credentials(clock, hours=1), clock.now()) for _ in range(3))
    ended, log = put_under_strace(tmp_path / "whole", old, new)
    assert ended == 0
    calls = calls_of_the_second_put(log)

    def kill(call: tuple[str, int]) -> tuple[str, int, int]:
        name, number = call
        folder = tmp_path / f"{name}-{number}"
        ended, log = put_under_strace(folder, old, new, "-e", f"inject={name}:signal=SIGKILL:when={number}")
        assert ended in (-signal.SIGKILL, 0)  # The start of Python does not always make the same calls.
        renamed = len(re.findall(r" rename\(.*\.json\"\) += 0$", log.read_text(), re.MULTILINE))
        assert FileCache(folder).get(KEY) == (None, old, new)[renamed]
        temporary = list(folder.glob("*.tmp"))  # There is none if the process was killed before it created the folder.
        for path in [*temporary, *folder.glob(".swept")]:
            os.utime(path, (time.time() - HOUR - 1,) * 2)
        FileCache(folder).put(KEY, last)
        assert FileCache(folder).get(KEY) == last
        assert names(folder) == {f"{NAME}.json"}
        return name, renamed, len(temporary)

    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(kill, calls))
    # calls that the start of Python does not make, so that their number is always the same
    assert {("fchmod", 1, 1), ("fsync", 1, 1), ("rename", 1, 1), ("fsync", 2, 0), ("unlink", 2, 0)} <= results


@pytest.mark.case("C15", "P107")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP], ids=errno.errorcode.get)
@pytest.mark.parametrize("wait", [True, False])
def test_without_locks_the_cache_works(
    cache: FileCache, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, number: int, wait: bool
) -> None:
    """If no file can be locked, one warning says so, and entries are written and found."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def enter_often() -> None:
        for _ in range(READS):
            with cache.exclusive(KEY, wait=wait) as alone, cache.exclusive(KEY, wait=wait) as second:
                assert alone
                assert second

    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.warns(CacheWarning, match="cannot be locked, so several processes may make the same call") as told:
        enter_often()
    assert len(told) == 1
    always_served(cache, clock)
    assert cache.get(KEY)


@pytest.mark.case("C16")
@pytest.mark.parametrize("given", [None, "~/mine"])
def test_without_a_home_folder_there_is_no_cache(
    clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    """Without a home folder, there is one warning, no file is created or read, and each read returns credentials."""
    real = FileCache(tmp_path / (given or "~/.cache/stskit"))
    real.put(KEY, CacheEntry(credentials(clock, hours=1), clock.now()))
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    cache = FileCache(given)
    with pytest.warns(CacheWarning, match="there is no home folder") as told:
        always_served(cache, clock)
    assert len(told) == 1
    assert cache.get(KEY) is None
    assert cache.purge() == 0
    assert sorted(tmp_path.rglob("*")) == before


# Path of the folder ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [None, "", "relative", "./relative", "~/x"])
def test_the_default_folder_is_in_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, home: Path, base: str | None
) -> None:
    """By default the folder is ~/.cache/stskit, also if XDG_CACHE_HOME is not an absolute path."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if base is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", base)
    assert FileCache().folder == str(home / ".cache" / "stskit")


def test_an_absolute_xdg_cache_home_is_used(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    """With an absolute XDG_CACHE_HOME, the folder is created there with mode 0700."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    fetched_anew(FileCache(), clock)
    assert mode(tmp_path / "xdg" / "stskit") == 0o700
    assert not names(home)


def test_a_relative_folder_is_resolved_at_creation(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is resolved when the cache is created, so a later change of the working folder has no effect."""
    cache = FileCache("a/../b")
    monkeypatch.chdir(home)
    assert cache.folder == str(tmp_path / "b")
    assert FileCache("~/c").folder == FileCache(Path("~/c")).folder == str(home / "c")


# Locks -------------------------------------------------------------------------------------------------------------


@pytest.mark.case("C14", "P103")
def test_a_waiting_process_stops_after_the_lock_timeout(
    folder: Path, cache: FileCache, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `lock_timeout` seconds, a waiting process gets False with a warning and makes the call itself."""
    passing = SteppingTime(monkeypatch)
    impatient = FileCache(folder, lock_timeout=7)
    with cache.exclusive(KEY, wait=True):
        with pytest.warns(CacheWarning, match="another process holds the lock"):
            new = fetched_anew(impatient, clock)
        assert 7 <= passing.seconds <= 8
        with impatient.exclusive(KEY, wait=True) as alone:  # The warning is not repeated.
            assert not alone
    assert cache.get(KEY) == new


def test_without_waiting_a_held_lock_is_reported_immediately(cache: FileCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting, `exclusive` yields False for a held lock, without a pause or a warning; other keys are free."""
    passing = SteppingTime(monkeypatch)
    with cache.exclusive(KEY, wait=True) as alone:
        with cache.exclusive(KEY, wait=False) as second, cache.exclusive("other", wait=False) as other:
            assert (alone, second, other) == (True, False, True)
        with FileCache(cache.folder).exclusive(KEY, wait=False) as third:
            assert not third
    assert passing.pauses == 0
    with cache.exclusive(KEY, wait=False) as again:
        assert again


@pytest.mark.parametrize("first", [True, False], ids=["alone", "not alone"])
@pytest.mark.parametrize(
    "problem", [OSError(errno.ENOSPC, "the caller's"), TimeoutError("the caller's"), Down(), KeyboardInterrupt()]
)
def test_an_exception_in_the_block_is_raised_unchanged(cache: FileCache, problem: BaseException, first: bool) -> None:
    """An exception in the block of `exclusive` is raised unchanged, and the lock is released."""
    with ExitStack() as stack:
        if not first:
            stack.enter_context(cache.exclusive(KEY, wait=True))
        with pytest.raises(type(problem)) as caught, cache.exclusive(KEY, wait=False) as alone:
            assert alone is first
            raise problem
    assert caught.value is problem
    with cache.exclusive(KEY, wait=False) as again:
        assert again


# Clean-up ----------------------------------------------------------------------------------------------------------


def put_aged(path: Path, age: float) -> Path:
    path.touch()
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.case("C17")
def test_purge_removes_only_files_of_the_cache(cache: FileCache, folder: Path, file: Path) -> None:
    """`purge` removes only entries, unused locks and temporary files, of any age, and does not follow links."""
    others = {
        "README", "x.json", f"{'a' * 63}.json", f"{'A' * 64}.json", f"{'g' * 64}.json", f"{NAME}.json~", f"{NAME}.txt",
        f"x{NAME}.json", f"{NAME}.json\n", ".x.stskit-1.tmp",
        f".x.stskit-{'0' * 16}.tmp.bak", f"x.stskit-{'0' * 16}.tmp",
    }  # fmt: skip
    for name in others:
        put_aged(folder / name, 100 * DAY)
    (folder / f"{'b' * 64}.lock").mkdir()  # another program made it
    put_aged(folder / f".x.stskit-{'0' * 16}.tmp", 0)
    (folder / f"{'c' * 64}.json").symlink_to("README")
    put_aged(folder / f"{'d' * 64}.lock", 0)  # left by a process that died
    with cache.exclusive(KEY, wait=True):
        assert cache.purge() == 4
        with FileCache(folder).exclusive(KEY, wait=False) as second:
            assert not second  # a held lock stays
    assert names(folder) == others | {f"{'b' * 64}.lock"}
    assert cache.purge() == 0
    assert cache.get(KEY) is None


def test_purge_does_not_create_the_folder(cache: FileCache, folder: Path) -> None:
    """`purge` and `get` do not create the folder."""
    assert cache.purge() == 0
    assert cache.get(KEY) is None
    assert not folder.exists()


def test_a_failing_purge_causes_a_warning(cache: FileCache, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If `purge` fails, it warns and returns 0."""
    have_fail(monkeypatch, file.parent, "scandir", errno.EACCES)
    with pytest.warns(CacheWarning, match="cannot be emptied"):
        assert cache.purge() == 0
    assert file.exists()


@pytest.mark.case("C12", "P105")
def test_a_put_removes_old_files_once_an_hour(
    cache: FileCache, entry: CacheEntry, folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once an hour, a write removes temporary files and locks after an hour and entries after two days, and nothing
    else.
    """
    dead = {
        put_aged(folder / f".x.stskit-{'0' * 16}.tmp", HOUR + 5),
        put_aged(folder / f"{'0' * 64}.json", 2 * DAY + 5),
        put_aged(folder / f"{'0' * 64}.lock", HOUR + 5),
    }
    alive = {
        file,
        put_aged(folder / f".x.stskit-{'1' * 16}.tmp", HOUR - 60),
        put_aged(folder / f"{'1' * 64}.json", 2 * DAY - 60),
        put_aged(folder / f"{'1' * 64}.lock", HOUR - 60),
        put_aged(folder / "notes.json", 100 * DAY),
        put_aged(folder / ".swept", HOUR - 60),
    }
    cache.get(KEY)
    cache.put(KEY, entry)
    assert dead | alive == set(folder.iterdir())
    put_aged(folder / ".swept", HOUR + 5)
    scans = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scans.append(path) or real(path))  # type: ignore[func-returns-value]
    for number in range(100):
        cache.put("another", entry)
        with cache.exclusive(f"{number}", wait=True):
            cache.get(f"{number}")
    assert len(scans) == 2  # one for old files and one for unused locks
    monkeypatch.undo()
    assert set(folder.iterdir()) == alive | {file_of(folder, "another")}


# The cache as a value ----------------------------------------------------------------------------------------------


def test_the_repr_shows_only_the_settings(tmp_path: Path) -> None:
    """The repr of a cache has its settings only, also after a warning."""
    (tmp_path / "file").touch()
    cache = FileCache(tmp_path / "file", lock_timeout=3)
    expected = f"FileCache(folder='{tmp_path}/file', lock_timeout=3)"
    assert repr(cache) == expected
    with pytest.warns(CacheWarning):
        cache.get(KEY)
    assert repr(cache) == expected


def test_equal_caches_are_equal_values(tmp_path: Path) -> None:
    """Caches with equal settings are equal, also after a warning."""
    (tmp_path / "file").touch()
    cache = FileCache(tmp_path / "file")
    with pytest.warns(CacheWarning):
        cache.get(KEY)
    assert cache == FileCache(tmp_path / "file")
    assert hash(cache) == hash(FileCache(tmp_path / "file"))
    assert cache != FileCache(tmp_path / "other")
    assert cache != FileCache(tmp_path / "file", lock_timeout=1)


def test_the_pickle_contains_no_entries(cache: FileCache, entry: CacheEntry, file: Path) -> None:
    """A pickled cache has no entries, and its copy reads the same folder."""
    data = pickle.dumps(FileCache(cache.folder, lock_timeout=2))
    assert b"AKIA" not in data
    there = pickle.loads(data)
    assert there == FileCache(cache.folder, lock_timeout=2)
    assert there.get(KEY) == entry
