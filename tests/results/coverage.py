"""What 95 % intervals for the mean really cover: `python -m tests.results.coverage [STUDIES]`.

Takes samples of known distributions, and counts how often the interval holds the true mean.
"""

import sys

import numpy as np
import scipy.stats

SIZES = (5, 10, 20, 100)
CEILING = 500.0
BEFORE_CEILING = scipy.stats.norm(CEILING + 80 * scipy.stats.norm.ppf(0.6), 80)  # 60 % of it is above


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Exponential, its long tail towards bad returns."""
    return -rng.exponential(size=shape)


def ceiling(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal, but nothing above 500, which is the score of 60 % of the seeds."""
    return np.minimum(BEFORE_CEILING.rvs(shape, random_state=rng), CEILING)


MEANS = {
    normal: 0.0,
    skewed: -1.0,
    ceiling: 0.6 * CEILING + BEFORE_CEILING.expect(lambda x: x, lb=-np.inf, ub=CEILING),
}


def coverage_of_t(draw, n: int, studies: int) -> float:
    """Per cent of the samples whose t interval holds the true mean."""
    scores = draw(np.random.default_rng(n), (studies, n))
    half = scipy.stats.t.ppf(0.975, n - 1) * scores.std(axis=1, ddof=1) / np.sqrt(n)
    return 100 * float(np.mean(np.abs(scores.mean(axis=1) - MEANS[draw]) <= half))


def coverage_of_bca(draw, n: int, studies: int, resamples: int = 999) -> float:
    """The same for BCa; a sample of equal scores has an interval of no width."""
    scores = draw(np.random.default_rng(n), (studies, n))
    equal = np.ptp(scores, axis=1) == 0
    found = scipy.stats.bootstrap(
        (scores[~equal],), np.mean, axis=1, n_resamples=resamples, batch=100, method="BCa", rng=n
    ).confidence_interval
    return 100 * float(np.sum((found.low <= MEANS[draw]) & (MEANS[draw] <= found.high))) / studies


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    print("n     t: normal skewed ceiling   bca: normal skewed ceiling")
    for n in SIZES:
        t = [coverage_of_t(draw, n, 50 * studies) for draw in MEANS]
        bca = [coverage_of_bca(draw, n, studies) for draw in MEANS]
        print(f"{n:<5}", *(f"{covered:8.1f}" for covered in t + bca))


if __name__ == "__main__":
    main()
