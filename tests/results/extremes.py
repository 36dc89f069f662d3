"""Small studies of the awkward kinds, as `load` and `load_evaluation` return them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

Arm = tuple[str, float]  # weighting, learning rate
Runs = Mapping[tuple[Arm, int], tuple[str, Sequence[float]]]  # by arm and seed: status and returns

ARMS: list[Arm] = [(weighting, lr) for lr in (0.01, 0.1) for weighting in ("total", "rtg")]
THRESHOLD = 5.0  # some runs come to it


def updates_of(runs: Runs) -> pd.DataFrame:
    """With some diagnostics, a loss and an objective."""
    rng = np.random.default_rng(0)
    rows = [
        {"study": "made", "arm": f"optimizer.lr={lr},weighting={weighting}", "seed": seed, "update": n}
        | {"env_steps": 10 * n, "return_mean": value}
        | dict(zip(("loss", "grad_variance", "grad_snr", "objective"), rng.random(4), strict=True))
        | {"status": status, "weighting": weighting, "optimizer.lr": lr}
        for ((weighting, lr), seed), (status, values) in runs.items()
        for n, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


def evaluation_of(updates: pd.DataFrame) -> pd.DataFrame:
    """Two episodes of each run's last policy that gave a number."""
    last = updates.dropna(subset="return_mean").groupby(["study", "arm", "seed"], sort=False)["return_mean"].last()
    return pd.concat([last.rename("return").reset_index()] * 2, ignore_index=True)


def finished(seeds: Callable[[int], Sequence[int]], arms: Sequence[Arm] = ARMS) -> dict:
    """Runs with the seeds that the n-th arm has; every third one never comes to the threshold."""
    rng = np.random.default_rng(1)
    return {
        (arm, seed): ("finished", [*rng.normal(0, 1, 5), 9.0 * (seed % 3 > 0) + rng.normal()])
        for place, arm in enumerate(arms)
        for seed in seeds(place)
    }


FOUR = finished(lambda _: range(4))
STUDIES = {
    "all equal": updates_of({run: ("finished", [500.0] * 6) for run in FOUR}),
    "one seed": updates_of(finished(lambda _: [1])),
    "two seeds": updates_of(finished(lambda _: range(2))),
    "one diverged": updates_of(FOUR | {(ARMS[3], 1): ("diverged", [1.0, 2.0, np.nan])}),
    "unequal seeds": updates_of(finished(lambda place: range(10, 14) if place == 1 else range(3 + place))),
    "a single arm": updates_of(finished(lambda _: range(4), ARMS[:1])),
    "an arm without scores": updates_of(FOUR | {(ARMS[3], seed): ("failed", [1.0]) for seed in range(4)}),
    "none comes to the threshold": updates_of({run: ("finished", [0.0, 1.0, run[1]]) for run in FOUR}),
}
