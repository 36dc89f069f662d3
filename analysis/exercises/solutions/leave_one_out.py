"""Exercise 2: the sum of the others is the sum of all less one's own."""

from dataclasses import dataclass

from torch import Tensor

from pglab.algorithms.batch import Batch


@dataclass(frozen=True)
class LeaveOneOut:
    """b_i = Σ_{j≠i} R(τ_j) / (N - 1); 0 in a batch of one."""

    def __call__(self, batch: Batch, returns: Tensor) -> Tensor:
        exists = batch.mask[..., 0]
        own = returns[..., 0] * exists
        others = own.sum(-1, keepdim=True) - own
        number = exists.sum(-1, keepdim=True) - 1
        return (others / number.clamp(min=1))[..., None].expand_as(returns)
