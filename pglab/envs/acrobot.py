"""Acrobot as a batched tensor world (Sutton 1996; Sutton and Barto 1998, section 11.3)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pglab.envs.classic import SOLVED, Classic
from pglab.envs.drawing import Action, Twin
from pglab.envs.spaces import Box, Discrete
from pglab.envs.world import State, Step
from pglab.native.world import NativeWorld

DT = 0.2  # seconds between steps, one Runge-Kutta step each
GRAVITY = 9.8
LINK_LENGTH_1 = 1.0
LINK_MASS_1 = LINK_MASS_2 = 1.0
LINK_COM_POS_1 = LINK_COM_POS_2 = 0.5  # from a link's joint to its centre of mass
LINK_MOI = 1.0  # moment of inertia of either link
MAX_VEL_1 = 4 * math.pi
MAX_VEL_2 = 9 * math.pi
TORQUES = 3  # -1, 0 and 1
GOAL_HEIGHT = 1.0  # of the free end over the fixed joint

_LEVER = LINK_MASS_2 * LINK_LENGTH_1 * LINK_COM_POS_2
_INERTIA_2 = LINK_MASS_2 * LINK_COM_POS_2**2 + LINK_MOI
_INERTIA_1 = LINK_MASS_1 * LINK_COM_POS_1**2 + LINK_MASS_2 * LINK_LENGTH_1**2 + LINK_MOI + _INERTIA_2
_WEIGHT_1 = (LINK_MASS_1 * LINK_COM_POS_1 + LINK_MASS_2 * LINK_LENGTH_1) * GRAVITY
_WEIGHT_2 = LINK_MASS_2 * LINK_COM_POS_2 * GRAVITY


def _put(env: Any, state: State, action: Action) -> None:
    env.state = np.array([part.item() for part in state])


@dataclass(frozen=True)
class Acrobot(Classic):
    """Gymnasium's `Acrobot-v1`, with the dynamics of the book, in single precision.

    The state is (θ₁, θ₂, θ̇₁, θ̇₂), angles in [-π, π], θ₁ = 0 hanging down and θ₂ relative to the first link;
    observed as (cos θ₁, sin θ₁, cos θ₂, sin θ₂, θ̇₁, θ̇₂). First states are U[-0.1, 0.1) in each part.
    Action a applies the torque a - 1 between the links. The reward is -1, and 0 at the step that ends the
    episode: -cos θ₁ - cos(θ₁ + θ₂) > 1.
    """

    horizon: int = 500
    observation: ClassVar[Box] = Box(6)
    actions: ClassVar[Discrete] = Discrete(TORQUES)
    reset_draws: ClassVar[int] = 4
    step_draws: ClassVar[int] = 0
    twin: ClassVar[Twin] = Twin("Acrobot-v1", _put)
    best_return: ClassVar[float] = -100.0
    best_source: ClassVar[str] = SOLVED

    def native(self) -> NativeWorld:
        from pglab.native import worlds  # needs numba, which only backend=native asks for

        return worlds.ACROBOT

    def reset(self, uniform: Tensor) -> State:
        return tuple((uniform * 0.2 - 0.1).float().unbind(-1))

    def observe(self, state: State) -> Tensor:
        theta1, theta2, dtheta1, dtheta2 = state
        parts = (torch.cos(theta1), torch.sin(theta1), torch.cos(theta2), torch.sin(theta2), dtheta1, dtheta2)
        return torch.stack(parts).movedim(0, -1)

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        theta1, theta2, dtheta1, dtheta2 = _runge_kutta(torch.stack(state), action.float() - 1.0)
        theta1, theta2 = _wrapped(theta1), _wrapped(theta2)
        dtheta1, dtheta2 = dtheta1.clamp(-MAX_VEL_1, MAX_VEL_1), dtheta2.clamp(-MAX_VEL_2, MAX_VEL_2)
        height = -torch.cos(theta1) - torch.cos(theta1 + theta2)
        terminated = height > GOAL_HEIGHT
        return Step((theta1, theta2, dtheta1, dtheta2), terminated.float() - 1.0, terminated)


def _runge_kutta(y: Tensor, torque: Tensor) -> Tensor:
    """The state `[4, ...]` after `DT` seconds of a torque `[...]`: one step of the classical fourth order."""
    k1 = _derivative(y, torque)
    k2 = _derivative(y + k1 * (DT / 2), torque)
    k3 = _derivative(y + k2 * (DT / 2), torque)
    k4 = _derivative(y + k3 * DT, torque)
    return y + (k1 + (k2 + k3) * 2.0 + k4) * (DT / 6)


def _derivative(y: Tensor, torque: Tensor) -> Tensor:
    """d/dt (θ₁, θ₂, θ̇₁, θ̇₂), `[4, ...]`.

    With d₁, d₂, φ₁, φ₂ of the book:
    θ̈₂ = (τ + d₂/d₁ φ₁ - m₂ l₁ l_c₂ θ̇₁² sin θ₂ - φ₂) / (m₂ l_c₂² + I₂ - d₂²/d₁);  θ̈₁ = -(d₂ θ̈₂ + φ₁) / d₁.
    """
    theta1, theta2, dtheta1, dtheta2 = y
    pull, bend = torch.sin(theta2) * _LEVER, torch.cos(theta2) * _LEVER
    d1, d2 = bend * 2.0 + _INERTIA_1, bend + _INERTIA_2
    phi2 = torch.sin(theta1 + theta2) * _WEIGHT_2  # cos(x - π/2) = sin x
    phi1 = torch.sin(theta1) * _WEIGHT_1 + phi2 - pull * dtheta2 * (dtheta2 + dtheta1 * 2.0)
    ratio = d2 / d1
    ddtheta2 = (torque + ratio * phi1 - pull * dtheta1 * dtheta1 - phi2) / (_INERTIA_2 - ratio * d2)
    ddtheta1 = -(ddtheta2 * d2 + phi1) / d1
    return torch.stack((dtheta1, dtheta2, ddtheta1, ddtheta2))


def _wrapped(angle: Tensor) -> Tensor:
    """The angle plus the multiple of 2π that brings it into [-π, π]."""
    return angle - torch.round(angle * (0.5 / math.pi)) * (2 * math.pi)
