"""The protocol of a solved problem: all that verify needs to know of it under a policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from pglab.exact.enumeration import Trajectories
from pglab.training.arm import Arm

Table = Any  # a function of the state, in the form in which a solved problem itself has it
State = Mapping[str, Tensor]


class Known(NamedTuple):
    """The exact mean `[P]` of an estimate and its total variance; NaN where only the mean is known."""

    mean: np.ndarray
    variance: float


class HasMoments(Protocol):
    """An exact mean `[P]` and total variance, as `pglab.exact` returns them."""

    @property
    def mean(self) -> np.ndarray: ...

    @property
    def variance(self) -> float: ...


class Estimators(Protocol):
    """Exact moments of the estimate from one episode, one method a weighting (as in `pglab.exact.estimators`).

    Attributes:
        objective: J.
        is_centred: whether the score has mean zero in every state.
    """

    @property
    def objective(self) -> float: ...

    @property
    def is_centred(self) -> bool: ...

    def total_return(self, baseline: Table = 0.0) -> HasMoments: ...

    def reward_to_go(self, baseline: Table = 0.0, discount_states: bool = False) -> HasMoments: ...

    def gae(self, lam: float, value: Table, discount_states: bool = False) -> HasMoments: ...

    def leave_one_out(self, episodes: int, returns: str = "rtg", discount_states: bool = False) -> HasMoments:
        """Of a *batch* of so many episodes, each less the mean return of the others."""
        ...

    def return_times_score(self, discount_states: bool = False) -> np.ndarray: ...

    def exponent_slip(self) -> HasMoments | None: ...


class Solved(Protocol):
    """A problem under a policy, with all that is known exactly of the estimates there."""

    def estimators(self, gamma: float) -> Estimators | None:
        """Moments of the estimates with the score that is used; None where they would take too long."""
        ...

    def with_rewards(self, rewards: Any) -> "Solved | None":
        """The same where every reward is replaced by what an arm learns from; None where that is not known."""
        ...

    def entropy_gradient(self) -> np.ndarray:
        """E[Σ_t ∇H(π(·|s_t))], `[P]`."""
        ...

    def value_of(self, critic: Any) -> Table | None:
        """The values of a learned critic of one run; None where they have no form that the estimators take."""
        ...

    def by_running(self, arm: Arm, value: Table | None, memory: State) -> Known | None:
        """Moments of the arm's estimate from running its weighting on every batch there can be; None: too many."""
        ...

    def trajectories(self, most: int) -> Trajectories | None:
        """Every episode there can be; None where these are more than `most`."""
        ...


class Solution(NamedTuple):
    """The exact side of a problem at a policy's parameters.

    Attributes:
        solved: of its estimates.
        gradient: ∇J of what is played, `[P]`.
        length: mean length of an episode.
        head_fault: what is wrong between the head's `sample` and its other functions, or None.
    """

    solved: Solved
    gradient: np.ndarray
    length: float
    head_fault: str | None


@dataclass(frozen=True)
class Continuous:
    """A problem with infinitely many episodes, and so without a list of them."""

    def with_rewards(self, rewards: Any) -> None:
        return None

    def by_running(self, arm: Arm, value: Table | None, memory: State) -> None:
        return None

    def trajectories(self, most: int) -> None:
        return None


def critic_of(arm: Arm, observation: Any, state: State) -> Any:
    """The learned critic of one run as its state has it."""
    critic = arm.baseline.critic(observation, [torch.Generator()], torch.device("cpu"))
    critic.restore({name.removeprefix("critic/"): x for name, x in state.items() if name.startswith("critic/")})
    return critic
