"""Studies that version 0.1.0 stored load, continue and are told of as before."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

import pglab
from pglab.errors import InputError
from pglab.results import IncompleteStudy, load, load_evaluation
from pglab.study import main

BEFORE = Path(__file__).parent / "study_of_0_1_0"
ARM = ("env=corridor", "network=tabular", "baseline=value", "batch=episodes", "batch.episodes=3")
HOW = ("evaluation.episodes=4", "workers=1", "logger.mode=disabled", "study=before")
pytestmark = pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return shutil.copytree(BEFORE, tmp_path / "before")


def test_it_loads_with_the_rows_of_its_last_checkpoint():
    frame = load(BEFORE)
    assert frame.groupby("weighting")["update"].max().to_dict() == {"total": 4, "baseline": 4, "gae": 300}
    assert frame.groupby("weighting")["status"].first().to_dict() == {
        "total": "finished", "baseline": "finished", "gae": "stopped",
    }  # fmt: skip
    assert load_evaluation(BEFORE).groupby("weighting").size().to_dict() == {"total": 12, "baseline": 12}


def test_it_is_shown(capsys: pytest.CaptureFixture[str]):
    assert main([str(BEFORE)]) == 0
    assert "300" in capsys.readouterr().out


def test_finished_runs_are_kept_and_unfinished_ones_go_on_where_they_were(before: Path):
    command = ["weighting=gae", "seeds=2", "updates=320", *ARM, *HOW, f"results_dir={before.parent}"]
    there = load(before)
    with pytest.raises(InputError, match=r"computed otherwise.*own code has changed"):
        pglab.run(command)
    frame = pglab.run([*command, "on_mismatch=keep"])
    assert frame["update"].max() == 320
    kept = frame[frame["update"] <= 300].drop(columns="status")
    of_before = there[there["weighting"] == "gae"].drop(columns="status")
    shared = [column for column in kept.columns if column in of_before.columns]
    pd.testing.assert_frame_equal(kept[shared].reset_index(drop=True), of_before[shared].reset_index(drop=True))


def test_more_updates_of_a_finished_run_go_on_from_its_state(before: Path):
    there = load(before)
    command = ["weighting=total", "seeds=3", "updates=6", *ARM, *HOW, f"results_dir={before.parent}"]
    frame = pglab.run([*command, "on_mismatch=keep"])
    assert frame.groupby("seed")["update"].max().to_dict() == {0: 6, 1: 6, 2: 6}
    assert frame.loc[frame["update"] <= 4, "loss"].tolist() == there.loc[there["weighting"] == "total", "loss"].tolist()


def test_a_warning_says_what_it_lacks():
    with pytest.warns(IncompleteStudy, match="stopped: 2 runs with 300 of 3000 updates"):
        load(BEFORE)
