"""Marks that the figures of the paper share."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from pglab.results import mean_interval
from pglab.results.plots.style import GREY

ROOM = 0.18  # inches
MARKED = "quick: fewer seeds than the published figure"


def marked_quick(figure: Figure) -> Figure:
    """The same figure with a line under it that says that it is no figure to publish."""
    height = figure.get_figheight() + ROOM
    figure.set_figheight(height)
    figure.get_layout_engine().set(rect=(0, ROOM / height, 1, 1 - ROOM / height))
    figure.text(0.005, 0.04 / height, MARKED, color="#a4262c", fontsize=7)
    return figure


def by_seed(rows: pd.DataFrame, column: str = "return_mean") -> pd.DataFrame:
    """A column as a table of seeds and updates; NaN where a run has no rows."""
    return rows.pivot(index="seed", columns="update", values=column)


def in_blocks(table: pd.DataFrame, block: int) -> pd.DataFrame:
    """A table of seeds and updates, averaged over blocks of so many updates, each named by its last."""
    blocks = (table.columns - 1) // block
    return table.T.groupby(blocks).mean().T.set_axis((np.unique(blocks) + 1) * block, axis="columns")


def mean_and_band(axes: Axes, table: pd.DataFrame, label: str, **style: object) -> None:
    """The mean over seeds, with its pointwise 95 % Student-t interval as a band.

    Args:
        table: seeds and x, as of `by_seed`.
    """
    means, low, high = np.array([mean_interval(column.dropna().to_numpy()) for _, column in table.items()]).T
    (line,) = axes.plot(table.columns, means, label=label, **style)
    axes.fill_between(table.columns, low, high, color=line.get_color(), alpha=0.2, lw=0)


def reference(axes: Axes, y: float, said: str, x: float = 0.99, above: bool = True) -> None:
    """A horizontal line at a known value, with its name."""
    axes.axhline(y, color=GREY, lw=0.8, ls="--", zorder=0)
    axes.annotate(
        said,
        (x, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, 2 if above else -2),
        textcoords="offset points",
        ha="right",
        va="bottom" if above else "top",
        fontsize=plt.rcParams["legend.fontsize"],
        color="0.35",
    )


def point(axes: Axes, at: tuple[float, float], said: str) -> None:
    """A published point, with its words to the left."""
    axes.plot(*at, "D", color="0.35", mfc="white", ms=4)
    small = plt.rcParams["legend.fontsize"]
    axes.annotate(
        said, at, xytext=(-6, 0), textcoords="offset points", ha="right", va="center", fontsize=small, color="0.35"
    )


def every_run(axes: Axes, table: pd.DataFrame, colour: object) -> None:
    """Every seed as a thin line."""
    x = table.columns.to_numpy(dtype=float)
    lines = [np.column_stack([x, run]) for run in table.to_numpy(dtype=float)]
    axes.add_collection(LineCollection(lines, color=colour, lw=0.5, alpha=0.35))
