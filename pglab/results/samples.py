"""Two arms that are held against each other: their scores, in pairs or not, and the runs to be counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pglab.results.censoring import earlier, log_rank, restricted, times_of
from pglab.results.digits import counted
from pglab.results.incomplete import ENDED, named_seeds
from pglab.results.pairs import matched
from pglab.results.rounding import mean_of
from pglab.results.scores import NOT_FINITE

OVER = (*ENDED, "failed")  # statuses of runs that no further training is asked for


@dataclass(frozen=True)
class Sample:
    """The scores of two arms that are compared, and what a reader has to know of them.

    Attributes:
        a b: the scores, `[n]` and `[m]`, or the pseudo-values of censored ones.
        paired: true where the n-th of both are of one seed.
        untested: why there is no test; empty where there is one.
        columns: of the table of `compare`, by name.
    """

    a: np.ndarray
    b: np.ndarray
    paired: bool
    untested: str
    columns: dict[str, object]


def sample_of(of_arm: pd.DataFrame, of_control: pd.DataFrame) -> Sample:
    """The sample of an arm and its control, from their rows of the frame of `scores`."""
    both = restricted(pd.concat([of_arm, of_control], ignore_index=True))
    arms = [both.iloc[: len(of_arm)].set_index("seed"), both.iloc[len(of_arm) :].set_index("seed")]
    there = [arm["score"].dropna() for arm in arms]
    a, b, in_pairs = matched(*there)
    entered = [x[x.index.isin(y.index)] if in_pairs else x for x, y in (there, there[::-1])]
    used = [runs.loc[x.index] for runs, x in zip(arms, entered, strict=True)]
    horizon = float(both["horizon"].iloc[0])
    times = _times(of_arm, entered[0]), _times(of_control, entered[1])
    columns = {
        **{key: of_arm[key].iloc[0] for key in ("measure", "unit", "better")},
        **{"paired": in_pairs, "pairs": len(a) if in_pairs else 0, "n": len(a), "n_control": len(b)},
        "left_out": sum(map(len, there)) - len(a) - len(b),
        "shared": len(there[0].index.intersection(there[1].index)),
        "lacking": _without_partner(arms),
        "fate": fate(of_arm),
        "control_fate": fate(of_control),
        "unscored": int(both["score"].isna().sum()),
        "not_finite": int(both["note"].str.contains(NOT_FINITE).sum()),
        "diverged": sum(int((runs["status"] == "diverged").sum()) for runs in used),
        "capped": sum(int((~reached).sum()) for _, reached in times),
        "horizon": horizon,
        "correlation": _correlation(a, b) if in_pairs else np.nan,
        "mean": mean_of(a) if len(a) else np.nan,
        "control_mean": mean_of(b) if len(b) else np.nan,
        "p_better": _p_better(times[0], times[1], in_pairs, str(of_arm["better"].iloc[0])),
        "p_logrank": np.nan if np.isnan(horizon) else log_rank(*times[0], *times[1]),
        "env_steps": used[0]["env_steps"].mean(),
        "control_env_steps": used[1]["env_steps"].mean(),
    }
    untested = ""
    if min(len(a), len(b)) < 2:
        untested = f"none: {len(a)} and {len(b)} scores"
    elif not any((reached & (time <= horizon)).any() for time, reached in times) and not np.isnan(horizon):
        untested = f"none: no run came to the threshold in the first {horizon:,.0f} steps, the horizon of both arms"
    return Sample(a, b, in_pairs, untested, columns)


def _times(runs: pd.DataFrame, entered: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The scores of an arm that entered, and for each true, or false where it is censored."""
    return times_of(runs.set_index("seed").loc[entered.index])


def _without_partner(arms: Sequence[pd.DataFrame]) -> str:
    """The seeds, in words, of which one arm has a score and the other may yet have one: it did not end there, or fail.

    Args:
        arms: rows of the frame of `scores`, by seed.
    """
    scored = [set(runs.index[runs["score"].notna()]) for runs in arms]
    over = {seed for runs in arms for seed in runs.index[runs["score"].isna() & runs["status"].isin(OVER)]}
    lacking = sorted((scored[0] ^ scored[1]) - over)
    return named_seeds(lacking) if lacking else ""


def fate(runs: pd.DataFrame) -> str:
    """The fate of an arm most of whose runs diverged or failed; empty for any other."""
    counts = runs["status"].value_counts()
    lost = {status: int(counts[status]) for status in ("diverged", "failed") if status in counts}
    if 2 * sum(lost.values()) <= len(runs):
        return ""
    return " and ".join(f"{status} in {number} of {counted(len(runs), 'run')}" for status, number in lost.items())


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0 or len(a) < 3:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def _p_better(
    arm: tuple[np.ndarray, np.ndarray], control: tuple[np.ndarray, np.ndarray], in_pairs: bool, better: str
) -> float:
    if not len(arm[0]) or not len(control[0]):
        return np.nan
    others = control if in_pairs else tuple(each[:, None] for each in control)
    lower = float(earlier(*arm, *others).mean())
    return lower if better == "lower" else 1 - lower
