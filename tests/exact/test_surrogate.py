"""The surrogate equals the objective in its gradient at θ, and in nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given

from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.policy import flat_gradient, leaves_of, log_policy
from pglab.exact.surrogate import promised_and_gained, surrogate
from tests.exact.exact_cases import DISCOUNTS, SEEDS, bandit_at, corridor_at, open_cases, short_cases


def slope(case, gamma):
    """∇L at θ' = θ, `[P]`."""
    leaves = leaves_of(case.parameters)
    return flat_gradient(surrogate(case.mdp, case.pi, log_policy(case.mdp, case.policy, leaves), gamma), leaves)


def along(case, direction, distance, gamma=1.0):
    return promised_and_gained(case.mdp, case.policy, case.parameters, direction, distance, gamma)


def random_direction(case, seed):
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(v.shape, generator=generator, dtype=v.dtype) for n, v in case.parameters.items()}


@given(case=open_cases(), gamma=DISCOUNTS)
def test_its_gradient_is_minus_that_of_the_objective_without_a_horizon(case, gamma):
    assert slope(case, gamma) == pytest.approx(-gradient_by_theorem(*case.tables, gamma), abs=1e-12)


@given(case=short_cases(), gamma=DISCOUNTS)
def test_its_gradient_is_minus_that_of_the_objective_with_a_horizon(case, gamma):
    assert slope(case, gamma) == pytest.approx(-gradient_by_theorem(*case.tables, gamma), abs=1e-12)


@given(case=open_cases(), gamma=DISCOUNTS, seed=SEEDS)
def test_over_a_short_step_it_promises_what_is_gained(case, gamma, seed):
    direction, step = random_direction(case, seed), 1e-5
    ahead, back = (along(case, direction, distance, gamma) for distance in (step, -step))
    promised, gained = ((there - here) / (2 * step) for there, here in zip(ahead, back, strict=True))
    assert promised == pytest.approx(gained, abs=1e-7)


def test_over_a_step_of_one_it_does_not():
    direction = {"weight": torch.ones(1, 1, dtype=torch.float64)}
    assert along(corridor_at(0.3, 6), direction, 1.0) == pytest.approx((2.54162, 0.27597), abs=1e-5)


def test_it_promises_without_end_where_the_objective_falls_without_end():
    # All returns of the corridor are negative, so making every action unlikely lowers the loss.
    case, direction = corridor_at(0.5), {"weight": torch.ones(1, 1, dtype=torch.float64)}
    steps = [along(case, direction, distance) for distance in (2.0, 4.0, 8.0, 16.0)]
    promised, gained = np.array(steps).T
    assert (promised > 0).all()
    assert (np.diff(promised) > 0).all()
    assert (gained < 0).all()
    assert (np.diff(gained) < 0).all()


def test_its_value_does_not_rank_policies():
    # The optimal policy of a bandit that pays 1, 0.7 and 0 has no higher a "loss" than the worst.
    best, worst = bandit_at([50.0, 0.0, 0.0]), bandit_at([0.0, 0.0, 50.0])
    values = [
        surrogate(case.mdp, case.pi, log_policy(case.mdp, case.policy, case.parameters), 1.0).item()
        for case in (best, worst)
    ]
    assert values == pytest.approx([0.0, 0.0], abs=1e-12)


def test_an_action_never_taken_and_impossible_to_judge_adds_nothing():
    case = bandit_at([0.0, 0.0, 0.0])
    pi = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    log_pi = torch.tensor([[-1.0, -torch.inf, -torch.inf]] * 2, dtype=torch.float64)
    assert surrogate(case.mdp, pi, log_pi, 1.0).item() == 1.0
