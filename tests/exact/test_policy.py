"""Tables of a policy: what every head owes to theory."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from pglab.algorithms.heads import ActionBlindSigmoid, Sigmoid, Softmax
from pglab.envs.finite import corridor
from pglab.envs.problems import random_mdp
from pglab.exact.policy import log_policy, policy_on, policy_table, score_table
from pglab.models.networks import MLP, Tabular
from tests.exact.exact_cases import NETWORKS, SEEDS, case_on, corridor_at


@given(seed=SEEDS, network_and_head=NETWORKS)
def test_the_mean_score_is_zero_in_every_state(seed, network_and_head):
    case = case_on(random_mdp(seed, actions=2), seed, *network_and_head)
    assert np.einsum("sa,sap->sp", case.pi, case.score) == pytest.approx(0.0, abs=1e-13)
    assert np.abs(case.score).max() > 1e-3


@given(seed=SEEDS, network_and_head=NETWORKS)
@settings(max_examples=30)
def test_the_scores_square_is_minus_the_mean_curvature_of_log_pi(seed, network_and_head):
    case = case_on(random_mdp(seed, states=2, actions=2, branching=1), seed, *network_and_head)
    layout = case.policy.model.layout
    flat = torch.cat([value.flatten() for value in case.parameters.values()])
    squares = np.einsum("sa,sap,saq->spq", case.pi, case.score, case.score)
    for state in range(2):
        curvature = sum(
            case.pi[state, action]
            * torch.autograd.functional.hessian(
                lambda theta, s=state, a=action: log_policy(case.mdp, case.policy, layout.unflatten(theta))[s, a], flat
            ).numpy()
            for action in range(2)
        )
        assert squares[state] == pytest.approx(-curvature, abs=1e-12)


@given(seed=SEEDS)
@settings(max_examples=10)
def test_the_score_of_a_network_is_the_slope_of_log_pi(seed):
    case = case_on(random_mdp(seed, symbols=2), seed, MLP((4,), "silu"))
    step, column = 1e-6, 0
    for name, value in case.parameters.items():
        for entry in range(value.numel()):
            shift = torch.zeros(value.numel(), dtype=torch.float64)
            shift[entry] = step
            ends = [
                log_policy(case.mdp, case.policy, {**case.parameters, name: value + sign * shift.view_as(value)})
                for sign in (1, -1)
            ]
            slope = (ends[0] - ends[1]).numpy() / (2 * step)
            assert case.score[..., column] == pytest.approx(slope, abs=1e-8)
            column += 1
    assert case.score.shape[-1] == column


def test_a_sigmoid_is_the_softmax_over_two_actions_with_the_difference_of_their_logits():
    mdp, theta = random_mdp(3, actions=2), torch.randn(2, 5, dtype=torch.float64, generator=torch.manual_seed(0))
    soft, sigmoid = policy_on(mdp, Tabular(), Softmax()), policy_on(mdp, Tabular(), Sigmoid())
    z = {"weight": theta[1:] - theta[:1]}
    assert policy_table(mdp, sigmoid, z) == pytest.approx(policy_table(mdp, soft, {"weight": theta}), abs=1e-15)
    by_z, by_theta = score_table(mdp, sigmoid, z), score_table(mdp, soft, {"weight": theta})
    # dz/dθ₁ = 1, dz/dθ₀ = -1
    assert by_theta[..., 5:] == pytest.approx(by_z, abs=1e-15)
    assert by_theta[..., :5] == pytest.approx(-by_z, abs=1e-15)


def test_states_that_share_a_symbol_share_policy_and_score():
    case = case_on(random_mdp(1, states=4, symbols=2), 1)
    for table in (case.pi, case.score):
        assert np.array_equal(table[0], table[2])
        assert np.array_equal(table[1], table[3])
        assert not np.allclose(table[0], table[1])


def test_single_precision_parameters_are_read_in_double():
    z = {"weight": torch.zeros(1, 1)}
    policy = policy_on(corridor(), Tabular(), Sigmoid())
    assert policy_table(corridor(), policy, z).dtype == np.float64
    assert score_table(corridor(), policy, z)[0, :, 0] == pytest.approx([-0.5, 0.5], abs=1e-16)


def test_a_head_whose_log_prob_is_none_has_scores_but_no_policy():
    case = corridor_at(0.3)
    blind = policy_on(case.mdp, Tabular(), ActionBlindSigmoid())
    with pytest.raises(ValueError, match=r"ActionBlindSigmoid sums to 0\.6 in state 0"):
        policy_table(case.mdp, blind, case.parameters)
    assert score_table(case.mdp, blind, case.parameters)[0, :, 0] == pytest.approx([0.7, 0.7])
