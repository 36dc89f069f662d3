"""An arm's files, checked, also while a process trains the arm: the one reader of a study."""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet

from pglab.errors import DamagedError
from pglab.store.checkpoints import CHECKPOINTS, last_checkpoint
from pglab.store.encoding import decode, is_row, rows_so_far
from pglab.store.files import read
from pglab.store.lock import holder
from pglab.store.records import ArmRecord, RunRecord, parse
from pglab.store.sealed import unpack, unseal
from pglab.store.states import Saved

ABOUT, UPDATES, EVALUATION, POLICIES, STATES = (
    "arm.json", "updates.parquet", "evaluation.parquet", "policies.npz", "states.bin",
)  # fmt: skip
RESULTS = (UPDATES, EVALUATION, POLICIES)
ATTEMPTS = 10  # to read an arm between two changes of it
ROOMY = 2**30  # bytes that a table may take whatever its file's size
DENSEST = 1000  # times its file's size that a larger table may take

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class ArmFolder:
    """The folder of one arm, to be read.

    Every method raises DamagedError where a file is not what was written; those that take a `record`
    hold the file against the checksums in it.
    """

    path: Path

    @property
    def study(self) -> str:
        """The study's name."""
        return self.path.parent.name

    def record_if_whole(self) -> ArmRecord | None:
        """The record; None also where it is damaged, for one who need not tell of that."""
        try:
            return self.record()
        except DamagedError:
            return None

    def record(self) -> ArmRecord | None:
        """The content of `arm.json`; None where nothing was begun.

        Raises:
            DamagedError: it is damaged, or gone from beside the arm's other files.
        """
        try:
            return parse(self.path / ABOUT)
        except (FileNotFoundError, NotADirectoryError):
            if self.has_results():
                raise DamagedError(
                    f"{self.path / ABOUT} is gone: put back a copy of it, or move {self.path} away to train anew"
                ) from None
            return None

    def has_results(self) -> bool:
        """There are files that an arm leaves, whatever they are worth."""
        return any((self.path / name).exists() for name in (*RESULTS, *CHECKPOINTS, STATES))

    def table(self, name: str, record: ArmRecord) -> pd.DataFrame | None:
        """Rows of `updates.parquet` or `evaluation.parquet`; None where no run has ended yet."""
        content = self._content(name, record)
        if content is None:
            return None
        try:
            file = parquet.ParquetFile(io.BytesIO(content))
            columns, rows = file.metadata.num_columns, file.metadata.num_rows
            if rows * columns * 8 > max(ROOMY, DENSEST * len(content)):
                raise ValueError(f"{len(content):,} bytes claim to be {rows:,} rows of {columns} columns")
            for column in file.schema_arrow:
                if not pa.types.is_primitive(column.type):
                    raise ValueError(f"column {column.name} holds {column.type}, and a table of ours only numbers")
            return file.read().to_pandas()
        except (pa.ArrowException, ValueError, OSError, MemoryError) as error:
            raise DamagedError(f"{self.path / name} is damaged ({error}); {self._remedy}") from error

    def policies(self, record: ArmRecord) -> dict[int, dict[str, np.ndarray]]:
        """Final policy parameters, by seed and name."""
        content = self._content(POLICIES, record)
        found: dict[int, dict[str, np.ndarray]] = {}
        if content is not None:
            for key, array in unpack(content, self.path / POLICIES).items():
                seed, _, name = key.partition("/")
                if not seed.isdecimal():
                    raise DamagedError(f"{self.path / POLICIES} is damaged: {key} begins with no seed")
                found.setdefault(int(seed), {})[name] = array
        return found

    def states(self) -> list[Saved]:
        """The states that finished runs can go on from."""
        try:
            return decode(unseal(self.path / STATES))[0]
        except FileNotFoundError:
            return []
        except DamagedError as error:
            raise DamagedError(
                f"{error}; put back a copy of it, or delete it (more updates of the arm's finished runs then "
                "begin anew)"
            ) from error

    def checked(self, record: ArmRecord) -> ArmRecord:
        """Holds all files against the record, and returns it, or the newer one where a process changes them."""

        def check(current: ArmRecord) -> ArmRecord:
            self.check_results(current)
            self.states()
            return current

        try:
            return check(record)
        except DamagedError:
            return self.steadily(check)

    def check_results(self, record: ArmRecord) -> None:
        """Holds tables and policies against their checksums."""
        for name in RESULTS:
            self._content(name, record)

    def steadily(self, see: Callable[[ArmRecord], Seen]) -> Seen:
        """Returns what `see` makes of the record, seen anew when a process changes the arm meanwhile."""
        where = self.path / ABOUT
        for _ in range(ATTEMPTS - 1):
            text = read(where)
            try:
                seen = see(parse(where, text))
            except DamagedError:
                if read(where) == text:
                    raise
                continue
            if read(where) == text:
                return seen
        return see(parse(where))

    def seen(self, name: str) -> tuple[ArmRecord, pd.DataFrame]:
        """The record as it stands now, and the rows of its runs in a table.

        Of a run that has not ended the rows of its last checkpoint stand in where these are more, and it
        is `running` only while a process trains the arm, else `stopped`; its `updates` are those it has
        rows of.

        Args:
            name: `updates.parquet` or `evaluation.parquet`.
        """
        return self.steadily(lambda record: self._seen(record, name))

    def _seen(self, record: ArmRecord, name: str) -> tuple[ArmRecord, pd.DataFrame]:
        rows = self._rows(name, record)
        unfinished = {seed: run for seed, run in record.runs.items() if not run.ended}
        if unfinished:
            stored = rows if name == UPDATES else self._rows(UPDATES, record)
            updates, taken = self._with_checkpoint(stored, unfinished)
            record = record.with_runs(_as_now(unfinished, updates, taken, self.held))
            rows = updates if name == UPDATES else rows
        return record, rows[rows["seed"].isin(list(record.runs))]

    @property
    def held(self) -> bool:
        """A process trains the arm now."""
        return holder(self.path) is not None

    def _rows(self, name: str, record: ArmRecord) -> pd.DataFrame:
        table = self.table(name, record)
        if table is None:
            return pd.DataFrame({"seed": pd.Series(dtype="int64")})
        if "seed" not in table:
            raise DamagedError(f"{self.path / name} is damaged: it has no column seed; {self._remedy}")
        return table

    def _with_checkpoint(
        self, stored: pd.DataFrame, unfinished: Mapping[int, RunRecord]
    ) -> tuple[pd.DataFrame, set[int]]:
        """The stored rows, in their place those in the checkpoint of runs of which it has more; and these runs."""
        so_far = rows_so_far(last_checkpoint(self.path, is_row)[0])
        if so_far.empty:
            return stored, set()
        so_far = so_far[so_far["seed"].isin(list(unfinished))].drop(columns="diverged")
        there, further = stored["seed"].value_counts(), so_far["seed"].value_counts()
        taken = {int(seed) for seed in further.index if further[seed] > there.get(seed, 0)}
        if not taken:
            return stored, taken
        kept, added = stored[~stored["seed"].isin(taken)], so_far[so_far["seed"].isin(taken)]
        rows = pd.concat([kept, added]) if len(kept) else added
        return rows.sort_values(["seed", "update"], ignore_index=True), taken

    def _content(self, name: str, record: ArmRecord) -> bytes | None:
        """A file as it was written, None where no run has ended yet.

        Without checksums, as an earlier version left it, it is taken as it is.
        """
        path = self.path / name
        known = record.files
        if known is not None and name not in known:
            return None
        try:
            content = read(path)
        except FileNotFoundError:
            if known is None or None in known[name]:
                return None
            raise DamagedError(f"{path} is gone; {self._remedy}") from None
        if known is not None and hashlib.sha256(content).hexdigest() not in known[name]:
            raise DamagedError(f"{path} is damaged: its content is not what its checksum says; {self._remedy}")
        return content

    @property
    def _remedy(self) -> str:
        return f"put back a copy of it, or move {self.path} away and give the command again to train the arm anew"


def _as_now(
    unfinished: Mapping[int, RunRecord], updates: pd.DataFrame, taken: set[int], held: bool
) -> dict[int, RunRecord]:
    """Runs that have not ended as they stand now."""
    rows = updates["seed"].value_counts()
    found = {}
    for seed, run in unfinished.items():
        if run.status == "running":
            found[seed] = replace(run, status="running" if held else "stopped", updates=int(rows.get(seed, 0)))
        elif seed in taken:
            found[seed] = replace(run, updates=int(rows.get(seed, 0)))
    return found
