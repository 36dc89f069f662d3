"""What can be seen from outside of an arm's runs that have not ended: who trains them, and how far they are.

Whoever writes an arm's folder and whoever only reads it share this; reading imports no torch.
"""

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pglab.sealed import DamagedError, unseal

CHECKPOINTS = ("checkpoint.bin", "checkpoint.previous.bin")  # the newer one first
LOCK = "lock"


def holder(folder: Path) -> str | None:
    """Who trains the arm in this folder now, in words; None where nobody does."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _named(os.pread(descriptor, 4096, 0))
    finally:
        os.close(descriptor)


def last_checkpoint(
    folder: Path, needed: Callable[[str], bool] = lambda _: True
) -> tuple[dict[str, np.ndarray], str | None]:
    """The needed arrays of the last checkpoint that is whole, and what is to be said of one that is not.

    There are none where there is no checkpoint.
    """
    damaged = []
    for name in CHECKPOINTS:
        try:
            arrays = unseal(folder / name, needed)
        except FileNotFoundError:
            continue
        except DamagedError as error:
            damaged.append(str(error))
        else:
            return arrays, f"{damaged[0]}; the checkpoint before it is used" if damaged else None
    return {}, f"{'; '.join(damaged)}; what was not finished begins anew" if damaged else None


def is_row(name: str) -> bool:
    """Whether an array of a checkpoint is a column of its rows."""
    return name.startswith("rows/")


def tells_update(name: str) -> bool:
    """Whether an array of a checkpoint is one that `reached` needs."""
    return name.endswith(("/seeds", "/update")) and not is_row(name)


def rows_so_far(arrays: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The rows in a checkpoint, with a column `diverged`."""
    return pd.DataFrame({name.removeprefix("rows/"): array for name, array in arrays.items() if is_row(name)})


def reached(arrays: Mapping[str, np.ndarray]) -> dict[int, int]:
    """The update that each seed in a checkpoint can go on from."""
    parts = [name.removesuffix("/seeds") for name in arrays if name.endswith("/seeds")]
    return {seed: int(arrays[f"{part}/update"]) for part in parts for seed in arrays[f"{part}/seeds"].tolist()}


def _named(content: bytes) -> str:
    try:
        who: dict[str, Any] = json.loads(content)
        return f"process {who['process']} on {who['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
