"""A bandit whose action is a vector of numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pglab.envs.bandit import standard_normal
from pglab.envs.spaces import Box, Discrete
from pglab.envs.world import State, Step
from pglab.native.world import NativeWorld


@dataclass(frozen=True)
class ContinuousBandit:
    """Action a earns -Σ_i `curvature[i]` (a_i - `target[i]`)² plus `noise` · N(0, 1); every episode is one step.

    The reward is that of the action as it is given, inside the bounds or not: a policy that is to stay within
    them says so itself.

    Attributes:
        low, high: bounds of the actions, for each number or one for all.

    Raises:
        ValueError: targets and curvatures are not as many, a curvature or the noise is negative.
    """

    target: Sequence[float]
    curvature: Sequence[float]
    low: float | Sequence[float] = -1.0
    high: float | Sequence[float] = 1.0
    noise: float = 0.0

    observation: ClassVar[Discrete] = Discrete(1)
    horizon: ClassVar[int] = 1
    reset_draws: ClassVar[int] = 0
    step_draws: ClassVar[int] = 2

    def __post_init__(self) -> None:
        for name in ("target", "curvature"):
            given = list(getattr(self, name))
            if not given or not all(isinstance(x, int | float) and math.isfinite(x) for x in given):
                raise ValueError(f"{name}={given} must be finite numbers, one for each number of an action")
        if len(self.target) != len(self.curvature):
            raise ValueError(f"target={list(self.target)} and curvature={list(self.curvature)} must be as many numbers")
        if min(self.curvature) < 0:
            raise ValueError(f"curvature={list(self.curvature)} must be at least 0")
        if not self.noise >= 0:
            raise ValueError(f"noise={self.noise} must be at least 0")
        _ = self.actions  # its bounds fit

    @property
    def actions(self) -> Box:
        return Box(len(self.target), self.low, self.high)

    def native(self) -> NativeWorld:
        from pglab.native import worlds  # needs numba, which only backend=native asks for

        return worlds.vector_bandit(self.target, self.curvature, self.noise)

    def reset(self, uniform: Tensor) -> State:
        return (torch.zeros(uniform.shape[:-1], device=uniform.device),)

    def observe(self, state: State) -> Tensor:
        return state[0][..., None]

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        cost = torch.zeros_like(action[..., 0])
        for number, (target, curvature) in enumerate(zip(self.target, self.curvature, strict=True)):
            cost = cost + curvature * (action[..., number] - target).square()
        reward = self.noise * standard_normal(uniform).to(cost) - cost
        return Step(state, reward, torch.ones_like(cost, dtype=torch.bool))
