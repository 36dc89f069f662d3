"""One number a run: every seed as a dot, and what the seeds say together."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from pglab.results.arm_names import setting, short_names, without
from pglab.results.plots.overlay import overlaid
from pglab.results.plots.style import (
    GREY,
    LINE,
    MOST_TOGETHER,
    Colour,
    colours,
    counted,
    finished,
    paper,
    row_labels,
    say_under_rows,
)
from pglab.results.summary import mean_interval

MOST_TICKS = 7
MARGIN = 0.15  # left and right of the smallest and largest value, of the distance between them
SPREAD = 0.06  # of the distance between two values of a key, shared by the arms at one


def seed_scores(scores: pd.DataFrame, score: str = "score") -> Figure:
    """A row an arm: a dot for each seed, and under the dots their mean and its 95 % Student-t interval.

    A thin line joins the same seed in neighbouring rows, for arms with the same seed share their random
    numbers. A run without a score, or whose score is infinite, has no dot, and the label counts it; the mean
    of scores of which one is infinite is so too, and not drawn.

    Args:
        scores: rows with `arm seed score`.
        score: what it is, with its unit.
    """
    names = short_names(scores["arm"].unique())
    by_seed = scores.pivot(index="seed", columns="arm", values="score")[list(names)]
    runs = scores.groupby("arm")["seed"].nunique()
    labels, width = row_labels(
        counted(name, int(np.isfinite(by_seed[arm]).sum()), runs[arm]) for arm, name in names.items()
    )
    joined = any((by_seed[a].notna() & by_seed[b].notna()).any() for a, b in zip(names, list(names)[1:], strict=False))
    with paper():
        lines = sum(max(label.count("\n") + 1, 2) + 0.5 for label in labels)
        figure, axes = plt.subplots(figsize=(width, 0.75 + LINE * lines), layout="constrained")
        for (_, of_seed), place in ((each, np.arange(len(names))) for each in by_seed.iterrows()):
            axes.plot(of_seed, place, color=GREY, lw=0.4, alpha=0.7, zorder=1)
        for place, (arm, (colour, _)) in enumerate(zip(names, _row_colours(len(names)), strict=True)):
            there = by_seed[arm].dropna().to_numpy()
            axes.plot(there, np.full(len(there), place), "o", color=colour, ms=3, mew=0, alpha=0.7)
            if len(there):
                mean, low, high = mean_interval(there)
                axes.hlines(place + 0.27, low, high, color="black", lw=1.2)
                axes.plot(mean, place + 0.27, "D", color="black", ms=3.5)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.45, -0.45)
        axes.tick_params(axis="y", length=0)
        same = "; line: the same seed" if joined else ""
        marks = f"(dot: a seed{same}; diamond: mean, 95 % t interval)"
        say_under_rows(axes, score, marks)
    return finished(figure, left=False)


def sensitivity(scores: pd.DataFrame, key: str, score: str = "score") -> Figure:
    """Score over a numeric setting: a line for each set of arms that are otherwise the same.

    Every seed is a small dot; the line joins the means, bars are their 95 % Student-t intervals. Lines
    are a little apart from one another at each value, so that bars can be seen. The legend counts the
    scores at each value; runs without a score have no dot, and enter no mean. Nor has one whose score is
    infinite, which leaves no mean at that value. The axis is
    logarithmic where the values are positive and the largest is at least ten times the smallest.

    Args:
        scores: rows with `arm seed score`; the setting is the column `key` or, where there is
            none, what the arm's name says.
        key: a dotted key such as `optimizer.lr`.
        score: what it is, with its unit.

    Raises:
        ValueError: an arm has no number for this key.
    """
    scores = scores.assign(value=_values(scores, key), line=[without(arm, key) for arm in scores["arm"]])
    values = np.sort(scores["value"].unique())
    logarithmic = bool(values[0] > 0 and values[-1] >= 10 * values[0])
    names = short_names(scores["line"].unique())
    of = {str(line): runs for line, runs in scores.groupby("line", sort=False)}
    shifted = _shifts(values, list(names), logarithmic)

    def detail(axes: Axes, name: str, colour: Colour) -> None:
        x = shifted(of[name]["value"], name)
        axes.plot(x, of[name]["score"], "o", color=colour, ms=2.2, mew=0, alpha=0.5)
        for value, at_value in of[name].groupby("value")["score"]:
            there = at_value.dropna().to_numpy()
            if not len(there):
                continue
            mean, low, high = mean_interval(there)
            at = shifted(np.array([value]), name)
            axes.vlines(at, low, high, color=colour, lw=1.2)
            axes.plot(at, mean, "o", color=colour, ms=4)

    means = {name: runs.groupby("value")["score"].mean() for name, runs in of.items()}
    lines = {name: (shifted(mean.index, name), mean) for name, mean in means.items()}
    labels = {name: f"{names[name] or key} ({_seeds(runs)})" for name, runs in of.items()}
    with paper():
        figure, panels = overlaid(labels, lines, detail, "mean, 95 % t interval, every seed", key, score)
        for axes in panels:
            if logarithmic:
                axes.set_xscale("log")
                axes.xaxis.set_minor_locator(NullLocator())
            if len(values) <= MOST_TICKS:
                axes.set_xticks(values)
            if len(values) > 1:  # also a value without any score
                reach = (values[-1] / values[0]) ** MARGIN if logarithmic else MARGIN * (values[-1] - values[0])
                ends = (
                    (values[0] / reach, values[-1] * reach) if logarithmic else (values[0] - reach, values[-1] + reach)
                )
                axes.set_xlim(ends)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    return finished(figure)


def _row_colours(number: int) -> list[tuple[Colour, str]]:
    """Rows are told apart by their labels; colours only help while there are enough of them."""
    return colours(number) if number <= MOST_TOGETHER else colours(1) * number


def _values(scores: pd.DataFrame, key: str) -> pd.Series:
    given = scores[key] if key in scores else pd.Series([setting(arm, key) for arm in scores["arm"]], scores.index)
    values = pd.to_numeric(given, errors="coerce")
    if values.isna().any():
        arm = scores.loc[values.isna(), "arm"].iloc[0]
        raise ValueError(f"{key} has to be a number in every arm, as a column or in its name; it is not in {arm!r}")
    return values


def _shifts(values: np.ndarray, names: list[str], logarithmic: bool):
    """Where to draw a value for each line: beside one another, in the middle if there is one only."""
    scale = np.log(values) if logarithmic else values
    gap = np.diff(scale).min() if len(values) > 1 else 0.0
    together = len(names) if len(names) <= MOST_TOGETHER else 1

    def shifted(x: Any, name: str) -> np.ndarray:
        place = names.index(name) if together > 1 else 0
        by = gap * SPREAD * (place - (together - 1) / 2)
        at = np.asarray(x, dtype=float)
        return at * np.exp(by) if logarithmic else at + by

    return shifted


def _seeds(runs: pd.DataFrame) -> str:
    """How many scores there are at each value, and of how many runs where some have none."""
    by_value = (runs["score"].abs() < np.inf).groupby(runs["value"])
    n, of = by_value.sum(), by_value.size()
    return f"n = {_range(n)}" if n.equals(of) else f"n = {_range(n)} of {_range(of)}"


def _range(numbers: pd.Series) -> str:
    low, high = numbers.min(), numbers.max()
    return f"{low}" if low == high else f"{low} to {high}"
