"""The table on a terminal, the page with its plots, and the raw figures that both are drawn from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import fill

from attrs import asdict, evolve, frozen
from measures import AREAS, Measured, Row, rows

HEADINGS = ("area", "measured", "stskit", "beside", "its figure", "stskit / it", "goal", "reached")
PAGE, FIGURES = "benchmarks.md", "benchmarks.json"


@frozen
class Run:
    """All that one run has found."""

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
    """For a terminal."""
    lines = [HEADINGS, *map(_cells, rows(run.measured))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join([text, "", *(f"left out: {name} ({why})" for name, why in run.left_out.items())])


def _cells(row: Row) -> tuple[str, ...]:
    reached = {None: "", True: "yes", False: "no"}[row.reached]
    return row.area, row.what, row.ours, row.peer, row.theirs, row.ratio, row.goal, reached


# The page --------------------------------------------------------------------------------------------------------

TEXTS = {
    "import": "The processor time of a process that does nothing but import, from its start to its end.",
    "cold start": (
        "The processor time of a process that gets its first credentials, with keys from the environment and one "
        "AssumeRole by plain HTTP at a server that answers at once. All but the CLI are one statement or two of Python."
    ),
    "warm call": "The processor time of the client for one more call, over a connection that is open.",
    "bulk": (
        "Many roles, each by a call that the server takes 30 ms for; the start of the process is included. stskit, the "
        "shared client and aiobotocore do 1,000 roles, 32 at a time; the others 40, one after the other."
    ),
    "contention": (
        "Exact counts of what reaches the server. 100 threads that ask one session at the same moment; and eight "
        "processes of four threads that start at the same moment, with the cache that each way has, empty."
    ),
    "hot path": "What each signed request pays to learn that its credentials are still fresh.",
    "memory": (
        "What a process has for itself, for each thing that it keeps: first the roles alone, over one client, and then "
        "with a boto3 session for each, which has its credentials."
    ),
    "file": (
        "To change one profile, or 1,000 at once, in a credentials file of so many profiles of 590 bytes. stskit "
        "locks, syncs and renames; the CLI's writer and the others truncate the file and write it in place, without a "
        "sync. configparser drops comments. A file that this process has left as it is, stskit does not parse again; "
        "one that others wrote, it does."
    ),
}
PLOTS = {
    "bulk": "Milliseconds for each of 250 roles, by the number of workers",
    "contention": "Calls of STS, by the number of processes that start at the same moment",
    "file": "Microseconds to change one profile, by the number of profiles in the file",
}


def draw(run: Run, folder: Path) -> None:
    """Write the page, and its plots where matplotlib is installed."""
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
        f"Measured on {run.date}. Each figure is the middle of several rounds in which all take turns. Ratios are of",
        "what stskit needs to what the other one needs, round by round, with the bounds of their middle half: less is",
        "better. Counts are exact. Times depend on the machine, and ratios less so. The goals were set before",
        "stskit was measured.",
        "",
    )
    found = list(rows(run.measured))
    goals = [row for row in found if row.reached is not None]
    missed = [row for row in goals if not row.reached]
    yield f"**Goals reached: {len(goals) - len(missed)} of {len(goals)}.**" + (" Not reached:\n" if missed else "")
    for row in missed:
        than = f"{row.ratio} × {row.peer}" if row.peer else row.ours
        yield f"- {row.area}: {row.what}: {than}, where {row.goal} was the goal"
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
    yield from ("", "## Where and how", "", "| | |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in {**run.machine, **run.versions}.items())
    yield from (f"| {name} | left out: {why} |" for name, why in run.left_out.items())
    yield from (
        "",
        "The server is a stub of STS on the same machine, in a process of its own, that speaks HTTP by hand; so the",
        "client is what is measured. aiobotocore runs in an environment of its own, for it needs other versions of",
        "botocore. To repeat it, in some minutes:",
        "",
        "```sh",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[bench]'",
        ".venv/bin/python tests/benchmarks --output benchmarks",
        "```",
        "",
        f"The raw figures of all rounds are in [{FIGURES}]({FIGURES}).",
    )


assert set(TEXTS) == set(AREAS)
