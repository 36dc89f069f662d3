"""Two arms held against each other: the mean difference, and how sure it is."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import gammaln, stdtr, stdtrit

from pglab.results.permutations import Permuted, exchanges, sign_flips
from pglab.results.rounding import differences_of, mean_of, variance_of, without_rounding

Test = Literal["t", "permutation"]
# Seeds that a verdict takes. Five differences are all of one sign in 2 of 2⁵ cases by chance, p = .0625, so that with
# fewer pairs no test comes to p = .05 but one that takes the scores for normal, which nobody can see in so few.
FEWEST = 6
ENDLESS = "without ends, for so few {} can exclude nothing"


@dataclass(frozen=True)
class Difference:
    """Mean difference of two arms, its interval, the size of the effect and a p value.

    NaN where something does not exist; `said` and `test` tell in words what was done, or why not. The interval is
    that of the test: it excludes 0 exactly where p is below one minus its level.
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

    Where they are pairs (see `make_pairs`) the scores of shared seeds alone come back.
    """
    shared = scores.index.intersection(control.index)
    if in_pairs := make_pairs(len(shared), min(len(scores), len(control))):
        scores, control = scores[shared], control[shared]
    return scores.to_numpy(dtype=float), control.to_numpy(dtype=float), in_pairs


def make_pairs(shared: int, fewest: int) -> bool:
    """True where arms are compared over the seeds that they share, at least two.

    But fewer pairs than a verdict takes are not made where every arm has as many seeds as it takes.

    Args:
        shared: seeds that all arms have.
        fewest: seeds of the arm that has the fewest.
    """
    return shared > 1 and not shared < FEWEST <= fewest


def paired(differences: np.ndarray, test: Test = "t", alpha: float = 0.05) -> Difference:
    """The difference from those of runs with the same seed, `[n]`, with an interval of level 1 - alpha.

    Student's t on the differences, or a sign-flip permutation test with the interval that inverts it (see
    `pglab.results.permutations.sign_flips`), which is also taken where all differences are equal but for
    rounding, for then a t test has no spread to go by. The effect is Cohen's d_z = d̄ / s_d.

    Source: Student 1908.
    """
    n, differences = len(differences), without_rounding(differences)
    mean = mean_of(differences) if n else np.nan
    if n < 2:
        return without_test(mean, "Cohen's d_z", f"none: {n} pair{'s' * (n != 1)}")
    if not (variance := variance_of(differences)):
        equal = f"all {n} differences are equal"
        return _permuted(mean, np.nan, "Cohen's d_z", sign_flips(differences, alpha), equal)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of nearly equal differences
        effect = mean / float(np.sqrt(variance))
        if test == "permutation":
            return _permuted(mean, effect, "Cohen's d_z", sign_flips(differences, alpha))
        error = np.sqrt(variance) / np.sqrt(n)
        low, high, p = _student(mean, error, n - 1, alpha)
    return Difference(mean, low, high, "Student-t on differences", effect, "Cohen's d_z", p, "paired t")


def unpaired(scores: np.ndarray, control: np.ndarray, test: Test = "t", alpha: float = 0.05) -> Difference:
    """The difference from the scores of two arms that share no seeds, `[n]` and `[m]`, at level 1 - alpha.

    Welch's t with the degrees of freedom of Satterthwaite, or a permutation test of Welch's t with the interval
    that inverts it (see `pglab.results.permutations.exchanges`), which is also taken where the scores of each
    arm are all equal but for rounding. The effect is Hedges' g: the difference in units of the pooled sd, times
    Γ(k/2) / (√(k/2) Γ((k-1)/2)) with k = n + m - 2, which makes it unbiased.

    Sources: Welch 1947; Hedges 1981, Distribution theory for Glass's estimator of effect size.
    """
    n, m, (scores, control) = len(scores), len(control), map(without_rounding, (scores, control))
    means = [np.array([mean_of(each) if len(each) else np.nan]) for each in (scores, control)]
    value = float(differences_of(*means)[0])
    if min(n, m) < 2:
        return without_test(value, "Hedges' g", f"none: {n} and {m} scores")
    variance, of_control = variance_of(scores), variance_of(control)
    if not variance and not of_control:
        return _permuted(value, np.nan, "Hedges' g", exchanges(scores, control, alpha), "each arm's scores are equal")
    k = n + m - 2
    pooled = np.sqrt(((n - 1) * variance + (m - 1) * of_control) / k)
    effect = float(value / pooled * np.exp(gammaln(k / 2) - gammaln((k - 1) / 2)) / np.sqrt(k / 2))
    if test == "permutation":
        return _permuted(value, effect, "Hedges' g", exchanges(scores, control, alpha))
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of an arm whose scores are equal
        own, other = variance / n, of_control / m
        freedom = (own + other) ** 2 / (own**2 / (n - 1) + other**2 / (m - 1))
        low, high, p = _student(value, np.sqrt(own + other), freedom, alpha)
    return Difference(value, low, high, "Welch", effect, "Hedges' g", p, "Welch's t")


def without_test(value: float, effect_name: str, why: str) -> Difference:
    """A difference of which nothing else is known, and the reason."""
    return Difference(value, np.nan, np.nan, why, np.nan, effect_name, np.nan, why)


def _student(value: float, error: float, freedom: float, alpha: float) -> tuple[float, float, float]:
    """The ends of an estimate's interval of level 1 - alpha, and the two-sided p of 0, from its standard error.

    By SciPy's special functions, for `scipy.stats` takes a second to load.
    """
    half = float(stdtrit(freedom, 1 - alpha / 2) * error)
    return value - half, value + half, float(2 * stdtr(freedom, -abs(value) / error))


def _permuted(value: float, effect: float, effect_name: str, found: Permuted, equal: str = "") -> Difference:
    said = f"inverted {found.said.partition(',')[0].partition(':')[0]}"
    said += f" ({equal})" if equal else ""
    if np.isinf(found.low) and np.isinf(found.high):
        said += f", {ENDLESS.format('permutations' if found.drawn else 'scores')}"
    test = f"{found.said} ({equal})" if equal else found.said
    return Difference(value, found.low, found.high, said, effect, effect_name, found.p, test)
