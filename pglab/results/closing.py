"""The end of a command: one score, a table and verdicts that go by it, and a hint at what to ask next."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from pglab.results.comparisons import compare
from pglab.results.digits import counted
from pglab.results.incomplete import ENDED
from pglab.results.scores import NOT_FINITE, scores
from pglab.results.summary import summarize, summary_of

MOST_TOLD = 8  # verdicts
ENOUGH = 20  # seeds that are suggested first; later on twice as many


@dataclass(frozen=True)
class Closing:
    """The results of the runs that a command asked for.

    Attributes:
        summary: of `summarize`.
        measure: the score in words, that of the table and of the verdicts; empty without any rows.
        column: what its column is called.
        caption: lines below the table, which name the score and the interval, and count runs without a score.
        verdicts: sentences on every arm and its control, at most eight and how many more there are.
    """

    summary: pd.DataFrame
    measure: str
    column: str
    caption: str
    verdicts: tuple[str, ...]


def closing(updates: pd.DataFrame, evaluation: pd.DataFrame) -> Closing:
    """The closing of a command from the rows that `load` and `load_evaluation` have of its runs."""
    if updates.empty:
        return Closing(summarize(updates, evaluation), "", "score", "", ())
    runs = scores(updates, evaluation)
    measure = str(runs["measure"].iloc[0])
    column = "final return" if "final evaluation" in measure else "score"
    lines = [f"{column}: {measure}, averaged over seeds"]
    lines.append("interval: 95 %, Student-t over seeds")
    if bad := int(runs["note"].str.contains(NOT_FINITE).sum()):
        lines.append(f"no score: {counted(bad, 'run')}, of which something that was measured is {NOT_FINITE}")
    verdicts = compare(runs)["verdict"].tolist()
    more = len(verdicts) - MOST_TOLD
    told = verdicts[:MOST_TOLD] + ([f"… and {counted(more, 'more comparison')}"] if more > 0 else [])
    return Closing(summary_of(runs), measure, column, "\n".join(lines), tuple(told))


def next_hint(seeds: Mapping[str, Collection[int]], statuses: Iterable[str]) -> str | None:
    """A line on how to get more seeds for the runs that were asked for, or None where it would not fit.

    It names as many seeds as make a difference, from the same first one on: `seeds=20`, or twice as many as there
    are, and `seed=1000` where they start there. None where a run is not at its end, for there is something else
    to say then, and where the seeds are not consecutive or not the same in all arms.

    Args:
        seeds: those that were asked for, by arm.
        statuses: of all these runs.
    """
    sets = {tuple(sorted(of_arm)) for of_arm in seeds.values()}
    if len(sets) != 1 or not set(statuses) <= set(ENDED):
        return None
    (there,) = sets
    if not there or there != tuple(range(there[0], there[0] + len(there))):
        return None
    more = ENOUGH if len(there) < ENOUGH else 2 * len(there)
    asked = f"seeds={more}" if there[0] == 0 else f"seed={there[0]} seeds={more}"
    return f"Next: more seeds narrow the intervals, and `{asked}` trains only those that are new."
