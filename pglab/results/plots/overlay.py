"""Arms over one another while they can be told apart, each in a panel of its own where there are more."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from pglab.results.plots.style import (
    COLUMN_WIDTH,
    GREY,
    LINE,
    MOST_TOGETHER,
    PAGE_WIDTH,
    Colour,
    colours,
    colours_of,
    legend_above,
    wrapped,
)
from pglab.shown import as_typed

BOLD = 1.6

Line = tuple[Any, Any]
"""x and y of an arm's line, such as its mean."""
DrawDetail = Callable[[Axes, str, Colour], Any]
"""(axes, arm, colour): its band, its runs."""


def every_line(axes: Axes, lines: Iterable[Line], **style: Any) -> None:
    """Many lines that look the same, as one artist, which is drawn far sooner than as many."""
    axes.add_collection(LineCollection([np.column_stack(line) for line in lines], **style))


def overlaid(
    labels: Mapping[str, str],
    lines: Mapping[str, Line],
    detail: DrawDetail,
    marks: str,
    xlabel: str,
    ylabel: str,
    most: int = MOST_TOGETHER,
    width: float = COLUMN_WIDTH,
) -> tuple[Figure, list[Axes]]:
    """A few arms in one column; more in a page of panels, each before the lines of all others in grey.

    Args:
        labels: what to call each arm, in order.
        lines: of each arm.
        marks: what line, band and dots are; the title of the legend.
        most: how many go together.
        width: of a figure with all of them together, in inches.
    """
    if len(labels) <= most:
        figure, axes = plt.subplots(figsize=(width, 0.8 + 0.43 * width), layout="constrained")
        for (arm, label), (colour, _) in zip(labels.items(), colours_of(labels.values()), strict=True):
            detail(axes, arm, colour)
            axes.plot(*lines[arm], color=colour, lw=BOLD, label=as_typed(label))
        axes.set(xlabel=wrapped(xlabel, width - 0.5), ylabel=wrapped(ylabel, 2.0))
        legend_above(figure, marks)
        return figure, [axes]

    columns = min((4, 3), key=lambda columns: -len(labels) % columns)  # leave few places empty
    titles = {arm: wrapped(label, PAGE_WIDTH / columns - 0.25) for arm, label in labels.items()}
    rows = -(-len(titles) // columns)
    of_title = max(title.count("\n") + 1 for title in titles.values())
    size = (PAGE_WIDTH, 0.5 + rows * (1.2 + LINE * of_title))
    figure, grid = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, layout="constrained")
    ((colour, _),) = colours(1)
    for axes, (arm, title) in zip(grid.flat, titles.items(), strict=False):
        every_line(axes, [lines[other] for other in labels if other != arm], color=GREY, lw=0.5, alpha=0.6)
        detail(axes, arm, colour)
        axes.plot(*lines[arm], color=colour, lw=BOLD)
        axes.set_title(title, fontsize=plt.rcParams["legend.fontsize"], loc="left")
    for place, axes in enumerate(grid.flat):
        axes.set_visible(place < len(titles))
        axes.tick_params(labelbottom=place + columns >= len(titles))
    size = plt.rcParams["axes.labelsize"]
    figure.supxlabel(wrapped(xlabel, PAGE_WIDTH), fontsize=size)
    figure.supylabel(wrapped(ylabel, PAGE_WIDTH), fontsize=size)
    figure.suptitle(f"{marks}; grey: the other arms", fontsize=size, ha="left", x=0.01)
    return figure, list(grid.flat[: len(titles)])
