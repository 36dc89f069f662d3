"""Exercise 5: leave the episode's own return out of the mean, and divide by nothing: RLOO (Ahmadian et al. 2024)."""

from dataclasses import dataclass

from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.groups import Outcomes, at_steps


@dataclass(frozen=True)
class OfGroup:
    """Ψ_i = R_i - Σ_{j≠i} R_j / (G - 1); the return itself in a group of one."""

    group: int = 2

    def __call__(self, batch: Batch) -> Tensor:
        own = Outcomes.of(batch, 1.0, self.group)
        others = own.returns.sum(-1, keepdim=True) - own.returns
        return at_steps(own.returns - others / (own.count - 1).clamp(min=1), batch)
