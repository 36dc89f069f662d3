"""The sensitivity of each arm to the settings that a search has tried."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pglab.results.arm_choices import ArmKey, runs_by_arm
from pglab.results.arm_names import names_in, setting, without
from pglab.results.best_settings import means_of_settings
from pglab.results.by_problem import problems


def tuned_arms(scores: pd.DataFrame, tuned: Sequence[str]) -> pd.DataFrame:
    """A row for each arm (and problem) that was tuned: its best setting, and how much depends on finding it.

    The score of a setting is the mean over its runs; one with a run without a score counts only where no setting has a
    score of every run (see `pglab.results.best_settings.means_of_settings`).

    Columns: `problem`, where there are several; `arm`, without the tuned keys; these keys at the best setting; `best`,
    its score, which is too high by luck; `typical` and `worst`, the median and the lowest score of all settings that
    count; `sensitivity`, best less typical: what an arm loses at a setting that nobody chose; `near`, the share of
    settings within a tenth of the way from best to worst; `settings`, how many count.

    Args:
        scores: the frame of `scores`, of a measure of which more is better.
        tuned: the keys.
    """
    of_arm = problems(scores)
    settings: dict[tuple[str, str], dict[ArmKey, pd.DataFrame]] = {}
    for arm, runs in runs_by_arm(scores).items():
        settings.setdefault((of_arm[arm], plain(arm[1], tuned)), {})[arm] = runs
    rows = {of: [(arm, mean) for (_, arm), mean in means_of_settings(runs).items()] for of, runs in settings.items()}
    rows = {of: tried for of, tried in rows.items() if tried}
    names = names_in(scores.assign(arm=[plain(arm, tuned) for arm in scores["arm"]]))
    several = len({problem for problem, _ in rows}) > 1
    return pd.DataFrame(
        {
            **({"problem": problem} if several else {}),
            "arm": names[arm] or "all",
            **_row(tried, tuned),
        }
        for (problem, arm), tried in rows.items()
    )


def plain(arm: str, tuned: Sequence[str]) -> str:
    """An arm's name without the tuned keys."""
    for key in tuned:
        arm = without(arm, key)
    return arm


def _row(tried: Sequence[tuple[str, float]], tuned: Sequence[str]) -> dict[str, object]:
    arm, best = max(tried, key=lambda one: one[1])
    each = np.array([score for _, score in tried])
    typical, worst = float(np.median(each)), float(each.min())
    near = float((each >= best - 0.1 * (best - worst)).mean())
    return {
        **{key: setting(arm, key) for key in tuned},
        **{"best": best, "typical": typical, "worst": worst, "sensitivity": best - typical},
        **{"near": near, "settings": len(each)},
    }
