"""The distribution that a head really plays, read off its `sample` alone, held against its `log_prob`."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.envs.finite import FiniteMDP
from pglab.envs.spaces import Discrete
from pglab.exact.policy import Parameters, flat_gradient, leaves_of
from pglab.models.model import Policy

GRID = 1024  # uniforms at which a change of action is looked for first
HALVINGS = 60  # of an interval of [0, 1), down to the last bit of a double
AGREES = 1e-7  # in probability
STEP = 1e-4  # of a logit, for central differences


def sampled_distribution(head: Any, logits: Tensor, actions: int) -> np.ndarray:
    """The probability with which `head.sample` takes each action, `[n, A]`, for logits `[n, W]`.

    `sample` is a step function of its uniform u: the lengths of its steps are the probabilities.
    The steps' ends are found by bisection, exact to double precision but for an action that is
    taken in several separate stretches of u shorter than 1/1024.
    """
    logits = logits.double()
    count = len(logits)

    def action_at(row: np.ndarray, u: np.ndarray) -> np.ndarray:
        return head.sample(logits[torch.from_numpy(row)], torch.from_numpy(u)).numpy()

    middle = np.concatenate(([0.0], (np.arange(GRID) + 0.5) / GRID, [1.0 - 2.0**-53]))
    row = np.repeat(np.arange(count), len(middle))
    taken = action_at(row, np.tile(middle, count)).reshape(count, -1)
    pi = np.zeros((count, actions))
    begin, now = np.zeros(count), taken[:, 0].copy()
    for k in range(1, len(middle)):
        changing = np.flatnonzero(taken[:, k] != now)
        while len(changing):
            low = np.maximum(begin[changing], middle[k - 1])
            high = np.full(len(changing), middle[k])
            for _ in range(HALVINGS):
                centre = (low + high) / 2
                same = action_at(changing, centre) == now[changing]
                low, high = np.where(same, centre, low), np.where(same, high, centre)
            pi[changing, now[changing]] += high - begin[changing]
            begin[changing], now[changing] = high, action_at(changing, high)
            changing = changing[taken[changing, k] != now[changing]]
    pi[np.arange(count), now] += 1.0 - begin
    return pi


def head_fault(head: Any, space: Discrete) -> str | None:
    """Says in one sentence what is wrong between a head's `sample` and its `log_prob`; None: nothing.

    The score function ∇log π is right only where exp(log_prob) is the distribution that is
    sampled: then Σ_a π(a) ∇log π(a) = 0, and not otherwise.
    """
    actions, generator = space.size, torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(8, head.width(space), generator=generator, dtype=torch.float64)
    played = sampled_distribution(head, logits, actions)
    log_prob = torch.stack([head.log_prob(logits, torch.full((8,), a)) for a in range(actions)], -1)
    claimed = log_prob.detach().exp().numpy()
    if (np.ptp(claimed, axis=-1) < AGREES).all():
        return (
            f"the score leaves out which action was taken: log_prob is the same for all {actions} actions "
            f"(and exp(log_prob) sums to {claimed.sum(-1)[0]:.3g} over them, not to 1), so E[∇log π] is not 0 "
            "and every action is reinforced alike"
        )
    if (wrong := np.abs(claimed.sum(-1) - 1.0) > AGREES).any():
        total = claimed[wrong].sum(-1)[0]
        return f"exp(log_prob) sums to {total:.3g} over the actions, not to 1: it is no log-probability"
    if (wrong := np.abs(claimed - played) > AGREES).any():
        row, action = np.argwhere(wrong)[0]
        return (
            f"it samples action {action} with probability {played[row, action]:.3g} where exp(log_prob) says "
            f"{claimed[row, action]:.3g}: the score belongs to another action or another policy"
        )
    return None


def sampled_tables(mdp: FiniteMDP, policy: Policy, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """π(a|s) `[S, A]` and ∇log π(a|s) `[S, A, P]` of what is sampled, whatever `log_prob` says.

    The slope of π with respect to the logits is a central difference, accurate to about 1e-8.
    """
    symbol = mdp.symbol if mdp.symbol is not None else np.arange(len(mdp.transition))
    seen, row = np.unique(symbol, return_inverse=True)
    obs = torch.tensor(seen, dtype=torch.float64)[None, :, None]
    leaves = leaves_of(parameters)
    logits = policy.model({name: value[None] for name, value in leaves.items()}, obs)[0]
    slope_of_logits = np.array([[flat_gradient(z, leaves) for z in of_state] for of_state in logits])  # [n, W, P]
    logits = logits.detach()
    pi = sampled_distribution(policy.head, logits, mdp.actions.size)
    slope = np.zeros((*pi.shape, logits.shape[1]))
    for w in range(logits.shape[1]):
        aside = STEP * torch.eye(logits.shape[1], dtype=torch.float64)[w]
        up, down = (sampled_distribution(policy.head, logits + sign * aside, mdp.actions.size) for sign in (1, -1))
        slope[..., w] = (up - down) / (2 * STEP)
    score = np.einsum("naw,nwp->nap", slope / np.maximum(pi, 1e-300)[..., None], slope_of_logits)
    return pi[row], score[row]
