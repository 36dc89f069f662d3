from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from pglab.envs.lqr import LinearQuadratic, lqr
from pglab.envs.spaces import Box
from pglab.testing import check_env

LANES = (3, 4)


def uniforms(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_first_state_is_gaussian_around_its_mean():
    problem = lqr(1, states=2, start=0.5)
    (x,) = problem.reset(uniforms(4000, problem.reset_draws))
    assert x.dtype == torch.float32
    for number in range(2):
        assert kstest(x[:, number].double(), "norm", (problem.start_mean[number], 0.5)).pvalue > 0.01
    assert abs(np.corrcoef(x.T)[0, 1]) < 4.5 / 4000**0.5


def test_a_step_moves_and_costs_as_the_matrices_say():
    problem = lqr(2, states=3, controls=2, noise=0.0)
    generator = np.random.default_rng(0)
    x, u = generator.normal(size=(*LANES, 3)), generator.normal(size=(*LANES, 2))
    step = problem.step((torch.tensor(x).float(),), torch.tensor(u).float(), uniforms(*LANES, problem.step_draws))
    expected = np.einsum("ij,...j->...i", problem.dynamics, x) + np.einsum("ij,...j->...i", problem.control, u)
    cost = np.einsum("...i,ij,...j", x, problem.state_cost, x) + np.einsum("...i,ij,...j", u, problem.action_cost, u)
    assert step.state[0].numpy() == pytest.approx(expected, abs=1e-5)
    assert step.reward.numpy() == pytest.approx(-cost, rel=1e-5)
    assert not step.terminated.any()
    assert torch.equal(problem.observe(step.state), step.state[0])


def test_noise_has_the_covariance_that_it_is_given():
    problem = replace(lqr(3, states=2), noise=np.array([[1.0, 0.0], [0.8, 0.6]]))
    x, u = torch.zeros(4000, 2), torch.zeros(4000, 1)
    (moved,) = problem.step((x,), u, uniforms(4000, 4)).state
    for number in range(2):
        assert kstest(moved[:, number].double(), "norm").pvalue > 0.01
    assert np.corrcoef(moved.T)[0, 1] == pytest.approx(0.8, abs=4.5 * (1 - 0.8**2) / 4000**0.5)


def test_a_lane_has_the_same_bits_in_any_company():
    problem = lqr(4, states=5, controls=3)
    first, then = uniforms(*LANES, 10), uniforms(*LANES, 10, seed=1)
    action = torch.randn(*LANES, 3, generator=torch.Generator().manual_seed(2))
    step = problem.step(problem.reset(first), action, then)
    alone = problem.step(problem.reset(first[1:2, 2:3]), action[1:2, 2:3], then[1:2, 2:3])
    assert torch.equal(alone.state[0], step.state[0][1:2, 2:3])
    assert torch.equal(alone.reward, step.reward[1:2, 2:3])


def test_the_same_arguments_make_the_same_problem_and_another_seed_another_one():
    one, same, other = lqr(5), lqr(5), lqr(6)
    assert (one.dynamics == same.dynamics).all()
    assert not np.isclose(one.dynamics, other.dynamics).any()


@pytest.mark.parametrize(("states", "controls"), [(1, 1), (4, 2), (3, 5)])
def test_drawn_problems_are_stable_and_every_cost_is_positive(states, controls):
    for seed in range(5):
        problem = lqr(seed, states, controls)
        assert (problem.observation, problem.actions, problem.horizon) == (Box(states), Box(controls), 10)
        assert np.abs(np.linalg.eigvals(problem.dynamics)).max() == pytest.approx(0.9)
        assert np.linalg.eigvalsh(problem.state_cost).min() >= 0.5 - 1e-12
        assert np.linalg.eigvalsh(problem.action_cost).min() >= 0.5 - 1e-12


def test_it_keeps_the_contract_of_a_world():
    check_env(lqr(0, states=2, controls=1, horizon=5))


@pytest.mark.parametrize("wrong", [{"states": 0}, {"controls": 0}, {"horizon": 0}, {"noise": -1.0}, {"start": -0.5}])
def test_impossible_problems_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name}={value} must be at least"):
        lqr(**wrong)


def test_matrices_that_do_not_fit_are_refused():
    problem = lqr(0, states=2, controls=1)
    with pytest.raises(ValueError, match=r"start_mean has shape \(3,\); a control of \(2, 1\) needs \(2,\)"):
        replace(problem, start_mean=np.zeros(3))
    with pytest.raises(ValueError, match="state_cost must be symmetric"):
        replace(problem, state_cost=np.array([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="horizon=0 must be at least 1"):
        replace(problem, horizon=0)
    assert isinstance(problem, LinearQuadratic)
