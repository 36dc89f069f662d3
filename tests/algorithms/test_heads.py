import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pglab.algorithms.heads import ActionBlindSigmoid, Sigmoid, Softmax
from pglab.envs.spaces import Discrete

HEADS = [Softmax(), Sigmoid()]
logit = st.floats(-8, 8)
logits_of = {Softmax(): st.lists(logit, min_size=2, max_size=6), Sigmoid(): st.lists(logit, min_size=1, max_size=1)}
each_head = pytest.mark.parametrize("head", HEADS, ids=repr)
GRID = 1 << 12


def vector(draw, head):
    return torch.tensor(draw.draw(logits_of[head]), dtype=torch.float64)


def log_probs(head, z):
    """log π(a|s) of every action, `[A]`."""
    actions = torch.arange(max(2, len(z)))
    return head.log_prob(z.expand(len(actions), -1), actions)


def scores(head, z):
    """∇log π(a|s) of every action, `[A, W]`."""
    return torch.autograd.functional.jacobian(lambda z: log_probs(head, z), z)


def close(result, expected):
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-13)


@given(st.data())
@each_head
def test_log_probabilities_are_those_of_the_formula(head, data):
    z = vector(data, head)
    weights = [math.exp(x) for x in ([0.0, *z.tolist()] if head == Sigmoid() else z.tolist())]
    expected = torch.tensor([math.log(w / sum(weights)) for w in weights], dtype=torch.float64)
    close(log_probs(head, z), expected)


@given(st.data())
@each_head
def test_the_expected_score_is_zero(head, data):
    z = vector(data, head)
    close(log_probs(head, z).exp() @ scores(head, z), torch.zeros_like(z))


@given(st.data())
@each_head
def test_fisher_information_is_the_mean_square_of_the_score_and_minus_the_mean_curvature(head, data):
    z = vector(data, head)
    pi, score = log_probs(head, z).exp(), scores(head, z)
    fisher = torch.einsum("a,ai,aj->ij", pi, score, score)
    for a, probability in enumerate(pi):
        hessian = torch.autograd.functional.hessian(lambda z, a=a: log_probs(head, z)[a], z)
        fisher = fisher + probability * hessian
    close(fisher, torch.zeros_like(fisher))


@given(st.lists(logit, min_size=2, max_size=6))
def test_the_score_of_a_softmax_is_the_action_less_the_probabilities(logits):
    z = torch.tensor(logits, dtype=torch.float64)
    close(scores(Softmax(), z), torch.eye(len(z), dtype=torch.float64) - z.softmax(0))


@given(logit)
def test_the_score_of_a_sigmoid_is_the_action_less_its_probability(z):
    sigma = 1 / (1 + math.exp(-z))
    expected = torch.tensor([[0 - sigma], [1 - sigma]], dtype=torch.float64)
    close(scores(Sigmoid(), torch.tensor([z], dtype=torch.float64)), expected)


@given(st.data())
@each_head
def test_the_entropy_is_minus_the_mean_log_probability(head, data):
    z = vector(data, head)
    log_pi = log_probs(head, z)
    close(head.entropy(z), -(log_pi.exp() * log_pi).sum())


@pytest.mark.parametrize("actions", [2, 3, 10])
def test_the_entropy_of_equal_logits_is_the_logarithm_of_the_number_of_actions(actions):
    z = torch.full((actions,), 2.5, dtype=torch.float64)
    assert Softmax().entropy(z).item() == pytest.approx(math.log(actions), rel=1e-14)
    assert Sigmoid().entropy(torch.zeros(1, dtype=torch.float64)).item() == pytest.approx(math.log(2), rel=1e-14)


@pytest.mark.parametrize("size", [30.0, 100.0, 1e4, 1e30])
def test_a_policy_that_is_all_but_certain_has_no_entropy_and_no_nan(size):
    for head, z in ((Softmax(), torch.tensor([0.0, size, -size])), (Sigmoid(), torch.tensor([size]))):
        assert head.entropy(z).item() == pytest.approx(0, abs=1e-11)
        assert log_probs(head, z).isfinite().all()
        assert scores(head, z).isfinite().all()


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20))
def test_a_sigmoid_and_a_softmax_over_zero_and_z_agree_in_every_bit(logits):
    z = torch.tensor(logits)[:, None]
    two = torch.cat((torch.zeros_like(z), z), -1)
    assert torch.equal(Sigmoid().entropy(z), Softmax().entropy(two))
    for action in (torch.zeros(len(z), dtype=torch.int64), torch.ones(len(z), dtype=torch.int64)):
        assert torch.equal(Sigmoid().log_prob(z, action), Softmax().log_prob(two, action))
    for u in torch.linspace(0, 1 - 2.0**-24, 50):
        uniform = u.expand(len(z))
        assert torch.equal(Sigmoid().sample(z, uniform), Softmax().sample(two, uniform))


@given(logit, logit)
def test_a_softmax_of_two_actions_is_a_sigmoid_of_their_difference(first, second):
    two, one = (torch.tensor(z, dtype=torch.float64) for z in ([first, second], [second - first]))
    close(log_probs(Softmax(), two), log_probs(Sigmoid(), one))
    # The chain rule with z = θ_1 - θ_0.
    close(scores(Softmax(), two), scores(Sigmoid(), one) * torch.tensor([-1.0, 1.0], dtype=torch.float64))


@given(st.data())
@each_head
def test_actions_over_a_grid_of_uniforms_are_taken_in_proportion_to_their_probability(head, data):
    z = vector(data, head)
    uniform = torch.arange(GRID, dtype=torch.float64) / GRID
    action = head.sample(z.expand(GRID, -1), uniform)
    pi = log_probs(head, z).exp()
    taken = action.bincount(minlength=len(pi))
    # An interval of length π holds ⌊π G⌋ or ⌈π G⌉ points of the grid, and its actions come in order.
    assert ((taken - pi * GRID).abs() < 1 + 1e-9).all()
    assert (action.diff() >= 0).all()


@given(st.data(), st.floats(0, 1, exclude_max=True))
@each_head
def test_the_action_is_the_smallest_whose_cumulative_probability_exceeds_the_uniform(head, data, u):
    z = vector(data, head)
    cumulative = log_probs(head, z).exp().cumsum(0).tolist()
    below = [a for a, edge in enumerate(cumulative) if edge > u + 1e-12]
    above = [a for a, edge in enumerate(cumulative) if edge > u - 1e-12]
    action = head.sample(z, torch.tensor(u, dtype=torch.float64)).item()
    assert min(above) <= action <= min(below, default=len(cumulative) - 1)


@pytest.mark.parametrize("actions", [2, 4, 8])
def test_an_action_begins_exactly_where_the_one_before_it_ends(actions):
    edges = torch.arange(actions) / actions  # powers of two: exact, as are equal probabilities
    uniform = torch.cat((edges, edges[1:] - 2.0**-24))
    expected = [*range(actions), *range(actions - 1)]
    assert Softmax().sample(torch.zeros(len(uniform), actions), uniform).tolist() == expected


def test_the_largest_uniform_takes_an_action_that_exists_even_where_probabilities_fall_short_of_one():
    z = torch.randn(10_000, 7, generator=torch.Generator().manual_seed(0))
    assert (z.softmax(-1).cumsum(-1)[:, -1] <= 1 - 2.0**-24).any()
    assert Softmax().sample(z, torch.full((10_000,), 1 - 2.0**-24)).max() == 6


@each_head
def test_leading_axes_are_as_many_separate_policies(head):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 3, 4, head.width(Discrete(2)), dtype=torch.float64, generator=generator)
    uniform = torch.rand(2, 3, 4, dtype=torch.float64, generator=generator)
    action = head.sample(z, uniform)
    assert action.shape == (2, 3, 4)
    assert len(action.unique()) == 2
    for i in range(2):
        for j in range(3):
            for n in range(4):
                assert head.sample(z[i, j, n], uniform[i, j, n]) == action[i, j, n]
                close(head.log_prob(z, action)[i, j, n], head.log_prob(z[i, j, n], action[i, j, n]))
                close(head.entropy(z)[i, j, n], head.entropy(z[i, j, n]))


@given(logit)
def test_the_action_blind_score_is_the_same_for_either_action_and_does_not_average_to_zero(z):
    one, sigma = torch.tensor([z], dtype=torch.float64), 1 / (1 + math.exp(-z))
    score = scores(ActionBlindSigmoid(), one)
    close(score, torch.full((2, 1), 1 - sigma, dtype=torch.float64))
    expected_score = log_probs(Sigmoid(), one).exp() @ score
    assert expected_score.item() == pytest.approx(1 - sigma, rel=1e-12)
    assert expected_score > 1e-4


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=20))
def test_the_action_blind_head_plays_like_the_sigmoid_that_it_spoils(logits):
    z, uniform = torch.tensor(logits)[:, None], torch.linspace(0, 0.999, len(logits))
    assert torch.equal(ActionBlindSigmoid().sample(z, uniform), Sigmoid().sample(z, uniform))
    assert torch.equal(ActionBlindSigmoid().entropy(z), Sigmoid().entropy(z))


def test_a_softmax_has_one_output_an_action_and_a_sigmoid_one_for_two():
    assert [Softmax().width(Discrete(actions)) for actions in (2, 3, 7)] == [2, 3, 7]
    assert Sigmoid().width(Discrete(2)) == ActionBlindSigmoid().width(Discrete(2)) == 1


@pytest.mark.parametrize("head", [Sigmoid(), ActionBlindSigmoid()])
@pytest.mark.parametrize("actions", [1, 3])
def test_a_sigmoid_refuses_any_other_number_of_actions(head, actions):
    with pytest.raises(ValueError, match=f"chooses between 2 actions, this environment has {actions}"):
        head.width(Discrete(actions))
