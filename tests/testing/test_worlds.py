"""`check_env` passes every environment of pglab and catches each broken one by its rule."""

from dataclasses import dataclass
from typing import ClassVar

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
from pglab.envs.world import Box, Discrete, Step
from pglab.testing import check_env, worlds

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


@dataclass(frozen=True)
class Walk:
    """A walk on a line from near 0 until it is 2 away from it, with a little noise."""

    observation: ClassVar = Box(2)
    actions: ClassVar = 2
    horizon: ClassVar = None
    reset_draws: ClassVar = 1
    step_draws: ClassVar = 1

    def reset(self, uniform):
        return (uniform[..., 0] - 0.5, torch.zeros(uniform.shape[:-1]))

    def observe(self, state):
        return torch.stack(state, -1).float()

    def step(self, state, action, uniform):
        position = state[0] + action - 0.5 + 0.1 * uniform[..., 0]
        return Step((position, state[1] + 1), -position.abs().float(), position.abs() > 2)


def test_a_plain_world_keeps_the_contract():
    check_env(Walk())


class WithoutHorizonAttribute:
    observation, actions, reset_draws, step_draws = Box(2), 2, 1, 1


class ObservationAsNumber(Walk):
    observation = 2


class NoActions(Walk):
    actions = 0


class HorizonOfZero(Walk):
    horizon = 0


class MoreProblemThanDraws(Walk):
    problem_draws = 2


class NoStep(Walk):
    step = None


class DoublePrecision(Walk):
    def observe(self, state):
        return torch.stack(state, -1)


class FeaturesFirst(Walk):
    def observe(self, state):
        return torch.stack(state).float()


class Infinite(Walk):
    def observe(self, state):
        return torch.stack((state[0], 1 / (3 - state[1])), -1).float()


class SymbolOutOfRange(Walk):
    observation = Discrete(2)

    def observe(self, state):
        return state[1][..., None]


class StateIsOneTensor(Walk):
    def reset(self, uniform):
        return uniform[..., 0]


class SharedState(Walk):
    def reset(self, uniform):
        return (uniform[..., 0] - 0.5, torch.zeros(()))


class LogOfZero(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=uniform[..., 0].log())


class LogOfOne(Walk):
    def reset(self, uniform):
        return ((1 - uniform[..., 0].float()).log(), torch.zeros(uniform.shape[:-1]))


class InfiniteReward(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward / (state[1] != 2))


class OneRewardForAll(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=torch.tensor(-1.0))


class WholeReward(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward.long())


class EndAsNumber(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(terminated=step.terminated.float())


class CutAsNumber(Walk):
    def step(self, state, action, uniform):
        return super().step(state, action, uniform)._replace(truncated=torch.zeros(action.shape))


class PlainTuple(Walk):
    def step(self, state, action, uniform):
        return tuple(super().step(state, action, uniform))


class MixesLanes(Walk):
    def step(self, state, action, uniform):
        return super().step((state[0], state[1]), action, uniform - uniform.mean() + 0.5)


class MixesFirstStates(Walk):
    def reset(self, uniform):
        return super().reset(uniform + 0.01 * uniform.mean())


class MixesWithTheLast(GymnasiumWorld):
    """A stateful world, so that no lane can be played alone."""

    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward + action.flatten()[-1])


class MixesActions(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward + action.sum())


class MovesInPlace(Walk):
    def step(self, state, action, uniform):
        state[1].add_(1)
        return super().step(state, action, uniform)


class ObservesInPlace(Walk):
    def observe(self, state):
        state[0].clamp_(-1, 1)
        return super().observe(state)


class OwnRandomness(Walk):
    def reset(self, uniform):
        return super().reset(torch.rand(uniform.shape))


class RaisesAfterTheEnd(Walk):
    def step(self, state, action, uniform):
        if (state[0].abs() > 2).any():
            raise RuntimeError("the episode is over")
        return super().step(state, action, uniform)


class NeverEnds(Walk):
    def step(self, state, action, uniform):
        return super().step(state, action, uniform)._replace(terminated=torch.zeros_like(action, dtype=torch.bool))


class CutAndOn(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(truncated=step.state[1] == 3)


class HiddenState(Walk):
    """Keeps the time to itself."""

    def reset(self, uniform):
        object.__setattr__(self, "time", 0)
        return super().reset(uniform)

    def step(self, state, action, uniform):
        object.__setattr__(self, "time", self.time + 1)
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward + self.time)


class HiddenPositions(Walk):
    """Keeps the banks' first states to itself."""

    def reset(self, uniform):
        object.__setattr__(self, "home", super().reset(uniform)[0])
        return super().reset(uniform)

    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        home = self.home[: len(action)] if action.dim() else self.home
        return step._replace(reward=step.reward + home.float())


class CountsLanesFromTheFront(Walk):
    def reset(self, uniform):
        position, time = super().reset(uniform)
        return (position + (0.1 if uniform.dim() > 1 else 0.0), time)


BROKEN = {
    WithoutHorizonAttribute: "has no attribute `horizon`",
    ObservationAsNumber: r"observation is 2, which must be Box\(D\) or Discrete\(D\)",
    NoActions: r"actions is 0, which must be Discrete\(A\), Box\(D\) or an int of at least 1",
    MoreProblemThanDraws: "problem_draws is 2, which must be an int from 0 to reset_draws=1",
    HorizonOfZero: "horizon is 0, which must be None or an int of at least 1",
    NoStep: "has no method `step`",
    DoublePrecision: r"observe returned shape \[3, 4, 2\] of torch.float64 .*: torch.float32 of shape \[3, 4, 2\] is",
    FeaturesFirst: r"observe returned shape \[2, 3, 4\] of torch.float32",
    Infinite: r"observe returned a number that is not finite after 3 steps at \[..., D\] = \[0, \d, 1\]",
    SymbolOutOfRange: r"observe returned 2.0 after 2 steps .*: an index from 0 to 1 is expected",
    StateIsOneTensor: "returned a state that is shape .*: a tuple of tensors is expected",
    SharedState: r"returned state\[1\] of shape \[\]: its first axes must be the lanes, \[3, 4\]",
    LogOfZero: r"step 0 of lanes \[3, 4\] returned a reward that is not finite at lane = \[0, 0\]",
    LogOfOne: "observe returned a number that is not finite after 0 steps",
    InfiniteReward: r"step 2 of lanes \[3, 4\].* returned a reward that is not finite",
    OneRewardForAll: r"returned shape \[\] of torch.float32 as reward: a floating-point number for each lane",
    WholeReward: r"returned shape \[3, 4\] of torch.int64 as reward",
    EndAsNumber: "of torch.float32 as terminated: a boolean for each lane is expected",
    CutAsNumber: "of torch.float32 as truncated: a boolean for each lane is expected",
    PlainTuple: "returned a tuple without state, reward, terminated, truncated: return a Step",
    MixesLanes: r"mixes lanes: with another step uniforms in lane \[0, 0\], another lane changed",
    MixesFirstStates: r"mixes lanes: with another reset uniforms in lane \[0, 0\], another lane changed",
    MixesActions: r"mixes lanes: with another action in lane \[0, 0\], another lane .*in its reward",
    MovesInPlace: r"step changed its input state\[1\] in place",
    ObservesInPlace: r"observe changed its input state\[0\] in place",
    OwnRandomness: "played another episode from the same uniforms and actions",
    RaisesAfterTheEnd: r"step \d+ of lanes .* \(some lanes after their episode's end.* raised RuntimeError: the",
    NeverEnds: r"had not ended after 1,000 steps with random actions, the longest tried: .* a horizon",
    CutAndOn: r"moved on after it had truncated an episode itself, at lane = .*: its last observation must stay",
    HiddenState: "went elsewhere when step 0 was taken again",
    HiddenPositions: r"plays a bank of lanes on otherwise once the others are dropped",
    CountsLanesFromTheFront: r"depends on the lane axes: lane \[1, 2\] of \[3, 4\] plays otherwise without",
}


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
