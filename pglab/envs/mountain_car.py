"""Mountain Car as batched tensor worlds, with three pushes or any (Moore 1990; Sutton and Barto 2018, Example 10.1)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pglab.envs.classic import SOLVED, Classic
from pglab.envs.drawing import Action, Twin
from pglab.envs.spaces import Box, Discrete
from pglab.envs.world import State, Step
from pglab.native.world import NativeWorld

MIN_POSITION, MAX_POSITION = -1.2, 0.6
MAX_SPEED = 0.07
GRAVITY = 0.0025
FORCE = 0.001  # of one of three pushes
GOAL_POSITION = 0.5
POWER = 0.0015  # of a push of 1
CONTINUOUS_GOAL_POSITION = 0.45
GOAL_REWARD = 100.0
PUSH_COST = 0.1


def _put(env: Any, state: State, action: Action) -> None:
    env.state = tuple(part.item() for part in state)


@dataclass(frozen=True)
class MountainCar(Classic):
    """Gymnasium's `MountainCar-v0`, in single precision.

    The state, and the observation, is (x, ẋ). First positions are U[-0.6, -0.4), at rest. Action a pushes with
    (a - 1) · 0.001. The reward is -1 at every step; an episode ends at x ≥ 0.5 with ẋ ≥ 0.
    """

    horizon: int = 200
    observation: ClassVar[Box] = Box(2)
    actions: ClassVar[Discrete] = Discrete(3)
    reset_draws: ClassVar[int] = 1
    step_draws: ClassVar[int] = 0
    twin: ClassVar[Twin] = Twin("MountainCar-v0", _put)
    best_return: ClassVar[float] = -110.0
    best_source: ClassVar[str] = SOLVED

    def native(self) -> NativeWorld:
        from pglab.native import worlds  # needs numba, which only backend=native asks for

        return worlds.MOUNTAIN_CAR

    def reset(self, uniform: Tensor) -> State:
        return _at_rest(uniform)

    def observe(self, state: State) -> Tensor:
        return torch.stack(state).movedim(0, -1)

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        position, velocity = _drive(state, (action.float() - 1.0) * FORCE)
        terminated = (position >= GOAL_POSITION) & (velocity >= 0)
        return Step((position, velocity), torch.full_like(position, -1.0), terminated)


@dataclass(frozen=True)
class MountainCarContinuous(Classic):
    """Gymnasium's `MountainCarContinuous-v0`, in single precision.

    As `MountainCar`, but an action is a number u: the car is pushed with 0.0015 · u, u cut to [-1, 1], and an
    episode ends at x ≥ 0.45 with ẋ ≥ 0. The reward is -0.1 u², of u as it was given, and 100 more at the end.
    """

    horizon: int = 999
    observation: ClassVar[Box] = Box(2)
    actions: ClassVar[Box] = Box(1, -1.0, 1.0)
    reset_draws: ClassVar[int] = 1
    step_draws: ClassVar[int] = 0
    twin: ClassVar[Twin] = Twin("MountainCarContinuous-v0", _put)

    def native(self) -> NativeWorld:
        from pglab.native import worlds  # needs numba, which only backend=native asks for

        return worlds.MOUNTAIN_CAR_CONTINUOUS

    def reset(self, uniform: Tensor) -> State:
        return _at_rest(uniform)

    def observe(self, state: State) -> Tensor:
        return torch.stack(state).movedim(0, -1)

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        push = action[..., 0]
        position, velocity = _drive(state, push.clamp(-1.0, 1.0) * POWER)
        terminated = (position >= CONTINUOUS_GOAL_POSITION) & (velocity >= 0)
        reward = terminated.float() * GOAL_REWARD - push * push * PUSH_COST
        return Step((position, velocity), reward, terminated)


def _at_rest(uniform: Tensor) -> State:
    position = (uniform[..., 0] * 0.2 - 0.6).float()
    return position, torch.zeros_like(position)


def _drive(state: State, push: Tensor) -> State:
    """The next (x, ẋ): ẋ + push - 0.0025 cos 3x, then x + ẋ, both cut; the wall on the left stops the car."""
    position, velocity = state
    velocity = velocity + (push - torch.cos(position * 3.0) * GRAVITY)
    velocity = velocity.clamp(-MAX_SPEED, MAX_SPEED)
    position = (position + velocity).clamp(MIN_POSITION, MAX_POSITION)
    stopped = (position <= MIN_POSITION) & (velocity < 0)
    return position, velocity.masked_fill(stopped, 0.0)
