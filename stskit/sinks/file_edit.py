"""Files of text that change under a lock, together or not at all, and by the smallest edit.

Other programs write into the same files without a lock. Where one did so between reading and replacing, or right
after, all is done again from what is there then.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from attrs import Factory, field, frozen

from stskit._io import atomic, locks
from stskit.errors import Refused, SinkError

__all__ = ["MAX_BYTES", "Rewrite", "rewrite"]

MAX_BYTES: Final = 64_000_000
_TRIES: Final = 10
_WRITE_THERE: Final = "Give yourself the right to write there, or name another path"
_MOUNTED: Final = "It is mounted on its own, as containers do; mount the folder that it is in"
_NEXT_STEP: Final = {
    errno.EACCES: _WRITE_THERE,
    errno.EPERM: _WRITE_THERE,
    errno.EROFS: "Name a path that can be written",
    errno.ENOSPC: "Make room on the disk",
    errno.EDQUOT: "Make room in your quota",
    errno.EBUSY: _MOUNTED,
    errno.EXDEV: _MOUNTED,
    errno.ETIMEDOUT: "Try again when it is done, or allow more time with lock_timeout",
}
_MOST_KNOWN: Final = 100
_plain: Final[dict[str, atomic.State]] = {}  # files that are plain, as this process has left them


@frozen
class Rewrite:
    """A file, and what becomes of it, in pieces; `change` may raise `Refused`.

    `is_plain` looks at all of the file, which costs time; so it is not asked about a file that this process has left
    as it is. Its answer goes to `change`, which leaves a plain file plain.
    """

    path: str
    change: Callable[[bytes, bool], Sequence[bytes | memoryview]] = field(repr=False)
    is_plain: Callable[[bytes], bool] = field(repr=False, default=lambda _data: False)
    backup: bool = False
    secret: bool = True
    # a link stays, and what it leads to is changed
    real: str = field(init=False, default=Factory(lambda self: os.path.realpath(self.path), takes_self=True))

    @contextmanager
    def locked(self, timeout: float) -> Iterator[None]:
        """Hold the lock of the file for the block."""
        if os.path.islink(self.path) and not os.path.exists(self.real):
            raise SinkError(
                f"{self.path} is a link to {self.real}, which is missing; mend or remove it", path=self.path
            )
        folder, name = os.path.split(self.real)
        with ExitStack() as stack:
            with self.told():
                if os.path.isdir(self.real):  # whose lock would lie outside of it
                    raise OSError(errno.EINVAL, "it is a folder, and not a regular file")
                atomic.make_folder(folder)
                stack.enter_context(locks.locked(f"{self.real}.lock", timeout))
            with suppress(OSError):  # whoever left something behind died long ago, for nobody else has the lock
                atomic.sweep(folder or os.curdir, {atomic.temporaries_of(name): 0, atomic.TEMPORARY: 3600})
            yield

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Read the file and stage its new content, for the block."""
        with ExitStack() as stack:
            with self.told():
                old = stack.enter_context(atomic.opened(self.real, MAX_BYTES))
                _check_text(old.data)
                known = old.status is not None and _plain.get(self.real) == atomic.state(old.status)
                plain = known or self.is_plain(old.data)
                pieces = self.change(old.data, plain)
                new = None if _same(pieces, old.data) else stack.enter_context(atomic.staged(self.real, pieces, old))
            yield Draft(self, old, new, plain)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what goes wrong in the block into a `SinkError`."""
        try:
            yield
            return
        except Refused as error:
            reason = str(error)
        except OSError as error:
            reason = f"{error.strerror}. {_NEXT_STEP.get(error.errno or 0, 'Mend that, or name another path')}"
        raise SinkError(f"{self.path} was not changed: {reason}", path=self.path)


@frozen
class Draft:
    """What was found, and what shall be there; `new` is None where that is the same."""

    file: Rewrite
    old: atomic.Found
    new: atomic.Staged | None
    plain: bool

    def is_current(self) -> bool:
        return self.new is None or atomic.holds(self.file.real, self.old.status)

    def publish(self) -> None:
        with self.file.told():
            if self.new is not None and self.old.status is not None and self.file.backup:
                atomic.replace(f"{self.file.real}.bak", self.old.data)
            if self.new is not None:
                atomic.publish(self.new, self.file.real)

    def remember(self) -> None:
        """That the file is plain, until somebody else changes it."""
        if len(_plain) >= _MOST_KNOWN:
            _plain.clear()
        state = atomic.state(self.new.status if self.new is not None else self.old.status)
        if self.plain and state is not None:
            _plain[self.file.real] = state

    def take_back(self) -> None:
        with suppress(OSError):
            if self.new is not None and self.old.status is None:
                os.unlink(self.file.real)
            elif self.new is not None:
                with atomic.staged(self.file.real, [self.old.data], self.old) as old:
                    atomic.publish(old, self.file.real)

    def is_there(self) -> bool:
        return self.new is None or atomic.holds(self.file.real, self.new.status)

    def notes(self) -> Iterator[str]:
        if self.new is not None and self.old.is_changed():
            yield (
                f"another program wrote into {self.file.path} at the same time and without a lock; "
                "look whether what it wrote is there, and run it again if not"
            )
        if self.new is not None and self.file.secret and self.new.status.st_mode & 0o077:
            yield f"others may read {self.file.path}, which holds keys; close it to them: chmod 600 {self.file.path}"


def rewrite(changes: Sequence[Rewrite], timeout: float) -> list[str]:
    """Make all of *changes* or none; gives what the user should know. Raises `SinkError`."""
    with ExitStack() as held:
        for file in sorted(changes, key=lambda file: file.real):  # in the same order as everybody else
            held.enter_context(file.locked(timeout))
        for _ in range(_TRIES):
            with ExitStack() as stack:
                drafts = [stack.enter_context(file.draft()) for file in changes]
                if all(draft.is_current() for draft in drafts):
                    _publish(drafts)
                    if all(draft.is_there() for draft in drafts):
                        for draft in drafts:
                            draft.remember()
                        return [note for draft in drafts for note in draft.notes()]
    raise SinkError(
        f"{changes[-1].path} changes all the time, by a program that takes no lock; end that, and try again"
    )


def _publish(drafts: Sequence[Draft]) -> None:
    done: list[Draft] = []
    try:
        for draft in drafts:
            draft.publish()
            done.append(draft)
    except BaseException:
        for draft in done:
            draft.take_back()
        raise


def _check_text(data: bytes) -> None:
    if data.startswith(b"\xef\xbb\xbf"):
        raise Refused("it starts with a byte order mark, which some readers take as part of the text; save it without")
    if data.isascii():
        return
    with suppress(UnicodeDecodeError):  # holds all that is in the file
        data.decode()
        return
    raise Refused("it is no UTF-8 text, and some readers read no other; save it as UTF-8")


def _same(pieces: Sequence[bytes | memoryview], data: bytes) -> bool:
    at = 0
    for piece in pieces:
        if not data.startswith(piece, at):
            return False
        at += len(piece)
    return at == len(data)
