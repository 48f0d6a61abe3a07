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
        text = Secret(_files.read(os.path.expanduser(path), limit).decode("utf-8-sig").strip())
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
        problem = ProofInvalid(f"{path} is no UTF-8 text; it should hold {what}. Save it again as plain text")
    except OSError as error:
        problem = ProofInvalid(f"{path} cannot be read: {error.strerror}. It should hold {what}")
    raise problem
