"""J and ∇J of many policies at once are those of each alone."""

import numpy as np
import pytest
import torch

from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.envs.finite import corridor, frozen_lake
from pglab.envs.problems import binary_tree, random_mdp, two_state_loop
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.policy import log_policies, log_policy, policy_on, policy_table, score_table
from pglab.exact.stacked import objectives, objectives_and_gradients, reachable
from pglab.exact.values import values
from pglab.models.networks import MLP, Tabular

PROBLEMS = {
    "corridor": (corridor(), Tabular(), Softmax()),
    "corridor, 6 steps, one logit": (corridor(6), Tabular(), Sigmoid()),
    "endless corridor": (corridor(None), MLP((3,)), Softmax()),
    "frozen lake": (frozen_lake(), Tabular(), Softmax()),
    "tree": (binary_tree(3, slip=0.1), MLP((5,)), Softmax()),
    "random": (random_mdp(2, states=7, horizon=13), MLP((5,)), Softmax()),
    "random, endless, few symbols": (random_mdp(3, states=8, symbols=3), Tabular(), Softmax()),
}


def rows(policy, count):
    """Parameters of several runs, `[K, P]`, in single precision as they are trained."""
    flat = torch.randn(count, policy.model.layout.size, generator=torch.Generator().manual_seed(0))
    return policy.model.layout.flatten(policy.model.layout.unflatten(flat))


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_row_has_the_value_and_gradient_of_its_policy(name):
    mdp, network, head = PROBLEMS[name]
    policy = policy_on(mdp, network, head)
    flat, gamma = rows(policy, 3), torch.tensor([1.0, 0.9, 0.0])
    value, gradient = objectives_and_gradients(mdp, policy, flat, gamma)
    assert value.dtype == gradient.dtype == torch.float64
    for row, discount in enumerate(gamma.double().tolist()):
        named = policy.model.layout.unflatten(flat[row])
        pi, score = policy_table(mdp, policy, named), score_table(mdp, policy, named)
        assert value[row].item() == pytest.approx(values(mdp, pi, discount).objective, rel=1e-11, abs=1e-13)
        expected = gradient_by_theorem(mdp, pi, score, discount)
        assert gradient[row, : len(expected)].numpy() == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert (gradient[row, len(expected) :] == 0).all()


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_row_has_the_same_bits_alone_and_among_others(name):
    mdp, network, head = PROBLEMS[name]
    policy = policy_on(mdp, network, head)
    flat, gamma = rows(policy, 9), torch.linspace(0.1, 1.0, 9)
    together = objectives_and_gradients(mdp, policy, flat, gamma)
    for some in ([0], [4], [3, 4, 5], [8, 1]):
        for part, whole in zip(objectives_and_gradients(mdp, policy, flat[some], gamma[some]), together, strict=True):
            assert torch.equal(part, whole[some])


def test_the_book_s_corridor_of_twenty_thousand_steps_has_its_known_optimum():
    p = torch.tensor([0.5, 0.95, 2 - np.sqrt(2)], dtype=torch.float64)
    pi = torch.stack((1 - p, p), -1)[:, None].expand(-1, 4, -1)
    assert objectives(corridor(), pi, 1.0).numpy() == pytest.approx([-12, -44.2105263, -6 - 4 * np.sqrt(2)])


def test_a_policy_that_never_ends_has_no_value_and_leaves_its_neighbours_theirs():
    mdp = corridor(None)
    policy = policy_on(mdp, Tabular(), Sigmoid())
    flat = torch.zeros(3, policy.model.layout.size)
    flat[1, 0] = 1e3
    value, gradient = objectives_and_gradients(mdp, policy, flat, torch.ones(3))
    assert value.isnan().tolist() == [False, True, False]
    assert gradient[:, 0].isnan().tolist() == [False, True, False]
    assert value[0].item() == pytest.approx(-12.0)
    assert gradient[2, 0].item() == pytest.approx(2.0)


def test_an_endless_problem_has_a_value_with_a_discount_and_none_without():
    mdp = two_state_loop(None)
    pi = torch.full((2, 2, 2), 0.5, dtype=torch.float64)
    found = objectives(mdp, pi, torch.tensor([0.9, 1.0]))
    assert found[0].item() == pytest.approx(0.5 / 0.1, rel=1e-6)
    assert found[1].isnan()


def test_stacked_tables_are_those_of_each_policy():
    mdp = random_mdp(1, symbols=2)
    policy = policy_on(mdp, MLP((4,)), Softmax())
    flat = rows(policy, 3).double()
    together = log_policies(mdp, policy, policy.model.layout.unflatten(flat))
    alone = [log_policy(mdp, policy, policy.model.layout.unflatten(row)) for row in flat]
    assert torch.allclose(together, torch.stack(alone), rtol=0, atol=1e-14)


def test_reachable_states_are_those_that_some_policy_acts_in():
    assert reachable(corridor()).tolist() == [0, 1, 2]
    lake = frozen_lake()
    assert reachable(lake).tolist() == np.flatnonzero(~lake.terminal).tolist()
