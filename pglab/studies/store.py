"""Where a study's results live: one folder an arm, every file written whole or not at all.

STUDY/ARM/arm.json            seeds with their status, settings, versions: what counts is here
          config.yaml         the resolved configuration
          updates.parquet     a row for each (seed, update)
          evaluation.parquet  a row for each (seed, episode)
          policies.npz        final policy parameters, `seed/name`
"""

import contextlib
import fcntl
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import yaml

from pglab.errors import InputError
from pglab.studies.run import ArmConfig

FORMAT = 1


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

    def finished(self, arm: ArmConfig) -> set[int]:
        """Seeds whose training is on disk, to the last update.

        Raises:
            InputError: what is there came of another configuration, or goes further.
        """
        there = _read_json(self.folder / arm.name / "arm.json")
        if there is None:
            return set()
        changed = difference(there["identity"], json.loads(json.dumps(arm.identity)))
        if changed:
            key, old, new = changed
            raise InputError(
                f"{self.folder / arm.name} holds runs of another configuration: {key} is {old} there and {new} "
                "here; give this command its own study=NAME, or move that folder away"
            )
        updates = arm.settings["updates"]
        ended = ("finished", "diverged")
        done = {int(seed): run for seed, run in there["runs"].items() if run["status"] in ended}
        longer = [seed for seed, run in done.items() if run["asked"] > updates]
        if longer:
            raise InputError(
                f"{self.folder / arm.name} holds seed {longer[0]} with {done[longer[0]]['asked']} updates, "
                f"more than updates={updates}; ask for as many, or give this command its own study=NAME"
            )
        return {seed for seed, run in done.items() if run["asked"] == updates}

    def add(
        self,
        arm: ArmConfig,
        runs: dict[int, dict[str, Any]],
        updates: pd.DataFrame,
        evaluation: pd.DataFrame | None,
        policies: dict[int, dict[str, np.ndarray]],
    ) -> None:
        """Adds runs of an arm, in place of earlier ones of the same seeds.

        `arm.json` is written last: a run counts once everything else of it is on disk.
        """
        folder = self.folder / arm.name
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            there = _read_json(folder / "arm.json") or {"runs": {}}
            kept = {int(seed): run for seed, run in there["runs"].items() if int(seed) not in runs}
            _replace(folder / "config.yaml", lambda f: f.write(yaml.safe_dump(dict(arm.settings)).encode()))
            for name, added in (("updates", updates), ("evaluation", evaluation)):
                frame = _merge(folder / f"{name}.parquet", added, set(kept))
                _replace(folder / f"{name}.parquet", lambda f, frame=frame: frame.to_parquet(f, index=False))
            arrays = {f"{seed}/{name}": array for seed, named in policies.items() for name, array in named.items()}
            arrays |= _load_policies(folder / "policies.npz", set(kept))
            arrays = dict(sorted(arrays.items(), key=lambda item: int(item[0].partition("/")[0])))
            _replace(folder / "policies.npz", lambda f: np.savez(f, allow_pickle=False, **arrays))
            merged = {str(seed): run for seed, run in sorted((kept | runs).items())}
            about = {
                "format": FORMAT,
                "arm": arm.name,
                "choices": dict(arm.composed.choices),
                "given": dict(arm.composed.given),
                "identity": arm.identity,
                "overrides": list(arm.composed.overrides),
                "versions": versions(),
                "runs": merged,
            }
            _replace(folder / "arm.json", lambda f: f.write(json.dumps(about, indent=1).encode()))


def versions() -> dict[str, str]:
    """What computed the numbers."""
    packages = ("pglab", "torch", "numpy", "gymnasium", "hydra-core", "pandas")
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.platform()}
    return machine | {name: version(name) for name in packages}


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds a folder against other processes; a dead process holds nothing."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Writes beside the file, flushes to disk, then takes its place in one step."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _merge(path: Path, added: pd.DataFrame | None, kept: set[int]) -> pd.DataFrame:
    """The kept seeds' rows of a file and the added ones, by seed."""
    frames = [] if added is None else [added]
    if kept and path.exists():
        there = pd.read_parquet(path)
        frames.append(there[there["seed"].isin(kept)])
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return pd.DataFrame({"seed": []}, dtype=np.int64)
    return pd.concat(frames).sort_values("seed", kind="stable", ignore_index=True)


def _load_policies(path: Path, kept: set[int]) -> dict[str, np.ndarray]:
    if not kept or not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if int(name.partition("/")[0]) in kept}


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


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
