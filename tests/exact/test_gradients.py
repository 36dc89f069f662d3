"""∇J by the theorem, by autograd, by finite differences; the surrogate; Fisher information."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given

from pglab.algorithms.objectives import Seen, Surrogate
from pglab.algorithms.weightings import RewardToGo
from pglab.envs.finite import corridor
from pglab.exact.enumeration import enumerate_trajectories
from pglab.exact.estimators import total_return
from pglab.exact.gradients import fisher_information, gradient_by_autograd, gradient_by_theorem
from pglab.exact.policy import log_policy, policy_table
from pglab.exact.values import values
from tests.exact.exact_cases import DISCOUNTS, Case, bandit_at, corridor_at, open_cases, short_cases

BANDIT = bandit_at([0.0, 3.0, 5.0])


def both_gradients(case, gamma):
    theorem = gradient_by_theorem(*case.tables, gamma)
    return theorem, gradient_by_autograd(case.mdp, case.policy, case.parameters, gamma)


def test_the_corridor_has_the_known_gradients():
    for p in (0.1, 0.5, 2 - np.sqrt(2), 0.9):
        # J = -(4-2p)/(p(1-p)) and dp/dz = p(1-p)
        slope = (2 * p * (1 - p) + (4 - 2 * p) * (1 - 2 * p)) / (p * (1 - p))
        for gradient in both_gradients(corridor_at(p), 1.0):
            assert gradient == pytest.approx([slope], abs=1e-10)
    for gradient in both_gradients(corridor_at(0.5), 1.0):
        assert gradient == pytest.approx([2.0], abs=1e-11)


@pytest.mark.parametrize(("p", "expected"), [(0.5, 0.203125), (0.3, 0.323505)])
def test_the_corridor_cut_after_six_steps_has_the_known_gradient(p, expected):
    for gradient in both_gradients(corridor_at(p, 6), 1.0):
        assert gradient == pytest.approx([expected], abs=1e-10)


def test_the_discounted_corridor_has_the_known_gradient():
    for gradient in both_gradients(corridor_at(0.5), 0.9):
        assert gradient == pytest.approx([0.48623], abs=5e-6)


def test_the_bandit_has_the_known_value_and_gradient():
    assert values(BANDIT.mdp, BANDIT.pi, 1.0).objective == pytest.approx(0.08884951, abs=5e-9)
    for gradient in both_gradients(BANDIT, 1.0):
        assert gradient == pytest.approx([0.005376, 0.072421, -0.077797], abs=5e-7)


@given(case=open_cases(), gamma=DISCOUNTS)
def test_theorem_and_autograd_agree_without_a_horizon(case, gamma):
    theorem, autograd = both_gradients(case, gamma)
    assert theorem == pytest.approx(autograd, abs=1e-12)


@given(case=short_cases(), gamma=DISCOUNTS)
def test_theorem_and_autograd_agree_with_a_horizon(case, gamma):
    theorem, autograd = both_gradients(case, gamma)
    assert theorem == pytest.approx(autograd, abs=1e-12)


@given(case=open_cases(), gamma=DISCOUNTS)
def test_the_gradient_is_the_slope_of_the_objective(case, gamma):
    layout, step = case.policy.model.layout, 1e-5
    flat = torch.cat([value.flatten() for value in case.parameters.values()])

    def objective(theta):
        return values(case.mdp, policy_table(case.mdp, case.policy, layout.unflatten(theta)), gamma).objective

    slopes = [(objective(flat + e) - objective(flat - e)) / (2 * step) for e in step * torch.eye(len(flat))]
    assert gradient_by_theorem(*case.tables, gamma) == pytest.approx(slopes, abs=1e-7)


def test_the_surrogate_follows_the_objective_in_its_gradient_and_not_in_its_value():
    case = corridor_at(0.3, 6)
    episodes = enumerate_trajectories(case.mdp, case.pi)
    probability, batch = episodes.batches()
    psi = RewardToGo(1.0)(batch)[:, 0]

    def surrogate(z):
        """Minus the mean loss over all episodes of the policy at p = .3, at the parameter z."""
        log_pi = log_policy(case.mdp, case.policy, {"weight": z})
        taken = log_pi[torch.from_numpy(episodes.state), torch.from_numpy(episodes.action)]
        return -(torch.from_numpy(probability) * Surrogate()(Seen(taken, psi)).sum(-1)).sum()

    z = case.parameters["weight"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(surrogate(z), z)
    by_hand = probability @ np.einsum("nt,nt->n", psi.numpy(), case.score[episodes.state, episodes.action, 0])
    assert gradient.item() == pytest.approx(by_hand, abs=1e-13)
    assert gradient.item() == pytest.approx(0.323505, abs=1e-10)
    after = Case(case.mdp, case.policy, {"weight": z.detach() + 1.0})
    gained = values(after.mdp, after.pi, 1.0).objective - values(case.mdp, case.pi, 1.0).objective
    claimed = (surrogate(after.parameters["weight"]) - surrogate(z)).item()
    assert gained == pytest.approx(0.27597, abs=1e-5)
    assert claimed == pytest.approx(2.54162, abs=1e-5)


def test_one_episode_of_the_corridor_has_fisher_information_three():
    assert fisher_information(*corridor_at(0.5).tables) == pytest.approx(np.array([[3.0]]), abs=1e-10)


@given(case=open_cases())
def test_the_fisher_information_is_the_covariance_of_the_summed_scores(case):
    # Without rewards, the estimate with baseline -1 is the sum of the scores.
    blank = replace(case.mdp, reward=np.zeros_like(case.mdp.reward))
    summed = total_return(blank, case.pi, case.score, 1.0, baseline=-1.0)
    assert fisher_information(*case.tables) == pytest.approx(summed.covariance, abs=1e-10)


def test_an_endless_policy_has_no_undiscounted_gradient_by_either_road():
    left = {"weight": torch.tensor([[-1e3]], dtype=torch.float64)}
    case = Case(corridor(None), corridor_at(0.5).policy, left)
    with pytest.raises(ValueError, match="never ends"):
        gradient_by_theorem(*case.tables, 1.0)
    with pytest.raises(ValueError, match="never ends"):
        gradient_by_autograd(case.mdp, case.policy, left, 1.0)
