"""Two arms held against each other: the mean difference, and how sure it is."""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy
from scipy.special import gammaln

Test = Literal["t", "permutation"]
RESAMPLES = 9999  # sign flips and exchanges; up to 13 pairs there are fewer, and the test is exact
LARGEST = 1e300  # a t value above all others, with which SciPy can still reckon
FEWEST_SHARED = 2  # seeds, for pairs
FEWEST_PAIRS = 6  # 2 / 2⁶ = .03


@dataclass(frozen=True)
class Difference:
    """Mean difference of two arms, its interval, the size of the effect and a p value.

    NaN where something does not exist; `said` and `test` tell in words what was done, or why not.
    """

    value: float
    low: float
    high: float
    said: str
    effect: float
    effect_name: str
    p: float
    test: str


def matched(scores: pd.Series, control: pd.Series) -> tuple[np.ndarray, np.ndarray, bool]:
    """The scores of two arms to compare, from those by seed, and whether the n-th of both are a pair.

    They are where the arms share at least two seeds: those scores alone come back then.
    """
    shared = scores.index.intersection(control.index)
    if in_pairs := len(shared) >= FEWEST_SHARED:
        scores, control = scores[shared], control[shared]
    return scores.to_numpy(dtype=float), control.to_numpy(dtype=float), in_pairs


def paired(differences: np.ndarray, test: Test = "t", level: float = 0.95) -> Difference:
    """From the differences of runs with the same seed, `[n]`.

    The interval is Student's t on the differences. The effect is Cohen's d_z = d̄ / s_d. The p value,
    two-sided, is that of the paired t test; or of a sign-flip permutation test (`permutation`): the
    share of all 2ⁿ ways to give the differences signs whose mean is as far from 0 (exact up to n = 13,
    then 9,999 random ones). It cannot be below 2/2ⁿ: with fewer than 6 pairs it never reaches .05.
    Where all differences are equal a t test has no spread to go by, and the sign-flip test is taken.

    Sources: Student 1908; Fisher 1935, The Design of Experiments, §21.
    """
    n, mean = len(differences), float(differences.mean()) if len(differences) else np.nan
    if n < 2 or not np.isfinite(differences).all():
        why = f"none: {n} pair{'s' * (n != 1)}" if n < 2 else "none: scores are infinite"
        return Difference(mean, np.nan, np.nan, why, np.nan, "Cohen's d_z", np.nan, why)
    if np.ptp(differences) == 0:
        p, named = _sign_flips(differences)
        equal = f"all {n} differences are equal"
        return Difference(mean, mean, mean, f"no width: {equal}", np.nan, "Cohen's d_z", p, f"{named} ({equal})")
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of nearly equal differences
        found: Any = scipy.stats.ttest_1samp(differences, 0.0)
    low, high = found.confidence_interval(level)
    p, named = (float(found.pvalue), "paired t") if test == "t" else _sign_flips(differences)
    effect = mean / float(differences.std(ddof=1))
    said = f"{100 * level:g} % Student-t on differences"
    return Difference(mean, float(low), float(high), said, effect, "Cohen's d_z", p, named)


def unpaired(scores: np.ndarray, control: np.ndarray, test: Test = "t", level: float = 0.95) -> Difference:
    """From the scores of two arms that share no seeds, `[n]` and `[m]`.

    The interval is Welch's, with the degrees of freedom of Satterthwaite. The effect is Hedges' g: the
    difference in units of the pooled sd, times Γ(k/2) / (√(k/2) Γ((k-1)/2)) with k = n + m - 2, which
    makes it unbiased. The p value, two-sided, is Welch's, or that of a permutation test of Welch's t
    (exact where there are at most 9,999 ways to exchange the scores), which is also taken where the
    scores of each arm are all equal.

    Sources: Welch 1947; Hedges 1981, Distribution theory for Glass's estimator of effect size.
    """
    n, m = len(scores), len(control)
    value = float(scores.mean() - control.mean()) if n and m else np.nan
    both = np.concatenate([scores, control])
    why = None
    if min(n, m) < 2:
        why = f"none: {n} and {m} scores"
    elif not np.isfinite(both).all():
        why = "none: scores are infinite"
    if why:
        return Difference(value, np.nan, np.nan, why, np.nan, "Hedges' g", np.nan, why)
    if np.ptp(scores) == np.ptp(control) == 0:
        p, named = _exchanges(scores, control)
        said = "no width: the scores of each arm are all equal"
        return Difference(value, value, value, said, np.nan, "Hedges' g", p, f"{named} (each arm's scores are equal)")
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of an arm whose scores are equal
        found: Any = scipy.stats.ttest_ind(scores, control, equal_var=False)
        low, high = found.confidence_interval(level)
        p, named = (float(found.pvalue), "Welch's t") if test == "t" else _exchanges(scores, control)
    k = n + m - 2
    pooled = np.sqrt(((n - 1) * scores.var(ddof=1) + (m - 1) * control.var(ddof=1)) / k)
    unbiased = np.exp(gammaln(k / 2) - gammaln((k - 1) / 2)) / np.sqrt(k / 2)
    said = f"{100 * level:g} % Welch"
    return Difference(value, float(low), float(high), said, float(value / pooled * unbiased), "Hedges' g", p, named)


def _sign_flips(differences: np.ndarray) -> tuple[float, str]:
    n = len(differences)
    flipped = scipy.stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, batch=1000, rng=0
    )
    exact = 2**n <= RESAMPLES
    few = f": {n} pairs cannot give p < .05, {FEWEST_PAIRS} can" if n < FEWEST_PAIRS else ""
    return float(flipped.pvalue), f"sign-flip permutation, {'exact' if exact else f'{RESAMPLES:,} flips'}{few}"


def _exchanges(scores: np.ndarray, control: np.ndarray) -> tuple[float, str]:
    exchanged = scipy.stats.permutation_test(
        (scores, control), _welch, vectorized=True, n_resamples=RESAMPLES, batch=1000, rng=0
    )
    return float(exchanged.pvalue), "permutation of Welch's t"


def _welch(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    error = np.sqrt(x.var(axis=axis, ddof=1) / x.shape[axis] + y.var(axis=axis, ddof=1) / y.shape[axis])
    difference = x.mean(axis=axis) - y.mean(axis=axis)
    without_spread = np.where(difference == 0, 0.0, np.copysign(LARGEST, difference))
    return np.where(error > 0, difference / np.where(error > 0, error, 1), without_spread)
