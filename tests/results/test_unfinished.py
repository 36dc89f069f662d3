"""A study can be read while it trains, after it was killed, and not when a file of it is damaged."""

import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from pglab.results import (
    DamagedError,
    IncompleteStudy,
    compare,
    describe_arms,
    load,
    load_evaluation,
    plots,
    scores,
    summarize,
)
from pglab.results.scores import How
from pglab.store.lock import claimed
from pglab.store.reader import ArmFolder
from pglab.store.records import ArmRecord
from tests.results.edited import begin, checkpoint, edit, rtg
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")


def counts(frame: pd.DataFrame) -> dict[int, int]:
    return frame[frame["weighting"] == "rtg"].groupby("seed").size().to_dict()


def statuses(frame: pd.DataFrame) -> dict[int, str]:
    return frame[frame["weighting"] == "rtg"].groupby("seed")["status"].first().to_dict()


def test_rows_of_begun_runs_come_from_the_checkpoint_with_the_columns_and_types_of_the_others(copied_study: Path):
    before, arm = load(copied_study), rtg(copied_study)
    begin(arm, 5, 7)
    checkpoint(arm, {5: 4, 7: 3})
    frame = load(copied_study)
    assert counts(frame) == {0: 2, 1: 2, 2: 2, 5: 4, 7: 3}
    assert statuses(frame) == {0: "finished", 1: "finished", 2: "finished", 5: "stopped", 7: "stopped"}
    assert frame.query("seed == 5")["loss"].tolist() == [1001.0, 1002.0, 1003.0, 1004.0]
    assert frame.dtypes.astype(str).equals(before.dtypes.astype(str))
    pd.testing.assert_frame_equal(frame[frame["seed"] < 3].reset_index(drop=True), before)


def test_they_are_running_only_while_somebody_holds_the_arm(copied_study: Path):
    arm = rtg(copied_study)
    begin(arm, 5)
    checkpoint(arm, {5: 4})
    edit(arm, lambda about: about["runs"].update({"6": {"status": "failed", "updates": 0, "asked": 9}}))
    with claimed(arm) as mine:
        assert mine
        assert statuses(load(copied_study))[5] == "running"
        with pytest.warns(IncompleteStudy) as caught:
            load_evaluation(copied_study)
    said = str(caught[0].message)
    assert "running: 1 run with 4 of 9 updates: " in said
    assert "failed: 1 run (1 without any rows)" in said
    assert statuses(load(copied_study))[5] == "stopped"


@pytest.mark.parametrize("how", ["last_tenth", "area", "final_evaluation", "steps_to"])
def test_a_run_that_failed_before_its_first_update_is_counted_wherever_runs_are(copied_study: Path, how: How):
    before, lost = load(copied_study), range(3, 9)
    failed = {"status": "failed", "updates": 0, "asked": 2}
    edit(rtg(copied_study), lambda about: about["runs"].update({str(seed): failed for seed in lost}))
    frame, evaluation = load(copied_study), load_evaluation(copied_study)
    assert counts(frame) == dict.fromkeys(range(3), 2) | dict.fromkeys(lost, 1)
    assert frame.dtypes.astype(str).equals(before.dtypes.astype(str))
    threshold = -1e9 if how == "steps_to" else None
    runs, without = (scores(updates, evaluation, how, threshold) for updates in (frame, before))
    pd.testing.assert_frame_equal(runs[runs["env_steps"] > 0].reset_index(drop=True), without)
    assert set(runs[runs["env_steps"] == 0]["note"]) == {"failed: no score"}
    described = describe_arms(runs).set_index("weighting")
    assert described.loc["rtg", ["n", "failed"]].tolist() == [3, 6]
    assert compare(runs)["verdict"].str.contains("rtg failed in 6 of 9 runs").all()
    assert summarize(frame, evaluation).set_index("arm")["failed"].sum() == 6
    plots.learning_curves(frame)
    gone = frame[frame["update"] == 0]
    plots.learning_curves(gone)
    assert len(scores(gone)) == 6


def test_whichever_has_more_rows_of_a_run_counts_and_what_has_ended_is_left_as_it_is(copied_study: Path):
    arm = rtg(copied_study)
    begin(arm, 1, 2)
    checkpoint(arm, {0: 7, 1: 1, 2: 5})
    frame = load(copied_study)
    assert counts(frame) == {0: 2, 1: 2, 2: 5}
    assert (frame["loss"] > 1000).sum() == 5
    assert not frame.duplicated(["arm", "seed", "update"]).any()


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(copied_study: Path):
    arm = rtg(copied_study)
    begin(arm, 5)
    checkpoint(arm, {5: 3}, "checkpoint.previous.bin")
    checkpoint(arm, {5: 4})
    whole = (arm / "checkpoint.bin").read_bytes()
    (arm / "checkpoint.bin").write_bytes(whole[:-1])
    assert counts(load(copied_study))[5] == 3
    (arm / "checkpoint.previous.bin").unlink()
    assert 5 not in counts(load(copied_study))


def test_an_arm_of_which_no_run_has_ended_is_read_from_its_checkpoint_alone(copied_study: Path):
    arm = rtg(copied_study)
    checkpoint(arm, {0: 4})
    for name in ("updates.parquet", "evaluation.parquet"):
        (arm / name).unlink()
    edit(arm, lambda about: about.update(files={}, runs={}))
    begin(arm, 0, 1)
    assert counts(load(copied_study)) == {0: 4}
    assert list(load_evaluation(arm).columns[:6]) == ["study", "arm", "seed", "episode", "return", "length"]
    (arm / "checkpoint.bin").unlink()
    none = load(arm)
    assert len(none) == 0
    assert list(none.columns) == list(load(copied_study).columns)


@pytest.mark.parametrize(
    ("name", "read"),
    [("updates.parquet", load), ("evaluation.parquet", load_evaluation)],
    ids=["updates", "evaluation"],
)
def test_a_damaged_or_missing_file_is_named_with_what_to_do(copied_study: Path, name: str, read):
    file = rtg(copied_study) / name
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(DamagedError) as damaged:
        read(copied_study)
    assert str(damaged.value).startswith(f"{file} is damaged: ")
    assert f"move {file.parent} away" in str(damaged.value)
    file.unlink()
    with pytest.raises(DamagedError, match=r"parquet is gone; put back a copy"):
        read(copied_study)


def test_a_file_counts_that_has_any_of_its_checksums_and_one_without_checksums_is_not_checked(copied_study: Path):
    arm, before = rtg(copied_study), load(copied_study)
    edit(arm, lambda about: about["files"].update({"updates.parquet": [*about["files"]["updates.parquet"], "0" * 64]}))
    pd.testing.assert_frame_equal(load(copied_study), before)
    edit(arm, lambda about: about["files"].update({"updates.parquet": ["0" * 64]}))
    with pytest.raises(DamagedError):
        load(copied_study)
    edit(arm, lambda about: about.pop("files"))
    pd.testing.assert_frame_equal(load(copied_study), before)


@pytest.mark.parametrize("content", ["{", "[]", '{"runs": {}}', "null"])
def test_a_damaged_arm_json_is_named(copied_study: Path, content: str):
    (rtg(copied_study) / "arm.json").write_text(content)
    with pytest.raises(DamagedError, match=r"weighting=rtg/arm\.json is damaged"):
        load(copied_study)


def test_a_file_that_is_replaced_while_it_is_read_is_read_anew(copied_study: Path, monkeypatch: pytest.MonkeyPatch):
    arm, before, checked = rtg(copied_study), load(copied_study), ArmFolder.table
    edit(arm, lambda about: about["files"].update({"updates.parquet": ["0" * 64]}))

    def meanwhile(files: ArmFolder, name: str, record: ArmRecord) -> pd.DataFrame | None:
        if files.path == arm and record.files and record.files[name] == ("0" * 64,):
            edit(arm, lambda now: now.pop("files"))  # the writer gets to the end of what it was at
        return checked(files, name, record)

    monkeypatch.setattr(ArmFolder, "table", meanwhile)
    pd.testing.assert_frame_equal(load(copied_study), before)


@pytest.mark.slow
def test_a_study_is_looked_at_while_it_trains_and_after_it_was_killed(command_line, tmp_path: Path, tiny):
    with command_line.started(["seed=0", "seeds=2", *tiny, "updates=5000"], tmp_path) as process:

        def rows(more_than: int) -> pd.DataFrame:
            assert until(lambda: list(tmp_path.glob("results/*/*/checkpoint.bin")), process)
            assert until(lambda: len(load(tmp_path / "results")) > more_than, process)
            return load(tmp_path / "results")

        first = rows(0)
        second = rows(len(first))
        assert set(first["status"]) == {"running"}
        os.killpg(process.pid, signal.SIGKILL)
    last = load(tmp_path / "results")
    assert set(last["status"]) == {"stopped"}
    assert set(last["seed"]) == {0, 1}
    for earlier, later in ((first, second), (second, last)):
        both = [frame.set_index(["seed", "update"]).drop(columns="status") for frame in (earlier, later)]
        pd.testing.assert_frame_equal(both[0], both[1].loc[both[0].index])
