"""`check_head` passes every head of numbers that pglab has, and catches each broken one by its rule."""

import math
from dataclasses import dataclass

import pytest
import torch

from pglab.algorithms.beta import Beta
from pglab.algorithms.gaussian import Gaussian, StateGaussian, TanhGaussian
from pglab.envs.spaces import Box
from pglab.testing import check_head
from tests.training.test_action_spaces import Gaussian as OwnGaussian

BOX = Box(2, (-1.0, 0.0), (1.0, 3.0))


@pytest.mark.parametrize(
    ("head", "space"),
    [
        (Gaussian(), Box(1)),
        (Gaussian("action"), BOX),
        (Gaussian("log_prob"), BOX),  # a declared bias
        (StateGaussian(), BOX),
        (TanhGaussian(), BOX),
        (Beta(), BOX),
        (Beta(), Box(3, -1.0, 1.0)),
        (OwnGaussian(), Box(1)),
    ],
    ids=str,
)
def test_every_head_of_numbers_keeps_the_contract(head, space):
    check_head(head, space)


@dataclass(frozen=True)
class Random(StateGaussian):
    def sample(self, outputs, uniform):
        return super().sample(outputs, torch.rand_like(uniform))


@dataclass(frozen=True)
class Infinite(StateGaussian):
    def sample(self, outputs, uniform):
        mean, log_sigma = outputs.chunk(2, -1)
        return mean + log_sigma.exp() * torch.special.ndtri(uniform)


@dataclass(frozen=True)
class Apart(StateGaussian):
    def log_prob(self, outputs, action):
        mean, log_sigma = outputs.chunk(2, -1)
        return -0.5 * ((action - mean) / log_sigma.exp()).square() - log_sigma - 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Deaf(StateGaussian):
    def log_prob(self, outputs, action):
        mean, log_sigma = outputs.chunk(2, -1)
        return super().log_prob(torch.cat((mean, log_sigma.detach()), -1), action)


@dataclass(frozen=True)
class OneSigma(StateGaussian):
    def log_prob(self, outputs, action):
        mean, log_sigma = outputs.chunk(2, -1)
        return super().log_prob(torch.cat((mean, log_sigma[..., :1].expand_as(mean)), -1), action)


@dataclass(frozen=True)
class NoJacobian(TanhGaussian):
    def log_prob(self, outputs, action):
        return StateGaussian().log_prob(outputs, action)


@dataclass(frozen=True)
class EntropyBefore(TanhGaussian):
    def entropy(self, outputs):
        return StateGaussian().entropy(outputs)


@dataclass(frozen=True)
class KLBackwards(StateGaussian):
    def kl(self, old, outputs):
        return super().kl(outputs, old)


@dataclass(frozen=True)
class Leaks(StateGaussian):
    def entropy(self, outputs):
        return super().entropy(outputs) + 0 * outputs.sum()


@dataclass(frozen=True)
class OneForAll(StateGaussian):
    def draws(self, space):
        return 0


@dataclass(frozen=True)
class Undeclared(StateGaussian):
    """Scores what is cut, and does not say so."""

    clip: str = "log_prob"
    bias = ()


FAULTS = {
    Random: "all randomness must come from the given uniforms",
    Infinite: r"sample is -?inf for uniforms \[0, 0\]: actions are finite for every uniform",
    Apart: r"log_prob returned shape \[2\] of torch.float64 for outputs .*summed over an action's numbers",
    Deaf: "the gradient of log_prob is not its slope",
    OneSigma: "one has taken what belongs to another, as σ where each has its own",
    NoJacobian: r"its Jacobian\) is missing",
    EntropyBefore: "entropy says .* it is that of another distribution, such as that of the action before",
    KLBackwards: "kl says .* nats where",
    Leaks: "entropy leaks between rows",
    OneForAll: r"draws\(.*\) is 0, which must be how many uniforms",
    Undeclared: "log_prob scores the bound, as if it had been drawn",
}


@pytest.mark.parametrize("broken", FAULTS, ids=lambda broken: broken.__name__)
def test_each_fault_is_found_by_its_rule(broken):
    with pytest.raises(AssertionError, match=FAULTS[broken]):
        check_head(broken(), BOX)
