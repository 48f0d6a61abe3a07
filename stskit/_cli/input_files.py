"""Files that an option names and that are no proof by themselves: keys and policies; ``-`` is standard input."""

from __future__ import annotations

import json
import sys
from typing import Final

from stskit.credentials import Credentials
from stskit.errors import ProofInvalid
from stskit.sources.proof_file import read_proof

__all__ = ["credentials_in", "text_in"]

_MOST: Final = 100_000  # bytes


def text_in(path: str, what: str) -> str:
    """The text in *path*; *what* it should be is for the errors. Raises `SourceError` where there is none."""
    return sys.stdin.read(_MOST) if path == "-" else read_proof(path, what, _MOST)


def credentials_in(path: str) -> Credentials:
    """The credentials in *path*, in JSON. Raises `SourceError`, which tells nothing of the text."""
    text = text_in(path, "credentials in JSON, as aws sts prints them")
    try:
        return Credentials.from_dict(json.loads(text))
    except ProofInvalid as error:
        problem = str(error).partition(";")[0]
    except (ValueError, RecursionError):  # it holds the text, so no error may keep it
        problem = "it is no JSON"
    name = "standard input" if path == "-" else path
    raise ProofInvalid(f"{name} holds no credentials: {problem}; save there what aws sts prints")
