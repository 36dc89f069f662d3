"""Problems in a frame: returns on one say nothing about returns on another."""

from collections.abc import Mapping, Sequence

import pandas as pd

from pglab.results.arm_choices import ArmKey, text
from pglab.settings import of_problem
from pglab.shown import shown


def problems(frame: pd.DataFrame) -> dict[ArmKey, str]:
    """The problem of each arm: `frozenlake`, `Taxi-v4`, `cartpole, horizon=50`.

    Arms are on one problem where they have the same environment with the same settings (`env` and `env.*`).

    Args:
        frame: of `load`, `load_evaluation` or `scores`.
    """
    arms = frame.assign(problem=_of_rows(frame)).drop_duplicates(["study", "arm"])
    return {
        (str(study), str(arm)): name
        for study, arm, name in zip(arms["study"], arms["arm"], arms["problem"], strict=True)
    }


def by_problem(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each problem, in the order in which they come: of each its own table, curves and figures.

    Args:
        frame: of `load`, `load_evaluation` or `scores`.
    """
    return {str(name): rows for name, rows in frame.groupby(_of_rows(frame), sort=False)}


def check_one_problem(frame: pd.DataFrame, what: str) -> None:
    """Raises ValueError where the runs of a frame are on several problems, and so have no scale in common.

    Args:
        frame: with the columns that describe arms, or of `compare`.
        what: wants one problem, such as "learning curves".
    """
    names = (frame["problem"] if "problem" in frame else _of_rows(frame)).unique()
    if len(names) > 1:
        raise ValueError(
            f"{what} are of one problem, and these runs are on {len(names)} ({', '.join(names)}): take the rows of "
            "one, as from pglab.results.by_problem(frame)"
        )


def _of_rows(frame: pd.DataFrame) -> pd.Series:
    """The name of each row's problem."""
    keys = [str(key) for key in frame.columns if of_problem(str(key))]
    if not keys or frame.empty:
        return pd.Series("one problem", frame.index, dtype=object)
    number = frame.groupby(keys, sort=False, dropna=False).ngroup()
    rows = frame.loc[~number.duplicated().to_numpy(), keys].to_dict("records")
    names = _names([{str(key): text(value) for key, value in row.items()} for row in rows])
    return number.map(dict(zip(number.drop_duplicates(), names, strict=True)))


def _names(every: Sequence[Mapping[str, str | None]]) -> list[str]:
    """Of each problem the environment's id or choice, and where several have the same, what tells these apart."""
    named = [problem.get("env.id") or problem.get("env") or "one problem" for problem in every]
    names = []
    for problem, name in zip(every, named, strict=True):
        alike = [other for other, its_name in zip(every, named, strict=True) if its_name == name]
        told = [(key, problem[key]) for key in _needed(alike) if problem[key] is not None]
        names.append(shown(", ".join([name, *(f"{key.removeprefix('env.')}={value}" for key, value in told)])))
    return names


def _needed(problems: Sequence[Mapping[str, str | None]]) -> list[str]:
    """The fewest keys that tell problems apart, the first ones before the last."""

    def apart(some: Sequence[str]) -> bool:
        return len({tuple(problem[key] for key in some) for problem in problems}) == len(problems)

    needed = [key for key in problems[0] if len({problem[key] for problem in problems}) > 1]
    for key in reversed(needed.copy()):
        if apart(rest := [other for other in needed if other != key]):
            needed = rest
    return needed
