"""Checkpoints cost less than 3 % of the time of training: a ratio within one run, on both sides of the pipe."""

import threading
import time
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

import pytest

import pglab
from pglab.cli import compose_runs
from pglab.store.states import Saved
from pglab.studies import worker
from pglab.studies.messages import Checkpoint, Job, Slice
from pglab.studies.ongoing import Ongoing
from pglab.studies.plan import make_plan

MOST = 0.03
GRID = ["weighting=baseline", "baseline=value", "seeds=50", "updates=40", "evaluation.episodes=0"]


def timed(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[float]:
    """The seconds of every call of a method from now on."""
    seconds, method = [], getattr(owner, name)

    def call(*arguments):
        began = time.perf_counter()
        try:
            return method(*arguments)
        finally:
            seconds.append(time.perf_counter() - began)

    monkeypatch.setattr(owner, name, call)
    return seconds


@pytest.mark.slow
def test_a_worker_spends_little_of_its_time_on_handing_over_checkpoints(tmp_path: Path):
    """Its time with checkpoints at every tenth update, of which those in which it makes and sends one are timed."""
    plan = make_plan(compose_runs([*GRID, f"results_dir={tmp_path}", "logger.mode=disabled"]))
    job = Job((Slice(0, plan.arms[0].settings, Saved(0, list(range(50)), {})),))
    ours, theirs = Pipe()

    def drain() -> None:
        with suppress(EOFError):
            while True:
                ours.recv()

    class Timed:
        """A connection that tells how long it takes from the last progress until a checkpoint is sent."""

        spent, count, last = 0.0, 0, 0.0

        def send(self, message: object) -> None:
            theirs.send(message)
            now = time.perf_counter()
            if isinstance(message, Checkpoint):
                self.spent += now - self.last
                self.count += 1
            self.last = now

        def poll(self) -> bool:
            return False

    threading.Thread(target=drain, daemon=True).start()
    connection, began = Timed(), time.perf_counter()
    worker._train(job, connection)  # pyright: ignore[reportArgumentType]
    total = time.perf_counter() - began
    theirs.close()
    print(f"{connection.count} checkpoints took {connection.spent / total:.2%} of {total:.1f} s")
    assert connection.count == 9
    assert connection.spent / total < MOST


@pytest.mark.slow
def test_a_command_spends_little_of_its_time_on_storing_checkpoints(tmp_path: Path, monkeypatch):
    seconds, began = timed(monkeypatch, Ongoing, "store"), time.perf_counter()
    pglab.run([*GRID, f"results_dir={tmp_path}", "logger.mode=disabled"])
    total = time.perf_counter() - began
    print(f"{len(seconds)} checkpoints took {sum(seconds) / total:.2%} of {total:.1f} s")
    assert len(seconds) > 1
    assert sum(seconds) / total < MOST
