"""Spaces: what an observation or an action is."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Box:
    """A vector of `size` real numbers."""

    size: int

    @property
    def stored(self) -> int:
        """Numbers that one observation takes in memory."""
        return self.size

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes of one action."""
        return (self.size,)

    @property
    def dtype(self) -> torch.dtype:
        """Type of one action."""
        return torch.float32


@dataclass(frozen=True)
class Discrete:
    """One of `size` symbols: an observation is its index stored in one number, an action a whole number."""

    size: int

    @property
    def stored(self) -> int:
        """Numbers that one observation takes in memory."""
        return 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes of one action: none."""
        return ()

    @property
    def dtype(self) -> torch.dtype:
        """Type of one action."""
        return torch.int64


Space = Box | Discrete


def as_space(actions: Space | int) -> Space:
    """The space of a world's `actions`; a plain whole number n stands for Discrete(n)."""
    return actions if isinstance(actions, Space) else Discrete(actions)


def number_of(space: Space, asking: str) -> int:
    """The number of actions of an index space.

    Raises:
        ValueError: actions cannot be counted; `asking` says who needs to.
    """
    if not isinstance(space, Discrete):
        raise ValueError(f"{asking} needs actions that can be counted, Discrete(n); this environment has {space}")
    return space.size
