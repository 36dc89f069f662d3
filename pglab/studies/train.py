"""One command, from what was composed to what was found."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from warnings import catch_warnings

import numpy as np
import pandas as pd

from pglab.errors import InputError
from pglab.results import IncompleteStudy, load, load_evaluation, summarize
from pglab.settings import as_now
from pglab.store.lock import claimed, holder
from pglab.store.writer import prepare
from pglab.studies.asked import Composed
from pglab.studies.checks import dials_in
from pglab.studies.cluster.door import Door
from pglab.studies.console import Console
from pglab.studies.ending import say_next, say_results, say_what_became
from pglab.studies.execute import execute
from pglab.studies.forecast import forecast
from pglab.studies.known_twins import note_twins, told_twins
from pglab.studies.messages import Size
from pglab.studies.notes import backends, lacks_baseline, unused_baseline
from pglab.studies.outside import outside
from pglab.studies.plan import Plan, make_plan
from pglab.studies.pool import LocalPool, Pool
from pglab.studies.provenance import foreign_targets
from pglab.studies.recorder import Outcome
from pglab.studies.references import note_references
from pglab.studies.twins import Programs, stored_besides
from pglab.tracking.live import Followed, Follower
from pglab.tracking.sweep_agent import report_objective

FAILED, INTERRUPTED = 1, 130  # exit statuses
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

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of the arms and seeds that this command asked for."""
        with catch_warnings(action="ignore", category=IncompleteStudy):  # the table tells of what was asked for
            return self._asked(load(self.plan.folder, [arm.name for arm in self.plan.arms]))

    @cached_property
    def evaluation(self) -> pd.DataFrame:
        """The final evaluation of the same runs."""
        with catch_warnings(action="ignore", category=IncompleteStudy):
            return self._asked(load_evaluation(self.plan.folder, [arm.name for arm in self.plan.arms]))

    def objective(self) -> float:
        """The mean score of all runs, for a sweeper that searches."""
        summary = summarize(self.rows, self.evaluation)
        return float(np.average(summary["score"], weights=summary["seeds"]))

    def _asked(self, frame: pd.DataFrame) -> pd.DataFrame:
        asked = pd.MultiIndex.from_tuples([(arm.full_name, seed) for arm in self.plan.arms for seed in arm.seeds])
        kept = pd.MultiIndex.from_frame(frame[["arm", "seed"]]).isin(asked)
        order = {arm.full_name: number for number, arm in enumerate(self.plan.arms)}
        return frame[kept].sort_values("arm", key=lambda arm: arm.map(order), kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Tried:
    """The outcome of trying the components of arms.

    Attributes:
        programs: by the name of each arm, and of arms that the study has besides.
        by_torch: why torch computes an arm under `backend=native`, empty where compiled code does; by its shown name.
        sizes: of the arms by name, where there is only to be a plan.
    """

    programs: Programs = field(default_factory=dict)
    by_torch: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=dict)


def train(composed: Sequence[Composed], command: str = "") -> Trained:
    """Checks everything, trains what is missing, and says how it went.

    An arm that another process is training is left to it; what that has not finished when it
    lets go is taken over.

    Args:
        command: that asked for this, to be kept with the results.

    Raises:
        InputError: bad input; nothing was trained or written.
    """
    plan, console = make_plan(composed, command), Console()
    if plan.settings["plan"]:
        doubt, tried = "", Tried()
        try:
            tried = _tried_alone(plan)
            plan = make_plan(composed, command, tried.programs)
        except InputError as error:
            doubt = f"the command would be refused as things are here: {error}"
        _say_notes(plan, console, tried)
        console.table(forecast(plan, tried.sizes))
        for line in filter(None, (told_twins(plan), doubt)):
            console.say(line)
        return Trained(plan, Outcome())
    trained, mirrored = carry_out(plan, composed, command, console)
    say_how_it_went(trained, console, mirrored)
    report_to_sweep(trained, console)
    return trained


def carry_out(plan: Plan, composed: Sequence[Composed], command: str, console: Console) -> tuple[Trained, str | None]:
    """Trains what is missing; returns what became of it, and a line on what W&B has, where there is one.

    Args:
        plan: of what was composed.

    Raises:
        InputError: bad input; nothing was trained or written.
    """
    pool, tried = None, Tried()
    if plan.missing:
        pool, tried = ready_pool(plan, console.say)
        plan = make_plan(composed, command, tried.programs)
    _say_notes(plan, console, tried)
    follower = Follower(_followed(plan))
    try:
        trained = _train_claimed(plan, console, follower, pool)
        return trained, follower.finish(trained.outcome.interrupted)
    finally:
        follower.stop()


def _say_notes(plan: Plan, console: Console, tried: Tried) -> None:
    """Tells what a person should know before anything is trained."""
    begun = [arm.settings for arm in plan.arms if arm.standing.starts]
    notes = [
        lacks_baseline([arm.composed for arm in plan.asked]),
        unused_baseline([arm.arm.composed for arm in plan.arms]),
        *(f"{name}: {note}" for name, arm in zip(plan.names, plan.arms, strict=True) for note in arm.standing.notes),
        backends(tried.by_torch),
        outside({target for settings in begun for target in foreign_targets(settings)}),
    ]
    for note in filter(None, notes):
        console.note(note)


def say_how_it_went(
    trained: Trained, console: Console, mirrored: str | None, verdicts: Sequence[str] | None = None
) -> None:
    """Says what became of the runs, the score of each arm, the verdicts, and what to do next.

    Args:
        mirrored: a line on what W&B has.
        verdicts: in place of those of a fixed number of seeds, and of the hint at more.
    """
    plan, outcome = trained.plan, trained.outcome
    try:
        if say_what_became(console, plan, outcome):
            say_results(console, plan, trained.rows, trained.evaluation, verdicts)
            statuses = trained.rows["status"].unique().tolist()
            say_next(console, plan, outcome, statuses, mirrored, hints=verdicts is None)
    except KeyboardInterrupt:
        outcome.interrupted = True
        console.say(f"Interrupted. Everything is stored in {plan.folder}; the same command again says what came of it.")


def report_to_sweep(trained: Trained, console: Console) -> None:
    """Gives the mean score to the W&B sweep that started this command, where one did."""
    logger = trained.plan.settings["logger"]
    sweeps = trained.exit_status == 0 and logger["mode"] != "disabled"
    if lost := sweeps and report_objective(trained.objective, logger["timeout"]):
        console.say(lost)


def _followed(plan: Plan) -> Followed:
    """The runs that are left to train, as W&B is to have them."""
    left = [arm for arm in plan.arms if arm.standing.starts]
    arms = {arm.name: (tuple(arm.standing.starts), arm.settings["updates"]) for arm in left}
    return Followed(plan.folder, arms, plan.settings["logger"])


def _train_claimed(plan: Plan, console: Console, follower: Follower, pool: Pool | None) -> Trained:
    """Trains one arm after another as they can be claimed: all at once, where nobody else is at work.

    Args:
        pool: of workers, which are ended; None where nothing is left to train.

    Returns:
        The plan with each arm's standing as it was when it was claimed, and what became of it.
    """
    outcome, arms = Outcome(), list(plan.arms)
    left = {number for number, arm in enumerate(arms) if arm.standing.starts}
    waited_for: set[str] = set()
    try:
        follower.start()
        while pool and left and not outcome.interrupted and not (outcome.failures and plan.settings["fail_fast"]):
            with ExitStack() as claims:
                mine = {number for number in left if claims.enter_context(claimed(arms[number].files.folder))}
                now = plan.only(mine)
                for number in mine:
                    for note in now.arms[number].standing.notes:
                        if note not in arms[number].standing.notes:
                            console.note(f"{plan.names[number]}: {note}")
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
        if not outcome.interrupted:
            note_references(plan)
            note_twins(plan)
    except KeyboardInterrupt:
        outcome.interrupted = True
    finally:
        if pool:
            pool.stop()
    return Trained(replace(plan, arms=tuple(arms)), outcome)


def ready_pool(plan: Plan, say: Callable[[str], None] = print) -> tuple[Pool, Tried]:
    """As many workers as the plan asks for, once its components were tried here; and what came of that.

    Args:
        say: tells a person of what workers on other machines do.

    Raises:
        InputError: an arm could not be trained, its results not be written, or workers not be started.
    """
    if dials_in(plan.settings):
        with Door(plan.settings["cluster"]) as door:
            tried = _tried_alone(plan)
            prepare(plan.folder)
            return door.open(plan, say), tried
    pool = LocalPool(plan.workers)
    try:
        tried = _tried(plan, pool)
        prepare(plan.folder)
    except BaseException:
        pool.stop()
        raise
    return pool, tried


def _tried_alone(plan: Plan) -> Tried:
    """The same of a plan that is not to be carried out; nothing where nothing is left to do.

    Raises:
        InputError: an arm could not be trained.
    """
    if not plan.missing:
        return Tried()
    pool = LocalPool(1)
    try:
        return _tried(plan, pool)
    finally:
        pool.stop()


def _tried(plan: Plan, pool: LocalPool) -> Tried:
    names = [arm.name for arm in plan.asked]
    stored = stored_besides(plan.folder, names)
    asked, there = [arm.settings for arm in plan.asked], [as_now(record.identity) for record in stored]
    if dials_in(plan.settings):  # whoever trains may have a device that there is not here
        checked = pool.check(*([{**settings, "device": "cpu"} for settings in some] for some in (asked, there)))
        devices = [str(settings.get("device")) for settings in (*asked, *there)]
        texts = [f"{text} on {device}" for text, device in zip(checked.programs, devices, strict=True)]
    else:
        checked = pool.check(asked, there)
        texts = checked.programs
    programs = dict(zip([*names, *(record.arm for record in stored)], texts, strict=True))
    shown = dict(zip([arm.name for arm in plan.arms], plan.names, strict=True))
    why = {shown.get(name, name): why for name, why in zip(names, checked.by_torch, strict=True)}
    sizes = dict(zip(names, checked.sizes, strict=False))
    return Tried(programs, {name: reason for name, reason in why.items() if reason is not None}, sizes)
