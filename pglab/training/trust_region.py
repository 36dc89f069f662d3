"""Steps as long as a trust region allows: TRPO."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pglab.models.optimizers import finite_rows
from pglab.training.fisher import damped_fisher, dot, natural_gradient
from pglab.training.gradient import Gradient
from pglab.training.natural import check_solver
from pglab.training.update import Lesson


@dataclass(frozen=True)
class TrustRegion:
    """The longest step along the natural gradient that keeps the mean KL(π_old ‖ π) within a bound.

    The full step s has ½ sᵀ(F + damping I) s = max_kl. It is shortened until the surrogate is better than before and
    the KL at the batch's steps is at most max_kl; where it never is, the policy stays as it is for this update.
    (Schulman et al. 2015.) The policy's optimizer is of no account, nor are the gradient's length and
    `estimator.clip_norm`; a critic keeps its own optimizer.

    Columns: `step_kl` and `step_length`, as `Natural` has them, 0 where no step was accepted, and `step_backtracks`,
    how often the step was shortened.

    Args:
        max_kl: δ in nats.
        damping: λ in (F + λI)⁻¹ĝ, F a mean over the batch's steps.
        iterations: of conjugate gradients, at most.
        backtracks: at most so many times the step is shortened.
        shrink: to this part of its length each time.
    """

    max_kl: float = 0.01
    damping: float = 0.1
    iterations: int = 10
    backtracks: int = 10
    shrink: float = 0.8
    uses_kl: ClassVar[bool] = True
    uses_surrogate: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("step_kl", "step_length", "step_backtracks")

    def __post_init__(self) -> None:
        check_solver(self.damping, self.iterations)
        if not self.max_kl > 0:
            raise ValueError(f"max_kl={self.max_kl} must be above 0")
        if self.backtracks < 0:
            raise ValueError(f"backtracks={self.backtracks} must be at least 0")
        if not 0 < self.shrink < 1:
            raise ValueError(f"shrink={self.shrink} must be between 0 and 1")

    def __call__(self, lesson: Lesson, estimate: Gradient, may_change: Tensor) -> Tensor:
        step = self.full_step(lesson, torch.where(may_change[:, None], estimate.gradient, 0.0))
        took = may_change & finite_rows(step)
        zero = torch.zeros_like(estimate.loss)
        lesson.note(took, step_kl=zero, step_length=zero, step_backtracks=zero + self.backtracks)
        self._search(lesson, step, took & (step != 0).any(-1), estimate.loss)
        for arm, critic in lesson.learners():
            if critic is not None:
                took[arm.rows] &= arm.step_critic(critic, took[arm.rows])
        return took

    def full_step(self, lesson: Lesson, gradient: Tensor) -> Tensor:
        """s of each run for a gradient of the loss, `[K, P]`: zeros where that is zero, not finite where F is not."""
        direction = natural_gradient(lesson, gradient, self.damping, self.iterations)
        curvature = dot(direction, damped_fisher(lesson, self.damping)(direction, lesson.runs))
        length = torch.where(curvature == 0, 0.0, (2 * self.max_kl / curvature).sqrt())
        return -length[:, None] * direction

    def _search(self, lesson: Lesson, step: Tensor, searching: Tensor, loss: Tensor) -> None:
        """Moves the runs that search, `[K]` boolean, by the longest of the shortened steps that is accepted."""
        before = lesson.parameters.clone()
        for backtracks in range(self.backtracks + 1):
            if not searching.any():
                break
            tried = before + self.shrink**backtracks * step
            trial = replace(lesson, parameters=tried, runs=np.flatnonzero(searching.cpu().numpy()))
            kl = trial.kl()
            accepted = searching & (trial.loss() < loss) & (kl <= self.max_kl)
            lesson.parameters[accepted] = tried[accepted]
            length = (tried - before).norm(dim=-1)
            lesson.note(accepted, step_kl=kl, step_length=length, step_backtracks=torch.full_like(kl, backtracks))
            searching = searching & ~accepted
