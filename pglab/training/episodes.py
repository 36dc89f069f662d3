"""Whole episodes of several runs, packed end to end, and parts of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pglab.bits import Block, step_blocks


@dataclass(frozen=True)
class Episodes:
    """M episodes, or pieces of them, of several runs, S steps end to end, by run and in order of start.

    The per-step tensors carry one more entry at the end, all zeros: index S pads.

    Attributes:
        run: row of the run in its bundle, `[M]`, ascending.
        length: steps, `[M]`.
        terminated, truncated: how the episode ended, `[M]`; both when the end came on the
            last allowed step.
        last_obs: the observation after the last step, `[M, D]`.
        obs, action, reward: `[S + 1, D]`, `[S + 1]` (of a Box `[S + 1, A]`), `[S + 1]`.
        cut: pieces whose episode goes on beyond the batch, `[M]`; None: there are none.
        earlier_return, earlier_length: of a piece's episode before it, `[M]` each; None: nothing.
        greedy: the return of the greedy episode from each one's prompt, `[M]`; None: it was not played.
        beside: steps that each of K runs took in episodes that are no part of the batch, `[K]`; None: it took none.
        lane: in which a piece was played, `[M]`; None: of no account.
    """

    run: np.ndarray
    length: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    last_obs: Tensor
    obs: Tensor
    action: Tensor
    reward: Tensor
    cut: np.ndarray | None = None
    earlier_return: np.ndarray | None = None
    earlier_length: np.ndarray | None = None
    lane: np.ndarray | None = None
    greedy: np.ndarray | None = None
    beside: np.ndarray | None = None

    @property
    def start(self) -> np.ndarray:
        """Position of each episode's first step, `[M]`."""
        return np.cumsum(self.length) - self.length

    @property
    def last(self) -> np.ndarray:
        """Position of each episode's last step, `[M]`."""
        return self.start + self.length - 1

    @cached_property
    def terminates(self) -> Tensor:
        """Steps after which the problem itself ended, `[S + 1]`, boolean."""
        return self._at_last_steps(self.terminated)

    @cached_property
    def truncates(self) -> Tensor:
        """Steps after which a time limit, or the batch's border, cut the episode, `[S + 1]`, boolean."""
        return self._at_last_steps(self.truncated if self.cut is None else self.truncated | self.cut)

    @property
    def ended(self) -> np.ndarray:
        """Episodes that came to their end in the batch, `[M]`, boolean."""
        return np.ones(len(self.run), dtype=bool) if self.cut is None else ~self.cut

    def count(self, runs: int) -> np.ndarray:
        """Episodes of each of K runs, `[K]`."""
        return np.bincount(self.run, minlength=runs)

    def steps(self, runs: int) -> np.ndarray:
        """Steps of each of K runs, `[K]`."""
        return np.bincount(self.run, weights=self.length, minlength=runs).astype(np.int64)

    def blocks(self, only: np.ndarray | None = None) -> Iterator[Block]:
        """All steps as `pglab.bits.step_blocks` cuts them, of some rows or of all."""
        return step_blocks(self.run, self.length, self.reward.device, only=only, numbers=self.obs.shape[-1])

    def returns(self) -> np.ndarray:
        """Undiscounted return of each episode up to here, `[M]`, summed in double precision."""
        here = np.add.reduceat(self.reward[:-1].double().cpu().numpy(), self.start)
        return here if self.earlier_return is None else here + self.earlier_return

    def lengths(self) -> np.ndarray:
        """Steps of each episode up to here, `[M]`."""
        return self.length if self.earlier_length is None else self.length + self.earlier_length

    def select(self, keep: np.ndarray) -> "Episodes":
        """Only the episodes where `keep` `[M]` is true."""
        if keep.all():
            return self
        steps = np.flatnonzero(np.append(np.repeat(keep, self.length), True))
        index = torch.from_numpy(steps).to(self.obs.device)
        kept = torch.from_numpy(np.flatnonzero(keep)).to(self.obs.device)
        return Episodes(
            self.run[keep],
            self.length[keep],
            self.terminated[keep],
            self.truncated[keep],
            self.last_obs[kept],
            self.obs[index],
            self.action[index],
            self.reward[index],
            greedy=None if self.greedy is None else self.greedy[keep],
        )

    def _at_last_steps(self, ended: np.ndarray) -> Tensor:
        device = self.obs.device
        flags = torch.zeros(len(self.reward), dtype=torch.bool, device=device)
        flags[torch.from_numpy(self.last).to(device)] = torch.from_numpy(ended).to(device)
        return flags


@dataclass(frozen=True)
class Steps:
    """Some steps of each run of a batch.

    Attributes:
        run: rows of the runs, ascending, one entry a run or one an episode.
        length: steps of each entry.
        position: of each step in the packed batch, run by run, and that of the padding, `[Σ + 1]`; None: all
            steps, where they are.
        numbers: of an observation.
    """

    run: np.ndarray
    length: np.ndarray
    position: Tensor | None = None
    numbers: int = 1
    _cut: dict[bytes, list[Block]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def blocks(self, device: torch.device, only: np.ndarray) -> list[Block]:
        """As `pglab.bits.step_blocks` cuts them, for some rows; cut once, for policies and critics alike."""
        key = only.tobytes()
        if key not in self._cut:
            blocks = step_blocks(self.run, self.length, device, only=only, numbers=self.numbers)
            position = self.position
            self._cut[key] = [(rows, index if position is None else position[index]) for rows, index in blocks]
        return self._cut[key]
