"""Schedules: what becomes of learning rates and clip ranges over a run's updates."""

from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """A frozen dataclass with two factors as functions of the updates made so far."""

    def rate(self, update: int) -> float:
        """The factor on the learning rates, of the policy's optimizer and of the critic's."""
        ...

    def strength(self, update: int) -> float:
        """The factor on the surrogate's coefficient, such as a clip range."""
        ...


@dataclass(frozen=True)
class Constant:
    """Everything stays as it is."""

    def rate(self, update: int) -> float:
        return 1.0

    def strength(self, update: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Linear:
    """Falling in a straight line, 1 - u/U in the update after u others, to 0 after the last.

    Args:
        updates: U, of the whole run: one that goes on with more is another run.
        clip: the surrogate's coefficient falls as well.
    """

    updates: int
    clip: bool = False

    def rate(self, update: int) -> float:
        return max(0.0, 1.0 - update / self.updates)

    def strength(self, update: int) -> float:
        return self.rate(update) if self.clip else 1.0


CONSTANT = Constant()
