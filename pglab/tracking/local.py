"""The runs of a study, as its files have them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pglab.errors import InputError
from pglab.results.load import find_arms
from pglab.store.films import films_of
from pglab.tracking.server import Place
from pglab.tracking.training_run import Upload
from pglab.tracking.wandb_run import Description, final_returns


@dataclass(frozen=True, eq=False)
class LocalArm:
    """One arm's folder."""

    folder: Path
    settings: dict[str, Any]

    @cached_property
    def updates(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "updates.parquet")

    @cached_property
    def final_returns(self) -> dict[int, float]:
        return final_returns(self.folder)


@dataclass(frozen=True, eq=False)
class LocalRun:
    """One run of an arm."""

    arm: LocalArm
    described: Description
    status: str

    @property
    def study_folder(self) -> Path:
        return self.arm.folder.parent

    @property
    def id(self) -> str:
        return self.described.id

    @property
    def name(self) -> str:
        return f"{self.described.arm},seed={self.described.seed}"

    @cached_property
    def rows(self) -> pd.DataFrame:
        """A row for each update, without the seed."""
        updates = self.arm.updates
        return updates[updates["seed"] == self.described.seed].drop(columns="seed").sort_values("update")

    @property
    def diverged_at(self) -> int | None:
        """The update at which it diverged."""
        return int(self.rows["update"].max()) if self.status == "diverged" else None

    @property
    def final_return(self) -> float | None:
        return self.arm.final_returns.get(self.described.seed)

    @property
    def films(self) -> dict[int, Path]:
        """Of its policy, by the update after which it was filmed."""
        return films_of(self.arm.folder, self.described.seed)

    @property
    def version(self) -> list[Any]:
        """What tells whether it was uploaded as it is now."""
        return [len(self.rows), self.status]

    def parcel(self, place: Place) -> Upload:
        """All that W&B is to have of it."""
        shown = (self.rows, self.status, self.diverged_at, self.final_return, self.films)
        return Upload(place, self.described, *shown)


def local_runs(path: Path) -> list[LocalRun]:
    """Every run below a folder of a study, or of several.

    Raises:
        InputError: there is no study, or a file of one cannot be read.
    """
    try:
        return [run for about in sorted(find_arms(path.resolve())) for run in _of_arm(about)]
    except FileNotFoundError as missing:
        raise InputError(str(missing)) from missing


def _of_arm(file: Path) -> Iterator[LocalRun]:
    folder = file.parent
    about, settings = _read(file, json.loads), _read(folder / "config.yaml", yaml.safe_load)
    arm = LocalArm(folder, settings)
    for seed, run in about["runs"].items():
        composed = (settings, about["given"], about["choices"])
        described = Description(folder.parent.name, about["arm"], int(seed), *composed, about.get("place", ("", 0)))
        yield LocalRun(arm, described, run["status"])


def _read(file: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(file.read_text())
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
