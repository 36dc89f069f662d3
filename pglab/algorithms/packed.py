"""Whole episodes end to end, for weightings that look at nothing but rewards."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedEpisodes:
    """M whole episodes, S steps end to end.

    Attributes:
        reward: that each step learns from, `[S]`.
        length: steps of each episode, `[M]`.
    """

    reward: Tensor
    length: Tensor

    @cached_property
    def start(self) -> Tensor:
        """Position of each episode's first step, `[M]`."""
        return self.length.cumsum(0) - self.length

    @cached_property
    def left(self) -> Tensor:
        """Steps that come after each one in its episode, `[S]`."""
        steps = torch.arange(len(self.reward), dtype=torch.int32, device=self.reward.device)
        return self.everywhere((self.start + self.length - 1).int()) - steps

    @property
    def since(self) -> Tensor:
        """Steps that come before each one in its episode, `[S]`."""
        return self.everywhere(self.length - 1) - self.left

    def everywhere(self, x: Tensor) -> Tensor:
        """A number of each episode, `[M]`, at each of its steps, `[S]`."""
        return x.repeat_interleave(self.length, output_size=len(self.reward))

    def to_go(self, x: Tensor, gamma: float) -> Tensor:
        """Σ_{k≥t} γ^{k-t} x_k within each episode, `[S]`: the bits of `pglab.algorithms.returns.discounted_sum`."""
        shift, factor, longest = 1, gamma, int(self.length.max()) if len(self.length) else 0
        while shift < longest:
            later = torch.where(self.left[:-shift] >= shift, x[shift:], 0.0)
            x = x.clone()
            x[:-shift] += later.mul_(factor)
            shift, factor = 2 * shift, factor * factor
        return x

    def total(self, x: Tensor, gamma: float) -> Tensor:
        """Σ_k γ^k x_k of the whole episode at each of its steps, `[S]`."""
        return self.everywhere(self.to_go(x, gamma)[self.start])
