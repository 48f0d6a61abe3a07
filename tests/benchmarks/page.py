"""The table for a terminal, the page with its plots, and the raw figures for both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import fill

from attrs import asdict, evolve, frozen
from measures import AREAS, Measured, Row, rows

HEADINGS = ("area", "measurement", "stskit", "other", "figure of the other", "ratio", "goal", "reached")
PAGE, FIGURES = "benchmarks.md", "benchmarks.json"


@frozen
class Run:
    """The result of one run."""

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    rounds: int
    left_out: dict[str, str]
    measured: Sequence[Measured]


def save(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    head = asdict(evolve(run, measured=[]))
    lines = ",\n  ".join(json.dumps(asdict(each), ensure_ascii=False) for each in run.measured)
    text = json.dumps(head, indent=1, ensure_ascii=False).replace('"measured": []', f'"measured": [\n  {lines}\n ]')
    (folder / FIGURES).write_text(text + "\n")


def load(folder: Path) -> Run:
    found = json.loads((folder / FIGURES).read_text())
    return Run(**found | {"measured": [Measured(**each) for each in found["measured"]]})


def table(run: Run) -> str:
    """Return the table for a terminal."""
    lines = [HEADINGS, *map(_cells, rows(run.measured))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join([text, "", *(f"left out: {name} ({why})" for name, why in run.left_out.items())])


def _cells(row: Row) -> tuple[str, ...]:
    reached = {None: "", True: "yes", False: "no"}[row.reached]
    return row.area, row.what, row.ours, row.peer, row.theirs, row.ratio, row.goal, reached


# The page --------------------------------------------------------------------------------------------------------

TEXTS = {
    "import": "Processor time of a process that only imports the library.",
    "cold start": (
        "Processor time of a process that gets its first credentials: keys from the environment, and one "
        "AssumeRole over "
        "plain HTTP to a server that responds at once. All but the AWS CLI run one or two statements of Python."
    ),
    "warm call": "Processor time of the client for one more call over an open connection.",
    "bulk": (
        "Many roles, with a server that needs 30 ms for each call. The start of the process is included. stskit, the "
        "shared client and aiobotocore assume 1,000 roles, 32 at a time. The others assume 40, one after the other."
    ),
    "contention": (
        "Exact counts of calls at the server, for 100 threads that use one session at the same moment, and for eight "
        "processes with four threads each that start at the same moment with an empty cache."
    ),
    "hot path": "Time of a read of fresh credentials, which each signed request needs.",
    "memory": (
        "Private memory of a process: first for roles with one client, then with a boto3 session and its "
        "credentials for "
        "each role."
    ),
    "file": (
        "Time to change one profile, or 1,000 at once, in a credentials file with profiles of 590 bytes. stskit locks, "
        "synchronises and renames. The writer of the AWS CLI and the others empty the file and write it in "
        "place, without "
        "synchronising. configparser loses comments. stskit parses a file again if another process changed it."
    ),
}
PLOTS = {
    "bulk": "Milliseconds for each of 250 roles, by number of workers",
    "contention": "Calls to STS, by number of processes that start at the same moment",
    "file": "Microseconds to change one profile, by number of profiles in the file",
}


def draw(run: Run, folder: Path) -> None:
    """Write the page, and its plots if matplotlib is installed."""
    try:
        from plots import plot
    except ImportError:
        print("no plots: matplotlib is not installed")
    else:
        for area, title in PLOTS.items():
            plot(area, title, run.measured, folder / f"benchmarks-{area}.svg")
    (folder / PAGE).write_text("\n".join(_page(run, folder)) + "\n")


def _page(run: Run, folder: Path) -> Iterable[str]:
    yield from (
        "# Benchmarks",
        "",
        "<!-- Written by: python tests/benchmarks --output DIR. Change the texts in tests/benchmarks/page.py. -->",
        "",
        f"Measured on {run.date}. Each figure is the median of several rounds. In each round, all tools take "
        "turns. A ratio",
        "is the figure of stskit divided by the figure of the other tool, in the same round, with the middle "
        "half of all",
        "ratios in parentheses. Less is better. Counts are exact. Times depend on the machine, and ratios "
        "depend less. The",
        "goals were set before the measurement.",
        "",
    )
    found = list(rows(run.measured))
    goals = [row for row in found if row.reached is not None]
    missed = [row for row in goals if not row.reached]
    yield f"**Goals reached: {len(goals) - len(missed)} of {len(goals)}.**" + (" Not reached:\n" if missed else "")
    for row in missed:
        than = f"{row.ratio} × {row.peer}" if row.peer else row.ours
        yield f"- {row.area}: {row.what}: {than} (goal {row.goal})"
    for area, mine in groupby(found, key=lambda row: row.area):
        yield from ("", f"## {area[0].upper()}{area[1:]}", "", fill(TEXTS[area], 120), "")
        yield from _markdown(list(mine))
        if (folder / f"benchmarks-{area}.svg").exists():
            yield from ("", f"![{PLOTS[area]}](benchmarks-{area}.svg)")
    yield from _about(run)


def _markdown(found: list[Row]) -> Iterable[str]:
    yield f"| {' | '.join(HEADINGS[1:])} |"
    yield "|---|" + "---|" * (len(HEADINGS) - 2)
    before = ""
    for row in found:
        _, what, ours, *rest = _cells(row)
        same, before = what == before, what
        yield "| " + " | ".join(["" if same else what, "" if same else ours, *rest]).replace("  ", " ") + " |"


def _about(run: Run) -> Iterable[str]:
    yield from ("", "## Method", "", "| item | value |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in {**run.machine, **run.versions}.items())
    yield from (f"| {name} | left out: {why} |" for name, why in run.left_out.items())
    yield from (
        "",
        "The server is a minimal STS in another process on the same machine, so the figures show the client. "
        "aiobotocore runs",
        "in a separate environment, because it needs other versions of botocore. To repeat the measurement "
        "(some minutes):",
        "",
        "```sh",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[bench]'",
        ".venv/bin/python tests/benchmarks --output benchmarks",
        "```",
        "",
        f"The raw figures of all rounds are in [{FIGURES}]({FIGURES}).",
    )


assert set(TEXTS) == set(AREAS)
