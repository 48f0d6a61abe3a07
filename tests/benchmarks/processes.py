"""Area 5, second part: the number of calls of many processes that start at the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from multiprocessing import get_context
from typing import Any

from attrs import evolve
from clients import stskit_recipe
from crowds import PROFILE, counted, crowd, session_of
from fresh import home
from measures import OURS, Measured, Setup, turns
from stub import calls, stub

PROCESSES = 8
PROFILE_CACHE, CLI = "boto3, the same and JSONFileCache", "AWS CLI"


def process_crowds(setup: Setup) -> list[Measured]:
    ways = [OURS] if setup.quick else list(setup.present(dict.fromkeys([OURS, PROFILE, PROFILE_CACHE, CLI])))
    found: list[Measured] = []
    numbers = count()
    with stub() as url, home(url) as place:

        def run(way: str, size: int) -> Any:
            return place.call("processes", "many", way, size, f"cache{next(numbers)}")

        for size in [PROCESSES] if setup.quick else [1, 2, 4, PROCESSES]:
            rounds = setup.rounds if size == PROCESSES and not setup.quick else 1
            results = turns({way: partial(run, way, size) for way in ways}, rounds, warm_up=0)
            what, listed = f"{size} processes of 4 threads, with a cache", size == PROCESSES
            found += [
                evolve(each, at=size if each.unit == "calls" else None, listed=listed)
                for each in counted(what, results)
            ]
    return found


def many(way: str, number: int, folder: str) -> tuple[int, int]:
    """Return the calls and errors of *number* processes that start at the same moment with an empty cache."""
    os.mkdir(folder := os.path.abspath(folder), 0o700)
    url, context = os.environ["AWS_ENDPOINT_URL_STS"], get_context("spawn")
    before, start, errors = calls(url), context.Barrier(number), context.SimpleQueue()
    workers = [context.Process(target=worker, args=(way, folder, start, errors)) for _ in range(number)]
    for each in workers:
        each.start()
    total = sum(int(errors.get()) for _ in workers)
    for each in workers:
        each.join()
    return calls(url) - before, total


def worker(way: str, folder: str, start: Any, errors: Any) -> None:
    if way == CLI:
        command = [sys.executable, "-m", "awscli", "sts", "get-caller-identity", "--profile", "role"]
        start.wait()
        environment = os.environ | {"HOME": folder}
        errors.put(subprocess.run(command, env=environment, capture_output=True, check=False).returncode != 0)
        return
    read = reader(way, folder)
    start.wait()
    errors.put(crowd(read, 4).count(None))


def reader(way: str, folder: str) -> Callable[[], object]:
    if way == OURS:
        from stskit import Cached
        from stskit.caches import FileCache

        return Cached(stskit_recipe("R"), FileCache(folder)).fetch
    session = session_of(PROFILE)
    if way == PROFILE_CACHE:
        from botocore.utils import JSONFileCache

        provider = session._session.get_component("credential_provider").get_provider("assume-role")
        provider.cache = JSONFileCache(folder)
    return lambda: session.get_credentials().get_frozen_credentials()
