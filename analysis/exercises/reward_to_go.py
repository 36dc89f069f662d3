"""Exercise 1: write the reward-to-go.

An action cannot change the rewards that came before it, so they add nothing but noise to its weight. Return
Ψ_t = Σ_{k≥t} r_k.

Hint: a sum from t on is the sum of everything less the sum before t; or flip, `cumsum`, flip.

Judge: `python -m analysis.exercises.reward_to_go`. A solution: `analysis/exercises/solutions/reward_to_go.py`.
"""

import sys
from dataclasses import dataclass

from torch import Tensor

from analysis.exercises.judges import check_reward_to_go, judged
from pglab.algorithms.batch import Batch


@dataclass(frozen=True)
class RewardToGo:
    """Ψ_t = Σ_{k≥t} r_k."""

    def __call__(self, batch: Batch) -> Tensor:
        """From a batch with `reward` `[..., episode, step]` to Ψ of the same shape."""
        raise NotImplementedError("fill in the hole: Ψ from batch.reward")


if __name__ == "__main__":
    sys.exit(judged(check_reward_to_go, RewardToGo()))
