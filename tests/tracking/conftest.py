"""Studies to be uploaded, and what W&B gives back of them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.tracking.wandb_server import WandbServer
from tests.waiting import HANG

# A client that is answered with an error asks again at once.
BOUNDS = [f"{kind}_RETRY_WAIT_{bound}" for kind in ("FILE_STREAM", "GRAPHQL") for bound in ("MIN", "MAX")]
QUICK = {f"WANDB__{bound}_SECONDS": "0.1" for bound in BOUNDS}


@pytest.fixture
def variables(wandb_server: WandbServer, tmp_path: Path) -> dict[str, str]:
    """The environment of a client of the server."""
    folder = tmp_path / "client"
    folder.mkdir()
    return wandb_server.variables(folder) | QUICK


@pytest.fixture
def eventful(copied_study: Path) -> Path:
    """The small study with every status: seed 0 of an arm diverged, 1 was stopped, 2 failed before its first update."""
    arm = sorted(copied_study.glob("*/arm.json"))[0].parent
    about = json.loads((arm / "arm.json").read_text())
    del about["checksum"], about["files"]
    updates = pd.read_parquet(arm / "updates.parquet")
    for seed, status, kept in (("0", "diverged", 2), ("1", "stopped", 1), ("2", "failed", 0)):
        about["runs"][seed] |= {"status": status, "updates": kept}
        updates = updates[(updates["seed"] != int(seed)) | (updates["update"] <= kept)]
    last = (updates["seed"] == 0) & (updates["update"] == 2)
    updates.loc[last, ["loss", "grad_norm"]] = [np.nan, np.inf]
    updates["kl"] = np.where(updates["update"] == 1, 0.5, np.nan)
    about["given"]["optimizer.lr"] = 1.0
    (arm / "arm.json").write_text(json.dumps(about))
    updates.to_parquet(arm / "updates.parquet", index=False)
    evaluation = pd.read_parquet(arm / "evaluation.parquet")
    evaluation[evaluation["seed"] == 0].to_parquet(arm / "evaluation.parquet", index=False)
    return copied_study


@pytest.fixture
def read_back(variables: dict[str, str], tmp_path: Path) -> Callable[[str], pd.DataFrame]:
    """`load_wandb` in a process of its own; what it raises is raised here as a RuntimeError."""

    def read(project: str) -> pd.DataFrame:
        file = tmp_path / "frame.pickle"
        program = f"from pglab.results import load_wandb; load_wandb({project!r}).to_pickle({str(file)!r})"
        environment = {**variables, "PYTHONPATH": str(ROOT), "PATH": ""}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=HANG)
        if done.returncode:
            raise RuntimeError(done.stderr.splitlines()[-1])
        return pd.read_pickle(file)

    return read
