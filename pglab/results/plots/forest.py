"""Forests of intervals: differences between arms, effects of factors."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pglab.results.arm_names import short_names
from pglab.results.digits import p_value
from pglab.results.plots.style import COLUMN_WIDTH, GREY, LINE, Colour, colours, finished, paper, wrapped

NAME_WIDTH = 1.25  # inches


def paired_differences(comparisons: pd.DataFrame, score: str = "score", interval: str = "95 % interval") -> Figure:
    """Each arm's difference to its control with its interval, the largest first, beside a line at zero.

    Dots are differences within seeds (paired), squares are between independent groups. At the
    right are the number of seeds and the p value after Holm's correction.

    Args:
        comparisons: rows with `arm control difference low high n p_holm paired`.
        score: what is compared, with its unit.
        interval: what `low` and `high` are.
    """
    rows = comparisons.sort_values("difference", ascending=False, kind="stable", ignore_index=True)
    names = short_names(dict.fromkeys([*rows["control"], *rows["arm"]]))
    controls = rows["control"].unique()
    one = len(controls) == 1
    versus = [names[arm] if one else f"{names[arm]} − {names[control]}" for arm, control in _pairs(rows)]
    labels = [wrapped(label, NAME_WIDTH) for label in versus]
    paired = rows["paired"].astype(bool)
    with paper():
        figure, axes = _forest(labels)
        ((colour, _),) = colours(1)
        for marker, of_kind in (("o", rows[paired]), ("s", rows[~paired])):
            _intervals(axes, of_kind["difference"], of_kind.index, of_kind, marker, colour)
        for inches, title, texts in (
            (0.25, "n", rows["n"].map("{:.0f}".format)),
            (0.68, "p (Holm)", rows["p_holm"].map(p_value)),
        ):
            for place, text in ((-0.75, title), *texts.items()):
                axes.annotate(
                    text, (1, place), (72 * inches, 0), xycoords=axes.get_yaxis_transform(),
                    textcoords="offset points", ha="center", va="center", fontsize=plt.rcParams["legend.fontsize"],
                    annotation_clip=False,
                )  # fmt: skip
        what = f"difference in {score}" + (f" to {names[controls[0]]}" if one else "")
        kinds = [said for said, there in (("paired by seed", paired.any()), ("unpaired", ~paired.all())) if there]
        axes.set_xlabel(f"{wrapped(what, 2.6)}\n{wrapped(f'({interval}; {_marked(kinds)})', 2.6)}")
    return finished(figure)


def effects(table: pd.DataFrame, score: str = "score", interval: str = "95 % interval") -> Figure:
    """Main effects and interactions with their intervals, under the name of each factor.

    Args:
        table: rows with `factor level effect low high`, factors in the order to be drawn.
        score: what the effects are on, with its unit.
        interval: what `low` and `high` are.
    """
    labels, places, headings = [], [], []
    for factor, rows in table.groupby("factor", sort=False):
        headings.append(len(labels))
        labels.append(wrapped(str(factor), 1.6))
        for index, level in rows["level"].items():
            places.append((index, len(labels)))
            labels.append(wrapped(str(level), NAME_WIDTH))
    rows = table.loc[[index for index, _ in places]]
    with paper():
        figure, axes = _forest(labels)
        ((colour, _),) = colours(1)
        _intervals(axes, rows["effect"], np.array([place for _, place in places]), rows, "o", colour)
        for heading in headings:
            axes.get_yticklabels()[heading].set_fontweight("bold")
        axes.set_xlabel(f"{wrapped(f'effect on {score}', 2.2)}\n({interval})")
    return finished(figure)


def _forest(labels: list[str]) -> tuple[Figure, Axes]:
    """Axes with a row for each label, the first on top, and a line at zero."""
    lines = sum(label.count("\n") + 1.25 for label in labels)
    figure, axes = plt.subplots(figsize=(COLUMN_WIDTH, 0.85 + LINE * lines), layout="constrained")
    axes.axvline(0, color=GREY, lw=0.8, zorder=0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure, axes


def _intervals(axes: Axes, value: pd.Series, y: Any, ends: pd.DataFrame, marker: str, colour: Colour) -> None:
    axes.hlines(y, ends["low"], ends["high"], color=colour, lw=1.4)
    axes.plot(value, y, marker, color=colour, ms=4)


def _pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["arm"], rows["control"], strict=True))


def _marked(kinds: list[str]) -> str:
    return kinds[0] if len(kinds) == 1 else "dot: paired by seed, square: unpaired"
