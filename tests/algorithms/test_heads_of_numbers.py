"""Heads of actions that are numbers, held against `torch.distributions`, sampling and finite differences."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as d
from torch.nn.functional import softplus

from pglab.algorithms.beta import Beta
from pglab.algorithms.gaussian import Gaussian, StateGaussian, TanhGaussian, normal_quantile
from pglab.envs.spaces import Box, Discrete

BOX = Box(3, (-1.0, -2.0, 0.0), (1.0, 3.0, 0.5))
LOW, HIGH = (torch.tensor(bound, dtype=torch.float64) for bound in BOX.bounds)
EDGES = torch.tensor([0.0, 2.0**-24, 0.5, 1 - 2.0**-24], dtype=torch.float64)  # of single precision
HEADS = [Gaussian(), StateGaussian(), TanhGaussian(), Beta()]
each_head = pytest.mark.parametrize("head", [head.of(BOX) for head in HEADS], ids=lambda head: type(head).__name__)
each_type = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def random(*shape, seed, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def uniforms(*shape, seed=3, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def of_x(head, outputs):
    """The distribution of the head's own action, by torch."""
    first, second = outputs.double().chunk(2, -1)
    return (
        d.Beta(1 + softplus(first), 1 + softplus(second)) if isinstance(head, Beta) else d.Normal(first, second.exp())
    )


def of_action(head, outputs):
    """The distribution of what the world is given, by torch."""
    if isinstance(head, TanhGaussian):
        parts = [d.TanhTransform(), d.AffineTransform((LOW + HIGH) / 2, (HIGH - LOW) / 2)]
    else:
        parts = [d.AffineTransform(LOW, HIGH - LOW)] if isinstance(head, Beta) else []
    return d.TransformedDistribution(of_x(head, outputs), parts)


def close(found, expected):
    tolerance = 1e-6 if found.dtype == torch.float32 else 1e-12
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


@each_type
@each_head
def test_log_probabilities_are_those_of_torch_for_what_the_world_is_given(head, dtype):
    outputs = random(400, 6, seed=0, dtype=dtype)
    action = head.sample(outputs, uniforms(400, 3, dtype=dtype))
    if isinstance(head, TanhGaussian):  # torch goes by way of tanh's inverse, which loses digits
        x = action.double()
        slope = d.TanhTransform().log_abs_det_jacobian(x, torch.tanh(x)) + ((HIGH - LOW) / 2).log()
        expected = of_x(head, outputs).log_prob(x) - slope
    else:
        expected = of_action(head, outputs).log_prob(head.taken(action.double()))
    close(head.log_prob(outputs, action), expected.sum(-1))


@each_type
@each_head
def test_entropy_and_divergence_are_those_of_torch(head, dtype):
    old, new = random(400, 6, seed=0, dtype=dtype), random(400, 6, seed=1, dtype=dtype)
    close(head.kl(old, new), d.kl_divergence(of_x(head, old), of_x(head, new)).sum(-1))
    if not isinstance(head, TanhGaussian):
        size = (HIGH - LOW).log() if isinstance(head, Beta) else 0.0
        close(head.entropy(new), (of_x(head, new).entropy() + size).sum(-1))


def test_the_entropy_of_a_squashed_normal_is_the_mean_of_minus_log_probability():
    head = TanhGaussian().of(BOX)
    outputs = torch.cat((random(5, 3, seed=0), random(5, 3, seed=1) * 0.3 - 0.5), -1)
    # Midpoints of 200 000 slices of probability in each dimension: exact but for the last ones, whose share is 1e-5.
    uniform = (torch.arange(200_000, dtype=torch.float64) + 0.5)[:, None, None].expand(-1, 5, 3) / 200_000
    per_number = []
    for i in range(3):
        of_one = TanhGaussian().of(Box(1, BOX.bounds[0][i], BOX.bounds[1][i]))
        logits = outputs[:, [i, i + 3]]
        action = of_one.sample(logits.expand(len(uniform), -1, -1), uniform[..., :1])
        per_number.append(-of_one.log_prob(logits, action).mean(0))
    torch.testing.assert_close(head.entropy(outputs), sum(per_number), rtol=0, atol=2e-5)


@each_head
def test_gradients_are_finite_differences(head):
    outputs, old = random(50, 6, seed=2), random(50, 6, seed=4)
    action = head.sample(outputs, uniforms(50, 3))
    for function in (
        lambda z: head.log_prob(z, action),
        head.entropy,
        lambda z: head.kl(old, z),
    ):
        assert torch.autograd.gradcheck(function, outputs.requires_grad_(), eps=1e-6, atol=1e-6, rtol=1e-6)


@each_head
def test_samples_have_the_distribution_of_the_formula_and_are_pure_functions_of_their_uniforms(head):
    outputs = random(6, seed=5)
    uniform = (torch.arange(999, dtype=torch.float64) + 1)[:, None].expand(-1, 3) / 1000
    action = head.sample(outputs.expand(999, -1), uniform)
    concentrations = [1 + softplus(z).numpy() for z in outputs.chunk(2)]
    below = (
        torch.from_numpy(stats.beta.cdf(action.numpy(), *concentrations))
        if isinstance(head, Beta)
        else of_x(head, outputs).cdf(action)
    )
    torch.testing.assert_close(below, uniform.clone(), rtol=0, atol=1e-9)
    assert torch.equal(head.sample(outputs.expand(999, -1), uniform), action)


@each_head
def test_everything_is_finite_for_the_first_and_the_last_uniforms(head):
    outputs = random(len(EDGES), 6, seed=6, dtype=torch.float32).requires_grad_()
    action = head.sample(outputs, EDGES.float()[:, None].expand(-1, 3))
    log_prob = head.log_prob(outputs, action)
    (slope,) = torch.autograd.grad(log_prob.sum(), outputs)
    for numbers in (action, log_prob, slope, head.taken(action)):
        assert numbers.isfinite().all()
    inside = head.taken(action)
    if not isinstance(head, StateGaussian):
        assert ((inside >= LOW) & (inside <= HIGH)).all()


def test_quantiles_are_finite_odd_and_exact():
    assert torch.equal(normal_quantile(EDGES.float()).isfinite(), torch.ones(4, dtype=torch.bool))
    uniform = (torch.arange(512, dtype=torch.float32) * 2**15 + 3) * 2.0**-24
    z = normal_quantile(uniform)
    assert torch.equal(z, -normal_quantile(1 - 2.0**-24 - uniform))  # the mirror image of an interval
    expected = stats.norm.ppf(uniform.double().numpy() + 2.0**-25)
    np.testing.assert_allclose(z.numpy(), expected, rtol=2e-6, atol=1e-6)


def test_what_is_clipped_is_what_it_says():
    outputs = torch.zeros(1, 6)
    action = torch.tensor([[2.0, -5.0, 0.25]])
    cut = torch.tensor([[1.0, -2.0, 0.25]])
    none, by_action, by_log_prob = (StateGaussian(clip).of(BOX) for clip in ("none", "action", "log_prob"))
    assert [torch.equal(head.taken(action), cut) for head in (none, by_action, by_log_prob)] == [False, True, True]
    drawn = none.log_prob(outputs, action)
    assert torch.equal(by_action.log_prob(outputs, action), drawn)
    assert torch.equal(by_log_prob.log_prob(outputs, action), none.log_prob(outputs, cut))
    assert not none.bias
    assert not by_action.bias
    assert by_log_prob.bias == ("log π is that of the clipped action, as if it had been drawn",)


def test_a_free_deviation_is_one_parameter_a_number_and_a_fed_one_an_output():
    assert (Gaussian().width(BOX), StateGaussian().width(BOX)) == (3, 6)
    assert Gaussian(log_sigma=-0.5).free(BOX) == {"log_sigma": [-0.5] * 3}
    assert not hasattr(StateGaussian(), "free")
    assert [head.draws(BOX) for head in HEADS] == [3] * 4


@pytest.mark.parametrize(
    ("head", "space", "error"),
    [
        (Gaussian(), Discrete(2), "a Gaussian head needs actions that are numbers"),
        (Gaussian("action"), Box(2), r"clip=action cuts actions to bounds, and this environment has Box\(2\)"),
        (TanhGaussian(), Box(2), "a tanh-Gaussian head needs actions with bounds"),
        (Beta(), Box(2, 0.0, math.inf), r"a Beta head needs actions with bounds.* has Box\(2, 0.0, inf\)"),
    ],
)
def test_a_head_that_does_not_fit_says_so(head, space, error):
    with pytest.raises(ValueError, match=error):
        head.width(space)


def test_a_wrong_clip_is_refused():
    with pytest.raises(ValueError, match=r"clip='mean' is not one of none, action, log_prob"):
        Gaussian("mean")
