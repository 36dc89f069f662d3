"""Permutation tests of two arms, and the intervals of differences that the same permutations do not reject."""

import math
from collections.abc import Callable
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from pglab.results.rounding import ROUNDING, mean_of

RESAMPLES = 9999  # sign flips and exchanges; where there are fewer all of them are taken, and the test is exact
AT_ONCE = 1000  # permutations that are drawn together
NEAR = 1e-9  # t values that are taken for equal
FAR, HALVINGS = 50, 60  # doublings after which an interval has no end; and of what an end is then known to


class Permuted(NamedTuple):
    """A two-sided p value, the ends of the interval (infinite where nothing is rejected), and what was permuted.

    `drawn` is true where not all permutations were taken.
    """

    p: float
    low: float
    high: float
    said: str
    drawn: bool


def sign_flips(differences: np.ndarray, alpha: float = 0.05) -> Permuted:
    """The sign-flip test that paired differences, `[n]`, are symmetric about 0, and its interval for their centre.

    p is twice the share of the 2ⁿ ways to give the differences signs whose mean is as far out on the side of the
    mean, at most 1. About a centre c flipping those in a subset S raises the mean where mean_S(d) ≤ c. So the
    test that the centre is c rejects exactly beyond the ⌈N α/2⌉-th smallest and largest of the N means of
    subsets, where the mean of the empty one is beyond all numbers on either side. Up to 13 pairs all subsets are
    taken, else 9,999 that are the same every time. p cannot be below 2/2ⁿ: with fewer than 6 pairs it never
    reaches .05, and the interval has no ends; nor, where flips are drawn, below 2 in 10,000.

    Sources: Fisher 1935, The Design of Experiments, §21; Hartigan 1969, Using subsample values as typical values.
    """
    n = len(differences)
    exact = 2**n <= RESAMPLES
    means = _subset_means(differences, exact)
    beyond = [np.sort(np.where(np.isnan(means), end, means)) for end in (-np.inf, np.inf)]
    share = [np.mean(beyond[0] <= 0), np.mean(beyond[1] >= 0)]
    needed = max(math.ceil(len(means) * alpha / 2 - NEAR), 1)
    pairs = math.floor(1 - math.log2(alpha)) + 1
    least = f"{alpha:.2g}".removeprefix("0")
    enough = f", {pairs} can" if 2**pairs <= RESAMPLES else ""
    few = f": {f'{n} pairs' if exact else 'so many'} cannot give p < {least}{enough if exact else ''}"
    few = few if np.isnan(means).sum() >= needed else ""
    said = f"sign-flip permutation, {'exact' if exact else f'{RESAMPLES:,} flips'}{few}"
    return Permuted(
        float(min(1, 2 * min(share))), float(beyond[0][needed - 1]), float(beyond[1][-needed]), said, not exact
    )


def exchanges(scores: np.ndarray, control: np.ndarray, alpha: float = 0.05) -> Permuted:
    """The permutation test of Welch's t that arms without common seeds, `[n]` and `[m]`, differ by nothing.

    p is twice the share of the ways to exchange scores between the arms with a t as far out on the side of the
    one that is there, at most 1: all ways where there are at most 9,999, else 9,999 that are the same every time.
    The interval reaches from the difference of the means to where the same test, of scores - c against the
    control, first rejects on either side; and it holds 0 exactly where the test does not reject 0.

    Source: Janssen 1997, Studentized permutation tests for non-i.i.d. hypotheses.
    """
    n, m = len(scores), len(control)
    value = mean_of(scores) - mean_of(control)
    chosen = _exchanged(n, m)
    centred = np.concatenate([scores - mean_of(scores), control - mean_of(control)])
    from_arm = np.arange(n + m) < n
    sums = [chosen @ part for part in (centred, centred**2, from_arm, from_arm * centred)]
    whole = [part.sum() for part in (centred**2, from_arm, from_arm * centred)]

    def p_of(shift: float) -> float:
        """p of the test that the arms differ by `shift`."""
        move = value - shift
        first = sums[0] + move * sums[2]
        squares = sums[1] + 2 * move * sums[3] + move**2 * sums[2]
        all_squares = whole[0] + 2 * move * whole[2] + move**2 * whole[1]
        second = move * whole[1] - first
        error = (squares - first**2 / n) / (n * (n - 1)) + (all_squares - squares - second**2 / m) / (m * (m - 1))
        difference = first / n - second / m
        nothing = np.abs(difference) <= ROUNDING * math.sqrt(all_squares)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = difference / np.sqrt(np.where(error > ROUNDING * all_squares, error, 0.0))
        t[nothing] = 0.0
        near = NEAR * max(1.0, abs(t[0])) if np.isfinite(t[0]) else 0.0
        return float(min(1, 2 * min(np.mean(t >= t[0] - near), np.mean(t <= t[0] + near))))

    p = p_of(0.0)
    step = float(np.ptp([*scores, *control])) or 1.0
    low, high = (_end(p_of, value, sign * step, p, alpha) for sign in (-1, 1))
    return Permuted(p, low, high, "permutation of Welch's t", len(chosen) > RESAMPLES)


def _subset_means(differences: np.ndarray, exact: bool) -> np.ndarray:
    """The means of subsets, NaN for the empty one, which is the first."""
    n = len(differences)
    if exact:
        subsets = [np.array(list(product((0.0, 1.0), repeat=n)))]
    else:
        rng = np.random.default_rng(0)
        sizes = [1, *[AT_ONCE] * (RESAMPLES // AT_ONCE), RESAMPLES % AT_ONCE]
        subsets = (rng.integers(0, 2, size=(size, n)) * float(place > 0) for place, size in enumerate(sizes))
    sums, counts = zip(*((subset @ differences, subset.sum(axis=1)) for subset in subsets), strict=True)
    total, count = np.concatenate(sums), np.concatenate(counts)
    total[np.abs(total) <= ROUNDING * np.abs(differences).sum()] = 0.0
    means = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return np.clip(means, differences.min(), differences.max())


def _exchanged(n: int, m: int) -> np.ndarray:
    """Ways to choose n of n + m scores, a row of zeros and ones each; the first one chooses the first n."""
    if math.comb(n + m, n) <= RESAMPLES:
        places = np.array(list(combinations(range(n + m), n)))
    else:
        drawn = np.random.default_rng(0).random((RESAMPLES, n + m)).argsort(axis=1)[:, :n]
        places = np.concatenate([np.arange(n)[None], drawn])
    chosen = np.zeros((len(places), n + m))
    np.put_along_axis(chosen, places, 1.0, axis=1)
    return chosen


def _end(p_of: Callable[[float], float], value: float, step: float, p: float, alpha: float) -> float:
    """The last shift, from `value` in the direction of `step`, that is not rejected; infinite where none is."""
    kept, rejected = value, value + step
    if value * step < 0:  # 0 is on this side
        if p < alpha:
            rejected = 0.0
        else:
            kept, rejected = 0.0, step
    for _ in range(FAR):
        if p_of(rejected) < alpha:
            break
        kept, rejected = rejected, rejected + step
        step *= 2
    else:
        return math.copysign(math.inf, step)
    for _ in range(HALVINGS):
        middle = (kept + rejected) / 2
        kept, rejected = (middle, rejected) if p_of(middle) >= alpha else (kept, middle)
    return kept
