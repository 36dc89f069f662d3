"""Sentences that say an axis's numbers."""

from math import ceil
from typing import Any

from analysis.atlas.measured import Measured
from pglab.results.digits import with_error, with_interval

DISTANCE = "the distance from random play to the best known return"


def quoted(one: Measured) -> str:
    """One sentence that may be quoted: the largest effect whose interval leaves out 0, or how small all of them are."""
    axis, rows = one.axis, one.effects
    sure = rows[(rows["low"] > 0) | (rows["high"] < 0)]
    problems = rows["problem"].nunique()
    how = f"{one.seeds} seeds each, averaged over {axis.crossed_key}, 95 % intervals"
    if sure.empty:
        bound = ceil(round(100 * float(rows[["low", "high"]].abs().to_numpy().max()), 6))
        return (
            f"On {problems} problems, no value of {axis.key} is seen to change the mean return over training, and "
            f"effects above {bound} % of {DISTANCE} are excluded ({how})."
        )
    top = sure.loc[sure["effect"].abs().idxmax()]
    verb = "raises" if top["effect"] > 0 else "lowers"
    size = with_error(100 * abs(top["effect"]), 50 * (top["high"] - top["low"]))
    return (
        f"{axis.key}={top['level']} instead of {top['control_level']} {verb} the mean return over training "
        f"on {top['problem']} by {size} % of {DISTANCE}, and {axis.key} makes a difference "
        f"on {sure['problem'].nunique()} of {problems} problems ({how})."
    )


def interacting(one: Measured) -> str:
    """By how much the crossed key changes the effect of a level, and whether that is more than chance."""
    row: dict[str, Any] = one.interaction
    level, crossed = row["level"].split(" × ")
    control, crossed_control = row["control_level"].split(" × ")
    sign = -1 if row["effect"] < 0 else 1
    size, interval = with_interval(sign * row["effect"], *sorted((sign * row["low"], sign * row["high"])))
    key = one.axis.crossed_key
    said = (
        f"on {row['problem']}, {level} instead of {control} gains {size} ({interval}) {'more' if sign > 0 else 'less'} "
        f"with {key}={crossed} than with {key}={crossed_control}."
    )
    if row["low"] > 0 or row["high"] < 0:
        return said[0].upper() + said[1:]
    return f"None is seen: all intervals hold 0. The strongest: {said}"
