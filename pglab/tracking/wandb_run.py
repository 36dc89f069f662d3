"""What W&B is told of a run: the same while it trains and from its files."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from pglab.results.load import MEASURES, load_evaluation
from pglab.studies.run import MACHINERY

if TYPE_CHECKING:
    import wandb


@dataclass(frozen=True)
class Description:
    """One run, as W&B has to know it to be rebuilt from there.

    Attributes:
        settings: the resolved configuration of its arm.
        given: the same before interpolation, flat under dotted keys.
        choices: which option of each config group was chosen.
        place: of its arm in the study, by which arms are sorted.
    """

    study: str
    arm: str
    seed: int
    settings: Mapping[str, Any]
    given: Mapping[str, Any]
    choices: Mapping[str, str]
    place: Sequence[Any]

    @property
    def id(self) -> str:
        """The same for the same study, arm and seed, so that no run is ever there twice."""
        return hashlib.sha256(json.dumps([self.study, self.arm, self.seed]).encode()).hexdigest()[:16]

    def config(self, measures: Mapping[str, str]) -> dict[str, Any]:
        """The settings, and what `pglab.results.load_wandb` needs beside them.

        Two of them are texts: W&B keeps no order of keys, gives back 1.0 as 1, and nests at a dot.
        """
        names = {"study": self.study, "arm": self.arm, "seed": self.seed, "choices": dict(self.choices)}
        names["place"] = list(self.place)
        given = {key: value for key, value in self.given.items() if _makes_an_arm(key)}
        return {**self.settings, **names, "given": json.dumps(given), "measures": json.dumps(dict(measures))}


def begin(
    described: Description, measures: Mapping[str, str], logger: Mapping[str, Any], folder: Path, **settings: Any
) -> "wandb.Run":
    """Opens a run, or goes on with the one that the server has under this id.

    Args:
        measures: the columns of its rows and their types; empty for a run without rows.
        logger: `mode`, `project` and `entity`.
        folder: where the client's own files go, in place of earlier ones of this run.
        settings: further `wandb.Settings`.
    """
    about = {
        "id": described.id,
        "name": f"{described.arm},seed={described.seed}",
        "group": described.arm,
        "tags": [described.study[:64]],
        "config": described.config(measures),
    }
    run = opened(about, logger, folder, **settings)
    run.define_metric("env_steps")
    run.define_metric("*", step_metric="env_steps")
    return run


def opened(about: Mapping[str, Any], logger: Mapping[str, Any], folder: Path, **settings: Any) -> "wandb.Run":
    """Opens the run with an id, or goes on with it, and removes what an earlier client left of it.

    Args:
        about: the run's `id`, `name` and whatever else `wandb.init` is to be told of it.
        logger, folder, settings: as for `begin`.
    """
    os.environ["WANDB_SILENT"] = "true"
    import wandb

    run = wandb.init(
        **about,
        project=logger["project"],
        entity=logger["entity"],
        mode=logger["mode"],
        dir=str(folder),
        resume="allow" if logger["mode"] == "online" else None,
        reinit="create_new",
        settings=wandb.Settings(console="off", disable_git=True, save_code=False, x_disable_stats=True, **settings),
    )
    here = Path(run.dir).parent
    for earlier in here.parent.glob(f"*run-*-{about['id']}*"):
        if earlier != here:
            shutil.rmtree(earlier)
    return run


def columns_of(measures: Mapping[str, np.ndarray]) -> dict[str, str]:
    """The columns of a run's rows, and their types."""
    return {name: column.dtype.name for name, column in measures.items() if name not in ("seed", "diverged")}


def log(run: "wandb.Run", rows: Iterable[Mapping[str, Any]], films: Mapping[int, Path] = MappingProxyType({})) -> None:
    """Adds rows with a run's measures; those up to the last update that the server has change nothing.

    Args:
        films: of the policy after some updates, which go into the rows of these.
    """
    for row in rows:
        # A diagnostic that was not measured at this update has no point on its chart.
        values = {name: value for name, value in row.items() if name in MEASURES or value == value}
        run.log(values, step=row["update"])
        if film := films.get(row["update"]):
            log_film(run, row["update"], film)


def log_film(run: "wandb.Run", update: int, file: Path) -> None:
    """Adds a film to the row of an update, where that is the last row so far."""
    import wandb

    run.log({"episode": wandb.Video(str(file), format="gif")}, step=update)


def end(run: "wandb.Run", status: str, diverged_at: int | None, final_return: float | None) -> None:
    """Closes a run that came to a status.

    Args:
        diverged_at: the update at which it diverged.
        final_return: the mean return of its final evaluation.
    """
    summary = {"status": status, "diverged_at": diverged_at, "final_return": final_return}
    run.summary.update({name: value for name, value in summary.items() if value is not None})
    run.finish(exit_code=0 if status == "finished" else 1)


def final_returns(arm: Path) -> dict[int, float]:
    """The mean return of the final evaluation of each seed in an arm's folder."""
    means = load_evaluation(arm).groupby("seed")["return"].mean()
    return dict(zip(means.index.tolist(), means.tolist(), strict=True))


def _makes_an_arm(key: str) -> bool:
    return key == "updates" or key.partition(".")[0] not in MACHINERY
