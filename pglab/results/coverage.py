"""The real coverage of 95 % intervals from few seeds."""

from typing import Literal, NamedTuple

from pglab.results.digits import counted

Interval = Literal["t", "bca", "paired", "welch"]


class Covered(NamedTuple):
    """The share of intervals that hold the true mean, in per cent, by the distribution of the scores.

    `normal`; `skewed`: exponential, the long tail towards bad returns; `ceiling`: normal, but cut off at a
    return that 60 % of the seeds reach, as in CartPole at 500. Of differences that is the distribution of the arm,
    and its control has normal scores of half the spread: where both are alike the tails cancel, and less is missing.
    """

    normal: float
    skewed: float
    ceiling: float


MEASURED: dict[Interval, dict[int, Covered]] = {  # by `python -m tests.results.coverage 20000`, which a test repeats
    "t": {
        2: Covered(95.0, 91.1, 61.1),
        3: Covered(95.0, 88.5, 70.6),
        5: Covered(95.1, 88.2, 79.6),
        10: Covered(95.0, 90.0, 86.6),
        20: Covered(95.0, 91.9, 90.5),
        50: Covered(95.0, 93.4, 93.1),
        100: Covered(95.0, 94.2, 94.1),
    },
    "bca": {
        2: Covered(49.8, 46.3, 41.6),
        3: Covered(72.3, 68.3, 62.0),
        5: Covered(83.7, 80.3, 76.5),
        10: Covered(89.6, 86.9, 87.2),
        20: Covered(92.4, 91.2, 92.3),
        50: Covered(93.8, 93.0, 94.0),
        100: Covered(94.6, 93.7, 95.0),
    },
    "paired": {
        2: Covered(95.0, 94.6, 94.4),
        3: Covered(95.0, 93.6, 93.0),
        5: Covered(95.0, 92.4, 91.4),
        10: Covered(95.0, 92.4, 91.4),
        20: Covered(95.0, 93.1, 92.8),
        50: Covered(95.0, 94.0, 94.1),
        100: Covered(94.9, 94.4, 94.5),
    },
    "welch": {
        2: Covered(97.2, 96.1, 94.9),
        3: Covered(95.6, 93.7, 92.3),
        5: Covered(95.0, 92.4, 90.1),
        10: Covered(95.0, 92.7, 90.8),
        20: Covered(95.0, 93.4, 92.5),
        50: Covered(95.0, 94.3, 94.0),
        100: Covered(95.0, 94.6, 94.5),
    },
}
NAMES: dict[Interval, str] = {"t": "Student-t", "bca": "BCa bootstrap", "paired": "Student-t", "welch": "Welch"}


def measured(method: Interval, n: int) -> tuple[int, Covered]:
    """The largest measured number of scores that is not above n, and the coverage with so many.

    Raises:
        ValueError: there is no such method, or no interval from so few scores.
    """
    if method not in MEASURED:
        raise ValueError(f"an interval is 't', 'bca', 'paired' or 'welch'; got {method!r}")
    if n < min(MEASURED[method]):
        raise ValueError(f"an interval needs {min(MEASURED[method])} scores; got {n}")
    nearest = max(size for size in MEASURED[method] if size <= n)
    return nearest, MEASURED[method][nearest]


def real_coverage(method: Interval, n: int) -> str:
    """A sentence on the real coverage of a 95 % interval with n scores.

    That is the one of `describe_arms` (`t`, `bca`), or of a difference in `compare` (`paired`, `welch`), with n
    pairs or n scores in either arm. Where n itself was not measured it is said for the next smaller number that was.
    """
    if n < 2:
        return f"There is no interval from {counted(n, 'score')}."
    size, covered = measured(method, n)
    where = "" if size == n else f" (measured with {size})"
    with_n = {"paired": f"{n} pairs", "welch": f"{n} scores in each arm"}.get(method, f"{n} scores")
    of_difference = method in ("paired", "welch")
    held = "true difference" if of_difference else "true mean"
    of_arm = "one arm's have" if of_difference else "they have"
    return (
        f"With {with_n} a 95 % {NAMES[method]} interval really covers the {held} in {covered.normal:.1f} % of "
        f"studies where scores are normal, {covered.skewed:.1f} % where {of_arm} a long tail of bad returns, "
        f"and {covered.ceiling:.1f} % where 60 % of them are at a ceiling{where}."
    )


def coverage_of_differences(in_pairs: bool, n: int) -> str:
    """The same for a difference in `compare`, and what follows where several share their level."""
    said = real_coverage("paired" if in_pairs else "welch", n)
    return f"{said} Simultaneous intervals fall short in the same way." if n > 1 else said
