"""Edit text files under a lock: all of them or none, each by the smallest possible change.

Other programs write into the same files without a lock. Where one did so between reading and replacing, or right
after, the edit is made again from the new content.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from shlex import quote
from typing import Final

from attrs import Factory, field, frozen

from stskit._io import atomic, locks
from stskit.errors import SinkError, prefixed

__all__ = ["MAX_BYTES", "FileEdit", "Pieces", "edit_files"]

Pieces = Sequence[bytes | memoryview]
"""The content of a file, in parts that need not be joined."""

MAX_BYTES: Final = 64_000_000
_TRIES: Final = 10
_LOCK_TIMEOUT: Final = 10  # seconds
_GET_PERMISSION: Final = "Give yourself the right to write there, or name another path"
_MOUNTED_ALONE: Final = "It is mounted on its own, as containers do; mount the folder that it is in"
_REMEDIES: Final = {
    errno.EACCES: _GET_PERMISSION,
    errno.EPERM: _GET_PERMISSION,
    errno.EROFS: "Name a path that can be written",
    errno.ENOSPC: "Make room on the disk",
    errno.EDQUOT: "Make room in your quota",
    errno.EBUSY: _MOUNTED_ALONE,
    errno.EXDEV: _MOUNTED_ALONE,
    errno.ETIMEDOUT: "Try again when it is done",
}


@frozen
class FileEdit:
    """An edit of the file at *path*: `change` gets its content and returns the new one, or raises `SinkError`.

    `backup`: whether to copy the old content to ``<path>.bak``. `secret`: whether to warn where others can read it.
    """

    path: str
    change: Callable[[bytes], Pieces] = field(repr=False)
    backup: bool = False
    secret: bool = True
    # a link stays, and the file that it leads to is edited
    real: str = field(init=False, default=Factory(lambda self: os.path.realpath(self.path), takes_self=True))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the file for the block."""
        if os.path.islink(self.path) and not os.path.exists(self.real):
            raise SinkError(
                f"{self.path} is a link to {self.real}, which is missing", remedy="mend or remove it", path=self.path
            )
        folder, name = os.path.split(self.real)
        with ExitStack() as stack:
            with self.as_sink_error():
                if os.path.isdir(self.real):  # its lock would lie outside of it
                    raise OSError(errno.EINVAL, "it is a folder, and not a regular file")
                atomic.make_folder(folder)
                stack.enter_context(locks.locked(f"{self.real}.lock", _LOCK_TIMEOUT))
            with suppress(OSError):  # this process holds the lock, so the writers of these temporary files have died
                atomic.sweep(folder or os.curdir, {atomic.temporaries_of(name): 0, atomic.TEMPORARY: 3600})
            yield

    @contextmanager
    def prepared(self) -> Iterator[PendingEdit]:
        """Read the file and write its new content to a temporary file, which is removed after the block."""
        with ExitStack() as stack:
            with self.as_sink_error():
                old = stack.enter_context(atomic.opened(self.real, MAX_BYTES))
                _check_text(old.data)
                pieces = self.change(old.data)
                new = None if _same(pieces, old.data) else stack.enter_context(atomic.staged(self.real, pieces, old))
            yield PendingEdit(self, old, new)

    @contextmanager
    def as_sink_error(self) -> Iterator[None]:
        """Raise what goes wrong in the block as a `SinkError` that names the file."""
        try:
            yield
        except SinkError as error:
            raise prefixed(error, f"{self.path} was not changed: ", path=self.path) from None
        except OSError as error:
            raise SinkError(
                f"{self.path} was not changed: {error.strerror}.",
                remedy=_REMEDIES.get(error.errno or 0, "Mend that, or name another path"),
                path=self.path,
            ) from None


@frozen
class PendingEdit:
    """The file as it was found, and its new content in a temporary file; `new` is None where nothing changes."""

    file: FileEdit
    old: atomic.OpenedFile
    new: atomic.Staged | None

    def is_current(self) -> bool:
        return self.new is None or atomic.is_unchanged(self.file.real, self.old.status)

    def publish(self) -> None:
        with self.file.as_sink_error():
            if self.new is not None and self.old.status is not None and self.file.backup:
                atomic.replace(f"{self.file.real}.bak", self.old.data)
            if self.new is not None:
                atomic.publish(self.new, self.file.real)

    def rollback(self) -> None:
        with suppress(OSError):
            if self.new is not None and self.old.status is None:
                os.unlink(self.file.real)
            elif self.new is not None:
                with atomic.staged(self.file.real, [self.old.data], self.old) as old:
                    atomic.publish(old, self.file.real)

    def is_published(self) -> bool:
        return self.new is None or atomic.is_unchanged(self.file.real, self.new.status)

    def warnings(self) -> Iterator[str]:
        if self.new is not None and self.old.is_changed():
            yield (
                f"another program wrote into {self.file.path} at the same time and without a lock; "
                "look whether what it wrote is there, and run it again if not"
            )
        if self.new is not None and self.file.secret and self.new.status.st_mode & 0o077:
            path = self.file.path
            yield f"others may read {path}, which holds keys; close it to them: chmod 600 {quote(path)}"


def edit_files(files: Sequence[FileEdit]) -> list[str]:
    """Make all the edits or none, and return the warnings for the user. Raises `SinkError`."""
    with ExitStack() as held:
        for file in sorted(files, key=lambda file: file.real):  # in the same order as every other writer
            held.enter_context(file.locked())
        for _ in range(_TRIES):
            with ExitStack() as stack:
                edits = [stack.enter_context(file.prepared()) for file in files]
                if all(edit.is_current() for edit in edits):
                    _publish(edits)
                    if all(edit.is_published() for edit in edits):
                        return [warning for edit in edits for warning in edit.warnings()]
    path = files[-1].path
    raise SinkError(
        f"{path} changes all the time, by a program that takes no lock", remedy="end that, and try again", path=path
    )


def _publish(edits: Sequence[PendingEdit]) -> None:
    done: list[PendingEdit] = []
    try:
        for edit in edits:
            edit.publish()
            done.append(edit)
    except BaseException:
        for edit in done:
            edit.rollback()
        raise


def _check_text(data: bytes) -> None:
    if data.startswith(b"\xef\xbb\xbf"):
        raise SinkError(
            "it starts with a byte order mark, which some readers take as part of the text", remedy="save it without"
        )
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError:
        raise SinkError("it is no UTF-8 text, and some readers read no other", remedy="save it as UTF-8") from None


def _same(pieces: Pieces, data: bytes) -> bool:
    at = 0
    for piece in pieces:
        if not data.startswith(piece, at):
            return False
        at += len(piece)
    return at == len(data)
