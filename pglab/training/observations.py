"""Observations as the networks see them: as they are, or standardised by what a run has met so far."""

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pglab.algorithms.running import Running
from pglab.models.model import Model
from pglab.models.networks import Normalized
from pglab.training.episodes import Episodes


@dataclass(frozen=True)
class Raw:
    """s as it is."""

    def of(self, network: Any) -> Any:
        return network

    def of_critic(self, weighting: Any) -> Any:
        return weighting


@dataclass(frozen=True)
class Standardized:
    """(s - m) / σ, clipped: m and σ over all steps of the run's earlier batches.

    Within an update they stand still: a batch counts from the next one on, and what evaluation, a film or
    `pglab.play` sees is standardised by those of the policy. (Engstrom et al. 2020, "observation
    normalization".)

    Args:
        clip: largest size of what a network sees.
    """

    clip: float = 10.0

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise ValueError(f"clip={self.clip} must be above 0")

    def of(self, network: Any) -> Any:
        """The network that sees them."""
        return Normalized(network, self.clip)

    def of_critic(self, weighting: Any) -> Any:
        """A weighting whose critic's network, if it has one, sees them."""
        baseline = getattr(weighting, "baseline", None)
        network = getattr(baseline, "network", None)
        if network is None or not (hasattr(baseline, "critic") and is_dataclass(baseline)):
            return weighting
        critic: Any = baseline
        return replace(weighting, baseline=replace(critic, network=self.of(network)))


class Observed:
    """Mean and deviation of each run's observations."""

    def __init__(self, runs: int, model: Model, device: torch.device) -> None:
        self._model, self._running = model, Running(runs, model.observation.size, device)

    def add(self, episodes: Episodes) -> None:
        """Takes in the batches, and all steps of each."""
        total = len(episodes.reward) - 1
        self._running.add((rows, episodes.obs[index], index < total) for rows, index in episodes.blocks())

    def show(self, parameters: Tensor, critics: Sequence[tuple[slice, Any]]) -> None:
        """Writes them beside the policies' parameters `[K, P]` and those of critics, by the rows of each."""
        values = {
            "observation_mean": self._running.mean.float(),
            "observation_scale": 1.0 / self._running.deviation.float(),
        }
        self._model.set_buffers(parameters, values)
        for rows, critic in critics:
            critic.set_buffers({name: value[rows] for name, value in values.items()})

    def state(self, rows: slice) -> Tensor:
        """Of some rows, `[k, …]`."""
        return self._running.state()[rows]

    def restore(self, rows: slice, state: Tensor) -> None:
        """Puts them back."""
        whole = self._running.state()
        whole[rows] = state
        self._running.restore(whole)
