"""The last words of a command: what became of its runs, the score of each arm, the verdicts, what to do next."""

from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from pglab.results.closing import Closing, closing, next_hint
from pglab.results.shown import shown
from pglab.studies.console import Console
from pglab.studies.plan import Plan
from pglab.studies.recorder import Outcome
from pglab.studies.twins import told


def say_what_became(console: Console, plan: Plan, outcome: Outcome) -> bool:
    """Tells of failures, of what was there before, and of an interruption; returns true where there is a result."""
    for failure in dict.fromkeys(outcome.failures):
        console.say(failure.rstrip())
    done = sum(len(arm.standing.done) for arm in plan.arms)
    if done:
        asked = sum(len(arm.seeds) for arm in plan.arms)
        console.say(f"Finished before and kept as they are: {done} of {asked} runs.")
    if outcome.interrupted:
        console.say(
            f"Interrupted. Kept in {plan.folder}: {done + outcome.count('finished') + outcome.count('diverged')} "
            f"finished runs, and the rows so far of {outcome.count('stopped')} that were stopped. "
            "The same command again trains what is missing."
        )
    return bool(done or outcome.status)


def say_results(console: Console, plan: Plan, updates: pd.DataFrame, evaluation: pd.DataFrame) -> None:
    """Shows the table and the verdicts of the runs that were asked for; both go by one score, which is named."""
    end = closing(updates, evaluation)
    if updates.empty:
        return
    console.table(_table(plan, end))
    say_twins(console, plan)
    for verdict in end.verdicts:
        console.say(verdict)


def say_twins(console: Console, plan: Plan) -> None:
    """Names the arms that are one program in one line, where there are any."""
    if said := told((arm.arm, arm.twins) for arm in plan.arms):
        console.say(said)


def say_next(console: Console, plan: Plan, outcome: Outcome, statuses: Sequence[str], mirrored: str | None) -> None:
    """Names the commands that go on from here."""
    console.say(f"Report: `python -m pglab.report {plan.folder}`")
    console.say(f"Results: {plan.folder}   (Python: pglab.results.load({str(plan.folder)!r}))")
    if mirrored:
        console.say(mirrored)
    hint = next_hint({arm.name: arm.seeds for arm in plan.arms}, statuses)
    if outcome.failures:
        console.say(f"{outcome.count('failed')} runs failed; the same command again tries them anew.")
    elif hint and not outcome.interrupted:
        console.say(hint)


def _table(plan: Plan, end: Closing) -> Table:
    own = {arm.name: arm.arm.shown_baseline for arm in plan.arms}
    table = Table(
        title=f"Study {shown(plan.folder.name)}",
        caption=end.caption,
        caption_justify="left",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("arm", overflow="fold")
    for column in ("seeds", end.column, "95 % interval", "env steps", "diverged"):
        table.add_column(column, justify="right", no_wrap=True)
    unfinished = end.summary[["running", "stopped", "failed"]].sum(axis=1)
    if unfinished.any():
        table.add_column("unfinished", justify="right")
    for row, left in zip(end.summary.to_dict("records"), unfinished, strict=True):
        interval = "-" if pd.isna(row["low"]) else f"{row['low']:.1f} to {row['high']:.1f}"
        score = "-" if pd.isna(row["score"]) else f"{row['score']:.1f}"
        cells = [str(row["seeds"]), score, interval, f"{row['env_steps']:,}", str(row["diverged"])]
        table.add_row(Text(shown(row["arm"] + own[row["arm"]])), *cells, *([str(left)] if unfinished.any() else []))
    return table
