"""∇J by two roads, and the Fisher information.

    ∇J(θ) = Σ_t γ^t Σ_s P(s_t = s) Σ_a π(a|s) ∇log π(a|s) Q_t(s, a)

(the policy-gradient theorem; Sutton and Barto 2018, eq. 13.5, with γ), or by differentiating
the linear system that defines J. The two share no code beyond log π.
"""

import numpy as np
from torch import Tensor

from pglab.envs.finite import FiniteMDP
from pglab.exact.chain import Chain
from pglab.exact.policy import Parameters, flat_gradient, leaves_of, log_policy
from pglab.exact.stacked import objectives
from pglab.exact.values import check_gamma, values, visitation
from pglab.models.model import Policy


def gradient_by_theorem(mdp: FiniteMDP, pi: np.ndarray, score: np.ndarray, gamma: float) -> np.ndarray:
    """∇J by the policy-gradient theorem, `[P]`.

    Args:
        mdp: the problem.
        pi: π(a|s), `[S, A]`.
        score: ∇log π(a|s), `[S, A, P]`.
        gamma: discount in [0, 1].

    Raises:
        ValueError: as `pglab.exact.values.values`.
    """
    visits = np.atleast_2d(visitation(mdp, pi, gamma))
    action = values(mdp, pi, gamma).action.reshape(-1, *pi.shape)
    taken = visits[..., None] * pi
    weight = taken * np.where(taken > 0, action, 0.0)
    return np.einsum("tsa,sap->p", weight, score)


def gradient_by_autograd(mdp: FiniteMDP, policy: Policy, parameters: Parameters, gamma: float) -> np.ndarray:
    """∇J by differentiating `objective`, `[P]`: no score function, no theorem.

    Raises:
        ValueError: as `objective`.
    """
    leaves = leaves_of(parameters)
    pi = log_policy(mdp, policy, leaves).exp()
    return flat_gradient(objective(mdp, pi, gamma), leaves)


def objective(mdp: FiniteMDP, pi: Tensor, gamma: float) -> Tensor:
    """J as a differentiable function of π `[S, A]`: start · (I - γ P_π)⁻¹ r_π, or H steps of it.

    Raises:
        ValueError: as `pglab.exact.values.values`.
    """
    check_gamma(gamma)
    chain = Chain(mdp, pi.detach().numpy())
    if mdp.horizon is None:
        chain.check_summable(gamma)
    return objectives(mdp, pi[None], gamma, chain.live)[0]


def fisher_information(mdp: FiniteMDP, pi: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Fisher information of one episode about θ: F = E[Σ_t ∇log π ∇log πᵀ], `[P, P]`.

    It equals the covariance of Σ_t ∇log π(a_t|s_t), whose steps are uncorrelated.
    (Kakade 2002.)

    Raises:
        ValueError: as `pglab.exact.values.values` with γ = 1.
    """
    visits = np.atleast_2d(visitation(mdp, pi, 1.0)).sum(0)
    return np.einsum("s,sa,sap,saq->pq", visits, pi, score, score, optimize=True)
