import pytest
import torch
from scipy.stats import kstest

from pglab.envs.continuous_bandit import ContinuousBandit
from pglab.envs.spaces import Box, Discrete
from pglab.testing import check_env

BANDIT = ContinuousBandit([0.3, -0.5], [1.0, 0.5], [-1.0, -2.0], 1.0)


def test_an_action_earns_what_its_squared_distance_costs_and_the_episode_is_over():
    action = torch.tensor([[0.3, -0.5], [1.3, -0.5], [0.3, 1.5], [3.0, 0.0]])
    step = BANDIT.step(BANDIT.reset(torch.zeros(4, 0)), action, torch.zeros(4, 2))
    torch.testing.assert_close(step.reward, torch.tensor([0.0, -1.0, -2.0, -(2.7**2) - 0.5 * 0.25]))
    assert step.terminated.all()


def test_rewards_have_the_given_noise():
    noisy = ContinuousBandit([0.0], [1.0], noise=0.5)
    uniform = torch.rand(4000, 2, generator=torch.Generator().manual_seed(1))
    step = noisy.step(noisy.reset(torch.zeros(4000, 0)), torch.full((4000, 1), 2.0), uniform)
    assert step.reward.dtype == torch.float32
    assert kstest(step.reward.double(), "norm", (-4.0, 0.5)).pvalue > 0.01


def test_the_world_says_what_it_is_and_keeps_its_contract():
    assert (BANDIT.observation, BANDIT.actions, BANDIT.horizon) == (Discrete(1), Box(2, [-1.0, -2.0], 1.0), 1)
    check_env(BANDIT)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target": []}, r"target=\[\] must be finite numbers"),
        ({"curvature": [1.0]}, r"target=\[0.3, -0.5\] and curvature=\[1.0\] must be as many numbers"),
        ({"curvature": [1.0, -1.0]}, r"curvature=\[1.0, -1.0\] must be at least 0"),
        ({"noise": -0.5}, "noise=-0.5 must be at least 0"),
        ({"low": 1.0}, "needs 2 low bounds and as many high ones above them"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_impossible_bandits_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        ContinuousBandit(**{"target": [0.3, -0.5], "curvature": [1.0, 0.5], **wrong})
