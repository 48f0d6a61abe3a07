"""Measurements and goals, and the rows of the table from both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median, quantiles
from typing import Any, TypeAlias, TypeVar

from attrs import evolve, field, frozen

T = TypeVar("T")
AREAS = ("import", "cold start", "warm call", "bulk", "contention", "hot path", "memory", "file")
OURS = "stskit"


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(values)


@frozen
class Measured:
    """The figures of one tool: a number for each round, or the reason for none."""

    area: str
    what: str
    way: str
    unit: str
    values: tuple[float, ...] = field(default=(), converter=_floats)
    fault: str = ""
    at: float | None = None
    """Where it is on the curve of this area, if it is."""
    listed: bool = True
    """Whether it is in the table, and not only on the curve."""


@frozen
class Goal:
    """The maximum for stskit: a multiple of the figure of *peer*, or a number."""

    area: str
    what: str
    peer: str
    at_most: float

    @property
    def text(self) -> str:
        if not self.peer:
            return f"≤ {self.at_most:g}"
        return f"≤ 1/{1 / self.at_most:.0f} ×" if self.at_most < 0.5 else f"≤ {self.at_most:g} ×"


GOALS = (
    Goal("import", "a process that imports it", "attrs", 1.25),
    Goal("import", "a process that imports it", "python -c pass", 4.5),
    Goal("import", "modules loaded then", "", 130),
    Goal("import", "heavy ones among them", "", 0),
    Goal("cold start", "a process that gets its first credentials", "botocore", 1.05),
    Goal("warm call", "processor time of a call", "botocore", 1.05),
    Goal("bulk", "each of 1,000 roles, 30 ms server", "boto3, a session for each", 1 / 30),
    Goal("bulk", "peak of memory", "", 48),
    *(
        Goal("contention", f"100 threads, {what}", "", 1)
        for what in ("first use: calls", "expired: calls", "first look at a session: calls")
    ),
    Goal("contention", "100 threads, in the advisory window: threads that wait", "", 1),
    Goal("contention", "8 processes of 4 threads, with a cache: calls", "", 1),
    Goal("contention", "8 processes of 4 threads, with a cache: errors", "", 0),
    Goal("hot path", "a session's fresh credentials", "botocore", 1 / 30),
    Goal("hot path", "Cached.fetch()", "botocore", 1 / 30),
    Goal("memory", "1,000 roles that refresh themselves", "", 3),
    Goal("memory", "a boto3 session of such a role", "", 160),
    Goal("file", "one profile of 10", "copy and fsync", 1.2),
    Goal("file", "one profile of 1,000", "AWS CLI", 1.0),
    Goal("file", "one profile of 10,000", "AWS CLI", 1.0),
    Goal("file", "1,000 profiles of 1,000 in one write", "one profile", 3),
    Goal("file", "1,000 profiles of 10,000 in one write", "one profile", 3),
)


@frozen
class Setup:
    """The number of rounds, and the interpreters of peers that need their own."""

    rounds: int
    quick: bool
    pythons: Mapping[str, str]
    left_out: Mapping[str, str]

    def present(self, ways: Mapping[str, T]) -> dict[str, T]:
        """Return the tools that are installed."""
        return {name: way for name, way in ways.items() if name not in self.left_out}


Results: TypeAlias = dict[str, list[Any] | str]


def turns(ways: Mapping[str, Callable[[], Any]], rounds: int, warm_up: int = 1) -> Results:
    """Return the figures of each tool in each round, or the reason for none. *warm_up* rounds are not counted."""
    results: dict[str, list[Any]] = {name: [] for name in ways}
    faults: dict[str, str] = {}
    for number in range(-warm_up, rounds):
        names = list(ways)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            try:
                if name not in faults:
                    results[name].append(ways[name]())
            except Exception as error:
                faults[name] = f"{type(error).__name__}: {error}"
    return {name: faults.get(name) or values[warm_up:] for name, values in results.items()}


def measured(area: str, what: str, unit: str, results: Results, pick: Callable[[Any], float] = float) -> list[Measured]:
    return [
        Measured(area, what, way, unit, fault=found)
        if isinstance(found, str)
        else Measured(area, what, way, unit, [pick(each) for each in found])
        for way, found in results.items()
    ]


@frozen
class Row:
    """A line of the table. `reached` is None without a goal."""

    area: str
    what: str
    ours: str
    peer: str = ""
    theirs: str = ""
    ratio: str = ""
    goal: str = ""
    reached: bool | None = None


def rows(found: Sequence[Measured]) -> Iterator[Row]:
    """Return the rows for stskit and its peers, in the order of the measurements."""
    listed = [each for each in found if each.listed]
    for ours in (each for each in listed if each.way == OURS):
        mine = [each for each in listed if (each.area, each.what) == (ours.area, ours.what)]
        peers = [each for each in mine if each.way != OURS]
        goals = {goal.peer: goal for goal in GOALS if (goal.area, goal.what) == (ours.area, ours.what)}
        if "" in goals or not peers:
            yield _alone(ours, goals.get(""))
        yield from (_beside(ours, each, goals.get(each.way)) for each in peers)


def _alone(ours: Measured, goal: Goal | None) -> Row:
    reached = bool(ours.values) and max(ours.values) <= goal.at_most if goal else None
    return Row(ours.area, ours.what, shown(ours), goal=goal.text if goal else "", reached=reached)


def _beside(ours: Measured, theirs: Measured, goal: Goal | None) -> Row:
    ratios = [mine / other for mine, other in zip(ours.values, theirs.values, strict=False) if other]
    row = Row(ours.area, ours.what, shown(ours), theirs.way, shown(theirs), goal=goal.text if goal else "")
    if not ratios or ours.unit in ("calls", "errors", "threads"):  # counts are compared by looking at them
        return evolve(row, reached=False) if goal else row
    middle, (low, high) = median(ratios), middle_half(ratios)
    spread = f" ({number(low)} to {number(high)})" if len(ratios) > 1 else ""
    return evolve(row, ratio=number(middle) + spread, reached=middle <= goal.at_most if goal else None)


def middle_half(values: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of the middle half of *values*."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def shown(one: Measured) -> str:
    """Return the median of measurements, or the range of counts, with the unit; or the error."""
    if not one.values:
        return one.fault or "nothing"
    least, most = min(one.values), max(one.values)
    if one.unit in ("calls", "errors", "threads", "modules"):
        return f"{least:g}" if least == most else f"{least:g} to {most:g}"
    return f"{number(median(one.values))} {one.unit}"


def number(value: float) -> str:
    """Return a number with three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 10 else 2 if value >= 0.1 else 3}f}"
