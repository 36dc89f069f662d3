"""One number a run: every seed as a dot, and what the seeds say together."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from pglab.results.arm_names import names_in, setting, without
from pglab.results.arm_summary import mean_interval
from pglab.results.by_problem import check_one_problem
from pglab.results.censoring import censored, restricted
from pglab.results.plots.overlay import overlaid
from pglab.results.plots.style import (
    GREY,
    LINE,
    MOST_TOGETHER,
    Colour,
    colours,
    colours_of,
    counted,
    finished,
    paper,
    row_labels,
    say_under_rows,
)

MOST_TICKS = 7
MARGIN = 0.15  # left and right of the smallest and largest value, of the distance between them
SPREAD = 0.06  # of the distance between two values of a key, shared by the arms at one


def seed_scores(scores: pd.DataFrame, score: str = "score") -> Figure:
    """A row an arm: a dot for each seed, and under the dots their mean and its 95 % Student-t interval.

    A thin line joins the same seed in neighbouring rows, for arms with the same seed share their random
    numbers. A run without a score has no dot, and the label counts it. One that ended before it came to a
    threshold is an open triangle at its last step: its time is further right. The mean is the restricted one then.

    Args:
        scores: rows with `arm seed score`, and `reached` for steps to a threshold.
        score: what it is, with its unit.
    """
    check_one_problem(scores, "scores")
    names, scores = names_in(scores), scores.reset_index(drop=True)
    limited, lacking = restricted(scores), censored(scores)
    by_seed = scores.pivot(index="seed", columns="arm", values="score")[list(names)]
    runs, cut = scores.groupby("arm")["seed"].nunique(), lacking.groupby(scores["arm"]).sum()
    labels, width = row_labels(
        counted(name, int(by_seed[arm].notna().sum()), runs[arm], cut[arm]) for arm, name in names.items()
    )
    joined = any((by_seed[a].notna() & by_seed[b].notna()).any() for a, b in zip(names, list(names)[1:], strict=False))
    with paper():
        lines = sum(max(label.count("\n") + 1, 2) + 0.5 for label in labels)
        figure, axes = plt.subplots(figsize=(width, 0.75 + LINE * lines), layout="constrained")
        for (_, of_seed), place in ((each, np.arange(len(names))) for each in by_seed.iterrows()):
            axes.plot(of_seed, place, color=GREY, lw=0.4, alpha=0.7, zorder=1)
        for place, (arm, (colour, _)) in enumerate(zip(names, _row_colours(list(names.values())), strict=True)):
            of_arm = scores[scores["arm"] == arm].dropna(subset="score")
            for marker, dots in (("o", of_arm[~lacking[of_arm.index]]), (">", of_arm[lacking[of_arm.index]])):
                open_mark: dict[str, Any] = {"mfc": "none", "mew": 0.8} if marker == ">" else {"mew": 0}
                axes.plot(dots["score"], np.full(len(dots), place), marker, color=colour, ms=3, alpha=0.7, **open_mark)
            if len(of_arm):
                mean, low, high = mean_interval(limited.loc[of_arm.index, "score"].to_numpy())
                axes.hlines(place + 0.27, low, high, color="black", lw=1.2)
                axes.plot(mean, place + 0.27, "D", color="black", ms=3.5)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.45, -0.45)
        axes.tick_params(axis="y", length=0)
        same = "; line: the same seed" if joined else ""
        triangle = "; triangle: censored" if lacking.any() else ""
        marks = f"(dot: a seed{triangle}{same}; diamond: {_mean_of(limited)}, 95 % t interval)"
        say_under_rows(axes, score, marks)
    return finished(figure, left=False)


def sensitivity(scores: pd.DataFrame, key: str, score: str = "score") -> Figure:
    """Score over a numeric setting: a line for each set of arms that are otherwise the same.

    Every seed is a small dot; the line joins the means, bars are their 95 % Student-t intervals. Lines
    are a little apart from one another at each value, so that bars can be seen. The legend counts the
    scores at each value; runs without a score have no dot, and enter no mean. Where some times to a threshold are
    censored dots are times cut at the horizon, open where they are longer, and means are restricted. The axis is
    logarithmic where the values are positive and the largest is at least ten times the smallest.

    Args:
        scores: rows with `arm seed score`, and `reached` for steps to a threshold; the setting is the column `key`
            or, where there is none, what the arm's name says.
        key: a dotted key such as `optimizer.lr`.
        score: what it is, with its unit.

    Raises:
        ValueError: an arm has no number for this key.
    """
    check_one_problem(scores, "scores")
    limited, lacking = restricted(scores), censored(scores)
    limited = limited.assign(shown=scores["score"].clip(upper=limited["horizon"].fillna(np.inf)), lacking=lacking)
    scores = limited.assign(value=_values(scores, key), line=[without(arm, key) for arm in scores["arm"]])
    values = np.sort(scores["value"].unique())
    logarithmic = bool(values[0] > 0 and values[-1] >= 10 * values[0])
    names = names_in(scores.assign(arm=scores["line"]))
    of = {str(line): runs for line, runs in scores.groupby("line", sort=False)}
    shifted = _shifts(values, list(names), logarithmic)

    def detail(axes: Axes, name: str, colour: Colour) -> None:
        for open_dots, runs in of[name].groupby("lacking"):
            x = shifted(runs["value"], name)
            fill: dict[str, Any] = {"mfc": "none", "mew": 0.6} if open_dots else {"mew": 0}
            axes.plot(x, runs["shown"], "o", color=colour, ms=2.2, alpha=0.5, **fill)
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
        figure, panels = overlaid(
            labels, lines, detail, f"{_mean_of(limited)}, 95 % t interval, every seed", key, score
        )
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


def _row_colours(names: Sequence[str]) -> list[tuple[Colour, str]]:
    """Rows are told apart by their labels; colours only help while there are enough of them."""
    return colours_of(names) if len(names) <= MOST_TOGETHER else colours(1) * len(names)


def _values(scores: pd.DataFrame, key: str) -> pd.Series:
    given = scores[key] if key in scores else pd.Series([setting(arm, key) for arm in scores["arm"]], scores.index)
    values = pd.to_numeric(given, errors="coerce")
    if values.isna().any():
        arm = scores.loc[values.isna(), "arm"].iloc[0]
        raise ValueError(f"{key} has to be a number in every arm, as a column or in its name; it is not in {arm!r}")
    return values


def _shifts(values: np.ndarray, names: list[str], logarithmic: bool):
    """Positions at which to draw a value for each line: beside one another, in the middle if there is one only."""
    scale = np.log(values) if logarithmic else values
    gap = np.diff(scale).min() if len(values) > 1 else 0.0
    together = len(names) if len(names) <= MOST_TOGETHER else 1

    def shifted(x: Any, name: str) -> np.ndarray:
        place = names.index(name) if together > 1 else 0
        by = gap * SPREAD * (place - (together - 1) / 2)
        at = np.asarray(x, dtype=float)
        return at * np.exp(by) if logarithmic else at + by

    return shifted


def _mean_of(limited: pd.DataFrame) -> str:
    """The mean that is drawn, with its horizon where times are censored."""
    horizon = limited["horizon"].max()
    return "mean" if np.isnan(horizon) else f"mean restricted to {horizon:,.0f}"


def _seeds(runs: pd.DataFrame) -> str:
    """The number of scores at each value, of runs where some have none, and of censored ones."""
    by_value = runs["score"].notna().groupby(runs["value"])
    n, of, cut = by_value.sum(), by_value.size(), runs["lacking"].groupby(runs["value"]).sum()
    said = f"n = {_range(n)}" if n.equals(of) else f"n = {_range(n)} of {_range(of)}"
    return f"{said}, {_range(cut)} censored" if cut.any() else said


def _range(numbers: pd.Series) -> str:
    low, high = numbers.min(), numbers.max()
    return f"{low}" if low == high else f"{low} to {high}"
