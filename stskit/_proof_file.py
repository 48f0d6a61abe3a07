"""Reads a file that holds one proof as text."""

from __future__ import annotations

import os

from stskit import _files
from stskit.errors import ProofInvalid, SourceError, SourceMissing
from stskit.identity import Secret

__all__ = ["path_text", "read_proof"]


def path_text(path: str | os.PathLike[str]) -> str:
    """*path* as text; typed for what it takes, which `os.fspath` is not in the eyes of mypy."""
    return os.fspath(path)


def read_proof(path: str, what: str, limit: int) -> Secret:
    """The text in *path*, without byte order mark and the blanks around it; *what* it should be is for the errors.

    Raises `SourceMissing` where there is no such file, `ProofInvalid` where it is empty, over *limit* bytes or
    unreadable.
    """
    try:
        text = _text(_files.read(os.path.expanduser(path), limit))
        problem: SourceError = ProofInvalid(
            f"{path} is empty; it should hold {what}. Save it again, and look whether something was written"
        )
        if text:
            return text
    except (FileNotFoundError, NotADirectoryError):
        problem = SourceMissing(
            f"there is no file {path}; it should hold {what}. Check the path, or make the file first"
        )
    except UnicodeDecodeError:  # it holds the file's content, so no error may keep it
        problem = ProofInvalid(f"{path} is no text in UTF-8; it should hold {what}. Save it again as plain text")
    except OSError as error:
        problem = ProofInvalid(f"{path} cannot be read: {error.strerror}. It should hold {what}")
    raise problem


def _text(data: bytes) -> Secret:
    from codecs import BOM_UTF16_BE, BOM_UTF16_LE

    # The shell of Windows redirects into UTF-16, with a byte order mark.
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return Secret(data.decode(encoding).strip())
