"""J and ∇J of many policies at once, in double precision, differentiable.

A policy's numbers keep their bits whatever stands beside it: matrices are padded to whole
vector registers, and no policy is ever computed alone (see `pglab.bits`).
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from pglab.bits import aligned
from pglab.envs.finite import FiniteMDP
from pglab.exact.chain import TINY
from pglab.exact.policy import log_policies
from pglab.models.model import Policy

ALIGNMENT = 8  # doubles in a vector register


def objectives_and_gradients(
    mdp: FiniteMDP, policy: Policy, parameters: Tensor, gamma: Tensor
) -> tuple[Tensor, Tensor]:
    """J `[K]` and ∇J `[K, P]`, both NaN where `objectives` is.

    Args:
        mdp: the problem.
        policy: head and network; exp(log_prob) of the head must be a distribution.
        parameters: flat parameters of K policies, `[K, P]`, of any precision.
        gamma: discount of each, `[K]`.
    """
    layout = policy.model.layout
    rows = _in_company(parameters.detach().double())
    leaves = layout.leaves(rows)
    found = objectives(mdp, log_policies(mdp, policy, leaves).exp(), _in_company(gamma.double()))
    gradient = layout.gradient(found.sum(), leaves)
    k = len(parameters)
    value = found.detach()[:k]
    return value, torch.where(value.isnan()[:, None], value[:, None], gradient[:k])


def objectives(mdp: FiniteMDP, pi: Tensor, gamma: Tensor | float, live: np.ndarray | None = None) -> Tensor:
    """J = E[Σ_t γ^t r_t] of K policies, `[K]`.

    Without a horizon start · (I - γ P_π)⁻¹ r_π. With one, the H steps of V ← r_π + γ P_π V are
    one matrix power (the affine map as a linear one of (V, 1)), log₂ H products.

    Args:
        mdp: the problem.
        pi: π(a|s), `[K, S, A]`, double precision.
        gamma: discounts, `[K]` or one for all, in [0, 1].
        live: the states to count, ascending; by default all but the terminal ones that some
            policy can reach.

    Returns:
        NaN where an undiscounted episode may go on forever from one of those states.
    """
    rows, device = _in_company(pi), pi.device
    discount = torch.as_tensor(gamma, dtype=pi.dtype, device=device).expand(len(pi))
    discount = _in_company(discount)[:, None, None]
    states = reachable(mdp) if live is None else live
    n = len(states)
    size = aligned(n + 1, ALIGNMENT)
    table = torch.zeros(mdp.actions.size, size, size, dtype=pi.dtype)
    table[:, :n, :n] = torch.from_numpy(mdp.transition[states][..., states]).transpose(0, 1)
    gain = torch.zeros(mdp.actions.size, size, dtype=pi.dtype)
    gain[:, :n] = torch.from_numpy((mdp.transition * mdp.reward).sum(-1)[states]).T
    start = pad(torch.from_numpy(mdp.start[states]), (0, size - n))
    table, gain, start = table.to(device), gain.to(device), start.to(device)
    chosen = pad(rows[:, torch.from_numpy(states).to(device)], (0, 0, 0, size - n))
    move, reward = torch.zeros(len(rows), size, size, dtype=pi.dtype, device=device), torch.zeros_like(chosen[..., 0])
    for action in range(mdp.actions.size):  # one by one: each policy's sum in the same order
        move = move + chosen[..., action, None] * table[action]
        reward = reward + chosen[..., action] * gain[action]
    move = discount * move
    if mdp.horizon is None:
        value = _everlasting(move, reward)
    else:
        one = torch.zeros(size, dtype=pi.dtype, device=device)
        one[n] = 1.0
        affine = move + reward[..., None] * one + torch.outer(one, one)
        value = torch.linalg.matrix_power(affine, mdp.horizon)[..., n]
    return (start * value).sum(-1)[: len(pi)]


def reachable(mdp: FiniteMDP) -> np.ndarray:
    """The states, not terminal, that some policy reaches, ascending."""
    link = (mdp.transition > 0).any(1) & ~mdp.terminal
    reached = frontier = (mdp.start > 0) & ~mdp.terminal
    while frontier.any():
        frontier = link[frontier].any(0) & ~reached
        reached = reached | frontier
    return np.flatnonzero(reached)


def _everlasting(move: Tensor, reward: Tensor) -> Tensor:
    """V = r + M V, `[K, N]`; NaN where the sum has no limit.

    M ≥ 0 has spectral radius below 1 exactly if N = 1 + M N has a solution N ≥ 1: the
    (discounted) mean number of steps to go.
    """
    system = torch.eye(move.shape[-1], dtype=move.dtype, device=move.device) - move
    solved = torch.linalg.solve_ex(system, torch.stack((reward, torch.ones_like(reward)), -1))[0]
    steps = solved[..., 1].detach()
    ends = ((steps >= 0.5) & (steps < 1 / TINY)).all(-1)
    return torch.where(ends[:, None], solved[..., 0], torch.nan)


def _in_company(rows: Tensor) -> Tensor:
    """At least two rows: a matrix product alone in its batch would have other bits."""
    return torch.cat((rows, rows)) if len(rows) == 1 else rows
