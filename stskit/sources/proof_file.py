"""Reads a file that holds one proof as text."""

from __future__ import annotations

import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable
from time import sleep

from stskit.credentials import Secret
from stskit.errors import ProofInvalid, SourceMissing, without_frames

__all__ = ["permission_problem", "read_proof"]


@without_frames
def read_proof(path: str, what: str, limit: int, *, pauses: Iterable[float] = ()) -> Secret:
    """The text in *path*, without byte order mark and the blanks around it; *what* it should be is for the errors.

    While it is empty it is read again, after each of *pauses*, in seconds. Raises `SourceMissing` where there is no
    such file, `ProofInvalid` where it is empty, over *limit* bytes or unreadable.
    """
    try:
        text = _read(path, limit)
        for pause in pauses:
            if not text:
                sleep(pause)
                text = _read(path, limit)
    except UnicodeDecodeError:  # it holds the file's content, so no error may keep it
        raise ProofInvalid(
            f"{path} is no text in UTF-8; it should hold {what}.", remedy="Save it again as plain text", path=path
        ) from None
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: no path can have a NUL
        raise SourceMissing(
            f"there is no file {path}; it should hold {what}.",
            remedy="Check the path, or make the file first",
            path=path,
        ) from None
    except OSError as error:
        raise ProofInvalid(
            f"{path} cannot be read: {error.strerror}; it should hold {what}.",
            remedy="Save it again as a file that you may read",
            path=path,
        ) from None
    if not text:
        raise ProofInvalid(
            f"{path} is empty; it should hold {what}.",
            remedy="Save it again, and look whether something was written",
            path=path,
        )
    return text


def permission_problem(path: str) -> str:
    """Say why other users can read or replace the secret in *path*; "" where they cannot. Raises `OSError`."""
    real = os.path.realpath(os.path.expanduser(path))
    if "/.." in real:  # where Kubernetes puts it, for this container alone: whoever runs in it can change nothing there
        return ""
    found = os.stat(real)
    if found.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    return "can be read by every user of this machine" if found.st_mode & 0o004 else ""


def _read(path: str, limit: int) -> Secret:
    from stskit._io import atomic

    data = atomic.read(os.path.expanduser(path), limit)
    # The shell of Windows redirects into UTF-16, with a byte order mark.
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return Secret(data.decode(encoding).strip())
