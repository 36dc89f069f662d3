"""An estimator on a problem at the parameters of a seed, with all of it that is known exactly."""

from dataclasses import dataclass, replace

import numpy as np

from pglab.algorithms.weightings import declared_bias, unbiased_setting
from pglab.training.arm import Arm
from pglab.training.bundle import Shapes
from pglab.verify.bandit import solve_bandit
from pglab.verify.finite import solve_finite
from pglab.verify.linear import solve_linear
from pglab.verify.solved import Solved

SOLVERS = (solve_finite, solve_linear, solve_bandit)  # each takes the worlds of its kind


@dataclass(frozen=True)
class Setting:
    """An estimator on a problem at the parameters of a seed, solved.

    Attributes:
        solved: all that is known of the estimates.
        gradient: ∇J of what is played, `[P]`.
        length: mean length of an episode.
        head_fault: what is wrong between the head's `sample` and its other functions, or None.
    """

    shapes: Shapes
    arm: Arm
    problem: str
    seed: int
    solved: Solved
    gradient: np.ndarray
    length: float
    head_fault: str | None

    @property
    def bias(self) -> tuple[str, ...]:
        """Every declared reason why the mean of the estimate is not ∇J; empty: it is."""
        return declared_bias(self.shapes.head) + self.arm.bias

    def with_unbiased_head(self) -> "Setting":
        """The same with a head that declares no bias, where it offers that."""
        head = unbiased_setting(self.shapes.head)
        if head is self.shapes.head:
            return self
        return solve(replace(self.shapes, head=head), self.arm, self.problem, self.seed)


def solve(shapes: Shapes, arm: Arm, problem: str, seed: int) -> Setting:
    """The exact side, by the first solver that takes the world.

    Raises:
        ValueError: no solver does; or one does, and there is no solution: the policy may never end, …
    """
    for solver in SOLVERS:
        if (solution := solver(shapes, arm, seed)) is not None:
            return Setting(shapes, arm, problem, seed, *solution)
    raise ValueError(
        f"{type(shapes.world).__name__} is no finite MDP, so its gradient is not known exactly; "
        "choose one of corridor, bandit, contextual_bandit, two_state_loop, token_tree, binary_tree, random_mdp, "
        "frozenlake, toy_text, or with numbers as actions of lqr, continuous_bandit"
    )
