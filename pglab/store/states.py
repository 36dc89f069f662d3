"""The states of unfinished and finished runs, as arrays that a run can go on from."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Saved:
    """Runs of an arm that have made the same number of updates.

    Attributes:
        update: that number.
        seeds: of the runs, `[k]`, ascending.
        state: everything that an update changes, by name (see `pglab.training`): a row for each
            seed `[k, …]`, or without an axis what all share.
    """

    update: int
    seeds: list[int]
    state: dict[str, np.ndarray]

    def of(self, seeds: Iterable[int]) -> "Saved":
        """Only the runs with these seeds."""
        place = {seed: row for row, seed in enumerate(self.seeds)}
        kept = sorted(seed for seed in seeds if seed in place)
        rows = [place[seed] for seed in kept]
        state = {name: array[rows] if array.ndim else array for name, array in self.state.items()}
        return Saved(self.update, kept, state)


def join(parts: Iterable[Saved]) -> list[Saved]:
    """The same runs with as few parts as there can be, in a fixed order."""
    groups: dict[tuple, list[Saved]] = {}
    for part in parts:
        if part.seeds:
            shared = tuple((name, array.tobytes()) for name, array in sorted(part.state.items()) if not array.ndim)
            shapes = tuple((name, str(a.dtype), a.shape[1:]) for name, a in sorted(part.state.items()) if a.ndim)
            groups.setdefault((part.update, shared, shapes), []).append(part)
    return sorted((_stack(same) for same in groups.values()), key=lambda saved: (saved.update, saved.seeds))


def _stack(parts: list[Saved]) -> Saved:
    seeds = [seed for part in parts for seed in part.seeds]
    order = np.argsort(seeds)
    state = {
        name: np.concatenate([part.state[name] for part in parts])[order] if array.ndim else array
        for name, array in sorted(parts[0].state.items())
    }
    return Saved(parts[0].update, [seeds[i] for i in order], state)
