"""The content of a report, before it is a page: frames, sentences, figures."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from warnings import catch_warnings

import pandas as pd

from pglab.errors import InputError
from pglab.report.origin import Origin, Until, origin
from pglab.report.over_problems import OverProblems, over_problems
from pglab.results.arm_choices import compared_factors
from pglab.results.arms import describe_arms
from pglab.results.by_problem import by_problem
from pglab.results.comparisons import compare
from pglab.results.factors import effect_across
from pglab.results.incomplete import IncompleteStudy
from pglab.results.intervals import Method
from pglab.results.load import load, load_evaluation
from pglab.results.one_program import load_twins
from pglab.results.others import read_runs
from pglab.results.pairs import Test
from pglab.results.planning import seeds_needed
from pglab.results.scores import How, scores
from pglab.results.sequential import decide
from pglab.results.verdicts import beats, is_judged
from pglab.store.tuning import read_tuning

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Question:
    """The way in which the arms of a study are to be compared.

    Attributes:
        how: the score of a run, see `pglab.results.scores`, also for what it is if not given.
        threshold: for `steps_to`.
        control: the arm that the others are compared with, see `pglab.results.compare`.
        interval: of an arm's mean.
        test: of a comparison.
        difference: in the score's unit, that the study is meant to see.
        others: files with runs of other programs, see `pglab.results.read_runs`.
        columns: what these call ours.
    """

    how: How | None = None
    threshold: float | None = None
    control: str | None = None
    interval: Method = "t"
    test: Test = "t"
    difference: float | None = None
    others: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """A sentence about two arms, and whether it names a winner."""

    sentence: str
    sure: bool


@dataclass(frozen=True)
class Content:
    """All of a report.

    Attributes:
        updates: the frame of `pglab.results.load`.
        runs: one score a run; empty where no run has one yet.
        arms: of `describe_arms`.
        comparisons: of `compare`; empty for a single arm.
        planning: sentences on the differences that the seeds can show.
        verdicts: the answer, over all problems first, then the surest first.
        across: of a grid, sentences on whether the effect of its first factor is the same everywhere.
        origin: the study as its files tell it: states, failures, commands, settings.
        over: the answer over several problems; None where the study is on one.
        question: what was asked.
        twins: of `load_twins`.
        tuned: keys that the study is a search over; none where it is no search.
    """

    updates: pd.DataFrame
    runs: pd.DataFrame
    arms: pd.DataFrame
    comparisons: pd.DataFrame
    planning: list[str]
    verdicts: list[Verdict]
    across: list[str]
    origin: Origin
    over: OverProblems | None = None
    question: Question = field(default_factory=Question)
    twins: pd.DataFrame | None = None
    tuned: tuple[str, ...] = ()

    @property
    def score(self) -> str:
        """Names the measure that is compared, in words."""
        return "" if self.runs.empty else str(self.runs["measure"].iloc[0])


def content(study: Path, question: Question) -> Content:
    """Everything there is to say about a study, as it is now.

    Raises:
        FileNotFoundError: there is no study.
        InputError: the path is not one study, or what is asked does not fit it.
        DamagedError: a file is not what was written.
    """
    known = origin(study)
    with catch_warnings(action="ignore", category=IncompleteStudy):  # `origin` tells what is missing
        updates, evaluation = load(study), load_evaluation(study)
    if updates.empty:
        nothing = pd.DataFrame()
        return Content(updates, nothing, nothing, nothing, [], [], [], known, None, question)
    for source in question.others:
        updates = read_runs(source, question.columns, beside=updates)
    runs = _asked(lambda: scores(updates, evaluation, question.how, question.threshold))
    compared = _asked(lambda: compare(runs, question.control, question.test))
    by_p = compared.sort_values("p", kind="stable") if len(compared) else compared
    surest = sorted(by_p.to_dict("records"), key=lambda row: not is_judged(row))
    over = _asked(lambda: over_problems(study, runs, question.control, question.test))
    first = [] if over is None else over.comparisons.to_dict("records")
    decided: list[Verdict] = []
    if known.until and set(runs["better"]) == {"higher"}:  # these take the place of what takes seeds for fixed
        rows = _decided(runs, known.until, question)
        decided = [Verdict(row["verdict"], row["outcome"] in ("seen", "excluded")) for row in rows]
        first = [row for row in first if not row["paired"]]
        surest = [row for row in surest if not (row["paired"] and _arms(row) in set(map(_arms, rows)))]
    verdicts = [*decided, *(Verdict(row["verdict"], beats(row)) for row in (*first, *surest))]
    described = describe_arms(runs, question.interval)
    planning, across = _planning(runs, compared, question), _across(runs, question)
    search = read_tuning(study)
    tuned = tuple(one.key for one in search.ranges) if search else ()
    return Content(
        updates, runs, described, compared, planning, verdicts, across, known, over, question, load_twins(study), tuned
    )


def _decided(runs: pd.DataFrame, until: Until, question: Question) -> list[dict[Hashable, Any]]:
    """The comparisons that seeds were added for, as the command decided them.

    They are those of the command's arms; with a control of the reader's, of all. Runs of other programs have no part.
    """
    ours = runs[runs["seed"] >= 0]
    ours = ours[ours["arm"].isin(until.arms)] if question.control is None else ours
    if ours.empty:
        return []
    return _asked(lambda: decide(ours, until.difference, question.control, first=until.first)).to_dict("records")


def _arms(row: Mapping[Hashable, Any]) -> tuple[Any, ...]:
    """The two arms of a comparison."""
    return tuple(row[key] for key in ("study", "arm", "control_study", "control"))


def _across(runs: pd.DataFrame, question: Question) -> list[str]:
    """The effect of a grid's first factor across all others, on each problem."""
    said, parts = [], by_problem(runs)
    for problem, of_problem in parts.items():
        if len(factors := compared_factors(of_problem)) > 1:
            table = effect_across(of_problem, factors[0], test=question.test)
            where = f"on {problem}: " if len(parts) > 1 else ""
            said += [where + answer for answer in dict.fromkeys(table["answer"])]
    return said


def _planning(runs: pd.DataFrame, compared: pd.DataFrame, question: Question) -> list[str]:
    """For each comparison the difference that its seeds can see, or whether they are enough for the one asked for."""
    if compared.empty:
        return []
    plans = _asked(lambda: seeds_needed(runs, question.difference, question.control))
    known = plans if question.difference is not None else plans[plans["detectable"].notna()]
    return list(known["verdict"])


def _asked(answer: Callable[[], Answer]) -> Answer:
    """Compares the arms as the question asks; its own mistakes are bad input."""
    try:
        return answer()
    except ValueError as error:
        raise InputError(str(error)) from error
