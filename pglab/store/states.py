"""The states of unfinished and finished runs, as arrays that a run can go on from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

NO_ROWS = pd.DataFrame({"seed": np.arange(0), "update": np.arange(0), "diverged": np.arange(0) == 1})


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


def is_row(name: str) -> bool:
    """Says of an array in a checkpoint that it is a column of the rows so far."""
    return name.startswith("rows/")


def tells_update(name: str) -> bool:
    """Says of an array in a checkpoint that `reached` needs it."""
    return name.endswith(("/seeds", "/update")) and not is_row(name)


def rows_so_far(arrays: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The rows in a checkpoint, with a column `diverged`."""
    return pd.DataFrame({name.removeprefix("rows/"): array for name, array in arrays.items() if is_row(name)})


def reached(arrays: Mapping[str, np.ndarray]) -> dict[int, int]:
    """The update that each seed in a checkpoint can go on from."""
    parts = [name.removesuffix("/seeds") for name in arrays if name.endswith("/seeds")]
    return {seed: int(arrays[f"{part}/update"]) for part in parts for seed in arrays[f"{part}/seeds"].tolist()}


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


def encode(parts: Iterable[Saved], rows: pd.DataFrame | None = None) -> dict[str, np.ndarray]:
    """Arrays to be sealed: each part, and the rows of its runs so far."""
    arrays = {}
    for number, part in enumerate(join(parts)):
        arrays[f"{number}/update"] = np.array(part.update)
        arrays[f"{number}/seeds"] = np.array(part.seeds, dtype=np.int64)
        arrays |= {f"{number}/state/{name}": array for name, array in part.state.items()}
    if rows is not None:
        arrays |= {f"rows/{name}": rows[name].to_numpy() for name in rows.columns}
    return arrays


def decode(arrays: Mapping[str, np.ndarray]) -> tuple[list[Saved], pd.DataFrame]:
    """The parts and rows that `encode` was given."""
    numbers = [name.removesuffix("/seeds") for name in arrays if name.endswith("/seeds")]
    parts = []
    for number in numbers:
        prefix = f"{number}/state/"
        state = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        parts.append(Saved(int(arrays[f"{number}/update"]), arrays[f"{number}/seeds"].tolist(), state))
    return parts, rows_so_far(arrays)
