"""One answer over several problems, from normalised scores; the problems are fixed, the seeds are the replication."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pglab.results.arm_choices import ArmKey, Choices, by_seed, methods, runs_by_arm
from pglab.results.arm_names import Pair, method_names, pair_labels
from pglab.results.by_problem import problems
from pglab.results.comparisons import simultaneous
from pglab.results.contrasts import contrast
from pglab.results.controls import controls
from pglab.results.digits import fixed, known_decimals
from pglab.results.normalised import normalized, spanned
from pglab.results.pairs import Difference, Test, without_test
from pglab.results.samples import fate
from pglab.results.scores import NOT_FINITE
from pglab.results.verdicts import verdict

METHOD = (
    "for each seed the mean over the problems, each counting the same, of its normalised differences, then Student's t "
    "over the seeds; it speaks of these problems and of no others"
)
Compared = tuple[ArmKey, ArmKey]  # an arm and its control


def across_problems(
    scores: pd.DataFrame,
    references: pd.DataFrame,
    control: str | None = None,
    test: Test = "t",
    level: float = 0.95,
) -> pd.DataFrame:
    """A row for each two arms that are compared on at least two problems: which is better over all of these?

    With z the normalised score (see `normalized`) and P problems, D_s = 1/P Σ_p (z_arm,p,s - z_control,p,s) is one
    number for each seed s that has a score in both arms on every problem. Its mean over seeds has the interval and the
    test of `compare` in pairs. The seeds are the replication, and the problems are fixed: how the problems of one seed
    go together is of no account, and nothing is said of other problems. Where fewer than two seeds have all scores, it
    is Welch's test of the arms' means (see `pglab.results.contrasts`). Problems without a reference of any arm are left
    out and named.

    Columns: `label control_label alike` and the statistics as in `compare`, of normalised scores; `problems` (how
    many), `by_problem` (in words, the difference on each), `left_out_problems`, and the `verdict`. Intervals are
    simultaneous for all rows. The table is empty where nothing is compared on two problems with a reference.

    Args:
        scores: the frame of `scores`, returns.
        references: the frame of `load_references`.
        control: see `compare`.
        test: `t` or `permutation`.
        level: of all intervals together.

    Raises:
        ValueError: scores cannot be normalised (see `normalized`); see also `compare`.
    """
    known = normalized(scores, references)
    left_out = ", ".join(name for name in spanned(scores) if name not in problems(known).values())
    groups, scored = _groups(known, control), by_seed(known)
    share = round(1 - level, 12)
    number = sum(not np.isnan(_contrast(scored, pairs, test, share)[0].p) for pairs in groups)
    rows = [
        {"left_out_problems": left_out, **_row(known, pairs, *_contrast(scored, pairs, test, share / max(number, 1)))}
        for pairs in groups
    ]
    table = pd.DataFrame(rows, columns=None if rows else COLUMNS)
    table["interval"] = [simultaneous(said, level, number) for said in table["interval"]]
    table["p_bonferroni"] = np.minimum(number * table["p"].to_numpy(dtype=float), 1)
    table["comparisons"] = number
    table["verdict"] = [_verdict(row) for row in table.to_dict("records")]
    table["by_problem"] = [_on_each(row) for row in table.to_dict("records")]
    return table[COLUMNS]


COLUMNS = [
    *("label", "control_label", "alike", "problems", "by_problem", "left_out_problems", "measure", "unit", "better"),
    *("paired", "pairs", "n", "n_control", "left_out", "fate", "control_fate"),
    *("unscored", "not_finite", "diverged"),
    *("difference", "low", "high", "interval", "effect", "effect_name", "p", "test", "p_bonferroni", "comparisons"),
    "verdict",
]


def describe_across(scores: pd.DataFrame, references: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """A row for each arm whatever its problem: its normalised score over all problems, and on each.

    Columns: `arm` (what it is called), `n` (seeds that have a score on every problem), `mean low high interval` (over
    problems and these seeds, see `across_problems`), then under the name of each problem the mean score there. An arm
    that is not on every problem has no mean over them. Empty where no two problems have a reference.
    """
    known = normalized(scores, references)
    names, of_arm, scored = spanned(known), problems(known), by_seed(known)
    rows, called = [], method_names(known) if names else {}
    for method in dict.fromkeys(called.values()):
        arms = [arm for arm, name in called.items() if name == method]
        there = {of_arm[arm]: scored[arm].mean() for arm in arms}
        lacks = [name for name in names if name not in there]
        none = without_test(np.nan, "", f"none: no such arm on {', '.join(lacks)}"), 0
        weights = np.full(len(arms), 1 / len(arms))
        found, n = none if lacks else contrast(scored[arms], weights, round(1 - level, 12))[:2]
        row = {"arm": method, "n": n, "mean": found.value, "low": found.low, "high": found.high}
        rows.append(
            row
            | {"interval": simultaneous(found.said, level, 1).replace("differences", "seeds")}
            | {name: there.get(name) for name in names}
        )
    return pd.DataFrame(rows)


def _groups(known: pd.DataFrame, control: str | None) -> list[list[Compared]]:
    """The comparisons of `compare` that are the same but for their problem, where there are at least two."""
    if not spanned(known):
        return []
    of_arm = methods(known)
    groups: dict[tuple[Any, ...], list[Compared]] = {}
    for pair in controls(known, control).items():
        groups.setdefault(_of_both(of_arm, pair), []).append(pair)
    return [pairs for pairs in groups.values() if len(pairs) > 1]


def labels_over_problems(known: pd.DataFrame, pairs: Sequence[Compared]) -> list[Pair]:
    """Names for the arms of each pair, the same on every problem where their methods are."""
    of_arm, names, found = methods(known), method_names(known), pair_labels(known, pairs, with_settings=False)
    told: dict[tuple[Any, ...], set[tuple[str, str, str]]] = {}
    for pair, one in zip(pairs, found, strict=True):
        told.setdefault(_of_both(of_arm, pair), set()).add((one.arm, one.control, one.alike))
    return [
        one if len(told[_of_both(of_arm, (arm, control))]) == 1 else Pair(names[arm], names[control], "", one.problem)
        for (arm, control), one in zip(pairs, found, strict=True)
    ]


def _of_both(of_arm: Mapping[ArmKey, Choices], pair: Compared) -> tuple[Any, ...]:
    """The methods of an arm and its control."""
    return tuple(tuple(of_arm[arm].values()) for arm in pair)


def _contrast(
    scored: pd.DataFrame, pairs: Sequence[Compared], test: Test, alpha: float
) -> tuple[Difference, pd.DataFrame, bool]:
    """The mean over problems of arm - control; the scores `[seeds, arms]` that entered, and whether over seeds."""
    scores = scored[[arm for arm, _ in pairs] + [control for _, control in pairs]]
    weights = np.repeat([1 / len(pairs), -1 / len(pairs)], len(pairs))
    found, _, in_pairs = contrast(scores, weights, alpha, test)
    return found, scores.dropna() if in_pairs else scores, in_pairs


def _row(
    known: pd.DataFrame, pairs: Sequence[Compared], found: Difference, entered: pd.DataFrame, in_pairs: bool
) -> dict[str, Any]:
    of_arm, (labels, *_) = problems(known), labels_over_problems(known, pairs)
    runs = pd.concat([of_one for arm, of_one in runs_by_arm(known).items() if arm in entered])
    sizes = entered.notna().sum()
    used = runs["seed"].isin(entered.index) & runs["score"].notna()
    means = entered.mean()
    decimals = known_decimals(found.low, found.high)
    return {
        **{"label": labels.arm, "control_label": labels.control, "alike": labels.alike, "problems": len(pairs)},
        "by_problem": {
            of_arm[arm]: (means[arm] - means[control], 3 if decimals is None else max(decimals, 0))
            for arm, control in pairs
        },
        **{key: known[key].iloc[0] for key in ("measure", "unit", "better")},
        **{"paired": in_pairs, "pairs": len(entered) if in_pairs else 0},
        **{"n": int(sizes[: len(pairs)].min()), "n_control": int(sizes[len(pairs) :].min())},
        **{"left_out": int(runs["score"].notna().sum()) - int(used.sum()), "unscored": int(runs["score"].isna().sum())},
        **dict(
            zip(("fate", "control_fate"), (_fates(known, of_one) for of_one in zip(*pairs, strict=True)), strict=True)
        ),
        "not_finite": int(runs["note"].str.contains(NOT_FINITE).sum()),
        "diverged": int((runs["status"][used] == "diverged").sum()),
        **{"difference": found.value, "low": found.low, "high": found.high, "interval": found.said},
        **{"effect": found.effect, "effect_name": found.effect_name, "p": found.p},
        "test": "paired t of means over problems" if found.test == "paired t" else found.test,
    }


def _fates(known: pd.DataFrame, arms: Sequence[ArmKey]) -> str:
    """The fate of an arm on each problem on which most of its runs diverged or failed, in words."""
    runs, of_arm = runs_by_arm(known), problems(known)
    return " and ".join(f"{said} on {of_arm[arm]}" for arm in arms if (said := fate(runs[arm])))


def _verdict(row: dict[Any, Any]) -> str:
    nothing = dict.fromkeys(["horizon", "p_better", "env_steps", "control_env_steps"], np.nan)
    nothing |= {"capped": 0, "shared": 0, "lacking": ""}
    sign = -1 if row["high"] < 0 else 1  # as in the sentence, in which the better arm comes first
    without = f"; without {row['left_out_problems']}" if row["left_out_problems"] else ""
    where = f"over {row['problems']} problems"
    return f"{verdict(row | nothing, where)}; on each: {_on_each(row, sign)}{without}"


def _on_each(row: dict[Any, Any], sign: int = 1) -> str:
    return ", ".join(f"{name} {fixed(sign * value, places)}" for name, (value, places) in row["by_problem"].items())
