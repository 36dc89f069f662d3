"""States and rows as named arrays, which is how they are sealed."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from pglab.store.states import Saved, join

NO_ROWS = pd.DataFrame({"seed": np.arange(0), "update": np.arange(0), "diverged": np.arange(0) == 1})


def is_row(name: str) -> bool:
    """Says of an array in a checkpoint that it is a column of the rows so far."""
    return name.startswith("rows/")


def tells_update(name: str) -> bool:
    """Says of an array in a checkpoint that `reached` needs it."""
    return re.fullmatch(r"\d+/(seeds|update)", name) is not None


def rows_so_far(arrays: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The rows in a checkpoint, with a column `diverged`."""
    return pd.DataFrame({name.removeprefix("rows/"): array for name, array in arrays.items() if is_row(name)})


def reached(arrays: Mapping[str, np.ndarray]) -> dict[int, int]:
    """The update that each seed in a checkpoint can go on from."""
    return {seed: int(arrays[f"{n}/update"]) for n in _numbers(arrays) for seed in arrays[f"{n}/seeds"].tolist()}


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
    parts = []
    for number in _numbers(arrays):
        prefix = f"{number}/state/"
        state = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        parts.append(Saved(int(arrays[f"{number}/update"]), arrays[f"{number}/seeds"].tolist(), state))
    return parts, rows_so_far(arrays)


def _numbers(arrays: Iterable[str]) -> list[str]:
    """The parts, by number; a piece of a state may have any name, also `0/state/…/seeds`."""
    return [found[1] for name in arrays if (found := re.fullmatch(r"(\d+)/seeds", name))]
