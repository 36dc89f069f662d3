"""How often a table of comparisons is wrong where nothing differs: `python -m tests.results.error_rates [STUDIES]`.

Studies of six arms alike, the first of which is the control; in pairs their scores go together over
seeds with a correlation of one half before they are bent into each distribution. Holm's correction
leaves some p below .05 exactly where the smallest times the number of comparisons is.
"""

import sys
from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import scipy.stats

from tests.results.coverage import BEFORE_CEILING, CEILING

ARMS = 6
SIZES = (5, 10, 20)
PERMUTED = ((True, 8), (True, 10), (False, 5))  # in pairs, n; few enough ways to take them all
TOGETHER = 500  # studies
PValues = Callable[[np.ndarray, np.ndarray, bool], np.ndarray]
BENT = {
    "normal": lambda z: z,
    "skewed": scipy.stats.norm.logcdf,  # minus an exponential
    "ceiling": lambda z: np.minimum(BEFORE_CEILING.mean() + BEFORE_CEILING.std() * z, CEILING),
}


def null_studies(bent: str, n: int, studies: int, correlation: float) -> np.ndarray:
    """Scores of arms that do not differ, `[studies, arms, n]`."""
    rng = np.random.default_rng(n)
    together = rng.normal(size=(studies, 1, n)) * np.sqrt(correlation)
    return BENT[bent](together + rng.normal(size=(studies, ARMS, n)) * np.sqrt(1 - correlation))


def some_found(p: np.ndarray) -> np.ndarray:
    """Whether Holm's correction leaves a p below .05, from `[studies, comparisons]`; NaN is no comparison."""
    return np.nanmin(np.where(np.isnan(p), np.inf, p), axis=1) * (~np.isnan(p)).sum(axis=1) < 0.05


def p_values(arms: np.ndarray, control: np.ndarray, in_pairs: bool) -> np.ndarray:
    """Of t tests, paired or Welch's, over the last axis; 1 where there is no spread to go by."""
    n = arms.shape[-1]
    v, w = arms.var(axis=-1, ddof=1) / n, control.var(axis=-1, ddof=1) / n
    square = (arms - control).var(axis=-1, ddof=1) / n if in_pairs else v + w
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.abs(arms.mean(axis=-1) - control.mean(axis=-1)) / np.sqrt(square)
        df = n - 1 if in_pairs else square**2 / ((v**2 + w**2) / (n - 1))
        return np.where(square > 0, 2 * scipy.stats.t.sf(t, df), 1.0)


def welch(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Welch's t; where neither arm has any spread it is beyond all others, or 0."""
    error = np.sqrt(x.var(axis=axis, ddof=1) / x.shape[axis] + y.var(axis=axis, ddof=1) / y.shape[axis])
    difference = x.mean(axis=axis) - y.mean(axis=axis)
    without_spread = np.where(difference == 0, 0.0, np.copysign(1e300, difference))
    return np.where(error > 0, difference / np.where(error > 0, error, 1), without_spread)


def permutation_p_values(arms: np.ndarray, control: np.ndarray, in_pairs: bool) -> np.ndarray:
    """Of exact permutation tests: of the mean over all signs of the differences, of Welch's t over all exchanges."""
    n = arms.shape[-1]
    if in_pairs:
        signs = np.array(list(product((-1, 1), repeat=n)))
        sums = np.abs((arms - control) @ signs.T)
        return np.mean(sums >= sums[..., -1:] - 1e-9, axis=-1)
    first = np.array(list(combinations(range(2 * n), n)))
    second = np.array([sorted({*range(2 * n)} - {*chosen}) for chosen in first])
    both = np.concatenate([arms, np.broadcast_to(control, arms.shape)], axis=-1)
    t = np.abs(welch(both[..., first], both[..., second]))
    return np.mean(t >= t[..., :1] * (1 - 1e-9), axis=-1)


def family_error(bent: str, n: int, studies: int, in_pairs: bool, p_of: PValues = p_values) -> float:
    """Per cent of the studies in which a difference is found."""
    scores = null_studies(bent, n, studies, 0.5 if in_pairs else 0.0)
    parts = np.array_split(scores, -(-studies // TOGETHER))
    found = [some_found(p_of(part[:, 1:], part[:, :1], in_pairs)) for part in parts]
    return 100 * float(np.concatenate(found).mean())


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print("n   scores   paired  Welch")
    for n in SIZES:
        for bent in BENT:
            print(f"{n:<4}{bent:<8}", *(f"{family_error(bent, n, studies, pairs):7.2f}" for pairs in (True, False)))
    print("permutation")
    for in_pairs, n in PERMUTED:
        for bent in BENT:
            rate = family_error(bent, n, studies, in_pairs, permutation_p_values)
            print(f"{n:<4}{bent:<8}", f"{rate:{7 if in_pairs else 15}.2f}")


if __name__ == "__main__":
    main()
