"""The reference policy of a penalty, at the steps of a batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pglab.algorithms.divergence import FORMS, kl_estimate
from pglab.algorithms.losses import Estimator


@dataclass(frozen=True)
class Anchor:
    """The reference policy at a batch's steps.

    Attributes:
        log_prob: log π_ref(a_t|s_t) of each packed step, `[S + 1]`; 0 for padding.
        weight: of each form in the loss, β times the reduction's factor, `[K, 3]`; 0 where there is none.
    """

    log_prob: Tensor
    weight: Tensor

    def set(self, rows: slice, estimator: Estimator, reduction: Tensor) -> None:
        """Gives the runs of an arm their weights, where it has the penalty in its loss.

        Args:
            reduction: the reduction's factor of each of its runs, `[k]`.
        """
        if estimator.kl_in == "loss":
            self.weight[rows, FORMS.index(estimator.kl_form)] = estimator.kl_reference * reduction

    def penalty(self, rows: Tensor, index: Tensor, log_prob: Tensor) -> Tensor:
        """The penalty that is added to the loss of each step of a block, `[b, n]`."""
        total = torch.zeros_like(log_prob)
        for number, form in enumerate(FORMS):
            weight = self.weight[rows, number, None]
            if weight.any():
                total = total + weight * kl_estimate(form, log_prob, self.log_prob[index])
        return total
