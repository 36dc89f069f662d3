"""The runs of a study as W&B is to have them, read from its files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from pglab.results.arm_names import full_name, names_of
from pglab.settings import Decides, decides
from pglab.store.files import read
from pglab.store.films import FOLDER, films_of
from pglab.store.folder import studies_in
from pglab.store.reader import ABOUT, EVALUATION, UPDATES, ArmFolder
from pglab.store.records import LARGEST_SEED, ArmRecord, Status
from pglab.tracking.client import id_of

MOST = 128 - len(f",seed={LARGEST_SEED}")  # letters of an arm's name: W&B takes 128 of a group's or a run's


@dataclass(frozen=True, eq=False)
class TrackedRun:
    """One run, with all that W&B is to have of it.

    Attributes:
        study_folder: where it lies.
        record: of its arm.
        rows: for each update, in their order, without the seed.
        status: `running` while it trains.
        final_return: the mean return of its final evaluation.
        films: of its policy, by the update after which it was filmed.
    """

    study_folder: Path
    record: ArmRecord
    seed: int
    rows: pd.DataFrame
    status: Status
    final_return: float | None
    films: Mapping[int, Path]

    @property
    def id(self) -> str:
        """The same for the same study, arm and seed, so that no run is ever there twice."""
        return id_of(self.study_folder.name, self.record.arm, self.seed)

    @cached_property
    def group(self) -> str:
        """The name of its arm: every setting that it was asked for with; for want of room what differs in its study.

        Where there is no room for that either it is cut, and marked with the arm's place in the study.
        """
        name = full_name(self.record)
        if len(name) <= MOST:
            return name
        names = _names(self.study_folder, tuple(sorted(self.study_folder.glob(f"*/{ABOUT}"))))
        place = f"… (arm {list(names).index(self.record.arm) + 1})"
        name = names[self.record.arm]
        return name if len(name) <= MOST else name[: MOST - len(place)] + place

    @property
    def name(self) -> str:
        return f"{self.group},seed={self.seed}"

    @property
    def config(self) -> dict[str, Any]:
        """The settings that decide its numbers, and what `pglab.results.load_wandb` needs beside them.

        Two of them are texts: W&B keeps no order of keys, gives back 1.0 as 1, and nests at a dot.
        """
        record = self.record
        given = {
            key: value for key, value in record.given.items() if key == "updates" or Decides.NUMBERS in decides(key)
        }
        # What `arm`, the name of a folder, leaves out.
        asked = {} if full_name(record) == record.arm else {"overrides": json.dumps(record.overrides)}
        types = {str(name): column.dtype.name for name, column in self.rows.items()} if len(self.rows) else {}
        return {
            **record.identity,
            "updates": record.runs[self.seed].asked,
            "study": self.study_folder.name,
            "arm": record.arm,
            **asked,
            "seed": self.seed,
            "choices": dict(record.choices),
            "place": list(record.place),
            "given": json.dumps(given),
            "measures": json.dumps(types),
        }

    @property
    def summary(self) -> dict[str, Any]:
        """Single values, and None for what it does not have."""
        diverged_at = int(self.rows["update"].max()) if self.status == "diverged" else None
        return {"status": self.status, "diverged_at": diverged_at, "final_return": self.final_return}

    @cached_property
    def film_digests(self) -> dict[int, str]:
        """The SHA-256 of each film."""
        return {update: hashlib.sha256(read(path)).hexdigest() for update, path in self.films.items()}

    @cached_property
    def version(self) -> str:
        """A digest of all of its content: another one means that W&B has something else of it."""
        said = [self.config, self.summary, sorted(self.film_digests.items()), list(self.rows.columns)]
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
        for _, column in self.rows.items():
            digest.update(column.to_numpy().tobytes())
        return digest.hexdigest()


def runs_of(arm: ArmFolder) -> list[TrackedRun]:
    """Every run of an arm as it stands now.

    Raises:
        DamagedError: a file of the arm is not what was written; nothing of the arm is to be uploaded.
    """
    record, updates = arm.seen(UPDATES)
    _, evaluation = arm.seen(EVALUATION)
    returns = _final_returns(evaluation) if len(evaluation) else {}
    columns = updates.drop(columns="seed")
    by_seed = updates.groupby("seed").indices
    runs = []
    for seed, run in record.runs.items():
        rows = columns.iloc[by_seed.get(seed, [])]
        rows = rows.sort_values("update") if len(rows) else rows
        runs.append(
            TrackedRun(arm.path.parent, record, seed, rows, run.status, returns.get(seed), _films(arm, seed, rows))
        )
    return runs


@lru_cache(maxsize=1)
def _names(study: Path, arms: tuple[Path, ...]) -> Mapping[str, str]:
    """The names of the arms that are not damaged, in their order; read once while none comes or goes.

    Args:
        arms: the study's files that tell of one.
    """
    found = [record for arm in studies_in(study)[0].arms if (record := arm.record_if_whole())]
    return names_of(sorted(found, key=lambda record: record.order))


def _final_returns(evaluation: pd.DataFrame) -> dict[int, float]:
    means = evaluation.groupby("seed")["return"].mean()
    return dict(zip(means.index.tolist(), means.tolist(), strict=True))


def _films(arm: ArmFolder, seed: int, rows: pd.DataFrame) -> dict[int, Path]:
    """The films of updates that there are rows of."""
    if not (arm.path / FOLDER).exists():  # quicker than looking for each seed of many
        return {}
    reached = set(rows["update"]) if len(rows) else set()
    return {update: path for update, path in films_of(arm.path, seed).items() if update in reached}
