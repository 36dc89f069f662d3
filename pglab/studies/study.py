"""One command's study, from what was composed to what was found."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from warnings import catch_warnings

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from pglab.errors import InputError
from pglab.results import IncompleteStudy, compare, load, load_evaluation, scores, summarize
from pglab.studies.claim import claimed
from pglab.studies.console import Console
from pglab.studies.execute import Outcome, execute
from pglab.studies.forecast import forecast
from pglab.studies.plan import Plan, make_plan
from pglab.studies.run import Composed
from pglab.studies.worker import Check, Checked, Failed, Worker
from pglab.unfinished import holder

FAILED, INTERRUPTED = 1, 130  # exit statuses
MOST_TOLD = 8  # verdicts at the end of a command
WAIT = 0.5  # seconds between two looks at whether another process has let go of an arm


@dataclass(frozen=True)
class Study:
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
            return self._asked(load(self.plan.store.folder, [arm.name for arm in self.plan.arms]))

    def evaluation(self) -> pd.DataFrame:
        """The final evaluation of the same runs."""
        with catch_warnings(action="ignore", category=IncompleteStudy):
            return self._asked(load_evaluation(self.plan.store.folder, [arm.name for arm in self.plan.arms]))

    def objective(self) -> float:
        """The mean score of all runs, for a sweeper that searches."""
        summary = summarize(self.rows(), self.evaluation())
        return float(np.average(summary["score"], weights=summary["seeds"]))

    def _asked(self, frame: pd.DataFrame) -> pd.DataFrame:
        arms = zip(self.plan.arms, self.plan.seeds, strict=True)
        asked = pd.MultiIndex.from_tuples([(arm.name, seed) for arm, seeds in arms for seed in seeds])
        kept = pd.MultiIndex.from_frame(frame[["arm", "seed"]]).isin(asked)
        order = {arm.name: number for number, arm in enumerate(self.plan.arms)}
        return frame[kept].sort_values("arm", key=lambda arm: arm.map(order), kind="stable", ignore_index=True)


def train(composed: Sequence[Composed], command: str = "") -> Study:
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
    for arm, progress in zip(plan.arms, plan.progress, strict=True):
        chosen = arm.composed.choices.get("baseline", "none")
        if chosen != "none" and "baseline" not in arm.settings["weighting"]:
            console.say(f"note: {arm.name}: this weighting uses no baseline, so baseline={chosen} changes nothing")
        for note in progress.notes:
            console.say(f"note: {note}")
    if plan.settings["plan"]:
        console.table(forecast(plan))
        return Study(plan, Outcome())
    study = _train_claimed(plan, console)
    _report(study, console)
    return study


def _train_claimed(plan: Plan, console: Console) -> Study:
    """Trains one arm after another as they can be claimed: all at once, where nobody else is at work.

    Returns:
        The plan with each arm's progress as it was when it was claimed, and what became of it.
    """
    outcome, progress = Outcome(), list(plan.progress)
    left = {number for number, progress in enumerate(plan.progress) if progress.starts}
    workers = ready_workers(plan) if left else []
    waited_for: set[str] = set()
    try:
        while left and not outcome.interrupted and not (outcome.failures and plan.settings["fail_fast"]):
            with ExitStack() as claims:
                folders = {number: plan.store.arm(plan.arms[number]).folder for number in sorted(left)}
                mine = {number for number, folder in folders.items() if claims.enter_context(claimed(folder))}
                now = plan.only(mine)
                for number in mine:
                    for note in now.progress[number].notes:
                        if note not in progress[number].notes:
                            console.say(f"note: {note}")
                    progress[number] = now.progress[number]
                if now.shards:
                    team, workers = workers or ready_workers(now), []
                    outcome.add(execute(now, team, console))
            left -= mine
            if not mine:
                holders = {holder(folders[number]) or "another process" for number in left}
                if holders - waited_for:
                    console.say(f"Waiting for {', '.join(sorted(holders))}, which trains {len(left)} of these arms.")
                waited_for |= holders
                time.sleep(WAIT)
    except KeyboardInterrupt:
        outcome.interrupted = True
    finally:
        for worker in workers:
            worker.stop()
    return Study(replace(plan, progress=tuple(progress)), outcome)


def ready_workers(plan: Plan) -> list[Worker]:
    """As many workers as the plan asks for, once they have tried its components.

    Raises:
        InputError: an arm could not be trained, or its results not be written.
    """
    workers = [Worker() for _ in range(plan.workers)]
    try:
        # All of them check, one answers: checking is what makes a worker ready to train.
        for worker in workers:
            worker.send(Check(tuple(arm.settings for arm in plan.arms)))
        answer, *_ = [worker.receive() for worker in workers]
        if isinstance(answer, Failed):
            raise InputError(f"the components could not be tried:\n{answer.traceback}")
        if isinstance(answer, Checked) and answer.problem:
            raise InputError(answer.problem)
        plan.store.prepare()
    except BaseException:
        for worker in workers:
            worker.stop()
        raise
    return workers


def _report(study: Study, console: Console) -> None:
    plan, outcome, folder = study.plan, study.outcome, study.plan.store.folder
    for failure in dict.fromkeys(outcome.failures):
        console.say(failure.rstrip())
    done = sum(len(progress.done) for progress in plan.progress)
    if done:
        asked = sum(len(seeds) for seeds in plan.seeds)
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
    logger = plan.arms[0].settings["logger"]
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


def _table(study: Study, summary: pd.DataFrame) -> Table:
    played = study.plan.arms[0].settings["evaluation"]["episodes"]
    score = f"of the last policy over {played} episodes" if played else "of the last update"
    table = Table(
        title=f"Study {study.plan.store.folder.name}",
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
        cells = [row["arm"], str(row["seeds"]), score, interval, f"{row['env_steps']:,}", str(row["diverged"])]
        table.add_row(*cells, *([str(left)] if unfinished.any() else []))
    return table
