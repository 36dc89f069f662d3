"""Mean and covariance of the one-episode estimate of ∇J, by linear recursions.

The estimate is g = Σ_t ∇log π(a_t|s_t) ⊗ ψ_t with a weight ψ_t in R^F, of one of two laws:

    to go:  ψ_t = d^t (a G_t + b_t(s_t)),   G_t = ρ_t + κ G_{t+1}
    total:  ψ_t = a R + b_t(s_t),           R = Σ_t γ^t r_t

With F = 1, a = 1 and b the negative of a baseline it is the estimate less that baseline; with
ρ = δ, κ = γλ and b = 0 it is GAE; with F > 1 several estimates stand side by side, as their
joint moments are what the best baseline needs.

Each quantity at s is a function of the step and of the same quantity at s' (marked '), so that
its mean solves a linear system. To go, with y = ∇log π ⊗ (a G + b) + d y':

    E[G]   = E[ρ] + κ E[G']
    E[G²]  = E[ρ² + 2 κ ρ G'] + κ² E[G'²]
    E[y]   = E[∇log π ⊗ (a G + b)] + d E[y']
    E[G y] = E[∇log π ⊗ (a G² + b G) + d ρ y'] + d κ E[G' y']

Total, with x = ∇log π ⊗ (1, b) + x' and k = 0, 1, 2:

    E[G^k x] = E[G^k ∇log π ⊗ (1, b)] + Σ_i binom(k, i) γ^i E[r^{k-i} G'^i x']

E[ggᵀ] then is a sum over the steps t: the square of t's own term, and its product with all that
comes later, each weighed by how often the chain is in s at time t. These are summed over time
before they become a matrix, so nothing is held that has both time and two parameters as axes.

After the end of the episode (a terminal state, or the horizon) all of them are 0.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import comb

import numpy as np
from scipy import sparse

from pglab.exact.chain import Chain

POWERS = [(k, i) for k in range(3) for i in range(k + 1)]  # of G, and of G' in its binomial sum


@dataclass(frozen=True)
class Moments:
    """Mean `[m]` and covariance `[m, m]` of an estimate."""

    mean: np.ndarray
    covariance: np.ndarray

    @property
    def variance(self) -> float:
        """Total variance: the trace of the covariance."""
        return float(np.trace(self.covariance))


class Reach:
    """π(a|s) P(s'|s, a) ρ^k of one step for k = 0, 1, 2, without its zeros.

    Attributes:
        total: summed over all successors, `[n, A]` for each k.

    Args:
        chain: the chain of the policy.
        rho: ρ, `[n, A, S]`.
    """

    def __init__(self, chain: Chain, rho: np.ndarray) -> None:
        self._pairs = chain.reach.shape[:2]
        powers = [chain.reach * rho**k for k in range(3)]
        self.total = [power.sum(-1) for power in powers]
        self._on = [sparse.csr_array(power[..., chain.live].reshape(-1, len(chain.live))) for power in powers]
        self._mean = [sparse.csr_array(power[..., chain.live].sum(1)) for power in powers]

    def next(self, k: int, x: np.ndarray) -> np.ndarray:
        """π(a|s) E[ρ^k x' | s, a], `[n, A]`, for x' `[n]` one step ahead."""
        return (self._on[k] @ x).reshape(self._pairs)

    def mean(self, k: int, x: np.ndarray) -> np.ndarray:
        """E[ρ^k x' | s], `[n, ...]`, for x' `[n, ...]` one step ahead."""
        return self._mean[k] @ x

    def leave(self, k: int, x: np.ndarray) -> np.ndarray:
        """Σ_s x_t(s) E[ρ^k 1{s'} | s], `[T, n]`, for x `[T, n]`."""
        return (self._mean[k].T @ x.T).T

    def gather(self, terms: list[tuple[np.ndarray, int, np.ndarray]]) -> np.ndarray | float:
        """Σ c(s) π(a|s) E[ρ^k x' | s, a], `[n, A, M]`, over terms of c `[n]`, k, and x' `[n, M]` one step ahead."""
        total: np.ndarray | float = 0.0
        for c, k, x in terms:
            if c.any():
                total = total + np.repeat(c, self._pairs[1])[:, None] * (self._on[k] @ x)
        return total.reshape(*self._pairs, -1) if isinstance(total, np.ndarray) else total


def sum_to_go(
    chain: Chain,
    reach: Callable[[int], Reach],
    kappa: float,
    score: np.ndarray,
    slope: np.ndarray,
    offset: np.ndarray,
    decay: float,
) -> Moments:
    """Moments of g = Σ_t d^t ∇log π_t ⊗ (a G_t + b_t) with G_t = ρ_t + κ G_{t+1}, `[F·P]`.

    Args:
        chain: the chain of the policy.
        reach: from the time to its moves and ρ.
        kappa: κ in [0, 1].
        score: ∇log π, `[n, A, P]`.
        slope: a, `[F]`.
        offset: b, `[T or 1, n, F]`.
        decay: d in [0, 1].
    """
    n, actions, p = score.shape
    visits, parts = chain.visits(decay**2), len(slope)
    own, later = np.zeros((n, actions, parts, parts)), np.zeros((n, actions, parts, parts * p))
    y = gy = np.zeros((n, parts * p))
    for t, step, (q0, q1, q2) in _backwards(chain, reach, kappa):
        b, v = offset[min(t, len(offset) - 1)], visits[t]
        weight, weight_return = _affine(q1, q0, slope, b), _affine(q2, q1, slope, b)
        y, y_ahead = chain.before(_weighed(score, weight), decay, y)
        source = _weighed(score, weight_return) + decay * step.mean(1, y_ahead)
        gy, gy_ahead = chain.before(source, decay * kappa, gy)
        own += v[:, None, None, None] * (_outer(weight_return, slope) + _outer(weight, b[:, None]))
        for f in range(parts):
            a, b_f = decay * v * slope[f], decay * v * b[:, f]
            later[:, :, f] += step.gather([(a, 1, y_ahead), (kappa * a, 0, gy_ahead), (b_f, 0, y_ahead)])
    return _from_second(chain.start @ y, _second(score, own, later))


def sum_of_totals(chain: Chain, gamma: float, score: np.ndarray, slope: np.ndarray, offset: np.ndarray) -> Moments:
    """Moments of g = Σ_t ∇log π_t ⊗ (a R + b_t) with R = Σ_t γ^t r_t, `[F·P]`.

    Args:
        chain: the chain of the policy.
        gamma: γ in [0, 1].
        score, slope, offset: as `sum_to_go`.
    """
    n, actions, p = score.shape
    parts, rewards = len(slope), Reach(chain, chain.mdp.reward[chain.live])
    own, later = np.zeros((n, actions, parts, parts)), np.zeros((n, actions, parts, parts * p))
    ones, returns, squares = (_earned(chain, rewards, gamma, power) for power in range(3))
    x, z = ([np.zeros((n, width * p))] * 3 for width in (1, parts))  # E[G^k Σ ∇log π], E[G^k Σ ∇log π ⊗ b]
    for t, step, q in _backwards(chain, lambda _: rewards, gamma):
        b = offset[min(t, len(offset) - 1)]
        c0, c1, c2 = ([power[t] for power in whole] for whole in (ones, returns, squares))
        x, x_ahead = _times_powers(chain, step, gamma, x, [_weighed(score, q_k[..., None]) for q_k in q])
        z, z_ahead = _times_powers(chain, step, gamma, z, [_weighed(score, q_k[..., None] * b[:, None]) for q_k in q])
        r0, r1, r2 = (np.einsum("kn,kna->na", np.array(c), np.array(q)) for c in (c0, c1, c2))
        own += _outer(_affine(r2, r1, slope, b), slope) + _outer(_affine(r1, r0, slope, b), b[:, None])
        for f in range(parts):
            terms = []
            for k, i in POWERS:
                factor = comb(k, i) * gamma**i
                terms.append((factor * (slope[f] * c2[k] + b[:, f] * c1[k]), k - i, _beside(slope, x_ahead[i])))
                terms.append((factor * (slope[f] * c1[k] + b[:, f] * c0[k]), k - i, z_ahead[i]))
            later[:, :, f] += step.gather(terms)
    return _from_second(chain.start @ (_beside(slope, x[1]) + z[0]), _second(score, own, later))


def _backwards(
    chain: Chain, reach: Callable[[int], Reach], kappa: float
) -> Iterator[tuple[int, Reach, list[np.ndarray]]]:
    """From the last step to the first: its time, its moves, and π(a|s) E[G^k | s, a] for k = 0, 1, 2, `[n, A]`."""
    g = gg = np.zeros(len(chain.live))
    for t in reversed(range(chain.times)):
        step = reach(t)
        g, g_ahead = chain.before(step.total[1].sum(-1), kappa, g)
        square = step.total[2] + 2 * kappa * step.next(1, g_ahead)
        gg, gg_ahead = chain.before(square.sum(-1), kappa**2, gg)
        q1, q2 = step.total[1] + kappa * step.next(0, g_ahead), square + kappa**2 * step.next(0, gg_ahead)
        yield t, step, [step.total[0], q1, q2]


def _times_powers(
    chain: Chain, step: Reach, gamma: float, x: list[np.ndarray], sources: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """E[G^k x] at time t and one step ahead for k = 0, 1, 2, from those at t + 1 and E[G^k (x - x')]."""
    now, ahead = [], []
    for k, source in enumerate(sources):
        for i in range(k):
            source = source + comb(k, i) * gamma**i * step.mean(k - i, ahead[i])
        at_t, one_ahead = chain.before(source, gamma**k, x[k])
        now.append(at_t)
        ahead.append(one_ahead)
    return now, ahead


def _earned(chain: Chain, rewards: Reach, gamma: float, power: int) -> list[np.ndarray]:
    """binom(K, k) E[B_t^{K-k} γ^{kt} 1{s_t = s}] for k = 0, 1, 2, `[T, n]` each, where B_t = Σ_{i<t} γ^i r_i.

    As R = B_t + γ^t G_t, their products with E[G_t^k …] sum to E[R^K …].
    """
    flows: list[np.ndarray] = []
    for j in range(power + 1):  # the powers of B_t
        factor = gamma ** (power - j)
        source = chain.from_start() if j == 0 else np.zeros_like(flows[0])
        for i in range(j):
            source = source + factor * comb(j, i) * chain.behind(rewards.leave(j - i, flows[i]))
        flows.append(chain.flow(source, factor))
    return [comb(power, k) * flows[max(power - k, 0)] for k in range(3)]


def _affine(q: np.ndarray, q_lower: np.ndarray, slope: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a q + b q_lower, `[n, A, F]`, for q `[n, A]`, a `[F]` and b `[n, F]`."""
    return q[..., None] * slope + q_lower[..., None] * b[:, None]


def _outer(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x ⊗ y along the last axis of each, `[..., F, F]`."""
    return x[..., None] * y[..., None, :]


def _beside(slope: np.ndarray, x: np.ndarray) -> np.ndarray:
    """a ⊗ x, `[n, F·P]`, for x `[n, P]`."""
    return (slope[:, None] * x[:, None, :]).reshape(len(x), -1)


def _weighed(score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Σ_a weight(s, a) ⊗ ∇log π(a|s), `[n, F·P]`, for weights `[n, A, F]`."""
    return (weight.swapaxes(1, 2) @ score).reshape(len(score), -1)


def _second(score: np.ndarray, own: np.ndarray, later: np.ndarray) -> np.ndarray:
    """E[ggᵀ], `[F·P, F·P]`.

    Args:
        score: ∇log π, `[n, A, P]`.
        own: E[ψψᵀ] of all steps at (s, a), `[n, A, F, F]`.
        later: E[ψ ⊗ (what g gains from the next step on)] of all steps at (s, a), `[n, A, F, F·P]`.
    """
    n, actions, parts, width = later.shape
    half = later + (own[..., None] * score[:, :, None, None]).reshape(later.shape) / 2
    half = score.reshape(n * actions, -1).T @ half.reshape(n * actions, -1)  # [P, F·F·P]
    half = half.reshape(-1, parts, width).swapaxes(0, 1).reshape(width, width)
    return half + half.T


def _from_second(mean: np.ndarray, second: np.ndarray) -> Moments:
    """From E[g] and E[ggᵀ]."""
    return Moments(mean, second - np.outer(mean, mean))
