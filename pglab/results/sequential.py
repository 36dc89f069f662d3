"""Are these seeds enough? A group-sequential comparison, whose error holds however often one looks.

The looks are at fixed numbers of paired seeds, 6, 8, 10, 13, 17, …, each a quarter more than the one before, whatever
the data say and however many seeds one is ready to take, so that a study that is continued goes on where it stopped.
At the look at n seeds the interval of the mean difference is Student's t at a level of its own, and all of them hold
together (repeated confidence intervals). A comparison is decided at the first look whose interval leaves out 0, so
that a difference is seen, or lies within ± the difference that was asked for, so that one of that size is excluded.

Where arms differ by just that size it takes about a sixth more seeds than the fixed plan, which sees it with 80 %, and
this with 97 to 99 %; where they differ by twice as much, a third of them.

Sources: Lan and DeMets 1983, Discrete sequential boundaries for clinical trials (how the error is spent); Jennison and
Turnbull 1989, Interim analyses: the repeated confidence interval approach, and 2000, Group Sequential Methods with
Applications to Clinical Trials, chapters 7 and 19 (t tests by their levels; the recursion of Armitage, McPherson and
Rowe 1969).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtrit

from pglab.results.arm_choices import ArmKey, runs_by_arm
from pglab.results.arm_names import Pair, pair_labels
from pglab.results.controls import controls
from pglab.results.digits import counted, plain, with_error
from pglab.results.incomplete import ENDED
from pglab.results.pairs import FEWEST
from pglab.results.planning import fewest_seeds
from pglab.results.rounding import differences_of, mean_of, variance_of
from pglab.results.samples import fate

GROWTH = 1.25  # of the seeds from look to look
UNSPENT = 5.0  # seeds at which no error is spent yet
POWER = 0.8  # of the fixed plan that is told beside
END, STEP = 9.0, 0.015  # the grid of z on which densities are followed, in standard deviations

METHOD = (
    "group-sequential: repeated confidence intervals of Student's t on paired differences, which hold together over "
    "all looks and comparisons with 95 %"
)
Outcome = Literal["seen", "excluded", "open", "not judged"]


def looks(most: int) -> tuple[int, ...]:
    """The numbers of paired seeds at which one looks, up to `most`."""
    numbers = [FEWEST]
    while (following := math.ceil(GROWTH * numbers[-1])) <= most:
        numbers.append(following)
    return tuple(number for number in numbers if number <= most)


def spent(seeds: float, alpha: float) -> float:
    """The error that the looks up to a number of seeds may take together: α (1 - √(5/n)), which never comes to α."""
    return alpha * (1 - math.sqrt(UNSPENT / seeds))


@lru_cache
def levels(numbers: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """The two-sided level of the test at each look, such that their errors together are as `spent` says.

    With Z_k the standardised mean of the first n_k of independent normal scores around 0, the limits c_k solve
    P(|Z_1| < c_1, …, |Z_{k-1}| < c_{k-1}, |Z_k| ≥ c_k) = spent(n_k) - spent(n_{k-1}), and the level is P(|Z| ≥ c_k).

    Args:
        numbers: of seeds at the looks, rising.
        alpha: the error of all looks that there could ever be.
    """
    z = np.arange(-END, END + STEP / 2, STEP)
    density, found, taken = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi), [], 0.0
    for place, number in enumerate(numbers):
        if place:  # the score goes on from where no look has stopped it: Z_k = √r Z_{k-1} + √(1-r) noise
            share = numbers[place - 1] / number
            steps = (z[:, None] - math.sqrt(share) * z[None, :]) / math.sqrt(1 - share)
            density = np.exp(-(steps**2) / 2) @ density * STEP / math.sqrt(2 * math.pi * (1 - share))
        may = spent(number, alpha) - taken
        taken += may
        above = 2 * STEP * np.cumsum(density[::-1])[::-1]  # mass beyond the lower border of each cell, both sides
        limit = float(np.interp(-may, -above, z - STEP / 2))
        density = density * np.clip((limit - np.abs(z)) / STEP + 0.5, 0, 1)
        found.append(float(2 * ndtr(-limit)))
    return tuple(found)


@dataclass(frozen=True)
class Look:
    """One look at the paired differences of a comparison.

    Attributes:
        seeds: that each arm has trained by then.
        pairs: of scores among them.
        value low high: the mean difference and its repeated confidence interval; NaN where there is none.
    """

    seeds: int
    pairs: int
    value: float
    low: float
    high: float

    def outcome(self, difference: float) -> Outcome:
        """The decision that this look comes to: 0 is outside of the interval, or all of it closer to 0 than that."""
        if self.low > 0 or self.high < 0:
            return "seen"
        return "excluded" if max(-self.low, self.high) < difference else "open"


def look_at(differences: np.ndarray, seeds: int, level: float) -> Look:
    """A look at paired differences, `[n]`, NaN where a pair lacks a score, with an interval of level 1 - `level`.

    Fewer than six pairs, and pairs that are all equal, have no interval: there is no spread to go by.
    """
    known = differences[~np.isnan(differences)]
    value = mean_of(known) if len(known) else math.nan
    if len(known) < FEWEST or not (variance := variance_of(known)):
        return Look(seeds, len(known), value, math.nan, math.nan)
    half = float(stdtrit(len(known) - 1, 1 - level / 2) * math.sqrt(variance) / math.sqrt(len(known)))
    return Look(seeds, len(known), value, value - half, value + half)


def decide(
    scores: pd.DataFrame, difference: float, control: str | None = None, alpha: float = 0.05, first: int | None = None
) -> pd.DataFrame:
    """A row for each arm and its control: whether a difference is seen, or one of that size excluded, look by look.

    The chance that any row says "seen" where nothing differs is at most `alpha`, and so is the chance that any says
    "excluded" where an arm does differ by that much or more: each of m comparisons takes alpha / m. In 2,000 simulated
    studies of each kind they were 4.6 and 1.1 % (normal scores), 2.6 and 0.9 % (skewed), 2.1 and 4.7 % (60 % at a
    ceiling) at most, and a difference of that size was seen in 97 % at least
    (`python -m tests.results.sequential_error_rates`). Where nearly all scores are equal, the few that are not may
    all come late, and "excluded" is too sure.

    A look takes place once its seeds have come to an end in both arms. A run that failed, or is not there while later
    seeds are, leaves its pair out. An arm most of whose runs diverged or failed is not judged.

    Columns:
        problem study arm control_study control label control_label alike: see `compare`.
        outcome: seen, excluded, open (more seeds would tell), or not judged.
        seeds pairs looks: of the look that decided, or the last one; looks are 0 before the first.
        diverged: runs of both arms that diverged and whose scores are in these pairs.
        mean_difference low high: arm - control there, with its repeated confidence interval.
        fixed_plan: seeds that a t test needs to see `difference` with 80 % power, by the spread there, and at least
            as many as a verdict takes; NaN if unknown.
        verdict: a sentence.

    Args:
        scores: the frame of `scores`.
        difference: the smallest difference that matters, in the score's unit.
        control: see `compare`.
        alpha: of all comparisons together.
        first: the seed that the looks begin with; default: the smallest there is. Runs of other programs, whose
            seeds are negative (`read_runs`), make no pairs, and are in no look.

    Raises:
        ValueError: the difference is not above 0, or lower scores are better; see also `compare`.
    """
    if not (math.isfinite(difference) and difference > 0):
        raise ValueError(f"needs a difference above 0; got {difference}")
    if set(scores["better"]) != {"higher"}:
        raise ValueError(f"decides on returns; these scores are {scores['unit'].iloc[0]}")
    runs, pairs = runs_by_arm(scores), list(controls(scores, control).items())
    begin = int(scores["seed"][scores["seed"] >= 0].min()) if first is None else first
    share = alpha / max(len(pairs), 1)
    rows = [
        _row(runs, pair, labels, difference, begin, share)
        for pair, labels in zip(pairs, pair_labels(scores, pairs), strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = [
    *("problem", "study", "arm", "control_study", "control", "label", "control_label", "alike"),
    *("outcome", "seeds", "pairs", "diverged", "looks", "mean_difference", "low", "high", "fixed_plan", "verdict"),
]


def _row(
    runs: dict[ArmKey, pd.DataFrame],
    pair: tuple[ArmKey, ArmKey],
    labels: Pair,
    difference: float,
    begin: int,
    alpha: float,
) -> dict[str, object]:
    differences = _differences(runs[pair[0]], runs[pair[1]], begin)
    numbers = looks(len(differences))
    taken, outcome = [], "open"
    for number, level in zip(numbers, levels(numbers, alpha) if numbers else (), strict=True):
        taken.append(look_at(differences[:number], number, level))
        outcome = taken[-1].outcome(difference)
        if outcome != "open":
            break
    fates = [fate(runs[arm]) for arm in pair]
    if any(fates) and taken:
        outcome = "not judged"
    last = taken[-1] if taken else look_at(differences, len(differences), alpha)
    (study, arm), (control_study, of_control) = pair
    found: dict[str, object] = {
        **{"problem": labels.problem, "study": study, "arm": arm, "control_study": control_study},
        **{"control": of_control, "label": labels.arm, "control_label": labels.control, "alike": labels.alike},
        **{"outcome": outcome, "seeds": last.seeds, "pairs": last.pairs, "looks": len(taken)},
        "diverged": sum(_diverged(runs[arm], begin, differences[: last.seeds]) for arm in pair),
        **{"mean_difference": last.value, "low": last.low, "high": last.high},
        "fixed_plan": _fixed_plan(differences[: last.seeds], difference, alpha),
    }
    return found | {"verdict": _verdict(found, difference, str(runs[pair[0]]["unit"].iloc[0]), fates)}


def _differences(of_arm: pd.DataFrame, of_control: pd.DataFrame, begin: int) -> np.ndarray:
    """Arm - control for `begin` and every seed after it, up to the first run of either that goes on.

    NaN where a run has no score, or is not there, for it failed before its first update.
    """
    both = [runs[runs["seed"] >= begin].set_index("seed") for runs in (of_arm, of_control)]
    if any(runs.empty for runs in both):
        return np.array([])
    end = min(int(runs.index.max()) + 1 for runs in both)
    end = min(end, begin + 2 * len(both[0].index.union(both[1].index)))  # others lie far from these
    going_on = [seed for runs in both for seed in runs.index[~runs["status"].isin([*ENDED, "failed"])]]
    seeds = range(begin, min([end, *going_on]))
    return differences_of(*(runs["score"].astype(float).reindex(seeds).to_numpy() for runs in both))


def _diverged(runs: pd.DataFrame, begin: int, differences: np.ndarray) -> int:
    """The number of runs of an arm that diverged, of those in the pairs from seed `begin` on."""
    entered = begin + np.flatnonzero(~np.isnan(differences))
    return int((runs["seed"].isin(entered) & (runs["status"] == "diverged")).sum())


def _fixed_plan(differences: np.ndarray, difference: float, alpha: float) -> float:
    known = differences[~np.isnan(differences)]
    if len(known) < 2 or not (variance := variance_of(known)):
        return math.nan
    return fewest_seeds(difference / math.sqrt(variance), alpha, True, POWER)


def _verdict(row: dict, difference: float, unit: str, fates: list[str]) -> str:
    arm, control = row["label"], row["control_label"]
    where = "".join(
        [f", with {row['alike']}" if row["alike"] else "", f", on {row['problem']}" if row["problem"] else ""]
    )
    lost = [f"{name} {said}" for name, said in zip((arm, control), fates, strict=True) if said]
    if row["outcome"] == "not judged":
        return f"not judged{where}: {arm} and {control}, for {' and '.join(lost)}"
    seeds, size = _seeds(row), f"{plain(difference)} {unit}"
    if row["pairs"] < FEWEST:
        return f"not decided after {seeds}{where}: too few to judge {arm} against {control}; a verdict takes {FEWEST}"
    if math.isnan(row["low"]):
        return f"not decided after {seeds}{where}: {arm} and {control} show no spread to go by"
    found = with_error(abs(row["mean_difference"]), (row["high"] - row["low"]) / 2) + f" {unit}"
    plan = row["fixed_plan"]
    fixed = (
        "" if not math.isfinite(plan) else f"; a fixed plan to see {size} would have taken {counted(int(plan), 'seed')}"
    )
    above, below = (arm, control) if row["mean_difference"] > 0 else (control, arm)
    if row["outcome"] == "seen":
        return f"seen after {seeds}{where}: {above} beats {below} by {found}{fixed}"
    if row["outcome"] == "excluded":
        return f"excluded after {seeds}{where}: {arm} and {control} differ by less than {size} ({found}){fixed}"
    return f"not decided after {seeds}{where}: {above} is above {below} by {found}{fixed}"


def _seeds(row: dict) -> str:
    """The pairs of a look, and the runs to know of."""
    without, diverged = row["seeds"] - row["pairs"], row["diverged"]
    asides = [f"{without} of {row['seeds']} without a score"] if without else []
    asides += [f"{counted(diverged, 'run')} diverged"] if diverged else []
    return counted(int(row["pairs"]), "paired seed") + (f" ({', '.join(asides)})" if asides else "")
