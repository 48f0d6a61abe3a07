"""How long one profile takes in files of all sizes, beside the writer of the AWS CLI and others, in one run.

    python tests/benchmarks/files.py [ROUNDS]

All change the same profile in a file of their own, one after the other in each round, at the beginning, in the middle
and at the end; the medians of all of them are compared. The floor is to copy the file and sync it.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from awscli.customizations.configure.writer import ConfigFileWriter

from stskit import Credentials
from stskit.sinks import CredentialsFile

SIZES = (10, 1_000, 10_000)
DUE = datetime(2099, 1, 1, tzinfo=UTC)


def section(number: int) -> str:
    return (
        f"[account-{number}]\naws_access_key_id = ASIA{number:016}\naws_secret_access_key = {'s' * 40}\n"
        f"aws_session_token = {'t' * 440}\n\n"
    )


def keys(number: int) -> Credentials:
    return Credentials(f"ASIA{number:016}", "x" * 40, "t" * 440, DUE)


def stskit(path: str, profile: str, number: int) -> None:
    keys(number).to(CredentialsFile(profile, path))


def aws_cli(path: str, profile: str, number: int) -> None:
    made = keys(number)
    values = {
        "__section__": profile,
        "aws_access_key_id": made.access_key_id,
        "aws_secret_access_key": str(made.secret_access_key),
        "aws_session_token": str(made.session_token),
    }
    ConfigFileWriter().update_config(values, path)


def with_configparser(path: str, profile: str, number: int) -> None:
    parser = configparser.RawConfigParser()
    parser.read(path)
    made = keys(number)
    parser[profile].update(aws_access_key_id=made.access_key_id, aws_session_token=str(made.session_token))
    with open(path, "w") as file:
        parser.write(file)


def copy_and_sync(path: str, profile: str, number: int) -> None:
    data = Path(path).read_bytes()
    with open(f"{path}.copy", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{path}.copy", path)


WRITERS = (stskit, aws_cli, with_configparser, copy_and_sync)


def measured(action: Callable[[], object]) -> float:
    os.sync()  # so that nobody pays for what others have not written yet
    start = perf_counter()
    action()
    return perf_counter() - start


def main(rounds: int) -> None:
    os.environ["AWS_CONFIG_FILE"] = os.devnull
    print(f"{'profiles':>8}  {'writer':<18}{'us':>10}  {'/ aws_cli':>9}  {'/ copy':>7}")
    for size in SIZES:
        with TemporaryDirectory() as folder:
            times = one_profile(folder, size, rounds)
            batch = many_profiles(folder, size, rounds)
        middles = {name: median(values) for name, values in times.items()}
        for name, value in middles.items():
            ratios = value / middles["aws_cli"], value / middles["copy_and_sync"]
            print(f"{size:>8}  {name:<18}{value * 1e6:>10.0f}  {ratios[0]:>9.2f}  {ratios[1]:>7.2f}")
        print(f"{size:>8}  {'stskit, 1,000':<18}{batch * 1e6:>10.0f}  {batch / middles['stskit']:>9.1f} of one\n")


def one_profile(folder: str, size: int, rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {writer.__name__: [] for writer in WRITERS}
    paths = {writer.__name__: os.path.join(folder, writer.__name__) for writer in WRITERS}
    for path in paths.values():
        os.close(os.open(path, os.O_CREAT, 0o600))
        Path(path).write_text("".join(map(section, range(size))))
    for number in range(rounds):
        for place in (0, size // 2, size - 1):
            for writer in WRITERS:
                path, profile = paths[writer.__name__], f"account-{place}"
                times[writer.__name__].append(measured(lambda: writer(path, profile, number)))  # noqa: B023
    return times


def many_profiles(folder: str, size: int, rounds: int) -> float:
    sink = CredentialsFile(path=os.path.join(folder, "stskit"))
    sets = [{f"account-{each}": keys(each + number) for each in range(1_000)} for number in range(rounds)]
    return median(measured(lambda: sink.write_all(each)) for each in sets)  # noqa: B023


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
