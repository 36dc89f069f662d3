"""Exercise 4: find the bug in this PPO.

The loss below clips the ratio r = π/π_old to [1 - ε, 1 + ε], as PPO does, and something is missing. It trains, more or
less; curves alone do not tell.

Hint: let the policy have gone the *wrong* way, r = 0.5 where Ψ > 0. Which way does this loss pull it?

Judge: `python -m analysis.exercises.clipping`. A solution: `analysis/exercises/solutions/clipping.py`.
"""

import sys

from torch import Tensor

from analysis.exercises.judges import check_clip, judged


def loss(log_prob: Tensor, old_log_prob: Tensor, psi: Tensor, epsilon: float) -> Tensor:
    """PPO's clipped loss of each step."""
    ratio = (log_prob - old_log_prob).exp()
    return -ratio.clamp(1 - epsilon, 1 + epsilon) * psi


if __name__ == "__main__":
    sys.exit(judged(check_clip, loss))
