"""Exercise 5: make GRPO unbiased.

The weight below is GRPO's: an episode's return less the mean of its group of G, divided by the deviation of the group.
Its mean is not ∇J. Change it until it is, and keep the comparison with the group.

Hint: two choices bias it. One has the episode's own return in what is taken off; the other divides by a number that
depends on it.

Judge: `python -m analysis.exercises.grpo`. A solution: `analysis/exercises/solutions/grpo.py`.
"""

import sys
from dataclasses import dataclass

from torch import Tensor

from analysis.exercises.judges import check_group_weighting, judged
from pglab.algorithms.batch import Batch
from pglab.algorithms.groups import Outcomes, at_steps


@dataclass(frozen=True)
class OfGroup:
    """Ψ_i = (R_i - m) / (s + ε), m and s the mean and deviation of the group."""

    group: int = 2

    def __call__(self, batch: Batch) -> Tensor:
        """From a batch to Ψ `[..., episode, step]`; see `pglab.algorithms.groups.Outcomes`."""
        own = Outcomes.of(batch, 1.0, self.group)
        return at_steps((own.returns - own.mean) / (own.deviation(ddof=0) + 1e-4), batch)


if __name__ == "__main__":
    sys.exit(judged(check_group_weighting, OfGroup()))
