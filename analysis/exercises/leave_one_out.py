"""Exercise 2: write a leave-one-out baseline.

The mean return of the batch is a good guess at what an episode will bring, but the episode's own return is in it, and
that biases the gradient. Leave it out: b_i = Σ_{j≠i} R(τ_j) / (N - 1).

Hint: the sum of the others is the sum of all less one's own. Episodes of padding (`batch.mask` false at their first
step) are no episodes, and a batch of one has no others.

Judge: `python -m analysis.exercises.leave_one_out`. A solution: `analysis/exercises/solutions/leave_one_out.py`.
"""

import sys
from dataclasses import dataclass

from torch import Tensor

from analysis.exercises.judges import check_leave_one_out, judged
from pglab.algorithms.batch import Batch


@dataclass(frozen=True)
class LeaveOneOut:
    """b_i = Σ_{j≠i} R(τ_j) / (N - 1)."""

    def __call__(self, batch: Batch, returns: Tensor) -> Tensor:
        """From returns `[..., episode, step]`, of which R(τ) is that at the first step, to b of the same shape."""
        raise NotImplementedError("fill in the hole: b from returns[..., 0] and batch.mask[..., 0]")


if __name__ == "__main__":
    sys.exit(judged(check_leave_one_out, LeaveOneOut()))
