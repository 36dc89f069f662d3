"""Mean and covariance of the one-episode estimate of ∇J, by linear recursions.

The estimate is g = Σ_t Ψ_t ∇log π(a_t|s_t). All weightings here are special cases of two
sums over an episode, with vectors u(s, a) and w(s, a) in R^m for every step:

    to go:  g = Σ_t d^t (u_t G_t + w_t),   G_t = ρ_t + κ G_{t+1}
    total:  g = R Σ_t u_t + Σ_t w_t,       R = Σ_t γ^t r_t

With u = ∇log π, w = -b ∇log π it is the estimate with baseline b(s); with ρ = δ, κ = γλ and
w = 0 it is GAE; and with u, w stacked, the joint moments that the best baseline needs.

Each quantity at s is a function of the step and of the same quantity at s' (marked '), so that
its moments solve linear systems, one after the other. To go, from y = u G + w + d y':

    E[G]   = E[ρ] + κ E[G']
    E[G²]  = E[ρ² + 2 κ ρ G'] + κ² E[G'²]
    E[y]   = E[u G + w] + d E[y']
    E[G y] = E[u G² + w G + d ρ y'] + d κ E[G' y']
    E[yyᵀ] = E[(u G + w)(u G + w)ᵀ + d ((u G + w) y'ᵀ + y' (u G + w)ᵀ)] + d² E[y' y'ᵀ]

Total, from R = r + γ R' and x = e + x' with e = (u, w) and x = (Σ u, Σ w), for k = 0, 1, 2:

    E[R^k f(x)] = Σ_i binom(k, i) E[r^{k-i} γ^i R'^i f(e + x')],   f = 1, x, xxᵀ

After the end of the episode (a terminal state, or the horizon) all of them are 0, R^0 is 1.
"""

from dataclasses import dataclass
from math import comb

import numpy as np

from pglab.exact.chain import Chain


@dataclass(frozen=True)
class Moments:
    """Mean `[m]` and covariance `[m, m]` of an estimate."""

    mean: np.ndarray
    covariance: np.ndarray

    @property
    def variance(self) -> float:
        """Total variance: the trace of the covariance."""
        return float(np.trace(self.covariance))

    @classmethod
    def from_second(cls, mean: np.ndarray, second: np.ndarray) -> "Moments":
        """From E[g] and E[ggᵀ]."""
        covariance = second - np.outer(mean, mean)
        return cls(mean, (covariance + covariance.T) / 2)


class Reach:
    """π(a|s) P(s'|s, a) times powers of a step's reward ρ, ready to be contracted.

    Args:
        chain: the chain of the policy.
        rho: ρ, `[T or 1, n, A, S]`.
    """

    def __init__(self, chain: Chain, rho: np.ndarray) -> None:
        self.all = [(chain.reach * rho**k).sum(-1) for k in range(3)]
        self.on = [(chain.reach * rho**k)[..., chain.live] for k in range(3)]

    def next(self, k: int, x: np.ndarray) -> np.ndarray:
        """π(a|s) E[ρ^k x' | s, a], `[T, n, A, ...]`, for x' `[T, n, ...]` one step ahead."""
        flat = x.reshape(*x.shape[:2], 1, -1)
        return (self.on[k] @ flat.swapaxes(1, 2)).reshape(*x.shape[:2], -1, *x.shape[2:])

    def next_mean(self, k: int, x: np.ndarray) -> np.ndarray:
        """E[ρ^k x' | s], `[T, n, ...]`: `next` summed over the actions, which would be large for matrices."""
        return (self.on[k].sum(2) @ x.reshape(*x.shape[:2], -1)).reshape(x.shape)


def sum_to_go(chain: Chain, rho: np.ndarray, kappa: float, u: np.ndarray, w: np.ndarray, decay: float) -> Moments:
    """Moments of g = Σ_t d^t (u_t G_t + w_t) with G_t = ρ_t + κ G_{t+1}.

    Args:
        chain: the chain of the policy.
        rho: ρ(s, a, s'), `[T or 1, n, A, S]`.
        kappa: κ in [0, 1].
        u, w: `[T or 1, n, A, m]`.
        decay: d in [0, 1].
    """
    solve, ahead, reach = chain.solve, chain.ahead, Reach(chain, rho)
    g = ahead(solve(reach.all[1].sum(-1), kappa))
    q1 = reach.all[1] + kappa * reach.next(0, g)
    gg = ahead(solve((reach.all[2] + 2 * kappa * reach.next(1, g)).sum(-1), kappa**2))
    q2 = reach.all[2] + 2 * kappa * reach.next(1, g) + kappa**2 * reach.next(0, gg)

    def plain(weight: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return (weight[..., None] * vector).sum(2)

    def outer(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.einsum("tnai,tnaj->tnij", left, right, optimize=True)

    mean = solve(plain(q1, u) + plain(reach.all[0], w), decay)
    y = ahead(mean)
    product = plain(q2, u) + plain(q1, w) + decay * reach.next_mean(1, y)
    gy = ahead(solve(product, decay * kappa))
    now = outer(q2[..., None] * u, u) + outer(reach.all[0][..., None] * w, w)
    ahead_u = reach.next(1, y) + kappa * reach.next(0, gy)
    mixed = outer(q1[..., None] * u, w) + decay * (outer(u, ahead_u) + outer(w, reach.next(0, y)))
    second = solve(now + mixed + mixed.swapaxes(-1, -2), decay**2)
    return _from_start(chain, mean, second)


def sum_of_totals(chain: Chain, gamma: float, u: np.ndarray, w: np.ndarray) -> Moments:
    """Moments of g = R Σ_t u_t + Σ_t w_t with R = Σ_t γ^t r_t.

    Args:
        chain: the chain of the policy.
        gamma: γ in [0, 1].
        u, w: `[T or 1, n, A, m]`.
    """
    reach, m = Reach(chain, chain.mdp.reward[None, chain.live]), u.shape[-1]
    e = np.concatenate(np.broadcast_arrays(u, w), -1)
    r, x, xx = [], [], []  # E[R^k], E[R^k x], E[R^k xxᵀ] one step ahead, for the k so far
    means, seconds = [], []

    def lower(k: int, moments: list[np.ndarray], first: int) -> np.ndarray | float:
        """Σ_i binom(k, i) γ^i π(a|s) E[r^{k-i} R'^i …] over the powers i < k that are known."""
        known = range(first, k)
        return sum((comb(k, i) * gamma**i * reach.next(k - i, moments[i]) for i in known), start=0.0)

    for k in range(3):
        # R'^0 = 1 also where the episode has ended, so i = 0 is the sum over all successors.
        source = reach.all[k] + lower(k, r, 1)
        r.append(
            np.ones((chain.times, len(chain.live))) if k == 0 else chain.ahead(chain.solve(source.sum(-1), gamma**k))
        )
        q = source if k == 0 else source + gamma**k * reach.next(0, r[k])
        source = q[..., None] * e + lower(k, x, 0)
        means.append(chain.solve(source.sum(2), gamma**k))
        x.append(chain.ahead(means[k]))
        h = lower(k, x, 0) + gamma**k * reach.next(0, x[k])
        mixed = np.einsum("tnai,tnaj->tnij", e, h, optimize=True)
        now = np.einsum("tnai,tnaj->tnij", q[..., None] * e, e, optimize=True)
        past = sum((comb(k, i) * gamma**i * reach.next_mean(k - i, xx[i]) for i in range(k)), start=0.0)
        source = now + mixed + mixed.swapaxes(-1, -2) + past
        seconds.append(chain.solve(source, gamma**k))
        xx.append(chain.ahead(seconds[k]))

    second = seconds[2][..., :m, :m] + seconds[1][..., :m, m:] + seconds[1][..., m:, :m] + seconds[0][..., m:, m:]
    return _from_start(chain, means[1][..., :m] + means[0][..., m:], second)


def _from_start(chain: Chain, mean: np.ndarray, second: np.ndarray) -> Moments:
    return Moments.from_second(
        np.einsum("n,n...->...", chain.start, mean[0]), np.einsum("n,n...->...", chain.start, second[0])
    )
