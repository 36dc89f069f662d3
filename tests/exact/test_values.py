"""Values in closed form against theory, against each other, and against every mistake in the input."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from pglab.envs.finite import corridor, frozen_lake
from pglab.envs.problems import random_mdp, two_state_loop
from pglab.exact.enumeration import enumerate_trajectories
from pglab.exact.values import action_values, greedy, optimal_values, return_variance, values, visitation
from tests.exact.exact_cases import DISCOUNTS, corridor_at, open_cases, short_cases


def test_the_corridor_has_its_closed_form_at_every_p():
    for p in (0.05, 0.3, 0.5, 0.59, 0.95):
        case = corridor_at(p)
        assert values(case.mdp, case.pi, 1.0).objective == pytest.approx(-(4 - 2 * p) / (p * (1 - p)), rel=1e-12)


def test_the_corridor_has_the_known_values():
    case = corridor_at(0.5)
    found = values(case.mdp, case.pi, 1.0)
    assert found.state == pytest.approx([-12, -10, -6, 0], abs=1e-10)
    assert found.action == pytest.approx(np.array([[-13, -11], [-7, -13], [-11, -1], [0, 0]]), abs=1e-10)
    assert return_variance(case.mdp, case.pi, 1.0) == pytest.approx(92, abs=1e-8)
    assert values(case.mdp, corridor_at(0.95).pi, 1.0).objective == pytest.approx(-44.2105, abs=5e-5)


def test_the_best_blind_policy_of_the_corridor_is_the_books():
    best = corridor_at(2 - np.sqrt(2))
    j = values(best.mdp, best.pi, 1.0).objective
    assert j == pytest.approx(-(6 + 4 * np.sqrt(2)), abs=1e-10)
    assert j == pytest.approx(-11.656854, abs=5e-7)
    for p in (0.58, 0.59):
        assert values(best.mdp, corridor_at(p).pi, 1.0).objective < j


@pytest.mark.parametrize(("p", "expected"), [(0.5, -5.40625), (0.3, -5.65539)])
def test_the_corridor_cut_after_six_steps_has_the_known_objective(p, expected):
    case = corridor_at(p, 6)
    assert values(case.mdp, case.pi, 1.0).objective == pytest.approx(expected, abs=1e-10)


def test_frozen_lake_has_the_known_best_values():
    lake = frozen_lake(horizon=None)
    assert optimal_values(lake, 1.0)[0] == pytest.approx(14 / 17, abs=1e-9)
    best = optimal_values(lake, 0.99)
    assert best[0] == pytest.approx(0.54202593, abs=5e-9)
    evaluated = values(lake, greedy(lake, best, 0.99), 0.99)
    assert evaluated.objective == pytest.approx(best[0], abs=1e-10)
    # The same policy is best without discount too.
    assert values(lake, greedy(lake, best, 0.99), 1.0).objective == pytest.approx(14 / 17, abs=1e-10)


def test_the_optimal_values_bound_those_of_every_policy_and_grow_into_those_without_horizon():
    lake = frozen_lake(horizon=300)
    cut, free = optimal_values(lake, 0.9), optimal_values(replace(lake, horizon=None), 0.9)
    assert cut.shape == (300, 16)
    assert cut[0] == pytest.approx(free, abs=1e-10)
    assert (cut[:-1] >= cut[1:] - 1e-15).all()
    uniform = values(lake, np.full((16, 4), 0.25), 0.9).state
    assert (uniform <= cut + 1e-12)[~np.isnan(uniform)].all()


def test_value_iteration_that_cannot_settle_says_so():
    with pytest.raises(ValueError, match="has not settled in 100 sweeps"):
        optimal_values(two_state_loop(horizon=None), 1.0, sweeps=100)


@given(case=short_cases(), gamma=DISCOUNTS)
def test_a_horizon_gives_the_average_over_all_episodes(case, gamma):
    episodes = enumerate_trajectories(case.mdp, case.pi)
    returns = episodes.returns(gamma)
    found = values(case.mdp, case.pi, gamma)
    mean = episodes.probability @ returns
    assert found.objective == pytest.approx(mean, abs=1e-12)
    variance = episodes.probability @ (returns - mean) ** 2
    assert return_variance(case.mdp, case.pi, gamma) == pytest.approx(variance, abs=1e-10)
    length = episodes.probability @ episodes.length
    assert visitation(case.mdp, case.pi, 1.0).sum() == pytest.approx(length, abs=1e-12)


@given(case=open_cases(), gamma=DISCOUNTS)
def test_without_a_horizon_the_values_are_the_limit_of_long_horizons(case, gamma):
    free, cut = case.mdp, replace(case.mdp, horizon=120)
    assert values(cut, case.pi, gamma).state[0] == pytest.approx(values(free, case.pi, gamma).state, abs=1e-10)
    assert values(cut, case.pi, gamma).action[0] == pytest.approx(values(free, case.pi, gamma).action, abs=1e-10)
    summed = visitation(cut, case.pi, gamma).sum(0)
    assert summed == pytest.approx(visitation(free, case.pi, gamma), abs=1e-10)
    assert return_variance(cut, case.pi, gamma) == pytest.approx(return_variance(free, case.pi, gamma), abs=1e-9)


@given(case=open_cases(), gamma=DISCOUNTS)
def test_values_keep_bellmans_equations_and_visits_weigh_the_rewards(case, gamma):
    mdp, pi = case.mdp, case.pi
    found = values(mdp, pi, gamma)
    acting = ~mdp.terminal & ~np.isnan(found.state)
    assert (pi * found.action).sum(-1)[acting] == pytest.approx(found.state[acting], abs=1e-12)
    assert action_values(mdp, found.state, gamma)[acting] == pytest.approx(found.action[acting], abs=1e-12)
    gain = (mdp.transition * mdp.reward).sum(-1)
    visits = visitation(mdp, pi, gamma)
    assert (visits * (pi * gain).sum(-1)).sum() == pytest.approx(found.objective, abs=1e-12)


def test_with_a_horizon_the_value_of_a_state_depends_on_the_time_left():
    case = corridor_at(0.5, 3)
    # One step left: every state costs 1. Two left: half the episodes end on leaving state 2.
    expected = [[-3, -2.75, -2, 0], [-2, -2, -1.5, 0], [-1, -1, -1, 0]]
    assert values(case.mdp, case.pi, 1.0).state == pytest.approx(np.array(expected))


def test_states_and_actions_that_the_policy_never_meets_have_no_value():
    left = np.array([[1.0, 0.0]] * 4)
    found = values(corridor(None), left, 0.5)
    assert found.state == pytest.approx([-2, np.nan, np.nan, 0], nan_ok=True)
    assert found.action[0] == pytest.approx([-2, np.nan], nan_ok=True)


def test_a_policy_that_never_ends_needs_a_discount_or_a_horizon():
    left = np.array([[1.0, 0.0]] * 4)
    with pytest.raises(ValueError, match=r"never ends.*give the MDP a horizon"):
        values(corridor(None), left, 1.0)
    with pytest.raises(ValueError, match="never ends"):
        visitation(corridor(None), left, 1.0)
    assert values(corridor(None), left, 0.9).objective == pytest.approx(-10)
    assert values(corridor(7), left, 1.0).objective == pytest.approx(-7)


def test_a_loop_that_the_policy_never_enters_does_no_harm():
    # Left in state 0 would stay there for ever; this policy goes right in 0, left in 1, right in 2.
    straight = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert values(corridor(None), straight, 1.0).objective == pytest.approx(-3)


@pytest.mark.parametrize(
    ("pi", "message"),
    [
        (np.full((3, 2), 0.5), r"\[S, A\] = \(4, 2\)"),
        (np.array([[0.5, 0.5], [0.5, 0.6], [0.5, 0.5], [0.5, 0.5]]), r"π\(·\|1\).*not a distribution"),
        (np.array([[0.5, 0.5], [1.5, -0.5], [0.5, 0.5], [0.5, 0.5]]), r"π\(·\|1\).*not a distribution"),
        (np.array([[np.nan, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]), r"π\(·\|0\).*not a distribution"),
    ],
)
def test_a_table_that_is_no_policy_is_refused(pi, message):
    with pytest.raises(ValueError, match=message):
        values(corridor(None), pi, 1.0)


def test_an_episode_cannot_start_where_it_ends():
    mdp = replace(random_mdp(0), start=np.array([0.5, 0, 0, 0, 0, 0.5]))
    with pytest.raises(ValueError, match="state 5, which is terminal"):
        values(mdp, np.full((6, 3), 1 / 3), 1.0)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, np.nan])
def test_a_discount_outside_its_range_is_refused(gamma):
    with pytest.raises(ValueError, match="outside"):
        values(corridor(6), np.full((4, 2), 0.5), gamma)
