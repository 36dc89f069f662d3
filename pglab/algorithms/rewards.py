"""Rewards that are learned from in place of the environment's; scores stay in the environment's own.

A component is a frozen dataclass called with rewards and the running deviation of the discounted return
of each. One with a true attribute `uses_deviation` is given that; others get ones.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Raw:
    """r as it is."""

    def __call__(self, reward: Tensor, deviation: Tensor) -> Tensor:
        return reward


@dataclass(frozen=True)
class Scaled:
    """r / σ, clipped to ± `clip`, with σ the deviation of Σ_{k≤t} γ^{t-k} r_k over all steps of the run so far.

    The batch that is learned from counts in σ. (Engstrom et al. 2020, "reward scaling".)
    """

    clip: float = 10.0
    uses_deviation: ClassVar[bool] = True
    bias: ClassVar[str] = "rewards are scaled by a deviation that the batch itself is part of"

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise ValueError(f"clip={self.clip} must be above 0")

    def __call__(self, reward: Tensor, deviation: Tensor) -> Tensor:
        return (reward / deviation).clamp(-self.clip, self.clip)


@dataclass(frozen=True)
class Clipped:
    """r, clipped to ± `clip`: another objective, unless rewards stay within. (Mnih et al. 2015.)"""

    clip: float = 1.0
    bias: ClassVar[str] = "rewards are clipped: another objective"

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise ValueError(f"clip={self.clip} must be above 0")

    def __call__(self, reward: Tensor, deviation: Tensor) -> Tensor:
        return reward.clamp(-self.clip, self.clip)


@dataclass(frozen=True)
class Sign:
    """-1, 0 or 1: another objective."""

    bias: ClassVar[str] = "of rewards only the sign is kept: another objective"

    def __call__(self, reward: Tensor, deviation: Tensor) -> Tensor:
        return reward.sign()


RAW = Raw()
