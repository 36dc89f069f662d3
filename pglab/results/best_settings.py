"""The best setting of each arm of a grid, by its mean score: a choice, which only fresh seeds can judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pglab.results.arm_choices import ArmKey, Choices, choices, compared_factors, describing, runs_by_arm
from pglab.results.arm_names import arm_labels, is_number
from pglab.results.by_problem import problems


@dataclass(frozen=True)
class Best:
    """An arm at the setting with the best mean score, on one problem.

    Attributes:
        arm: study and name.
        settings: its values of the tuned keys.
        score: its mean over the runs that have a score.
        n: how many these are.
        tried: how many settings there were.
        passed_over: how many of these could not be chosen, for runs of theirs have no score.
        beyond: tuned keys whose value is the smallest or the largest number of those that were tried.
    """

    arm: ArmKey
    settings: Mapping[str, str | None]
    score: float
    n: int
    tried: int
    passed_over: int
    beyond: tuple[str, ...]


def tuned_by_default(scores: pd.DataFrame) -> list[str]:
    """The keys with values (`optimizer.lr`, `gamma`) that tell arms apart; choices of groups are what is compared."""
    arms = choices(scores).values()
    return [
        key for key in compared_factors(scores) if "." in key or all(is_number(arm[key]) for arm in arms if arm[key])
    ]


def best_settings(scores: pd.DataFrame, tuned: Sequence[str]) -> list[Best]:
    """Of the arms that are alike but for the tuned keys, on each problem the one with the best mean score.

    The first of several equal ones. A setting with a run without a score, such as one that failed, is passed over where
    another has a score of every run (see `means_of_settings`).

    Args:
        scores: the frame of `scores`.
        tuned: columns that describe arms, such as `optimizer.lr`; a group stands for all its keys.

    Raises:
        ValueError: a key does not tell arms apart; an arm has no score at any of its settings.
    """
    arms, of_arm, runs = choices(scores), problems(scores), runs_by_arm(scores)
    differing = [key for key in describing(scores) if len({has[key] for has in arms.values()}) > 1]
    for key in tuned:
        if key not in differing:
            raise ValueError(f"the arms do not differ in {key}; they differ in {', '.join(differing) or 'nothing'}")
    kept = [key for key in differing if not any(key == one or key.startswith(f"{one}.") for one in tuned)]
    alike: dict[tuple[str | None, ...], list[ArmKey]] = {}
    for arm, has in arms.items():
        alike.setdefault((of_arm[arm], *(has[key] for key in kept)), []).append(arm)
    sign = 1 if scores["better"].iloc[0] == "higher" else -1
    found = []
    for several in alike.values():
        means = {arm: sign * mean for arm, mean in means_of_settings({arm: runs[arm] for arm in several}).items()}
        if not means:
            raise ValueError(f"no run of {arm_labels(scores)[several[0]]} has a score, at any setting")
        arm = max(means, key=lambda one: means[one])
        beyond = tuple(key for key in tuned if _at_the_end(key, arms[arm], [arms[one] for one in several]))
        settings = {key: arms[arm][key] for key in tuned}
        n = int(runs[arm]["score"].notna().sum())
        found.append(Best(arm, settings, sign * means[arm], n, len(several), len(several) - len(means), beyond))
    return found


def means_of_settings(runs: Mapping[ArmKey, pd.DataFrame]) -> dict[ArmKey, float]:
    """The mean score of each setting that may be chosen: of those all of whose runs have one.

    A mean over the runs that are left would favour settings under which bad runs fail. Where no setting has a score of
    every run it is that mean all the same, of each with any.

    Args:
        runs: of each setting its rows of the frame of `scores`.
    """
    scored = {arm: of_arm["score"].astype(float) for arm, of_arm in runs.items()}
    whole = {arm: float(mean) for arm, each in scored.items() if not np.isnan(mean := each.mean(skipna=False))}
    return whole or {arm: float(each.mean()) for arm, each in scored.items() if each.notna().any()}


def _at_the_end(key: str, chosen: Choices, several: Sequence[Choices]) -> bool:
    """True where a number is the smallest or the largest of several that were tried."""
    tried = sorted({float(value) for has in several if is_number(value := has[key]) and value})
    return len(tried) > 1 and is_number(chosen[key]) and float(str(chosen[key])) in (tried[0], tried[-1])
