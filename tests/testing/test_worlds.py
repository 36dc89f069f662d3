"""`check_env` passes every environment of pglab and catches each broken one by its rule."""

import gymnasium
import numpy as np
import pytest
import torch

from pglab.envs.acrobot import Acrobot
from pglab.envs.bandit import Bandit
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor, frozen_lake
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.mountain_car import MountainCar, MountainCarContinuous
from pglab.envs.pendulum import Pendulum
from pglab.envs.problems import binary_tree, contextual_bandit, random_mdp, toy_text, two_state_loop
from pglab.envs.testbed import GaussianTestbed
from pglab.testing import check_env, worlds
from tests.testing.broken_worlds import BROKEN, MixesWithTheLast, Walk

WORLDS = {
    "cartpole": CartPole,
    "cartpole_v0": lambda: CartPole(200),
    "acrobot": Acrobot,
    "mountain_car": MountainCar,
    "mountain_car_continuous": MountainCarContinuous,
    "pendulum": Pendulum,
    "bandit": lambda: Bandit([1.0, 0.7, 0.0]),
    "noisy bandit": lambda: Bandit([1.0, 0.7, 0.0], noise=1.0),
    "testbed": GaussianTestbed,
    "quiet testbed": lambda: GaussianTestbed(actions=2, noise=0.0),
    "corridor": corridor,
    "corridor without horizon": lambda: corridor(None),
    "contextual_bandit": lambda: contextual_bandit([[1.0, 0.7, 0.0], [0.0, 0.5, 1.0]]),
    "two_state_loop": two_state_loop,
    "binary_tree": binary_tree,
    "random_mdp": random_mdp,
    "frozenlake": frozen_lake,
    "toy_text": toy_text,
    "Taxi": lambda: toy_text("Taxi-v4"),
    "gymnasium Acrobot": lambda: GymnasiumWorld("Acrobot-v1"),
    "gymnasium FrozenLake": lambda: GymnasiumWorld("FrozenLake-v1"),
}


@pytest.mark.parametrize("world", WORLDS)
def test_every_environment_of_pglab_keeps_the_contract(world):
    check_env(WORLDS[world]())


def test_a_plain_world_keeps_the_contract():
    check_env(Walk())


@pytest.mark.parametrize("world", BROKEN, ids=lambda world: world.__name__)
def test_a_broken_world_is_caught_and_the_rule_is_named(world, monkeypatch):
    monkeypatch.setattr(worlds, "PATIENCE", 1000)
    with pytest.raises(AssertionError, match=BROKEN[world]) as caught:
        check_env(world())
    assert str(caught.value).startswith(world.__name__)


def test_a_world_that_never_ends_is_told_to_have_a_horizon(monkeypatch):
    monkeypatch.setattr(worlds, "PATIENCE", 1000)
    with pytest.raises(AssertionError, match="FiniteMDP has horizon None, and the episode at lane"):
        check_env(two_state_loop(horizon=None))
    check_env(two_state_loop(horizon=1000))


class Timetable(Walk):
    """Knows the rewards of its five steps and of no other."""

    horizon = 5

    def step(self, state, action, uniform):
        return super().step(state, action, uniform)._replace(reward=torch.arange(5.0)[state[1].long()])


def test_a_world_is_not_stepped_beyond_its_horizon():
    check_env(Timetable())


class StandsStill(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        cut = (state[1] >= 3) & (state[0].abs() <= 2)
        stay = tuple(torch.where(cut, old, new) for old, new in zip(state, step.state, strict=True))
        return step._replace(state=stay, truncated=cut)


def test_a_world_may_cut_episodes_itself_if_it_then_stands_still():
    check_env(StandsStill())


class Noise(gymnasium.Env):
    """Observes one random number a step; all environments share one generator if `shared`."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)
    everyone = np.random.default_rng(0)

    def __init__(self, shared=False):
        self._shared = shared

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action):
        return self._seen(), 1.0, False, False, {}

    def _seen(self):
        return (self.everyone if self._shared else self.np_random).random(1)


@pytest.fixture
def noise():
    gymnasium.register("Noise-v0", entry_point=Noise, max_episode_steps=10)
    yield "Noise-v0"
    gymnasium.registry.pop("Noise-v0")


def test_a_gymnasium_environment_must_draw_from_its_seed_alone(noise):
    check_env(GymnasiumWorld(noise))
    with pytest.raises(AssertionError, match="GymnasiumWorld played another episode from the same uniforms"):
        check_env(GymnasiumWorld(noise, {"shared": True}))


def test_a_lane_that_depends_on_the_last_one_is_caught_in_a_world_that_keeps_its_episodes_too():
    with pytest.raises(AssertionError, match=r"mixes lanes: with another action in lane \[2, 3\]"):
        check_env(MixesWithTheLast("Acrobot-v1"))


class ParksTooMuch(GymnasiumWorld):
    def park(self, state, alive):
        super().park(state, torch.zeros_like(alive))


def test_parking_must_leave_the_other_lanes_as_they_are():
    with pytest.raises(AssertionError, match="`park` changed the episodes of lanes that are not parked"):
        check_env(ParksTooMuch("Acrobot-v1"))
