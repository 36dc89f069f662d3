"""Carrying out a plan: workers train, the parent stores, shows and mirrors."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import wait

import numpy as np
import pandas as pd

from pglab.studies.console import Console
from pglab.studies.mirror import Mirror
from pglab.studies.plan import Plan, Shard
from pglab.studies.worker import Done, Failed, Job, Progress, Result, Worker

TICK = 0.1  # seconds between two looks at the clock while no worker reports


@dataclass
class Outcome:
    """How a plan ended: what became of each run, and what went wrong."""

    status: dict[tuple[int, int], str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    def count(self, status: str) -> int:
        return sum(value == status for value in self.status.values())


class _Records:
    """What the runs of each arm have shown so far."""

    def __init__(self) -> None:
        self._measures: dict[int, list[dict[str, np.ndarray]]] = defaultdict(list)

    def add(self, number: int, measures: dict[str, np.ndarray]) -> None:
        self._measures[number].append(measures)

    def of(self, number: int, seeds: Iterable[int]) -> pd.DataFrame:
        """The rows of some seeds of an arm, in order of (seed, update)."""
        columns = self._measures[number]
        if not columns:
            return pd.DataFrame({"seed": np.arange(0), "update": np.arange(0), "diverged": np.arange(0) == 1})
        frame = pd.DataFrame({name: np.concatenate([part[name] for part in columns]) for name in columns[0]})
        return frame[frame["seed"].isin(list(seeds))].sort_values(["seed", "update"], ignore_index=True)


def execute(plan: Plan, workers: list[Worker], console: Console) -> Outcome:
    """Trains what is missing on the given workers and stores what comes of it.

    A worker that dies is replaced. Ctrl-C ends the workers at once and keeps the rows that there
    are, with status `stopped`. A shard that raises ends with status `failed`; the others go on.
    """
    outcome, records = Outcome(), _Records()
    waiting = list(reversed(plan.shards))
    idle = list(workers)
    busy: dict[Worker, Shard] = {}
    landed: Done | None = None
    mirror = Mirror(plan)
    console.start(plan)
    try:
        while waiting or busy:
            while waiting and idle:
                worker, shard = idle.pop(), waiting.pop()
                worker.send(Job(tuple((n, plan.arms[n].settings, seeds) for n, seeds in shard.arms)))
                busy[worker] = shard
            ready = wait([worker.connection for worker in busy], timeout=TICK)
            for worker in [worker for worker in busy if worker.connection in ready]:
                message = worker.receive()
                if isinstance(message, Progress):
                    for number, measures in message.measures:
                        records.add(number, measures)
                        console.show(number, measures)
                        mirror.log(number, measures)
                    continue
                if isinstance(message, Done):
                    landed = message
                    _store_done(plan, records, message, outcome, mirror)
                elif isinstance(message, Failed):
                    outcome.failures.append(message.traceback)
                    _store_unfinished(plan, records, busy[worker], "failed", outcome, mirror)
                del busy[worker]
                if not worker.alive:
                    workers.append(worker := Worker())
                idle.append(worker)
            console.tick()
    except KeyboardInterrupt:
        outcome.interrupted = True
    finally:
        console.stop()
        for worker in workers:
            worker.stop()
    if landed:  # an interruption may have come while it was being stored
        _store_done(plan, records, landed, outcome, mirror)
    for shard in (*busy.values(), *waiting):
        _store_unfinished(plan, records, shard, "stopped", outcome, mirror)
    mirror.close(console.say, patience=0.5 if outcome.interrupted else None)
    return outcome


def _store_done(plan: Plan, records: _Records, done: Done, outcome: Outcome, mirror: Mirror) -> None:
    for result in done.results:
        if (result.number, result.seeds[0]) in outcome.status:
            continue
        frame = records.of(result.number, result.seeds)
        last = frame.groupby("seed")["diverged"].last()
        status = {seed: "diverged" if last[seed] else "finished" for seed in result.seeds}
        policies = {
            seed: {name: array[row] for name, array in result.parameters.items()}
            for row, seed in enumerate(result.seeds)
        }
        _store(plan, result.number, frame, status, _evaluation(result), policies, outcome, mirror)


def _store_unfinished(
    plan: Plan, records: _Records, shard: Shard, status: str, outcome: Outcome, mirror: Mirror
) -> None:
    for number, asked in shard.arms:
        seeds = [seed for seed in asked if (number, seed) not in outcome.status]
        frame = records.of(number, seeds)
        begun = seeds if status == "failed" else sorted(set(frame["seed"]))
        if begun:
            _store(plan, number, frame, dict.fromkeys(begun, status), None, {}, outcome, mirror)


def _store(
    plan: Plan,
    number: int,
    frame: pd.DataFrame,
    status: dict[int, str],
    evaluation: pd.DataFrame | None,
    policies: dict[int, dict[str, np.ndarray]],
    outcome: Outcome,
    mirror: Mirror,
) -> None:
    arm = plan.arms[number]
    last = frame.groupby("seed")["update"].last()
    runs = {
        int(seed): {"status": value, "updates": int(last.get(seed, 0)), "asked": arm.settings["updates"]}
        for seed, value in status.items()
    }
    plan.store.add(arm, runs, frame.drop(columns="diverged"), evaluation, policies)
    outcome.status |= {(number, seed): value for seed, value in status.items()}
    mirror.finish(number, status)


def _evaluation(result: Result) -> pd.DataFrame | None:
    if result.evaluation is None:
        return None
    returns, length = result.evaluation["returns"], result.evaluation["length"]
    runs, played = returns.shape
    return pd.DataFrame(
        {
            "seed": np.repeat(result.seeds, played),
            "episode": np.tile(np.arange(1, played + 1), runs),
            "return": returns.ravel(),
            "length": length.ravel(),
        }
    )
