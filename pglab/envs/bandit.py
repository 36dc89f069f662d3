"""The k-armed bandit as a world of one-step episodes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pglab.envs.finite import FiniteMDP
from pglab.envs.spaces import Discrete
from pglab.envs.world import State, Step
from pglab.native.world import NativeWorld


@dataclass(frozen=True)
class Bandit:
    """Action a earns `means[a]` plus `noise` · N(0, 1); every episode is one step.

    (Sutton and Barto 2018, section 2.8.)
    """

    means: Sequence[float]
    noise: float = 0.0

    observation: ClassVar[Discrete] = Discrete(1)
    horizon: ClassVar[int] = 1
    reset_draws: ClassVar[int] = 0
    step_draws: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if len(self.means) < 2:
            raise ValueError(f"means={list(self.means)} must name at least 2 actions")
        if not all(isinstance(mean, int | float) and math.isfinite(mean) for mean in self.means):
            raise ValueError(f"means={list(self.means)} must be finite numbers")
        if not self.noise >= 0:
            raise ValueError(f"noise={self.noise} must be at least 0")

    @property
    def actions(self) -> Discrete:
        return Discrete(len(self.means))

    def finite_mdp(self) -> FiniteMDP:
        """The same problem with a noise of ± `noise`, each with probability ½.

        The gradient estimate has the same mean and covariance, as these depend on the first two
        moments of the reward only.
        """
        transition = np.zeros((3, len(self.means), 3))
        transition[..., 1:] = 0.5
        reward = np.zeros_like(transition)
        reward[0] = np.asarray(self.means)[:, None] + self.noise * np.array([0.0, 1.0, -1.0])
        start = np.array([1.0, 0.0, 0.0])
        return FiniteMDP(transition, reward, start, start == 0, self.horizon, np.zeros(3, dtype=np.int64))

    def best_action(self, state: State) -> Tensor:
        return torch.full_like(state[0], int(np.argmax(self.means)), dtype=torch.int64)

    def native(self) -> NativeWorld:
        from pglab.native import worlds  # needs numba, which only backend=native asks for

        return worlds.bandit(self.means, self.noise)

    def reset(self, uniform: Tensor) -> State:
        return (torch.zeros(uniform.shape[:-1], device=uniform.device),)

    def observe(self, state: State) -> Tensor:
        return state[0][..., None]

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        means = torch.tensor(list(self.means), device=action.device)
        reward = means[action] + self.noise * standard_normal(uniform).float()
        return Step(state, reward, torch.ones_like(action, dtype=torch.bool))


def standard_normal(uniform: Tensor) -> Tensor:
    """N(0, 1) from two uniforms each, `[..., 2]` to `[...]` (Box and Muller 1958)."""
    radius = (-2.0 * torch.log1p(-uniform[..., 0])).sqrt()
    return radius * torch.cos(2.0 * math.pi * uniform[..., 1])
