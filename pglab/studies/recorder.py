"""Storing what workers report: progress in memory, checkpoints now and then, results as soon as there are any."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from pglab.store.records import RunRecord, Status
from pglab.store.writer import Ended
from pglab.studies.messages import WITHOUT_A_WORD, Checkpoint, Done, Failed, Film, Job, Lost, Result, Slice, Updated
from pglab.studies.ongoing import Ongoing
from pglab.studies.plan import Plan, Shard
from pglab.studies.provenance import provenance

CHECKPOINT_SHARE = 0.03  # of the time, at most, goes into storing checkpoints
RESULTS_SHARE = 0.1  # of the time, at most, goes into storing results while there is more to come
TRIES = 3  # times that a shard may lose its worker and come no further
ALONE = 3  # runs of an arm that fail one by one, and none does not, until the arm is given up


@dataclass
class Outcome:
    """The end of a plan: what became of each run (by its arm's number and its seed), and what went wrong."""

    status: dict[tuple[int, int], Status] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    def add(self, other: "Outcome") -> None:
        """Takes in what became of further runs."""
        self.status |= other.status
        self.failures += other.failures
        self.interrupted |= other.interrupted

    def count(self, status: Status) -> int:
        return sum(value == status for value in self.status.values())


class Listener(Protocol):
    """Somebody who is told what happens, and of what could not be written."""

    def updated(self, number: int, measures: Mapping[str, np.ndarray]) -> None:
        """Some runs of the arm with this number have made an update."""
        ...

    def say(self, text: str) -> None:
        """A person should know this."""
        ...


class Recorder:
    """Stores one plan's runs; the locks of its arms are held."""

    def __init__(self, plan: Plan, listener: Listener) -> None:
        self.outcome = Outcome()
        self._plan, self._listener = plan, listener
        self._alone: Counter[int] = Counter()  # runs of an arm that failed one by one
        self._sound: set[int] = set()  # arms of which a run has come to its end
        self._steps, self._began = 0, time.monotonic()
        self._losses: Counter[tuple[int, int]] = Counter()  # of runs, since they last came further
        self._landed: list[Done] = []  # and not stored yet
        self._stored, self._storing = time.monotonic(), 0.0  # when results were, and how long that took
        self._written, self._cost = time.monotonic(), 0.0  # of the last checkpoint
        self._warned = set[str]()  # of what could not be written
        self._unwritten: set[int] = set()  # arms with a newer checkpoint than the stored one
        self._ended: dict[int, set[int]] = {}  # seeds that were finished before, with fewer updates
        self._ongoing: dict[int, Ongoing] = {}

    def begin(self) -> None:
        """Writes down which runs are going to be trained."""
        for number, planned in enumerate(self._plan.arms):
            starts, files = planned.standing.starts, planned.files
            if not starts:
                continue
            record = files.files.record()
            runs = {} if record is None or planned.standing.anew else record.runs
            ended = {seed for seed in starts if seed in runs and runs[seed].ended}
            self._ended[number] = ended
            place = (self._plan.begun, number)
            files.begin(starts, provenance(planned.settings), planned.standing.anew, self._plan.command, place)
            self._ongoing[number] = Ongoing(files, starts, ended)

    def job(self, shard: Shard) -> Job:
        """The shard's runs, each with what it goes on from."""
        slices = [
            Slice(number, self._plan.arms[number].settings, saved, min(self._plan.arms[number].seeds))
            for number, seeds in shard.arms
            for saved in self._ongoing[number].slices(seeds)
        ]
        return Job(tuple(slices))

    def updated(self, event: Updated) -> None:
        """Takes note of an update."""
        for number, measures in event.measures:
            self._ongoing[number].note(measures)
            self._listener.updated(number, measures)

    def checkpoint(self, event: Checkpoint, shard: Shard) -> None:
        """Takes note of a shard's states, which `write_checkpoints` stores."""
        for run in shard.each if self._losses else ():
            self._losses.pop(run, None)
        for number, saved in event.saved:
            self._ongoing[number].checkpoint(saved)
            self._unwritten.add(number)

    def write_checkpoints(self, at_once: bool = False) -> None:
        """Stores what is new, unless that would take too large a share of the time."""
        began = time.monotonic()
        if not self._unwritten or (began - self._written < self._cost / CHECKPOINT_SHARE and not at_once):
            return
        with self._although_unwritten("checkpoint"):
            for number in sorted(self._unwritten):
                self._ongoing[number].store()
        self._unwritten.clear()
        self._written = time.monotonic()
        self._cost = self._written - began

    def film(self, event: Film) -> None:
        """Stores a film."""
        with self._although_unwritten("film"):
            if event.problem:
                raise OSError(event.problem)
            self._plan.arms[event.number].files.keep_film(event.seed, event.update, event.content)

    def done(self, event: Done) -> None:
        """Takes note of the runs of a shard that came to their end, which `store_results` stores."""
        self._landed.append(event)
        self._sound |= {result.number for result in event.results}

    def store_results(self, at_once: bool = False) -> None:
        """Stores what has landed, all of it together, unless that would take too large a share of the time."""
        began = time.monotonic()
        if not self._landed or (began - self._stored < self._storing / RESULTS_SHARE and not at_once):
            return
        by_arm: dict[int, list[Result]] = {}
        for result in (result for event in self._landed for result in event.results):
            if (result.number, result.saved.seeds[0]) not in self.outcome.status:
                by_arm.setdefault(result.number, []).append(result)
        for number, results in by_arm.items():
            self._store_results(number, results)
        self._landed.clear()
        self._stored = time.monotonic()
        self._storing = self._stored - began

    def lost(self, shard: Shard, event: Lost) -> list[Shard]:
        """Returns the shard of a worker that is gone, to go on from its last checkpoint.

        One that loses its workers and comes no further is taken to have raised.
        """
        if not event.told:
            self._losses.update(shard.each)
        if max(self._losses[run] for run in shard.each) >= TRIES:
            return self.failed(shard, Failed(f"{WITHOUT_A_WORD}, again and again"))
        for number, seeds in shard.arms:
            self._ongoing[number].rewind(seeds)
        return [shard]

    def failed(self, shard: Shard, event: Failed) -> list[Shard]:
        """Returns the parts in which a shard that raised is to be tried again, down to the run that raises alone.

        Where there is none, its runs are stored as failed.
        """
        given_up = [n for n, _ in shard.arms if self._alone[n] >= ALONE and n not in self._sound]
        if self._plan.settings["fail_fast"] or shard.runs == 1 or len(given_up) == len(shard.arms):
            if shard.runs == 1:
                self._alone[shard.arms[0][0]] += 1
            self.outcome.failures.append(event.shown)
            self._store_unfinished(shard, "failed", event.traceback)
            return []
        for number, seeds in shard.arms:
            self._ongoing[number].rewind(seeds)
        return shard.halves()

    def close(self, unfinished: Sequence[Shard]) -> None:
        """Stores what has not ended."""
        self.store_results(at_once=True)  # also what an interruption kept from being stored
        self.write_checkpoints(at_once=True)
        for shard in unfinished:
            self._store_unfinished(shard, "stopped")

    def _store_results(self, number: int, results: Sequence[Result]) -> None:
        seeds = [seed for result in results for seed in result.saved.seeds]
        rows = self._ongoing[number].rows(seeds)
        last = rows.groupby("seed")["diverged"].last()
        before = rows[rows["update"] <= rows["seed"].map(self._plan.arms[number].standing.starts)]
        self._steps += _env_steps(rows) - _env_steps(before)
        status: dict[int, Status] = {seed: "diverged" if last[seed] else "finished" for seed in seeds}
        policies = {
            seed: {name: array[row] for name, array in result.parameters.items()}
            for result in results
            for row, seed in enumerate(result.saved.seeds)
        }
        evaluations = [frame for result in results if (frame := _evaluation(result)) is not None]
        ended = Ended(
            self._runs(number, rows, status),
            rows.drop(columns="diverged"),
            pd.concat(evaluations, ignore_index=True) if evaluations else None,
            policies,
            [result.saved.of(s for s in seeds if status[s] == "finished") for result in results],
            self._steps / (time.monotonic() - self._began),
        )
        self._add(number, ended, status)

    def _store_unfinished(self, shard: Shard, status: Status, error: str | None = None) -> None:
        for number, asked in shard.arms:
            if number not in self._ongoing:
                continue  # the interruption came before anything was begun
            seeds = [seed for seed in asked if (number, seed) not in self.outcome.status]
            rows = self._ongoing[number].rows(seeds)
            begun = seeds if status == "failed" else sorted(set(rows["seed"]))
            # What was finished with fewer updates stays so: it is not lost because more were asked for.
            replaced: dict[int, Status] = {seed: status for seed in seeds if seed not in self._ended[number]}
            kept = rows[rows["seed"].isin(list(replaced))].drop(columns="diverged")
            self._add(number, Ended(self._runs(number, rows, replaced, error), kept), dict.fromkeys(begun, status))

    def _runs(
        self, number: int, rows: pd.DataFrame, status: Mapping[int, Status], error: str | None = None
    ) -> dict[int, RunRecord]:
        last = rows.groupby("seed")[["update", "env_steps"]].last() if len(rows) else rows
        asked, found = self._plan.arms[number].settings["updates"], {}
        for seed, ended in status.items():
            updates, steps = (int(count) for count in last.loc[seed].to_numpy()) if seed in last.index else (0, 0)
            found[seed] = RunRecord(ended, updates, asked, steps, error=error)
        return found

    def _add(self, number: int, ended: Ended, status: Mapping[int, Status]) -> None:
        self._plan.arms[number].files.add(ended)
        self.outcome.status |= {(number, seed): value for seed, value in status.items()}
        if done := [seed for seed, value in status.items() if value in ("finished", "diverged")]:
            with self._although_unwritten("checkpoint"):
                self._ongoing[number].drop(done)

    @contextlib.contextmanager
    def _although_unwritten(self, what: str) -> Iterator[None]:
        """A checkpoint or film that cannot be stored costs a warning, once."""
        try:
            yield
        except OSError as error:
            if what not in self._warned:
                self._listener.say(f"warning: no {what} could be written ({error}); training goes on")
            self._warned.add(what)


def _env_steps(rows: pd.DataFrame) -> int:
    """Steps of all runs together, at their last rows."""
    return int(rows.groupby("seed")["env_steps"].last().sum()) if len(rows) else 0


def _evaluation(result: Result) -> pd.DataFrame | None:
    if result.evaluation is None:
        return None
    returns, length = result.evaluation["returns"], result.evaluation["length"]
    runs, played = returns.shape
    return pd.DataFrame(
        {
            "seed": np.repeat(result.saved.seeds, played),
            "episode": np.tile(np.arange(1, played + 1), runs),
            "return": returns.ravel(),
            "length": length.ravel(),
        }
    )
