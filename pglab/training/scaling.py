"""The running deviation of each run's discounted return, by which rewards may be scaled."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pglab.algorithms.returns import discounted_sum
from pglab.algorithms.running import Running
from pglab.bits import padded_batches
from pglab.training.episodes import Episodes


class DiscountedReturns:
    """σ of R_t = Σ_{k≤t} γ^{t-k} r_k over all steps so far, for the runs of an arm.

    Attributes:
        rows: of the arm in the table.
    """

    def __init__(self, rows: slice, gamma: float, lanes: int, device: torch.device) -> None:
        self.rows, self._gamma, self._device = rows, gamma, device
        self._running = Running(rows.stop - rows.start, 1, device)
        # R of the episodes that go on in each lane, where a batch may cut them.
        self._carried = torch.zeros(rows.stop - rows.start, lanes, device=device)

    def add(self, episodes: Episodes) -> None:
        """Takes in the arm's batches."""
        reward, first, last = episodes.reward.clone(), *(torch.from_numpy(x) for x in (episodes.start, episodes.last))
        own = torch.from_numpy((episodes.run >= self.rows.start) & (episodes.run < self.rows.stop))
        place = None
        if episodes.lane is not None:
            place = torch.from_numpy(episodes.run)[own] - self.rows.start, torch.from_numpy(episodes.lane)[own]
            goes_on = torch.from_numpy(episodes.lengths() > episodes.length)[own]
            reward[first[own]] += self._gamma * torch.where(goes_on, self._carried[place], 0.0)
        returns, parts = torch.zeros_like(reward), []
        for table_rows, index in padded_batches(episodes.run, episodes.length, self._device, self.rows):
            mask = index < len(reward) - 1
            forward = discounted_sum(reward[index].flip(-1), self._gamma).flip(-1)
            returns[index] = torch.where(mask, forward, 0.0)
            parts.append((table_rows - self.rows.start, returns[index].flatten(1)[..., None], mask.flatten(1)))
        self._running.add(parts)
        if place is not None:
            cut = torch.from_numpy(episodes.ended)[own].logical_not()  # at most one of each lane
            self._carried[place[0][cut], place[1][cut]] = returns[last[own]][cut]

    @property
    def deviation(self) -> Tensor:
        """σ of each run, `[k]`; 1 where nothing has varied."""
        return self._running.deviation[:, 0].float()

    def state(self) -> dict[str, Tensor]:
        """Everything that `add` changes, by name."""
        return {"returns_seen": self._running.state(), "returns_carried": self._carried}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes the place of that whose state it was."""
        self._running.restore(state["returns_seen"])
        self._carried = state["returns_carried"].clone()
