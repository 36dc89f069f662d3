"""Exercise 4: without the minimum a step that went the wrong way is never taken back (Schulman et al. 2017, eq. 7)."""

import torch
from torch import Tensor


def loss(log_prob: Tensor, old_log_prob: Tensor, psi: Tensor, epsilon: float) -> Tensor:
    """PPO's clipped loss of each step: -min(r Ψ, clip(r) Ψ)."""
    ratio = (log_prob - old_log_prob).exp()
    return -torch.minimum(ratio * psi, ratio.clamp(1 - epsilon, 1 + epsilon) * psi)
