"""The unfinished runs of an arm while they train: what they have shown, and what they can go on from."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pglab.store.checkpoints import read_checkpoint, store_checkpoint
from pglab.store.encoding import NO_ROWS
from pglab.store.states import Saved, join
from pglab.store.writer import ArmWriter


class Ongoing:
    """Begins with what is on disk, also of runs that nobody asks for now.

    Args:
        files: of the arm; its lock is held.
        starts: the update that each run is to go on from, by seed.
        finished: which of these runs are finished with fewer updates than now asked for.
    """

    def __init__(self, files: ArmWriter, starts: dict[int, int], finished: set[int]) -> None:
        self._files = files
        unfinished, rows, _ = read_checkpoint(files.folder)
        states, ended_rows = files.finished(finished)
        record = files.files.record()
        ended = {seed: run.updates for seed, run in record.runs.items() if run.ended} if record else {}
        self._saved: dict[int, Saved] = {}
        for part in [*states, *unfinished]:
            # Of a run that nobody asks for now, a checkpoint may have outlived its end.
            goes_on = {
                seed: starts.get(seed, part.update if part.update > ended.get(seed, 0) else 0) for seed in part.seeds
            }
            self._saved |= {seed: part for seed, update in goes_on.items() if update == part.update}
        from_checkpoint = {seed for part in unfinished for seed in part.seeds if self._saved.get(seed) is part}
        rows = rows[rows["seed"].isin(from_checkpoint)]
        ended_rows = ended_rows[~ended_rows["seed"].isin(from_checkpoint)]
        frames = [frame for frame in (rows, ended_rows) if len(frame)] or [NO_ROWS]
        self._rows, self._new = pd.concat(frames, ignore_index=True), list[dict[str, np.ndarray]]()
        # The rows of a finished run can be further than its state: a kill came between the two.
        self.rewind(set(self._rows["seed"]))

    def slices(self, seeds: Iterable[int]) -> list[Saved]:
        """The stored states that these runs go on from, with as few parts as there can be."""
        seeds = list(seeds)
        fresh = sorted(seed for seed in seeds if seed not in self._saved)
        parts = {id(part): part for seed, part in self._saved.items() if seed in set(seeds)}
        going_on = join(part.of(seed for seed in seeds if self._saved.get(seed) is part) for part in parts.values())
        return [*([Saved(0, fresh, {})] if fresh else []), *going_on]

    def note(self, measures: dict[str, np.ndarray]) -> None:
        """Takes down one update of some runs."""
        self._new.append(measures)

    def checkpoint(self, saved: Saved) -> None:
        """Takes down, and does not yet store, what some runs can go on from."""
        self._saved |= dict.fromkeys(saved.seeds, saved)

    def store(self) -> None:
        """Writes the checkpoint, with the rows that led to it."""
        parts = {id(part): part for part in self._saved.values()}
        current = [part.of(s for s, of in self._saved.items() if of is part) for part in parts.values()]
        rows = self.rows(self._saved)
        upto = rows["seed"].map({seed: part.update for seed, part in self._saved.items()})
        store_checkpoint(self._files.folder, current, rows[rows["update"] <= upto])

    def rows(self, seeds: Iterable[int]) -> pd.DataFrame:
        """The rows so far of some runs, by seed and update."""
        frame = self._all_rows()
        return frame[frame["seed"].isin(list(seeds))].sort_values(["seed", "update"], ignore_index=True)

    def rewind(self, seeds: Iterable[int]) -> None:
        """Forgets what these runs have shown since what they can go on from."""
        frame, upto = self._all_rows(), {seed: self._update(seed) for seed in seeds}
        self._rows = frame[frame["update"] <= frame["seed"].map(upto).fillna(np.inf)]

    def drop(self, seeds: Iterable[int]) -> None:
        """Forgets runs that are stored, and their checkpoint with them."""
        gone, frame = set(seeds), self._all_rows()
        self._saved = {seed: part for seed, part in self._saved.items() if seed not in gone}
        self._rows = frame[~frame["seed"].isin(gone)]
        self.store()

    def _all_rows(self) -> pd.DataFrame:
        if self._new:
            fresh = pd.DataFrame({name: np.concatenate([m[name] for m in self._new]) for name in self._new[0]})
            self._rows = pd.concat([self._rows, fresh], ignore_index=True) if len(self._rows) else fresh
            self._new.clear()
        return self._rows

    def _update(self, seed: int) -> int:
        return self._saved[seed].update if seed in self._saved else 0
