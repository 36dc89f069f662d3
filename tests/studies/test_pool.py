"""The pool is a door: whoever gives workers and yields their events trains a plan."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import pglab
from pglab.cli import compose_runs
from pglab.errors import InputError
from pglab.studies import worker
from pglab.studies.console import Console
from pglab.studies.execute import execute
from pglab.studies.messages import Check, Done, Event, Failed, Job
from pglab.studies.plan import Shard, make_plan
from pglab.studies.pool import LocalPool

NUMBERS = ("updates.parquet", "evaluation.parquet", "policies.npz")


class HerePool:
    """Trains in this very process, one shard after the other, and loses the first shard that it is given."""

    def __init__(self) -> None:
        self._given: deque[tuple[Shard, Job]] = deque()
        self._lost = False

    @property
    def idle(self) -> int:
        return 1 - len(self._given)

    def check(self, settings: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]] = ()) -> Sequence[str]:
        checked = worker._check(Check(tuple(settings), tuple(stored)))
        if checked.problem:
            raise InputError(checked.problem)
        return checked.programs

    def send(self, shard: Shard, job: Job) -> None:
        self._given.append((shard, job))

    def events(self, patience: float) -> Iterator[tuple[Shard, Event]]:
        shard, job = self._given.popleft()
        if not self._lost:
            self._lost = True
            yield shard, Failed("lost")
            return
        sent: list[Event] = []

        class Connection:
            def send(self, event: Event) -> None:
                sent.append(event)

            def poll(self) -> bool:
                return False

        done = worker._train(job, Connection())  # pyright: ignore[reportArgumentType]
        assert isinstance(done, Done)
        for event in [*sent, done]:
            yield shard, event

    def stop(self) -> None:
        self._given.clear()


def test_a_pool_of_ones_own_stores_the_bits_that_processes_store(study: Path, tmp_path: Path, tiny, contents):
    plan = make_plan(
        compose_runs(["weighting=total,rtg", "seed=0,1,2", *tiny, "study=small", f"results_dir={tmp_path}"])
    )
    pool = HerePool()
    pool.check([arm.settings for arm in plan.arms])
    outcome = execute(plan, pool, Console())
    assert (outcome.failures, outcome.count("finished")) == ([], 6)
    here, there = contents(tmp_path / "small"), contents(study)
    numbers = [name for name in there if name.endswith(NUMBERS)]
    assert len(numbers) == 2 * len(NUMBERS)
    assert [name for name in numbers if here[name] != there[name]] == []


def test_a_component_that_does_not_fit_is_refused_by_the_pool(tiny):
    (composed,) = compose_runs([*tiny, "head=sigmoid", "env=random_mdp"])
    pool = LocalPool(1)
    try:
        with pytest.raises(InputError, match="sigmoid head chooses between 2 actions"):
            pool.check([composed.settings])
    finally:
        pool.stop()


def test_a_worker_that_dies_while_idle_is_replaced(tmp_path: Path, tiny):
    plan = make_plan(compose_runs([*tiny, f"results_dir={tmp_path}"]))
    pool = LocalPool(1)
    try:
        pool.check([arm.settings for arm in plan.arms])
        pool._idle[0].stop()
        assert execute(plan, pool, Console()).count("finished") == 1
    finally:
        pool.stop()
    assert len(pglab.results.load(tmp_path)) == 2
