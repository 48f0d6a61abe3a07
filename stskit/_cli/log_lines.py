"""The log records of stskit as lines on standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from stskit._cli.formatting import printable

__all__ = ["log_lines"]


@contextmanager
def log_lines() -> Iterator[None]:
    """Write each record, from INFO on, to standard error in one line."""
    handler = logging.StreamHandler()
    handler.setFormatter(_LineFormatter())
    logger = logging.getLogger("stskit")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one line, as errors have it."""
        return printable(f"stskit: {record.getMessage()}")
