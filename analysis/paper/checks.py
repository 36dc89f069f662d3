"""Published numbers, those that came out here, and whether the two agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pglab.results import mean_interval

ERRORS = 4  # combined standard errors that two means may be apart


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes:
        what: is compared.
        published: what was published, or what theory says, as text.
        ours, low, high: our number and its 95 % Student-t interval over runs; NaN where there is none.
        n: runs behind it; 0 for a calculation.
        agrees: whether ours is as published, by `rule`.
        rule: in words.
    """

    what: str
    published: str
    ours: float
    low: float
    high: float
    n: int
    agrees: bool
    rule: str


def within_errors(what: str, published: float, runs: np.ndarray, published_runs: int) -> Check:
    """The mean over runs is within 4 combined standard errors of a published mean over `published_runs` runs.

    The published mean is taken to have the spread of our runs.

    Args:
        runs: one number a run, `[n]`.
    """
    mean, low, high = mean_interval(runs)
    error = np.std(runs, ddof=1) * np.sqrt(1 / len(runs) + 1 / published_runs) if len(runs) > 1 else np.nan
    agrees = bool(abs(mean - published) <= ERRORS * error)
    return Check(
        what, f"{published:g}", mean, low, high, len(runs), agrees, f"within {ERRORS} combined standard errors"
    )


def near(what: str, published: float, runs: np.ndarray, tolerance: float) -> Check:
    """The mean over runs is within `tolerance` of the published value."""
    mean, low, high = mean_interval(runs)
    agrees = bool(abs(mean - published) <= tolerance)
    return Check(what, f"{published:g}", mean, low, high, len(runs), agrees, f"within ±{tolerance:g}")


def exactly(what: str, published: float, ours: float, digits: int = 6) -> Check:
    """A calculated number equals the published one to so many significant digits."""
    agrees = bool(abs(ours - published) <= 0.5 * 10.0 ** (1 - digits) * max(abs(published), abs(ours)))
    return Check(what, f"{published:.8g}", ours, np.nan, np.nan, 0, agrees, f"to {digits} digits")


def measured(what: str, exact: float, runs: np.ndarray) -> Check:
    """The mean over runs is within 4 of its own standard errors of an exact value."""
    mean, low, high = mean_interval(runs)
    error = np.std(runs, ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else np.nan
    agrees = bool(abs(mean - exact) <= ERRORS * error)
    return Check(what, f"{exact:.6g}", mean, low, high, len(runs), agrees, f"within {ERRORS} standard errors")


def vanishes(what: str, ours: float, bound: float) -> Check:
    """A calculated number is zero but for rounding."""
    return Check(what, "0", ours, np.nan, np.nan, 0, bool(abs(ours) <= bound), f"within {bound:g}")


def above(what: str, bound: float, runs: np.ndarray, published: str = "") -> Check:
    """The whole interval of the mean over runs lies above a bound."""
    mean, low, high = mean_interval(runs)
    said = published or f"above {bound:g}"
    return Check(what, said, mean, low, high, len(runs), bool(low > bound), f"interval above {bound:g}")


def below(what: str, bound: float, runs: np.ndarray, published: str = "") -> Check:
    """The whole interval of the mean over runs lies below a bound."""
    mean, low, high = mean_interval(runs)
    said = published or f"below {bound:g}"
    return Check(what, said, mean, low, high, len(runs), bool(high < bound), f"interval below {bound:g}")


def share(what: str, runs: Sequence[bool] | np.ndarray, least: float, published: str) -> Check:
    """At least this share of all runs does it; a count has no interval here."""
    held = np.asarray(runs, dtype=bool)
    rule = f"at least {least:.0%} of runs".replace("%", " %")
    part = float(held.mean()) if len(held) else np.nan
    agrees = bool(part >= least)
    return Check(what, published, part, np.nan, np.nan, len(held), agrees, rule)
