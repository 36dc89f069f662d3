"""Lessons of an arm's critics that learn in the policy's own minibatches."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
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
class Targets:
    """The targets of critics and what they said before, at each packed step of the bundle, `[S + 1]` each."""

    target: Tensor
    value: Tensor

    @classmethod
    def like(cls, x: Tensor) -> "Targets":
        """Zeros of the shape of `x`."""
        return cls(torch.zeros_like(x), torch.zeros_like(x))


@dataclass(frozen=True)
class CriticLesson:
    """The targets of an arm's critics.

    Attributes:
        rows: of the arm in the table.
        critic: of its runs.
        coefficient: of the critic's loss beside the policy's.
        episodes: S steps.
        targets: at the steps of the arm, and of others.
    """

    rows: slice
    critic: Any
    coefficient: float
    episodes: Episodes
    targets: Targets

    def own(self, runs: np.ndarray) -> np.ndarray:
        """The given rows of the table that are the arm's."""
        return runs[(runs >= self.rows.start) & (runs < self.rows.stop)]

    def stretches(self, blocks: Iterable[Block], shift: Tensor | None = None) -> Iterator[Stretch]:
        """The steps of blocks, for the critic.

        Args:
            shift: from rows of the bundle's table to those that the critic knows; by default to the arm's.
        """
        target, value = self.targets.target, self.targets.value
        for rows, index in blocks:
            mask = index < len(target) - 1
            own = rows - self.rows.start if shift is None else rows + shift[rows]
            yield Stretch(own, self.episodes.obs[index], target[index], value[index], mask)


def critic_steps(lessons: Sequence[CriticLesson], steps: Steps, runs: np.ndarray) -> dict[int, CriticStep]:
    """A step of each arm's critics on some steps of those of its runs that are among `runs`, by its first row.

    Critics that lie in one table (see `pglab.algorithms.critics.NetworkCritic`) are computed together.
    """
    found = {}
    for together in _by_table(lessons):
        first, device = together[0], together[0].targets.target.device
        blocks = steps.blocks(device, np.concatenate([lesson.own(runs) for lesson in together]))
        if len(together) == 1:
            own = first.coefficient * first.critic.gradient([*first.stretches(blocks)])
            found[first.rows.start] = CriticStep(own, first.critic.step)
            continue
        shift = torch.zeros(max(lesson.rows.stop for lesson in together), dtype=torch.int64, device=device)
        for lesson in together:
            shift[lesson.rows] = lesson.critic.start - lesson.rows.start
        gradients = first.critic.gradients([*first.stretches(blocks, shift)])
        for lesson in together:
            start, size = lesson.critic.start, lesson.rows.stop - lesson.rows.start
            own = lesson.coefficient * gradients[start : start + size]
            found[lesson.rows.start] = CriticStep(own, lesson.critic.step)
    return found


def _by_table(lessons: Sequence[CriticLesson]) -> list[list[CriticLesson]]:
    groups: dict[int, list[CriticLesson]] = {}
    for lesson in lessons:
        groups.setdefault(id(getattr(lesson.critic, "table", lesson)), []).append(lesson)
    return list(groups.values())


def join(critics: Iterable[Any]) -> None:
    """Has critics that are computed by one program lie in one table; before their first steps."""
    groups: list[list[Any]] = []
    for critic in critics:
        if getattr(critic, "program", None) is None:
            continue
        own = next((group for group in groups if group[0].program == critic.program), None)
        if own is None:
            groups.append(own := [])
        own.append(critic)
    for group in groups:
        sizes = [len(critic.table) for critic in group]
        table = torch.cat([critic.table for critic in group])
        for critic, end, size in zip(group, np.cumsum(sizes).tolist(), sizes, strict=True):
            critic.move(table, end - size)
