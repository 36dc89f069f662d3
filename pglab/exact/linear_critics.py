"""The mean of GAE on a linear-quadratic problem with any function of the state for V, by quadrature.

V(x_k) of a later state is all that is no quadratic form of the episode's noise. Given that state, ε_t and x_t are
jointly Gaussian, so E[∇log π(a_t|s_t) V(x_k)] is a mean over x_k alone of V times a polynomial: quadrature over as
many numbers as a state has.
"""

from collections.abc import Callable

import numpy as np

NODES = {1: 80, 2: 40, 3: 24}  # of Gauss and Hermite in each number of the state
NOTHING = 1e-12  # of a direction's deviation, relative

Value = Callable[[np.ndarray], np.ndarray]  # of states [q, n], [q]


def later_values(rows: np.ndarray, actions: int, value: Value, weights: np.ndarray) -> np.ndarray:
    """Σ_{t<k} w_{tk} E[V(x_k) s_t] for the scores s_t = (ε φᵀ, ε² - 1) before they are scaled, `[m (1+n) + m]`.

    Args:
        rows: ε_t and φ_t = (1, x_t) of every step as linear forms of (1, ξ), `[H, m + 1 + n, 1+N]`.
        actions: m.
        value: V.
        weights: w, `[H, H]`.

    Raises:
        ValueError: a state of more than 3 numbers.
    """
    total = np.zeros(actions * (rows.shape[1] - actions) + actions)
    for k in range(1, len(rows)):
        node, weight, directions = _states(rows[k, actions + 1 :])
        known = weight * value(rows[k, actions + 1 :, 0] + node @ directions[0].T)
        for t in range(k):
            if weights[t, k]:
                total += weights[t, k] * _scores_times(known, node, rows[t], actions, directions[1])
    return total


def _states(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Nodes η `[q, r]` and weights `[q]` for x = mean + L η, with L `[n, r]` and η = K ξ, K `[r, N]`."""
    left, size, right = np.linalg.svd(rows[:, 1:], full_matrices=False)
    kept = size > NOTHING * max(size.max(), 1.0)
    rank = int(kept.sum())
    if rank > max(NODES):
        raise ValueError(f"a state of {rank} numbers is too large for quadrature, which goes to {max(NODES)}")
    if rank == 0:
        return np.zeros((1, 0)), np.ones(1), (left[:, kept], right[kept])
    node, weight = np.polynomial.hermite_e.hermegauss(NODES[rank])
    each = np.stack(np.meshgrid(*[node] * rank, indexing="ij"), -1).reshape(-1, rank)
    weights = np.stack(np.meshgrid(*[weight] * rank, indexing="ij"), -1).reshape(-1, rank).prod(1)
    return each, weights / weights.sum(), (left[:, kept] * size[kept], right[kept])


def _scores_times(known: np.ndarray, node: np.ndarray, rows: np.ndarray, actions: int, basis: np.ndarray) -> np.ndarray:
    """E[V(x_k) s_t] from the weighed values at the nodes of x_k.

    Given η, ε and φ have the means e·η and φ̄ + f·η, with loadings e and f on η; and as ε_t is independent of x_t,
    the covariance that is left is -e·f, and of ε with itself 1 - e·e.
    """
    loadings = rows[:, 1:] @ basis.T
    e, f = loadings[:actions], loadings[actions:]
    noise, phi = node @ e.T, rows[actions:, 0] + node @ f.T
    of_gain = np.einsum("q,qi,qj->ij", known, noise, phi) - known.sum() * e @ f.T
    of_deviation = known @ noise**2 - known.sum() * (e**2).sum(1)
    return np.concatenate((of_gain.ravel(), of_deviation))
