"""Times to a threshold of which some are known only to be longer: right-censored data.

A run that ended before it reached the threshold, because it was stopped, failed or had a shorter horizon, says that
its time is longer than the steps it took, and nothing beyond. Censoring is taken to have nothing to do with how soon
the run would have got there. That does not hold of a run that diverged: it would never have got there. So its time is
infinite, and it counts as not there at every horizon.

Throughout `times` is `[n]`, in environment steps, and `reached` is `[n]`: true where the threshold was reached at
that time, false where the run ended then without it.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import scipy

DECIMALS = 6  # of an environment step


def censored(scores: pd.DataFrame) -> pd.Series:
    """True for each run of the frame of `scores` whose score is a time after which it was no longer watched."""
    if "reached" not in scores:
        return pd.Series(False, scores.index)
    return scores["score"].notna() & ~scores["reached"].astype("boolean").fillna(True).astype(bool)


def times_of(scores: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The score of each run of the frame of `scores`, and false where it is a time at which the run was not there.

    The time of a run that diverged before the threshold is infinite; a run without a score has NaN.
    """
    lacking = censored(scores).to_numpy()
    times = scores["score"].to_numpy(dtype=float, copy=True)
    if "status" in scores:
        times[lacking & (scores["status"] == "diverged").to_numpy()] = np.inf
    return times, ~lacking


def restricted(scores: pd.DataFrame) -> pd.DataFrame:
    """The frame of `scores` with numbers in the place of censored times that all methods for means can take.

    Where some run of the frame is censored every score becomes the pseudo-value of its run for the arm's
    restricted mean up to `horizon`, a new column: the shortest of the arms' horizons (see `horizon_of`), which the
    measure names. It is no longer than the longest time; where a run diverged before the threshold, no longer than
    any arm's longest finished run. Where no run is censored scores stay as they are, and `horizon` is NaN.
    """
    times, reached = times_of(scores)
    if reached.all():
        return scores.assign(horizon=np.nan)
    values = np.full(len(scores), np.nan)
    by_arm = scores.groupby([key for key in ("study", "arm") if key in scores], sort=False).indices.values()
    arms = [np.asarray(runs)[~np.isnan(times[runs])] for runs in by_arm]
    longest = _longest_finished(scores, arms) if np.isinf(times).any() else float(np.nanmax(times))
    horizon = min(longest, *(horizon_of(times[runs], reached[runs]) for runs in arms))
    for runs in arms:
        values[runs] = pseudo_values(times[runs], reached[runs], horizon)
    if "measure" in scores:
        scores = scores.assign(measure=scores["measure"] + f", counted up to {horizon:,.0f} (restricted)")
    return scores.assign(score=values, horizon=horizon)


def _longest_finished(scores: pd.DataFrame, arms: Iterable[np.ndarray]) -> float:
    """The steps of the longest finished run of the arm where that is shortest; of any run, where none has finished."""
    steps, finished = scores["env_steps"].to_numpy(dtype=float), (scores["status"] == "finished").to_numpy()
    return min((steps[runs[finished[runs]]].max() for runs in arms if finished[runs].any()), default=steps.max())


def horizon_of(times: np.ndarray, reached: np.ndarray) -> float:
    """The step up to which an arm's restricted mean is known, also without any one of its runs.

    Kaplan and Meier's curve is not known beyond the last time where that is censored. So the horizon is the
    shorter one of the two longest times that are censored; infinite where neither is.
    """
    last = np.lexsort((~reached, times))[-2:]
    return float(times[last][~reached[last]].min(initial=np.inf))


def survival(times: np.ndarray, reached: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times in ascending order, the share S of runs not there yet right after each, and Var S / S², all `[n]`.

    S(t) = Π over runs i that reached the threshold at t_i ≤ t of 1 - 1/n_i, n_i the number of runs not there and
    still watched just before. Where runs end at one time those that reached the threshold come first. The
    variance is Greenwood's, S² Σ 1/(n_i (n_i - 1)) over the same runs, infinite relative to S² where S is 0.

    Sources: Kaplan & Meier 1958, Nonparametric estimation from incomplete observations; Greenwood 1926.
    """
    order = np.lexsort((~reached, times))
    there, watched = reached[order], np.arange(len(times), 0, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.cumsum(np.where(there, 1 / (watched * (watched - 1)), 0.0))
    return times[order], np.cumprod(1 - there / watched), error


def restricted_mean(times: np.ndarray, reached: np.ndarray, horizon: float) -> float:
    """The mean of min(time, horizon), ∫ S(t) dt from 0 to the horizon; S stays as it is after the last time."""
    ordered, share, _ = survival(times, reached)
    ends = np.clip([0.0, *ordered, horizon], 0.0, horizon)
    return float(np.diff(ends) @ np.array([1.0, *share]))


def pseudo_values(times: np.ndarray, reached: np.ndarray, horizon: float) -> np.ndarray:
    """One number a run whose mean is the restricted mean: n μ - (n - 1) μ₋ᵢ, `[n]`, μ₋ᵢ that without run i.

    Where no run is censored before the horizon they are min(time, horizon) itself. They stand for the times in
    any method for means, pairs of runs with the same seed among them.

    Sources: Andersen, Hansen & Klein 2004, Regression analysis of restricted mean survival time based on
    pseudo-observations; Logan, Zhang & Klein 2011 for data in groups such as pairs.
    """
    n = len(times)
    if (reached | (times >= horizon)).all():
        return np.minimum(times, horizon)
    others = ~np.eye(n, dtype=bool)
    without = np.array([restricted_mean(times[rest], reached[rest], horizon) for rest in others])
    values = n * restricted_mean(times, reached, horizon) - (n - 1) * without
    return np.round(values, DECIMALS)  # equal ones stay equal


def median_time(times: np.ndarray, reached: np.ndarray) -> float:
    """The first time at which half of the runs are there, by the curve; NaN where it stays above one half."""
    ordered, share, _ = survival(times, reached)
    there = ordered[share <= 0.5 + 1e-12]
    return float(there[0]) if len(there) else np.nan


def log_rank(times: np.ndarray, reached: np.ndarray, of_control: np.ndarray, control_reached: np.ndarray) -> float:
    """The two-sided p of the log-rank test that two arms have one curve; NaN where no run reached the threshold.

    It does not look at pairs. Nothing happens after the last time at which a run is there.

    Source: Mantel 1966, by `scipy.stats.logrank`.
    """
    if not reached.any() and not control_reached.any():
        return np.nan
    last = max(times[reached].max(initial=0), of_control[control_reached].max(initial=0))
    arms = [
        scipy.stats.CensoredData(uncensored=time[there], right=np.minimum(time[~there], last))
        for time, there in ((times, reached), (of_control, control_reached))
    ]
    with np.errstate(invalid="ignore"):  # of arms in which one run at most is there while others are watched
        return float(scipy.stats.logrank(*arms).pvalue)


def earlier(times: np.ndarray, reached: np.ndarray, of_other: np.ndarray, other_reached: np.ndarray) -> np.ndarray:
    """1 where the run is known to be there before the other one, 0 where after it, ½ where that is not known.

    Arrays are held against each other by broadcasting. Runs that are there at the same time count ½ too.

    Source: Gehan 1965, A generalized Wilcoxon test for comparing arbitrarily singly-censored samples.
    """
    before = reached & ((times < of_other) | ((times == of_other) & ~other_reached))
    after = other_reached & ((of_other < times) | ((times == of_other) & ~reached))
    return 0.5 + (before.astype(float) - after) / 2
