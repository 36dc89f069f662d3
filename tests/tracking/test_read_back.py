"""What W&B holds is read as the same frame as the files that it came from."""

import json

import numpy as np
import pandas as pd
import pytest

from pglab.results import load
from tests.tracking.stored_run import StoredRun
from tests.tracking.wandb_server import ENTITY

PROJECT = f"{ENTITY}/pglab"


@pytest.mark.slow
def test_the_frame_is_that_of_the_folder(mirror_command, study, copied_study, wandb_server, variables, read_back):
    assert mirror_command([str(copied_study)], copied_study, **variables).returncode == 0
    wandb_server.runs = dict(reversed(wandb_server.runs.items()))
    wandb_server.runs["pglab", "foreign"] = StoredRun(
        "foreign", "pglab", config={"lr": {"value": 1}}, lines={0: '{"_step": 0}'}
    )
    assert wandb_server.summaries().keys() == {"small"}  # which is no run of a frame either
    pd.testing.assert_frame_equal(read_back(PROJECT), load(study))


@pytest.mark.slow
def test_runs_of_every_status_and_keys_that_differ_are_read(mirror_command, eventful, variables, read_back):
    assert mirror_command([str(eventful)], eventful, **variables).returncode == 0
    frame = load(eventful)
    assert set(frame["status"]) == {"finished", "diverged", "stopped", "failed"}
    assert {"kl", "optimizer.lr"} < set(frame.columns)
    pd.testing.assert_frame_equal(read_back(PROJECT), frame)


@pytest.mark.slow
def test_long_histories_are_read_to_the_last_row(mirror_command, copied_study, variables, read_back):
    (arm,) = [about.parent for about in copied_study.glob("*rtg/arm.json")]
    rows = pd.concat([pd.read_parquet(arm / "updates.parquet").query("update == 1")] * 2500, ignore_index=True)
    rows["update"] = 1 + rows.groupby("seed").cumcount()
    rows["loss"] = np.sin(np.arange(len(rows))).astype(np.float32)
    rows.sort_values(["seed", "update"]).to_parquet(arm / "updates.parquet", index=False)
    about = json.loads((arm / "arm.json").read_text())
    del about["checksum"], about["files"]
    (arm / "arm.json").write_text(json.dumps(about))
    assert mirror_command([str(arm)], copied_study, **variables).returncode == 0
    frame = read_back(PROJECT)
    assert frame.groupby("seed")["update"].max().tolist() == [2500] * 3
    pd.testing.assert_frame_equal(frame, load(arm))


def test_a_project_that_is_not_there_is_named(wandb_server, read_back):
    with pytest.raises(RuntimeError, match=f"FileNotFoundError: W&B has no project {ENTITY}/nowhere for this account"):
        read_back(f"{ENTITY}/nowhere")
    wandb_server.runs["pglab", "foreign"] = StoredRun("foreign", "pglab")
    with pytest.raises(RuntimeError, match=f"FileNotFoundError: W&B's project {PROJECT} holds no run that pglab"):
        read_back(PROJECT)


def test_a_key_that_is_not_accepted_is_said(variables, read_back):
    variables["WANDB_API_KEY"] = "f" * 40
    with pytest.raises(RuntimeError, match="AuthenticationError: Failed to verify credentials"):
        read_back(PROJECT)
