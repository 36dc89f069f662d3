"""Processes that train shards.

Each is a process of its own with one thread of arithmetic: that keeps the bits of a sum the
same, lets shards train side by side, and lets the parent stop one at any moment, whatever a
user's component is doing.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from pglab.errors import InputError
from pglab.studies.process import start

PARENT_CHECK = 0.5  # seconds between two looks at whether the parent is still there


@dataclass(frozen=True)
class Check:
    """Settings of arms whose components are to be built and tried for fit."""

    settings: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Checked:
    """What is wrong with the first arm that could not be trained, or nothing."""

    problem: str | None


@dataclass(frozen=True)
class Job:
    """A shard to train: of each arm its number in the plan, settings and seeds."""

    arms: tuple[tuple[int, Mapping[str, Any], list[int]], ...]


@dataclass(frozen=True)
class Progress:
    """One update: of each arm in training its number and what its runs showed.

    Plain arrays here and in `Result`: a class of the trainer's would bring torch into the parent.
    """

    measures: list[tuple[int, dict[str, np.ndarray]]]


@dataclass(frozen=True)
class Result:
    """What an arm's runs in a finished shard ended with."""

    number: int
    seeds: list[int]
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
        self._process, self.connection = start(__name__, single, stdout=sys.stderr.fileno())

    def send(self, order: Check | Job) -> None:
        self.connection.send(order)

    def receive(self) -> Checked | Progress | Done | Failed:
        """What the worker reports; a process that is gone has failed."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.stop()
            return Failed("the worker process ended without a word (killed, or out of memory?)")

    @property
    def alive(self) -> bool:
        return not self.connection.closed

    def stop(self) -> None:
        """Ends the process at once; what it was training is lost to it."""
        if self._process.returncode is None:
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
            connection.send(_check(order) if isinstance(order, Check) else _train(order, connection))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except BaseException:
            connection.send(Failed(traceback.format_exc()))


def _end_with(parent: int) -> None:
    """Ends this process once its parent is gone, even in the middle of a user's component."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK)
    os._exit(1)


def _check(order: Check) -> Checked:
    from pglab.build import check_components

    try:
        for settings in order.settings:
            check_components(settings)
    except InputError as error:
        return Checked(str(error))
    return Checked(None)


def _train(job: Job, connection: Connection) -> Done:
    from pglab.build import build_arm, build_diagnostics, build_shapes
    from pglab.training.bundle import Bundle

    settings = job.arms[0][1]
    numbers = [number for number, _, _ in job.arms]
    arms = [build_arm(of_arm, seeds) for _, of_arm, seeds in job.arms]
    bundle = Bundle(build_shapes(settings), arms, build_diagnostics(settings))
    while not bundle.finished:
        connection.send(Progress([(numbers[arm], vars(measures)) for arm, measures in bundle.step()]))
    episodes = settings["evaluation"]["episodes"]
    evaluations = bundle.evaluate(episodes) if episodes else [None] * len(numbers)
    return Done(
        [
            Result(number, seeds, vars(evaluation) if evaluation else None, parameters)
            for (number, _, seeds), evaluation, parameters in zip(
                job.arms, evaluations, bundle.parameters(), strict=True
            )
        ]
    )
