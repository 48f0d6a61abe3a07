"""Work in a forked child, for tests: bounded in time, and what goes wrong there is told here."""

from __future__ import annotations

import os
import select
import signal
import traceback
from collections.abc import Callable
from threading import Event

SECONDS = 2  # within which a child must be able to work


def in_child(work: Callable[[], object], forked: Event | None = None) -> str:
    """What *work* gives in a forked child, as text. Raises `AssertionError` where it fails or takes too long."""
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
