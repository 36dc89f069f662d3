"""Speed, memory and shares of time of training, for the benchmark."""

import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from pglab.build import build_arm, build_shapes
from pglab.cli import compose_runs
from pglab.results import load
from pglab.studies.console import Console
from pglab.studies.execute import execute
from pglab.studies.plan import Plan, make_plan
from pglab.studies.train import ready_pool
from pglab.training.bundle import Bundle
from pglab.training.update import Lesson

COMMON = ("logger.mode=disabled", "evaluation.episodes=0")
PHASES = {  # of an update, as the methods that make them
    "play": (Bundle, "_play"),
    "weigh": (Bundle, "_weigh"),
    "gradient": (Lesson, "estimate"),
    "step": (Lesson, "step"),
}


@dataclass(frozen=True)
class Training:
    """A study that was trained.

    Attributes:
        steps: environment steps that were trained on.
        seconds: from when processes were up and components built.
        storing: seconds of processor time of the main process, which stores and shows.
    """

    steps: int
    seconds: float
    storing: float

    @property
    def speed(self) -> float:
        """Trained environment steps a second."""
        return self.steps / self.seconds


def trained(overrides: Sequence[str], updates: int) -> Training:
    """Trains what `python -m pglab -m OVERRIDES updates=UPDATES` does."""
    with _planned(overrides, updates) as plan:
        pool, _ = ready_pool(plan)
        begin, busy = time.perf_counter(), time.process_time()
        execute(plan, pool, Console())
        seconds, storing = time.perf_counter() - begin, time.process_time() - busy
        pool.stop()
        steps = load(plan.folder).groupby(["arm", "seed"])["env_steps"].last().sum()
    return Training(int(steps), seconds, storing)


def shares(overrides: Sequence[str], updates: int) -> dict[str, float]:
    """The share of processor time that each phase of training takes, of all that training and storing take.

    A bundle is trained in this process, and its phases are timed; what storing takes is measured in a training of its
    own. `other` is what is between the phases.
    """
    storing = trained(overrides, updates).storing
    with _planned(overrides, updates) as plan:
        arms = [build_arm(arm.settings, list(arm.seeds)) for arm in plan.arms]
        bundle = Bundle(build_shapes(plan.settings), arms)
    taken = dict.fromkeys(PHASES, 0.0)
    with _timed(taken):
        begin = time.process_time()
        while not bundle.finished:
            bundle.step()
        total = time.process_time() - begin
    taken |= {"other": total - sum(taken.values()), "store": storing}
    return {phase: seconds / (total + storing) for phase, seconds in taken.items()}


def memory() -> float:
    """Gigabytes that the largest process of those that were started here, and have ended, has taken."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


@contextmanager
def _planned(overrides: Sequence[str], updates: int) -> Iterator[Plan]:
    with tempfile.TemporaryDirectory() as folder:
        yield make_plan(compose_runs([*overrides, f"updates={updates}", f"results_dir={folder}", *COMMON]))


@contextmanager
def _timed(taken: dict[str, float]) -> Iterator[None]:
    """Adds to `taken` the processor time of each phase, meanwhile."""
    patches = [
        patch.object(owner, name, _clocked(getattr(owner, name), taken, phase))
        for phase, (owner, name) in PHASES.items()
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def _clocked(method: Callable[..., Any], taken: dict[str, float], phase: str) -> Callable[..., Any]:
    def clocked(*arguments: Any, **named: Any) -> Any:
        begin = time.process_time()
        try:
            return method(*arguments, **named)
        finally:
            taken[phase] += time.process_time() - begin

    return clocked
