"""Processes that train shards.

Each is a process of its own with one thread of arithmetic: that keeps the bits of a sum the
same, lets shards train side by side, and lets the parent stop one at any moment, whatever a
user's component is doing.
"""

import contextlib
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from pglab.errors import InputError
from pglab.studies.films import take
from pglab.studies.process import start
from pglab.studies.saved import Saved

if TYPE_CHECKING:
    from pglab.training.bundle import Bundle
    from pglab.training.measures import Measures

PARENT_CHECK = 0.5  # seconds between two looks at whether the parent is still there
STANDARD_ERROR = 2  # that of this process; `sys.stderr` is none in a notebook
CHECKPOINT_SECONDS = 30.0  # at most between two checkpoints; a tenth of a run comes first where it is shorter


@dataclass(frozen=True)
class Check:
    """Settings of arms whose components are to be built and tried for fit."""

    settings: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Checked:
    """What is wrong with the first arm that could not be trained, or nothing."""

    problem: str | None


@dataclass(frozen=True)
class Slice:
    """Runs of one arm that have made the same number of updates.

    Attributes:
        number: of the arm in the plan.
        saved: what the runs go on from; with update 0 and no state, from the beginning.
        filmed: the seed of which episodes are to be filmed, if any of these is.
    """

    number: int
    settings: Mapping[str, Any]
    saved: Saved
    filmed: int | None = None


@dataclass(frozen=True)
class Job:
    """A shard to train."""

    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Progress:
    """One update: of each slice in training its arm's number and what its runs showed.

    Plain arrays here and in `Result`: a class of the trainer's would bring torch into the parent.
    """

    measures: list[tuple[int, dict[str, np.ndarray]]]


@dataclass(frozen=True)
class Film:
    """An episode of a run's policy as it was after an update: a video's content, or why there is none."""

    number: int
    seed: int
    update: int
    content: bytes
    problem: str


@dataclass(frozen=True)
class Checkpoint:
    """What the runs of a shard could go on from: of each slice its arm's number and state."""

    saved: list[tuple[int, Saved]]


@dataclass(frozen=True)
class Result:
    """What a slice's runs ended with."""

    number: int
    saved: Saved
    evaluation: dict[str, np.ndarray] | None
    parameters: dict[str, np.ndarray]


@dataclass(frozen=True)
class Done:
    """A shard was trained and evaluated."""

    results: list[Result]


@dataclass(frozen=True)
class Failed:
    """A shard raised."""

    traceback: str


class Worker:
    """The parent's end of a worker process."""

    def __init__(self) -> None:
        single = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        self._process, self.connection = start(__name__, single, stdout=STANDARD_ERROR)

    def send(self, order: Check | Job) -> None:
        with contextlib.suppress(OSError):  # that the process is gone shows in `receive`
            self.connection.send(order)

    def receive(self) -> Checked | Progress | Film | Checkpoint | Done | Failed:
        """What the worker reports; a process that is gone has failed."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):  # also in the middle of a message
            self.stop()
            return Failed("the worker process ended without a word (killed, or out of memory?)")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None and not self.connection.closed

    def stop(self) -> None:
        """Ends the process at once; what it was training is lost to it."""
        self._process.kill()
        self._process.wait()
        self.connection.close()


def serve(descriptor: int) -> None:
    """Carries out one order after another until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(descriptor)
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            order = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = _check(order) if isinstance(order, Check) else _train(order, connection)
        except BaseException:
            answer = Failed(traceback.format_exc())
        try:
            connection.send(answer)
        except OSError:
            return


def _end_with(parent: int) -> None:
    """Ends this process once its parent is gone, even in the middle of a user's component."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK)
    os._exit(1)


def _check(order: Check) -> Checked:
    from pglab.build import build_component, check_components
    from pglab.watching.stage import FILMED, check_drawn

    try:
        for settings in order.settings:
            check_components(settings)
            if every := settings["render_every"]:
                check_drawn(build_component(settings, "env"), FILMED, f"render_every={every}")
    except InputError as error:
        return Checked(str(error))
    return Checked(None)


def _train(job: Job, connection: Connection) -> Done:
    import torch

    from pglab.build import build_arm, build_diagnostics, build_shapes
    from pglab.training.bundle import Bundle

    settings = job.slices[0].settings
    arms = [build_arm(part.settings, part.saved.seeds) for part in job.slices]
    bundle = Bundle(build_shapes(settings), arms, build_diagnostics(settings))
    states = bundle.state()
    for number, part in enumerate(job.slices):
        if part.saved.state:
            states[number] = {name: torch.from_numpy(array.copy()) for name, array in part.saved.state.items()}
    bundle.restore(states)

    def saved() -> list[Saved]:
        return [
            Saved(int(state["counters/update"]), part.saved.seeds, {name: x.cpu().numpy() for name, x in state.items()})
            for part, state in zip(job.slices, bundle.state(), strict=True)
        ]

    tenths = [max(1, -(-part.settings["updates"] // 10)) for part in job.slices]
    checkpointed = time.monotonic()
    while not bundle.finished:
        measured = bundle.step()
        connection.send(Progress([(job.slices[arm].number, vars(measures)) for arm, measures in measured]))
        for film in _films(job, bundle, measured):
            connection.send(film)
        passed = any(int(measures.update[0]) % tenths[arm] == 0 for arm, measures in measured)
        if not bundle.finished and (passed or time.monotonic() - checkpointed >= CHECKPOINT_SECONDS):
            connection.send(Checkpoint([(part.number, s) for part, s in zip(job.slices, saved(), strict=True)]))
            checkpointed = time.monotonic()
    episodes = settings["evaluation"]["episodes"]
    evaluations = bundle.evaluate(episodes) if episodes else [None] * len(arms)
    ended = zip(job.slices, saved(), evaluations, bundle.parameters(), strict=True)
    return Done(
        [
            Result(part.number, state, vars(evaluation) if evaluation else None, parameters)
            for part, state, evaluation, parameters in ended
        ]
    )


def _films(job: Job, bundle: "Bundle", measured: "list[tuple[int, Measures]]") -> Iterator[Film]:
    """An episode of each run that is to be filmed after this update, with its policy as it is now."""
    every = job.slices[0].settings["render_every"]
    for arm, measures in measured:
        part, update = job.slices[arm], int(measures.update[0])
        seed = part.filmed
        if not every or update % every or seed is None or seed not in measures.seed:
            continue
        row = part.saved.seeds.index(seed)
        named = {name: rows[row] for name, rows in bundle.parameters()[arm].items()}
        yield Film(part.number, seed, update, *take(part.settings, named, seed))
