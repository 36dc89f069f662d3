"""One command, from what was composed to what was found."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from warnings import catch_warnings

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from pglab.results import IncompleteStudy, compare, load, load_evaluation, scores, summarize
from pglab.store.lock import claimed, holder
from pglab.store.writer import prepare
from pglab.studies.asked import Composed
from pglab.studies.console import Console
from pglab.studies.execute import execute
from pglab.studies.forecast import forecast
from pglab.studies.outside import outside
from pglab.studies.plan import Plan, make_plan
from pglab.studies.pool import LocalPool, Pool
from pglab.studies.provenance import foreign_targets
from pglab.studies.recorder import Outcome

FAILED, INTERRUPTED = 1, 130  # exit statuses
MOST_TOLD = 8  # verdicts at the end of a command
WAIT = 0.5  # seconds between two looks at whether another process has let go of an arm


@dataclass(frozen=True)
class Trained:
    """A plan and how it ended."""

    plan: Plan
    outcome: Outcome

    @property
    def exit_status(self) -> int:
        if self.outcome.interrupted:
            return INTERRUPTED
        return FAILED if self.outcome.failures else 0

    def rows(self) -> pd.DataFrame:
        """The rows of the arms and seeds that this command asked for."""
        with catch_warnings(action="ignore", category=IncompleteStudy):  # the table tells of what was asked for
            return self._asked(load(self.plan.folder, [arm.name for arm in self.plan.arms]))

    def evaluation(self) -> pd.DataFrame:
        """The final evaluation of the same runs."""
        with catch_warnings(action="ignore", category=IncompleteStudy):
            return self._asked(load_evaluation(self.plan.folder, [arm.name for arm in self.plan.arms]))

    def objective(self) -> float:
        """The mean score of all runs, for a sweeper that searches."""
        summary = summarize(self.rows(), self.evaluation())
        return float(np.average(summary["score"], weights=summary["seeds"]))

    def _asked(self, frame: pd.DataFrame) -> pd.DataFrame:
        asked = pd.MultiIndex.from_tuples([(arm.name, seed) for arm in self.plan.arms for seed in arm.seeds])
        kept = pd.MultiIndex.from_frame(frame[["arm", "seed"]]).isin(asked)
        order = {arm.name: number for number, arm in enumerate(self.plan.arms)}
        return frame[kept].sort_values("arm", key=lambda arm: arm.map(order), kind="stable", ignore_index=True)


def train(composed: Sequence[Composed], command: str = "") -> Trained:
    """Checks everything, trains what is missing, and says how it went.

    An arm that another process is training is left to it; what that has not finished when it
    lets go is taken over.

    Args:
        command: that asked for this, to be kept with the results.

    Raises:
        InputError: bad input; nothing was trained or written.
    """
    plan = make_plan(composed, command)
    console = Console()
    for arm in plan.arms:
        chosen = arm.arm.composed.choices.get("baseline", "none")
        if chosen != "none" and "baseline" not in arm.settings["weighting"]:
            console.say(f"note: {arm.name}: this weighting uses no baseline, so baseline={chosen} changes nothing")
        for note in arm.standing.notes:
            console.say(f"note: {note}")
    begun = [arm.settings for arm in plan.arms if arm.standing.starts]
    if said := outside({target for settings in begun for target in foreign_targets(settings)}):
        console.say(f"note: {said}")
    if plan.settings["plan"]:
        console.table(forecast(plan))
        return Trained(plan, Outcome())
    trained = _train_claimed(plan, console)
    try:
        _report(trained, console)
    except KeyboardInterrupt:
        trained.outcome.interrupted = True
        console.say(f"Interrupted. Everything is stored in {plan.folder}; the same command again says what came of it.")
    return trained


def _train_claimed(plan: Plan, console: Console) -> Trained:
    """Trains one arm after another as they can be claimed: all at once, where nobody else is at work.

    Returns:
        The plan with each arm's standing as it was when it was claimed, and what became of it.
    """
    outcome, arms = Outcome(), list(plan.arms)
    left = {number for number, arm in enumerate(arms) if arm.standing.starts}
    pool = ready_pool(plan) if left else None
    waited_for: set[str] = set()
    try:
        while pool and left and not outcome.interrupted and not (outcome.failures and plan.settings["fail_fast"]):
            with ExitStack() as claims:
                mine = {number for number in left if claims.enter_context(claimed(arms[number].files.folder))}
                now = plan.only(mine)
                for number in mine:
                    for note in now.arms[number].standing.notes:
                        if note not in arms[number].standing.notes:
                            console.say(f"note: {note}")
                    arms[number] = now.arms[number]
                if now.shards:
                    outcome.add(execute(now, pool, console))
            left -= mine
            if not mine:
                holders = {holder(arms[number].files.folder) or "another process" for number in left}
                if holders - waited_for:
                    console.say(f"Waiting for {', '.join(sorted(holders))}, which trains {len(left)} of these arms.")
                waited_for |= holders
                time.sleep(WAIT)
    except KeyboardInterrupt:
        outcome.interrupted = True
    finally:
        if pool:
            pool.stop()
    return Trained(replace(plan, arms=tuple(arms)), outcome)


def ready_pool(plan: Plan) -> Pool:
    """As many workers as the plan asks for, once they have tried its components.

    Raises:
        InputError: an arm could not be trained, or its results not be written.
    """
    pool = LocalPool(plan.workers)
    try:
        pool.check([arm.settings for arm in plan.arms])
        prepare(plan.folder)
    except BaseException:
        pool.stop()
        raise
    return pool


def _report(study: Trained, console: Console) -> None:
    plan, outcome, folder = study.plan, study.outcome, study.plan.folder
    for failure in dict.fromkeys(outcome.failures):
        console.say(failure.rstrip())
    done = sum(len(arm.standing.done) for arm in plan.arms)
    if done:
        asked = sum(len(arm.seeds) for arm in plan.arms)
        console.say(f"Finished before and kept as they are: {done} of {asked} runs.")
    if outcome.interrupted:
        console.say(
            f"Interrupted. Kept in {folder}: {done + outcome.count('finished') + outcome.count('diverged')} "
            f"finished runs, and the rows so far of {outcome.count('stopped')} that were stopped. "
            "The same command again trains what is missing."
        )
    if not (done or outcome.status):
        return
    rows, evaluation = study.rows(), study.evaluation()
    console.table(_table(study, summarize(rows, evaluation)))
    for verdict in _verdicts(rows, evaluation):
        console.say(verdict)
    console.say(f"Report: `python -m pglab.report {folder}`")
    console.say(f"Results: {folder}   (Python: pglab.results.load({str(folder)!r}))")
    logger = plan.settings["logger"]
    if logger["mode"] == "offline" and plan.shards:
        console.say(f"W&B, offline: upload with `python -m pglab.mirror {folder}`")
    if outcome.failures:
        console.say(f"{outcome.count('failed')} runs failed; the same command again tries them anew.")
    elif not outcome.interrupted:
        console.say("Next: more seeds narrow the intervals, and `seeds=20` trains only those that are new.")


def _verdicts(rows: pd.DataFrame, evaluation: pd.DataFrame) -> list[str]:
    """What the runs that were asked for say about every arm and the first one."""
    if rows.empty:
        return []
    runs = scores(rows, evaluation)
    verdicts = compare(runs)["verdict"].tolist()
    more = len(verdicts) - MOST_TOLD
    return verdicts[:MOST_TOLD] + ([f"… and {more} more comparisons"] if more > 0 else [])


def _table(study: Trained, summary: pd.DataFrame) -> Table:
    played = study.plan.settings["evaluation"]["episodes"]
    score = f"of the last policy over {played} episodes" if played else "of the last update"
    table = Table(
        title=f"Study {study.plan.folder.name}",
        caption=f"final return: mean return {score}, averaged over seeds\ninterval: 95 %, Student-t over seeds",
        caption_justify="left",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("arm", overflow="fold")
    for column in ("seeds", "final return", "95 % interval", "env steps", "diverged"):
        table.add_column(column, justify="right", no_wrap=True)
    unfinished = summary[["running", "stopped", "failed"]].sum(axis=1)
    if unfinished.any():
        table.add_column("unfinished", justify="right")
    for row, left in zip(summary.to_dict("records"), unfinished, strict=True):
        interval = "-" if pd.isna(row["low"]) else f"{row['low']:.1f} to {row['high']:.1f}"
        score = "-" if pd.isna(row["score"]) else f"{row['score']:.1f}"
        cells = [Text(row["arm"]), str(row["seeds"]), score, interval, f"{row['env_steps']:,}", str(row["diverged"])]
        table.add_row(*cells, *([str(left)] if unfinished.any() else []))
    return table
