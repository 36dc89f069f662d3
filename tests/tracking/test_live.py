"""W&B follows a study while it trains: the same content as a later upload brings, and never in training's way."""

import json
import re
import time
from pathlib import Path

import pandas as pd
import pytest

import pglab
from pglab.results import load, scores
from pglab.results.load import load_evaluation
from pglab.tracking import live
from tests.tracking.held import check_complete
from tests.tracking.wandb_server import ENTITY, WandbServer
from tests.waiting import HANG

CHANGES = ("return returns", "return 2 * returns")
OWN = f"""
from dataclasses import dataclass

from pglab.algorithms.returns import rewards_to_go


@dataclass(frozen=True)
class Own:
    bias = "it is doubled, maybe"

    def __call__(self, batch):
        returns = rewards_to_go(batch.reward.detach(), gamma=1.0)
        {CHANGES[0]}
"""


@pytest.fixture
def online(tiny) -> list[str]:
    return ["-m", *tiny[:-1], "seed=0,1", "study=online", "logger.mode=online"]


@pytest.mark.slow
def test_a_rerun_takes_the_place_of_what_was_there(
    command_line, mirror_command, tmp_path: Path, wandb_server: WandbServer, variables, online, read_back
):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "conf" / "weighting").mkdir(parents=True)
    (tmp_path / "conf" / "weighting" / "own.yaml").write_text("_target_: own.Own\n")
    command = ["--config-dir", "conf", *online, "weighting=own"]
    assert command_line(command, tmp_path, **variables).returncode == 0
    first, study = load(tmp_path / "results"), tmp_path / "results" / "online"
    (tmp_path / "own.py").write_text(OWN.replace(*CHANGES))
    done = command_line([*command, "on_mismatch=rerun"], tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout
    assert load(study)["loss"].tolist() != first["loss"].tolist()
    check_complete(study, wandb_server.named())
    pd.testing.assert_frame_equal(read_back(f"{ENTITY}/pglab"), load(study))
    later = mirror_command([str(study)], tmp_path, **variables)  # which shares notes and content with the live one
    assert "Uploaded 0 of 2 runs" in later.stdout


@pytest.mark.slow
def test_variables_of_an_agent_merge_no_seeds_and_the_sweeps_own_run_gets_the_objective(
    command_line, tmp_path: Path, wandb_server: WandbServer, variables, online
):
    agent = {
        "WANDB_SWEEP_ID": "sweep1", "WANDB_RUN_ID": "trial1", "WANDB_RUN_GROUP": "one", "WANDB_NAME": "all the same",
        "WANDB_TAGS": "theirs", "WANDB_RESUME": "never", "WANDB_JOB_TYPE": "agent", "WANDB_PROJECT": "pglab",
        "WANDB_ENTITY": ENTITY,
    }  # fmt: skip
    done = command_line(online, tmp_path, **variables, **agent)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout
    trial = wandb_server.runs.pop(("pglab", "trial1"))
    study = tmp_path / "results" / "online"
    assert {run.id for run in wandb_server.named().values()} == {
        known[0] for known in json.loads((study / "mirrored.json").read_text()).popitem()[1].values()
    }
    assert len(wandb_server.named()) == 2
    check_complete(study, wandb_server.named())
    assert {(run.group, *run.tags) for run in wandb_server.named().values()} == {
        (name.rpartition(",seed=")[0], "online") for name in wandb_server.named()
    }
    means = scores(load(study), load_evaluation(study))["score"]
    assert trial.summary["objective"] == pytest.approx(means.mean())
    assert (trial.state, trial.history) == ("finished", [])


@pytest.mark.slow
def test_runs_are_shown_while_they_train_and_are_the_same_runs_when_they_have_ended(
    command_line, tmp_path: Path, wandb_server: WandbServer, variables, online
):
    seen: dict[str, tuple[str, int]] = {}
    with command_line.started([*online, "updates=12000"], tmp_path, **variables) as process:
        while process.poll() is None and len(seen) < 2:
            under_way = [run for run in list(wandb_server.runs.values()) if run.state == "running" and run.lines]
            seen |= {run.name: (run.id, len(run.lines)) for run in under_way}
            time.sleep(0.05)
        trains = process.poll() is None
        out, err = process.communicate(timeout=HANG)
    assert (process.returncode, trains, len(seen)) == (0, True, 2), err
    assert "warning" not in out
    assert all(rows < 12000 for _, rows in seen.values())
    runs = wandb_server.named()
    assert {name: run.id for name, run in runs.items()} == {name: id_ for name, (id_, _) in seen.items()}
    check_complete(tmp_path / "results" / "online", runs)


def test_many_short_runs_are_left_to_one_named_command_where_writing_them_takes_long(
    tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "SHARE", 0.0)
    pglab.run([*tiny[:-1], f"seeds={live.FEW + 8}", "study=many"])
    said = capfd.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("W&B, offline: ")]
    found = re.fullmatch(
        r"W&B, offline: (\d+) of 20 runs are written; `python -m pglab\.mirror results/many` uploads all of them from "
        r"the local files",
        line,
    )
    assert found
    assert int(found[1]) <= len(list(Path("results/many").glob("wandb/offline-run-*"))) <= 20
    assert "warning" not in said
    assert len(load("results/many").groupby("seed")) == 20
