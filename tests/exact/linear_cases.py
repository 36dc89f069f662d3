"""Linear-quadratic problems, policies, and every episode that a quadrature makes of them."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from pglab.algorithms.batch import Batch
from pglab.envs.lqr import LinearQuadratic, lqr
from pglab.exact.linear_quadratic import LinearGaussian

NODES = 5  # Gauss and Hermite's are exact up to degree 9 in each number; a squared estimate has degree 8


@dataclass(frozen=True)
class LinearCase:
    """A problem under a policy."""

    problem: LinearQuadratic
    policy: LinearGaussian


def linear_case(seed: int, states: int, controls: int, horizon: int, noise: float = 0.3) -> LinearCase:
    """A random problem under a random policy."""
    generator = np.random.default_rng(seed + 1000)
    gain = 0.4 * generator.normal(size=(controls, 1 + states))
    problem = lqr(seed, states, controls, horizon, noise, start=0.7)
    return LinearCase(problem, LinearGaussian(gain, 0.3 * generator.normal(size=controls)))


def played(case: LinearCase, xi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States `[N, H, n]`, rewards `[N, H]` and scores `[N, H, P]` of the episodes with noise ξ `[N, …]`."""
    problem, policy = case.problem, case.policy
    n, m = problem.control.shape
    deviation, rest = np.exp(policy.log_deviation), xi[:, n:]
    x = problem.start_mean + xi[:, :n] @ problem.start_spread.T
    states, rewards, scores = [], [], []
    for _ in range(problem.horizon):
        noise, shock, rest = rest[:, :m], rest[:, m : m + n], rest[:, m + n :]
        phi = np.concatenate((np.ones_like(x[:, :1]), x), 1)
        u = phi @ policy.gain.T + deviation * noise
        of_gain = ((noise / deviation)[:, :, None] * phi[:, None]).reshape(len(x), -1)
        states.append(x)
        scores.append(np.concatenate((of_gain, noise**2 - 1), 1))
        rewards.append(-((x @ problem.state_cost) * x).sum(1) - ((u @ problem.action_cost) * u).sum(1))
        x = x @ problem.dynamics.T + u @ problem.control.T
        if shock.size and problem.noise.any():
            x = x + shock @ problem.noise.T
    return np.stack(states, 1), np.stack(rewards, 1), np.stack(scores, 1)


def all_noise(case: LinearCase) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature nodes of ξ `[N, …]` and their weights `[N]`: means of polynomials of the noise are exact."""
    n, m = case.problem.control.shape
    matters = [True] * n
    for t in range(case.problem.horizon):
        matters += [True] * m + [bool(case.problem.noise.any()) and t < case.problem.horizon - 1] * n
    node, weight = np.polynomial.hermite_e.hermegauss(NODES)
    weight = weight / weight.sum()
    chosen = np.array(list(product(range(NODES), repeat=sum(matters))))
    xi = np.zeros((len(chosen), len(matters)))
    xi[:, np.flatnonzero(matters)] = node[chosen]
    return xi, weight[chosen].prod(1)


def batch_of(states: np.ndarray, rewards: np.ndarray, value: np.ndarray | None = None) -> Batch:
    """The episodes as batches of one."""

    def one(x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(x))[:, None]

    mask = np.ones(rewards.shape, dtype=bool)
    last = np.zeros_like(mask)
    last[:, -1] = True
    return Batch(
        obs=one(states), action=one(np.zeros_like(rewards)), reward=one(rewards), mask=one(mask),
        terminated=one(np.zeros_like(mask)), truncated=one(last), value=None if value is None else one(value),
    )  # fmt: skip


def form_at(form: np.ndarray, states: np.ndarray) -> np.ndarray:
    """φᵀ M φ with φ = (1, x), `[..., H]`, for M `[1+n, 1+n]` or by step `[H, 1+n, 1+n]`."""
    phi = np.concatenate((np.ones_like(states[..., :1]), states), -1)
    return ((phi[..., None, :] @ form)[..., 0, :] * phi).sum(-1)
