"""Whole episodes of several runs, packed end to end."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Episodes:
    """M whole episodes of several runs, S steps end to end, by run and in order of start.

    The per-step tensors carry one more entry at the end, all zeros: index S pads.

    Attributes:
        run: row of the run in its bundle, `[M]`, ascending.
        length: steps, `[M]`.
        terminated, truncated: how the episode ended, `[M]`; both when the end came on the
            last allowed step.
        last_obs: the observation after the last step, `[M, D]`.
        obs, action, reward: `[S + 1, D]`, `[S + 1]` (of a Box `[S + 1, A]`), `[S + 1]`.
    """

    run: np.ndarray
    length: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    last_obs: Tensor
    obs: Tensor
    action: Tensor
    reward: Tensor

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
        """Steps after which a time limit cut the episode, `[S + 1]`, boolean."""
        return self._at_last_steps(self.truncated)

    def count(self, runs: int) -> np.ndarray:
        """Episodes of each of K runs, `[K]`."""
        return np.bincount(self.run, minlength=runs)

    def steps(self, runs: int) -> np.ndarray:
        """Steps of each of K runs, `[K]`."""
        return np.bincount(self.run, weights=self.length, minlength=runs).astype(np.int64)

    def returns(self) -> np.ndarray:
        """Undiscounted return of each episode, `[M]`, summed in double precision."""
        return np.add.reduceat(self.reward[:-1].double().cpu().numpy(), self.start)

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
        )

    def _at_last_steps(self, ended: np.ndarray) -> Tensor:
        device = self.obs.device
        flags = torch.zeros(len(self.reward), dtype=torch.bool, device=device)
        flags[torch.from_numpy(self.last).to(device)] = torch.from_numpy(ended).to(device)
        return flags
