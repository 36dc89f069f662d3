"""The natural gradient as what the optimizer gets."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pglab.envs.finite import FiniteMDP
from pglab.models.model import Policy
from pglab.training.fisher import natural_gradient
from pglab.training.gradient import Gradient
from pglab.training.update import FIRST_ORDER, Lesson

SMALLEST = 1e-10  # singular values of F below so much of the largest count as 0


@dataclass(frozen=True)
class Natural:
    """F⁻¹ĝ in place of ĝ, with the Fisher information F of the policy on the batch (Kakade 2002).

    The optimizer takes it as the gradient: with `optimizer=sgd` θ moves by lr · F⁻¹ĝ, while Adam divides it by
    running magnitudes of its own. `estimator.clip_norm` is about its norm. F and ĝ both enter as means over
    the batch's steps, so that neither the step nor the damping depends on `estimator.reduction`. A critic keeps
    its own optimizer.

    Columns: `step_kl`, the mean KL(π_old ‖ π_new) over the batch's steps in nats, and `step_length` ‖θ_new - θ_old‖.

    Args:
        damping: λ in (F + λI)⁻¹ĝ.
        iterations: of conjugate gradients, at most.
        exact: F⁻¹∇J of the finite MDP itself in place of the batch's estimate: F sums over an episode as ∇J does, and
            where it is singular the shortest solution counts. Weights, damping and iterations are of no account.
    """

    damping: float = 1e-3
    iterations: int = 10
    exact: bool = False
    uses_kl: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("step_kl", "step_length")

    def __post_init__(self) -> None:
        check_solver(self.damping, self.iterations)

    def __call__(self, lesson: Lesson, estimate: Gradient, may_change: Tensor) -> Tensor:
        before = lesson.parameters.clone()
        gradient = self.direction(lesson, torch.where(may_change[:, None], estimate.gradient, 0.0))
        took = FIRST_ORDER(lesson, replace(estimate, gradient=gradient), may_change)
        lesson.note(took, step_kl=lesson.kl(), step_length=(lesson.parameters - before).norm(dim=-1))
        return took

    def direction(self, lesson: Lesson, gradient: Tensor) -> Tensor:
        """F⁻¹ g of each run for a gradient of the loss, `[K, P]`; exact: -F⁻¹∇J."""
        if not self.exact:
            return natural_gradient(lesson, gradient, self.damping, self.iterations)
        mdp = lesson.world
        assert isinstance(mdp, FiniteMDP)
        direction = torch.zeros_like(gradient)
        gamma = {row: arm.gamma for arm in lesson.arms for row in range(arm.rows.start, arm.rows.stop)}
        for row in lesson.runs[~lesson.diverged[lesson.runs]]:
            found = exact_natural_gradient(mdp, lesson.policy, lesson.parameters[row], gamma[row])
            direction[row, : len(found)] = -torch.from_numpy(found).to(direction)
        return direction


def exact_natural_gradient(mdp: FiniteMDP, policy: Policy, parameters: Tensor, gamma: float) -> np.ndarray:
    """F⁻¹∇J at flat parameters `[P]`, without their padding; F is `pglab.exact.gradients.fisher_information`.

    Raises:
        ValueError: J has no value, or π is no distribution.
    """
    from pglab.exact.gradients import fisher_information, gradient_by_theorem  # nothing else in training needs it
    from pglab.exact.policy import policy_table, score_table

    named = policy.model.layout.unflatten(parameters.cpu())
    pi, score = policy_table(mdp, policy, named), score_table(mdp, policy, named)
    fisher, gradient = fisher_information(mdp, pi, score), gradient_by_theorem(mdp, pi, score, gamma)
    return np.linalg.lstsq(fisher, gradient, rcond=SMALLEST)[0]


def check_solver(damping: float, iterations: int) -> None:
    """Raises ValueError for a damping or a number of iterations that solves nothing."""
    if not damping >= 0:
        raise ValueError(f"damping={damping} must be at least 0")
    if iterations < 1:
        raise ValueError(f"iterations={iterations} must be at least 1")
