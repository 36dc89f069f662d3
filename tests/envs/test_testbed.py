import numpy as np
import pytest
import torch
from scipy.stats import kstest

from pglab.envs.testbed import GaussianTestbed
from pglab.envs.world import Discrete, Drawn, OneStep

COUNT = 4000


def drawn(world, runs=COUNT, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return world.reset(torch.rand(runs, world.reset_draws, dtype=torch.float64, generator=generator))


def test_mean_rewards_are_drawn_from_the_given_gaussian_each_on_its_own():
    (q,) = drawn(GaussianTestbed(mean=4.0, deviation=2.0))
    assert q.shape == (COUNT, 10)
    assert kstest(q.flatten().double(), "norm", (4.0, 2.0)).pvalue > 0.01
    correlation = np.corrcoef(q.T) - np.eye(10)
    assert np.abs(correlation).max() < 4.5 / COUNT**0.5


def test_an_action_earns_its_own_mean_reward_plus_noise_and_the_episode_is_over():
    state, action = drawn(GaussianTestbed()), torch.arange(COUNT) % 10
    uniform = torch.rand(COUNT, 2, generator=torch.Generator().manual_seed(1))
    quiet, noisy = (GaussianTestbed(noise=noise).step(state, action, uniform) for noise in (0.0, 1.0))
    assert torch.equal(quiet.reward, state[0][torch.arange(COUNT), action])
    assert kstest((noisy.reward - quiet.reward).double(), "norm").pvalue > 0.01
    assert noisy.terminated.all()


def test_the_best_action_has_the_highest_mean_reward():
    state = drawn(GaussianTestbed())
    best = GaussianTestbed().best_action(state)
    assert torch.equal(state[0].gather(-1, best[:, None])[:, 0], state[0].amax(-1))


def test_the_world_says_what_it_is():
    world = GaussianTestbed(actions=3)
    assert (world.observation, world.actions, world.horizon) == (Discrete(1), 3, 1)
    assert world.problem_draws == world.reset_draws == 6
    assert isinstance(world, Drawn)
    assert isinstance(world, OneStep)


@pytest.mark.parametrize("wrong", [{"actions": 1}, {"deviation": -1.0}, {"noise": -0.5}])
def test_impossible_testbeds_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name}={value} must be at least"):
        GaussianTestbed(**wrong)
