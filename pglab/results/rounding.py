"""Numbers that are the same, or 0, but for rounding."""

import numpy as np

ROUNDING = 1e-12  # share of the size of what was added up below which a number is rounding alone


def weighted_sums(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Σ w y of each row, `[n]`, without rounding relative to the largest Σ |w| |y|.

    Args:
        scores: y, `[n, arms]`; a row with a NaN has a NaN for its sum.
        weights: w, `[arms]`.
    """
    return without_rounding(scores @ weights, np.abs(scores) @ np.abs(weights))


def differences_of(scores: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Scores - control, both `[n]`, without rounding; NaN where either has none."""
    return weighted_sums(np.stack([scores, control], axis=1), np.array([1.0, -1.0]))


def without_rounding(values: np.ndarray, sizes: np.ndarray | None = None) -> np.ndarray:
    """The values, `[n]`, of which those that differ by rounding alone are equal, and those that are rounding alone 0.

    Args:
        values: NaN where there is none.
        sizes: of the numbers that each comes from, the largest of which counts; if not given, of the values.
    """
    sizes = np.abs(values) if sizes is None else sizes
    least = ROUNDING * np.max(sizes, where=~np.isnan(sizes), initial=0.0)
    order = np.argsort(values)
    rising = values[order]
    apart = np.append(True, ~(np.diff(rising) <= least))[: len(values)]
    settled = np.empty(len(values))
    settled[order] = rising[apart][np.cumsum(apart) - 1]
    settled[np.abs(settled) <= least] = 0.0
    return settled


def mean_of(values: np.ndarray) -> float:
    """The mean of at least one value, `[n]`, which rounding never puts beyond the smallest or the largest."""
    return float(np.clip(values.mean(), values.min(), values.max()))


def variance_of(values: np.ndarray) -> float:
    """The variance, with n - 1, of at least two values, `[n]`; exactly 0 where they differ by rounding alone."""
    return float(values.var(ddof=1)) if np.ptp(values) > ROUNDING * np.abs(values).max() else 0.0
