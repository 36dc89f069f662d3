"""Tables of a policy: π(a|s) and ∇log π(a|s) of any head and network, in double precision."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.envs.finite import FiniteMDP
from pglab.models.model import Policy

Parameters = dict[str, Tensor]
WIDTH = 32  # observations are padded to a multiple of this, so that whole vector registers compute them


def policy_on(mdp: FiniteMDP, network: Any, head: Any) -> Policy:
    """The policy that `head` over `network` forms on this MDP."""
    return Policy.of(network, head, mdp.observation, mdp.actions)


def log_policy(mdp: FiniteMDP, policy: Policy, parameters: Parameters) -> Tensor:
    """log π(a|s), `[S, A]`, differentiable in the parameters.

    States that share a symbol share the observation, hence the row.

    Args:
        mdp: the problem.
        policy: head and network, see `policy_on`.
        parameters: one run's named parameters, each of its own shape (as
            `Layout.unflatten` names them for a flat row `[P]`), in double precision.
    """
    return log_policies(mdp, policy, {name: value[None] for name, value in parameters.items()})[0]


def log_policies(mdp: FiniteMDP, policy: Policy, parameters: Parameters) -> Tensor:
    """log π(a|s) of K policies, `[K, S, A]`, differentiable in the parameters.

    A policy's table does not depend on how many others are computed beside it, but by rounding:
    for K ≥ 2 not even by that.

    Args:
        mdp, policy: as `log_policy`.
        parameters: named parameters stacked over the policies, `[K, …]`.
    """
    symbol = mdp.symbol if mdp.symbol is not None else np.arange(len(mdp.transition))
    seen, row = np.unique(symbol, return_inverse=True)
    obs = np.pad(seen, (0, -len(seen) % WIDTH), mode="edge")
    first = next(iter(parameters.values()))
    stacked = torch.tensor(obs, dtype=first.dtype, device=first.device)[:, None].expand(len(first), -1, 1)
    logits = policy.model(parameters, stacked)
    actions = torch.arange(mdp.actions.size, device=first.device).expand(*stacked.shape[:2], -1)
    by_action = [policy.head.log_prob(logits, action) for action in actions.unbind(-1)]
    return torch.stack(by_action, -1)[:, torch.from_numpy(row).to(first.device)]


def policy_table(mdp: FiniteMDP, policy: Policy, parameters: Parameters) -> np.ndarray:
    """π(a|s), `[S, A]`.

    Raises:
        ValueError: the head's `log_prob` is not the logarithm of a distribution.
    """
    with torch.no_grad():
        pi = log_policy(mdp, policy, _doubles(parameters)).exp().numpy()
    if not np.allclose(pi.sum(-1), 1.0, rtol=0, atol=1e-9):
        raise ValueError(
            f"exp(log_prob) of {type(policy.head).__name__} sums to {pi.sum(-1)[0]:.6g} in state 0, not to 1: "
            "take π from the head that it samples like, and only the scores from this one"
        )
    return pi


def score_table(mdp: FiniteMDP, policy: Policy, parameters: Parameters) -> np.ndarray:
    """The score ∇log π(a|s), `[S, A, P]`.

    P runs through the parameters in the order of the dict, each flattened row by row; the
    padding of a `Layout` is not among them. A head whose `log_prob` is wrong on purpose gives
    the "score" that it would train with.
    """
    leaves = leaves_of(parameters)
    log_pi = log_policy(mdp, policy, leaves)
    # One backward pass for each different row, not for each state.
    symbol = mdp.symbol if mdp.symbol is not None else np.arange(len(mdp.transition))
    _, first, row = np.unique(symbol, return_index=True, return_inverse=True)
    scores = [[flat_gradient(log_pi[state, action], leaves) for action in range(mdp.actions.size)] for state in first]
    return np.array(scores)[row]


def flat_gradient(output: Tensor, leaves: Parameters) -> np.ndarray:
    """d output / d parameters in the order of the dict, `[P]`."""
    parts = torch.autograd.grad(output, list(leaves.values()), retain_graph=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts]).numpy()


def _doubles(parameters: Parameters) -> Parameters:
    return {name: value.detach().double() for name, value in parameters.items()}


def leaves_of(parameters: Parameters) -> Parameters:
    """Copies of the parameters in double precision to differentiate by."""
    return {name: value.clone().requires_grad_() for name, value in _doubles(parameters).items()}
