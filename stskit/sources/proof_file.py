"""Read a file that contains one proof as text."""

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
    """A source whose file was read. Its identity and its proof come from the same bytes, which are parsed once.

    Args:
        kind: Kind of proof, as a part of the cache key.
        data: Content of the file.
        options: Options of the source that decide which proof it returns.
    """

    kind: str
    data: bytes = field(repr=False)
    options: tuple[str | None, ...]
    _parse: Callable[[bytes], T] = field(repr=False)
    _judge: Callable[[T], P_co] = field(repr=False)
    _parsed: list[T] = field(init=False, factory=list, repr=False)

    @without_frames
    def read(self) -> T:
        """Return the parsed content without checking its times. Raises what the source raises."""
        if not self._parsed:
            self._parsed.append(self._parse(self.data))
        return self._parsed[0]

    @without_frames
    def fetch(self) -> P_co:
        """Return the proof. Raises what the source raises."""
        return self._judge(self.read())

    @property
    def identity(self) -> str:
        """The cache key of the bytes, which are not parsed for it. Raises nothing."""
        return digest("file", self.kind, self.data, self.options)


STANDARD_INPUT = "-"


class KeptStream:
    """The content of a stream, which can be read only once. A pickle does not contain it."""

    def __init__(self) -> None:
        self._data: bytes | None = None
        self._lock = lock_across_forks()

    def read(self, path: str, limit: int) -> bytes:
        """Return the content of a stream, which is read at the first call. Raises `OSError`."""
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
    """Return the name of a path in messages."""
    return "standard input" if path == STANDARD_INPUT else path


@without_frames
def read_proof(path: str, what: str, limit: int, *, pauses: Iterable[float] = ()) -> Secret:
    """Return the text of a file. Arguments and errors are those of `read_bytes` and `text_in`."""
    return text_in(read_bytes(path, what, limit, pauses=pauses), path, what)


@without_frames
def read_bytes(
    path: str, what: str, limit: int, *, pauses: Iterable[float] = (), stream: KeptStream | None = None
) -> bytes:
    """Return the content of a file. *what* names the expected content in errors.

    ``-`` is standard input. It and pipes are read once, and *stream* keeps their content. An empty file is read again
    after each of *pauses*, in seconds. Raises `SourceMissing` if there is no such file, and `ProofInvalid` if it has
    more than *limit* bytes or cannot be read.
    """
    stream = KeptStream() if stream is None else stream
    try:
        data = _read(path, limit, stream)
        for pause in pauses:
            if not data.strip() and not stream.has_read():
                sleep(pause)
                data = _read(path, limit, stream)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: the path contains a NUL
        full = os.path.expanduser(path)
        where = path if full == path else f"{path} ({full})"
        not_expanded = " stskit does not replace variables such as $HOME." if "$" in path else ""
        raise SourceMissing(
            f"There is no file {where}. It must contain {what}.",
            remedy=f"Check the path, or create the file first.{not_expanded}",
            path=path,
        ) from None
    except OSError as error:
        raise ProofInvalid(
            f"{display_name(path)} cannot be read: {error.strerror}. It must contain {what}.",
            remedy="Save it again as a file that you can read.",
            path=path,
        ) from None
    return data


@without_frames
def text_in(data: bytes, path: str, what: str) -> Secret:
    """Return the text of a file without byte order mark and white space around it.

    Raises `ProofInvalid` if it is empty or not text.
    """
    # The Windows shell writes redirected output as UTF-16 with a byte order mark.
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = Secret(data.decode(encoding).strip())
    except UnicodeDecodeError:  # the exception has the content, so it must not become a cause
        raise ProofInvalid(
            f"{display_name(path)} is not a text file in UTF-8. It must contain {what}.",
            remedy="Save it as text in UTF-8, not as a PDF, an image or an archive.",
            path=path,
        ) from None
    if not text:
        raise ProofInvalid(
            f"{display_name(path)} is empty. It must contain {what}.",
            remedy="Save it again, and check that something was written.",
            path=path,
        )
    return text


def permission_problem(path: str) -> str:
    """Return why other users can read or replace a file, or "" if they cannot. Raises `OSError`."""
    if path == STANDARD_INPUT:
        return ""
    real = os.path.realpath(os.path.expanduser(path))
    if "/.." in real:  # Kubernetes mounts it for this container alone
        return ""
    found = os.stat(real)
    if found.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    return "is readable by every user of this machine" if found.st_mode & 0o004 else ""


def _read(path: str, limit: int, stream: KeptStream) -> bytes:
    from stskit._io import atomic, streams

    full = os.path.expanduser(path)
    if stream.has_read() or path == STANDARD_INPUT or streams.is_pipe(full):
        return stream.read(full, limit)
    return atomic.read(full, limit)


def _read_stream(path: str, limit: int) -> bytes:
    from stskit._io import streams

    return streams.read_standard_input(limit) if path == STANDARD_INPUT else streams.read_pipe(path, limit)
