"""Learning rate × weighting × optimizer on CartPole."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter

from analysis.paper.checks import Check, above
from analysis.paper.figure import Figure, Frames, Made, Study
from pglab.results import mean_interval
from pglab.results.plots.style import PAGE_WIDTH, colours_of, finished, legend_above, paper

NAMES = {
    "total": "total return",
    "rtg": "reward-to-go",
    "baseline": "reward-to-go − learned V(s)",
    "gae": "GAE, λ = 0.95, learned V(s)",
}
RATES = {"adam": (0.001, 0.003, 0.01, 0.03, 0.1), "sgd": (0.01, 0.03, 0.1, 0.3, 1.0)}
PUBLISHED_RATE = 0.01  # of Spinning Up, with Adam
UPDATES, LATE = 30, 10

STUDY = Study(
    "sensitivity",
    [
        [
            *("env=cartpole_v0", "batch.steps=2000", f"updates={UPDATES}", f"weighting={','.join(NAMES)}"),
            *("baseline=value", f"optimizer={optimizer}", f"optimizer.lr={','.join(f'{rate:g}' for rate in rates)}"),
            "evaluation.episodes=0",
        ]
        for optimizer, rates in RATES.items()
    ],
    seeds=10,
    quick=3,
    effort=120,
)


def make(frames: Frames) -> Made:
    """The mean return of the last updates, by learning rate."""
    rows = frames[STUDY.name]
    late = rows[rows["update"] > UPDATES - LATE]
    scores = late.groupby(["optimizer", "weighting", "optimizer.lr", "seed"], sort=False)["return_mean"].mean()
    with paper():
        figure, panels = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 2.4), sharey=True, layout="constrained")
        for axes, (optimizer, rates) in zip(panels, RATES.items(), strict=True):
            for place, ((weighting, name), (colour, _)) in enumerate(
                zip(NAMES.items(), colours_of(NAMES), strict=True)
            ):
                table = scores[optimizer, weighting].unstack("optimizer.lr")
                found = np.array([mean_interval(table[rate].to_numpy()) for rate in rates])
                beside = np.array(rates) * 1.06 ** (place - 1.5)
                ends = np.abs(found[:, 1:] - found[:, :1]).T
                said = f"{name} (n = {len(table)})"
                axes.errorbar(beside, found[:, 0], ends, fmt="o-", color=colour, ms=3, lw=1.3, capsize=2, label=said)
            axes.set_xscale("log")
            axes.set_xticks(rates)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            axes.minorticks_off()
            title = {"adam": "Adam", "sgd": "plain gradient ascent (SGD)"}[optimizer]
            axes.set_title(title, loc="left", fontsize=plt.rcParams["legend.fontsize"])
            axes.set(xlabel="learning rate", ylim=(0, 205))
        panels[0].set_ylabel(f"mean return of updates\n{UPDATES - LATE + 1} to {UPDATES}")
        legend_above(figure, "mean over seeds, 95 % t interval", ncols=2)
    return Made(finished(figure), _checks(scores))


def _checks(scores: pd.Series) -> list[Check]:
    adam = {name: scores["adam", name].unstack("optimizer.lr") for name in NAMES}
    checks = [
        above(
            f"Adam, {name}: return at its rate of {PUBLISHED_RATE:g} less that at 0.001, paired",
            0.0,
            (adam[weighting][PUBLISHED_RATE] - adam[weighting][0.001]).to_numpy(),
            "the rate of Spinning Up works",
        )
        for weighting, name in NAMES.items()
    ]
    means = {name: table[list(RATES["adam"])].mean(axis=1) for name, table in adam.items()}
    checks += [
        above(
            f"Adam, mean over rates: {NAMES[weighting]} less total return, paired",
            0.0,
            (means[weighting] - means["total"]).to_numpy(),
            "less variance, learns faster",
        )
        for weighting in NAMES
        if weighting != "total"
    ]
    return checks


FIGURE = Figure(
    "sensitivity",
    "Sensitivity to learning rate, weighting and optimizer on CartPole",
    "OpenAI Spinning Up trains with Adam at 0.01; for the rest there is theory, and no published figure",
    f"{UPDATES} updates from at least 2000 steps each; dots are shifted a little so that intervals can be seen.",
    [STUDY],
    make,
)
