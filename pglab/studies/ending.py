"""The last words of a command: what became of its runs, the score of each arm, the verdicts, what to do next."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from pglab.results.arm_summary import with_every_run
from pglab.results.closing import Closing, closing, next_hint
from pglab.results.digits import counted, with_interval
from pglab.results.incomplete import failures
from pglab.results.normalised import load_references
from pglab.shown import first_lines, shown
from pglab.store.folder import studies_in
from pglab.store.reader import ABOUT
from pglab.store.records import RunRecord
from pglab.studies.arm_table import ArmTable
from pglab.studies.console import Console
from pglab.studies.known_twins import told_twins
from pglab.studies.plan import Plan, PlannedArm
from pglab.studies.recorder import Outcome
from pglab.studies.references import joins_other_problems

MOST = 8  # lines on failures, before the rest is only counted


def say_what_became(console: Console, plan: Plan, outcome: Outcome) -> bool:
    """Tells of failures, of what was there before, and of an interruption; returns true where there is a result."""
    for failure in dict.fromkeys(outcome.failures):
        console.say(failure.rstrip())
    done = sum(
        (number, seed) not in outcome.status for number, arm in enumerate(plan.arms) for seed in arm.standing.done
    )
    if done:
        asked = sum(len(arm.seeds) for arm in plan.arms)
        console.say(f"Finished before and kept as they are: {done} of {asked} runs.")
    if outcome.interrupted:
        console.say(
            f"Interrupted. Kept in {plan.folder}: {done + outcome.count('finished') + outcome.count('diverged')} "
            f"finished runs, and the rows so far of {outcome.count('stopped')} that were stopped. "
            "The same command again trains what is missing."
        )
    if extended := _extended(plan, outcome):
        console.say(f"Shown as it was before more updates were asked for: {counted(extended, 'run')}.")
    return bool(done or outcome.status)


def _extended(plan: Plan, outcome: Outcome) -> int:
    """Runs that had come to their end, and have not on the way to more updates."""
    missed = [run for run, how in outcome.status.items() if how in ("stopped", "failed")]
    runs = {number: _runs(plan.arms[number]) for number, _ in missed}
    return sum(runs[number][seed].ended for number, seed in missed)


def say_results(
    console: Console,
    plan: Plan,
    updates: pd.DataFrame,
    evaluation: pd.DataFrame,
    verdicts: Sequence[str] | None = None,
) -> None:
    """Shows the table and the verdicts of the runs that were asked for; both go by one score, which is named.

    Args:
        verdicts: in place of those of a fixed number of seeds.
    """
    end = closing(updates, evaluation, load_references(plan.folder))
    end = replace(end, summary=with_every_run(end.summary, {arm.full_name: _runs(arm) for arm in plan.arms}))
    if end.summary.empty:
        return
    names = {arm.full_name: name for name, arm in zip(plan.names, plan.arms, strict=True)}
    with_baseline = {arm.full_name: names[arm.full_name] + arm.arm.shown_baseline for arm in plan.arms}
    console.table(results_table(plan.folder.name, end, with_baseline))
    lines = [f"{names[arm.full_name]}: {line}" for arm in plan.arms for line in _failures(arm)]
    for line in first_lines(lines, MOST):
        console.say(line)
    if said := told_twins(plan):
        console.say(said)
    for verdict in end.verdicts if verdicts is None else verdicts:
        console.say(verdict)


def _runs(arm: PlannedArm) -> dict[int, RunRecord]:
    """The runs of an arm that were asked for and begun."""
    record = arm.files.files.record()
    return {} if record is None else {seed: run for seed, run in record.runs.items() if seed in arm.seeds}


def _failures(arm: PlannedArm) -> list[str]:
    """A line for each error by which runs of an arm failed, and where the whole of it is."""
    failed = [(seed, run.last_line) for seed, run in _runs(arm).items() if run.status == "failed"]
    where = f"(traceback in {arm.files.folder / ABOUT}, and in the report)"
    return [f"{shown(said)} {where}" for said in failures(failed)]


def say_next(
    console: Console,
    plan: Plan,
    outcome: Outcome,
    statuses: Sequence[str],
    mirrored: str | None,
    hints: bool = True,
) -> None:
    """Names the commands that go on from here; with a hint at more seeds, or without."""
    if joins_other_problems(plan):
        console.say("The study is on other problems, too: its report has the verdict over all of them.")
    console.say(f"Report: `python -m pglab.report {shlex.quote(str(plan.folder))}`")
    console.say(f"Results: {plan.folder}   (Python: pglab.results.load({str(plan.folder)!r}))")
    if mirrored:
        console.say(mirrored)
    asked = {seed for arm in plan.arms for seed in arm.seeds}
    hint = next_hint(plan.command, asked, _in_every_arm(plan), statuses)
    if outcome.failures:
        console.say(f"{outcome.count('failed')} runs failed; the same command again tries them anew.")
    elif hints and hint and not outcome.interrupted:
        console.say(hint)


def verdict_elsewhere(results_dir: Path, command: str) -> Iterator[str]:
    """Yields where the verdict over all jobs is that a launcher or sweeper of Hydra's has had trained one by one.

    Args:
        results_dir: where studies are.
        command: that asked for the jobs.
    """
    try:
        found = studies_in(results_dir)
    except FileNotFoundError:  # no job has trained anything
        return
    for study in found:
        records = [record for arm in study.arms if (record := arm.record_if_whole())]
        if asked := sum(command in record.commands for record in records):
            path = shlex.quote(str(results_dir / study.name))
            arms = counted(asked, "arm")
            yield f"Study {study.name}: {arms} by this command; all verdicts: `python -m pglab.report {path}`"


def _in_every_arm(plan: Plan) -> set[int]:
    """Seeds with which all arms of the plan have come to their end, also for other commands."""
    records = [arm.files.files.record() for arm in plan.arms]
    ended = [{seed for seed, run in record.runs.items() if run.ended} if record else set() for record in records]
    return set.intersection(*ended)


def results_table(study: str, end: Closing, names: Mapping[str, str]) -> ArmTable:
    """A row an arm: its score with its interval, its steps and what became of its runs.

    Args:
        names: what to call the arms, by their names in full.
    """
    further = {"failed": end.summary["failed"], "unfinished": end.summary[["running", "stopped"]].sum(axis=1)}
    further = {name: counts.tolist() for name, counts in further.items() if counts.any()}
    rows = []
    for place, row in enumerate(end.summary.to_dict("records")):
        score, interval = with_interval(row["score"], row["low"], row["high"])
        cells = [str(row["seeds"]), score, interval, f"{row['env_steps']:,}", str(row["diverged"])]
        rows.append((names[row["arm"]], [*cells, *(str(counts[place]) for counts in further.values())]))
    columns = ("seeds", end.column, "95 % interval", "env steps", "diverged", *further)
    return ArmTable(columns, rows, f"Study {study}", end.caption)
