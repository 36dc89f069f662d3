"""Whole episodes of several runs, packed end to end."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Episodes:
    """M whole episodes of several runs, S steps end to end, by run and in order of start.

    The per-step tensors carry one more entry at the end, all zeros: index S pads.

    Attributes:
        run: row of the run in the bundle, `[M]`, ascending.
        length: steps, `[M]`.
        terminated, truncated: how the episode ended, `[M]`; both when the end came on the
            last allowed step.
        last_obs: the observation after the last step, `[M, D]`.
        obs, action, reward: `[S + 1, D]`, `[S + 1]`, `[S + 1]`.
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
        """Where each episode's first step lies, `[M]`."""
        return np.cumsum(self.length) - self.length

    @property
    def last(self) -> np.ndarray:
        """Where each episode's last step lies, `[M]`."""
        return self.start + self.length - 1

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

    def of_runs(self, first: int, rows: np.ndarray) -> "Episodes":
        """The episodes of the runs first, first + 1, … as those of the given rows `[n]`."""
        begin, end = np.searchsorted(self.run, (first, first + len(rows)))
        steps = slice(int(self.length[:begin].sum()), int(self.length[:end].sum()))

        def cut(packed: Tensor) -> Tensor:
            return torch.cat((packed[steps], packed[-1:]))

        return Episodes(
            rows[self.run[begin:end] - first],
            self.length[begin:end],
            self.terminated[begin:end],
            self.truncated[begin:end],
            self.last_obs[begin:end],
            cut(self.obs),
            cut(self.action),
            cut(self.reward),
        )
