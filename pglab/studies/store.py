"""Where a study's results live: one folder an arm, every file written whole or not at all.

STUDY/ARM/arm.json                   seeds with their status, settings, provenance: what counts is here
          config.yaml                the resolved configuration
          updates.parquet            a row for each (seed, update) of the runs that have ended
          evaluation.parquet         a row for each (seed, episode)
          policies.npz               final policy parameters, `seed/name`
          states.bin                 what a run with more updates goes on from (see `pglab.sealed`)
          checkpoint.bin             the same of unfinished runs, and their rows so far
          checkpoint.previous.bin    the one before
          lock                       held by the process that trains the arm
"""

import contextlib
import hashlib
import io
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pglab.errors import InputError
from pglab.sealed import DamagedError, seal, unseal
from pglab.studies.run import ArmConfig
from pglab.studies.saved import Saved, decode, encode
from pglab.unfinished import CHECKPOINTS, last_checkpoint

FORMAT = 2
ENDED = ("finished", "diverged")
CHECKSUMMED = ("updates.parquet", "evaluation.parquet", "policies.npz")
NO_ROWS = pd.DataFrame({"seed": np.arange(0), "update": np.arange(0), "diverged": np.arange(0) == 1})


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

    def about(self) -> dict[str, Any] | None:
        """What `arm.json` says; None where there is none.

        Raises:
            InputError: it is no JSON.
        """
        path = self.folder / "arm.json"
        try:
            return json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path} is damaged ({error}); put back a copy of it, or move {self.folder} away to train the arm anew"
            ) from error

    def begin(self, seeds: Iterable[int], provenance: Mapping[str, str], anew: bool) -> None:
        """Writes down which runs are going to be trained, before the first is.

        Args:
            anew: takes away what was there of the arm.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():  # a dot begins what a process left that was killed while writing
            if path.name.startswith(".") or (anew and path.name != "lock"):
                path.unlink()
        about = self.about() or {"runs": {}, "files": {}, "provenance": []}
        if about["provenance"][-1:] != [provenance]:
            about["provenance"].append(dict(provenance))
        asked = self._arm.settings["updates"]
        for seed in seeds:
            if about["runs"].get(str(seed), {}).get("status") not in ENDED:
                about["runs"][str(seed)] = {"status": "running", "updates": 0, "asked": asked}
        write(self.folder / "config.yaml", yaml.safe_dump(dict(self._arm.settings)).encode())
        self._write_about(about)

    def add(self, ended: Ended) -> None:
        """Adds runs, in place of earlier ones of the same seeds.

        A file counts once its checksum is in `arm.json`, which first names both the present and the
        coming one: at no moment is there a file that it does not know.

        Raises:
            InputError: a file that is there is damaged.
        """
        about = self.about() or {"runs": {}, "files": {}, "provenance": []}
        added = set(ended.runs)
        kept = {int(seed) for seed in about["runs"]} - added
        contents = {
            "updates.parquet": _parquet(self._merged("updates.parquet", ended.updates, kept, about)),
            "evaluation.parquet": _parquet(self._merged("evaluation.parquet", ended.evaluation, kept, about)),
            "policies.npz": self._policies(ended.policies, kept, about),
        }
        coming = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        present = {name: sums[-1:] for name, sums in about["files"].items()}
        about["files"] = {name: [*present.get(name, []), coming[name]] for name in contents}
        self._write_about(about)
        for name, content in contents.items():
            write(self.folder / name, content)
        finished = {int(seed) for seed, run in about["runs"].items() if run["status"] == "finished"}
        states = [part.of(finished & kept) for part in self._states()]
        write(self.folder / "states.bin", seal(encode([*states, *ended.saved])))
        about["files"] = {name: [digest] for name, digest in coming.items()}
        about["steps_per_second"] = ended.steps_per_second or about.get("steps_per_second", 0.0)
        made_by = len(about["provenance"]) - 1
        about["runs"] |= {str(seed): {**run, "provenance": made_by} for seed, run in ended.runs.items()}
        about["runs"] = dict(sorted(about["runs"].items(), key=lambda item: int(item[0])))
        self._write_about(about)

    def checkpoint(self, saved: list[Saved], rows: pd.DataFrame) -> None:
        """Stores what unfinished runs can go on from; nothing left takes the files away."""
        path, previous = (self.folder / name for name in CHECKPOINTS)
        if not any(part.seeds for part in saved):
            path.unlink(missing_ok=True)
            previous.unlink(missing_ok=True)
            return
        content = seal(encode(saved, rows))
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, previous)
        write(path, content)

    def unfinished(self) -> tuple[list[Saved], pd.DataFrame, str | None]:
        """The last checkpoint that is whole, with its rows; and what is to be said of one that is not."""
        arrays, trouble = last_checkpoint(self.folder)
        return (*decode(arrays), trouble) if arrays else ([], NO_ROWS, trouble)

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
                f"{error}; delete it (more updates of the arm's finished runs then start from scratch)"
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
        expected = about["files"].get(name)
        if expected is None:
            return None
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            content = None
        if content is None or hashlib.sha256(content).hexdigest() not in expected:
            raise InputError(
                f"{self.folder / name} is {'gone' if content is None else 'damaged'}: put back a copy of it, or give "
                "on_mismatch=rerun to train the arm anew"
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
        changing = {key: about[key] for key in ("provenance", "steps_per_second", "files", "runs") if key in about}
        write(self.folder / "arm.json", json.dumps(described | changing, indent=1).encode())


def versions() -> dict[str, str]:
    """What computed the numbers."""
    packages = ("pglab", "torch", "numpy", "gymnasium", "hydra-core", "pandas")
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.platform()}
    return machine | {name: version(name) for name in packages}


def write(path: Path, content: bytes) -> None:
    """Writes beside the file, flushes to disk, then takes its place in one step."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the new name, too, outlasts a power cut
    finally:
        os.close(descriptor)


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def difference(there: Any, here: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """The first dotted key that differs, and its two values."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in sorted(there.keys() | here.keys()):
            dotted = f"{key}.{name}" if key else name
            found = difference(there.get(name, "absent"), here.get(name, "absent"), dotted)
            if found:
                return found
        return None
    return None if there == here else (key, there, here)
