"""A linear-quadratic problem under a linear-Gaussian policy, solved."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr

from pglab.envs.lqr import LinearQuadratic
from pglab.exact.linear_critics import NODES
from pglab.exact.linear_estimators import LinearEstimators
from pglab.exact.linear_quadratic import LinearGaussian, gradient
from pglab.exact.sampling_numbers import fault_of_numbers
from pglab.models.model import Policy
from pglab.models.networks import Linear
from pglab.training.arm import Arm
from pglab.training.bundle import Shapes
from pglab.verify.measure import drawn
from pglab.verify.solved import Continuous, Solution, Table

MOST_PRODUCTS = 3e10  # that the moments of an estimate take: a minute
ROUNDED = 1e-4  # relative, of a critic in single precision
SAME = 1e-6  # of actions


@dataclass(frozen=True)
class LinearSolved(Continuous):
    """The estimates on a linear-quadratic problem.

    Attributes:
        head_is_sound: whether the score that is used is that of the policy.
    """

    problem: LinearQuadratic
    policy: LinearGaussian
    head_is_sound: bool

    def estimators(self, gamma: float) -> LinearEstimators | None:
        n, m = self.problem.control.shape
        noise, rows = n + self.problem.horizon * (n + m), 2 * (1 + n + m)
        if not self.head_is_sound or self.problem.horizon**2 * rows * noise**2 > MOST_PRODUCTS:
            return None
        return LinearEstimators(self.problem, self.policy, gamma)

    def entropy_gradient(self) -> np.ndarray:
        """H of a step is Σ_i log σ_i and a constant."""
        of_gain = np.zeros(self.policy.gain.size)
        return np.append(of_gain, np.full(len(self.policy.log_deviation), float(self.problem.horizon)))

    def value_of(self, critic: Any) -> Table | None:
        """V as a quadratic form of (1, x), `[1+n, 1+n]`, where it is one at random states; else as the function."""
        size = 1 + len(self.problem.dynamics)
        upper = np.triu_indices(size)
        probes = np.random.default_rng(0).normal(size=(4 * len(upper[0]), size - 1))

        def value_at(states: np.ndarray) -> np.ndarray:
            seen = torch.from_numpy(states).float()
            return critic.values(torch.zeros(1, dtype=torch.int64), seen[None])[0].double().numpy()

        value = value_at(probes)
        phi = np.concatenate((np.ones((len(probes), 1)), probes), 1)
        products = phi[:, upper[0]] * phi[:, upper[1]]
        coefficients = np.linalg.lstsq(products, value)[0]
        if np.abs(products @ coefficients - value).max() > ROUNDED * np.abs(value).max():
            return value_at if size - 1 <= max(NODES) else None
        form = np.zeros((size, size))
        form[upper] = coefficients / 2
        return form + form.T


def solve_linear(shapes: Shapes, arm: Arm, seed: int) -> Solution | None:
    """A linear-quadratic problem; None: the world is none.

    Raises:
        ValueError: the policy is not Gaussian with a mean that is linear in the state and a σ of its own.
    """
    world: Any = shapes.world
    if not isinstance(world, LinearQuadratic):
        return None
    policy, named = shapes.policy(), drawn(shapes, arm, seed)
    m = world.actions.size
    free = [named[name].double().numpy() for name in policy.model.free]
    if type(shapes.network) is not Linear or [len(part) for part in free] != [m] or not _is_gaussian(policy, m):
        raise ValueError(
            "J of a linear-quadratic problem is known for a Gaussian policy with a mean that is linear in the state "
            "and a σ that nothing is fed to: choose network=linear, head=gaussian and observations=raw, or "
            "env=continuous_bandit"
        )
    linear = LinearGaussian(named["weight"].double().numpy(), free[0])
    fault = fault_of_numbers(shapes.head, world.actions)
    solved = LinearSolved(world, linear, head_is_sound=fault is None)
    return Solution(solved, gradient(world, linear, arm.gamma), float(world.horizon), fault)


def _is_gaussian(policy: Policy, m: int) -> bool:
    """Tells whether the head plays μ + σ Φ⁻¹(u) for outputs (μ, log σ), as it is."""
    if policy.draws != m:
        return False
    generator = np.random.default_rng(0)
    mean, log_sigma, z = generator.normal(size=(3, 100, m))
    outputs = torch.from_numpy(np.concatenate((mean, log_sigma), 1))
    if outputs.shape[1] != policy.model.outputs + m:
        return False
    played = policy.taken(policy.head.sample(outputs, torch.from_numpy(ndtr(z)))).numpy()
    return bool(np.abs(played - (mean + np.exp(log_sigma) * z)).max() < SAME)
