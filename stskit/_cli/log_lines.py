"""The log records of stskit as lines on standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from stskit._cli.formatting import printable

__all__ = ["log_lines"]


@contextmanager
def log_lines() -> Iterator[None]:
    """Write each record, from INFO on, to standard error in one line.

    Warnings are written at the end, and only if no error ends the command: it says the same.
    """
    handler = _Handler()
    handler.setFormatter(_LineFormatter())
    logger = logging.getLogger("stskit")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
        handler.write_warnings()
    finally:
        logger.removeHandler(handler)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes records to standard error; those from WARNING on when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._warnings: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._warnings.append(record)
        elif not hasattr(record, "refresh"):  # the result of the command says that it has credentials
            super().emit(record)

    def write_warnings(self) -> None:
        for record in self._warnings:
            super().emit(record)


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one line, as errors have it."""
        return printable(f"stskit: {record.getMessage()}")
