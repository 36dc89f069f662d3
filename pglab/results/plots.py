"""Figures: functions of a frame that return a matplotlib Figure, with no global style."""

import textwrap

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pglab.results.summary import mean_interval

COLUMN_WIDTH = 3.5  # inches, one column of a paper
PAGE_WIDTH = 7.0
LEGEND_WIDTH = 95  # small letters across a page


def learning_curves(updates: pd.DataFrame) -> Figure:
    """Mean return of each batch over environment steps, from the frame of `load`.

    Every run is a thin line. Bold is the mean over an arm's seeds at each update, drawn at their
    mean number of steps; the band is its pointwise 95 % Student-t interval, where there are at
    least two seeds. A run that diverged or was stopped is drawn, and counted, as far as it went.
    """
    arms = list(updates["arm"].unique())
    colours = dict(zip(arms, sns.color_palette("colorblind", len(arms)), strict=True))
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure, axes = plt.subplots(figsize=(COLUMN_WIDTH, 2.8), layout="constrained")
        sns.lineplot(
            updates, x="env_steps", y="return_mean", hue="arm", units="seed", estimator=None,
            palette=colours, lw=0.5, alpha=0.35, legend=False, ax=axes,
        )  # fmt: skip
        for arm, runs in updates.groupby("arm", sort=False):
            by_update = runs.groupby("update")
            intervals = [mean_interval(scores.to_numpy()) for _, scores in by_update["return_mean"]]
            mean, low, high = zip(*intervals, strict=True)
            steps = by_update["env_steps"].mean()
            label = f"{arm} (n = {runs['seed'].nunique()})"
            axes.plot(steps, mean, color=colours[arm], lw=1.6, label=label)
            axes.fill_between(steps, low, high, color=colours[arm], alpha=0.2, lw=0)
        axes.set(xlabel="environment steps", ylabel="mean return of the batch")
        axes.xaxis.set_major_formatter(lambda steps, _: f"{steps:,.0f}")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        figure.legend(
            loc="outside upper left", frameon=False, fontsize="small",
            title="mean, 95 % t interval (pointwise), every run", title_fontsize="small", alignment="left",
        )  # fmt: skip
        sns.despine(figure)
    plt.close(figure)
    return figure


def surrogate_and_objective(updates: pd.DataFrame) -> Figure:
    """The loss beside the exact J over environment steps, from the frame of `load`.

    Only updates at which J was measured are drawn. Every run is a thin line, bold is the mean
    over an arm's seeds at each update. The legend says how the two go together within a run:
    Pearson's r of loss and J over its updates, the median over runs and the smallest and largest.
    A loss to be minimised that followed J would have r = -1.

    Raises:
        ValueError: the frame has no exact J.
    """
    if "objective" not in updates or updates["objective"].isna().all():
        raise ValueError("there is no exact J in these runs")
    updates = updates.dropna(subset=["objective"])
    arms = list(updates["arm"].unique())
    colours = dict(zip(arms, sns.color_palette("colorblind", len(arms)), strict=True))
    correlations = run_correlations(updates)
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure, panels = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.2), layout="constrained")
        labels = ("loss (surrogate's value)", "exact objective $J(\\theta)$")
        for axes, column, label in zip(panels, ("loss", "objective"), labels, strict=True):
            sns.lineplot(
                updates, x="env_steps", y=column, hue="arm", units="seed", estimator=None,
                palette=colours, lw=0.5, alpha=0.35, legend=False, ax=axes,
            )  # fmt: skip
            for arm, runs in updates.groupby("arm", sort=False):
                mean = runs.groupby("update")[["env_steps", column]].mean()
                axes.plot(mean["env_steps"], mean[column], color=colours[arm], lw=1.6)
            axes.set(xlabel="environment steps", ylabel=label)
            axes.xaxis.set_major_formatter(lambda steps, _: f"{steps:,.0f}")
            axes.xaxis.set_major_locator(MaxNLocator(4))
        names = _arm_labels(updates)
        for arm, line in zip(arms, panels[0].lines[-len(arms) :], strict=True):
            r = correlations[arm].dropna()
            low, middle, high = (f"{x:.2f}".replace("-", "−") for x in (r.min(), r.median(), r.max()))
            said = f"r = {middle} ({low} to {high})" if len(r) else "r is not defined"
            line.set_label(textwrap.fill(f"{names[arm]} (n = {len(correlations[arm])}): {said}", LEGEND_WIDTH))
        figure.legend(
            handles=panels[0].lines[-len(arms) :], loc="outside upper left", frameon=False, fontsize="small",
            title="mean (bold), every run (thin); r of loss and J within a run: median (range)",
            title_fontsize="small", alignment="left",
        )  # fmt: skip
        sns.despine(figure)
    plt.close(figure)
    return figure


def run_correlations(updates: pd.DataFrame) -> pd.Series:
    """Pearson's r of loss and J over the updates of each run, by (arm, seed).

    NaN for fewer than three updates with both, or where one of them never changes.
    """
    both = updates.dropna(subset=["loss", "objective"])

    def r(run: pd.DataFrame) -> float:
        changes = len(run) >= 3 and run["loss"].nunique() > 1 and run["objective"].nunique() > 1
        return float(run["loss"].corr(run["objective"])) if changes else float("nan")

    return pd.Series({key: r(run) for key, run in both.groupby(["arm", "seed"], sort=False)}, dtype=float)


def _arm_labels(updates: pd.DataFrame) -> dict[str, str]:
    """What tells each arm from the others, by the columns of `load` after `status`; else its name."""
    arms = updates.drop_duplicates("arm").set_index("arm")
    keys = arms.columns[list(arms.columns).index("status") + 1 :] if "status" in arms else []
    differing = [key for key in keys if arms[key].astype(str).nunique() > 1]
    labels = {arm: ", ".join(f"{key}={arms.loc[arm, key]}" for key in differing) for arm in arms.index}
    distinct = differing and len(set(labels.values())) == len(labels)
    return labels if distinct else {arm: arm for arm in labels}
