"""Batches of groups: several episodes from each of several prompts."""

from dataclasses import dataclass
from typing import Any, ClassVar


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
