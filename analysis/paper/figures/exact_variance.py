"""The exact variance of estimators of the gradient, and the variance that the training pipeline measures."""

import json
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis.paper.checks import Check, exactly, measured
from analysis.paper.figure import Figure, Frames, Made, Study
from pglab.envs.finite import corridor
from pglab.exact.estimators import best_baseline, gae, reward_to_go, total_return
from pglab.exact.moments import Moments
from pglab.exact.values import values
from pglab.results import mean_interval
from pglab.results.plots.style import PAGE_WIDTH, colours_of, finished, legend_above, paper

EPISODES = 1000  # a batch
MEASURED_AT = (0.1, 0.3, 0.5, 0.7, 0.9)
CURVE = np.linspace(0.05, 0.95, 91)


class Corridor:
    """The corridor under P(right) = p, solved."""

    def __init__(self, p: float) -> None:
        self.mdp = corridor(None)
        pi = np.tile([1 - p, p], (4, 1))
        score = np.tile([[-p], [1 - p]], (4, 1, 1))  # (a - σ(z)) of a sigmoid with p = σ(z)
        self.tables = (self.mdp, pi, score)
        solved = values(self.mdp, self.tables[1], 1.0)
        self.objective, self.value = solved.objective, solved.state

    def best(self, returns: str) -> np.ndarray:
        return best_baseline(*self.tables, 1.0, returns=returns)


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


ESTIMATORS: dict[str, Callable[[Corridor], Moments]] = {
    "total return": lambda at: total_return(*at.tables, 1.0),
    "total return − J": lambda at: total_return(*at.tables, 1.0, at.objective),
    "total return − best constant": lambda at: total_return(*at.tables, 1.0, at.best("total")),
    "reward-to-go": lambda at: reward_to_go(*at.tables, 1.0),
    "reward-to-go − V(s)": lambda at: reward_to_go(*at.tables, 1.0, at.value),
    "reward-to-go − J": lambda at: reward_to_go(*at.tables, 1.0, at.objective),
    "GAE, λ = 0.5, true V": lambda at: gae(*at.tables, 1.0, 0.5, at.value),
    "GAE, λ = 0, true V": lambda at: gae(*at.tables, 1.0, 0.0, at.value),
}
OVER = "reward-to-go − J"  # nearly on the line of V(s), hence drawn over it
WEIGHTINGS = ("total", "total", "total", "rtg", "baseline", "rtg", "gae", "gae")  # whose colours the estimators have
DASHES = ("-", "--", ":", "-", "-", "--", "-", "--")
PUBLISHED = dict(zip(ESTIMATORS, (1959, 831, 550.6667, 733, 295, 277, 13.1195, 3), strict=True))  # at p = .5

OF_ARM = {  # (weighting, its returns): the estimator that an arm measures, without and with the baseline J
    ("total", ""): "total return",
    ("rtg", ""): "reward-to-go",
    ("baseline", "total"): "total return − J",
    ("baseline", "rtg"): "reward-to-go − J",
}
ONE_BATCH = [
    "env=corridor", "network=tabular", "head=sigmoid", "init=fixed", "optimizer=sgd", "optimizer.lr=1e-12", "updates=1",
    "batch=episodes", f"batch.episodes={EPISODES}", "estimator.reduction=episodes", "diagnostics=gradient",
    "evaluation.episodes=0",
]  # fmt: skip


def _sweeps() -> list[list[str]]:
    points = ",".join(f"[{logit(p):.9f}]" for p in MEASURED_AT)
    sweeps = [[*ONE_BATCH, f"init.values={points}", "weighting=total,rtg"]]
    for p in MEASURED_AT:
        baseline = ["weighting=baseline", "weighting.returns=total,rtg", "baseline=constant"]
        objective = -(4 - 2 * p) / (p * (1 - p))
        sweeps.append([*ONE_BATCH, f"init.values=[{logit(p):.9f}]", *baseline, f"baseline.value={objective:.9f}"])
    return sweeps


STUDY = Study("corridor_variance", _sweeps(), seeds=50, quick=10, effort=60)


def make(frames: Frames) -> Made:
    """Lines are exact; dots with intervals are measured from batches of the training pipeline."""
    solved = [Corridor(p) for p in CURVE]
    found = _measured(frames[STUDY.name])
    half = Corridor(0.5)
    checks: list[Check] = []
    with paper():
        figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 2.8), layout="constrained")
        weightings = dict.fromkeys(WEIGHTINGS)
        of_weighting = dict(zip(weightings, colours_of(weightings), strict=True))
        for (name, moments), weighting, dashes in zip(ESTIMATORS.items(), WEIGHTINGS, DASHES, strict=True):
            colour, _ = of_weighting[weighting]
            order = 3 if name == OVER else 2
            of_p = [moments(at).variance for at in solved]
            axes.plot(CURVE, of_p, dashes, color=colour, lw=1.2, label=name, zorder=order)
            exact = moments(half)
            checks.append(exactly(f"{name}: variance at p = .5", PUBLISHED[name], exact.variance))
            checks.append(exactly(f"{name}: mean at p = .5, which is dJ/dz", 2.0, float(exact.mean[0])))
            for p, runs in found[found["estimator"] == name].groupby("p"):
                mean, low, high = mean_interval(runs["variance"].to_numpy())
                axes.errorbar(p, mean, [[mean - low], [high - mean]], fmt="o", color=colour, ms=3.5, lw=1, capsize=2)
                exact_here = moments(Corridor(float(p))).variance
                checks.append(measured(f"{name}: measured at p = {p:g}", exact_here, runs["variance"].to_numpy()))
        axes.set(xlabel="p, probability of going right", ylabel="variance of the estimate of $dJ/dz$\nfrom one episode")
        axes.set_yscale("log")
        axes.set_xlim(0, 1)
        axes.axvline(2 - 2**0.5, color="0.6", lw=0.8, ls="--", zorder=0)
        small = plt.rcParams["legend.fontsize"]
        axes.text(2 - 2**0.5, 1, " best p", transform=axes.get_xaxis_transform(), va="top", color="0.35", size=small)
        n = frames[STUDY.name]["seed"].nunique()
        said = f"line: exact; dot: measured (mean over {n} batches of {EPISODES:,} episodes, 95 % t interval)"
        legend_above(figure, said, ncols=3)
    return Made(finished(figure), checks)


def _measured(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each batch: `estimator p variance`, the variance that of one episode."""
    z = rows["init.values"].map(lambda values: json.loads(values)[0]).astype(float)
    returns = rows["weighting.returns"].fillna("").where(rows["weighting"] == "baseline", "")
    names = [OF_ARM[arm] for arm in zip(rows["weighting"], returns, strict=True)]
    p = (1 / (1 + np.exp(-z))).round(6)
    return pd.DataFrame({"estimator": names, "p": p, "variance": rows["grad_variance"] * EPISODES})


FIGURE = Figure(
    "exact_variance",
    "Variance of every estimator on the short corridor",
    "Exact values by hand and by enumeration, at p = .5; Sutton and Barto (2018), Example 13.1",
    "All have the same mean, the true gradient. V(s) is not the best baseline: the constant J does better. "
    "V(s) and GAE with the true V need to see the state, which the policy here does not, so the pipeline cannot "
    "measure these; they are exact only.",
    [STUDY],
    make,
)
