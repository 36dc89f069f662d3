"""Update rules: what is done with a batch; and step rules: what makes a step of a gradient."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.objectives import Objective, uses_kl, uses_old_log_prob
from pglab.bits import Block
from pglab.envs.world import World
from pglab.models.model import Policy
from pglab.models.optimizers import finite_rows
from pglab.training.critic_lesson import CriticLesson, CriticStep, critic_steps
from pglab.training.episodes import Episodes, Steps
from pglab.training.gradient import Gradient, Old, Weights, mean_kl, policy_gradient, surrogate_loss
from pglab.training.stepper import Stepper


@dataclass(frozen=True)
class Lesson:
    """Weighed batches of some runs of a bundle, to learn from: of all arms that learn in the same way.

    All runs learn side by side: `[K]` and `[K, P]` below have a row for every run of the bundle,
    of which those outside the lesson are zeros and stay as they are.

    Attributes:
        world, policy, objective: see there.
        step_rule: what makes a step of a gradient.
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
        diverged: runs that stay as they are for good, `[K]`, boolean; a step changes it in place.
        noted: columns of the update's row that the rules of an arm measure (its `columns`), `[K]` each.
        passed: is told after each pass over the batch which rows made it, so that diagnostics can see how far it led.
        differentiate: computes the estimate of a lesson.
        old: the policy that played; None where nobody asks for it.
    """

    world: World
    policy: Policy
    objective: Objective
    step_rule: "StepRule"
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
    diverged: np.ndarray
    noted: Mapping[str, np.ndarray]
    passed: Callable[[np.ndarray], None]
    differentiate: "Differentiate"
    old: Old | None = None

    def begun(self) -> "Lesson":
        """The lesson before its first step, when the policy is still the one that played: it is remembered."""
        objective = self.objective
        wanted = uses_old_log_prob(objective) or uses_kl(objective) or hasattr(objective, "adapt")
        return self.remembering() if wanted or uses_kl(self.step_rule) else self

    def remembering(self) -> "Lesson":
        """The same, with the policy as it is now to be compared with later."""
        if self.old is not None:
            return self
        return replace(self, old=Old.of(self.policy, self.parameters, self.episodes, self.blocks()))

    def of_runs(self, runs: np.ndarray) -> "Lesson":
        """The same for some of its rows."""
        return replace(self, runs=runs)

    def blocks(self) -> list[Block]:
        """The steps of this part, in blocks of consecutive ones."""
        return self.steps.blocks(self.parameters.device, self.runs)

    def estimate(self) -> Gradient:
        """The gradient of the loss at the present parameters."""
        return self.differentiate(self)

    def loss(self) -> Tensor:
        """The loss at the present parameters, `[K]`, without gradient."""
        return surrogate_loss(
            self.policy, self.parameters, self.episodes, self.weights, self.objective, self.old, self.blocks()
        )

    def kl(self) -> Tensor:
        """KL(π_old ‖ π) in nats, the mean over each run's steps, `[K]`."""
        assert self.old is not None
        return mean_kl(self.policy, self.parameters, self.episodes, self.old, self.blocks())

    def step(self, estimate: Gradient) -> None:
        """One step of policies and their critics, as the step rule makes it of each run's gradient.

        A run whose loss, gradient or next parameters are not finite stays as it was for good. One
        without a step in this part takes none.
        """
        k = len(self.diverged)
        learns = np.zeros(k, dtype=bool)
        learns[self.runs] = ~self.diverged[self.runs]
        finite = (estimate.loss.isfinite() & finite_rows(estimate.gradient)).cpu().numpy()
        present = np.bincount(self.steps.run, weights=self.steps.length, minlength=k) > 0
        steps = learns & finite & present
        self.diverged[learns & ~finite] = True
        took = self.step_rule(self, estimate, torch.from_numpy(steps).to(self.parameters.device))
        self.diverged[:] |= steps & ~took.cpu().numpy()

    def learners(self) -> Iterator[tuple[Stepper, CriticStep | None]]:
        """Each arm, with the step of its critic where that learns in the same minibatches."""
        own = {arm.rows.start for arm in self.arms}
        critics = critic_steps([one for one in self.critics if one.rows.start in own], self.steps, self.runs)
        for arm in self.arms:
            yield arm, critics.get(arm.rows.start)

    def note(self, runs: Tensor, **columns: Tensor) -> None:
        """Writes numbers of some runs, `[K]` boolean, into columns `[K]` of the update's row."""
        where = runs.cpu().numpy()
        for name, values in columns.items():
            self.noted[name][where] = values.double().cpu().numpy()[where]


Differentiate = Callable[[Lesson], Gradient]


def by_torch(lesson: Lesson) -> Gradient:
    """The gradient of any lesson, by torch."""
    return policy_gradient(
        lesson.policy, lesson.parameters, lesson.episodes, lesson.weights, lesson.objective, lesson.old, lesson.blocks()
    )


class StepRule(Protocol):
    """A frozen dataclass that changes policies by a gradient, once for all arms that share it.

    It is called with the lesson, the gradient of the loss at the lesson's parameters and the runs that may
    change, `[K]` boolean; it changes their parameters, and those of critics that learn beside them, in place,
    and returns which took their step: a run that did not is diverged. It treats every run by itself, as an
    update rule does.

    Optional attributes:
        uses_kl: true where it compares with the policy that played the batch; see `Lesson.kl`.
        columns: names of what it writes into the update's row with `Lesson.note`.
    """

    def __call__(self, lesson: Lesson, estimate: Gradient, may_change: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class FirstOrder:
    """A step of the arm's optimizer down the gradient, clipped where the arm wants it."""

    def __call__(self, lesson: Lesson, estimate: Gradient, may_change: Tensor) -> Tensor:
        took = torch.zeros_like(may_change)
        for arm, critic in lesson.learners():
            took[arm.rows] = arm.step(estimate.gradient, may_change[arm.rows], critic)
        return took


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


ONE_STEP, FIRST_ORDER = OneStep(), FirstOrder()
