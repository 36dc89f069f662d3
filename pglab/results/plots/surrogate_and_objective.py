"""The surrogate that is minimised beside the objective that is meant."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from pglab.results.arm_names import names_in
from pglab.results.by_problem import check_one_problem
from pglab.results.plots.style import (
    MOST_TOGETHER,
    PAGE_WIDTH,
    STEPS,
    colours_of,
    finished,
    legend_above,
    over_steps,
    paper,
)
from pglab.shown import as_typed


def surrogate_and_objective(updates: pd.DataFrame) -> Figure:
    """The loss beside the exact J over environment steps, from the frame of `load`.

    Only updates at which J was measured are drawn. Bold is the mean over an arm's seeds at each update;
    every run is a thin line, unless there are more than six arms. The legend says how the two go together within a run:
    Pearson's r of loss and J over its updates, the median over runs and the smallest and largest.
    A loss to be minimised that followed J would have r = -1.

    Raises:
        ValueError: the frame has no exact J, or its runs are on several problems.
    """
    check_one_problem(updates, "losses and objectives")
    if "objective" not in updates or updates["objective"].isna().all():
        raise ValueError("there is no exact J in these runs")
    updates = updates.dropna(subset=["objective"])
    arms = list(updates["arm"].unique())
    names = names_in(updates)
    looks = dict(zip(arms, colours_of([names[arm] for arm in arms]), strict=True))
    few = len(arms) <= MOST_TOGETHER
    correlations = run_correlations(updates)
    with paper():
        figure, panels = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 2.5), layout="constrained")
        labels = ("loss (surrogate's value)", "exact objective J(θ)")
        for axes, column, label in zip(panels, ("loss", "objective"), labels, strict=True):
            for arm, runs in updates.groupby("arm", sort=False):
                colour, dashes = looks[arm]
                for _, run in runs.groupby("seed") if few else ():
                    axes.plot(run["env_steps"], run[column], color=colour, lw=0.5, alpha=0.35)
                mean = runs.groupby("update")[["env_steps", column]].mean()
                said = f"{names[str(arm)]} (n = {len(correlations[arm])}): {_said(correlations[arm].dropna())}"
                axes.plot(mean["env_steps"], mean[column], dashes, color=colour, lw=1.6, label=as_typed(said))
            axes.set(xlabel=STEPS, ylabel=label)
            over_steps(axes)
        thin = ", every run (thin)" if few else ""
        legend_above(figure, f"mean (bold){thin}; r of loss and J within a run: median (range)")
    return finished(figure)


def run_correlations(updates: pd.DataFrame) -> pd.Series:
    """Pearson's r of loss and J over the updates of each run, by (arm, seed).

    NaN for fewer than three updates with both, or where one of them never changes.
    """
    both = updates.dropna(subset=["loss", "objective"])

    def r(run: pd.DataFrame) -> float:
        changes = len(run) >= 3 and run["loss"].nunique() > 1 and run["objective"].nunique() > 1
        return float(run["loss"].corr(run["objective"])) if changes else float("nan")

    return pd.Series({key: r(run) for key, run in both.groupby(["arm", "seed"], sort=False)}, dtype=float)


def _said(r: pd.Series) -> str:
    if r.empty:
        return "r is not defined"
    low, middle, high = (f"{x:.2f}".replace("-", "−") for x in (r.min(), r.median(), r.max()))
    return f"r = {middle} ({low} to {high})"
