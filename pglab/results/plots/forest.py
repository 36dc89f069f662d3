"""Forests of intervals: differences between arms, effects of factors."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pglab.results.arm_names import short_names
from pglab.results.by_problem import check_one_problem
from pglab.results.digits import p_value
from pglab.results.plots.style import GREY, LINE, colours, finished, in_words, paper, row_labels, say_under_rows


def paired_differences(
    comparisons: pd.DataFrame,
    score: str = "score",
    interval: str = "95 % interval",
    names: Mapping[str, str] | None = None,
) -> Figure:
    """Each arm's difference to its control with its interval, the largest first, beside a line at zero.

    Dots are differences within seeds (paired), squares are between independent groups. At the
    right are the number of seeds and the p value by which the verdict goes, Bonferroni's. A comparison whose
    interval has no ends, or that has no test, keeps its row, and says so.

    Args:
        comparisons: rows with `arm control difference low high n p_bonferroni paired`.
        score: what is compared, with its unit.
        interval: what `low` and `high` are.
        names: of the arms, as from `names_in`; by default what their names in full tell apart.
    """
    check_one_problem(comparisons, "differences")
    if comparisons.empty:
        return in_words("a single arm: nothing to compare")
    names = names or short_names(dict.fromkeys([*comparisons["control"], *comparisons["arm"]]))
    rows = comparisons.sort_values("difference", ascending=False, kind="stable")
    rows = rows.assign(
        name=rows["arm"].map(names) + _without_ends(rows), against=[f"against {names[arm]}" for arm in rows["control"]]
    )
    controls = rows["control"].unique()
    paired = rows["paired"].astype(bool)
    kinds = [said for said, there in (("paired by seed", paired.any()), ("unpaired", not paired.all())) if there]
    marks = kinds[0] if len(kinds) == 1 else "dot: paired by seed, square: unpaired"
    with paper():
        figure, axes, places = _forest(rows, "against" if len(controls) > 1 else None, "name")
        for marker, of_kind in (("o", rows[paired]), ("s", rows[~paired])):
            _intervals(axes, of_kind["difference"], places[of_kind.index], of_kind, marker)
        axes.set_ylim(top=-1.5)  # a row for the headings of the columns
        figure.set_figheight(figure.get_figheight() + 1.5 * LINE)
        _column(axes, 0.25, "n", places, rows["n"].map("{:.0f}".format))
        several = "p (Bonf.)" if len(rows) > 1 else "p"
        _column(axes, 0.68, several, places, rows["p_bonferroni"].map(p_value))
        what = f"difference in {score}" + (f" to {names[controls[0]]}" if len(controls) == 1 else "")
        say_under_rows(axes, what, f"({interval}; {marks})")
    return finished(figure, left=False)


def effects(table: pd.DataFrame, score: str = "score", interval: str = "95 % interval") -> Figure:
    """Main effects and interactions with their intervals, under the name of each factor and its control level.

    An effect that is not known, or whose interval has no ends, keeps its row, and says so.

    Args:
        table: rows with `factor level effect low high`, factors in the order to be drawn, as from
            `main_effects`; the control level is named where there is a column `control_level`.
        score: what the effects are on, with its unit.
        interval: what `low` and `high` are.
    """
    if table.empty:
        return in_words("a single arm: no effects")
    with paper():
        unknown = pd.Series(" (not known)", table.index).where(table["effect"].isna(), _without_ends(table))
        rows = table.assign(level=table["level"] + unknown)
        if "control_level" in table:  # an interaction is between levels whose controls are named above it
            against = " against " + table["control_level"]
            rows["factor"] += against.where(~table["factor"].str.contains(" × "), "")
        figure, axes, places = _forest(rows, "factor", "level")
        _intervals(axes, table["effect"], places[table.index], table, "o")
        say_under_rows(axes, f"effect on {score}", f"({interval})")
    return finished(figure, left=False)


def _without_ends(rows: pd.DataFrame) -> pd.Series:
    """A remark for each row that has no interval to be drawn."""
    said = np.where(np.isinf(rows["low"]) & np.isinf(rows["high"]), " (interval without ends)", "")
    return pd.Series(np.where(rows["low"].isna(), " (no interval)", said), rows.index)


def _forest(rows: pd.DataFrame, under: str | None, name: str) -> tuple[Figure, Axes, pd.Series]:
    """Axes with a line at zero and a place for each of the rows, from top to bottom.

    Args:
        under: the column whose values are headings of groups of rows; None for one group.
        name: the column with the label of each row.

    Returns:
        The figure, its axes, and y by the rows' index.
    """
    texts, headings, places = [], [], {}
    for heading, group in rows.groupby(under, sort=False) if under else [("", rows)]:
        if under:
            headings.append(len(texts))
            texts.append(str(heading))
        for index, text in group[name].items():
            places[index] = len(texts)
            texts.append(str(text))
    labels, width = row_labels(texts)
    lines = sum(label.count("\n") + 1.25 for label in labels)
    figure, axes = plt.subplots(figsize=(width, 0.85 + LINE * lines), layout="constrained")
    axes.axvline(0, color=GREY, lw=0.8, zorder=0)
    axes.set_yticks(range(len(labels)), labels)
    for place in headings:
        axes.get_yticklabels()[place].set_fontweight("bold")
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    return figure, axes, pd.Series(places)


def _intervals(axes: Axes, value: pd.Series, y: pd.Series, ends: pd.DataFrame, marker: str) -> None:
    ((colour, _),) = colours(1)
    axes.hlines(y, ends["low"], ends["high"], color=colour, lw=1.4)
    axes.plot(value, y, marker, color=colour, ms=4)


def _column(axes: Axes, inches: float, title: str, places: pd.Series, texts: pd.Series) -> None:
    """Texts at the right of the rows, under a title."""
    for place, text in [(-1, title), *zip(places[texts.index], texts, strict=True)]:
        axes.annotate(
            text, (1, place), (72 * inches, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            ha="center", va="center", fontsize=plt.rcParams["legend.fontsize"], annotation_clip=False,
        )  # fmt: skip
