"""Exact mean and covariance of the estimate of ∇J from one episode, one function a weighting.

All take the problem, the policy's tables π `[S, A]` and ∇log π `[S, A, P]` (see
`pglab.exact.policy`), and γ. The estimate is the sum over the episode's steps; the estimate
from n episodes, averaged over them, has the same mean and 1/n of the covariance as long as no
weight depends on another episode. An episode that reaches the horizon counts as ended.

Weights are those of `pglab.algorithms.weightings`. All raise a ValueError where π is no
distribution, a table has the wrong shape, or an episode without horizon may never end.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from pglab.envs.finite import FiniteMDP
from pglab.exact.chain import Chain
from pglab.exact.moments import Moments, Reach, sum_of_totals, sum_to_go
from pglab.exact.values import check_gamma, return_variance, values

Table = np.ndarray | float
ONE = np.ones(1)


def total_return(mdp: FiniteMDP, pi: np.ndarray, score: np.ndarray, gamma: float, baseline: Table = 0.0) -> Moments:
    """Ψ_t = R(τ) - b(s_t), where R(τ) = Σ_k γ^k r_k.

    Args:
        mdp, pi, score, gamma: see the module.
        baseline: b, a number or a table `[S]` or, with a horizon, `[H, S]`.
    """
    chain, live_score = _scores(mdp, pi, score, gamma)
    return sum_of_totals(chain, gamma, live_score, ONE, -chain.at_live(baseline)[..., None])


def reward_to_go(
    mdp: FiniteMDP,
    pi: np.ndarray,
    score: np.ndarray,
    gamma: float,
    baseline: Table = 0.0,
    discount_states: bool = False,
) -> Moments:
    """Ψ_t = G_t - b(s_t), where G_t = Σ_{k≥t} γ^{k-t} r_k; times γ^t with `discount_states`.

    Args:
        mdp, pi, score, gamma: see the module.
        baseline: b, a number or a table `[S]` or, with a horizon, `[H, S]`.
        discount_states: the factor γ^t, without which γ < 1 gives another mean than ∇J.
    """
    chain, live_score = _scores(mdp, pi, score, gamma)
    decay = gamma if discount_states else 1.0
    return sum_to_go(chain, _rewards(chain), gamma, live_score, ONE, -chain.at_live(baseline)[..., None], decay)


def gae(
    mdp: FiniteMDP,
    pi: np.ndarray,
    score: np.ndarray,
    gamma: float,
    lam: float,
    value: Table,
    discount_states: bool = False,
) -> Moments:
    """Ψ_t = Σ_{k≥t} (γλ)^{k-t} δ_k with δ_t = r_t + γ V(s_{t+1}) - V(s_t), V = 0 after the end.

    (Schulman et al. 2016, eq. 16.)

    Args:
        mdp, pi, score, gamma: see the module.
        lam: λ in [0, 1].
        value: V, a number or a table `[S]` or, with a horizon, `[H, S]`.
        discount_states: the factor γ^t.
    """
    if not 0.0 <= lam <= 1.0:
        raise ValueError(f"lam={lam} is outside [0, 1]")
    chain, live_score = _scores(mdp, pi, score, gamma)
    table = chain.at_live(value)
    now = np.broadcast_to(table, (chain.times, len(chain.live)))
    following = np.zeros((chain.times, len(mdp.transition)))
    following[:, chain.live] = chain.ahead(now)
    reward = mdp.reward[chain.live]

    @cache
    def errors(t: int) -> Reach:
        if len(table) == 1 and 0 < t < chain.times - 1:
            return errors(0)  # V depends on the time only at the horizon
        return Reach(chain, reward + gamma * following[t] - now[t, :, None, None])

    decay = gamma if discount_states else 1.0
    return sum_to_go(chain, errors, gamma * lam, live_score, ONE, np.zeros((1, len(now[0]), 1)), decay)


def best_baseline(
    mdp: FiniteMDP,
    pi: np.ndarray,
    score: np.ndarray,
    gamma: float,
    returns: str = "rtg",
    discount_states: bool = False,
    features: np.ndarray | None = None,
) -> np.ndarray:
    """The baseline b(s) = Σ_i β_i φ_i(s) of least total variance, `[S]`.

    With g = h - Σ_i β_i Z_i, where h is the estimate without a baseline and
    Z_i = Σ_t φ_i(s_t) ∇log π(a_t|s_t) (times γ^t where h has it), the total variance is
    quadratic in β; its minimum solves tr Cov(Z_i, Z_j) β_j = tr Cov(h, Z_i). Where several β
    do equally well, the shortest. (Greensmith, Bartlett and Baxter 2004; Sutton and Barto 2018,
    exercise 13.5 for one constant.)

    Args:
        mdp, pi, score, gamma, discount_states: as `reward_to_go`.
        returns: baseline of the return "rtg" or "total".
        features: φ, `[S, F]`; by default one constant. The identity gives the best of all
            baselines that depend on the state, ones only for states of one symbol the best
            that a policy's own observation allows.
    """
    if features is None:
        features = np.ones((len(mdp.transition), 1))
    joint = _with_features(mdp, pi, score, gamma, returns, discount_states, features)
    parts, p = 1 + features.shape[1], score.shape[-1]
    traces = np.einsum("ipjp->ij", joint.covariance.reshape(parts, p, parts, p))
    return features @ np.linalg.lstsq(traces[1:, 1:], traces[1:, 0], rcond=1e-12)[0]


def leave_one_out(
    mdp: FiniteMDP,
    pi: np.ndarray,
    score: np.ndarray,
    gamma: float,
    episodes: int,
    returns: str = "rtg",
    discount_states: bool = False,
) -> Moments:
    """The mean of a *batch* of n episodes, each less the mean return of the others.

    With h = Σ_t G_t ∇log π, z = Σ_t ∇log π (times γ^t where the weighting has it) and the
    return R of one episode, E[z] = 0 and E[R z] = ρ:

        ĝ = (1/n) Σ_i (h_i - b_i z_i),   b_i = Σ_{j≠i} R_j / (n - 1)
        n Cov ĝ = Cov h - J E[h zᵀ + z hᵀ] + (J² + Var R / (n - 1)) E[z zᵀ] + ρ ρᵀ / (n - 1)

    The last term is the covariance of two episodes, each in the other's baseline.

    Args:
        mdp, pi, score, gamma, discount_states: as `reward_to_go`; `score` must be that of π.
        episodes: n, at least 2.
        returns: baseline of the return "rtg" or "total".

    Returns:
        Moments of ĝ: the covariance is that of the batch, not n times it.
    """
    if episodes < 2:
        raise ValueError(f"episodes={episodes} must be at least 2: a single episode has no others")
    joint = _with_features(mdp, pi, score, gamma, returns, discount_states, np.ones((len(mdp.transition), 1)))
    p = score.shape[-1]
    hh, hz, zz = joint.covariance[:p, :p], joint.covariance[:p, p:], joint.covariance[p:, p:]
    rho = return_times_score(mdp, pi, score, gamma, discount_states and returns == "rtg")
    mean, variance = values(mdp, pi, gamma).objective, return_variance(mdp, pi, gamma)
    one = hh - mean * (hz + hz.T) + (mean**2 + variance / (episodes - 1)) * zz
    return Moments(joint.mean[:p], (one + np.outer(rho, rho) / (episodes - 1)) / episodes)


def return_times_score(
    mdp: FiniteMDP, pi: np.ndarray, score: np.ndarray, gamma: float, discount_states: bool = False
) -> np.ndarray:
    """ρ = E[R(τ) Σ_t d^t ∇log π(a_t|s_t)], `[P]`, with d = γ for `discount_states`, else 1.

    A baseline with share 1/n of the episode's own return shifts the mean gradient by -ρ/n. What
    was earned before an action is uncorrelated with its score, so ρ = E[Σ_t (d γ)^t G_t ∇log π].
    """
    decay = gamma * (gamma if discount_states else 1.0)
    chain, live_score = _scores(mdp, pi, score, gamma)
    return sum_to_go(chain, _rewards(chain), gamma, live_score, ONE, np.zeros((1, len(chain.live), 1)), decay).mean


def _with_features(
    mdp: FiniteMDP,
    pi: np.ndarray,
    score: np.ndarray,
    gamma: float,
    returns: str,
    discount_states: bool,
    features: np.ndarray,
) -> Moments:
    """Joint moments of h and of Z_i = Σ_t φ_i(s_t) ∇log π(a_t|s_t), stacked: `[(1 + F) P]`."""
    if returns not in ("rtg", "total"):
        raise ValueError(f"returns={returns!r} is not one of 'rtg', 'total'")
    if features.ndim != 2 or len(features) != len(mdp.transition):
        raise ValueError(f"features {features.shape} must be [S, F] with S = {len(mdp.transition)}")
    chain, live_score = _scores(mdp, pi, score, gamma)
    slope = np.eye(1 + features.shape[1])[0]
    offset = np.concatenate((np.zeros((len(chain.live), 1)), features[chain.live]), -1)[None]
    if returns == "total":
        return sum_of_totals(chain, gamma, live_score, slope, offset)
    return sum_to_go(chain, _rewards(chain), gamma, live_score, slope, offset, gamma if discount_states else 1.0)


def _scores(mdp: FiniteMDP, pi: np.ndarray, score: np.ndarray, gamma: float) -> tuple[Chain, np.ndarray]:
    check_gamma(gamma)
    chain = Chain(mdp, pi)
    if score.ndim != 3 or score.shape[:2] != mdp.transition.shape[:2]:
        raise ValueError(
            f"the score table is {score.shape}, this MDP needs [S, A, P] = {(*mdp.transition.shape[:2], 'P')}"
        )
    return chain, score[chain.live]


def _rewards(chain: Chain) -> Callable[[int], Reach]:
    """The moves with the problem's rewards, the same at every time."""
    reach = Reach(chain, chain.mdp.reward[chain.live])
    return lambda t: reach
