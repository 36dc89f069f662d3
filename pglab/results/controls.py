"""Arms are found by what they are called or chose, and each gets the control it is compared with."""

import pandas as pd

from pglab.results.arm_choices import ArmKey, choices, compared_factors
from pglab.results.arm_names import arm_labels
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
    """For every arm that is no control the one it is compared with.

    Where several arms are meant (`weighting=total` in a grid with learning rates) it is the one that
    shares most of the arm's other choices.

    Args:
        scores: the frame of `scores`.
        control: see `find_arms`; None: the first arm's choice in the first factor that tells arms apart
            (groups before keys, and the environment is none: its scores do not compare).

    Raises:
        ValueError: there is no such arm, or two that are equally near.
    """
    arms = choices(scores)
    found = _first(scores) if control is None else find_arms(scores, control)
    nearest = {}
    for arm in [arm for arm in arms if arm not in found]:
        shared = {one: sum(arms[one][key] == arms[arm][key] for key in arms[arm]) for one in found}
        best = [one for one in found if shared[one] == max(shared.values())]
        if len(best) > 1:
            labels = arm_labels(scores)
            raise ValueError(
                f"{control!r} names several controls for {labels[arm]}: {'; '.join(labels[one] for one in best)}. "
                "Name more of its choices, separated by commas."
            )
        nearest[arm] = best[0]
    return nearest


def _first(scores: pd.DataFrame) -> list[ArmKey]:
    """The first arm, and in a grid those that share its choice in the first factor."""
    arms = choices(scores)
    first = next(iter(arms))
    factors = compared_factors(scores)
    return [arm for arm, has in arms.items() if factors and has[factors[0]] == arms[first][factors[0]]] or [first]
