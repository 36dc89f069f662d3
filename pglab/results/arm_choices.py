"""Arms in a frame of scores: their runs, what describes them, and what tells them apart."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pglab.results.scores import RUN, SCORED
from pglab.settings import of_problem

ArmKey = tuple[str, str]  # study, and name in it
Choices = Mapping[str, str | None]  # what describes an arm, as text; None where it lacks a key


def runs_by_arm(scores: pd.DataFrame) -> dict[ArmKey, pd.DataFrame]:
    """The runs of each arm of each study, in the order in which the arms come.

    Raises:
        ValueError: a run has more than one row, a score is infinite, or runs of unlike scores are in the frame.
    """
    if scores.duplicated(RUN).any():
        raise ValueError("a run has more than one row; the frame must be that of `scores`, one score a run")
    if len(scores.drop_duplicates(["measure", "unit", "better"])) > 1:
        raise ValueError(f"unlike scores cannot be compared: {', '.join(map(str, scores['measure'].unique()))}")
    if np.isinf(scores["score"].to_numpy(dtype=float)).any():
        raise ValueError(
            "a score is infinite; a run without a score has NaN, and one that never came to a threshold the steps that "
            "it took, with `reached` false, as `scores` gives them"
        )
    return {(str(s), str(a)): runs for (s, a), runs in scores.groupby(["study", "arm"], sort=False)}


def by_seed(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores `[seeds, arms]`, NaN where there is none."""
    arms = pd.Series([*zip(scores["study"], scores["arm"], strict=True)], scores.index, dtype=object)
    return scores.assign(of=arms).pivot(index="seed", columns="of", values="score").astype(float)


def factors_of(scores: pd.DataFrame, given: Sequence[str] | None, telling: Sequence[str]) -> list[str]:
    """The factors that are given; else the columns that tell arms apart, but for the study.

    Raises:
        ValueError: one of those given is no column, or there is none.
    """
    if given is None:
        return [name for name in telling if name != "study"]
    if not given or not set(given) <= set(describing(scores)):
        raise ValueError(f"factors are columns that describe arms: {', '.join(describing(scores))}; got {list(given)}")
    return list(given)


def describing(scores: pd.DataFrame) -> list[str]:
    """The columns that describe an arm: chosen groups and differing keys."""
    return [str(key) for key in scores.columns if key not in (*RUN, *SCORED, "horizon")]


def choices(scores: pd.DataFrame) -> dict[ArmKey, Choices]:
    """The choices that describe each arm, the study last."""
    keys = [*describing(scores), "study"]
    arms = scores.drop_duplicates(["study", "arm"]).to_dict("records")
    return {(str(arm["study"]), str(arm["arm"])): {key: text(arm[key]) for key in keys} for arm in arms}


def distinguishing(scores: pd.DataFrame) -> list[str]:
    """The fewest columns that tell the arms apart, groups before keys, the study last.

    A key that goes with a choice (`weighting.lam` with `weighting=gae`) is left out where the choice
    says enough. Empty for a single arm, and where no columns tell some arms apart.
    """
    return fewest([*describing(scores), "study"], [], list(choices(scores).values()))


def distinguishing_on_a_problem(scores: pd.DataFrame) -> list[str]:
    """The fewest columns that tell the arms of one problem apart, groups before keys, the study last."""
    problem = [key for key in describing(scores) if of_problem(key)]
    keys = [key for key in describing(scores) if key not in problem]
    return fewest([*keys, "study"], problem, list(choices(scores).values()))


def compared_factors(scores: pd.DataFrame) -> list[str]:
    """The columns of `distinguishing_on_a_problem` whose levels compare: scores of two studies do not."""
    return [key for key in distinguishing_on_a_problem(scores) if key != "study"]


def methods(scores: pd.DataFrame) -> dict[ArmKey, Choices]:
    """The method of each arm: its choices in `distinguishing_on_a_problem`. Arms on several problems are one method
    where these are the same, whatever else goes with the problem.
    """
    keys = distinguishing_on_a_problem(scores)
    return {arm: {key: of_arm[key] for key in keys} for arm, of_arm in choices(scores).items()}


def text(value: Any) -> str | None:
    """A choice as one writes it."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def same(value: str | None, wanted: str | None) -> bool:
    """True where a choice is the one that was asked for; `0.010` is `0.01`."""
    return value == wanted or (is_number(value) and is_number(wanted) and float(str(value)) == float(str(wanted)))


def is_number(value: str | None) -> bool:
    """True where a choice is written as a number."""
    try:
        float(value or "")
    except ValueError:
        return False
    return True


def fewest(keys: Iterable[str], known: list[str], arms: Sequence[Choices]) -> list[str]:
    """The fewest of the keys that tell arms apart beside those known; the first ones are kept before the last."""
    needed = [key for key in keys if len({arm[key] for arm in arms}) > 1]
    if not _tell_apart([*known, *needed], arms):
        return []
    for key in reversed(needed.copy()):
        rest = [other for other in needed if other != key]
        if _tell_apart([*known, *rest], arms):
            needed = rest
    return needed


def _tell_apart(keys: list[str], arms: Iterable[Choices]) -> bool:
    told = [tuple(arm[key] for key in keys) for arm in arms]
    return len(set(told)) == len(told)
