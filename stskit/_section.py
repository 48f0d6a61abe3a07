"""One section of an ini file, changed under a lock, by the smallest edit, in a temporary file and a rename."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from attrs import Factory, field, frozen

from stskit import _files, _ini
from stskit.errors import SinkError

__all__ = ["Section"]

_MAX_BYTES: Final = 64_000_000
_NEXT_STEP: Final = {
    errno.EACCES: "Give yourself the right to write there, or name another path",
    errno.EPERM: "Give yourself the right to write there, or name another path",
    errno.EROFS: "Name a path that can be written",
    errno.ENOSPC: "Make room on the disk",
    errno.EDQUOT: "Make room in your quota",
    errno.ETIMEDOUT: "Try again when it is done, or allow more time with lock_timeout",
}


@frozen
class Section:
    """One section of one file, and what shall be in it."""

    path: str
    section: str
    values: Mapping[str, str | None] = field(repr=False)
    # a link stays, and what it leads to is changed
    real: str = field(init=False, default=Factory(lambda self: os.path.realpath(self.path), takes_self=True))

    @contextmanager
    def locked(self, timeout: float) -> Iterator[None]:
        if os.path.islink(self.path) and not os.path.exists(self.real):
            raise SinkError(f"{self.path} is a link to {self.real}, which is missing; mend or remove it", self.path)
        with ExitStack() as stack:
            with self._told():
                _files.make_folder(os.path.dirname(self.real))
                stack.enter_context(_files.locked(f"{self.real}.lock", timeout))
            yield

    @contextmanager
    def staged(self) -> Iterator[str | None]:
        """The new content in a temporary file; None where the old content is what it should be."""
        with ExitStack() as stack:
            with self._told():
                old = self._read()
                new = _ini.updated(old, self.section, self.values)
                temporary = stack.enter_context(_files.staged(self.real, new.encode())) if new != old else None
            yield temporary

    def publish(self, temporary: str | None) -> None:
        if temporary is not None:
            with self._told():
                _files.publish(temporary, self.real)

    def _read(self) -> str:
        try:
            data = _files.read(self.real, _MAX_BYTES)
            if not data.startswith(b"\xef\xbb\xbf"):
                return data.decode()
            reason = "it starts with a byte order mark, and botocore reads no such file; save it without"
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError:  # holds all that is in the file
            reason = "it is no UTF-8 text, and botocore reads no other; save it as UTF-8"
        raise _ini.Refused(reason)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
            return
        except _ini.Refused as error:
            reason = str(error)
        except OSError as error:
            reason = f"{error.strerror}. {_NEXT_STEP.get(error.errno or 0, 'Mend that, or name another path')}"
        raise SinkError(f"{self.path} was not changed: {reason}", path=self.path)
