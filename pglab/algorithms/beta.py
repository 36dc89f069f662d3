"""The Beta head: actions that are numbers between two bounds."""

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from scipy.special import betaincinv
from torch import Tensor
from torch.nn.functional import softplus

from pglab.algorithms.gaussian import bounded, halves, limits, numbers_first
from pglab.envs.spaces import Box, Space

EDGE = 2.0**-24  # how near x comes to 0 and to 1, where log x has no value


@dataclass(frozen=True)
class Beta:
    """a = low + (high - low) x with x ~ Beta(α(s), β(s)), so that no action is beyond a bound.

    α = 1 + log(1 + e^{z_1}) and β = 1 + log(1 + e^{z_2}): both above 1, so that the density has one peak and is
    finite. The head's action is x: log π is that of a, and the world is given a. (Chou, Maturana and Scherer 2017.)
    Outputs are `[..., 2A]`: A times z_1, then A times z_2. Everything is computed in double precision, for the
    functions that a Beta distribution is made of lose digits to each other.
    """

    space: Box | None = field(default=None, kw_only=True)  # as `of` binds it

    def width(self, space: Space) -> int:
        return 2 * bounded(space, "a Beta head").size

    def draws(self, space: Space) -> int:
        return space.size

    def of(self, space: Space) -> Self:
        return replace(self, space=bounded(space, "a Beta head"))

    def sample(self, outputs: Tensor, uniform: Tensor) -> Tensor:
        """x = I⁻¹(u; α, β) (inverse transform), `[..., A]`, in the middle of what u stands for; found on the CPU."""
        half = 2.0**-25 if uniform.dtype == torch.float32 else 2.0**-54
        alpha, beta = (x.detach().cpu().numpy() for x in _concentrations(outputs))
        x = betaincinv(alpha, beta, numbers_first(uniform).double().cpu().numpy() + half)
        return torch.as_tensor(x, dtype=outputs.dtype, device=outputs.device).clamp(EDGE, 1 - EDGE).movedim(0, -1)

    def taken(self, action: Tensor) -> Tensor:
        """low + (high - low) x."""
        low, high = limits(self.space, action)
        return low + (high - low) * action

    def log_prob(self, outputs: Tensor, action: Tensor) -> Tensor:
        """Σ_i (α_i - 1) log x_i + (β_i - 1) log(1 - x_i) - log B(α_i, β_i) - log(high_i - low_i), `[...]`."""
        alpha, beta = _concentrations(outputs)
        x = numbers_first(action).double().clamp(EDGE, 1 - EDGE)  # padding is 0
        log_density = (alpha - 1) * x.log() + (beta - 1) * torch.log1p(-x) - _log_beta(alpha, beta)
        return self._summed(log_density, -1.0).to(outputs.dtype)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Σ_i log B - (α - 1) ψ(α) - (β - 1) ψ(β) + (α + β - 2) ψ(α + β) + log(high - low), `[...]`."""
        alpha, beta = _concentrations(outputs)
        psi, both = torch.digamma, alpha + beta
        of_x = _log_beta(alpha, beta) - (alpha - 1) * psi(alpha) - (beta - 1) * psi(beta) + (both - 2) * psi(both)
        return self._summed(of_x, 1.0).to(outputs.dtype)

    def kl(self, old: Tensor, outputs: Tensor) -> Tensor:
        """KL(π_old ‖ π), `[...]`.

        Σ_i log B(α, β) - log B(α_old, β_old) + (α_old - α) ψ(α_old) + (β_old - β) ψ(β_old) +
        (α - α_old + β - β_old) ψ(α_old + β_old).
        """
        (a, b), (alpha, beta) = _concentrations(old), _concentrations(outputs)
        psi = torch.digamma
        apart = (a - alpha) * psi(a) + (b - beta) * psi(b) + (alpha - a + beta - b) * psi(a + b)
        return (_log_beta(alpha, beta) - _log_beta(a, b) + apart).sum(0).to(outputs.dtype)

    def _summed(self, of_x: Tensor, sign: float) -> Tensor:
        """Σ_i of numbers `[A, ...]` ± log(high_i - low_i)."""
        low, high = limits(self.space, of_x)
        return of_x.sum(0) + sign * (high - low).log().sum()


def _concentrations(outputs: Tensor) -> tuple[Tensor, Tensor]:
    first, second = halves(outputs.double())
    return 1 + softplus(first), 1 + softplus(second)


def _log_beta(alpha: Tensor, beta: Tensor) -> Tensor:
    return torch.lgamma(alpha) + torch.lgamma(beta) - torch.lgamma(alpha + beta)
