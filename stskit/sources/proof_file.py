"""Reads a file that holds one proof as text."""

from __future__ import annotations

import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable
from threading import Lock
from time import sleep

from stskit.credentials import Secret
from stskit.errors import ProofInvalid, SourceMissing, without_frames

__all__ = ["KeptStream", "display_name", "path_text", "permission_problem", "read_proof"]

STANDARD_INPUT = "-"


class KeptStream:
    """Keeps the text of a stream, which can be read only once. Its pickle is empty."""

    def __init__(self) -> None:
        self._text: Secret | None = None
        self._lock, self._process = Lock(), os.getpid()

    def read(self, path: str, limit: int) -> Secret:
        """Return the text of the stream at *path*, which is read at the first call; raise `OSError` as it does."""
        if self._process != os.getpid():  # another thread of the parent may have held the lock when this was forked
            self._lock, self._process = Lock(), os.getpid()
        with self._lock:
            if self._text is None:
                self._text = _read_stream(path, limit)
            return self._text

    def has_read(self) -> bool:
        """Return whether the stream has been read."""
        return self._text is not None

    def __reduce__(self) -> tuple[type[KeptStream], tuple[()]]:
        return type(self), ()

    def __deepcopy__(self, _memo: object) -> KeptStream:
        return self


def display_name(path: str) -> str:
    """Return *path* as messages name it."""
    return "standard input" if path == STANDARD_INPUT else path


def path_text(path: str | os.PathLike[str]) -> str:
    """*path* as text; typed for what it takes, which `os.fspath` is not in the eyes of mypy."""
    return os.fspath(path)


@without_frames
def read_proof(
    path: str, what: str, limit: int, *, pauses: Iterable[float] = (), stream: KeptStream | None = None
) -> Secret:
    """Return the text in *path*, without byte order mark and blanks around it; *what* it should be is for the errors.

    ``-`` is standard input. It and pipes are read once, and *stream* keeps their text. While a file is empty it is read
    again, after each of *pauses*, in seconds. Raises `SourceMissing` if there is no such file, `ProofInvalid` if it is
    empty, over *limit* bytes or unreadable.
    """
    name = display_name(path)
    stream = KeptStream() if stream is None else stream
    try:
        text = _read(path, limit, stream)
        for pause in pauses:
            if not text and not stream.has_read():
                sleep(pause)
                text = _read(path, limit, stream)
    except UnicodeDecodeError:  # it holds the file's content, so no error may keep it
        raise ProofInvalid(
            f"{name} is no text in UTF-8; it should hold {what}.", remedy="Save it again as plain text", path=path
        ) from None
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: no path can have a NUL
        raise SourceMissing(
            f"there is no file {path}; it should hold {what}.",
            remedy="Check the path, or make the file first",
            path=path,
        ) from None
    except OSError as error:
        raise ProofInvalid(
            f"{name} cannot be read: {error.strerror}; it should hold {what}.",
            remedy="Save it again as a file that you may read",
            path=path,
        ) from None
    if not text:
        raise ProofInvalid(
            f"{name} is empty; it should hold {what}.",
            remedy="Save it again, and look whether something was written",
            path=path,
        )
    return text


def permission_problem(path: str) -> str:
    """Say why other users can read or replace the secret in *path*; "" where they cannot. Raises `OSError`."""
    if path == STANDARD_INPUT:
        return ""
    real = os.path.realpath(os.path.expanduser(path))
    if "/.." in real:  # where Kubernetes puts it, for this container alone: whoever runs in it can change nothing there
        return ""
    found = os.stat(real)
    if found.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    return "can be read by every user of this machine" if found.st_mode & 0o004 else ""


def _read(path: str, limit: int, stream: KeptStream) -> Secret:
    from stskit._io import atomic, streams

    full = os.path.expanduser(path)
    if stream.has_read() or path == STANDARD_INPUT or streams.is_pipe(full):
        return stream.read(full, limit)
    return _text(atomic.read(full, limit))


def _read_stream(path: str, limit: int) -> Secret:
    from stskit._io import streams

    data = streams.read_standard_input(limit) if path == STANDARD_INPUT else streams.read_pipe(path, limit)
    return _text(data)


def _text(data: bytes) -> Secret:
    # The shell of Windows redirects into UTF-16, with a byte order mark.
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return Secret(data.decode(encoding).strip())
