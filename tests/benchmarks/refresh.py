"""Refresh, in one run: how many calls a crowd makes, what a fresh read costs, and what a role weighs.

    python tests/benchmarks/refresh.py [contention] [reads] [memory]

A stub of STS, in a process of its own, answers each call after 30 ms and counts. Calls and errors are exact; times are
ratios to botocore's own refreshable credentials, in turns within one process; memory is what a process has for itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from statistics import median
from threading import Barrier
from typing import Any

from bulk import counts

THREADS, PROCESSES, ROUNDS = 100, 8, 20
ARN = "arn:aws:iam::123456789012:role/"


@contextmanager
def stub(delay: int = 30) -> Iterator[int]:
    """The port of a stub of STS that answers after *delay* milliseconds."""
    command = [
        sys.executable,
        os.path.join(os.path.dirname(__file__), "bulk.py"),
        "--way",
        "stub",
        "--delay",
        str(delay),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def recipe(port: int, name: str) -> Any:
    from stskit import AssumedRole, Credentials
    from stskit.sources import Static
    from stskit.sts import BotocoreSTS

    sts = BotocoreSTS("us-east-1", endpoint_url=f"http://127.0.0.1:{port}")
    return AssumedRole(ARN + name, source=Static(Credentials("AKIAEXAMPLE", "secret")), sts=sts)


def crowd(read: Callable[[], object], threads: int = THREADS) -> int:
    """Have many threads *read* at the same moment; how many of them got an error."""
    start = Barrier(threads)

    def one(_: int) -> bool:
        start.wait()
        try:
            read()
        except Exception:
            return True
        return False

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(one, range(threads)))


# Contention --------------------------------------------------------------------------------------------------------


class Moved:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> Any:
        from datetime import UTC, datetime, timedelta

        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def first_use(port: int) -> Callable[[], object]:
    from stskit import Cached

    return Cached(recipe(port, "first")).fetch


def expired(port: int) -> Callable[[], object]:
    from stskit import Cached

    cached = Cached(recipe(port, "expired"), clock=(clock := Moved()))
    cached.fetch()
    clock.ahead = 3590  # the last ten seconds: what comes is fresh by the real clock
    return cached.fetch


def first_look(port: int) -> Callable[[], object]:
    from stskit.sinks import Boto3Session

    session = recipe(port, "look").to(Boto3Session("us-east-1"))
    return lambda: session.get_credentials().get_frozen_credentials()


def profile_session() -> Any:
    """What boto3 makes of a profile that names a role."""
    import boto3

    return boto3.session.Session(profile_name="role", region_name="us-east-1")


def botocores_first_look(_port: int) -> Callable[[], object]:
    session = profile_session()
    return lambda: session.get_credentials().get_frozen_credentials()


def contention() -> None:
    print(f"\n{'contention, 30 ms server':58}{'STS calls':>12}{'errors':>9}")
    with stub() as port, tempfile.TemporaryDirectory() as folder:
        configure(folder, port)
        for name, make in {
            "100 threads, Cached, first use": first_use,
            "100 threads, Cached, expired": expired,
            "100 threads, a session's first get_credentials()": first_look,
            "100 threads, the same of boto3 with a profile": botocores_first_look,
        }.items():
            calls, errors = counted(port, partial(crowd, make(port)))
            print(f"{name:58}{calls:12}{errors:9}")
        for name, way, rounds in (
            ("8 processes x 4 threads, cold FileCache, each of 20 rounds", ours, ROUNDS),
            ("8 processes x 4 threads, boto3 with a profile, 3 rounds", botocores, 3),
        ):
            seen = [counted(port, partial(many, way, port, folder, at)) for at in range(rounds)]
            calls_seen, errors_seen = zip(*seen, strict=True)
            print(f"{name:58}{span(calls_seen):>12}{span(errors_seen):>9}")


def counted(port: int, run: Callable[[], int]) -> tuple[int, int]:
    """Calls that the stub has seen while *run* went on, and the errors that it gives."""
    start, _ = counts(port)
    errors = run()
    end, _ = counts(port)
    return end - start, errors


def span(numbers: Iterable[int]) -> str:
    least, most = min(numbers := list(numbers)), max(numbers)
    return str(least) if least == most else f"{least}-{most}"


def configure(folder: str, port: int) -> None:
    config = os.path.join(folder, "config")
    with open(config, "w") as file:
        file.write(
            f"[profile base]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = s\n[profile role]\n"
            f"role_arn = {ARN}R\nsource_profile = base\n"
        )
    os.environ |= {"AWS_CONFIG_FILE": config, "AWS_SHARED_CREDENTIALS_FILE": os.path.join(folder, "none")}
    os.environ["AWS_ENDPOINT_URL_STS"] = f"http://127.0.0.1:{port}"


def many(way: Callable[..., None], port: int, folder: str, at: int) -> int:
    """Have *way* done by many processes at the same moment; how many errors there were in all."""
    context = get_context("spawn")
    start, errors = context.Barrier(PROCESSES), context.SimpleQueue()
    workers = [context.Process(target=way, args=(port, folder, at, start, errors)) for _ in range(PROCESSES)]
    for each in workers:
        each.start()
    total = sum(int(errors.get()) for _ in workers)
    for each in workers:
        each.join()
    return total


def ours(port: int, folder: str, at: int, start: Any, errors: Any) -> None:
    from stskit import Cached
    from stskit.caches import FileCache

    cached = Cached(recipe(port, f"r{at}"), FileCache(os.path.join(folder, "cache")))
    start.wait()
    errors.put(crowd(cached.fetch, 4))


def botocores(_port: int, _folder: str, _at: int, start: Any, errors: Any) -> None:
    session = profile_session()
    start.wait()
    errors.put(crowd(lambda: session.get_credentials().get_frozen_credentials(), 4))


# Reads -------------------------------------------------------------------------------------------------------------


def reads() -> None:
    from datetime import UTC, datetime, timedelta
    from timeit import timeit

    from botocore.credentials import RefreshableCredentials

    from stskit import Cached, Credentials
    from stskit.sinks import BotocoreSession
    from stskit.sources import Static

    end = datetime.now(UTC) + timedelta(hours=1)
    keys = {"access_key": "AKIA", "secret_key": "s" * 40, "token": "t" * 400, "expiry_time": end.isoformat()}
    cached = Cached(Static(Credentials("AKIA", "s" * 40, "t" * 400, end)))
    live: Any = cached.to(BotocoreSession()).get_credentials()
    theirs = RefreshableCredentials.create_from_metadata(keys, lambda: keys, "benchmark")
    ways = {
        "botocore, get_frozen_credentials()": (theirs.get_frozen_credentials, 20_000),
        "session of stskit, get_frozen_credentials()": (live.get_frozen_credentials, 200_000),
        "Cached.fetch()": (cached.fetch, 200_000),
    }
    rounds = [{name: timeit(read, number=n) / n * 1e9 for name, (read, n) in ways.items()} for _ in range(9)]
    print(f"\n{'fresh reads, medians of 9 rounds':58}{'ns':>12}{'botocore / this':>24}")
    first = next(iter(ways))
    for name in ways:
        ratios = sorted(each[first] / each[name] for each in rounds)
        spread = f"{median(ratios):.1f} ({ratios[0]:.1f}-{ratios[-1]:.1f})"
        print(f"{name:58}{median(each[name] for each in rounds):12.0f}{spread:>24}")


# Memory ------------------------------------------------------------------------------------------------------------


def private() -> float:
    """KiB that this process has for itself."""
    import gc

    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        return sum(float(line.split()[1]) for line in file if line.startswith("Private_Dirty"))


def weigh(make: Callable[[int], object], number: int) -> float:
    """KiB for each of *number* things that *make* makes, after some that come first and are not counted."""
    kept = [make(each) for each in range(-3, 0)]
    before = private()
    kept += [make(each) for each in range(number)]
    return (private() - before) / number


def role_weight(port: int) -> float:
    from attrs import evolve

    from stskit import Cached

    first = recipe(port, "R")

    def make(number: int) -> object:
        (cached := Cached(evolve(first, role=f"{ARN}m{number}"))).fetch()
        return cached

    return weigh(make, 1000)


def session_weight(port: int) -> float:
    from stskit.sinks import Boto3Session

    return weigh(lambda number: recipe(port, f"s{number}").to(Boto3Session("us-east-1")), 100)


def naive_weight(_port: int) -> float:
    import boto3

    def make(_: int) -> object:
        session = boto3.session.Session("AKIA", "s", region_name="us-east-1")
        return session, session.client("sts")

    return weigh(make, 20)


def memory() -> None:
    print(f"\n{'memory, private':58}{'KiB each':>12}{'MiB for 1,000':>24}")
    with stub(0) as port:
        for name, weight in {
            "a refreshing role, over one client": role_weight,
            "a boto3 session that a sink makes": session_weight,
            "a plain boto3 session with an STS client": naive_weight,
        }.items():
            command = [sys.executable, __file__, "--weigh", weight.__name__, str(port)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            each = json.loads(done.stdout)
            print(f"{name:58}{each:12.2f}{each * 1000 / 1024:24.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--weigh"]:
        print(json.dumps(globals()[sys.argv[2]](int(sys.argv[3]))))
    else:
        parts: dict[str, Callable[[], None]] = {"contention": contention, "reads": reads, "memory": memory}
        for part in sys.argv[1:] or parts:
            parts[part]()
