"""The built-in worlds as functions of scalars (see `pglab.native.world`).

Each computes what the world of the same name in `pglab.envs` does, with its constants; those that are in single
precision there are in double precision here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numba.extending import register_jitable

from pglab.native.functions import cos, sin, sine_and_cosine
from pglab.native.world import NativeWorld

if TYPE_CHECKING:  # the numbers of a state, and what a world needs besides
    State = Any
    Constants = Any

TURN = 2 * math.pi

GRAVITY, FORCE, TAU, LENGTH, MASS_POLE = 9.8, 10.0, 0.02, 0.5, 0.1
TOTAL_MASS = 1.0 + MASS_POLE
POLE_MASS_LENGTH = MASS_POLE * LENGTH
X_LIMIT, ANGLE_LIMIT = 2.4, 12 * TURN / 360


def cartpole_reset(uniforms: Sequence[float], constants: Constants) -> State:
    a, b, c, d = uniforms
    return a * 0.1 - 0.05, b * 0.1 - 0.05, c * 0.1 - 0.05, d * 0.1 - 0.05


def state_itself(state: State, constants: Constants) -> State:
    return state


@register_jitable
def cartpole_step(state: State, action: int, uniforms: Sequence[float], constants: Constants) -> Any:
    x, x_dot, theta, theta_dot = state
    sine, cosine = sine_and_cosine(theta)
    force = FORCE if action == 1 else -FORCE
    temp = (force + POLE_MASS_LENGTH * theta_dot * theta_dot * sine) * (1.0 / TOTAL_MASS)
    inertia = LENGTH * (4.0 / 3.0) - POLE_MASS_LENGTH / TOTAL_MASS * cosine * cosine
    theta_acc = (GRAVITY * sine - cosine * temp) / inertia
    x_acc = temp - POLE_MASS_LENGTH / TOTAL_MASS * theta_acc * cosine
    x, x_dot = x + TAU * x_dot, x_dot + TAU * x_acc
    theta, theta_dot = theta + TAU * theta_dot, theta_dot + TAU * theta_acc
    fallen = (abs(x) > X_LIMIT) | (abs(theta) > ANGLE_LIMIT)
    return (x, x_dot, theta, theta_dot), 1.0, fallen


CARTPOLE = NativeWorld(cartpole_reset, state_itself, cartpole_step, states=4)

DT = 0.2
MAX_VEL_1, MAX_VEL_2 = 4 * math.pi, 9 * math.pi
LEVER, INERTIA_2, INERTIA_1 = 0.5, 1.25, 3.5
WEIGHT_1, WEIGHT_2 = 1.5 * GRAVITY, 0.5 * GRAVITY


def acrobot_reset(uniforms: Sequence[float], constants: Constants) -> State:
    a, b, c, d = uniforms
    return a * 0.2 - 0.1, b * 0.2 - 0.1, c * 0.2 - 0.1, d * 0.2 - 0.1


def acrobot_observe(state: State, constants: Constants) -> Any:
    theta1, theta2, speed1, speed2 = state
    sine1, cosine1 = sine_and_cosine(theta1)
    sine2, cosine2 = sine_and_cosine(theta2)
    return cosine1, sine1, cosine2, sine2, speed1, speed2


@register_jitable
def acrobot_accelerations(theta1: float, theta2: float, speed1: float, speed2: float, torque: float) -> Any:
    sine, cosine = sine_and_cosine(theta2)
    pull, bend = sine * LEVER, cosine * LEVER
    d1, d2 = bend * 2.0 + INERTIA_1, bend + INERTIA_2
    phi2 = sin(theta1 + theta2) * WEIGHT_2
    phi1 = sin(theta1) * WEIGHT_1 + phi2 - pull * speed2 * (speed2 + speed1 * 2.0)
    ratio = d2 / d1
    second = (torque + ratio * phi1 - pull * speed1 * speed1 - phi2) / (INERTIA_2 - ratio * d2)
    return -(second * d2 + phi1) / d1, second


def acrobot_step(state: State, action: int, uniforms: Sequence[float], constants: Constants) -> Any:
    theta1, theta2, speed1, speed2 = state
    torque, half = action - 1.0, DT / 2
    a1, b1 = acrobot_accelerations(theta1, theta2, speed1, speed2, torque)
    v2, w2 = speed1 + half * a1, speed2 + half * b1
    a2, b2 = acrobot_accelerations(theta1 + half * speed1, theta2 + half * speed2, v2, w2, torque)
    v3, w3 = speed1 + half * a2, speed2 + half * b2
    a3, b3 = acrobot_accelerations(theta1 + half * v2, theta2 + half * w2, v3, w3, torque)
    v4, w4 = speed1 + DT * a3, speed2 + DT * b3
    a4, b4 = acrobot_accelerations(theta1 + DT * v3, theta2 + DT * w3, v4, w4, torque)
    theta1 = wrapped(theta1 + DT / 6 * (speed1 + 2.0 * (v2 + v3) + v4))
    theta2 = wrapped(theta2 + DT / 6 * (speed2 + 2.0 * (w2 + w3) + w4))
    speed1 = within(speed1 + DT / 6 * (a1 + 2.0 * (a2 + a3) + a4), -MAX_VEL_1, MAX_VEL_1)
    speed2 = within(speed2 + DT / 6 * (b1 + 2.0 * (b2 + b3) + b4), -MAX_VEL_2, MAX_VEL_2)
    swung_up = -cos(theta1) - cos(theta1 + theta2) > 1.0
    return (theta1, theta2, speed1, speed2), 0.0 if swung_up else -1.0, swung_up


ACROBOT = NativeWorld(acrobot_reset, acrobot_observe, acrobot_step, states=4)


@register_jitable
def wrapped(angle: float) -> float:
    """The angle plus the multiple of 2π that brings it into [-π, π]."""
    return angle - np.floor(angle * (1.0 / TURN) + 0.5) * TURN


@register_jitable
def within(x: float, low: float, high: float) -> float:
    x = x if x > low else low
    return x if x < high else high


def car_reset(uniforms: Sequence[float], constants: Constants) -> State:
    return uniforms[0] * 0.2 - 0.6, 0.0


@register_jitable
def drive(position: float, velocity: float, push: float) -> Any:
    velocity = within(velocity + (push - cos(position * 3.0) * 0.0025), -0.07, 0.07)
    position = within(position + velocity, -1.2, 0.6)
    velocity = 0.0 if (position <= -1.2) & (velocity < 0.0) else velocity
    return position, velocity


def car_step(state: State, action: int, uniforms: Sequence[float], constants: Constants) -> Any:
    position, velocity = drive(state[0], state[1], (action - 1.0) * 0.001)
    return (position, velocity), -1.0, (position >= 0.5) & (velocity >= 0.0)


MOUNTAIN_CAR = NativeWorld(car_reset, state_itself, car_step, states=2)


def pushed_car_step(state: State, action: Sequence[float], uniforms: Sequence[float], constants: Constants) -> Any:
    push = float(action[0])
    position, velocity = drive(state[0], state[1], within(push, -1.0, 1.0) * 0.0015)
    arrived = (position >= 0.45) & (velocity >= 0.0)
    return (position, velocity), (100.0 if arrived else 0.0) - push * push * 0.1, arrived


MOUNTAIN_CAR_CONTINUOUS = NativeWorld(car_reset, state_itself, pushed_car_step, states=2)


def pendulum_reset(uniforms: Sequence[float], constants: Constants) -> State:
    return (uniforms[0] * 2.0 - 1.0) * math.pi, uniforms[1] * 2.0 - 1.0


def pendulum_observe(state: State, constants: Constants) -> Any:
    sine, cosine = sine_and_cosine(state[0])
    return cosine, sine, state[1]


def pendulum_step(state: State, action: Sequence[float], uniforms: Sequence[float], constants: Constants) -> Any:
    theta, speed = state
    u = within(float(action[0]), -2.0, 2.0)
    cost = theta * theta + 0.1 * speed * speed + 0.001 * u * u
    speed = within(speed + (15.0 * sin(theta) + 3.0 * u) * 0.05, -8.0, 8.0)
    return (wrapped(theta + speed * 0.05), speed), -cost, False


PENDULUM = NativeWorld(pendulum_reset, pendulum_observe, pendulum_step, states=2)


def table_reset(uniforms: Sequence[float], constants: Constants) -> State:
    start = constants[3]
    state = 0
    for upper in start:
        state += uniforms[0] >= upper
    return (float(state),)


def table_observe(state: State, constants: Constants) -> Any:
    return (constants[5][int(state[0])],)


def table_step(state: State, action: int, uniforms: Sequence[float], constants: Constants) -> Any:
    successor, cumulative, reward, _, terminal, _ = constants
    here, branch = int(state[0]), 0
    for upper in cumulative[here, action]:
        branch += uniforms[0] >= upper
    following = successor[here, action, branch]
    return (float(following),), reward[here, action, branch], terminal[following]


def finite(tables: Mapping[str, np.ndarray]) -> NativeWorld:
    """A finite MDP from its tables, by name as `pglab.envs.finite` has them."""
    names = ("successor", "cumulative", "reward", "start", "terminal", "symbol")
    constants = tuple(np.ascontiguousarray(tables[name]) for name in names)
    return NativeWorld(table_reset, table_observe, table_step, states=1, constants=constants)


@register_jitable
def standard_normal(first: float, second: float) -> float:
    """N(0, 1) from two uniforms (Box and Muller 1958)."""
    return math.sqrt(-2.0 * math.log1p(-first)) * cos(TURN * second)


def one_state(uniforms: Sequence[float], constants: Constants) -> State:
    return (0.0,)


def bandit_step(state: State, action: int, uniforms: Sequence[float], constants: Constants) -> Any:
    means, noise = constants
    return state, means[action] + noise * standard_normal(float(uniforms[0]), float(uniforms[1])), True


def bandit(means: Sequence[float], noise: float) -> NativeWorld:
    """A bandit with these mean rewards."""
    return NativeWorld(one_state, state_itself, bandit_step, 1, (np.array(means, dtype=float), float(noise)))


def vector_bandit_step(state: State, action: Sequence[float], uniforms: Sequence[float], constants: Constants) -> Any:
    target, curvature, noise = constants
    reward = noise * standard_normal(float(uniforms[0]), float(uniforms[1]))
    for number, value in enumerate(action):
        reward -= curvature[number] * (value - target[number]) * (value - target[number])
    return state, reward, True


def vector_bandit(target: Sequence[float], curvature: Sequence[float], noise: float) -> NativeWorld:
    """A bandit whose reward is quadratic in a vector."""
    constants = (np.array(target, dtype=float), np.array(curvature, dtype=float), float(noise))
    return NativeWorld(one_state, state_itself, vector_bandit_step, 1, constants)


def testbed_reset(uniforms: Sequence[float], constants: Constants) -> State:
    return uniforms  # the mean rewards are made of them where one is wanted


def testbed_observe(state: State, constants: Constants) -> Any:
    return (0.0,)


def testbed_step(state: State, action: int, uniforms: Sequence[float], constants: Constants) -> Any:
    mean, deviation, noise = constants
    earned = mean + deviation * standard_normal(state[2 * action], state[2 * action + 1])
    return state, earned + noise * standard_normal(float(uniforms[0]), float(uniforms[1])), True


def testbed(actions: int, mean: float, deviation: float, noise: float) -> NativeWorld:
    """Bandits whose mean rewards each run draws for itself."""
    constants = (float(mean), float(deviation), float(noise))
    return NativeWorld(testbed_reset, testbed_observe, testbed_step, 2 * actions, constants)
