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
        beyond: tuned keys whose value is the smallest or the largest number of those that were tried.
    """

    arm: ArmKey
    settings: Mapping[str, str | None]
    score: float
    n: int
    tried: int
    beyond: tuple[str, ...]


def tuned_by_default(scores: pd.DataFrame) -> list[str]:
    """The keys with values (`optimizer.lr`, `gamma`) that tell arms apart; choices of groups are what is compared."""
    arms = choices(scores).values()
    return [
        key for key in compared_factors(scores) if "." in key or all(is_number(arm[key]) for arm in arms if arm[key])
    ]


def best_settings(scores: pd.DataFrame, tuned: Sequence[str]) -> list[Best]:
    """Of the arms that are alike but for the tuned keys, on each problem the one with the best mean score.

    The first of several equal ones. Runs without a score enter no mean.

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
        means = {arm: sign * mean for arm in several if not np.isnan(mean := runs[arm]["score"].mean())}
        if not means:
            raise ValueError(f"no run of {arm_labels(scores)[several[0]]} has a score, at any setting")
        arm = max(means, key=lambda one: means[one])
        beyond = tuple(key for key in tuned if _at_the_end(key, arms[arm], [arms[one] for one in several]))
        settings = {key: arms[arm][key] for key in tuned}
        n = int(runs[arm]["score"].notna().sum())
        found.append(Best(arm, settings, sign * means[arm], n, len(several), beyond))
    return found


def _at_the_end(key: str, chosen: Choices, several: Sequence[Choices]) -> bool:
    """True where a number is the smallest or the largest of several that were tried."""
    tried = sorted({float(value) for has in several if is_number(value := has[key]) and value})
    return len(tried) > 1 and is_number(chosen[key]) and float(str(chosen[key])) in (tried[0], tried[-1])
