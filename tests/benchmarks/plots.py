"""Draw the curves as SVG for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from measures import OURS, Measured, middle_half

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

INK, BLUE, OTHERS = "#7d8590", "#3b82f6", ("#d97706", "#8b5cf6", "#0d9488", "#db2777")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "stskit",  # equal figures result in equal files
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
LABELS = {
    "bulk": ("workers", "ms for each role"),
    "contention": ("processes", "calls of STS"),
    "file": ("profiles in the file", "µs"),
}


def plot(area: str, title: str, measured: Sequence[Measured], path: Path) -> None:
    """Draw the curve of *area*, if it was measured."""
    found = [each for each in measured if each.area == area and each.at is not None and each.values]
    if not found:
        return
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
        axes.set_title(title, fontsize=11, loc="left")
        ways = list(dict.fromkeys(each.way for each in found))
        others = [way for way in ways if not way.startswith(OURS)]
        for way in ways:
            line(axes, way, BLUE if way not in others else OTHERS[others.index(way) % len(OTHERS)], found)
        scales(axes, area, sorted({each.at for each in found if each.at is not None}))
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)


def line(axes: Axes, way: str, colour: str, found: Sequence[Measured]) -> None:
    """Draw one tool: the medians, and a band of the middle half."""
    points = sorted((each.at or 0, each.values) for each in found if each.way == way)
    places = [at for at, _ in points]
    style = "o--" if way.startswith(OURS) and way != OURS else "o-"
    axes.plot(places, [median(values) for _, values in points], style, color=colour, label=way, markersize=4)
    lows, highs = zip(*(middle_half(values) for _, values in points), strict=True)
    axes.fill_between(places, lows, highs, color=colour, alpha=0.2, lw=0)


def scales(axes: Axes, area: str, places: Sequence[float]) -> None:
    axes.set_xscale("log")
    if area == "contention":
        axes.set_ylim(bottom=0)
    else:
        axes.set_yscale("log")
    axes.set_xticks(places, [f"{place:,.0f}" for place in places])
    if area == "bulk":
        axes.set_yticks([2, 5, 10, 20, 50])
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set_xlabel(LABELS[area][0])
    axes.set_ylabel(LABELS[area][1])
    axes.grid(visible=True, color=INK, alpha=0.25, lw=0.6)
    axes.legend(frameon=False)
