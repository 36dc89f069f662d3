"""Update rules: what is done with a batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.objectives import Objective, uses_kl, uses_old_log_prob
from pglab.bits import Block
from pglab.models.model import Policy
from pglab.models.optimizers import finite_rows
from pglab.training.critic_lesson import CriticLesson
from pglab.training.episodes import Episodes, Steps
from pglab.training.gradient import Gradient, Old, Weights, mean_kl, policy_gradient
from pglab.training.stepper import Stepper


@dataclass(frozen=True)
class Lesson:
    """Weighed batches of some runs of a bundle, to learn from: of all arms that learn in the same way.

    All runs learn side by side: `[K]` and `[K, P]` below have a row for every run of the bundle,
    of which those outside the lesson are zeros and stay as they are.

    Attributes:
        policy, objective: see there.
        parameters: flat policy parameters now, `[K, P]`; a step changes them in place.
        arms: the arms of the lesson.
        critics: those that learn in the same minibatches, with what they learn from.
        runs: the rows that learn, ascending.
        shuffling: key of each run's minibatches in this update, `[K]`.
        episodes: S steps; the batches without the episodes that do not enter the estimate.
        steps: those of this part of the lesson.
        weights: of the steps.
        standardized: runs whose Ψ are standardised anew in every minibatch, `[K]`, boolean.
        weigh: gives the weights anew, with the critics as they are now, and what these learn from.
        old: the policy that played; None where nobody asks for it.
        diverged: runs that stay as they are for good, `[K]`, boolean; a step changes it in place.
        passed: is told after each pass over the batch which rows made it, so that diagnostics can see how far it led.
    """

    policy: Policy
    objective: Objective
    parameters: Tensor
    arms: Sequence[Stepper]
    critics: Sequence[CriticLesson]
    runs: np.ndarray
    shuffling: Tensor
    episodes: Episodes
    steps: Steps
    weights: Weights
    standardized: Tensor
    weigh: Callable[[], tuple[Weights, Sequence[CriticLesson]]]
    old: Old | None
    diverged: np.ndarray
    passed: Callable[[np.ndarray], None]

    def begun(self) -> "Lesson":
        """The lesson before its first step, when the policy is still the one that played: it is remembered."""
        wanted = uses_old_log_prob(self.objective) or uses_kl(self.objective) or hasattr(self.objective, "adapt")
        return self.remembering() if wanted else self

    def remembering(self) -> "Lesson":
        """The same, with the policy as it is now to be compared with later."""
        if self.old is not None:
            return self
        return replace(self, old=Old.of(self.policy, self.parameters, self.episodes, self.blocks()))

    def of_runs(self, runs: np.ndarray) -> "Lesson":
        """The same for some of its rows."""
        return replace(self, runs=runs)

    def blocks(self) -> Iterator[Block]:
        """The steps of this part, in blocks of consecutive ones."""
        return self.steps.blocks(self.parameters.device, self.runs)

    def estimate(self) -> Gradient:
        """The gradient of the loss at the present parameters."""
        return policy_gradient(
            self.policy, self.parameters, self.episodes, self.weights, self.objective, self.old, self.blocks()
        )

    def kl(self) -> Tensor:
        """KL(π_old ‖ π) in nats, the mean over each run's steps, `[K]`."""
        assert self.old is not None
        return mean_kl(self.policy, self.parameters, self.episodes, self.old, self.blocks())

    def step(self, estimate: Gradient) -> None:
        """One step down each run's gradient, clipped where its arm wants it, of policies and their critics.

        A run whose loss, gradient or next parameters are not finite stays as it was for good. One
        without a step in this part takes none.
        """
        k, device = len(self.diverged), self.parameters.device
        learns = np.isin(np.arange(k), self.runs) & ~self.diverged
        finite = (estimate.loss.isfinite() & finite_rows(estimate.gradient)).cpu().numpy()
        present = np.bincount(self.steps.run, weights=self.steps.length, minlength=k) > 0
        steps = learns & finite & present
        may_change = torch.from_numpy(steps).to(device)
        self.diverged[learns & ~finite] = True
        critics = {critic.rows.start: critic for critic in self.critics}
        for arm in self.arms:
            own, critic = may_change[arm.rows], critics.get(arm.rows.start)
            took = arm.step(estimate.gradient, own, critic.of(self.steps, self.runs) if critic else None)
            self.diverged[arm.rows] |= steps[arm.rows] & ~took.cpu().numpy()


class UpdateRule(Protocol):
    """A frozen dataclass that learns from the batches of an update, once for all arms that share it.

    It may call `estimate` and `step` of the lesson, or of parts of it, as often as it likes. What it
    returns is what the update's row shows as loss, entropy and norm of the gradient. It draws no random
    numbers but from the lesson's own stream and treats every run by itself, so that runs keep their bits
    in any company. One that goes over the batch several times has their number in an attribute `epochs`, and
    calls `lesson.passed` after each. The estimate that `pglab.verify` judges is that of the whole lesson, or what an
    optional method `first(lesson)` returns.
    """

    def __call__(self, lesson: Lesson) -> Gradient: ...


@dataclass(frozen=True)
class OneStep:
    """One step along the estimate at the policy that played: REINFORCE and its kin."""

    def __call__(self, lesson: Lesson) -> Gradient:
        estimate = lesson.estimate()
        lesson.step(estimate)
        lesson.passed(lesson.runs)
        return estimate


def first_estimate(rule: Any, lesson: Lesson) -> Gradient:
    """The estimate that the first step of an update follows."""
    return rule.first(lesson) if hasattr(rule, "first") else lesson.estimate()


ONE_STEP = OneStep()
