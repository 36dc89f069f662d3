"""Discounted sums along an episode."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def discounted_sum(x: Tensor, gamma: float) -> Tensor:
    """The discounted sum of everything from step t on: y_t = Σ_{k≥t} γ^{k-t} x_k.

    Computed by doubling (y ← y + γ^s shift(y, s) for s = 1, 2, 4, …; Hillis and Steele 1986):
    log₂ T vectorised steps, no division by small powers of γ, and the bits of y_t do not
    depend on how many zeros follow the episode.

    Args:
        x: `[..., T]`, zeros after the end of the episode.
        gamma: discount γ in [0, 1].

    Returns:
        `[..., T]`.
    """
    x, shift, factor = x.clone(), 1, gamma
    while shift < x.shape[-1]:
        x = x + factor * pad(x[..., shift:], (0, shift))
        shift, factor = 2 * shift, factor * factor
    return x


def discount_powers(steps: int, gamma: float, like: Tensor) -> Tensor:
    """γ^t for t = 0 … steps-1, `[steps]`, computed in double precision."""
    powers = [1.0]
    for _ in range(steps - 1):
        powers.append(powers[-1] * gamma)
    return torch.tensor(powers, dtype=torch.float64).to(like)


def rewards_to_go(reward: Tensor, gamma: float) -> Tensor:
    """Return from step t on: G_t = Σ_{k≥t} γ^{k-t} r_k (Sutton and Barto 2018, eq. 3.8).

    `reward` and the result are `[..., T]`.
    """
    return discounted_sum(reward, gamma)


def total_returns(reward: Tensor, gamma: float) -> Tensor:
    """Return of the whole episode at each of its steps: R(τ) = Σ_k γ^k r_k.

    `reward` and the result are `[..., T]`; the result is constant along T.
    """
    return discounted_sum(reward, gamma)[..., :1].expand_as(reward)
