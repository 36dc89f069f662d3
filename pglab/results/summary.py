"""One line an arm: how many seeds, how good, how sure."""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

STATUSES = ("finished", "diverged", "running", "stopped", "failed")
COLUMNS = ["arm", "seeds", "score", "low", "high", "env_steps", *STATUSES]


def mean_interval(scores: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of one score per seed and its Student-t interval: mean ± t_{n-1} · s / √n.

    Both ends are NaN for fewer than two scores and where one is infinite, and equal the mean where all scores
    are equal.

    Args:
        scores: one number a seed, `[n]`.
        level: coverage where the scores are normal.

    Returns:
        Mean, lower end, upper end.
    """
    scores = np.asarray(scores, dtype=float)
    n, mean = len(scores), float(scores.mean())
    if n < 2 or not np.isfinite(mean):
        return mean, np.nan, np.nan
    half = stdtrit(n - 1, 0.5 + level / 2) * scores.std(ddof=1) / np.sqrt(n)
    return mean, mean - float(half), mean + float(half)


def summarize(updates: pd.DataFrame, evaluation: pd.DataFrame) -> pd.DataFrame:
    """A row an arm from the frames of `load` and `load_evaluation`.

    The score of a run is the mean return of its final evaluation, or where there is none the
    mean return of its last update. Diverged runs are counted, and enter with their last policy
    before they diverged; running, stopped and failed runs are counted and have no score.

    Columns: `arm seeds score low high env_steps finished diverged running stopped failed`.
    """
    runs = updates.groupby(["arm", "seed"], sort=False).last()
    if len(evaluation):
        runs = runs.assign(score=evaluation.groupby(["arm", "seed"])["return"].mean())
    else:
        runs = runs.assign(score=runs["return_mean"])
    rows = []
    for arm, of_arm in runs.groupby(level="arm", sort=False):
        status = of_arm["status"].value_counts()
        ended = of_arm[of_arm["status"].isin(["finished", "diverged"])]
        mean, low, high = mean_interval(ended["score"].to_numpy()) if len(ended) else (np.nan, np.nan, np.nan)
        row = {"arm": arm, "seeds": len(of_arm), "score": mean, "low": low, "high": high}
        row["env_steps"] = int(of_arm["env_steps"].sum())
        row |= {name: int(status.get(name, 0)) for name in STATUSES}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)
