"""A deadline for work that has none of its own, such as the look-up of a name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

__all__ = ["run_with_deadline"]

T = TypeVar("T")


def run_with_deadline(seconds: float, work: Callable[[], T]) -> T:
    """Run *work* in another thread, and return or raise its result; raise `TimeoutError` after *seconds*.

    A result that comes later is lost.

    The socket's own time-outs cannot do it: they begin anew with each attempt and each piece of an answer, and looking
    up a name has none.
    """
    results: list[T] = []
    problems: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it was waited for
            problems.append(error)
        done.set()

    threading.Thread(target=copy_context().run, args=(run,), name="stskit-doctor", daemon=True).start()
    if not done.wait(seconds):
        raise TimeoutError
    for problem in problems:
        raise problem
    return results[0]
