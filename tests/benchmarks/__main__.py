"""Run benchmarks of stskit and its peers, in eight areas.

    python tests/benchmarks                                   all, as a table
    python tests/benchmarks --areas bulk file --rounds 9      two areas, with more rounds
    python tests/benchmarks --quick                           a check in half a minute
    python tests/benchmarks --output docs/explanation         also a page, its plots and the raw figures
    python tests/benchmarks --output docs/explanation --draw  the page again, from the raw figures there

The extra 'bench' installs the peers. A peer that is not installed is omitted, with a note. A figure is the median of
several rounds, in which all take turns. A ratio is stskit's figure divided by the other figure, so less is better.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from calling import bulk, warm_call
from crowds import thread_crowds
from files import file
from keeping import hot_path, memory
from measures import AREAS, Measured, Setup
from page import Run, draw, load, save, table
from peers import machine, prepared, versions
from processes import process_crowds
from starting import cold_start, imports


def contention(setup: Setup) -> list[Measured]:
    return thread_crowds(setup) + process_crowds(setup)


PARTS = dict(zip(AREAS, (imports, cold_start, warm_call, bulk, contention, hot_path, memory, file), strict=True))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--areas", nargs="+", choices=AREAS, default=AREAS, metavar="AREA", help=", ".join(AREAS))
    parser.add_argument("--rounds", type=int, default=3, help="3 unless said; quick measures take some times as many")
    parser.add_argument("--quick", action="store_true", help="few rounds of little; the figures mean nothing")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where the page goes")
    parser.add_argument("--draw", action="store_true", help="draw the page from the figures that are there")
    given = parser.parse_args()
    if given.draw and not given.output:
        parser.error("--draw needs --output DIR, where the figures are")
    return given


def measure(areas: list[str], setup: Setup) -> Run:
    found: list[Measured] = []
    about = machine()
    for area in areas:
        print(f"{area} ...", end="", file=sys.stderr, flush=True)
        start = time.monotonic()
        try:
            found += PARTS[area](setup)
        except Exception as error:
            found.append(Measured(area, "all of it", "stskit", "", fault=f"{type(error).__name__}: {error}"))
        print(f" {time.monotonic() - start:.0f} s", file=sys.stderr)
    return Run(datetime.now(UTC).date().isoformat(), about, versions(setup), setup.rounds, dict(setup.left_out), found)


def main() -> None:
    given = options()
    if given.draw:
        run = load(given.output)
    else:
        with prepared(given.rounds, quick=given.quick) as setup:
            run = measure(given.areas, setup)
    print(table(run))
    if given.output:
        save(run, given.output)
        draw(run, given.output)


if __name__ == "__main__":
    main()
