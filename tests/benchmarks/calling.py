"""Areas 3 and 4: the cost of a further call, and of a thousand calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import evolve
from clients import SESSIONS, request, stskit_recipe
from fresh import Home, home
from measures import OURS, Measured, Results, Setup, measured, turns
from stub import stub

NAIVE, SHARED = "boto3, a session for each", "boto3, one client and threads"
WORKERS = 32


def warm_call(setup: Setup) -> list[Measured]:
    with stub(0) as url, home(url) as place:
        results = place.call("calling", "processor_time", 20 if setup.quick else 100, 3 * setup.rounds)
    return measured("warm call", "processor time of a call", "ms", results, lambda seconds: seconds * 1000)


def processor_time(number: int, rounds: int) -> Results:
    """Return the processor seconds for each of *number* calls, in turns in one process."""
    import boto3
    from botocore.session import get_session

    theirs: Any = get_session().create_client("sts")
    high = boto3.client("sts")
    ways: dict[str, Callable[[], object]] = {
        OURS: stskit_recipe("R").fetch,
        "botocore": lambda: theirs.assume_role(**request("R")),
        "boto3": lambda: high.assume_role(**request("R")),
    }

    def block(call: Callable[[], object]) -> float:
        start = time.process_time()
        for _ in range(number):
            call()
        return (time.process_time() - start) / number

    return turns({name: partial(block, call) for name, call in ways.items()}, rounds)


def bulk(setup: Setup) -> list[Measured]:
    many, few = (100, 5) if setup.quick else (1000, 40)
    with stub(30) as url, home(url) as place:
        aio = place.by(setup.pythons.get("aiobotocore"))
        ways = {
            OURS: partial(each_role, place, f"bulk_stskit({many}, {WORKERS})", many),
            NAIVE: partial(each_role, place, f"bulk_naive({few}, 1)", few),
            SHARED: partial(each_role, place, f"bulk_shared({many}, {WORKERS})", many),
            **{name: partial(each_role, place, f"bulk_session({name!r}, {few})", few) for name in SESSIONS},
            "aiobotocore": partial(each_role, aio, f"bulk_aiobotocore({many}, {WORKERS})", many),
        }
        results = turns(setup.present(ways), 1 if setup.quick else setup.rounds, warm_up=0)
        curve = [] if setup.quick else by_workers(place, setup.rounds)
    return [
        *measured("bulk", "each of 1,000 roles, 30 ms server", "ms", results, lambda pair: float(pair[0])),
        *measured("bulk", "peak of memory", "MiB", results, lambda pair: float(pair[1])),
        *curve,
    ]


def each_role(place: Home, way: str, number: int) -> tuple[float, float]:
    """Return the milliseconds for each role with the start of the process, and the peak memory in MiB."""
    start = time.perf_counter()
    peak = place.run("-c", f"import clients; clients.{way}; print(clients.peak())")
    return (time.perf_counter() - start) * 1000 / number, float(peak)


def by_workers(place: Home, rounds: int) -> list[Measured]:
    """Return the milliseconds for each of 250 roles, by number of workers."""
    found: list[Measured] = []
    for workers in (1, 2, 4, 8, 16, WORKERS):
        calls = {OURS: "bulk_stskit", SHARED: "bulk_shared"}
        ways = {way: partial(each_role, place, f"{call}(250, {workers})", 250) for way, call in calls.items()}
        results = turns(
            ways, rounds if workers >= 8 else 1, warm_up=0
        )  # with few, it is the server that takes the time
        each = measured("bulk", "by workers", "ms", results, lambda pair: float(pair[0]))
        found += [evolve(one, at=workers, listed=False) for one in each]
    return found
