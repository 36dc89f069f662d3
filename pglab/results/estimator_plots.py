"""Figures of what `python -m pglab.verify` found."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from matplotlib.transforms import Transform

from pglab.shown import as_typed

PAGE_WIDTH = 7.0  # inches, both columns of a paper
PANEL_HEIGHT = 1.9
DECADE = 10.0
MOST_BANDS = 6  # more would hide each other


def bias_and_variance(points: pd.DataFrame) -> Figure:
    """Relative bias with its interval, and total variance, of each estimator.

    One mark for each parameter point, coloured by problem. Exact variances, where they are
    known, are open diamonds around the measured dots.

    Args:
        points: rows with `estimator problem seed relative_bias low high variance exact_variance`.
    """
    estimators, problems = list(points["estimator"].unique()), list(points["problem"].unique())
    colours = dict(zip(problems, sns.color_palette("colorblind", len(problems)), strict=True))
    drawn = points.assign(y=_places(points, estimators))
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        size = (PAGE_WIDTH, 1.3 + 0.45 * len(estimators))
        figure, (bias, variance) = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
        bias.axvline(0, color="0.6", lw=0.8, zorder=0)
        for problem, rows in drawn.groupby("problem", sort=False):
            of_problem = {"color": colours[str(problem)], "ms": 3, "lw": 0.9}
            ends = 100 * np.abs(rows[["low", "high"]].to_numpy().T - rows["relative_bias"].to_numpy())
            bias.errorbar(
                100 * rows["relative_bias"], rows["y"], xerr=ends, fmt="o", label=as_typed(str(problem)), **of_problem
            )
            variance.plot(rows["variance"], rows["y"], "o", color=colours[str(problem)], ms=3)
            variance.plot(rows["exact_variance"], rows["y"], "D", mec=colours[str(problem)], mfc="none", ms=6, mew=0.8)
        for low, axes in ((True, bias), (False, variance)):
            axes.hlines(np.arange(len(estimators) - 1) + 0.5, 0, 1, color="0.9", lw=0.6, transform=_across(axes))
            axes.tick_params(axis="y", length=0)
            axes.set_ylim(len(estimators) - 0.5, -0.5)
            axes.spines["left"].set_visible(low)
        bias.set_xscale("symlog", linthresh=10)
        bias.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        bias.set_yticks(range(len(estimators)), [as_typed(name).replace(",", "\n") for name in estimators])
        bias.set_xlabel("relative bias along ∇J, %\n(intervals that hold together; linear to ±10,\nthen logarithmic)")
        known = points[["variance", "exact_variance"]].to_numpy(dtype=float)
        known = known[known > 0]
        if len(known) and known.max() > DECADE * known.min():  # else a logarithmic axis has no room for its labels
            variance.set_xscale("log")
        variance.set_xlabel("total variance of one episode's estimate\n(dot: measured, diamond: exact)")
        figure.legend(*bias.get_legend_handles_labels(), loc="outside upper right", ncols=4, frameon=False)
        sns.despine(figure)
    plt.close(figure)
    return figure


def gradient_cosine(cosines: pd.DataFrame) -> Figure:
    """Mean cosine between the estimate and ∇J over the number of episodes in a batch.

    A panel for each problem, a line for each estimator: the mean over batches and parameter
    points. Up to six estimators have a band: the pointwise 95 % interval of that mean.

    Args:
        cosines: rows with `estimator problem seed batch cosine low high`.
    """
    estimators, problems = list(cosines["estimator"].unique()), list(cosines["problem"].unique())
    palette = sns.color_palette("colorblind", min(len(estimators), 10))
    styles = {name: (palette[i % 10], ("-", "--", ":")[i // 10 % 3]) for i, name in enumerate(estimators)}
    columns = min(len(problems), 4)
    rows = -(-len(problems) // columns)
    legend_rows = -(-len(estimators) // 2)
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        size = (PAGE_WIDTH, PANEL_HEIGHT * rows + 0.3 + 0.17 * legend_rows)
        figure, grid = plt.subplots(
            rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
        )
        for axes, problem in zip(grid.flat, problems, strict=False):
            of_problem = cosines[cosines["problem"] == problem]
            for name, of_estimator in of_problem.groupby("estimator", sort=False):
                colour, style = styles[str(name)]
                batch, mean, half = _over_points(of_estimator)
                axes.plot(batch, mean, style, color=colour, lw=1.2, label=as_typed(str(name)))
                if len(estimators) <= MOST_BANDS:
                    axes.fill_between(batch, mean - half, mean + half, color=colour, alpha=0.15, lw=0)
            axes.set_title(as_typed(problem), fontsize="medium")
            axes.axhline(1, color="0.6", lw=0.8, zorder=0)
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        for axes in grid.flat[len(problems) :]:
            axes.set_visible(False)
        grid[-1, 0].set_xlabel("episodes in a batch")
        grid[0, 0].set_ylabel("cosine to ∇J")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, fontsize="x-small")
        sns.despine(figure)
    plt.close(figure)
    return figure


def _places(points: pd.DataFrame, estimators: list[str]) -> pd.Series:
    """The estimator's line, and on it a place of its own for each problem and seed."""
    keys = points.groupby(["problem", "seed"], sort=False).ngroup()
    spread = (keys - keys.max() / 2) / max(keys.max(), 1) * 0.7
    return points["estimator"].map(estimators.index) + spread


def _over_points(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Batch sizes, the mean over parameter points, and half its interval (the points are independent)."""
    by_batch = rows.assign(square=((rows["high"] - rows["low"]) / 2) ** 2).groupby("batch")
    half = np.sqrt(by_batch["square"].sum().to_numpy()) / by_batch["square"].count().to_numpy()
    return np.array(list(by_batch.groups)), by_batch["cosine"].mean().to_numpy(), half


def _across(axes: Axes) -> Transform:
    """x across the whole axes, y in data."""
    return axes.get_yaxis_transform()
