"""The one writer of an arm's folder: every file whole or not at all, known to `arm.json` before it changes."""

import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pglab.errors import InputError
from pglab.store.atomic import remove_left_over, write
from pglab.store.checkpoints import CHECKPOINTS, remove_damaged_checkpoint
from pglab.store.encoding import NO_ROWS, encode
from pglab.store.films import FOLDER, film_file
from pglab.store.reader import ABOUT, EVALUATION, POLICIES, RESULTS, STATES, UPDATES, ArmFolder
from pglab.store.records import ArmRecord, Reference, RunRecord, TwinRecord
from pglab.store.sealed import pack, seal
from pglab.store.states import Saved

FILES = (*CHECKPOINTS, *RESULTS, STATES, "config.yaml", ABOUT)  # `arm.json` is the last to go


@dataclass(frozen=True)
class Ended:
    """Runs of an arm that have come to an end of some kind, to be stored.

    Attributes:
        runs: by seed; who computed them is added when they are stored.
        updates: rows of the runs, by seed and update.
        evaluation: rows of the runs, or None.
        policies: of each seed the named parameters.
        saved: of the runs that can go on when more updates are asked for.
        steps_per_second: of the whole command while it trained them.
    """

    runs: Mapping[int, RunRecord]
    updates: pd.DataFrame
    evaluation: pd.DataFrame | None = None
    policies: Mapping[int, Mapping[str, np.ndarray]] = field(default_factory=dict)
    saved: list[Saved] = field(default_factory=list)
    steps_per_second: float = 0.0


def prepare(study: Path) -> None:
    """Makes a study's folder.

    Raises:
        InputError: it cannot be written to.
    """
    try:
        study.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=study).close()
    except OSError as error:
        raise InputError(f"cannot write to {study} ({error.strerror}); choose another results_dir=PATH") from error


class ArmWriter:
    """Writes one arm's folder. Only one process at a time does: the one that holds its lock.

    Args:
        described: the arm as it is asked for now, with nothing of what is stored.
        settings: its resolved configuration.
    """

    def __init__(self, study: Path, described: ArmRecord, settings: Mapping[str, Any]) -> None:
        self.files = ArmFolder(study / described.arm)
        self._described, self._settings = described, settings

    @property
    def folder(self) -> Path:
        return self.files.path

    @property
    def described(self) -> ArmRecord:
        """The arm as it is asked for now."""
        return self._described

    def begin(
        self,
        starts: Mapping[int, int],
        provenance: Mapping[str, str],
        anew: bool,
        command: str = "",
        place: tuple[str, int] = ("", 0),
    ) -> None:
        """Writes down which runs are going to be trained, before the first is.

        Args:
            starts: by seed the update that a run is to go on from.
            provenance: what computes them.
            anew: takes away what was there of the arm.
            command: that asks for them.
            place: when that began, and which of its arms this is; the first one asked for stays the arm's.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            remove_left_over(self.folder / name)
            if anew:
                (self.folder / name).unlink(missing_ok=True)
        films = self.folder / FOLDER
        if anew and films.exists():
            shutil.rmtree(films)
        for left_over in films.glob(".*"):
            left_over.unlink()
        remove_damaged_checkpoint(self.folder)
        known = self.files.record()
        record = self._current(known)
        if known is None:
            record = replace(record, place=place)
        made = record.provenance if dict(provenance) in record.provenance[-1:] else (*record.provenance, provenance)
        record = replace(record, commands=tuple(dict.fromkeys([*record.commands, command])), provenance=made)
        begun = {}
        for seed, start in starts.items():
            before = record.runs.get(seed)
            if before is None or not before.ended:
                earlier = before.provenance if before and start else ()
                ways = tuple(sorted({*earlier, len(made) - 1}))
                begun[seed] = RunRecord("running", 0, self._settings["updates"], provenance=ways)
        write(self.folder / "config.yaml", yaml.safe_dump(dict(self._settings)).encode())
        self._write(record.with_runs(begun))

    def add(self, ended: Ended) -> None:
        """Adds runs, in place of earlier ones of the same seeds.

        A file counts once its checksum is in `arm.json`, which names every one that may be there
        before the first file changes (None: no file): at no moment is there one that it does not know.

        Raises:
            DamagedError: a file that is there is damaged.
        """
        record = self._current(self.files.record())
        kept = set(record.runs) - set(ended.runs)
        finished = {seed for seed, run in record.runs.items() if run.status == "finished"}
        states = [part.of(finished & kept) for part in self.files.states()]
        contents = {
            UPDATES: _parquet(self._merged(UPDATES, ended.updates, kept, record)),
            EVALUATION: _parquet(self._merged(EVALUATION, ended.evaluation, kept, record)),
            POLICIES: self._policies(ended.policies, kept, record),
        }
        coming = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        present = {name: (record.files or {}).get(name, (None,)) for name in contents}
        either = {name: tuple(dict.fromkeys([*present[name], coming[name]])) for name in contents}
        self._write(replace(record, files=either))
        for name, content in contents.items():
            write(self.folder / name, content)
        write(self.folder / STATES, seal(encode([*states, *ended.saved])))
        way = len(record.provenance) - 1
        runs = {
            seed: replace(run, provenance=tuple(sorted({*_ways(record, seed), way})))
            for seed, run in ended.runs.items()
        }
        speed = ended.steps_per_second or record.steps_per_second
        files = {name: (digest,) for name, digest in coming.items()}
        self._write(replace(record.with_runs(runs), files=files, steps_per_second=speed))

    def keep_film(self, seed: int, update: int, content: bytes) -> Path:
        """Adds a film of a run's policy as it was after an update; returns its file.

        Raises:
            OSError: it cannot be written.
        """
        (self.folder / FOLDER).mkdir(exist_ok=True)
        write(file := film_file(self.folder, seed, update), content)
        return file

    def refer(self, reference: Reference) -> None:
        """Adds what scores on the arm's problem are normalised by."""
        if record := self.files.record():
            self._write(replace(record, reference=reference))

    def add_twins(self, twins: Iterable[TwinRecord]) -> None:
        """Adds arms whose program this is."""
        if record := self.files.record():
            known = {twin.asked: twin for twin in (*record.twins, *twins)}
            self._write(replace(record, twins=tuple(known.values())))

    def finished(self, seeds: set[int]) -> tuple[list[Saved], pd.DataFrame]:
        """The states of runs that are finished, and their rows with a column `diverged`, all false."""
        record = self.files.record()
        if record is None or not seeds:
            return [], NO_ROWS
        rows = self.files.table(UPDATES, record)
        states = [part.of(set(part.seeds) & seeds) for part in self.files.states()]
        return states, NO_ROWS if rows is None else rows[rows["seed"].isin(seeds)].assign(diverged=False)

    def _current(self, known: ArmRecord | None) -> ArmRecord:
        """The arm as it is asked for now, with what is stored of it."""
        if known is None:
            return self._described
        asked = self._described
        return replace(
            known, arm=asked.arm, choices=asked.choices, given=asked.given, identity=asked.identity,
            overrides=asked.overrides, versions=asked.versions,
        )  # fmt: skip

    def _merged(self, name: str, added: pd.DataFrame | None, kept: set[int], record: ArmRecord) -> pd.DataFrame:
        """The kept seeds' rows of a file and the added ones, by seed."""
        frames = [] if added is None else [added]
        there = self.files.table(name, record) if kept else None
        if there is not None:
            frames.append(there[there["seed"].isin(kept)])
        frames = [frame for frame in frames if len(frame)]
        if not frames:
            return pd.DataFrame({"seed": []}, dtype=np.int64)
        return pd.concat(frames).sort_values("seed", kind="stable", ignore_index=True)

    def _policies(self, added: Mapping[int, Mapping[str, np.ndarray]], kept: set[int], record: ArmRecord) -> bytes:
        there = self.files.policies(record) if kept else {}
        policies = {seed: named for seed, named in there.items() if seed in kept} | dict(added)
        return pack({f"{seed}/{name}": policies[seed][name] for seed in sorted(policies) for name in policies[seed]})

    def _write(self, record: ArmRecord) -> None:
        write(self.folder / ABOUT, record.sealed())


def _ways(record: ArmRecord, seed: int) -> tuple[int, ...]:
    return record.runs[seed].provenance if seed in record.runs else ()


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
