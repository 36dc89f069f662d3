"""The value of the surrogate beside what it is meant to improve: the loss means nothing."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from analysis.paper.checks import Check, above, exactly
from analysis.paper.figure import Figure, Frames, Made, Study
from analysis.paper.figures.cartpole import STUDY as CARTPOLE
from analysis.paper.marks import by_seed, mean_and_band
from pglab.algorithms.heads import Sigmoid
from pglab.envs.finite import corridor
from pglab.exact.policy import policy_on
from pglab.exact.surrogate import promised_and_gained
from pglab.models.networks import Tabular
from pglab.results.plots.style import PAGE_WIDTH, colours_of, finished, legend_above, paper

NAMES = {"total": "total return", "rtg": "reward-to-go", "baseline": "reward-to-go − mean of the other episodes"}
EXACT = Study(
    "corridor_surrogate",
    [
        [
            *(
                "env=corridor",
                "network=tabular",
                "optimizer.lr=0.1",
                "batch=episodes",
                "batch.episodes=64",
                "updates=50",
            ),
            *("init=fixed", "weighting=total,rtg,baseline", "baseline=leave_one_out", "diagnostics=gradient"),
            *("diagnostics.every=1", "estimator.reduction=episodes", "evaluation.episodes=0"),
        ]
    ],
    seeds=24,
    quick=6,
    effort=15,
)
ROWS = ((CARTPOLE, "return_mean", "CartPole: mean return"), (EXACT, "objective", "corridor: exact $J(θ)$"))


def make(frames: Frames) -> Made:
    """Loss over updates, objective over updates, and one against the other."""
    checks: list[Check] = []
    looks = dict(zip(NAMES, colours_of(NAMES), strict=True))
    with paper():
        figure, grid = plt.subplots(2, 3, figsize=(PAGE_WIDTH, 4.0), layout="constrained")
        for (study, column, label), (loss, meant, both) in zip(ROWS, grid, strict=True):
            rows = frames[study.name]
            for weighting, name in NAMES.items():
                runs = rows[rows["weighting"] == weighting]
                if runs.empty:
                    continue
                colour, _ = looks[weighting]
                mean_and_band(loss, by_seed(runs, "loss"), name, color=colour, lw=1.4)
                mean_and_band(meant, by_seed(runs, column), name, color=colour, lw=1.4)
                both.plot(runs["loss"], runs[column], "o", color=colour, ms=1.4, mew=0, alpha=0.5, rasterized=True)
                what = f"{label.split(':')[0]}, {name}: r of loss and objective within a run"
                if weighting != "baseline":
                    checks.append(above(what, 0.0, _correlations(runs, column), "not −1: its value means nothing"))
            loss.set(xlabel="update", ylabel="loss")
            meant.set(xlabel="update", ylabel=label)
            both.set(xlabel="loss", ylabel=label)
        for axes, title in zip(grid[0], ("the loss", "what it is meant for", "each update of each run"), strict=True):
            axes.set_title(title, loc="left", fontsize=plt.rcParams["legend.fontsize"])
        grid[0, 0].plot([], [], color=looks["baseline"][0], lw=1.4, label=f"{NAMES['baseline']} (corridor)")
        n = " and ".join(sorted({str(frames[study.name]["seed"].nunique()) for study, *_ in ROWS}))
        legend_above(figure, f"mean over seeds (n = {n}), 95 % t interval (pointwise)", ncols=3)
    return Made(finished(figure), [*checks, _with_and_without_baseline(frames[EXACT.name]), *_by_calculation()])


def _with_and_without_baseline(rows: pd.DataFrame) -> Check:
    total, baseline = (_correlations(rows[rows["weighting"] == name], "objective") for name in ("total", "baseline"))
    return above(
        "corridor: r with total return less r with a baseline, paired",
        0.5,
        total - baseline,
        "a baseline changes it",
    )


def _correlations(runs: pd.DataFrame, column: str) -> np.ndarray:
    """Pearson's r over the updates of each run; −1 for a loss that falls as the objective rises."""
    return np.array([run["loss"].corr(run[column]) for _, run in runs.groupby("seed")])


def _by_calculation() -> list[Check]:
    """A small step gains what the surrogate promises, by its gradient; a large one does not, as its value is no J."""
    policy = policy_on(corridor(None), Tabular(), Sigmoid())
    at = {"weight": torch.full((1, 1), float(np.log(0.1 / 0.9)), dtype=torch.float64)}
    direction = {"weight": torch.ones((1, 1), dtype=torch.float64)}

    def ratio(distance: float) -> float:
        promised, gained = promised_and_gained(corridor(None), policy, at, direction, distance, 1.0)
        return promised / gained

    step = 3.0
    far = ratio(step)
    said = Check(
        f"promised by the surrogate for a step of {step:g}, of what is gained", "not 1", far, np.nan, np.nan, 0,
        abs(far - 1) > 0.1, "off by more than a tenth",
    )  # fmt: skip
    return [exactly("promised by the surrogate for a step of 1e-6, of what is gained", 1.0, ratio(1e-6), 5), said]


FIGURE = Figure(
    "loss_value",
    "The value of the loss means nothing",
    "OpenAI Spinning Up, Intro to Policy Optimization: the loss “is not a loss” in the typical sense",
    "The surrogate −Σ log π · Ψ has the gradient of −J at θ and nothing else of it. On CartPole the loss rises while "
    "the policy gets better; on the corridor it depends on the baseline which way the loss goes, though all three "
    "estimate the same gradient and reach the same J.",
    [CARTPOLE, EXACT],
    make,
)
