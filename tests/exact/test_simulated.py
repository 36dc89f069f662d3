"""Monte Carlo on linear-quadratic problems, held against what is known exactly."""

import numpy as np
import pytest

from pglab.algorithms.weightings import GeneralizedAdvantage, ReturnMinusBaseline, discounted
from pglab.exact.linear_estimators import LinearEstimators
from pglab.exact.simulated import simulated
from tests.exact.linear_cases import linear_case
from tests.exact.test_linear_estimators import cubic, of_batch

GAMMA = 0.8
CASE = linear_case(3, states=2, controls=2, horizon=4)
EPISODES = 20_000


def kept(weighting):
    return lambda batch: discounted(weighting, weighting(batch), GAMMA)


def affine(states):
    return 0.5 - states[:, 0]


FORM = np.array([[0.5, -0.5, 0.0], [-0.5, 0.0, 0.0], [0.0, 0.0, 0.0]])  # the same as a form


@pytest.mark.parametrize(
    "weighting", [ReturnMinusBaseline(GAMMA, of_batch), GeneralizedAdvantage(GAMMA, 0.5, of_batch)]
)
def test_simulated_means_and_variances_are_off_by_no_more_than_they_say(weighting):
    exact = LinearEstimators(CASE.problem, CASE.policy, GAMMA)
    is_gae = isinstance(weighting, GeneralizedAdvantage)
    known = exact.gae(0.5, FORM, True) if is_gae else exact.reward_to_go(FORM, True)
    found = simulated(CASE.problem, CASE.policy, kept(weighting), affine, EPISODES)
    assert np.abs((found.mean - known.mean) / found.mean_error).max() < 4.5
    assert abs(found.variance - known.variance) < 4.5 * found.variance_error
    again = simulated(CASE.problem, CASE.policy, kept(weighting), affine, 4 * EPISODES, seed=1)
    assert again.variance_error == pytest.approx(found.variance_error / 2, rel=0.5)
    assert found.episodes == EPISODES


def test_the_mean_under_any_critic_is_that_of_quadrature():
    known = LinearEstimators(CASE.problem, CASE.policy, GAMMA).gae(0.5, cubic, True)
    found = simulated(CASE.problem, CASE.policy, kept(GeneralizedAdvantage(GAMMA, 0.5, of_batch)), cubic, EPISODES)
    assert np.abs((found.mean - known.mean) / found.mean_error).max() < 4.5


def test_one_episode_has_no_variance():
    with pytest.raises(ValueError, match="episodes=1 must be at least 2"):
        simulated(CASE.problem, CASE.policy, kept(ReturnMinusBaseline(GAMMA, of_batch)), affine, 1)
