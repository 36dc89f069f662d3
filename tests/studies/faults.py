"""What tests of faults share: components that tell who is being trained, and a look at all of a study's files."""

import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from pglab.results import IncompleteStudy, load, load_evaluation
from pglab.store.sealed import unseal, unseal_text

RESULTS = ("updates.parquet", "evaluation.parquet", "policies.npz", "states.bin")

WATCHED = """
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pglab.algorithms.weightings import GeneralizedAdvantage


@dataclass(frozen=True)
class Watched:
    '''Advantages; a batch's first state, another one for each seed and update, says whose turn it is.'''

    name: str
    lam: float
    baseline: Any
    bias = "a critic is fitted"

    def __call__(self, batch):
        firsts = batch.obs[..., 0, 0, :].reshape(-1, batch.obs.shape[-1])
        turns = [f"{self.name} {first.numpy().tobytes().hex()}" for first in firsts]
        with open("calls", "a") as calls:
            calls.write("".join(f"{turn}\\n" for turn in turns))
        faults = Path("faults")
        for fault in faults.read_text().splitlines() if faults.exists() else []:
            kind, _, turn = fault.partition(" ")
            if turn in turns:
                if kind == "ends":
                    os._exit(3)
                raise RuntimeError(f"cannot weigh {turn}")
        return GeneralizedAdvantage(1.0, self.lam, self.baseline)(batch)
"""

# A critic and an optimizer with momentum, and batches that end by their steps.
GRID = (
    "--config-dir=conf",
    "-m",
    "weighting=first,second",
    "baseline=value",
    "baseline.fit_steps=2",
    "env.horizon=30",
    "batch.steps=60",
    "optimizer=sgd",
    "+optimizer.momentum=0.9",
    "evaluation.episodes=4",
    "logger.mode=disabled",
    "workers=2",
    "study=s",
)


def put_watched(folder: Path) -> Path:
    """Puts the weightings `first` and `second` into a new folder, to be the working directory of commands."""
    (folder / "conf" / "weighting").mkdir(parents=True)
    (folder / "watched.py").write_text(WATCHED)
    for name, lam in (("first", 1.0), ("second", 0.9)):
        lines = ("_target_: watched.Watched", f"name: {name}", f"lam: {lam}", "baseline: ${baseline}")
        (folder / "conf" / "weighting" / f"{name}.yaml").write_text("\n".join(lines))
    return folder


def calls(folder: Path) -> list[tuple[str, str]]:
    """Whose turn it has been so far: weighting and first state."""
    log = folder / "calls"
    return [tuple(line.split(" ")) for line in log.read_text().splitlines()] if log.exists() else []


def results(study: Path) -> dict[str, bytes]:
    """The files that hold a study's results, by their path there."""
    return {str(p.relative_to(study)): p.read_bytes() for p in sorted(study.rglob("*")) if p.name in RESULTS}


def abouts(study: Path) -> Iterator[tuple[Path, dict]]:
    """Of every arm its folder and what its `arm.json` says."""
    for path in sorted(study.glob("*/arm.json")):
        yield path.parent, unseal_text(path)


def finished(study: Path) -> set[tuple[str, int]]:
    """Weighting and seed of the finished runs."""
    return {
        (about["identity"]["weighting"]["name"], int(seed))
        for _, about in abouts(study)
        for seed, run in about["runs"].items()
        if run["status"] == "finished"
    }


def read_everything(study: Path, updates: int) -> None:
    """Every file is whole, and what is loaded makes sense."""
    for arm, about in abouts(study):
        for path in arm.iterdir():
            if path.name.startswith("."):
                continue  # a writer was killed; nobody reads these
            if path.suffix == ".bin":
                unseal(path)
            elif path.suffix == ".parquet":
                pd.read_parquet(path)
            elif path.suffix == ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    assert all(arrays[name].size for name in arrays.files)
            else:
                assert path.suffix in (".json", ".yaml", "")
        assert about["runs"]
    if not list(abouts(study)):
        return
    with warnings.catch_warnings(action="ignore", category=IncompleteStudy):
        rows, evaluation = load(study), load_evaluation(study)
    for (_, _), run in rows.groupby(["arm", "seed"]):
        assert run["update"].tolist() == list(range(1, len(run) + 1))
    ended = rows[rows["status"] == "finished"].groupby(["arm", "seed"])["update"].last()
    assert len(ended) == len(finished(study))
    assert (ended == updates).all()
    assert len(evaluation) >= 4 * len(ended)


def workers_of(process: int) -> list[int]:
    """The processes that a command has started."""
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def being_written(study: Path) -> bool:
    """Whether some file of an arm is just being written."""
    try:
        return any(name.startswith(".") for arm in os.listdir(study) for name in os.listdir(study / arm))
    except OSError:
        return False


def edit_about(arm: Path, edit: Callable[[dict], object]) -> None:
    """Changes `arm.json` as a person would, without its checksum."""
    about = json.loads((arm / "arm.json").read_text())
    about.pop("checksum", None)
    edit(about)
    (arm / "arm.json").write_text(json.dumps(about))
