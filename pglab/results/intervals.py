"""Intervals from one score a seed, and what they really cover."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from pglab.results.arm_summary import mean_interval
from pglab.results.rounding import mean_of, variance_of

Method = Literal["t", "bca"]
RESAMPLES = 9999
TOLERANCE_CONFIDENCE, TOLERANCE_SHARE = 0.95, 0.90


@dataclass(frozen=True)
class Interval:
    """Two ends, NaN where there are none, and in words how they were found or why they are missing."""

    low: float
    high: float
    said: str


def interval_of_mean(scores: np.ndarray, method: Method = "t", level: float = 0.95) -> Interval:
    """An interval for the mean of the population of seeds, from `[n]` scores.

    `t` is Student's, mean ± t_{n-1} s / √n (exact for normal scores). `bca` is Efron's bias-corrected and
    accelerated bootstrap (`scipy.stats.bootstrap`, 9,999 resamples, the same ones every time).

    Of other scores a 95 % interval covers less, as `pglab.results.coverage` has measured: with 5 skewed ones
    88 % (t) and 80 % (BCa), with 5 of which most are at a ceiling 80 % and 76 %; BCa with 5 normal ones 84 %.
    So BCa is no remedy for few seeds. Where all scores are equal both give an interval of no width, which
    says nothing about other seeds (with a ceiling this is most of what is missing above at n = 5), and
    `said` says so.

    Sources: Student 1908; Efron 1987, Better bootstrap confidence intervals.
    """
    n, percent = len(scores), f"{100 * level:g} %"
    if n < 2:
        return Interval(np.nan, np.nan, f"none: {'one score' if n else 'no scores'}")
    if not variance_of(scores):
        return Interval(mean_of(scores), mean_of(scores), f"no width: all {n} scores are equal")
    if method == "bca":
        with warnings.catch_warnings(action="ignore"):  # of a degenerate bootstrap, which is answered below
            found = scipy.stats.bootstrap(
                (scores,), np.mean, confidence_level=level, n_resamples=RESAMPLES, method="BCa", rng=0
            ).confidence_interval
        if np.isfinite([found.low, found.high]).all():
            return Interval(float(found.low), float(found.high), f"{percent} BCa bootstrap")
    elif method != "t":
        raise ValueError(f"an interval is 't' or 'bca'; got {method!r}")
    _, low, high = mean_interval(scores, level)
    return Interval(low, high, f"{percent} Student-t" + (" (BCa does not exist)" if method == "bca" else ""))


def tolerance_interval(scores: np.ndarray) -> Interval:
    """Where, with 95 % confidence, at least 90 % of all seeds lie: between two of the scores themselves.

    From the r-th smallest to the r-th largest, for the largest r that leaves the confidence
    P(Beta(n - 2r + 1, 2r) > 0.9) ≥ 0.95 whatever the distribution. That takes n ≥ 46 scores.

    Source: Wilks 1941, Determination of sample sizes for setting tolerance limits.
    """
    n = len(scores)
    cut = np.arange(1, n // 2 + 1)
    enough = cut[scipy.stats.beta.sf(TOLERANCE_SHARE, n - 2 * cut + 1, 2 * cut) >= TOLERANCE_CONFIDENCE]
    if not len(enough):
        return Interval(np.nan, np.nan, f"none: it needs 46 scores, there are {n}")
    ordered, r = np.sort(scores), int(enough[-1])
    return Interval(float(ordered[r - 1]), float(ordered[n - r]), "90 % of seeds, with 95 % confidence")
