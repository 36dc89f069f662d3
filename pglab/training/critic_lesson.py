"""Lessons of an arm's critics that learn in the policy's own minibatches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from pglab.algorithms.critics import Stretch
from pglab.bits import Block
from pglab.training.episodes import Episodes, Steps


@dataclass(frozen=True)
class CriticStep:
    """A gradient `[k, P]`, and what makes a step down one for some runs `[k]` and tells which took it."""

    gradient: Tensor
    step: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class CriticLesson:
    """The targets of an arm's critics.

    Attributes:
        rows: of the arm in the table.
        critic: of its runs.
        coefficient: of the critic's loss beside the policy's.
        episodes: S steps.
        target, value: what V is fitted to and what it was, at each packed step, `[S + 1]`.
    """

    rows: slice
    critic: Any
    coefficient: float
    episodes: Episodes
    target: Tensor
    value: Tensor

    def of(self, steps: Steps, runs: np.ndarray) -> CriticStep:
        """The critics' gradient on some steps of those of the arm's runs that are among `runs`."""
        own = runs[(runs >= self.rows.start) & (runs < self.rows.stop)]
        batch = list(self.stretches(steps.blocks(self.target.device, own)))
        return CriticStep(self.coefficient * self.critic.gradient(batch), self.critic.step)

    def stretches(self, blocks: Iterator[Block]) -> Iterator[Stretch]:
        """The steps of blocks, for the critic."""
        for rows, index in blocks:
            mask = index < len(self.target) - 1
            yield Stretch(rows - self.rows.start, self.episodes.obs[index], self.target[index], self.value[index], mask)
