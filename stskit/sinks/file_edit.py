"""Edit text files under a lock: all of them or none, each with the smallest possible change.

Other programs write to the same files without a lock. If one does so between reading and replacing, or right after, the
edit is repeated from the new content. A file that another program seems to be writing is read again after a pause.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from shlex import quote
from time import sleep, time
from typing import Final

from attrs import Factory, field, frozen

from stskit._io import atomic, locks
from stskit.caches.file import FileCache
from stskit.errors import SinkError, prefixed

__all__ = ["MAX_BYTES", "FileEdit", "Pieces", "check_edits", "edit_files"]

Pieces = Sequence[bytes | memoryview]
"""The content of a file in parts."""

MAX_BYTES: Final = 64_000_000
_ATTEMPTS: Final = 10
_LOCK_TIMEOUT: Final = 10  # seconds
_PAUSE: Final = 0.05  # seconds; the AWS CLI empties a file and writes it again within a few milliseconds
_PAUSES: Final = 20
_LONG_AGO: Final = 60  # seconds; a file that is empty for longer is empty on purpose
_VARIABLE: Final = re.compile(r"\$(?:\{\w+\}|[A-Za-z_]\w*)")
_GET_PERMISSION: Final = "Get write permission for it, or use another path."
_MOUNTED_ALONE: Final = "The file is a mount of its own, as in a container. Mount its folder instead."
_REMEDIES: Final = {
    errno.EACCES: _GET_PERMISSION,
    errno.EPERM: _GET_PERMISSION,
    errno.EROFS: "Use a path that is not read-only.",
    errno.ENOSPC: "Free some space on the disk.",
    errno.EDQUOT: "Free some space of your quota.",
    errno.EBUSY: _MOUNTED_ALONE,
    errno.EXDEV: _MOUNTED_ALONE,
    errno.ETIMEDOUT: "Try again when the other process has finished.",
    errno.ESTALE: "Try again.",
}


@frozen
class FileEdit:
    """An edit of a file.

    Args:
        path: Path of the file. If it is a link, its target is edited.
        change: Function that gets the content and returns the new content, or raises `SinkError`.
        backup: Whether to copy the old content to ``<path>.bak``.
        secret: Whether to warn if other users can read the file.
    """

    path: str
    change: Callable[[bytes], Pieces] = field(repr=False)
    backup: bool = False
    secret: bool = True
    # a link stays, and its target is edited
    real: str = field(init=False, default=Factory(lambda self: os.path.realpath(self.path), takes_self=True))

    @property
    def folder(self) -> str:
        """The folder of the target file."""
        return os.path.dirname(self.real)

    @property
    def name(self) -> str:
        """The name of the target file in that folder."""
        return os.path.basename(self.real)

    def check_place(self) -> None:
        """Raise `SinkError` if no file can be at the path, or if the path may be a mistake."""
        if os.path.basename(self.path).strip() in ("", "-") and not os.path.isdir(self.path):
            raise SinkError(
                f"{self.path!r} is not a valid path of a file.", remedy="Write the path of the file.", path=self.path
            )
        if os.path.islink(self.path) and not os.path.exists(self.real):
            raise SinkError(
                f"{self.path} is a link to {self.real}, which does not exist.",
                remedy="Correct or remove the link.",
                path=self.path,
            )
        with self.as_sink_error():
            if os.path.isdir(self.real):
                raise OSError(errno.EINVAL, "it is a folder, not a regular file")
            if self.backup and os.path.isdir(f"{self.real}.bak"):
                raise OSError(errno.EISDIR, f"its backup {self.real}.bak is a folder")
            if not os.path.exists(self.real):
                self._check_spelling()

    def _check_spelling(self) -> None:
        """Raise `SinkError` for a missing file whose path may be a mistake."""
        if variable := _VARIABLE.search(self.path):
            raise SinkError(
                f"the variable {variable[0]} in the path has no value.",
                remedy="Set the variable, or write the full path.",
            )
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.stat(self.folder).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            return
        if not self._may_make_folder() or not os.path.isdir(os.path.dirname(self.folder)):
            raise SinkError(
                f"the folder {self.folder} does not exist.",
                remedy=f"Create it (mkdir -p {quote(self.folder)}), or correct the path.",
            )

    def _may_make_folder(self) -> bool:
        return self.folder == os.path.realpath(os.path.expanduser("~/.aws"))

    def check_folder(self) -> None:
        """Raise `SinkError` if the folder is missing and cannot be created."""
        with self.as_sink_error():
            if not os.path.isdir(self.folder) and not os.access(os.path.dirname(self.folder), os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def made_folder(self) -> tuple[int, int]:
        """Create the folder if it is missing, and return its device and inode."""
        with self.as_sink_error():
            atomic.make_folder(self.folder)
            found = os.stat(self.folder)
            return found.st_dev, found.st_ino

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Lock the folder for the block, and yield a descriptor of it."""
        with ExitStack() as stack:
            with self.as_sink_error():
                folder = stack.enter_context(locks.locked_folder(self.folder, _LOCK_TIMEOUT, self._lock_file))
            yield folder

    def _lock_file(self) -> str:
        """Return the lock file that is used if the file system cannot lock folders."""
        cache = FileCache().folder
        if not os.path.isabs(cache):
            raise SinkError(
                "its folder cannot be locked.", remedy="Set HOME or XDG_CACHE_HOME, so that a lock file can be used."
            )
        atomic.make_folder(cache)
        return os.path.join(cache, f"folder-{sha256(os.fsencode(self.folder)).hexdigest()}.lock")

    def sweep(self, folder: int) -> None:
        """Remove temporary files of killed writers. This process has the lock, so no writer of the file is running."""
        own = {atomic.temporaries_of(name): 0 for name in (self.name, f"{self.name}.bak")}
        with suppress(OSError):
            atomic.sweep(folder, {**own, atomic.TEMPORARY: 3600})

    def status(self) -> os.stat_result | None:
        """Return the status of the file, or None. Raises `SinkError`."""
        with self.as_sink_error():
            return atomic.status_of(self.real)

    @contextmanager
    def prepared(self, folder: int, seen: os.stat_result | None) -> Iterator[PendingEdit]:
        """Read the file and write its new content to a temporary file, which is removed after the block.

        *seen* is an earlier status of the file.
        """
        with ExitStack() as stack:
            with self.as_sink_error():
                self._wait_for_writer(folder, seen)
                old = stack.enter_context(atomic.opened(self.name, MAX_BYTES, folder))
                _check_text(old.data)
                pieces = self.change(old.data)
                new = None
                if not _same(pieces, old.data):
                    new = stack.enter_context(atomic.staged(self.name, pieces, old, folder))
            yield PendingEdit(self, folder, old, new)

    def _wait_for_writer(self, folder: int, seen: os.stat_result | None) -> None:
        """Wait while another program seems to be writing to the file. Raises `SinkError` after some time."""
        for _ in range(_PAUSES):
            now = atomic.status_of(self.name, folder)
            if now is None or not _may_be_incomplete(seen, now):
                return
            sleep(_PAUSE)
            seen = now
        if seen is not None and atomic.has_writer(seen):
            raise SinkError("another program is writing to it.", remedy="Try again when that program has finished.")

    @contextmanager
    def as_sink_error(self) -> Iterator[None]:
        """Convert errors of the block to a `SinkError` that names the file."""
        try:
            yield
        except SinkError as error:
            raise prefixed(error, f"{self.path} was not changed: ", path=self.path) from None
        except OSError as error:
            raise SinkError(
                f"{self.path} was not changed: {error.strerror}.",
                remedy=_REMEDIES.get(error.errno or 0, "Correct this, or use another path."),
                path=self.path,
            ) from None


@frozen
class PendingEdit:
    """The old file, and its new content in a temporary file. `new` is None if nothing changes."""

    file: FileEdit
    folder: int
    old: atomic.OpenedFile
    new: atomic.Staged | None

    def is_current(self) -> bool:
        with self.file.as_sink_error():
            return self.new is None or atomic.is_unchanged(self.file.name, self.old.status, self.folder)

    def publish(self) -> Iterator[str]:
        """Replace the file, and yield warnings."""
        if self.new is None:
            return
        with self.file.as_sink_error():
            if self.old.status is not None and self.file.backup:
                atomic.replace(f"{self.file.name}.bak", self.old.data, self.folder)
            durable = atomic.publish(self.new, self.file.name, self.folder)
        if not durable:
            yield f"{self.file.path} was written, but a power failure may undo this: its folder cannot be synchronised."

    def rollback(self) -> bool:
        """Restore the old content if the file was replaced, and return whether the old content is there."""
        try:
            if self.new is None or not atomic.is_unchanged(self.file.name, self.new.status, self.folder):
                return True
            if self.old.status is None:
                os.unlink(self.file.name, dir_fd=self.folder)
            else:
                with atomic.staged(self.file.name, [self.old.data], self.old, self.folder) as old:
                    atomic.publish(old, self.file.name, self.folder)
        except OSError:
            return False
        return True

    def is_published(self) -> bool:
        try:
            return self.new is None or atomic.is_unchanged(self.file.name, self.new.status, self.folder)
        except OSError:  # it was replaced a moment ago, so it is assumed to be there
            return True

    def warnings(self) -> Iterator[str]:
        if self.new is None:
            return
        path = self.file.path
        if self._is_lost():
            yield (
                f"Another program wrote to {path} at the same time without a lock. "
                "Check that its changes are there, and run it again if not."
            )
        if self.file.secret and self.new.status.st_mode & 0o077:
            yield f"{path} contains keys and is readable by other users. Run: chmod 600 {quote(path)}"
        if (owner := self.new.status.st_uid) != os.geteuid():
            yield f"{path} belongs to another user (uid {owner}), who can read and change it."
        elif self.old.status is not None and (former := self.old.status.st_uid) != owner:
            yield f"{path} belonged to another user (uid {former}) and now belongs to you. Its group keeps access."

    def _is_lost(self) -> bool:
        with suppress(OSError):
            return self.old.is_changed()
        return False


def edit_files(files: Sequence[FileEdit]) -> list[str]:
    """Make all edits or none, and return warnings for the user. Raises `SinkError`."""
    with _locked(files) as folders:
        for file, (folder, _) in folders.items():
            file.sweep(folder)
        for _ in range(_ATTEMPTS):
            with ExitStack() as stack:
                edits = [stack.enter_context(file.prepared(*folders[file])) for file in files]
                if all(edit.is_current() for edit in edits):
                    notes = _publish(edits)
                    if all(edit.is_published() for edit in edits):
                        return [*notes, *(warning for edit in edits for warning in edit.warnings())]
                folders |= {edit.file: (edit.folder, edit.old.status) for edit in edits}
    path = files[-1].path
    raise SinkError(
        f"{path} was not changed: another program keeps changing it without a lock.",
        remedy="Stop that program, and try again.",
        path=path,
    )


def check_edits(files: Sequence[FileEdit]) -> None:
    """Raise the `SinkError` that `edit_files` would raise. The files stay unchanged."""
    for file in files:
        file.check_place()
        file.check_folder()
    with _locked([file for file in files if os.path.isdir(file.folder)]) as folders, ExitStack() as stack:
        for file, (folder, seen) in folders.items():
            stack.enter_context(file.prepared(folder, seen))


@contextmanager
def _locked(files: Sequence[FileEdit]) -> Iterator[dict[FileEdit, tuple[int, os.stat_result | None]]]:
    """Lock all folders, and yield for each file a descriptor of its folder and an earlier status of the file."""
    for file in files:
        file.check_place()
    seen = [file.status() for file in files]
    held: dict[tuple[int, int], int] = {}  # by device and inode, because a folder may have two names
    with ExitStack() as stack:
        for file in sorted(files, key=lambda file: file.folder):  # in the same order for every writer
            if (number := file.made_folder()) not in held:
                held[number] = stack.enter_context(file.locked())
        folders = [held[file.made_folder()] for file in files]
        yield dict(zip(files, zip(folders, seen, strict=True), strict=True))


def _publish(edits: Sequence[PendingEdit]) -> list[str]:
    try:
        return [note for edit in edits for note in edit.publish()]
    except BaseException as error:
        changed = [edit.file.path for edit in edits if not edit.rollback()]
        if not changed or not isinstance(error, SinkError):
            raise
        raise SinkError(
            f"{error.message} {changed[0]} was changed before that and could not be restored.",
            remedy=error.remedy,
            path=changed[0],
        ) from None


def _may_be_incomplete(seen: os.stat_result | None, now: os.stat_result) -> bool:
    """Return whether a program, such as the AWS CLI, may have emptied the file to write it again."""
    age = time() - now.st_mtime
    if 0 <= age < _PAUSE and (now.st_size == 0 or _is_written(seen, now)):
        return True
    return now.st_size == 0 and 0 <= age < _LONG_AGO and atomic.has_writer(now)


def _is_written(seen: os.stat_result | None, now: os.stat_result) -> bool:
    """Return whether a program wrote to the same file between two checks. A renamed file is always complete."""
    return (
        seen is not None
        and (seen.st_dev, seen.st_ino) == (now.st_dev, now.st_ino)
        and seen.st_mtime_ns != now.st_mtime_ns
    )


def _check_text(data: bytes) -> None:
    if data.startswith(b"\xef\xbb\xbf"):
        raise SinkError(
            "it starts with a byte order mark, which some tools read as text.", remedy="Save it without one."
        )
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError:
        raise SinkError("it is not UTF-8 text, and some tools read nothing else.", remedy="Save it as UTF-8.") from None


def _same(pieces: Pieces, data: bytes) -> bool:
    at = 0
    for piece in pieces:
        if not data.startswith(piece, at):
            return False
        at += len(piece)
    return at == len(data)
