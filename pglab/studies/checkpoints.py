"""The checkpoints of an arm: the last one and the one before it, each with the rows that led to it."""

import contextlib
import os
from pathlib import Path

import pandas as pd

from pglab.sealed import DamagedError, seal, unseal
from pglab.studies.atomic import write
from pglab.studies.saved import NO_ROWS, Saved, decode, encode
from pglab.unfinished import CHECKPOINTS, last_checkpoint


class Checkpoints:
    """The files in an arm's folder; whoever writes them holds its lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last, self._previous = (folder / name for name in CHECKPOINTS)

    def store(self, saved: list[Saved], rows: pd.DataFrame) -> None:
        """Stores what unfinished runs can go on from; nothing left takes the files away."""
        if not any(part.seeds for part in saved):
            self._last.unlink(missing_ok=True)
            self._previous.unlink(missing_ok=True)
            return
        content = seal(encode(saved, rows))
        with contextlib.suppress(FileNotFoundError):
            os.replace(self._last, self._previous)
        write(self._last, content)

    def read(self) -> tuple[list[Saved], pd.DataFrame, str | None]:
        """The last one that is whole, with its rows; and what is to be said of one that is not."""
        arrays, trouble = last_checkpoint(self._folder)
        return (*decode(arrays), trouble) if arrays else ([], NO_ROWS, trouble)

    def remove_damaged(self) -> None:
        """Takes away a damaged last one, which the next would put in the place of the whole one before it."""
        try:
            unseal(self._last)
        except FileNotFoundError:
            return
        except DamagedError:
            self._last.unlink()
