"""Means and deviations of everything that a run has met so far."""

from collections.abc import Iterable

import torch
from torch import Tensor


class Running:
    """Count, mean and deviation of D numbers for each of k runs, in double precision.

    (Chan, Golub and LeVeque 1983, for batches.)
    """

    def __init__(self, runs: int, size: int, device: torch.device) -> None:
        self._seen = torch.zeros(runs, 1 + 2 * size, dtype=torch.float64, device=device)

    @property
    def known(self) -> Tensor:
        """Runs that have met anything, `[k]`, boolean."""
        return self._seen[:, 0] > 0

    @property
    def mean(self) -> Tensor:
        """`[k, D]`; 0 before anything."""
        return self._seen[:, 1:].chunk(2, -1)[0]

    @property
    def deviation(self) -> Tensor:
        """`[k, D]`, not below 0; 1 where nothing has varied."""
        count, squares = self._seen[:, :1], self._seen[:, 1:].chunk(2, -1)[1]
        deviation = (squares / count.clamp(min=1)).sqrt()
        return torch.where(deviation > 0, deviation, 1.0)

    def add(self, parts: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Takes in a batch: parts of rows `[b]`, their numbers `[b, n, D]`, and a mask of those that count `[b, n]`.

        A run's bits do not depend on how its numbers are spread over the parts, as long as their order is the same.
        """
        k, size = len(self._seen), self.mean.shape[1]
        sums = self._seen.new_zeros(k, 1 + 2 * size)
        for rows, numbers, mask in parts:
            there = torch.where(mask[..., None], numbers, 0.0).double()
            powers = (mask.sum(-1, keepdim=True).double(), there.sum(-2), there.square().sum(-2))
            sums.index_add_(0, rows, torch.cat(powers, -1))
        count, total, square = sums[:, :1], *sums[:, 1:].chunk(2, -1)
        before, mean, squares = self._seen[:, :1], *self._seen[:, 1:].chunk(2, -1)
        own, both = total / count.clamp(min=1), (before + count).clamp(min=1)
        change = torch.where(count > 0, own - mean, 0.0)
        squares = squares + (square - own * total).clamp(min=0) + change.square() * before * count / both
        self._seen = torch.cat((before + count, mean + change * count / both, squares), -1)

    def state(self) -> Tensor:
        """A copy, `[k, 1 + 2 D]`."""
        return self._seen.clone()

    def restore(self, state: Tensor) -> None:
        """Takes the place of that whose state it was."""
        self._seen = state.clone()
