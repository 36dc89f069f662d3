"""A continuous bandit under any policy, solved."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pglab.algorithms.weightings import unbiased_setting
from pglab.envs.continuous_bandit import ContinuousBandit
from pglab.exact.bandit_estimators import BanditEstimators
from pglab.exact.policy import flat_gradient, leaves_of
from pglab.exact.sampling_numbers import fault_of_numbers
from pglab.exact.score_moments import sampled_gradient, score_moments
from pglab.models.model import Policy
from pglab.training.arm import Arm
from pglab.training.bundle import Shapes
from pglab.verify.measure import drawn
from pglab.verify.solved import Continuous, Solution

OBSERVED = torch.zeros(1, 1, 1)  # what a bandit shows: always the same


@dataclass(frozen=True)
class BanditSolved(Continuous):
    """The estimates on a continuous bandit.

    Attributes:
        of: moments of the score that is used; None where the head is not sound, and they mean nothing.
        entropy_slope: ∇H(π), `[P]`.
    """

    of: BanditEstimators | None
    entropy_slope: np.ndarray

    def estimators(self, gamma: float) -> BanditEstimators | None:
        return self.of

    def entropy_gradient(self) -> np.ndarray:
        return self.entropy_slope

    def value_of(self, critic: Any) -> float:
        """V of the one state."""
        return float(critic.values(torch.zeros(1, dtype=torch.int64), OBSERVED))


def solve_bandit(shapes: Shapes, arm: Arm, seed: int) -> Solution | None:
    """A continuous bandit; None: the world is none.

    ∇J of a faulty head is that of the policy that it samples, and so is that of one that declares a bias.

    Raises:
        ValueError: numbers of an action are not independent of each other, …
    """
    bandit: Any = shapes.world
    if not isinstance(bandit, ContinuousBandit):
        return None
    policy, sound = shapes.policy(), unbiased_setting(shapes.head)
    leaves = leaves_of(drawn(shapes, arm, seed))
    fed = policy.model({name: part[None] for name, part in leaves.items()}, OBSERVED.double())[0, 0]
    outputs, slope = fed.detach().numpy(), np.array([flat_gradient(output, leaves) for output in fed])
    fault = fault_of_numbers(sound, bandit.actions)
    if fault is not None:
        gradient = sampled_gradient(policy.head, outputs, bandit) @ slope
        return Solution(BanditSolved(None, np.zeros(len(gradient))), gradient, 1.0, fault)

    def of(head: Any) -> BanditEstimators:
        bound = Policy.of(shapes.network, head, bandit.observation, bandit.actions).head
        return BanditEstimators(score_moments(bound, outputs, bandit), bandit.noise, slope)

    entropy_slope = flat_gradient(policy.head.entropy(fed), leaves)
    return Solution(BanditSolved(of(shapes.head), entropy_slope), of(sound).gradient, 1.0, None)
