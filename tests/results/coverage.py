"""The real coverage of 95 % intervals for means and differences: `python -m tests.results.coverage [STUDIES]`.

Takes samples of known distributions, and counts how often the interval holds the true mean, or the true difference
to a control with normal scores of half the spread, in pairs with a correlation of one half before scores are bent.
The numbers of `pglab.results.coverage` are from 20,000 studies.
"""

import sys

import numpy as np
import scipy.stats

SIZES = (2, 3, 5, 10, 20, 50, 100)
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


def coverage_of_t(draw, n: int, studies: int, seed: int = 0) -> float:
    """Per cent of the samples whose t interval holds the true mean."""
    scores = draw(np.random.default_rng([seed, n]), (studies, n))
    half = scipy.stats.t.ppf(0.975, n - 1) * scores.std(axis=1, ddof=1) / np.sqrt(n)
    return 100 * float(np.mean(np.abs(scores.mean(axis=1) - MEANS[draw]) <= half))


def coverage_of_bca(draw, n: int, studies: int, seed: int = 0, resamples: int = 999) -> float:
    """The same for BCa; a sample of equal scores has an interval of no width."""
    scores = draw(np.random.default_rng([seed, n]), (studies, n))
    equal = np.ptp(scores, axis=1) == 0
    found = scipy.stats.bootstrap(
        (scores[~equal],), np.mean, axis=1, n_resamples=resamples, batch=50, method="BCa", rng=seed
    ).confidence_interval
    return 100 * float(np.sum((found.low <= MEANS[draw]) & (MEANS[draw] <= found.high))) / studies


BENT = {
    normal: lambda z: z,
    skewed: scipy.stats.norm.logcdf,  # minus an exponential
    ceiling: lambda z: np.minimum(BEFORE_CEILING.mean() + BEFORE_CEILING.std() * z, CEILING),
}
SPREADS = {
    normal: 1.0,
    skewed: 1.0,
    ceiling: np.sqrt(
        BEFORE_CEILING.expect(lambda x: (x - MEANS[ceiling]) ** 2, lb=-np.inf, ub=CEILING)
        + 0.6 * (CEILING - MEANS[ceiling]) ** 2
    ),
}


def arm_and_control(draw, n: int, studies: int, seed: int, correlation: float) -> np.ndarray:
    """Scores `[2, studies, n]` of an arm of this distribution, and of a normal control of mean 0, half as spread."""
    rng = np.random.default_rng([seed, n])
    z = rng.normal(size=(2, studies, n)) * np.sqrt(1 - correlation)
    z += rng.normal(size=(studies, n)) * np.sqrt(correlation)
    return np.array([BENT[draw](z[0]), z[1] * SPREADS[draw] / 2])


def coverage_of_paired(draw, n: int, studies: int, seed: int = 0) -> float:
    """Per cent of the studies whose paired t interval holds the true difference."""
    differences = np.subtract(*arm_and_control(draw, n, studies, seed, 0.5))
    half = scipy.stats.t.ppf(0.975, n - 1) * differences.std(axis=1, ddof=1) / np.sqrt(n)
    return 100 * float(np.mean(np.abs(differences.mean(axis=1) - MEANS[draw]) <= half))


def coverage_of_welch(draw, n: int, studies: int, seed: int = 0) -> float:
    """The same for Welch's interval, of seeds that are not shared."""
    arm, control = arm_and_control(draw, n, studies, seed, 0.0)
    v, w = arm.var(axis=1, ddof=1) / n, control.var(axis=1, ddof=1) / n
    df = (v + w) ** 2 / ((v**2 + w**2) / (n - 1))
    half = scipy.stats.t.ppf(0.975, df) * np.sqrt(v + w)
    return 100 * float(np.mean(np.abs(arm.mean(axis=1) - control.mean(axis=1) - MEANS[draw]) <= half))


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    for n in SIZES:
        t = [coverage_of_t(draw, n, 20 * studies) for draw in MEANS]
        bca = [coverage_of_bca(draw, n, studies) for draw in MEANS]
        paired = [coverage_of_paired(draw, n, 20 * studies) for draw in MEANS]
        welch = [coverage_of_welch(draw, n, 20 * studies) for draw in MEANS]
        for name, covered in (("t", t), ("bca", bca), ("paired", paired), ("welch", welch)):
            print(f"{name:<7}{n:>4}:", *(f"{share:.1f}" for share in covered), flush=True)


if __name__ == "__main__":
    main()
