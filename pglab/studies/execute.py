"""Carrying out a plan: workers train, the parent stores, shows and mirrors."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import wait

import numpy as np
import pandas as pd

from pglab.studies.console import Console
from pglab.studies.mirror import Mirror
from pglab.studies.ongoing import Ongoing
from pglab.studies.plan import Plan, Shard
from pglab.studies.provenance import provenance
from pglab.studies.store import ENDED, Ended
from pglab.studies.worker import Checkpoint, Done, Failed, Film, Job, Progress, Result, Slice, Worker

TICK = 0.1  # seconds between two looks at the clock while no worker reports
CHECKPOINT_SHARE = 0.03  # of the time, at most, goes into storing checkpoints
ALONE = 3  # runs of an arm that fail one by one, and none does not, until the arm is given up


@dataclass
class Outcome:
    """How a plan ended: what became of each run, and what went wrong."""

    status: dict[tuple[int, int], str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    def add(self, other: "Outcome") -> None:
        """Takes in what became of further runs."""
        self.status |= other.status
        self.failures += other.failures
        self.interrupted |= other.interrupted

    def count(self, status: str) -> int:
        return sum(value == status for value in self.status.values())


def execute(plan: Plan, workers: list[Worker], console: Console) -> Outcome:
    """Trains what is missing on the given workers and stores what comes of it; the arms' locks are held.

    A worker that dies is replaced. Ctrl-C ends the workers at once and keeps the rows that there
    are, with status `stopped`. A shard that raises is tried again in halves, down to the runs that
    raise alone: these end with status `failed`, all others go on.
    """
    execution = _Execution(plan, workers, console)
    try:
        execution.run()
    except KeyboardInterrupt:
        execution.outcome.interrupted = True
    except BaseException:
        execution.mirror.close(console.say, patience=0.0)
        raise
    finally:
        console.stop()
        for worker in workers:
            worker.stop()
    execution.close()
    return execution.outcome


class _Execution:
    def __init__(self, plan: Plan, workers: list[Worker], console: Console) -> None:
        self.outcome = Outcome()
        self._plan, self._workers, self._console = plan, workers, console
        self._waiting, self._busy = list(reversed(plan.shards)), dict[Worker, Shard]()
        self._alone: Counter[int] = Counter()  # runs of an arm that failed one by one
        self._sound: set[int] = set()  # arms of which a run has come to its end
        self._stopped, self._steps, self._began = False, 0, time.monotonic()
        self._landed: Done | None = None
        self._written, self._cost = time.monotonic(), 0.0  # of the last checkpoint
        self._warned = set[str]()  # of what could not be written
        self._unwritten: set[int] = set()  # arms with a newer checkpoint than the stored one
        self._ended: dict[int, set[int]] = {}  # seeds that were finished before, with fewer updates
        self._ongoing: dict[int, Ongoing] = {}
        self.mirror = Mirror(plan)

    def run(self) -> None:
        self._begin()
        self._console.start(self._plan)
        idle = list(self._workers)
        while (self._waiting or self._busy) and not self._stopped:
            while self._waiting and idle:
                self._send(idle.pop(), self._waiting.pop())
            ready = wait([worker.connection for worker in self._busy], timeout=TICK)
            for worker in [worker for worker in self._busy if worker.connection in ready]:
                message = worker.receive()
                if isinstance(message, Progress):
                    self._note(message)
                    continue
                if isinstance(message, Film):
                    self._store_film(message)
                    continue
                if isinstance(message, Checkpoint):
                    self._checkpoint(message)
                    continue
                shard = self._busy[worker]
                if isinstance(message, Done):
                    self._landed = message
                    self._store_done(message)
                elif isinstance(message, Failed):
                    self._isolate(shard, message.traceback)
                del self._busy[worker]
                idle.append(worker if worker.alive else self._replace(worker))
            self._write_checkpoints()
            self._console.tick()

    def close(self) -> None:
        """Stores what has not ended."""
        if self._landed:  # an interruption may have come while it was being stored
            self._store_done(self._landed)
        self._write_checkpoints(at_once=True)
        for shard in (*self._busy.values(), *self._waiting):
            self._store_unfinished(shard, "stopped")
        self.mirror.close(self._console.say, patience=0.5 if self.outcome.interrupted else None)

    def _begin(self) -> None:
        plan = self._plan
        for number, (arm, progress) in enumerate(zip(plan.arms, plan.progress, strict=True)):
            if not progress.starts:
                continue
            files = plan.store.arm(arm)
            about = files.about()
            runs = {} if about is None or progress.anew else about["runs"]
            ended = {seed for seed in progress.starts if runs.get(str(seed), {}).get("status") in ENDED}
            self._ended[number] = ended
            made_by = provenance(arm.settings)
            files.begin(progress.starts, made_by, progress.anew, plan.command, (plan.begun, number))
            self._ongoing[number] = Ongoing(files, progress.starts, ended)
            before = self._ongoing[number].rows(progress.starts)
            if len(before):
                self.mirror.log(number, {str(name): before[name].to_numpy() for name in before.columns})

    def _send(self, worker: Worker, shard: Shard) -> None:
        slices = [
            Slice(number, self._plan.arms[number].settings, saved, min(self._plan.seeds[number]))
            for number, seeds in shard.arms
            for saved in self._ongoing[number].slices(seeds)
        ]
        if not worker.alive:  # it ended while it had nothing to do
            worker = self._replace(worker)
        self._busy[worker] = shard
        worker.send(Job(tuple(slices)))

    def _replace(self, worker: Worker) -> Worker:
        worker.stop()
        self._workers.append(new := Worker())
        return new

    def _note(self, progress: Progress) -> None:
        for number, measures in progress.measures:
            self._ongoing[number].note(measures)
            self._console.show(number, measures)
            self.mirror.log(number, measures)

    def _checkpoint(self, checkpoint: Checkpoint) -> None:
        for number, saved in checkpoint.saved:
            self._ongoing[number].checkpoint(saved)
            self._unwritten.add(number)

    def _write_checkpoints(self, at_once: bool = False) -> None:
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

    @contextlib.contextmanager
    def _although_unwritten(self, what: str) -> Iterator[None]:
        """A checkpoint or film that cannot be stored costs a warning, once."""
        try:
            yield
        except OSError as error:
            if what not in self._warned:
                self._console.say(f"warning: no {what} could be written ({error}); training goes on")
            self._warned.add(what)

    def _store_film(self, film: Film) -> None:
        with self._although_unwritten("film"):
            if film.problem:
                raise OSError(film.problem)
            files = self._plan.store.arm(self._plan.arms[film.number])
            self.mirror.film(film.number, film.seed, film.update, files.keep_film(film.seed, film.update, film.content))

    def _isolate(self, shard: Shard, traceback: str) -> None:
        """Tries the runs of a shard that raised apart, and gives up on one that raises alone."""
        given_up = [n for n, _ in shard.arms if self._alone[n] >= ALONE and n not in self._sound]
        if self._plan.settings["fail_fast"] or shard.runs == 1 or len(given_up) == len(shard.arms):
            if shard.runs == 1:
                self._alone[shard.arms[0][0]] += 1
            self.outcome.failures.append(traceback)
            self._store_unfinished(shard, "failed", traceback)
            self._stopped = self._plan.settings["fail_fast"]
            return
        for number, seeds in shard.arms:
            self._ongoing[number].rewind(seeds)
        self._waiting += reversed(shard.halves())

    def _store_done(self, done: Done) -> None:
        by_arm: dict[int, list[Result]] = {}
        for result in done.results:
            if (result.number, result.saved.seeds[0]) not in self.outcome.status:
                by_arm.setdefault(result.number, []).append(result)
        for number, results in by_arm.items():
            seeds = [seed for result in results for seed in result.saved.seeds]
            rows = self._ongoing[number].rows(seeds)
            last = rows.groupby("seed")["diverged"].last()
            before = rows[rows["update"] <= rows["seed"].map(self._plan.progress[number].starts)]
            self._steps += _env_steps(rows) - _env_steps(before)
            status = {seed: "diverged" if last[seed] else "finished" for seed in seeds}
            policies = {
                seed: {name: array[row] for name, array in result.parameters.items()}
                for result in results
                for row, seed in enumerate(result.saved.seeds)
            }
            evaluations = [frame for result in results if (frame := _evaluation(result)) is not None]
            finished = [result.saved.of(s for s in seeds if status[s] == "finished") for result in results]
            ended = Ended(
                self._runs(number, rows, status),
                rows.drop(columns="diverged"),
                pd.concat(evaluations, ignore_index=True) if evaluations else None,
                policies,
                finished,
                self._steps / (time.monotonic() - self._began),
            )
            self._add(number, ended, status)

    def _store_unfinished(self, shard: Shard, status: str, error: str | None = None) -> None:
        for number, asked in shard.arms:
            if number not in self._ongoing:
                continue  # the interruption came before anything was begun
            seeds = [seed for seed in asked if (number, seed) not in self.outcome.status]
            rows = self._ongoing[number].rows(seeds)
            begun = seeds if status == "failed" else sorted(set(rows["seed"]))
            of_each = dict.fromkeys(begun, status)
            # What was finished with fewer updates stays so: it is not lost because more were asked for.
            replaced = {seed: status for seed in seeds if seed not in self._ended[number]}
            runs = self._runs(number, rows, replaced, error)
            kept = rows[rows["seed"].isin(list(replaced))].drop(columns="diverged")
            self._add(number, Ended(runs, kept), of_each)

    def _runs(
        self, number: int, rows: pd.DataFrame, status: Mapping[int, str], error: str | None = None
    ) -> dict[int, dict]:
        last = rows.groupby("seed")[["update", "env_steps"]].last().to_dict("index") if len(rows) else {}
        asked = self._plan.arms[number].settings["updates"]
        described = {} if error is None else {"error": error}
        none = {"update": 0, "env_steps": 0}
        counts = {seed: last.get(seed, none) for seed in status}
        return {
            int(seed): {
                "status": value,
                "updates": int(counts[seed]["update"]),
                "env_steps": int(counts[seed]["env_steps"]),
                "asked": asked,
                **described,
            }
            for seed, value in status.items()
        }

    def _add(self, number: int, ended: Ended, status: dict[int, str]) -> None:
        self._plan.store.arm(self._plan.arms[number]).add(ended)
        self.outcome.status |= {(number, seed): value for seed, value in status.items()}
        if done := [seed for seed, value in status.items() if value in ENDED]:
            self._sound.add(number)
            with self._although_unwritten("checkpoint"):
                self._ongoing[number].drop(done)
        self.mirror.finish(number, status)


def _env_steps(rows: pd.DataFrame) -> int:
    """Of all runs together, at their last rows."""
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
