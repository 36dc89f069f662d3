"""Gaussian heads: actions that are numbers, each from a normal distribution of its own.

Their functions see outputs `[..., 2A]` for actions `[..., A]`: A means μ, then A log σ, whoever feeds these (see
`pglab.algorithms.heads` for the contract). μ, σ and the action are in the world's own units, but for `TanhGaussian`.
"""

import math
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from pglab.envs.spaces import Box, Space

Clip = Literal["none", "action", "log_prob"]

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(32)


@dataclass(frozen=True)
class StateGaussian:
    """N(μ(s), σ(s)²): the network says a mean and a log σ for each number of an action.

    An action outside the bounds of a world is what that world makes of it. With `clip` the head cuts it:
    "action" gives the world the action cut to its bounds, and scores the one that was drawn, which leaves the
    estimate unbiased for the J of a policy that is so cut. "log_prob" scores the one that is cut, as if it had been
    drawn: a bias, for the density there is not the probability of having been cut.

    Args:
        clip: "none", "action" or "log_prob".
    """

    clip: Clip = "none"
    space: Box | None = field(default=None, kw_only=True)  # as `of` binds it

    def __post_init__(self) -> None:
        if self.clip not in get_args(Clip):
            raise ValueError(f"clip={self.clip!r} is not one of {', '.join(get_args(Clip))}")

    @property
    def bias(self) -> tuple[str, ...]:
        """Why the score is not that of the policy."""
        return ("log π is that of the clipped action, as if it had been drawn",) if self.clip == "log_prob" else ()

    def without_bias(self) -> Self:
        """The same policy, scored as it was drawn."""
        return replace(self, clip="action") if self.clip == "log_prob" else self

    def width(self, space: Space) -> int:
        box = box_of(space, "a Gaussian head")
        if self.clip != "none" and not box.bounded:
            raise ValueError(f"clip={self.clip} cuts actions to bounds, and this environment has {space}: leave it out")
        return 2 * box.size

    def draws(self, space: Space) -> int:
        return space.size

    def of(self, space: Space) -> Self:
        return replace(self, space=box_of(space, "a Gaussian head"))

    def sample(self, outputs: Tensor, uniform: Tensor) -> Tensor:
        """μ + σ Φ⁻¹(u) (inverse transform), `[..., A]`."""
        mean, log_sigma = halves(outputs)
        return (mean + log_sigma.exp() * normal_quantile(numbers_first(uniform))).movedim(0, -1)

    def taken(self, action: Tensor) -> Tensor:
        """The action that the world is given."""
        return action if self.clip == "none" else self._within(action)

    def log_prob(self, outputs: Tensor, action: Tensor) -> Tensor:
        """Σ_i log N(a_i; μ_i, σ_i²), `[...]`."""
        mean, log_sigma = halves(outputs)
        a = numbers_first(self._within(action) if self.clip == "log_prob" else action)
        return (-0.5 * ((a - mean) * (-log_sigma).exp()).square() - log_sigma - HALF_LOG_TWO_PI).sum(0)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Σ_i log σ_i + ½ log 2πe, of what is drawn, before anything is cut; `[...]`."""
        return (halves(outputs)[1] + (HALF_LOG_TWO_PI + 0.5)).sum(0)

    def kl(self, old: Tensor, outputs: Tensor) -> Tensor:
        """KL(π_old ‖ π) = Σ_i log(σ_i/σ_old) + (σ_old² + (μ_old - μ_i)²) / 2σ_i² - ½, `[...]`."""
        (old_mean, old_log_sigma), (mean, log_sigma) = halves(old), halves(outputs)
        scaled = ((old_mean - mean) * (-log_sigma).exp()).square() + (2 * (old_log_sigma - log_sigma)).exp()
        return (log_sigma - old_log_sigma + 0.5 * scaled - 0.5).sum(0)

    def _within(self, action: Tensor) -> Tensor:
        low, high = limits(self.space, action)
        return torch.maximum(torch.minimum(action, high), low)


NORMAL = StateGaussian()


@dataclass(frozen=True)
class Gaussian(StateGaussian):
    """N(μ(s), σ²): the same with a log σ that is a parameter of its own, which no observation feeds.

    Args:
        clip: as of `StateGaussian`.
        log_sigma: log σ at the beginning.
    """

    log_sigma: float = 0.0

    def width(self, space: Space) -> int:
        return super().width(space) // 2

    def free(self, space: Space) -> dict[str, list[float]]:
        return {"log_sigma": [float(self.log_sigma)] * space.size}


@dataclass(frozen=True)
class TanhGaussian:
    """a = c + h tanh x with x ~ N(μ(s), σ²): a normal distribution squashed into the bounds c ± h.

    The head's action is x: log π is that of a, log N(x; μ, σ²) - log |da/dx|, and the world is given a. σ is a
    parameter of its own. (Haarnoja et al. 2018, appendix C.)

    Args:
        log_sigma: log σ at the beginning.
    """

    log_sigma: float = 0.0
    space: Box | None = field(default=None, kw_only=True)  # as `of` binds it

    def width(self, space: Space) -> int:
        return bounded(space, "a tanh-Gaussian head").size

    def draws(self, space: Space) -> int:
        return space.size

    def free(self, space: Space) -> dict[str, list[float]]:
        return {"log_sigma": [float(self.log_sigma)] * space.size}

    def of(self, space: Space) -> Self:
        return replace(self, space=bounded(space, "a tanh-Gaussian head"))

    def sample(self, outputs: Tensor, uniform: Tensor) -> Tensor:
        """x = μ + σ Φ⁻¹(u), `[..., A]`."""
        return NORMAL.sample(outputs, uniform)

    def taken(self, action: Tensor) -> Tensor:
        """c + h tanh x."""
        low, high = limits(self.space, action)
        return (low + high) / 2 + (high - low) / 2 * torch.tanh(action)

    def log_prob(self, outputs: Tensor, action: Tensor) -> Tensor:
        """Σ_i log N(x_i; μ_i, σ_i²) - log h_i - log(1 - tanh² x_i), `[...]`."""
        slope = self._log_slope(numbers_first(action), action)
        return NORMAL.log_prob(outputs, action) - slope.sum(0)

    def entropy(self, outputs: Tensor) -> Tensor:
        """H(x) + Σ_i E log(da_i/dx_i), `[...]`.

        E has no closed form, and is estimated by Gauss-Hermite quadrature with 32 nodes: to 1e-7 for each σ_i up to
        1, to 2e-4 at 2.
        """
        mean, log_sigma = halves(outputs)
        sigma = log_sigma.exp()
        expected = torch.zeros_like(mean)
        for node, weight in zip(NODES, WEIGHTS / math.sqrt(2 * math.pi), strict=True):
            expected = expected + float(weight) * self._log_slope(mean + float(node) * sigma, outputs)
        return NORMAL.entropy(outputs) + expected.sum(0)

    def kl(self, old: Tensor, outputs: Tensor) -> Tensor:
        """That of x, `[...]`: no change of variables changes it."""
        return NORMAL.kl(old, outputs)

    def _log_slope(self, x: Tensor, like: Tensor) -> Tensor:
        """log(da/dx) = log h + log(1 - tanh² x) = log h + 2 (log 2 - x - log(1 + e^{-2x})) of x `[A, ...]`."""
        low, high = limits(self.space, like)
        half = ((high - low) / 2).log().reshape(-1, *[1] * (x.dim() - 1))
        return half + 2 * (math.log(2) - x - softplus(-2 * x))


def normal_quantile(uniform: Tensor) -> Tensor:
    """Φ⁻¹ in the middle of the interval that a uniform in [0, 1) stands for: finite for each of them."""
    half = 2.0**-25 if uniform.dtype == torch.float32 else 2.0**-54
    upper = uniform >= 0.5  # Φ⁻¹ is odd, and exact where its argument is small
    z = torch.special.ndtri(torch.where(upper, (1.0 - uniform) - half, uniform + half))
    return torch.where(upper, -z, z)


def box_of(space: Space, asking: str) -> Box:
    """The space of actions that are numbers.

    Raises:
        ValueError: they are not; `asking` says who needs them.
    """
    if not isinstance(space, Box):
        raise ValueError(f"{asking} needs actions that are numbers, Box(n); this environment has {space}")
    return space


def bounded(space: Space, asking: str) -> Box:
    """The same where every number has both bounds.

    Raises:
        ValueError: actions are not numbers, or one has no bound.
    """
    if not (box := box_of(space, asking)).bounded:
        raise ValueError(f"{asking} needs actions with bounds, Box(n, low, high); this environment has {space}")
    return box


def limits(space: Box | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """The bounds of each number of an action, `[A]`, in the type of a tensor."""
    assert space is not None, "a head is bound to a space by `of`"
    return _tensors(space, like.dtype, like.device)


@cache
def _tensors(space: Box, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    low, high = space.bounds
    with torch.inference_mode(False):  # gradients go by them, too
        return torch.tensor(low, dtype=dtype, device=device), torch.tensor(high, dtype=dtype, device=device)


# Outputs of a block are stored output by output (see `pglab.algorithms.heads`), so actions are put beside them so.
def numbers_first(x: Tensor) -> Tensor:
    return x.movedim(-1, 0).contiguous()


def halves(outputs: Tensor) -> tuple[Tensor, Tensor]:
    first = outputs.movedim(-1, 0)
    size = len(first) // 2
    return first[:size], first[size:]
