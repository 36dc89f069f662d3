"""The end of a command: one score, a table and verdicts that go by it, and a hint at what to ask next."""

import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pglab.results.arm_names import names_in
from pglab.results.comparisons import compare
from pglab.results.digits import counted
from pglab.results.incomplete import ENDED
from pglab.results.scores import NOT_FINITE, scores
from pglab.results.summary import summarize, summary_of
from pglab.store.records import LARGEST_SEED

MOST_TOLD = 8  # verdicts
ENOUGH = 20  # seeds that are suggested first; later on twice as many


@dataclass(frozen=True)
class Closing:
    """The results of the runs that a command asked for.

    Attributes:
        summary: of `summarize`.
        names: what to call its arms, by their names in full.
        measure: the score in words, that of the table and of the verdicts; empty without any rows.
        column: what its column is called.
        caption: lines below the table, which name the score and the interval, and count runs without a score.
        verdicts: sentences on every arm and its control, at most eight and how many more there are.
    """

    summary: pd.DataFrame
    names: Mapping[str, str]
    measure: str
    column: str
    caption: str
    verdicts: tuple[str, ...]


def closing(updates: pd.DataFrame, evaluation: pd.DataFrame) -> Closing:
    """The closing of a command from the rows that `load` and `load_evaluation` have of its runs."""
    if updates.empty:
        return Closing(summarize(updates, evaluation), {}, "", "score", "", ())
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
    return Closing(summary_of(runs), names_in(runs), measure, column, "\n".join(lines), tuple(told))


def next_hint(command: str, asked: Collection[int], there: Collection[int], statuses: Iterable[str]) -> str | None:
    """A line with the command that adds seeds to those that are there; None where a run is not at its end.

    It asks for as many as make a difference, from the first one on that was asked for: 20, or twice as many as
    there are from there on.

    Args:
        command: that asked for these runs.
        asked: its seeds.
        there: seeds with which every arm of the command has come to its end, whoever asked for them.
        statuses: of the runs that were asked for.
    """
    if not set(statuses) <= set(ENDED):
        return None
    first = min(asked)
    number = sum(seed >= first for seed in there)
    more = ENOUGH if number < ENOUGH else 2 * number
    if first + more > LARGEST_SEED + 1:
        return None
    keys = [f"seed={first}"] * (first > 0) + [f"seeds={more}"]
    return f"Next: more seeds narrow the intervals; {_with(command, keys)} trains only those that are new."


def _with(command: str, seeds: Sequence[str]) -> str:
    """The command with other seeds, quoted for a shell."""
    if not command.startswith("python "):  # from Python, or from nowhere
        return f"the same with {' '.join(seeds)}"
    kept = [word for word in shlex.split(command) if not re.match(r"\+*seeds?=", word)]
    return f"`{shlex.join([*kept, *seeds])}`"
