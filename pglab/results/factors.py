"""Grids: what each factor does, and whether its effect is the same at every level of the others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pglab.results.analysis_of_variance import COLUMNS, Sums, analysis_of_variance
from pglab.results.arm_choices import ArmKey, choices, distinguishing, factors_of, runs_by_arm, text
from pglab.results.by_problem import check_one_problem
from pglab.results.censoring import restricted
from pglab.results.comparisons import compare_pairs
from pglab.results.digits import counted, p_is
from pglab.results.pairs import FEWEST, Test, make_pairs
from pglab.results.verdicts import difference

SIGNIFICANT = 0.05


def anova(scores: pd.DataFrame, factors: Sequence[str] | None = None, sums: Sums = "II") -> pd.DataFrame:
    """Main effects and interactions of the factors of a grid, from the frame of `scores`.

    Least squares of the scores on the factors, all their interactions, and, where arms share seeds, the
    seed as a block: score = factors + seed + noise. The noise is taken to be normal with the same spread
    in every cell; where returns pile up at a ceiling it is not, and `effect_across` asks less.

    A seed is taken to add the same to every cell. Where a factor's effect itself varies from seed to seed, p is too
    small: with as much of that variation as noise, in a 2 × 2 grid with 10 shared seeds, it is below .05 in 14 % of
    grids whose factor does nothing. `main_effects` tests an effect over what it is in each seed, and takes nothing of
    this for granted.

    Arms that are one program are one cell, and leave others of the grid empty: least squares takes every score for an
    observation of its own, and would count theirs once for each name. `main_effects` can take them into account.

    Columns:
        term: a factor, interactions (`weighting × optimizer.lr`), `seed`, `residual`.
        sum_sq df F p: of the term.
        partial_eta_sq: the term's share of its and the residual's sum of squares.
        note: why numbers are missing. Cells of the grid without scores leave main effects only.
        n left_out: scores that entered; runs without one. Censored times enter as pseudo-values
            (see `pglab.results.censoring.restricted`).
        balanced: as many in every cell of the grid; else terms go together, and their meaning depends on `sums`.
        sums: II or III.

    Args:
        scores: the frame of `scores`.
        factors: columns; those that tell the arms apart if not given. Arms alike in all of them are one cell.
        sums: type II: each term after all others that do not contain it; III: after all others, with
            levels coded to sum to zero. The same where the grid is balanced.

    Where nothing tells the arms apart, as with a single one, the table is empty.

    Raises:
        ValueError: a factor is no column, or there is none among those given; the runs are on several problems.

    Source: Langsrud 2003, ANOVA for unbalanced data: use type II instead of type III sums of squares.
    """
    names = factors_of(scores, factors, distinguishing(scores))
    if not names:
        return pd.DataFrame(columns=[*COLUMNS, "n", "left_out", "balanced", "sums"])
    check_one_problem(scores, "factors")
    runs_by_arm(scores)
    scores = restricted(scores)
    entered = scores[scores["score"].notna()]
    levels = pd.DataFrame({name: [str(text(value)) for value in entered[name]] for name in names})
    table = analysis_of_variance(entered["score"].to_numpy(dtype=float), levels, _block(entered), sums)
    cells = levels.value_counts()
    full = len(cells) == np.prod([len({text(value) for value in scores[name]}) for name in names])
    balanced = bool(full and cells.nunique() == 1)
    return table.assign(n=len(entered), left_out=len(scores) - len(entered), balanced=balanced, sums=sums)


def effect_across(scores: pd.DataFrame, factor: str, control: str | None = None, test: Test = "t") -> pd.DataFrame:
    """The effect of a factor at each combination of all others: does it hold across learning rates?

    Each level of the factor is compared with the control level within each stratum, a combination of the
    other columns that tell arms apart. The columns are those of `compare` (intervals
    are simultaneous for all rows together), and:

        stratum level control_level: which comparison it is.
        interaction_p interaction_test: whether the level's effect is the same in all strata; the same in
            all its rows. For the seeds that have a score in every cell (if these make pairs, as in
            `compare`), the effect is taken for each seed and stratum, and the strata are compared with the
            seed as a block: for two strata that is a paired t test, whatever the spread in the cells; for
            more, the differences between any two strata are taken to be spread alike. Otherwise it is the
            interaction in `anova` of the two levels with the strata. Each is for itself, not corrected.
        answer: a sentence on that. As in `compare` it takes six seeds, those of the test in every cell, and
            arms most of whose runs neither diverged nor failed.
        without_control: arms in strata that have no control; they are in no row.

    Args:
        scores: the frame of `scores`.
        factor: a column, `weighting`.
        control: the level to compare with; the first if not given.
        test: of the comparisons, see `compare`.

    Raises:
        ValueError: the factor does not tell arms apart, or has no such level; the runs are on several problems.
    """
    check_one_problem(scores, "effects")
    keys, arms, runs = distinguishing(scores), choices(scores), runs_by_arm(restricted(scores))
    if factor not in keys:
        raise ValueError(f"{factor} is no factor of these arms; there are: {', '.join(keys) or 'none'}")
    levels = list(dict.fromkeys(str(arm[factor]) for arm in arms.values()))
    level = levels[0] if control is None else str(text(control))
    if level not in levels:
        raise ValueError(f"{factor} has no level {control!r}; there are: {', '.join(levels)}")
    strata = {arm: ", ".join(f"{key}={has[key]}" for key in keys if key != factor) for arm, has in arms.items()}
    control_of = {strata[arm]: arm for arm, has in arms.items() if str(has[factor]) == level}
    pairs = [
        (arm, control_of[strata[arm]]) for arm in arms if arm not in control_of.values() and strata[arm] in control_of
    ]
    alone = [arm for arm in arms if strata[arm] not in control_of]
    of_level: dict[str, list[tuple[ArmKey, ArmKey]]] = {}
    for pair in pairs:
        of_level.setdefault(str(arms[pair[0]][factor]), []).append(pair)
    table = compare_pairs(scores, pairs, test)
    table["stratum"] = [strata[arm] for arm, _ in pairs]
    table["level"] = [str(arms[arm][factor]) for arm, _ in pairs]
    table["control_level"] = level
    found = {name: _interaction(runs, compared) for name, compared in of_level.items()}
    table["interaction_p"] = [found[name].p for name in table["level"]]
    table["interaction_test"] = [found[name].said for name in table["level"]]
    answers = {name: _answer(table[table["level"] == name], factor, tested) for name, tested in found.items()}
    table["answer"] = [answers[name] for name in table["level"]]
    return table.assign(without_control="; ".join("/".join(arm) for arm in alone))


def _block(runs: pd.DataFrame) -> list[int] | None:
    """The seeds, where some arms share one and there are several."""
    seeds = runs["seed"]
    return list(seeds) if seeds.duplicated().any() and seeds.nunique() > 1 else None


class _Interaction(NamedTuple):
    """A p value, the test's name or why there is none, and the seeds that it has in every cell."""

    p: float
    said: str
    seeds: int


def _interaction(runs: dict[ArmKey, pd.DataFrame], pairs: Sequence[tuple[ArmKey, ArmKey]]) -> _Interaction:
    """The test that arm - control is the same in all pairs."""
    if len(pairs) < 2:
        return _Interaction(np.nan, "none: there is one stratum", 0)
    arms, controls = (
        pd.concat([runs[pair[side]].set_index("seed")["score"].astype(float) for pair in pairs], axis=1)
        for side in (0, 1)
    )
    strata = [str(number) for number in range(len(pairs))]
    arms.columns = controls.columns = strata
    effects, seeds = arms.sub(controls).dropna(), int(min(arms.count().min(), controls.count().min()))
    if make_pairs(len(effects), seeds):
        seeds = len(effects)
        long, term = effects.melt(var_name="stratum", ignore_index=False), "stratum"
        how = f"on differences of {len(effects)} seeds that all these arms have"
    else:
        levels = [cells.melt(var_name="stratum", ignore_index=False) for cells in (arms, controls)]
        long, term = pd.concat(levels, keys=["arm", "control"], names=["level", "seed"]).dropna(), "stratum × level"
        long, how = long.reset_index("level"), "on scores"
    factors = long[["stratum"]] if term == "stratum" else long[["stratum", "level"]]
    block = _block(long.reset_index(names="seed"))
    table = analysis_of_variance(long["value"].to_numpy(dtype=float), factors, block, "II")
    found = table.set_index("term").to_dict("index")
    if term not in found or np.isnan(found[term]["F"]):
        return _Interaction(np.nan, f"none: {table['note'].iloc[0]}", seeds)
    row, rest = found[term], found["residual"]
    said = f"F({row['df']:.0f}, {rest['df']:.0f}) = {row['F']:.2f} {how}"
    return _Interaction(float(row["p"]), said, seeds)


def _answer(rows: pd.DataFrame, factor: str, found: _Interaction) -> str:
    first = rows.iloc[0]
    effect = f"the effect of {factor} ({first['level']} − {first['control_level']})"
    each = ", ".join(_effect(row) for row in rows.to_dict("records"))
    if np.isnan(found.p):
        return f"whether {effect} holds is not known ({found.said.removeprefix('none: ')}): {each}"
    if lost := dict.fromkeys(filter(None, map(_fates, rows.to_dict("records")))):
        return f"no verdict on whether {effect} holds, for {' and '.join(lost)}: {each}"
    if found.seeds < FEWEST:
        seeds = f"{counted(found.seeds, 'seed')} in every arm; a verdict takes {FEWEST}"
        return f"too few seeds to judge whether {effect} holds: {each} ({seeds})"
    p = f"interaction {p_is(found.p)}"
    if found.p < SIGNIFICANT:
        return f"{effect} is not the same everywhere: {each} ({p})"
    return f"the data do not show that {effect} changes: {each} ({p})"


def _effect(row: dict) -> str:
    return f"{difference(row)} at {_stratum(row)}"


def _fates(row: dict) -> str:
    """The arms of a comparison most of whose runs diverged or failed, in words."""
    fates = [(row["level"], row["fate"]), (row["control_level"], row["control_fate"])]
    return " and ".join(f"{level} {fate} at {_stratum(row)}" for level, fate in fates if fate)


def _stratum(row: dict) -> str:
    return row["stratum"] or "the one stratum"
