"""Arms are named by what tells them apart, and found by it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pglab.results.arm_names import in_short, is_number, short_keys
from pglab.results.scores import RUN, SCORED

Arm = tuple[str, str]  # study, and name in it
Choices = Mapping[str, str | None]  # what describes an arm, as text; None where it lacks a key


def runs_by_arm(scores: pd.DataFrame) -> dict[Arm, pd.DataFrame]:
    """The runs of each arm of each study, in the order in which the arms come.

    Raises:
        ValueError: a run has more than one row, or runs of unlike scores are in the frame.
    """
    if scores.duplicated(RUN).any():
        raise ValueError("a run has more than one row; the frame must be that of `scores`, one score a run")
    if len(scores.drop_duplicates(["measure", "unit", "better"])) > 1:
        raise ValueError(f"unlike scores cannot be compared: {', '.join(map(str, scores['measure'].unique()))}")
    return {(str(s), str(a)): runs for (s, a), runs in scores.groupby(["study", "arm"], sort=False)}


def describing(scores: pd.DataFrame) -> list[str]:
    """The columns that describe an arm: chosen groups and differing keys."""
    return [str(key) for key in scores.columns if key not in (*RUN, *SCORED)]


def choices(scores: pd.DataFrame) -> dict[Arm, Choices]:
    """What describes each arm, the study last."""
    keys = [*describing(scores), "study"]
    arms = scores.drop_duplicates(["study", "arm"]).to_dict("records")
    return {(str(arm["study"]), str(arm["arm"])): {key: text(arm[key]) for key in keys} for arm in arms}


def distinguishing(scores: pd.DataFrame) -> list[str]:
    """The fewest columns that tell the arms apart, groups before keys, the study last.

    A key that goes with a choice (`weighting.lam` with `weighting=gae`) is left out where the choice
    says enough. Empty for a single arm, and where no columns tell some arms apart.
    """
    arms = list(choices(scores).values())
    needed = [key for key in [*describing(scores), "study"] if len({arm[key] for arm in arms}) > 1]
    if not _tell_apart(needed, arms):
        return []
    for key in reversed(needed.copy()):
        rest = [other for other in needed if other != key]
        if _tell_apart(rest, arms):
            needed = rest
    return needed


def compared_factors(scores: pd.DataFrame) -> list[str]:
    """Those of `distinguishing` whose levels compare: scores of two environments or studies do not."""
    return [key for key in distinguishing(scores) if key not in ("env", "study")]


def arm_labels(scores: pd.DataFrame) -> dict[Arm, str]:
    """A name for each arm in a sentence: `rtg`, or `weighting=rtg, lr=0.01`.

    Where one group alone differs, the choice is enough; where no columns tell arms apart, the arm's
    own name is taken.
    """
    keys = distinguishing(scores)
    cut = short_keys(keys)
    labels = {arm: _label(keys, described, cut) or arm[1] for arm, described in choices(scores).items()}
    return labels if len(set(labels.values())) == len(labels) else {arm: "/".join(arm) for arm in labels}


@dataclass(frozen=True)
class Pair:
    """What two arms are called in a sentence, and what they have in common and others have not."""

    arm: str
    control: str
    alike: str


def pair_labels(scores: pd.DataFrame, pairs: Iterable[tuple[Arm, Arm]]) -> list[Pair]:
    """`rtg` and `total`, both `lr=0.01`: names for the arms of each pair."""
    keys, arms, labels = distinguishing(scores), choices(scores), arm_labels(scores)
    cut, found = short_keys(keys), []
    for arm, control in pairs:
        unlike = [key for key in keys if arms[arm][key] != arms[control][key]]
        said, of_control = _label(unlike, arms[arm], cut), _label(unlike, arms[control], cut)
        alike = ", ".join(f"{cut[k]}={arms[arm][k]}" for k in keys if k not in unlike and arms[arm][k] is not None)
        known = bool(said and of_control)
        found.append(Pair(said, of_control, alike) if known else Pair(labels[arm], labels[control], ""))
    return found


def find_arms(scores: pd.DataFrame, wanted: str) -> list[Arm]:
    """The arms of that name, of that label, or with these choices (`weighting=total,optimizer.lr=0.01`).

    Raises:
        ValueError: there is none.
    """
    labels = arm_labels(scores)
    found = [arm for arm in labels if wanted in (arm[1], "/".join(arm), labels[arm])]
    asked = [part.strip().split("=", 1) for part in wanted.split(",")]
    if not found and all(len(part) == 2 for part in asked):
        found = [arm for arm, has in choices(scores).items() if all(same(has.get(key), v) for key, v in asked)]
    if not found:
        raise ValueError(f"no arm is {wanted!r}; there are: {'; '.join(labels.values())}")
    return found


def controls(scores: pd.DataFrame, control: str | None) -> dict[Arm, Arm]:
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


def _first(scores: pd.DataFrame) -> list[Arm]:
    """The first arm, and in a grid those that share its choice in the first factor."""
    arms = choices(scores)
    first = next(iter(arms))
    factors = compared_factors(scores)
    return [arm for arm, has in arms.items() if factors and has[factors[0]] == arms[first][factors[0]]] or [first]


def text(value: Any) -> str | None:
    """A choice as one writes it."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def same(value: str | None, wanted: str) -> bool:
    """Whether a choice is the one that was asked for; `0.010` is `0.01`."""
    return value == wanted or (is_number(value) and is_number(wanted) and float(str(value)) == float(wanted))


def _label(keys: list[str], arm: Choices, cut: Mapping[str, str]) -> str:
    settings = [(key, value) for key in keys if (value := arm[key]) is not None]
    return in_short(settings, cut, alone=len(keys) == 1)


def _tell_apart(keys: list[str], arms: Iterable[Choices]) -> bool:
    told = [tuple(arm[key] for key in keys) for arm in arms]
    return len(set(told)) == len(told)
