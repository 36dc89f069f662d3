"""Batches of groups: several episodes from each of several prompts. The greedy policy that they are held beside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pglab.models.model import Model, Policy


@dataclass(frozen=True)
class PromptGroups:
    """A batch of exactly P × G episodes: G from each of P prompts, one group after another.

    The prompts of an update are those with which the first P episodes of a batch of episodes begin.

    Attributes:
        prompts: P.
        group: G.
    """

    prompts: int = 4
    group: int = 8
    steps: ClassVar[None] = None

    def __post_init__(self) -> None:
        for key in ("prompts", "group"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 1")

    @property
    def episodes(self) -> int:
        return self.prompts * self.group

    def with_episodes(self, episodes: int) -> "PromptGroups":
        """As many groups as have at least so many episodes."""
        return PromptGroups(-(-episodes // self.group), self.group)


def group_of(batch: Any) -> int:
    """Episodes of a batch that share a prompt; 1 where each has its own."""
    return batch.group if isinstance(batch, PromptGroups) else 1


@dataclass(frozen=True)
class Greedy:
    """A policy that takes its most probable action, the first of equals. For actions that are counted.

    Attributes:
        policy: of which the probabilities are.
        actions: how many there are.
    """

    policy: Policy
    actions: int
    draws: ClassVar[None] = None

    @property
    def model(self) -> Model:
        return self.policy.model

    def act(self, parameters: Mapping[str, Tensor], obs: Tensor, uniform: Tensor) -> Tensor:
        outputs = self.policy.model(dict(parameters), obs)
        every = torch.arange(self.actions, device=obs.device).expand(*outputs.shape[:-1], -1)
        of_each = [self.policy.head.log_prob(outputs, action) for action in every.unbind(-1)]
        return torch.stack(of_each, -1).argmax(-1)

    def taken(self, action: Tensor) -> Tensor:
        return self.policy.taken(action)
