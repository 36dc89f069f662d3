"""The pendulum to be swung up, as a batched tensor world."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pglab.envs.classic import Classic
from pglab.envs.drawing import Action, Twin
from pglab.envs.spaces import Box
from pglab.envs.world import State, Step
from pglab.native.world import NativeWorld

MAX_SPEED = 8.0
MAX_TORQUE = 2.0
DT = 0.05  # seconds between steps
G = 10.0
M = 1.0
L = 1.0
FIRST_ANGLE = math.pi
FIRST_SPEED = 1.0


def _put(env: Any, state: State, action: Action) -> None:
    env.state = np.array([part.item() for part in state])
    env.last_u = min(max(action[0], -MAX_TORQUE), MAX_TORQUE) if isinstance(action, list) else None


@dataclass(frozen=True)
class Pendulum(Classic):
    """Gymnasium's `Pendulum-v1`, in single precision.

    The state is (θ, θ̇), θ = 0 upright; observed as (cos θ, sin θ, θ̇). Gymnasium's θ goes on counting turns, this
    one is kept in [-π, π], where single precision is finest. First states are U[-π, π) and U[-1, 1). An action is
    a torque u, cut to [-2, 2]. The reward is -(θ² + 0.1 θ̇² + 0.001 u²) of the state in which u is applied; only the
    horizon ends an episode.
    """

    horizon: int = 200
    observation: ClassVar[Box] = Box(3)
    actions: ClassVar[Box] = Box(1, -MAX_TORQUE, MAX_TORQUE)
    reset_draws: ClassVar[int] = 2
    step_draws: ClassVar[int] = 0
    twin: ClassVar[Twin] = Twin("Pendulum-v1", _put)

    def native(self) -> NativeWorld:
        from pglab.native import worlds  # needs numba, which only backend=native asks for

        return worlds.PENDULUM

    def reset(self, uniform: Tensor) -> State:
        theta, theta_dot = (uniform * 2.0 - 1.0).unbind(-1)
        return (theta * FIRST_ANGLE).float(), (theta_dot * FIRST_SPEED).float()

    def observe(self, state: State) -> Tensor:
        theta, theta_dot = state
        return torch.stack((torch.cos(theta), torch.sin(theta), theta_dot)).movedim(0, -1)

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        theta, theta_dot = state
        u = action[..., 0].clamp(-MAX_TORQUE, MAX_TORQUE)
        cost = theta * theta + theta_dot * theta_dot * 0.1 + u * u * 0.001
        # θ̈ = 3 g sin θ / (2 l) + 3 u / (m l²); the angle moves with the new speed.
        acceleration = torch.sin(theta) * (3 * G / (2 * L)) + u * (3 / (M * L**2))
        theta_dot = (theta_dot + acceleration * DT).clamp(-MAX_SPEED, MAX_SPEED)
        theta = theta + theta_dot * DT
        theta = theta - torch.round(theta * (0.5 / math.pi)) * (2 * math.pi)
        return Step((theta, theta_dot), -cost, torch.zeros_like(theta, dtype=torch.bool))
