"""Monte Carlo for what has no formula on a linear-quadratic problem: any weighting, with any critic.

Whatever comes from here is an estimate, and says how far it may be off.
"""

from dataclasses import dataclass

import numpy as np
import torch

from pglab.algorithms.batch import Batch
from pglab.envs.lqr import LinearQuadratic
from pglab.exact.enumeration import Weighting
from pglab.exact.linear_critics import Value
from pglab.exact.linear_quadratic import LinearGaussian


@dataclass(frozen=True)
class Simulated:
    """Mean and total variance of an estimate from one episode, from simulated episodes.

    Attributes:
        mean, mean_error: `[P]`, and its standard error.
        variance, variance_error: total variance, and its standard error.
        episodes: how many were simulated.
    """

    mean: np.ndarray
    mean_error: np.ndarray
    variance: float
    variance_error: float
    episodes: int


def simulated(
    problem: LinearQuadratic,
    policy: LinearGaussian,
    weighting: Weighting,
    value: Value | None = None,
    episodes: int = 100_000,
    seed: int = 0,
) -> Simulated:
    """Runs a weighting on independent episodes, in double precision.

    Args:
        problem, policy: what is played, and by whom.
        weighting: from a batch of one episode to Ψ, the factor γ^t included.
        value: V of a critic for `Batch.value`, of states `[q, n]`.
        episodes: how many, at least 2.
        seed: of their noise.

    Raises:
        ValueError: shapes do not fit, or there are fewer than 2 episodes.
    """
    policy.check(problem)
    if episodes < 2:
        raise ValueError(f"episodes={episodes} must be at least 2: one has no variance")
    states, rewards, scores = _played(problem, policy, np.random.default_rng(seed), episodes)
    last = np.arange(problem.horizon) == problem.horizon - 1
    values = None if value is None else value(states.reshape(-1, states.shape[-1])).reshape(rewards.shape)
    batch = Batch(
        obs=_alone(states),
        action=_alone(np.zeros_like(rewards)),
        reward=_alone(rewards),
        mask=_alone(np.ones(rewards.shape, dtype=bool)),
        terminated=_alone(np.zeros(rewards.shape, dtype=bool)),
        truncated=_alone(np.broadcast_to(last, rewards.shape)),
        value=None if values is None else _alone(values),
    )
    estimate = np.einsum("et,etp->ep", weighting(batch)[:, 0].numpy(), scores)
    mean = estimate.mean(0)
    squares = ((estimate - mean) ** 2).sum(1)
    return Simulated(
        mean=mean,
        mean_error=estimate.std(0, ddof=1) / np.sqrt(episodes),
        variance=float(squares.sum() / (episodes - 1)),
        variance_error=float(squares.std(ddof=1) / np.sqrt(episodes)),
        episodes=episodes,
    )


def _played(
    problem: LinearQuadratic, policy: LinearGaussian, generator: np.random.Generator, episodes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States `[E, H, n]`, rewards `[E, H]` and scores `[E, H, P]`."""
    n, m = problem.control.shape
    deviation = np.exp(policy.log_deviation)
    x = problem.start_mean + generator.normal(size=(episodes, n)) @ problem.start_spread.T
    states, rewards, scores = [], [], []
    for _ in range(problem.horizon):
        phi, noise = np.concatenate((np.ones((episodes, 1)), x), 1), generator.normal(size=(episodes, m))
        u = phi @ policy.gain.T + deviation * noise
        of_gain = ((noise / deviation)[:, :, None] * phi[:, None]).reshape(episodes, -1)
        states.append(x)
        scores.append(np.concatenate((of_gain, noise**2 - 1), 1))
        rewards.append(-((x @ problem.state_cost) * x).sum(1) - ((u @ problem.action_cost) * u).sum(1))
        x = x @ problem.dynamics.T + u @ problem.control.T + generator.normal(size=(episodes, n)) @ problem.noise.T
    return np.stack(states, 1), np.stack(rewards, 1), np.stack(scores, 1)


def _alone(x: np.ndarray) -> torch.Tensor:
    """Each episode as a batch of its own."""
    return torch.from_numpy(np.ascontiguousarray(x))[:, None]
