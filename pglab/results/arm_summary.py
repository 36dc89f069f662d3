"""One line an arm: how many seeds, how good, how sure."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from pglab.results.rounding import mean_of, variance_of
from pglab.results.scores import scores
from pglab.store.records import RunRecord

STATUSES = ("finished", "diverged", "running", "stopped", "failed")
COLUMNS = ["arm", "seeds", "score", "low", "high", "env_steps", *STATUSES]


def mean_interval(scores: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of one score per seed and its Student-t interval: mean ± t_{n-1} · s / √n.

    Both ends are NaN for fewer than two scores and where one is infinite, and equal the mean where all scores
    are equal but for rounding.

    Args:
        scores: one number a seed, `[n]`.
        level: coverage where the scores are normal.

    Returns:
        Mean, lower end, upper end.
    """
    scores = np.asarray(scores, dtype=float)
    n, mean = len(scores), mean_of(scores)
    if n < 2 or not np.isfinite(mean):
        return mean, np.nan, np.nan
    half = stdtrit(n - 1, 0.5 + level / 2) * np.sqrt(variance_of(scores)) / np.sqrt(n)
    return mean, mean - float(half), mean + float(half)


def summarize(updates: pd.DataFrame, evaluation: pd.DataFrame) -> pd.DataFrame:
    """A row an arm from the frames of `load` and `load_evaluation`.

    The score of a run is that of `pglab.results.scores` and of the verdicts of `compare`: the mean return of its
    final evaluation, or where there is none over its last tenth. Diverged runs are counted, and enter with what
    they had; running, stopped and failed runs are counted and have no score.

    Columns: `study`, where there are several; `arm seeds score low high env_steps finished diverged running stopped
    failed`.
    """
    return summary_of(scores(updates, evaluation)) if len(updates) else pd.DataFrame(columns=COLUMNS)


def summary_of(runs: pd.DataFrame) -> pd.DataFrame:
    """The table of `summarize` from a frame of `scores`."""
    rows, several = [], runs["study"].nunique() > 1
    for (study, arm), of_arm in runs.groupby(["study", "arm"], sort=False):
        status, there = of_arm["status"].value_counts(), of_arm["score"].dropna().to_numpy(dtype=float)
        mean, low, high = mean_interval(there) if len(there) else (np.nan, np.nan, np.nan)
        row = {"arm": arm, "seeds": len(of_arm), "score": mean, "low": low, "high": high}
        row["env_steps"] = int(of_arm["env_steps"].sum())
        rows.append({"study": study} | row | {name: int(status.get(name, 0)) for name in STATUSES})
    return pd.DataFrame(rows, columns=[*["study"] * several, *COLUMNS])


def with_every_run(summary: pd.DataFrame, runs: Mapping[str, Mapping[int, RunRecord]]) -> pd.DataFrame:
    """The table of `summarize` with all runs that were begun, also those of which no update is stored.

    Args:
        summary: of one study.
        runs: of each arm, by seed; the arms in their order.
    """
    known = summary.set_index("arm").to_dict("index")
    rows = []
    for arm, of_arm in runs.items():
        status = Counter(run.status for run in of_arm.values())
        row = known.get(arm, {"score": np.nan, "low": np.nan, "high": np.nan, "env_steps": 0})
        rows.append({**row, "arm": arm, "seeds": len(of_arm), **{name: status[name] for name in STATUSES}})
    return pd.DataFrame([row for row in rows if row["seeds"]], columns=COLUMNS)
