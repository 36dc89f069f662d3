"""Values of a policy, and the best there are."""

from dataclasses import dataclass

import numpy as np

from pglab.envs.finite import FiniteMDP
from pglab.exact.chain import Chain


@dataclass(frozen=True)
class Values:
    """The values of a policy.

    Attributes:
        state: V(s) = E[Σ_k γ^k r_k | s_0 = s], `[S]`; with a horizon V_t(s), `[H, S]`.
            0 in terminal states, NaN in states that the policy never reaches.
        action: Q(s, a), `[S, A]`; with a horizon `[H, S, A]`; 0 and NaN as above, and NaN for
            an action that the policy never takes and that leads to states it never reaches.
        objective: J = E[V(s_0)].
    """

    state: np.ndarray
    action: np.ndarray
    objective: float


def values(mdp: FiniteMDP, pi: np.ndarray, gamma: float) -> Values:
    """V, Q and J of a policy.

    V(s) = Σ_a π(a|s) Q(s, a) and Q(s, a) = Σ_s' P(s'|s, a) (r(s, a, s') + γ V(s')), a linear
    system; with a horizon the same by backward recursion from V_H = 0: truncation is the end.
    (Sutton and Barto 2018, eq. 4.4.)

    Args:
        mdp: the problem; its horizon decides which of the two is solved.
        pi: π(a|s), `[S, A]`.
        gamma: discount in [0, 1].

    Raises:
        ValueError: a row of π is no distribution, or γ = 1 without a horizon under a policy
            that may never end.
    """
    check_gamma(gamma)
    chain = Chain(mdp, pi)
    gain = (mdp.transition * mdp.reward).sum(-1)[chain.live]
    state = chain.solve((chain.pi * gain).sum(-1)[None], gamma)
    transition = mdp.transition[chain.live]
    action = gain + gamma * np.einsum("nam,tm->tna", transition[..., chain.live], chain.ahead(state))
    unknown = (transition[..., ~mdp.terminal & ~chain.is_live] > 0).any(-1)
    action[:, unknown] = np.nan
    full_state, full_action = chain.everywhere(state, np.nan), chain.everywhere(action, np.nan)
    full_state[..., mdp.terminal] = 0.0
    full_action[..., mdp.terminal, :] = 0.0
    return Values(full_state, full_action, float(chain.start @ state[0]))


def return_variance(mdp: FiniteMDP, pi: np.ndarray, gamma: float) -> float:
    """Variance of an episode's return R(τ) = Σ_k γ^k r_k, over the first state too.

    From E[G²] = E[r² + 2 γ r V(s')] + γ² E[G'²]. (Sobel 1982.)

    Raises:
        ValueError: as `values`.
    """
    check_gamma(gamma)
    chain = Chain(mdp, pi)
    reward = mdp.reward[chain.live]
    value = chain.solve((chain.reach * reward).sum((1, 2))[None], gamma)
    cross = np.einsum("nam,tm->tn", (chain.reach * reward)[..., chain.live], chain.ahead(value))
    square = chain.solve((chain.reach * reward**2).sum((1, 2)) + 2 * gamma * cross, gamma**2)
    return float(chain.start @ square[0] - (chain.start @ value[0]) ** 2)


def visitation(mdp: FiniteMDP, pi: np.ndarray, gamma: float) -> np.ndarray:
    """Discounted visits d(s) = Σ_t γ^t P(s_t = s), not normalised, `[S]`.

    With a horizon γ^t P(s_t = s) by time, `[H, S]`. Counted are the states acted in, so
    terminal ones have none, and with γ = 1 the sum is the mean length of an episode.
    (Sutton and Barto 2018, section 9.2, without the discount there.)

    Raises:
        ValueError: as `values`.
    """
    check_gamma(gamma)
    chain = Chain(mdp, pi)
    return chain.everywhere(chain.visits(gamma), 0.0)


def optimal_values(mdp: FiniteMDP, gamma: float, tolerance: float = 1e-13, sweeps: int = 1_000_000) -> np.ndarray:
    """V* of the states by value iteration from 0, `[S]`; with a horizon V*_t, `[H, S]`.

    V*(s) = max_a Σ_s' P(s'|s, a) (r + γ V*(s')), 0 in terminal states. (Sutton and Barto 2018,
    eq. 4.10.) With γ = 1 and no horizon, iteration from 0 finds V* where all rewards are of one
    sign; where some policy gains reward forever there is no V*.

    Raises:
        ValueError: no sweep of the allowed number changed V by less than `tolerance`.
    """
    check_gamma(gamma)
    value, history = np.zeros(len(mdp.transition)), []
    for _ in range(sweeps if mdp.horizon is None else mdp.horizon):
        before, value = value, action_values(mdp, value, gamma).max(-1) * ~mdp.terminal
        history.append(value)
        if mdp.horizon is None:
            history.clear()
            if np.abs(value - before).max() <= tolerance * max(1.0, np.abs(value).max()):
                return value
    if mdp.horizon is None:
        raise ValueError(f"value iteration has not settled in {sweeps} sweeps: give the MDP a horizon, or gamma < 1")
    return np.stack(history[::-1])


def action_values(mdp: FiniteMDP, value: np.ndarray, gamma: float) -> np.ndarray:
    """One look ahead: Σ_s' P(s'|s, a) (r(s, a, s') + γ V(s')), `[S, A]`, for V `[S]`.

    V counts as 0 in terminal states.
    """
    following = np.where(mdp.terminal, 0.0, value)
    return (mdp.transition * (mdp.reward + gamma * following)).sum(-1)


def greedy(mdp: FiniteMDP, value: np.ndarray, gamma: float) -> np.ndarray:
    """The policy that takes the first best action of one look ahead, `[S, A]`, for V `[S]`."""
    q = action_values(mdp, value, gamma)
    best = (q >= q.max(-1, keepdims=True) - 1e-12 * np.abs(q).max()).argmax(-1)
    return np.eye(q.shape[1])[best]


def check_gamma(gamma: float) -> None:
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma={gamma} is outside [0, 1]")
