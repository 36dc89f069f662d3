"""The surrogate that policy-gradient code minimises, exactly: what its value says, and what it does not.

    L(θ') = -Σ_t γ^t Σ_s P_θ(s_t = s) Σ_a π_θ(a|s) Q_t(s, a) log π_θ'(a|s)

is the mean of -Σ_t γ^t G_t log π_θ'(a_t|s_t) over the episodes of π_θ. At θ' = θ its gradient is
-∇J(θ). Nothing else of it follows J: states and returns stay those of π_θ however far θ' has
gone, and its value at θ' = θ is a sum of log-probabilities in no unit of return.
"""

import numpy as np
import torch
from torch import Tensor

from pglab.envs.finite import FiniteMDP
from pglab.exact.policy import Parameters, log_policy, policy_table
from pglab.exact.values import values, visitation
from pglab.models.model import Policy


def surrogate(mdp: FiniteMDP, pi: np.ndarray, log_pi: Tensor, gamma: float) -> Tensor:
    """L(θ'), a scalar that is differentiable in log π_θ'.

    Args:
        mdp: the problem.
        pi: π_θ(a|s) of the policy that plays, `[S, A]`.
        log_pi: log π_θ'(a|s) of the policy that is judged, `[S, A]`, double precision.
        gamma: discount in [0, 1].

    Raises:
        ValueError: as `pglab.exact.values.values`.
    """
    visits = np.atleast_2d(visitation(mdp, pi, gamma))
    action = values(mdp, pi, gamma).action.reshape(-1, *pi.shape)
    taken = visits[..., None] * pi
    weight = torch.from_numpy((taken * np.where(taken > 0, action, 0.0)).sum(0))
    return -torch.where(weight != 0, weight * log_pi, 0.0).sum()


def promised_and_gained(
    mdp: FiniteMDP, policy: Policy, parameters: Parameters, direction: Parameters, distance: float, gamma: float
) -> tuple[float, float]:
    """The gain that the surrogate promises for a step, and the real one: L(θ) - L(θ'), J(θ') - J(θ).

    The two agree to first order in the distance, and in no other way.

    Args:
        mdp: the problem.
        policy: head and network.
        parameters: θ, named, in double precision.
        direction, distance: θ' = θ + distance · direction.
        gamma: discount in [0, 1].

    Raises:
        ValueError: as `pglab.exact.values.values`, under θ or θ'.
    """
    moved = {name: value + distance * direction[name] for name, value in parameters.items()}
    pi, further = (policy_table(mdp, policy, at) for at in (parameters, moved))
    here, there = (surrogate(mdp, pi, log_policy(mdp, policy, at), gamma).item() for at in (parameters, moved))
    gained = values(mdp, further, gamma).objective - values(mdp, pi, gamma).objective
    return here - there, gained
