"""J, ∇J and the optimum of linear-quadratic problems, held against other ways to compute them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_are

from pglab.envs.lqr import lqr
from pglab.exact.linear_quadratic import LinearGaussian, gradient, objective, optimum, second_moments, value_forms
from tests.exact.linear_cases import all_noise, form_at, linear_case, played

CASES = st.builds(linear_case, st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3), st.integers(1, 12))
DISCOUNTS = st.sampled_from([0.0, 0.5, 0.9, 1.0])


def rolled_out(problem, gain, log_deviation, gamma):
    """J by the mean and covariance of the state, differentiable: no value function, no score."""
    a, b, q, r, noise, mean, spread = (
        torch.from_numpy(getattr(problem, name))
        for name in ("dynamics", "control", "state_cost", "action_cost", "noise", "start_mean", "start_spread")
    )
    offset, feedback = gain[:, 0], gain[:, 1:]
    exploring = torch.diag((2 * log_deviation).exp())
    covariance, total = spread @ spread.T, torch.zeros((), dtype=torch.float64)
    for t in range(problem.horizon):
        action = offset + feedback @ mean
        of_action = feedback @ covariance @ feedback.T + exploring
        cost = mean @ q @ mean + action @ r @ action + torch.trace(q @ covariance) + torch.trace(r @ of_action)
        total = total - gamma**t * cost
        loop = a + b @ feedback
        mean = a @ mean + b @ action
        covariance = loop @ covariance @ loop.T + b @ exploring @ b.T + noise @ noise.T
    return total


@given(CASES, DISCOUNTS)
def test_objective_and_gradient_are_those_of_a_rollout_of_means_and_covariances_differentiated(case, gamma):
    gain, log_deviation = (
        torch.tensor(part, requires_grad=True) for part in (case.policy.gain, case.policy.log_deviation)
    )
    total = rolled_out(case.problem, gain, log_deviation, gamma)
    slopes = torch.autograd.grad(total, (gain, log_deviation))
    by_autograd = torch.cat([slope.flatten() for slope in slopes]).numpy()
    size = max(1.0, np.abs(by_autograd).max())
    assert objective(case.problem, case.policy, gamma) == pytest.approx(total.item(), rel=1e-10)
    assert gradient(case.problem, case.policy, gamma) == pytest.approx(by_autograd, abs=1e-8 * size, rel=0)


def test_the_value_function_is_the_mean_return_from_each_state():
    case = linear_case(3, states=2, controls=1, horizon=2)
    xi, weight = all_noise(case)
    for start in ([0.0, 0.0], [1.0, -2.0]):
        there = replace(case.problem, start_mean=np.array(start), start_spread=np.zeros((2, 2)))
        value = form_at(value_forms(there, case.policy, 0.8)[0], np.array([start]))
        _, rewards, _ = played(replace(case, problem=there), xi)
        assert value == pytest.approx(weight @ rewards @ 0.8 ** np.arange(2), rel=1e-12)


def test_second_moments_are_those_of_the_states():
    case = linear_case(4, states=2, controls=1, horizon=2)
    xi, weight = all_noise(case)
    states, _, _ = played(case, xi)
    phi = np.concatenate((np.ones_like(states[..., :1]), states), -1)
    expected = np.einsum("e,eti,etj->tij", weight, phi, phi)
    assert second_moments(case.problem, case.policy) == pytest.approx(expected, abs=1e-12)


def riccati(problem, gamma):
    """The feedback K and the cost matrix P of the discounted problem without an end."""
    root = np.sqrt(gamma)
    a, b = root * problem.dynamics, root * problem.control
    cost = solve_discrete_are(a, b, problem.state_cost, problem.action_cost)
    return -np.linalg.solve(problem.action_cost + b.T @ cost @ b, b.T @ cost @ a), cost


@pytest.mark.parametrize("seed", range(4))
def test_at_the_feedback_of_the_algebraic_riccati_equation_the_gradient_vanishes(seed):
    gamma = 0.8
    problem = lqr(seed, states=3, controls=2, horizon=200, noise=0.3)
    feedback, cost = riccati(problem, gamma)
    policy = LinearGaussian(np.concatenate((np.zeros((2, 1)), feedback), 1), np.array([-30.0, -30.0]))
    slope = gradient(problem, policy, gamma)
    assert np.abs(slope).max() < 1e-9
    moved = replace(policy, gain=policy.gain + 0.01)
    assert np.abs(gradient(problem, moved, gamma)).max() > 1e-3
    start = problem.start_mean
    expected = start @ cost @ start + np.trace(cost @ problem.start_spread @ problem.start_spread.T)
    expected += gamma / (1 - gamma) * np.trace(cost @ problem.noise @ problem.noise.T)
    assert objective(problem, policy, gamma) == pytest.approx(-expected, rel=1e-10)


def test_the_optimum_begins_as_the_algebraic_riccati_equation_says_and_no_policy_earns_more():
    problem = lqr(5, states=3, controls=2, horizon=200, noise=0.3)
    gains, best = optimum(problem, 0.8)
    feedback, _ = riccati(problem, 0.8)
    assert gains[0][:, 1:] == pytest.approx(feedback, abs=1e-10)
    assert gains[:, :, 0] == pytest.approx(0.0, abs=1e-12)
    quiet = np.full(2, -30.0)
    assert objective(problem, LinearGaussian(gains[0], quiet), 0.8) == pytest.approx(best, rel=1e-9)
    assert objective(problem, LinearGaussian(0.9 * gains[0], quiet), 0.8) < best - 1e-4


@pytest.mark.parametrize("horizon", [1, 2])
def test_in_a_short_episode_the_best_action_is_that_of_no_future_and_of_one_step_of_it(horizon):
    problem = lqr(6, states=2, controls=1, horizon=horizon)
    gains, _ = optimum(problem, 1.0)
    assert gains[-1] == pytest.approx(0.0, abs=1e-15)  # nothing follows that could pay for it
    if horizon == 2:
        b, q = problem.control, problem.state_cost
        expected = -np.linalg.solve(problem.action_cost + b.T @ q @ b, b.T @ q @ problem.dynamics)
        assert gains[0][:, 1:] == pytest.approx(expected, abs=1e-12)


def test_what_does_not_fit_is_refused():
    case = linear_case(0, states=2, controls=1, horizon=3)
    with pytest.raises(ValueError, match=r"gamma=1\.5 is outside \[0, 1\]"):
        objective(case.problem, case.policy, 1.5)
    with pytest.raises(ValueError, match=r"must be \(1, 3\) and \(1,\) for 2 numbers of a state and 1 of an action"):
        objective(case.problem, LinearGaussian(np.zeros((1, 2)), np.zeros(1)), 0.9)
    free = replace(case.problem, action_cost=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="some action costs nothing"):
        optimum(free, 0.9)
