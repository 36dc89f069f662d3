"""The estimate of ∇J for many runs at once, block by block."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pglab.algorithms.losses import surrogate_loss
from pglab.models.model import Policy
from pglab.training.blocks import step_blocks
from pglab.training.episodes import Episodes


@dataclass(frozen=True)
class Gradient:
    """Of R runs: the gradient of the loss `[R, P]`, the loss and the mean entropy `[R]`."""

    gradient: Tensor
    loss: Tensor
    entropy: Tensor


def policy_gradient(
    policy: Policy, parameters: Tensor, episodes: Episodes, psi: Tensor, entropy_weight: Tensor
) -> Gradient:
    """Gradient of -Σ_t (Ψ_t log π(a_t|s_t) + β H(π(·|s_t))) for each run.

    Args:
        parameters: flat policy parameters, `[R, P]`.
        episodes: the batches, S steps.
        psi: Ψ_t of each packed step, its reduction included, `[S + 1]`.
        entropy_weight: β of each run, its reduction included, `[R]`.
    """
    layout, has_bonus = policy.model.layout, bool(entropy_weight.any())
    gradient = torch.zeros_like(parameters)
    loss, entropy, steps = (torch.zeros(len(parameters), device=parameters.device) for _ in range(3))
    for rows, index in step_blocks(episodes.run, episodes.length, parameters.device):
        mask = index < len(psi) - 1
        leaves = layout.leaves(parameters[rows])
        logits = policy.model(leaves, episodes.obs[index])
        log_prob = policy.head.log_prob(logits, episodes.action[index])
        with torch.set_grad_enabled(has_bonus):
            block_entropy = (policy.head.entropy(logits) * mask).sum(-1)
        block_loss = surrogate_loss(log_prob, psi[index]) - entropy_weight[rows] * block_entropy
        # Summed over runs, never averaged: each run's gradient is its own.
        gradient.index_add_(0, rows, layout.gradient(block_loss.sum(), leaves))
        loss.index_add_(0, rows, block_loss.detach())
        entropy.index_add_(0, rows, block_entropy.detach())
        steps.index_add_(0, rows, mask.sum(-1).float())
    return Gradient(gradient, loss, entropy / steps.clamp(min=1))


def clip_norm(gradient: Tensor, largest: float) -> Tensor:
    """Each run's gradient `[R, P]`, rescaled where its Euclidean norm is above `largest`."""
    norm = gradient.norm(dim=-1, keepdim=True)
    return gradient * (largest / norm.clamp(min=largest))
