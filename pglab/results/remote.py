"""From W&B to the same tidy frame as from a study's folder."""

import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import pandas as pd

from pglab.results.load import MEASURES, Loaded, tidy, with_failed
from pglab.store.records import ArmRecord, RunRecord, Status

if TYPE_CHECKING:
    from wandb.apis.public import Run

AT_ONCE = 8  # histories that are read side by side


def load_wandb(path: str) -> pd.DataFrame:
    """Every run that pglab has put into a W&B project, a row for each (arm, seed, update).

    The frame of `pglab.results.load`, with every update that W&B has, in the same order and of the
    same types. A run that is still training has the status that W&B gives it (`running`). Runs
    that are not of pglab are left out.

    Args:
        path: `entity/project`, or `project` of the account's own entity.

    Raises:
        FileNotFoundError: there is no such project, or no run of pglab in it.
        wandb.Error: no answer, or the key is not accepted.
    """
    import wandb

    found = wandb.Api().runs(path, lazy=False)
    try:
        runs = [run for run in found if {"study", "arm", "seed", "given", "measures"} <= run.config.keys()]
    except ValueError as missing:  # the project; nothing else that is wrong is one
        raise FileNotFoundError(f"W&B has no project {path} for this account; give it as entity/project") from missing
    if not runs:
        raise FileNotFoundError(f"W&B's project {path} holds no run that pglab has put there")
    arms: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        arms[run.config["study"], run.config["arm"]].append(run)
    read = [_arm(study, of_arm) for (study, _), of_arm in arms.items()]
    read.sort(key=lambda arm: (arm[0], arm[1].order))
    return tidy([(study, record, with_failed(record, rows)) for study, record, rows in read], MEASURES)


def _arm(study: str, runs: list["Run"]) -> Loaded:
    """The study of an arm, its record as far as W&B has it, and its rows by seed and update."""
    runs = sorted(runs, key=lambda run: run.config["seed"])
    config = runs[0].config
    begun, number = config.get("place") or ("", 0)
    record = ArmRecord(
        arm=config["arm"],
        choices=config["choices"],
        given=json.loads(config["given"]),
        identity={},
        overrides=tuple(json.loads(config.get("overrides", "[]"))),
        place=(str(begun), int(number)),
        runs={run.config["seed"]: RunRecord(cast(Status, run.summary.get("status", run.state)), 0, 0) for run in runs},
    )
    with ThreadPoolExecutor(AT_ONCE) as pool:
        frames = [rows for rows in pool.map(history, runs) if len(rows)]
    return study, record, pd.concat(frames or [pd.DataFrame({"seed": []}, dtype="int64")], ignore_index=True)


def history(run: "Run") -> pd.DataFrame:
    """The whole history of a run; what was not measured at an update is NaN."""
    types = json.loads(run.config.get("measures", "{}"))
    if not types:  # it failed in its first update
        return pd.DataFrame()
    rows = pd.DataFrame(list(run.scan_history(use_cache=False)), columns=list(types))
    # W&B writes what JSON has no number for as a word: NaN, Infinity.
    rows = rows.astype(types).sort_values("update")
    rows.insert(0, "seed", run.config["seed"])
    return rows
