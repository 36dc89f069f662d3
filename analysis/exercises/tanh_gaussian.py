"""Exercise 3: write the log-probability of a tanh-Gaussian.

An action a = tanh(x) with x ~ N(μ, σ²) stays within (-1, 1). Its density is that of x divided by the slope of tanh.
Leave the slope out, as many programs once did, and the policy learns to sit at its bounds.

Hint: log π = log N(x; μ, σ²) - log(1 - tanh² x). The second term is -∞ for large x unless it is written as
2 (log 2 - x - softplus(-2x)).

Judge: `python -m analysis.exercises.tanh_gaussian`. A solution: `analysis/exercises/solutions/tanh_gaussian.py`.
"""

import sys

from torch import Tensor

from analysis.exercises.judges import check_tanh_gaussian, judged


def log_prob(x: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    """The log density of a = tanh(x), summed over the numbers of an action: from three `[..., A]` to `[...]`."""
    raise NotImplementedError("fill in the hole: log N(x; mean, exp(log_sigma)²) less the log slope of tanh at x")


if __name__ == "__main__":
    sys.exit(judged(check_tanh_gaussian, log_prob))
