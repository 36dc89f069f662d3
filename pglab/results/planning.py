"""The number of seeds that a claim needs, from the spread that a study shows."""

import math

import numpy as np
import pandas as pd
import scipy

from pglab.results.arm_choices import runs_by_arm
from pglab.results.arm_names import pair_labels
from pglab.results.controls import controls
from pglab.results.digits import counted, plain
from pglab.results.pairs import FEWEST
from pglab.results.rounding import differences_of, variance_of
from pglab.results.samples import Sample, sample_of

MOST = 10**7  # seeds
SURE = 0.8  # one-sided confidence of the upper limit for sd


def seeds_needed(
    scores: pd.DataFrame,
    difference: float | None = None,
    control: str | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """A row for each arm and its control: seeds needed to see a true difference of that size.

    Without a difference it is only told which one the seeds that there are can see.

    Power is the chance that the t test of `compare` gives p < alpha: with pairs
    P(T² > t²) for T² noncentral F(1, n-1) with n d²/s², s the sd of the differences; without, for n seeds
    in each arm, F(1, 2n-2) with n d²/(2s²), s² the mean of the arms' variances. Scores are taken to be
    normal, and are the pseudo-values of censored ones. Alpha is divided by the number of comparisons, as the
    verdicts of `compare` do.

    The sd is itself estimated: `needed_high` takes the upper limit that it stays below with 80 %
    confidence, s √(k/χ²_{k, 0.2}) with k degrees of freedom. With few seeds the two differ a lot.

    Columns:
        problem study arm control_study control label control_label alike: see `compare`.
        paired n: whether in pairs, and how many pairs, or seeds of the smaller arm, there are.
        sd sd_high: of differences where paired, else of scores; and its upper limit.
        difference alpha: what to see, and the level after division.
        needed needed_high: pairs, or seeds in each arm, at least as many as a verdict takes (see `compare`). NaN
            where there is no spread to go by.
        power_now: of the t test with the n there are. detectable: the smallest difference that n sees with `power`.
        enough: whether n ≥ needed; empty where that is not known or not asked.
        verdict: a sentence.

    Raises:
        ValueError: the difference is 0, or power or alpha are no probabilities; see also `compare`.

    Sources: Cohen 1988, Statistical Power Analysis; Browne 1995, On the use of a pilot sample.
    """
    if difference == 0 or not 0 < alpha < power < 1:
        raise ValueError(f"needs a difference but 0, and 0 < alpha < power < 1; got {difference}, {alpha} and {power}")
    asked = np.nan if difference is None else abs(difference)
    runs, pairs = runs_by_arm(scores), list(controls(scores, control).items())
    level = alpha / max(len(pairs), 1)
    rows = []
    for (arm, other), labels in zip(pairs, pair_labels(scores, pairs), strict=True):
        sample = sample_of(runs[arm], runs[other])
        sd, n, k = _spread(sample)
        sd_high = sd * math.sqrt(k / scipy.stats.chi2.ppf(1 - SURE, k)) if k else np.nan
        row = {
            "problem": labels.problem,
            "study": arm[0],
            "arm": arm[1],
            "control_study": other[0],
            "control": other[1],
        }
        row |= {"label": labels.arm, "control_label": labels.control, "alike": labels.alike}
        row |= {"paired": sample.paired, "n": n, "sd": sd, "sd_high": sd_high}
        row |= {"difference": asked, "alpha": level}
        rows.append(row | _needs(asked, sd, sd_high, n, sample.paired, level, power))
        rows[-1]["verdict"] = _verdict(rows[-1], str(runs[arm]["unit"].iloc[0]), power)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"enough": "boolean"})


COLUMNS = [
    *(
        "problem",
        "study",
        "arm",
        "control_study",
        "control",
        "label",
        "control_label",
        "alike",
        "paired",
        "n",
        "sd",
        "sd_high",
    ),
    *("difference", "alpha", "needed", "needed_high", "power_now", "detectable", "enough", "verdict"),
]


def power_of_t(effect: float, n: int, alpha: float, in_pairs: bool) -> float:
    """The power of a two-sided t test with n pairs or n scores in each arm, for a difference of `effect` sd."""
    df, noncentrality = (n - 1, n * effect**2) if in_pairs else (2 * n - 2, n * effect**2 / 2)
    critical = scipy.stats.t.isf(alpha / 2, df) ** 2
    # The square of a noncentral t; SciPy's noncentral t itself is NaN for some large effects.
    return float(scipy.stats.ncf.sf(critical, 1, df, noncentrality))


def _spread(sample: Sample) -> tuple[float, int, int]:
    """sd, n, and the degrees of freedom of sd; no sd and no degrees where there is none."""
    a, b, n = sample.a, sample.b, min(len(sample.a), len(sample.b))
    if n < 2:
        return np.nan, n, 0
    variance = variance_of(differences_of(a, b)) if sample.paired else (variance_of(a) + variance_of(b)) / 2
    sd = math.sqrt(variance)
    return (sd, n, n - 1 if sample.paired else len(a) + len(b) - 2) if sd > 0 else (np.nan, n, 0)


def _needs(
    difference: float, sd: float, sd_high: float, n: int, in_pairs: bool, alpha: float, power: float
) -> dict[str, object]:
    if np.isnan(sd):
        return {**dict.fromkeys(["needed", "needed_high", "power_now", "detectable"], np.nan), "enough": pd.NA}
    detectable = sd * _smallest(n, alpha, in_pairs, power)
    if np.isnan(difference):
        nothing = dict.fromkeys(["needed", "needed_high", "power_now"], np.nan)
        return {**nothing, "detectable": detectable, "enough": pd.NA}
    needed = fewest_seeds(difference / sd, alpha, in_pairs, power)
    return {
        "needed": needed,
        "needed_high": fewest_seeds(difference / sd_high, alpha, in_pairs, power),
        "power_now": power_of_t(difference / sd, n, alpha, in_pairs),
        "detectable": detectable,
        "enough": n >= needed,
    }


def fewest_seeds(effect: float, alpha: float, in_pairs: bool, power: float) -> float:
    """The smallest n with that power, and no fewer than a verdict takes; infinite above ten million."""
    low, high = FEWEST - 1, FEWEST  # too few, perhaps enough
    while power_of_t(effect, high, alpha, in_pairs) < power:
        low, high = high, 2 * high
        if high > MOST:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of_t(effect, middle, alpha, in_pairs) >= power else (middle, high)
    return float(high)


def _smallest(n: int, alpha: float, in_pairs: bool, power: float) -> float:
    """The smallest effect, in sd, that n sees with that power."""
    high = 1.0
    while power_of_t(high, n, alpha, in_pairs) < power:
        high *= 2
    found = scipy.optimize.root_scalar(
        lambda effect: power_of_t(effect, n, alpha, in_pairs) - power, bracket=(0.0, high)
    )
    return float(found.root)


def _verdict(row: dict, unit: str, power: float) -> str:
    arms = f"{row['label']} and {row['control_label']}" + (f" with {row['alike']}" if row["alike"] else "")
    arms += f" on {row['problem']}" if row["problem"] else ""
    seeds = counted(row["n"], "paired seed") if row["paired"] else f"{counted(row['n'], 'seed')} in each arm"
    if np.isnan(row["difference"]):
        few = f"; a verdict takes {FEWEST}" if row["n"] < FEWEST else ""
        return f"{seeds} of {arms}: " + _detectable(row, unit) + few
    what = f"a difference of {plain(row['difference'])} {unit} between {arms}"
    if np.isnan(row["sd"]):
        return f"the {seeds} show no spread to plan by: it is not known how many see {what}"
    detectable = plain(row["detectable"])
    needed = f"needs {row['needed']:,.0f}, or {row['needed_high']:,.0f} if the spread is underrated"
    if row["n"] < FEWEST:
        few = f"a verdict takes {FEWEST}, and there are {seeds}"
        return f"not enough: {few}; {100 * power:.0f} % power to see {what} {needed}"
    needs = f"{100 * power:.0f} % {needed}"
    now = f"{seeds} see {what} with {100 * row['power_now']:.0f} % power ({needs}; {seeds} see {detectable})"
    return ("enough: " if row["enough"] else "not enough: ") + now


def _detectable(row: dict, unit: str) -> str:
    """The difference that the seeds can see."""
    if np.isnan(row["sd"]):
        return "no spread to plan by"
    return f"a difference of {plain(row['detectable'])} {unit}"
