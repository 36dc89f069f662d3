"""The end of a command: one score, a table and verdicts that go by it, and a hint at what to ask next."""

import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from pglab.results.across import METHOD, across_problems
from pglab.results.arm_summary import summarize, summary_of
from pglab.results.comparisons import compare
from pglab.results.digits import counted
from pglab.results.incomplete import ENDED
from pglab.results.normalised import COLUMNS, NORMALISED, known_returns, reference_lines, spanned
from pglab.results.scores import NOT_FINITE, scores
from pglab.store.records import LARGEST_SEED

MOST_TOLD = 8  # verdicts
ENOUGH = 20  # seeds that are suggested first; later on twice as many


@dataclass(frozen=True)
class Closing:
    """The results of the runs that a command asked for.

    Attributes:
        summary: of `summarize`.
        measure: the score in words, that of the table and of the verdicts; empty without any rows.
        column: what its column is called.
        caption: lines below the table, which name the score and the interval, and count runs without a score; where
            there are several problems, also what scores are normalised by.
        verdicts: sentences on every arm and its control, those over all problems first, at most eight and how many
            more there are.
    """

    summary: pd.DataFrame
    measure: str
    column: str
    caption: str
    verdicts: tuple[str, ...]


def closing(updates: pd.DataFrame, evaluation: pd.DataFrame, references: pd.DataFrame | None = None) -> Closing:
    """The closing of a command from the rows that `load` and `load_evaluation` have of its runs.

    Args:
        references: of `load_references`; where runs are on several problems, their scores are normalised by them.
    """
    if updates.empty:
        return Closing(summarize(updates, evaluation), "", "score", "", ())
    runs = scores(updates, evaluation)
    measure = str(runs["measure"].iloc[0])
    column = "final return" if "final evaluation" in measure else "score"
    lines = [f"{column}: {measure}, averaged over seeds"]
    lines.append("interval: 95 %, Student-t over seeds")
    if bad := int(runs["note"].str.contains(NOT_FINITE).sum()):
        lines.append(f"no score: {counted(bad, 'run')}, of which something that was measured is {NOT_FINITE}")
    over_all: list[str] = []
    if spanned(runs):
        references = pd.DataFrame(columns=COLUMNS) if references is None else references
        if known_returns(runs, references):
            over_all = across_problems(runs, references)["verdict"].tolist()
            lines.append(f"over problems: {METHOD}")
        lines += [f"{NORMALISED} on {line}" for line in reference_lines(runs, references)]
    verdicts = over_all + compare(runs)["verdict"].tolist()
    more = len(verdicts) - MOST_TOLD
    told = verdicts[:MOST_TOLD] + ([f"… and {counted(more, 'more comparison')}"] if more > 0 else [])
    return Closing(summary_of(runs), measure, column, "\n".join(lines), tuple(told))


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
