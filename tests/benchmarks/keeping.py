"""Areas 6 and 7: the cost of reading fresh credentials, and of keeping many that refresh themselves."""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from timeit import timeit
from typing import Any

from clients import ARN, SESSIONS, stskit_recipe
from fresh import home
from measures import OURS, Measured, Results, Setup, measured, turns
from stub import stub


def hot_path(setup: Setup) -> list[Measured]:
    with home() as place:
        results = place.call("keeping", "reads", 200 if setup.quick else 20_000, 3 * setup.rounds)
    rest = {name: values for name, values in results.items() if name not in ("Cached", "session")}
    return [
        *measured("hot path", "a session's fresh credentials", "ns", {OURS: results["session"]} | rest),
        *measured("hot path", "Cached.fetch()", "ns", {OURS: results["Cached"]} | rest),
    ]


def reads(number: int, rounds: int) -> Results:
    """Return the nanoseconds of a read, in turns in one process."""
    from botocore.credentials import Credentials as Fixed
    from botocore.credentials import RefreshableCredentials

    from stskit import Cached, Credentials
    from stskit.sinks import BotocoreSession
    from stskit.sources import Static

    end = datetime.now(UTC) + timedelta(hours=2)
    keys = {"access_key": "AKIA", "secret_key": "s" * 40, "token": "t" * 400, "expiry_time": end.isoformat()}
    cached = Cached(Static(Credentials("AKIA", "s" * 40, "t" * 400, end)))
    live: Any = cached.to(BotocoreSession()).get_credentials()
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "session": (live.get_frozen_credentials, 10),
        "Cached": (cached.fetch, 10),
        "botocore": (
            RefreshableCredentials.create_from_metadata(keys, lambda: keys, "benchmark").get_frozen_credentials,
            1,
        ),
        "botocore, keys that never end": (Fixed("AKIA", "s" * 40, "t" * 400).get_frozen_credentials, 10),
    }

    def nanoseconds(read: Callable[[], object], times: int) -> float:
        return timeit(read, number=number * times) / (number * times) * 1e9

    run = {name: partial(nanoseconds, read, times) for name, (read, times) in ways.items()}
    return turns(run, rounds)


def memory(setup: Setup) -> list[Measured]:
    many, some, few = (100, 20, 3) if setup.quick else (1000, 100, 20)
    peers = setup.present(dict.fromkeys(SESSIONS, ""))
    with stub(0) as url, home(url) as place:

        def weight(way: str, number: int) -> Callable[[], Any]:
            return lambda: place.call("keeping", "weigh", way, number)

        roles = turns({OURS: weight("role", many)}, 1, warm_up=0)
        sessions = turns(
            {
                OURS: weight("session", some),
                "boto3, a session with an STS client": weight("naive", few),
                **{name: weight(name, few) for name in peers},
            },
            1,
            warm_up=0,
        )
    return [
        *measured("memory", "1,000 roles that refresh themselves", "MiB", roles, lambda each: each * 1000 / 1024),
        *measured("memory", "a boto3 session of such a role", "KiB", sessions),
    ]


def weigh(way: str, number: int) -> float:
    """Return the private KiB of this process for each of *number* objects, after some first ones."""
    make = maker(way)
    kept = [make(each) for each in range(-3, 0)]
    before = private()
    kept += [make(each) for each in range(number)]
    return (private() - before) / number


def private() -> float:
    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        return sum(float(line.split()[1]) for line in file if line.startswith("Private_Dirty"))


def maker(way: str) -> Callable[[int], object]:
    import boto3

    if way in SESSIONS:
        parent = boto3.session.Session()
        return lambda number: used(SESSIONS[way](f"s{number}", parent))
    if way == "naive":
        return lambda number: (session := boto3.session.Session(), session.client("sts"))
    from attrs import evolve

    from stskit import Cached
    from stskit.sinks import Boto3Session

    recipe = stskit_recipe("R")
    if way == "session":
        return lambda number: used(evolve(recipe, role=f"{ARN}s{number}").to(Boto3Session("us-east-1")))
    return lambda number: ((cached := Cached(evolve(recipe, role=f"{ARN}m{number}"))), cached.fetch())[0]


def used(session: Any) -> Any:
    """Return a session with its credentials."""
    session.get_credentials().get_frozen_credentials()
    return session
