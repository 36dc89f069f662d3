"""Showing a person how a study trains: a live view on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import IO, cast

import numpy as np
from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pglab.output import BestEffort, take_every_letter
from pglab.results.digits import NOTHING, measured
from pglab.shown import shown_lines
from pglab.studies.arm_table import ArmTable
from pglab.studies.plan import Plan

EVERY = 2.0  # seconds between two plain lines at first; a fifth of the time so far later on
MOST_ARMS = 20  # arms shown while training; the final table shows all
MOST_IN_LINE = 4  # arms in a plain line: of more, the range


class Console:
    """Progress of one plan; a fault of the output ends what is shown, and nothing else."""

    def __init__(self) -> None:
        take_every_letter()
        self._terminal = Terminal(highlight=False, file=cast(IO[str], BestEffort(sys.stdout)) if sys.stdout else None)
        if not self._terminal.is_terminal:
            self._terminal.width = 240  # a file or pipe has no width of its own
        self._live: Live | None = None
        self._noted: set[str] = set()

    def note(self, text: str) -> None:
        """A note that a person should read, said once."""
        if text not in self._noted:
            self._noted.add(text)
            self.say(f"note: {text}")

    def say(self, text: str) -> None:
        """One line, or a traceback, word-wrapped to the terminal."""
        self._terminal.print(shown_lines(text), markup=False, soft_wrap=True)

    def start(self, plan: Plan) -> None:
        self._plan = plan
        self._last: list[dict[int, float]] = [{} for _ in plan.arms]
        self._updates = [0 for _ in plan.arms]
        self._missing = [0 for _ in plan.arms]
        for shard in plan.shards:
            for number, seeds in shard.arms:
                self._missing[number] += len(seeds)
        counts = ((plan.missing, "run"), (sum(bool(m) for m in self._missing), "arm"), (plan.workers, "worker"))
        runs, arms, workers = (f"{n} {what}{'s' * (n != 1)}" for n, what in counts)
        self.say(f"Training {runs} ({arms}, {workers})" + plan.alike)
        work = [arm.updates_left for arm in plan.arms]
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("of {task.fields[runs]} runs, time left"),
            TimeRemainingColumn(),
            console=self._terminal,
        )
        self._task = self._progress.add_task("", total=max(sum(work), 1), runs=plan.missing)
        self._began = self._said = time.monotonic()
        if self._terminal.is_terminal:
            self._live = Live(console=self._terminal, get_renderable=self._view, refresh_per_second=4, transient=True)
            self._live.start()

    def updated(self, number: int, measures: Mapping[str, np.ndarray]) -> None:
        """Takes note of one update of some of an arm's runs."""
        known = ~np.isnan(measures["return_mean"])  # where an episode ended in the update
        last = zip(measures["seed"][known].tolist(), measures["return_mean"][known].tolist(), strict=True)
        self._last[number] |= dict(last)
        self._updates[number] += len(measures["seed"])
        self._progress.advance(self._task, len(measures["seed"]))

    def tick(self) -> None:
        now = time.monotonic()
        if self._live is None and now - self._said >= max(EVERY, (now - self._began) / 5):
            self._said = now
            task, left = self._progress.tasks[0], "time left unknown"
            if task.completed:
                left = f"{(now - self._began) * ((task.total or 1) / task.completed - 1):.0f} s left"
            self.say(f"{task.percentage:3.0f} %  {left}  mean return now: {self._means()}")

    def stop(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def table(self, table: RenderableType) -> None:
        self._terminal.print(table)

    def _shown(self) -> list[int]:
        return [number for number, missing in enumerate(self._missing) if missing][:MOST_ARMS]

    def _means(self) -> str:
        """Of each arm that trains or, where these are many, of the lowest and the highest."""
        names, training = self._plan.names, [number for number, missing in enumerate(self._missing) if missing]
        if len(training) <= MOST_IN_LINE:
            return "; ".join(f"{names[number]} {self._mean(number)}" for number in training)
        known = {number: np.mean(list(last.values())) for number, last in enumerate(self._last) if last}
        if not known:
            return NOTHING
        ends = (min(known, key=known.__getitem__), max(known, key=known.__getitem__))
        low, high = (f"{self._mean(number)} ({names[number]})" for number in ends)
        return f"{low} to {high}, {len(training)} arms"

    def _mean(self, number: int) -> str:
        return measured(float(np.mean(list(self._last[number].values())))) if self._last[number] else NOTHING

    def _view(self) -> Group:
        rows = []
        for number in self._shown():
            arm = self._plan.arms[number]
            of = arm.settings["updates"]
            left = arm.updates_left - self._updates[number]
            update = of - left // self._missing[number]
            cells = [str(self._missing[number]), f"{update}/{of}", self._mean(number)]
            rows.append((self._plan.names[number], cells))
        hidden = sum(missing > 0 for missing in self._missing) - MOST_ARMS
        if hidden > 0:
            rows.append((f"… and {hidden} more", ["", "", ""]))
        return Group(self._progress, ArmTable(("runs", "update", "mean return now"), rows))
