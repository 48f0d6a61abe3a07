"""Reads a file that holds one proof as text."""

from __future__ import annotations

import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable
from time import sleep
from typing import Generic, TypeVar

from attrs import define, field

from stskit._io.fork import lock_across_forks
from stskit.cache_key import digest
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, SourceMissing, without_frames

__all__ = [
    "FileSnapshot",
    "KeptStream",
    "display_name",
    "permission_problem",
    "read_bytes",
    "read_proof",
    "text_in",
]

P_co = TypeVar("P_co", covariant=True)
T = TypeVar("T")


@define(eq=False)
class FileSnapshot(Generic[T, P_co]):
    """A source whose file has been read: its identity and its proof come from the same bytes, which are parsed once.

    `options`: what else of the source decides which proof it returns.
    """

    kind: str
    data: bytes = field(repr=False)
    options: tuple[str | None, ...]
    _parse: Callable[[bytes], T] = field(repr=False)
    _judge: Callable[[T], P_co] = field(repr=False)
    _parsed: list[T] = field(init=False, factory=list, repr=False)

    @without_frames
    def read(self) -> T:
        """Return what is in the file as it was read, without judging it. Raises what the source does."""
        if not self._parsed:
            self._parsed.append(self._parse(self.data))
        return self._parsed[0]

    @without_frames
    def fetch(self) -> P_co:
        """Return the proof in the file as it was read. Raises what the source does."""
        return self._judge(self.read())

    @property
    def identity(self) -> str:
        """A key for the bytes of the file, without a look into them. Raises nothing."""
        return digest("file", self.kind, self.data, self.options)


STANDARD_INPUT = "-"


class KeptStream:
    """Keeps the content of a stream, which can be read only once. Its pickle is empty."""

    def __init__(self) -> None:
        self._data: bytes | None = None
        self._lock = lock_across_forks()

    def read(self, path: str, limit: int) -> bytes:
        """Return the content of the stream at *path*, which is read at the first call; raise `OSError` as it does."""
        with self._lock:
            if self._data is None:
                self._data = _read_stream(path, limit)
            return self._data

    def has_read(self) -> bool:
        """Return whether the stream has been read."""
        return self._data is not None

    def __reduce__(self) -> tuple[type[KeptStream], tuple[()]]:
        return type(self), ()

    def __deepcopy__(self, _memo: object) -> KeptStream:
        return self


def display_name(path: str) -> str:
    """Return *path* as messages name it."""
    return "standard input" if path == STANDARD_INPUT else path


@without_frames
def read_proof(path: str, what: str, limit: int, *, pauses: Iterable[float] = ()) -> Secret:
    """The text in *path*, without byte order mark and the blanks around it. Arguments and errors as of `read_bytes` and
    `text_in`.
    """
    return text_in(read_bytes(path, what, limit, pauses=pauses), path, what)


@without_frames
def read_bytes(
    path: str, what: str, limit: int, *, pauses: Iterable[float] = (), stream: KeptStream | None = None
) -> bytes:
    """Return the content of *path*; *what* it should be is for the errors.

    ``-`` is standard input. It and pipes are read once, and *stream* keeps what they held. While a file is empty it is
    read again, after each of *pauses*, in seconds. Raises `SourceMissing` if there is no such file, `ProofInvalid` if
    it is over *limit* bytes or cannot be read.
    """
    stream = KeptStream() if stream is None else stream
    try:
        data = _read(path, limit, stream)
        for pause in pauses:
            if not data.strip() and not stream.has_read():
                sleep(pause)
                data = _read(path, limit, stream)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: no path can have a NUL
        raise SourceMissing(
            f"there is no file {path}; it should hold {what}.",
            remedy="Check the path, or make the file first",
            path=path,
        ) from None
    except OSError as error:
        raise ProofInvalid(
            f"{display_name(path)} cannot be read: {error.strerror}; it should hold {what}.",
            remedy="Save it again as a file that you may read",
            path=path,
        ) from None
    return data


@without_frames
def text_in(data: bytes, path: str, what: str) -> Secret:
    """Return the text that *data* of *path* is, without byte order mark and the blanks around it.

    Raises `ProofInvalid` where it is empty or not text.
    """
    # The shell of Windows redirects into UTF-16, with a byte order mark.
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = Secret(data.decode(encoding).strip())
    except UnicodeDecodeError:  # it holds the file's content, so no error may keep it
        raise ProofInvalid(
            f"{display_name(path)} is no text in UTF-8; it should hold {what}.",
            remedy="Save it again as plain text",
            path=path,
        ) from None
    if not text:
        raise ProofInvalid(
            f"{display_name(path)} is empty; it should hold {what}.",
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


def _read(path: str, limit: int, stream: KeptStream) -> bytes:
    from stskit._io import atomic, streams

    full = os.path.expanduser(path)
    if stream.has_read() or path == STANDARD_INPUT or streams.is_pipe(full):
        return stream.read(full, limit)
    return atomic.read(full, limit)


def _read_stream(path: str, limit: int) -> bytes:
    from stskit._io import streams

    return streams.read_standard_input(limit) if path == STANDARD_INPUT else streams.read_pipe(path, limit)
