"""Grids: the effect of each level of a factor, averaged over all others, with its interval."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from pglab.results.arm_choices import ArmKey, by_seed, choices, describing, factors_of, fewest, runs_by_arm
from pglab.results.by_problem import check_one_problem
from pglab.results.censoring import restricted
from pglab.results.comparisons import holm, simultaneous
from pglab.results.contrasts import contrast
from pglab.results.controls import find_arms
from pglab.results.one_program import with_twins
from pglab.results.pairs import without_test

Cell = tuple[str, ...]  # a level of each factor
UNSEEN = 3  # cells without an arm that are named
ROUNDING = 1e-12  # of a weight that is 0


def main_effects(
    scores: pd.DataFrame,
    factors: Sequence[str] | None = None,
    control: str | None = None,
    level: float = 0.95,
    twins: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Main effects and two-factor interactions of a grid as differences, from the frame of `scores`.

    With y the score and the mean taken over every combination of the levels of all other factors:

    - the effect of a level l of factor A is the mean of y(l) - y(c), c the control level;
    - the interaction of l with a level m of B is the mean of (y(l, m) - y(c, m)) - (y(l, d) - y(c, d)), d the
      control level of B: by how much m changes the effect of l.

    Each is taken for each seed that has a score in every arm it needs, and has Student's t interval over
    those seeds: one number a seed, whatever the spread in the cells. Where fewer than two seeds have all of them
    the means of the arms take the place of a seed's scores, and the interval is Welch's with the degrees of
    freedom of Satterthwaite, which takes all scores for independent. (Where some arms share seeds after all,
    and their scores go together as usual, such intervals are rather too wide than too narrow.)

    Arms that are one program and were trained once are a cell each with the scores of that one, where `twins` names
    them: without a baseline `weighting=baseline` is `rtg`, and the grid has no gap there. A seed's score counts with
    the sum of its weights, so that no score passes for two.

    `anova` asks whether a factor does anything at all; `effect_across` what it does in each cell.

    Columns:
        factor level control_level: `weighting`, `rtg`, `total`; `weighting × optimizer.lr`, `rtg × 0.1`,
            `total × 0.01`.
        effect low high interval: and in words what the interval is, or why there is none: an arm of the grid
            is missing, has too few scores or only equal ones, or all of it is one program, and the effect 0.
            Intervals are simultaneous for all rows, as in `compare`.
        paired n: whether over seeds, and how many; else the number of scores.
        left_out: scores of these arms that did not enter, because another arm lacks their seed or there is
            no effect.
        unscored: runs of these arms without a score.
        p test p_bonferroni p_holm: two-sided, that of the interval; times the number of rows that have one,
            which is below 1 - `level` exactly where the interval excludes 0; and by Holm.
        measure unit better: of the scores; censored times are restricted to one horizon, which the measure names.

    Args:
        scores: the frame of `scores`.
        factors: columns; those that tell the arms apart if not given. Arms alike in all of them are averaged.
        control: an arm, as for `compare`, whose levels are the control levels; of several (`weighting=total`)
            the first. The first arm if not given.
        level: of all intervals together.
        twins: the frame of `load_twins`.

    Where nothing tells the arms apart, as with a single one, the table is empty.

    Raises:
        ValueError: a factor is no column, or there is none among those given; the control is none; the runs are on
            several problems.

    Source: Montgomery 2017, Design and Analysis of Experiments, chapter 5; Satterthwaite 1946.
    """
    asked = with_twins(scores, twins)
    names = factors_of(scores, factors, fewest([*describing(scores), "study"], [], [has for has, _ in asked]))
    if not names:
        return pd.DataFrame(columns=COLUMNS)
    check_one_problem(scores, "main effects")
    runs, arms = runs_by_arm(scores), choices(scores)
    scores = restricted(scores)
    scored = by_seed(scores)
    cells: dict[Cell, dict[ArmKey, None]] = {}
    for has, arm in asked:
        cells.setdefault(tuple(str(has[name]) for name in names), {})[arm] = None
    first = next(iter(arms)) if control is None else find_arms(scores, control)[0]
    base = tuple(str(arms[first][name]) for name in names)
    levels = [list(dict.fromkeys(str(has[name]) for has, _ in asked)) for name in names]
    rows: list[dict[str, Any]] = []
    contrasts: list[tuple[pd.DataFrame, np.ndarray, str]] = []
    for moved in _moves(levels, base):
        row = {"factor": " × ".join(names[place] for place in moved)}
        row |= {"level": " × ".join(moved.values()), "control_level": " × ".join(base[place] for place in moved)}
        weights, unseen = _contrast(cells, levels, base, moved)
        rows.append(row | {"unscored": sum(int(runs[arm]["score"].isna().sum()) for arm in weights)})
        contrasts.append((scored[list(weights)], np.array([*weights.values()]), _none(unseen, names)))
    alpha = round(1 - level, 12)
    number = sum(not np.isnan(_found(*contrast, alpha=alpha)["p"]) for contrast in contrasts)
    found = [_found(*contrast, alpha=alpha / max(number, 1)) for contrast in contrasts]
    table = pd.DataFrame([row | of for row, of in zip(rows, found, strict=True)], columns=None if rows else COLUMNS)
    table["interval"] = [simultaneous(said, level, number) for said in table["interval"]]
    p = table["p"].to_numpy(dtype=float)
    table["p_bonferroni"], table["p_holm"] = np.minimum(number * p, 1), holm(p)
    return table.assign(**{key: scores[key].iloc[0] for key in ("measure", "unit", "better")})[COLUMNS]


COLUMNS = [
    *("factor", "level", "control_level", "effect", "low", "high", "interval"),
    *("paired", "n", "left_out", "unscored", "p", "test", "p_bonferroni", "p_holm", "measure", "unit", "better"),
]


def _moves(levels: Sequence[Sequence[str]], base: Cell) -> Iterator[dict[int, str]]:
    """The levels in the place of control levels: of one factor at a time, then of each two."""
    for number in (1, 2):
        for places in combinations(range(len(base)), number):
            others = [[level for level in levels[place] if level != base[place]] for place in places]
            yield from (dict(zip(places, chosen, strict=True)) for chosen in product(*others))


def _contrast(
    cells: Mapping[Cell, Collection[ArmKey]], levels: Sequence[Sequence[str]], base: Cell, moved: Mapping[int, str]
) -> tuple[dict[ArmKey, float], list[Cell]]:
    """The factor of each arm's score in the sum that is the effect, if it is not 0; and cells that have no arm."""
    choice = [[moved[k], base[k]] if k in moved else list(levels[k]) for k in range(len(base))]
    averaged = int(np.prod([len(levels[k]) for k in range(len(base)) if k not in moved]))
    weights, unseen = dict[ArmKey, float](), list[Cell]()
    for cell in product(*choice):
        sign = np.prod([1 if cell[k] == moved[k] else -1 for k in moved])
        for arm in cells.get(cell, ()):
            weights[arm] = weights.get(arm, 0.0) + float(sign) / averaged / len(cells[cell])
        unseen += [cell] * (cell not in cells)
    return {arm: weight for arm, weight in weights.items() if abs(weight) > ROUNDING}, unseen


def _none(unseen: Sequence[Cell], names: Sequence[str]) -> str:
    """Why there is no effect; empty where the grid is complete."""
    if not unseen:
        return ""
    said = ["with " + ", ".join(f"{n}={v}" for n, v in zip(names, cell, strict=True)) for cell in unseen[:UNSEEN]]
    return f"none: no arm {' or '.join(said)}" + (f" and {len(unseen) - UNSEEN} more" if unseen[UNSEEN:] else "")


def _found(by_seed: pd.DataFrame, weights: np.ndarray, none: str, alpha: float) -> dict[str, Any]:
    """The columns that come of the scores, `[seeds, arms]`, NaN where there is none."""
    there = int(by_seed.notna().sum().sum())
    if none:
        found, n, in_pairs = without_test(np.nan, "", none), 0, False
    elif not len(weights):
        found, n, in_pairs = without_test(0.0, "", "none: all of it is one program"), 0, False
    else:
        found, n, in_pairs = contrast(by_seed, weights, alpha)
    entered = n * len(weights) if in_pairs else n
    return {
        **{"effect": found.value, "low": found.low, "high": found.high, "interval": found.said},
        **{"paired": in_pairs, "n": n, "left_out": there - entered, "p": found.p},
        "test": "Student's t over seeds" if found.test == "paired t" else found.test,
    }
