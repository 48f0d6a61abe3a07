"""Write the log records of stskit to standard error, each on one line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from stskit._cli.formatting import printable

__all__ = ["log_lines"]


@contextmanager
def log_lines() -> Iterator[None]:
    """Write log records of INFO and above to standard error.

    Warnings are written at the end, and not if an error ends the command, because the error says the same.
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
    """A handler that writes records to standard error, and keeps warnings until `write_warnings` is called."""

    def __init__(self) -> None:
        super().__init__()
        self._warnings: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._warnings.append(record)
        elif not hasattr(record, "refresh"):  # a refresh is not reported, because the result of the command is
            super().emit(record)

    def write_warnings(self) -> None:
        for record in self._warnings:
            super().emit(record)


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one line in the form of an error."""
        return printable(f"stskit: {record.getMessage()}")
