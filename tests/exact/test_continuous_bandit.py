"""Continuous bandits: closed forms against quadrature, and estimates against weightings run on a grid of actions."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import beta as beta_distribution
from torch.nn.functional import softplus

from pglab.algorithms.beta import Beta
from pglab.algorithms.gaussian import Gaussian, StateGaussian, TanhGaussian
from pglab.envs.continuous_bandit import ContinuousBandit
from pglab.exact.bandit_estimators import BanditEstimators
from pglab.exact.score_moments import by_quadrature, nodes, sampled_gradient, score_moments

BANDIT = ContinuousBandit([0.3, -0.5], [1.0, 0.7], low=[-1.0, -2.0], high=[1.5, 0.5], noise=0.4)
OUTPUTS = np.array([0.4, -0.2, -0.3, 0.5])
HEADS = [head.of(BANDIT.actions) for head in (Gaussian(), StateGaussian(), Beta(), TanhGaussian(), Gaussian("action"))]


def name_of(head):
    return f"{type(head).__name__} {getattr(head, 'clip', '')}"


each_head = pytest.mark.parametrize("head", HEADS, ids=name_of)


def estimators(head, slope=None):
    return BanditEstimators(score_moments(head, OUTPUTS, BANDIT), BANDIT.noise, np.eye(4) if slope is None else slope)


def grid(head):
    """Actions, costs, scores and weights of a product quadrature over both numbers, with two values of the noise."""
    z = np.linspace(-7.5, 7.5, 151)
    weight = np.exp(-(z**2) / 2)
    pairs = np.array(list(product(range(len(z)), repeat=2)))
    uniform = torch.from_numpy(torch.special.ndtr(torch.from_numpy(z)).numpy()[pairs])
    outputs = torch.from_numpy(OUTPUTS).expand(len(pairs), -1).clone().requires_grad_()
    action = head.sample(outputs.detach(), uniform)
    (score,) = torch.autograd.grad(head.log_prob(outputs, action).sum(), outputs)
    taken = head.taken(action).numpy()
    cost = (np.array(BANDIT.curvature) * (taken - np.array(BANDIT.target)) ** 2).sum(1)
    chance = weight[pairs].prod(1) / weight.sum() ** 2
    reward = np.concatenate((BANDIT.noise - cost, -BANDIT.noise - cost))
    return reward, np.concatenate((score, score)), np.concatenate((chance, chance)) / 2


@pytest.mark.parametrize("head", HEADS[:3], ids=lambda head: type(head).__name__)
def test_closed_forms_are_what_quadrature_finds(head):
    closed, found = score_moments(head, OUTPUTS, BANDIT), by_quadrature(head, OUTPUTS, BANDIT)
    assert (closed.owner == found.owner).all()
    for name in ("cost", "one", "two"):
        assert getattr(closed, name) == pytest.approx(getattr(found, name), abs=1e-8, rel=1e-8), name


def test_the_gradient_of_a_gaussian_is_the_slope_of_its_mean_reward():
    target, curvature = np.array(BANDIT.target), np.array(BANDIT.curvature)
    expected = np.concatenate((-2 * curvature * (OUTPUTS[:2] - target), -2 * curvature * np.exp(2 * OUTPUTS[2:])))
    assert estimators(HEADS[0]).gradient == pytest.approx(expected, rel=1e-12)


def test_the_gradient_of_a_beta_is_the_slope_of_its_mean_reward():
    outputs = torch.tensor(OUTPUTS, requires_grad=True)
    alpha, beta = (1 + softplus(part) for part in outputs.chunk(2))
    low, high = (torch.tensor(bound, dtype=torch.float64) for bound in BANDIT.actions.bounds)
    mean = alpha / (alpha + beta)
    variance = mean * (1 - mean) / (alpha + beta + 1)
    far = low + (high - low) * mean - torch.tensor(BANDIT.target, dtype=torch.float64)
    total = -(torch.tensor(BANDIT.curvature, dtype=torch.float64) * (far**2 + (high - low) ** 2 * variance)).sum()
    (expected,) = torch.autograd.grad(total, outputs)
    found = estimators(HEADS[2])
    assert found.objective == pytest.approx(total.item(), rel=1e-12)
    assert found.gradient == pytest.approx(expected.numpy(), rel=1e-12)
    assert mean[0].item() == pytest.approx(beta_distribution(alpha[0].item(), beta[0].item()).mean())


@each_head
def test_the_score_gives_the_gradient_of_what_is_sampled(head):
    near = 1e-3 if getattr(head, "clip", "none") == "action" else 1e-7  # differences of a mean over corners
    assert estimators(head).gradient == pytest.approx(sampled_gradient(head, OUTPUTS, BANDIT), abs=near)


@pytest.mark.parametrize("head", [*HEADS, Gaussian("log_prob").of(BANDIT.actions)], ids=name_of)
def test_mean_and_covariance_with_and_without_a_baseline_are_those_of_a_grid_of_actions(head):
    reward, score, chance = grid(head)
    slope = np.random.default_rng(0).normal(size=(4, 3))
    near = 5e-3 if getattr(head, "clip", "none") != "none" else 1e-5  # a cut has a corner
    for b in (0.0, -0.8):
        estimate = (reward - b)[:, None] * (score @ slope)
        mean = chance @ estimate
        covariance = np.einsum("q,qv,qw->vw", chance, estimate - mean, estimate - mean)
        for found in (estimators(head, slope).total_return(b), estimators(head, slope).gae(0.3, b)):
            assert found.mean == pytest.approx(mean, abs=near)
            assert found.covariance == pytest.approx(covariance, abs=near, rel=near)


def test_leave_one_out_over_every_batch_of_two():
    head = HEADS[0]
    node, weight = np.polynomial.hermite_e.hermegauss(5)
    chance = np.array([a * b * c for a, b, c in product(weight, repeat=3)]) / weight.sum() ** 3
    epsilon = np.array(list(product(node, repeat=3)))
    action = OUTPUTS[:2] + np.exp(OUTPUTS[2:]) * epsilon[:, :2]
    cost = (np.array(BANDIT.curvature) * (action - np.array(BANDIT.target)) ** 2).sum(1)
    reward = BANDIT.noise * epsilon[:, 2] - cost
    score = np.concatenate((epsilon[:, :2] / np.exp(OUTPUTS[2:]), epsilon[:, :2] ** 2 - 1), 1)
    of_one = (reward[:, None] - reward)[:, :, None] * (score[:, None] - score) / 2  # (R - R') (s - s') / 2
    both = chance[:, None] * chance
    mean = np.einsum("ab,abw->w", both, of_one)
    second = np.einsum("ab,abv,abw->vw", both, of_one, of_one, optimize=True)
    found = estimators(head).leave_one_out(2)
    assert found.mean == pytest.approx(mean, rel=1e-9)
    assert found.covariance == pytest.approx(second - np.outer(mean, mean), rel=1e-9, abs=1e-9)


def test_a_policy_whose_score_is_that_of_the_cut_action_has_another_mean_than_the_gradient():
    cut, sound = (estimators(Gaussian(clip).of(BANDIT.actions)) for clip in ("log_prob", "action"))
    assert cut.objective == pytest.approx(sound.objective, rel=1e-12)
    assert not cut.is_centred
    assert sound.is_centred
    assert np.abs(cut.gradient - sound.gradient).max() > 0.05
    assert cut.total_return(-1.0).mean != pytest.approx(cut.gradient, abs=0.01)


@dataclass(frozen=True)
class Shared(Gaussian):
    """One log σ, that of the first number, for all of them."""

    def log_prob(self, outputs, action):
        mean, log_sigma = outputs.chunk(2, -1)
        return super().log_prob(torch.cat((mean, log_sigma[..., :1].expand_as(mean)), -1), action)


@dataclass(frozen=True)
class Spendthrift(Gaussian):
    def draws(self, space):
        return 2 * space.size


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (Shared(), "an output of Shared has a say in more than one number of an action"),
        (Spendthrift(), "Spendthrift takes 4 uniforms for 2 numbers of an action"),
    ],
    ids=["shared", "two uniforms"],
)
def test_a_head_whose_numbers_do_not_come_apart_is_refused(head, said):
    with pytest.raises(ValueError, match=said):
        score_moments(head.of(BANDIT.actions), OUTPUTS, BANDIT)


def test_the_nodes_have_the_moments_of_the_normal_distribution():
    weight, uniform = nodes(1)
    z = torch.special.ndtri(torch.from_numpy(uniform[0, :, 0])).numpy()
    assert [weight @ z**k for k in (1, 2, 4, 8)] == pytest.approx([0, 1, 3, 105], abs=1e-9, rel=1e-9)
