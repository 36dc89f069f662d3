"""Curves of what a study measured, update by update, over the environment steps it took."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pglab.results.arm_names import names_in
from pglab.results.arm_summary import mean_interval
from pglab.results.by_problem import check_one_problem
from pglab.results.plots.overlay import Line, every_line, overlaid
from pglab.results.plots.style import (
    COLUMN_WIDTH,
    GREY,
    MOST_TOGETHER,
    PAGE_WIDTH,
    STEPS,
    Colour,
    colours_of,
    finished,
    legend_above,
    over_steps,
    paper,
    wrapped,
)
from pglab.shown import as_typed

THIN: dict[str, Any] = {"lw": 0.5, "alpha": 0.35}
POINTS = 200  # of a curve at most: more of them would be a band of noise
LEAST_SHARE = -1.0  # shares of variance have no lower end; one early outlier would hide the rest

DIAGNOSTICS = {  # column: what it is
    "grad_variance": "variance of the gradient",
    "grad_snr": "signal-to-noise ratio of the gradient",
    "half_cosine": "cosine between gradients of half batches",
    "exact_cosine": "cosine to the exact gradient",
    "variance_removed": "share of variance removed by the baseline",
    "explained_variance": "share of variance explained by the critic",
    "explained_variance_after": "share of variance explained after its fit",
    "kl": "KL divergence of the step (nats)",
    "approx_kl": "KL divergence estimated from actions (nats)",
    "ratio_max": "largest π_new / π_old",
    "clip_fraction": "share of steps beyond the clip range",
    "update_length": "length of the update",
    "objective": "exact objective J(θ)",
}
LOGARITHMIC = ("grad_variance", "kl", "approx_kl", "update_length")
SHARES = ("variance_removed", "explained_variance", "explained_variance_after")


def learning_curves(updates: pd.DataFrame, width: float = COLUMN_WIDTH) -> Figure:
    """Mean return of each batch over environment steps, from the frame of `load`.

    Every run is a thin line. Bold is the mean over an arm's seeds at each update, drawn at their
    mean number of steps; the band is its pointwise 95 % Student-t interval, where there are at
    least two seeds. A run that diverged or was stopped is drawn, and counted, as far as it went.
    More than six arms get a panel each, with the means of all others in grey. An update in which no
    episode ended shows the return of the last one in which one did. Of more than 200 updates as many
    consecutive ones are averaged, in every run, as leave 200 points at most, and the axis says how many.

    Args:
        updates: the frame of `load`.
        width: of the figure in inches: a column of a paper (3.5), or a page (7).
    """
    check_one_problem(updates, "learning curves")
    names = names_in(updates)
    together = max(int(-(-updates["update"].max() // POINTS)), 1)
    of = {str(arm): _binned(_carried(runs), together) for arm, runs in updates.groupby("arm", sort=False)}
    means = {arm: runs.groupby("update")[["env_steps", "return_mean"]].mean() for arm, runs in of.items()}

    def detail(axes: Axes, arm: str, colour: Colour) -> None:
        every_line(axes, _runs(of[arm], "return_mean"), color=colour, **THIN)
        intervals = [mean_interval(scores.to_numpy()) for _, scores in of[arm].groupby("update")["return_mean"]]
        _, low, high = zip(*intervals, strict=True)
        axes.fill_between(means[arm]["env_steps"], low, high, color=colour, alpha=0.2, lw=0)

    labels = {arm: f"{names[arm]} ({_how_many(runs)})" for arm, runs in of.items()}
    marks = "mean, 95 % t interval (pointwise), every run"
    with paper():
        lines = {arm: (mean["env_steps"], mean["return_mean"]) for arm, mean in means.items()}
        shown = "mean return of " + (f"{together} batches" if together > 1 else "the batch")
        figure, panels = overlaid(labels, lines, detail, marks, STEPS, shown, width=width)
        for axes in panels:
            over_steps(axes, most=(4 if width == COLUMN_WIDTH else 8) if len(panels) == 1 else 3)
    return finished(figure)


def _carried(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows of an arm in order of update, in which an unknown return is the last one known of its run."""
    runs = runs.sort_values("update", kind="stable")
    run = [name for name in ("study", "seed") if name in runs]
    return runs.assign(return_mean=runs.groupby(run)["return_mean"].ffill())


def _binned(runs: pd.DataFrame, together: int) -> pd.DataFrame:
    """Rows of an arm with the mean return of so many consecutive updates of each run, at the last of these."""
    run = [name for name in ("study", "seed") if name in runs]
    bin_of = (runs["update"] - 1) // together
    means = runs.groupby([*run, bin_of])["return_mean"].transform("mean")
    return runs.assign(return_mean=means, update=bin_of + 1).drop_duplicates([*run, "update"], keep="last")


def gradient_diagnostics(updates: pd.DataFrame) -> Figure:
    """Draws what `diagnostics=gradient` measured over environment steps: a panel for each column that is there.

    Bold is the median over an arm's seeds at each update; every run is a thin line, unless there are
    more than six arms. Variance, KL and length have a logarithmic axis, on which values that are not positive
    are left out; an axis of a share of variance that would reach below -1 is cut there, and says so.

    Raises:
        ValueError: the frame has none of these columns, or nothing in them.
    """
    check_one_problem(updates, "gradient diagnostics")
    there = [name for name in DIAGNOSTICS if name in updates and updates[name].notna().any()]
    if not there:
        raise ValueError(f"there are no gradient diagnostics in these runs: none of {', '.join(DIAGNOSTICS)}")
    names = names_in(updates)
    looks = dict(zip(names, colours_of(names.values()), strict=True))
    columns = min(len(there), 4)
    rows = -(-len(there) // columns)
    few = len(names) <= MOST_TOGETHER
    with paper():
        size = (max(PAGE_WIDTH * columns / 4, COLUMN_WIDTH), 0.2 + 1.75 * rows)
        figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
        for axes, name in zip(grid.flat, there, strict=False):
            measured = updates[updates[name] > 0] if name in LOGARITHMIC else updates.dropna(subset=[name])
            for arm, label in names.items():
                colour, dashes = looks[arm]
                runs = measured[measured["arm"] == arm]
                if few:
                    every_line(axes, _runs(runs, name), color=colour, **THIN)
                middle = runs.groupby("update").agg({"env_steps": "mean", name: "median"})
                number = updates.loc[updates["arm"] == arm, "seed"].nunique()
                label = as_typed(f"{label} (n = {number})")
                axes.plot(middle["env_steps"], middle[name], dashes, color=colour, lw=1.4, label=label)
            _measure_axis(axes, name, measured[name].to_numpy(), size[0] / columns - 0.3)
            axes.set_xlabel(STEPS)
            over_steps(axes, most=3)
        for axes in grid.flat[len(there) :]:
            axes.set_visible(False)
        legend_above(
            figure, "median over seeds (bold)" + (", every run (thin)" if few else ""), ncols=2 if columns > 2 else 1
        )
    return finished(figure)


def _runs(rows: pd.DataFrame, name: str) -> list[Line]:
    """A column over environment steps, of each run of an arm."""
    return [(run["env_steps"].to_numpy(), run[name].to_numpy()) for _, run in rows.groupby("seed")]


def _measure_axis(axes: Axes, name: str, values: np.ndarray, width: float) -> None:
    least = values.min(initial=0)
    cut = name in SHARES and least < LEAST_SHARE
    title = wrapped(DIAGNOSTICS[name] + (" (cut at −1)" if cut else ""), width)
    axes.set_title(title, loc="left", fontsize=plt.rcParams["legend.fontsize"])
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if name in LOGARITHMIC and len(values):
        axes.set_yscale("log")
    elif name in SHARES:
        axes.set_ylim(max(least, LEAST_SHARE) - 0.05, 1.05)
    elif name.endswith("cosine"):
        axes.set_ylim(-1.05, 1.05)
    if name in SHARES or name.endswith("cosine"):
        axes.axhline(0, color=GREY, lw=0.6, zorder=0)


def _how_many(runs: pd.DataFrame) -> str:
    """`n = 8, 1 diverged`."""
    said = [f"n = {runs['seed'].nunique()}"]
    if "status" in runs:
        ends = runs.drop_duplicates("seed")["status"].value_counts()
        said += [f"{ends[status]} {status}" for status in ("diverged", "stopped", "failed") if ends.get(status)]
    return ", ".join(said)
