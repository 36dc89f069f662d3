"""One arm's steps, of its policies and of the critics that learn beside them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pglab.models.optimizers import Rows, finite_rows
from pglab.training.critic_lesson import CriticStep
from pglab.training.gradient import clip_norm


@dataclass(frozen=True)
class Stepper:
    """One arm's steps.

    Attributes:
        rows: of the table that are its own.
        optimizer: of the policies.
        largest: norm of a gradient, beyond which it is rescaled; None: any.
        together: the norm is that of the policy's and the critic's gradient as one vector.
        gamma: the arm's discount.
    """

    rows: slice
    optimizer: Rows
    largest: float | None
    together: bool = False
    gamma: float = 1.0

    def clipped(self, gradient: Tensor) -> Tensor:
        """The arm's part of gradients `[K, P]` as its steps take them, `[k, P]`."""
        own = gradient[self.rows]
        return own if self.largest is None else clip_norm(own, self.largest)

    def step(self, gradient: Tensor, may_change: Tensor, critic: CriticStep | None) -> Tensor:
        """Steps of the runs where `may_change` `[k]` down gradients `[K, P]`; returns which took theirs.

        Args:
            critic: to make a step as well.
        """
        if critic is None:
            return self.optimizer.step(_only(self.clipped(gradient), may_change), may_change)
        own, beside, largest = gradient[self.rows], critic.gradient, self.largest
        if largest is not None:
            norms = [own.norm(dim=-1, keepdim=True), beside.norm(dim=-1, keepdim=True)]
            if self.together:
                norms = [torch.hypot(*norms)] * 2
            own, beside = (clip_norm(one, largest, norm) for one, norm in zip((own, beside), norms, strict=True))
        may_change = may_change & finite_rows(beside)
        took = self.optimizer.step(_only(own, may_change), may_change)
        return took & critic.step(_only(beside, may_change), may_change)

    def step_critic(self, critic: CriticStep, may_change: Tensor) -> Tensor:
        """A step of the critic alone, where `may_change` `[k]`; returns which took theirs."""
        gradient = critic.gradient if self.largest is None else clip_norm(critic.gradient, self.largest)
        may_change = may_change & finite_rows(gradient)
        return critic.step(_only(gradient, may_change), may_change)


def _only(gradient: Tensor, may_change: Tensor) -> Tensor:
    """Zeros in place of the gradients, `[k, P]`, of runs that are not to change."""
    return gradient if may_change.all() else torch.where(may_change[:, None], gradient, 0.0)
