"""Heads whose actions are numbers: sound ones have no fault, and each mistake is named."""

import math
import re
from dataclasses import dataclass

import pytest
import torch

from pglab.algorithms.beta import Beta
from pglab.algorithms.gaussian import NORMAL, Gaussian, StateGaussian, TanhGaussian, halves, numbers_first
from pglab.envs.spaces import Box
from pglab.exact.sampling_numbers import fault_of_numbers

BOUNDED = Box(2, [-1.0, -2.0], [1.5, 0.5])


@pytest.mark.parametrize("space", [Box(1, -1.0, 1.0), BOUNDED, Box(3, -2.0, 2.0)], ids=str)
@pytest.mark.parametrize(
    "head", [Gaussian(), StateGaussian(), TanhGaussian(), Beta(), Gaussian("action"), StateGaussian("action")], ids=repr
)
def test_sound_heads_have_no_fault(head, space):
    assert fault_of_numbers(head, space) is None


def test_a_gaussian_needs_no_bounds():
    assert fault_of_numbers(Gaussian(), Box(2)) is None


class ScoredAsCut(Gaussian):
    """The world is given the clipped action, and log π is that of the clipped one, undeclared."""

    def log_prob(self, outputs, action):
        return super().log_prob(outputs, self._within(action))


class WithoutJacobian(TanhGaussian):
    def log_prob(self, outputs, action):
        return NORMAL.log_prob(outputs, action)

    def entropy(self, outputs):
        return NORMAL.entropy(outputs)


class OneSigma(Gaussian):
    """log π with the σ of the first number for all of them."""

    def log_prob(self, outputs, action):
        mean, log_sigma = outputs.chunk(2, -1)
        return super().log_prob(torch.cat((mean, log_sigma[..., :1].expand_as(mean)), -1), action)


class UntransformedEntropy(TanhGaussian):
    def entropy(self, outputs):
        return NORMAL.entropy(outputs)


class WidthForgotten(Beta):
    """log π of x in (0, 1), with the entropy of it, on bounds that are further apart."""

    def _summed(self, of_x, sign):
        return of_x.sum(0)


class TwiceTheVariance(Gaussian):
    def log_prob(self, outputs, action):
        mean, log_sigma = outputs.chunk(2, -1)
        return super().log_prob(torch.cat((mean, log_sigma + 0.5 * math.log(2)), -1), action)


class KLTheOtherWay(Gaussian):
    def kl(self, old, outputs):
        return super().kl(outputs, old)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (ScoredAsCut("action"), "log_prob scores the bound, as if it had been drawn"),
        (Gaussian("log_prob"), "log_prob scores the bound, as if it had been drawn"),
        (WithoutJacobian(), r"the slope between them \(its Jacobian\) is missing"),
        (OneSigma(), "not of 2 together: one has taken what belongs to another, as σ"),
        (UntransformedEntropy(), "such as that of the action before it is transformed"),
        (WidthForgotten(), r"the slope between them \(its Jacobian\) is missing"),
        (TwiceTheVariance(), "the score belongs to another action or another policy"),
        (KLTheOtherWay(), r"kl says .* nats where E\[log π_old - log π\] is"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_each_mistake_is_named(head, said):
    fault = fault_of_numbers(head, BOUNDED)
    assert fault is not None
    assert re.search(said, fault), fault


@dataclass(frozen=True)
class BoxMuller:
    """N(μ, 1) from two uniforms a number."""

    shifted: float = 0.0

    def width(self, space):
        return space.size

    def draws(self, space):
        return 2 * space.size

    def sample(self, outputs, uniform):
        one, two = uniform.unflatten(-1, (-1, 2)).unbind(-1)
        return outputs + (-2 * torch.log1p(-one)).sqrt() * torch.cos(2 * math.pi * two)

    def log_prob(self, outputs, action):
        far = numbers_first(action) - outputs.movedim(-1, 0) - self.shifted
        return (-0.5 * far.square() - 0.5 * math.log(2 * math.pi)).sum(0)


def test_of_a_head_with_more_uniforms_than_numbers_the_mean_score_is_checked():
    assert fault_of_numbers(BoxMuller(), Box(2)) is None
    fault = fault_of_numbers(BoxMuller(0.1), Box(2))
    assert fault is not None
    assert fault.startswith("E[∇log π] is not 0 but -0.1")


class Uncentred(StateGaussian):
    """A sample that is shifted in its own units, so that densities agree where log σ is 0 and nowhere else."""

    def sample(self, outputs, uniform):
        mean, log_sigma = halves(outputs)
        return super().sample(torch.cat((mean + log_sigma, log_sigma)).movedim(0, -1), uniform)


def test_a_shift_that_some_outputs_hide_is_found():
    assert fault_of_numbers(Uncentred(), Box(1)) is not None
