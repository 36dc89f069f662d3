"""Spaces: what an observation or an action is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

Bound = float | Sequence[float]


@dataclass(frozen=True, repr=False)
class Box:
    """A vector of `size` real numbers.

    Attributes:
        low, high: of each number, `[size]`; one number stands for all. Without an end by default.

    Raises:
        ValueError: the bounds are not as many, or the low ones not below the high ones.
    """

    size: int
    low: Bound = -math.inf
    high: Bound = math.inf

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            given = getattr(self, name)
            bounds = tuple(float(x) for x in given) if isinstance(given, Sequence) else (float(given),) * self.size
            object.__setattr__(self, name, bounds)
        low, high = self.bounds
        if not (len(low) == len(high) == self.size and all(x < y for x, y in zip(low, high, strict=True))):
            raise ValueError(f"{self} needs {self.size} low bounds and as many high ones above them")

    def __repr__(self) -> str:
        low, high = self.bounds
        if not any(math.isfinite(x) for x in (*low, *high)):
            return f"Box({self.size})"
        first, last = (x[0] if len({*x}) == 1 else [*x] for x in (low, high))
        return f"Box({self.size}, {first}, {last})"

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """`low` and `high`, a number for each of the vector's."""
        assert isinstance(self.low, tuple)
        assert isinstance(self.high, tuple)
        return self.low, self.high

    @property
    def bounded(self) -> bool:
        """Tells whether every number has both bounds."""
        return all(math.isfinite(x) for bound in self.bounds for x in bound)

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
        raise ValueError(
            f"{asking} needs actions that can be counted, Discrete(n); this environment has {space}, for a "
            "head of numbers, such as head=gaussian"
        )
    return space.size
