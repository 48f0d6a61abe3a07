"""Read standard input and pipes to their end, with a size limit. These functions raise `OSError`."""

from __future__ import annotations

import os
import stat
import sys
from errno import EFBIG, ETIMEDOUT
from select import poll
from typing import Final

__all__ = ["SECONDS_FOR_A_WRITER", "is_pipe", "read_pipe", "read_standard_input"]

SECONDS_FOR_A_WRITER: Final = 5
_CHUNK: Final = 65_536


def is_pipe(path: str) -> bool:
    """Return whether *path* is a pipe, also one that a shell made for ``<(command)``."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):  # opening it reports this later
        return False


def read_standard_input(limit: int) -> bytes:
    """Return all of standard input. Raise `OSError` for more than *limit* bytes."""
    if sys.stdin is None:
        return b""
    buffer = getattr(sys.stdin, "buffer", None)  # a test may have replaced it by a text stream
    data: bytes = buffer.read(limit + 1) if buffer else sys.stdin.read(limit + 1).encode("utf-8", "surrogateescape")
    return _bounded(data, limit)


def read_pipe(path: str, limit: int) -> bytes:
    """Return everything from a pipe. Raise `OSError` for more than *limit* bytes.

    While a program has the pipe open for writing, this waits without a limit, because that program may ask its user for
    input. If no program opens it within `SECONDS_FOR_A_WRITER`, this raises `TimeoutError`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    try:
        return _bounded(b"".join(_chunks(descriptor, limit)), limit)
    finally:
        os.close(descriptor)


def _chunks(descriptor: int, limit: int) -> list[bytes]:
    chunks: list[bytes] = []
    size = 0
    waiting = poll()
    waiting.register(descriptor)
    has_writer = is_over = False
    while size <= limit:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:  # a program has it open and has not written yet
            has_writer = True
            waiting.poll()
            continue
        if chunk:
            has_writer = True
            chunks.append(chunk)
            size += len(chunk)
        elif has_writer:
            break
        elif is_over:
            wait = f"no program opened it for writing within {SECONDS_FOR_A_WRITER} seconds"
            raise TimeoutError(ETIMEDOUT, f"it is not a regular file, and {wait}")
        else:
            is_over = not waiting.poll(SECONDS_FOR_A_WRITER * 1000)
            has_writer = not is_over
    return chunks


def _bounded(data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise OSError(EFBIG, f"it is larger than {limit:,} bytes")
    return data
