"""Area 8: one profile, and many, in credentials files of all sizes.

All change the same profile in their own file, at the beginning, in the middle and at the end. The lower limit is a copy
of the file with a sync.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import perf_counter

from measures import OURS, Measured, Results, Setup, measured, turns

from stskit import Credentials
from stskit.sinks import CredentialsFile

AFTER_OTHERS = "stskit, a file that others wrote"
DUE = datetime(2099, 1, 1, tzinfo=UTC)


def section(number: int) -> str:
    return (
        f"[account-{number}]\naws_access_key_id = ASIA{number:016}\naws_secret_access_key = {'s' * 40}\n"
        f"aws_session_token = {'t' * 440}\n\n"
    )


def keys(number: int) -> Credentials:
    return Credentials(f"ASIA{number:016}", "x" * 40, "t" * 440, DUE)


def values(number: int) -> dict[str, str]:
    made = keys(number)
    return {
        "aws_access_key_id": made.access_key_id,
        "aws_secret_access_key": str(made.secret_access_key),
        "aws_session_token": str(made.session_token),
    }


def stskit(path: str, profile: str, number: int) -> None:
    keys(number).to(CredentialsFile(profile, path))


def aws_cli(path: str, profile: str, number: int) -> None:
    from awscli.customizations.configure.writer import ConfigFileWriter

    ConfigFileWriter().update_config({"__section__": profile, **values(number)}, path)


def with_configparser(path: str, profile: str, number: int) -> None:
    parser = configparser.RawConfigParser()
    parser.read(path)
    parser[profile].update(values(number))
    with open(path, "w") as file:
        parser.write(file)


def with_configupdater(path: str, profile: str, number: int) -> None:
    from configupdater import ConfigUpdater

    updater = ConfigUpdater()
    updater.read(path)
    for name, value in values(number).items():
        updater[profile][name] = value
    updater.update_file()


def copy_and_sync(path: str, _profile: str, _number: int) -> None:
    data = Path(path).read_bytes()
    with open(f"{path}.copy", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{path}.copy", path)


WRITERS: dict[str, Callable[[str, str, int], None]] = {
    OURS: stskit,
    AFTER_OTHERS: stskit,
    "AWS CLI": aws_cli,
    "configparser": with_configparser,
    "configupdater": with_configupdater,
    "copy and fsync": copy_and_sync,
}


def file(setup: Setup) -> list[Measured]:
    found = []
    os.environ["AWS_CONFIG_FILE"] = os.devnull
    for size in (10, 1_000) if setup.quick else (10, 100, 1_000, 10_000):
        with TemporaryDirectory() as folder:
            results = one_profile(folder, size, setup)
            found += [
                Measured(
                    each.area, each.what, each.way, each.unit, each.values, each.fault, at=size, listed=size != 100
                )
                for each in measured("file", f"one profile of {size:,}", "µs", results, microseconds)
            ]
            if size >= 1_000:
                what = f"1,000 profiles of {size:,} in one write"
                found += measured("file", what, "µs", many(folder, setup), microseconds)
    return found


def microseconds(seconds: float) -> float:
    return seconds * 1e6


def one_profile(folder: str, size: int, setup: Setup) -> Results:
    """Return the seconds of each writer, as the mean of three places in the file."""
    numbers = count()  # new keys each time: a file that has them already is not written

    def way(name: str, write: Callable[[str, str, int], None]) -> float:
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            os.close(os.open(path, os.O_CREAT, 0o600))
            Path(path).write_text("".join(map(section, range(size))))
        places = (0, size // 2, size - 1)
        touch = path if name == AFTER_OTHERS else ""
        return mean(timed(partial(write, path, f"account-{place}", next(numbers)), touch) for place in places)

    run = {name: partial(way, name, write) for name, write in setup.present(WRITERS).items()}
    slow = size > 1_000  # where a second is the unit, fewer rounds tell enough
    return turns(run, 2 if setup.quick else setup.rounds if slow else 5 * setup.rounds)


def many(folder: str, setup: Setup) -> Results:
    """Return the seconds for a thousand profiles in one write, and for one of them."""
    path, numbers = os.path.join(folder, OURS), iter(range(10**6))

    def batch() -> float:
        start = next(numbers)
        new = {f"account-{each}": keys(each + start) for each in range(1_000)}
        return timed(partial(CredentialsFile.write_all, new, path))

    run = {OURS: batch, "one profile": lambda: timed(partial(stskit, path, "account-500", next(numbers)))}
    return turns(run, 2 if setup.quick else 2 * setup.rounds)


def timed(action: Callable[[], object], touch: str = "") -> float:
    if touch:
        os.utime(touch)  # so that the file is not as this process left it
    os.sync()  # so that no measurement includes the writes of others
    start = perf_counter()
    action()
    return perf_counter() - start
