"""Arms are found by what they are called or chose, and each gets the control it is compared with."""

from collections.abc import Sequence

import pandas as pd

from pglab.results.arm_choices import ArmKey, choices, compared_factors
from pglab.results.arm_names import arm_labels
from pglab.results.by_problem import problems
from pglab.results.finding import meant


def find_arms(scores: pd.DataFrame, wanted: str) -> list[ArmKey]:
    """The arms of that name, of that label, or with these choices (`total`, `weighting=total,optimizer.lr=0.01`).

    Raises:
        ValueError: there is none.
    """
    labels = arm_labels(scores)
    found = meant(wanted, {arm: (arm[1], "/".join(arm), labels[arm]) for arm in labels}, choices(scores))
    if not found:
        raise ValueError(f"no arm is {wanted!r}; there are: {'; '.join(labels.values())}")
    return found


def controls(scores: pd.DataFrame, control: str | None) -> dict[ArmKey, ArmKey]:
    """For every arm that is no control the one it is compared with, which is on the same problem.

    Where several arms are meant (`weighting=total` in a grid with learning rates) it is the one that
    shares most of the arm's other choices; for runs of other programs, which have none, the first. On a problem where
    none is, it is the arm that is alike but for its problem, and where there is none either the first.

    Args:
        scores: the frame of `scores`.
        control: see `find_arms`; None: the first arm's choice in the first factor that tells the arms of a problem
            apart, groups before keys.

    Raises:
        ValueError: there is no such arm, or two that are equally near.
    """
    arms, of_arm = choices(scores), problems(scores)
    first = next(iter(arms))
    found = _with_choice_of(scores, first, [*arms]) if control is None else find_arms(scores, control)
    factors = compared_factors(scores)
    meant = {tuple(arms[one][key] for key in factors) for one in found}
    for problem in dict.fromkeys(of_arm.values()):
        there = [arm for arm in arms if of_arm[arm] == problem]
        if not set(there) & set(found):
            alike = [one for one in there if tuple(arms[one][key] for key in factors) in meant]
            found = [*found, *(alike or _with_choice_of(scores, there[0], there))]
    nearest, foreign = {}, _of_other_programs(scores)
    for arm in [arm for arm in arms if arm not in found]:
        eligible = [one for one in found if of_arm[one] == of_arm[arm]]
        shared = {one: sum(arms[one][key] == arms[arm][key] for key in arms[arm]) for one in eligible}
        best = [one for one in eligible if shared[one] == max(shared.values())]
        if len(best) > 1 and arm not in foreign:
            labels = arm_labels(scores)
            raise ValueError(
                f"{control!r} names several controls for {labels[arm]}: {'; '.join(labels[one] for one in best)}. "
                "Name more of its choices, separated by commas."
            )
        nearest[arm] = best[0]
    return nearest


def _of_other_programs(scores: pd.DataFrame) -> set[ArmKey]:
    """The arms of `pglab.results.read_runs`, whose seeds are negative."""
    arms = scores[scores["seed"] < 0].drop_duplicates(["study", "arm"])
    return {(str(study), str(arm)) for study, arm in zip(arms["study"], arms["arm"], strict=True)}


def _with_choice_of(scores: pd.DataFrame, arm: ArmKey, among: Sequence[ArmKey]) -> list[ArmKey]:
    """The arms that share an arm's choice in the first factor; the arm alone where there is no factor."""
    arms, factors = choices(scores), compared_factors(scores)
    return [one for one in among if factors and arms[one][factors[0]] == arms[arm][factors[0]]] or [arm]
