"""The table of a bundle: a row for each run, an arm is a slice of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pglab.training.episodes import Episodes
from pglab.training.randomness import Streams, fold_in, stream_keys

COUNTERS = ("diverged", "env_steps", "episodes", "length")


@dataclass(frozen=True)
class Runs:
    """K runs in order of arm and seed; the columns of an update change in place.

    Attributes:
        arms: which rows belong to each arm.
        seed: `[K]`.
        asked: updates that the run is to make, `[K]`.
        keys: random keys of training, `[K]` each.
        minibatches: a key of each run's, `[K]`.
        update: updates of the run's arm so far, `[K]`.
        env_steps, episodes: how many in all batches so far, `[K]`; steps also those of episodes beside them.
        length: mean length of the last batch's episodes, NaN before the first, `[K]`.
        diverged: runs that stay as they are for good, `[K]`.
        parameters: flat policy parameters, `[K, P]`.
    """

    arms: tuple[slice, ...]
    seed: np.ndarray
    asked: np.ndarray
    keys: Streams
    minibatches: Tensor
    update: np.ndarray
    env_steps: np.ndarray
    episodes: np.ndarray
    length: np.ndarray
    diverged: np.ndarray
    parameters: Tensor

    @classmethod
    def begin(cls, seeds: Sequence[Sequence[int]], updates: Sequence[int], parameters: Tensor) -> "Runs":
        """The table before the first update, from the seeds and the number of updates of each arm."""
        sizes = [len(of_arm) for of_arm in seeds]
        ends = np.cumsum(sizes).tolist()
        every = [seed for of_arm in seeds for seed in of_arm]
        k, device = len(every), parameters.device
        return cls(
            arms=tuple(slice(end - size, end) for end, size in zip(ends, sizes, strict=True)),
            seed=np.array(every),
            asked=np.repeat(updates, sizes),
            keys=Streams.of(every, "", device),
            minibatches=stream_keys(every, "minibatches", device),
            update=np.zeros(k, dtype=np.int64),
            env_steps=np.zeros(k, dtype=np.int64),
            episodes=np.zeros(k, dtype=np.int64),
            length=np.full(k, np.nan),
            diverged=np.zeros(k, dtype=bool),
            parameters=parameters,
        )

    @property
    def active(self) -> np.ndarray:
        """Tells which runs train on, `[K]`, boolean."""
        return ~self.diverged & (self.update < self.asked)

    @property
    def coming(self) -> Streams:
        """Keys of the coming update."""
        return self.keys.of_update(torch.from_numpy(self.update).to(self.parameters.device))

    @property
    def shuffling(self) -> Tensor:
        """The key of each run's minibatches in the coming update, `[K]`."""
        return fold_in(self.minibatches, torch.from_numpy(self.update).to(self.parameters.device))

    def members(self, active: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """The number of each arm that has a run among `active` `[K]`, boolean, and the rows of these."""
        rows = [arm.start + np.flatnonzero(active[arm]) for arm in self.arms]
        return [(number, own) for number, own in enumerate(rows) if len(own)]

    def count(self, played: Episodes, active: np.ndarray) -> None:
        """Adds an update to the counters, with its batches and the runs that trained in it, `[K]`, boolean."""
        for arm in self.arms:
            self.update[arm] += active[arm].any()
        k, run = len(self.seed), played.run[played.ended]
        count, steps = np.bincount(run, minlength=k), np.bincount(run, played.lengths()[played.ended], minlength=k)
        self.episodes[:] += count
        self.env_steps[:] += played.steps(k) + (0 if played.beside is None else played.beside)
        self.length[:] = np.where(count > 0, steps / np.maximum(count, 1), self.length)

    def counters(self, arm: slice) -> dict[str, Tensor]:
        """Copies of an arm's columns by name, and the number of its updates."""
        columns = {name: torch.from_numpy(getattr(self, name)[arm].copy()) for name in COUNTERS}
        return columns | {"update": torch.tensor(int(self.update[arm][0]))}

    def restore(self, arm: slice, counters: Mapping[str, Tensor]) -> None:
        """Puts back the columns that `counters` copied."""
        for name in (*COUNTERS, "update"):
            getattr(self, name)[arm] = counters[name].cpu().numpy()
