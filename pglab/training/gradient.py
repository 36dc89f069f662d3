"""The estimate of ∇J for many runs at once, block by block."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.losses import ROUNDINGS
from pglab.algorithms.objectives import (
    SURROGATE,
    Objective,
    Seen,
    uses_kl,
    uses_old_log_prob,
    uses_sequence_ratio,
)
from pglab.bits import Block
from pglab.models.model import Policy
from pglab.training.anchor import Anchor
from pglab.training.episodes import Episodes

SMALL = 1e-8  # beside a deviation that may be 0


@dataclass(frozen=True)
class Gradient:
    """Of K runs: the gradient of the loss `[K, P]`, the loss and the policy's mean entropy in nats `[K]`."""

    gradient: Tensor
    loss: Tensor
    entropy: Tensor

    def __add__(self, other: "Gradient") -> "Gradient":
        """Joins the estimates of different runs, each of which is zero for the runs of the other."""
        return Gradient(self.gradient + other.gradient, self.loss + other.loss, self.entropy + other.entropy)


@dataclass(frozen=True)
class Old:
    """The policy that played, at every packed step, without gradient; zeros for padding.

    Attributes:
        log_prob: log π_old(a_t|s_t), `[S + 1]`.
        outputs: of its network, `[S + 1, W]`.
    """

    log_prob: Tensor
    outputs: Tensor

    @classmethod
    def of(cls, policy: Policy, parameters: Tensor, episodes: Episodes, blocks: Iterable[Block]) -> "Old":
        """At the parameters `[K, P]` as they are, for the steps in the blocks."""
        log_prob, outputs = torch.zeros_like(episodes.reward), None
        with torch.no_grad():
            for rows, index in blocks:
                found = policy.model(policy.model.layout.unflatten(parameters[rows]), episodes.obs[index])
                if outputs is None:
                    outputs = found.new_zeros(len(log_prob), found.shape[-1])
                log_prob[index], outputs[index] = policy.head.log_prob(found, episodes.action[index]), found
        if outputs is None:  # no run has a step
            outputs = torch.zeros(len(log_prob), 1, device=log_prob.device)
        log_prob[-1], outputs[-1] = 0.0, 0.0
        return cls(log_prob, outputs)


@dataclass(frozen=True)
class Weights:
    """Weights of a batch's steps.

    Attributes:
        psi: Ψ_t of each packed step, its reduction included, `[S + 1]`.
        entropy: β of each run, its reduction included, `[K]`.
        reduction: the reduction's factor of each run, `[K]`.
        each: its factor on each packed step beside that, `[S + 1]`, in Ψ already; None: 1 everywhere.
        strength: the objective's coefficient of each run, `[K]`.
        anchor: the reference policy, where a penalty wants it.
        share: steps of the batch that one of this part stands for, `[K]`; None: the part is the batch.
        centre, deviation: by which Ψ is standardised in this part, `[K]` each, 0 and 1 where it is not; the deviation
            is infinite, and Ψ zero, where all are the same but for rounding.
    """

    psi: Tensor
    entropy: Tensor
    reduction: Tensor
    strength: Tensor
    each: Tensor | None = None
    anchor: Anchor | None = None
    share: Tensor | None = None
    centre: Tensor | None = None
    deviation: Tensor | None = None

    def of_part(self, share: Tensor, standardized: Tensor, blocks: Iterable[Block]) -> "Weights":
        """The same for a part of the batch, in which the Ψ of some runs, `[K]` boolean, are standardised anew."""
        if not standardized.any():
            return replace(self, share=share)
        k = len(share)
        count, total, squares = (torch.zeros(k, dtype=torch.float64, device=share.device) for _ in range(3))
        for rows, index in blocks:
            psi, mask = self.psi[index].double(), index < len(self.psi) - 1
            for sums, part in ((count, mask.double()), (total, psi), (squares, psi.square())):
                sums.index_add_(0, rows, part.sum(-1))
        mean = total / count.clamp(min=1)
        square = squares / count.clamp(min=1)
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        differ = deviation > ROUNDINGS * torch.finfo(self.psi.dtype).eps * square.sqrt()  # by more than rounding
        deviation = torch.where(differ, deviation, torch.inf)
        # Ψ has its reduction in it, and keeps it.
        deviation = deviation / self.reduction + SMALL
        centre, deviation = torch.where(standardized, mean, 0.0), torch.where(standardized, deviation, 1.0)
        return replace(self, share=share, centre=centre.float(), deviation=deviation.float())

    def at(self, rows: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ψ `[b, n]`, and of the runs the factor of the reduction and β `[b]`, for a block of steps."""
        psi, reduction, entropy = self.psi[index], self.reduction[rows], self.entropy[rows]
        if self.centre is not None and self.deviation is not None:
            psi = (psi - self.centre[rows, None]) / self.deviation[rows, None]
        if self.share is not None:
            share = self.share[rows]
            psi, reduction, entropy = psi * share[:, None], reduction * share, entropy * share
        return psi, reduction, entropy


def step_factors(by_length: np.ndarray, episodes: Episodes) -> Tensor | None:
    """The reduction's factor on each packed step beside that of its run, `[S + 1]`; None: 1 everywhere.

    Args:
        by_length: runs that take the mean over the steps of each episode, `[K]`, boolean.
    """
    if not by_length.any():
        return None
    factor = np.where(by_length[episodes.run], 1.0 / episodes.length, 1.0)
    return torch.from_numpy(np.append(np.repeat(factor, episodes.length), 1.0)).to(episodes.reward)


def policy_gradient(
    policy: Policy,
    parameters: Tensor,
    episodes: Episodes,
    weights: Weights,
    objective: Objective = SURROGATE,
    old: Old | None = None,
    blocks: Iterable[Block] | None = None,
) -> Gradient:
    """The gradient of Σ_t (loss_t - β H(π(·|s_t))) for each run, with the loss of an objective.

    Args:
        parameters: flat policy parameters, `[K, P]`.
        episodes: the batches, S steps.
        weights: of the steps.
        objective: from log π and Ψ to the loss of each step.
        old: the policy that played, where the objective uses it.
        blocks: the steps to sum over, all by default; runs without any come out as zeros.
    """
    layout, device = policy.model.layout, parameters.device
    gradient = torch.zeros_like(parameters)
    loss, entropy, steps = (torch.zeros(len(parameters), device=device) for _ in range(3))
    if blocks is None:
        blocks = episodes.blocks()
    blocks = list(blocks)
    whole = sequence_log_ratios(policy, parameters, episodes, objective, old, blocks)
    for rows, index in blocks:
        leaves = layout.leaves(parameters[rows])
        block_loss, block_entropy, mask = _losses(
            policy, leaves, (rows, index), episodes, weights, objective, old, whole
        )
        # Summed over runs, never averaged: each run's gradient is its own.
        gradient.index_add_(0, rows, layout.gradient(block_loss.sum(), leaves))
        loss.index_add_(0, rows, block_loss.detach())
        entropy.index_add_(0, rows, block_entropy.detach())
        steps.index_add_(0, rows, mask.sum(-1))
    return Gradient(gradient, loss, entropy / steps.clamp(min=1))


def surrogate_loss(
    policy: Policy,
    parameters: Tensor,
    episodes: Episodes,
    weights: Weights,
    objective: Objective,
    old: Old | None,
    blocks: Iterable[Block],
) -> Tensor:
    """Σ_t (loss_t - β H(π(·|s_t))) of each run, `[K]`, as `policy_gradient` has it."""
    total, blocks = torch.zeros(len(parameters), device=parameters.device), list(blocks)
    whole = sequence_log_ratios(policy, parameters, episodes, objective, old, blocks)
    with torch.no_grad():
        for rows, index in blocks:
            named = policy.model.layout.unflatten(parameters[rows])
            block_loss, _, _ = _losses(policy, named, (rows, index), episodes, weights, objective, old, whole)
            total.index_add_(0, rows, block_loss)
    return total


def _losses(
    policy: Policy,
    named: dict[str, Tensor],
    block: Block,
    episodes: Episodes,
    weights: Weights,
    objective: Objective,
    old: Old | None,
    whole: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Σ_t (loss_t - β H) and Σ_t H over the steps of each row of a block, `[b]`, and where it has steps, `[b, n]`."""
    rows, index = block
    mask = (index < len(weights.psi) - 1).to(weights.psi)
    psi, reduction, beta = weights.at(rows, index)
    logits = policy.model(named, episodes.obs[index])
    seen = Seen(
        log_prob=policy.head.log_prob(logits, episodes.action[index]),
        psi=psi,
        old_log_prob=old.log_prob[index] if old and uses_old_log_prob(objective) else None,
        kl=policy.head.kl(old.outputs[index], logits) if old and uses_kl(objective) else None,
        weight=reduction[:, None] if weights.each is None else reduction[:, None] * weights.each[index],
        strength=weights.strength[rows, None],
        sequence_log_ratio=None if whole is None else whole[index],
    )
    with torch.set_grad_enabled(logits.requires_grad and bool(weights.entropy.any())):
        by_step = policy.head.entropy(logits) * mask
        entropy = by_step.sum(-1)
        bonus = entropy if weights.each is None else (by_step * weights.each[index]).sum(-1)
    loss = objective(seen)
    if weights.anchor is not None:
        penalty = weights.anchor.penalty(rows, index, seen.log_prob)
        penalty = penalty if weights.each is None else penalty * weights.each[index]
        loss = loss + (penalty if weights.share is None else penalty * weights.share[rows, None])
    return (loss * mask).sum(-1) - beta * bonus, entropy, mask


def sequence_log_ratios(
    policy: Policy,
    parameters: Tensor,
    episodes: Episodes,
    objective: Objective,
    old: Old | None,
    blocks: Sequence[Block],
) -> Tensor | None:
    """(1/T) Σ_t log(π/π_old) of the episode of each packed step, `[S + 1]`, without gradient; None: nobody asks.

    Args:
        blocks: some steps of the runs that are wanted. The episodes that they belong to count in full.
    """
    if not uses_sequence_ratio(objective) or old is None:
        return None
    log_ratio = torch.zeros_like(episodes.reward)
    wanted = np.unique(np.concatenate([rows.cpu().numpy() for rows, _ in blocks])) if blocks else np.zeros(0, int)
    with torch.no_grad():
        for rows, index in episodes.blocks(wanted):
            outputs = policy.model(policy.model.layout.unflatten(parameters[rows]), episodes.obs[index])
            now = policy.head.log_prob(outputs, episodes.action[index])
            log_ratio[index] = now - old.log_prob[index]
    mean = np.add.reduceat(log_ratio[:-1].double().cpu().numpy(), episodes.start) / episodes.length
    return torch.from_numpy(np.append(np.repeat(mean, episodes.length), 0.0)).to(log_ratio)


def mean_kl(policy: Policy, parameters: Tensor, episodes: Episodes, old: Old, blocks: Iterable[Block]) -> Tensor:
    """KL(π_old ‖ π) in nats, the mean over each run's steps in the blocks, `[K]`; 0 for runs without any."""
    total, steps = (torch.zeros(len(parameters), device=parameters.device) for _ in range(2))
    with torch.no_grad():
        for rows, index in blocks:
            mask = (index < len(episodes.reward) - 1).to(total)
            logits = policy.model(policy.model.layout.unflatten(parameters[rows]), episodes.obs[index])
            total.index_add_(0, rows, (policy.head.kl(old.outputs[index], logits) * mask).sum(-1))
            steps.index_add_(0, rows, mask.sum(-1))
    return total / steps.clamp(min=1)


def clip_norm(gradient: Tensor, largest: float, norm: Tensor | None = None) -> Tensor:
    """Each run's gradient `[K, P]`, rescaled where a norm `[K, 1]`, by default its own, is above `largest`."""
    norm = gradient.norm(dim=-1, keepdim=True) if norm is None else norm
    return gradient * (largest / norm.clamp(min=largest))
