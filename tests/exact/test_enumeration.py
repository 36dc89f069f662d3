"""All episodes of a problem, and the moments of the real weightings on batches of them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from pglab.algorithms.baselines import BatchMean, LeaveOneOut, NoBaseline
from pglab.algorithms.weightings import ReturnMinusBaseline, RewardToGo, TotalReturn
from pglab.envs.finite import corridor
from pglab.envs.problems import binary_tree, random_mdp, two_state_loop
from pglab.exact.enumeration import enumerate_trajectories, estimate_moments
from pglab.exact.estimators import reward_to_go
from pglab.exact.gradients import fisher_information
from tests.exact.exact_cases import Case, case_on, corridor_at, short_cases


@pytest.mark.parametrize("p", [0.3, 0.5])
def test_the_corridor_cut_after_six_steps_has_fifty_one_episodes(p):
    case = corridor_at(p, 6)
    episodes = enumerate_trajectories(case.mdp, case.pi)
    assert len(episodes.probability) == 51
    assert episodes.probability.sum() == pytest.approx(1.0, abs=1e-14)
    assert (episodes.returns(1.0) == -episodes.length).all()


def test_every_episode_follows_the_tables():
    case = corridor_at(0.3, 4)
    episodes = enumerate_trajectories(case.mdp, case.pi)
    played = set()
    for i, length in enumerate(episodes.length):
        state, probability = 0, 1.0
        for t in range(length):
            assert episodes.state[i, t] == state
            action = episodes.action[i, t]
            probability *= (0.7, 0.3)[action]
            state = {0: (0, 1), 1: (2, 0), 2: (1, 3)}[state][action]
            assert episodes.terminated[i, t] == (state == 3)
            assert episodes.truncated[i, t] == (t == 3)
        assert state == 3 or length == 4
        assert episodes.probability[i] == pytest.approx(probability, rel=1e-12)
        played.add(tuple(episodes.action[i, :length]))
        for padded in (episodes.state, episodes.action, episodes.reward, episodes.mask, episodes.terminated):
            assert not padded[i, length:].any()
    assert len(played) == len(episodes.probability)


def test_a_batch_carries_what_a_weighting_reads():
    mdp = random_mdp(0, states=3, actions=2, branching=2, horizon=2)
    case = case_on(replace(mdp, symbol=np.array([1, 0, 1, 0])), 0)
    episodes = enumerate_trajectories(case.mdp, case.pi)
    table = np.array([[1.0, 2.0, 3.0, 9.0], [4.0, 5.0, 6.0, 9.0]])
    probability, batch = episodes.batches(2, table)
    count = len(episodes.probability)
    assert batch.obs.shape == (count**2, 2, 2, 1)
    pairs = list(itertools.product(range(count), repeat=2))
    assert probability == pytest.approx(
        [episodes.probability[i] * episodes.probability[j] for i, j in pairs], abs=1e-16
    )
    for row in (0, count + 3, count**2 - 1):
        for e, i in enumerate(pairs[row]):
            assert batch.reward[row, e].tolist() == episodes.reward[i].tolist()
            assert batch.obs[row, e, :, 0].tolist() == ((1 - episodes.state[i] % 2) * episodes.mask[i]).tolist()
            expected = [table[t, episodes.state[i, t]] * episodes.mask[i, t] for t in range(2)]
            assert batch.value is not None
            assert batch.value[row, e].tolist() == expected
    assert batch.reward.dtype == torch.float64
    assert episodes.batches()[1].value is None


def test_actions_that_the_policy_never_takes_are_left_out():
    pi = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    episodes = enumerate_trajectories(corridor(5), pi)
    assert sorted(episodes.length.tolist()) == [3, 5, 5]


def test_a_problem_that_ends_by_itself_needs_no_horizon():
    case = case_on(binary_tree(3), 0)
    episodes = enumerate_trajectories(case.mdp, case.pi)
    assert len(episodes.probability) == 8
    assert episodes.terminated[:, -1].all()
    assert not episodes.truncated.any()


def test_too_many_or_endless_episodes_are_refused():
    case = corridor_at(0.5, 40)
    with pytest.raises(ValueError, match=r"more than limit=1000 trajectories after \d+ steps: shorten the horizon"):
        enumerate_trajectories(case.mdp, case.pi, limit=1000)
    with pytest.raises(ValueError, match="no longest episode: give the MDP a horizon"):
        enumerate_trajectories(two_state_loop(horizon=None), np.full((2, 2), 0.5))
    with pytest.raises(ValueError, match=r"51 trajectories make 51\^3 batches of 3 episodes"):
        estimate_moments(*corridor_at(0.5, 6).tables, TotalReturn(1.0), episodes=3)


@pytest.mark.parametrize("returns", ["rtg", "total"])
@pytest.mark.parametrize("episodes", [2, 3])
def test_a_batch_mean_shrinks_the_mean_gradient_by_one_in_n_and_leave_one_out_does_not(episodes, returns):
    case = corridor_at(0.3, 4)
    gradient = estimate_moments(*case.tables, TotalReturn(1.0)).mean
    for baseline, factor in ((BatchMean(), 1 - 1 / episodes), (LeaveOneOut(), 1.0)):
        weighting = ReturnMinusBaseline(1.0, baseline, returns)
        found = estimate_moments(*case.tables, weighting, episodes=episodes)
        assert found.mean == pytest.approx(factor * gradient, abs=1e-12)


@given(case=short_cases())
@settings(max_examples=20)
def test_the_mean_of_independent_episodes_has_an_nth_of_the_covariance(case):
    small = replace(case.mdp, horizon=min(case.mdp.horizon or 1, 2))
    one = estimate_moments(small, case.pi, case.score, RewardToGo(0.9))
    two = estimate_moments(small, case.pi, case.score, RewardToGo(0.9), episodes=2, limit=200_000)
    summed = estimate_moments(small, case.pi, case.score, RewardToGo(0.9), episodes=2, reduction="sum", limit=200_000)
    assert two.mean == pytest.approx(one.mean, abs=1e-11)
    assert two.covariance == pytest.approx(one.covariance / 2, abs=1e-11)
    assert summed.covariance == pytest.approx(2 * one.covariance, abs=1e-10)


def test_dividing_by_the_steps_of_the_batch_is_biased_where_lengths_vary():
    tables = corridor_at(0.3, 6).tables
    by_episodes = estimate_moments(*tables, TotalReturn(1.0)).mean[0]
    by_steps = estimate_moments(*tables, TotalReturn(1.0), reduction="steps").mean[0]
    # The return is minus the length, so every step's weight becomes -1, and scores have mean 0.
    assert by_steps == pytest.approx(0.0, abs=1e-14)
    assert by_episodes > 0.3


def test_normalising_makes_the_weights_of_one_episode_sum_to_zero():
    case = corridor_at(0.3, 6)
    # With a score of 1 everywhere, the estimate is the sum of the weights.
    ones = np.ones_like(case.score)
    found = estimate_moments(case.mdp, case.pi, ones, RewardToGo(1.0), normalize=True)
    assert found.mean == pytest.approx([0.0], abs=1e-12)
    assert found.variance == pytest.approx(0.0, abs=1e-12)
    assert estimate_moments(case.mdp, case.pi, ones, RewardToGo(1.0)).mean[0] < -10


def test_any_callable_is_a_weighting():
    case: Case = corridor_at(0.3, 6)
    score_alone = estimate_moments(*case.tables, lambda batch: batch.mask.double())
    assert score_alone.mean == pytest.approx([0.0], abs=1e-14)
    assert score_alone.covariance == pytest.approx(fisher_information(*case.tables), abs=1e-12)
    plain = estimate_moments(*case.tables, ReturnMinusBaseline(1.0, NoBaseline()))
    assert plain.variance == pytest.approx(reward_to_go(*case.tables, 1.0).variance, abs=1e-11)


def test_a_reduction_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="reduction='mean' is not one of steps, episodes, sum"):
        estimate_moments(*corridor_at(0.5, 3).tables, TotalReturn(1.0), reduction="mean")  # type: ignore[arg-type]
