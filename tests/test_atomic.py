"""Reads have a size limit and accept regular files only; a write leaves the complete old or new file.

These tests call `_io.atomic` directly, because most of these faults cannot be caused through one sink.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stskit._io import atomic, locks

OLD, NEW = b"[old]\nkey = 1\n", b"[new]\nkey = 22\n"


def replace(path: str, data: bytes) -> None:
    with atomic.opened(path, 10**6) as old, atomic.staged(path, [data], old) as new:
        atomic.publish(new, path)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return the path of a file that already exists."""
    path = tmp_path / "credentials"
    path.write_bytes(OLD)
    path.chmod(0o600)
    return path


@pytest.fixture
def set_umask() -> Iterator[Callable[[int], int]]:
    """Yield a function that sets the umask; restore the umask afterwards."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


# read -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [len(OLD), len(OLD) + 1, 10**9])
def test_a_file_within_the_limit_is_read_completely(target: Path, limit: int) -> None:
    """A file is read completely if its size is at most the limit."""
    assert atomic.read(str(target), limit) == OLD


def test_a_file_over_the_limit_is_refused(target: Path) -> None:
    """A file that is one byte larger than the limit raises OSError with EFBIG."""
    with pytest.raises(OSError, match="larger than 13 bytes") as caught:
        atomic.read(str(target), len(OLD) - 1)
    assert caught.value.errno == errno.EFBIG


def test_a_file_that_grows_during_the_read_is_read_completely(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows during the read is read to its new end, and is refused if it then exceeds the limit."""
    look = os.fstat

    def look_then_grow(descriptor: int) -> os.stat_result:
        found = look(descriptor)
        with target.open("ab") as file:
            file.write(NEW)
        return found

    monkeypatch.setattr(os, "fstat", look_then_grow)
    assert atomic.read(str(target), 99) == OLD + NEW
    with pytest.raises(OSError, match="larger than"):
        atomic.read(str(target), len(OLD + NEW) + 1)


def test_a_huge_file_is_not_read_completely(target: Path) -> None:
    """Reading a sparse file of 8 TB stops at the limit."""
    os.truncate(target, 2**43)
    with pytest.raises(OSError, match="larger than 1,000 bytes"):
        atomic.read(str(target), 1000)


def test_a_missing_file_raises_file_not_found(tmp_path: Path) -> None:
    """A missing file raises FileNotFoundError, so that the caller decides what it means."""
    with pytest.raises(FileNotFoundError):
        atomic.read(str(tmp_path / "none"), 9)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "link to a device"])
def test_a_file_that_is_not_regular_is_refused_immediately(tmp_path: Path, kind: str) -> None:
    """A FIFO, a folder and a device are refused without delay, and no descriptor stays open."""
    path = tmp_path / "odd"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path = Path("/dev/zero")
        case _:
            path.symlink_to("/dev/zero")
    before = open_descriptors()
    with pytest.raises(OSError) as caught:
        atomic.read(str(path), 10**6)
    assert caught.value.errno in {errno.EINVAL, errno.EISDIR}
    assert open_descriptors() == before


def test_a_file_that_is_replaced_during_the_read_has_its_old_content(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a file is replaced during the read, the result is the old content, never a mixture."""
    look = os.fstat

    def replace_then_look(descriptor: int) -> os.stat_result:
        (target.parent / "next").write_bytes(NEW)
        os.rename(target.parent / "next", target)
        return look(descriptor)

    monkeypatch.setattr(os, "fstat", replace_then_look)
    assert atomic.read(str(target), 99) == OLD
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
def test_every_file_is_private(tmp_path: Path, set_umask: Callable[[int], int], umask: int) -> None:
    """With any umask, lock files and new files get mode 0600 and new folders get mode 0700."""
    set_umask(umask)
    folder = tmp_path / "a" / "b"
    atomic.make_folder(str(folder))
    with locks.locked(str(folder / "lock"), 0):
        replace(str(folder / "file"), NEW)
    assert [mode(folder.parent), mode(folder)] == [0o700, 0o700]
    assert [mode(folder / "lock"), mode(folder / "file")] == [0o600, 0o600]


# replace ----------------------------------------------------------------------------------------------------------


def test_the_new_content_replaces_the_old(target: Path) -> None:
    """After a write, the file has the new content only, and the folder has no other file."""
    replace(str(target), NEW)
    assert target.read_bytes() == NEW
    assert os.listdir(target.parent) == ["credentials"]


def test_a_path_can_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path can be relative; a bare file name means the working folder."""
    monkeypatch.chdir(tmp_path)
    atomic.make_folder("a/b")
    for name in ("file", "a/b/file"):
        replace(name, NEW)
        assert Path(name).read_bytes() == NEW


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o644, 0o700])
def test_an_old_file_keeps_its_mode(target: Path, permissions: int) -> None:
    """A write keeps the permission bits of an existing file."""
    target.chmod(permissions)
    replace(str(target), NEW)
    assert mode(target) == permissions


def test_an_old_file_keeps_its_owner(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If root changes a user's file, the user still owns it. If the owner cannot be restored, nothing changes."""
    look = os.fstat
    inode, given = os.stat(target).st_ino, []

    def somebody_elses(descriptor: int) -> os.stat_result:
        real = look(descriptor)
        theirs = os.stat_result((*real[:4], real.st_uid + 1, real.st_gid + 2, *real[6:]))
        return theirs if real.st_ino == inode else real

    mine = os.stat(target)
    monkeypatch.setattr(os, "fstat", somebody_elses)
    monkeypatch.setattr(os, "fchown", lambda _descriptor, owner, group: given.append((owner, group)))
    replace(str(target), NEW)
    assert given == [(mine.st_uid + 1, mine.st_gid + 2)]

    def not_permitted(*_: object) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "fchown", not_permitted)
    inode = os.stat(target).st_ino
    with pytest.raises(PermissionError):
        replace(str(target), OLD)
    assert target.read_bytes() == NEW
    assert os.listdir(target.parent) == ["credentials"]


def test_a_file_that_a_group_shares_can_change_its_owner(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file that a group shares, the writer becomes the owner. The group and its permissions stay the same."""
    look, inode, given = os.fstat, os.stat(target).st_ino, list[tuple[int, int]]()

    def shared(descriptor: int) -> os.stat_result:
        real = look(descriptor)
        mode = real.st_mode | 0o060
        return os.stat_result((mode, *real[1:4], 1001, 4242, *real[6:])) if real.st_ino == inode else real

    def give(_descriptor: int, owner: int, group: int) -> None:
        given.append((owner, group))
        if owner != -1:
            raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "fstat", shared)
    monkeypatch.setattr(os, "fchown", give)
    replace(str(target), NEW)
    assert given == [(1001, 4242), (-1, 4242)]
    assert target.read_bytes() == NEW
    assert mode(target) == 0o660


def folder_of_a_user(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[tuple[int, int]]:
    """Simulate root as this process and a user's *folder*; return the list of new owners."""
    given: list[tuple[int, int]] = []
    inode = folder.stat().st_ino

    def owned(real: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def look(*arguments: Any, **options: Any) -> os.stat_result:
            found = real(*arguments, **options)
            owner = (1001, 1002) if found.st_ino == inode else (0, 0)
            return os.stat_result((*found[:4], *owner, *found[6:]))

        return look

    monkeypatch.setattr(os, "fstat", owned(os.fstat))
    monkeypatch.setattr(os, "stat", owned(os.stat))
    monkeypatch.setattr(os, "fchown", lambda _descriptor, owner, group: given.append((owner, group)))
    return given


@pytest.mark.parametrize("folder", [None, "descriptor"])
def test_a_new_file_of_root_belongs_to_the_owner_of_the_folder(
    folder: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If root creates a file, it belongs to the owner of the folder, so that this user can read it."""
    descriptor = None if folder is None else os.open(tmp_path, os.O_RDONLY)
    given = folder_of_a_user(monkeypatch, tmp_path)
    path = str(tmp_path / "new") if descriptor is None else "new"
    atomic.replace(path, NEW, descriptor)
    monkeypatch.undo()
    assert given == [(1001, 1002)]
    assert (tmp_path / "new").read_bytes() == NEW
    if descriptor is not None:
        os.close(descriptor)


@pytest.mark.case("P48")
def test_the_secret_is_only_in_files_of_mode_600(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file is new, beside the target, with an unpredictable name, and has mode 0600 before any write."""
    target.chmod(0o644)
    write, seen = os.write, []

    def look_then_write(descriptor: int, data: bytes) -> int:
        (name,) = set(os.listdir(target.parent)) - {"credentials"}
        seen.append((name, mode(target.parent / name)))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", look_then_write)
    for _ in range(2):
        replace(str(target), NEW)
    assert [permissions for _, permissions in seen] == [0o600, 0o600]
    assert len({name for name, _ in seen}) == 2
    assert all(re.fullmatch(r"\.credentials\.stskit-[0-9a-f]{16}\.tmp", name) for name, _ in seen)


@pytest.mark.parametrize("bare", [False, True], ids=["absolute", "bare name"])
def test_a_write_synchronises_file_and_folder(target: Path, monkeypatch: pytest.MonkeyPatch, bare: bool) -> None:
    """A write synchronises the file before the rename and the folder after the rename."""
    order: list[str] = []
    sync, rename = os.fsync, os.rename

    def record_sync(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def record_rename(old: str, new: str, **folders: int) -> None:
        order.append("rename")
        rename(old, new, **folders)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "rename", record_rename)
    monkeypatch.chdir(target.parent)
    replace(target.name if bare else str(target), NEW)
    assert order == ["file", "rename", "folder"]


def test_short_writes_are_continued(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system writes only three bytes per call, the rest is written by further calls."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    replace(str(target), NEW)
    assert target.read_bytes() == NEW


def fails_with(number: int) -> Callable[..., Any]:
    def fail(*_: object, **_folder: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def interrupts(*_: object, **_folder: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.case("P3")
@pytest.mark.parametrize(
    ("call", "instead"),
    [
        *(
            (call, fails_with(number))
            for call in ("write", "fsync")
            for number in (errno.ENOSPC, errno.EIO, errno.EDQUOT)
        ),
        ("fchmod", fails_with(errno.EPERM)),
        *(("rename", fails_with(number)) for number in (errno.EIO, errno.EXDEV, errno.EROFS, errno.EACCES)),
        *((call, interrupts) for call in ("write", "fchmod", "fsync", "rename")),
        ("write", lambda _descriptor, data: len(data)),
        ("write", lambda _descriptor, data: min(len(data), 4)),
        ("write", lambda _descriptor, _data: 0),
    ],
)
def test_a_failure_leaves_the_old_file_and_nothing_else(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: str, instead: Callable[..., Any]
) -> None:
    """If any step of a write fails or is interrupted, the old content stays, without a temporary file or an open
    descriptor.
    """
    before = open_descriptors()
    monkeypatch.setattr(os, call, instead)
    with pytest.raises((OSError, KeyboardInterrupt)):
        replace(str(target), NEW)
    monkeypatch.undo()
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["credentials"]
    assert open_descriptors() == before


def test_a_failed_cleanup_does_not_hide_the_failure(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the clean-up also fails, the error is the first failure."""
    monkeypatch.setattr(os, "rename", fails_with(errno.EROFS))
    monkeypatch.setattr(os, "unlink", fails_with(errno.EACCES))
    with pytest.raises(OSError) as caught:
        replace(str(target), NEW)
    assert caught.value.errno == errno.EROFS


def test_a_failed_folder_synchronisation_is_not_an_error(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the folder cannot be synchronised after the rename, the write still succeeds."""
    sync = os.fsync

    def files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "folders are not synchronised here")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    before = open_descriptors()
    replace(str(target), NEW)
    assert target.read_bytes() == NEW
    assert open_descriptors() == before


def two_names(path: Path) -> None:
    path.write_bytes(OLD)
    path.with_name("other").hardlink_to(path)


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (os.mkfifo, errno.EINVAL),
        (Path.mkdir, errno.EINVAL),
        (lambda path: path.symlink_to("elsewhere"), errno.ELOOP),
        (two_names, errno.EMLINK),
    ],
    ids=["fifo", "folder", "symlink", "hard links"],
)
def test_a_device_link_or_hard_link_is_not_replaced(
    tmp_path: Path, make: Callable[[Path], object], number: int
) -> None:
    """A device, a link, a folder or a file with a second name is not replaced."""
    make(tmp_path / "odd")
    before = sorted(os.listdir(tmp_path)), os.lstat(tmp_path / "odd")
    with pytest.raises(OSError) as caught:
        replace(str(tmp_path / "odd"), NEW)
    assert caught.value.errno == number
    assert (sorted(os.listdir(tmp_path)), os.lstat(tmp_path / "odd")) == before


def test_a_missing_folder_raises_file_not_found(tmp_path: Path) -> None:
    """A write into a missing folder raises FileNotFoundError, because the caller decides about new folders."""
    with pytest.raises(FileNotFoundError):
        replace(str(tmp_path / "none" / "file"), NEW)


# make_folder ------------------------------------------------------------------------------------------------------


def test_an_existing_folder_stays_unchanged(tmp_path: Path) -> None:
    """An existing folder keeps its mode."""
    tmp_path.chmod(0o755)
    atomic.make_folder(str(tmp_path))
    assert mode(tmp_path) == 0o755


def test_a_new_folder_is_private_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_umask: Callable[[int], int]
) -> None:
    """A new folder has mode 0700 from its creation, even with umask 0."""
    set_umask(0)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    atomic.make_folder(str(tmp_path / "new"))
    assert mode(tmp_path / "new") == 0o700


def test_a_folder_that_another_process_creates_first_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another process creates the folder first, the call succeeds and the mode of that folder stays."""
    make = os.mkdir

    def too_late(path: str, _mode: int, *, dir_fd: int) -> None:
        make(path, 0o750, dir_fd=dir_fd)
        raise FileExistsError(errno.EEXIST, "it exists", path)

    monkeypatch.setattr(os, "mkdir", too_late)
    atomic.make_folder(str(tmp_path / "new"))
    assert mode(tmp_path / "new") == 0o750


def test_a_file_as_parent_raises_not_a_directory(target: Path) -> None:
    """A file where a parent folder is needed raises NotADirectoryError, and the file does not change."""
    with pytest.raises(NotADirectoryError):
        atomic.make_folder(str(target / "sub"))
    assert target.read_bytes() == OLD


def test_a_new_folder_of_root_belongs_to_the_owner_of_the_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If root creates a folder, it belongs to the owner of the folder above it, so that this user keeps access."""
    given = folder_of_a_user(monkeypatch, tmp_path)
    atomic.make_folder(str(tmp_path / "new"))
    assert given == [(1001, 1002)]


def swap(monkeypatch: pytest.MonkeyPatch, put: Callable[[Path], object]) -> None:
    """Replace each new folder by another file system object right after its creation."""
    make = os.mkdir

    def make_then_swap(name: str, mode: int, *, dir_fd: int) -> None:
        make(name, mode, dir_fd=dir_fd)
        path = Path(os.readlink(f"/proc/self/fd/{dir_fd}")) / name
        path.rmdir()
        put(path)

    monkeypatch.setattr(os, "mkdir", make_then_swap)


@pytest.mark.debian
def test_no_mode_or_owner_is_set_through_a_link_that_replaces_a_new_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a link replaces the new folder, neither the mode nor the owner of the link's target changes."""
    (tmp_path / "precious").mkdir(0o755)
    given = folder_of_a_user(monkeypatch, tmp_path)
    swap(monkeypatch, lambda path: path.symlink_to("precious"))
    with pytest.raises(OSError) as caught:
        atomic.make_folder(str(tmp_path / "new"))
    assert caught.value.errno in {errno.ELOOP, errno.ENOTDIR}
    assert given == []
    assert mode(tmp_path / "precious") == 0o755


@pytest.mark.debian
def test_a_folder_with_content_keeps_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a folder with content replaces the new folder, its owner does not change."""
    (tmp_path / "precious").mkdir(0o755)
    (tmp_path / "precious" / "file").touch()
    given = folder_of_a_user(monkeypatch, tmp_path)
    swap(monkeypatch, (tmp_path / "precious").rename)
    atomic.make_folder(str(tmp_path / "new"))
    assert given == []


def test_with_any_umask_a_new_folder_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With umask 0777, a new folder still gets a mode with which its owner can use it."""
    real = os.open

    def refuse(path: str, flags: int, *more: Any, dir_fd: int | None = None) -> int:
        if path == "new":
            raise PermissionError(errno.EACCES, "permission denied")
        return real(path, flags, *more, dir_fd=dir_fd)

    before = os.umask(0o777)
    try:
        monkeypatch.setattr(os, "open", refuse)
        atomic.make_folder(str(tmp_path / "new"))
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o700


# has_writer -------------------------------------------------------------------------------------------------------


@pytest.mark.debian
def test_a_file_that_is_open_for_writing_has_a_writer(target: Path) -> None:
    """A file has a writer if any process has it open for writing; a reader does not matter."""
    with target.open("rb"):
        assert not atomic.has_writer(os.stat(target))
    with target.open("ab"):
        assert atomic.has_writer(os.stat(target))
    assert not atomic.has_writer(os.stat(target))


def test_without_proc_no_writer_is_found(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If /proc is missing, closed, or changes during the search, no writer is found and nothing is raised."""
    scan = os.scandir
    with target.open("ab"):
        found = os.stat(target)
        for missing in ("/proc", "/proc/"):
            monkeypatch.setattr(os, "scandir", fails_with(errno.EACCES) if missing == "/proc" else processes(scan))
            assert not atomic.has_writer(found)
        monkeypatch.setattr(os, "scandir", scan)
        monkeypatch.setattr(os, "stat", fails_with(errno.ENOENT))
        assert not atomic.has_writer(found)


def processes(scan: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `scandir` that cannot list the descriptors of a process."""
    return lambda path: fails_with(errno.EACCES)() if path.endswith("/fd") else scan(path)
