"""Runs that other programs have put into a W&B project are arms beside one's own."""

import json
import subprocess
import sys

import pandas as pd

from tests.conftest import ROOT
from tests.tracking.stored_run import StoredRun
from tests.tracking.wandb_server import ENTITY
from tests.waiting import HANG


def test_a_project_of_another_program_is_read(wandb_server, variables, tmp_path):
    for seed in (1, 2):
        name = f"CartPole-v1__ppo__{seed}__1700000000"
        rows = [{"_step": n, "global_step": 100 * n, "charts/episodic_return": 10.0 * n + seed} for n in (1, 2, 3)]
        wandb_server.runs["cleanrl", name] = StoredRun(
            name, "cleanrl", name=name, config={"seed": {"value": seed}, "exp_name": {"value": "ppo"}},
            lines={n: json.dumps(row) for n, row in enumerate([*rows, {"_step": 4, "losses/value_loss": 0.5}])},
            exit_code=0,
        )  # fmt: skip
    file = tmp_path / "frame.pickle"
    program = f"from pglab.results import read_runs; read_runs('wandb:{ENTITY}/cleanrl').to_pickle({str(file)!r})"
    environment = {**variables, "PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr
    frame = pd.read_pickle(file)
    assert frame["arm"].unique().tolist() == ["ppo"]
    assert frame.groupby("their_seed")["return_mean"].apply(list).to_dict() == {
        1: [11.0, 21.0, 31.0],
        2: [12.0, 22.0, 32.0],
    }
    assert frame["env_steps"].tolist() == [100, 200, 300] * 2
    assert set(frame["status"]) == {"finished"}
