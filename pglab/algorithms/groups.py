"""Weightings that compare an episode with the others from the same prompt, as language models are trained.

All weigh every step of an episode alike, by its return R_i = Σ_k γ^k r_k beside the returns of its group: the G
episodes from one prompt, which follow one another in a batch of `batch=groups` (episode p G + g is the g-th of prompt
p). A batch whose number of episodes is no multiple of G ends with a smaller group. The mean and deviation of a group
are m = (1/G) Σ_j R_j and s = √(Σ_j (R_j - m)² / (G - ddof)).

Where a choice makes an estimate that is not ∇J, the method `parts()` adds the choices of a weighting to the unbiased
one, `RLOO`, one at a time: pairs of the choice's name and the weighting with it. `pglab.verify` tells by them which
choice biases how much. Two attributes say what of a batch a weight depends on, so that `pglab.exact` can go through all
batches: `within_group`, nothing but the episode's group; `by_outcome`, nothing but rewards and lengths.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from pglab.algorithms.batch import Batch, BesideGreedy
from pglab.algorithms.losses import differing
from pglab.algorithms.returns import discounted_sum

Parts = tuple[tuple[str, Any], ...]


def in_groups(x: Tensor, group: int) -> Tensor:
    """A property of the episodes `[..., E]` as `[..., ⌈E/G⌉, G]`; zeros, or false, fill up the last group."""
    return pad(x, (0, -x.shape[-1] % group)).unflatten(-1, (-1, group))


@dataclass(frozen=True)
class Outcomes:
    """The returns of a batch by group.

    Attributes:
        returns: R_i, `[..., B, G]`.
        exists: episodes that are no padding, `[..., B, G]`.
        length: their steps, `[..., B, G]`.
    """

    returns: Tensor
    exists: Tensor
    length: Tensor

    @classmethod
    def of(cls, batch: Batch, gamma: float, group: int) -> "Outcomes":
        total = discounted_sum(batch.reward, gamma)[..., 0]
        length = batch.mask.sum(-1)
        return cls(*(in_groups(x, group) for x in (total, batch.mask[..., 0], length)))

    @property
    def count(self) -> Tensor:
        """Episodes of each group, at least 1, `[..., B, 1]`."""
        return self.exists.sum(-1, keepdim=True).clamp(min=1)

    @property
    def mean(self) -> Tensor:
        """m, `[..., B, 1]`."""
        return self.returns.sum(-1, keepdim=True) / self.count

    @property
    def differ(self) -> Tensor:
        """Groups with two different returns, `[..., B, 1]`."""
        return differing(self.returns, self.exists, (-1,))

    def deviation(self, ddof: int) -> Tensor:
        """s, `[..., B, 1]`."""
        squares = ((self.returns - self.mean) * self.exists).square().sum(-1, keepdim=True)
        return (squares / (self.count - ddof).clamp(min=1)).sqrt()


def at_steps(advantage: Tensor, batch: Batch) -> Tensor:
    """Ψ `[..., E, T]` from one number for each episode, `[..., B, G]`."""
    by_episode = advantage.flatten(-2)[..., : batch.reward.shape[-2], None]
    return torch.where(batch.mask, by_episode, 0.0).detach()


def check_settings(group: int, ddof: int = 0, epsilon: float = 0.0) -> None:
    if group < 1:
        raise ValueError(f"group={group} must be at least 1")
    if ddof not in (0, 1):
        raise ValueError(f"ddof={ddof} must be 0 (divide by G) or 1 (by G - 1)")
    if not epsilon >= 0:
        raise ValueError(f"epsilon={epsilon} must be at least 0")


@dataclass(frozen=True)
class InGroup:
    """A weighting that compares an episode with nothing but its group."""

    gamma: float
    group: int
    discounted_from_start: ClassVar[bool] = True
    whole_episodes: ClassVar[bool] = True
    within_group: ClassVar[bool] = True
    by_outcome: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self.group)


@dataclass(frozen=True)
class RLOO(InGroup):
    """An episode's return less the mean of the *others* of its group: Ψ_i = R_i - Σ_{j≠i} R_j / (G - 1).

    Unbiased: the others are independent of the episode, given the prompt. A group of one has no others: Ψ = R.
    (Kool et al. 2019; Ahmadian et al. 2024.)
    """

    def __call__(self, batch: Batch) -> Tensor:
        own = Outcomes.of(batch, self.gamma, self.group)
        others = own.returns.sum(-1, keepdim=True) - own.returns
        return at_steps(own.returns - others / (own.count - 1).clamp(min=1), batch)


@dataclass(frozen=True)
class WithItself(InGroup):
    """One whose baseline includes the episode itself; `bias` says what comes of it."""

    bias: ClassVar[str | tuple[str, ...]]

    def parts(self) -> Parts:
        return (("baseline", self),)

    def without_bias(self) -> RLOO:
        return RLOO(self.gamma, self.group)


@dataclass(frozen=True)
class GroupMean(WithItself):
    """An episode's return less the mean of its group, its own included: Ψ_i = R_i - m.

    The mean estimate is ∇J times 1 - 1/G: another learning rate and no other direction. ("Dr. GRPO", Liu et al. 2025.)
    """

    bias = "the group's mean includes the episode itself (∇J times 1 - 1/G)"

    def __call__(self, batch: Batch) -> Tensor:
        own = Outcomes.of(batch, self.gamma, self.group)
        return at_steps(own.returns - own.mean, batch)


@dataclass(frozen=True)
class OPO(WithItself):
    """An episode's return less the mean of its group weighted by lengths: Ψ_i = R_i - Σ_j l_j R_j / Σ_j l_j.

    The constant of least variance where ‖∇log π(o)‖² is proportional to the length l of a sequence; biased, as the
    episode itself is in it. (Hao et al. 2025.)
    """

    bias = "the group's mean by lengths includes the episode itself"

    def __call__(self, batch: Batch) -> Tensor:
        own = Outcomes.of(batch, self.gamma, self.group)
        steps = own.length.sum(-1, keepdim=True).clamp(min=1)
        mean = (own.length * own.returns).sum(-1, keepdim=True) / steps
        return at_steps(own.returns - mean, batch)


@dataclass(frozen=True)
class ReMax(InGroup):
    """An episode's return less that of the greedy one from the same prompt: Ψ_i = R_i - R(greedy).

    Unbiased: the greedy episode, of which every action is the most probable one, knows nothing of the episode's
    actions. It is played beside the batch, one for each prompt. (Li et al. 2024.)
    """

    uses_greedy: ClassVar[bool] = True

    def __call__(self, batch: Batch) -> Tensor:
        if not isinstance(batch, BesideGreedy) or batch.greedy is None:
            raise ValueError("weighting=remax needs a batch with the returns of greedy episodes: choose batch=groups")
        own = Outcomes.of(batch, self.gamma, self.group)
        return at_steps(own.returns - in_groups(batch.greedy, self.group), batch)
