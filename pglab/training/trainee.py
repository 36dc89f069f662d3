"""An arm in training: its components, its rows of the bundle's table, and what learns from its batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.objectives import strength_of
from pglab.models.model import Model
from pglab.models.optimizers import Rows
from pglab.training.arm import Arm
from pglab.training.runs import Runs
from pglab.training.segments import PlaysSegments
from pglab.training.stepper import Stepper
from pglab.training.weigh import Weigher


@dataclass(frozen=True)
class Trainee:
    """One arm of a bundle.

    Attributes:
        rows: of the arm in the table.
        weigher, stepper: see there.
        strength: the objective's coefficient of each run before any schedule, `[k]`; changes in place.
    """

    arm: Arm
    rows: slice
    weigher: Weigher
    stepper: Stepper
    strength: Tensor

    @property
    def adapts(self) -> bool:
        """Tells whether the coefficient changes with what an update did."""
        return hasattr(self.arm.objective, "adapt")

    @classmethod
    def of(cls, arm: Arm, rows: slice, parameters: Tensor, model: Model) -> "Trainee":
        """An arm before its first update; its optimizer changes its rows of the parameters `[K, P]` in place."""
        estimator, device = arm.estimator, parameters.device
        optimizer = Rows(parameters[rows], arm.optimizer, model.fixed)
        stepper = Stepper(rows, optimizer, estimator.clip_norm, estimator.clip_together, arm.gamma)
        strength = torch.full((len(arm.seeds),), strength_of(arm.objective), device=device)
        return cls(arm, rows, Weigher(arm, rows, model.observation, device), stepper, strength)

    def schedule(self, update: int) -> None:
        """Sets the learning rates for the update after so many others."""
        factor = self.arm.schedule.rate(update)
        self.stepper.optimizer.set_rate(factor)
        critic: Any = self.weigher.critic
        if hasattr(critic, "optimizer"):
            critic.optimizer.set_rate(factor)

    def adapt(self, kl: Tensor) -> None:
        """Has the objective choose its coefficient for the next update, from the KL of this one, `[k]`."""
        objective: Any = self.arm.objective
        self.strength.copy_(objective.adapt(self.strength, kl))

    @property
    def table_rows(self) -> np.ndarray:
        """The numbers of its rows, `[k]`."""
        return np.arange(self.rows.start, self.rows.stop)

    def state(self, runs: Runs, lanes: PlaysSegments | None) -> dict[str, Tensor]:
        """Copies of everything that an update changes, by name; a row for each seed, but for what all share."""
        critic = self.weigher.critic
        parts = {
            "policy": self.stepper.optimizer.state(),
            "memory": self.weigher.memory,
            "counters": runs.counters(self.rows),
            "critic": {} if critic is None else critic.state(),
            "lanes": {} if lanes is None else lanes.saved(self.rows),
            "rewards": self.weigher.scale.state() if self.weigher.scales else {},
            "objective": {"strength": self.strength} if self.adapts else {},
        }
        return {f"{part}/{name}": tensor.clone() for part, named in parts.items() for name, tensor in named.items()}

    def restore(self, runs: Runs, lanes: PlaysSegments | None, state: Mapping[str, Tensor]) -> None:
        """Takes the place of the arm whose `state` it was."""
        names = ("policy", "memory", "counters", "critic", "lanes", "rewards", "objective", "observed")
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in names}
        for key, tensor in state.items():
            part, _, name = key.partition("/")
            parts[part][name] = tensor.to(runs.parameters.device)
        self.stepper.optimizer.restore(parts["policy"])
        self.weigher.memory = {name: tensor.clone() for name, tensor in parts["memory"].items()}
        if self.weigher.critic is not None:
            self.weigher.critic.restore(parts["critic"])
        if self.weigher.scales:
            self.weigher.scale.restore(parts["rewards"])
        if self.adapts:
            self.strength.copy_(parts["objective"]["strength"])
        if lanes is not None:
            lanes.restore(self.rows, parts["lanes"])
        runs.restore(self.rows, parts["counters"])


def alike(trainees: Sequence[Trainee], of: Callable[[Arm], Any]) -> list[list[Trainee]]:
    """The arms in groups with an equal property, which need not be hashable."""
    groups: list[list[Trainee]] = []
    for trainee in trainees:
        own = next((group for group in groups if of(group[0].arm) == of(trainee.arm)), None)
        if own is None:
            groups.append(own := [])
        own.append(trainee)
    return groups


def column(trainees: Sequence[Trainee], runs: int, of: Callable[[Arm], Any]) -> np.ndarray:
    """A property of each arm in the rows of its runs, `[K]`; zero, or false, in the rows of other arms."""
    values = [of(trainee.arm) for trainee in trainees]
    filled = np.zeros(runs, dtype=np.array(values).dtype)
    for trainee, value in zip(trainees, values, strict=True):
        filled[trainee.rows] = value
    return filled
