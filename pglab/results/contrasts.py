"""Weighted sums of arms' scores, taken seed by seed where all arms share seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from pglab.results.pairs import Difference, Test, make_pairs, paired, without_test
from pglab.results.rounding import mean_of, variance_of, weighted_sums, without_rounding


def contrast(
    by_seed: pd.DataFrame, weights: np.ndarray, alpha: float, test: Test = "t"
) -> tuple[Difference, int, bool]:
    """The sum Σ w y over arms with its interval of level 1 - alpha, how many entered, and whether over seeds.

    It is taken for each seed that has a score in every arm, and has Student's t interval over those seeds, whatever the
    spread in the arms. Where too few seeds have all of them (see
    `pglab.results.pairs.make_pairs`) the means of the arms take the place of a seed's
    scores, and the interval is Welch's with the degrees of freedom of Satterthwaite, which takes all scores for
    independent; what entered are scores then. Sums that are 0 but for rounding are 0.

    Args:
        by_seed: scores, `[seeds, arms]`, NaN where there is none.
        weights: w, `[arms]`.
        test: over seeds.

    Source: Satterthwaite 1946.
    """
    complete = by_seed.dropna()
    if make_pairs(len(complete), int(by_seed.notna().sum().min())):
        return paired(weighted_sums(complete.to_numpy(), weights), test, alpha), len(complete), True
    scores = [by_seed[arm].dropna().to_numpy() for arm in by_seed]
    return _of_means(scores, weights, alpha), int(by_seed.notna().sum().sum()), False


def _of_means(scores: Sequence[np.ndarray], weights: np.ndarray, alpha: float) -> Difference:
    """From scores of arms that are independent: Σ w ȳ, with Σ w² s²/n for its variance."""
    n = np.array([len(each) for each in scores])
    if not n.all():
        return without_test(np.nan, "", "none: an arm has no score")
    scores = [without_rounding(each) for each in scores]
    value = float(weighted_sums(np.array([[mean_of(each) for each in scores]]), weights)[0])
    if n.min() < 2:
        return without_test(value, "", "none: an arm has one score, and fewer than two seeds are in all arms")
    parts = weights**2 * np.array([variance_of(each) for each in scores]) / n
    if not (variance := parts.sum()):
        return without_test(value, "", "none: the scores of each arm are all equal")
    df, error = variance**2 / (parts**2 / (n - 1)).sum(), np.sqrt(variance)
    half, p = scipy.stats.t.isf(alpha / 2, df) * error, 2 * scipy.stats.t.sf(abs(value) / error, df)
    said = "Welch (too few seeds in all arms)"
    return Difference(value, value - half, value + half, said, np.nan, "", float(p), "Welch's t of the arms' means")
