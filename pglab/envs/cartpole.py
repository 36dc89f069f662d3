"""CartPole as a batched tensor world (Barto, Sutton and Anderson 1983)."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from pglab.envs.classic import Classic
from pglab.envs.drawing import Action, Twin
from pglab.envs.spaces import Box, Discrete
from pglab.envs.world import State, Step
from pglab.native.world import NativeWorld

GRAVITY = 9.8
MASS_POLE = 0.1
TOTAL_MASS = 1.0 + MASS_POLE
LENGTH = 0.5  # half the pole's length
POLE_MASS_LENGTH = MASS_POLE * LENGTH
FORCE = 10.0
TAU = 0.02  # seconds between steps
X_LIMIT = 2.4
ANGLE_LIMIT = 12 * 2 * math.pi / 360


@cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """-F / M, l · 4/3 and the reward: CUDA takes no `addcmul` with its first operand on the CPU."""
    left = torch.tensor(-FORCE / TOTAL_MASS, dtype=torch.float64, device=device)
    inertia = torch.tensor(LENGTH * 4.0 / 3.0, dtype=torch.float64, device=device)
    return left, inertia, torch.ones((), device=device)


def _put(env: Any, state: State, action: Action) -> None:
    env.state = tuple(part.item() for part in state)


@dataclass(frozen=True)
class CartPole(Classic):
    """Gymnasium's `CartPole-v1` (`horizon` 500) and `-v0` (200), state for state.

    Same equations in double precision, observed in single precision. First states are
    U[-0.05, 0.05) in each of (x, ẋ, θ, θ̇). Reward 1 at every step.
    """

    horizon: int = 500
    observation: ClassVar[Box] = Box(4)
    actions: ClassVar[Discrete] = Discrete(2)
    reset_draws: ClassVar[int] = 4
    step_draws: ClassVar[int] = 0
    twin: ClassVar[Twin] = Twin("CartPole-v1", _put)
    best_source: ClassVar[str] = "the most there is"

    @property
    def best_return(self) -> float:
        return float(self.horizon)

    def native(self) -> NativeWorld:
        from pglab.native import worlds  # needs numba, which only backend=native asks for

        return worlds.CARTPOLE

    def reset(self, uniform: Tensor) -> State:
        return tuple((uniform * 0.1 - 0.05).unbind(-1))

    def observe(self, state: State) -> Tensor:
        return torch.stack(state).float().movedim(0, -1)

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        x, x_dot, theta, theta_dot = state
        left, most_inertia, reward = _constants(x.device)
        cos, sin = torch.cos(theta), torch.sin(theta)
        # With F = ±FORCE = (2a - 1) FORCE, as few passes over the lanes as the equations allow:
        # temp = (F + m l θ̇² sin θ) / M;  θ̈ = (g sin θ - cos θ · temp) / (l (4/3 - m cos² θ / M));
        # ẍ = temp - m l θ̈ cos θ / M.
        temp = torch.addcmul(left, theta_dot.square(), sin, value=POLE_MASS_LENGTH / TOTAL_MASS)
        temp = temp.add_(action, alpha=2 * FORCE / TOTAL_MASS)
        inertia = torch.addcmul(most_inertia, cos, cos, value=-POLE_MASS_LENGTH / TOTAL_MASS)
        theta_acc = (sin * GRAVITY).addcmul_(cos, temp, value=-1.0).div_(inertia)
        x_acc = temp.addcmul_(theta_acc, cos, value=-POLE_MASS_LENGTH / TOTAL_MASS)
        x = torch.add(x, x_dot, alpha=TAU)
        x_dot = torch.add(x_dot, x_acc, alpha=TAU)
        theta = torch.add(theta, theta_dot, alpha=TAU)
        theta_dot = torch.add(theta_dot, theta_acc, alpha=TAU)
        terminated = (x.abs() > X_LIMIT).logical_or_(theta.abs() > ANGLE_LIMIT)
        return Step((x, x_dot, theta, theta_dot), reward.expand_as(x), terminated)
