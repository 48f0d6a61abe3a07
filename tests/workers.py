"""Programs with several processes for tests: `python workers.py NAME URL FOLDER` prints their results as JSON.

They are separate programs, so that no threads of a test are forked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

from stskit import AssumedRole, Cached, Credentials
from stskit.caches import FileCache
from stskit.sinks import BotocoreSession
from stskit.sources import Static
from stskit.sts import BotocoreSTS

PROCESSES, THREADS, ROUNDS, MANY = 8, 4, 20, 50


def recipe(url: str, name: str) -> AssumedRole:
    """Return the recipe of the role with this name at a server of the test."""
    source, sts = Static(Credentials("AKIABASE", "secret")), BotocoreSTS("us-east-1", endpoint_url=url)
    return AssumedRole(f"arn:aws:iam::123456789012:role/{name}", source=source, sts=sts)


def key(source: AssumedRole | Cached) -> str:
    """Return the session token that a worker gets, or the text of its error."""
    try:
        keys = source.to(BotocoreSession()).get_credentials()
        assert keys
        return str(keys.get_frozen_credentials().token)
    except Exception as error:
        return f"error: {error!r}"


def cold_start(url: str, folder: str, processes: int, rounds: int) -> list[list[str]]:
    """Start several processes with several threads at the same time on an empty cache; return the results of each
    round.
    """
    context = get_context("fork")
    results, barrier = context.SimpleQueue(), context.Barrier(processes)
    workers = [context.Process(target=work, args=(url, folder, rounds, barrier, results.put)) for _ in range(processes)]
    for each in workers:
        each.start()
    seen: list[list[str]] = [[] for _ in range(rounds)]
    for _ in range(processes * rounds):
        number, keys = results.get()
        seen[number] += keys
    for each in workers:
        each.join()
    return seen


def work(url: str, folder: str, rounds: int, barrier: Barrier, tell: Callable[[tuple[int, list[str]]], None]) -> None:
    for number in range(rounds):
        source = Cached(recipe(url, f"r{number}"), FileCache(folder))
        barrier.wait(60)
        with ThreadPoolExecutor(THREADS) as pool:
            tell((number, list(pool.map(key, [source] * THREADS))))


def pool(url: str, folder: str, method: str) -> list[str]:
    """Send a recipe, and a recipe with a file cache, to the workers of an executor eight times each."""
    plain = recipe(url, "plain")
    tasks = [plain] * 8 + [Cached(recipe(url, "cached"), FileCache(folder))] * 8
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as executor:
        return list(executor.map(key, tasks))


def main(name: str, url: str, folder: str, more: Sequence[str]) -> object:
    match name:
        case "cold-start":
            return cold_start(url, folder, PROCESSES, ROUNDS)
        case "many":
            return cold_start(url, folder, MANY, 1)
        case "pool":
            return pool(url, folder, *more)
        case "one":
            return key(Cached(recipe(url, "r"), FileCache(folder, lock_timeout=float(*more))))
    raise ValueError(name)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])))  # noqa: T201
