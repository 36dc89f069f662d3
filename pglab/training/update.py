"""Update rules: what is done with a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.objectives import Objective, uses_old_log_prob
from pglab.models.model import Policy
from pglab.models.optimizers import Rows
from pglab.training.episodes import Episodes
from pglab.training.gradient import Gradient, clip_norm, log_probs, policy_gradient


@dataclass(frozen=True)
class Stepper:
    """One arm's steps: which rows of the table are its own, their optimizer, the largest norm of a gradient."""

    rows: slice
    optimizer: Rows
    largest: float | None

    def clipped(self, gradient: Tensor) -> Tensor:
        """The arm's part of gradients `[K, P]` as its steps take them, `[k, P]`."""
        own = gradient[self.rows]
        return own if self.largest is None else clip_norm(own, self.largest)


@dataclass(frozen=True)
class Lesson:
    """Weighed batches of some runs of a bundle, to learn from: of all arms with one rule and one objective.

    All runs learn side by side: `[K]` and `[K, P]` below have a row for every run of the bundle,
    of which those outside the lesson are zeros and stay as they are. For a part of the batch
    `dataclasses.replace` the episodes and their weights.

    Attributes:
        policy, objective: see there.
        parameters: flat policy parameters now, `[K, P]`; a step changes them in place.
        arms: the arms of the lesson.
        runs: their rows that train, ascending.
        episodes: S steps; the batches without the episodes that do not enter the estimate.
        psi: Ψ of each packed step, its reduction included, `[S + 1]`.
        entropy_weight: β of each run, its reduction included, `[K]`.
        old_log_prob: log π of the policy that played, `[S + 1]`; None where the objective has no use for it.
        diverged: runs that stay as they are for good, `[K]`, boolean; a step changes it in place.
    """

    policy: Policy
    objective: Objective
    parameters: Tensor
    arms: Sequence[Stepper]
    runs: np.ndarray
    episodes: Episodes
    psi: Tensor
    entropy_weight: Tensor
    old_log_prob: Tensor | None
    diverged: np.ndarray

    @classmethod
    def begin(
        cls, policy: Policy, objective: Objective, parameters: Tensor, arms: Sequence[Stepper], runs: np.ndarray,
        episodes: Episodes, psi: Tensor, entropy_weight: Tensor, diverged: np.ndarray,
    ) -> "Lesson":  # fmt: skip
        """A lesson before its first step, when the policy is still the one that played."""
        old = log_probs(policy, parameters, episodes, runs) if uses_old_log_prob(objective) else None
        return cls(policy, objective, parameters, arms, runs, episodes, psi, entropy_weight, old, diverged)

    def estimate(self) -> Gradient:
        """The gradient of the loss at the present parameters."""
        return policy_gradient(
            self.policy, self.parameters, self.episodes, self.psi, self.entropy_weight,
            self.objective, self.old_log_prob, self.runs,
        )  # fmt: skip

    def step(self, estimate: Gradient) -> None:
        """One optimizer step down each run's gradient, clipped where its arm wants it.

        A run whose loss, gradient or next parameters are not finite stays as it was for good. One
        without an episode in the batch takes no step.
        """
        k, device = len(self.diverged), self.parameters.device
        learns = np.isin(np.arange(k), self.runs) & ~self.diverged
        finite = (estimate.loss.isfinite() & estimate.gradient.isfinite().all(-1)).cpu().numpy()
        steps = learns & finite & (self.episodes.count(k) > 0)
        may_change = torch.from_numpy(steps).to(device)
        self.diverged[learns & ~finite] = True
        for arm in self.arms:
            own = may_change[arm.rows]
            gradient = torch.where(own[:, None], arm.clipped(estimate.gradient), 0.0)
            took = arm.optimizer.step(gradient, own).cpu().numpy()
            self.diverged[arm.rows] |= steps[arm.rows] & ~took


class UpdateRule(Protocol):
    """A frozen dataclass that learns from the batches of an update, once for all arms that share it.

    It may call `estimate` and `step` of the lesson as often as it likes. What it returns is what
    the update's row shows as loss, entropy and norm of the gradient. It draws no random numbers
    of its own and treats every run by itself, so that runs keep their bits in any company.
    """

    def __call__(self, lesson: Lesson) -> Gradient: ...


@dataclass(frozen=True)
class OneStep:
    """One step along the estimate at the policy that played: REINFORCE and its kin."""

    def __call__(self, lesson: Lesson) -> Gradient:
        estimate = lesson.estimate()
        lesson.step(estimate)
        return estimate


ONE_STEP = OneStep()
