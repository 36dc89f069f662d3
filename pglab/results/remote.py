"""From W&B to the same tidy frame as from a study's folder."""

import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pandas as pd

from pglab.results.load import MEASURES, in_order, tidy

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
    order = {key: (key[0], in_order(of_arm[0].config.get("place"), key[1])) for key, of_arm in arms.items()}
    return tidy([_arm(key[0], arms[key]) for key in sorted(arms, key=order.__getitem__)], MEASURES)


def _arm(study: str, runs: list["Run"]) -> tuple[str, dict[str, Any], pd.DataFrame]:
    """The study of an arm, what its `arm.json` would say, and its rows by seed and update."""
    runs = sorted(runs, key=lambda run: run.config["seed"])
    given = json.loads(runs[0].config["given"])
    about = {
        "arm": runs[0].config["arm"],
        "choices": runs[0].config["choices"],
        "given": given,
        "identity": dict.fromkeys(key.partition(".")[0] for key in given),
        "runs": {run.config["seed"]: {"status": run.summary.get("status", run.state)} for run in runs},
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        frames = [rows for rows in pool.map(_rows, runs) if len(rows)]
    return study, about, pd.concat(frames or [pd.DataFrame({"seed": []}, dtype="int64")], ignore_index=True)


def _rows(run: "Run") -> pd.DataFrame:
    """The whole history of a run; what was not measured at an update is NaN."""
    types = json.loads(run.config["measures"])
    if not types:  # it failed in its first update
        return pd.DataFrame()
    rows = pd.DataFrame(list(run.scan_history(use_cache=False)), columns=list(types))
    # W&B writes what JSON has no number for as a word: NaN, Infinity.
    rows = rows.astype(types).sort_values("update")
    rows.insert(0, "seed", run.config["seed"])
    return rows
