"""Run a function in a forked child, with a time limit, and report its failure in the parent."""

from __future__ import annotations

import os
import select
import signal
import traceback
from collections.abc import Callable
from threading import Event

SECONDS = 2  # time limit of a child


def in_child(work: Callable[[], object], forked: Event | None = None) -> str:
    """Return the result of *work* in a forked child as text.

    Raises `AssertionError` if the work fails or takes too long.
    """
    here, there = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = f"+{work()}"
        except BaseException:
            said = f"-{traceback.format_exc()}"
        os.write(there, said.encode())
        os._exit(0)
    os.close(there)
    if forked:
        forked.set()
    ready, _, _ = select.select([here], [], [], SECONDS)
    said = os.read(here, 100_000).decode() if ready else "-it hangs"
    os.close(here)
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert said.startswith("+"), said
    return said[1:]
