"""How often a table of comparisons is wrong where nothing differs: `python -m tests.results.error_rates [STUDIES]`.

Studies of six arms alike, the first of which is the control; in pairs their scores go together over
seeds with a correlation of one half before they are bent into each distribution. Holm's correction
leaves some p below .05 exactly where the smallest times the number of comparisons is.
"""

import sys

import numpy as np
import scipy.stats

from tests.results.coverage import BEFORE_CEILING, CEILING

ARMS = 6
SIZES = (5, 10, 20)
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


def family_error(bent: str, n: int, studies: int, in_pairs: bool) -> float:
    """Per cent of the studies in which a difference is found."""
    scores = null_studies(bent, n, studies, 0.5 if in_pairs else 0.0)
    return 100 * float(some_found(p_values(scores[:, 1:], scores[:, :1], in_pairs)).mean())


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print("n   scores   paired  Welch")
    for n in SIZES:
        for bent in BENT:
            print(f"{n:<4}{bent:<8}", *(f"{family_error(bent, n, studies, pairs):7.2f}" for pairs in (True, False)))


if __name__ == "__main__":
    main()
