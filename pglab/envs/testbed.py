"""The k-armed testbed: a bandit problem for each run, drawn from its seed."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pglab.envs.bandit import standard_normal
from pglab.envs.spaces import Discrete
from pglab.envs.world import State, Step
from pglab.native.world import NativeWorld


@dataclass(frozen=True)
class GaussianTestbed:
    """Action a earns q(a) + `noise` · N(0, 1), with q(a) ~ `mean` + `deviation` · N(0, 1) drawn once a run.

    Every episode is one step. The q of a seed are the same in every arm, update and evaluation.
    (Sutton and Barto 2018, sections 2.3 and 2.8.)
    """

    actions: int = 10
    mean: float = 4.0
    deviation: float = 1.0
    noise: float = 1.0

    observation: ClassVar[Discrete] = Discrete(1)
    horizon: ClassVar[int] = 1
    step_draws: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.actions < 2:
            raise ValueError(f"actions={self.actions} must be at least 2")
        for name in ("deviation", "noise"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0")

    @property
    def reset_draws(self) -> int:
        return 2 * self.actions

    @property
    def problem_draws(self) -> int:
        return 2 * self.actions

    def best_action(self, state: State) -> Tensor:
        return state[0].argmax(-1)

    def native(self) -> NativeWorld:
        from pglab.native import worlds  # needs numba, which only backend=native asks for

        return worlds.testbed(self.actions, self.mean, self.deviation, self.noise)

    def reset(self, uniform: Tensor) -> State:
        """One tensor: q, `[..., actions]`."""
        normal = standard_normal(uniform.unflatten(-1, (self.actions, 2)))
        return ((self.mean + self.deviation * normal).float(),)

    def observe(self, state: State) -> Tensor:
        return torch.zeros_like(state[0][..., :1])

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        earned = state[0].gather(-1, action[..., None])[..., 0]
        reward = earned + self.noise * standard_normal(uniform).float()
        return Step(state, reward, torch.ones_like(action, dtype=torch.bool))
