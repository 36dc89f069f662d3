"""Made-up frames for figures and tables, and every figure drawn from them."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pglab.results import mean_interval, plots
from pglab.results.estimator_plots import bias_and_variance, gradient_cosine

DIAGNOSTICS = (
    *("grad_variance", "grad_snr", "half_cosine", "variance_removed"),
    *("explained_variance", "kl", "objective", "exact_cosine"),
)
TIMES = pd.DataFrame({"arm": "a=1", "seed": range(6), "score": [1, 2, 2, 3, 4, 4.0], "better": "lower"})
TIMES["reached"] = pd.array([True, True, False, True, False, False], dtype="boolean")


def many_arms(number: int = 12) -> list[str]:
    """Long names as a grid of weighting, reduction and learning rate gives them."""
    grid = [(w, r, lr) for lr in (0.003, 0.01, 0.03, 0.1) for r in ("episodes", "steps") for w in ("total", "rtg")]
    return [f"env=cartpole,estimator.reduction={r},optimizer.lr={lr},weighting={w}" for w, r, lr in grid[:number]]


def study(arms: list[str], seeds: int = 4, updates: int = 5) -> pd.DataFrame:
    """Rows as `load` returns them, with gradient diagnostics."""
    rng, rows = np.random.default_rng(0), []
    for place, arm in enumerate(arms):
        for seed in range(seeds):
            for update in range(1, updates + 1):
                at = {"arm": arm, "seed": seed, "update": update, "env_steps": 1000 * update + 10 * seed}
                at["return_mean"] = rng.normal(10 * update * (place + 1) ** 0.5, 5)
                rows.append(at | {"loss": rng.normal()} | dict(zip(DIAGNOSTICS, rng.random(8), strict=True)))
    return pd.DataFrame(rows).assign(status="finished")


def scores(arms: list[str], seeds: int = 6) -> pd.DataFrame:
    """One score a run."""
    rng = np.random.default_rng(1)
    rows = [(arm, seed, rng.normal(100 + 5 * place, 10)) for place, arm in enumerate(arms) for seed in range(seeds)]
    return pd.DataFrame(rows, columns=["arm", "seed", "score"])


def comparisons(arms: list[str]) -> pd.DataFrame:
    """Every arm against the first."""
    by_arm = scores(arms).pivot(index="seed", columns="arm", values="score")
    rows = []
    for place, arm in enumerate(arms[1:]):
        difference = by_arm[arm] - by_arm[arms[0]]
        mean, low, high = mean_interval(difference.to_numpy())
        row = {"arm": arm, "control": arms[0], "difference": mean, "low": low, "high": high}
        rows.append(row | {"n": len(difference), "p_bonferroni": min(1.0, 0.00002 * 12**place), "paired": True})
    return pd.DataFrame(rows)


def pairs(arms: list[str]) -> pd.DataFrame:
    """Every arm against every other."""
    of = {str(arm): rows["score"].to_numpy() for arm, rows in scores(arms).groupby("arm")}
    rows = [(a, b, np.mean(of[a][:, None] > of[b])) for a in arms for b in arms if a != b]
    return pd.DataFrame(rows, columns=["arm", "other", "p_better"])


def effects() -> pd.DataFrame:
    """Two factors and their interaction."""
    rows = [("weighting", "rtg", 12.0, 5.0, 19.0), ("optimizer.lr", "0.01", -3.0, -9.0, 3.0)]
    rows += [("optimizer.lr", "0.03", 33.0, 20.0, 46.0), ("weighting × optimizer.lr", "rtg × 0.03", -4.0, -14.0, 6.0)]
    return pd.DataFrame(rows, columns=["factor", "level", "effect", "low", "high"])


def points() -> pd.DataFrame:
    """What verification finds at parameter points."""
    at = {"estimator": ["rtg", "gae"], "problem": "bandit", "seed": 0, "relative_bias": [0.001, 0.2]}
    return pd.DataFrame(at | {"low": [-0.01, 0.1], "high": [0.012, 0.3], "variance": 1.5, "exact_variance": [1.4, 1.6]})


def cosines() -> pd.DataFrame:
    """What verification finds for batches of some sizes."""
    rows = [(name, "bandit", 0, size, 1 - 1 / size, 0.9 - 1 / size, 1.0) for name in ("rtg", "gae") for size in (2, 4)]
    return pd.DataFrame(rows, columns=["estimator", "problem", "seed", "batch", "cosine", "low", "high"])


ARMS = many_arms(4)
FIGURES: dict[str, Callable[[], Figure]] = {
    "learning_curves": lambda: plots.learning_curves(study(ARMS)),
    "learning_curves_of_many": lambda: plots.learning_curves(study(many_arms(7), seeds=2)),
    "paired_differences": lambda: plots.paired_differences(comparisons(ARMS)),
    "seed_scores": lambda: plots.seed_scores(scores(ARMS)),
    "performance_profile": lambda: plots.performance_profile(scores(ARMS)),
    "probability_of_improvement": lambda: plots.probability_of_improvement(pairs(ARMS)),
    "sensitivity": lambda: plots.sensitivity(scores(many_arms()), "optimizer.lr"),
    "effects": lambda: plots.effects(effects()),
    "gradient_diagnostics": lambda: plots.gradient_diagnostics(study(ARMS)),
    "surrogate_and_objective": lambda: plots.surrogate_and_objective(study(ARMS)),
    "bias_and_variance": lambda: bias_and_variance(points()),
    "gradient_cosine": lambda: gradient_cosine(cosines()),
}

if __name__ == "__main__":
    for name, draw in FIGURES.items():
        figure = draw()
        for ending in ("pdf", "svg", "png"):
            plots.save(figure, Path(sys.argv[1]) / f"{name}.{ending}")
