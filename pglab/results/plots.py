"""Figures: functions of a frame that return a matplotlib Figure, with no global style."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pglab.results.summary import mean_interval

COLUMN_WIDTH = 3.5  # inches, one column of a paper


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
