"""The scores of each arm of a study, with every run counted."""

import numpy as np
import pandas as pd
import scipy

from pglab.results.arm_choices import describing, runs_by_arm
from pglab.results.by_problem import by_problem
from pglab.results.censoring import median_time, restricted, times_of
from pglab.results.intervals import Method, interval_of_mean, tolerance_interval
from pglab.results.rounding import mean_of, variance_of
from pglab.results.scores import NOT_FINITE

COUNTED = ("finished", "diverged", "stopped", "failed")


def describe_arms(scores: pd.DataFrame, interval: Method = "t", level: float = 0.95) -> pd.DataFrame:
    """A row for each arm, from the frame of `scores`.

    Columns:
        study arm: and what describes the arm.
        measure: what the scores measure, in words. The next ones are in its unit.
        n: how many runs have a score, censored ones among them.
        mean low high interval: the mean, its interval, and in words which one it is, or why there is none
            (see `interval_of_mean`). Student's t unless `bca` is asked for.
        sd median min max: of the scores, sd with n - 1.
        iqm: the interquartile mean, a quarter of the scores cut off at either end (⌊n/4⌋ of them). It
            hides up to a quarter of failed seeds: never show it alone.
        tolerance_low tolerance_high tolerance: see `tolerance_interval`.
        finished diverged stopped failed unfinished: how many runs ended so (unfinished: any other way).
            Diverged ones have scores, the last three have none but a censored one of `steps_to`.
        not_finite: runs without a score because something that was measured is not a finite number.
        missing: seeds that other arms of the study have and this one has not; runs of other programs share none.
        capped: runs that ended before they came to the threshold of `steps_to`.
        horizon: steps up to which the mean is restricted; empty where no run of the problem is censored.

    Where a run of a problem is censored every arm's mean there is that of min(time, `horizon`), with one horizon for
    all of them, and its interval is that of pseudo-values (see `pglab.results.censoring`). The median is the time at
    which Kaplan and Meier's curve comes to one half, if it does. The smallest time that is known stays; sd, iqm,
    max and the tolerance interval are not known then.

    Raises:
        ValueError: the frame is not one score a run, or the interval is unknown.
    """
    described, scores = describing(scores), scores.reset_index(drop=True)
    limited = pd.concat([restricted(of_problem) for of_problem in by_problem(scores).values()])
    seeds = {str(study): _own(runs) for study, runs in scores.groupby("study")}
    rows = []
    for (study, arm), runs in runs_by_arm(scores).items():
        first = runs.iloc[0]
        row = {"study": study, "arm": arm} | {key: first[key] for key in described} | {"measure": first["measure"]}
        row |= _statistics(limited.loc[runs.index, "score"].dropna().to_numpy(dtype=float), interval, level)
        horizon, (times, reached) = float(limited.loc[runs.index, "horizon"].iloc[0]), times_of(runs)
        if not np.isnan(horizon):
            if not str(row["interval"]).startswith("none: "):
                row["interval"] = f"{row['interval']} on pseudo-values"
            row |= _of_times(times[~np.isnan(times)], reached[~np.isnan(times)])
        status = runs["status"].value_counts()
        counts = {name: int(status.get(name, 0)) for name in COUNTED}
        row |= counts | {"unfinished": len(runs) - sum(counts.values())}
        row["not_finite"] = int(runs["note"].str.contains(NOT_FINITE).sum())
        row["missing"] = len(seeds[study] - own) if (own := _own(runs)) else 0
        row |= {"capped": int((~reached).sum()), "horizon": horizon}
        rows.append(row)
    return pd.DataFrame(rows)


def _own(runs: pd.DataFrame) -> set[int]:
    """The seeds of runs, but for those of other programs, whose negative ones are each run's own (see `read_runs`)."""
    return {int(seed) for seed in runs["seed"] if seed >= 0}


def _statistics(scores: np.ndarray, method: Method, level: float) -> dict[str, object]:
    n = len(scores)
    of_mean, tolerance = interval_of_mean(scores, method, level), tolerance_interval(scores)
    return {
        "n": n,
        "mean": mean_of(scores) if n else np.nan,
        "low": of_mean.low,
        "high": of_mean.high,
        "interval": of_mean.said,
        "sd": np.sqrt(variance_of(scores)) if n > 1 else np.nan,
        "median": np.median(scores) if n else np.nan,
        "iqm": scipy.stats.trim_mean(scores, 0.25) if n else np.nan,
        "min": scores.min() if n else np.nan,
        "max": scores.max() if n else np.nan,
        "tolerance_low": tolerance.low,
        "tolerance_high": tolerance.high,
        "tolerance": tolerance.said,
    }


def _of_times(times: np.ndarray, reached: np.ndarray) -> dict[str, object]:
    """The statistics that are others for times some of which are censored."""
    return {
        "median": median_time(times, reached) if len(times) else np.nan,
        "min": times[reached].min() if reached.any() else np.nan,
        **dict.fromkeys(["sd", "iqm", "max", "tolerance_low", "tolerance_high"], np.nan),
        "tolerance": "none: some times are censored",
    }
