"""Run work with a deadline, for work without a time limit of its own, such as a name lookup."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

__all__ = ["run_with_deadline"]

T = TypeVar("T")


def run_with_deadline(seconds: float, work: Callable[[], T]) -> T:
    """Run *work* in another thread, and return or raise its result. Raise `TimeoutError` after *seconds*.

    A later result is lost. Time limits of a socket are not enough: they start again with each attempt and each part of
    a response, and a name lookup has none.
    """
    results: list[T] = []
    problems: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            problems.append(error)
        done.set()

    threading.Thread(target=copy_context().run, args=(run,), name="stskit-doctor", daemon=True).start()
    if not done.wait(seconds):
        raise TimeoutError
    for problem in problems:
        raise problem
    return results[0]
