"""An estimator on a problem at the parameters of a seed, with all of it that is known exactly."""

from dataclasses import dataclass

import numpy as np

from pglab.envs.finite import FiniteMDP
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.policy import policy_table, score_table
from pglab.exact.sampling import sampled_tables
from pglab.exact.values import visitation
from pglab.training.arm import Arm
from pglab.training.bundle import Shapes
from pglab.verify.expected import Tables
from pglab.verify.measure import drawn


@dataclass(frozen=True)
class Setting:
    """An estimator on a problem at the parameters of a seed, solved.

    Attributes:
        tables: π as it is played and the score that is used.
        gradient: ∇J of what is played, `[P]`.
        length: mean length of an episode.
        head_fault: what is wrong between the head's `sample` and `log_prob`, or None.
    """

    shapes: Shapes
    arm: Arm
    problem: str
    seed: int
    tables: Tables
    gradient: np.ndarray
    length: float
    head_fault: str | None


def solve(shapes: Shapes, arm: Arm, problem: str, mdp: FiniteMDP, seed: int, head_fault: str | None) -> Setting:
    """The exact side. ∇J of a faulty head is that of the policy that it samples.

    Raises:
        ValueError: there is none: the policy may never end, …
    """
    policy, named = shapes.policy(), drawn(shapes, arm, seed)
    score = score_table(mdp, policy, named)
    if head_fault is None:
        pi, true_score = policy_table(mdp, policy, named), score
    else:
        pi, true_score = sampled_tables(mdp, policy, named)
    gradient = gradient_by_theorem(mdp, pi, true_score, arm.gamma)
    length = float(visitation(mdp, pi, 1.0).sum())
    return Setting(shapes, arm, problem, seed, Tables(mdp, pi, score), gradient, length, head_fault)
