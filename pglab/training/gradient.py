"""The estimate of ∇J for many runs at once, block by block."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.objectives import SURROGATE, Objective
from pglab.bits import step_blocks
from pglab.models.model import Policy
from pglab.training.episodes import Episodes


@dataclass(frozen=True)
class Gradient:
    """Of K runs: the gradient of the loss `[K, P]`, the loss and the policy's mean entropy in nats `[K]`."""

    gradient: Tensor
    loss: Tensor
    entropy: Tensor

    def __add__(self, other: "Gradient") -> "Gradient":
        """Joins the estimates of different runs, each of which is zero for the runs of the other."""
        return Gradient(self.gradient + other.gradient, self.loss + other.loss, self.entropy + other.entropy)


def policy_gradient(
    policy: Policy,
    parameters: Tensor,
    episodes: Episodes,
    psi: Tensor,
    entropy_weight: Tensor,
    objective: Objective = SURROGATE,
    old_log_prob: Tensor | None = None,
    only: np.ndarray | None = None,
) -> Gradient:
    """The gradient of Σ_t (loss_t - β H(π(·|s_t))) for each run, with the loss of an objective.

    Args:
        parameters: flat policy parameters, `[K, P]`.
        episodes: the batches, S steps.
        psi: Ψ_t of each packed step, its reduction included, `[S + 1]`.
        entropy_weight: β of each run, its reduction included, `[K]`.
        objective: from log π, old log π and Ψ to the loss of each step.
        old_log_prob: log π of the policy that played, `[S + 1]`, where the objective uses it.
        only: rows to compute, all by default; the others come out as zeros.
    """
    layout, has_bonus = policy.model.layout, bool(entropy_weight.any())
    gradient = torch.zeros_like(parameters)
    loss, entropy, steps = (torch.zeros(len(parameters), device=parameters.device) for _ in range(3))
    for rows, index in step_blocks(episodes.run, episodes.length, parameters.device, only=only):
        mask = (index < len(psi) - 1).to(psi)
        leaves = layout.leaves(parameters[rows])
        logits = policy.model(leaves, episodes.obs[index])
        log_prob = policy.head.log_prob(logits, episodes.action[index])
        with torch.set_grad_enabled(has_bonus):
            block_entropy = (policy.head.entropy(logits) * mask).sum(-1)
        old = None if old_log_prob is None else old_log_prob[index]
        block_loss = (objective(log_prob, old, psi[index]) * mask).sum(-1) - entropy_weight[rows] * block_entropy
        # Summed over runs, never averaged: each run's gradient is its own.
        gradient.index_add_(0, rows, layout.gradient(block_loss.sum(), leaves))
        loss.index_add_(0, rows, block_loss.detach())
        entropy.index_add_(0, rows, block_entropy.detach())
        steps.index_add_(0, rows, mask.sum(-1))
    return Gradient(gradient, loss, entropy / steps.clamp(min=1))


def log_probs(policy: Policy, parameters: Tensor, episodes: Episodes, only: np.ndarray | None = None) -> Tensor:
    """log π of every action that was taken, `[S + 1]`, without gradient; zero for padding and rows not in `only`."""
    found = torch.zeros_like(episodes.reward)
    with torch.no_grad():
        for rows, index in step_blocks(episodes.run, episodes.length, parameters.device, only=only):
            logits = policy.model(policy.model.layout.unflatten(parameters[rows]), episodes.obs[index])
            found[index] = policy.head.log_prob(logits, episodes.action[index])
    found[-1] = 0.0
    return found


def clip_norm(gradient: Tensor, largest: float) -> Tensor:
    """Each run's gradient `[K, P]`, rescaled where its Euclidean norm is above `largest`."""
    norm = gradient.norm(dim=-1, keepdim=True)
    return gradient * (largest / norm.clamp(min=largest))
