"""Mean and covariance of every estimator: known numbers, enumeration, and unbiasedness."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pglab.algorithms.baselines import BatchMean, Constant, LeaveOneOut
from pglab.algorithms.heads import ActionBlindSigmoid
from pglab.algorithms.weightings import GeneralizedAdvantage, ReturnMinusBaseline, RewardToGo, TotalReturn
from pglab.envs.finite import corridor
from pglab.envs.problems import binary_tree, random_mdp, two_state_loop
from pglab.exact.enumeration import estimate_moments
from pglab.exact.estimators import best_baseline, gae, leave_one_out, return_times_score, reward_to_go, total_return
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.policy import policy_on, score_table
from pglab.exact.values import values
from pglab.models.networks import Tabular
from tests.algorithms.episodes import with_factor
from tests.exact.exact_cases import DISCOUNTS, Case, bandit_at, case_on, corridor_at, open_cases, short_cases, table_on

TIMES = st.booleans()
# Four steps, every table different: no term of the recursions vanishes.
RICH = case_on(random_mdp(3, states=3, actions=2, branching=2, end=0.3, horizon=4), 1)
LAMBDAS = st.sampled_from([0.0, 0.5, 0.95, 1.0])


def table_values(batch, returns):
    """A baseline that reads the table handed over as the critic's values."""
    return batch.value


def assert_same(found, expected, tolerance=1e-10):
    assert found.mean == pytest.approx(expected.mean, abs=tolerance)
    assert found.covariance == pytest.approx(expected.covariance, abs=tolerance)


def corridor_estimates():
    case = corridor_at(0.5)
    tables, v = case.tables, values(case.mdp, case.pi, 1.0).state
    return {
        "total": (total_return(*tables, 1.0), 1959),
        "total - J": (total_return(*tables, 1.0, -12.0), 831),
        "total - best": (total_return(*tables, 1.0, best_baseline(*tables, 1.0, "total")), 550 + 2 / 3),
        "rtg": (reward_to_go(*tables, 1.0), 733),
        "rtg - V": (reward_to_go(*tables, 1.0, v), 295),
        "rtg - J": (reward_to_go(*tables, 1.0, -12.0), 277),
        "gae 1": (gae(*tables, 1.0, 1.0, v), 295),
        "gae .5": (gae(*tables, 1.0, 0.5, v), 13.1195),
        "gae 0": (gae(*tables, 1.0, 0.0, v), 3),
    }


@pytest.mark.parametrize("name", corridor_estimates())
def test_the_corridor_has_the_known_variances_around_one_mean(name):
    moments, variance = corridor_estimates()[name]
    assert moments.mean == pytest.approx([2.0], abs=1e-9)
    assert moments.variance == pytest.approx(variance, abs=5e-5 if name == "gae .5" else 1e-8)


@pytest.mark.parametrize(("lam", "mean"), [(0.0, 0.0), (0.5, 0.292683), (1.0, 2.0)])
def test_gae_with_a_critic_that_knows_nothing_has_the_known_bias_on_the_corridor(lam, mean):
    assert gae(*corridor_at(0.5).tables, 1.0, lam, 0.0).mean == pytest.approx([mean], abs=5e-7)


def test_dropping_the_discount_of_states_has_the_known_bias_on_the_corridor():
    tables = corridor_at(0.5).tables
    assert reward_to_go(*tables, 0.9, discount_states=True).mean == pytest.approx([0.48623], abs=5e-6)
    assert reward_to_go(*tables, 0.9).mean == pytest.approx([1.04817], abs=5e-6)


@pytest.mark.parametrize(
    ("p", "mean", "total", "to_go"), [(0.5, 0.203125, 46.825928, 20.755615), (0.3, 0.323505, 39.467805, 16.582100)]
)
def test_the_corridor_cut_after_six_steps_has_the_known_variances(p, mean, total, to_go):
    tables = corridor_at(p, 6).tables
    for moments, variance in ((total_return(*tables, 1.0), total), (reward_to_go(*tables, 1.0), to_go)):
        assert moments.mean == pytest.approx([mean], abs=1e-10)
        assert moments.variance == pytest.approx(variance, abs=5e-7)


def test_the_bandit_has_the_known_best_baseline_with_the_variance_quadratic_and_symmetric_about_it():
    tables = bandit_at([0.0, 3.0, 5.0]).tables
    best = best_baseline(*tables, 1.0)
    assert best == pytest.approx([0.63166498] * 2, abs=5e-9)

    def variance(away):
        return reward_to_go(*tables, 1.0, best[0] + away).variance

    curvature = variance(1.0) - variance(0.0)
    assert curvature > 0.1
    for away in (0.1, 0.7, 3.0):
        assert variance(away) == pytest.approx(variance(-away), abs=1e-12)
        assert variance(away) - variance(0.0) == pytest.approx(curvature * away**2, abs=1e-12)


@given(case=short_cases(), gamma=DISCOUNTS, seed=st.integers(0, 99), by_time=TIMES)
@example(case=RICH, gamma=0.5, seed=1, by_time=True)
@settings(max_examples=40)
def test_the_total_return_has_the_moments_of_all_its_episodes(case, gamma, seed, by_time):
    table = table_on(case.mdp, seed, by_time)
    assert_same(total_return(*case.tables, gamma), estimate_moments(*case.tables, TotalReturn(gamma)))
    weighting = ReturnMinusBaseline(gamma, table_values, "total")
    enumerated = estimate_moments(*case.tables, weighting, value=table)
    assert_same(total_return(*case.tables, gamma, table), enumerated)


@given(case=short_cases(), gamma=DISCOUNTS, seed=st.integers(0, 99), by_time=TIMES, factor=st.booleans())
@example(case=RICH, gamma=0.5, seed=1, by_time=True, factor=True)
@settings(max_examples=40)
def test_the_reward_to_go_has_the_moments_of_all_its_episodes(case, gamma, seed, by_time, factor):
    table = table_on(case.mdp, seed, by_time)
    enumerated = estimate_moments(*case.tables, with_factor(RewardToGo(gamma), factor))
    assert_same(reward_to_go(*case.tables, gamma, discount_states=factor), enumerated)
    weighting = with_factor(ReturnMinusBaseline(gamma, table_values), factor)
    enumerated = estimate_moments(*case.tables, weighting, value=table)
    assert_same(reward_to_go(*case.tables, gamma, table, factor), enumerated)


@given(case=short_cases(), gamma=DISCOUNTS, lam=LAMBDAS, seed=st.integers(0, 99), by_time=TIMES, factor=st.booleans())
@example(case=RICH, gamma=0.5, lam=0.5, seed=1, by_time=True, factor=True)
@settings(max_examples=60)
def test_gae_has_the_moments_of_all_its_episodes(case, gamma, lam, seed, by_time, factor):
    table = table_on(case.mdp, seed, by_time)
    enumerated = estimate_moments(
        *case.tables, with_factor(GeneralizedAdvantage(gamma, lam, table_values), factor), value=table
    )
    assert_same(gae(*case.tables, gamma, lam, table, factor), enumerated)


@pytest.mark.parametrize("gamma", [0.8, 1.0])
def test_a_problem_that_ends_by_itself_has_the_same_moments_solved_and_enumerated(gamma):
    case = case_on(binary_tree(4, slip=0.1), 5)
    table = table_on(case.mdp, 5)
    for found, weighting in (
        (total_return(*case.tables, gamma, table), ReturnMinusBaseline(gamma, table_values, "total")),
        (reward_to_go(*case.tables, gamma, table, True), with_factor(ReturnMinusBaseline(gamma, table_values))),
        (gae(*case.tables, gamma, 0.7, table), GeneralizedAdvantage(gamma, 0.7, table_values)),
    ):
        assert_same(found, estimate_moments(*case.tables, weighting, value=table), 1e-13)


@given(case=open_cases(), gamma=DISCOUNTS, lam=LAMBDAS, factor=st.booleans(), seed=st.integers(0, 99))
@example(
    case=case_on(random_mdp(3, states=3, actions=2, branching=2, end=0.4), 1), gamma=0.9, lam=0.5, factor=True, seed=1
)
@settings(max_examples=30)
def test_without_a_horizon_the_moments_are_the_limit_of_long_horizons(case, gamma, lam, factor, seed):
    mdp, pi, score = case.tables
    cut, table = replace(mdp, horizon=120), table_on(mdp, seed)
    assert_same(total_return(mdp, pi, score, gamma, table), total_return(cut, pi, score, gamma, table), 1e-8)
    both = [reward_to_go(each, pi, score, gamma, table, factor) for each in (mdp, cut)]
    assert_same(*both, 1e-8)
    both = [gae(each, pi, score, gamma, lam, table, factor) for each in (mdp, cut)]
    assert_same(*both, 1e-8)


@given(case=st.one_of(open_cases(), short_cases()), gamma=DISCOUNTS, seed=st.integers(0, 99), by_time=TIMES)
@settings(max_examples=40)
def test_every_unbiased_estimate_has_the_gradient_as_its_mean(case, gamma, seed, by_time):
    tables, gradient = case.tables, gradient_by_theorem(*case.tables, gamma)
    table = table_on(case.mdp, seed, by_time and case.mdp.horizon is not None)
    true_value = values(case.mdp, case.pi, gamma).state
    for moments in (
        total_return(*tables, gamma),
        total_return(*tables, gamma, table),
        reward_to_go(*tables, gamma, discount_states=True),
        reward_to_go(*tables, gamma, table, True),
        gae(*tables, gamma, 1.0, table, True),
        gae(*tables, gamma, 0.6, true_value, True),
        gae(*tables, gamma, 0.0, true_value, True),
    ):
        assert moments.mean == pytest.approx(gradient, abs=1e-10)
        assert np.linalg.eigvalsh(moments.covariance).min() > -1e-9


@given(case=open_cases(), gamma=DISCOUNTS, lam=LAMBDAS, seed=st.integers(0, 99))
@settings(max_examples=30)
def test_gae_with_lambda_one_is_the_reward_to_go_less_the_value(case, gamma, lam, seed):
    table = table_on(case.mdp, seed)
    assert_same(gae(*case.tables, gamma, 1.0, table), reward_to_go(*case.tables, gamma, table))
    nothing_ahead = gae(*case.tables, 0.0, lam, table)
    assert_same(nothing_ahead, reward_to_go(*case.tables, 0.0, table))


@given(case=open_cases(), gamma=DISCOUNTS, returns=st.sampled_from(["rtg", "total"]), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_no_baseline_has_less_variance_than_the_best(case, gamma, returns, seed):
    def variance(baseline):
        if returns == "total":
            return total_return(*case.tables, gamma, baseline).variance
        return reward_to_go(*case.tables, gamma, baseline).variance

    constant = best_baseline(*case.tables, gamma, returns)
    assert np.ptp(constant) == 0.0
    by_state = best_baseline(*case.tables, gamma, returns, features=np.eye(len(case.mdp.transition)))
    least = variance(by_state)
    assert least <= variance(constant) + 1e-9
    for shift in (-0.3, 0.3):
        assert variance(constant + shift) > variance(constant)
        assert least <= variance(by_state + shift * table_on(case.mdp, seed)) + 1e-9


def test_the_value_function_is_not_the_best_baseline_of_the_corridor():
    tables = corridor_at(0.5).tables
    constant = best_baseline(*tables, 1.0)
    assert constant == pytest.approx([-37 / 3] * 4, abs=1e-9)
    assert reward_to_go(*tables, 1.0, constant).variance == pytest.approx(830 / 3, abs=1e-8)
    by_state = best_baseline(*tables, 1.0, features=np.eye(4))
    assert by_state == pytest.approx([-40 / 3, -11, -12, 0], abs=1e-9)
    assert reward_to_go(*tables, 1.0, by_state).variance == pytest.approx(820 / 3, abs=1e-8)


def test_an_action_blind_score_does_not_estimate_the_gradient():
    case = corridor_at(0.5, 6)
    blind = score_table(case.mdp, policy_on(case.mdp, Tabular(), ActionBlindSigmoid()), case.parameters)
    # The score is ½ whatever the action: the mean is half the mean sum of the returns to go.
    found = reward_to_go(case.mdp, case.pi, blind, 1.0)
    assert_same(found, estimate_moments(case.mdp, case.pi, blind, RewardToGo(1.0)))
    assert found.mean[0] < -5.0


def test_a_constant_baseline_is_the_weightings_own():
    tables = corridor_at(0.3, 6).tables
    enumerated = estimate_moments(*tables, ReturnMinusBaseline(1.0, Constant(-3.0)))
    assert_same(reward_to_go(*tables, 1.0, -3.0), enumerated)


def test_the_corridors_own_horizon_changes_nothing_that_can_be_seen():
    capped, free = corridor_at(0.5, 2000), corridor_at(0.5)
    assert_same(reward_to_go(*capped.tables, 1.0), reward_to_go(*free.tables, 1.0), 1e-8)


def test_bad_input_is_refused_with_its_reason():
    mdp, pi, score = corridor_at(0.5).tables
    with pytest.raises(ValueError, match=r"lam=1.5 is outside \[0, 1\]"):
        gae(mdp, pi, score, 1.0, 1.5, 0.0)
    with pytest.raises(ValueError, match="gamma=2 is outside"):
        total_return(mdp, pi, score, 2)
    with pytest.raises(ValueError, match=r"returns='gae' is not one of 'rtg', 'total'"):
        best_baseline(mdp, pi, score, 1.0, "gae")
    with pytest.raises(ValueError, match=r"features \(3, 1\) must be \[S, F\] with S = 4"):
        best_baseline(mdp, pi, score, 1.0, features=np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"a table of shape \(1, 3\) must be a number or \[4\]"):
        reward_to_go(mdp, pi, score, 1.0, np.zeros(3))
    with pytest.raises(ValueError, match=r"a number or \[4\] or \[6, 4\]"):
        reward_to_go(*corridor_at(0.5, 6).tables, 1.0, np.zeros((5, 4)))
    with pytest.raises(ValueError, match="not finite"):
        reward_to_go(mdp, pi, score, 1.0, np.array([0, np.nan, 0, 0]))
    with pytest.raises(ValueError, match=r"needs \[S, A, P\]"):
        reward_to_go(mdp, pi, score[..., 0], 1.0)
    left = Case(corridor(None), corridor_at(0.5).policy, {"weight": torch.tensor([[-1e3]])})
    with pytest.raises(ValueError, match="never ends"):
        reward_to_go(*left.tables, 0.9)


SHORT = {
    "corridor": case_on(corridor(4), 0),
    "loop": case_on(two_state_loop(3, slip=0.1), 1),
    "random": case_on(random_mdp(1, states=2, actions=2, branching=1, end=0.3, horizon=2), 2),
}


@pytest.mark.parametrize("case", SHORT.values(), ids=SHORT)
@pytest.mark.parametrize("gamma", [1.0, 0.8])
@pytest.mark.parametrize(("returns", "discount_states"), [("rtg", False), ("rtg", True), ("total", False)])
@pytest.mark.parametrize("episodes", [2, 3])
def test_leave_one_out_has_the_moments_of_all_its_batches(case, gamma, returns, discount_states, episodes):
    own = with_factor(ReturnMinusBaseline(gamma, LeaveOneOut(), returns), discount_states)
    every = estimate_moments(*case.tables, own, episodes, limit=300_000)
    assert_same(leave_one_out(*case.tables, gamma, episodes, returns, discount_states), every)


@pytest.mark.parametrize("case", SHORT.values(), ids=SHORT)
@pytest.mark.parametrize(("returns", "discount_states"), [("rtg", False), ("rtg", True), ("total", False)])
def test_the_batch_mean_takes_the_returns_share_of_the_score_away(case, returns, discount_states):
    own = with_factor(ReturnMinusBaseline(0.8, BatchMean(), returns), discount_states)
    mean = leave_one_out(*case.tables, 0.8, 2, returns, discount_states).mean
    away = return_times_score(*case.tables, 0.8, discount_states) / 2
    assert estimate_moments(*case.tables, own, 2).mean == pytest.approx(mean - away, abs=1e-12)


def test_leave_one_out_needs_another_episode():
    with pytest.raises(ValueError, match="episodes=1 must be at least 2"):
        leave_one_out(*RICH.tables, 1.0, 1)
