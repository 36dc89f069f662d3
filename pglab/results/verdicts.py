"""A comparison as a sentence, which says no more than its interval."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pglab.results.digits import counted, p_is, plain, with_error, with_interval
from pglab.results.pairs import FEWEST

UNLIKE = 0.05  # lengths of runs that a verdict tells apart
ALIKE = 1e-6  # of an interval's width, by which its two halves may differ and ± still be said


def beats(row: Mapping[Any, Any]) -> bool:
    """True where a row of `compare` names a winner: where it may be judged, and its interval excludes 0."""
    return is_judged(row) and (row["low"] > 0 or row["high"] < 0)


def is_judged(row: Mapping[Any, Any]) -> bool:
    """True where there are seeds enough for a verdict (see `compare`), and most runs of both arms came to their end."""
    return has_enough(row) and not row["fate"] and not row["control_fate"]


def has_enough(row: Mapping[Any, Any]) -> bool:
    """True where there are seeds enough for a verdict."""
    return min(row["n"], row["n_control"]) >= FEWEST


def verdict(row: Mapping[Any, Any], where: str = "") -> str:
    """The sentence of a row of `compare`: where, who beats whom, by how much, and how that is known."""
    said = [where, f"with {row['alike']}" if row["alike"] else ""]
    return "".join([", ".join(filter(None, said)), ": " if any(said) else "", _found(row)])


def difference(row: Mapping[Any, Any], sign: int = 1, fewer: str = "") -> str:
    """The difference and its interval, both turned around for a sign of -1."""
    value = sign * row["difference"]
    low, high = sorted((sign * row["low"], sign * row["high"]))
    half, unit = (high - low) / 2, f"{fewer} {row['unit']}"
    if not half or np.isnan(half):
        return f"{plain(value)}{unit}"
    if np.isinf(half):
        return f"{plain(value)}{unit}, which no interval limits"
    if abs(high + low - 2 * value) <= ALIKE * half:
        return with_error(value, half) + unit
    said, interval = with_interval(value, low, high)
    return f"{said}{unit} ({interval})"


def _found(row: Mapping[Any, Any]) -> str:
    arm, control = row["label"], row["control_label"]
    at, lost = _at(row), [(arm, row["fate"]), (control, row["control_fate"])]
    if fates := [f"{label} {fate}" for label, fate in lost if fate]:
        known = "" if np.isnan(row["difference"]) else f"{difference(row)}{at} "
        return f"no verdict on {arm} and {control}, for {' and '.join(fates)}: {known}({_seeds(row)}{_aside(row)})"
    few = not has_enough(row) and not np.isnan(row["difference"])
    if few and (np.isnan(row["horizon"]) or not np.isnan(row["p"])):
        numbers = f"({_seeds(row)}; a verdict takes {FEWEST}{_censored(row)}{_aside(row)})"
        return f"too few seeds to judge {arm} against {control}: {difference(row)}{at} {numbers}"
    if np.isnan(row["p"]):
        known = "" if np.isnan(row["p_better"]) else f"; {arm} is better in {100 * row['p_better']:.0f} %"
        reason = f"no test of the means ({row['test'].removeprefix('none: ')}{known})"
        return f"no verdict on {arm} and {control}{at}: {reason}{_aside(row)}"
    numbers = f"({_seeds(row)}, {_p(row)}{_censored(row)}{_aside(row)})"
    if not beats(row):
        return f"the data cannot tell {arm} from {control}: {difference(row)}{at} {numbers}"
    sign = 1 if row["low"] > 0 else -1
    first, second = (arm, control) if (sign > 0) == (row["better"] == "higher") else (control, arm)
    fewer = "" if row["better"] == "higher" else " fewer"
    return f"{first} beats {second} by {difference(row, sign, fewer)}{at} {numbers}"


def _seeds(row: Mapping[Any, Any]) -> str:
    if row["paired"]:
        return counted(row["pairs"], "paired seed")
    few = f", for they share {row['shared']}" if _partners(row) else ""
    return f"{row['n']} and {row['n_control']} seeds, not paired{few}"


def _partners(row: Mapping[Any, Any]) -> str:
    """The way to make pairs of the runs that have no partner, where some have one."""
    some = row["shared"] and row["lacking"] and (row["paired"] or has_enough(row))
    return f"{row['lacking']} of both arms would make more pairs" if some else ""


def _p(row: Mapping[Any, Any]) -> str:
    """The p value that decides."""
    if row["comparisons"] > 1:
        return f"Bonferroni {p_is(row['p_bonferroni'])} of {row['comparisons']} comparisons"
    return p_is(row["p"])


def _censored(row: Mapping[Any, Any]) -> str:
    """The test, its horizon and the test beside it, where times are censored."""
    if np.isnan(row["horizon"]):
        return ""
    beside = "" if np.isnan(row["p_logrank"]) else f", log-rank {p_is(row['p_logrank'])}"
    return f", {row['test']} of means restricted to {row['horizon']:,.0f} steps{beside}"


def _at(row: Mapping[Any, Any]) -> str:
    """The lengths of the runs; of both arms, where that differs by more than a twentieth."""
    steps, of_control = row["env_steps"], row["control_env_steps"]
    if row["unit"] != "return" or np.isnan(steps + of_control):
        return ""
    alike = abs(steps - of_control) <= UNLIKE * max(steps, of_control)
    return f" at {(steps + of_control) / 2:,.0f} steps" if alike else f" at {steps:,.0f} and {of_control:,.0f} steps"


def _aside(row: Mapping[Any, Any]) -> str:
    """Runs that a reader has to know of."""
    why = f" ({row['not_finite']} for want of a finite number)" if row["not_finite"] else ""
    more = f" ({_partners(row)})" if _partners(row) else ""
    said = [
        (row["left_out"], f"left out for want of a partner{more}"),
        (row["unscored"], f"without a score{why}"),
        (row["diverged"], "diverged"),
        (row["capped"], "ended before the threshold (censored)"),
    ]
    alone = f"; {_partners(row)}" if not row["paired"] and _partners(row) else ""
    return alone + "".join(f"; {counted(number, 'run')} {how}" for number, how in said if number)
