"""Where a study's results live: one folder an arm, every file written whole or not at all.

STUDY/ARM/arm.json                   seeds with their status, settings, provenance: what counts is here
          config.yaml                the resolved configuration
          updates.parquet            a row for each (seed, update) of the runs that have come to an end
          evaluation.parquet         a row for each (seed, episode)
          policies.npz               final policy parameters, `seed/name`
          states.bin                 what a run with more updates goes on from (see `pglab.sealed`)
          checkpoint.bin             the same of unfinished runs, and their rows so far
          checkpoint.previous.bin    the one before
          videos/                    films of episodes, as `seed=0,update=000050.gif`
          lock                       held by the process that trains the arm
"""

import hashlib
import io
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pglab.errors import InputError
from pglab.sealed import DamagedError, seal, seal_text, unseal, unseal_text
from pglab.studies.atomic import remove_left_over, write
from pglab.studies.checkpoints import Checkpoints
from pglab.studies.films import FOLDER, film_file
from pglab.studies.provenance import versions
from pglab.studies.run import ArmConfig
from pglab.studies.saved import NO_ROWS, Saved, decode, encode
from pglab.unfinished import CHECKPOINTS

FORMAT = 2
ENDED = ("finished", "diverged")
CHANGING = ("place", "commands", "provenance", "steps_per_second", "files", "runs")  # of arm.json
RESULTS = ("updates.parquet", "evaluation.parquet", "policies.npz")
FILES = (*CHECKPOINTS, *RESULTS, "states.bin", "config.yaml", "arm.json")  # `arm.json` is the last to go


@dataclass(frozen=True)
class Ended:
    """Runs of an arm that have come to an end of some kind, to be stored.

    Attributes:
        runs: of each seed its `status`, `updates`, `asked`, and where it failed the `error`.
        updates: rows of the runs, by seed and update.
        evaluation: rows of the runs, or None.
        policies: of each seed the named parameters.
        saved: of the runs that can go on when more updates are asked for.
        steps_per_second: of the whole command while it trained them.
    """

    runs: dict[int, dict[str, Any]]
    updates: pd.DataFrame
    evaluation: pd.DataFrame | None = None
    policies: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    saved: list[Saved] = field(default_factory=list)
    steps_per_second: float = 0.0


class Store:
    """The files of one study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Makes the folder.

        Raises:
            InputError: it cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            raise InputError(
                f"cannot write to {self.folder} ({error.strerror}); choose another results_dir=PATH"
            ) from error

    def arm(self, arm: ArmConfig) -> "ArmFiles":
        """The files of one of its arms."""
        return ArmFiles(self.folder / arm.name, arm)


class ArmFiles:
    """The files of one arm. Only one process at a time writes them: the one that holds its lock."""

    def __init__(self, folder: Path, arm: ArmConfig) -> None:
        self.folder, self._arm = folder, arm
        self.checkpoints, self._films = Checkpoints(folder), folder / FOLDER

    def about(self) -> dict[str, Any] | None:
        """What `arm.json` says; None where there is none.

        Raises:
            InputError: it is damaged, of another format, or gone from beside the arm's other files.
        """
        path = self.folder / "arm.json"
        otherwise = f"put back a copy of it, or move {self.folder} away to train the arm anew"
        try:
            about = unseal_text(path)
        except (FileNotFoundError, NotADirectoryError):
            if any((self.folder / name).exists() for name in (*RESULTS, *CHECKPOINTS, "states.bin")):
                raise InputError(f"{path} is gone: {otherwise}") from None
            return None
        except DamagedError as error:
            raise InputError(f"{error}; {otherwise}") from error
        if about.get("format") != FORMAT:
            raise InputError(f"{path} has format {about.get('format')}, not {FORMAT}: move {self.folder} away")
        return about

    def check(self, about: dict[str, Any]) -> dict[str, Any]:
        """Holds the files with results against what `about` said, or says by now: their writer may be at work.

        Returns:
            What it says by now.

        Raises:
            InputError: a file is not as it was written.
        """
        while True:
            try:
                for name in RESULTS:
                    self._read(name, about)
                self._states()
                return about
            except InputError:
                before, about = about, self.about() or about
                if about == before:
                    raise

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
            anew: takes away what was there of the arm.
            command: what asks for them.
            place: when that began, and which of its arms this is; the first one asked for stays the arm's.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            remove_left_over(self.folder / name)
            if anew:
                (self.folder / name).unlink(missing_ok=True)
        if anew and self._films.exists():
            shutil.rmtree(self._films)
        for left_over in self._films.glob(".*"):
            left_over.unlink()
        self.checkpoints.remove_damaged()
        about = self.about() or {"runs": {}, "files": {}, "provenance": []}
        about.setdefault("place", place)
        about["commands"] = list(dict.fromkeys([*about.get("commands", []), command]))
        if about["provenance"][-1:] != [provenance]:
            about["provenance"].append(dict(provenance))
        made_by = len(about["provenance"]) - 1
        for seed, start in starts.items():
            before = about["runs"].get(str(seed), {"status": "missing"})
            if before["status"] not in ENDED:
                earlier = before.get("provenance", []) if start else []
                about["runs"][str(seed)] = {
                    "status": "running",
                    "updates": 0,
                    "asked": self._arm.settings["updates"],
                    "provenance": sorted({*earlier, made_by}),
                }
        write(self.folder / "config.yaml", yaml.safe_dump(dict(self._arm.settings)).encode())
        self._write_about(about)

    def add(self, ended: Ended) -> None:
        """Adds runs, in place of earlier ones of the same seeds.

        A file counts once its checksum is in `arm.json`, which names every one that may be there
        before the first file changes (null: no file): at no moment is there one that it does not know.

        Raises:
            InputError: a file that is there is damaged.
        """
        about = self.about() or {"runs": {}, "files": {}, "provenance": []}
        added = set(ended.runs)
        kept = {int(seed) for seed in about["runs"]} - added
        finished = {int(seed) for seed, run in about["runs"].items() if run["status"] == "finished"}
        states = [part.of(finished & kept) for part in self._states()]
        contents = {
            "updates.parquet": _parquet(self._merged("updates.parquet", ended.updates, kept, about)),
            "evaluation.parquet": _parquet(self._merged("evaluation.parquet", ended.evaluation, kept, about)),
            "policies.npz": self._policies(ended.policies, kept, about),
        }
        coming = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        present = {name: about["files"].get(name, [None]) for name in contents}
        about["files"] = {name: [*dict.fromkeys([*present[name], coming[name]])] for name in contents}
        self._write_about(about)
        for name, content in contents.items():
            write(self.folder / name, content)
        write(self.folder / "states.bin", seal(encode([*states, *ended.saved])))
        about["files"] = {name: [digest] for name, digest in coming.items()}
        about["steps_per_second"] = ended.steps_per_second or about.get("steps_per_second", 0.0)
        for seed, run in ended.runs.items():
            made_by = {*about["runs"].get(str(seed), {}).get("provenance", []), len(about["provenance"]) - 1}
            about["runs"][str(seed)] = {**run, "provenance": sorted(made_by)}
        about["runs"] = dict(sorted(about["runs"].items(), key=lambda item: int(item[0])))
        self._write_about(about)

    def keep_film(self, seed: int, update: int, content: bytes) -> Path:
        """Adds a film of a run's policy as it was after an update; returns its file.

        Raises:
            OSError: it cannot be written.
        """
        self._films.mkdir(exist_ok=True)
        write(file := film_file(self.folder, seed, update), content)
        return file

    def finished(self, seeds: set[int]) -> tuple[list[Saved], pd.DataFrame]:
        """The states of runs that are finished, and their rows with a column `diverged`, all false."""
        about = self.about()
        if about is None or not seeds:
            return [], NO_ROWS
        rows = self._read_parquet("updates.parquet", about)
        states = [part.of(set(part.seeds) & seeds) for part in self._states()]
        return states, rows[rows["seed"].isin(seeds)].assign(diverged=False)

    def _states(self) -> list[Saved]:
        try:
            return decode(unseal(self.folder / "states.bin"))[0]
        except FileNotFoundError:
            return []
        except DamagedError as error:
            raise InputError(
                f"{error}; put back a copy of it, or delete it (more updates of the arm's finished runs then "
                "begin anew)"
            ) from error

    def _merged(self, name: str, added: pd.DataFrame | None, kept: set[int], about: Mapping[str, Any]) -> pd.DataFrame:
        """The kept seeds' rows of a file and the added ones, by seed."""
        frames = [] if added is None else [added]
        if kept:
            there = self._read_parquet(name, about)
            frames.append(there[there["seed"].isin(kept)])
        frames = [frame for frame in frames if len(frame)]
        if not frames:
            return pd.DataFrame({"seed": []}, dtype=np.int64)
        return pd.concat(frames).sort_values("seed", kind="stable", ignore_index=True)

    def _policies(self, added: dict[int, dict[str, np.ndarray]], kept: set[int], about: Mapping[str, Any]) -> bytes:
        arrays = {f"{seed}/{name}": array for seed, named in added.items() for name, array in named.items()}
        if kept and (content := self._read("policies.npz", about)):
            with np.load(io.BytesIO(content), allow_pickle=False) as there:
                arrays |= {name: there[name] for name in there.files if int(name.partition("/")[0]) in kept}
        arrays = dict(sorted(arrays.items(), key=lambda item: int(item[0].partition("/")[0])))
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    def _read_parquet(self, name: str, about: Mapping[str, Any]) -> pd.DataFrame:
        content = self._read(name, about)
        return pd.read_parquet(io.BytesIO(content)) if content else NO_ROWS

    def _read(self, name: str, about: Mapping[str, Any]) -> bytes | None:
        """A file's content, checked; None where no run has ended yet."""
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            content = None
        checksum = None if content is None else hashlib.sha256(content).hexdigest()
        if checksum not in about["files"].get(name, [None]):
            raise InputError(
                f"{self.folder / name} is {'gone' if content is None else 'damaged'}: put back a copy of it, or move "
                f"{self.folder} away to train the arm anew"
            )
        return content

    def _write_about(self, about: dict[str, Any]) -> None:
        described = {
            "format": FORMAT,
            "arm": self._arm.name,
            "choices": dict(self._arm.composed.choices),
            "given": dict(self._arm.composed.given),
            "identity": self._arm.identity,
            "overrides": list(self._arm.composed.overrides),
            "versions": versions(),
        }
        changing = {key: about[key] for key in CHANGING if key in about}
        write(self.folder / "arm.json", seal_text(described | changing))


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
