"""Objectives: the loss whose gradient a batch gives, from log π and the weights Ψ."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Objective(Protocol):
    """A frozen dataclass that turns log π and Ψ into the loss of each step.

    Objectives that are equal (`==`) are computed together, the others one after another, so that
    arms with different ones train in one bundle. The trainer leaves out the steps of padding, adds
    up the rest over each run's batch and subtracts the entropy bonus; Ψ has its reduction (a mean
    over steps or episodes, or the sum) in it. The loss of a step must depend on that step alone.

    One that compares with the policy that played the batch says so in a true attribute
    `uses_old_log_prob`. That costs a pass of the network over the batch; without it, None is passed.
    """

    def __call__(self, log_prob: Tensor, old_log_prob: Tensor | None, psi: Tensor) -> Tensor:
        """The loss of each step, `[..., S]`.

        Args:
            log_prob: log π(a_t|s_t) of the policy that learns, `[..., S]`, differentiable.
            old_log_prob: the same of the policy that played, `[..., S]`, without gradient.
            psi: Ψ_t, `[..., S]`, without gradient.
        """
        ...


def uses_old_log_prob(objective: Objective) -> bool:
    """Tells whether an objective wants log π of the policy that played the batch."""
    return getattr(objective, "uses_old_log_prob", False)


@dataclass(frozen=True)
class Surrogate:
    """The policy gradient: -log π(a_t|s_t) Ψ_t.

    Its gradient at θ is minus the estimate of ∇J; its *value* follows nothing.
    """

    def __call__(self, log_prob: Tensor, old_log_prob: Tensor | None, psi: Tensor) -> Tensor:
        return -log_prob * psi


SURROGATE = Surrogate()
