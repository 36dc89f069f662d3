"""Agreement of gradient estimates in direction, by the size of the batch."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullLocator

from analysis.paper.checks import Check, above
from analysis.paper.figure import Figure, Frames, Made, Study
from pglab.results import mean_interval
from pglab.results.plots.style import GREY, PAGE_WIDTH, colours_of, finished, legend_above, paper

NAMES = {
    "total": "total return",
    "rtg": "reward-to-go",
    "baseline": "reward-to-go − learned V(s)",
    "gae": "GAE, λ = 0.95, learned V(s)",
}
EPISODES = (1, 4, 16, 64)  # a batch
POINTS = {  # of a sigmoid policy, linear in (1, s): weights, name
    "[0.0,0.0,0.0,0.0,0.0]": "a uniform policy",
    "[0.0,0.0,0.5,3.5,1.8]": "a half-trained policy",
}
FITTED = 8  # updates of the critic before the cosines are taken
UPDATES = 16

STUDY = Study(
    "gradient_cosine",
    [
        [
            *("env=cartpole_v0", "network=linear", "head=sigmoid", "init=fixed", f"init.values={','.join(POINTS)}"),
            *("optimizer=sgd", "optimizer.lr=1e-12", f"updates={UPDATES}", "batch=episodes"),
            f"batch.episodes={','.join(str(2 * size) for size in EPISODES)}",
            *(f"weighting={','.join(NAMES)}", "baseline=value", "estimator.reduction=episodes", "gamma=0.99"),
            *("diagnostics=gradient", "diagnostics.every=1", "evaluation.episodes=0"),
        ]
    ],
    seeds=10,
    quick=4,
    effort=90,
)


def make(frames: Frames) -> Made:
    """Mean cosine between the estimates of two independent batches at one policy."""
    rows = frames[STUDY.name]
    cosines = _by_seed(rows)
    checks: list[Check] = []
    with paper():
        figure, panels = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 2.3), sharey=True, layout="constrained")
        for axes, (point, name) in zip(panels, POINTS.items(), strict=True):
            here = cosines[cosines["point"] == point]
            for (weighting, label), (colour, _) in zip(NAMES.items(), colours_of(NAMES), strict=True):
                table = here[here["weighting"] == weighting].pivot(index="seed", columns="size", values="cosine")
                found = np.array([mean_interval(table[size].to_numpy()) for size in EPISODES])
                said = f"{label} (n = {len(table)})"
                axes.errorbar(EPISODES, found[:, 0], np.abs(found[:, 1:] - found[:, :1]).T, fmt="o-", color=colour,
                              ms=3, lw=1.3, capsize=2, label=said)  # fmt: skip
                more = (table[EPISODES[-1]] - table[EPISODES[0]]).to_numpy()
                what = f"{name}, {label}: cosine at {EPISODES[-1]} episodes less that at 1, paired"
                checks.append(above(what, 0.0, more, "rises with the batch"))
            axes.axhline(0, color=GREY, lw=0.8, zorder=0)
            axes.axhline(1, color=GREY, lw=0.8, zorder=0)
            axes.set_xscale("log", base=4)
            axes.set_xticks(EPISODES)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
            played = rows.loc[rows["init.values"].map(_plain) == point, "return_mean"].mean()
            axes.set_title(f"{name} (mean return {played:.0f})", loc="left", fontsize=plt.rcParams["legend.fontsize"])
            axes.set_xlabel("episodes in a batch")
            checks += _order(here, name)
        panels[0].set_ylabel("cosine between the estimates\nof two batches")
        legend_above(figure, "mean over seeds, 95 % t interval", ncols=2)
    return Made(finished(figure), checks)


def _order(cosines: pd.DataFrame, point: str) -> list[Check]:
    """With the largest batch, each weighting beside the total return."""
    table = cosines[cosines["size"] == EPISODES[-1]].pivot(index="seed", columns="weighting", values="cosine")
    return [
        above(
            f"{point}: {NAMES[weighting]} less total return, {EPISODES[-1]} episodes, paired",
            0.0,
            (table[weighting] - table["total"]).to_numpy(),
            "less variance",
        )
        for weighting in NAMES
        if weighting != "total"
    ]


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each arm and seed: `point weighting size seed cosine`, the mean over its later batches."""
    late = rows[rows["update"] > FITTED]
    late = late.assign(point=late["init.values"].map(_plain), size=late["batch.episodes"].astype(int) // 2)
    means = late.groupby(["point", "weighting", "size", "seed"], sort=False)["half_cosine"].mean()
    return means.rename("cosine").reset_index()


def _plain(values: str) -> str:
    return values.replace(" ", "")


FIGURE = Figure(
    "gradient_cosine",
    "Direction of the gradient, by the size of the batch",
    "The method of Ilyas et al. (2020), A closer look at deep policy gradients; their finding is that the cosine is "
    "small at the usual batch sizes and rises with them",
    f"The policy stands still while {UPDATES} batches of twice so many episodes are played; the cosine is that between "
    f"the gradients of the two halves, after {FITTED} batches in which the critic has learned.",
    [STUDY],
    make,
)
