"""Sensitivity of an algorithm to its settings being chosen for each problem."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from pglab.results.arm_choices import ArmKey, by_seed, choices, describing
from pglab.results.by_problem import problems
from pglab.results.normalised import normalized
from pglab.results.pairs import paired
from pglab.settings import of_problem

LOSS = 0.05  # of the size of the score with every setting tuned for each problem, that is no matter
FEWEST_SEEDS = 4  # half of them choose the settings, and the others score them

Setting = tuple[str | None, ...]  # a value of each tuned key


def hyperparameter_sensitivity(
    scores: pd.DataFrame, references: pd.DataFrame, algorithm: str, level: float = 0.95
) -> pd.DataFrame:
    """A row for each algorithm: how much better its settings tuned for each problem are than the best for all.

    With z(e, h) the normalised score of problem e with settings h, the sensitivity is

        1/E Σ_e max_h z(e, h) - max_h 1/E Σ_e z(e, h).

    The largest of many means is too large by luck. So every second seed chooses the settings, and the others score
    them: one number a seed, whose mean has Student's t interval.

    Columns: `algorithm`, `tuned` (score with settings chosen for each problem), `fixed` (with one choice for all),
    `sensitivity low high interval`, `n` seeds that score, `problems`, `keys` (how many settings there are to tune),
    `dimension`, the fewest of them that, tuned for each problem while the others stay at the best choice for all,
    come to the best scores but for 5 % of their size (from means over all seeds; scores below random play are
    negative), and `tune`, which these are.

    Args:
        scores: the frame of `scores`, returns, of a full grid on at least two problems.
        references: the frame of `load_references`.
        algorithm: a column, `surrogate`; the other columns that differ are its settings.
        level: of each interval.

    Raises:
        ValueError: the column is none that describes arms; there are fewer than two problems with a reference, fewer
            than four seeds in all arms of an algorithm, or settings that are not there on every problem.

    Source: Adkins, Bowling and White 2024, A Method for Evaluating Hyperparameter Sensitivity in Reinforcement
    Learning (who take the plain maximum).
    """
    if algorithm not in describing(scores):
        raise ValueError(f"{algorithm} is no column that describes arms: {', '.join(describing(scores))}")
    known = normalized(scores, references)
    if len(set(problems(known).values())) < 2:
        raise ValueError("sensitivity is over at least two problems whose best and random returns are known")
    keys = [key for key in describing(known) if key != algorithm and not of_problem(key)]
    rows = [_row(str(name), runs, keys, level) for name, runs in known.groupby(algorithm, sort=False)]
    return pd.DataFrame(rows)


def _row(name: str, runs: pd.DataFrame, keys: Sequence[str], level: float) -> dict[str, Any]:
    """The row of one algorithm, from its runs with normalised scores."""
    described, of_arm = choices(runs), problems(runs)
    tuned = [key for key in keys if len({has[key] for has in described.values()}) > 1]
    settings = {arm: tuple(has[key] for key in tuned) for arm, has in described.items()}
    z, every = _grid(name, runs, settings, of_arm)
    each = np.array([_chosen(z[::2].mean(0), scored) for scored in z[1::2]])
    found = paired(each[:, 0] - each[:, 1], alpha=round(1 - level, 12))
    needed = _needed(z.mean(0), every)
    return {
        **{"algorithm": name, "tuned": each[:, 0].mean(), "fixed": each[:, 1].mean(), "sensitivity": found.value},
        **{"low": found.low, "high": found.high, "interval": found.said, "n": len(each), "problems": z.shape[1]},
        **{"keys": len(tuned), "dimension": len(needed), "tune": ", ".join(tuned[k] for k in needed)},
    }


def _grid(
    name: str, runs: pd.DataFrame, settings: Mapping[ArmKey, Setting], of_arm: Mapping[ArmKey, str]
) -> tuple[np.ndarray, list[Setting]]:
    """Scores `[seeds, problems, settings]` of the seeds that have all, and the settings."""
    every, names = list(dict.fromkeys(settings.values())), list(dict.fromkeys(of_arm.values()))
    place = {(of_arm[arm], setting): arm for arm, setting in settings.items()}
    if len(place) < len(every) * len(names):
        raise ValueError(f"{name} has settings that are not there on every problem: a full grid is needed")
    complete = by_seed(runs).dropna()
    if len(complete) < FEWEST_SEEDS:
        raise ValueError(f"{name} has {len(complete)} seeds with a score in every arm, and needs {FEWEST_SEEDS}")
    order = [place[problem, setting] for problem in names for setting in every]
    return complete[order].to_numpy().reshape(len(complete), len(names), len(every)), every


def _chosen(means: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Scores of the settings that these means choose, `[problems, settings]` both: for each problem, and for all."""
    return float(scores[range(len(means)), means.argmax(1)].mean()), float(scores[:, means.mean(0).argmax()].mean())


def _needed(means: np.ndarray, settings: Sequence[Setting]) -> tuple[int, ...]:
    """The fewest keys, by number, that have to be tuned for each problem; the best such set of the least size."""
    common, best = settings[means.mean(0).argmax()], means.max(1).mean()
    for size in range(len(common) + 1):
        reached = {}
        for keys in combinations(range(len(common)), size):
            allowed = [all(s[k] == common[k] for k in range(len(common)) if k not in keys) for s in settings]
            reached[keys] = means[:, allowed].max(1).mean()
        keys = max(reached, key=lambda some: reached[some])
        if reached[keys] >= best - LOSS * abs(best):
            return keys
    raise AssertionError("with every key tuned the best is reached")
