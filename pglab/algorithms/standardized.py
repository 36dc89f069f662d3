"""Weightings that divide by a deviation: of the group, or of the whole batch. See `pglab.algorithms.groups`."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.groups import RLOO, GroupMean, Outcomes, Parts, WithItself, at_steps, check_settings
from pglab.algorithms.losses import differing


@dataclass(frozen=True)
class GRPO(WithItself):
    """An episode's return standardised in its group: Ψ_i = (R_i - m) / (s + ε); 0 where all returns are equal.

    With rewards 0 and 1 and ddof = ε = 0 the mean estimate weighs the gradient of each prompt's success probability p
    by E[s] / (p (1 - p)): the same direction at one prompt, and prompts that are hardly ever, or nearly always, solved
    count for more than in ∇J. (Shao et al. 2024.)

    Args:
        ddof: 0 for the deviation of the G returns, 1 for its usual estimate from a sample.
        epsilon: ε.
    """

    ddof: int = 0
    epsilon: float = 1e-8
    bias: ClassVar[tuple[str, ...]] = (
        "the group's mean includes the episode itself",
        "the weights are divided by the group's deviation",
    )

    def __post_init__(self) -> None:
        check_settings(self.group, self.ddof, self.epsilon)

    def parts(self) -> Parts:
        return (*GroupMean(self.gamma, self.group).parts(), ("divisor", self))

    def __call__(self, batch: Batch) -> Tensor:
        own = Outcomes.of(batch, self.gamma, self.group)
        deviation = own.deviation(self.ddof) + self.epsilon
        standardized = (own.returns - own.mean) / torch.where(own.differ, deviation, 1.0)
        return at_steps(torch.where(own.differ, standardized, 0.0), batch)


@dataclass(frozen=True)
class DAPO(GRPO):
    """`GRPO` on the groups whose returns differ: the others leave the batch, divisors of the reduction included.

    A batch without any such group gives no update. (Yu et al. 2025, "dynamic sampling".)

    Args:
        refill: play on until there are as many groups as were asked for.
        most: times the asked number of groups, at which playing on ends.
    """

    refill: bool = False
    most: int = 10
    bias = (*GRPO.bias, "groups of equal returns are left out")
    drops_equal_groups: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most < 1:
            raise ValueError(f"most={self.most} must be at least 1")

    def parts(self) -> Parts:
        kept = GRPO(self.gamma, self.group, self.ddof, self.epsilon)
        return (*kept.parts(), ("dropped groups", self))


@dataclass(frozen=True)
class ReinforcePlusPlus:
    """Returns standardised over the whole *batch*: Ψ_i = (A_i - mean) / (deviation + ε).

    A_i is the return, or the return less the mean of its group. (REINFORCE++, Hu 2025.)

    Args:
        over: what counts once in mean and deviation: "steps", so that long episodes count for more, or "episodes".
        group_mean: first take off the mean of the group ("REINFORCE++-baseline").
        deviation: divide by it; otherwise only the mean is taken off.
        ddof: 0 or 1, of the deviation.
        epsilon: ε.
    """

    gamma: float
    group: int
    over: Literal["steps", "episodes"] = "steps"
    group_mean: bool = False
    deviation: bool = True
    ddof: int = 0
    epsilon: float = 1e-8
    discounted_from_start: ClassVar[bool] = True
    whole_episodes: ClassVar[bool] = True
    by_outcome: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self.group, self.ddof, self.epsilon)
        if self.over not in ("steps", "episodes"):
            raise ValueError(f"over={self.over!r} is not one of steps, episodes")

    @property
    def bias(self) -> tuple[str, ...]:
        mean = ("the batch's mean includes the episode itself",)
        return (*mean, "the weights are divided by the batch's deviation") if self.deviation else mean

    def parts(self) -> Parts:
        centred = replace(self, deviation=False)
        return (("baseline", centred), ("divisor", self)) if self.deviation else (("baseline", self),)

    def without_bias(self) -> RLOO:
        return RLOO(self.gamma, self.group)

    def __call__(self, batch: Batch) -> Tensor:
        own = Outcomes.of(batch, self.gamma, self.group)
        psi = at_steps(own.returns - own.mean if self.group_mean else own.returns, batch)
        counts = batch.mask if self.over == "steps" else batch.mask & (batch.mask.cumsum(-1) == 1)
        count = counts.sum((-2, -1), keepdim=True).clamp(min=1)
        mean = (psi * counts).sum((-2, -1), keepdim=True) / count
        centred = (psi - mean) * batch.mask
        if not self.deviation:
            return centred
        squares = (centred * counts).square().sum((-2, -1), keepdim=True)
        deviation = (squares / (count - self.ddof).clamp(min=1)).sqrt() + self.epsilon
        differ = differing(psi, batch.mask, (-2, -1))
        return torch.where(differ, centred / torch.where(differ, deviation, 1.0), 0.0)
