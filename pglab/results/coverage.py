"""What 95 % intervals from few seeds really cover."""

from typing import NamedTuple

from pglab.results.digits import counted
from pglab.results.intervals import Method


class Covered(NamedTuple):
    """How often the interval holds the true mean, in per cent, by how the scores are distributed.

    `normal`; `skewed`: exponential, the long tail towards bad returns; `ceiling`: normal, but cut off at a
    return that 60 % of the seeds reach, as in CartPole at 500.
    """

    normal: float
    skewed: float
    ceiling: float


MEASURED: dict[Method, dict[int, Covered]] = {  # by `python -m tests.results.coverage 20000`, which a test repeats
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
}
NAMES: dict[Method, str] = {"t": "Student-t", "bca": "BCa bootstrap"}


def measured(method: Method, n: int) -> tuple[int, Covered]:
    """The largest measured number of scores that is not above n, and what the interval covers with so many.

    Raises:
        ValueError: there is no such method, or no interval from so few scores.
    """
    if method not in MEASURED:
        raise ValueError(f"an interval is 't' or 'bca'; got {method!r}")
    if n < min(MEASURED[method]):
        raise ValueError(f"an interval needs {min(MEASURED[method])} scores; got {n}")
    nearest = max(size for size in MEASURED[method] if size <= n)
    return nearest, MEASURED[method][nearest]


def real_coverage(method: Method, n: int) -> str:
    """A sentence on what the 95 % interval of `describe_arms` really covers with n scores.

    Where n itself was not measured it is said for the next smaller number that was.
    """
    if n < 2:
        return f"There is no interval from {counted(n, 'score')}."
    size, covered = measured(method, n)
    where = "" if size == n else f" (measured with {size})"
    return (
        f"With {n} scores a 95 % {NAMES[method]} interval really covers the true mean in {covered.normal:.1f} % of "
        f"studies where scores are normal, {covered.skewed:.1f} % where they have a long tail of bad returns, "
        f"and {covered.ceiling:.1f} % where 60 % of them are at a ceiling{where}."
    )
