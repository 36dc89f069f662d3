"""The checkpoints of an arm: the last one and the one before it, each with the rows that led to it."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pglab.errors import DamagedError
from pglab.store.atomic import write
from pglab.store.encoding import NO_ROWS, decode, encode
from pglab.store.sealed import seal, unseal
from pglab.store.states import Saved

CHECKPOINTS = ("checkpoint.bin", "checkpoint.previous.bin")  # the newer one first


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


def read_checkpoint(folder: Path) -> tuple[list[Saved], pd.DataFrame, str | None]:
    """The last checkpoint that is whole, with its rows; and what is to be said of one that is not."""
    arrays, trouble = last_checkpoint(folder)
    return (*decode(arrays), trouble) if arrays else ([], NO_ROWS, trouble)


def store_checkpoint(folder: Path, saved: list[Saved], rows: pd.DataFrame) -> None:
    """Stores what unfinished runs can go on from; nothing left takes the files away. The arm's lock is held."""
    last, previous = (folder / name for name in CHECKPOINTS)
    if not any(part.seeds for part in saved):
        last.unlink(missing_ok=True)
        previous.unlink(missing_ok=True)
        return
    content = seal(encode(saved, rows))
    with contextlib.suppress(FileNotFoundError):
        os.replace(last, previous)
    write(last, content)


def remove_damaged_checkpoint(folder: Path) -> None:
    """Takes away a damaged last one, which the next would put in the place of the whole one before it."""
    last = folder / CHECKPOINTS[0]
    try:
        unseal(last)
    except FileNotFoundError:
        return
    except DamagedError:
        last.unlink()
