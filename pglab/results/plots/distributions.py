"""Plots of how scores are spread over runs, and of how often one arm's run beats another's."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import betaincinv

from pglab.results.arm_names import names_in, short_names
from pglab.results.by_problem import check_one_problem
from pglab.results.censoring import survival, times_of
from pglab.results.digits import fixed
from pglab.results.plots.overlay import overlaid
from pglab.results.plots.style import (
    COLUMN_WIDTH,
    LINE,
    LONG_NAME_WIDTH,
    MOST_TOGETHER,
    NAME_WIDTH,
    PAGE_WIDTH,
    Colour,
    counted,
    finished,
    in_words,
    paper,
    wrapped,
)

DARK = 0.3  # away from 0.5, from where on letters are white
MOST_NUMBERED = 14  # arms whose numbers have room in the cells
MOST_BANDS = 3  # they are wide for few runs, and would hide each other


def share_interval(successes: np.ndarray, n: np.ndarray | int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The exact interval of a share of n independent runs (Clopper & Pearson 1934); n need not be whole.

    Its ends are quantiles of beta distributions, (1 - level)/2 of Beta(k, n-k+1) and (1 + level)/2 of
    Beta(k+1, n-k), and 0 and 1 where no run and every run succeeds.
    """
    k, tail = np.asarray(successes, dtype=float), (1 - level) / 2
    low = np.where(k == 0, 0.0, betaincinv(np.where(k > 0, k, 1), n - k + 1, tail))
    high = np.where(k >= n, 1.0, betaincinv(k + 1, np.where(k < n, n - k, 1), 1 - tail))
    return low, high


def performance_profile(scores: pd.DataFrame, score: str = "score") -> Figure:
    """Share of runs whose score is at least τ, over τ (Agarwal et al. 2021, section 4.2).

    Of scores of which the lower is the better one it is the share whose score is at most τ. The band is the
    95 % Clopper-Pearson interval of each share: pointwise, exact for any number of runs. A run without a
    score is counted, and does not get there. More than three arms get a panel each.

    Where some times to a threshold are censored it is one minus Kaplan and Meier's curve, as far as an arm is
    watched, and the band takes as many runs as would know the share as well, S (1 - S) / Var S with Greenwood's
    variance: where no run is censored that is all of them (Dorey & Korn 1987).

    Args:
        scores: rows with `arm seed score`, `better` (higher or lower; higher if there is no such column), and
            `reached` for steps to a threshold.
        score: what it is, with its unit.
    """
    check_one_problem(scores, "performance profiles")
    names = names_in(scores)
    lower = "better" in scores and bool((scores["better"] == "lower").all())
    of, there_at = {}, {}
    for arm, runs in scores.groupby("arm", sort=False):
        of[str(arm)], there_at[str(arm)] = times_of(runs)
    lacking = not all(reached.all() for reached in there_at.values())
    there = scores["score"].dropna()
    low, high = (there.min(), there.max()) if len(there) else (0.0, 0.0)
    margin = 0.04 * (high - low) or 1.0
    low, high = low - margin, high + margin
    if lacking:
        steps = {arm: _watched(runs, there_at[arm], low, high) for arm, runs in of.items()}
    else:
        steps = {arm: _profile(runs, low, high, lower) for arm, runs in of.items()}
    side = "post" if lower else "pre"  # at the very score a run is there

    def detail(axes: Axes, arm: str, colour: Colour) -> None:
        tau, share, n = steps[arm]
        axes.fill_between(tau, *share_interval(share * n, n), step=side, color=colour, alpha=0.15, lw=0)

    kind = "share of runs, one minus Kaplan-Meier" if lacking else "share of runs"
    ylabel = f"share of runs with score {'≤' if lower else '≥'} τ"
    cut = {arm: ~reached for arm, reached in there_at.items()}
    labels = {
        arm: counted(names[arm], int((np.isfinite(runs) | cut[arm]).sum()), len(runs), int(cut[arm].sum()))
        for arm, runs in of.items()
    }
    marks = f"{kind}, 95 % Clopper-Pearson band (pointwise)"
    with paper():
        lines = {arm: _as_steps(tau, share, lower) for arm, (tau, share, _) in steps.items()}
        figure, panels = overlaid(labels, lines, detail, marks, f"τ ({score})", ylabel, MOST_BANDS)
        for axes in panels:
            axes.set_ylim(-0.03, 1.03)
    return finished(figure)


def probability_of_improvement(pairs: pd.DataFrame, names: Mapping[str, str] | None = None) -> Figure:
    """P(a run of the row's arm scores better than one of the column's arm), as a matrix.

    Arms are sorted by their mean probability, the best on top; columns have the numbers of the rows.
    Up to fourteen arms have the probability in each cell, more its colour only.

    Args:
        pairs: rows with `arm other p_better`; what is not there stays blank.
        names: of the arms, as from `names_in`; by default what their names in full tell apart.
    """
    if pairs.empty:
        return in_words("a single arm: nothing to compare")
    matrix = pairs.pivot(index="arm", columns="other", values="p_better")
    arms = matrix.mean(axis="columns").sort_values(ascending=False, kind="stable").index.tolist()
    arms += [other for other in matrix.columns if other not in arms]
    matrix = matrix.reindex(index=arms, columns=arms)
    names = names or short_names(arms)
    wide = len(arms) > MOST_TOGETHER
    names_width = LONG_NAME_WIDTH - 1 if wide else NAME_WIDTH
    labels = [wrapped(f"{place}\u00a0\u00a0{names[arm]}", names_width) for place, arm in enumerate(arms, 1)]
    with paper():
        lines = sum(max(label.count("\n") + 1, 1.6) for label in labels)
        size = (PAGE_WIDTH if wide else COLUMN_WIDTH, 0.5 + LINE * (lines + 0.5))
        figure, axes = plt.subplots(figsize=size, layout="constrained")
        image = axes.pcolormesh(matrix.to_numpy(), vmin=0, vmax=1, cmap="PuOr", edgecolors="white", linewidth=0.5)
        for (row, column), p in np.ndenumerate(matrix.to_numpy()):
            if np.isfinite(p) and len(arms) <= MOST_NUMBERED:
                colour = "white" if abs(p - 0.5) > DARK else "black"
                axes.text(column + 0.5, row + 0.5, fixed(p, 2), color=colour, ha="center", va="center", size="small")
        bar = figure.colorbar(image, ax=axes, ticks=[0, 0.5, 1], label="P(row better\nthan column)")
        bar.outline.set_visible(False)
        axes.invert_yaxis()
        axes.set_yticks(np.arange(len(arms)) + 0.5, labels)
        axes.set_xticks(np.arange(len(arms)) + 0.5, [str(place) for place in range(1, len(arms) + 1)])
        axes.tick_params(length=0)
    finished(figure)
    axes.spines[:].set_visible(False)
    return figure


def _as_steps(x: np.ndarray, y: np.ndarray, lower: bool) -> tuple[np.ndarray, np.ndarray]:
    """The corners of a line that has the value y from the x before up to its own x, or from there up to the next."""
    if lower:
        return np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    return np.repeat(x, 2)[:-1], np.repeat(y, 2)[1:]


def _profile(runs: np.ndarray, low: float, high: float, lower: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends of the steps, from low to high; the share of runs that reach each, from above or below; of how many."""
    tau = np.unique(np.r_[low, runs[np.isfinite(runs)], high])
    reached = runs <= tau[:, None] if lower else runs >= tau[:, None]
    return tau, reached.mean(axis=1), np.full(len(tau), float(len(runs)))


def _watched(
    times: np.ndarray, reached: np.ndarray, low: float, high: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times from low on; the share of runs that are there at each; how many know it as well.

    They end with the last run that is watched, or at high where all are there or some never will be.
    """
    known = ~np.isnan(times)
    times, reached = times[known], reached[known]
    ordered, share, error = survival(times, reached)
    watched = np.arange(len(times), 0, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        number = np.where((share > 0) & (share < 1), (1 - share) / (share * error), watched)
    last = np.r_[ordered[1:] > ordered[:-1], [True] * (len(times) > 0)].astype(bool)
    all_there = np.full(int(len(share) > 0 and share[-1] == 0), 1.0)
    of = np.r_[float(len(times)), number[last], all_there]
    return np.r_[low, np.minimum(ordered[last], high), high * all_there], np.r_[0.0, 1 - share[last], all_there], of
