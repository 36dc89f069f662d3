"""Which arm is better, by how much, and how sure one can be."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pandas as pd
import scipy

from pglab.results.arm_choices import ArmKey, runs_by_arm
from pglab.results.arm_names import Pair, pair_labels
from pglab.results.controls import controls
from pglab.results.digits import counted, p_is, plain, with_error
from pglab.results.order import by_order
from pglab.results.pairs import Difference, Test, matched, paired, unpaired

SIGNIFICANT = 0.05
UNLIKE = 0.05  # lengths of runs that a verdict tells apart


def compare(
    scores: pd.DataFrame,
    control: str | None = None,
    test: Test = "t",
    all_pairs: bool = False,
    level: float = 0.95,
) -> pd.DataFrame:
    """A row for each comparison of two arms, from the frame of `scores`.

    Every arm is compared with a control, or with every arm before it. Two arms that share at least two
    seeds (with scores) are compared in pairs, for the same seed gave them the same random numbers: over
    those seeds alone, the others are counted in `left_out`. Otherwise all scores are compared, by Welch.
    Differences are arm - control. Where scores are infinite (runs that never reached a threshold) there are no
    means to compare, and the order of the scores is: the sign test in pairs, else Mann-Whitney.

    Columns:
        study arm control_study control: the two arms.
        label control_label: what each is called in the verdict, by what tells the two apart.
        alike: what they have in common and other arms have not.
        measure unit better: of the scores.
        paired: whether over pairs; pairs: how many; n n_control: how many scores entered.
        left_out: scores that did not, for want of a partner.
        unscored: stopped, failed and unfinished runs of the two arms, and those without their score.
        diverged capped: diverged runs of the two arms whose scores entered, and those that never reached
            the threshold of `steps_to`.
        correlation: Pearson's r over the pairs. Pairs narrow the interval where it is above 0: with
            equal spread by the factor √(1 - r), apart from the degrees of freedom.
        mean control_mean difference: of those scores.
        low high interval: of the difference, each for itself, not widened for many comparisons.
        p_better: how often the arm does better: the share of pairs, or of all pairings where the seeds are not
            shared; ties count half.
        effect effect_name: Cohen's d_z in pairs, else Hedges' g (see `pglab.results.pairs`).
        p test: the p value and the test, or why there is none.
        p_holm comparisons: p corrected by Holm for the number of comparisons that have one. The chance
            that any verdict of the table names a winner where nothing differs is at most 5 %; measured
            for five comparisons with a control at n = 5 to 20: paired 4.4 to 4.8 % (normal scores),
            1.7 to 3.1 % (skewed), 0.2 to 2.3 % (a ceiling); Welch 3.5 to 4.6, 1.5 to 3.1 and 0.3 to 2.5 %;
            permutation tests at n = 5 to 10 up to 4.5 % (`python -m tests.results.error_rates`).
        env_steps control_env_steps: how long these runs were, on average.
        verdict: a sentence with these numbers; ± is half the interval.

    Args:
        scores: the frame of `scores`, or rows of it.
        control: an arm's name, or choices (`weighting=total`). Where several arms have them, as in a grid, each
            arm is compared with the one that is otherwise most like it. If not given: the first arm; in a grid
            its choice in the first factor, groups before keys.
        test: `t`, or `permutation`, which assumes no normal scores, and needs 6 pairs to reach .05. Infinite
            scores are tested by their order either way (see `pglab.results.order`).
        all_pairs: every two arms, and no control.
        level: of the intervals.

    Raises:
        ValueError: the frame is not one score a run, or the control is none or not one.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    if all_pairs and control is not None:
        raise ValueError(f"either all pairs or a control; got both, with control={control!r}")
    runs = runs_by_arm(scores)
    pairs = [(b, a) for a, b in combinations(runs, 2)] if all_pairs else list(controls(scores, control).items())
    return compare_pairs(scores, pairs, test, level)


def compare_pairs(
    scores: pd.DataFrame, pairs: Sequence[tuple[ArmKey, ArmKey]], test: Test = "t", level: float = 0.95
) -> pd.DataFrame:
    """The table of `compare` for these pairs of an arm and its control, corrected for their number."""
    if test not in ("t", "permutation"):
        raise ValueError(f"a test is 't' or 'permutation'; got {test!r}")
    runs = runs_by_arm(scores)
    labels = pair_labels(scores, pairs)
    rows = [_compared(pair, runs, label, test, level) for pair, label in zip(pairs, labels, strict=True)]
    table = pd.DataFrame(rows, columns=None if rows else COLUMNS)
    table["p_holm"] = holm(table["p"].to_numpy(dtype=float))
    table["comparisons"] = int(table["p"].notna().sum())
    table["verdict"] = [_verdict(row) for row in table.to_dict("records")]
    return table[COLUMNS]


COLUMNS = [
    *("study", "arm", "control_study", "control", "label", "control_label", "alike", "measure", "unit", "better"),
    *("paired", "pairs", "n", "n_control", "left_out", "unscored", "diverged", "capped", "correlation"),
    *("mean", "control_mean", "difference", "low", "high", "interval", "p_better", "effect", "effect_name"),
    *("p", "test", "p_holm", "comparisons", "env_steps", "control_env_steps", "verdict"),
]


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's corrected p values, the k-th smallest of m being max_{j ≤ k} (m - j + 1) p_j, at most 1.

    Those that are NaN stay so and do not count as comparisons.
    """
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN comes last
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return corrected


def _compared(
    pair: tuple[ArmKey, ArmKey], runs: dict[ArmKey, pd.DataFrame], labels: Pair, test: Test, level: float
) -> dict[str, object]:
    arm, control = pair
    of_arm, of_control = runs[arm].set_index("seed"), runs[control].set_index("seed")
    x, y = of_arm["score"].dropna(), of_control["score"].dropna()
    a, b, in_pairs = matched(x, y)
    left_out = len(x) + len(y) - len(a) - len(b)
    unscored = len(of_arm) + len(of_control) - len(x) - len(y)
    if in_pairs:
        x, y = x[x.index.isin(y.index)], y[y.index.isin(x.index)]
    diverged = [
        int((runs["status"][entered.index] == "diverged").sum()) for runs, entered in ((of_arm, x), (of_control, y))
    ]
    capped = int(np.isinf([*a, *b]).sum())
    if capped:
        found = by_order(a, b, in_pairs)
    else:
        found = paired(a - b, test, level) if in_pairs else unpaired(a, b, test, level)
    return {
        **{"study": arm[0], "arm": arm[1], "control_study": control[0], "control": control[1]},
        **{"label": labels.arm, "control_label": labels.control, "alike": labels.alike},
        **{key: of_arm[key].iloc[0] for key in ("measure", "unit", "better")},
        **{"paired": in_pairs, "pairs": len(a) if in_pairs else 0, "n": len(a), "n_control": len(b)},
        **{"left_out": left_out, "unscored": unscored},
        **{"diverged": sum(diverged), "capped": capped},
        "correlation": _correlation(a, b) if in_pairs else np.nan,
        "mean": a.mean() if len(a) else np.nan,
        "control_mean": b.mean() if len(b) else np.nan,
        **_columns(found),
        "p_better": _p_better(a, b, in_pairs, str(of_arm["better"].iloc[0])),
        **{
            "env_steps": of_arm["env_steps"][x.index].mean(),
            "control_env_steps": of_control["env_steps"][y.index].mean(),
        },
    }


def _columns(found: Difference) -> dict[str, object]:
    columns = asdict(found)
    return {"difference": columns.pop("value"), "interval": columns.pop("said")} | columns


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if not np.isfinite([*a, *b]).all() or np.ptp(a) == 0 or np.ptp(b) == 0 or len(a) < 3:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def _p_better(a: np.ndarray, b: np.ndarray, in_pairs: bool, better: str) -> float:
    if not len(a) or not len(b):
        return np.nan
    if in_pairs:
        higher = float(np.mean((a > b) + (a == b) / 2))
    else:
        higher = float(scipy.stats.mannwhitneyu(a, b, method="asymptotic").statistic / (len(a) * len(b)))
    return higher if better == "higher" else 1 - higher


def _verdict(row: dict) -> str:
    return (f"with {row['alike']}: " if row["alike"] else "") + _found(row)


def _found(row: dict) -> str:
    arm, control, unit = row["label"], row["control_label"], row["unit"]
    at = _at(row)
    if np.isnan(row["p"]):
        known = "" if np.isnan(row["p_better"]) else f"; {arm} is better in {100 * row['p_better']:.0f} %"
        reason = f"no test of the means ({row['test'].removeprefix('none: ')}{known})"
        return f"no verdict on {arm} and {control}{at}: {reason}{_aside(row)}"
    p = f"Holm {p_is(row['p_holm'])}" if row["comparisons"] > 1 else p_is(row["p"])
    seeds = f"{row['pairs']} paired seeds" if row["paired"] else f"{row['n']} and {row['n_control']} seeds, not paired"
    if row["capped"]:
        return _by_order(row, f"({seeds}, {p}, {row['test']}{_aside(row)})")
    half = (row["high"] - row["low"]) / 2
    said = {
        sign: with_error(sign * row["difference"], half) if half else plain(sign * row["difference"])
        for sign in (1, -1)
    }
    numbers = f"({seeds}, {p}{_aside(row)})"
    if row["p_holm"] >= SIGNIFICANT:
        return f"the data cannot tell {arm} from {control}: {said[1]} {unit}{at} {numbers}"
    sign = 1 if row["difference"] > 0 else -1
    first, second = (arm, control) if (sign > 0) == (row["better"] == "higher") else (control, arm)
    fewer = "" if row["better"] == "higher" else " fewer"
    return f"{first} beats {second} by {said[sign]}{fewer} {unit}{at} {numbers}"


def _by_order(row: dict, numbers: str) -> str:
    """What can be said where some runs never reached the threshold."""
    arm, control, p = row["label"], row["control_label"], row["p_better"]
    of = "pairs" if row["paired"] else "pairings of their runs"
    if row["p_holm"] >= SIGNIFICANT:
        return f"the data cannot tell {arm} from {control}: {arm} is better in {100 * p:.0f} % of {of} {numbers}"
    first, second, share = (arm, control, p) if p > 0.5 else (control, arm, 1 - p)
    return f"{first} beats {second} in {100 * share:.0f} % of {of} {numbers}"


def _at(row: dict) -> str:
    """How long the runs were; of both arms, where that differs by more than a twentieth."""
    steps, of_control = row["env_steps"], row["control_env_steps"]
    if row["unit"] != "return" or np.isnan(steps + of_control):
        return ""
    alike = abs(steps - of_control) <= UNLIKE * max(steps, of_control)
    return f" at {(steps + of_control) / 2:,.0f} steps" if alike else f" at {steps:,.0f} and {of_control:,.0f} steps"


def _aside(row: dict) -> str:
    """Runs that a reader has to know of."""
    said = [(row["left_out"], "run", "left out for want of a partner"), (row["unscored"], "run", "without a score")]
    said += [(row["diverged"], "run", "diverged"), (row["capped"], "run", "never reached the threshold")]
    return "".join(f"; {counted(number, what)} {how}" for number, what, how in said if number)
