"""Two arms held against each other by the order of their scores alone, where some are infinite."""

import numpy as np
import scipy

from pglab.results.pairs import FEWEST_PAIRS, RESAMPLES, Difference

INFINITE = "none: scores are infinite"


def by_order(scores: np.ndarray, control: np.ndarray, in_pairs: bool) -> Difference:
    """From the scores of two arms, the n-th of both a pair or not; there is no interval.

    A run that never reached a threshold took longer than all that did, so that its infinite score has a
    place in the order though not in a mean. In pairs the p value, two-sided, is that of the sign test: the
    chance that as uneven a share of the pairs that differ goes to one arm, were each as likely to go to
    either. Two runs that both never got there do not differ. With fewer than 6 such pairs it never reaches
    .05. Without pairs it is that of the Mann-Whitney test, exact where there are at most 9,999 ways to exchange
    the scores, else by its normal limit corrected for ties. Both ask whether P(better), ties counting half,
    is one half: which arm is ahead more often, not by how much.

    Sources: Arbuthnott 1710; Mann & Whitney 1947.
    """
    n, m = len(scores), len(control)
    with np.errstate(invalid="ignore"):  # of ∞ - ∞
        value = float(np.subtract(scores.mean(), control.mean())) if n and m else np.nan
    name = "Cohen's d_z" if in_pairs else "Hedges' g"
    if min(n, m) < 2:
        why = f"none: {n} and {m} scores"
        return Difference(value, np.nan, np.nan, why, np.nan, name, np.nan, why)
    p, test = _signs(scores, control) if in_pairs else _ranks(scores, control)
    return Difference(value, np.nan, np.nan, INFINITE, np.nan, name, p, test)


def _signs(scores: np.ndarray, control: np.ndarray) -> tuple[float, str]:
    above, differ = int((scores > control).sum()), int((scores != control).sum())
    p = float(scipy.stats.binomtest(above, differ).pvalue) if differ else 1.0
    few = f": {differ} pairs that differ cannot give p < .05, {FEWEST_PAIRS} can" if differ < FEWEST_PAIRS else ""
    return p, f"sign test{few}"


def _ranks(scores: np.ndarray, control: np.ndarray) -> tuple[float, str]:
    if len(np.unique([*scores, *control])) == 1:
        return 1.0, "Mann-Whitney, all scores equal"
    exact = scipy.special.comb(len(scores) + len(control), len(scores)) <= RESAMPLES
    method = scipy.stats.PermutationMethod(n_resamples=RESAMPLES) if exact else "asymptotic"
    p = float(scipy.stats.mannwhitneyu(scores, control, method=method).pvalue)
    return p, f"Mann-Whitney, {'exact' if exact else 'normal limit'}"
