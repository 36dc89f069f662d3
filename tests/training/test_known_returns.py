"""Random play and the best known: solved where that can be done, else declared and measured."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from pglab.envs.acrobot import Acrobot
from pglab.envs.bandit import Bandit
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor, frozen_lake
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.pendulum import Pendulum
from pglab.envs.problems import two_state_loop
from pglab.envs.testbed import GaussianTestbed
from pglab.training.known_returns import EPISODES, reference_of


def test_a_bandit_and_a_loop_are_solved_by_hand():
    assert reference_of(Bandit([1.0, 0.5, 0.0])) == pytest.approx((0.5, "exact", 1.0, "exact optimum"))
    assert reference_of(two_state_loop(horizon=6)) == pytest.approx((3.0, "exact", 6.0, "exact optimum"))


def test_frozen_lake_is_known_to_be_solved_in_three_of_four_episodes():
    random, _, best, _ = reference_of(frozen_lake())
    assert random == pytest.approx(0.0139, abs=1e-4)
    assert best == pytest.approx(0.744, abs=1e-3)


def test_an_optimum_that_takes_more_than_the_agent_sees_says_so():
    assert reference_of(corridor(horizon=200))[2:] == (-3.0, "exact optimum of who sees the state")


def test_random_play_is_measured_the_same_at_every_time():
    first, again = reference_of(CartPole()), reference_of(CartPole())
    assert first == again
    random, source, best, best_source = first
    assert source.startswith(f"mean of {EPISODES} episodes, standard error ")
    error = float(source.split()[-1])
    assert abs(random - 22.2) < 4 * error  # the mean of many thousand episodes
    assert (best, best_source) == (500.0, "the most there is")
    assert reference_of(CartPole(horizon=10))[0] < 10.0 == reference_of(CartPole(horizon=10))[2]


@pytest.mark.parametrize(("world", "best"), [(Acrobot(horizon=101), -100.0), (GymnasiumWorld("CartPole-v1"), 475.0)])
def test_gymnasiums_mark_for_solved_is_named_as_such(world, best: float):
    assert reference_of(world)[2:] == (best, "solved, by Gymnasium's reward_threshold")


@pytest.mark.parametrize("world", [Pendulum(), GaussianTestbed(), Acrobot(horizon=50)])
def test_where_no_best_return_is_known_or_it_is_not_above_random_play_there_is_no_reference(world):
    assert reference_of(world) is None


@dataclass(frozen=True)
class Own(CartPole):
    """A world of a user's own, which ends after the first step and pays what its action is."""

    best_return: ClassVar[float] = 1.0
    best_source: ClassVar[str] = "I know it"

    def step(self, state, action, uniform):
        return (
            super()
            .step(state, action, uniform)
            ._replace(reward=action.float(), terminated=torch.ones_like(action, dtype=torch.bool))
        )


def test_a_world_of_ones_own_declares_its_best_return():
    random, _, best, source = reference_of(Own())
    assert random == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(EPISODES))
    assert (best, source) == (1.0, "I know it")
