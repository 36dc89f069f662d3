"""What the small W&B server holds, against what a study says."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from pglab.results import load
from tests.tracking.stored_run import StoredRun
from tests.tracking.wandb_server import WandbServer


def uploads(server: WandbServer) -> list[str]:
    """What the server was asked since the last time that may change a run."""
    changing = [name for name in server.asked if name in ("UpsertBucket", "file_stream")]
    server.asked.clear()
    return changing


def equal(there: Any, here: Any) -> bool:
    return float(there) == here or (math.isnan(float(there)) and math.isnan(here))


def check_complete(study: Path, runs: dict[str, StoredRun]) -> None:
    """Every stored run is there with exactly its rows."""
    frame = load(study)
    for (arm, seed), rows in frame.groupby(["arm", "seed"]):
        run = runs[f"{arm},seed={seed}"]
        assert run.summary["status"] == rows["status"].iloc[0]
        rows = rows[rows["update"] > 0]  # a run that failed before its first update has none
        assert run.steps == rows["update"].tolist()
        measures = frame.columns[frame.columns.get_loc("update") : frame.columns.get_loc("status")]
        for there, here in zip(run.history, rows.to_dict("records"), strict=True):
            assert all(equal(there.get(name, np.nan), here[name]) for name in measures)
