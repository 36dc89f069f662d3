"""Every built-in world does the same by compiled code and in torch."""

from dataclasses import replace

import pytest

from pglab.envs.acrobot import Acrobot
from pglab.envs.bandit import Bandit
from pglab.envs.cartpole import CartPole
from pglab.envs.continuous_bandit import ContinuousBandit
from pglab.envs.finite import corridor, frozen_lake
from pglab.envs.mountain_car import MountainCar, MountainCarContinuous
from pglab.envs.pendulum import Pendulum
from pglab.envs.problems import random_mdp
from pglab.envs.sequences import token_tree
from pglab.envs.testbed import GaussianTestbed
from pglab.native import worlds
from pglab.testing.native import check_native
from tests.slow import first

WORLDS = [
    CartPole(), Pendulum(), frozen_lake(), GaussianTestbed(), Acrobot(), MountainCar(), MountainCarContinuous(),
    corridor(), random_mdp(), token_tree(), Bandit([1.0, 0.7, 0.0], 0.5),
    ContinuousBandit([0.5, -0.2], [1.0, 2.0], noise=0.3),
]  # fmt: skip


@pytest.mark.parametrize("world", first(4, WORLDS), ids=lambda world: type(world).__name__)
def test_a_built_in_world_does_the_same_in_both_forms(world):
    check_native(world)


def slow_cart(state, action, uniforms, constants):
    (x, x_dot, theta, theta_dot), reward, ended = worlds.cartpole_step(state, action, uniforms, constants)
    return (x, x_dot * 0.999, theta, theta_dot), reward, ended


def late_fall(state, action, uniforms, constants):
    following, reward, _ = worlds.cartpole_step(state, action, uniforms, constants)
    return following, reward, abs(following[2]) > 0.3


def generous(state, action, uniforms, constants):
    following, _, ended = worlds.cartpole_step(state, action, uniforms, constants)
    return following, 1.01, ended


def blind(state, constants):
    return state[0], state[1], state[2], 0.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": slow_cart}, "state after 1 steps, number 1 in lane"),
        ({"step": late_fall}, "episodes end at step"),
        ({"step": generous}, "reward of step 0"),
        ({"observe": blind}, "observation after 0 steps, number 3"),
    ],
    ids=["dynamics", "end", "reward", "observation"],
)
def test_a_native_form_that_does_otherwise_is_told_what_differs(change, said, monkeypatch):
    monkeypatch.setattr(CartPole, "native", lambda self: replace(worlds.CARTPOLE, **change))
    with pytest.raises(AssertionError, match=said):
        check_native(CartPole())
