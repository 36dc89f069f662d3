"""One number a run: the seed is the unit of replication, so this comes before any statistic."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pglab.results.digits import counted
from pglab.results.incomplete import ENDED

How = Literal["last_tenth", "area", "final_evaluation", "steps_to"]
RUN = ["study", "arm", "seed"]
NOT_FINITE = "not a finite number"  # in the note of a run that has no score because of it
SCORED = ["status", "env_steps", "score", "measure", "unit", "better", "reached", "note"]


@dataclass(frozen=True)
class Measure:
    """The meaning of a score in words, its unit, and which of two scores is better."""

    words: str
    unit: str
    better: Literal["higher", "lower"]


def scores(
    updates: pd.DataFrame,
    evaluation: pd.DataFrame | None = None,
    how: How | None = None,
    threshold: float | None = None,
) -> pd.DataFrame:
    """A row for each run, with one score, from the frames of `load` and `load_evaluation`.

    With R_u the mean return of the batch of update u, and k_u its environment steps:

    - `last_tenth`: the mean of R_u over the last tenth of the run's updates, ⌈U/10⌉ of them. An update in which no
      episode ended has no R_u (NaN) and enters no mean.
    - `area`: the area under the learning curve for each environment step, Σ k_u R_u / Σ k_u, so a return too.
    - `final_evaluation`: the mean return of the last policy's evaluation episodes.
    - `steps_to`: environment steps from the start until, at the end of an update, R_u ≥ `threshold` for the
      first time. Of a run that ended before, however it ended, it is the steps that the run took, and `reached` is
      false: its time is longer than that and not known, it is censored, but for a run that diverged: that one
      counts as never there (see `pglab.results.censoring`).

    No run is left out. One that diverged enters with what it had: its own updates up to then, the last
    tenth of those, the area over its own steps, the evaluation of its last policy. A stopped, failed or otherwise
    unfinished run has no score (NaN), except for `steps_to`, where it was watched as far as it went. A run one of whose
    evaluation episodes is not a finite number has no final evaluation, for the mean over the rest would hide it;
    likewise one has no mean over updates of which one has an infinite return, or in none of which an episode ended. A
    run that failed before its first update has no score of any kind. One that was interrupted before it is not in these
    frames; `describe_arms` counts its seed as missing if another arm has it.

    Columns: `study arm seed`, what describes the arm (the columns of `load` after `status`), `status`,
    `env_steps` (of the whole run), `score` (finite or NaN), `measure` (in words, what it measures), `unit` (return,
    or environment steps), `better` (higher or lower), `reached` (false: censored; empty for other scores), `note`
    (why there is no score, or which one it is; empty for an ordinary run).

    Args:
        updates: the frame of `load`, or rows of it.
        evaluation: the frame of `load_evaluation`, for `final_evaluation`.
        how: one of the four above; if not given, the final evaluation where every run that came to an end has
            one, else the last tenth.
        threshold: a return, for `steps_to`.

    Raises:
        ValueError: `how` is unknown, or what it needs is not given.
    """
    if how is None:
        how = "last_tenth" if threshold is None and not _all_evaluated(updates, evaluation) else "final_evaluation"
    measure = _measure(how, evaluation, threshold)
    described = list(updates.columns[list(updates.columns).index("status") + 1 :])
    rows = updates.sort_values("update", kind="stable")
    rows = rows.assign(steps=rows.groupby(RUN)["env_steps"].diff().fillna(rows["env_steps"]))
    first = updates.drop_duplicates(RUN)[[*RUN, *described, "status"]].set_index(RUN)
    runs = first.assign(env_steps=rows.groupby(RUN)["env_steps"].last())
    ended = runs["status"].isin(ENDED)
    bad = pd.Series(dtype=object)
    if how == "steps_to":
        there = rows[np.isfinite(rows["return_mean"].to_numpy(dtype=float)) & (rows["return_mean"] >= threshold)]
        score = there.groupby(RUN)["env_steps"].min().astype(float)
    elif how == "final_evaluation":
        assert evaluation is not None
        score = evaluation.assign(at=evaluation["return"].astype(float)).groupby(RUN)["at"].mean(skipna=False)
        bad = _how_many(evaluation[~np.isfinite(evaluation["return"].to_numpy(dtype=float))], "evaluation episode")
    else:
        had = _had(rows) if how == "area" else _last_tenth(_had(rows))
        score = _area(had) if how == "area" else had.groupby(RUN)["return_mean"].mean()
        bad = _how_many(had[np.isinf(had["return_mean"].to_numpy(dtype=float))], "update")
    score, bad = score.reindex(runs.index), bad.reindex(runs.index)
    runs = runs.assign(measure=measure.words, unit=measure.unit, better=measure.better)
    runs["reached"] = pd.array([pd.NA] * len(runs), dtype="boolean")
    if how == "steps_to":
        watched = runs["env_steps"] > 0
        runs["reached"] = score.notna().astype("boolean").where(watched)
        runs["score"] = score.fillna(runs["env_steps"].astype(float)).where(watched)
    else:
        runs["score"] = score.where(ended & np.isfinite(score))
    bad = bad.where(bad.notna() | ~np.isinf(score), "it")
    runs["note"] = [_note(*run) for run in zip(runs["status"], runs["score"], runs["reached"], bad, strict=True)]
    return runs.reset_index()[[*RUN, *described, *SCORED]]


def _all_evaluated(updates: pd.DataFrame, evaluation: pd.DataFrame | None) -> bool:
    """True where there is an evaluation of every run that came to an end."""
    if evaluation is None or not len(evaluation):
        return False
    ended = updates.loc[updates["status"].isin(ENDED), RUN].drop_duplicates()
    return len(ended.merge(evaluation[RUN].drop_duplicates())) == len(ended)


def _measure(how: How, evaluation: pd.DataFrame | None, threshold: float | None) -> Measure:
    if (threshold is not None) != (how == "steps_to"):
        raise ValueError(f"a threshold is for how='steps_to', which needs one; got {how!r} and {threshold}")
    if how == "last_tenth":
        return Measure("mean return over the last 10 % of updates", "return", "higher")
    if how == "area":
        return Measure("mean return over all environment steps (area under the learning curve)", "return", "higher")
    if how == "final_evaluation":
        if evaluation is None or not len(evaluation):
            raise ValueError("how='final_evaluation' needs the frame of load_evaluation, with rows in it")
        return Measure("mean return of the final evaluation", "return", "higher")
    if how == "steps_to":
        words = f"environment steps until the mean return of a batch reaches {threshold:g}"
        return Measure(words, "environment steps", "lower")
    raise ValueError(f"how is last_tenth, area, final_evaluation or steps_to; got {how!r}")


def _had(rows: pd.DataFrame) -> pd.DataFrame:
    """All rows, but of a diverged run those up to its last finite return."""
    finite = rows["update"].where(np.isfinite(rows["return_mean"].to_numpy(dtype=float)))
    last = rows.assign(finite=finite).groupby(RUN)["finite"].transform("max")
    return rows[(rows["status"] != "diverged") | (rows["update"] <= last)]


def _last_tenth(rows: pd.DataFrame) -> pd.DataFrame:
    runs = rows.groupby(RUN)
    from_end = runs.cumcount(ascending=False)
    return rows[from_end < np.ceil(runs["update"].transform("size") / 10)]


def _area(rows: pd.DataFrame) -> pd.Series:
    known = rows.dropna(subset=["return_mean"])
    weighted = known.assign(weighted=known["return_mean"] * known["steps"]).groupby(RUN)
    return weighted["weighted"].sum() / weighted["steps"].sum()


def _how_many(bad: pd.DataFrame, what: str) -> pd.Series:
    """In words, of how many episodes or updates of each run the return is not a finite number."""
    number = bad.groupby(RUN).size()
    return pd.Series([f"the return of {counted(n, what)}" for n in number.tolist()], number.index, dtype=object)


def _note(status: str, score: float, reached: bool | None, bad: str | float) -> str:
    if reached is not pd.NA:
        how = "it counts as never there" if status == "diverged" else "the time is censored"
        return "" if reached else f"{status} before the threshold was reached: {how}"
    if status not in ENDED:
        return f"{status}: no score"
    if isinstance(bad, str):
        return f"{status}: no score, for {bad} is {NOT_FINITE}"
    if np.isnan(score):
        return f"{status}, but nothing was measured that the score needs"
    return "diverged: the score is of what it had" if status == "diverged" else ""
