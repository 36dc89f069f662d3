"""Spaces: what an observation or an action is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

Bound = float | Sequence[float]
TYPES = (torch.float32, torch.uint8, torch.int8)


@dataclass(frozen=True, repr=False)
class Box:
    """Numbers in axes, such as a vector `Box(3)` or an image `Box((channels, height, width), dtype=torch.uint8)`.

    Attributes:
        shape: length of each axis; one whole number for a vector. Observations of several axes are kept as a row.
        low, high: of each number, in the order of a row; one number stands for all. By default without an end, or
            those of the type where it has whole numbers.
        dtype: of the numbers: torch.float32, or of an image's torch.uint8 or torch.int8.

    Raises:
        ValueError: the bounds are not as many, or the low ones not below the high ones.
    """

    shape: int | Sequence[int]  # read as a tuple
    low: Bound = -math.inf
    high: Bound = math.inf
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        axes = (self.shape,) if isinstance(self.shape, int) else tuple(self.shape)
        object.__setattr__(self, "shape", axes)
        if self.dtype not in TYPES:
            raise ValueError(f"dtype={self.dtype} is not one of {', '.join(map(str, TYPES))}")
        if not self.dtype.is_floating_point:
            ends = torch.iinfo(self.dtype)
            object.__setattr__(self, "low", max(self.low, ends.min) if isinstance(self.low, float) else self.low)
            object.__setattr__(self, "high", min(self.high, ends.max) if isinstance(self.high, float) else self.high)
        for name in ("low", "high"):
            given = getattr(self, name)
            bounds = tuple(float(x) for x in given) if isinstance(given, Sequence) else (float(given),) * self.size
            object.__setattr__(self, name, bounds)
        low, high = self.bounds
        if not (len(low) == len(high) == self.size and all(x < y for x, y in zip(low, high, strict=True))):
            raise ValueError(f"{self} needs {self.size} low bounds and as many high ones above them")

    def __repr__(self) -> str:
        low, high = self.bounds
        axes = " × ".join(map(str, self.axes))
        if not self.dtype.is_floating_point:
            return f"Box({axes}, {str(self.dtype).removeprefix('torch.')})"
        if not any(math.isfinite(x) for x in (*low, *high)):
            return f"Box({axes})"
        first, last = (x[0] if len({*x}) == 1 else [*x] for x in (low, high))
        return f"Box({axes}, {first}, {last})"

    @property
    def axes(self) -> tuple[int, ...]:
        """`shape` as a tuple."""
        assert isinstance(self.shape, tuple)
        return self.shape

    @property
    def size(self) -> int:
        """The number of numbers in all axes."""
        return math.prod(self.axes)

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


@dataclass(frozen=True)
class Discrete:
    """One of `size` symbols: an observation is its index stored in one number, an action a whole number."""

    size: int

    @property
    def stored(self) -> int:
        """Numbers that one observation takes in memory."""
        return 1

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of one action: none."""
        return ()

    @property
    def dtype(self) -> torch.dtype:
        """Type of one action; as an observation its index is kept in single precision."""
        return torch.int64


Space = Box | Discrete


def type_of(observation: Space) -> torch.dtype:
    """The type that observations are kept in."""
    return observation.dtype if isinstance(observation, Box) else torch.float32


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
